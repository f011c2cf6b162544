"""Complaints: promised before they are handled, answered in time, explained by one person; and what they lead to."""

from dataclasses import dataclass
from typing import Any, Literal

from api.population.chronicle import AUDITORS, CARE, CRM, HEAD, Actor, Moment
from api.population.contracts import Contract
from api.population.people import Person
from api.population.registrations import authorise, verify

CLOSED_WITHIN_DAYS = 40
"""A complaint comes no later than so long before the last day: nothing of it is left open."""

Promise = Literal["met", "missed"]


@dataclass(slots=True)
class Complaint:
    """A case of a party about one of its accounts."""

    case_id: str
    person: Person
    contract: Contract
    day: int

    @property
    def subject(self) -> str:
        """The case's stream."""
        return f"case/{self.case_id}"

    def note(self, kind: str, at: Moment, data: dict[str, Any], by: Actor = CARE) -> str:
        """Note something on the case; return the event's id."""
        return self.person.chronicle.note(self.subject, kind, at, data, by=by)

    def receive(self, category: str) -> None:
        """Take the complaint in, promise, and start to handle it."""
        person, day = self.person, self.day
        self.note(
            "ComplaintReceived",
            (day, 600),
            {
                "party_id": person.party_id,
                "account_ids": [self.contract.account_id],
                "category": category,
                "summary": "客户来电投诉,要求核实",
                "answer_due_on": person.years.names[day + 15],
            },
            (person.by[0], "hotline"),
        )
        self.note("CaseAssigned", (day, 605), {"owner_id": "S-20", "unit": "complaints"})
        promised = {
            "commitment_id": f"{self.case_id}-K1",
            "solution": "核实后答复",
            "due_at": person.chronicle.moment((day + 5, 1_080)),
            "remedy_if_missed": "减免一个月费用",
        }
        self.note("CommitmentMade", (day, 610), promised)
        self.note("HandlingStarted", (day, 640), {"handler_id": "S-20"})

    def handle(self, promise: Promise, outcome: str) -> int:
        """Speak with the customer, keep the promise or make it good, answer and close; return the day of the end."""
        person, chance, day = self.person, self.person.chance, self.day
        for contact in range(chance.between(1, 3)):
            data = {
                "staff_id": "S-20",
                "direction": "outbound" if contact else "inbound",
                "summary": "已向客户说明",
                "explained_clearly": True,
            }
            self.note("InteractionRecorded", (day, 650 + 10 * contact), data)
        kept = {"commitment_id": f"{self.case_id}-K1"}
        if promise == "met":
            self.note("CommitmentMet", (day + chance.between(1, 4), 900), kept)
        else:
            self.note("CommitmentMissed", (day + 6, 600), kept, CRM)
            self.note("RemedyGranted", (day + 6, 700), {"kind": "other", **kept})
        if chance.happens(0.5):
            self._look_into(day + chance.between(1, 4))
        answered = day + chance.between(6, 12)
        self.note("ComplaintAnswered", (answered, 1_000), {"outcome": outcome})
        closed = answered + chance.between(0, 6)
        if outcome != "rejected":
            self.note("ApologyIssued", (answered, 1_005), {"by": "unit complaints"})
        elif chance.happens(0.15):
            self.note(
                "AppealFiled",
                (closed, 1_015),
                {"body": "provincial communications administration"},
                person.by,
            )
            closed += chance.between(5, 20)
            decided = {"decision": "rejected"}
            self.note("AppealDecided", (closed, 900), decided, ("regulator/province", "regulator"))
        self.note("CaseClosed", (closed, 1_020), {"outcome": outcome})
        return answered

    def _look_into(self, day: int) -> None:
        """Look at the papers, and say who was shown the customer's data."""
        chance, person = self.person.chance, self.person
        evidence = {
            "evidence_id": f"{self.case_id}-E1",
            "sha256": f"{chance.getrandbits(256):064x}",
            "media_type": "audio/wav",
            "title": "客服录音",
        }
        self.note("EvidenceAttached", (day, 800), evidence)
        shown = {"fields": ["name", "id_number"], "purpose": "complaint", "case_id": self.case_id}
        person.note("PersonalDataDisclosed", (day, 790), shown, CARE)


def complain(complaint: Complaint, promise: Promise, *, hold: bool) -> None:
    """Let a customer complain; what they dispute is held until the answer."""
    chance, contract = complaint.person.chance, complaint.contract
    outcome = chance.one(("upheld", "partly_upheld", "rejected", "rejected"))
    complaint.receive(chance.one(("billing", "billing", "service", "coverage")))
    if hold:
        disputed = {
            "hold_id": f"{complaint.case_id}-H",
            "amount_fen": chance.between(500, contract.price_fen),
            "case_id": complaint.case_id,
            "scope": ["late_fee", "suspension", "blacklist"],
        }
        contract.note("DisputeHoldPlaced", (complaint.day, 615), disputed, CARE)
    answered = complaint.handle(promise, outcome)
    if hold:
        released = {
            "hold_id": f"{complaint.case_id}-H",
            "outcome": "rejected" if outcome == "rejected" else "upheld",
        }
        contract.note("DisputeHoldReleased", (answered, 1_001), released, CARE)
    if outcome == "upheld" and contract.plan.payer == "punctual":
        _make_good(complaint, answered)


def _make_good(complaint: Complaint, day: int) -> None:
    """Grant a credit, or take a part of a paid charge back and refund it."""
    chance, contract = complaint.person.chance, complaint.contract
    paid = [c for c in contract.posted if c.due < complaint.day]
    if not paid or chance.happens(0.5):
        credit = {
            "credit_id": f"{complaint.case_id}-CR",
            "amount_fen": chance.between(1, 20) * 100,
            "reason": "goodwill",
            "case_id": complaint.case_id,
        }
        contract.note("CreditGranted", (day, 1_002), credit, HEAD)
        return
    charge = paid[-1]
    contract.posted.remove(charge)
    amount_fen = max(1, charge.amount_fen // chance.between(1, 4))
    case = {"amount_fen": amount_fen, "case_id": complaint.case_id}
    contract.note(
        "ChargeReversed", (day, 1_002), {"charge_id": charge.charge_id, "reason": "complaint", **case}, HEAD
    )
    contract.note("RefundPaid", (day + 1, 600), {"method": "bank_transfer", **case}, HEAD)
    granted = {"kind": "refund", "account_id": contract.account_id, "amount_fen": amount_fen}
    complaint.note("RemedyGranted", (day, 1_003), granted, HEAD)


def uncover(complaint: Complaint, dealer_id: str, manager_id: str) -> None:
    """Let a customer find that a dealer registered a number in their name, and the dealer answer for it."""
    person, day, chance = complaint.person, complaint.day, complaint.person.chance
    registered = day - chance.between(5, 40)
    authorise(person.chronicle, dealer_id, manager_id, max(0, registered - 100))
    registration_id = f"{complaint.case_id}-R"
    verify(person, registration_id, registered, 590, dealer_id)
    complaint.receive("identity")
    misuse = {
        "registration_ids": [registration_id],
        "numbers": [],
        "dealer_id": dealer_id,
        "case_id": complaint.case_id,
    }
    audited = {"registration_id": registration_id, "result": "breach"}
    person.note("RegistrationAudited", (day + 1, 600), audited, AUDITORS)
    confirmed = person.note("IdentityMisuseConfirmed", (day + 1, 610), misuse, AUDITORS)
    blocked = {"reason": "identity misuse", "case_id": complaint.case_id}
    person.chronicle.note(
        f"dealer/{dealer_id}",
        "DealerBlocked",
        (day + chance.between(1, 5), 620),
        blocked,
        by=HEAD,
    )
    finding = {
        "finding_id": f"{complaint.case_id}-F",
        "rule_id": "real-name",
        "rule_version": "1",
        "verdict": "breach",
        "evidence_event_ids": [confirmed],
        "amount_fen": 0,
    }
    complaint.note("FindingRecorded", (day + 1, 640), finding)
    for kind, subject_id in (("dealer", dealer_id), ("manager", manager_id)):
        penalty = {
            "penalty_id": f"{complaint.case_id}-{kind}",
            "subject_kind": kind,
            "subject_id": subject_id,
            "kind": "fine",
            "amount_fen": 100_000,
            "finding_ids": [f"{complaint.case_id}-F"],
        }
        complaint.note("PenaltyImposed", (day + chance.between(2, 6), 700), penalty, HEAD)
    answered = complaint.handle("met", "upheld")
    _correct(complaint, answered)


def _correct(complaint: Complaint, day: int) -> None:
    """Put right what lies behind a misuse: the dealers are trained and looked at."""
    action = {"action_id": f"{complaint.case_id}-X1"}
    opened = {
        **action,
        "scope": "city",
        "title": "check all registrations of the dealer",
        "root_cause": "execution",
        "due_on": complaint.person.years.names[day + 30],
    }
    complaint.note("CorrectiveActionOpened", (day, 1_010), opened, HEAD)
    for later, kind in enumerate(("review", "training", "inspection"), 1):
        complaint.note("CorrectiveActionStepCompleted", (day + later, 660), {**action, "kind": kind}, HEAD)
    complaint.note("CorrectiveActionClosed", (day + 5, 660), action, HEAD)
