"""What a package needs to be sold, to end, and to be carried on."""

from domain.commands import account as cmd
from domain.events import account as ev
from domain.refusals import Code
from tests.scenario import Fact, account, annual, choice, given, monthly, options

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


def test_options_and_choice_are_on_record_before_the_sale():
    later = "2014-01-01"
    history = [account(), options(known=later), choice("suspend")]
    given(history).when(YEAR, at="2013-07-17", now=later).then_refused(Code.EXPIRY_OPTIONS_NOT_PRESENTED)
    history = [account(), options(), choice("suspend", known=later)]
    given(history).when(YEAR, at="2013-07-17", now=later).then_refused(Code.EXPIRY_CHOICE_MISSING)
    assert given(history).when(YEAR, at=later).event.package_id == "PK1"


def month(start, end=None):
    return cmd.SubscribePackage(
        package_id="PM1", offer_id="O2", cycle="monthly", price_fen=10_000, start=start, end=end
    )


def test_a_package_after_an_annual_term_is_the_customer_s_act():
    history = [account(), annual("suspend")]
    for after in (month("2014-07-16"), month("2013-08-01")):
        given(history).when(after).then_refused(Code.CONSENT_MISSING, actor="staff/S1")
        assert given(history).when(after, by="customer/P1").event.end is None
        assert given(history).when(after, evidenceref="form 12").event.end is None
    assert given(history).when(month("2014-06-15", "2014-07-16")).event.package_id == "PM1"


def test_a_monthly_package_has_no_term_of_a_year():
    given(account()).when(month("2014-01-01", "2014-02-02")).then_refused(
        Code.PACKAGE_TERM_NOT_MONTHLY, end="2014-02-02"
    )
    assert given(account()).when(month("2014-01-01", "2014-02-01")).event.end.isoformat() == "2014-02-01"


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


def test_another_customer_does_not_choose_for_the_holder():
    given(account(), options()).when(SELECT, by="customer/P2").then_refused(Code.CONSENT_MISSING)
    assert given(account(), options()).when(SELECT, by="customer/self").event.option == "suspend"


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


def test_a_package_that_stopped_goes_on_from_the_day_the_customer_chose_it():
    """What stood still in between is not charged for afterwards."""
    stopped = Fact(ev.ServiceSuspended(reason="expiry"), at="2014-07-16")
    history = [account(), annual("suspend"), stopped, choice("convert_to_monthly", at="2014-08-01")]
    assert given(history).when(CONVERT, at="2014-08-02").event.from_.isoformat() == "2014-08-01"
    early = cmd.ConvertPackage(
        package_id="PK1", to_offer_id="O2", monthly_price_fen=10_000, from_="2014-07-16"
    )
    given(history).when(early, at="2014-08-02").then_refused(Code.PERIOD_BEFORE_CHOICE)


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


def change(price_fen=5_000, by="customer", start="2014-12-01"):
    return cmd.ChangePlan(
        package_id="PK1", to_offer_id="O3", price_fen=price_fen, effective_from=start, requested_by=by
    )


def changed(price_fen=5_000, by="customer", start="2014-12-01"):
    return ev.PlanChanged(
        package_id="PK1", to_offer_id="O3", price_fen=price_fen, effective_from=start, requested_by=by
    )


def test_a_plan_changes_at_the_customer_s_request():
    given(account(), annual()).when(change(), by="customer/P1").then(changed())
    given(account(), annual()).when(change(), evidenceref="call 7").then(changed())
    given(account(), annual()).when(change()).then_refused(Code.CONSENT_MISSING)


def test_a_price_rises_only_with_the_customer_s_consent():
    for by in ("staff", "system"):
        given(account(), annual()).when(change(108_000, by)).then(changed(108_000, by))
        given(account(), annual()).when(change(108_001, by)).then_refused(Code.CONSENT_MISSING)
        given(account(), annual()).when(change(108_001, by), evidenceref="call 7").then(changed(108_001, by))
    lowered = changed(5_000, "staff", "2014-06-01")
    given(account(), annual(), lowered).when(change(5_001, "staff")).then_refused(Code.CONSENT_MISSING)


def test_a_plan_does_not_change_for_days_gone_by():
    given(account(), annual()).when(change(5_000, "staff", "2014-11-30")).then_refused(
        Code.EFFECTIVE_IN_PAST, effective_from="2014-11-30"
    )
    given(account(), annual()).when(
        change(5_000, "staff", "2014-11-30"), at="2014-11-30", now="2014-12-01"
    ).then_refused(Code.TIME_BACKDATED)


def test_a_cancellation_is_recorded_whatever_blocks_it():
    cancel = cmd.RequestCancellation(effective_from="2014-12-31", blockers=["modem"])
    asked = ev.CancellationRequested(effective_from="2014-12-31", blockers=["modem"])
    given(account(), annual()).when(cancel, by="customer/P1").then(asked)
    given(account(), annual()).when(cancel, evidenceref="form 3").then(asked)


def test_a_cancellation_is_the_customer_s_and_for_days_to_come():
    cancel = cmd.RequestCancellation(effective_from="2014-12-01")
    given(account(), annual()).when(cancel).then_refused(Code.CONSENT_MISSING)
    given(account(), annual()).when(cancel, by="customer/P2").then_refused(Code.CONSENT_MISSING)
    given(account(), annual()).when(cancel, at="2014-12-02", by="customer/P1").then_refused(
        Code.EFFECTIVE_IN_PAST
    )
