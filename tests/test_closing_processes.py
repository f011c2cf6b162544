"""The close of a day in several processes: it comes to the same, and whoever is killed, everything is done once."""

import multiprocessing
import os
import signal
from collections import Counter
from datetime import date

import pytest

from api.runtime import Runtime
from domain.closing import ACTOR, Offer
from domain.events.envelope import data_wire
from domain.ledger import closing
from domain.ledger.closing import Closer, summary
from domain.ledger.workers import LostWorkerError
from tests.conftest import fresh_database, opened_deployment
from tests.scenario import moment
from tests.support import LEDGER, bring, killed, lives, wait_for
from tests.test_closing import population

pytestmark = pytest.mark.storage

ACCOUNTS = 60
DAY = date(2014, 3, 31)
NOW = moment("2014-03-31T23:50:00+08:00")
TARIFF = {"BB": Offer("BB-M", 10_000)}


@pytest.fixture
def small_pages(monkeypatch):
    """Let few streams be many: pages of five, and processes after ten."""
    few(monkeypatch.setattr)


def few(put):
    put(closing, "PAGE_STREAMS", 5)
    put(closing, "INLINE_STREAMS", 10)
    put(closing, "WRITER_PAGES", 3)


def inhabited(deployment):
    """Bring accounts with a monthly package, whose charges are due, into a deployment."""
    bring(deployment, *population(ACCOUNTS, date(2014, 1, 15)), now=moment("2014-01-16"))
    return deployment


@pytest.fixture
def inhabitants(deployment):
    return inhabited(deployment)


def close(deployment, processes, progress=None):
    """Close the day in so many processes; return what it came to."""
    closer = Closer(Runtime(deployment, lambda: NOW).writer(LEDGER), TARIFF)
    return summary(closer.close(DAY, None, progress, processes))


def histories(deployment):
    """Return what closing has done on each stream, but for the names of the events."""
    ledger, found = deployment.ledger(LEDGER), {}
    for stored in ledger.journal.log(0):
        event = ledger.read(stored).event
        if event.actor != ACTOR:
            continue  # the ciphertext of personal data is never the same twice
        found.setdefault(event.subject, []).append((event.type, event.time, data_wire(event.data)))
    return found


def charges(deployment):
    """Return how many charges each account has."""
    return Counter(
        s for s, events in histories(deployment).items() for kind, *_ in events if kind == "ChargePosted"
    )


@pytest.mark.parametrize("processes", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_it_comes_to_the_same_in_any_number_of_processes(inhabitants, server, small_pages, processes):
    """Given one population twice, when one is closed here and one in processes, then answer and streams are equal."""
    shown = []
    with fresh_database(server, "closing") as url:
        other = inhabited(opened_deployment(url))
        alone = close(other, 1)
        together = close(
            inhabitants, processes, lambda c: shown.append((c.looked_at, c.of_streams, c.left_s))
        )
        assert together == alone
        assert histories(inhabitants) == histories(other)
        other.close()
    assert together["events"]["ChargePosted"] >= ACCOUNTS
    assert (together["streams"], shown[-1][0], shown[-1][1]) == (2 * ACCOUNTS, 2 * ACCOUNTS, 2 * ACCOUNTS)
    assert [done for done, *_ in shown] == sorted(done for done, *_ in shown)
    assert shown[-1][2] == 0.0
    again = close(inhabitants, processes)
    assert (again["events"], again["notices_queued"]) == ({}, 0)


def test_few_streams_start_no_process(inhabitants, monkeypatch):
    """Given a ledger that is closed before a process would have started, then none is."""
    monkeypatch.setattr(closing, "workers", None)
    assert close(inhabitants, 4)["streams"] == 2 * ACCOUNTS


def test_a_worker_that_is_killed_stops_the_closing_which_is_taken_up_again(inhabitants, small_pages):
    """Given a process killed in the midst of it, then that is said, and the day closed again has everything once."""
    shot = []

    def shoot(closed):
        if closed.of_streams is not None and not shot:
            shot.append(multiprocessing.active_children()[0].pid)
            os.kill(shot[0], signal.SIGKILL)

    with pytest.raises(LostWorkerError, match="a worker process was killed"):
        close(inhabitants, 2, shoot)
    assert multiprocessing.active_children() == []
    done = close(inhabitants, 2)
    assert done["resumed"]
    assert done["events"]["ChargePosted"] > 0
    assert_each_charged_once(inhabitants)


def assert_each_charged_once(deployment):
    """Assert that every account has its charges, none twice, and that nothing is left to do."""
    found = charges(deployment)
    assert len(found) == ACCOUNTS
    assert len(set(found.values())) == 1
    for events in histories(deployment).values():
        periods = [data["period_start"] for kind, _, data in events if kind == "ChargePosted"]
        assert len(set(periods)) == len(periods)
    assert close(deployment, 1)["events"] == {}


def close_in_processes_and_be_killed(url, pids):
    """Close the day in processes, write down which they are, and be killed in the midst of it."""
    few(setattr)

    def shoot(closed):
        workers = multiprocessing.active_children()
        if closed.of_streams is not None and len(workers) == 2:
            pids.write_text(" ".join(str(w.pid) for w in workers))
            os.kill(os.getpid(), signal.SIGKILL)

    close(opened_deployment(url), 2, shoot)


def test_a_closing_that_is_killed_takes_its_processes_along_and_is_taken_up_again(
    inhabitants, database_url, tmp_path
):
    """Given a closing killed while its processes work, then they end too, and the day closed again has all once."""
    pids = tmp_path / "pids"
    killed(close_in_processes_and_be_killed, database_url, pids)
    wait_for(lambda: not any(lives(int(pid)) for pid in pids.read_text().split()))
    assert 0 < len(charges(inhabitants)) < ACCOUNTS
    done = close(inhabitants, 2)
    assert done["resumed"]
    assert_each_charged_once(inhabitants)
