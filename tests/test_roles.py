"""Who may do what in the database: each of the service's roles what it is for, nobody anything to the past."""

from contextlib import closing

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from api.runtime import READ_MODELS, Runtime, present
from domain.ledger.database import APP_ROLE, PROJECTOR, READER, ROLES, WRITER, Database, StorageError
from projections.engine import catch_up, install, standings
from projections.engine.views import READER_ROLE as BILLING
from tests import support
from tests.conftest import fresh_database, opened_deployment
from tests.support import LEDGER

pytestmark = pytest.mark.storage

OWNER = "owner"
NOBODY = frozenset()
ONLY_OWNER = frozenset({OWNER})
LOOKS = frozenset({OWNER, WRITER, PROJECTOR, READER})
ROW = (
    "(position, subject, version, type, source, id, occurred_at, recorded_at, appended_at, fingerprint, digest,"
    " state) SELECT 99, 'account/A1', 99, 'x', 'urn:x', 'x', now(), now(), now(), sha256(''), sha256(''), ''"
)
MODEL = "ledger_heilongjiang_g1.billing_status"

ALLOWED = {
    # the log
    "SELECT state FROM event": LOOKS,
    f"INSERT INTO event {ROW}": {OWNER, WRITER},
    "UPDATE event SET type = 'x'": NOBODY,
    "DELETE FROM event": NOBODY,
    "TRUNCATE event": NOBODY,
    "UPDATE counter SET position = position + 1": {OWNER, WRITER},
    "SELECT position FROM counter FOR UPDATE": {OWNER, WRITER},
    "DELETE FROM counter": NOBODY,
    "TRUNCATE counter": NOBODY,
    "INSERT INTO counter (one_row) SELECT true WHERE false": ONLY_OWNER,
    "SELECT related FROM stream_link": LOOKS,
    "INSERT INTO stream_link VALUES ('account/A9', 'party/P9', now())": {OWNER, WRITER},
    "UPDATE stream_link SET related = 'party/P2'": NOBODY,
    "DELETE FROM stream_link": NOBODY,
    "TRUNCATE stream_link": NOBODY,
    # the first answers
    "SELECT response FROM receipt": {OWNER, WRITER, READER},
    "INSERT INTO receipt (scope, key, request, response) VALUES ('x', 'x', '', '')": {OWNER, WRITER},
    "UPDATE receipt SET response = ''": NOBODY,
    "DELETE FROM receipt": NOBODY,
    "TRUNCATE receipt": NOBODY,
    # the keys of personal data
    "SELECT wrapped FROM party_key": {OWNER, WRITER, READER},
    "INSERT INTO party_key (key_id, owner, wrapped) VALUES ('x', 'party/P9', 'x')": {OWNER, WRITER},
    "UPDATE party_key SET wrapped = NULL, destroyed_at = now()": {OWNER, WRITER},
    "UPDATE party_key SET wrapped = 'x'": NOBODY,
    "UPDATE party_key SET owner = 'party/P2'": NOBODY,
    "UPDATE party_key SET key_id = 'x'": NOBODY,
    "UPDATE party_key SET created_at = now()": NOBODY,
    "UPDATE party_key SET wrapped = NULL, destroyed_at = now(), owner = 'party/P2'": NOBODY,
    "UPDATE party_key SET destroyed_digest = ''": NOBODY,
    "SELECT id FROM wrapping_key": {OWNER, WRITER, READER},
    "UPDATE wrapping_key SET next_id = 'x'": ONLY_OWNER,
    "SELECT new_by_old FROM recount.master_key_rotation": ONLY_OWNER,
    "DELETE FROM party_key": NOBODY,
    "TRUNCATE party_key": NOBODY,
    "SELECT wrapped FROM recount.deployment_key": ONLY_OWNER,
    "UPDATE recount.deployment_key SET wrapped = 'x'": ONLY_OWNER,
    "DELETE FROM recount.deployment_key": NOBODY,
    "TRUNCATE recount.deployment_key": NOBODY,
    # notices and closed days
    "INSERT INTO closing (day, region, began_at) VALUES ('2014-12-31', 'x', now())": {OWNER, WRITER},
    "UPDATE notice_request SET tries = 0": {OWNER, WRITER},
    "DELETE FROM notice_request": ONLY_OWNER,
    "SELECT day FROM closing": {OWNER, WRITER, READER},
    # read models
    f"SELECT balance_fen FROM {MODEL}": {OWNER, PROJECTOR, READER},
    f"UPDATE {MODEL} SET balance_fen = 0": {OWNER, PROJECTOR},
    f"DELETE FROM {MODEL}": {OWNER, PROJECTOR},
    f"TRUNCATE {MODEL}": ONLY_OWNER,
    "SELECT position FROM read_model_partition": {OWNER, PROJECTOR, READER},
    "UPDATE read_model_partition SET position = 0": {OWNER, PROJECTOR},
    "DELETE FROM read_model_generation WHERE false": ONLY_OWNER,
    "SELECT balance_fen FROM ledger_heilongjiang_billing.billing_status": {OWNER, BILLING},
    "CREATE TABLE ledger_heilongjiang_billing.other ()": ONLY_OWNER,
    # the deployment, and what the schema is
    "SELECT name FROM recount.ledger": {OWNER, WRITER, READER},
    "INSERT INTO recount.ledger (name, schema_name) VALUES ('x', 'x')": ONLY_OWNER,
    "DELETE FROM recount.ledger": ONLY_OWNER,
    "INSERT INTO migration (folder, name) VALUES ('x', 'y')": ONLY_OWNER,
    "CREATE TABLE other ()": ONLY_OWNER,
    "CREATE TABLE recount.other ()": ONLY_OWNER,
    "CREATE SCHEMA other": ONLY_OWNER,
    "DROP TRIGGER event_is_immutable ON event": ONLY_OWNER,
    "ALTER TABLE event DISABLE TRIGGER event_is_immutable": ONLY_OWNER,
    "ALTER TABLE event DROP COLUMN digest": ONLY_OWNER,
    "DROP TABLE event": ONLY_OWNER,
    "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'": ONLY_OWNER,  # noqa: E501
}
"""What may be tried, and the roles that may do it. The owner may take a trigger away: that is what seals are for."""


@pytest.fixture(scope="module")
def standing(server):
    """Return a deployment with something in it, for tests that change nothing."""
    with fresh_database(server, "roles") as url:
        opened = opened_deployment(url)
        support.with_customer(Runtime(opened))
        ledger = opened.ledger(LEDGER)
        install(opened, ledger, READ_MODELS)
        catch_up(opened, READ_MODELS, present)
        yield opened
        opened.close()


def may(deployment, role, statement):
    """Whether a role may run a statement, which is then taken back; anything else that is wrong is raised."""
    schema = deployment.ledger(LEDGER).schema
    with deployment.database.owner(schema) as connection, connection.transaction(force_rollback=True):
        if role != OWNER:
            connection.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(sql.Identifier(role)))
            connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(role)))
        try:
            with connection.transaction():
                connection.execute(statement)
        except psycopg.errors.InsufficientPrivilege:
            return False
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
            assert role == BILLING  # who has no business in a schema does not see what stands there
            return False
    return True


@pytest.mark.parametrize("statement", ALLOWED, ids=lambda s: s[:60])
def test_each_role_may_do_what_it_is_for_and_nothing_else(standing, statement):
    """Given a statement, when each role tries it, then exactly those that should may."""
    roles = (OWNER, *ROLES, BILLING)
    assert {role for role in roles if may(standing, role, statement)} == set(ALLOWED[statement])
    assert len(support.assert_sound(standing)) == 2


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("UPDATE event SET type = 'x'", "events"),
        ("DELETE FROM event WHERE false", "events"),
        ("TRUNCATE event CASCADE", "events"),
        ("UPDATE receipt SET response = ''", "receipts"),
        ("TRUNCATE receipt", "receipts"),
        ("DELETE FROM stream_link", "stream_links"),
        ("DELETE FROM party_key", "party_keys"),
        ("TRUNCATE counter", "counters"),
        ("DELETE FROM recount.deployment_key", "deployment_keys"),
    ],
)
def test_the_owner_too_is_refused_a_change_of_what_only_grows(standing, statement, what):
    """Given the tables' owner, when they change what stands by hand, then the trigger says no, and why."""
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match=f"{what} are never changed"):
        support.by_owner(standing, statement)
    assert len(support.assert_sound(standing)) == 2


@pytest.mark.parametrize("role", [OWNER, *ROLES])
def test_only_the_owner_wraps_keys_anew_and_only_where_the_master_key_is_changed(standing, role):
    """Given a ledger whose master key is being changed, when each role wraps a key anew, then only the owner may."""
    schema = standing.ledger(LEDGER).schema
    with standing.database.owner(schema) as connection, connection.transaction(force_rollback=True):
        connection.execute("UPDATE wrapping_key SET next_id = 'x'")
        if role != OWNER:
            connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(role)))
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute("UPDATE party_key SET wrapped = 'x'")
        else:
            assert connection.execute("UPDATE party_key SET wrapped = 'x'").rowcount == 1


def test_a_connection_acts_as_the_role_it_was_lent_for(standing):
    """Given one pool, when connections are lent for roles in turn, then each acts as its own and no other."""
    schema = standing.ledger(LEDGER).schema
    for role in (READER, WRITER, READER, PROJECTOR, WRITER):
        with standing.database.connection(schema, role) as connection:
            acting = connection.execute("SELECT current_user, current_schema()").fetchone()
        assert acting == (role, schema)
    with closing(standing.database.keep(schema, WRITER)) as kept:
        assert kept.execute("SELECT current_user").fetchone() == (WRITER,)


def test_the_services_user_is_refused_what_none_of_its_roles_may(deployment, database_url):
    """Given a user of its own for the service, when it drops its role, then it still may not change the past."""
    with support.login(database_url, "service", f"GRANT {APP_ROLE} TO {{}}") as url:
        support.with_customer(Runtime(deployment))
        schema = deployment.ledger(LEDGER).schema
        service = Database(lambda: url, lambda: database_url)
        try:
            with service.connection(schema, WRITER) as connection:
                connection.execute("RESET ROLE")
                for statement in (f"UPDATE {schema}.event SET type = 'x'", f"DROP TABLE {schema}.event"):
                    with pytest.raises(psycopg.errors.InsufficientPrivilege):
                        connection.execute(statement)
        finally:
            service.close()


def test_a_user_that_may_not_act_as_the_roles_is_told_what_an_administrator_runs(deployment, database_url):
    """Given a user without the roles who may not grant them, when it opens, then one line has the statements."""
    with support.login(database_url, "stranger") as url, pytest.raises(StorageError) as caught:
        Database(lambda: url)
    name = conninfo_to_dict(url)["user"]
    said = str(caught.value)
    assert "\n" not in said
    assert f'GRANT "{APP_ROLE}" TO "{name}"' in said
    assert all(f'"{role}"' in said for role in ROLES)


def test_an_administrators_statements_are_all_a_user_needs(deployment, database_url):
    """Given the statements of that line, when an administrator has run them, then the user may open it."""
    with support.login(database_url, "granted") as url:
        with pytest.raises(StorageError) as caught:
            Database(lambda: url)
        statements = str(caught.value).partition("administrator run ")[2]
        with psycopg.connect(database_url, autocommit=True) as administrator:
            administrator.execute(statements)
        Database(lambda: url).close()


def test_a_database_of_the_time_before_is_brought_over(server):
    """Given a database in which one role did everything, when it is opened, then its group may do nothing itself."""
    with fresh_database(server, "before") as url:
        opened = opened_deployment(url)
        support.with_customer(Runtime(opened))
        ledger = opened.ledger(LEDGER)
        install(opened, ledger, READ_MODELS)
        catch_up(opened, READ_MODELS, present)
        back_to_one_role(opened)
        opened.close()
        again = opened_deployment(url)
        install(again, again.ledger(LEDGER), READ_MODELS)
        support.with_customer(Runtime(again), "A2", party="P2")
        catch_up(again, READ_MODELS, present)
        assert {(s.position, s.failure) for s in standings(again.ledger(LEDGER))} == {(4, None)}
        assert support.select(again, GRANTED, APP_ROLE) == []
        again.close()


GRANTED = """
    SELECT n.nspname, c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    CROSS JOIN LATERAL aclexplode(c.relacl) AS g WHERE g.grantee = %s::text::regrole"""


ONCE = {
    "recount": ["ledger", "deployment_key"],
    "ledger_heilongjiang": [
        "event", "stream_link", "receipt", "party_key", "counter", "closing", "notice_request",
        "read_model_generation", "read_model_partition", "read_model_range",
    ],
    "ledger_heilongjiang_g1": ["billing_status", "folded_stream"],
}  # fmt: skip
"""The tables of the time when one role did everything."""


def back_to_one_role(deployment):
    """Bring a database back to what it was when one role did everything."""
    group, roles = sql.Identifier(APP_ROLE), sql.SQL(", ").join(map(sql.Identifier, ROLES))
    with deployment.database.owner("ledger_heilongjiang") as connection:
        for schema, tables in ONCE.items():
            names = {
                "schema": sql.Identifier(schema),
                "tables": sql.SQL(", ").join(sql.Identifier(schema, table) for table in tables),
                "roles": roles,
                "group": group,
            }
            connection.execute(
                sql.SQL(
                    "REVOKE ALL ON SCHEMA {schema} FROM {roles}; REVOKE ALL ON {tables} FROM {roles};"
                    " GRANT USAGE ON SCHEMA {schema} TO {group}; GRANT SELECT ON {tables} TO {group}"
                ).format(**names)
            )
        connection.execute(
            "DROP TRIGGER receipt_is_immutable ON receipt; DROP TRIGGER stream_link_is_immutable ON stream_link;"
            " DROP TRIGGER party_key_is_kept ON party_key; DROP TRIGGER counter_is_kept ON counter;"
            " DROP TRIGGER deployment_key_is_kept ON recount.deployment_key; DROP FUNCTION recount.refuse_change;"
            " DELETE FROM migration WHERE name LIKE '%_roles'; DELETE FROM recount.migration WHERE name LIKE '%_roles'"
        )
