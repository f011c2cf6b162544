"""What is true of every read model: incremental equals rebuilt equals plain replay, however the events came.

A model is under these laws by standing in READ_MODELS.
"""

from datetime import timedelta

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from api.runtime import READ_MODELS, present
from domain.ledger.database import PROJECTOR
from projections.engine import (
    States,
    StoppedError,
    advance,
    building,
    catch_up,
    install,
    reading,
    rebuild,
    standings,
    verify,
)
from projections.engine.building import drop_retired
from tests.conftest import CASES, HARBIN, fresh_database, import_file, opened_deployment
from tests.scenario import REGION, moment
from tests.support import LEDGER, bring, charge_line, event_line, opening_line, payment_line

pytestmark = pytest.mark.storage

HISTORIES = [*sorted(CASES.glob("*/history.jsonl")), HARBIN]
EACH = pytest.mark.parametrize("model", READ_MODELS, ids=lambda model: model.name)


@pytest.fixture(scope="module")
def cases(server):
    """Return a deployment with every case in it."""
    with fresh_database(server, "laws") as url:
        opened = opened_deployment(url)
        for path in HISTORIES:
            import_file(opened, path)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def grown(server):
    """Return a deployment to which each example adds accounts of its own."""
    with fresh_database(server, "grown") as url:
        opened = opened_deployment(url)
        opened.ledger_for(REGION)
        install(opened, opened.ledger(LEDGER), READ_MODELS)
        yield opened, []
        opened.close()


def digest_of(ledger, model):
    """Return a model's digest and position."""
    return next((s.digest, s.position) for s in standings(ledger) if s.name == model.name)


def assert_proven(ledger, now):
    """Assert that every row of every model is what a plain replay says."""
    found = verify(ledger, READ_MODELS, now, sample=None)
    assert (found.differences, found.unchecked) == ([], [])
    assert found.position == ledger.journal.last_position()
    return found


# -- what a model declares ----------------------------------------------------------------------------------


@EACH
def test_a_models_tables_are_what_it_declares_and_say_what_they_mean(cases, model):
    """Its rows' fields are the columns in order, `subject` leads the key, and everything has a comment."""
    catch_up(cases, READ_MODELS, present)

    def look(connection):
        return {
            table: connection.execute(
                "SELECT a.attname, col_description(a.attrelid, a.attnum), obj_description(a.attrelid, 'pg_class'),"
                " a.attnum = i.indkey[0] FROM pg_attribute AS a"
                " LEFT JOIN pg_index AS i ON i.indrelid = a.attrelid AND i.indisprimary"
                " WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
                [table],
            ).fetchall()
            for table, _ in model.tables
        }

    tables = reading(cases.ledger(LEDGER), model.name, look)
    for table, row in model.tables:
        names, comments, about, leads = zip(*tables[table], strict=True)
        assert names == row._fields
        assert names[0] == "subject"
        assert leads[0], f"{table}: subject should be the first column of the primary key"
        assert all(comments), f"{table}: {[n for n, c in zip(names, comments, strict=True) if not c]}"
        assert about[0]


# -- the laws -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "day",
    [
        "2014-12-09",
        *(pytest.param(day, marks=pytest.mark.slow) for day in ("2012-06-30", "2017-03-11", None)),
    ],
)
def test_on_every_case_incremental_rebuilt_and_replayed_are_one(cases, day):
    """Given every case, on any day, then what was folded by position, by stream, and plainly, is the same."""
    now = moment(day) if day else present()
    for ledger in cases.ledgers:
        install(cases, ledger, READ_MODELS)
        for model in READ_MODELS:  # from an empty beginning, at this day
            rebuild(cases, ledger, model, lambda: now)
        assert_proven(ledger, now)
        for model in READ_MODELS:
            built = digest_of(ledger, model)
            refold_by_position(cases, ledger, model, now)
            assert digest_of(ledger, model) == built
        assert_proven(ledger, now)


def refold_by_position(deployment, ledger, model, now):
    """Empty the live generation and fold it from the log's beginning, batch by batch."""
    with deployment.database.transaction(ledger.schema, PROJECTOR) as connection:
        number, schema = connection.execute(
            "SELECT generation, schema_name FROM read_model_generation WHERE state = 'live' AND model = %s",
            [model.name],
        ).fetchone()
        for table in ("folded_stream", *(table for table, _ in model.tables)):
            connection.execute(f"DELETE FROM {schema}.{table}")
        connection.execute(
            "UPDATE read_model_partition SET position = 0, digest = decode(repeat('00', 32), 'hex'), due_at = NULL"
            " WHERE generation = %s",
            [number],
        )
    states = States(500)
    while advance(ledger, model, lambda: now, 7, states=states):
        pass


@st.composite
def arrivals(draw):
    """Events of up to three accounts in any order of arrival: late, backdated, of days to come, reversed, repeated."""
    found = []
    for account in range(draw(st.integers(1, 3))):
        for number in range(draw(st.integers(1, 8))):
            kind = draw(st.sampled_from(["charge", "payment", "reversed", "bounced", "suspended", "plan"]))
            day = draw(st.integers(-40, 5))
            found.append((account, number, kind, day, draw(st.integers(1, 3)), draw(st.integers(-30, 10))))
    return draw(st.permutations(found))


def line_of(name, event, now):
    """Return an event's line; days count from today."""
    account, number, kind, day, amount, value = event
    account_id = f"{name}-{account}"
    at = (now + timedelta(days=min(day, 0), minutes=number - 8)).isoformat()
    on = (now + timedelta(days=value)).date().isoformat()
    subject = f"account/{account_id}"
    if kind == "charge":
        return charge_line(account_id, f"C{number}", 100 * amount, due=on, at=at)
    if kind == "payment":
        return payment_line(account_id, f"P{number}", 70 * amount, on, at=at)
    data, event = {
        "reversed": ({"charge_id": f"C{amount}", "amount_fen": 50, "reason": "r"}, "ChargeReversed"),
        "bounced": ({"payment_id": f"P{amount}", "reason": "r"}, "PaymentReversed"),
        "suspended": ({"reason": "arrears"}, "ServiceSuspended"),
        "plan": (
            {"package_id": "PK", "offer_id": f"O{number}", "cycle": "monthly", "price_fen": 900, "start": on},
            "PackageSubscribed",
        ),
    }[kind]
    return event_line(f"{account_id}-{number}", event, subject, data, at)


WAYS = st.fixed_dictionaries(
    {
        "imports": st.lists(st.integers(1, 6), min_size=1, max_size=4),
        "batches": st.lists(st.integers(1, 9), min_size=1, max_size=4),
        "kept": st.sampled_from([0, 5, 10_000]),
        "cut_at": st.integers(1, 6),
    }
)


@settings(
    max_examples=6,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(events=arrivals(), way=WAYS)
def test_whatever_comes_in_whatever_order_and_batch_the_rows_are_the_replays(grown, events, way):
    """Given any ledger, arriving in any order and folded in any batches, one of them cut off, the laws hold."""
    deployment, examples = grown
    name = f"X{len(examples)}"
    now = present() + timedelta(days=20 * len(examples))  # time goes on from example to example
    examples.append(name)
    ledger = deployment.ledger(LEDGER)
    accounts = sorted({account for account, *_ in events})
    bring(deployment, *(opening_line(f"{name}-{account}") for account in accounts), now=now)
    lines = [line_of(name, event, now) for event in events]
    states = {model.name: States(way["kept"]) for model in READ_MODELS}
    folded = 0
    for size in [*way["imports"], len(lines)]:
        some, lines = lines[:size], lines[size:]
        bring(deployment, *some, now=now)
        for model in READ_MODELS:
            if folded % way["cut_at"] == 0:
                cut_off_a_batch(deployment, ledger, model, now, states[model.name])
            limit = way["batches"][folded % len(way["batches"])]
            folded += 1
            while advance(ledger, model, lambda: now, limit, states=states[model.name]):
                pass
    assert_proven(ledger, now)
    later = now + timedelta(days=11)
    catch_up(deployment, READ_MODELS, lambda: later)
    assert_proven(ledger, later)
    for model in READ_MODELS:
        incremental = digest_of(ledger, model)
        rebuild(deployment, ledger, model, lambda: later)
        assert digest_of(ledger, model) == incremental
    drop_all_retired(deployment, ledger)


def cut_off_a_batch(deployment, ledger, model, now, states):
    """Fold a batch, if there is one, that can't be committed."""
    if not next(s.lag for s in standings(ledger) if s.name == model.name):
        return
    with deployment.database.owner(ledger.schema) as connection:
        connection.execute(
            "ALTER TABLE read_model_partition ADD CONSTRAINT cut CHECK (position < 0) NOT VALID"
        )
    with pytest.raises((psycopg.errors.CheckViolation, StoppedError)):
        advance(ledger, model, lambda: now, states=states)
    with deployment.database.owner(ledger.schema) as connection:
        connection.execute("ALTER TABLE read_model_partition DROP CONSTRAINT cut")


def drop_all_retired(deployment, ledger):
    """Drop what each example's rebuild leaves behind."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(building, "GRACE_S", 0.0)
        drop_retired(deployment, ledger)
