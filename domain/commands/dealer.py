"""What may be asked of a dealer: to act for the operator, and to stop."""

from domain.commands.asking import Command, command
from domain.events import dealer as ev
from domain.events.fields import Identifier, Text


@command("dealer", route="", opens=True, emits=(ev.DealerAuthorised,))
class AuthoriseDealer(Command):
    """Let a dealer act for the operator; `manager_id` answers for it inside."""

    name: Text
    manager_id: Identifier


@command("dealer", route="blocks", emits=(ev.DealerBlocked,))
class BlockDealer(Command):
    """Stop a dealer from acting."""

    reason: Text
    case_id: Identifier | None = None


@command("dealer", route="reinstatements", emits=(ev.DealerReinstated,))
class ReinstateDealer(Command):
    """Lift the block."""

    reason: Text
