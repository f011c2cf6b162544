"""complaints: what is complained of most, or widest in effect, by region and period, and what hangs on it.

One row a complaint, the accounts it touches, the disputed sums that stand on them, and what accounts owe. The hot
spots are groups of complaints of one place and category, made in SQL when they are read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any, Literal, NamedTuple

from domain.account import Account, figures
from domain.calendar import day_of, start_of
from domain.case import Case
from domain.events import case as ev
from domain.events.envelope import Recorded
from domain.ledger.application import Ledger
from domain.ledger.database import Connection
from domain.ledger.queries import queries
from domain.replay import replay, selected
from domain.streams import begin
from projections.casework import Casework
from projections.engine import ReadModel, Rows, Seen, Table, Tables, question_of, reading
from projections.paging import Column, Order, Place, page

Q = queries("projections.sql", "complaints.sql")

CAUSES = ("rule", "execution", "system")
ROOT_CAUSE_OF_RULE: Mapping[str, str] = {
    "expiry-choice": "execution",  # staff did not ask the customer
    "expiry-notice": "system",  # reminders are sent by systems, on every channel
    "charge-basis": "system",  # billing charged without looking for a choice
    "late-fee": "system",
    "suspension-window": "system",
    "termination-window": "system",
    "restore-within": "system",
    "real-name": "execution",  # the person was not compared with the documents
    "cancellation": "system",
    "dispute-hold": "system",
    "notice-reach": "system",  # a contact point known to be dead was used again
    "renewal-notice": "system",
    "blacklist-basis": "system",  # arrears alone made the entry, without a notice that arrived
    "blacklist-removal": "system",
    "refusal-basis": "rule",  # the policy refuses on any entry, right or wrong
    "registration-audit": "execution",
    "number-limit": "system",
    "dealer-block": "execution",
    "complaint-answer": "execution",
    "commitment-first": "execution",
    "clear-explanation": "execution",
}
"""Where a breach of a rule is taken to come from, as long as nobody has said so by a corrective action: from the rules
the operator works by, from people who did not keep them, or from systems that did not support them. Assumed; an
operator's own rule has none until a corrective action names it."""

ACTIONS_SHOWN_MAX = 5  # corrective actions named beside a hot spot; the rest is counted

Basis = Literal["recorded", "derived", "unknown"]
Level = Literal["city", "province"]


class Complaint(NamedTuple):
    """A complaint as it stands. `findings_fen`: what the breaches found on its case amount to."""

    subject: str
    case_id: str
    region: str
    category: str
    party_id: str
    received_at: datetime
    received_on: date
    answer_due_on: date
    answered_at: datetime | None
    closed_at: datetime | None
    breaches: int
    findings_fen: int
    causes: list[str]
    cause_basis: Basis
    actions: list[dict[str, Any]]


class Touched(NamedTuple):
    """An account a complaint is about."""

    subject: str
    account_id: str


class Held(NamedTuple):
    """A dispute hold that stands on an account."""

    subject: str
    hold_id: str
    case_id: str
    amount_fen: int


class Owed(NamedTuple):
    """What an account owes, where that is more than nothing."""

    subject: str
    account_id: str
    balance_fen: int


class Complaints(ReadModel):
    """The model, as the engine moves it."""

    name = "complaints"
    version = 1
    for_billing = False  # about people and conduct: nothing a bill is made of
    kinds = frozenset({"case", "account"})
    tables = (
        Table("complaint", Complaint),
        Table("complaint_account", Touched),
        Table("disputed", Held),
        Table("owed", Owed),
    )

    def begin(self, subject: str) -> Casework | Account:
        """Return an empty account, or a case on which nothing was done."""
        state = begin(subject)
        if isinstance(state, Case):
            return Casework(state)
        assert isinstance(state, Account)
        return state

    def step(self, state: Casework | Account, recorded: Recorded) -> None:
        """Evolve it by an event."""
        if isinstance(state, Casework):
            state.step(recorded)
        else:
            super().step(state, recorded)

    def rows(self, state: Casework | Account, seen: Seen) -> Rows:
        """Return a complaint with its accounts, or what hangs on an account and when the next payment counts."""
        if isinstance(state, Casework):
            return Rows(_complaint(state, seen.subject))
        if not state.opened:
            return Rows({})
        money = figures(state.books, day_of(seen.now, state.region))
        held = [Held(seen.subject, h.hold_id, h.case_id, h.amount_fen) for h in state.holds.values()]
        owed = [Owed(seen.subject, state.account_id, money.balance_fen)] if money.balance_fen > 0 else []
        changes_on = money.next_change_on
        changes_at = start_of(changes_on, state.region) if changes_on else None
        return Rows({"disputed": held, "owed": owed}, changes_at)

    def expected(self, history: Sequence[Recorded], seen: Seen, region: str) -> Tables:
        """Return the rows from the answer of a replay, and the times from the events themselves."""
        question = question_of(seen, region)
        state = replay(question, {seen.subject: history})["state"]
        if "case_id" in state:
            return _expected_complaint(state, selected(history, question), seen.subject)
        if state["party_id"] is None or state["line_of_business"] is None:  # its opening has not come yet
            return {}
        held = [
            Held(seen.subject, h["hold_id"], h["case_id"], h["amount_fen"]) for h in state["dispute_holds"]
        ]
        balance_fen = state["balance_fen"]
        owed = [Owed(seen.subject, state["account_id"], balance_fen)] if balance_fen > 0 else []
        return {"disputed": held, "owed": owed}


def _complaint(work: Casework, subject: str) -> Tables:
    case, received = work.case, work.received
    if received is None or case.party_id is None or case.category is None or case.answer_due_on is None:
        return {}
    breaches = [d for _, d in work.findings.values() if d.verdict == "breach"]
    named = {a.data.root_cause for a in work.actions.values()}
    derived = {ROOT_CAUSE_OF_RULE[d.rule_id] for d in breaches if d.rule_id in ROOT_CAUSE_OF_RULE}
    region = received.event.region
    row = Complaint(
        subject=subject,
        case_id=case.case_id,
        region=region,
        category=case.category,
        party_id=case.party_id,
        received_at=received.event.time,
        received_on=day_of(received.event.time, region),
        answer_due_on=case.answer_due_on,
        answered_at=case.answered_at,
        closed_at=case.closed_at,
        breaches=len(breaches),
        findings_fen=sum(d.amount_fen for d in breaches),
        causes=sorted(named or derived, key=CAUSES.index),
        cause_basis="recorded" if named else "derived" if derived else "unknown",
        actions=[
            {
                "action_id": a.data.action_id,
                "title": a.data.title,
                "scope": a.data.scope,
                "root_cause": a.data.root_cause,
                "due_on": a.data.due_on,
                "steps": [kind for kind, _ in a.steps],
                "closed": a.closed_at is not None,
            }
            for a in work.actions.values()
        ],
    )
    return {"complaint": [row], "complaint_account": [Touched(subject, a) for a in case.account_ids]}


def _expected_complaint(state: dict[str, Any], events: Sequence[Recorded], subject: str) -> Tables:
    received = [r.event for r in events if isinstance(r.event.data, ev.ComplaintReceived)]
    if not received:
        return {}
    first = received[0]
    breaches = [f for f in state["findings"] if f["verdict"] == "breach"]
    actions = state["corrective_actions"]
    causes = [c for c in CAUSES if any(a["root_cause"] == c for a in actions)]
    basis: Basis = "recorded"
    if not actions:
        causes = [c for c in CAUSES if any(ROOT_CAUSE_OF_RULE.get(f["rule_id"]) == c for f in breaches)]
        basis = "derived" if causes else "unknown"
    row = Complaint(
        subject=subject,
        case_id=state["case_id"],
        region=first.region,
        category=state["category"],
        party_id=state["party_id"],
        received_at=first.time,
        received_on=day_of(first.time, first.region),
        answer_due_on=date.fromisoformat(state["answer_due_on"]),
        answered_at=_moment(state["answered_at"]),
        closed_at=_moment(state["closed_at"]),
        breaches=len(breaches),
        findings_fen=sum(f["amount_fen"] for f in breaches),
        causes=causes,
        cause_basis=basis,
        actions=actions,
    )
    touched = [Touched(subject, account_id) for account_id in state["account_ids"]]
    return {"complaint": [row], "complaint_account": touched}


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


# -- reading ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Asked:
    """Which complaints are looked at: since and until a day (both counted), in a province or a city, of a category."""

    since: date | None = None
    until: date | None = None
    region: str | None = None
    category: str | None = None
    by: Level = "city"


KEY = (Column("region"), Column("category"))
SORTS = (
    Column("complaints", "bigint"),
    Column("accounts", "bigint"),
    Column("parties", "bigint"),
    Column("at_stake_fen", "bigint"),
    Column("next_due_on", "date"),
)


def hot_spots(
    ledger: Ledger, asked: Asked, today: date, paged: tuple[Order, Place | None, int]
) -> list[dict[str, Any]]:
    """Return a page of hot spots, each with the corrective actions that are due first; raises NotBuiltError.

    `at_stake_fen` is the sum of `findings_fen`, `disputed_fen` and `owed_fen`; `root_cause` what most complaints of
    the group are traced to: rule, execution, system, "several" on a tie, or "unknown".
    """
    given = {**asdict(asked), "today": today}

    def ask(connection: Connection) -> list[dict[str, Any]]:
        connection.execute(Q["room"])
        spots = page(connection, Q["hot_spots"], given, *paged)
        groups = {
            "regions": [s["region"] for s in spots],
            "categories": [s["category"] for s in spots],
            "shown": ACTIONS_SHOWN_MAX,
        }
        beside: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for place, category, case_id, action in connection.execute(Q["actions_beside"], {**given, **groups}):
            beside.setdefault((place, category), []).append({"case_id": case_id, **action})
        return [
            {
                **spot,
                "root_cause": _most({cause: spot[f"cause_{cause}"] for cause in CAUSES}),
                "corrective_actions": beside.get((spot["region"], spot["category"]), []),
            }
            for spot in spots
        ]

    return reading(ledger, Complaints.name, ask)


def _most(counts: Mapping[str, int]) -> str:
    most = max(counts.values())
    first = [cause for cause, count in counts.items() if count == most]
    return "unknown" if not most else first[0] if len(first) == 1 else "several"
