"""Regions: a clerk of Harbin sees and writes nothing of Daqing, though both stand in one ledger."""

from collections.abc import Iterator

import orjson
import pytest

from api.access.principal import BILLING_READ, CRM_WRITE, INVESTIGATE_READ
from api.runtime import READ_MODELS, Runtime
from projections.engine import catch_up
from tests.conftest import fresh_database, opened_deployment
from tests.http_service import REGION, Client, problem, serving

pytestmark = pytest.mark.storage

DAQING, JILIN = "heilongjiang.daqing", "jilin.changchun"
AT = {"P-H": REGION, "P-D": DAQING, "P-J": JILIN}


@pytest.fixture(scope="module")
def cities(server: str) -> Iterator[Client]:
    """Return a client of a service with a customer in Harbin, one in Daqing, one in Changchun, and one in both."""
    with fresh_database(server, "cities") as url:
        opened = opened_deployment(url)
        try:
            runtime = Runtime(opened)
            with serving(runtime) as client:
                for party_id, region in AT.items():
                    assert client.register(party_id, region=region).status_code == 201
                    account_id = party_id.replace("P", "A")
                    assert client.open_account(account_id, party_id, region=region).status_code == 201
                assert client.register("P-B", region=REGION).status_code == 201
                for account_id, region in (("A-BH", REGION), ("A-BD", DAQING)):
                    assert client.open_account(account_id, "P-B", region=region).status_code == 201
                catch_up(opened, READ_MODELS, runtime.clock)
                yield client
        finally:
            opened.close()


def clerk(cities: Client, *regions: str) -> Client:
    """Return a clerk of some regions."""
    return cities.as_(scopes=[CRM_WRITE, BILLING_READ, INVESTIGATE_READ], regions=regions)


def accounts(found) -> set[str]:
    return {row["account_id"] for row in found.json()["accounts"]}


def test_lists_show_the_tokens_region_and_no_other(cities: Client):
    """Without a region asked for, it is the token's; another one is refused; a province shows its cities."""
    harbin, province = clerk(cities, REGION), clerk(cities, "heilongjiang")
    assert accounts(harbin.get("/billing/accounts")) == {"A-H", "A-BH"}
    assert accounts(harbin.get("/billing/accounts?region=heilongjiang")) == {"A-H", "A-BH"}
    assert accounts(province.get("/billing/accounts")) == {"A-H", "A-D", "A-BH", "A-BD"}
    assert accounts(cities.get("/billing/accounts")) >= {"A-H", "A-D"}
    for region in (DAQING, "jilin", JILIN):
        problem(harbin.get(f"/billing/accounts?region={region}"), 403, "access.other_region")
    assert {row["account_id"] for row in harbin.get("/billing/changes").json()["accounts"]} == {"A-H", "A-BH"}
    assert [r["region"] for r in harbin.get("/billing/aging").json()["totals"]] in ([], [REGION])


def test_a_token_of_several_regions_names_one_for_a_list(cities: Client):
    """409 says so; each of them is shown when it is named."""
    two = clerk(cities, REGION, DAQING)
    problem(two.get("/billing/accounts"), 409, "region.ambiguous")
    assert accounts(two.get(f"/billing/accounts?region={DAQING}")) == {"A-D", "A-BD"}
    assert two.get("/billing/accounts/A-D").json()["account_id"] == "A-D"


def test_a_cursor_of_another_region_shows_no_more(cities: Client):
    """Whatever page one begins at, it is of one's own."""
    harbin = clerk(cities, REGION)
    assert accounts(harbin.get("/billing/accounts?after=heilongjiang/A-BD")) <= {"A-H", "A-BH"}
    assert accounts(harbin.get("/billing/accounts?after=jilin/A")) == set()


def test_a_stream_elsewhere_is_answered_as_if_there_were_none(cities: Client):
    """The same words, whether it stands in Daqing or nowhere."""
    harbin = clerk(cities, REGION)
    for path in ("/crm/accounts/{}", "/billing/accounts/{}", "/investigations/account/{}/replay"):
        there = problem(harbin.get(path.format("A-D")), 404, "account.not_found")
        nowhere = problem(harbin.get(path.format("A-X")), 404, "account.not_found")
        assert there["detail"].replace("A-D", "A-X") == nowhere["detail"]
    assert clerk(cities, DAQING).get("/crm/accounts/A-D").status_code == 200


def test_an_answer_that_rests_on_another_region_is_refused_as_a_whole(cities: Client):
    """A party with an account in Daqing: 403 for Harbin alone, for half a history would be a wrong one."""
    harbin, province = clerk(cities, REGION), clerk(cities, "heilongjiang")
    for path in ("replay", "findings", "counterfactual", "comparison?with_known_at=now", "dossier"):
        problem(harbin.get(f"/investigations/party/P-B/{path}"), 403, "access.other_region")
        assert province.get(f"/investigations/party/P-B/{path}").status_code == 200
    assert harbin.get("/investigations/account/A-BH/replay").status_code == 200


def test_timelines_and_feeds_leave_out_what_is_elsewhere(cities: Client):
    """Both are lists of events: those of other regions are not among them, and not counted."""
    harbin = clerk(cities, REGION)
    for path in ("/investigations/party/P-B/timeline", "/management/parties/P-B/timeline"):
        found = harbin.get(path).json()
        assert {e["subject"] for e in found["events"]} == {"party/P-B", "account/A-BH"}
        assert "A-BD" not in str(found)
    feed = harbin.get("/feeds/heilongjiang")
    assert {e["subject"] for e in feed.json()} == {"party/P-H", "account/A-H", "party/P-B", "account/A-BH"}
    assert int(feed.headers["recount-position"]) == len(cities.get("/feeds/heilongjiang").json())
    assert [row["ledger"] for row in harbin.get("/feeds").json()["ledgers"]] == ["heilongjiang"]
    problem(harbin.get("/feeds/jilin"), 404, "ledger.not_found")
    with harbin.http.stream("GET", "/feeds/heilongjiang/stream") as found:
        said = [orjson.loads(line[6:]) for line in _first(found.iter_lines(), "data: ", 4)]
    assert {e["region"] for e in said} == {REGION}


def _first(lines, prefix: str, count: int) -> list[str]:
    found = []
    for line in lines:
        if line.startswith(prefix):
            found.append(line)
        if len(found) == count:
            break
    return found


def test_an_extract_is_of_the_tokens_region(cities: Client):
    """Rows of other cities are not in it; a table without regions is only for a whole ledger."""
    harbin = clerk(cities, REGION)
    text = harbin.get("/billing/extracts/billing_status").text
    assert "A-H" in text
    assert "A-D" not in text
    assert "A-BD" not in text
    problem(harbin.get(f"/billing/extracts/billing_status?region={DAQING}"), 403, "access.other_region")


def test_a_clerk_writes_in_their_own_region_only(cities: Client):
    """Neither under another region's name, nor into another region's stream, nor naming its customers."""
    harbin = clerk(cities, REGION)
    before = cities.get("/feeds").json()
    problem(harbin.register("P-N1", region=DAQING, actor="staff/S-1"), 403, "access.other_region")
    problem(harbin.register("P-N1", region="jilin.changchun", actor="staff/S-1"), 403, "access.other_region")
    deposit = {"deposit_id": "D-1", "amount_fen": 100}
    for envelope in ({}, {"region": REGION}):
        found = harbin.ask("accounts/A-D/deposits", deposit, actor="staff/S-1", **envelope)
        problem(found, 404, "account.not_found")
    problem(
        harbin.ask("accounts/A-D/deposits", deposit, actor="staff/S-1", region=DAQING),
        403,
        "access.other_region",
    )
    problem(harbin.open_account("A-N2", "P-D", actor="staff/S-1"), 404, "party.not_found")
    problem(harbin.register("P-D", actor="staff/S-1"), 404, "party.not_found")
    assert cities.get("/feeds").json() == before
    assert harbin.ask("accounts/A-H/deposits", deposit, actor="staff/S-1").status_code == 201


def test_a_province_rulebook_is_read_by_its_cities_and_written_by_the_province(cities: Client):
    """What a rule says holds for all of it: an administrator of a city may not change it."""
    rule = {
        "rule_id": "complaint-answer",
        "version": "2030-1",
        "in_force_from": "2030-01-01",
        "parameters": {"days": 10},
        "citation": "an order",
    }
    city = cities.as_(regions=[REGION])
    problem(
        city.ask("rulebooks/heilongjiang/versions", rule, actor="staff/S-1", region=REGION),
        403,
        "access.other_region",
    )
    province = cities.as_(regions=["heilongjiang"])
    path = "rulebooks/heilongjiang"
    done = province.ask(f"{path}/{_route()}", rule, actor="staff/S-1", region="heilongjiang")
    assert done.status_code == 201, done.text
    assert city.get(f"/crm/{path}").status_code == 200
    assert city.get("/investigations/account/A-BH/findings").status_code == 200


def _route() -> str:
    from domain.commands import COMMANDS

    return COMMANDS["PublishRuleVersion"].ROUTE


# -- whose act it is


def test_who_asks_is_who_did_it(cities: Client):
    """Without an actor it is the token's subject; another one is refused, unless the token may act for such."""
    own = cities.as_(subject="staff/S-7", scopes=[CRM_WRITE], acts_for=["customer"])
    done = own.ask("accounts/A-H/deposits", {"deposit_id": "D-7", "amount_fen": 1}, actor=None)
    assert done.status_code == 201
    position = done.json()["position"]
    event = cities.get(f"/feeds/heilongjiang?after={position - 1}&limit=1").json()[0]
    assert event["actor"] == "staff/S-7"
    for actor in ("staff/S-8", "system/billing", "dealer/D-1", "regulator/MIIT"):
        found = own.ask("accounts/A-H/deposits", {"deposit_id": "D-8", "amount_fen": 1}, actor=actor)
        problem(found, 403, "access.other_actor")
    done = own.ask("accounts/A-H/deposits", {"deposit_id": "D-9", "amount_fen": 1}, actor="customer/P-H")
    assert done.status_code == 201


def test_a_key_is_of_whoever_used_it(cities: Client):
    """Another caller with the same key and the same request gets no answer that was somebody else's."""
    first = cities.as_(subject="system/a", acts_for=["*"])
    other = cities.as_(subject="system/b", acts_for=["*"])
    assert (
        first.ask("accounts/A-H/deposits", {"deposit_id": "D-20", "amount_fen": 1}, key="mine").status_code
        == 201
    )
    again = first.ask("accounts/A-H/deposits", {"deposit_id": "D-20", "amount_fen": 1}, key="mine")
    assert again.headers["idempotency-replayed"] == "true"
    found = other.ask("accounts/A-H/deposits", {"deposit_id": "D-20", "amount_fen": 1}, key="mine")
    problem(found, 422, "idempotency.key_reused")
