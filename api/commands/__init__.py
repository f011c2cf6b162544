"""The commands of `recount`: one module for each group, listed here in the order of the help."""

from api.commands import (
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
    calendar,
    notices,
    privacy,
    models,
)
