"""Claims about money: what was paid, charged and owed."""

from datetime import timedelta

from domain.account import figures
from domain.calendar import end_of
from domain.claims import forms
from domain.claims.customer import Customer, Shown, counted, day, names, within
from domain.events import account as av
from domain.events.envelope import Recorded
from domain.replay import effective_at
from domain.rules.facts import AccountFacts
from domain.streams import state_of

NEAR = timedelta(days=31)  # a payment this far from the claimed day, of the claimed sum, may be the one meant
NEAREST_MAX = 10  # payments shown as nearest
PaymentKey = tuple[str, str]
"""The account and the payment: two accounts may have used one id."""


def paid(claim: forms.Paid, customer: Customer) -> Shown:
    """See whether so much was paid on a day; that the operator has no payment does not disprove the customer's."""
    payments = customer.of(av.PaymentReceived, claim.account_id)
    reversed_by = _reversals(customer, claim.account_id)
    fits = [
        (r, d)
        for _, r, d in payments
        if d.value_date == claim.on
        and claim.method in (None, d.method)
        and claim.external_ref in (None, d.external_ref)
    ]
    standing = [(r, d) for r, d in fits if _key(r, d) not in reversed_by]
    exact = next((r for r, d in standing if d.amount_fen == claim.amount_fen), None)
    if exact is not None:
        return Shown("yes", f"a payment of {claim.amount_fen} fen counts from {claim.on}", (exact,))
    if len(standing) > 1 and sum(d.amount_fen for _, d in standing) == claim.amount_fen:
        said = f"{len(standing)} payments of {claim.amount_fen} fen together count from {claim.on}"
        return Shown("yes", said, [r for r, _ in standing])
    bounced = next(((r, d) for r, d in fits if d.amount_fen == claim.amount_fen), None)
    if bounced is not None:
        back, reason = reversed_by[_key(*bounced)]
        said = f"the payment of {claim.amount_fen} fen was taken back on {day(back)}: {reason}"
        return Shown("no", said, (bounced[0], back))
    named = next(
        ((r, d) for _, r, d in payments if d.external_ref and d.external_ref == claim.external_ref), None
    )
    if named is not None:
        said = f"the payment of that reference is of {named[1].amount_fen} fen and counts from {named[1].value_date}"
        return Shown("no", said, (named[0],))
    near = [
        r
        for _, r, d in payments
        if claim.on in (d.value_date, day(r))
        or (d.amount_fen == claim.amount_fen and abs(d.value_date - claim.on) <= NEAR)
    ]
    said = f"no payment of {claim.amount_fen} fen that counts from {claim.on} is on record"
    if claim.method is not None or claim.external_ref is not None:
        said = f"{said} with that method or reference"
    return Shown("silent", said, nearest=near[:NEAREST_MAX])


def payments_made(claim: forms.NeverPaid, customer: Customer) -> Shown:
    """See whether anything was paid in a time, by value date."""
    reversed_by = _reversals(customer, claim.account_id)
    made = [
        (r, d)
        for _, r, d in customer.of(av.PaymentReceived, claim.account_id)
        if (claim.since is None or d.value_date >= claim.since)
        and (claim.until is None or d.value_date <= claim.until)
    ]
    stands = [(r, d) for r, d in made if _key(r, d) not in reversed_by]
    if stands:
        total_fen = sum(d.amount_fen for _, d in stands)
        return Shown(
            "yes", f"{total_fen} fen were paid in {counted(len(stands), 'payment')}", [r for r, _ in stands]
        )
    if made:
        back = [reversed_by[_key(r, d)][0] for r, d in made]
        return Shown("no", "every payment of that time was taken back", [*(r for r, _ in made), *back])
    return Shown("silent", "no payment of that time is on record")


def charged(claim: forms.WasCharged, customer: Customer) -> Shown:
    """See whether a charge or a late fee of so much was posted in a time."""
    posted: list[tuple[Recorded, int]] = [
        (r, d.amount_fen) for _, r, d in customer.of(av.ChargePosted, claim.account_id)
    ]
    posted += [(r, d.amount_fen) for _, r, d in customer.of(av.LateFeeAssessed, claim.account_id)]
    posted = [(r, fen) for r, fen in posted if within(r, claim.since, claim.until)]
    exact = [r for r, fen in posted if fen == claim.amount_fen]
    if exact:
        return Shown("yes", f"{claim.amount_fen} fen were posted on {names(map(day, exact))}", exact)
    nearest = sorted(posted, key=lambda item: abs(item[1] - claim.amount_fen))[:NEAREST_MAX]
    said = f"no charge or late fee of {claim.amount_fen} fen is on record in that time"
    return Shown("silent", said, nearest=[r for r, _ in nearest])


def owed(claim: forms.Owed, customer: Customer) -> Shown:
    """See what was owed at the end of a day, as it is known now."""
    if claim.on > customer.today:
        return Shown("open", f"{claim.on} lies after the day the ledger is asked as known on")
    lacking = customer.uncovered(claim.account_id, claim.on, claim.on)
    if lacking is not None:
        return Shown("open", lacking)
    ends = end_of(claim.on, customer.region)
    held = [a for a in customer.accounts(claim.account_id) if customer.holds(a, ends)]
    if not held:
        return Shown("open", f"no account of the customer's is on record on {claim.on}")
    total_fen, open_debts = 0, []
    for account in held:
        balance_fen, events = _owed_on(account, claim)
        total_fen += balance_fen
        open_debts += events
    said = f"the ledger's balance at the end of {claim.on} is {total_fen} fen"
    return Shown("yes" if total_fen == claim.amount_fen else "no", said, open_debts)


def _owed_on(account: AccountFacts, claim: forms.Owed) -> tuple[int, list[Recorded]]:
    """Return an account's balance in fen at the end of a day, and the events of the debts that were open then."""
    ends = end_of(claim.on, account.state.region or account.world.region)
    taken = [r for r in account.history if effective_at(r) <= ends]
    state = state_of(account.subject, taken)
    books = state.books  # type: ignore[union-attr]
    money = figures(books, claim.on)
    debts = [books.charges[i.charge_id] for i in money.open_items]
    debts += [books.fees[fee_id] for fee_id in money.unpaid_fee_fen]
    ids = {(d.source, d.event_id) for d in debts}
    events = [r for r in taken if (r.event.source, r.event.id) in ids]
    if not events:  # nothing is open: what was last paid or taken back shows it
        settling = (av.PaymentReceived, av.ChargeReversed, av.CreditGranted, av.DebtWrittenOff, av.RefundPaid)
        events = [r for r in taken if isinstance(r.event.data, settling)][-1:]
    return money.balance_fen, events


def _reversals(customer: Customer, account_id: str | None) -> dict[PaymentKey, tuple[Recorded, str]]:
    """Return what took payments back, by payment, and why."""
    reversed_ = customer.of(av.PaymentReversed, account_id)
    return {(account.subject, d.payment_id): (r, d.reason) for account, r, d in reversed_}


def _key(recorded: Recorded, payment: av.PaymentReceived) -> PaymentKey:
    return recorded.event.subject, payment.payment_id
