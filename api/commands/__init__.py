"""The commands of `recount`: one module for each group, listed here in the order of the help."""

from api.commands import (
    bench,
    calendar,
    comparison,
    disclosing,
    dossier,
    extract,
    generate,
    history,
    models,
    notices,
    privacy,
    remedies,
    seals,
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
    disclosing,
    dossier,
    bench,
    calendar,
    seals,
    notices,
    privacy,
    models,
)
