"""Rebuild: made beside what is read, resumed after a kill, swapped at once, and never noticed by a reader."""

import itertools
import multiprocessing
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from api.runtime import present
from domain.ledger.database import migrate
from domain.ledger.workers import LostWorkerError
from projections.billing_status import BillingStatus, status_of, statuses
from projections.engine import (
    Follower,
    NotBuiltError,
    StoppedError,
    advance,
    building,
    catch_up,
    following,
    generations,
    install,
    makings,
    reading,
    rebuild,
    standings,
    verify,
)
from tests import support
from tests.conftest import opened_deployment
from tests.support import (
    LEDGER,
    bring,
    charge_line,
    do,
    killed,
    lives,
    opening_line,
    pay,
    payment_line,
    wait_for,
)

pytestmark = pytest.mark.storage

MODEL = BillingStatus()
MODELS = (MODEL,)
VERSION = MODEL.version
ACCOUNTS = 12
PAYMENTS_MAX = 300  # of one writer: what an account's rows take grows with its payments


def standing(deployment):
    """Return how far the model is."""
    return next(s for s in standings(deployment.ledger(LEDGER)) if s.name == MODEL.name)


def balances(deployment):
    """Return what each account owes by the live rows."""
    return {s.account_id: s.balance_fen for s in statuses(deployment.ledger(LEDGER))}


def generations_of(deployment):
    """Return every generation as (state, version), in the order they were made."""
    return support.select(deployment, "SELECT state, version FROM read_model_generation ORDER BY generation")


def assert_proven(deployment, now=None):
    """Assert that the live rows are what a plain replay says, all of them."""
    found = verify(deployment.ledger(LEDGER), [MODEL], now or present(), sample=None)
    assert (found.differences, found.unchecked) == ([], [])
    return found


@pytest.fixture
def owing(deployment):
    """Return a deployment with accounts that each owe 100 yuan, their rows up to date."""
    for n in range(ACCOUNTS):
        bring(deployment, opening_line(f"A{n:02d}"), charge_line(f"A{n:02d}"))
    catch_up(deployment, MODELS, present)
    return deployment


@pytest.fixture
def small_steps(monkeypatch):
    """Let a rebuild go in many small steps."""
    monkeypatch.setattr(building, "CHUNK_EVENTS", 5)


# -- beside the old, then swapped ---------------------------------------------------------------------------


def test_a_rebuild_makes_the_same_rows_in_a_new_place(owing, small_steps):
    """Given a model up to date, when it is rebuilt, then another generation with the same digest is read."""
    before, stages = standing(owing), []
    assert rebuild(owing, owing.ledger(LEDGER), MODEL, present, show=stages.append)
    after = standing(owing)
    assert (after.digest, after.position) == (before.digest, before.position)
    assert after.generation > before.generation
    assert generations_of(owing) == [("retired", VERSION), ("live", VERSION)]
    assert balances(owing) == {f"A{n:02d}": 10_000 for n in range(ACCOUNTS)}
    assert_proven(owing)
    assert stages[0].stage == "begun"
    assert stages[-1].stage == "swapped"
    folding = [s.events_done for s in stages if s.stage == "folding"]
    assert folding == sorted(folding)
    assert len(set(folding)) > 5
    assert (stages[-1].streams_done, stages[-1].events_done) == (ACCOUNTS, 2 * ACCOUNTS)
    assert stages[-2].left_s is not None


@pytest.mark.parametrize("chunk", [1, 2, 3, 5, 7, 30])
def test_streams_are_folded_whole_wherever_a_chunk_ends(owing, monkeypatch, chunk):
    """Given chunks of any size, when one ends inside a stream, or a stream is longer than one, then none is cut."""
    bring(owing, *(payment_line("A05", f"P{n}", 100) for n in range(8)))
    catch_up(owing, MODELS, present)
    before = standing(owing)
    monkeypatch.setattr(building, "CHUNK_EVENTS", chunk)
    monkeypatch.setattr(building, "RANGES_PER_WORKER", 1)
    assert rebuild(owing, owing.ledger(LEDGER), MODEL, present)
    assert standing(owing).digest == before.digest
    assert_proven(owing)


def test_a_swap_never_takes_readers_back(owing, monkeypatch):
    """Given a live model that moves on while the new one is about to be swapped in, then the new one follows first."""
    ledger, really, late = owing.ledger(LEDGER), building.move_on, ["P1", "P2"]

    def and_then_more(*given, **more):
        moved = really(*given, **more)
        if not moved and late:
            bring(owing, payment_line("A00", late.pop(), 100))
            advance(ledger, MODEL, present)
        return moved

    monkeypatch.setattr(building, "move_on", and_then_more)
    assert rebuild(owing, ledger, MODEL, present)
    assert standing(owing).position == ledger.journal.last_position()
    assert balances(owing)["A00"] == 9_900
    assert_proven(owing)


@pytest.mark.parametrize("partitions", [1, 3])
def test_a_rebuild_comes_to_its_end_while_writers_never_pause(owing, monkeypatch, partitions):
    """Given a log in which something new stands whenever it was read to its end, then the swap comes all the same."""
    ledger, really, count = owing.ledger(LEDGER), building.move_on, itertools.count()

    def and_then_more(*given, **more):
        moved = really(*given, **more)
        number = next(count)
        bring(owing, *(payment_line(f"A{n:02d}", f"P{number}", 100) for n in range(3)))
        advance(ledger, MODEL, present)
        return moved

    monkeypatch.setattr(building, "move_on", and_then_more)
    monkeypatch.setattr(building, "BATCH_EVENTS", 2)  # it is never near its end either
    bring(owing, payment_line("A03", "P0", 100))
    assert rebuild(owing, ledger, MODEL, present, partitions=partitions)
    assert next(count) > 0
    while advance(ledger, MODEL, present):
        pass
    assert standing(owing).position == ledger.journal.last_position()
    assert_proven(owing)


@pytest.mark.parametrize("partitions", [1, 3])
def test_processes_fold_a_rebuild_together(owing, monkeypatch, partitions):
    """Given many streams, when several processes rebuild, into parts too, then the rows and digest are the same."""
    monkeypatch.setattr(building, "INLINE_EVENTS", 0)
    digest = standing(owing).digest
    ledger = owing.ledger(LEDGER)
    assert rebuild(owing, ledger, MODEL, present, workers=2, partitions=partitions)
    assert standing(owing).digest == digest
    bring(owing, *(payment_line(f"A{n:02d}", "P1", 4_000) for n in range(ACCOUNTS)))
    moved = []
    while count := advance(ledger, MODEL, present, 3):
        moved.append(count)
    assert sum(moved) == ACCOUNTS
    assert set(balances(owing).values()) == {6_000}
    parts = "SELECT count(*), min(position), max(position) FROM read_model_partition WHERE generation = %s"
    last = ledger.journal.last_position()
    assert support.select(owing, parts, standing(owing).generation) == [(partitions, last, last)]
    assert_proven(owing)


def test_workers_of_different_processes_share_the_parts(owing, database_url):
    """Given a model in parts, when two followers move it, then every event is folded, each stream's in order."""
    rebuild(owing, owing.ledger(LEDGER), MODEL, present, partitions=4)
    other = opened_deployment(database_url)
    followers = [Follower(d, MODELS, present) for d in (owing, other)]
    for follower in followers:
        follower.start()
    for n in range(60):
        bring(owing, payment_line(f"A{n % ACCOUNTS:02d}", f"P{n}", 100))
    last = owing.ledger(LEDGER).journal.last_position()
    wait_for(lambda: standing(owing).position == last)
    for follower in followers:
        follower.stop()
    other.close()
    assert set(balances(owing).values()) == {9_500}
    assert_proven(owing)


def test_commands_and_readers_go_on_and_every_answer_is_right(runtime, deployment, small_steps):
    """Given writers and readers, when the model is rebuilt again and again, then no answer is wrong, none goes back."""
    writer = support.with_customer(runtime, *(f"A{n}" for n in range(4)))
    catch_up(deployment, MODELS, present)
    ledger, done = deployment.ledger(LEDGER), threading.Event()
    follower = Follower(deployment, MODELS, present)
    follower.start()

    def write(number):
        count = 0
        while not done.is_set() and count < PAYMENTS_MAX:
            do(writer, pay(f"P{number}-{count}", 100), f"account/A{number}")
            count += 1
        return count

    def read():
        last, answers, seen = 0, 0, set()
        while not done.is_set():
            now_at = standing(deployment)
            assert now_at.position >= last
            last = now_at.position
            seen.add(now_at.generation)
            for row in statuses(ledger):  # whatever was seen of an account, it is a moment of its history
                assert row.balance_fen == -100 * (row.stream_version - 1)
                answers += 1
        return answers, seen

    with ThreadPoolExecutor(4) as pool:
        writing = [pool.submit(write, n) for n in range(2)]
        looking = [pool.submit(read) for _ in range(2)]
        try:
            for _ in range(4):
                assert rebuild(deployment, ledger, MODEL, present)
        finally:
            done.set()
    assert sum(job.result() for job in writing) > 4
    for answers, seen in (job.result() for job in looking):
        assert answers > 20
        assert len(seen) > 1
    wait_for(lambda: standing(deployment).lag == 0)
    follower.stop()
    assert_proven(deployment)


def test_a_reader_in_flight_keeps_the_generation_it_began_with(owing):
    """Given a reader in the middle of an answer, when the model is swapped and changes, then it reads on as before."""
    ledger, asked, go_on = owing.ledger(LEDGER), threading.Event(), threading.Event()

    def ask(connection):
        first = connection.execute("SELECT sum(balance_fen) FROM billing_status").fetchone()
        asked.set()
        assert go_on.wait(10)
        return first, connection.execute("SELECT sum(balance_fen) FROM billing_status").fetchone()

    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(reading, ledger, MODEL.name, ask)
        assert asked.wait(10)
        bring(owing, payment_line("A00", "P1", 10_000))
        assert rebuild(owing, ledger, MODEL, present)
        assert sum(balances(owing).values()) == (ACCOUNTS - 1) * 10_000
        go_on.set()
        assert answer.result() == ((ACCOUNTS * 10_000,), (ACCOUNTS * 10_000,))


def test_what_was_swapped_out_is_dropped_once_its_readers_had_their_time(owing, monkeypatch):
    """Given a swap, when the time of grace is over, then the old tables go, and a reader still in them may finish."""
    ledger = owing.ledger(LEDGER)
    rebuild(owing, ledger, MODEL, present)
    schemas = "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'ledger\\_heilongjiang\\_g%%'"
    building.drop_retired(owing, ledger)
    assert support.select(owing, schemas) == [(2,)]
    monkeypatch.setattr(building, "GRACE_S", 0.0)
    with owing.database.transaction(ledger.schema) as reader:
        reader.execute("SELECT count(*) FROM ledger_heilongjiang_g1.billing_status")
        building.drop_retired(owing, ledger)
        assert support.select(owing, schemas) == [(2,)]
    building.drop_retired(owing, ledger)
    assert support.select(owing, schemas) == [(1,)]
    assert generations_of(owing) == [("dropped", VERSION), ("live", VERSION)]


# -- killed -------------------------------------------------------------------------------------------------


def rebuild_and_be_killed(url, stage, count):
    """Rebuild, in a process of its own, and be killed when a stage is shown so many times."""
    building.CHUNK_EVENTS = 5
    left = [count]

    def show(progress):
        left[0] -= progress.stage == stage
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)

    deployment = opened_deployment(url)
    rebuild(deployment, deployment.ledger(LEDGER), MODEL, present, show=show)


@pytest.mark.parametrize(
    ("stage", "count"),
    [("begun", 1), ("folding", 1), ("folding", 4), ("folded", 1), ("following", 1), ("swapped", 1)],
)
def test_a_rebuild_killed_anywhere_leaves_a_model_that_works_and_is_resumed(
    owing, database_url, monkeypatch, stage, count
):
    """Given a rebuild killed at a step, then the model reads and follows as before, and the next one goes on."""
    ledger = owing.ledger(LEDGER)
    bring(owing, payment_line("A00", "P0", 100))
    with pytest.MonkeyPatch.context() as patch:  # a log that goes on after the rebuild has begun
        if stage == "following":
            patch.setattr(building, "CHUNK_EVENTS", 5)
            begin_only(owing, ledger)
            bring(owing, payment_line("A01", "P0", 100))
    killed(rebuild_and_be_killed, database_url, stage, count)
    bring(owing, payment_line("A02", "P0", 100))
    catch_up(owing, MODELS, present)
    assert balances(owing)["A02"] == 9_900
    assert_proven(owing)
    before, shown = standing(owing), []
    assert rebuild(owing, ledger, MODEL, present, show=shown.append)
    assert standing(owing).digest == before.digest
    assert_proven(owing)
    assert shown[0].events_done >= {"folding": 2 * count, "folded": 24, "following": 24}.get(stage, 0)
    assert generations_of(owing)[-1] == ("live", VERSION)
    assert ("building", VERSION) not in generations_of(owing)


def begin_only(deployment, ledger):
    """Begin a rebuild and stop it at once."""
    stop = threading.Event()
    stop.set()
    assert not rebuild(deployment, ledger, MODEL, present, stop=stop)


class Deadly(BillingStatus):
    """The real model, in which the process is killed when it comes to an account."""

    def rows(self, state, seen):
        if seen.subject == "account/A07":
            os.kill(os.getpid(), signal.SIGKILL)
        return super().rows(state, seen)


def follow_and_be_killed(url):
    """Follow the log in a process that is killed in the middle of a batch."""
    catch_up(opened_deployment(url), [Deadly()], present)


def test_a_worker_killed_in_a_batch_loses_nothing_and_counts_nothing_twice(owing, database_url):
    """Given a worker killed in the middle of a batch, then the next one folds the batch, once."""
    before = standing(owing)
    bring(owing, *(payment_line(f"A{n:02d}", "P0", 100) for n in range(ACCOUNTS)))
    killed(follow_and_be_killed, database_url)
    assert standing(owing).position == before.position
    assert set(balances(owing).values()) == {10_000}
    catch_up(owing, MODELS, present)
    assert set(balances(owing).values()) == {9_900}
    assert_proven(owing)


def fold_in_a_process_and_be_killed(url):
    """Rebuild in worker processes of which one is killed."""
    building.INLINE_EVENTS = 0
    deployment = opened_deployment(url)
    rebuild(deployment, deployment.ledger(LEDGER), Deadly(), present, workers=2)


def test_a_rebuild_whose_worker_is_killed_says_so_and_is_resumed(owing, database_url):
    """Given a worker process killed in a rebuild, then the rebuild fails, and another goes on."""
    with support.processes(1) as pool, pytest.raises(LostWorkerError, match="a worker process was killed"):
        pool.submit(fold_in_a_process_and_be_killed, database_url).result()
    assert ("building", VERSION) in generations_of(owing)
    assert_proven(owing)
    assert rebuild(owing, owing.ledger(LEDGER), MODEL, present)
    assert_proven(owing)


def rebuild_in_processes_and_be_killed(url, pids):
    """Rebuild in worker processes, write down which they are, and be killed in the midst of it."""
    building.INLINE_EVENTS, building.CHUNK_EVENTS = 0, 5

    def show(progress):
        workers = multiprocessing.active_children()
        if progress.stage == "folding" and progress.events_done and len(workers) == 2:
            pids.write_text(" ".join(str(w.pid) for w in workers))
            os.kill(os.getpid(), signal.SIGKILL)

    deployment = opened_deployment(url)
    rebuild(deployment, deployment.ledger(LEDGER), Slow(), present, workers=2, show=show)


class Slow(BillingStatus):
    """The real model, which takes its time."""

    def rows(self, state, seen):
        time.sleep(0.2)
        return super().rows(state, seen)


def test_a_rebuild_in_processes_that_is_killed_takes_them_along_and_is_resumed(owing, database_url, tmp_path):
    """Given a rebuild killed while its processes fold, then they end too, what is read stays, and another goes on."""
    before, pids = standing(owing), tmp_path / "pids"
    killed(rebuild_in_processes_and_be_killed, database_url, pids)
    wait_for(lambda: not any(lives(int(pid)) for pid in pids.read_text().split()))
    assert standing(owing) == before
    shown = []
    assert rebuild(owing, owing.ledger(LEDGER), MODEL, present, show=shown.append)
    assert shown[0].events_done > 0
    assert standing(owing).digest == before.digest
    assert_proven(owing)


# -- new versions, failures, old deployments ----------------------------------------------------------------


class Second(BillingStatus):
    """The model's next version."""

    version = BillingStatus.version + 1


def test_a_new_version_is_made_beside_the_old_one_which_is_read_meanwhile(owing, monkeypatch):
    """Given a program with a new version, when its follower starts, then the old rows are read until the swap."""
    ledger, hold, begun = owing.ledger(LEDGER), threading.Event(), threading.Event()
    really = following.rebuild

    def held(*given, **more):
        begun.set()
        assert hold.wait(20)
        return really(*given, **more)

    monkeypatch.setattr(following, "rebuild", held)
    bring(owing, payment_line("A00", "P0", 100))
    follower = Follower(owing, [Second()], present)
    follower.start()
    try:
        assert begun.wait(10)
        assert (standing(owing).version, standing(owing).lag) == (BillingStatus.version, 1)
        assert status_of(ledger, "A00").balance_fen == 10_000
        hold.set()
        wait_for(lambda: standing(owing).version == Second.version)
        assert status_of(ledger, "A00").balance_fen == 9_900
        bring(owing, payment_line("A00", "P1", 100))
        wait_for(lambda: status_of(ledger, "A00").balance_fen == 9_800)
    finally:
        hold.set()
        follower.stop()


def test_an_older_program_leaves_a_newer_version_alone(owing):
    """Given a newer version's generation, when an older program follows, then it neither moves nor remakes it."""
    rebuild(owing, owing.ledger(LEDGER), Second(), present)
    bring(owing, payment_line("A00", "P0", 100))
    catch_up(owing, MODELS, present)
    assert (standing(owing).version, standing(owing).lag) == (Second.version, 1)
    catch_up(owing, [Second()], present)
    assert (standing(owing).version, standing(owing).lag) == (Second.version, 0)


class Stumbles(BillingStatus):
    """The real model, which can't fold one account."""

    def rows(self, state, seen):
        if seen.subject == "account/A07":
            raise ValueError("this account makes no sense to me")
        return super().rows(state, seen)


def test_a_rebuild_that_stumbles_says_where_and_goes_on_after_the_fix(owing, small_steps):
    """Given an account that can't be folded, then what is read stays, position and reason stand, a fix is enough."""
    ledger, before = owing.ledger(LEDGER), standing(owing)
    with pytest.raises(StoppedError, match="position 16: ValueError: this account makes no sense to me"):
        rebuild(owing, ledger, Stumbles(), present)
    assert standing(owing) == before
    assert makings(ledger) == [
        ("billing_status", BillingStatus.version, 12, 24, 16, "ValueError: this account makes no sense to me")
    ]
    shown = []
    assert rebuild(owing, ledger, MODEL, present, show=shown.append)
    assert shown[0].events_done >= 12
    assert standing(owing).digest == before.digest


def test_a_long_log_is_folded_by_a_rebuild_from_the_first(deployment, monkeypatch):
    """Given a log that is long already, when models are installed, then they are built before they are read."""
    monkeypatch.setattr(generations, "FOLLOWED_EVENTS_MAX", 3)
    bring(deployment, opening_line("A1"), charge_line("A1"), opening_line("A2"), charge_line("A2"))
    ledger = deployment.ledger(LEDGER)
    install(deployment, ledger, MODELS)
    with pytest.raises(NotBuiltError):
        status_of(ledger, "A1")
    catch_up(deployment, MODELS, present)
    assert status_of(ledger, "A1").balance_fen == 10_000
    assert_proven(deployment)


def test_an_earlier_deployment_is_brought_along(deployment, monkeypatch):
    """Given tables of before generations, when the program is updated, then they are read until the model is made."""
    bring(deployment, opening_line("A1"), charge_line("A1"))
    ledger = deployment.ledger(LEDGER)
    with deployment.database.migrating() as connection:
        from domain.ledger import queries

        first = [s for s in queries.scripts("projections.sql", "migrations") if s[0].startswith("0001")]
        with monkeypatch.context() as patch:
            patch.setattr("domain.ledger.database.scripts", lambda *_: first)
            migrate(connection, ledger.schema, "projections.sql", "migrations")
        connection.execute("INSERT INTO projection (name, version, position) VALUES ('billing_status', 1, 2)")
        connection.execute(
            "INSERT INTO billing_status VALUES ('A1', 'P1', 'heilongjiang.harbin', 'mobile', 'active', now(), NULL,"
            " 77, 77, 0, 0, '[]', false, 2, 2, NULL)"
        )
    install(deployment, ledger, MODELS)
    assert status_of(ledger, "A1").balance_fen == 77
    assert (standing(deployment).version, standing(deployment).position) == (0, 2)
    catch_up(deployment, MODELS, present)
    assert status_of(ledger, "A1").balance_fen == 10_000
    assert standing(deployment).version == BillingStatus.version
    assert_proven(deployment)
    monkeypatch.setattr(building, "GRACE_S", 0.0)
    building.drop_retired(deployment, ledger)
    assert generations_of(deployment) == [("dropped", 0), ("live", BillingStatus.version)]


# -- the gap race -------------------------------------------------------------------------------------------


def test_a_transaction_held_open_while_others_come_loses_nothing(owing, monkeypatch):
    """Given an append that holds its positions and does not commit, when others append, then none is skipped."""
    from domain.ledger import bulk
    from domain.ledger.interchange import landing

    ledger, copying, linking = owing.ledger(LEDGER), landing.copy_in, bulk.add_links
    last = ledger.journal.last_position()
    slow_ones = []

    def seen(connection, count, rows, links):
        rows = list(rows)
        if any(b"A00-SLOW" in state for _version, _digest, state, _columns in rows):
            slow_ones.append(connection)
        copying(connection, count, iter(rows), links)

    def held(connection, links):  # it has its positions by now
        if connection in slow_ones:
            connection.execute("SELECT pg_advisory_xact_lock(117)")
        linking(connection, links)

    monkeypatch.setattr(landing, "copy_in", seen)
    monkeypatch.setattr(bulk, "add_links", held)
    with owing.database.owner() as holder, ThreadPoolExecutor(4) as pool:
        holder.execute("SELECT pg_advisory_lock(117)")
        slow = pool.submit(bring, owing, payment_line("A00", "SLOW", 100))
        wait_for(lambda: support.select(owing, "SELECT count(*) FROM pg_locks WHERE NOT granted")[0][0])
        others = [pool.submit(bring, owing, payment_line(f"A{n:02d}", "P1", 100)) for n in (1, 2, 3)]
        for _ in range(5):
            advance(ledger, MODEL, present)
        assert standing(owing).position == last
        assert not any(job.done() for job in (slow, *others))
        holder.execute("SELECT pg_advisory_unlock(117)")
        for job in (slow, *others):
            job.result()
    catch_up(owing, MODELS, present)
    assert standing(owing).position == last + 4
    assert sum(balances(owing).values()) == ACCOUNTS * 10_000 - 400
    assert_proven(owing)
