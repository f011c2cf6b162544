"""A dealer is authorised, blocked and reinstated; a region's rulebook gets its versions."""

from domain.commands import dealer as cmd
from domain.commands.rulebook import PublishRuleVersion
from domain.events import dealer as ev
from domain.events.rulebook import RuleVersionPublished
from domain.refusals import Code
from tests.scenario import blocked, dealer, given

VERSION = {
    "rule_id": "restore-within",
    "version": "2",
    "in_force_from": "2015-01-01",
    "parameters": {"hours": 24},
    "citation": "Order 7 of the branch",
}


def test_a_dealer_is_authorised_once():
    authorise = cmd.AuthoriseDealer(name="Shop 17", manager_id="M1")
    given().when(authorise).then(ev.DealerAuthorised(name="Shop 17", manager_id="M1"))
    given(dealer()).when(authorise).then_refused(Code.DEALER_EXISTS)


def test_a_dealer_is_blocked_and_reinstated():
    block, lift = cmd.BlockDealer(reason="misuse"), cmd.ReinstateDealer(reason="cleared")
    given(dealer()).when(block).then(ev.DealerBlocked(reason="misuse"))
    given(dealer(), blocked()).when(block).then_refused(Code.DEALER_ALREADY_BLOCKED)
    given(dealer(), blocked()).when(lift).then(ev.DealerReinstated(reason="cleared"))
    given(dealer()).when(lift).then_refused(Code.DEALER_NOT_BLOCKED)
    given().when(block).then_refused(Code.DEALER_NOT_FOUND)


def test_a_blocked_dealer_does_not_reinstate_itself():
    given(dealer(), blocked()).when(cmd.ReinstateDealer(reason="cleared"), by="dealer/D1").then_refused(
        Code.DEALER_BLOCKED
    )


def test_a_rule_version_is_published_once():
    publish, published = PublishRuleVersion(**VERSION), RuleVersionPublished(**VERSION)
    third = PublishRuleVersion(**{**VERSION, "version": "3"})
    given().when(publish).then(published)
    given(published).when(third).then(RuleVersionPublished(**{**VERSION, "version": "3"}))
    given(published).when(publish).then_refused(Code.ID_USED, field="version", id="2")


def test_a_rule_version_ends_after_it_begins():
    empty = PublishRuleVersion(**VERSION, in_force_to="2015-01-01")
    given().when(empty).then_refused(Code.RULE_PERIOD_EMPTY, in_force_from="2015-01-01")
