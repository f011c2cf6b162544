"""An import in several processes: what one process would have made of the file, whoever is killed and when."""

import io
import os
import random
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import orjson
import psutil
import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.population.conditions import Conditions
from api.population.generating import generate
from api.runtime import opened, present
from api.settings import Settings
from domain.ledger.database import StorageError
from domain.ledger.interchange import Importer, export_sealed, importing, lines, lines_of
from domain.ledger.interchange.workers import LostWorkerError, Team
from tests import support
from tests.conftest import HARBIN, fresh_database, opened_deployment
from tests.support import LEDGER, opening_line, select, wait_for

ROOT = Path(__file__).parents[1]
HARBIN_LINES = HARBIN.read_bytes().splitlines()


@pytest.fixture(scope="module")
def population(tmp_path_factory):
    """Return the lines of some thirty accounts' lives."""
    folder = tmp_path_factory.mktemp("population")
    generate(Conditions(30, 3), folder)
    return [line for path in sorted(folder.glob("*.jsonl")) for line in path.read_bytes().splitlines()]


class PatientTeam(Team):
    """A team that has all its workers before the second chunk, and counts what it was given."""

    taken = 0

    def ready(self):
        wait_for(lambda: self._retired or super(PatientTeam, self).ready(), seconds=60)
        return super().ready()

    def take(self, chunk):
        type(self).taken += 1
        super().take(chunk)


@pytest.fixture
def parallel(monkeypatch):
    """Import in workers whatever the file's length, some 40 lines at a time; return the team's class."""
    monkeypatch.setattr(lines, "CHUNK_BYTES", 16_384)
    monkeypatch.setattr(Importer, "parallel_from_bytes", 0)
    monkeypatch.setattr(importing, "Team", PatientTeam)
    monkeypatch.setattr(PatientTeam, "taken", 0)
    return PatientTeam


def brought(deployment, content, workers=3, progress=None):
    """Import bytes; return the tally and what was refused."""
    refusals = []
    importer = Importer(deployment, refusals.append, present, progress, workers=workers)
    return importer.run(io.BytesIO(content)), refusals


def stands(deployment, region=LEDGER):
    """Return what stands in a ledger, but for what chance made of it: ciphertexts, and what a secret keys."""
    return select(
        deployment,
        "SELECT position, subject, version, id, CASE WHEN position('\"sealed\"'::bytea IN state) = 0 THEN state END"
        " FROM event ORDER BY position",
        region=region,
    )


def alive(pids):
    """Return which processes still run."""
    return [pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie"]


# -- the same as in one process -----------------------------------------------------------------------------


@pytest.mark.storage
def test_many_processes_make_of_a_file_what_one_makes_of_it(deployment, server, parallel, population):
    """Given a file with repeats, clashes and wrong lines, when it is imported by workers, then all is as by one."""
    other = orjson.dumps({**orjson.loads(population[50]), "actor": "staff/S-OTHER"})
    never = orjson.dumps({**orjson.loads(population[60]), "id": "never", "subject": "account/NEVER"})
    south = orjson.dumps(
        {**orjson.loads(HARBIN_LINES[0]), "region": "guangdong.shenzhen", "subject": "party/SOUTH"}
    )
    content = b"\n".join(
        [*population[:700], b"{", population[3], other, b"", *population[700:], never, south, b"\xff", *population[:90]]
    )  # fmt: skip
    with fresh_database(server, "other") as url:
        alone = opened_deployment(url)
        expected, expected_refusals = brought(alone, content, workers=1)
        expected_events = stands(alone)
        alone.close()
    assert parallel.taken == 0
    tally, refusals = brought(deployment, content)
    assert parallel.taken > 20
    assert tally == expected
    assert (tally.repeated, tally.refused) == (91, 5)
    assert refusals == expected_refusals
    assert stands(deployment) == expected_events
    assert len(stands(deployment, "guangdong")) == 1
    support.assert_sound(deployment)


def damaged(line, chance):
    """Return a line with something done to it, or none of that."""
    raw = orjson.loads(line)
    match chance.randrange(12):
        case 0:
            return line[: chance.randrange(len(line))]
        case 1:
            at = chance.randrange(len(line))
            return line[:at] + chance.randbytes(2).replace(b"\n", b"") + line[at + 2 :]
        case 2:
            raw.pop(chance.choice(sorted(raw)))
        case 3:
            raw[chance.choice(sorted(raw))] = chance.choice(
                [None, 1, "", [], {}, "a", "2014-12-09T11:00:00Z"]
            )
        case 4:
            raw["data"][chance.choice(sorted(raw["data"]))] = chance.choice(
                [None, 1, -1, "", [], {}, "a", "9" * 200]
            )
        case 5:
            raw["id"] = chance.choice(["x", "y", "z"])
        case _:
            return line
    return orjson.dumps(raw)


@pytest.mark.storage
@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_whatever_comes_is_accounted_for_by_workers_as_by_one(deployment, server, parallel, population, seed):
    """Given damaged lines among many, when they are imported by workers, then each is told as by one process."""
    chance = random.Random(seed)
    given_lines = [*population[:1_000], *HARBIN_LINES * 4]
    content = b"\n".join(damaged(line, chance) for line in given_lines)
    with fresh_database(server, "other") as url:
        alone = opened_deployment(url)
        expected, expected_refusals = brought(alone, content, workers=1)
        expected_events = stands(alone)
        alone.close()
    tally, refusals = brought(deployment, content)
    assert tally == expected
    assert tally.lines == sum(1 for _ in lines_of(io.BytesIO(content)))
    assert tally.refused > 100
    assert tally.repeated > 50
    assert refusals == expected_refusals
    assert stands(deployment) == expected_events


@pytest.mark.storage
def test_a_file_imported_by_workers_again_changes_nothing(deployment, parallel, population):
    """Given a population that stands, when it comes again, then every line is a repeat."""
    brought(deployment, b"\n".join(population))
    before = stands(deployment)
    tally, refusals = brought(deployment, b"\n".join(population))
    assert (tally.repeated, tally.appended, refusals) == (len(population), 0, [])
    assert stands(deployment) == before


@pytest.mark.storage
def test_the_process_that_imports_takes_chunks_beside_its_worker(
    deployment, parallel, population, monkeypatch
):
    """Given one worker that is at work, when there is another chunk, then it is taken here, and lands in its turn."""
    here, read = [], Importer.read

    def seen(importer, chunk):
        here.append(chunk.first)
        return read(importer, chunk)

    monkeypatch.setattr(Importer, "read", seen)
    brought(deployment, b"\n".join(population), workers=2)
    assert 0 < len(here) < parallel.taken
    assert here[0] > 1, "the first chunk was the worker's"
    assert [i for _, _, _, i, _ in stands(deployment)] == [orjson.loads(line)["id"] for line in population]


@pytest.mark.storage
@pytest.mark.parametrize("first", [0, pytest.param(300, marks=pytest.mark.slow)])
def test_a_sealed_export_is_restored_by_workers_with_its_digests(
    deployment, server, parallel, population, first
):
    """Wherever in a file it begins: its secret is taken over, and what was read with another one is read again."""
    brought(deployment, b"\n".join(population), workers=1)
    exported = b"".join(export_sealed(deployment, deployment.ledger(LEDGER), []))
    with fresh_database(server, "other") as url:
        other = opened_deployment(url)
        tally, refusals = brought(other, b'{"no": "event"}\n' * first * 10 + exported)
        assert (tally.appended, len(refusals)) == (len(population), first * 10)
        assert parallel.taken > (2 if first else 20)
        digests = "SELECT position, fingerprint, digest FROM event ORDER BY position"
        assert select(other, digests) == select(deployment, digests)
        other.close()


@pytest.mark.storage
def test_live_commands_go_on_while_workers_import(runtime, parallel, population):
    """Given an import in full flight, when commands are given, then both stand, in one log without a gap."""
    writer = support.with_customer(runtime)
    stop, paid = threading.Event(), []

    def clerk():
        while not stop.is_set():
            request = support.asked(support.pay(f"live-{len(paid)}"))
            paid.append(support.persistently(writer, request, support.receipt(f"live-{len(paid)}")))

    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(clerk)
        try:
            tally, refusals = brought(runtime.deployment, b"\n".join(population))
        finally:
            stop.set()
        working.result()
    assert (tally.appended, refusals) == (len(population), [])
    assert not any(answer.refused for answer in paid)
    assert len(support.assert_sound(runtime.deployment)) == len(population) + 2 + len(paid)


@pytest.mark.storage
def test_a_short_file_starts_no_process(deployment, monkeypatch):
    """What one process has done in a second is not worth another one's start."""
    monkeypatch.setattr(importing, "Team", None)
    assert brought(deployment, HARBIN.read_bytes(), workers=3)[0].appended == len(HARBIN_LINES)


# -- cut into chunks ----------------------------------------------------------------------------------------


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.sampled_from([b"", b"a", b"bb", b"c" * 9, b"d" * 25, b"\xef\xbb\xbf", b"\r"])),
    st.integers(1, 40),
)
def test_a_file_in_chunks_has_the_lines_of_the_whole(texts, chunk_bytes):
    """Given any lines, empty, too long or without an end, when a file is cut, then no line changes or moves."""
    content = b"\n".join(texts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "CHUNK_BYTES", chunk_bytes)
        patch.setattr(lines, "LINE_MAX_BYTES", 10)
        whole = list(lines_of(io.BytesIO(content)))
        chunks = list(lines.chunks_of(io.BytesIO(content)))
        cut = [one for chunk in chunks for one in lines_of(io.BytesIO(chunk.text), chunk.first)]
    assert cut == whole
    assert all(len(chunk.text) <= chunk_bytes + 12 for chunk in chunks)


# -- killed -------------------------------------------------------------------------------------------------


@pytest.mark.storage
def test_a_worker_that_is_killed_is_told_of_and_the_import_can_be_run_again(deployment, parallel, population):
    """Given an import by workers, when one is killed, then the error says so, and a second run completes it."""
    teams = []

    class Watched(parallel):
        def __init__(self, *given):
            super().__init__(*given)
            teams.append(self)

    importing.Team = Watched  # the fixture puts it back

    def kill(tally):
        if tally.appended > 500 and not teams[0].victim:
            teams[0].victim = teams[0]._workers[0].process.pid
            os.kill(teams[0].victim, signal.SIGKILL)

    Watched.victim = 0
    with pytest.raises(LostWorkerError, match=r"killed \(signal 9\).*run it again"):
        brought(deployment, b"\n".join(population), progress=kill)
    assert teams[0].victim
    assert not alive([w.process.pid for w in teams[0]._workers])
    landed = [i for _, _, _, i, _ in stands(deployment)]
    assert 500 < len(landed) < len(population)
    assert landed == [orjson.loads(line)["id"] for line in population[: len(landed)]], (
        "a beginning of the file"
    )
    importing.Team = parallel
    tally, refusals = brought(deployment, b"\n".join(population))
    assert (tally.repeated, tally.appended, refusals) == (len(landed), len(population) - len(landed), [])
    assert len(support.assert_sound(deployment)) == len(population)


@pytest.mark.storage
def test_an_import_that_is_killed_takes_its_workers_along_and_is_completed_by_another(tmp_path, population):
    """Given the command at work with its workers, when it is killed, then none of them goes on."""
    data, source = tmp_path / "data", tmp_path / "history.jsonl"
    content = [*population, *(opening_line(f"A{n}") for n in range(8_000))]
    source.write_bytes(b"\n".join(content))
    program = (
        "import sys; from api.cli import main; from domain.ledger.interchange import Importer, lines;"
        "Importer.parallel_from_bytes = 0; lines.CHUNK_BYTES = 16_384; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-P", "-c", program, "import", "--json", str(source), "--data", str(data)]
    environment = {k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "RECOUNT_OWNER_URL")}
    environment["PYTHONPATH"] = str(ROOT)
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("one core: an import starts no workers")
    with opened(Settings.read(data, {})) as runtime:
        journal = runtime.deployment.ledger_for(LEDGER).journal
        killed = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)
        workers = []

        def at_work():
            workers[:] = [
                c.pid
                for c in psutil.Process(killed.pid).children()
                if "interchange.workers" in str(c.cmdline())
            ]
            return workers and journal.last_position() > 0

        wait_for(at_work, seconds=60)
        killed.kill()
        assert killed.wait() == -signal.SIGKILL
        killed.stdout.close()
        wait_for(lambda: not alive(workers))
        landed = journal.last_position()
        again = subprocess.run(command, env=environment, check=True, capture_output=True)
        tally = orjson.loads(again.stdout)
        assert (tally["repeated"], tally["appended"]) == (landed, len(content) - landed)
        assert len(support.assert_sound(runtime.deployment)) == len(content)


@pytest.mark.storage
def test_workers_that_can_not_start_are_done_without(deployment, parallel, population, monkeypatch):
    """Given a database that lets nobody else in, when a file is imported, then it is by one process."""
    monkeypatch.setattr(
        type(deployment.database), "conninfos", lambda _self: ("host=/nowhere", "host=/nowhere")
    )
    tally, refusals = brought(deployment, b"\n".join(population))
    assert (tally.appended, refusals, parallel.taken) == (len(population), [], 0)


@pytest.mark.storage
def test_a_connection_that_is_lost_is_told_of_and_the_import_can_be_run_again(
    deployment, database_url, parallel, population
):
    """Given an import by workers, when the server ends a session in the midst, then one line says what to do."""

    waiting = (
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )

    def end_the_one_that_waits(held):
        wait_for(lambda: held.execute(waiting).fetchone())
        held.execute(f"SELECT pg_terminate_backend(pid) FROM ({waiting}) AS w")
        held.close()

    def hold_the_counter(tally):
        if tally.appended > 500 and not holding:
            held = psycopg.connect(database_url)
            held.execute("SELECT FROM ledger_heilongjiang.counter FOR UPDATE")
            holding.append(pool.submit(end_the_one_that_waits, held))

    holding = []
    with (
        ThreadPoolExecutor(1) as pool,
        pytest.raises(StorageError, match=r"connection to PostgreSQL was lost.*run it again"),
    ):
        brought(deployment, b"\n".join(population), progress=hold_the_counter)
    holding[0].result()
    tally, refusals = brought(deployment, b"\n".join(population))
    assert (tally.repeated + tally.appended, refusals) == (len(population), [])
    assert tally.repeated > 500
    assert len(support.assert_sound(deployment)) == len(population)
