"""The double entry behind an account's money: a small chart, and what each event puts where.

Debits are positive, credits negative, in fen; an event's entries sum to zero. What stands on `receivable` is the
account's balance. Deposits stay the customer's and are no part of it; an allocation moves nothing between these
accounts.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple, get_args

from domain.events import account as ev
from domain.events.fields import ChargeKind, Payload

RECEIVABLE, CASH = "receivable", "cash"

Kind = Literal["asset", "liability", "income", "expense"]


class Entry(NamedTuple):
    """An amount on one account of the chart: debits positive, credits negative."""

    code: str
    amount_fen: int


class Heading(NamedTuple):
    """An account of the chart: its kind, and what stands on it."""

    kind: Kind
    meaning: str


def revenue(charge_kind: str) -> str:
    """Return the account for the income from a kind of charge."""
    return f"revenue_{charge_kind}"


CHART: Mapping[str, Heading] = {
    RECEIVABLE: Heading("asset", "what customers owe; a credit is owed to them"),
    CASH: Heading("asset", "money received: payments that stand, and deposits"),
    "refunds": Heading("asset", "money paid back to customers, kept apart: cash in hand is cash and this"),
    "deposits": Heading("liability", "deposits held, which stay the customers'"),
    **{revenue(kind): Heading("income", f"charged: {kind}") for kind in get_args(ChargeKind)},
    "late_fee_income": Heading("income", "late fees assessed"),
    "reversed_charges": Heading("income", "charges taken back: lowers the revenue"),
    "reversed_late_fees": Heading("income", "late fees taken back: lowers the income from them"),
    "credits_granted": Heading("income", "credits and discounts: lowers the revenue"),
    "write_offs": Heading("expense", "debts given up"),
}
"""The accounts, in the order in which a trial balance shows them."""


def entries(data: Payload, amount_fen: int | None = None) -> tuple[Entry, ...]:
    """Return what an event puts where; empty for one that moves no money.

    `amount_fen` is what a payment's reversal takes back, which the event itself does not say.
    """
    match data:
        case ev.ChargePosted():
            return _from_to(revenue(data.kind), RECEIVABLE, data.amount_fen)
        case ev.LateFeeAssessed():
            return _from_to("late_fee_income", RECEIVABLE, data.amount_fen)
        case ev.ChargeReversed():
            taken_from = "reversed_charges" if data.charge_id else "reversed_late_fees"
            return _from_to(RECEIVABLE, taken_from, data.amount_fen)
        case ev.CreditGranted():
            return _from_to(RECEIVABLE, "credits_granted", data.amount_fen)
        case ev.DebtWrittenOff():
            return _from_to(RECEIVABLE, "write_offs", data.amount_fen)
        case ev.PaymentReceived():
            return _from_to(RECEIVABLE, CASH, data.amount_fen)
        case ev.PaymentReversed() if amount_fen is not None:
            return _from_to(CASH, RECEIVABLE, amount_fen)
        case ev.RefundPaid():
            return _from_to("refunds", RECEIVABLE, data.amount_fen)
        case ev.DepositTaken():
            return _from_to("deposits", CASH, data.amount_fen)
        case ev.DepositReturned():
            return _from_to(CASH, "deposits", data.amount_fen)
        case _:
            return ()


def _from_to(credit: str, debit: str, amount_fen: int) -> tuple[Entry, Entry]:
    return Entry(debit, amount_fen), Entry(credit, -amount_fen)
