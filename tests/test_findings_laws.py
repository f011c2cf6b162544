"""Laws of findings: reproducible, independent of the import's order, unchanged by what became known later."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.events import Recorded
from domain.rules.finding import VERDICTS, digest_of
from domain.rules.table import RULE_IDS, Inquiry, findings
from tests.histories import History, mixed
from tests.test_replay import WANTED, history_of

FAR = 10**9
FIELDS = {
    "rule_id", "rule_version", "citation", "subject", "verdict", "required", "observed", "evidence_event_ids",
    "absent_event_types", "amount_fen", "remedy",
}  # fmt: skip
ORDER = {rule_id: n for n, rule_id in enumerate(RULE_IDS)}


def days(earliest, latest):
    """Return days as text."""
    return st.integers(0, (latest - earliest).days).map(lambda n: (earliest + timedelta(n)).isoformat())


DAYS = days(datetime(2013, 1, 1, tzinfo=UTC).date(), datetime(2017, 12, 31, tzinfo=UTC).date())
AMOUNTS = st.sampled_from([1, 3_000, 10_000, 25_000])
CHARGES = st.sampled_from(["m1", "m2", "m3"])
REGISTRATIONS = st.sampled_from(["R1", "R2", "R3"])
SCOPES = st.sampled_from([("late_fee",), ("suspension",), ("late_fee", "suspension", "blacklist")])
PURPOSES = st.sampled_from(["pre_expiry", "post_expiry", "arrears", "renewal"])
ENTRIES = st.sampled_from(["B1", "B2", None])
PERIODS = st.sampled_from(
    [("2013-03-01", "2013-04-01"), ("2014-02-01", "2014-03-01"), ("2014-03-01", "2014-04-01")]
)
SPANS = st.sampled_from([("2014-05-01", "2014-05-11"), ("2014-05-05", "2014-06-05")])
OPTIONS = st.sampled_from(["suspend", "convert_to_monthly", "renew_annual"])
BY = st.sampled_from(["customer", "staff_default", "system_default"])
ACTS = st.one_of(
    st.tuples(st.just("presented")),
    st.tuples(st.just("chose"), OPTIONS, BY),
    st.tuples(st.just("sold_annual")),
    st.tuples(st.just("converted")),
    st.tuples(st.just("renewed")),
    st.tuples(st.just("plan_changed"), DAYS),
    st.tuples(st.just("cancelled"), DAYS),
    st.tuples(st.just("month"), CHARGES, AMOUNTS, PERIODS, DAYS),
    st.tuples(st.just("levy"), CHARGES, SPANS, AMOUNTS),
    st.tuples(st.just("reversed"), CHARGES, AMOUNTS),
    st.tuples(st.just("pay"), AMOUNTS, DAYS),
    st.tuples(st.just("bounced")),
    st.tuples(st.just("suspended"), st.sampled_from(["arrears", "expiry", "fraud"])),
    st.tuples(st.just("resumed")),
    st.tuples(st.just("terminated"), st.sampled_from(["arrears", "customer_request"])),
    st.tuples(st.just("told_now"), PURPOSES, st.sampled_from(["CP", "CQ", None])),
    st.tuples(st.just("dispute"), SCOPES),
    st.tuples(st.just("let_go")),
    st.tuples(st.just("verified"), REGISTRATIONS, st.sampled_from(["in_person", "online"])),
    st.tuples(
        st.just("number"), st.sampled_from(["N1", "N2", "N3"]), REGISTRATIONS, st.sampled_from(["D", None])
    ),
    st.tuples(st.just("ported_in"), st.sampled_from(["N1", "N4"])),
    st.tuples(st.just("released"), st.sampled_from(["N1", "N2"])),
    st.tuples(st.just("audited"), REGISTRATIONS),
    st.tuples(st.just("misused"), REGISTRATIONS),
    st.tuples(st.just("abandoned")),
    st.tuples(st.just("contact")),
    st.tuples(st.just("listed"), st.sampled_from(["B1", "B2"])),
    st.tuples(st.just("unlisted"), st.sampled_from(["B1", "B2"])),
    st.tuples(st.just("refused"), ENTRIES),
    st.tuples(st.just("dealer"), st.sampled_from(["M", "M2"])),
    st.tuples(st.just("blocked")),
    st.tuples(st.just("reinstated")),
    st.tuples(st.just("penalty"), st.sampled_from(["dealer", "manager"]), st.sampled_from(["D", "M"])),
    st.tuples(st.just("complaint")),
    st.tuples(st.just("answered")),
    st.tuples(st.just("contacted"), st.sampled_from(["S1", "S2", "S3"])),
    st.tuples(st.just("promised")),
    st.tuples(st.just("met")),
    st.tuples(st.just("missed")),
    st.tuples(st.just("handled")),
    st.tuples(st.just("granted")),
    st.tuples(st.just("transferred"), st.sampled_from(["P", "Q"])),
    st.tuples(st.just("merged"), st.just("P"), st.sampled_from(["P", "Q"])),
    st.tuples(st.just("on"), st.sampled_from(["A", "A2"])),
)
LATENESS = st.sampled_from([0, 0, 0, 1, 40, 400])


class Anything(History):
    """What may be put down of a customer, right or wrong."""

    late = 0

    def add(self, data, **more):
        if self.late and "known" not in more:
            when = self.now + timedelta(days=self.late)
            more["known"] = when.isoformat()
        return super().add(data, **more)

    def month(self, charge_id, amount_fen, period, due):
        return self.charge(charge_id, amount_fen, start=period[0], end=period[1], due=due)

    def levy(self, charge_id, span, base_fen):
        return self.fee(charge_id, *span, base_fen=base_fen, fee_id=f"lf{len(self.events)}")

    def pay(self, amount_fen, value_date):
        return self.paid(amount_fen, on=value_date, payment_id=f"py{len(self.events)}")

    def dispute(self, scope):
        return self.hold(*scope)

    def bounced(self):
        paid = [e.data.payment_id for e in self.events if e.type == "PaymentReceived"]
        return super().bounced(paid[-1] if paid else "none")

    def told_now(self, purpose, contact):
        name = f"n{len(self.events)}"
        return self.tried(purpose, notice_id=name, contact=contact).delivered(name)


@st.composite
def lives(draw):
    """Return what happened to two accounts of a customer, in any order and known at any time."""
    history = Anything().party("Q", contact="CQ").party("P")
    history.account("A2", "mobile", late_fee_start="after_suspension").account("A")
    for when, late, act in draw(st.lists(st.tuples(DAYS, LATENESS, ACTS), min_size=5, max_size=60)):
        history.at(when).late = late
        getattr(history, act[0])(*act[1:])
    return history


SUBJECTS = st.sampled_from(["party/P", "party/Q", "account/A", "account/A2", "dealer/D", "case/C"])


@settings(max_examples=150, deadline=None)
@given(lives(), SUBJECTS, DAYS)
def test_every_finding_is_whole(history, subject, known_at):
    """All fields, known evidence, no negative amount; one of a rule, subject and verdict, in the table's order."""
    answer = history.answer(subject, known_at)
    ids = {e.id for e in history.events}
    seen, by_subject = set(), {}
    for found in answer["findings"]:
        assert found.keys() == FIELDS
        assert found["verdict"] in VERDICTS
        assert all(found[k] for k in ("rule_version", "citation", "required", "observed"))
        assert bool(found["remedy"]) == (found["verdict"] == "breach")
        assert set(found["evidence_event_ids"]) <= ids
        assert len(set(found["evidence_event_ids"])) == len(found["evidence_event_ids"])
        assert found["amount_fen"] >= 0
        assert found["verdict"] == "breach" or found["amount_fen"] == 0
        key = (found["rule_id"], found["subject"], found["verdict"])
        assert key not in seen
        seen.add(key)
        by_subject.setdefault(found["subject"], []).append(ORDER[found["rule_id"]])
    assert all(order == sorted(order) for order in by_subject.values())
    assert answer["digest"] == digest_of({k: v for k, v in answer.items() if k != "digest"})


@settings(max_examples=100, deadline=None)
@given(lives(), SUBJECTS, DAYS, st.integers(0, 10**6))
def test_the_order_in_which_streams_were_imported_changes_no_finding(history, subject, known_at, seed):
    """Given the streams mixed anew, each in its own order, then the answer is the same, its digest too."""
    assert history.answer(subject, known_at, shuffle=seed) == history.answer(subject, known_at)


@settings(max_examples=100, deadline=None)
@given(lives(), SUBJECTS, DAYS)
def test_what_became_known_later_changes_no_finding_of_before(history, subject, known_at):
    """Given only the events recorded by a moment, then the answer as known then is the same."""
    until = Anything()
    asked = datetime.fromisoformat(f"{known_at}T23:59:59.999999+08:00")
    until.events = [e for e in history.events if e.recordedtime <= asked]
    assert history.answer(subject, asked) == until.answer(subject, asked)


@settings(max_examples=100, deadline=None)
@given(lives(), SUBJECTS, st.integers(0, 60), st.integers(0, 10**6))
def test_what_was_imported_later_changes_no_answer_at_a_position(history, subject, position, seed):
    """Given the log cut off at a position, then the answer there is the same, in whatever order it is handed in."""
    whole = history.recorded()
    cut = {s: [r for r in stream if r.position <= position] for s, stream in whole.items()}
    inquiry = Inquiry(subject, datetime(2030, 1, 1, tzinfo=UTC), position, history.region)
    subjects = list(whole)
    random.Random(seed).shuffle(subjects)
    turned = {s: whole[s][::-1] for s in subjects}
    assert findings(inquiry, turned) == findings(inquiry, cut)


@pytest.mark.parametrize("name", WANTED)
def test_the_shared_disputes_are_found_alike_in_any_order_of_import(name):
    """Streams mixed anew, twenty times."""
    history = history_of(name)
    ask = WANTED[name]["ask"]
    inquiry = Inquiry(ask["subject"], datetime.fromisoformat(ask["known_at"]), FAR, history[0].event.region)

    def answer(events):
        histories = {}
        for position, event in enumerate(events, 1):
            stream = histories.setdefault(event.subject, [])
            stream.append(Recorded(event, len(stream) + 1, position))
        return findings(inquiry, histories)

    events = [r.event for r in history]
    assert (
        len({answer(mixed(events, seed))["digest"] for seed in range(20)} | {answer(events)["digest"]}) == 1
    )


@settings(max_examples=60, deadline=None)
@given(lives(), SUBJECTS, st.sampled_from(RULE_IDS))
def test_asked_for_one_rule_its_findings_are_those_of_the_whole_answer(history, subject, rule_id):
    """`only` leaves the others out and changes nothing."""
    inquiry = Inquiry(subject, datetime(2030, 1, 1, tzinfo=UTC), FAR, history.region)
    whole = findings(inquiry, history.recorded())["findings"]
    one = findings(inquiry, history.recorded(), only=rule_id)["findings"]
    assert one == [f for f in whole if f["rule_id"] == rule_id]


def test_ids_are_of_their_source_and_evidence_says_which_where_two_use_one():
    """A charge of the billing system rests on the sale of the shop's; both count their events from 1."""
    shop, billing = History(source="urn:shop").party().account(), History(source="urn:billing")
    shop.at("2013-03-01").sold_annual().sold_monthly("2013-03-01", package="TV")
    billing.at("2014-04-01").charge("broadband", basis="urn:shop#PackageSubscribed:PK")
    billing.charge("television", basis="urn:shop#PackageSubscribed:TV")
    billing.charge("unknown", basis="urn:nobody#PackageSubscribed:PK")
    both = History()
    renamed = [replace(e, id=f"{n}") for part in (shop, billing) for n, e in enumerate(part.events, 1)]
    renamed = [replace(e, data=_resting_on(e.data, shop)) for e in renamed]
    both.events = renamed
    found = both.findings("charge-basis")
    assert found.keys() == {"breach"}
    assert found["breach"]["evidence_event_ids"] == ["urn:billing#1"]


def _resting_on(data, shop):
    """Return a charge with the shop's event counted instead of named."""
    source, _, name = (getattr(data, "basis_event_id", None) or "").partition("#")
    numbers = {e.id: n for n, e in enumerate(shop.events, 1)}
    return replace(data, basis_event_id=f"{source}#{numbers[name]}") if name else data


def test_a_rulebook_is_measured_by_no_rule():
    """Asked for a rulebook, there are no findings, and no error."""
    asked = Inquiry("rulebook/heilongjiang", datetime(2015, 1, 1, tzinfo=UTC), FAR, "heilongjiang")
    assert findings(asked, {})["findings"] == []
