"""The registers over HTTP: filtered, sorted and in pages, each answer with how far its model is."""

import itertools
from datetime import datetime, timedelta

import pytest

from api.runtime import READ_MODELS, Runtime
from domain.calendar import zone_of
from projections.engine import catch_up
from tests.http_service import REGION, Client, problem
from tests.support import bring, event_line

pytest_plugins = ["tests.http_fixtures"]
pytestmark = pytest.mark.storage

LISTS = {
    "expired-terms": ("terms", "notices", ("account_id", "version"), ("end_on", "account_id", "attempts_before")),
    "contact-points": (
        "contact_points", "notices", ("party_id", "contact_point_id"),
        ("invalid_since", "last_attempt_at", "attempts_since", "failed", "party_id"),
    ),
    "blacklist": (
        "entries", "blacklist", ("party_id", "version"),
        ("must_leave_by", "added_on", "amount_fen", "cleared_on", "party_id"),
    ),
    "registrations": (
        "registrations", "registrations", ("party_id", "registration_id"),
        ("audit_due_on", "registered_on", "numbers_held", "dealer_id", "party_id"),
    ),
    "identities": ("identities", "registrations", ("person_id",), ("numbers_held", "registrations", "person_id")),
    "dealers": (
        "dealers", "registrations", ("dealer_id",),
        ("registrations", "audits_missed", "misused", "numbers_held", "dealer_id"),
    ),
    "cases": (
        "cases", "cases", ("case_id",),
        ("received_on", "must_answer_by", "days_open", "days_to_answer", "days_to_close", "contacts", "case_id"),
    ),
    "commitments": ("commitments", "cases", ("case_id", "version"), ("due_at", "made_at", "case_id")),
}  # fmt: skip
EACH = pytest.mark.parametrize("path", LISTS)


def rows(client: Client, path: str, query: str = "", limit: int = 1000) -> list[dict]:
    """Return all pages of a list together."""
    name = LISTS[path][0]
    found: list[dict] = []
    cursor = ""
    for _ in range(50):
        body = client.get(f"/registers/{path}?limit={limit}{query}{cursor}").json()
        assert len(body[name]) <= limit
        found += body[name]
        if body["next"] is None:
            return found
        cursor = f"&after={body['next']}"
    raise AssertionError("the pages do not end")


@EACH
def test_an_answer_says_how_far_its_model_is(seen: Client, path: str):
    """Name, position, lag and age, and the position as a header."""
    name, model, _, _ = LISTS[path]
    found = seen.get(f"/registers/{path}")
    assert found.status_code == 200, found.text
    assert set(found.json()) == {name, "next", "projection"}
    projection = found.json()["projection"]
    assert (projection["name"], projection["position"], projection["lag"], projection["age_s"]) == (
        model,
        102,
        0,
        0,
    )
    assert found.headers["recount-position"] == "102"


@EACH
def test_pages_together_are_the_list_in_every_order(seen: Client, path: str):
    """Whatever the page's size and the sort; what has no value comes last both ways."""
    _, _, key, sorts = LISTS[path]
    whole = rows(seen, path)
    for column in sorts:
        for sort in (column, f"-{column}"):
            listed = rows(seen, path, f"&sort={sort}")
            assert (
                listed
                == rows(seen, path, f"&sort={sort}", limit=1)
                == rows(seen, path, f"&sort={sort}", limit=2)
            )
            assert sorted(map(repr, listed)) == sorted(map(repr, whole))
            given = [r for r in listed if r[column] is not None]
            assert listed[: len(given)] == given
            values = [r[column] for r in given]
            assert values == sorted(values, reverse=sort.startswith("-"))
            for one, other in itertools.pairwise(listed):
                if one[column] == other[column]:
                    assert [one[k] for k in key] < [other[k] for k in key]


@EACH
def test_a_sort_a_limit_and_a_cursor_are_bounded(seen: Client, path: str):
    """Another column, a page of none or too many, and a cursor that is none or of another sort are 422."""
    first, second = LISTS[path][3][:2]
    for query in ("sort=nothing", "limit=0", "limit=1001", "after=x", "after=bm90aGluZw", "after=!"):
        problem(seen.get(f"/registers/{path}?{query}"), 422, "request.invalid")
    cursor = seen.get(f"/registers/{path}?limit=1&sort={first}").json()["next"]
    if cursor is not None:
        problem(seen.get(f"/registers/{path}?sort={second}&after={cursor}"), 422, "request.invalid")


@EACH
def test_a_region_leaves_its_own(seen: Client, path: str):
    """The province is the ledger; a city filters; what has no ledger is 404."""
    whole = rows(seen, path)
    assert rows(seen, path, "&region=heilongjiang") == rows(seen, path, f"&region={REGION}") == whole
    assert rows(seen, path, "&region=heilongjiang.daqing") == []
    problem(seen.get(f"/registers/{path}?region=hebei"), 404, "ledger.not_found")


def test_several_ledgers_are_asked_one_by_one(client: Client, runtime: Runtime):
    """A list is of one ledger: where there are several, the region names it."""
    problem(client.get("/registers/blacklist"), 404, "ledger.not_found")
    for region in (REGION, "jilin.changchun"):
        client.register(region=region)
    catch_up(runtime.deployment, READ_MODELS, runtime.clock)
    problem(client.get("/registers/blacklist"), 409, "ledger.ambiguous")
    problem(client.get("/registers/notice-coverage"), 409, "ledger.ambiguous")
    assert client.get("/registers/blacklist?region=jilin").json()["projection"]["ledger"] == "jilin"


def test_a_register_that_stays_behind_is_503(harbin: Client):
    """After the time to wait, with the lag."""
    position = harbin.register("P-9").json()["position"]
    found = problem(
        harbin.get(f"/registers/cases?min_position={position}&wait_s=0.1"), 503, "projection.behind"
    )
    assert found["projection"] == {"name": "cases", "position": 102, "lag": 1}
    assert harbin.get(f"/registers/cases?min_position={position - 1}").status_code == 200


# -- what each filter leaves --------------------------------------------------------------------------------


def test_notice_coverage_is_a_matrix_with_the_terms_by_verdict(seen: Client):
    """Of all terms, of those that ended in a time, of one account."""
    body = seen.get("/registers/notice-coverage").json()
    assert [(c["side"], c["channel"], c["outcome"], c["notices"]) for c in body["cells"]] == [
        ("after", "call", "failed", 1),
        ("after", "sms", "failed", 1),
    ]
    assert body["terms"] == [{"verdict": "breach", "before": "breach", "after": "breach", "terms": 2}]
    assert body["projection"]["name"] == "notices"
    early = seen.get("/registers/notice-coverage?ended_before=2014-01-01").json()
    assert (early["cells"], early["terms"][0]["terms"]) == ([], 1)
    assert seen.get("/registers/notice-coverage?account_id=NOBODY").json()["terms"] == []
    problem(seen.get("/registers/notice-coverage?ended_since=today"), 422, "request.invalid")


def test_terms_are_filtered(seen: Client):
    """By verdict, by their end and by account."""
    assert [t["account_id"] for t in rows(seen, "expired-terms", "&ended_since=2014-01-01")] == ["A-FTTH"]
    assert len(rows(seen, "expired-terms", "&verdict=breach")) == 2
    assert rows(seen, "expired-terms", "&verdict=kept") == []
    assert len(rows(seen, "expired-terms", "&account_id=A-NETCOM")) == 1


def test_contact_points_are_filtered(seen: Client):
    """By whether they reach anyone and are used still, by party, kind and reason."""
    for query in (
        "reaches_nobody=true",
        "still_used=true",
        "party_id=P-HRB",
        "kind=mobile",
        "reason=abandoned",
    ):
        assert len(rows(seen, "contact-points", f"&{query}")) == 2, query
    for query in ("reaches_nobody=false", "still_used=false", "party_id=P-9", "kind=email", "reason=moved"):
        assert rows(seen, "contact-points", f"&{query}") == [], query


def test_the_blacklist_is_filtered(seen: Client):
    """The five years of Harbin's entry are over by now, and it still stands."""
    (entry,) = rows(seen, "blacklist", "&standing=true")
    assert (entry["entry_id"], entry["must_leave_by"], entry["overdue"]) == ("BL-1", "2016-05-01", True)
    assert rows(seen, "blacklist", "&overdue=true&party_id=P-HRB&account_id=A-NETCOM&cleared=false") == [
        entry
    ]
    for query in ("standing=false", "overdue=false", "party_id=P-9", "account_id=A-FTTH", "cleared=true"):
        assert rows(seen, "blacklist", f"&{query}") == [], query


def test_registrations_identities_and_dealers_are_filtered(seen: Client):
    """By audit, misuse, party, dealer and the limit of today."""
    assert len(rows(seen, "registrations", "&audit=late&misused=true&party_id=P-HRB&dealer_id=D-17")) == 6
    for query in ("audit=done", "misused=false", "party_id=P-9", "dealer_id=D-9"):
        assert rows(seen, "registrations", f"&{query}") == [], query
    (person,) = rows(seen, "identities", "&over_limit=true&party_id=P-HRB")
    assert (person["numbers_held"], person["numbers_max"]) == (6, 5)
    assert rows(seen, "identities", "&over_limit=false") == []
    assert [d["dealer_id"] for d in rows(seen, "dealers", "&dealer_id=D-17")] == ["D-17"]
    assert rows(seen, "dealers", "&dealer_id=D-9") == []


def test_cases_are_filtered_and_timed(seen: Client):
    """By state, channel, category, party and when they came."""
    (case,) = rows(seen, "cases")
    assert (case["status"], case["answer_timing"], case["must_answer_by"]) == ("open", "missed", "2014-12-24")
    for query in (
        "status=open", "answer=missed", "channel=store", "category=annual_package_expiry", "party_id=P-HRB",
        "received_since=2014-12-09", "received_before=2014-12-10",
    ):  # fmt: skip
        assert rows(seen, "cases", f"&{query}") == [case], query
    for query in (
        "status=closed", "answer=due", "channel=web", "category=x", "party_id=P-9", "unit=U",
        "received_since=2014-12-10", "received_before=2014-12-09",
    ):  # fmt: skip
        assert rows(seen, "cases", f"&{query}") == [], query
    (times,) = seen.get("/registers/case-times").json()["times"]
    assert (times["unit"], times["channel"], times["cases"], times["answer_missed"]) == (None, "store", 1, 1)
    assert seen.get("/registers/case-times?channel=web").json()["times"] == []


def case_lines(number, days_to_answer):
    """Return the lines of a complaint by telephone, given to a unit, answered so many days later and closed then."""
    subject = f"case/C-{number}"
    came = datetime(2015, 1, 5, 10, tzinfo=zone_of(REGION))
    done = (came + timedelta(days=days_to_answer)).isoformat()
    received = {
        "party_id": "P1", "account_ids": [], "category": "billing", "summary": "s", "answer_due_on": "2015-01-20",
    }  # fmt: skip
    steps = [
        ("ComplaintReceived", received, came.isoformat()),
        ("CaseAssigned", {"owner_id": "S-1", "unit": "U-1"}, came.isoformat()),
        ("ComplaintAnswered", {"outcome": "upheld"}, done),
        ("CaseClosed", {"outcome": "settled"}, done),
    ]
    for step, (kind, data, at) in enumerate(steps):
        yield event_line(f"{subject}-{step}", kind, subject, data, at, channel="hotline")


def promise_lines(commitment_id, due_at, *became):
    """Return the lines of a commitment in the first case, and what became of it."""
    data = {
        "commitment_id": commitment_id,
        "solution": "s",
        "due_at": due_at,
        "remedy_if_missed": "a month free",
    }
    steps = [
        ("CommitmentMade", data),
        *((kind, {"commitment_id": commitment_id, **more}) for kind, more in became),
    ]
    for step, (kind, step_data) in enumerate(steps):
        at = f"2015-01-0{6 + step}T10:00:00+08:00"
        yield event_line(f"{commitment_id}-{step}", kind, "case/C-0", step_data, at)


def test_times_are_medians_by_unit_and_channel(client: Client, runtime: Runtime):
    """Given answers after 2, 4, 6, 8 and 30 days, then half came within 6, nine in ten within 30, one too late."""
    answers = (2, 4, 6, 8, 30)
    bring(runtime.deployment, *(line for n, days in enumerate(answers) for line in case_lines(n, days)))
    catch_up(runtime.deployment, READ_MODELS, runtime.clock)
    (times,) = client.get("/registers/case-times?unit=U-1&channel=hotline").json()["times"]
    assert times == {
        "unit": "U-1", "channel": "hotline", "cases": 5, "open": 0, "closed": 5, "answered_in_time": 4,
        "answered_late": 1, "answer_due": 0, "answer_missed": 0, "days_to_answer_median": 6,
        "days_to_answer_p90": 30, "days_to_close_median": 6, "days_to_close_p90": 30,
    }  # fmt: skip
    late = rows(client, "cases", "&answer=late&status=closed&unit=U-1&sort=-days_to_close")
    assert [(c["case_id"], c["days_to_answer"], c["days_open"]) for c in late] == [("C-4", 30, None)]


def test_the_board_says_what_became_of_each_commitment(client: Client, runtime: Runtime):
    """Met in time, open, missed, and missed with its remedy granted; met too late is missed."""
    late, later = "2015-01-06T12:00:00+08:00", "2115-01-06T12:00:00+08:00"
    bring(
        runtime.deployment,
        *case_lines(0, 30),
        *promise_lines("CM-MET", "2015-01-08T12:00:00+08:00", ("CommitmentMet", {})),
        *promise_lines("CM-LATE", late, ("CommitmentMet", {})),
        *promise_lines("CM-OPEN", later),
        *promise_lines("CM-GONE", late),
        *promise_lines("CM-PAID", late, ("CommitmentMissed", {}), ("RemedyGranted", {"kind": "other"})),
    )
    catch_up(runtime.deployment, READ_MODELS, runtime.clock)
    board = {c["commitment_id"]: c["status"] for c in rows(client, "commitments", limit=2)}
    assert board == {
        "CM-MET": "met", "CM-LATE": "missed", "CM-OPEN": "open", "CM-GONE": "missed", "CM-PAID": "remedied",
    }  # fmt: skip
    assert rows(client, "commitments", "&sort=due_at")[-1]["commitment_id"] == "CM-OPEN"
    for status in ("met", "open", "missed", "remedied"):
        shown = rows(client, "commitments", f"&status={status}&unit=U-1&channel=hotline&case_id=C-0")
        assert sorted(c["commitment_id"] for c in shown) == [k for k in sorted(board) if board[k] == status]
    assert rows(client, "commitments", "&unit=U-2") == rows(client, "commitments", "&case_id=C-1") == []
