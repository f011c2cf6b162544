"""Statements, trial balance, aging and the dunning worklist over HTTP: what they say, their pages, and their bounds."""

import base64
from datetime import timedelta

import orjson
import pytest

from api.runtime import READ_MODELS, Runtime
from projections.engine import catch_up
from tests.http_service import Client, problem
from tests.support import bring, charge_line, opening_line, payment_line

pytest_plugins = ["tests.http_fixtures"]
pytestmark = pytest.mark.storage

LISTS = {
    "/billing/accounts/A-FTTH/statement": ("lines", ["effective_on", "-effective_on"]),
    "/billing/accounts/A-FTTH/postings": ("postings", ["effective_on", "-effective_on", "-amount_fen"]),
    "/billing/aging?on=2014-12-09": ("accounts", ["account_id", "-principal_fen", "days_past_due"]),
    "/billing/dunning": ("steps", ["from_on", "-amount_fen", "account_id"]),
}


def pages(client: Client, address: str, name: str, **query: object) -> list[dict]:
    """Return a whole list, page by page."""
    found: list[dict] = []
    for _ in range(300):
        page = client.get(address, params={**dict(_query(address)), **query})
        assert page.status_code == 200, page.text
        found += page.json()[name]
        if page.json()["next"] is None:
            return found
        query["after"] = page.json()["next"]
    raise AssertionError("the pages do not end")


def _query(address: str) -> list[list[str]]:
    return [part.split("=") for part in address.partition("?")[2].split("&") if part]


# -- what they say ------------------------------------------------------------------------------------------


def test_a_statement_ends_at_the_balance_of_the_replay(seen: Client):
    """Each line goes on from the one before, and the last has what billing's status says."""
    body = seen.get("/billing/accounts/A-FTTH/statement").json()
    balance_fen = body["opening_balance_fen"]
    assert balance_fen == 0
    for line in body["lines"]:
        balance_fen += line["change_fen"]
        assert line["balance_fen"] == balance_fen
    assert balance_fen == body["closing_balance_fen"]
    assert balance_fen == seen.get("/billing/accounts/A-FTTH").json()["balance_fen"] > 0


def test_a_line_says_what_it_rests_on_and_by_which_rule(seen: Client):
    """A late fee its charge and the article of its day, with the version that was in force then."""
    fees = pages(seen, "/billing/accounts/A-FTTH/statement", "lines", kind="late_fee_assessed")
    charges = pages(seen, "/billing/accounts/A-FTTH/statement", "lines", kind="charge_posted")
    assert fees
    assert {line["kind"] for line in fees} == {"late_fee_assessed"}
    assert {ref for line in fees for ref in line["rests_on"]} <= {line["event_id"] for line in charges}
    assert {line["rule"]["rule_id"] for line in fees} == {"late-fee"}
    assert {line["rule"]["version"] for line in fees} == {"2014"}
    assert "art. 34" in fees[0]["rule"]["citation"]


def test_a_part_of_a_statement_has_the_balances_around_it(seen: Client):
    """What was owed before the first day, and after the last."""
    whole = pages(seen, "/billing/accounts/A-FTTH/statement", "lines")
    some = seen.get("/billing/accounts/A-FTTH/statement?since=2014-09-01&until=2014-10-31").json()
    inside = [line for line in whole if "2014-09-01" <= line["effective_on"] <= "2014-10-31"]
    before = [line for line in whole if line["effective_on"] < "2014-09-01"]
    assert some["lines"] == inside != []
    assert some["opening_balance_fen"] == before[-1]["balance_fen"]
    assert some["closing_balance_fen"] == inside[-1]["balance_fen"]


def test_postings_of_an_event_sum_to_zero_and_receivables_to_the_balance(seen: Client):
    """The double entry behind the same account."""
    found = pages(seen, "/billing/accounts/A-FTTH/postings", "postings")
    sums: dict[int, int] = {}
    for one in found:
        sums[one["position"]] = sums.get(one["position"], 0) + one["amount_fen"]
    assert set(sums.values()) == {0}
    receivable = pages(seen, "/billing/accounts/A-FTTH/postings", "postings", code="receivable")
    balance_fen = seen.get("/billing/accounts/A-FTTH").json()["balance_fen"]
    assert sum(one["amount_fen"] for one in receivable) == balance_fen


@pytest.mark.parametrize("day", ["2010-01-31", "2014-09-30", "2014-12-09"])
def test_the_trial_balance_and_the_aging_of_a_day_are_the_replays(seen: Client, day: str):
    """Debits are credits, receivables are the balances, and each account ages as its replay at that day says."""
    trial = seen.get(f"/billing/trial-balance?on={day}&region=heilongjiang.harbin").json()
    (region,) = trial["regions"]
    assert (trial["on"], trial["ties"], region["ties"]) == (day, True, True)
    assert region["debit_fen"] == region["credit_fen"] > 0
    aged = seen.get(f"/billing/aging?on={day}").json()
    assert sum(a["balance_fen"] for a in aged["accounts"]) == region["receivable_fen"]
    assert sum(t["balance_fen"] for t in aged["totals"]) == region["account_balances_fen"]
    for one in aged["accounts"]:
        subject = f"account/{one['account_id']}"
        state = seen.get(f"/investigations/{subject}/replay?at={day}").json()["state"]
        for name in ("balance_fen", "principal_fen", "late_fee_fen", "aging", "days_past_due"):
            assert one[name] == state[name], (subject, name)


def test_the_worklist_says_what_is_next_from_when_and_what_blocks_it(seen: Client):
    """The charges of the year nobody chose are not to be reminded of: that is said, and can be filtered by."""
    steps = pages(seen, "/billing/dunning", "steps", account_id="A-FTTH")
    remind = next(s for s in steps if s["action"] == "remind")
    assert {b["reason"] for b in remind["blocked_by"]} == {"charge_without_basis"}
    assert remind["from_on"] == "2014-09-01"
    blocked = pages(seen, "/billing/dunning", "steps", blocked="true")
    free = pages(seen, "/billing/dunning", "steps", blocked="false")
    assert remind in blocked
    assert {s["blocked"] for s in blocked} == {True}
    assert {s["blocked"] for s in free} <= {False}
    assert len(blocked) + len(free) == len(pages(seen, "/billing/dunning", "steps"))


def test_the_worklist_of_a_day_has_what_may_be_taken_by_then(client: Client, runtime: Runtime):
    """Two accounts, due at the end of January and of February 2014: mobile, ten days until a suspension."""
    lines = [opening_line("A1"), opening_line("A2"), charge_line("A1", due="2014-01-31")]
    bring(runtime.deployment, *lines, charge_line("A2", due="2014-02-28", amount_fen=500))
    catch_up(runtime.deployment, READ_MODELS, runtime.clock)

    def found(**query: object) -> list[tuple[str, str, str]]:
        return [
            (s["account_id"], s["action"], s["from_on"])
            for s in pages(client, "/billing/dunning", "steps", **query)
        ]

    assert found(due_by="2014-02-11") == [("A1", "remind", "2014-02-01"), ("A1", "suspend", "2014-02-11")]
    assert found(action="suspend") == [("A1", "suspend", "2014-02-11"), ("A2", "suspend", "2014-03-11")]
    assert {a for a, *_ in found(amount_fen=501)} == {"A1"}
    bring(runtime.deployment, payment_line("A1", amount_fen=10_000))
    catch_up(runtime.deployment, READ_MODELS, runtime.clock)
    assert {a for a, *_ in found()} == {"A2"}


def test_money_that_counts_later_is_not_in_todays_balance(client: Client, runtime: Runtime):
    """A payment known already, of a value date to come: it is on the statement for who asks for that day."""
    today = runtime.clock().date()
    later = str(today + timedelta(days=20))
    lines = [opening_line("A1"), charge_line("A1", amount_fen=10_000)]
    bring(runtime.deployment, *lines, payment_line("A1", amount_fen=4_000, value_date=later))
    catch_up(runtime.deployment, READ_MODELS, runtime.clock)
    now = client.get("/billing/accounts/A1/statement").json()
    assert (now["until"], now["closing_balance_fen"], len(now["lines"])) == (str(today), 10_000, 1)
    then = client.get(f"/billing/accounts/A1/statement?until={later}").json()
    assert (then["closing_balance_fen"], then["lines"][-1]["effective_on"]) == (6_000, later)
    assert client.get("/billing/trial-balance").json()["regions"][0]["receivable_fen"] == 10_000
    assert client.get("/billing/aging").json()["accounts"][0]["principal_fen"] == 10_000


# -- position and age ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", [*LISTS, "/billing/trial-balance"])
def test_every_answer_says_how_far_its_model_is_and_waits_for_a_position(
    harbin: Client, runtime: Runtime, address: str
):
    """Position, lag and age; who asks for a later position than the model's waits in vain, or has it."""
    found = harbin.get(address)
    projection = found.json()["projection"]
    assert (projection["position"], projection["lag"], projection["age_s"]) == (102, 0, 0.0)
    assert found.headers["recount-position"] == "102"
    position = harbin.register("P-9").json()["position"]
    ask = {**dict(_query(address)), "min_position": position, "wait_s": 0}
    problem(harbin.get(address, params=ask), 503, "projection.behind")
    assert harbin.get(address).json()["projection"]["lag"] == 1
    catch_up(runtime.deployment, READ_MODELS, runtime.clock)
    assert harbin.get(address, params=ask).json()["projection"]["position"] == position


# -- pages and bounds ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "name", "sort"), [(a, n, s) for a, (n, sorts) in LISTS.items() for s in sorts]
)
def test_pages_together_are_the_whole_list_in_its_order(seen: Client, address: str, name: str, sort: str):
    """Whatever the page's size; and sorted as was asked."""
    whole = pages(seen, address, name, sort=sort, limit=1000)
    assert len(whole) > 1
    for limit in (1, 7):
        assert pages(seen, address, name, sort=sort, limit=limit) == whole
    values = [one[sort.removeprefix("-")] for one in whole]
    assert values == sorted(values, reverse=sort.startswith("-"))


def cursor(*parts: object) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(parts)).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "query",
    [
        "sort=region",
        "limit=0",
        "limit=1001",
        "after=%00",
        "after=abc",
        f"after={cursor('-account_id', 'A', 'A')}",
        f"after={cursor('account_id', 'A')}",
        f"after={cursor('account_id', 'A', None)}",
        f"after={cursor('account_id', 'A', 1)}",
        f"after={cursor('account_id', 'A', 'a' + chr(0))}",
        f"sort=-principal_fen&after={cursor('-principal_fen', '1e9', 'A')}",
        f"sort=-principal_fen&after={cursor('-principal_fen', '9' * 30, 'A')}",
        "after=" + "A" * 2_000,
        "past_due_days=-1",
        "principal_fen=-1",
        "on=2999-01-01",
        "on=2014-13-01",
        "on=today",
        "region=Harbin",
    ],
)
def test_what_is_out_of_bounds_is_refused(seen: Client, query: str):
    """A sort or a filter that is not offered, a cursor that was made up, a day that has not come."""
    problem(seen.get(f"/billing/aging?{query}"), 422, "request.invalid")


def test_an_unknown_account_or_ledger_is_404(seen: Client):
    """With the codes that other routes have."""
    for part in ("statement", "postings"):
        problem(seen.get(f"/billing/accounts/NOBODY/{part}"), 404, "account.not_found")
    for address in ("/billing/trial-balance", "/billing/aging", "/billing/dunning"):
        problem(seen.get(f"{address}?region=jilin.changchun"), 404, "ledger.not_found")


def test_of_several_ledgers_one_is_named(client: Client):
    """No answer runs over two: their days and positions are their own."""
    problem(client.get("/billing/trial-balance"), 404, "ledger.not_found")
    client.register()
    client.register(region="jilin.changchun")
    for address in ("/billing/trial-balance", "/billing/aging", "/billing/dunning"):
        problem(client.get(address), 409, "ledger.ambiguous")
        problem(client.get(f"{address}?region=jilin"), 503, "storage.not_ready")
