"""When a proposal may be accepted, and as which commands it is put into effect. Pure: nothing is stored here."""

import pytest

from domain.case import Case
from domain.commands import account as cmd
from domain.commands import case as case_cmd
from domain.commands import party as party_cmd
from domain.events import MalformedError
from domain.events import party as party_ev
from domain.refusals import Code, Refused
from domain.remedies import acceptance_of, check_unchanged, remedies
from domain.rules.facts import World
from tests import scenario
from tests.scenario import REGION, Fact, account, given, moment, party

DIGEST = "sha256:" + "a" * 64
REVERSED = {"type": "ChargeReversed", "subject": "account/A1", "region": REGION}
CORRECTIONS = (
    {**REVERSED, "data": {"charge_id": "CH1", "amount_fen": 700, "reason": "no_basis"}},
    {**REVERSED, "data": {"fee_id": "LF1", "amount_fen": 30, "reason": "no_basis"}},
    {"type": "RefundPaid", "subject": "account/A1", "region": REGION,
     "data": {"amount_fen": 500, "method": "as paid"}},
    {"type": "BlacklistEntryRemoved", "subject": "party/P1", "region": REGION,
     "data": {"entry_id": "B1", "reason": "entered_in_error"}},
)  # fmt: skip


def case(party_id="P1", account_ids=(), *, opened=True):
    """Return a case about a party, accounts, or both."""
    return Case("K1", REGION, opened, party_id=party_id, account_ids=account_ids)


def proposal(*corrections):
    """Return what a counterfactual on A1's holder proposes."""
    refund_fen = sum(c["data"]["amount_fen"] for c in corrections if c["type"] == "RefundPaid")
    return {
        "subject": "party/P1",
        "proposal_digest": DIGEST,
        "proposed_events": list(corrections),
        "to_refund_fen": refund_fen,
    }


def commands(*corrections, of=None, about=None, world=(), **more):
    """Return the commands an acceptance leads to."""
    given_form = {
        "case_id": "K1",
        "position": 9,
        "proposal_digest": DIGEST,
        "accepted_by": "staff/S9",
        "proposed_by": "staff/S8",
        **more,
    }
    facts = given(party(), party("P2"), account(), *world)
    seen = World(facts.histories, moment("2014-12-20"), 100, REGION)
    asked = proposal(*corrections) | ({"subject": of} if of else {})
    return remedies(
        acceptance_of(given_form), asked, about or case(), seen, now=moment("2014-12-20"), command_id="c"
    )


def refused(code, *corrections, **more):
    """Assert that an acceptance is refused, with a sentence."""
    with pytest.raises(Refused) as caught:
        commands(*(corrections or CORRECTIONS[:1]), **more)
    assert caught.value.code is code
    assert caught.value.message.endswith(".")
    scenario.REFUSED.add(code)


def test_each_kind_of_remedy_is_granted_once_and_causes_its_corrections():
    found = commands(*CORRECTIONS, refund_method="cash", evidenceref="minute 7")
    attached, *found = found
    assert (attached.subject, attached.actor, attached.causationid) == ("case/K1", "staff/S8", None)
    assert f"sha256:{attached.command.sha256}" == attached.evidenceref == DIGEST
    assert [(a.subject, a.command) for a in found] == [
        ("case/K1", case_cmd.GrantRemedy(kind="reversal", account_id="A1", amount_fen=730)),
        ("case/K1", case_cmd.GrantRemedy(kind="refund", account_id="A1", amount_fen=500)),
        ("case/K1", case_cmd.GrantRemedy(kind="blacklist_removal")),
        ("account/A1", cmd.ReverseCharge(charge_id="CH1", amount_fen=700, reason="no_basis", case_id="K1")),
        ("account/A1", cmd.ReverseCharge(fee_id="LF1", amount_fen=30, reason="no_basis", case_id="K1")),
        ("account/A1", cmd.PayRefund(amount_fen=500, method="cash", case_id="K1")),
        ("party/P1", party_cmd.RemoveBlacklistEntry(entry_id="B1", reason="entered_in_error")),
    ]
    assert [a.causationid for a in found] == ["c.1"] * 3 + ["c.2", "c.2", "c.3", "c.4"]
    assert [a.evidenceref for a in found] == ["minute 7"] * 3 + [DIGEST] * 4
    assert {a.correlationid for a in found} == {"case/K1"}
    assert {(a.actor, a.channel, a.time) for a in found} == {("staff/S9", "system", moment("2014-12-20"))}


def test_a_service_that_should_run_is_brought_back():
    resumed = {
        "type": "ServiceResumed",
        "subject": "account/A1",
        "region": REGION,
        "data": {"reason": "no_basis"},
    }
    _, grant, resume = commands(resumed)
    assert grant.command == case_cmd.GrantRemedy(kind="other", account_id="A1")
    assert resume.command == cmd.ResumeService(reason="no_basis")


def test_another_proposal_than_the_one_that_was_read_is_not_accepted():
    refused(Code.PROPOSAL_CHANGED, proposal_digest="sha256:" + "b" * 64)


def test_where_nothing_is_proposed_there_is_nothing_to_accept():
    with pytest.raises(Refused) as caught:
        commands()
    assert caught.value.code is Code.PROPOSAL_EMPTY
    scenario.REFUSED.add(Code.PROPOSAL_EMPTY)


def test_who_proposed_does_not_accept():
    refused(Code.PROPOSAL_SAME_PERSON, proposed_by="staff/S9")
    refused(Code.PROPOSAL_NOT_MADE, proposed_by=None)
    assert commands(CORRECTIONS[0], proposed_by="staff/S7")


def test_money_is_paid_back_in_a_way_somebody_named():
    refused(Code.REFUND_METHOD_MISSING, *CORRECTIONS)
    assert commands(CORRECTIONS[0])


def test_the_case_is_there():
    refused(Code.CASE_NOT_FOUND, about=case(opened=False))


def test_the_case_is_about_the_party_or_one_of_its_accounts():
    refused(Code.CASE_OTHER_PARTY, about=case("P2"))
    refused(Code.CASE_OTHER_PARTY, about=case("P2", ("A1",)))
    refused(Code.CASE_OTHER_PARTY, about=case(None))
    assert commands(CORRECTIONS[0], about=case(None, ("A1",)))


def test_the_case_is_about_the_account_or_its_holder():
    refused(Code.CASE_OTHER_PARTY, of="account/A1", about=case("P2"))
    assert commands(CORRECTIONS[0], of="account/A1", about=case("P1"))
    assert commands(CORRECTIONS[0], of="account/A1", about=case("P2", ("A1",)))


def test_a_case_of_whom_the_party_was_merged_into_is_about_the_party():
    merged = Fact(party_ev.PartyMerged(into_party_id="P2"), subject="party/P1")
    assert commands(CORRECTIONS[0], about=case("P2"), world=[merged])
    assert commands(CORRECTIONS[0], of="account/A1", about=case("P2"), world=[merged])


def test_a_proposal_whose_ground_has_moved_names_where():
    with pytest.raises(Refused) as caught:
        check_unchanged("account/A1", 9)
    assert (caught.value.code, caught.value.details) == (
        Code.PROPOSAL_OUTDATED,
        {"subject": "account/A1", "position": 9},
    )
    scenario.REFUSED.add(Code.PROPOSAL_OUTDATED)
    check_unchanged(None, 9)


def test_what_is_assumed_of_a_package_follows_from_what_is_assumed():
    form = {"case_id": "K1", "position": 9, "proposal_digest": DIGEST, "accepted_by": "staff/S9"}
    stated = {"expiry_option": "suspend", "expiry_option of PK1": "suspend", "weather": "fine"}
    assert acceptance_of(form | {"assumptions": stated}).stated == {
        "expiry_option": "suspend",
        "weather": "fine",
    }


def test_an_acceptance_that_is_not_well_formed_says_which_field():
    form = {"case_id": "K1", "position": 9, "proposal_digest": DIGEST, "accepted_by": "staff/S9"}
    for field, value in {
        "case_id": "a case",
        "position": -1,
        "proposal_digest": "sha256:ab",
        "accepted_by": "customer/P1",
        "proposed_by": "S8",
        "until": "yesterday",
        "channel": "pigeon",
        "refund_method": "",
    }.items():
        with pytest.raises(MalformedError, match=f"^{field}: "):
            acceptance_of(form | {field: value})
