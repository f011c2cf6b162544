"""The log: one order without gaps, versions without conflict, bytes that nobody changes and nobody reads."""

import base64
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from itertools import product

import orjson
import pytest
from eventsourcing.persistence import IntegrityError
from eventsourcing.popo import POPOApplicationRecorder
from eventsourcing.projection import ApplicationSubscription
from psycopg import sql

from api.runtime import READ_MODELS, present
from domain.events import Recorded
from domain.events.envelope import parse_event
from domain.events.fields import REGISTRY
from domain.ledger.database import WRITER
from domain.ledger.recorder import append
from domain.ledger.writer import Writer
from projections.engine import catch_up
from tests import support
from tests.conftest import HARBIN, MASTER, import_file
from tests.scenario import REGION
from tests.support import LEDGER, asked, bring, do, opening_line, pay, payment_line, receipt

pytestmark = pytest.mark.storage


@pytest.fixture
def ledger(deployment):
    """Return an empty ledger."""
    return deployment.ledger_for(REGION)


def stored(ledger, line, version):
    """Return a line's event in its stored form, as a version of its stream."""
    return ledger.stored([Recorded(parse_event(orjson.loads(line)), version, fingerprint=bytes(32))])[0]


# -- order --------------------------------------------------------------------------------------------------


def test_a_reader_that_follows_by_position_sees_every_event_once_and_in_order(
    runtime, deployment, database_url
):
    """Given writers and importers in three processes, when a reader tails the log, then it misses nothing."""
    accounts = [f"A{n}" for n in range(20)]
    support.with_customer(runtime, "HOT", *accounts)
    journal = deployment.ledger(LEDGER).journal
    lines = [payment_line(a, f"I{n}") for n in range(12) for a in ("HOT", *accounts)]
    end, seen, notified, acknowledged = [], [], [], []
    with (
        support.processes(3) as pool,
        ThreadPoolExecutor(2) as readers,
        journal.subscribe(gt=0) as subscription,
    ):
        tail = readers.submit(support.follow, journal, lambda: end[0] if end else None, seen)
        other = readers.submit(lambda: notified.extend(n.id for n in subscription))
        try:
            jobs = [
                pool.submit(support.pay_in_threads, database_url, "w1", ["HOT"], 60),
                pool.submit(support.pay_in_threads, database_url, "w2", ["HOT", *accounts], 8),
                pool.submit(support.import_in_batches, database_url, lines, 21),
            ]
            writer = runtime.writer(REGION)
            mine = [do(writer, pay(f"own-{n}"), f"account/{accounts[n % 20]}") for n in range(40)]
            acknowledged += [(e["id"], e["position"]) for body in mine for e in body["events"]]
            acknowledged += [*jobs[0].result(), *jobs[1].result()]
            assert jobs[2].result() == (len(lines), 0)
        finally:
            end.append(journal.last_position())
        tail.result(timeout=10)
        support.wait_for(lambda: len(notified) == end[0])
        subscription.stop()
        other.result(timeout=10)
    assert [e.position for e in seen] == list(range(1, end[0] + 1)) == notified
    by_id = {orjson.loads(e.state)["id"]: e.position for e in seen}
    assert len(by_id) == len(seen) == 22 + 60 + 21 * 8 + 40 + len(lines)
    assert len(acknowledged) == 60 + 21 * 8 + 40
    assert all(by_id[event_id] == position for event_id, position in acknowledged)
    assert support.assert_sound(deployment) == seen


def test_of_two_who_append_the_same_version_one_loses(ledger):
    """Given two appends of a stream's next version at once, when both commit, then one gets IntegrityError."""
    ledger.journal.insert_events([stored(ledger, opening_line("A1"), 1)])
    for version in range(2, 12):
        together = threading.Barrier(2)

        def one(name, version=version, together=together):
            event = stored(ledger, payment_line("A1", f"{name}{version}"), version)
            together.wait(10)
            try:
                return ledger.journal.insert_events([event])
            except IntegrityError:
                return None

        with ThreadPoolExecutor(2) as pool:
            results = list(pool.map(one, "ab"))
        assert sorted(results, key=str) == [None, [version]] or sorted(results, key=str) == [[version], None]


def test_an_append_that_is_rolled_back_leaves_no_gap(deployment, ledger):
    """Given positions taken in a transaction, when it is rolled back, then the next append gets them."""

    def fail():
        with deployment.database.transaction(ledger.schema, WRITER) as connection:
            done = append(connection, [stored(ledger, opening_line(a), 1) for a in ("A1", "A2")])
            assert [e.position for e in done] == [1, 2]
            raise ConnectionAbortedError

    with pytest.raises(ConnectionAbortedError):
        fail()
    assert ledger.journal.last_position() == 0
    assert ledger.journal.insert_events([stored(ledger, opening_line("A3"), 1)]) == [1]
    support.assert_sound(deployment)


@pytest.mark.parametrize("version", [1, 3, 4])
def test_only_a_streams_next_version_can_be_appended(deployment, ledger, version):
    """Given a stream at version 1, when another than version 2 comes, then IntegrityError and nothing stands."""
    ledger.journal.insert_events([stored(ledger, opening_line("A1"), 1)])
    with pytest.raises(IntegrityError):
        ledger.journal.insert_events(
            [stored(ledger, opening_line("A2"), 1), stored(ledger, payment_line("A1"), version)]
        )
    assert [e.originator_id for e in support.assert_sound(deployment)] == ["account/A1"]


def test_a_source_and_id_stand_once_in_a_ledger(deployment, ledger):
    """Given an event, when another stream brings the same source and id, then IntegrityError."""
    ledger.journal.insert_events([stored(ledger, opening_line("A1", "same"), 1)])
    with pytest.raises(IntegrityError):
        ledger.journal.insert_events([stored(ledger, opening_line("A2", "same"), 1)])
    ledger.journal.insert_events([stored(ledger, opening_line("A2", "same", source="urn:other"), 1)])
    assert len(support.assert_sound(deployment)) == 2


def test_two_histories_in_opposite_order_land_at_once(deployment, database_url):
    """Given two files with the same events in opposite order, when both are imported, then each lands once."""
    lines = [opening_line(f"A{n:03}") for n in range(960)]
    with ThreadPoolExecutor(2) as pool:
        for start in range(0, 960, 240):
            part = lines[start : start + 240]
            done = list(pool.map(lambda some: bring(deployment, *some), (part, part[::-1])))
            assert sum(t.appended for t in done) == 240
            assert sum(t.repeated for t in done) == 240
    support.assert_sound(deployment)


# -- digests ------------------------------------------------------------------------------------------------


def test_each_streams_digests_chain_from_its_name_over_the_bytes_as_stored(deployment):
    """Given the Harbin case, when its digests are computed anew from the stored bytes, then they are the same."""
    import_file(deployment, HARBIN)
    assert len(support.assert_sound(deployment)) == 102


def test_a_byte_changed_behind_the_ledgers_back_breaks_the_chain(deployment):
    """Given a log, when an administrator switches the trigger off and changes an amount, then digests tell."""
    import_file(deployment, HARBIN)
    by_owner = support.by_owner
    by_owner(deployment, "ALTER TABLE event DISABLE TRIGGER event_is_immutable")
    by_owner(
        deployment,
        "UPDATE event SET state = convert_to(replace(convert_from(state, 'UTF8'), '96000', '95000'), 'UTF8')"
        " WHERE position = (SELECT min(position) FROM event WHERE position(%s::bytea in state) > 0)",
        b"96000",
    )
    with pytest.raises(AssertionError):
        support.assert_sound(deployment)


# -- clocks -------------------------------------------------------------------------------------------------


def test_the_ledgers_own_clock_says_when_an_event_was_appended(deployment):
    """Given a history of 2009, when it is imported, then its third time is the present one."""
    before = present() - timedelta(seconds=1)
    import_file(deployment, HARBIN)
    assert all(
        before < e.appended_at < present() + timedelta(seconds=1) for e in support.assert_sound(deployment)
    )


def test_the_recorded_time_of_live_commands_never_runs_backwards(runtime, deployment):
    """Given hosts whose clocks differ, when they take commands in turn, then recorded time only grows."""
    support.with_customer(runtime)
    ledger, now = deployment.ledger(LEDGER), present()
    offsets = [0, 60, -3600, 61, 0, -1, 62]
    for number, offset in enumerate(offsets):
        clock = Writer(ledger, lambda offset=offset: now + timedelta(seconds=offset))
        do(clock, pay(f"P{number}"))
    recorded = [r.event.recordedtime for r in ledger.history("account/A1")][1:]
    assert recorded == [now + timedelta(seconds=s) for s in (0, 60, 60, 61, 61, 61, 62)]


def test_an_import_does_not_move_the_recorded_time_of_live_commands(runtime, deployment):
    """Given an import recorded a little ahead of us, when a command comes, then it is recorded now."""
    support.with_customer(runtime)
    now = present()
    ahead = (now + timedelta(minutes=4)).isoformat()
    bring(deployment, payment_line("A1", at=ahead))
    body = do(Writer(deployment.ledger(LEDGER), lambda: now + timedelta(minutes=1)), pay("P2"))
    assert body["recordedtime"] == (now + timedelta(minutes=1)).isoformat()


# -- personal data ------------------------------------------------------------------------------------------


def everything(deployment):
    """Return every row of every table, and every bytea as the bytes it is."""
    found = []
    with deployment.database.owner() as connection:
        tables = connection.execute(
            "SELECT table_schema, table_name FROM information_schema.tables WHERE table_type = 'BASE TABLE'"
            " AND table_schema NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        assert len(tables) >= 9
        for schema, table in tables:
            name = sql.Identifier(schema, table)
            rows = connection.execute(sql.SQL("SELECT t::text FROM {} AS t").format(name))
            found += [text.encode() for (text,) in rows]
            columns = connection.execute(
                "SELECT column_name FROM information_schema.columns"
                " WHERE table_schema = %s AND table_name = %s AND data_type = 'bytea'",
                [schema, table],
            ).fetchall()
            for (column,) in columns:
                query = sql.SQL("SELECT {} FROM {}").format(sql.Identifier(column), name)
                found += [bytes(value) for (value,) in connection.execute(query) if value is not None]
    return b"\n".join(found)


def personal_values(path):
    """Return every clear value of personal data in a history."""
    for line in path.read_bytes().splitlines():
        raw = orjson.loads(line)
        for name in REGISTRY[raw["type"]].PERSONAL:
            if name in raw["data"]:
                yield raw["data"][name]


def test_no_personal_data_and_no_key_stands_in_clear_anywhere_in_the_database(runtime, deployment):
    """Given imported and live personal data, when every column is searched, then neither it nor a key is found."""
    import_file(deployment, HARBIN)
    writer = support.with_customer(runtime)
    refused = writer.execute(asked(support.register(), "party/P1"), receipt("refused"))
    assert refused.refused
    catch_up(deployment, READ_MODELS, present)
    dump = everything(deployment)
    assert b"BB-10M-ANNUAL" in dump
    assert b"party.already_exists" in dump
    values = {*personal_values(HARBIN), *support.CLEAR.values()}
    assert len(values) > 8
    assert [v for v in values if v.encode() in dump or orjson.dumps(v)[1:-1] in dump] == []
    keys = [
        deployment.master.unwrap(bytes(w))
        for (w,) in support.select(deployment, "SELECT wrapped FROM party_key")
    ]
    secrets = [*keys, MASTER, deployment.secrets.secret]
    assert len(secrets) > 3
    for secret in secrets:
        forms = (secret, secret.hex().encode(), base64.b64encode(secret), secret[:16], secret[16:])
        assert not any(form in dump for form in forms)


# -- the library's interfaces -------------------------------------------------------------------------------


MONEY = ("ChargePosted", "PaymentReceived")


def plain(events):
    """Return what the library's own recorder knows of stored events."""
    return [(e.originator_id, e.originator_version, e.topic, bytes(e.state)) for e in events]


@pytest.fixture
def both(deployment):
    """Return our recorder and the library's own in memory, both with the Harbin case."""
    import_file(deployment, HARBIN)
    ours, stock = deployment.ledger(LEDGER).journal, POPOApplicationRecorder()
    for event in ours.log(0):
        stock.insert_events([replace(event)])
    return ours, stock


def test_streams_are_selected_as_the_librarys_own_recorder_does(both):
    """Given the same events in both, when a stream is asked for in every way, then the answers are equal."""
    ours, stock = both
    found = 0
    for gt, lte, desc, limit in product((None, 0, 2, 99), (None, 1, 5), (False, True), (None, 1, 3)):
        for subject in ("account/A-FTTH", "party/P-HRB", "account/none"):
            given = {"gt": gt, "lte": lte, "desc": desc, "limit": limit}
            answer = plain(ours.select_events(subject, **given))
            assert answer == plain(stock.select_events(subject, **given)), given
            found += len(answer)
    assert found > 300


def test_the_log_is_selected_as_the_librarys_own_recorder_does(both):
    """Given the same events in both, when the log is asked for in every way, then the answers are equal."""
    ours, stock = both
    found = 0
    for start, limit, stop, topics, inclusive in product(
        (None, 0, 1, 40, 102, 103), (1, 10, 500), (None, 1, 50), ((), MONEY), (True, False)
    ):  # fmt: skip
        answers = [
            [
                (n.id, *plain([n])[0])
                for n in one.select_notifications(start, limit, stop, topics, inclusive_of_start=inclusive)
            ]
            for one in both
        ]
        assert answers[0] == answers[1], (start, limit, stop, topics, inclusive)
        found += len(answers[0])
    assert found > 1000
    assert ours.max_notification_id() == stock.max_notification_id() == 102


def test_an_empty_log_has_no_last_notification(ledger):
    """Given no events, when the last one is asked for, then there is none."""
    assert ledger.journal.max_notification_id() is None
    assert ledger.journal.select_notifications(None, 10) == []


def test_a_subscription_waits_for_what_comes_and_ends_when_it_is_stopped(deployment, ledger):
    """Given a subscription to payments after a position, when one comes, then it is told of it alone."""
    bring(deployment, opening_line("A1"), payment_line("A1", "P1"))
    told = []
    with ApplicationSubscription(ledger, gt=2, topics=["PaymentReceived"]) as subscription:

        def listen():
            told.extend(
                (recorded.event.data.payment_id, tracking.notification_id)
                for recorded, tracking in subscription
            )

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        bring(deployment, opening_line("A2"), payment_line("A2", "P2"), payment_line("A1", "P3"))
        support.wait_for(lambda: len(told) == 2)
        assert thread.is_alive()
    thread.join(10)
    assert not thread.is_alive()
    assert told == [("P2", 4), ("P3", 5)]
