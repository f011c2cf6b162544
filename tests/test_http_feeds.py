"""Feeds over HTTP: every event once and in order, from any position, waiting or streaming."""

import base64
import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import orjson
import pytest

import api.feeds.reading
from api.access.issuer import found_in
from tests.conftest import MASTER
from tests.http_service import Client, problem, serving

pytest_plugins = ["tests.http_fixtures"]
pytestmark = pytest.mark.storage
FEED = "/feeds/heilongjiang"


def frames(response: httpx.Response) -> Iterator[dict[str, str]]:
    """Yield a stream's frames: its fields, a comment under the empty name."""
    fields: dict[str, str] = {}
    for line in response.iter_lines():
        if line:
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
        elif fields:
            yield fields
            fields = {}


def streamed(
    client: Client, count: int, path: str = f"{FEED}/stream", **headers: str
) -> list[dict[str, str]]:
    """Return the next events of a stream, and leave it."""
    found: list[dict[str, str]] = []
    with client.http.stream("GET", path, headers=headers) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        for frame in frames(response):
            if "id" in frame:
                found.append(frame)
            if len(found) == count:
                return found
    return found


def test_the_ledgers_are_listed_with_their_positions(seen: Client):
    """So that a consumer knows what there is to follow."""
    assert seen.get("/feeds").json() == {"ledgers": [{"ledger": "heilongjiang", "position": 102}]}


def test_an_unknown_ledger_is_404(seen: Client):
    """Of both kinds of feed."""
    problem(seen.get("/feeds/jilin"), 404, "ledger.not_found")
    problem(seen.get("/feeds/jilin/stream"), 404, "ledger.not_found")


def test_batches_hold_every_event_once_and_in_order(seen: Client):
    """Whatever the limit, following Recount-Position; personal data is masked, positions are there."""
    for limit in (1, 7, 50, 51, 1000):
        after, found = 0, []
        while True:
            batch = seen.get(f"{FEED}?after={after}&limit={limit}")
            assert batch.headers["content-type"] == "application/cloudevents-batch+json"
            events = batch.json()
            assert len(events) <= limit
            found += events
            after = int(batch.headers["recount-position"])
            if not events:
                break
        assert [e["position"] for e in found] == list(range(1, 103))
        assert after == 102
    registered = found[0]
    assert (registered["specversion"], registered["type"]) == ("1.0", "PartyRegistered")
    assert registered["data"]["name"] == "***"


def test_a_feed_of_some_types_moves_past_the_others(seen: Client):
    """The position to go on from lies at the end of what was looked at."""
    types = "PartyRegistered,AccountOpened"
    found = seen.get(f"{FEED}?types={types}&limit=1000")
    assert {e["type"] for e in found.json()} == {"PartyRegistered", "AccountOpened"}
    assert found.headers["recount-position"] == "102"
    again = seen.get(f"{FEED}?types=PartyRegistered&types=AccountOpened&limit=1000")
    assert again.json() == found.json()
    first = seen.get(f"{FEED}?types={types}&limit=1")
    assert first.headers["recount-position"] == str(first.json()[0]["position"])
    wrong = problem(seen.get(f"{FEED}?types=Nothing"), 422, "request.invalid")
    assert wrong["errors"][0]["field"] == "types"


def test_a_position_after_the_end_is_refused(seen: Client):
    """409: whoever has seen more than there is follows another log."""
    problem(seen.get(f"{FEED}?after=103"), 409, "feed.after_end")
    problem(seen.get(f"{FEED}/stream", headers={"Last-Event-ID": "103"}), 409, "feed.after_end")


def test_a_long_poll_answers_as_soon_as_something_comes(harbin: Client):
    """And with nothing when the time has passed."""
    began = time.perf_counter()
    assert harbin.get(f"{FEED}?after=102&wait_s=0.3").json() == []
    assert time.perf_counter() - began >= 0.3
    found: list[httpx.Response] = []

    def wait() -> None:
        found.append(harbin.as_().get(f"{FEED}?after=102&wait_s=20", timeout=30))

    waiting = threading.Thread(target=wait)
    waiting.start()
    time.sleep(0.3)
    began = time.perf_counter()
    harbin.register("P-9")
    waiting.join(10)
    assert time.perf_counter() - began < 3
    assert [e["type"] for e in found[0].json()] == ["PartyRegistered"]


def test_a_stream_holds_every_event_and_then_what_comes(harbin: Client):
    """The id is the position, the data a CloudEvent; what is appended arrives."""
    with harbin.http.stream("GET", f"{FEED}/stream?after=100") as response:
        coming = frames(response)
        first = next(coming)
        assert "id" not in first
        assert [int(next(coming)["id"]) for _ in range(2)] == [101, 102]
        harbin.as_(acts_for=["*"]).register("P-9")
        frame = next(coming)
    assert frame["id"] == "103"
    assert frame["event"] == "PartyRegistered"
    event = orjson.loads(frame["data"])
    assert (event["position"], event["subject"], event["data"]["name"]) == (103, "party/P-9", "***")


def test_a_stream_that_broke_is_resumed_without_a_gap(seen: Client):
    """Last-Event-ID goes before ?after=, and nothing is skipped or repeated."""
    whole = streamed(seen, 102)
    assert [int(f["id"]) for f in whole] == list(range(1, 103))
    pieces: list[dict[str, str]] = []
    while len(pieces) < 102:
        last = pieces[-1]["id"] if pieces else "0"
        pieces += streamed(
            seen, min(17, 102 - len(pieces)), f"{FEED}/stream?after=0", **{"Last-Event-ID": last}
        )
    assert pieces == whole
    text = "".join(f["data"] for f in whole)
    assert "用户甲" not in text
    assert '"sealed"' not in text


def test_a_stream_of_some_types_holds_only_those(seen: Client):
    """The others are passed over."""
    found = streamed(seen, 2, f"{FEED}/stream?types=AccountOpened")
    assert {f["event"] for f in found} == {"AccountOpened"}


def test_a_silent_stream_says_that_it_lives(seen: Client, monkeypatch: pytest.MonkeyPatch):
    """Comments come when nothing else does."""
    monkeypatch.setattr(api.feeds.reading, "HEARTBEAT_S", 0.2)
    with seen.http.stream("GET", f"{FEED}/stream?after=102") as response:
        coming = frames(response)
        assert "retry" in next(coming)
        assert next(coming) == {"": "nothing new"}
        assert next(coming) == {"": "nothing new"}


def test_streams_are_counted_and_bounded(seen: Client, monkeypatch: pytest.MonkeyPatch):
    """503 beyond the bound; who leaves makes room."""
    monkeypatch.setattr("api.feeds.routes.STREAMS_MAX", 1)
    with seen.http.stream("GET", f"{FEED}/stream?after=102") as response:
        coming = frames(response)  # kept: the connection goes with it
        next(coming)
        problem(seen.get(f"{FEED}/stream"), 503, "feed.too_many_streams")
        text = seen.get("/metrics").text
        assert "recount_feed_streams 1.0" in text, [x for x in text.splitlines() if "feed_streams" in x]
    for _ in range(100):
        if "recount_feed_streams 0.0" in seen.get("/metrics").text:
            break
        time.sleep(0.05)
    assert len(streamed(seen, 1)) == 1


def test_nothing_is_skipped_while_many_write(client: Client):
    """A reader that follows while eight write sees every position once, in order."""
    client.register("P-0")

    def write(writer: int) -> None:
        own = client.as_(acts_for=["*"])
        for number in range(10):
            assert own.register(f"P-{writer}-{number}").status_code == 201

    threads = [threading.Thread(target=write, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    found = streamed(client, 81)
    for thread in threads:
        thread.join(20)
    assert [int(f["id"]) for f in found] == list(range(1, 82))
    assert len({orjson.loads(f["data"])["subject"] for f in found}) == 81


def test_open_streams_and_waiting_readers_end_when_the_server_stops(runtime, monkeypatch):
    """Within a moment, however long they would have waited."""
    with serving(runtime) as client:
        client.register()
        ended = []
        begun = threading.Event()

        def follow(path: str) -> None:
            with client.as_().http.stream("GET", path, timeout=30) as response:
                begun.set()
                ended.append(response.read())

        paths = (f"{FEED}/stream", f"{FEED}?after=1&wait_s=30")
        threads = [threading.Thread(target=follow, args=(p,)) for p in paths]
        for thread in threads:
            thread.start()
        assert begun.wait(20)  # the stream is open; the other one, asked at the same moment, soon waits
        time.sleep(1.0)
        began = time.perf_counter()
    assert time.perf_counter() - began < 3
    for thread in threads:
        thread.join(5)
    assert len(ended) == 2


def test_a_served_process_stops_cleanly_with_a_stream_open(database_url: str, tmp_path: Path):
    """`recount serve` told to stop ends within a few seconds, with code 0, although somebody follows."""
    environment = {
        **os.environ,
        "DATABASE_URL": database_url,
        "RECOUNT_MASTER_KEY": base64.b64encode(MASTER).decode(),
        "PYTHONPATH": str(Path(__file__).parents[1]),
    }
    command = [sys.executable, "-m", "api.cli", "serve", "--dev", "--port", "0", "--data", str(tmp_path)]
    with (
        contextlib.ExitStack() as stack,
        subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process,
    ):
        try:
            assert process.stderr is not None
            address = ""
            for line in process.stderr:
                found = re.search(r"Recount serves (http://\S+)", line)
                if found:
                    address = found[1]
                    break
            client = Client(address, found_in(tmp_path))
            stack.callback(client.close)
            assert client.register().status_code == 201
            with client.http.stream("GET", f"{FEED}/stream") as response:
                coming = frames(response)
                next(coming)
                assert next(coming)["id"] == "1"
                process.send_signal(signal.SIGTERM)
                began = time.perf_counter()
                assert list(coming) == []
            process.wait(10)
            assert time.perf_counter() - began < 4
            rest = process.stderr.read()
            assert "Traceback" not in rest
            assert "Cancel" not in rest
        finally:
            process.kill()
    assert process.returncode == 0
