"""Migrations: plain SQL, forward only, each once, whoever starts first; and the schema is what is written down."""

from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files

import psycopg
import pytest
from psycopg import sql

from api.runtime import READ_MODELS, Runtime
from domain.ledger.database import READER, ROLES, WRITER, Database, StorageError, migrate
from domain.ledger.deployment import Deployment
from domain.ledger.queries import scripts
from domain.ledger.vault import MasterKey
from projections.engine import install
from tests import support
from tests.conftest import fresh_database, opened_deployment
from tests.scenario import REGION
from tests.support import LEDGER

pytestmark = pytest.mark.storage

SCHEMA = "ledger_heilongjiang"


def ran(deployment, schema=SCHEMA):
    """Return which scripts a schema has seen."""
    with deployment.database.owner(schema) as connection:
        return connection.execute("SELECT folder, name FROM migration ORDER BY 1, 2").fetchall()


# -- each once, whoever is first ----------------------------------------------------------------------------


def test_many_that_open_an_empty_database_at_once_end_well(database_url):
    """Given an empty database, when processes and threads open it together, then it is made once, for all."""
    regions = [REGION, "guangdong", REGION]
    with support.processes(2) as pool, ThreadPoolExecutor(6) as threads:
        jobs = [pool.submit(support.open_and_make_ledgers, database_url, regions) for _ in range(2)]
        jobs += [threads.submit(support.open_and_make_ledgers, database_url, regions) for _ in range(6)]
        secrets = {job.result() for job in jobs}
    assert len(secrets) == 1
    deployment = opened_deployment(database_url)
    assert [known.region for known in deployment.ledgers] == ["guangdong", LEDGER]
    ledger_scripts = scripts("domain.ledger.sql", "migrations/ledger")
    assert ran(deployment) == [("migrations/ledger", name) for name, _ in ledger_scripts]
    assert support.select(deployment, "SELECT count(*), sum(position) FROM counter") == [(1, 0)]
    support.with_customer(Runtime(deployment))
    deployment.close()


def test_a_ledger_is_never_seen_before_its_tables_stand(deployment, database_url):
    """Given somebody who looks all the time, when ledgers are made, then each can be read once it is listed."""
    other = opened_deployment(database_url)
    regions = [f"province{n}" for n in range(12)]
    with ThreadPoolExecutor(1) as pool:
        making = pool.submit(lambda: [deployment.ledger_for(region) for region in regions])
        seen = set()
        while not making.done() or len(seen) < len(regions):
            for ledger in other.ledgers:
                assert ledger.journal.last_position() == 0
                seen.add(ledger.region)
    other.close()


def test_a_ledger_that_could_not_be_made_is_not_listed(deployment):
    """Given a schema that is in the way, when its ledger should be made, then there is no half of one."""
    with deployment.database.owner() as connection:
        connection.execute(f"CREATE SCHEMA {SCHEMA}; CREATE TABLE {SCHEMA}.counter ()")
    with pytest.raises(psycopg.errors.DuplicateTable):
        deployment.ledger_for(REGION)
    assert deployment.ledgers == []


def test_a_second_opening_runs_no_script(deployment, database_url):
    """Given a database that was opened, when it is opened again, then no script runs."""
    deployment.ledger_for(REGION)
    install(deployment, deployment.ledger(LEDGER), READ_MODELS)
    before = ran(deployment), ran(deployment, "recount")
    again = opened_deployment(database_url)
    install(again, again.ledger(LEDGER), READ_MODELS)
    assert (ran(again), ran(again, "recount")) == before
    again.close()


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Return a package of migrations of which the second fails half-way."""
    name = f"migrations_of_{tmp_path.name.replace('-', '_')}"
    folder = tmp_path / name / "sql"
    folder.mkdir(parents=True)
    (tmp_path / name / "__init__.py").touch()
    (folder / "0001_one.sql").write_text("CREATE TABLE one ();\n")
    (folder / "0002_two.sql").write_text("CREATE TABLE two (); -- 100%\nSELECT 1/0;\n")
    monkeypatch.syspath_prepend(tmp_path)
    return name, folder


def test_a_script_that_fails_leaves_nothing_and_a_corrected_one_goes_on(deployment, package):
    """Given a script that fails half-way, when it is corrected and run again, then each ran once, in order."""
    name, folder = package

    def up():
        with deployment.database.migrating() as connection:
            return migrate(connection, "other", name, "sql")

    with pytest.raises(psycopg.errors.DivisionByZero):
        up()
    (folder / "0002_two.sql").write_text("CREATE TABLE two ();\nALTER TABLE one ADD COLUMN more text;\n")
    assert up() == ["0001_one", "0002_two"]
    (folder / "0003_three.sql").write_text("DROP TABLE two;\n")
    assert up() == ["0003_three"]
    assert up() == []


@pytest.mark.parametrize(
    ("schema", "folder"),
    [("recount", "migrations/control"), (SCHEMA, "migrations/ledger"), (SCHEMA, "migrations")],
)
def test_a_schema_of_a_newer_version_is_refused(deployment, database_url, schema, folder):
    """Given a schema that a newer version migrated, when this version opens it, then one line says so."""
    install(deployment, deployment.ledger_for(REGION), READ_MODELS)
    with deployment.database.owner(schema) as connection:
        connection.execute("INSERT INTO migration (folder, name) VALUES (%s, '9999_new')", [folder])

    def open_again():
        database = Database(lambda: database_url)
        try:
            again = Deployment(database, lambda _first: MasterKey(bytes(range(32))))
            install(again, again.ledger(LEDGER), READ_MODELS)
        finally:
            database.close()

    with pytest.raises(StorageError, match=r"newer version of Recount \(9999_new\): run that version"):
        open_again()


def test_a_server_that_is_not_there_is_one_clear_line():
    """Given no server, when a deployment is opened, then StorageError says it can't be reached."""
    with pytest.raises(StorageError, match="PostgreSQL can't be reached"):
        opened_deployment("host=/nowhere connect_timeout=2")


# -- migrations and schema agree ----------------------------------------------------------------------------

CATALOG = {
    "columns": """
        SELECT c.relname, c.relkind, c.reloptions, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod),
               a.attnotnull, a.attidentity, a.attgenerated, a.attcollation::regcollation::text,
               pg_get_expr(d.adbin, d.adrelid)
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
        WHERE c.relnamespace = %(s)s::text::regnamespace AND c.relkind IN ('r', 'v', 'm', 'p', 'S')""",
    "constraints": """
        SELECT conrelid::regclass::text, conname, contype, pg_get_constraintdef(oid)
        FROM pg_constraint WHERE connamespace = %(s)s::text::regnamespace""",
    "indexes": "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = %(s)s::text",
    "triggers": """
        SELECT t.tgrelid::regclass::text, t.tgname, t.tgenabled, pg_get_triggerdef(t.oid)
        FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
        WHERE c.relnamespace = %(s)s::text::regnamespace AND NOT t.tgisinternal""",
    "functions": """
        SELECT proname, pg_get_functiondef(oid), proacl::text
        FROM pg_proc WHERE pronamespace = %(s)s::text::regnamespace""",
    "comments": """
        SELECT c.relname, d.objsubid, d.description
        FROM pg_description d JOIN pg_class c ON c.oid = d.objoid AND d.classoid = 'pg_class'::regclass
        WHERE c.relnamespace = %(s)s::text::regnamespace
        UNION ALL SELECT p.proname, 0, d.description
        FROM pg_description d JOIN pg_proc p ON p.oid = d.objoid AND d.classoid = 'pg_proc'::regclass
        WHERE p.pronamespace = %(s)s::text::regnamespace""",
    "grants": """
        SELECT c.relname, g.grantee::regrole::text, g.privilege_type, g.is_grantable
        FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) g
        WHERE c.relnamespace = %(s)s::text::regnamespace
        UNION ALL SELECT c.relname || '.' || a.attname, g.grantee::regrole::text, g.privilege_type, g.is_grantable
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid CROSS JOIN LATERAL aclexplode(a.attacl) g
        WHERE c.relnamespace = %(s)s::text::regnamespace
        UNION ALL SELECT nspname, g.grantee::regrole::text, g.privilege_type, g.is_grantable
        FROM pg_namespace CROSS JOIN LATERAL aclexplode(nspacl) g WHERE nspname = %(s)s::text""",
    "policies": "SELECT tablename, policyname, qual FROM pg_policies WHERE schemaname = %(s)s::text",
    "rows": "SELECT one_row::text, position, recorded_at FROM counter",
}


def catalog(connection, schema):
    """Return what stands in a schema, by kind of thing, the migrations' own book left out."""
    connection.execute(sql.SQL("SET search_path TO {}").format(sql.Identifier(schema)))
    found = {}
    for kind, query in CATALOG.items():
        if kind == "rows" and schema == "recount":
            continue
        rows = (
            connection.execute(query, {"s": schema}).fetchall()
            if "%(" in query
            else connection.execute(query)
        )
        found[kind] = sorted((r for r in rows if "migration" not in r[:1]), key=repr)
    return found


@pytest.fixture
def migrated(deployment):
    """Return the owner's connection to a database that the migrations made."""
    install(deployment, deployment.ledger_for(REGION), READ_MODELS)
    with deployment.database.owner() as connection:
        yield connection


def _roles(schema):
    """Return who may look into a schema: what is granted with its name."""
    roles = (WRITER, READER) if schema == "recount" else ROLES
    return sql.SQL(", ").join(map(sql.Identifier, roles))


@pytest.mark.parametrize(
    ("schema", "written"),
    [
        ("recount", [("domain.ledger.sql", "schema/control.sql")]),
        (SCHEMA, [("domain.ledger.sql", "schema/ledger.sql"), ("projections.sql", "schema.sql")]),
    ],
)
def test_migrations_and_schema_agree(server, migrated, schema, written):
    """Given one schema from the migrations and one from the schema files, when compared, then they are equal."""
    with fresh_database(server, "written") as url, psycopg.connect(url, autocommit=True) as plain:
        name = sql.Identifier(schema)
        plain.execute(sql.SQL("CREATE SCHEMA {}").format(name))
        plain.execute(sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(name, _roles(schema)))
        plain.execute(sql.SQL("SET search_path TO {}").format(name))
        for package_name, file in written:
            plain.execute((files(package_name) / file).read_text(encoding="utf-8"))
        ours, theirs = catalog(plain, schema), catalog(migrated, schema)
        for kind in theirs:
            assert ours[kind] == theirs[kind], kind
        assert all(ours[kind] for kind in ("columns", "constraints", "indexes", "comments", "grants"))


def test_the_comparison_of_schemas_sees_a_difference(migrated):
    """Given two equal schemas, when one is changed in any small way, then their catalogs differ."""
    before = catalog(migrated, SCHEMA)
    changes = {
        "columns": "ALTER TABLE counter ALTER COLUMN position SET DEFAULT 1",
        "constraints": "ALTER TABLE event DROP CONSTRAINT event_id_once",
        "indexes": "DROP INDEX party_key_owner",
        "triggers": "ALTER TABLE event DISABLE TRIGGER event_is_immutable",
        "functions": "ALTER FUNCTION refuse_change() SECURITY DEFINER",
        "comments": "COMMENT ON COLUMN event.digest IS 'other'",
        "grants": "GRANT DELETE ON receipt TO recount_writer",
        "rows": "UPDATE counter SET position = 7",
    }
    for kind, change in changes.items():
        with migrated.transaction(force_rollback=True):
            migrated.execute(change)
            assert catalog(migrated, SCHEMA)[kind] != before[kind], kind
