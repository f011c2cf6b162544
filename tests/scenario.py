"""given(what happened).when(a command).then(what it leads to), or .then_refused(the code).

Reads as the specification. Beside it small factories of what happened before, with everything that a test
does not care about filled in. The states handed to `decide` are exactly those that `needs` asked for.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.calendar import start_of
from domain.commands import Asked, Command
from domain.decisions import decide, is_wide, needs
from domain.events import Event, Payload, Recorded
from domain.events import account as ev
from domain.events import case as case_ev
from domain.events import dealer as dealer_ev
from domain.events import party as party_ev
from domain.events.fields import parse_day, parse_instant
from domain.refusals import Code, Refused
from domain.streams import State, begin, state_of

REGION = "heilongjiang.harbin"
SOURCE = "urn:recount:test"
SUBJECTS = {
    "account": "account/A1",
    "party": "party/P1",
    "dealer": "dealer/D1",
    "case": "case/K1",
    "rulebook": "rulebook/heilongjiang",
}
"""The subject of a fact or a command that names none."""

ACCEPTED: set[str] = set()
"""Names of the commands that some scenario saw accepted."""
REFUSED: set[Code] = set()
"""The codes with which some scenario saw a command refused."""


def moment(text: str) -> datetime:
    """Return ten in the morning of a day, or the instant that is given."""
    if "T" in text:
        return parse_instant(text)
    return start_of(parse_day(text), REGION).replace(hour=10)


@dataclass(frozen=True)
class Fact:
    """Something that happened before."""

    data: Payload
    at: str = "2013-01-01"
    subject: str | None = None
    id: str | None = None
    actor: str = "system/test"
    known: str | None = None
    """When it was recorded, where that was later."""


Facts = Fact | Payload | Iterable["Facts"]


def _flat(facts: Facts) -> Iterable[Fact]:
    if isinstance(facts, Fact):
        yield facts
    elif isinstance(facts, Payload):
        yield Fact(facts)
    else:
        for some in facts:
            yield from _flat(some)


class Scenario:
    """A history, and then a command."""

    def __init__(self, facts: Facts) -> None:
        self.histories: dict[str, list[Recorded]] = {}
        for number, fact in enumerate(_flat(facts), 1):
            subject = fact.subject or SUBJECTS[fact.data.STREAM]
            history = self.histories.setdefault(subject, [])
            event = Event(
                id=fact.id or f"e{number}",
                source=SOURCE,
                subject=subject,
                time=moment(fact.at),
                recordedtime=moment(fact.known or fact.at),
                actor=fact.actor,
                channel="system",
                region=REGION,
                data=fact.data,
            )
            history.append(Recorded(event, len(history) + 1, number))

    def when(
        self,
        command: Command,
        *,
        at: str = "2014-12-01",
        by: str = "staff/S1",
        channel: str = "store",
        now: str | None = None,
        subject: str | None = None,
        **more: Any,
    ) -> "Answer":
        asked = Asked(
            subject=subject or SUBJECTS[command.STREAM],
            command=command,
            actor=by,
            channel=channel,
            region=REGION,
            time=moment(at),
            **more,
        )
        states: dict[str, State] = {}
        if is_wide(asked):  # all that this world has of accounts and cases concerns the party
            states = {s: state_of(s, h) for s, h in self.histories.items() if not s.startswith("rulebook/")}
        while missing := needs(asked, states) - states.keys():
            states |= {
                s: state_of(s, self.histories.get(s, ())) if s in self.histories else begin(s)
                for s in missing
            }
        try:
            return Answer(asked, tuple(decide(asked, states, moment(now or at))), None)
        except Refused as refused:
            return Answer(asked, (), refused)


@dataclass(frozen=True)
class Answer:
    """What came of the command."""

    asked: Asked
    drafts: tuple[Any, ...]
    refused: Refused | None

    def then(self, *events: Payload) -> None:
        """The command leads to exactly these events, on the stream it was asked of."""
        assert self.refused is None, self.refused
        assert tuple(d.data for d in self.drafts) == events
        assert {d.subject for d in self.drafts} == {self.asked.subject}
        assert {type(d.data) for d in self.drafts} <= set(self.asked.command.EMITS)
        ACCEPTED.add(type(self.asked.command).__name__)

    def then_refused(self, code: Code, **details: Any) -> None:
        """The command is refused with this code, and at least these details."""
        assert self.refused is not None, [d.data for d in self.drafts]
        assert self.refused.code is code, self.refused
        assert self.refused.message.endswith("."), "a refusal is a sentence"
        assert details.items() <= self.refused.details.items(), self.refused.details
        REFUSED.add(code)

    @property
    def event(self) -> Any:
        """The one event it leads to."""
        assert self.refused is None, self.refused
        (draft,) = self.drafts
        return draft.data


def given(*facts: Facts) -> Scenario:
    """Return a scenario that begins with what happened."""
    return Scenario(facts)


# -- factories: an account ----------------------------------------------------------------------------------


def terms(**changes: Any) -> ev.ContractTerms:
    return ev.ContractTerms(
        **{
            "payment_deadline_days": 15,
            "late_fee_start": "after_due",
            "restore_hours": 48,
            "suspend_after_days": 10,
            "terminate_after_days": 60,
            **changes,
        }
    )


def account(
    line: str = "fixed_broadband", *, party_id: str = "P1", subject: str = "account/A1", **contract: Any
) -> Fact:
    opened = ev.AccountOpened(
        party_id=party_id,
        line_of_business=line,
        contract_terms=terms(**contract),
    )
    return Fact(opened, subject=subject)


def options(*given_options: str, package_id: str = "PK1", known: str | None = None) -> Fact:
    shown = given_options or ("suspend", "convert_to_monthly", "renew_annual")
    return Fact(ev.ExpiryOptionPresented(package_id=package_id, options=shown), at="2013-07-16", known=known)


def choice(
    option: str,
    by: str = "customer",
    package_id: str = "PK1",
    at: str = "2013-07-16",
    known: str | None = None,
) -> Fact:
    chosen = ev.ExpiryOptionSelected(package_id=package_id, option=option, selected_by=by)
    return Fact(chosen, at=at, id=f"choice-{package_id}", known=known)


def annual(option: str | None = "suspend", by: str = "customer", package_id: str = "PK1") -> list[Fact]:
    """An annual package sold on 2013-07-16 for 1,080 yuan; its term ends on 2014-07-16."""
    sold = ev.PackageSubscribed(
        package_id=package_id,
        offer_id="O1",
        cycle="annual",
        price_fen=108_000,
        start="2013-07-16",
        end="2014-07-16",
    )
    asked = [options(package_id=package_id), choice(option, by, package_id)] if option else []
    return [*asked, Fact(sold, at="2013-07-16")]


def monthly(package_id: str = "PM1", start: str = "2013-01-01") -> Fact:
    sold = ev.PackageSubscribed(
        package_id=package_id, offer_id="O2", cycle="monthly", price_fen=10_000, start=start
    )
    return Fact(sold)


def converted(package_id: str = "PK1", start: str = "2014-07-16") -> Fact:
    data = ev.PackageConverted(package_id=package_id, to_offer_id="O2", monthly_price_fen=10_000, from_=start)
    return Fact(data, at=start)


def charge(
    charge_id: str = "CH1",
    amount_fen: int = 10_000,
    *,
    due: str = "2014-01-31",
    start: str = "2014-01-01",
    end: str = "2014-02-01",
    kind: str = "monthly",
) -> Fact:
    posted = ev.ChargePosted(
        charge_id=charge_id,
        kind=kind,
        amount_fen=amount_fen,
        period_start=start,
        period_end=end,
        due_on=due,
    )
    return Fact(posted, at=start, id=f"event-{charge_id}")


def fee(
    fee_id: str = "LF1", charge_id: str = "CH1", start: str = "2014-02-01", to: str = "2014-02-11"
) -> Fact:
    assessed = ev.LateFeeAssessed(
        fee_id=fee_id,
        charge_id=charge_id,
        base_fen=10_000,
        rate_ppm=3_000,
        from_=start,
        to=to,
        amount_fen=300,
    )
    return Fact(assessed, at=to)


def payment(payment_id: str = "PAY1", amount_fen: int = 10_000, on: str = "2014-03-01") -> Fact:
    received = ev.PaymentReceived(payment_id=payment_id, amount_fen=amount_fen, value_date=on, method="cash")
    return Fact(received, at=on)


def reversal(charge_id: str = "CH1", amount_fen: int = 10_000) -> Fact:
    taken_back = ev.ChargeReversed(charge_id=charge_id, amount_fen=amount_fen, reason="wrong")
    return Fact(taken_back, at="2014-02-15")


def suspended(on: str, reason: str = "arrears") -> Fact:
    return Fact(ev.ServiceSuspended(reason=reason), at=on)


def terminated(on: str = "2014-05-15", reason: str = "customer_request") -> Fact:
    return Fact(ev.ServiceTerminated(reason=reason), at=on)


def hold(*scope: str, charges: tuple[str, ...] | None = None, at: str = "2014-02-05") -> Fact:
    placed = ev.DisputeHoldPlaced(
        hold_id="H1", amount_fen=10_000, charge_ids=charges, case_id="K1", scope=scope
    )
    return Fact(placed, at=at)


def released(at: str) -> Fact:
    return Fact(ev.DisputeHoldReleased(hold_id="H1", outcome="rejected"), at=at)


def notice(
    notice_id: str = "N1",
    purpose: str = "arrears",
    at: str = "2014-02-10",
    contact: str | None = "C1",
    **more: Any,
) -> Fact:
    attempted = ev.NoticeAttempted(
        notice_id=notice_id,
        purpose=purpose,
        channel="sms",
        contact_point_id=contact,
        attempt_no=1,
        **more,
    )
    return Fact(attempted, at=at)


def delivered(notice_id: str = "N1", at: str = "2014-02-11", known: str | None = None) -> Fact:
    return Fact(ev.NoticeDelivered(notice_id=notice_id), at=at, known=known)


def number(number_id: str = "NUM1", registration_id: str = "R1") -> Fact:
    live = ev.NumberActivated(number="13900000001", number_id=number_id, registration_id=registration_id)
    return Fact(live, at="2013-02-01")


# -- factories: the others ----------------------------------------------------------------------------------


def party(party_id: str = "P1") -> Fact:
    registered = party_ev.PartyRegistered(
        kind="individual",
        id_type="resident_id",
        id_hash="0f" * 8,
        name="Wang",
        id_number="230103",
        address="Harbin",
    )
    return Fact(registered, subject=f"party/{party_id}")


def contact(contact_point_id: str = "C1", subject: str = "party/P1") -> Fact:
    added = party_ev.ContactPointAdded(contact_point_id=contact_point_id, kind="mobile", value="13900000002")
    return Fact(added, subject=subject)


def abandoned(at: str, contact_point_id: str = "C1") -> Fact:
    gone = party_ev.ContactPointInvalidated(contact_point_id=contact_point_id, reason="abandoned")
    return Fact(gone, at=at)


def verified(
    registration_id: str = "R1",
    method: str = "in_person",
    result: str = "passed",
    *,
    at: str = "2013-01-02",
    known: str | None = None,
    dealer_id: str | None = None,
) -> Fact:
    compared = party_ev.IdentityVerified(
        registration_id=registration_id, method=method, result=result, dealer_id=dealer_id
    )
    return Fact(compared, at=at, known=known)


def misused(registration_id: str = "R1") -> Fact:
    return Fact(
        party_ev.IdentityMisuseConfirmed(registration_ids=[registration_id], numbers=[]), at="2014-02-01"
    )


def merged(into: str = "P2", subject: str = "party/P1") -> Fact:
    return Fact(party_ev.PartyMerged(into_party_id=into), at="2014-01-15", subject=subject)


def erased() -> Fact:
    return Fact(party_ev.PersonalDataErased(legal_basis="PIPL art. 47"), at="2014-01-15")


def listed(entry_id: str = "B1", basis: tuple[str, ...] = ("urn:recount:test#event-CH1",)) -> Fact:
    added = party_ev.BlacklistEntryAdded(
        entry_id=entry_id, basis_account_id="A1", amount_fen=10_000, basis_event_ids=basis
    )
    return Fact(added, at="2014-04-01")


def dealer(dealer_id: str = "D1") -> Fact:
    authorised = dealer_ev.DealerAuthorised(name="Shop 17", manager_id="M1")
    return Fact(authorised, subject=f"dealer/{dealer_id}")


def blocked(dealer_id: str = "D1") -> Fact:
    return Fact(dealer_ev.DealerBlocked(reason="misuse"), subject=f"dealer/{dealer_id}", at="2014-01-10")


def complaint(case_id: str = "K1", party_id: str = "P1") -> Fact:
    received = case_ev.ComplaintReceived(
        party_id=party_id,
        account_ids=["A1"],
        category="billing",
        summary="He was never asked.",
        answer_due_on="2014-12-16",
    )
    return Fact(received, subject=f"case/{case_id}", at="2014-12-01")


def investigation(case_id: str = "K1") -> Fact:
    opened = case_ev.InvestigationOpened(account_ids=["A1"], reason="press report")
    return Fact(opened, subject=f"case/{case_id}", at="2014-12-01")


def commitment(commitment_id: str = "CM1", due: str = "2014-12-10T18:00:00+08:00") -> Fact:
    made = case_ev.CommitmentMade(
        commitment_id=commitment_id, solution="reverse", due_at=due, remedy_if_missed="100 yuan"
    )
    return Fact(made, at="2014-12-02")


def closed() -> Fact:
    return Fact(case_ev.CaseClosed(outcome="settled"), at="2014-12-20")
