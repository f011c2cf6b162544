"""Read models: rows that equal the replay, moved with their position, whoever moves them and whenever."""

import contextlib
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import NamedTuple

import orjson
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.sql import SQL

from api.health import reasons, stopped
from api.metrics import LedgerCollector
from api.runtime import Runtime, present
from domain.calendar import day_of
from domain.ledger.database import PROJECTOR
from domain.replay import replay
from projections.billing_status import BillingStatus, status_of, statuses
from projections.engine import (
    Follower,
    NotBuiltError,
    ReadModel,
    Rows,
    States,
    StoppedError,
    Table,
    advance,
    catch_up,
    install,
    makings,
    reading,
    standings,
)
from projections.engine import following as following_module
from tests import support
from tests.conftest import CASES, HARBIN, fresh_database, import_file, opened_deployment
from tests.scenario import REGION, moment
from tests.support import (
    LEDGER,
    asked,
    bring,
    charge_line,
    do,
    event_line,
    opening_line,
    pay,
    payment_line,
    receipt,
    wait_for,
)

pytestmark = pytest.mark.storage
MODELS = (BillingStatus(),)

HISTORIES = [*sorted(CASES.glob("*/history.jsonl")), HARBIN]
FIELDS = (
    "status", "status_since", "party_id", "line_of_business", "balance_fen", "principal_fen", "late_fee_fen",
    "credit_fen", "arrears_since", "days_past_due", "aging", "package",
)  # fmt: skip


@pytest.fixture(scope="module")
def cases(server):
    """Return a deployment with every case in it, for tests that add no events."""
    with fresh_database(server, "projections") as url:
        opened = opened_deployment(url)
        for path in HISTORIES:
            tally, _ = import_file(opened, path)
            assert tally.appended == tally.lines
        yield opened
        opened.close()


def accounts_of(ledger):
    """Return the accounts of a ledger."""
    return sorted({s for e in ledger.journal.log(0) if (s := str(e.originator_id)).startswith("account/")})


def shown(body):
    """Return what is compared of an account, as JSON shows it, its one moment in one zone."""
    found = {name: orjson.loads(orjson.dumps(body.get(name))) for name in FIELDS}
    return {**found, "status_since": datetime.fromisoformat(found["status_since"]).timestamp()}


def assert_rows_equal_replay(deployment, now):
    """Assert that every account's row is what its replay at (now, now) says; return how many there are."""
    count = 0
    for ledger in deployment.ledgers:
        for subject in accounts_of(ledger):
            question, histories = deployment.question(subject, now, region=ledger.region)
            state = replay(question, histories)["state"]
            row = status_of(ledger, subject.partition("/")[2])
            if state["party_id"] is None:
                continue  # not opened yet, as far as is known
            assert row is not None, subject
            assert shown(row.on(day_of(now, question.region))) == shown(state), (subject, now)
            count += 1
    return count


def forget(deployment):
    """Bring the read models back to the log's beginning."""
    for ledger in deployment.ledgers:
        install(deployment, ledger, MODELS)
        with deployment.database.transaction(ledger.schema, PROJECTOR) as connection:
            for number, schema in connection.execute(
                "SELECT generation, schema_name FROM read_model_generation WHERE state = 'live'"
            ).fetchall():
                connection.execute(f"DELETE FROM {schema}.billing_status")
                connection.execute(f"DELETE FROM {schema}.folded_stream")
                connection.execute(
                    "UPDATE read_model_partition SET position = 0, digest = decode(repeat('00', 32), 'hex'),"
                    " due_at = NULL, failure = NULL, failed_position = NULL WHERE generation = %s",
                    [number],
                )


def rows(deployment, columns="*", region=LEDGER):
    """Return the model's rows."""
    ask = f"SELECT {columns} FROM billing_status ORDER BY account_id"
    return reading(deployment.ledger(region), "billing_status", lambda c: c.execute(ask).fetchall())


def position(deployment, name="billing_status"):
    """Return how far a model is."""
    return next(s.position for s in standings(deployment.ledger(LEDGER)) if s.name == name)


# -- rows equal the replay ----------------------------------------------------------------------------------


@pytest.mark.parametrize("now", [None, "2014-12-09", "2017-03-11", "2013-07-16"])
def test_every_row_equals_the_replay_at_now_and_now(cases, now):
    """Given every case, when the model has caught up at a moment, then each row is the replay at that moment."""
    at = moment(now) if now else present()
    forget(cases)
    catch_up(cases, MODELS, lambda: at)
    assert assert_rows_equal_replay(cases, at) >= (15 if now is None else 1)
    assert {(s.lag, s.failure) for ledger in cases.ledgers for s in standings(ledger)} == {(0, None)}


def test_rows_follow_the_calendar_without_a_new_event(cases):
    """Given rows of an early day, when days pass and nothing comes, then each row is the replay of its day."""
    forget(cases)
    moments = [
        moment(day)
        for day in ("2010-01-01", "2012-06-30", "2013-07-17", "2014-11-26", "2015-01-02", "2017-03-12")
    ]
    for now in [*moments, present()]:
        catch_up(cases, MODELS, lambda now=now: now)
        assert_rows_equal_replay(cases, now)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sizes=st.lists(st.integers(1, 90), min_size=1, max_size=8), kept=st.sampled_from([0, 30, 10_000]))
def test_any_split_of_the_log_into_batches_gives_the_same_rows(cases, sizes, kept):
    """Given the log of every case, when it is folded in batches of any sizes, then the rows are the same."""
    now, ledger = moment("2015-06-01"), cases.ledger(LEDGER)
    forget(cases)
    catch_up(cases, MODELS, lambda: now)
    whole, digest = rows(cases), standings(ledger)[0].digest
    assert len(whole) > 3
    forget(cases)
    states = States(kept)
    for number in range(10_000):
        if not advance(ledger, MODELS[0], lambda: now, sizes[number % len(sizes)], states=states):
            break
    assert rows(cases) == whole
    assert standings(ledger)[0].digest == digest
    assert position(cases) == ledger.journal.last_position()


@pytest.fixture
def owing(deployment):
    """Return a deployment whose account A1 owes a charge since 2014-01-31, its row up to date."""
    bring(deployment, opening_line("A1"), charge_line("A1"))
    catch_up(deployment, MODELS, present)
    return deployment


def row(deployment, now=None, account_id="A1"):
    """Return a row as it reads at a moment."""
    return status_of(deployment.ledger(LEDGER), account_id).on(day_of(now or present(), REGION))


def test_a_backdated_event_folds_the_account_anew(owing):
    """Given an account in arrears, when a payment made in time comes to light, then it never was in arrears."""
    assert row(owing)["arrears_since"].isoformat() == "2014-02-01"
    bring(owing, payment_line("A1", "P1", 10_000, "2014-01-20", at="2014-01-20T10:00:00+08:00"))
    bring(owing, charge_line("A1", "CH0", 500, due="2013-12-31", at="2013-12-01T10:00:00+08:00"))
    catch_up(owing, MODELS, present)
    assert (row(owing)["balance_fen"], row(owing)["principal_fen"]) == (500, 500)
    assert row(owing)["arrears_since"].isoformat() == "2014-02-01"
    assert_rows_equal_replay(owing, present())


def test_a_payment_counts_on_its_value_date_without_a_new_event(owing):
    """Given a payment for a day to come, when that day comes, then the row is folded again and shows it."""
    now = present()
    later = now + timedelta(days=3)
    bring(owing, payment_line("A1", "P1", 10_000, later.date().isoformat(), at=now.isoformat()))
    catch_up(owing, MODELS, lambda: now)
    assert row(owing, now)["balance_fen"] == 10_000
    catch_up(owing, MODELS, lambda: later - timedelta(days=1))
    assert row(owing, later)["balance_fen"] == 10_000
    catch_up(owing, MODELS, lambda: later)
    assert row(owing, later)["balance_fen"] == 0
    assert_rows_equal_replay(owing, later)


def test_what_was_recorded_by_a_clock_ahead_of_ours_counts_when_its_moment_comes(owing):
    """Given events recorded some minutes ahead of us, when those minutes have passed, then the rows have them."""
    now = present()
    ahead = (now + timedelta(minutes=4)).isoformat()
    bring(
        owing,
        payment_line("A1", "P1", 4_000, at="2014-12-01T10:00:00+08:00", recordedtime=ahead),
        opening_line("NEW", at=ahead),
    )
    catch_up(owing, MODELS, lambda: now)
    assert row(owing, now)["balance_fen"] == 10_000
    later = now + timedelta(minutes=10)
    catch_up(owing, MODELS, lambda: later)
    assert row(owing, later)["balance_fen"] == 6_000
    assert assert_rows_equal_replay(owing, later) == 2


def test_days_past_due_are_counted_when_the_row_is_read(owing):
    """Given a row nobody touched, when it is read on different days, then its arrears have aged."""
    found = {
        day: (row(owing, moment(day))["days_past_due"], row(owing, moment(day))["aging"])
        for day in ("2014-01-31", "2014-02-01", "2014-03-05", "2014-06-01")
    }
    assert [days for days, _ in found.values()] == [0, 1, 33, 121]
    assert [next(k for k, v in aging.items() if v) for _, aging in found.values()] == [
        "current", "d1_30", "d31_60", "d90_plus",
    ]  # fmt: skip


def test_rows_are_listed_by_account_filtered_and_paged(deployment):
    """Given three accounts, when they are listed, then pages and filters leave out none and repeat none."""
    bring(
        deployment,
        *(opening_line(f"A{n}", party_id=f"P{n % 2}") for n in range(3)),
        charge_line("A1"),
        charge_line("A2"),
    )
    catch_up(deployment, MODELS, present)
    ledger = deployment.ledger(LEDGER)

    def ids(**given_filters):
        return [s.account_id for s in statuses(ledger, **given_filters)]

    assert ids() == ["A0", "A1", "A2"]
    assert ids(limit=2) + ids(after="A1", limit=2) == ["A0", "A1", "A2"]
    assert ids(party_id="P0") == ["A0", "A2"]
    assert ids(owing=True) == ["A1", "A2"]
    assert ids(status="pending") == ["A0"]


# -- rows and position commit together ----------------------------------------------------------------------


class Breaks(BillingStatus):
    """The real model, which can't fold one account."""

    def rows(self, state, seen):
        if seen.subject == "account/A2":
            raise ZeroDivisionError("broken on purpose")
        return super().rows(state, seen)


def test_a_batch_that_breaks_leaves_rows_and_position_as_they_were(owing):
    """Given a batch that fails after streams of it were folded, then nothing of it is kept, states neither."""
    before = rows(owing), position(owing)
    bring(owing, payment_line("A1", "P1", 10_000), opening_line("A2"))
    ledger, states = owing.ledger(LEDGER), States()
    with pytest.raises(ZeroDivisionError):
        advance(ledger, Breaks(), present, states=states)
    assert (rows(owing), position(owing)) == before
    assert advance(ledger, BillingStatus(), present, states=states) == 2
    assert row(owing)["balance_fen"] == 0
    assert assert_rows_equal_replay(owing, present()) == 2


def test_rows_without_their_position_are_not_kept(owing):
    """Given a position that can't be written, when a batch is folded, then its rows are not kept either."""
    before = rows(owing), position(owing)
    bring(owing, payment_line("A1", "P1", 10_000))
    support.by_owner(owing, "ALTER TABLE read_model_partition ADD CONSTRAINT stuck CHECK (position < 3)")
    with pytest.raises(StoppedError, match="CheckViolation"):
        advance(owing.ledger(LEDGER), BillingStatus(), present)
    assert (rows(owing), position(owing)) == before
    support.by_owner(owing, "ALTER TABLE read_model_partition DROP CONSTRAINT stuck")
    assert advance(owing.ledger(LEDGER), BillingStatus(), present) == 1
    assert row(owing)["balance_fen"] == 0


class Counted(NamedTuple):
    """An event that was counted."""

    subject: str
    position: int


class Tally(ReadModel):
    """A model that writes down each event it is given, so that one that comes twice stands there twice."""

    name = "tally"
    version = 1
    kinds = frozenset({"account", "party"})
    tables = (Table("tally", Counted),)
    poison = None

    def script(self):
        return SQL("CREATE TABLE tally (subject text NOT NULL, position bigint NOT NULL)")

    def begin(self, _subject):
        return []

    def step(self, state, recorded):
        if recorded.event.id == self.poison:
            raise ValueError("this event makes no sense to me")
        state.append(recorded.position)

    def rows(self, state, seen):
        return Rows({"tally": [Counted(seen.subject, position) for position in state]})


@pytest.fixture
def tally(deployment):
    """Return the counting model."""
    deployment.ledger_for(REGION)
    return Tally()


@contextlib.contextmanager
def following(deployment, *models):
    """Let a follower run."""
    follower = Follower(deployment, models, present)
    follower.start()
    try:
        yield follower
    finally:
        follower.stop()


def counted(deployment):
    """Return which positions were counted."""
    ask = "SELECT position FROM tally ORDER BY position"
    return [p for (p,) in reading(deployment.ledger(LEDGER), "tally", lambda c: c.execute(ask).fetchall())]


def test_followers_that_run_at_once_fold_each_event_once(runtime, deployment, database_url, tally):
    """Given two followers in two deployments while commands come, then each event was folded once."""
    other = opened_deployment(database_url)
    writer = support.with_customer(runtime, *(f"A{n}" for n in range(4)))
    with following(deployment, tally, BillingStatus()), following(other, Tally(), BillingStatus()):
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda n: do(writer, pay(f"P{n}"), f"account/A{n % 4}"), range(80)))
        last = deployment.ledger(LEDGER).journal.last_position()
        wait_for(lambda: {s.position for s in standings(deployment.ledger(LEDGER))} == {last})
    other.close()
    assert counted(deployment) == list(range(1, last + 1))
    assert last == 85
    assert {s.failure for s in standings(deployment.ledger(LEDGER))} == {None}
    assert_rows_equal_replay(deployment, present())


def test_a_ledger_no_follower_has_come_to_says_so_and_fails_nobody(runtime, deployment):
    """Given a ledger before its first follower, when asked how far it is, then nothing is, and rows are being made."""
    ledger = deployment.ledger_for(REGION)
    assert (standings(ledger), makings(ledger)) == ([], [])
    with pytest.raises(NotBuiltError, match="billing_status is being made in the ledger heilongjiang"):
        status_of(ledger, "A1")
    assert f"{LEDGER}: billing_status is being made" in reasons(runtime)
    assert stopped(runtime) == []
    collected = {m.name: m.samples for m in LedgerCollector(deployment).collect()}
    assert [s.value for s in collected["recount_storage_up"]] == [1.0]
    assert collected["recount_read_model_position"] == []


def test_a_model_that_fails_stops_alone_says_where_and_goes_on_after_the_fix(deployment, tally, monkeypatch):
    """Given an event one model can't fold, then it stops right before it, the other goes on, and a fix is enough."""
    monkeypatch.setattr(following_module, "RETRY_S", 0.2)
    bring(
        deployment, opening_line("A1"), charge_line("A1"), payment_line("A1", "P1"), payment_line("A1", "P2")
    )
    ledger = deployment.ledger(LEDGER)
    tally.poison = "A1-P1"
    install(deployment, ledger, [tally, BillingStatus()])

    def standing(name):
        return next(s for s in standings(ledger) if s.name == name)

    with following(deployment, tally, BillingStatus()):
        wait_for(lambda: standing("tally").failure)
        wait_for(lambda: standing("billing_status").position == 4)
        assert standing("tally").failure == "ValueError: this event makes no sense to me"
        assert standing("tally").failed_position == 3
        assert standing("tally").position == 2
        assert counted(deployment) == [1, 2]
        bring(deployment, payment_line("A1", "P3"))
        wait_for(lambda: standing("billing_status").position == 5)
        assert standing("tally").lag == 3
        tally.poison = None
        wait_for(lambda: standing("tally").position == 5)
        assert standing("tally").failure is None
        assert standing("tally").failed_position is None
    assert counted(deployment) == [1, 2, 3, 4, 5]


def test_a_ledger_that_another_process_made_is_followed(deployment, database_url):
    """Given a follower that runs, when another process makes a ledger, then its rows come too."""
    lines = [opening_line("A1", region="guangdong.shenzhen"), opening_line("A2")]
    with following(deployment, BillingStatus()), support.processes(1) as pool:
        assert pool.submit(support.import_in_batches, database_url, lines, 10).result() == (2, 0)
        wait_for(lambda: {known.region for known in deployment.ledgers} == {"guangdong", LEDGER})
        for region, account_id in (("guangdong", "A1"), (LEDGER, "A2")):
            wait_for(lambda region=region, account_id=account_id: has_row(deployment, region, account_id))


def has_row(deployment, region, account_id):
    """Whether an account has a row yet."""
    ledger = deployment.ledger(region)
    try:
        return status_of(ledger, account_id) is not None
    except NotBuiltError:
        return False


def test_a_follower_outlives_the_database_going_away(runtime, deployment, database_url, server, monkeypatch):
    """Given a follower that runs, when every connection is cut, then it goes on where it stood."""
    monkeypatch.setattr(following_module, "RETRY_S", 0.2)
    writer = support.with_customer(runtime)
    with following(deployment, BillingStatus()):
        wait_for(lambda: has_row(deployment, LEDGER, "A1"))
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
                [psycopg.conninfo.conninfo_to_dict(database_url)["dbname"]],
            )
        support.persistently(writer, asked(pay()), receipt("k"))
        wait_for(lambda: row(deployment)["balance_fen"] == -100)


def test_the_model_follows_what_commands_do(runtime, deployment):
    """Given commands on an account, when the model has caught up, then its row is what the commands made."""
    writer = support.with_customer(runtime)
    charge = event_line(
        "c", "ChargePosted", "account/A1",
        {"charge_id": "CH1", "kind": "usage", "amount_fen": 300, "period_start": "2014-01-01",
         "period_end": "2014-02-01", "due_on": "2014-03-01"},
    )  # fmt: skip
    bring(deployment, charge)
    do(writer, pay("P1", 100))
    catch_up(Runtime(deployment).deployment, MODELS, present)
    assert row(deployment)["balance_fen"] == 200
    assert assert_rows_equal_replay(deployment, present()) == 1
