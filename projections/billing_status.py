"""billing_status: one row an account, what is owed and on what.

A row equals the replay of its stream at (now, now). What depends only on the day (days past due, aging) is counted
when the row is read.
"""

from collections.abc import Sequence
from datetime import date, datetime, timezone
from typing import Any, NamedTuple

from domain.account import Account, figures, fold
from domain.account.money import OpenItem, past_due
from domain.account.view import money_view, package_view
from domain.calendar import day_of, start_of
from domain.events import account as ev
from domain.events.envelope import Recorded
from domain.ledger.application import Ledger
from domain.ledger.database import Connection
from domain.ledger.queries import queries
from domain.replay import effective_at, in_order, replay, selected
from projections.engine import ReadModel, Rows, Seen, Table, Tables, question_of, reading

Q = queries("projections.sql", "billing_status.sql")


class Status(NamedTuple):
    """A row of the model. Amounts in fen."""

    subject: str
    account_id: str
    party_id: str
    region: str
    line_of_business: str
    status: str
    status_since: datetime | None
    package: dict[str, Any] | None
    balance_fen: int
    principal_fen: int
    late_fee_fen: int
    credit_fen: int
    open_items: list[dict[str, Any]]
    held: bool
    stream_version: int
    position: int
    counted_from: datetime | None = None
    """The latest moment from which something in it counts: of the change feed, and read by nobody else."""

    def on(self, day: date) -> dict[str, Any]:
        """Return the row as it reads on a day."""
        items = [
            OpenItem(i["charge_id"], date.fromisoformat(i["due_on"]), i["unpaid_fen"])
            for i in self.open_items
        ]
        return {
            "account_id": self.account_id,
            "party_id": self.party_id,
            "region": self.region,
            "line_of_business": self.line_of_business,
            "status": self.status,
            "status_since": self.status_since,
            "package": self.package,
            **money_view(self, past_due(items, self.principal_fen, day)),
            "open_items": self.open_items,
            "disputed": self.held,
            "stream_version": self.stream_version,
        }


class BillingStatus(ReadModel):
    """The model, as the engine moves it."""

    name = "billing_status"
    version = 2
    kinds = frozenset({"account"})
    tables = (Table("billing_status", Status),)
    passes = (
        ev.BillIssued, ev.NoticeAttempted, ev.NoticeDelivered, ev.NoticeFailed, ev.DepositTaken, ev.DepositReturned,
        ev.InstalmentPlanAgreed, ev.ServiceMoved, ev.SimReplaced, ev.NumberDisowned, ev.NumberPortedOut,
        ev.NumberReleased, ev.CancellationRequested, ev.ArrearsStarted, ev.ArrearsCleared, ev.AccountMigrated,
    )  # fmt: skip

    def begin(self, subject: str) -> Account:
        """Return an account of which nothing is known."""
        return Account(subject.partition("/")[2])

    def step(self, state: Account, recorded: Recorded) -> None:
        """Evolve it by an event."""
        fold.step(state, recorded)

    def rows(self, state: Account, seen: Seen) -> Rows:
        """Return the account's row, and the next day on which a payment or a plan change begins to count."""
        if not state.opened:
            return Rows({})
        today = day_of(seen.now, state.region)
        money = figures(state.books, today)
        later = [d for p in state.packages.values() for d, _, _ in p.changes if d > today]
        if money.next_change_on:
            later.append(money.next_change_on)
        row = Status(
            subject=seen.subject,
            account_id=state.account_id,
            party_id=state.party_id,
            region=state.region,
            line_of_business=state.line_of_business,
            status=state.status,
            status_since=state.status_since,
            package=package_view(state, today),
            balance_fen=money.balance_fen,
            principal_fen=money.principal_fen,
            late_fee_fen=money.late_fee_fen,
            credit_fen=money.credit_fen,
            open_items=[
                {"charge_id": i.charge_id, "due_on": i.due_on, "unpaid_fen": i.unpaid_fen}
                for i in money.open_items
            ],
            held=bool(state.holds),
            stream_version=seen.version,
            position=seen.position,
            counted_from=_last_moment(state, today, seen.counted_from),
        )
        return Rows({"billing_status": [row]}, start_of(min(later), state.region) if later else None)

    def expected(self, history: Sequence[Recorded], seen: Seen, region: str) -> Tables:
        """Return the row as the answer of a replay has it, the open items from its list of charges."""
        question = question_of(seen, region)
        state = replay(question, {seen.subject: history})["state"]
        taken = selected(history, question)
        account = fold.over(Account(state["account_id"]), taken)
        openings = [r.event.region for r in in_order(history) if isinstance(r.event.data, ev.AccountOpened)]
        if state["party_id"] is None or state["line_of_business"] is None:
            return {}
        unpaid = sorted((c for c in state["charges"] if c["unpaid_fen"]), key=lambda c: str(c["due_on"]))
        row = Status(
            subject=seen.subject,
            account_id=state["account_id"],
            party_id=state["party_id"],
            region=openings[-1],
            line_of_business=state["line_of_business"],
            status=state["status"],
            status_since=datetime.fromisoformat(state["status_since"]),
            package=state["package"],
            balance_fen=state["balance_fen"],
            principal_fen=state["principal_fen"],
            late_fee_fen=state["late_fee_fen"],
            credit_fen=state["credit_fen"],
            open_items=[{name: c[name] for name in ("charge_id", "due_on", "unpaid_fen")} for c in unpaid],
            held=bool(state["dispute_holds"]),
            stream_version=len(history),
            position=history[-1].position,
            counted_from=_last_moment(account, day_of(seen.now, openings[-1]), max(map(_counts_from, taken))),
        )
        return {"billing_status": [row]}


def _counts_from(recorded: Recorded) -> datetime:
    event = recorded.event
    if event.time <= event.recordedtime:  # nothing counts later than it happened
        return event.recordedtime
    return max(effective_at(recorded), event.recordedtime)


def _last_moment(account: Account, today: date, last_from: datetime | None) -> datetime | None:
    """Return the latest moment from which an event, a payment by its value date or a plan change counts."""
    days = [p.value_date for p in account.books.payments.values() if p.reversed_by is None]
    days += [on for p in account.packages.values() for on, _, _ in p.changes]
    begun = [start_of(on, account.region) for on in days if on <= today]
    return max([*begun, *([last_from] if last_from else [])], default=None)


def status_of(ledger: Ledger, account_id: str) -> Status | None:
    """Return an account's row, or None where the model has none yet; raises NotBuiltError."""
    return reading(
        ledger,
        BillingStatus.name,
        lambda connection: next(
            (Status(*row) for row in connection.execute(Q["status_of"], {"account_id": account_id})), None
        ),
    )


def statuses(
    ledger: Ledger,
    *,
    after: str = "",
    limit: int = 100,
    city: str | None = None,
    party_id: str | None = None,
    status: str | None = None,
    owing: bool = False,
) -> list[Status]:
    """Return rows by account id after one of them, filtered; raises NotBuiltError."""
    wanted = {
        "after": after,
        "limit": limit,
        "city": city,
        "party_id": party_id,
        "status": status,
        "owing": owing,
    }
    return reading(
        ledger,
        BillingStatus.name,
        lambda connection: [Status(*row) for row in connection.execute(Q["statuses"], wanted)],
    )


# -- what changed -------------------------------------------------------------------------------------------


class Cursor(NamedTuple):
    """Up to where a reader has seen the changes, in rounds of one or more pages.

    A round brings every row that rests on an event after `position`, or in which something counts since `moment`. It
    goes through them by position, `at` the last one shown, and ends at `to_position` and `to_moment`, from which the
    next one begins. A position is the log's, and a moment the calendar's: they mean the same in every generation of
    the model. Another `version` of it may read the same events otherwise: then all rows come again.
    """

    version: int
    position: int
    moment: datetime
    to_position: int
    to_moment: datetime
    at: int | None
    """None between two rounds."""


BEGINNING = datetime(1900, 1, 1, tzinfo=timezone.utc)  # noqa: UP017 - as everywhere


def changes(
    ledger: Ledger, cursor: Cursor | None, now: datetime, limit: int, city: str | None = None
) -> tuple[list[Status], Cursor]:
    """Return the next rows that changed, of one city or of all, and the cursor behind them; raises NotBuiltError.

    They come by position. None begins with all rows. A change is never left out: what a slower part of the model has
    yet to fold, or what will count without a new event, lies beyond the end of the round. A row may come again.
    """

    def ask(connection: Connection) -> tuple[list[Status], Cursor]:
        row = connection.execute(Q["horizon"], {"now": now}).fetchone()
        assert row is not None
        round_ = _round(cursor, *row)
        given = {**round_._asdict(), "limit": limit, "city": city}
        rows = [Status(*found) for found in connection.execute(Q["changes"], given)]
        if len(rows) == limit:
            return rows, round_._replace(at=rows[-1].position)
        done = Cursor(
            round_.version,
            round_.to_position,
            round_.to_moment,
            round_.to_position,
            round_.to_moment,
            None,
        )
        return rows, done

    return reading(ledger, BillingStatus.name, ask)


def _round(cursor: Cursor | None, version: int, position: int, moment: datetime) -> Cursor:
    """Return the round that is under way, or the next one: to the position and the moment the model is at now."""
    if cursor is None or cursor.version != version:
        return Cursor(version, 0, BEGINNING, position, moment, 0)
    if cursor.at is None:
        return cursor._replace(to_position=max(position, cursor.position), to_moment=moment, at=0)
    # a generation that was swapped in meanwhile may have moments to come that the one before had behind it
    return cursor._replace(to_moment=min(moment, cursor.to_moment))
