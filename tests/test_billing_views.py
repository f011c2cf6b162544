"""The views of billing systems: every table with its comments, swaps nobody notices, and a role that sees no more."""

import contextlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from api.runtime import READ_MODELS, present
from domain.ledger.queries import queries
from projections.billing_status import BillingStatus
from projections.engine import building, catch_up, install, makings, rebuild, standings, views
from projections.statement import Statement
from tests.conftest import HARBIN, fresh_database, import_file, opened_deployment
from tests.support import LEDGER, bring, charge_line, opening_line, payment_line

pytestmark = pytest.mark.storage

MODEL = BillingStatus()
VIEWS = "ledger_heilongjiang_billing"
LOGIN = "recount_test_billing"
ACCOUNTS = 4


@pytest.fixture(scope="module")
def harbin(server):
    """Return the conninfo of a database with the Harbin case, all its read models up to it."""
    with fresh_database(server, "views") as url:
        opened = opened_deployment(url)
        import_file(opened, HARBIN)
        catch_up(opened, READ_MODELS, present)
        opened.close()
        yield url


@pytest.fixture
def owing(deployment):
    """Return a deployment with accounts that each owe 100 yuan, their rows up to date."""
    for n in range(ACCOUNTS):
        bring(deployment, opening_line(f"A{n}"), charge_line(f"A{n}"))
    catch_up(deployment, [MODEL], present)
    return deployment


@contextlib.contextmanager
def owner(url):
    """Lend a connection of the database's owner."""
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def biller(server, database_url):
    """Return how a login of a billing system, which was granted the role, connects to a database."""
    password = "only-for-this-test"
    with owner(server) as connection:
        with contextlib.suppress(psycopg.errors.DuplicateObject):
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(LOGIN)))
        with contextlib.suppress(psycopg.errors.DuplicateObject):
            connection.execute("CREATE ROLE recount_billing NOLOGIN")
        connection.execute(
            sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(LOGIN), sql.Literal(password))
        )
        connection.execute(sql.SQL("GRANT recount_billing TO {}").format(sql.Identifier(LOGIN)))

    @contextlib.contextmanager
    def connect(url=database_url):
        with psycopg.connect(
            make_conninfo(url, user=LOGIN, password=password), autocommit=True
        ) as connection:
            yield connection

    return connect


def select(deployment, query, *values):
    """Return the rows of a question asked as the owner."""
    with deployment.database.owner() as connection:
        return connection.execute(query, values or None).fetchall()


def total(connection):
    """Return what all accounts owe, as a billing system reads it, and how many there are."""
    return connection.execute(f"SELECT sum(balance_fen), count(*) FROM {VIEWS}.billing_status").fetchone()


OWED = (ACCOUNTS * 10_000, ACCOUNTS)


# -- what there is ------------------------------------------------------------------------------------------


def test_each_table_of_each_model_is_a_view(harbin):
    """Given every model, then a view of the same columns and rows stands for each of its tables, and `freshness`."""
    with owner(harbin) as connection:
        names = [views.name_of(m.name, table) for m in READ_MODELS if m.for_billing for table, _ in m.tables]
        assert len(set(names)) == len(names)
        there = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = %s::regnamespace", [VIEWS]
        ).fetchall()
        assert sorted(name for (name,) in there) == sorted([*names, "freshness"])
        for model in (m for m in READ_MODELS if m.for_billing):
            (schema,) = connection.execute(
                "SELECT schema_name FROM ledger_heilongjiang.read_model_generation"
                " WHERE model = %s AND state = 'live'",
                [model.name],
            ).fetchone()
            for table, row in model.tables:
                through = connection.execute(f"SELECT * FROM {VIEWS}.{views.name_of(model.name, table)}")
                assert tuple(c.name for c in through.description) == row._fields
                itself = connection.execute(f"SELECT * FROM {schema}.{table}")
                assert sorted(map(repr, through)) == sorted(map(repr, itself))


@pytest.mark.parametrize(
    ("model", "table", "name"),
    [
        ("billing_status", "billing_status", "billing_status"),
        ("statement", "statement_line", "statement_line"),
        ("statement", "posting", "statement_posting"),
        ("notices", "notice", "notice"),
        ("notices", "person", "notices_person"),
    ],
)
def test_a_view_has_its_tables_name_with_the_models_in_front_where_it_says_nothing(model, table, name):
    """Two models may have a table of one name: their views do not clash."""
    assert views.name_of(model, table) == name


def test_every_view_and_every_column_says_what_it_is(harbin):
    """Nothing stands in the schema without a comment, the schema itself included; each view names its model."""
    with owner(harbin) as connection:
        found = connection.execute(
            "SELECT c.relname, a.attname, col_description(c.oid, a.attnum), obj_description(c.oid, 'pg_class')"
            " FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0"
            " WHERE c.relnamespace = %s::regnamespace",
            [VIEWS],
        ).fetchall()
        assert [(view, column) for view, column, *said in found if not all(said)] == []
        about = {view: text for view, _, _, text in found}
        assert (
            f"From version {Statement.version} of the read model statement: as it reads now"
            in about["statement_line"]
        )
        of = {(view, column): text for view, column, text, _ in found}
        assert of["billing_status", "balance_fen"] == "What is owed in all; negative is a credit."
        others = "SELECT obj_description(%s::regnamespace), obj_description(%s::regprocedure)"
        assert all(connection.execute(others, [VIEWS, f"{VIEWS}.made_anew(text)"]).fetchone())


def test_freshness_says_how_far_each_model_is(owing):
    """Given events that are not folded yet, then the view says how many, as the engine itself does."""
    bring(owing, payment_line("A0", "P1", 100))
    found = select(owing, f"SELECT model, version, position, lag, moved_at FROM {VIEWS}.freshness")
    (standing,) = standings(owing.ledger(LEDGER))
    assert found == [("billing_status", MODEL.version, standing.position, 1, standing.moved_at)]


class Kept(BillingStatus):
    """A model that is not for billing systems."""

    for_billing = False


def test_a_model_that_is_not_for_billing_has_no_views(owing):
    """Given a model that says it is not for billing, when the program starts with it, then its view goes."""
    ledger, there = owing.ledger(LEDGER), f"SELECT to_regclass('{VIEWS}.billing_status') IS NOT NULL"
    assert select(owing, there) == [(True,)]
    install(owing, ledger, [Kept()])
    assert select(owing, there) == [(False,)]
    rebuild(owing, ledger, Kept(), present)
    assert select(owing, there) == [(False,)]
    install(owing, ledger, [MODEL])
    assert select(owing, there) == [(True,)]


# -- swaps --------------------------------------------------------------------------------------------------


def test_the_views_outlive_every_generation(owing, biller, monkeypatch):
    """Given rebuilds whose old generations are dropped, then the view reads the newest each time."""
    monkeypatch.setattr(building, "GRACE_S", 0.0)
    ledger = owing.ledger(LEDGER)
    with biller() as reader:
        for number in range(3):
            assert rebuild(owing, ledger, MODEL, present)
            assert total(reader) == (ACCOUNTS * 10_000 - 100 * number, ACCOUNTS)
            bring(owing, payment_line("A0", f"P{number}", 100))
            catch_up(owing, [MODEL], present)
        building.drop_retired(owing, ledger)
        assert total(reader) == (ACCOUNTS * 10_000 - 300, ACCOUNTS)
    generations = "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'ledger\\_heilongjiang\\_g%'"
    assert select(owing, generations) == [("ledger_heilongjiang_g4",)]


@pytest.mark.parametrize("isolation", ["READ COMMITTED", "REPEATABLE READ"])
def test_who_reads_during_rebuilds_sees_whole_generations_and_no_error(owing, biller, monkeypatch, isolation):
    """Given readers without a pause, when the model is rebuilt and dropped again and again, then no answer is wrong."""
    monkeypatch.setattr(building, "GRACE_S", 0.0)
    monkeypatch.setattr(building, "VIEWS_AGAIN_S", 0.01)
    ledger, done = owing.ledger(LEDGER), threading.Event()

    def read():
        answers = 0
        with biller() as connection:
            while not done.is_set():
                with connection.transaction():
                    connection.execute(f"SET TRANSACTION ISOLATION LEVEL {isolation}")
                    assert total(connection) == OWED
                    assert total(connection) == OWED
                answers += 1
        return answers

    with ThreadPoolExecutor(2) as pool:
        reading = [pool.submit(read) for _ in range(2)]
        try:
            for _ in range(5):
                assert rebuild(owing, ledger, MODEL, present)
                building.drop_retired(owing, ledger)
        finally:
            done.set()
    assert min(job.result() for job in reading) > 10


def test_a_snapshot_from_before_a_swap_reads_the_rows_of_its_own_moment(owing, biller):
    """Given a transaction that began before a rebuild, when it looks after the swap, then it sees its own time."""
    with biller() as reader, reader.transaction():
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        position = reader.execute(f"SELECT position FROM {VIEWS}.freshness").fetchone()
        assert rebuild(owing, owing.ledger(LEDGER), MODEL, present)
        bring(owing, payment_line("A0", "P1", 100))
        catch_up(owing, [MODEL], present)
        assert total(reader) == OWED
        assert reader.execute(f"SELECT position FROM {VIEWS}.freshness").fetchone() == position
    with biller() as reader:
        assert total(reader) == (OWED[0] - 100, ACCOUNTS)


def test_a_snapshot_whose_generation_was_dropped_is_told_to_begin_again(owing, biller, monkeypatch):
    """Given a transaction older than what is left, when it looks, then it is a serialization failure: never no rows."""
    monkeypatch.setattr(building, "GRACE_S", 0.0)
    ledger = owing.ledger(LEDGER)
    with biller() as reader:
        with reader.transaction():
            reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            reader.execute(f"SELECT count(*) FROM {VIEWS}.freshness")
            assert rebuild(owing, ledger, MODEL, present)
            building.drop_retired(owing, ledger)
            with pytest.raises(psycopg.errors.SerializationFailure, match="begin another"):
                total(reader)
            raise psycopg.Rollback
        assert total(reader) == OWED


def test_a_long_reader_delays_the_swap_and_nobody_else(owing, biller, monkeypatch):
    """Given somebody in a view for long, when a rebuild is done, then it waits, others read, and then it swaps."""
    monkeypatch.setattr(building, "VIEWS_AGAIN_S", 0.05)
    ledger, stages, tried = owing.ledger(LEDGER), [], threading.Event()

    def pids_of(*given):
        tried.set()
        return really(*given)

    really = views.readers
    monkeypatch.setattr(views, "readers", pids_of)
    with ThreadPoolExecutor(1) as pool, biller() as slow, biller() as other:
        with slow.transaction():
            total(slow)
            job = pool.submit(rebuild, owing, ledger, MODEL, present, show=lambda p: stages.append(p.stage))
            assert tried.wait(10)
            other.execute("SET statement_timeout = '2s'")
            assert [total(other) for _ in range(5)] == [OWED] * 5
            assert makings(ledger)
        assert job.result(10)
    assert stages[-1] == "swapped"


class Wider(BillingStatus):
    """The model's next version: a column more, one less, and one of another type."""

    version = BillingStatus.version + 1

    def script(self):
        text = queries("projections.sql", "billing_status.sql")["tables"].as_string()
        more = (
            "ALTER TABLE billing_status ADD COLUMN note text; COMMENT ON COLUMN billing_status.note IS 'A note.';"
            " ALTER TABLE billing_status DROP COLUMN counted_from;"
            " ALTER TABLE billing_status ALTER COLUMN line_of_business TYPE varchar"
        )
        return sql.SQL(text + ";" + more)

    def rows(self, state, seen):
        found = super().rows(state, seen)
        rows = [
            (*row[: row._fields.index("counted_from")], "noted") for row in found.tables["billing_status"]
        ]
        return found._replace(tables={"billing_status": rows})


fields = [f for f in BillingStatus.tables[0].row._fields if f != "counted_from"]
Wider.tables = (BillingStatus.tables[0]._replace(row=type("Row", (), {"_fields": (*fields, "note")})),)


def test_a_new_version_with_other_columns_takes_the_views_along(owing, biller, monkeypatch):
    """Given a version with other columns, then the view has both until the old one is dropped, and the new after it."""
    ledger = owing.ledger(LEDGER)
    assert rebuild(owing, ledger, Wider(), present)
    monkeypatch.setattr(building, "GRACE_S", 0.0)
    with biller() as reader:
        ask = f"SELECT DISTINCT note, counted_from, line_of_business FROM {VIEWS}.billing_status"
        assert reader.execute(ask).fetchall() == [("noted", None, "mobile")]
        building.drop_retired(owing, ledger)
        assert total(reader) == OWED
        with pytest.raises(psycopg.errors.UndefinedColumn):
            reader.execute(ask)


def test_a_view_somebody_built_on_ours_is_never_dropped_with_it(owing, monkeypatch):
    """Given another's view on a column that goes, when it would go, then the old generation is kept, and theirs too."""
    ledger = owing.ledger(LEDGER)
    with owing.database.owner() as connection:
        connection.execute(
            f"CREATE VIEW public.theirs AS SELECT account_id, balance_fen FROM {VIEWS}.billing_status"
        )
        assert rebuild(owing, ledger, MODEL, present)  # the same columns: theirs reads on
        monkeypatch.setattr(building, "GRACE_S", 0.0)
        building.drop_retired(owing, ledger)
        assert connection.execute("SELECT sum(balance_fen) FROM public.theirs").fetchone() == OWED[:1]
        install(owing, ledger, [Kept()])
        assert connection.execute("SELECT sum(balance_fen) FROM public.theirs").fetchone() == OWED[:1]


def test_an_installation_from_before_the_views_gets_them(owing):
    """Given a ledger whose models were made before there were views, when the program starts, then they are there."""
    ledger = owing.ledger(LEDGER)
    with owing.database.owner() as connection:
        connection.execute(f"DROP SCHEMA {VIEWS} CASCADE")
    install(owing, ledger, [MODEL])
    assert select(owing, f"SELECT count(*) FROM {VIEWS}.billing_status") == [(ACCOUNTS,)]


# -- the role -----------------------------------------------------------------------------------------------


def test_the_role_reads_every_view(harbin, biller):
    """Given a login with the role, then it may select from each view, without any other grant."""
    with biller(harbin) as reader:
        names = reader.execute("SELECT relname FROM pg_class WHERE relnamespace = %s::regnamespace", [VIEWS])
        for (name,) in names.fetchall():
            reader.execute(f"SELECT * FROM {VIEWS}.{name}").fetchall()


def test_the_role_can_reach_nothing_else(harbin, biller):
    """Over every relation, schema and routine of the database that is not PostgreSQL's own: only the views."""
    with biller(harbin) as reader:
        own = "nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'public')"
        usable = reader.execute(
            f"SELECT nspname FROM pg_namespace WHERE {own} AND has_schema_privilege(oid, 'USAGE')"
        ).fetchall()
        assert usable == [(VIEWS,)]
        makes = (
            "SELECT nspname FROM pg_namespace WHERE has_schema_privilege(oid, 'CREATE') AND nspname !~ '^pg_'"
        )
        assert reader.execute(makes).fetchall() == []
        reachable = reader.execute(
            "SELECT DISTINCT n.nspname, c.relkind::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            f" WHERE {own} AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')"
            " AND CASE WHEN c.relkind = 'S' THEN has_sequence_privilege(c.oid, 'USAGE, SELECT, UPDATE')"
            " ELSE has_table_privilege(c.oid, 'SELECT') OR has_any_column_privilege(c.oid, 'SELECT') END"
        ).fetchall()
        assert reachable == [(VIEWS, "v")]
        writable = reader.execute(
            f"SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {own}"
            " AND c.relkind IN ('r', 'p', 'v', 'm', 'f')"
            " AND has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')"
        ).fetchall()
        assert writable == []
        definers = reader.execute(
            f"SELECT proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE {own} AND prosecdef"
        ).fetchall()
        assert definers == []
        roles = "SELECT rolname FROM pg_roles WHERE pg_has_role(oid, 'MEMBER') AND rolname <> current_user"
        assert reader.execute(roles).fetchall() == [("recount_billing",)]


@pytest.mark.parametrize(
    "attempt",
    [
        "SELECT * FROM ledger_heilongjiang.event",
        "SELECT * FROM ledger_heilongjiang.party_key",
        "SELECT * FROM ledger_heilongjiang.receipt",
        "SELECT * FROM ledger_heilongjiang.read_model_generation",
        "SELECT * FROM ledger_heilongjiang_g1.billing_status",
        "SELECT * FROM recount.deployment_key",
        f"UPDATE {VIEWS}.billing_status SET balance_fen = 0",
        f"DELETE FROM {VIEWS}.billing_status",
        f"INSERT INTO {VIEWS}.billing_status (account_id) VALUES ('x')",
        f"CREATE RULE mine AS ON INSERT TO {VIEWS}.billing_status DO INSTEAD NOTHING",
        f"CREATE VIEW {VIEWS}.mine AS SELECT 1",
        f"CREATE OR REPLACE FUNCTION {VIEWS}.made_anew(model text) RETURNS boolean LANGUAGE sql AS 'SELECT true'",
        f"ALTER VIEW {VIEWS}.billing_status SET (security_invoker = true)",
        f"COMMENT ON VIEW {VIEWS}.billing_status IS 'mine'",
        "CREATE SCHEMA mine",
        "CREATE TABLE public.mine ()",
        "CREATE ROLE mine",
        "SET ROLE recount_app",
        "SELECT pg_read_file('/etc/passwd')",
    ],
)
def test_whatever_else_the_role_tries_is_refused(harbin, biller, attempt):
    """Given a login with the role, when it tries more than to read the views, then PostgreSQL refuses."""
    with biller(harbin) as reader, pytest.raises(psycopg.errors.InsufficientPrivilege):
        reader.execute(attempt)


def test_a_search_path_of_ones_own_changes_nothing(owing, biller):
    """Given tables and functions of the reader's own under our names, then the views read and do what they did."""
    with biller() as reader:
        reader.execute("CREATE TEMP TABLE read_model_generation (generation int, model text, state text)")
        reader.execute("CREATE TEMP TABLE billing_status AS SELECT 1 AS balance_fen")
        reader.execute("SET search_path TO pg_temp, ledger_heilongjiang, pg_catalog")
        assert total(reader) == OWED
        with pytest.raises(psycopg.errors.UndefinedTable):
            reader.execute("SELECT * FROM event")


@pytest.fixture
def powerless(database_url):
    """Return the conninfo of a user who may make schemas here, but no roles."""
    name, password = f"recount_test_powerless_{os.getpid()}", "only-for-this-test"
    with owner(database_url) as connection:
        connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{password}'; GRANT recount_app TO {name}")
        connection.execute(
            f"GRANT {name} TO CURRENT_USER"
        )  # only then, before PostgreSQL 16, may it be emptied
        database = sql.Identifier(connection.info.dbname)
        connection.execute(
            sql.SQL("GRANT CREATE ON DATABASE {} TO {}").format(database, sql.Identifier(name))
        )
        yield make_conninfo(database_url, user=name, password=password)
        connection.execute(f"DROP OWNED BY {name}; DROP ROLE {name}; DROP ROLE IF EXISTS recount_test_absent")


def test_without_the_right_to_make_roles_all_but_the_grants_stands(
    deployment, database_url, powerless, monkeypatch, capsys
):
    """Given a user who may not make the role, then a line says what to do; once the role is there, it is granted."""
    monkeypatch.setattr(views, "READER_ROLE", "recount_test_absent")
    with owner(database_url) as connection:  # what was made as another user
        connection.execute("DROP SCHEMA recount CASCADE")
    opened = opened_deployment(powerless)
    bring(opened, opening_line("A0"), charge_line("A0"))
    catch_up(opened, [MODEL], present)
    assert "let an administrator run CREATE ROLE recount_test_absent NOLOGIN" in "".join(capsys.readouterr())
    assert select(opened, f"SELECT sum(balance_fen) FROM {VIEWS}.billing_status") == [(10_000,)]
    with owner(database_url) as connection:
        connection.execute("CREATE ROLE recount_test_absent NOLOGIN")
    install(opened, opened.ledger(LEDGER), [MODEL])
    may = "SELECT has_table_privilege('recount_test_absent', %s, 'SELECT')"
    assert select(opened, may, f"{VIEWS}.billing_status") == [(True,)]
    opened.close()
