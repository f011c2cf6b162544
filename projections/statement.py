"""statement: each event that moves an account's money as a line, the double entry behind it, and what it leaves open.

All three stand in one model, so that they agree whenever they are read: a day's balance is the sum of the postings to
`receivable` until then, and of the open items that stand then. "As of a day" means true at its end, as known now: what
a replay at that day says. No row depends on today.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, NamedTuple

from domain.account.money import AGING_BUCKETS
from domain.calendar import day_of, end_of
from domain.events import account as ev
from domain.events.envelope import Recorded
from domain.events.fields import REGISTRY, Payload
from domain.ledger.application import Ledger
from domain.ledger.database import Connection
from domain.ledger.queries import queries
from domain.replay import Question, replay, selected
from domain.rules.past import MONEY
from projections.days import Day, ItemKind, Standing, change_days, days, of_no_charge
from projections.engine import ReadModel, Rows, Seen, Table, Tables, question_of, reading
from projections.paging import Column, Order, Place, page
from projections.postings import CHART, RECEIVABLE, entries

Q = queries("projections.sql", "statement.sql")
DEPOSITS = (ev.DepositTaken, ev.DepositReturned)
LINE_KINDS = {
    ev.ChargePosted: "charge_posted",
    ev.LateFeeAssessed: "late_fee_assessed",
    ev.ChargeReversed: "charge_reversed",
    ev.CreditGranted: "credit_granted",
    ev.DebtWrittenOff: "debt_written_off",
    ev.PaymentReceived: "payment_received",
    ev.PaymentAllocated: "payment_allocated",
    ev.PaymentReversed: "payment_reversed",
    ev.RefundPaid: "refund_paid",
    ev.DepositTaken: "deposit_taken",
    ev.DepositReturned: "deposit_returned",
}
"""What a line is called, by the event it shows."""


class Line(NamedTuple):
    """A line of a statement. `amount_fen` is what the event says, `change_fen` what it does to the balance."""

    subject: str
    position: int
    part: int
    account_id: str
    region: str
    effective_on: date
    occurred_at: datetime
    recorded_at: datetime
    kind: str
    item_id: str | None
    item_kind: str | None
    period_start: date | None
    period_end: date | None
    due_on: date | None
    amount_fen: int
    change_fen: int
    balance_fen: int
    event_id: str
    source: str
    rests_on: list[str]
    rule_id: str | None
    rule_on: date | None


class Posting(NamedTuple):
    """One entry of an event: debits positive, credits negative, in fen."""

    subject: str
    position: int
    line_no: int
    account_id: str
    region: str
    effective_on: date
    recorded_at: datetime
    code: str
    amount_fen: int
    event_id: str
    source: str


class OpenItem(NamedTuple):
    """What was left unpaid of a charge or a late fee from one day until before another.

    `credit` is money no debt has taken, and negative; `overdrawn` what was paid back or out beyond it, which is owed
    and belongs to no charge. All that stand on a day add up to the balance.
    """

    subject: str
    kind: ItemKind
    item_id: str
    from_on: date
    until_on: date | None
    account_id: str
    region: str
    due_on: date | None
    unpaid_fen: int


@dataclass(slots=True)
class Moves:
    """What a stream has brought that concerns its money, in the order of the world."""

    subject: str
    region: str = ""
    money: list[Recorded] = field(default_factory=list)
    deposits: list[Recorded] = field(default_factory=list)

    @property
    def account_id(self) -> str:
        """The account."""
        return self.subject.partition("/")[2]


class Statement(ReadModel):
    """The model, as the engine moves it."""

    name = "statement"
    version = 1
    kinds = frozenset({"account"})
    tables = (Table("statement_line", Line), Table("posting", Posting), Table("open_item", OpenItem))
    passes = tuple(
        kind
        for kind in REGISTRY.values()
        if kind.STREAM == "account" and kind not in (*MONEY, *DEPOSITS, ev.AccountOpened)
    )

    def begin(self, subject: str) -> Moves:
        """Return an account without any money moved."""
        return Moves(subject)

    def step(self, state: Moves, recorded: Recorded) -> None:
        """Take in an event, in the order of the world."""
        data = recorded.event.data
        if isinstance(data, MONEY):
            state.money.append(recorded)
        elif isinstance(data, DEPOSITS):
            state.deposits.append(recorded)
        elif isinstance(data, ev.AccountOpened):
            state.region = recorded.event.region  # whatever stands in the stream before it
            return
        state.region = state.region or recorded.event.region

    def rows(self, state: Moves, _seen: Seen) -> Rows:
        """Return the lines, the postings and the open items."""
        happened = [day_of(r.event.time, state.region) for r in state.money]
        walk = list(days(state.money, happened))
        lines, postings = _booked(state, happened, walk)
        spans = _open_items(state, ((d.on, d.standing) for d in walk))
        return Rows({"statement_line": lines, "posting": postings, "open_item": spans})

    def expected(self, history: Sequence[Recorded], seen: Seen, region: str) -> Tables:
        """Return the rows with the figures of replays: one at the end of each day on which something changed."""
        question = question_of(seen, region)
        known = selected(history, question)
        state = self.begin(seen.subject)
        for recorded in known:
            self.step(state, recorded)
        answers = {
            on: replay(
                Question(seen.subject, end_of(on, region), question.known_at, question.position, region),
                {seen.subject: known},
            )["state"]
            for on in change_days(state.money, state.region)
        }
        happened = [day_of(r.event.time, state.region) for r in state.money]
        lines, postings = _booked(state, happened, list(days(state.money, happened)))
        last_of = {line.effective_on: n for n, line in enumerate(lines)}
        for on, answer in answers.items():
            if on in last_of:
                lines[last_of[on]] = lines[last_of[on]]._replace(balance_fen=answer["balance_fen"])
        spans = _open_items(state, ((on, _standing_replayed(a)) for on, a in answers.items()))
        return {"statement_line": lines, "posting": postings, "open_item": spans}


# -- lines and postings -------------------------------------------------------------------------------------


class _Effect(NamedTuple):
    """A part of what an event does: when it happened, from which day it counts, and how much of what it says."""

    recorded: Recorded
    happened: date
    part: int
    on: date
    amount_fen: int


def _effects(state: Moves, happened: Sequence[date], walk: Sequence[Day]) -> Iterator[_Effect]:
    """Return what each event does, from the day on which it counts."""
    taken = _taken_back(walk)
    deposited = [day_of(r.event.time, state.region) for r in state.deposits]
    for recorded, day in zip((*state.money, *state.deposits), (*happened, *deposited), strict=True):
        data = recorded.event.data
        if isinstance(data, ev.PaymentReversed):
            parts = taken.pop(recorded.event.id, []) or [(day, 0)]
            yield from (_Effect(recorded, day, n, on, fen) for n, (on, fen) in enumerate(parts, 1))
        else:
            on = data.value_date if isinstance(data, ev.PaymentReceived) else day
            yield _Effect(recorded, day, 1, on, data.amount_fen)  # type: ignore[attr-defined]


def _taken_back(walk: Sequence[Day]) -> dict[str, list[tuple[date, int]]]:
    """Return from which day on each reversal of a payment takes back how much, in fen, by its event's id.

    That is one day and the payment's amount. Only where one id was used for two payments and the reversal is dated
    before both may it come to take back the other: then it gives the first one back.
    """
    found: dict[str, list[tuple[date, int]]] = {}
    before: dict[str, int] = {}
    for day in walk:
        for event_id in before.keys() | day.taken_back.keys():
            more_fen = day.taken_back.get(event_id, 0) - before.get(event_id, 0)
            if more_fen:
                found.setdefault(event_id, []).append((day.on, more_fen))
        before = day.taken_back
    return found


def _booked(state: Moves, happened: Sequence[date], walk: Sequence[Day]) -> tuple[list[Line], list[Posting]]:
    """Return the lines in the order in which they count, with the balance after each, and the double entry behind them.

    `happened` has the day of each event in `state.money`.
    """
    named = _Names(state.money)
    balance_fen = 0
    lines: list[Line] = []
    postings: list[Posting] = []
    counts: dict[int, int] = {}
    for effect in sorted(_effects(state, happened, walk), key=_place):
        recorded, event, data = effect.recorded, effect.recorded.event, effect.recorded.event.data
        booked = entries(data, effect.amount_fen)
        change_fen = sum(entry.amount_fen for entry in booked if entry.code == RECEIVABLE)
        balance_fen += change_fen
        rule_id = _RULES.get(type(data))
        item_id, item_kind, period_start, period_end, due_on = _item(data)
        lines.append(
            Line(
                subject=state.subject,
                position=recorded.position,
                part=effect.part,
                account_id=state.account_id,
                region=state.region,
                effective_on=effect.on,
                occurred_at=event.time,
                recorded_at=event.recordedtime,
                kind=LINE_KINDS[type(data)],
                item_id=item_id,
                item_kind=item_kind,
                period_start=period_start,
                period_end=period_end,
                due_on=due_on,
                amount_fen=effect.amount_fen,
                change_fen=change_fen,
                balance_fen=balance_fen,
                event_id=event.id,
                source=event.source,
                rests_on=named.rests_on(recorded),
                rule_id=rule_id,
                rule_on=effect.happened if rule_id else None,
            )
        )
        if not effect.amount_fen and isinstance(data, ev.PaymentReversed):
            continue  # there was nothing to take back
        for entry in booked:
            line_no = counts[recorded.position] = counts.get(recorded.position, 0) + 1
            postings.append(
                Posting(
                    subject=state.subject,
                    position=recorded.position,
                    line_no=line_no,
                    account_id=state.account_id,
                    region=state.region,
                    effective_on=effect.on,
                    recorded_at=event.recordedtime,
                    code=entry.code,
                    amount_fen=entry.amount_fen,
                    event_id=event.id,
                    source=event.source,
                )
            )
    return lines, postings


_RULES = {ev.ChargePosted: "charge-basis", ev.LateFeeAssessed: "late-fee"}
"""The rule an event is measured against, in the version of the day on which it was posted."""


def _place(effect: _Effect) -> tuple[date, datetime, datetime, int, int]:
    event = effect.recorded.event
    return effect.on, event.time, event.recordedtime, effect.recorded.position, effect.part


def _item(data: Payload) -> tuple[str | None, str | None, date | None, date | None, date | None]:
    """Return what a line is about: its id, and of a charge or a fee its kind, period (end exclusive) and due date."""
    match data:
        case ev.ChargePosted():
            return data.charge_id, data.kind, data.period_start, data.period_end, data.due_on
        case ev.LateFeeAssessed():
            return data.fee_id, "late_fee", data.from_, data.to, data.to
        case ev.ChargeReversed() | ev.PaymentAllocated():
            item_id = data.charge_id or data.fee_id
        case ev.PaymentReceived() | ev.PaymentReversed():
            item_id = data.payment_id
        case ev.CreditGranted():
            item_id = data.credit_id
        case ev.DepositTaken() | ev.DepositReturned():
            item_id = data.deposit_id
        case _:
            item_id = None
    return item_id, None, None, None, None


class _Names:
    """The events that brought charges, fees and payments, by what they are called."""

    def __init__(self, money: Sequence[Recorded]) -> None:
        self._known: dict[tuple[str, str], list[Recorded]] = {}
        for recorded in money:
            match recorded.event.data:
                case ev.ChargePosted(charge_id=key):
                    self._known.setdefault(("charge", key), []).append(recorded)
                case ev.LateFeeAssessed(fee_id=key):
                    self._known.setdefault(("fee", key), []).append(recorded)
                case ev.PaymentReceived(payment_id=key):
                    self._known.setdefault(("payment", key), []).append(recorded)

    def rests_on(self, recorded: Recorded) -> list[str]:
        """Return references to the events that an event speaks of: its basis, or what it is for or takes back."""
        data = recorded.event.data
        keys: list[tuple[str, str]] = []
        match data:
            case ev.ChargePosted():
                return [data.basis_event_id] if data.basis_event_id else []
            case ev.LateFeeAssessed():
                keys = [("charge", data.charge_id)]
            case ev.ChargeReversed():
                keys = [("charge", data.charge_id) if data.charge_id else ("fee", data.fee_id or "")]
            case ev.PaymentReversed():
                keys = [("payment", data.payment_id)]
            case ev.PaymentAllocated():
                debt = ("charge", data.charge_id) if data.charge_id else ("fee", data.fee_id or "")
                keys = [("payment", data.payment_id), debt]
        events = [r.event for key in keys for r in self._known.get(key, ())]
        return [e.id if e.source == recorded.event.source else f"{e.source}#{e.id}" for e in events]


# -- open items ---------------------------------------------------------------------------------------------


def _standing_replayed(answer: dict[str, Any]) -> Standing:
    """Return what a replay's answer leaves open."""
    found: Standing = {}
    kinds: tuple[tuple[ItemKind, str, str], ...] = (
        ("charge", "charges", "charge_id"),
        ("late_fee", "late_fees", "fee_id"),
    )
    for kind, listed, name in kinds:
        for one in answer[listed]:
            if one["unpaid_fen"]:
                found[kind, one[name]] = date.fromisoformat(one["due_on"]), one["unpaid_fen"]
    charges_fen = sum(c["unpaid_fen"] for c in answer["charges"])
    return found | of_no_charge(answer["principal_fen"] - charges_fen, answer["credit_fen"])


def _open_items(state: Moves, walk: Iterable[tuple[date, Standing]]) -> list[OpenItem]:
    """Return from when until when each item stood with which amount."""
    found: list[OpenItem] = []
    standing: dict[tuple[ItemKind, str], OpenItem] = {}
    for on, now in walk:
        gone = [k for k in standing if k not in now]
        found += [standing.pop(key)._replace(until_on=on) for key in gone]
        for key, (due_on, unpaid_fen) in now.items():
            before = standing.get(key)
            if before is not None:
                if (before.due_on, before.unpaid_fen) == (due_on, unpaid_fen):
                    continue
                found.append(before._replace(until_on=on))
            standing[key] = OpenItem(
                state.subject, *key, on, None, state.account_id, state.region, due_on, unpaid_fen
            )
    return [*found, *standing.values()]


# -- reading ------------------------------------------------------------------------------------------------

Paged = tuple[Order, Place | None, int]
"""A list's order, the place behind which the page begins, and how many rows it has at most."""

LINE_KEY = (Column("position", "bigint"), Column("part", "bigint"))
LINES = Column("place")
"""Lines in the order in which they count."""
POSTING_KEY = (Column("position", "bigint"), Column("line_no", "bigint"))
ACCOUNT_KEY = (Column("account_id"),)


class Slice(NamedTuple):
    """A page of an account's lines, and its balance before and after the days that were asked for, in fen."""

    lines: list[dict[str, Any]]
    opening_fen: int
    closing_fen: int


def lines_of(ledger: Ledger, account_id: str, wanted: Mapping[str, Any], paged: Paged) -> Slice:
    """Return lines of an account; raises NotBuiltError.

    `wanted` has since, until (days, both included) and kinds, each None where it does not matter.
    """
    given = {**wanted, "subject": f"account/{account_id}"}

    def ask(connection: Connection) -> Slice:
        row = connection.execute(Q["balances"], given).fetchone()
        assert row is not None
        return Slice(page(connection, Q["lines"], given, *paged), *row)

    return reading(ledger, Statement.name, ask)


def postings_of(
    ledger: Ledger, account_id: str, wanted: Mapping[str, Any], paged: Paged
) -> list[dict[str, Any]]:
    """Return entries of an account; raises NotBuiltError. `wanted` as for lines, with codes in place of kinds."""
    given = {**wanted, "subject": f"account/{account_id}"}
    return reading(ledger, Statement.name, lambda c: page(c, Q["postings"], given, *paged))


class Turnover(NamedTuple):
    """What stands on one account of the chart in a region at the end of a day, and what of it moved on that day."""

    region: str
    code: str
    debit_fen: int
    credit_fen: int
    day_debit_fen: int
    day_credit_fen: int


class Owing(NamedTuple):
    """What a region's accounts come to: how many owe or are owed something, and the sum of their balances, in fen."""

    region: str
    accounts: int
    balance_fen: int


class TrialBalance(NamedTuple):
    """A trial balance, and the account balances it has to agree with, from the same snapshot."""

    turnovers: list[Turnover]
    owing: list[Owing]


def trial_balance(ledger: Ledger, day: date, city: str | None = None) -> TrialBalance:
    """Return the trial balance at the end of a day, by region; raises NotBuiltError."""
    given = {"day": day, "city": city}
    places = {code: n for n, code in enumerate(CHART)}

    def ask(connection: Connection) -> TrialBalance:
        turnovers = [Turnover(*row) for row in connection.execute(Q["trial_balance"], given)]
        turnovers.sort(key=lambda t: (t.region, places[t.code]))
        owing = sorted(Owing(*row) for row in connection.execute(Q["account_balances"], given))
        return TrialBalance(turnovers, owing)

    return reading(ledger, Statement.name, ask)


class Aged(NamedTuple):
    """What an account, or a region's accounts together, owe on a day, by how long it is past due. In fen."""

    balance_fen: int
    principal_fen: int
    late_fee_fen: int
    credit_fen: int
    current: int
    d1_30: int
    d31_60: int
    d61_90: int
    d90_plus: int


class Aging(NamedTuple):
    """A page of accounts by what they owe on a day, and by region the totals of all accounts, filtered or not."""

    accounts: list[dict[str, Any]]
    owing: list[Owing]
    totals: dict[str, Aged]


def aging(ledger: Ledger, day: date, wanted: Mapping[str, Any], paged: Paged) -> Aging:
    """Return who owes what at the end of a day; raises NotBuiltError.

    `wanted` has city (None for all), and the least past_due_days and principal_fen of the accounts on the page.
    """
    given = {**wanted, "day": day}

    def ask(connection: Connection) -> Aging:
        owing = sorted(Owing(*row) for row in connection.execute(Q["account_balances"], given))
        totals = {one.region: Aged(*[0] * len(Aged._fields)) for one in owing}
        for region, kind, bucket, fen in connection.execute(Q["aging_totals"], given):
            totals[region] = _added(totals[region], kind, bucket, fen)
        return Aging(page(connection, Q["aging"], given, *paged), owing, totals)

    return reading(ledger, Statement.name, ask)


def _added(total: Aged, kind: str, bucket: int | None, fen: int) -> Aged:
    """Return a total with one more sum of open items, which are of one kind and in one bucket."""
    if bucket is not None:
        name = AGING_BUCKETS[bucket]
        more = {"principal_fen": total.principal_fen + fen, name: getattr(total, name) + fen}
    elif kind == "late_fee":
        more = {"late_fee_fen": total.late_fee_fen + fen}
    else:
        more = {"credit_fen": total.credit_fen - fen}
    return total._replace(balance_fen=total.balance_fen + fen, **more)
