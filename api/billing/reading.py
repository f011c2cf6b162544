"""Reads the model billing_status, and says where it has not come to an account yet."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from api.reading import behind, built
from domain.calendar import day_of
from domain.ledger.application import Ledger
from projections.billing_status import BillingStatus, Status, status_of, statuses
from projections.engine import Standing

MODEL = BillingStatus.name


def row_of(ledger: Ledger, account_id: str, standing: Standing) -> Status:
    """Return an account's row; raises ProblemError where the model has not come to it yet."""
    row = built(lambda: status_of(ledger, account_id))
    if row is None:
        raise behind(MODEL, standing, ledger.journal.last_position())
    return row


def page_of(ledger: Ledger, after: str, wanted: Mapping[str, Any]) -> list[Status]:
    """Return the rows after one of them, filtered; raises ProblemError where the model is still to be made."""
    return built(lambda: statuses(ledger, after=after, **wanted))


def on_today(row: Status, now: datetime) -> dict[str, Any]:
    """Return a row as it reads on the day it is now in its region."""
    return row.on(day_of(now, row.region))
