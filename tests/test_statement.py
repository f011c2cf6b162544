"""A statement that is sent without waiting says that its connection is lost, however that comes out."""

import psycopg
import pytest

from domain.ledger.application import Q
from domain.ledger.database import WRITER
from domain.ledger.statement import Statement
from tests.support import LEDGER, wait_for, with_customer

pytestmark = pytest.mark.storage


@pytest.fixture
def connection(runtime, deployment):
    """Return a connection of a writer's kind, on a ledger."""
    with_customer(runtime)
    return deployment.database.keep(deployment.ledger(LEDGER).schema, WRITER)


def end(deployment, connection):
    """End a session as an administrator does, and wait until it is gone."""
    pid = connection.info.backend_pid
    with deployment.database.owner() as other:
        other.execute("SELECT pg_terminate_backend(%s)", [pid])
        alive = "SELECT FROM pg_stat_activity WHERE pid = %s"
        wait_for(lambda: other.execute(alive, [pid]).fetchone() is None)


def test_a_connection_that_is_lost_before_it_is_prepared_is_told_as_lost(deployment, connection):
    """Given a session that was ended, when a statement is prepared on it, then it is an OperationalError."""
    end(deployment, connection)
    with pytest.raises(psycopg.OperationalError):
        Statement(connection, "write", Q["write"])


@pytest.mark.parametrize("sent", [False, True])
def test_a_connection_that_is_lost_before_the_answer_is_told_as_lost(deployment, connection, sent):
    """Given a session that ends before or after something is sent, then sending or waiting says that it is lost."""
    statement = Statement(connection, "sleep", psycopg.sql.SQL("SELECT pg_sleep(%(seconds)s::integer)"))
    given = {"seconds": (60).to_bytes(4, "big")}
    if sent:
        statement.send(given)
    end(deployment, connection)
    ask = statement.rows if sent else lambda: statement.send(given) or statement.rows()
    with pytest.raises(psycopg.OperationalError):
        ask()


def test_a_lost_connection_stays_lost(deployment, connection):
    """Given a statement on a connection that was found lost, then asking again says the same."""
    statement = Statement(connection, "one", psycopg.sql.SQL("SELECT 1"))
    end(deployment, connection)
    for _ in range(2):
        with pytest.raises(psycopg.OperationalError):
            _ = statement.send({}) or statement.rows()
