"""What a package needs to be sold, to end, and to be carried on."""

from domain.commands import account as cmd
from domain.events import account as ev
from domain.refusals import Code
from tests.scenario import account, annual, choice, given, monthly, options

YEAR = cmd.SubscribePackage(
    package_id="PK1",
    offer_id="O1",
    cycle="annual",
    price_fen=108_000,
    start="2013-07-16",
    end="2014-07-16",
)
CONVERT = cmd.ConvertPackage(package_id="PK1", to_offer_id="O2", monthly_price_fen=10_000)
RENEW = cmd.RenewPackage(package_id="PK1", price_fen=108_000, end="2015-07-16")
SELECT = cmd.SelectExpiryOption(package_id="PK1", option="suspend", selected_by="customer")


def test_an_annual_package_is_sold_with_the_customer_s_own_choice():
    given(account(), options(), choice("suspend")).when(YEAR, at="2013-07-16").then(
        ev.PackageSubscribed(
            package_id="PK1",
            offer_id="O1",
            cycle="annual",
            price_fen=108_000,
            start="2013-07-16",
            end="2014-07-16",
        )
    )


def test_no_annual_package_without_the_options_presented():
    given(account()).when(YEAR).then_refused(Code.EXPIRY_OPTIONS_NOT_PRESENTED)


def test_all_three_options_are_presented():
    given(account(), options("suspend", "convert_to_monthly"), choice("suspend")).when(YEAR).then_refused(
        Code.EXPIRY_OPTIONS_NOT_PRESENTED, missing="renew_annual"
    )


def test_no_annual_package_without_a_choice():
    given(account(), options()).when(YEAR).then_refused(Code.EXPIRY_CHOICE_MISSING, selected_by=None)


def test_a_choice_by_staff_is_no_choice():
    given(account(), options(), choice("convert_to_monthly", by="staff_default")).when(YEAR).then_refused(
        Code.EXPIRY_CHOICE_MISSING, selected_by="staff_default"
    )


def test_a_choice_for_another_package_is_no_choice_for_this_one():
    given(account(), options(), choice("suspend", package_id="PK2")).when(YEAR).then_refused(
        Code.EXPIRY_CHOICE_MISSING
    )


def test_a_monthly_package_needs_no_choice():
    month = cmd.SubscribePackage(
        package_id="PM1", offer_id="O2", cycle="monthly", price_fen=10_000, start="2014-01-01"
    )
    assert given(account()).when(month).event.end is None


def test_a_package_is_sold_once():
    given(account(), annual()).when(YEAR).then_refused(Code.ID_USED, field="package_id")


# -- the choice


def test_the_options_are_presented():
    present = cmd.PresentExpiryOptions(package_id="PK1", options=["suspend", "renew_annual"])
    given(account()).when(present).then(
        ev.ExpiryOptionPresented(package_id="PK1", options=["suspend", "renew_annual"])
    )


def test_a_customer_chooses():
    given(account(), options()).when(SELECT, by="customer/P1").then(
        ev.ExpiryOptionSelected(package_id="PK1", option="suspend", selected_by="customer")
    )


def test_staff_record_a_customer_s_choice_with_a_reference_to_the_consent():
    recorded = cmd.SelectExpiryOption(
        package_id="PK1", option="suspend", selected_by="customer", consent_ref="form 12"
    )
    given(account(), options()).when(recorded, by="staff/S1").then(
        ev.ExpiryOptionSelected(
            package_id="PK1", option="suspend", selected_by="customer", consent_ref="form 12"
        )
    )
    given(account(), options()).when(SELECT, by="staff/S1").then_refused(Code.CONSENT_MISSING)


def test_a_default_is_refused():
    for by in ("staff_default", "system_default"):
        default = cmd.SelectExpiryOption(package_id="PK1", option="convert_to_monthly", selected_by=by)
        given(account(), options()).when(default).then_refused(
            Code.EXPIRY_CHOICE_NOT_CUSTOMERS, selected_by=by
        )


def test_only_what_was_presented_can_be_chosen():
    given(account(), options("renew_annual")).when(SELECT, by="customer/P1").then_refused(
        Code.EXPIRY_CHOICE_NOT_OFFERED, option="suspend", presented="renew_annual"
    )


def test_a_monthly_package_has_no_end_to_choose_for():
    present = cmd.PresentExpiryOptions(package_id="PM1", options=["suspend"])
    given(account(), monthly()).when(present).then_refused(Code.PACKAGE_NOT_ANNUAL)


# -- the end


def test_a_package_expires_on_its_day():
    expire = cmd.ExpirePackage(package_id="PK1")
    given(account(), annual()).when(expire, at="2014-07-15").then_refused(
        Code.PACKAGE_NOT_ENDED, end="2014-07-16"
    )
    given(account(), annual()).when(expire, at="2014-07-16").then(
        ev.PackageExpired(package_id="PK1", expired_on="2014-07-16")
    )


def test_a_package_expires_once():
    expired = ev.PackageExpired(package_id="PK1", expired_on="2014-07-16")
    given(account(), annual(), expired).when(cmd.ExpirePackage(package_id="PK1")).then_refused(
        Code.PACKAGE_ALREADY_EXPIRED
    )


def test_a_package_that_is_not_there_does_not_expire():
    given(account()).when(cmd.ExpirePackage(package_id="PK1")).then_refused(Code.PACKAGE_NOT_FOUND)


def test_a_package_that_runs_on_does_not_expire():
    given(account(), monthly()).when(cmd.ExpirePackage(package_id="PM1")).then_refused(
        Code.PACKAGE_NOT_ANNUAL
    )


# -- carried on


def test_a_package_is_converted_where_the_customer_chose_it():
    given(account(), annual("convert_to_monthly")).when(CONVERT, at="2014-07-16").then(
        ev.PackageConverted(
            package_id="PK1",
            to_offer_id="O2",
            monthly_price_fen=10_000,
            from_="2014-07-16",
            basis_event_id="urn:recount:test#choice-PK1",
        )
    )


def test_a_package_is_not_converted_by_a_default_or_against_the_choice():
    for history in (annual("convert_to_monthly", by="staff_default"), annual("suspend"), annual(None)):
        given(account(), history).when(CONVERT).then_refused(Code.CONVERSION_NOT_CHOSEN)


def test_a_later_choice_of_the_customer_s_is_a_basis():
    later = choice("convert_to_monthly", at="2014-08-01")
    assert given(account(), annual("suspend"), later).when(CONVERT, at="2014-08-02").event.from_.day == 16


def test_a_conversion_does_not_begin_within_the_paid_term():
    early = cmd.ConvertPackage(
        package_id="PK1", to_offer_id="O2", monthly_price_fen=10_000, from_="2014-07-01"
    )
    history = [account(), annual("convert_to_monthly")]
    given(history).when(early).then_refused(Code.PERIOD_OVERLAPS, end="2014-07-16")
    given(history).when(CONVERT, at="2014-07-15").then_refused(Code.PACKAGE_NOT_ENDED)


def test_a_package_is_renewed_where_the_customer_chose_it():
    given(account(), annual("renew_annual")).when(RENEW, at="2014-07-16").then(
        ev.PackageRenewed(
            package_id="PK1",
            price_fen=108_000,
            start="2014-07-16",
            end="2015-07-16",
            basis_event_id="urn:recount:test#choice-PK1",
        )
    )


def test_a_package_is_not_renewed_otherwise():
    given(account(), annual("suspend")).when(RENEW).then_refused(Code.RENEWAL_NOT_CHOSEN)
    short = cmd.RenewPackage(package_id="PK1", price_fen=108_000, end="2014-07-16")
    given(account(), annual("renew_annual")).when(short).then_refused(Code.PERIOD_OVERLAPS)


def test_a_plan_changes_at_the_customer_s_request():
    change = cmd.ChangePlan(
        package_id="PK1",
        to_offer_id="O3",
        price_fen=5_000,
        effective_from="2014-01-01",
        requested_by="customer",
    )
    changed = ev.PlanChanged(
        package_id="PK1",
        to_offer_id="O3",
        price_fen=5_000,
        effective_from="2014-01-01",
        requested_by="customer",
    )
    given(account(), annual()).when(change, by="customer/P1").then(changed)
    given(account(), annual()).when(change, evidenceref="call 7").then(changed)
    given(account(), annual()).when(change).then_refused(Code.CONSENT_MISSING)


def test_a_cancellation_is_recorded_whatever_blocks_it():
    given(account(), annual()).when(
        cmd.RequestCancellation(effective_from="2014-12-31", blockers=["modem"])
    ).then(ev.CancellationRequested(effective_from="2014-12-31", blockers=["modem"]))
