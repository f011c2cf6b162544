"""The money table: charge by charge what was posted, taken back, and does not stand; and sums that add up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from api.dossier.composing import Dossier, Part
from domain.account.money import Debt, Payment, oldest_first
from domain.rules.facts import AccountFacts


@dataclass(frozen=True, slots=True)
class Line:
    """One charge or late fee. Amounts in fen; posted - reversed = lawful + to_reverse."""

    debt_id: str
    kind: str
    about: str | None
    """Of a late fee the charge it is on."""
    period_start: date
    period_end: date
    due_on: date
    event: str
    posted_fen: int
    reversed_fen: int
    lawful_fen: int
    to_reverse_fen: int


@dataclass(frozen=True, slots=True)
class AccountMoney:
    """One account's money at the end of the last day. All sums in fen; a balance owed is positive.

    actual_fen = standing charges and fees + refunded - paid - forgiven - other;
    lawful_fen = actual_fen - to_reverse - unexplained, which is 0 but for histories that contradict themselves.
    """

    subject: str
    lines: Sequence[Line]
    payments: Sequence[Payment]
    paid_fen: int
    forgiven_fen: int
    refunded_fen: int
    other_fen: int
    actual_fen: int
    lawful_fen: int
    to_reverse_fen: int
    to_refund_fen: int

    @property
    def posted_fen(self) -> int:
        """What was charged, fees with it."""
        return sum(line.posted_fen for line in self.lines)

    @property
    def reversed_fen(self) -> int:
        """What of it was taken back before."""
        return sum(line.reversed_fen for line in self.lines)

    @property
    def stands_fen(self) -> int:
        """What of it stands lawfully."""
        return sum(line.lawful_fen for line in self.lines)

    @property
    def unexplained_fen(self) -> int:
        """What the lawful balance differs by beside what is to be reversed."""
        return self.actual_fen - self.to_reverse_fen - self.lawful_fen

    @property
    def moved(self) -> bool:
        """Whether any money stood here."""
        return bool(self.lines or self.payments or self.actual_fen or self.lawful_fen)


def money_of(dossier: Dossier) -> list[AccountMoney]:
    """Return the money of each account, in the order of the dossier."""
    return [_account_money(dossier, account, part) for part, account in _with_parts(dossier)]


def _with_parts(dossier: Dossier) -> list[tuple[Part, AccountFacts]]:
    by_subject = {p.subject: p for p in dossier.parts}
    return [
        (by_subject.get(account.subject) or dossier.parts[0], account)
        for account in dossier.accounts
        if account.subject in by_subject or dossier.parts[0].subject.startswith("party/")
    ]


def _account_money(dossier: Dossier, account: AccountFacts, part: Part) -> AccountMoney:
    books = account.state.books
    proposed = [p for p in part.counterfactual["proposed_events"] if p["subject"] == account.subject]
    excess = _excess(proposed)
    lines = [
        _line(debt, excess.get(name, {}).get(debt.debt_id, 0))
        for name, debts in (("charge_id", books.charges), ("fee_id", books.fees))
        for debt in oldest_first(debts.values())
        if debt.posted_at is not None
    ]
    counted = [p for p in books.payments.values() if p.reversed_by is None and p.value_date <= dossier.until]
    paid_fen = sum(p.amount_fen for p in counted)
    forgiven_fen = books.credits_fen + books.written_off_fen
    standing_fen = sum(line.posted_fen - line.reversed_fen for line in lines)
    actual_fen, lawful_fen = _balances(part, account.subject)
    return AccountMoney(
        subject=account.subject,
        lines=lines,
        payments=list(books.payments.values()),
        paid_fen=paid_fen,
        forgiven_fen=forgiven_fen,
        refunded_fen=books.refunded_fen,
        other_fen=standing_fen + books.refunded_fen - paid_fen - forgiven_fen - actual_fen,
        actual_fen=actual_fen,
        lawful_fen=lawful_fen,
        to_reverse_fen=sum(line.to_reverse_fen for line in lines),
        to_refund_fen=sum(p["data"]["amount_fen"] for p in proposed if p["type"] == "RefundPaid"),
    )


def _line(debt: Debt, excess_fen: int) -> Line:
    reversed_fen = min(debt.reversed_fen, debt.amount_fen)
    return Line(
        debt_id=debt.debt_id,
        kind=debt.kind,
        about=debt.charge_id,
        period_start=debt.period_start,
        period_end=debt.period_end,
        due_on=debt.due_on,
        event=f"{debt.source}#{debt.event_id}",
        posted_fen=debt.amount_fen,
        reversed_fen=reversed_fen,
        lawful_fen=debt.amount_fen - reversed_fen - excess_fen,
        to_reverse_fen=excess_fen,
    )


def _excess(proposed: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """Return what is to be reversed, in fen, by the kind of debt and its id."""
    found: dict[str, dict[str, int]] = {"charge_id": {}, "fee_id": {}}
    for item in proposed:
        if item["type"] == "ChargeReversed":
            data = item["data"]
            name = "charge_id" if data.get("charge_id") else "fee_id"
            found[name][data[name]] = found[name].get(data[name], 0) + data["amount_fen"]
    return found


def _balances(part: Part, subject: str) -> tuple[int, int]:
    """Return the actual and the lawful balance at the end of the last day, in fen."""
    days = [d for d in part.counterfactual["days"] if d["account"] == subject]
    if not days:
        return 0, 0
    return days[-1]["actual"]["balance_fen"], days[-1]["lawful"]["balance_fen"]
