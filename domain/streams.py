"""The five kinds of stream, and for each how to begin a state and how to fold it."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from domain import account, case, dealer, party, rulebook
from domain.events.envelope import Recorded, kind_of
from domain.events.fields import StreamKind
from domain.fold import Fold

State = account.Account | party.Party | dealer.Dealer | case.Case | rulebook.Rulebook


class Stream(NamedTuple):
    """How a kind of stream becomes a state."""

    begin: Callable[[str], Any]
    fold: Fold[Any]


STREAMS: dict[StreamKind, Stream] = {
    "account": Stream(account.Account, account.fold),
    "party": Stream(party.Party, party.fold),
    "dealer": Stream(dealer.Dealer, dealer.fold),
    "case": Stream(case.Case, case.fold),
    "rulebook": Stream(rulebook.Rulebook, rulebook.fold),
}


def begin(subject: str) -> State:
    """Return the empty state of a subject's stream."""
    state: State = STREAMS[kind_of(subject)].begin(subject.partition("/")[2])
    return state


def state_of(subject: str, history: Iterable[Recorded]) -> State:
    """Return the state of a subject's stream after a history, in the order it is given."""
    state: State = STREAMS[kind_of(subject)].fold.over(begin(subject), history)
    return state
