"""Observed histories as they would stand in the log, right or wrong, and the findings they come to.

A history reads from top to bottom: `at` sets the day (ten in the morning) or the moment of what follows, and
each method adds one event, on the account `A` of the party `P` unless another was named last. What was
recorded later than it happened says so with `known`. An event's id is its type and what it is about
("ChargePosted:m1"), so that a test can name the evidence. Nothing is checked for conduct: that is what the
findings are for.
"""

import random
from datetime import datetime

from domain.calendar import moment_of, start_of
from domain.events import Event, Payload, Recorded
from domain.events import account as av
from domain.events import case as cv
from domain.events import dealer as dv
from domain.events import party as pv
from domain.events.fields import parse_day, parse_instant
from domain.events.rulebook import RuleVersionPublished
from domain.rules.table import TABLE, Inquiry, findings

ALL_OPTIONS = ("suspend", "convert_to_monthly", "renew_annual")
REGION = "heilongjiang.harbin"
LATER = "2035-01-01"
"""When a question is asked that names no moment: every deadline has passed."""
SUBJECT_OF = {
    rule.rule_id: {"account": "account/A", "party": "party/P", "dealer": "dealer/D", "case": "case/C"}[kind]
    for kind, rules in TABLE.items()
    for rule, _ in rules
}


def moment(text, region=REGION):
    """Return ten in the morning of a day, or the moment that is given, in local time without an offset."""
    if "T" not in text:
        return start_of(parse_day(text), region).replace(hour=10)
    if text[-6] in "+-":
        return parse_instant(text)
    seconds = "" if text.count(":") > 1 else ":00"
    return parse_instant(f"{text}{seconds}+08:00")


class History:
    """Events in the order in which they were imported."""

    def __init__(self, region=REGION, source="urn:recount:test"):
        self.region, self.source = region, source
        self.events: list[Event] = []
        self.now = moment("2012-01-01", region)
        self.subjects = {"account": "account/A", "party": "party/P", "dealer": "dealer/D", "case": "case/C"}

    # -- the events and what is asked of them

    def at(self, when):
        """Say when the following happened."""
        self.now = moment(when, self.region)
        return self

    def add(self, data: Payload, *, about="", at=None, known=None, by="system/test", subject=None):
        """Add an event."""
        time = moment(at, self.region) if at else self.now
        name = f"{type(data).__name__}:{about or len(self.events) + 1}"
        taken = sum(e.id.partition("~")[0] == name for e in self.events)
        self.events.append(
            Event(
                id=f"{name}~{taken + 1}" if taken else name,
                source=self.source,
                subject=subject or self.subjects[data.STREAM],
                time=time,
                recordedtime=moment(known, self.region) if known else time,
                actor=by,
                channel="system",
                region=self.region,
                data=data,
            )
        )
        return self

    def recorded(self, shuffle=None):
        """Return the events by stream as they stand in the log, the streams mixed anew where that is asked."""
        order = list(self.events)
        if shuffle is not None:
            order = mixed(order, shuffle)
        histories: dict[str, list[Recorded]] = {}
        for position, event in enumerate(order, 1):
            stream = histories.setdefault(event.subject, [])
            stream.append(Recorded(event, len(stream) + 1, position))
        return histories

    def answer(self, subject, known_at=LATER, *, position=10**9, shuffle=None):
        """Return the whole answer about a subject."""
        moment_known = known_at if isinstance(known_at, datetime) else _asked_at(known_at, self.region)
        return findings(Inquiry(subject, moment_known, position, self.region), self.recorded(shuffle))

    def findings(self, rule_id, known_at=LATER, *, subject=None):
        """Return a rule's findings on its subject by verdict."""
        subject = subject or SUBJECT_OF[rule_id]
        found = self.answer(subject, known_at)["findings"]
        return {f["verdict"]: f for f in found if f["rule_id"] == rule_id and f["subject"] == subject}

    def verdicts(self, rule_id, known_at=LATER, *, subject=None):
        """Return a rule's verdicts on its subject, in words: "breach", or "breach kept"."""
        return " ".join(self.findings(rule_id, known_at, subject=subject))

    # -- a party

    def party(self, party_id="P", *, contact="CP", document=None, **more):
        """Register a person who can be reached, with a document of their own unless one is named."""
        self.subjects["party"] = f"party/{party_id}"
        data = pv.PartyRegistered(
            kind="individual",
            id_type="resident_id",
            id_hash=document or f"of {party_id}",
            name="n",
            id_number="1",
            address="a",
        )
        self.add(data, about=party_id, **more)
        return self.contact(contact, **more) if contact else self

    def contact(self, contact_point_id="CP", **more):
        data = pv.ContactPointAdded(contact_point_id=contact_point_id, kind="mobile", value="139")
        return self.add(data, about=contact_point_id, **more)

    def merged(self, party_id, into, **more):
        return self.add(pv.PartyMerged(into_party_id=into), subject=f"party/{party_id}", **more)

    def abandoned(self, contact_point_id="CP", **more):
        data = pv.ContactPointInvalidated(contact_point_id=contact_point_id, reason="abandoned")
        return self.add(data, about=contact_point_id, **more)

    def verified(self, registration_id="R1", method="in_person", result="passed", dealer=None, **more):
        data = pv.IdentityVerified(
            registration_id=registration_id, method=method, result=result, dealer_id=dealer
        )
        return self.add(data, about=registration_id, **more)

    def audited(self, registration_id="R1", result="clean", **more):
        data = pv.RegistrationAudited(registration_id=registration_id, result=result)
        return self.add(data, about=registration_id, **more)

    def misused(self, *registration_ids, numbers=(), dealer=None, **more):
        data = pv.IdentityMisuseConfirmed(
            registration_ids=registration_ids, numbers=numbers, dealer_id=dealer, case_id="C"
        )
        return self.add(data, **more)

    def listed(self, entry_id="BL", account_id="A", amount_fen=10_000, **more):
        data = pv.BlacklistEntryAdded(
            entry_id=entry_id, basis_account_id=account_id, amount_fen=amount_fen, basis_event_ids=()
        )
        return self.add(data, about=entry_id, **more)

    def unlisted(self, entry_id="BL", reason="arrears_cleared", **more):
        return self.add(pv.BlacklistEntryRemoved(entry_id=entry_id, reason=reason), about=entry_id, **more)

    def refused(self, entry_id="BL", reason="blacklisted", **more):
        return self.add(pv.SignUpRefused(reason=reason, entry_id=entry_id), about=entry_id, **more)

    # -- an account

    def account(
        self, account_id="A", line="fixed_broadband", *, party_id=None, late_fee_start="after_due", **more
    ):
        """Open an account; `suspend_after_days` and `restore_hours` may be given."""
        days = more.pop("suspend_after_days", 30)
        hours = more.pop("restore_hours", 48)
        self.subjects["account"] = f"account/{account_id}"
        terms = av.ContractTerms(
            payment_deadline_days=15,
            late_fee_start=late_fee_start,
            restore_hours=hours,
            suspend_after_days=days,
            terminate_after_days=60,
        )
        data = av.AccountOpened(
            party_id=party_id or self.subjects["party"].partition("/")[2],
            line_of_business=line,
            contract_terms=terms,
        )
        return self.add(data, about=account_id, **more)

    def on(self, account_id):
        """Say on which account the following happened."""
        self.subjects["account"] = f"account/{account_id}"
        return self

    def transferred(self, to, from_="P", stays_with="to", **more):
        data = av.AccountTransferred(from_party_id=from_, to_party_id=to, debt_stays_with=stays_with)
        return self.add(data, **more)

    def number(self, number_id="N1", registration_id="R1", dealer=None, **more):
        data = av.NumberActivated(
            number="139", number_id=number_id, registration_id=registration_id, dealer_id=dealer
        )
        return self.add(data, about=number_id, **more)

    def ported_in(self, number_id="N1", **more):
        return self.add(
            av.NumberPortedIn(number_id=number_id, other_operator="other"), about=number_id, **more
        )

    def released(self, number_id="N1", **more):
        data = av.NumberReleased(number_id=number_id, reusable_from="2030-01-01")
        return self.add(data, about=number_id, **more)

    # -- packages

    def presented(self, *options, package="PK", **more):
        data = av.ExpiryOptionPresented(package_id=package, options=options or ALL_OPTIONS)
        return self.add(data, about=package, **more)

    def chose(self, option="suspend", by="customer", package="PK", **more):
        data = av.ExpiryOptionSelected(package_id=package, option=option, selected_by=by)
        return self.add(data, about=package, **more)

    def sold_annual(self, start="2013-03-01", end="2014-03-01", package="PK", **more):
        data = av.PackageSubscribed(
            package_id=package, offer_id="Y", cycle="annual", price_fen=120_000, start=start, end=end
        )
        return self.add(data, about=package, **more)

    def sold_monthly(self, start="2013-03-01", package="PM", end=None, **more):
        data = av.PackageSubscribed(
            package_id=package, offer_id="M", cycle="monthly", price_fen=10_000, start=start, end=end
        )
        return self.add(data, about=package, **more)

    def lawfully_sold(self, option="suspend", start="2013-03-01", end="2014-03-01"):
        """Present the options, let the customer choose, and sell a year, all on the day of its start."""
        return self.at(start).presented().chose(option).sold_annual(start, end)

    def converted(self, start="2014-03-01", package="PK", **more):
        data = av.PackageConverted(package_id=package, to_offer_id="M", monthly_price_fen=10_000, from_=start)
        return self.add(data, about=package, **more)

    def renewed(self, start="2014-03-01", end="2015-03-01", package="PK", **more):
        data = av.PackageRenewed(package_id=package, price_fen=120_000, start=start, end=end)
        return self.add(data, about=f"{package}@{start}", **more)

    def plan_changed(self, effective_from, by="customer", package="PK", **more):
        data = av.PlanChanged(
            package_id=package,
            to_offer_id="M",
            price_fen=9_000,
            effective_from=effective_from,
            requested_by=f"{by}",
        )
        return self.add(data, about=package, by=f"{by}/x", **more)

    def cancelled(self, effective_from, *blockers, **more):
        data = av.CancellationRequested(effective_from=effective_from, blockers=blockers)
        return self.add(data, **more)

    # -- money

    def charge(
        self,
        charge_id="m1",
        amount_fen=10_000,
        *,
        start="2014-03-01",
        end="2014-04-01",
        due="2014-04-30",
        kind="monthly",
        basis=None,
        **more,
    ):
        data = av.ChargePosted(
            charge_id=charge_id,
            kind=kind,
            amount_fen=amount_fen,
            period_start=start,
            period_end=end,
            due_on=due,
            basis_event_id=basis,
        )
        return self.add(data, about=charge_id, **more)

    def fee(
        self, charge_id="m1", from_="2014-05-01", to="2014-05-11", *, fee_id="lf", base_fen=10_000, **more
    ):
        """Assess what 3 per mille a day comes to, or the `amount_fen` that is given."""
        first, last = parse_day(from_), parse_day(to)
        lawful_fen = base_fen * 3_000 * (last - first).days // 1_000_000
        data = av.LateFeeAssessed(
            fee_id=fee_id,
            charge_id=charge_id,
            base_fen=base_fen,
            rate_ppm=3_000,
            from_=from_,
            to=to,
            amount_fen=more.pop("amount_fen", lawful_fen),
        )
        return self.add(data, about=fee_id, **more)

    def reversed(self, charge_id=None, amount_fen=10_000, *, fee_id=None, **more):
        data = av.ChargeReversed(charge_id=charge_id, fee_id=fee_id, amount_fen=amount_fen, reason="wrong")
        return self.add(data, about=charge_id or fee_id, **more)

    def paid(self, amount_fen=10_000, *, on=None, payment_id="py", **more):
        """Pay, by the value date that is given or on the day itself."""
        value_date = on or str(moment(more.get("at") or self.now.isoformat(), self.region).date())
        data = av.PaymentReceived(
            payment_id=payment_id, amount_fen=amount_fen, value_date=value_date, method="cash"
        )
        return self.add(data, about=payment_id, **more)

    def bounced(self, payment_id="py", **more):
        return self.add(av.PaymentReversed(payment_id=payment_id, reason="bounced"), about=payment_id, **more)

    def written_off(self, amount_fen=10_000, **more):
        return self.add(av.DebtWrittenOff(amount_fen=amount_fen, approver="boss"), **more)

    # -- service, notices and holds

    def suspended(self, reason="arrears", mode=None, **more):
        return self.add(av.ServiceSuspended(reason=reason, mode=mode), about=reason, **more)

    def resumed(self, **more):
        return self.add(av.ServiceResumed(reason="paid"), about="paid", **more)

    def terminated(self, reason="arrears", **more):
        return self.add(av.ServiceTerminated(reason=reason), about=reason, **more)

    def tried(
        self, purpose, channel="sms", *, notice_id="n", contact="CP", package=None, charges=None, **more
    ):
        """Try to reach the customer."""
        data = av.NoticeAttempted(
            notice_id=notice_id,
            purpose=purpose,
            channel=channel,
            contact_point_id=contact,
            attempt_no=1,
            package_id=package,
            charge_ids=charges,
        )
        return self.add(data, about=notice_id, **more)

    def delivered(self, notice_id="n", **more):
        return self.add(av.NoticeDelivered(notice_id=notice_id), about=notice_id, **more)

    def told(self, purpose, on, notice_id=None, **more):
        """Reach the customer on a day."""
        name = notice_id or f"{purpose}@{on}"
        return self.tried(purpose, notice_id=name, at=on, **more).delivered(name, at=on)

    def hold(self, *scope, charges=None, hold_id="H", **more):
        data = av.DisputeHoldPlaced(
            hold_id=hold_id, amount_fen=10_000, charge_ids=charges, case_id="C", scope=scope
        )
        return self.add(data, about=hold_id, **more)

    def let_go(self, hold_id="H", outcome="rejected", **more):
        return self.add(av.DisputeHoldReleased(hold_id=hold_id, outcome=outcome), about=hold_id, **more)

    # -- a dealer, a case, the rulebook

    def dealer(self, manager_id="M", **more):
        return self.add(dv.DealerAuthorised(name="Shop", manager_id=manager_id), **more)

    def blocked(self, **more):
        return self.add(dv.DealerBlocked(reason="misuse", case_id="C"), **more)

    def reinstated(self, **more):
        return self.add(dv.DealerReinstated(reason="appeal"), **more)

    def penalty(self, kind, subject_id, **more):
        data = cv.PenaltyImposed(
            penalty_id=f"{kind}-{subject_id}",
            subject_kind=kind,
            subject_id=subject_id,
            kind="fine",
            finding_ids=(),
        )
        return self.add(data, about=subject_id, **more)

    def complaint(self, **more):
        data = cv.ComplaintReceived(
            party_id="P", account_ids=["A"], category="billing", summary="s", answer_due_on="2015-01-31"
        )
        return self.add(data, **more)

    def answered(self, **more):
        return self.add(cv.ComplaintAnswered(outcome="upheld"), **more)

    def contacted(self, staff_id="S1", *, clearly=None, **more):
        data = cv.InteractionRecorded(
            staff_id=staff_id, direction="outbound", summary="s", explained_clearly=clearly
        )
        return self.add(data, about=staff_id, **more)

    def promised(self, due="2015-02-10T18:00:00", commitment_id="CM", **more):
        data = cv.CommitmentMade(
            commitment_id=commitment_id, solution="s", due_at=f"{due}+08:00", remedy_if_missed="waived"
        )
        return self.add(data, about=commitment_id, **more)

    def met(self, commitment_id="CM", **more):
        return self.add(cv.CommitmentMet(commitment_id=commitment_id), about=commitment_id, **more)

    def missed(self, commitment_id="CM", **more):
        return self.add(cv.CommitmentMissed(commitment_id=commitment_id), about=commitment_id, **more)

    def handled(self, **more):
        return self.add(cv.HandlingStarted(handler_id="S1"), **more)

    def granted(self, commitment_id=None, **more):
        return self.add(cv.RemedyGranted(kind="other", commitment_id=commitment_id), **more)

    def published(self, rule_id, version, in_force_from, parameters=None, *, until=None, **more):
        data = RuleVersionPublished(
            rule_id=rule_id,
            version=version,
            in_force_from=in_force_from,
            in_force_to=until,
            parameters=parameters or {},
            citation=f"our own rule {version}",
        )
        return self.add(data, about=version, subject="rulebook/heilongjiang", **more)


def _asked_at(text, region):
    return moment(text, region) if "T" in text else moment_of(text, region, "known_at")


def mixed(events, seed):
    """Return the events with their streams mixed anew, each stream in its own order."""
    streams: dict[str, list[Event]] = {}
    for event in events:
        streams.setdefault(event.subject, []).append(event)
    chance = random.Random(seed)
    turns = [subject for subject, stream in streams.items() for _ in stream]
    chance.shuffle(turns)
    left = {subject: iter(stream) for subject, stream in streams.items()}
    return [next(left[subject]) for subject in turns]


def subscriber(line="fixed_broadband", **contract):
    """Return a history that begins with a party and its account."""
    return History().party().account(line=line, **contract)


def in_arrears(line="fixed_broadband", **contract):
    """Return a history of one month's charge of 100 yuan that was due on 2014-04-30 and is unpaid."""
    history = subscriber(line, **contract).at("2014-03-01").sold_monthly("2014-03-01")
    return history.at("2014-04-01").charge("m1")
