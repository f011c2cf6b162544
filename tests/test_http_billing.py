"""Billing over HTTP: what accounts owe today, how far the model is, and waiting until it is far enough."""

import threading
import time

import pytest

from api.runtime import READ_MODELS, Runtime
from projections.billing_status import BillingStatus
from projections.engine import Follower, catch_up, following
from tests.http_service import REGION, Client, problem

pytest_plugins = ["tests.http_fixtures"]
pytestmark = pytest.mark.storage


def test_an_account_is_answered_with_the_models_position(seen: Client):
    """The row equals the replay, and says how far the model is."""
    found = seen.get("/billing/accounts/A-FTTH")
    assert found.status_code == 200
    body = found.json()
    state = seen.get("/investigations/account/A-FTTH/replay").json()["state"]
    for name in (
        "status",
        "balance_fen",
        "principal_fen",
        "late_fee_fen",
        "arrears_since",
        "days_past_due",
        "aging",
    ):
        assert body[name] == state[name]
    projection = body["projection"]
    assert (projection["name"], projection["version"], projection["ledger"]) == (
        "billing_status",
        BillingStatus.version,
        "heilongjiang",
    )
    assert (projection["position"], projection["lag"], projection["age_s"]) == (102, 0, 0.0)
    assert projection["moved_at"]
    assert found.headers["recount-position"] == "102"


def test_an_unknown_account_is_404(seen: Client):
    """With the domain's own code."""
    problem(seen.get("/billing/accounts/NOBODY"), 404, "account.not_found")
    problem(seen.get("/billing/accounts/A-FTTH?region=jilin"), 404, "account.not_found")


def test_given_a_write_when_its_position_is_waited_for_then_it_is_read(client: Client, runtime: Runtime):
    """Read your own write: min_position waits for the follower, which comes a moment later."""
    client.register()
    follower = Follower(runtime.deployment, READ_MODELS, runtime.clock)
    follower.start()
    try:
        for number in range(5):
            position = client.open_account(f"A-{number}").json()["position"]
            found = client.get(f"/billing/accounts/A-{number}?min_position={position}")
            assert found.status_code == 200, found.text
            assert found.json()["projection"]["position"] >= position
    finally:
        follower.stop()


def test_a_write_wakes_the_models_of_its_process(
    client: Client, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
):
    """Given a follower that polls hardly ever, when something is written here, then it is read at once."""
    monkeypatch.setattr(following, "POLL_S", 60.0)
    client.register()
    follower = runtime.follower()
    follower.start()
    try:
        for number in range(3):
            position = client.open_account(f"A-{number}").json()["position"]
            found = client.get(f"/billing/accounts/A-{number}?min_position={position}")
            assert found.status_code == 200, found.text
    finally:
        follower.stop()


def test_a_model_that_stays_behind_is_503_with_its_lag(harbin: Client):
    """After the time to wait, not before; Retry-After says to come back."""
    position = harbin.register("P-9").json()["position"]
    began = time.perf_counter()
    found = harbin.get(f"/billing/accounts/A-FTTH?min_position={position}&wait_s=0.3")
    assert 0.3 <= time.perf_counter() - began < 3
    body = problem(found, 503, "projection.behind")
    assert body["projection"] == {"name": "billing_status", "position": 102, "lag": 1}
    assert found.headers["retry-after"] == "1"
    assert harbin.get("/billing/accounts/A-FTTH").json()["projection"]["lag"] == 1


def test_an_account_the_model_has_not_come_to_is_not_called_unknown(harbin: Client):
    """503: it stands in the log, only the model is behind."""
    harbin.open_account("A-NEW", "P-HRB")
    problem(harbin.get("/billing/accounts/A-NEW"), 503, "projection.behind")


def test_a_model_that_failed_says_so_only_to_who_waits(
    harbin: Client, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
):
    """The last good figures are still answered; who asks for later ones is told that the model stopped."""

    def broken(*_: object) -> None:
        raise ValueError("18600000001")

    monkeypatch.setattr(BillingStatus, "rows", broken)
    position = harbin.open_account("A-NEW", "P-HRB").json()["position"]
    follower = Follower(runtime.deployment, READ_MODELS, runtime.clock)
    follower.round()
    assert harbin.get("/billing/accounts/A-FTTH").status_code == 200
    found = harbin.get(f"/billing/accounts/A-FTTH?min_position={position}&wait_s=0")
    body = problem(found, 503, "projection.failed")
    assert body["projection"]["failed_position"] == position
    assert body["projection"]["failure"] == "ValueError"
    ready = harbin.get("/readyz")
    assert (ready.status_code, ready.json()["stopped"]) == (
        200,
        [
            {
                "ledger": "heilongjiang",
                "model": "billing_status",
                "position": position,
                "reason": "ValueError",
                "rebuild": False,
            }
        ],
    )
    assert 'recount_read_model_failed{ledger="heilongjiang",model="billing_status"} 1.0' in (
        harbin.get("/metrics").text
    )


def test_a_ledger_whose_models_are_not_installed_is_503(client: Client, runtime: Runtime):
    """Before the follower has made the tables; who waits for a position waits for them too."""
    client.register()
    position = client.open_account().json()["position"]
    problem(client.get("/billing/accounts/A-1"), 503, "storage.not_ready")
    catching_up = threading.Timer(0.3, catch_up, (runtime.deployment, READ_MODELS, runtime.clock))
    catching_up.start()
    assert client.get(f"/billing/accounts/A-1?min_position={position}").status_code == 200
    catching_up.join()


def test_waiting_readers_hold_no_thread(harbin: Client):
    """Sixty wait at once, more than there are threads, and another is answered meanwhile."""
    position = harbin.register("P-9").json()["position"]

    def wait() -> None:
        harbin.as_().get(f"/billing/accounts/A-FTTH?min_position={position}&wait_s=2")

    threads = [threading.Thread(target=wait) for _ in range(60)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    began = time.perf_counter()
    assert harbin.get("/billing/accounts/A-FTTH").status_code == 200
    assert time.perf_counter() - began < 1.5
    for thread in threads:
        thread.join(20)


# -- lists


def all_pages(client: Client, query: str) -> list[dict]:
    found: list[dict] = []
    cursor = ""
    for _ in range(50):
        page = client.get(f"/billing/accounts?{query}{cursor}").json()
        found += page["accounts"]
        if page["next"] is None:
            return found
        cursor = f"&after={page['next']}"
    raise AssertionError("the pages do not end")


def test_pages_together_are_the_whole_list(seen: Client):
    """Whatever the page's size, each account comes once, by its id."""
    whole = all_pages(seen, "limit=1000")
    assert len(whole) > 2
    assert whole == all_pages(seen, "limit=1") == all_pages(seen, "limit=2")
    ids = [a["account_id"] for a in whole]
    assert ids == sorted(set(ids))


def test_lists_are_filtered(seen: Client):
    """By party, status and what is owed."""
    whole = all_pages(seen, "limit=1000")
    owing = all_pages(seen, "owing=true")
    assert owing == [a for a in whole if a["balance_fen"] > 0]
    assert 0 < len(owing) < len(whole)
    active = all_pages(seen, "status=active")
    assert active == [a for a in whole if a["status"] == "active"]
    assert all_pages(seen, "party_id=P-HRB") == [a for a in whole if a["party_id"] == "P-HRB"]
    assert all_pages(seen, "party_id=NOBODY") == []


def test_a_list_runs_over_all_ledgers(client: Client, runtime: Runtime):
    """Ledger by ledger, also where an id stands in two; a region keeps to its own."""
    assert client.get("/billing/accounts").json() == {"accounts": [], "next": None, "projection": None}
    for region in (REGION, "jilin.changchun"):
        client.register(region=region)
        for account_id in ("A-1", "A-2", "A-3"):
            client.open_account(account_id, region=region)
    catch_up(runtime.deployment, READ_MODELS, runtime.clock)
    for limit in (1, 2, 3, 1000):
        found = [(a["region"], a["account_id"]) for a in all_pages(client, f"limit={limit}")]
        assert found == [(r, f"A-{n}") for r in (REGION, "jilin.changchun") for n in (1, 2, 3)]
    assert len(all_pages(client, "region=jilin&limit=1")) == 3
    problem(client.get("/billing/accounts?region=hebei"), 404, "ledger.not_found")
    problem(client.get("/billing/accounts?min_position=1"), 409, "ledger.ambiguous")
    assert client.get("/billing/accounts?min_position=1&region=jilin").status_code == 200


def test_an_account_of_several_ledgers_is_named_with_its_region(client: Client, runtime: Runtime):
    """409 names them; the region chooses."""
    for region in (REGION, "jilin.changchun"):
        client.register(region=region)
        client.open_account(region=region)
    catch_up(runtime.deployment, READ_MODELS, runtime.clock)
    found = problem(client.get("/billing/accounts/A-1"), 409, "subject.ambiguous")
    assert found["ledgers"] == ["heilongjiang", "jilin"]
    chosen = client.get("/billing/accounts/A-1?region=jilin.changchun").json()
    assert chosen["region"] == "jilin.changchun"
