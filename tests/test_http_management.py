"""Management over HTTP: hot spots, accountability, bulletin, a party at a glance; and the change feed for billing."""

import base64

import orjson
import pytest

from api.runtime import READ_MODELS, Runtime
from projections.engine import catch_up
from tests.http_service import Client, problem
from tests.support import LEDGER, bring, charge_line, event_line

pytest_plugins = ["tests.http_fixtures"]
pytestmark = pytest.mark.storage

LISTS = {
    "/management/hot-spots": (
        "hot_spots",
        "top",
        ["-complaints", "-accounts", "-parties", "-at_stake_fen", "next_due_on"],
    ),
    "/management/accountability/penalties": (
        "penalties",
        "limit",
        ["imposed_at", "-imposed_at", "amount_fen", "-amount_fen"],
    ),
    "/management/accountability/pairing": ("pairs", "limit", ["on_day", "-on_day"]),
    "/management/corrective-actions": (
        "actions",
        "limit",
        ["due_on", "-due_on", "opened_at", "-opened_at", "closed_at"],
    ),
}
SINGLE = (
    "/management/accountability",
    "/management/bulletin?period=2014-12",
    "/management/readiness",
    "/billing/changes",
)


def pages(client: Client, path: str, name: str) -> list[dict]:
    """Return a list by its pages."""
    found: list[dict] = []
    cursor = ""
    for _ in range(200):
        body = client.get(f"{path}{cursor}").json()
        found += body[name]
        if body["next"] is None:
            return found
        cursor = f"&after={body['next']}"
    raise AssertionError("the pages do not end")


def forged(*values: object) -> str:
    """Return a cursor as a caller might make one up."""
    return base64.urlsafe_b64encode(orjson.dumps(values)).rstrip(b"=").decode()


# -- every list ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", LISTS)
def test_pages_together_are_the_whole_list(seen: Client, path: str):
    """In every order, whatever the page's size; and every answer says how far its model is."""
    name, size, sorts = LISTS[path]
    for sort in sorts:
        whole = seen.get(f"{path}?{size}=500&sort={sort}").json()
        assert whole[name]
        assert whole["next"] is None
        assert (whole["projection"]["position"], whole["projection"]["lag"]) == (102, 0)
        for limit in (1, 3) if size == "limit" else (20,):
            assert pages(seen, f"{path}?{size}={limit}&sort={sort}", name) == whole[name]


@pytest.mark.parametrize("path", LISTS)
def test_what_a_list_does_not_take_is_422(seen: Client, path: str):
    """A size out of bounds, an unknown order, a cursor that is none, of another order, or of wrong types."""
    _, size, sorts = LISTS[path]
    for query in (
        f"{size}=0",
        f"{size}=1001",
        "sort=color",
        "after=*",
        "after=AAAA",
        f"after={forged(1, 2)}",
    ):
        problem(seen.get(f"{path}?{query}"), 422, "request.invalid")
    least = 1 if size == "limit" else 20
    first = seen.get(f"{path}?{size}={least}&sort={sorts[0]}").json()["next"]
    if first is not None:
        problem(seen.get(f"{path}?sort={sorts[1]}&after={first}"), 422, "request.invalid")
        sort, *values = orjson.loads(base64.urlsafe_b64decode(first + "=="))
        for wrong in ("x", "\0", 7):
            cursor = forged(sort, wrong, *values[1:])
            problem(seen.get(f"{path}?sort={sort}&after={cursor}"), 422, "request.invalid")


def test_an_answer_is_of_one_ledger(client: Client, runtime: Runtime):
    """404 where there is none, 409 where there are several and none is named; the region chooses."""
    paths = [path if "?" in path else f"{path}?" for path in (*LISTS, *SINGLE)]
    for path in paths:
        problem(client.get(path), 404, "ledger.not_found")
    client.register()
    client.register(region="jilin.changchun")
    catch_up(runtime.deployment, READ_MODELS, runtime.clock)
    for path in paths:
        problem(client.get(path), 409, "ledger.ambiguous")
        problem(client.get(f"{path}&region=hebei"), 404, "ledger.not_found")
        found = client.get(f"{path}&region=jilin.changchun")
        assert (found.status_code, found.json()["projection"]["ledger"]) == (200, "jilin")
        assert found.headers["recount-position"] == "1"


def test_a_model_that_is_behind_says_so(harbin: Client):
    """Who waits for a position it has not reached gets 503, the others are told how far behind it is."""
    position = harbin.register("P-9").json()["position"]
    for path in (*LISTS, *SINGLE, "/management/parties/P-HRB/timeline"):
        mark = "&" if "?" in path else "?"
        late = harbin.get(f"{path}{mark}min_position={position}&wait_s=0")
        problem(late, 503, "projection.behind")
        found = harbin.get(path)
        assert (found.status_code, found.json()["projection"]["lag"]) == (200, 1)


# -- what they say ------------------------------------------------------------------------------------------


def test_the_hot_spot_of_harbin(seen: Client):
    """Found in its month and its city, with what hangs on it and what is done about it; nowhere else."""
    query = "/management/hot-spots?region=heilongjiang.harbin&from=2014-12-01&to=2014-12-09"
    (spot,) = seen.get(query).json()["hot_spots"]
    told = ("category", "complaints", "accounts", "at_stake_fen", "root_cause", "next_due_on")
    assert [spot[n] for n in told] == ["annual_package_expiry", 1, 2, 83_560, "several", "2015-03-31"]
    assert len(spot["corrective_actions"]) == 5
    for other in (
        "from=2014-12-10",
        "to=2014-12-08",
        "region=heilongjiang.daqing",
        "category=other",
    ):
        assert seen.get(f"/management/hot-spots?{other}").json()["hot_spots"] == []
    (province,) = seen.get("/management/hot-spots?by=province").json()["hot_spots"]
    assert province["region"] == "heilongjiang"
    problem(seen.get("/management/hot-spots?from=2014-12-31&to=2014-12-01"), 422, "request.invalid")
    for top in (19, 501):
        problem(seen.get(f"/management/hot-spots?top={top}"), 422, "request.invalid")


def test_hot_spots_are_twenty_at_the_least(client: Client, runtime: Runtime):
    """Given thirty problems, the first answer has twenty of them, and the rest comes with its cursor, in each order."""
    client.register()
    about = {"party_id": "P-1", "account_ids": [], "summary": "s", "answer_due_on": "2014-12-24"}
    bring(
        runtime.deployment,
        *(
            event_line(f"c{n}", "ComplaintReceived", f"case/C{n}", {**about, "category": f"problem {n}"})
            for n in range(30)
        ),
    )
    catch_up(runtime.deployment, READ_MODELS, runtime.clock)
    for sort in LISTS["/management/hot-spots"][2]:
        first = client.get(f"/management/hot-spots?sort={sort}").json()
        assert len(first["hot_spots"]) == 20
        rest = client.get(f"/management/hot-spots?sort={sort}&after={first['next']}").json()
        categories = [s["category"] for s in first["hot_spots"] + rest["hot_spots"]]
        assert sorted(categories) == sorted({f"problem {n}" for n in range(30)})


def test_accountability_of_harbin(seen: Client):
    """The sums, the penalties behind them, and the double penalty."""
    body = seen.get("/management/accountability?from=2014-12-01&to=2014-12-31").json()
    assert sum(s["penalties"] for s in body["penalties"]) == 10
    assert body["pairing"] == {"both": 1, "dealer_only": 0, "manager_only": 0, "manager_unknown": 0}
    path = "/management/accountability/penalties"
    fined = seen.get(f"{path}?subject_kind=dealer&kind=fine").json()["penalties"]
    assert [(p["subject_id"], p["event_id"], p["amount_fen"]) for p in fined] == [
        ("D-17", "harbin-088", None)
    ]
    assert seen.get(f"{path}?case_id=OTHER").json()["penalties"] == []
    problem(seen.get(f"{path}?kind=praise"), 422, "request.invalid")
    pairing = "/management/accountability/pairing"
    (pair,) = seen.get(f"{pairing}?outcome=both").json()["pairs"]
    assert (pair["dealer_id"], pair["manager_id"], pair["blocked"]) == ("D-17", "AGENT-DEPT-LEAD", True)
    assert seen.get(f"{pairing}?outcome=dealer_only").json()["pairs"] == []


def test_the_bulletin_compares_with_the_month_before(seen: Client):
    """December 2014 against November, January against December."""
    body = seen.get("/management/bulletin?period=2014-12").json()
    assert (body["region"], body["month"]["period"], body["before"]["period"]) == (
        "heilongjiang",
        "2014-12",
        "2014-11",
    )
    assert (body["month"]["audits_breach"], body["change"]["audits_breach"]) == (6, 6)
    january = seen.get("/management/bulletin?period=2015-01&region=heilongjiang.harbin").json()
    assert january["before"]["penalties"] == 10
    assert january["change"]["penalties"] == -10
    for wrong in ("2014-13", "2014-00", "0001-01", "9999-12", "december", "2014-1"):
        problem(seen.get(f"/management/bulletin?period={wrong}"), 422, "request.invalid")
    problem(seen.get("/management/bulletin"), 422, "request.invalid")


def test_corrective_actions_and_readiness(seen: Client):
    """Five measures, all overdue by today, none with a step done."""
    body = seen.get("/management/corrective-actions?status=overdue").json()
    assert [a["action_id"] for a in body["actions"]] == ["M-1", "M-2", "M-3", "M-4", "M-5"]
    assert len(body["actions"][0]["steps_missing"]) == 6
    assert seen.get("/management/corrective-actions?status=closed").json()["actions"] == []
    system = seen.get("/management/corrective-actions?root_cause=system&scope=national").json()
    assert [a["action_id"] for a in system["actions"]] == ["M-3", "M-4"]
    groups = seen.get("/management/readiness").json()["groups"]
    assert sum(g["actions"] for g in groups) == 5
    assert all(g["overdue"] == g["actions"] and g["all_steps"] == 0 for g in groups)


def test_a_partys_timeline_is_the_replays_at_now(seen: Client):
    """The same events, masked, by pages of any size; the newest first where that is asked."""
    right = seen.get("/investigations/party/P-HRB/timeline?limit=1000").json()["events"]
    path = "/management/parties/P-HRB/timeline"
    assert pages(seen, f"{path}?limit=1000", "events") == right
    assert pages(seen, f"{path}?limit=10", "events") == right
    assert pages(seen, f"{path}?limit=10&sort=-time", "events") == right[::-1]
    assert {e["data"]["name"] for e in right if e["type"] == "PartyRegistered"} == {"***"}
    accounts = seen.get(f"{path}?kind=account&type=ChargePosted&limit=1000").json()["events"]
    assert accounts == [e for e in right if e["type"] == "ChargePosted"]


def test_a_timeline_refuses_what_it_can_not_answer(seen: Client):
    """An unknown party, a cursor that is none, an unknown kind."""
    problem(seen.get("/management/parties/NOBODY/timeline"), 404, "party.not_found")
    path = "/management/parties/P-HRB/timeline"
    for query in (
        "after=x",
        "after=102.0",
        "after=102.999999",
        f"after={10**18 * 9}.{10**19 - 1}",
        "kind=rulebook",
    ):
        problem(seen.get(f"{path}?{query}"), 422, "request.invalid")


# -- the change feed ----------------------------------------------------------------------------------------


def test_billing_follows_the_changes(harbin: Client, runtime: Runtime):
    """All accounts first, page by page, each as /billing/accounts has it; then only what changed."""
    feed, cursor, more = [], "", True
    while more:
        body = harbin.get(f"/billing/changes?limit=3{cursor}").json()
        feed += body["accounts"]
        cursor, more = f"&after={body['next']}", body["more"]
    assert len(feed) == 8
    assert [row["position"] for row in feed] == sorted(row["position"] for row in feed)
    listed = {row["account_id"]: row for row in harbin.get("/billing/accounts").json()["accounts"]}
    assert {row["account_id"]: {k: v for k, v in row.items() if k != "position"} for row in feed} == listed
    idle = harbin.get(f"/billing/changes?limit=3{cursor}").json()
    assert (idle["accounts"], idle["more"]) == ([], False)
    bring(runtime.deployment, charge_line("A-M1", "NEW", 300))
    catch_up(runtime.deployment, READ_MODELS, runtime.clock)
    body = harbin.get(f"/billing/changes?after={idle['next']}").json()
    assert [(row["account_id"], row["balance_fen"]) for row in body["accounts"]] == [("A-M1", 300)]
    assert body["projection"]["position"] == runtime.deployment.ledger(LEDGER).journal.last_position()


def test_a_feeds_cursor_is_checked(seen: Client):
    """One of another ledger, of another form, or made of what is no position or moment, is 422."""
    moment = "2014-12-09T10:00:00+08:00"
    for cursor in (
        "AAAA",
        forged(),
        forged("jilin", 2, 1, moment, 1, moment, None),
        forged("heilongjiang", 2, -1, moment, 1, moment, None),
        forged("heilongjiang", 2, 2**63, moment, 1, moment, None),
        forged("heilongjiang", 2, 1, "yesterday", 1, moment, None),
        forged("heilongjiang", 2, 1, moment, 1, None, None),
        forged("heilongjiang", 2.0, 1, moment, 1, moment, None),
        forged("heilongjiang", 2, 1, moment, 1, moment, "x"),
    ):
        problem(seen.get(f"/billing/changes?after={cursor}"), 422, "request.invalid")
    assert (
        seen.get(
            f"/billing/changes?after={forged('heilongjiang', 2, 1, moment, 1, moment, None)}"
        ).status_code
        == 200
    )
