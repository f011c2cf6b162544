"""An account's state as a person or a program reads it: plain JSON values, no personal data."""

from datetime import date
from typing import Any, Protocol

from domain.account.money import Debt, PastDue, figures
from domain.account.state import Account, Package


class Owed(Protocol):
    """Sums owed, wherever they were computed or kept."""

    @property
    def balance_fen(self) -> int: ...  # noqa: D102
    @property
    def principal_fen(self) -> int: ...  # noqa: D102
    @property
    def late_fee_fen(self) -> int: ...  # noqa: D102
    @property
    def credit_fen(self) -> int: ...  # noqa: D102


def account_view(account: Account, on: date) -> dict[str, Any]:
    """Return the account's state on a day (in its region's time zone), amounts in fen."""
    money = figures(account.books, on)
    unpaid_fen = {item.charge_id: item.unpaid_fen for item in money.open_items}
    return {
        "account_id": account.account_id,
        "status": account.status,
        "status_since": account.status_since,
        "suspension_reason": account.suspension_reason,
        "line_of_business": account.line_of_business or None,
        "party_id": account.party_id or None,
        "legacy": account.legacy,
        "package": package_view(account, on),
        "packages": [_package(account, p, on) for p in account.packages.values()],
        "expiry_choices": [
            {
                "package_id": package_id,
                "presented": list(c.presented),
                "option": c.option,
                "selected_by": c.selected_by,
                "event_id": c.event_id,
            }
            for package_id, c in account.choices.items()
        ],
        "numbers": [
            {
                "number_id": n.number_id,
                "registration_id": n.registration_id,
                "dealer_id": n.dealer_id,
                "status": n.status,
            }
            for n in account.numbers.values()
        ],
        **money_view(money, money.past_due),
        "reported_arrears_since": account.reported_arrears_since,
        "arrears_differ": account.reported_arrears_since != money.past_due.arrears_since,
        "charges": [_debt(d, unpaid_fen.get(d.debt_id, 0)) for d in account.books.charges.values()],
        "late_fees": [_debt(d, money.unpaid_fee_fen.get(d.debt_id, 0)) for d in account.books.fees.values()],
        "payments": [
            {
                "payment_id": p.payment_id,
                "amount_fen": p.amount_fen,
                "value_date": p.value_date,
                "stands": p.reversed_by is None,
                "event_id": p.event_id,
            }
            for p in account.books.payments.values()
        ],
        "deposits_fen": sum(account.deposits.values()),
        "instalment_plans": [
            {"plan_id": k, "instalments": [{"due_on": d, "amount_fen": a} for d, a in plan]}
            for k, plan in account.instalment_plans.items()
        ],
        "dispute_holds": [
            {
                "hold_id": h.hold_id,
                "amount_fen": h.amount_fen,
                "charge_ids": list(h.charge_ids) if h.charge_ids is not None else None,
                "case_id": h.case_id,
                "scope": list(h.scope),
                "placed_at": h.placed_at,
            }
            for h in account.holds.values()
        ],
        "notices": [
            {
                "notice_id": n.notice_id,
                "purpose": n.purpose,
                "channel": n.channel,
                "contact_point_id": n.contact_point_id,
                "attempted_at": n.attempted_at,
                "outcome": n.outcome,
                "reason": n.reason,
                "outcome_at": n.outcome_at,
            }
            for n in account.notices.values()
        ],
        "cancellation_from": account.cancellation_from,
        "unmatched_event_ids": account.unmatched_event_ids,
    }


def money_view(money: Owed, late: PastDue) -> dict[str, Any]:
    """Return an account's figures by the names every reader knows them by."""
    return {
        "balance_fen": money.balance_fen,
        "principal_fen": money.principal_fen,
        "late_fee_fen": money.late_fee_fen,
        "credit_fen": money.credit_fen,
        "arrears_since": late.arrears_since,
        "days_past_due": late.days_past_due,
        "aging": late.aging,
    }


def package_view(account: Account, on: date) -> dict[str, Any] | None:
    """Return the account's present package as it is on a day, if it has one."""
    package = account.packages.get(account.package_id or "")
    return _package(account, package, on) if package else None


def _package(account: Account, package: Package, on: date) -> dict[str, Any]:
    offer_id, price_fen = package.on(on)
    choice = account.choices.get(package.package_id)
    return {
        "package_id": package.package_id,
        "offer_id": offer_id,
        "cycle": package.cycle,
        "price_fen": price_fen,
        "start": package.start,
        "end": package.end,
        "expired_on": package.expired_on,
        "expiry_option": choice.option if choice else None,
        "expiry_option_selected_by": choice.selected_by if choice else None,
        "expiry_options_presented": list(choice.presented) if choice else [],
    }


def _debt(debt: Debt, unpaid_fen: int) -> dict[str, Any]:
    found = {
        "charge_id": debt.charge_id if debt.kind == "late_fee" else debt.debt_id,
        "kind": debt.kind,
        "amount_fen": debt.amount_fen,
        "reversed_fen": debt.reversed_fen,
        "unpaid_fen": unpaid_fen,
        "period_start": debt.period_start,
        "period_end": debt.period_end,
        "due_on": debt.due_on,
        "event_id": debt.event_id,
    }
    return {"fee_id": debt.debt_id, **found} if debt.kind == "late_fee" else found
