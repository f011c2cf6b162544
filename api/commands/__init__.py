"""The commands of `recount`: one module for each group, listed here in the order of the help."""

from api.commands import history, service, transfer

GROUPS = (service, transfer, history)
