"""What a decision has before it, how decisions are registered, and the checks they all share, in their order.

The order of every decision: the addressed stream and the streams named exist; the new thing's id is unused;
the streams are in a state for it; a dealer who acts may act; what the operator does is not dated back; then
what the command's own function checks: things inside the stream, and the rule.
"""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from datetime import date, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar, cast

from domain.account import Account
from domain.calendar import day_of
from domain.case import Case
from domain.commands.asking import Asked, Command
from domain.events.fields import Payload
from domain.frozen import frozen
from domain.party import Party
from domain.refusals import Code, refuse
from domain.rules.windows import BACKDATING
from domain.streams import State

if TYPE_CHECKING:
    from domain.dealer import Dealer

States = Mapping[str, State]
"""States by subject; an empty stream's is `domain.streams.begin(subject)`."""

S = TypeVar("S")
SELF = "self"
"""The customer of the account, whoever that is: how a signed-in holder acts (`customer/self`)."""

C = TypeVar("C", bound=Command)
V = TypeVar("V")

_NAMES = {
    "party_id": "party",
    "into_party_id": "party",
    "to_party_id": "party",
    "account_id": "account",
    "account_ids": "account",
    "basis_account_id": "account",
    "dealer_id": "dealer",
    "case_id": "case",
}
"""Fields of commands that name another stream, and its kind."""

_NOT_FOUND = {
    "account": Code.ACCOUNT_NOT_FOUND,
    "party": Code.PARTY_NOT_FOUND,
    "dealer": Code.DEALER_NOT_FOUND,
    "case": Code.CASE_NOT_FOUND,
}
_EXISTS = {"account": Code.ACCOUNT_EXISTS, "party": Code.PARTY_EXISTS, "dealer": Code.DEALER_EXISTS}


@frozen
class Hearing:
    """What is asked, the states known so far, and when it is decided, where that is known yet."""

    asked: Asked
    states: States
    now: datetime | None = None

    @property
    def day(self) -> date:
        """The day on which it happened, in the region's time zone."""
        return day_of(self.asked.time, self.asked.region)

    @property
    def by_customer(self) -> bool:
        """Whether the customer asks: the account's holder, who may be a party merged into another by now."""
        kind, _, name = self.asked.actor.partition("/")
        return kind == "customer" and (name == SELF or name in self._holder_ids())

    def consented(self, reference: str | None) -> bool:
        """Whether the customer asks, or somebody of the operator with a reference to their consent.

        A customer who is not the holder has nothing to bring: their word is not the holder's.
        """
        return self.by_customer or (reference is not None and not self.asked.actor.startswith("customer/"))

    def _holder_ids(self) -> set[str]:
        own = self.states[self.asked.subject]
        if not isinstance(own, Account) or not own.party_id:
            return set()
        return {subject.partition("/")[2] for subject in self.person_subjects(own.party_id)}

    def account(self, account_id: str) -> Account:
        """Return an account's state."""
        return cast("Account", self.states[f"account/{account_id}"])

    def party(self, party_id: str) -> Party:
        """Return a party's state."""
        return cast("Party", self.states[f"party/{party_id}"])

    def person(self, party_id: str) -> list[Party]:
        """Return a party and those it was merged into, as far as they are loaded."""
        return [cast("Party", self.states[s]) for s in self.person_subjects(party_id) if s in self.states]

    def person_subjects(self, party_id: str) -> Iterator[str]:
        """Yield the subjects of a party and of those it was merged into, each once."""
        seen: set[str] = set()
        following: str | None = party_id
        while following and following not in seen:
            seen.add(following)
            yield f"party/{following}"
            state = self.states.get(f"party/{following}")
            following = state.merged_into if isinstance(state, Party) else None


class Ruling(NamedTuple):
    """How one command is decided."""

    decide: Callable[[Hearing, Any, Any], Payload]
    new_id: tuple[str, Callable[[Any], Container[str]]] | None
    """The field with the new thing's id, and where used ids stand in the state."""
    after: frozenset[str]
    """In which of the states that end a stream (terminated, merged, erased, closed) it may still be asked."""
    needs: Callable[[Hearing, Any, Any], Iterable[str]] | None
    joins: bool
    """An opening command that may also come to a stream that is open."""
    accuses: bool
    """The dealer it names does not act: its conduct is what the command is about."""
    wide: bool
    """It rests on every account and case that speaks of the party it is addressed to, and so on the log's links."""


RULINGS: dict[type[Command], Ruling] = {}
"""How each command is decided."""


class Decisions(Generic[S]):
    """The decisions of one kind of stream; registering makes them known to `decide`."""

    def on(
        self,
        kind: type[C],
        *,
        new_id: tuple[str, Callable[[S], Container[str]]] | None = None,
        after: Iterable[str] = (),
        needs: Callable[[Hearing, S, C], Iterable[str]] | None = None,
        joins: bool = False,
        accuses: bool = False,
        wide: bool = False,
    ) -> Callable[[Callable[[Hearing, S, C], Payload]], Callable[[Hearing, S, C], Payload]]:
        """Register the function that decides a command; see `Ruling` for what is said of it."""

        def register(rule: Callable[[Hearing, S, C], Payload]) -> Callable[[Hearing, S, C], Payload]:
            RULINGS[kind] = Ruling(rule, new_id, frozenset(after), needs, joins, accuses, wide)
            return rule

        return register


def the(book: Mapping[str, V], key: str, code: Code, noun: str) -> V:
    """Return a thing inside the stream; refuses with the code where it is not there."""
    if key not in book:
        refuse(code, f"There is no {noun} {key} here: name one that is.", id=key)
    return book[key]


def check_consent(hearing: Hearing, reference: str | None, what: str, field: str = "evidenceref") -> None:
    """Refuse what is the customer's to decide, where neither the holder asks nor a reference is given."""
    if not hearing.consented(reference):
        refuse(
            Code.CONSENT_MISSING,
            f"{what} comes from the account's holder, or with {field}, a reference to their consent.",
            actor=hearing.asked.actor,
        )


def check_effective(hearing: Hearing, effective_from: date) -> None:
    """Refuse what would take effect before the day on which it was asked for."""
    if effective_from < hearing.day:
        refuse(
            Code.EFFECTIVE_IN_PAST,
            f"It was asked for on {hearing.day}: `effective_from` should be that day or later.",
            effective_from=effective_from,
        )


def check_after(hearing: Hearing, cause: datetime | None, noun: str, cause_id: str) -> None:
    """Refuse where something is said to have happened before the thing it refers to."""
    if cause is not None and hearing.asked.time < cause:
        refuse(
            Code.TIME_BEFORE_CAUSE,
            f"The {noun} {cause_id} is of {cause.isoformat()}: `time` should not be before that.",
            id=cause_id,
            at=cause.isoformat(),
        )


# -- which streams are before the decision ------------------------------------------------------------------


def named(command: Command) -> list[str]:
    """Return the subjects that a command's fields name."""
    found: list[str] = []
    of: Any = type(command)
    for name, kind in _naming(of):
        value = getattr(command, name)
        if isinstance(value, tuple):
            found.extend(f"{kind}/{i}" for i in value)
        elif value is not None:
            found.append(f"{kind}/{value}")
    return found


@cache
def _naming(kind: type[Command]) -> tuple[tuple[str, str], ...]:
    """Return the fields of a kind of command that name another stream, and that stream's kind."""
    return tuple((name, named_kind) for name, named_kind in _NAMES.items() if hasattr(kind, name))


def acting_dealers(asked: Asked) -> list[str]:
    """Return the subjects of the dealers who act: the actor, and the one the command went through."""
    found = [asked.actor] if asked.actor.startswith("dealer/") else []
    dealer_id = getattr(asked.command, "dealer_id", None)
    if dealer_id is None or RULINGS[type(asked.command)].accuses:
        return found
    return list(dict.fromkeys([*found, f"dealer/{dealer_id}"]))


def owner(asked: Asked, state: State | None) -> str | None:
    """Return the party whose key seals the personal data the command brings into an existing stream."""
    if not asked.command.PERSONAL:
        return None
    if isinstance(state, Account | Case) and state.party_id:
        return f"party/{state.party_id}"
    return None


# -- the checks they all share ------------------------------------------------------------------------------


def check_existence(hearing: Hearing, ruling: Ruling) -> None:
    """Refuse where the addressed stream or a named one is not there, or is there and should not be."""
    asked = hearing.asked
    kind, _, stream_id = asked.subject.partition("/")
    opened = hearing.states[asked.subject].opened
    if asked.command.OPENS:
        if opened and not ruling.joins:
            refuse(_EXISTS[kind], f"There is a {kind} {stream_id} already: choose another id.", id=stream_id)
    elif not opened:
        refuse(_NOT_FOUND[kind], f"There is no {kind} {stream_id}: open it first.", id=stream_id)
    for subject in named(asked.command):
        if not hearing.states[subject].opened:
            named_kind, _, named_id = subject.partition("/")
            refuse(
                _NOT_FOUND[named_kind],
                f"There is no {named_kind} {named_id}: name one that exists.",
                id=named_id,
            )


def check_unused(hearing: Hearing, ruling: Ruling) -> None:
    """Refuse where the id of the new thing was used before."""
    if ruling.new_id is None:
        return
    field, used = ruling.new_id
    new_id = getattr(hearing.asked.command, field)
    if new_id in used(hearing.states[hearing.asked.subject]):
        refuse(
            Code.ID_USED,
            f"The {field} {new_id} was used before: choose another.",
            field=field,
            id=new_id,
        )


def check_standing(hearing: Hearing, ruling: Ruling) -> None:
    """Refuse where the addressed stream, or a party that is named, has come to its end."""
    asked = hearing.asked
    state = hearing.states[asked.subject]
    if isinstance(state, Account) and state.status == "terminated" and "terminated" not in ruling.after:
        refuse(
            Code.ACCOUNT_TERMINATED,
            f"The service of account {state.account_id} was terminated: only its money can still be settled.",
            id=state.account_id,
        )
    if isinstance(state, Case) and state.closed_at is not None and "closed" not in ruling.after:
        refuse(Code.CASE_CLOSED, f"The case {state.case_id} was closed: open another.", id=state.case_id)
    if isinstance(state, Party):
        check_party(state, ruling.after)
    for subject in named(asked.command):
        party = hearing.states[subject]
        if isinstance(party, Party):
            check_party(party)
    keeper = owner(asked, state)
    if keeper is not None:
        check_party(cast("Party", hearing.states[keeper]), ("merged",))


def check_party(party: Party, after: Container[str] = ()) -> None:
    """Refuse where a party was merged into another or erased."""
    if party.erased_at is not None and "erased" not in after:
        refuse(
            Code.PARTY_ERASED,
            f"The personal data of party {party.party_id} was erased: nothing new can be tied to it.",
            id=party.party_id,
        )
    if party.merged_into is not None and "merged" not in after:
        refuse(
            Code.PARTY_MERGED,
            f"The party {party.party_id} was merged into {party.merged_into}: address that one.",
            id=party.party_id,
            into_party_id=party.merged_into,
        )


def check_authority(hearing: Hearing) -> None:
    """Refuse where a dealer acts who may not, or one acts who is not named."""
    asked = hearing.asked
    if asked.channel == "dealer" and not _names_dealer(asked):
        refuse(
            Code.DEALER_NOT_NAMED,
            "It came through a dealer: say which, as the actor or in dealer_id.",
            actor=asked.actor,
        )
    for subject in acting_dealers(hearing.asked):
        dealer = cast("Dealer", hearing.states[subject])
        if not dealer.opened:
            refuse(
                Code.DEALER_NOT_AUTHORISED,
                f"The dealer {dealer.dealer_id} was never authorised: it has to be before it acts.",
                id=dealer.dealer_id,
            )
        if not dealer.may_act:
            refuse(
                Code.DEALER_BLOCKED,
                f"The dealer {dealer.dealer_id} is blocked: it has to be reinstated before it acts.",
                id=dealer.dealer_id,
            )


def _names_dealer(asked: Asked) -> bool:
    return asked.actor.startswith("dealer/") or getattr(asked.command, "dealer_id", None) is not None


def check_time(hearing: Hearing) -> None:
    """Refuse an act of the operator's own that is dated back; what comes from outside may be reported late."""
    if hearing.asked.command.ENDOGENOUS:
        check_not_backdated(hearing)


def check_not_backdated(hearing: Hearing) -> None:
    """Refuse what is said to have happened longer ago than a command may wait to be decided."""
    if hearing.now is None:
        return
    earliest = hearing.now - BACKDATING
    if hearing.asked.time < earliest:
        refuse(
            Code.TIME_BACKDATED,
            f"It is decided at {hearing.now.isoformat()}: `time` should not be before {earliest.isoformat()}.",
            earliest=earliest.isoformat(),
        )
