"""A customer's claims: confirmed, contradicted or unknown, and by which events."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.inquiry_compare import weighed
from domain.calendar import moment_of
from domain.claims import WEIGHED, weigh
from domain.claims.forms import CLAIMS_MAX, FORMS, parse_claims, schema, table
from domain.events import MalformedError
from domain.events import account as av
from domain.rules.table import Inquiry
from tests.conftest import CASES, HARBIN, import_file
from tests.histories import History, in_arrears, subscriber
from tests.test_counterfactual import lines_of, recorded

LATER = "2035-01-01"


def weighing(history, *claims, subject="account/A", known_at=LATER):
    """Return the whole answer to claims on a history."""
    asked = Inquiry(subject, moment_of(known_at, history.region, "known_at"), 10**9, history.region)
    return weigh(asked, history.recorded(), parse_claims(list(claims)))


def result(history, claim, *, subject="account/A", known_at=LATER, **fields):
    """Return what becomes of one claim."""
    return weighing(history, {"claim": claim, **fields}, subject=subject, known_at=known_at)["claims"][0]


def verdict(history, claim, **fields):
    return result(history, claim, **fields)["verdict"]


def paid_with(history, payment_id, *, amount_fen=10_000, on="2014-05-01", ref=None):
    data = av.PaymentReceived(
        payment_id=payment_id, amount_fen=amount_fen, value_date=on, method="cash", external_ref=ref
    )
    return history.add(data, about=payment_id, at=on)


def migrated(opened_on="2005-01-01", first="2013-01-01"):
    """Return an account whose history before it came from another system is not there."""
    history = History().party(at=opened_on).account(at=opened_on)
    data = av.AccountMigrated(legacy_system="old", legacy_id="1", opened_on=opened_on)
    return history.at(first).add(data, about="A")


# -- money


def test_a_payment_of_that_sum_and_day_confirms_it():
    """By its value date, and the payment is the evidence."""
    found = result(paid_with(in_arrears(), "a"), "paid", amount_fen=10_000, on="2014-05-01")
    assert (found["verdict"], found["event_ids"]) == ("confirmed", ["PaymentReceived:a"])


def test_two_payments_of_a_day_may_make_the_sum():
    """Paid in parts is paid."""
    history = paid_with(paid_with(in_arrears(), "a", amount_fen=4_000), "b", amount_fen=6_000)
    found = result(history, "paid", amount_fen=10_000, on="2014-05-01")
    assert (found["verdict"], len(found["event_ids"])) == ("confirmed", 2)


def test_a_payment_that_is_not_in_the_ledger_is_not_disproved():
    """The operator's ledger may lack it: unknown, with what comes nearest."""
    history = paid_with(in_arrears(), "a", amount_fen=9_000)
    found = result(history, "paid", amount_fen=10_000, on="2014-05-01")
    assert (found["verdict"], found["event_ids"], found["nearest"]) == ("unknown", [], ["PaymentReceived:a"])
    assert result(in_arrears(), "paid", amount_fen=10_000, on="2014-05-01")["nearest"] == []


def test_a_payment_that_was_taken_back_contradicts_it():
    """It was received, and did not stand."""
    history = paid_with(in_arrears(), "a").at("2014-05-03").bounced("a")
    found = result(history, "paid", amount_fen=10_000, on="2014-05-01")
    assert found["verdict"] == "contradicted"
    assert found["event_ids"] == ["PaymentReceived:a", "PaymentReversed:a"]
    assert verdict(history, "never_paid") == "confirmed"


def test_a_reference_with_another_sum_contradicts_it():
    """The operator's record of the very payment says otherwise."""
    history = paid_with(in_arrears(), "a", amount_fen=9_000, ref="R-7")
    assert verdict(history, "paid", amount_fen=10_000, on="2014-05-01", external_ref="R-7") == "contradicted"
    assert verdict(history, "paid", amount_fen=9_000, on="2014-05-01", external_ref="R-7") == "confirmed"
    assert verdict(history, "paid", amount_fen=9_000, on="2014-05-01", method="transfer") == "unknown"


def test_one_payment_id_on_two_accounts_is_two_payments():
    """That one was taken back says nothing of the other."""
    history = paid_with(in_arrears(), "a").account("B")
    history = paid_with(history, "a", on="2014-06-01").at("2014-06-02").bounced("a")
    ask = {"subject": "party/P", "amount_fen": 10_000}
    assert verdict(history, "paid", on="2014-05-01", **ask) == "confirmed"
    assert verdict(history, "paid", on="2014-06-01", **ask) == "contradicted"


def test_never_paid_is_held_against_the_value_dates():
    """In the time that is named."""
    history = paid_with(in_arrears(), "a")
    assert verdict(history, "never_paid") == "contradicted"
    assert verdict(history, "never_paid", since="2014-05-02") == "confirmed"
    assert verdict(history, "never_paid", until="2014-04-30") == "confirmed"


@pytest.mark.parametrize(
    ("on", "amount_fen", "wanted"),
    [
        ("2014-04-15", 10_000, "confirmed"),
        ("2014-04-15", 0, "contradicted"),
        ("2014-05-01", 0, "confirmed"),
        ("2040-01-01", 0, "unknown"),
    ],
)
def test_what_was_owed_is_the_balance_at_the_end_of_the_day(on, amount_fen, wanted):
    """As known now; of a day that has not come nothing is said."""
    assert verdict(paid_with(in_arrears(), "a"), "owed", on=on, amount_fen=amount_fen) == wanted


def test_what_was_owed_is_shown_by_the_open_debts():
    """The charges and fees that were not settled that day."""
    history = in_arrears().at("2014-05-11").fee()
    found = result(history, "owed", on="2014-06-01", amount_fen=0)
    assert found["event_ids"] == ["ChargePosted:m1", "LateFeeAssessed:lf"]
    assert "10300 fen" in found["because"]


def test_a_charge_is_found_by_its_sum():
    """Another sum is near, and disproves nothing."""
    assert verdict(in_arrears(), "was_charged", amount_fen=10_000) == "confirmed"
    found = result(in_arrears(), "was_charged", amount_fen=12_000)
    assert (found["verdict"], found["nearest"]) == ("unknown", ["ChargePosted:m1"])


# -- the choice at a package's end


def sold(option=None, by="customer"):
    history = subscriber().at("2013-03-01")
    if option is not None:
        history.chose(option, by)
    return history.sold_annual()


def test_the_customers_own_choice_is_one():
    """It confirms that they chose, and contradicts that they never did."""
    history = sold("convert_to_monthly")
    assert verdict(history, "chose", option="convert_to_monthly") == "confirmed"
    found = result(history, "never_chose", option="convert_to_monthly")
    assert (found["verdict"], found["event_ids"]) == ("contradicted", ["ExpiryOptionSelected:PK"])
    assert "without a reference to their consent" in found["because"]


@pytest.mark.parametrize("by", ["staff_default", "system_default"])
def test_what_staff_or_system_set_is_no_choice_of_the_customers(by):
    """It confirms that they never chose; that they said something to the clerk stays open."""
    history = sold("convert_to_monthly", by)
    found = result(history, "never_chose", option="convert_to_monthly")
    assert (found["verdict"], found["event_ids"]) == ("confirmed", ["ExpiryOptionSelected:PK"])
    assert verdict(history, "chose", option="suspend") == "unknown"
    assert verdict(history, "chose", option="convert_to_monthly") == "unknown"


def test_another_choice_of_their_own_contradicts_one():
    """The same choice made later does not: they may have said it before."""
    history = sold("suspend")
    assert verdict(history, "chose", option="renew_annual") == "contradicted"
    assert verdict(history, "never_chose", option="renew_annual") == "confirmed"
    assert verdict(history, "chose", option="suspend", by="2013-02-28") == "unknown"


def test_a_choice_for_another_package_leaves_this_one_open():
    """Two years were sold, and one choice is on record."""
    history = sold("suspend").at("2014-03-01").sold_annual("2014-03-01", "2015-03-01", "PK2")
    assert verdict(history, "chose", option="renew_annual") == "unknown"
    assert verdict(history, "chose", option="renew_annual", package_id="PK") == "contradicted"


def test_a_whole_history_without_a_choice_confirms_that_there_was_none():
    """And disproves nobody who says they chose."""
    assert verdict(sold(), "never_chose") == "confirmed"
    found = result(sold(), "chose", option="suspend")
    assert (found["verdict"], found["nearest"]) == ("unknown", ["PackageSubscribed:PK"])


def test_where_the_history_before_a_migration_is_missing_never_is_unknown():
    """What was chosen or said then is not there."""
    history = migrated().at("2013-03-01").charge("m1")
    for claim in ("never_chose", "never_paid", "never_notified", "never_presented_options", "never_verified"):
        found = result(history, claim)
        assert found["verdict"] == "unknown"
        assert "not on record" in found["because"] or "before" in found["because"]
    assert verdict(history, "never_paid", since="2013-03-01") == "confirmed"


def test_a_sale_on_record_shows_the_time_of_its_choice():
    """Given a package sold after the migration, then its missing choice is no gap."""
    history = migrated().at("2013-03-01").sold_annual()
    assert verdict(history, "never_chose") == "unknown"
    assert verdict(history, "never_chose", package_id="PK") == "confirmed"
    assert verdict(history, "never_presented_options", package_id="PK") == "confirmed"


def test_a_migrated_account_that_brought_its_history_has_no_gap():
    """Its events begin where it was opened."""
    history = History().party(at="2005-01-01").account(at="2005-01-01").at("2005-01-01").sold_annual()
    data = av.AccountMigrated(legacy_system="old", legacy_id="1", opened_on="2005-01-01")
    assert verdict(history.at("2013-01-01").add(data, about="A"), "never_chose") == "confirmed"


def test_options_were_presented_only_when_all_three_were():
    """Some of them leave it open."""
    assert verdict(subscriber().presented(), "was_presented_options") == "confirmed"
    assert verdict(subscriber().presented(), "never_presented_options") == "contradicted"
    some = subscriber().presented("suspend")
    assert verdict(some, "was_presented_options") == verdict(some, "never_presented_options") == "unknown"
    assert verdict(sold(), "never_presented_options") == "confirmed"


# -- notices


def test_a_notice_that_reached_the_customer_contradicts_never():
    """Delivered to a contact point of their own."""
    history = in_arrears().told("arrears", "2014-05-10")
    assert verdict(history, "never_notified") == "contradicted"
    assert verdict(history, "was_notified", purpose="arrears", channel="sms") == "confirmed"
    assert verdict(history, "never_notified", purpose="suspension") == "confirmed"
    assert verdict(history, "never_notified", since="2014-05-11") == "confirmed"


def test_a_notice_delivered_to_a_dead_number_reached_nobody():
    """It does not contradict "never notified", and the end of the number is evidence."""
    history = in_arrears().abandoned(at="2014-05-01").told("arrears", "2014-05-10")
    found = result(history, "never_notified")
    assert found["verdict"] == "confirmed"
    assert "ContactPointInvalidated:CP" in found["event_ids"]
    assert verdict(history, "was_notified") == "contradicted"


def test_an_attempt_without_an_outcome_leaves_it_open():
    """And so does a delivery of which no contact point is known."""
    for history in (
        in_arrears().at("2014-05-10").tried("arrears"),
        in_arrears().at("2014-05-10").tried("arrears", contact=None).delivered(),
    ):
        assert verdict(history, "never_notified") == verdict(history, "was_notified") == "unknown"


def test_attempts_that_failed_confirm_never():
    """An attempt is not a delivery."""
    history = in_arrears().at("2014-05-10").tried("arrears")
    history.add(av.NoticeFailed(notice_id="n", reason="not_home"), about="n")
    found = result(history, "never_notified")
    assert (found["verdict"], "not_home" in found["because"]) == ("confirmed", True)


# -- what the customer asked for


def test_a_request_is_the_customers_own():
    """A plan that staff changed is none."""
    own = sold("suspend").at("2013-06-01").plan_changed("2014-03-01")
    staff = sold("suspend").at("2013-06-01").plan_changed("2014-03-01", by="staff")
    assert verdict(own, "requested", what="plan_change") == "confirmed"
    assert verdict(own, "never_requested", what="plan_change") == "contradicted"
    assert verdict(staff, "never_requested", what="plan_change") == "confirmed"
    assert verdict(staff, "requested", what="plan_change") == "unknown"
    assert verdict(own, "requested", what="cancellation") == "unknown"
    assert verdict(own.cancelled("2014-01-01"), "requested", what="cancellation") == "confirmed"


# -- numbers and identity


def numbered(**check):
    history = subscriber("mobile")
    if check:
        history.verified(**check)
    return history.number()


@pytest.mark.parametrize(
    ("check", "opened", "never"),
    [
        ({"method": "in_person"}, "confirmed", "contradicted"),
        ({"method": "none", "result": "not_performed"}, "unknown", "unknown"),
        ({}, "unknown", "unknown"),
    ],
)
def test_only_a_verification_that_passed_shows_who_opened_a_number(check, opened, never):
    """Where nobody looked, nobody knows."""
    history = numbered(**check)
    assert verdict(history, "opened_number", number_id="N1") == opened
    assert verdict(history, "never_opened_number", registration_id="R1") == never
    assert verdict(history, "never_opened_number", subject="party/P") == never


def test_a_confirmed_misuse_shows_that_they_did_not():
    """From when it was confirmed on."""
    history = numbered(method="none", result="not_performed").at("2014-12-13").misused("R1")
    assert verdict(history, "never_opened_number", number_id="N1") == "confirmed"
    assert verdict(history, "opened_number", number_id="N1") == "contradicted"
    assert verdict(history, "never_opened_number", number_id="N1", known_at="2014-12-12") == "unknown"


def test_a_number_that_is_not_on_record_was_not_opened():
    """Asked of the party; an account does not know of the others."""
    assert verdict(numbered(), "never_opened_number", number_id="N9", subject="party/P") == "confirmed"
    assert verdict(numbered(), "never_opened_number", number_id="N9") == "unknown"


def test_verified_is_who_passed():
    """What was not performed, or failed, contradicts it."""
    assert verdict(subscriber().verified(), "was_verified") == "confirmed"
    assert verdict(subscriber().verified(), "never_verified") == "contradicted"
    failed = subscriber().verified(result="failed")
    assert verdict(failed, "was_verified", registration_id="R1") == "contradicted"
    assert verdict(failed, "never_verified") == "confirmed"
    assert verdict(subscriber(), "was_verified") == "unknown"


# -- service and standing


@pytest.mark.parametrize(
    ("on", "was"),
    [
        ("2014-06-09", "no"),
        ("2014-06-10", "yes"),
        ("2014-07-01", "yes"),
        ("2014-07-02", "no"),
        ("2040-01-01", "?"),
    ],
)
def test_a_service_stood_suspended_from_its_suspension_to_its_return(on, was):
    """The days of both count: the service stood still at some time of them."""
    history = in_arrears().at("2014-06-10").suspended().at("2014-07-01").resumed()
    wanted = {
        "yes": ("confirmed", "contradicted"),
        "no": ("contradicted", "confirmed"),
        "?": ("unknown",) * 2,
    }
    assert (verdict(history, "was_suspended", on=on), verdict(history, "was_not_suspended", on=on)) == wanted[
        was
    ]


@pytest.mark.parametrize(("on", "was"), [("2014-05-31", False), ("2014-06-01", True), ("2014-09-01", True)])
def test_a_customer_stood_on_the_blacklist_while_an_entry_did(on, was):
    """Asked of the party, or of the account whose party it is."""
    history = in_arrears().at("2014-06-01").listed().at("2014-09-01").unlisted()
    for subject in ("party/P", "account/A"):
        found = verdict(history, "was_blacklisted", on=on, subject=subject)
        assert found == ("confirmed" if was else "contradicted")
        found = verdict(history, "was_not_blacklisted", on=on, subject=subject)
        assert found == ("contradicted" if was else "confirmed")
    assert verdict(history, "was_not_blacklisted", on="2014-09-02") == "confirmed"


# -- complaints


def test_a_complaint_is_found_by_its_day():
    """One of another day comes near."""
    history = in_arrears().at("2015-01-10").complaint()
    assert verdict(history, "complained", on="2015-01-10") == "confirmed"
    assert result(history, "complained", on="2015-01-11")["nearest"] == ["ComplaintReceived:6"]


def test_an_answer_counts_by_its_day():
    """Late is not by then; none is not by then either, once that day has passed."""
    history = in_arrears().at("2015-01-10").complaint()
    assert verdict(history, "was_not_answered", by="2015-01-25") == "confirmed"
    assert verdict(history, "was_answered", by="2015-01-25") == "unknown"
    assert verdict(history, "was_not_answered", by="2015-01-25", known_at="2015-01-20") == "unknown"
    history.at("2015-02-01").answered()
    assert verdict(history, "was_answered", by="2015-01-25") == "contradicted"
    assert verdict(history, "was_not_answered", by="2015-01-25") == "confirmed"
    assert verdict(history, "was_answered", by="2015-02-01") == "confirmed"
    assert verdict(in_arrears(), "was_not_answered", by="2015-01-25") == "unknown"


def test_contacts_are_counted_by_member_of_staff():
    """At least so many; that fewer are on record disproves nothing."""
    history = in_arrears().at("2015-01-10").complaint().contacted("S1").contacted("S2").contacted("S2")
    assert verdict(history, "contacted_by", staff=2) == "confirmed"
    assert verdict(history, "contacted_by", staff=3) == "unknown"


# -- whose history it is


def test_what_happened_on_an_account_before_it_was_theirs_is_not_the_customers():
    """Given a transfer, then each party's claims are held against its own time."""
    history = paid_with(History().party("Q").party("P").account(party_id="Q"), "a", on="2014-05-01")
    history.at("2014-06-01").transferred("P", from_="Q")
    ask = {"amount_fen": 10_000, "on": "2014-05-01"}
    assert verdict(history, "paid", subject="party/Q", **ask) == "confirmed"
    assert verdict(history, "paid", subject="party/P", **ask) == "unknown"
    assert verdict(history, "never_paid", subject="party/P") == "confirmed"


def test_an_account_that_is_not_theirs_shows_nothing():
    """Named by mistake: unknown."""
    found = result(in_arrears(), "owed", subject="party/P", account_id="B", amount_fen=0, on="2014-05-01")
    assert (found["verdict"], found["because"]) == ("unknown", "B is no account of the customer's on record")


def test_only_what_was_known_by_then_is_weighed():
    """A payment that reached billing later was not there yet."""
    history = in_arrears().paid(on="2014-05-01", at="2014-05-01", known="2014-07-01")
    ask = {"amount_fen": 10_000, "on": "2014-05-01"}
    assert verdict(history, "paid", **ask) == "confirmed"
    assert verdict(history, "paid", known_at="2014-06-30", **ask) == "unknown"


# -- the whole answer


def test_an_answer_counts_its_verdicts_and_echoes_its_claims():
    """With its digest, the same for the same question."""
    claims = [
        {"claim": "paid", "amount_fen": 1, "on": "2014-05-01", "text": "I paid, I have the slip"},
        {"claim": "owed", "amount_fen": 10_000, "on": "2014-05-01"},
    ]
    answer = weighing(in_arrears(), *claims)
    assert [r["claim"] for r in answer["claims"]] == claims
    assert [r["index"] for r in answer["claims"]] == [0, 1]
    assert answer["counts"] == {"confirmed": 1, "contradicted": 0, "unknown": 1}
    assert answer == weighing(in_arrears(), *claims)
    assert answer["digest"] != weighing(in_arrears(), claims[0])["digest"]


def test_every_form_is_weighed_and_described():
    """None is silently unknown."""
    assert set(WEIGHED) == set(FORMS)
    text = table()
    assert all(f"\n  {name} " in f"\n{text}" for name in FORMS)
    assert [s["properties"]["claim"]["const"] for s in schema()["items"]["oneOf"]] == list(FORMS)
    assert all(s["description"] for s in schema()["items"]["oneOf"])


@pytest.mark.parametrize(
    ("claims", "field"),
    [
        ({}, "claims"),
        ([{"claim": "never_paid"}] * (CLAIMS_MAX + 1), "claims"),
        (["paid"], "claims[0]"),
        ([{"claim": "never_paid"}, {"claim": "gave"}], "claims[1].claim"),
        ([{"claim": ["paid"]}], "claims[0].claim"),
        ([{}], "claims[0].claim"),
        ([{"claim": "paid", "on": "2014-05-01"}], "claims[0].amount_fen"),
        ([{"claim": "paid", "on": "2014-05-01", "amount_fen": 1.5}], "claims[0].amount_fen"),
        ([{"claim": "paid", "on": "1 May", "amount_fen": 1}], "claims[0].on"),
        ([{"claim": "never_paid", "surprise": 1}], "claims[0]"),
        ([{"claim": "never_paid", "since": "2014-02-01", "until": "2014-01-01"}], "claims[0].until"),
        ([{"claim": "opened_number"}], "claims[0].number_id"),
        ([{"claim": "contacted_by", "staff": 0}], "claims[0].staff"),
        ([{"claim": "never_paid", "text": "x" * 501}], "claims[0].text"),
    ],
)
def test_a_claim_that_is_none_is_named_by_index_and_field(claims, field):
    """And what would be right is said."""
    with pytest.raises(MalformedError) as refused:
        parse_claims(claims)
    assert refused.value.problem.field == field


def test_a_dealer_claims_nothing():
    """Claims are a customer's."""
    with pytest.raises(MalformedError, match="account or a party"):
        weighing(in_arrears().dealer(), {"claim": "never_paid"}, subject="dealer/D")


PAIRS = [
    ("chose", "never_chose", {"option": "convert_to_monthly"}),
    ("was_presented_options", "never_presented_options", {}),
    ("was_notified", "never_notified", {}),
    ("was_notified", "never_notified", {"purpose": "arrears"}),
    ("requested", "never_requested", {"what": "cancellation"}),
    ("opened_number", "never_opened_number", {"registration_id": "R-1"}),
    ("was_verified", "never_verified", {}),
    ("was_suspended", "was_not_suspended", {"on": None}),
    ("was_blacklisted", "was_not_blacklisted", {"on": None}),
    ("was_answered", "was_not_answered", {"by": None}),
]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(p.name for p in CASES.iterdir())), st.data())
def test_something_and_its_opposite_are_never_both_so(name, data):
    """Of any customer of any case, as known at any time: not both confirmed, not both contradicted."""
    raws = lines_of(name)
    histories = recorded(raws)
    subject = data.draw(st.sampled_from(sorted(s for s in histories if s.startswith(("account/", "party/")))))
    known_at = data.draw(
        st.sampled_from(sorted({r.event.recordedtime for h in histories.values() for r in h}))
    )
    on = data.draw(st.dates(known_at.date() - timedelta(days=900), known_at.date())).isoformat()
    claims = []
    for was, never, fields in PAIRS:
        filled = {k: v or on for k, v in fields.items()}
        claims += [{"claim": was, **filled}, {"claim": never, **filled}]
    asked = Inquiry(subject, known_at, 10**9, raws[0]["region"])
    found = [r["verdict"] for r in weigh(asked, histories, parse_claims(claims))["claims"]]
    for was, never in zip(found[::2], found[1::2], strict=True):
        assert was == never == "unknown" or was != never


HARBIN_CLAIMS = [
    ({"claim": "paid", "amount_fen": 108_000, "on": "2013-07-16"}, "confirmed"),
    ({"claim": "never_chose", "option": "convert_to_monthly"}, "confirmed"),
    ({"claim": "never_notified"}, "confirmed"),
    ({"claim": "never_opened_number"}, "confirmed"),
    ({"claim": "owed", "amount_fen": 0, "on": "2014-12-09", "account_id": "A-FTTH"}, "contradicted"),
    ({"claim": "was_not_blacklisted", "on": "2014-12-09"}, "contradicted"),
    ({"claim": "contacted_by", "staff": 4}, "confirmed"),
    ({"claim": "requested", "what": "cancellation"}, "unknown"),
]


@pytest.mark.storage
def test_the_customer_of_the_case_is_right_in_what_he_told_the_press(runtime):
    """Loaded from the ledger, and the same as by the pure domain."""
    import_file(runtime.deployment, HARBIN)
    claims = [claim for claim, _ in HARBIN_CLAIMS]
    answer = weighed(runtime, "party/P-HRB", claims, known_at="2014-12-17")
    assert [r["verdict"] for r in answer["claims"]] == [wanted for _, wanted in HARBIN_CLAIMS]
    raws = lines_of("harbin")
    region = raws[0]["region"]
    asked = Inquiry("party/P-HRB", moment_of("2014-12-17", region, "known_at"), 102, region)
    assert answer == weigh(asked, recorded(raws), parse_claims(claims))
