"""Decisions on a dealer: authorised, blocked, reinstated."""

from domain.commands import dealer as cmd
from domain.commands.asking import to_event
from domain.dealer import Dealer
from domain.decisions.hearing import Decisions, Hearing
from domain.events import dealer as ev
from domain.refusals import Code, refuse

decisions: Decisions[Dealer] = Decisions()


@decisions.on(cmd.AuthoriseDealer)
def _authorise(_h: Hearing, _d: Dealer, c: cmd.AuthoriseDealer) -> ev.DealerAuthorised:
    return to_event(ev.DealerAuthorised, c)


@decisions.on(cmd.BlockDealer)
def _block(_h: Hearing, d: Dealer, c: cmd.BlockDealer) -> ev.DealerBlocked:
    if d.blocked_since is not None:
        refuse(
            Code.DEALER_ALREADY_BLOCKED,
            f"The dealer {d.dealer_id} is blocked already.",
            id=d.dealer_id,
            reason=d.block_reason,
        )
    return to_event(ev.DealerBlocked, c)


@decisions.on(cmd.ReinstateDealer)
def _reinstate(_h: Hearing, d: Dealer, c: cmd.ReinstateDealer) -> ev.DealerReinstated:
    if d.blocked_since is None:
        refuse(Code.DEALER_NOT_BLOCKED, f"The dealer {d.dealer_id} is not blocked.", id=d.dealer_id)
    return to_event(ev.DealerReinstated, c)
