"""The writer under faults: whatever breaks and whenever, what was acknowledged is what is stored, to the event."""

import asyncio
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import orjson
import psycopg
import pytest

import domain.ledger.writer as writing
from api.runtime import Runtime, present
from domain.commands import account as cmd
from domain.ledger.batch import Batch
from domain.ledger.database import StorageError
from domain.ledger.writer import BusyError, VersionConflictError, Writer
from tests import support
from tests.conftest import opened_deployment
from tests.cutting import CUTS, line_to
from tests.http_service import serving
from tests.support import LEDGER, REGION, asked, do, pay, receipt, wait_for

pytestmark = pytest.mark.storage

COME_BACK = (BusyError, StorageError, psycopg.OperationalError)
"""What a client answers by asking again with the same key."""
ACCOUNTS = ("A1", "A2", "A3")


# -- comparing what was said with what is there -------------------------------------------------------------


def insistently(execute):
    """Ask again with the same key until there is an answer; return it."""
    while True:
        try:
            return execute()
        except COME_BACK:
            continue


def stored_payments(deployment):
    """Return each stored payment's event by payment id, in a log that is whole; none may stand twice."""
    found = {}
    for event in support.assert_sound(deployment):
        raw = orjson.loads(event.state)
        if raw["type"] == "PaymentReceived":
            assert found.setdefault(raw["data"]["payment_id"], event) is event, "doubled"
    return found


def assert_as_acknowledged(deployment, acknowledged):
    """Assert that the payments of the log are those that were acknowledged: (event id, position) by payment id."""
    stored = stored_payments(deployment)
    assert {name: (_id_of(e), e.position) for name, e in stored.items()} == acknowledged


def _id_of(event):
    return orjson.loads(event.state)["id"]


def said(answer):
    """Return the id and the position of the one event an answer names."""
    assert not answer.refused, answer.body
    (event,) = answer.body["events"]
    return event["id"], event["position"]


def pay_all(writer, name, count, threads=4):
    """Take payments from several threads, each until it is acknowledged; return what was acknowledged."""

    def one(number):
        key = f"{name}-{number}"
        request = asked(pay(key), f"account/{ACCOUNTS[number % len(ACCOUNTS)]}")
        return key, said(insistently(lambda: writer.execute(request, receipt(key))))

    with ThreadPoolExecutor(threads) as pool:
        return dict(pool.map(one, range(count)))


def pay_elsewhere(url, name, count):
    """Do the same in a process of one's own."""
    deployment = insistently(lambda: opened_deployment(url))
    try:
        return pay_all(Writer(deployment.ledger_for(REGION), present), name, count)
    finally:
        deployment.close()


# -- a lost connection at each step -------------------------------------------------------------------------


@pytest.mark.parametrize("when", [w for w in CUTS if "commit" not in w])
def test_a_line_cut_around_a_batch_loses_and_doubles_nothing(database_url, deployment, when):
    """Given clients at work, when the line is cut again and again, then all is acknowledged as it is stored."""
    with line_to(database_url) as line:
        through = opened_deployment(line.conninfo)
        try:
            writer = support.with_customer(Runtime(through), *ACCOUNTS)
            times = 1 if "late" in when else 5  # under a lock, a late batch stops everybody for a while
            line.cut(when, times)
            acknowledged = pay_all(writer, "p", 60)
            assert line.cut_times == times
            for server, message in line.late:  # what the network held back arrives after all was settled
                server.sendall(message)
            acknowledged |= pay_all(writer, "after", 10)
        finally:
            through.close()
    assert_as_acknowledged(deployment, acknowledged)


@pytest.mark.parametrize("when", [w for w in CUTS if "commit" in w])
def test_a_line_cut_around_the_commit_of_several_commands_keeps_them_together(database_url, deployment, when):
    """Given pairs of payments, when the line is cut at their commit, then each pair stands whole, and once."""
    with line_to(database_url) as line:
        through = opened_deployment(line.conninfo)
        try:
            writer = support.with_customer(Runtime(through), *ACCOUNTS)
            line.cut(when, times=3)
            acknowledged = {}
            for number in range(8):
                names = [f"{number}a", f"{number}b"]
                pair = [asked(pay(name), f"account/{ACCOUNTS[0]}") for name in names]
                key = receipt(f"{number}")
                answer = insistently(lambda pair=pair, key=key: writer.execute_all(pair, key))
                events = answer.body["events"]
                acknowledged |= {n: (e["id"], e["position"]) for n, e in zip(names, events, strict=True)}
            assert line.cut_times == 3
        finally:
            through.close()
    assert_as_acknowledged(deployment, acknowledged)


def test_a_database_that_stays_away_is_told_and_leaves_the_key_free(database_url, deployment):
    """Given a line that is cut at every try, then the client is told to come back, and the next time it is done."""
    with line_to(database_url) as line:
        through = opened_deployment(line.conninfo)
        try:
            writer = support.with_customer(Runtime(through), *ACCOUNTS)
            line.cut("before the batch is sent", times=writing.CONNECTIONS_MAX)
            with pytest.raises(BusyError, match="can't be reached"):
                writer.execute(asked(pay("P")), receipt("k"))
            assert stored_payments(deployment) == {}
            acknowledged = {"P": said(writer.execute(asked(pay("P")), receipt("k")))}
        finally:
            through.close()
    assert_as_acknowledged(deployment, acknowledged)


def test_connections_ended_by_the_server_lose_and_double_nothing(database_url, deployment):
    """Given two processes at work, when the server ends all their connections again and again, then nothing is lost."""
    support.with_customer(Runtime(deployment), *ACCOUNTS)
    with support.processes(2) as pool, psycopg.connect(database_url, autocommit=True) as killer:
        jobs = [pool.submit(pay_elsewhere, database_url, name, 150) for name in ("one", "two")]
        wait_for(lambda: len(stored_payments(deployment)) > 20, seconds=60)
        ended = 0
        for _ in range(12):
            ended += len(_end_others(killer))
            if all(job.done() for job in jobs):
                break
            threading.Event().wait(0.05)
        acknowledged = {key: event for job in jobs for key, event in job.result(120).items()}
    assert ended
    assert len(acknowledged) == 300
    insistently(lambda: support.select(deployment, "SELECT 1"))
    assert_as_acknowledged(deployment, acknowledged)


def _end_others(connection):
    return connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid() AND usename = current_user"
    ).fetchall()


# -- storms -------------------------------------------------------------------------------------------------


def test_a_storm_of_conflicts_across_two_processes_lets_each_through_once(database_url, deployment):
    """Given two processes whose commands all expect the version they saw last, then each is executed once."""
    support.with_customer(Runtime(deployment), *ACCOUNTS)
    with support.processes(2) as pool:
        jobs = [pool.submit(contend, database_url, name, 25) for name in ("one", "two")]
        found = [job.result(120) for job in jobs]
    acknowledged = {key: event for answers, _ in found for key, event in answers.items()}
    assert len(acknowledged) == 2 * 4 * 25
    assert sum(conflicts for _, conflicts in found) > 0
    assert_as_acknowledged(deployment, acknowledged)


def contend(url, name, each, threads=4):
    """Pay on one account from several threads, each command on the version seen last; return answers and conflicts."""
    deployment = opened_deployment(url)
    try:
        writer = Writer(deployment.ledger_for(REGION), present)

        def clerk(number):
            version, conflicts, done = 1, 0, {}
            for n in range(each):
                key = f"{name}-{number}-{n}"
                while key not in done:
                    try:
                        answer = writer.execute(asked(pay(key), expected_version=version), receipt(key))
                        done[key], version = said(answer), answer.body["version"]
                    except VersionConflictError as error:
                        conflicts, version = conflicts + 1, error.actual
            return done, conflicts

        with ThreadPoolExecutor(threads) as pool:
            found = list(pool.map(clerk, range(threads)))
        return {k: v for done, _ in found for k, v in done.items()}, sum(c for _, c in found)
    finally:
        deployment.close()


# -- clients that leave, and too many of them ---------------------------------------------------------------


class Held:
    """Holds the ledger's counter, as another process does that is about to commit."""

    def __init__(self, url, deployment):
        self._connection = psycopg.connect(url)
        self._looking = psycopg.connect(url, autocommit=True)
        self._table = f"{deployment.ledger(LEDGER).schema}.counter"

    def __enter__(self):
        self._connection.execute(f"SELECT 1 FROM {self._table} FOR UPDATE")
        return self

    def __exit__(self, *_):
        self.release()
        self._connection.close()
        self._looking.close()

    def release(self):
        self._connection.rollback()

    def wait_for_writer(self):
        """Wait until a writer stands before the counter."""
        waiting = (
            "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        wait_for(lambda: self._looking.execute(waiting).fetchall())


@pytest.fixture
def writer(runtime):
    """Return a writer whose ledger has three accounts."""
    return support.with_customer(runtime, *ACCOUNTS)


def test_clients_that_leave_before_their_turn_leave_nothing(writer, deployment, database_url):
    """Given commands behind a batch that waits, when their clients leave, then nothing of theirs is stored."""

    async def some_leave():
        with Held(database_url, deployment) as held:
            begun = asyncio.create_task(writer.ask(asked(pay("BEGUN")), receipt("BEGUN")))
            await asyncio.to_thread(held.wait_for_writer)
            left = [asyncio.create_task(writer.ask(asked(pay(f"L{n}")), receipt(f"L{n}"))) for n in range(20)]
            stay = asyncio.create_task(writer.ask(asked(pay("STAY")), receipt("STAY")))
            await asyncio.sleep(0)
            for task in left:
                task.cancel()
            held.release()
            return {"BEGUN": said(await begun), "STAY": said(await stay)}

    assert_as_acknowledged(deployment, asyncio.run(some_leave()))


def test_clients_that_leave_at_any_moment_find_their_answer_later(writer, deployment):
    """Given commands whose clients leave at random, when they come again with their keys, then each stands once."""
    chance = random.Random(5)

    async def one(number):
        key = f"p{number}"
        request = asked(pay(key), f"account/{ACCOUNTS[number % 3]}")
        task = asyncio.create_task(writer.ask(request, receipt(key)))
        if number % 2:
            await asyncio.sleep(chance.random() * 0.02)
            task.cancel()
            await asyncio.wait([task])
        return key, said(await writer.ask(request, receipt(key)))

    async def everybody():
        return dict(await asyncio.gather(*(one(number) for number in range(300))))

    acknowledged = asyncio.run(everybody())
    assert len(acknowledged) == 300
    assert_as_acknowledged(deployment, acknowledged)


def test_a_full_queue_says_when_to_come_back(writer, runtime, deployment, database_url, monkeypatch):
    """Given more commands than may wait, then the rest get 503 with Retry-After, and are stored once when they do."""
    monkeypatch.setattr(writing, "QUEUE_MAX", 4)
    acknowledged, turned_away = {}, []

    def ask(client, number):
        key = f"P{number}"
        data = {"payment_id": key, "amount_fen": 1, "value_date": "2014-12-01", "method": "cash"}
        return key, client.ask("accounts/A1/payments", data, key=key, region=REGION)

    def keep(key, response):
        if response.status_code == 503:
            assert response.json()["code"] == "storage.busy"
            assert int(response.headers["Retry-After"]) >= 1
            turned_away.append(key)
        else:
            (event,) = response.json()["events"]
            acknowledged[key] = (event["id"], event["position"])

    with serving(runtime) as client, ThreadPoolExecutor(16) as pool:
        with Held(database_url, deployment) as held:
            jobs = [pool.submit(ask, client, number) for number in range(16)]
            # At most 4 are in flight, as many as were in the queue, 4 behind them, and 4 in the queue.
            wait_for(lambda: sum(job.done() for job in jobs) >= 3)
            held.release()
            for job in jobs:
                keep(*job.result(30))
        assert len(turned_away) >= 3
        assert not stored_payments(deployment).keys() & set(turned_away)
        for key in tuple(turned_away):
            keep(*ask(client, int(key[1:])))
    assert len(acknowledged) == 16
    assert_as_acknowledged(deployment, acknowledged)


# -- decisions made ahead of a commit -----------------------------------------------------------------------


def two_batches(writer, first, second):
    """Ask commands so that the second half is decided while the first is in flight; return all answers."""
    assert len(first) == len(second) >= writing.HALVED_MIN // 2
    gate = threading.Event()
    writer._thread.submit(gate.wait)

    async def all_of_them():
        tasks = [asyncio.create_task(writer.ask(request, receipt(key))) for key, request in [*first, *second]]
        await asyncio.sleep(0)
        gate.set()
        return await asyncio.gather(*tasks)

    return asyncio.run(all_of_them())


def filled(requests, name):
    """Return requests with keys, and payments on another account after them up to half of what is halved."""
    missing = writing.HALVED_MIN // 2 - len(requests)
    more = [asked(pay(f"{name}{n}"), "account/A3") for n in range(missing)]
    return [(f"{name}-{n}", request) for n, request in enumerate([*requests, *more])]


def test_an_earlier_event_decided_ahead_does_not_hide_what_is_in_flight(
    writer, deployment, database_url, monkeypatch
):
    """Given a payment in flight, when an earlier one follows ahead of its commit, then the first can't come twice."""
    first = filled([asked(pay("P1"), at="2014-12-05")], "f")
    second = filled([asked(pay("P0"), at="2014-12-01"), asked(pay("P1"), at="2014-12-06")], "s")
    do(writer, pay("warm"), at="2014-11-01")
    ahead = _seen_ahead(monkeypatch)
    with Held(database_url, deployment) as held, ThreadPoolExecutor(1) as pool:
        job = pool.submit(two_batches, writer, first, second)
        held.wait_for_writer()
        wait_for(lambda: len(ahead) == len(second))
        held.release()
        answers = job.result(30)
    again = answers[len(first) + 1]
    assert again.body["refusal"]["code"] == "id.already_used"
    stored = stored_payments(deployment)
    assert {name for name in stored if name.startswith("P")} == {"P0", "P1"}


def _seen_ahead(monkeypatch):
    """Return a list that grows with each command decided while another batch is in flight."""
    add, seen = Batch.add, []

    def watched(batch, work):
        answer = add(batch, work)
        if batch._before:
            seen.append(work)
        return answer

    monkeypatch.setattr(Batch, "add", watched)
    return seen


def test_what_another_writer_did_meanwhile_counts_once(writer, deployment, monkeypatch):
    """Given a batch overtaken in flight, when the next was decided on the overtaker's event, then it counts once."""
    mine, other = (Writer(deployment.ledger(LEDGER), present) for _ in range(2))
    do(mine, pay("warm"), "account/A3")  # it knows this account alone
    gate, done = threading.Event(), threading.Event()

    def elsewhere():
        other.execute_all([asked(pay("CREDIT", 100), "account/A2")], receipt("x"), lambda _: gate.wait(30))
        done.set()

    prepare = Batch.prepare

    def overtaken(batch, works):
        if batch._before:
            gate.set()
            assert done.wait(30)
        prepare(batch, works)

    monkeypatch.setattr(Batch, "prepare", overtaken)
    unknown = cmd.ReversePayment(payment_id="NONE", reason="bounced")
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(elsewhere)
        wait_for(lambda: _is_locked(deployment))
        answers = two_batches(mine, filled([], "f"), filled([asked(unknown, "account/A2")], "s"))
        job.result(30)
    assert answers[len(answers) // 2].body["refusal"]["code"] == "payment.not_found"
    now = present().isoformat()
    too_much = asked(cmd.PayRefund(amount_fen=150, method="cash"), "account/A2", now)
    assert mine.execute(too_much, receipt("refund")).body["refusal"]["code"] == "refund.too_high"


def _is_locked(deployment):
    try:
        support.by_owner(deployment, "SELECT 1 FROM counter FOR UPDATE NOWAIT")
    except psycopg.errors.LockNotAvailable:
        return True
    return False


def test_one_that_the_database_does_not_take_harms_no_other(writer, deployment):
    """Given a command that breaks a constraint of the table, then it alone fails, and the others are acknowledged."""
    support.by_owner(
        deployment, "ALTER TABLE event ADD CHECK (position(convert_to('POISON', 'UTF8') in state) = 0)"
    )

    async def one(number):
        key = "POISON" if number == 7 else f"P{number}"
        try:
            return key, said(await writer.ask(asked(pay(key)), receipt(key)))
        except psycopg.errors.CheckViolation:
            return key, None

    async def everybody():
        return dict(await asyncio.gather(*(one(number) for number in range(40))))

    answers = asyncio.run(everybody())
    assert answers.pop("POISON") is None
    assert None not in answers.values()
    assert_as_acknowledged(deployment, answers)
