"""accountability: who was held to account for what, whether dealer and manager both were, and what is put right.

Rows for penalties, the findings behind them, corrective actions with their steps, dealers' managers and blocks,
confirmed misuses and audits. The pairing, the bulletin and the readiness report are SQL over them when they are read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Literal, NamedTuple, get_args

from psycopg.rows import dict_row

from domain.calendar import day_of, months_after
from domain.case import Case
from domain.events import case as cv
from domain.events import dealer as dv
from domain.events import party as pv
from domain.events.envelope import Recorded, kind_of
from domain.ledger.application import Ledger
from domain.ledger.database import Connection
from domain.ledger.queries import queries
from domain.replay import replay, selected
from projections.casework import Casework
from projections.engine import ReadModel, Rows, Seen, Table, Tables, question_of, reading
from projections.paging import Column, Order, Place, page

Q = queries("projections.sql", "accountability.sql")

STEPS = ("review", "contingency_plan", "rectification", "training", "inspection", "reward_penalty")
"""The steps of a corrective action, as the standing mechanism has them."""

ActionStatus = Literal["open", "overdue", "closed"]
Outcome = Literal["both", "dealer_only", "manager_only", "manager_unknown"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)


# -- rows ---------------------------------------------------------------------------------------------------


class Penalty(NamedTuple):
    """Somebody was held to account. `amount_fen` is none where the event names no sum."""

    subject: str
    penalty_id: str
    case_id: str
    region: str
    imposed_at: datetime
    imposed_on: date
    subject_kind: str
    subject_id: str
    kind: str
    amount_fen: int | None
    finding_ids: list[str]
    event_id: str


class Finding(NamedTuple):
    """A finding that was put on a case."""

    subject: str
    finding_id: str
    rule_id: str
    rule_version: str
    verdict: str
    amount_fen: int
    recorded_on: date


class ActionRow(NamedTuple):
    """A corrective action; `steps` are kind and done_at."""

    subject: str
    action_id: str
    case_id: str
    region: str
    title: str
    scope: str
    root_cause: str
    due_on: date
    opened_at: datetime
    opened_on: date
    closed_at: datetime | None
    closed_on: date | None
    steps: list[dict[str, Any]]


class Manager(NamedTuple):
    """Who answers for a dealer inside the operator, from a moment on."""

    subject: str
    number: int
    dealer_id: str
    manager_id: str
    since: datetime


class Block(NamedTuple):
    """A dealer's block, from being free to act to being blocked; `lifted_at` where it was."""

    subject: str
    number: int
    dealer_id: str
    region: str
    blocked_at: datetime
    blocked_on: date
    reason: str
    case_id: str | None
    lifted_at: datetime | None


class Misuse(NamedTuple):
    """A confirmed misuse of somebody's identity."""

    subject: str
    number: int
    party_id: str
    region: str
    confirmed_on: date
    dealer_id: str | None
    case_id: str | None
    registrations: int
    numbers: int


class Audit(NamedTuple):
    """An audit of one registration."""

    subject: str
    number: int
    party_id: str
    region: str
    registration_id: str
    audited_on: date
    result: str


# -- the model ----------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Conduct:
    """What a dealer's or a party's stream has brought that is reported on, in the order of the world."""

    events: list[Recorded] = field(default_factory=list)


REPORTED = (
    dv.DealerAuthorised,
    dv.DealerBlocked,
    dv.DealerReinstated,
    pv.IdentityMisuseConfirmed,
    pv.RegistrationAudited,
)


class Accountability(ReadModel):
    """The model, as the engine moves it."""

    name = "accountability"
    version = 1
    for_billing = False  # about people and conduct: nothing a bill is made of
    kinds = frozenset({"case", "dealer", "party"})
    tables = (
        Table("penalty", Penalty),
        Table("finding", Finding),
        Table("corrective_action", ActionRow),
        Table("dealer_manager", Manager),
        Table("dealer_block", Block),
        Table("misuse", Misuse),
        Table("audit", Audit),
    )

    def begin(self, subject: str) -> Casework | Conduct:
        """Return a stream of which nothing is to be reported yet."""
        if kind_of(subject) == "case":
            return Casework(Case(subject.partition("/")[2]))
        return Conduct()

    def step(self, state: Casework | Conduct, recorded: Recorded) -> None:
        """Take in an event."""
        if isinstance(state, Casework):
            state.step(recorded)
        elif isinstance(recorded.event.data, REPORTED):
            state.events.append(recorded)

    def rows(self, state: Casework | Conduct, seen: Seen) -> Rows:
        """Return the rows of a case, a dealer or a party."""
        if isinstance(state, Casework):
            return Rows(_of_case(state, seen.subject))
        if kind_of(seen.subject) == "dealer":
            return Rows(_of_dealer(state.events, seen.subject))
        return Rows(_of_party(state.events, seen.subject))

    def expected(self, history: Sequence[Recorded], seen: Seen, region: str) -> Tables:
        """Return a case's rows by what a replay says stands on it; of a dealer its last block as in its state."""
        question = question_of(seen, region)
        events = selected(history, question)
        if kind_of(seen.subject) == "party":
            return _expected_of_party(events, seen.subject)
        state = replay(question, {seen.subject: history})["state"]
        if kind_of(seen.subject) == "dealer":
            return _expected_of_dealer(events, seen.subject, state)
        return _expected_of_case(events, seen.subject, state)


def _day(recorded: Recorded) -> date:
    return day_of(recorded.event.time, recorded.event.region)


def _of_case(work: Casework, subject: str) -> Tables:
    case_id = work.case.case_id
    penalties = [
        Penalty(
            subject=subject,
            penalty_id=d.penalty_id,
            case_id=case_id,
            region=r.event.region,
            imposed_at=r.event.time,
            imposed_on=_day(r),
            subject_kind=d.subject_kind,
            subject_id=d.subject_id,
            kind=d.kind,
            amount_fen=d.amount_fen,
            finding_ids=list(d.finding_ids),
            event_id=r.event.id,
        )
        for r, d in work.penalties.values()
    ]
    findings = [
        Finding(subject, d.finding_id, d.rule_id, d.rule_version, d.verdict, d.amount_fen, _day(r))
        for r, d in work.findings.values()
    ]
    actions = [
        ActionRow(
            subject=subject,
            action_id=a.data.action_id,
            case_id=case_id,
            region=a.opened.event.region,
            title=a.data.title,
            scope=a.data.scope,
            root_cause=a.data.root_cause,
            due_on=a.data.due_on,
            opened_at=a.opened.event.time,
            opened_on=_day(a.opened),
            closed_at=a.closed_at,
            closed_on=day_of(a.closed_at, a.opened.event.region) if a.closed_at else None,
            steps=a.done(),
        )
        for a in work.actions.values()
    ]
    return {"penalty": penalties, "finding": findings, "corrective_action": actions}


def _of_dealer(events: Sequence[Recorded], subject: str) -> Tables:
    dealer_id = subject.partition("/")[2]
    managers: list[Manager] = []
    blocks: list[Block] = []
    for r in events:
        standing = bool(blocks) and blocks[-1].lifted_at is None
        match r.event.data:
            case dv.DealerAuthorised() as d:
                managers.append(Manager(subject, len(managers) + 1, dealer_id, d.manager_id, r.event.time))
            case dv.DealerBlocked() as d if not standing:
                number, place, at = len(blocks) + 1, r.event.region, r.event.time
                blocks.append(
                    Block(subject, number, dealer_id, place, at, _day(r), d.reason, d.case_id, None)
                )
            case dv.DealerReinstated() if standing:
                blocks[-1] = blocks[-1]._replace(lifted_at=r.event.time)
            case _:
                pass
    return {"dealer_manager": managers, "dealer_block": blocks}


def _of_party(events: Sequence[Recorded], subject: str) -> Tables:
    party_id = subject.partition("/")[2]
    misuses: list[Misuse] = []
    audits: list[Audit] = []
    for r in events:
        place, day = r.event.region, _day(r)
        match r.event.data:
            case pv.IdentityMisuseConfirmed() as d:
                number, of, phones = len(misuses) + 1, len(d.registration_ids), len(d.numbers)
                misuses.append(
                    Misuse(subject, number, party_id, place, day, d.dealer_id, d.case_id, of, phones)
                )
            case pv.RegistrationAudited() as d:
                number = len(audits) + 1
                audits.append(Audit(subject, number, party_id, place, d.registration_id, day, d.result))
            case _:
                pass
    return {"misuse": misuses, "audit": audits}


# -- the same by other code, for `recount verify` -----------------------------------------------------------


def _last(events: Sequence[Recorded], kind: type, name: str, wanted: str) -> Recorded:
    return next(
        r
        for r in reversed(events)
        if isinstance(r.event.data, kind) and getattr(r.event.data, name) == wanted
    )


def _expected_of_case(events: Sequence[Recorded], subject: str, state: Mapping[str, Any]) -> Tables:
    case_id = state["case_id"]
    penalties = []
    for p in state["penalties"]:
        r = _last(events, cv.PenaltyImposed, "penalty_id", p["penalty_id"])
        penalties.append(
            Penalty(
                subject,
                p["penalty_id"],
                case_id,
                r.event.region,
                r.event.time,
                _day(r),
                p["subject_kind"],
                p["subject_id"],
                p["kind"],
                p["amount_fen"],
                p["finding_ids"],
                r.event.id,
            )
        )
    findings = [
        Finding(
            subject,
            f["finding_id"],
            f["rule_id"],
            f["rule_version"],
            f["verdict"],
            f["amount_fen"],
            _day(_last(events, cv.FindingRecorded, "finding_id", f["finding_id"])),
        )
        for f in state["findings"]
    ]
    actions = [_expected_action(events, subject, case_id, a) for a in state["corrective_actions"]]
    return {"penalty": penalties, "finding": findings, "corrective_action": actions}


def _expected_action(
    events: Sequence[Recorded], subject: str, case_id: str, action: Mapping[str, Any]
) -> ActionRow:
    opened = _last(events, cv.CorrectiveActionOpened, "action_id", action["action_id"])
    after = [r.event for r in events[events.index(opened) + 1 :]]
    own = [e for e in after if getattr(e.data, "action_id", None) == action["action_id"]]
    times = [e.time for e in own if isinstance(e.data, cv.CorrectiveActionStepCompleted)]
    ends = [e.time for e in own if isinstance(e.data, cv.CorrectiveActionClosed)]
    closed_at = ends[0] if action["closed"] else None
    return ActionRow(
        subject,
        action["action_id"],
        case_id,
        opened.event.region,
        action["title"],
        action["scope"],
        action["root_cause"],
        date.fromisoformat(action["due_on"]),
        opened.event.time,
        _day(opened),
        closed_at,
        day_of(closed_at, opened.event.region) if closed_at else None,
        [{"kind": kind, "done_at": at} for kind, at in zip(action["steps"], times, strict=True)],
    )


def _expected_of_dealer(events: Sequence[Recorded], subject: str, state: Mapping[str, Any]) -> Tables:
    dealer_id = state["dealer_id"]
    named = [(r, r.event.data) for r in events if isinstance(r.event.data, dv.DealerAuthorised)]
    managers = [
        Manager(subject, number, dealer_id, d.manager_id, r.event.time)
        for number, (r, d) in enumerate(named, 1)
    ]
    turns = [r for r in events if isinstance(r.event.data, dv.DealerBlocked | dv.DealerReinstated)]
    first = [
        n
        for n, r in enumerate(turns)
        if isinstance(r.event.data, dv.DealerBlocked)
        and (n == 0 or isinstance(turns[n - 1].event.data, dv.DealerReinstated))
    ]
    blocks = []
    for number, n in enumerate(first, 1):
        r, d = turns[n], turns[n].event.data
        assert isinstance(d, dv.DealerBlocked)
        lifts = [t.event.time for t in turns[n:] if isinstance(t.event.data, dv.DealerReinstated)]
        lifted_at = lifts[0] if number < len(first) or state["status"] != "blocked" else None
        place, at = r.event.region, r.event.time
        blocks.append(Block(subject, number, dealer_id, place, at, _day(r), d.reason, d.case_id, lifted_at))
    return {"dealer_manager": managers, "dealer_block": blocks}


def _expected_of_party(events: Sequence[Recorded], subject: str) -> Tables:
    party_id = subject.partition("/")[2]
    misuses = [r for r in events if r.event.type == "IdentityMisuseConfirmed"]
    audits = [r for r in events if r.event.type == "RegistrationAudited"]
    return {
        "misuse": [
            Misuse(
                subject,
                n,
                party_id,
                r.event.region,
                _day(r),
                r.event.data.dealer_id,  # type: ignore[attr-defined]
                r.event.data.case_id,  # type: ignore[attr-defined]
                len(r.event.data.registration_ids),  # type: ignore[attr-defined]
                len(r.event.data.numbers),  # type: ignore[attr-defined]
            )
            for n, r in enumerate(misuses, 1)
        ],
        "audit": [
            Audit(
                subject,
                n,
                party_id,
                r.event.region,
                r.event.data.registration_id,  # type: ignore[attr-defined]
                _day(r),
                r.event.data.result,  # type: ignore[attr-defined]
            )
            for n, r in enumerate(audits, 1)
        ],
    }


# -- reading ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Scope:
    """Where and when: a province or a city of it; since and until a day, both counted. None does not bound."""

    region: str | None = None
    since: date | None = None
    until: date | None = None


Paged = tuple[Order, Place | None, int]

PENALTY_KEY = (Column("case_id"), Column("penalty_id"))
PENALTY_SORTS = (Column("imposed_at", "timestamptz"), Column("amount_fen", "bigint"))
KIND_FIGURES = ("subject_kind", "kind", "penalties", "subjects", "amount_fen", "without_amount")
PAIR_KEY = (Column("case_id"), Column("dealer_id"), Column("manager_id"))
PAIR_SORTS = (Column("on_day", "date"),)
ACTION_KEY = (Column("case_id"), Column("action_id"))
ACTION_SORTS = (
    Column("due_on", "date"),
    Column("opened_at", "timestamptz"),
    Column("closed_at", "timestamptz"),
)


def penalties(
    ledger: Ledger,
    scope: Scope,
    paged: Paged,
    *,
    subject_kind: str | None = None,
    subject_id: str | None = None,
    kind: str | None = None,
    case_id: str | None = None,
) -> list[dict[str, Any]]:
    """Return a page of penalties, each with the findings it rests on; raises NotBuiltError."""
    wanted = {"subject_kind": subject_kind, "subject_id": subject_id, "kind": kind, "case_id": case_id}
    given = {**asdict(scope), **wanted}
    return reading(ledger, Accountability.name, lambda c: page(c, Q["penalties"], given, *paged))


def pairing(
    ledger: Ledger, scope: Scope, paged: Paged, *, outcome: Outcome | None = None
) -> list[dict[str, Any]]:
    """Return a page of the pairing: of each dealer's acts in a case whether its manager was punished, and reversed.

    "" stands where there is no case, dealer or manager. Raises NotBuiltError.
    """
    given = {**asdict(scope), "outcome": outcome}
    return reading(ledger, Accountability.name, lambda c: page(c, Q["pairing"], given, *paged))


def summary(ledger: Ledger, scope: Scope) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """Return penalties by month, kind of subject and kind, the last months first, and how many pairs of each outcome.

    Raises NotBuiltError.
    """
    return reading(
        ledger, Accountability.name, lambda c: (_objects(c, "summary", scope), _outcomes(c, scope))
    )


def corrective_actions(
    ledger: Ledger,
    paged: Paged,
    *,
    today: date,
    region: str | None = None,
    status: ActionStatus | None = None,
    root_cause: str | None = None,
    scope: str | None = None,
    case_id: str | None = None,
) -> list[dict[str, Any]]:
    """Return a page of corrective actions with their steps, those done and those missing; raises NotBuiltError.

    `open` takes in the overdue ones.
    """
    given = {"today": today, "region": region, "status": status, "root_cause": root_cause, "scope": scope}
    given["case_id"] = case_id
    found: list[dict[str, Any]] = reading(
        ledger, Accountability.name, lambda c: page(c, Q["corrective_actions"], given, *paged)
    )
    for action in found:
        done = {step["kind"] for step in action["steps"]}
        action["steps_missing"] = [kind for kind in STEPS if kind not in done]
    return found


def readiness(ledger: Ledger, *, today: date, region: str | None = None) -> list[dict[str, Any]]:
    """Return how far corrective actions are, by scope and root cause; raises NotBuiltError."""
    given = {"region": region, "today": today}
    return reading(ledger, Accountability.name, lambda c: _rows(c, "readiness", given))


@dataclass(frozen=True, slots=True)
class Month:
    """A month of the calendar, by its first day."""

    first: date

    @property
    def name(self) -> str:
        """The month as 2014-12."""
        return f"{self.first:%Y-%m}"

    @property
    def last(self) -> date:
        """Its last day."""
        return months_after(self.first, 1) - timedelta(days=1)

    @property
    def before(self) -> "Month":
        """The month before it."""
        return Month((self.first - timedelta(days=1)).replace(day=1))


def bulletin(
    ledger: Ledger, month: Month, *, today: date, region: str | None = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a month's figures and those of the month before; raises NotBuiltError.

    Open and overdue actions are those at the month's end, or today where that is still to come.
    """

    def figures(connection: Connection, of: Month) -> dict[str, Any]:
        scope = Scope(region, of.first, of.last)
        given = {**asdict(scope), "at": min(of.last + timedelta(days=1), today)}
        (row,) = _rows(connection, "bulletin", given)
        kinds = [{name: s[name] for name in KIND_FIGURES} for s in _objects(connection, "summary", scope)]
        outcomes = _outcomes(connection, scope)
        return {"period": of.name, **row, "penalties_by_kind": kinds, "pairing": outcomes}

    def ask(connection: Connection) -> tuple[dict[str, Any], dict[str, Any]]:
        return figures(connection, month), figures(connection, month.before)

    return reading(ledger, Accountability.name, ask)


def _outcomes(connection: Connection, scope: Scope) -> dict[str, int]:
    found = {row["outcome"]: row["pairs"] for row in _objects(connection, "outcomes", scope)}
    return {outcome: found.get(outcome, 0) for outcome in OUTCOMES}


def _objects(connection: Connection, query: str, scope: Scope) -> list[dict[str, Any]]:
    return _rows(connection, query, asdict(scope))


def _rows(connection: Connection, query: str, given: Mapping[str, Any]) -> list[dict[str, Any]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(Q[query], given).fetchall()
