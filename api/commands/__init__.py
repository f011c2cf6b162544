"""The commands of `recount`: one module for each group, listed here in the order of the help."""

from api.commands import (
    bench,
    calendar,
    comparison,
    dossier,
    extract,
    generate,
    history,
    models,
    notices,
    privacy,
    remedies,
    service,
    transfer,
)

GROUPS = (
    service,
    transfer,
    generate,
    extract,
    history,
    comparison,
    remedies,
    dossier,
    bench,
    calendar,
    notices,
    privacy,
    models,
)
