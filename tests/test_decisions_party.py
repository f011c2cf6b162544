"""What a party's identity, contact points, blacklist standing and data allow."""

from domain.commands import party as cmd
from domain.events import account as account_ev
from domain.events import case as case_ev
from domain.events import party as ev
from domain.refusals import Code
from tests.scenario import (
    Fact,
    abandoned,
    account,
    annual,
    blocked,
    charge,
    closed,
    complaint,
    contact,
    dealer,
    delivered,
    erased,
    given,
    hold,
    listed,
    merged,
    misused,
    notice,
    number,
    party,
    payment,
    reversal,
    terminated,
    verified,
)

WANG = {"kind": "individual", "id_type": "resident_id", "id_hash": "0f0f", "name": "Wang"}
PAPERS = {"id_number": "230103", "address": "Harbin"}
LIST = cmd.AddBlacklistEntry(entry_id="B1", basis_account_id="A1", notice_id="N1")
LISTED = ev.BlacklistEntryAdded(
    entry_id="B1",
    basis_account_id="A1",
    amount_fen=10_000,
    basis_event_ids=["urn:recount:test#event-CH1"],
    notice_id="N1",
)
DEBTOR = [party(), contact(), account(), charge()]
TOLD = [notice(), delivered()]

# -- identity


def test_a_party_is_registered_once():
    register = cmd.RegisterParty(**WANG, **PAPERS)
    given().when(register).then(ev.PartyRegistered(**WANG, **PAPERS))
    given(party()).when(register).then_refused(Code.PARTY_EXISTS)


def test_a_party_s_details_change():
    given(party()).when(cmd.ChangePartyDetails(address="Daqing")).then(
        ev.PartyDetailsChanged(address="Daqing")
    )
    given().when(cmd.ChangePartyDetails(address="Daqing")).then_refused(Code.PARTY_NOT_FOUND)


def test_a_party_is_merged_into_another():
    merge = cmd.MergeParty(into_party_id="P2")
    given(party(), party("P2")).when(merge).then(ev.PartyMerged(into_party_id="P2"))
    given(party()).when(merge).then_refused(Code.PARTY_NOT_FOUND, id="P2")
    given(party(), party("P2"), merged()).when(merge).then_refused(Code.PARTY_MERGED)
    given(party()).when(cmd.MergeParty(into_party_id="P1")).then_refused(Code.MERGE_INTO_ITSELF)
    back = Fact(ev.PartyMerged(into_party_id="P3"), subject="party/P2")
    given(party(), party("P2"), back).when(merge).then_refused(Code.PARTY_MERGED, into_party_id="P3")


def test_an_identity_is_verified_by_staff_or_a_dealer_who_may():
    verify = cmd.VerifyIdentity(registration_id="R1", method="in_person", result="passed", dealer_id="D1")
    given(party(), dealer()).when(verify, by="dealer/D1").then(
        ev.IdentityVerified(registration_id="R1", method="in_person", result="passed", dealer_id="D1")
    )
    given(party(), dealer(), blocked()).when(verify).then_refused(Code.DEALER_BLOCKED)


def test_a_registration_is_audited():
    audit = cmd.AuditRegistration(registration_id="R1", result="breach")
    given(party(), verified()).when(audit).then(ev.RegistrationAudited(registration_id="R1", result="breach"))
    given(party()).when(audit).then_refused(Code.REGISTRATION_NOT_FOUND)


def test_misuse_is_confirmed_against_a_dealer_who_is_blocked_already():
    confirm = cmd.ConfirmIdentityMisuse(registration_ids=["R1"], numbers=["NUM1"], dealer_id="D1")
    given(party(), dealer(), blocked()).when(confirm).then(
        ev.IdentityMisuseConfirmed(registration_ids=["R1"], numbers=["NUM1"], dealer_id="D1")
    )
    given(party()).when(confirm).then_refused(Code.DEALER_NOT_FOUND)


# -- contact points


def test_a_contact_point_is_added_and_invalidated_once():
    add = cmd.AddContactPoint(contact_point_id="C1", kind="mobile", value="13900000002")
    gone = cmd.InvalidateContactPoint(contact_point_id="C1", reason="recycled")
    given(party()).when(add).then(
        ev.ContactPointAdded(contact_point_id="C1", kind="mobile", value="13900000002")
    )
    given(party(), contact()).when(add).then_refused(Code.ID_USED)
    given(party(), contact()).when(gone).then(
        ev.ContactPointInvalidated(contact_point_id="C1", reason="recycled")
    )
    given(party(), contact(), abandoned("2014-01-01")).when(gone).then_refused(
        Code.CONTACT_POINT_ALREADY_INVALID, reason="abandoned"
    )
    given(party()).when(gone).then_refused(Code.CONTACT_POINT_NOT_FOUND)


# -- the blacklist


def test_a_debt_that_is_owed_and_was_told_of_is_listed():
    given(DEBTOR, TOLD).when(LIST).then(LISTED)


def test_a_notice_that_fits_is_found():
    given(DEBTOR, notice("N0", at="2014-02-05"), TOLD).when(
        cmd.AddBlacklistEntry(entry_id="B1", basis_account_id="A1")
    ).then(LISTED)


def test_only_what_is_overdue_is_listed():
    later = charge("CH2", 777, due="2014-12-31", start="2014-11-01", end="2014-12-01")
    given(DEBTOR, later, payment(amount_fen=4_000), TOLD).when(LIST).then(
        ev.BlacklistEntryAdded(
            entry_id="B1",
            basis_account_id="A1",
            amount_fen=6_000,
            basis_event_ids=["urn:recount:test#event-CH1"],
            notice_id="N1",
        )
    )
    given(DEBTOR, TOLD, payment()).when(LIST).then_refused(Code.BLACKLIST_NOTHING_OWED)


def test_a_charge_without_a_basis_makes_no_debt():
    unsupported = charge("CH1", start="2014-07-16", end="2014-08-16", due="2014-07-31")
    history = [party(), contact(), account(), annual(None), unsupported, TOLD]
    given(history).when(LIST).then_refused(Code.BLACKLIST_NOTHING_OWED)


def test_a_misused_identity_makes_no_debt():
    given(DEBTOR, verified(), number(), misused(), TOLD).when(LIST).then_refused(
        Code.BLACKLIST_MISUSED_IDENTITY, number_id="NUM1"
    )


def test_a_disputed_debt_is_not_listed():
    given(DEBTOR, hold("blacklist"), TOLD).when(LIST).then_refused(Code.HOLD_COVERS, scope="blacklist")


def test_no_entry_without_a_delivered_notice():
    given(DEBTOR).when(cmd.AddBlacklistEntry(entry_id="B1", basis_account_id="A1")).then_refused(
        Code.BLACKLIST_NOTICE_MISSING
    )
    given(DEBTOR, notice()).when(LIST).then_refused(Code.BLACKLIST_NOTICE_MISSING)
    given(DEBTOR).when(LIST).then_refused(Code.NOTICE_NOT_FOUND)


def test_a_notice_of_something_else_is_none():
    given(DEBTOR, notice(purpose="pre_expiry"), delivered()).when(LIST).then_refused(
        Code.BLACKLIST_NOTICE_MISSING
    )
    before_due = [notice(at="2014-01-20"), delivered(at="2014-01-21")]
    given(DEBTOR, before_due).when(LIST).then_refused(Code.BLACKLIST_NOTICE_MISSING)
    of_another = [charge("CH2"), notice(charge_ids=["CH2"]), delivered(), payment(amount_fen=1)]
    given(DEBTOR, hold("blacklist", charges=("CH2",)), of_another).when(LIST).then_refused(
        Code.BLACKLIST_NOTICE_MISSING
    )


def test_a_notice_to_a_number_given_up_did_not_reach_the_party():
    given(DEBTOR, abandoned("2014-02-01"), TOLD).when(LIST).then_refused(
        Code.BLACKLIST_NOTICE_ASTRAY, contact_point_id="C1"
    )
    given(DEBTOR, notice(contact=None), delivered()).when(LIST).then_refused(Code.BLACKLIST_NOTICE_ASTRAY)


def test_nobody_is_listed_for_the_account_of_another():
    given(party(), party("P2"), account(party_id="P2"), charge(), TOLD).when(LIST).then_refused(
        Code.BLACKLIST_OTHER_PARTY, party_id="P2"
    )
    given(party()).when(LIST).then_refused(Code.ACCOUNT_NOT_FOUND)


def test_a_party_answers_for_the_account_of_one_merged_into_it():
    into = Fact(ev.PartyMerged(into_party_id="P1"), subject="party/P0")
    history = [party(), contact(), party("P0"), into, account(party_id="P0"), charge(), TOLD]
    given(history).when(LIST).then(LISTED)


def test_a_debt_is_listed_once():
    again = cmd.AddBlacklistEntry(entry_id="B2", basis_account_id="A1", notice_id="N1")
    given(DEBTOR, TOLD, listed()).when(again).then_refused(Code.BLACKLIST_ALREADY_LISTED, entry_id="B1")
    given(DEBTOR, TOLD, listed()).when(LIST).then_refused(Code.ID_USED, field="entry_id")


def test_a_debt_is_listed_after_the_service_ended():
    assert given(DEBTOR, TOLD, terminated()).when(LIST).event.amount_fen == 10_000


def remove(reason):
    return cmd.RemoveBlacklistEntry(entry_id="B1", reason=reason)


def test_an_entry_goes_when_its_debt_is_paid():
    given(DEBTOR, listed(), payment()).when(remove("arrears_cleared")).then(
        ev.BlacklistEntryRemoved(entry_id="B1", reason="arrears_cleared")
    )
    given(DEBTOR, listed()).when(remove("arrears_cleared")).then_refused(Code.BLACKLIST_REASON_UNFIT)


def test_an_entry_that_names_no_charge_goes_when_nothing_is_overdue():
    given(DEBTOR, listed(basis=())).when(remove("arrears_cleared")).then_refused(Code.BLACKLIST_REASON_UNFIT)
    assert given(DEBTOR, listed(basis=()), payment()).when(remove("arrears_cleared")).event.entry_id == "B1"


def test_another_debt_does_not_keep_the_entry():
    other = charge("CH2", start="2014-05-01", end="2014-06-01", due="2014-06-15")
    assert given(DEBTOR, listed(), payment(), other).when(remove("arrears_cleared")).event.entry_id == "B1"


def test_an_entry_goes_when_its_debt_is_void():
    assert given(DEBTOR, listed(), reversal()).when(remove("debt_void")).event.reason == "debt_void"
    assert given(DEBTOR, listed(), number(), misused()).when(remove("debt_void")).event.entry_id == "B1"
    given(DEBTOR, listed()).when(remove("debt_void")).then_refused(
        Code.BLACKLIST_REASON_UNFIT, reason="debt_void"
    )


def test_an_entry_goes_after_five_years():
    history = [DEBTOR, listed()]
    assert given(history).when(remove("retention_lapsed"), at="2019-04-01").event.entry_id == "B1"
    given(history).when(remove("retention_lapsed"), at="2019-03-31").then_refused(Code.BLACKLIST_REASON_UNFIT)


def test_an_error_is_admitted_at_any_time_even_for_a_party_that_is_gone():
    assert given(DEBTOR, listed(), erased()).when(remove("entered_in_error")).event.entry_id == "B1"


def test_an_entry_goes_once():
    gone = Fact(ev.BlacklistEntryRemoved(entry_id="B1", reason="arrears_cleared"), at="2014-05-01")
    given(DEBTOR, listed(), gone).when(remove("arrears_cleared")).then_refused(Code.BLACKLIST_ENTRY_REMOVED)
    given(DEBTOR).when(remove("arrears_cleared")).then_refused(Code.BLACKLIST_ENTRY_NOT_FOUND)


def test_a_sign_up_is_refused_only_on_an_entry_that_stands():
    refuse = cmd.RefuseSignUp(reason="blacklisted", entry_id="B1")
    gone = Fact(ev.BlacklistEntryRemoved(entry_id="B1", reason="arrears_cleared"), at="2014-05-01")
    given(party(), listed()).when(refuse).then(ev.SignUpRefused(reason="blacklisted", entry_id="B1"))
    given(party(), listed(), gone).when(refuse).then_refused(Code.BLACKLIST_ENTRY_REMOVED)
    given(party()).when(refuse).then_refused(Code.BLACKLIST_ENTRY_NOT_FOUND)
    given(party()).when(cmd.RefuseSignUp(reason="no line in this street")).then(
        ev.SignUpRefused(reason="no line in this street")
    )


# -- personal data


def test_processing_is_restricted():
    given(party()).when(cmd.RestrictProcessing(scope="marketing", legal_basis="objection")).then(
        ev.ProcessingRestricted(scope="marketing", legal_basis="objection")
    )


def test_personal_data_is_disclosed_for_a_purpose():
    show = cmd.DisclosePersonalData(fields=["name"], purpose="complaint", case_id="K1")
    given(party(), complaint()).when(show).then(
        ev.PersonalDataDisclosed(fields=["name"], purpose="complaint", case_id="K1")
    )
    given(party()).when(show).then_refused(Code.CASE_NOT_FOUND)


ERASE = cmd.ErasePersonalData(legal_basis="PIPL art. 47")
ENDED = [party(), account(), terminated("2010-05-15")]


def test_data_is_held_while_a_case_is_open():
    answered = [Fact(case_ev.ComplaintAnswered(outcome="upheld"), subject="case/K1"), closed()]
    given(party(), complaint()).when(ERASE).then_refused(Code.ERASURE_CASE_OPEN, id="K1", obstacles=1)
    given(party(), complaint(), answered).when(ERASE).then(ev.PersonalDataErased(legal_basis="PIPL art. 47"))


def test_data_is_kept_while_a_contract_goes_on_and_says_from_when_it_may_go_at_the_earliest():
    given(party(), account()).when(ERASE, at="2014-12-01").then_refused(
        Code.ERASURE_SERVICE_RUNNING, id="A1", ask_again_on="2016-12-02"
    )
    given(ENDED).when(ERASE).then(ev.PersonalDataErased(legal_basis="PIPL art. 47"))


def test_data_is_kept_while_money_is_open_on_either_side():
    given(ENDED, charge()).when(ERASE).then_refused(Code.ERASURE_UNSETTLED, id="A1")
    given(ENDED, payment()).when(ERASE).then_refused(Code.ERASURE_UNSETTLED, id="A1")


def test_data_is_kept_while_a_blacklist_entry_stands():
    given(ENDED, listed()).when(ERASE).then_refused(Code.ERASURE_BLACKLISTED, id="B1")


KEPT_UNTIL = {
    "2012-06-01": "2012-12-01",
    "2012-06-30": "2012-12-01",
    "2012-07-15": "2013-01-01",
    "2012-11-30": "2013-05-01",
    "2013-08-31": "2014-02-01",
    "2013-09-01": "2015-09-02",
    "2016-02-29": "2018-03-02",
}
"""When a service ended, and the first day on which its records may go."""


def test_records_are_kept_as_long_as_the_law_of_the_day_has_them_kept():
    for ended, until in KEPT_UNTIL.items():
        history = [party(), account(), terminated(ended)]
        given(history).when(ERASE, at=ended).then_refused(Code.ERASURE_RETENTION, id="A1", ask_again_on=until)
        given(history).when(ERASE, at=until).then(ev.PersonalDataErased(legal_basis="PIPL art. 47"))


def test_what_went_to_another_holder_is_kept_from_that_day_on():
    history = [party(), party("P2"), account(), moved("to")]
    given(history).when(ERASE, at="2016-03-01").then_refused(
        Code.ERASURE_RETENTION, ask_again_on="2016-03-02"
    )
    given(history).when(ERASE, at="2016-03-02").then(ev.PersonalDataErased(legal_basis="PIPL art. 47"))


def test_a_refusal_says_when_the_last_of_all_obstacles_can_be_gone():
    history = [party(), account(), complaint(), charge(), listed()]
    given(history).when(ERASE, at="2014-12-01").then_refused(
        Code.ERASURE_CASE_OPEN, obstacles=4, ask_again_on="2019-04-01"
    )


def test_personal_data_is_erased_once():
    erase = cmd.ErasePersonalData(legal_basis="PIPL art. 47")
    given(party()).when(erase).then(ev.PersonalDataErased(legal_basis="PIPL art. 47"))
    given(party(), erased()).when(erase).then_refused(Code.PARTY_ERASED)


# -- whose debt, and which


def moved(stays_with):
    return Fact(
        account_ev.AccountTransferred(from_party_id="P1", to_party_id="P2", debt_stays_with=stays_with),
        at="2014-03-01",
        subject="account/A1",
    )


def test_a_debt_stays_with_who_made_it():
    history = [DEBTOR, TOLD, party("P2"), moved("from")]
    given(history).when(LIST, subject="party/P2").then_refused(Code.BLACKLIST_OTHER_DEBTOR, party_id="P1")
    given(history).when(LIST).then(LISTED)


def test_a_debt_that_was_taken_over_is_the_new_holder_s():
    given(DEBTOR, TOLD, party("P2"), moved("to")).when(LIST).then_refused(
        Code.BLACKLIST_OTHER_PARTY, party_id="P2"
    )
    there = [party("P2"), contact("C2", "party/P2"), moved("to"), notice("N2", at="2014-03-10", contact="C2")]
    by_sms = cmd.AddBlacklistEntry(entry_id="B1", basis_account_id="A1")
    told = given(DEBTOR, TOLD, there, delivered("N2", at="2014-03-11"))
    assert told.when(by_sms, subject="party/P2").event.notice_id == "N2"
    # What reached the old holder told the new one nothing.
    given(DEBTOR, TOLD, there[:3]).when(by_sms, subject="party/P2").then_refused(Code.BLACKLIST_NOTICE_ASTRAY)


def test_only_the_debts_that_the_notice_spoke_of_are_listed():
    other = charge("CH2", 777, due="2014-01-31")
    given(DEBTOR, other, notice(charge_ids=["CH1"]), delivered()).when(LIST).then(LISTED)
    later = charge("CH2", 777, due="2014-03-31", start="2014-03-01", end="2014-04-01")
    given(DEBTOR, TOLD, later).when(LIST).then(LISTED)
    backdated = Fact(charge("CH2", 777, due="2014-01-31").data, at="2014-06-01")
    given(DEBTOR, TOLD, backdated).when(LIST).then(LISTED)


def test_the_notice_that_told_of_most_is_found():
    other = charge("CH2", 777, due="2014-01-31")
    narrow = [notice("N0", charge_ids=["CH2"]), delivered("N0")]
    listing = cmd.AddBlacklistEntry(entry_id="B1", basis_account_id="A1")
    event = given(DEBTOR, other, narrow, TOLD).when(listing).event
    assert (event.notice_id, event.amount_fen) == ("N1", 10_777)


def test_a_delivery_that_was_not_on_record_proves_nothing():
    late = [notice(), delivered(known="2014-12-02")]
    given(DEBTOR, late).when(LIST, at="2014-12-01").then_refused(Code.BLACKLIST_NOTICE_MISSING)
    given(DEBTOR, late).when(LIST, at="2014-12-03").then(LISTED)


def test_an_entry_does_not_go_before_it_came():
    given(DEBTOR, listed()).when(remove("entered_in_error"), at="2014-03-31").then_refused(
        Code.TIME_BEFORE_CAUSE, id="B1"
    )
