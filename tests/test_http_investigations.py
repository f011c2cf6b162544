"""Investigations over HTTP: the timeline of a subject, and what was true when."""

import orjson
import pytest

from api.runtime import Runtime
from domain.replay import replay
from tests.http_service import Client, problem

pytest_plugins = ["tests.http_fixtures"]
pytestmark = pytest.mark.storage
PARTY = "/investigations/party/P-HRB/timeline"


def all_events(client: Client, path: str, query: str = "") -> list[dict]:
    found: list[dict] = []
    cursor = ""
    for _ in range(500):
        page = client.get(f"{path}?{query}{cursor}").json()
        found += page["events"]
        if page["next"] is None:
            return found
        cursor = f"&after={page['next']}"
    raise AssertionError("the pages do not end")


def test_a_partys_timeline_has_all_that_happened_around_it(seen: Client, seen_runtime: Runtime):
    """Its own events and those of its accounts, cases and dealers, in the order of the world."""
    found = all_events(seen, PARTY, "limit=1000")
    subjects = {e["subject"] for e in found}
    assert {s.partition("/")[0] for s in subjects} == {"party", "account", "case", "dealer"}
    journal = seen_runtime.deployment.ledgers[0].journal
    streams = journal.streams(subjects)
    assert len(found) == sum(len(events) for events in streams.values())
    expected = [
        r.event.id
        for r in sorted(
            (seen_runtime.deployment.ledgers[0].read(e) for events in streams.values() for e in events),
            key=lambda r: (r.event.time, r.event.recordedtime, r.position),
        )
    ]
    assert [e["event_id"] for e in found] == expected


def test_an_accounts_timeline_has_its_parties_and_cases(seen: Client):
    """And no other account."""
    found = seen.get("/investigations/account/A-FTTH/timeline?limit=1000").json()
    kinds = {s.partition("/")[0] for s in found["subjects"]}
    assert "party/P-HRB" in found["subjects"]
    assert kinds == {"account", "party", "case"}
    assert [s for s in found["subjects"] if s.startswith("account/")] == ["account/A-FTTH"]


def test_each_entry_says_where_it_comes_from(seen: Client, seen_runtime: Runtime):
    """Ids, times, actor, evidence, position, version and the digest that chains it."""
    entry = seen.get(f"{PARTY}?limit=1").json()["events"][0]
    ledger = seen_runtime.deployment.ledgers[0]
    stored = ledger.journal.log(entry["position"] - 1, limit=1)[0]
    recorded = ledger.read(stored)
    assert entry["digest"] == stored.digest.hex()
    assert entry["event_id"] == recorded.event.id
    assert entry["source"] == recorded.event.source
    assert entry["time"] == recorded.event.time.isoformat()
    assert (entry["version"], entry["actor"], entry["channel"]) == (1, "staff/S-01", "store")
    assert entry["evidenceref"] == "assumed"
    assert set(entry) >= {"actororg", "recordedtime", "type", "subject"}


def test_personal_data_is_masked_and_its_ciphertext_too(seen: Client, seen_runtime: Runtime):
    """Neither clear nor sealed, for anybody."""
    whole = seen.get(f"{PARTY}?limit=1000").text
    assert '"***"' in whole
    for stored in seen_runtime.deployment.ledgers[0].journal.log(0):
        event = orjson.loads(stored.state)
        for value in event["data"].values():
            if isinstance(value, dict) and "sealed" in value:
                assert value["sealed"] not in whole
                assert value["key"] not in whole


def test_pages_together_are_the_whole_timeline(seen: Client):
    """Whatever the page's size, each event comes once, in the same order."""
    whole = all_events(seen, PARTY, "limit=1000")
    assert all_events(seen, PARTY, "limit=7") == whole
    assert all_events(seen, PARTY, "limit=50") == whole


def test_pages_stay_what_they_were_while_events_arrive(harbin: Client):
    """An event that comes between two pages, backdated, is not in this reading of the timeline."""
    first = harbin.get(f"{PARTY}?limit=60").json()
    harbin.ask("parties/P-HRB/details", {"address": "another"}, time="2009-10-20T09:00:30+08:00")
    second = harbin.get(f"{PARTY}?limit=60&after={first['next']}").json()
    assert second["position"] == first["position"]
    events = first["events"] + second["events"]
    assert len({e["event_id"] for e in events}) == len(events)
    assert "PartyDetailsChanged" not in {e["type"] for e in events}
    assert "PartyDetailsChanged" in {e["type"] for e in all_events(harbin, PARTY)}


def test_a_timeline_can_be_read_as_it_was_known(seen: Client):
    """At a day, as known at a day, as the log stood."""
    found = all_events(seen, PARTY, "at=2013-12-31&known_at=2013-12-31&limit=1000")
    assert 0 < len(found) < len(all_events(seen, PARTY, "limit=1000"))
    assert all(e["recordedtime"] < "2014-01-01" for e in found)
    early = all_events(seen, PARTY, "position=10&limit=1000")
    assert {e["position"] for e in early} <= set(range(1, 11))


@pytest.mark.parametrize("cursor", ["x", "1", "1.2.3", "102.99999", "-1.2", "102.0"])
def test_a_cursor_that_is_none_is_malformed(seen: Client, cursor: str):
    """422 names it."""
    found = problem(seen.get(f"{PARTY}?after={cursor}"), 422, "request.invalid")
    assert found["errors"][0]["field"] == "after"


@pytest.mark.parametrize(
    ("kind", "identifier"),
    [("account", "A-FTTH"), ("account", "A-NETCOM"), ("party", "P-HRB")],
)
@pytest.mark.parametrize("moments", [{}, {"at": "2014-12-09", "known_at": "2014-12-09"}, {"position": 50}])
def test_a_replay_has_the_domains_own_digest(
    seen: Client, seen_runtime: Runtime, kind: str, identifier: str, moments: dict
):
    """The answer over HTTP is the domain's, to the byte."""
    found = seen.get(f"/investigations/{kind}/{identifier}/replay", params=moments)
    assert found.status_code == 200
    body = found.json()
    question, histories = seen_runtime.deployment.question(
        f"{kind}/{identifier}",
        seen_runtime.clock(),
        at=body["at"],
        known_at=body["known_at"],
        position=body["position"],
    )
    expected = replay(question, histories)
    if not moments:
        expected |= {"at": body["at"], "known_at": body["known_at"]}
    assert body == {**expected, "digest": body["digest"]}
    if moments:
        assert body["digest"] == expected["digest"]
    assert found.headers["recount-position"] == str(body["position"])


def test_the_same_question_has_the_same_digest_after_the_log_grew(harbin: Client):
    """With its position."""
    query = "at=2014-12-09&known_at=2014-12-09&position=102"
    before = harbin.get(f"/investigations/account/A-FTTH/replay?{query}").json()
    harbin.register("P-9")
    after = harbin.get(f"/investigations/account/A-FTTH/replay?{query}").json()
    assert after == before
    assert before["state"]["balance_fen"] == 45_460


def test_a_replay_shows_each_step(seen: Client):
    """Each event with what it changed; without `steps` there are none."""
    found = seen.get("/investigations/account/A-FTTH/replay?steps=true").json()
    assert found["steps"][0]["type"] == "AccountOpened"
    assert all({"event_id", "type", "time", "recordedtime", "changed"} <= set(s) for s in found["steps"])
    assert "steps" not in seen.get("/investigations/account/A-FTTH/replay").json()


@pytest.mark.parametrize("view", ["timeline", "replay"])
def test_an_unknown_subject_is_404(seen: Client, view: str):
    """Of every kind."""
    for kind in ("account", "party", "dealer", "case", "rulebook"):
        problem(seen.get(f"/investigations/{kind}/NOBODY/{view}"), 404, f"{kind}.not_found")


@pytest.mark.parametrize("name", ["at", "known_at"])
def test_a_moment_that_is_none_is_malformed(seen: Client, name: str):
    """422 names the parameter."""
    found = problem(
        seen.get(f"/investigations/account/A-FTTH/replay?{name}=yesterday"), 422, "request.invalid"
    )
    assert found["errors"][0]["field"] == name
