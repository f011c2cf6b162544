"""billing_status: one row an account, what is owed and on what.

A row equals the replay of its stream at (now, now). What depends only on the day (days past due, aging) is counted
when the row is read.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

from domain.account import Account, figures
from domain.account.money import OpenItem, past_due
from domain.account.view import money_view, package_view
from domain.calendar import day_of, start_of
from domain.events.account import AccountOpened
from domain.events.envelope import Recorded
from domain.ledger.application import Ledger
from domain.ledger.queries import queries
from domain.replay import in_order, replay
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
    version = 1
    kinds = frozenset({"account"})
    tables = (Table("billing_status", Status),)

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
        )
        return Rows({"billing_status": [row]}, start_of(min(later), state.region) if later else None)

    def expected(self, history: Sequence[Recorded], seen: Seen, region: str) -> Tables:
        """Return the row as the answer of a replay has it, the open items from its list of charges."""
        state = replay(question_of(seen, region), {seen.subject: history})["state"]
        openings = [r.event.region for r in in_order(history) if isinstance(r.event.data, AccountOpened)]
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
        )
        return {"billing_status": [row]}


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
    party_id: str | None = None,
    status: str | None = None,
    owing: bool = False,
) -> list[Status]:
    """Return rows by account id after one of them, filtered; raises NotBuiltError."""
    wanted = {"after": after, "limit": limit, "party_id": party_id, "status": status, "owing": owing}
    return reading(
        ledger,
        BillingStatus.name,
        lambda connection: [Status(*row) for row in connection.execute(Q["statuses"], wanted)],
    )
