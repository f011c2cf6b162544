"""Claims about the contract: the choice at a package's end, what the customer asked for, whether the service stood."""

from domain.calendar import end_of, start_of
from domain.claims import forms
from domain.claims.customer import Customer, Shown, account_of, day, names, within
from domain.events import account as av
from domain.events.envelope import Recorded
from domain.rules.facts import ALL_OPTIONS, AccountFacts

SERVICE = (av.ServiceSuspended, av.ServiceResumed, av.ServiceTerminated)


def choice(claim: forms.Chose | forms.NeverChose, customer: Customer) -> Shown:
    """See whether the customer themself chose; what staff or a system set is no choice of theirs."""
    by = claim.by if isinstance(claim, forms.Chose) else None
    set_ = [
        (r, d)
        for _, r, d in customer.of(av.ExpiryOptionSelected, claim.account_id)
        if claim.package_id in (None, d.package_id)
    ]
    own = [(r, d) for r, d in set_ if d.selected_by == "customer"]
    meant = [(r, d) for r, d in own if claim.option in (None, d.option) and (by is None or day(r) <= by)]
    if meant:
        recorded, data = meant[-1]
        proof = (
            f"with consent {data.consent_ref}" if data.consent_ref else "without a reference to their consent"
        )
        said = f"the customer chose {data.option} for {data.package_id} on {day(recorded)}"
        return Shown("yes", f"{said}, entered by {recorded.event.actor} {proof}", [r for r, _ in meant])
    if own:
        said = f"the customer's own choice on record is {names(f'{d.option} on {day(r)}' for r, d in own)}"
        if isinstance(claim, forms.Chose) and _elsewhere(claim, customer, own):
            return Shown("open", f"{said}: later, or for another package", nearest=[r for r, _ in own])
        return Shown("no", said, [r for r, _ in own])
    if set_:
        what = names(f"{d.option} by {d.selected_by}" for _, d in set_)
        said = f"what was set is {what}, and no choice of the customer's own is on record"
        if isinstance(claim, forms.Chose):  # it does not disprove what the customer said at the counter
            return Shown("open", said, nearest=[r for r, _ in set_])
        return Shown("no", said, [r for r, _ in set_])
    return _without(claim, customer, "no choice at all is on record")


def _elsewhere(
    claim: forms.Chose, customer: Customer, own: list[tuple[Recorded, av.ExpiryOptionSelected]]
) -> bool:
    """Whether the customer's choices on record leave room for the claimed one: made later, or of other packages."""
    chosen = {d.package_id for _, d in own}
    sold = {
        d.package_id for _, _, d in customer.of(av.PackageSubscribed, claim.account_id) if d.cycle == "annual"
    }
    return any(d.option == claim.option for _, d in own) or (claim.package_id is None and bool(sold - chosen))


AboutPackage = forms.Chose | forms.NeverChose | forms.WasPresentedOptions | forms.NeverPresentedOptions


def _without(claim: AboutPackage, customer: Customer, said: str) -> Shown:
    """Return that nothing is on record; where a package's sale is, its time is known, and never is shown by it."""
    sales = [
        r
        for _, r, d in customer.of(av.PackageSubscribed, claim.account_id)
        if d.cycle == "annual" and claim.package_id in (None, d.package_id)
    ]
    if sales and claim.package_id is not None and claim.NEVER:
        return Shown("no", f"{said}, and the sale on {names(map(day, sales))} is", sales)
    return Shown("silent", said, nearest=sales)


def presentation(claim: forms.WasPresentedOptions | forms.NeverPresentedOptions, customer: Customer) -> Shown:
    """See whether all three handlings were shown."""
    shown = [
        (r, d)
        for _, r, d in customer.of(av.ExpiryOptionPresented, claim.account_id)
        if claim.package_id in (None, d.package_id)
    ]
    whole = [r for r, d in shown if set(d.options) >= ALL_OPTIONS]
    if whole:
        return Shown("yes", f"all three were shown on {names(day(r) for r in whole)}", whole)
    if shown:
        what = names(o for _, d in shown for o in d.options)
        return Shown("open", f"only {what} is on record as shown", nearest=[r for r, _ in shown])
    return _without(claim, customer, "no presentation of the options is on record")


def request(claim: forms.Requested | forms.NeverRequested, customer: Customer) -> Shown:
    """See whether the customer asked for a cancellation or another plan."""
    if claim.what == "cancellation":
        asked = [r for _, r, _ in customer.of(av.CancellationRequested, claim.account_id)]
        others: list[tuple[Recorded, str]] = []
    else:
        changes = customer.of(av.PlanChanged, claim.account_id)
        asked = [r for _, r, d in changes if d.requested_by == "customer"]
        others = [(r, d.requested_by) for _, r, d in changes if d.requested_by != "customer"]
    what = claim.what.replace("_", " ")
    found = [r for r in asked if within(r, claim.since, claim.until)]
    if found:
        return Shown(
            "yes", f"a {what} at the customer's request is on record on {names(map(day, found))}", found
        )
    by_others = [(r, who) for r, who in others if within(r, claim.since, claim.until)]
    if by_others:
        said = f"the {what} on record was at the request of {names(who for _, who in by_others)}"
        if isinstance(claim, forms.Requested):
            return Shown("open", said, nearest=[r for r, _ in by_others])
        return Shown("no", said, [r for r, _ in by_others])
    said = f"no {what} at the customer's request is on record in that time"
    return Shown("silent", said, nearest=asked)


def suspension(claim: forms.WasSuspended | forms.WasNotSuspended, customer: Customer) -> Shown:
    """See whether the service of any account stood suspended at some time of a day."""
    if claim.on > customer.today:
        return Shown("open", f"{claim.on} lies after the day the ledger is asked as known on")
    starts, ends = start_of(claim.on, customer.region), end_of(claim.on, customer.region)
    held = [a for a in customer.accounts(claim.account_id) if customer.holds(a, ends)]
    stood = [(a, r, d) for a in held for r, d in a.of(av.ServiceSuspended) if r.event.time <= ends]
    for account, recorded, data in stood:
        ended = _end_of_stop(account, recorded)
        if ended is None or ended.event.time > starts:
            until = f"until {day(ended)}" if ended else "and is not back as far as is known"
            said = f"{account_of(recorded)} was suspended on {day(recorded)} ({data.reason}) {until}"
            return Shown("yes", said, [r for r in (recorded, ended) if r is not None])
    if not held:
        return Shown("open", f"no account of the customer's is on record on {claim.on}")
    lacking = customer.uncovered(claim.account_id, claim.on, claim.on)
    if lacking is not None:
        return Shown("open", lacking)
    service = [r for a in held for r in a.history if isinstance(r.event.data, SERVICE)]
    before = [r for r in service if r.event.time <= ends]
    after = [r for r in service if r.event.time > ends]
    said = f"no suspension stood on {claim.on}"
    if before:
        last = before[-1]
        said = f"{said}: the last service event before it is {last.event.type} on {day(last)}"
    return Shown("no", said, [*before[-1:], *after[:1]])


def _end_of_stop(account: AccountFacts, suspended: Recorded) -> Recorded | None:
    """Return what ended a suspension: the service came back, or ended for good."""
    ends = (av.ServiceResumed, av.ServiceTerminated)
    later = account.history[account.history.index(suspended) + 1 :]
    return next((r for r in later if isinstance(r.event.data, ends)), None)
