"""Clients that are slow or never read: they hold no place, no memory and no transaction of the database for ever."""

import contextlib
import socket
import time

import pytest

from api import extracts, patience
from api.runtime import READ_MODELS, present
from projections.engine import catch_up
from tests.conftest import fresh_database, opened_deployment
from tests.http_service import serving
from tests.support import LEDGER, bring, event_line, wait_for

pytestmark = pytest.mark.storage

ACTIONS = 2_500
TITLE = "x" * 3_900  # 10 MB in all: more than a kernel buffers for a connection
SMALL_BUFFER = 4_096
FEED = f"/feeds/{LEDGER}/stream"
EXTRACT = "/management/extracts/accountability_corrective_action?format=csv"


@pytest.fixture(scope="module")
def deployment(server):
    """Return a deployment that has megabytes to tell."""
    opening = event_line("k", "InvestigationOpened", "case/K", {"account_ids": [], "reason": "press report"})
    actions = [
        event_line(f"a{n}", "CorrectiveActionOpened", "case/K", {
            "action_id": f"CA{n}", "scope": "store", "title": TITLE, "root_cause": "rule", "due_on": "2015-01-01",
        })
        for n in range(ACTIONS)
    ]  # fmt: skip
    with fresh_database(server, "stalled") as url:
        opened = opened_deployment(url)
        try:
            bring(opened, opening, *actions)
            catch_up(opened, READ_MODELS, present)
            yield opened
        finally:
            opened.close()


@pytest.fixture
def client(runtime):
    """Return a client of a service on it."""
    with serving(runtime) as made:
        yield made


@contextlib.contextmanager
def never_reading(client, path):
    """Ask for something and read nothing of the answer."""
    host, port = client.base_url.removeprefix("http://").split(":")
    with socket.socket() as made:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
        made.connect((host, int(port)))
        token = client.http.headers["Authorization"]
        made.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: {token}\r\n\r\n".encode())
        yield made


def open_streams(client):
    """Return how many streams the service says are open."""
    text = client.get("/metrics").text
    return next(
        float(line.split()[1]) for line in text.splitlines() if line.startswith("recount_feed_streams ")
    )


def test_a_stream_whose_client_never_reads_is_broken_off(client, monkeypatch):
    """Given clients that open streams and read nothing, then their places are free again within the bound."""
    monkeypatch.setattr(patience, "STALL_S", 4.0)
    with contextlib.ExitStack() as stack:
        for _ in range(5):
            stack.enter_context(never_reading(client, FEED))
        wait_for(lambda: open_streams(client) == 5)
        assert client.get(f"/feeds/{LEDGER}?limit=1").status_code == 200  # the others are served meanwhile
        wait_for(lambda: open_streams(client) == 0)


@pytest.mark.slow
def test_a_client_that_reads_slowly_gets_all_of_it(client, monkeypatch):
    """Given a client that takes a little at a time for longer than the bound, then nothing is broken off."""
    monkeypatch.setattr(patience, "STALL_S", 3.0)
    with never_reading(client, f"{FEED}?after=0") as reader:
        began, got = time.monotonic(), 0
        while time.monotonic() - began < 5.0:
            got += len(reader.recv(65_536))
            time.sleep(0.004)
        assert open_streams(client) == 1
        assert got > 100_000


def snapshots(deployment):
    """Return how many transactions are open that hold a snapshot of the database."""
    with deployment.database.owner() as connection:
        query = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND backend_type = 'client backend' AND backend_xmin IS NOT NULL"
        )
        return connection.execute(query).fetchone()[0]


def test_an_extract_whose_client_never_reads_gives_its_snapshot_back(client, deployment, monkeypatch):
    """Given extracts that nobody reads, then their transactions end and their places are free within the bound."""
    monkeypatch.setattr(patience, "STALL_S", 4.0)
    with contextlib.ExitStack() as stack:
        for _ in range(extracts.EXTRACTS_MAX):
            stack.enter_context(never_reading(client, EXTRACT))
        wait_for(lambda: snapshots(deployment) == extracts.EXTRACTS_MAX)
        assert extracts._running._value == 0
        wait_for(lambda: extracts._running._value == extracts.EXTRACTS_MAX)
        wait_for(lambda: snapshots(deployment) == 0)
