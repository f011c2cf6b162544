"""billing_status: one row an account, what is owed and on what.

A row equals the replay of its stream at (now, now): whatever an event's order, the whole account is folded
anew. What depends only on the day (days past due, aging) is counted when the row is read.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import orjson
from psycopg.types.json import Jsonb, set_json_dumps, set_json_loads

from domain.account import Account, figures
from domain.account.money import OpenItem, past_due
from domain.account.view import account_view, money_view
from domain.calendar import day_of
from domain.events.account import AccountOpened
from domain.events.envelope import Recorded
from domain.ledger.application import Ledger
from domain.ledger.database import Connection
from domain.replay import Question, effective_at, selected
from domain.streams import state_of
from projections.engine import Q

REFRESH_MAX = 500  # rows folded again in one transaction because a day has come

set_json_dumps(orjson.dumps)
set_json_loads(orjson.loads)


@dataclass(frozen=True, slots=True)
class Status:
    """A row of the model. Amounts in fen."""

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


class BillingStatus:
    """The model, as the engine moves it."""

    name = "billing_status"
    version = 1

    def apply(self, connection: Connection, ledger: Ledger, batch: Sequence[Recorded], now: datetime) -> None:
        """Fold the accounts a batch touches, as they stand at the batch's end."""
        touched = {r.event.subject for r in batch if r.event.data.STREAM == "account"}
        self._fold(connection, ledger, touched, batch[-1].position, now)

    def refresh(self, connection: Connection, ledger: Ledger, now: datetime) -> None:
        """Fold accounts again whose day has come."""
        today = day_of(now, ledger.region)
        rows = connection.execute(Q["stale"], {"today": today, "limit": REFRESH_MAX}).fetchall()
        if rows:
            position = ledger.journal.last_position()
            self._fold(connection, ledger, {f"account/{a}" for (a,) in rows}, position, now)

    def _fold(
        self, connection: Connection, ledger: Ledger, subjects: Iterable[str], position: int, now: datetime
    ) -> None:
        rows = []
        for subject, history in ledger.histories(subjects, position).items():
            account = _account_at(subject, history, now, position, ledger.region)
            if account is not None:
                rows.append(row_of(account, history, position, now))
        if rows:
            with connection.cursor() as cursor:
                cursor.executemany(Q["put_status"], rows)


def _account_at(
    subject: str, history: Sequence[Recorded], now: datetime, position: int, region: str
) -> Account | None:
    """Return the account now, or where a clock ahead of ours opened it, as it will be at its opening."""
    openings = [_known_from(r) for r in history if isinstance(r.event.data, AccountOpened)]
    moment = max(now, min(openings, default=now))
    taken = selected(history, Question(subject, moment, moment, position, region))
    account = state_of(subject, taken)
    return account if isinstance(account, Account) and account.opened else None


def _known_from(recorded: Recorded) -> datetime:
    """Return the moment from which a replay at (now, now) takes an event."""
    return max(effective_at(recorded), recorded.event.recordedtime)


def row_of(account: Account, history: Sequence[Recorded], position: int, now: datetime) -> dict[str, Any]:
    """Return an account's row."""
    today = day_of(now, account.region)
    money = figures(account.books, today)
    changes = [d for p in account.packages.values() for d, _, _ in p.changes if d > today]
    upcoming = [day_of(_known_from(r), account.region) for r in history if _known_from(r) > now]
    later = [*changes, *upcoming, *([money.next_change_on] if money.next_change_on else [])]
    view = account_view(account, today)
    return {
        "account_id": account.account_id,
        "party_id": account.party_id,
        "region": account.region,
        "line_of_business": account.line_of_business,
        "status": account.status,
        "status_since": account.status_since,
        "package": Jsonb(view["package"]) if view["package"] else None,
        "balance_fen": money.balance_fen,
        "principal_fen": money.principal_fen,
        "late_fee_fen": money.late_fee_fen,
        "credit_fen": money.credit_fen,
        "open_items": Jsonb(list(money.open_items)),
        "held": bool(account.holds),
        "stream_version": len(history),
        "position": position,
        "stale_on": min(later, default=None),
    }


def status_of(ledger: Ledger, account_id: str) -> Status | None:
    """Return an account's row, or None where the model has none yet."""
    with ledger.journal.database.connection(ledger.schema) as connection:
        row = connection.execute(Q["status_of"], {"account_id": account_id}).fetchone()
    return Status(*row) if row else None


def statuses(
    ledger: Ledger,
    *,
    after: str = "",
    limit: int = 100,
    party_id: str | None = None,
    status: str | None = None,
    owing: bool = False,
) -> list[Status]:
    """Return rows by account id after one of them, filtered."""
    with ledger.journal.database.connection(ledger.schema) as connection:
        rows = connection.execute(
            Q["statuses"],
            {"after": after, "limit": limit, "party_id": party_id, "status": status, "owing": owing},
        )
        return [Status(*row) for row in rows]
