"""No event without a command, no command without an accepted outcome, no refusal without a test."""

import inspect
from datetime import date

import pytest
from pydantic import ValidationError

from domain.commands import COMMANDS, Asked, Command
from domain.commands import account as cmd
from domain.decisions import RULINGS
from domain.events import REGISTRY, MalformedError, Payload
from domain.refusals import Code, Refused, refuse
from domain.rules import windows
from tests import (
    scenario,
    test_decisions_account,
    test_decisions_case,
    test_decisions_dealer,
    test_decisions_dunning,
    test_decisions_money,
    test_decisions_packages,
    test_decisions_party,
    test_remedies,
)
from tests.scenario import moment, terms

SPECIFICATION = (
    test_decisions_account,
    test_decisions_case,
    test_decisions_dealer,
    test_decisions_dunning,
    test_decisions_money,
    test_decisions_packages,
    test_decisions_party,
    test_remedies,
)


@pytest.fixture(scope="module", autouse=True)
def _whole_specification():
    """Run every scenario here too, so that what is asserted below does not hang on the order of tests."""
    for module in SPECIFICATION:
        for name, test in inspect.getmembers(module, inspect.isfunction):
            if name.startswith("test_"):
                test()


def test_every_event_type_is_reached_by_a_command():
    assert {e.__name__ for c in COMMANDS.values() for e in c.EMITS} == set(REGISTRY)


def test_every_command_is_decided_and_has_an_accepted_outcome():
    assert set(COMMANDS.values()) == set(RULINGS)
    assert set(COMMANDS) == scenario.ACCEPTED


def test_every_refusal_is_seen():
    assert [c.value for c in Code if c not in scenario.REFUSED] == []


def test_every_refusal_has_a_kind_and_a_meaning():
    for code in Code:
        assert code.kind in ("unknown", "conflict", "authority", "rule")
        assert code.meaning.endswith(".")
        assert code.value == str(code) == f"{code}"


def test_routes_are_unique_within_a_stream_and_read_as_addresses():
    routes = [(c.STREAM, c.ROUTE) for c in COMMANDS.values()]
    assert len(set(routes)) == len(routes)
    assert all(r == r.lower().strip("/ ") and "_" not in r for _, r in routes)


def test_only_opening_commands_have_no_route_of_their_own():
    assert {n for n, c in COMMANDS.items() if not c.ROUTE} == {
        "AuthoriseDealer",
        "OpenAccount",
        "RegisterParty",
    }
    assert {n for n, c in COMMANDS.items() if c.OPENS} == {
        "AuthoriseDealer",
        "OpenAccount",
        "OpenInvestigation",
        "PublishRuleVersion",
        "ReceiveComplaint",
        "RegisterParty",
    }


def test_a_command_emits_events_of_its_own_stream():
    for command in COMMANDS.values():
        assert issubclass(command, Command)
        assert all(issubclass(e, Payload) and e.STREAM == command.STREAM for e in command.EMITS)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_a_command_is_documented_frozen_and_takes_no_other_field(name):
    kind = COMMANDS[name]
    assert kind.__doc__
    assert kind.__doc__.strip().endswith(".")
    assert kind.__dataclass_params__.frozen
    with pytest.raises(ValidationError):
        kind(no_such_field=1)


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (
            cmd.ReceivePayment,
            {"payment_id": "P", "amount_fen": 0, "value_date": "2014-01-01", "method": "cash"},
        ),
        (
            cmd.ReceivePayment,
            {"payment_id": "P", "amount_fen": 1.0, "value_date": "2014-01-01", "method": "cash"},
        ),
        (cmd.ReverseCharge, {"amount_fen": 1, "reason": "x"}),
        (cmd.ReverseCharge, {"charge_id": "C", "fee_id": "F", "amount_fen": 1, "reason": "x"}),
        (cmd.IssueBill, {"bill_id": "B", "charge_ids": ["C", "C"], "due_on": "2014-01-01"}),
        (cmd.PresentExpiryOptions, {"package_id": "P", "options": []}),
        (
            cmd.SubscribePackage,
            {"package_id": "P", "offer_id": "O", "cycle": "annual", "price_fen": 1, "start": "2014-01-01"},
        ),
        (
            cmd.SubscribePackage,
            {
                "package_id": "P",
                "offer_id": "O",
                "cycle": "monthly",
                "price_fen": 1,
                "start": "2014-01-01",
                "end": "2014-01-01",
            },
        ),
        (
            cmd.PostCharge,
            {
                "charge_id": "C",
                "kind": "usage",
                "amount_fen": 1,
                "period_start": "2014-01-02",
                "period_end": "2014-01-01",
            },
        ),
        (cmd.RenewPackage, {"package_id": "P", "price_fen": 1, "start": "2014-01-02", "end": "2014-01-01"}),
        (COMMANDS["ChangePartyDetails"], {}),
        (COMMANDS["ConfirmIdentityMisuse"], {}),
        (COMMANDS["VerifyIdentity"], {"registration_id": "R", "method": "none", "result": "passed"}),
    ],
)
def test_a_command_that_could_not_mean_anything_is_malformed(kind, fields):
    with pytest.raises(ValidationError):
        kind(**fields)


def test_a_command_is_asked_of_its_own_kind_of_stream():
    with pytest.raises(MalformedError, match="should be account/ID"):
        Asked("party/P1", cmd.ClearArrears(), "staff/S1", "store", scenario.REGION, moment("2014-01-01"))


def test_a_refusal_says_what_would_be_right():
    with pytest.raises(Refused, match=r"case\.closed: Open another\.") as caught:
        refuse(Code.CASE_CLOSED, "Open another.", on=date(2014, 12, 1))
    assert caught.value.details == {"on": "2014-12-01"}


# -- the law's windows


def test_a_fixed_line_has_more_than_30_days_to_pay():
    for line in ("fixed_broadband", "fixed_voice"):
        assert windows.earliest_suspension(line, terms(), date(2014, 1, 31)) == date(2014, 3, 3)


def test_a_mobile_has_more_than_the_contract_s_days():
    assert windows.earliest_suspension("mobile", terms(), date(2014, 1, 31)) == date(2014, 2, 11)


def test_a_termination_waits_for_60_days_or_the_contract_s_if_more():
    assert windows.earliest_termination(terms(), date(2014, 3, 3)) == date(2014, 5, 3)
    assert windows.earliest_termination(terms(terminate_after_days=30), date(2014, 3, 3)) == date(2014, 5, 3)
    assert windows.earliest_termination(terms(terminate_after_days=61), date(2014, 3, 3)) == date(2014, 5, 4)


def test_a_late_fee_never_begins_before_the_day_after_the_due_date():
    due, start = date(2014, 1, 31), date(2014, 2, 1)
    later = terms(late_fee_start="after_suspension")
    assert windows.late_fee_start(terms(), due, None) == start
    assert windows.late_fee_start(later, due, None) is None
    assert windows.late_fee_start(later, due, date(2014, 1, 1)) == start
    assert windows.late_fee_start(later, due, date(2014, 3, 3)) == date(2014, 3, 3)


def test_an_entry_lapses_after_five_years():
    assert windows.blacklist_retention_end(date(2014, 4, 1)) == date(2019, 4, 1)
    assert windows.blacklist_retention_end(date(2016, 2, 29)) == date(2021, 3, 1)


def test_the_article_is_that_of_the_day():
    assert "art. 35" in windows.arrears_article(date(2014, 7, 28))
    assert "art. 34" in windows.arrears_article(date(2014, 7, 29))
