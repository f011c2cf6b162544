"""Lawful years, and what it takes to put something wrong into them.

The years are lived by an operator that only asks commands and closes its days (`tests.lawful`), so that nothing in
them is wrong. Wrong conduct is not reachable by commands: it is planted as an import would bring it, by an
event that is added raw, one that is missing, or one that came too late.
"""

import functools
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, NamedTuple

from domain.calendar import day_of, start_of
from domain.closing import Offer
from domain.commands import account as ac
from domain.commands import case as cc
from domain.commands import dealer as dc
from domain.commands import party as pc
from domain.counterfactual import counterfactual
from domain.events import Event, Recorded
from domain.events import account as av
from domain.rules.table import Inquiry, findings
from tests.lawful import REGION, Operator

ONE_DAY = timedelta(days=1)
FAR = 10**9
TARIFF = {"BB": Offer("BB-M", 10_000, 96_000)}
OUTCOMES = ("delivered", "delivered", "no_answer", "silent")


# -- lawful years -------------------------------------------------------------------------------------------


class Life(NamedTuple):
    """Which years are lived: from when, what the customer of account A chose, and everything else by chance."""

    first: str
    option: str
    seed: int


LIVES = [
    Life(first, option, seed)
    for seed, (first, option) in enumerate(
        [
            ("2014-12-20", "suspend"),
            ("2014-12-31", "renew_annual"),
            ("2015-02-28", "convert_to_monthly"),
            ("2016-06-02", "suspend"),
            ("2018-01-31", "renew_annual"),
            ("2023-08-10", "renew_annual"),
            ("2024-02-29", "renew_annual"),
            ("2024-06-30", "convert_to_monthly"),
        ]
    )
]  # fmt: skip


@functools.cache
def lived(life: Life) -> Operator:
    """Return the operator after some three years of a customer who pays late, complains and cancels."""
    chance = random.Random(life.seed)
    o = Operator(life.first, TARIFF, lambda r, n: "delivered" if r.channel == "visit" else OUTCOMES[n % 4])
    o.register()
    o.authorise()
    o.open("A")
    o.sell(life.option, "A", "PA")
    o.pay("A")
    o.open("B", late_fee_start=chance.choice(["after_due", "after_suspension"]))
    end = o.sell("convert_to_monthly", "B", "PB")
    o.pay("B")
    o.open("C", line="fixed_voice")
    o.ask("account/C", ac.SubscribePackage(
        package_id="PC", offer_id="V", cycle="monthly", price_fen=2_000, start=o.today,
    ))  # fmt: skip
    _registrations(o, chance)
    _complaints(o, chance)
    o.live(chance.randint(1, 60))
    o.pay("C")
    o.ask("account/C", ac.RequestCancellation(
        effective_from=o.today + timedelta(days=chance.randint(0, 20))), evidenceref="C",
    )  # fmt: skip
    o.live(30)
    o.pay("C")
    o.ask("account/B", ac.PlaceDisputeHold(
        hold_id="H", amount_fen=100, case_id="K2", scope=("late_fee", "suspension", "blacklist"),
    ))  # fmt: skip
    o.live(chance.randint(1, 20))
    o.ask("account/B", ac.ReleaseDisputeHold(hold_id="H", outcome="rejected"))
    o.live_until(end.isoformat())
    if chance.random() < 0.5:
        o.live(chance.randint(0, 60))
        o.pay("A")
    _debtor(o, chance)
    o.live(120)
    return o


def _registrations(o, chance):
    """Let a dealer register two numbers: one goes live, the other turns out to be a misuse of the documents."""
    o.open("M", line="mobile")
    o.live(chance.randint(1, 20))
    o.verify("R1", dealer_id="D")
    o.ask("account/M", ac.ActivateNumber(number="139", number_id="N1", registration_id="R1", dealer_id="D"))
    o.ask("account/M", ac.SubscribePackage(
        package_id="PM", offer_id="MM", cycle="monthly", price_fen=5_000, start=o.today,
    ))  # fmt: skip
    o.verify("R2", dealer_id="D")
    o.live(chance.randint(1, 40))
    for registration_id in ("R1", "R2"):
        o.ask("party/P", pc.AuditRegistration(registration_id=registration_id, result="clean"))


def _complaints(o, chance):
    """Answer one complaint as promised; find the misuse by another, whose promise is missed and made good."""
    o.complain("K")
    o.live(chance.randint(1, 4))
    o.ask("case/K", cc.MeetCommitment(commitment_id="C1"))
    o.ask("case/K", cc.RecordInteraction(
        staff_id="S1", direction="outbound", summary="explained", explained_clearly=True,
    ))  # fmt: skip
    o.live(chance.randint(1, 4))
    o.ask("case/K", cc.AnswerComplaint(outcome="rejected"))
    o.live(chance.randint(5, 30))
    o.complain("K2")
    o.ask("party/P", pc.ConfirmIdentityMisuse(registration_ids=("R2",), dealer_id="D", case_id="K2"))
    o.live(chance.randint(0, 4))
    o.ask("dealer/D", dc.BlockDealer(reason="misuse", case_id="K2"))
    o.ask("case/K2", cc.RecordFinding(
        finding_id="F", rule_id="dealer-block", rule_version="1", verdict="breach",
        evidence_event_ids=(o.histories["party/P"][0].event.id,), amount_fen=0,
    ))  # fmt: skip
    for kind, subject_id in (("dealer", "D"), ("manager", "M1")):
        o.live(chance.randint(0, 2))
        o.ask("case/K2", cc.ImposePenalty(
            penalty_id=f"PN-{kind}", subject_kind=kind, subject_id=subject_id, kind="fine", amount_fen=1_000,
            finding_ids=("F",),
        ))  # fmt: skip
    o.live(15)


def _debtor(o, chance):
    """Pay account B only once it is suspended, and not again until it ended and its holder was listed."""
    o.live(80 + chance.randint(0, 9))
    o.pay("B")
    o.live(240 + chance.randint(0, 20))
    for entry_id in list(o.state("party/P").blacklist):
        o.ask("party/P", pc.RefuseSignUp(reason="blacklisted", entry_id=entry_id))
    o.pay("B")
    o.live(chance.randint(5, 40))


@functools.cache
def found_in(life: Life) -> list[dict[str, Any]]:
    """Return what is found in lawful years."""
    return lived(life).findings()


# -- planting -----------------------------------------------------------------------------------------------


class UnsuitedError(Exception):
    """In these years, what was drawn can't be put wrong."""


def suited(true):
    """Go on where the years serve for what is planted."""
    if not true:
        raise UnsuitedError


@dataclass
class Breach:
    """What should be found: on which subject, shown by which events, which types absent, and the amount in fen."""

    subject: str
    evidence: tuple[str, ...]
    absent: tuple[str, ...] = ()
    amount_fen: int = 0


class Planting:
    """Lawful years into which something wrong is put; `number(least, most)` draws what is open about it."""

    def __init__(self, life: Life, number: Callable[[int, int], int]) -> None:
        self.life, self.operator, self.number = life, lived(life), number
        self.histories = {s: list(h) for s, h in self.operator.histories.items()}
        self.known_at = self.operator.known_at()
        self.today = day_of(self.known_at, REGION)
        self.planted = 0
        self.last: Event | None = None

    # -- what is there

    def of(self, kind, subject=None, /, **wanted):
        """Return the events of a type, of one stream or all, whose fields have these values."""
        streams = [self.histories[subject]] if subject else self.histories.values()
        return [
            r for h in streams for r in h
            if isinstance(r.event.data, kind) and all(getattr(r.event.data, n) == v for n, v in wanted.items())
        ]  # fmt: skip

    def terms(self):
        """Return the annual packages sold whose year ended while the service went on, long enough ago."""
        return [
            r
            for r in self.of(av.PackageSubscribed, cycle="annual")
            if r.event.data.end + 35 * ONE_DAY < self.today
        ]

    # -- what is drawn

    def one(self, candidates):
        """Draw one of what there is; where there is nothing, these years do not serve."""
        suited(candidates)
        return candidates[self.number(0, len(candidates) - 1)]

    def days(self, least, most):
        """Draw a number of days."""
        return timedelta(days=self.number(least, most))

    def day(self, first, last):
        """Draw a day, both ends included."""
        last = min(last, self.today)
        suited(first <= last)
        return first + self.days(0, (last - first).days)

    def fen(self, most=50_000):
        """Draw a sum."""
        return self.number(1, most)

    # -- what is put in

    def add(self, subject, data, on, hour=12):
        """Record that something happened on a day, as an import would; return the event's id."""
        moment = on if hasattr(on, "hour") else start_of(on, REGION) + timedelta(hours=hour)
        suited(moment <= self.known_at)
        self.planted += 1
        event = Event(
            id=f"planted{self.planted}", source="urn:recount:lawful", subject=subject, time=moment,
            recordedtime=moment, actor="staff/S9", channel="store", region=REGION, data=data,
        )  # fmt: skip
        self.last = event
        stream = self.histories.setdefault(subject, [])
        stream.append(Recorded(event, len(stream) + 1, self.operator.position + self.planted))
        return event.id

    def drop(self, *recorded):
        """Leave events out."""
        for r in recorded:
            self.histories[r.event.subject].remove(r)

    def put_off(self, recorded, by):
        """Let something have happened later, which is only now on record; return the event's id."""
        self.drop(recorded)
        return self.add(recorded.event.subject, recorded.event.data, recorded.event.time + by)

    # -- what comes of it

    def found(self):
        """Return the findings on the customer, as known at the end of the years."""
        return findings(Inquiry("party/P", self.known_at, FAR, REGION), self.histories)["findings"]

    def lawful(self):
        """Return what should have happened."""
        return counterfactual(
            "party/P", self.histories, known_at=self.known_at, position=FAR, region=REGION,
            until=self.operator.today - ONE_DAY, assume={},
        )  # fmt: skip


def on(recorded) -> date:
    """Return the day of an event."""
    return day_of(recorded.event.time, REGION)


@dataclass
class Plant:
    """How a rule is broken, which other breaches may follow from that, and which verdicts that are none."""

    sow: Callable[[Planting], Breach]
    follows: frozenset[str]
    touches: frozenset[str]


PLANTS: dict[str, Plant] = {}


def breaks(rule_id, follows=(), touches=()):
    """Say which rule a planting breaks."""

    def named(sow):
        PLANTS[rule_id] = Plant(sow, frozenset(follows), frozenset(touches))
        return sow

    return named
