"""A prepared statement that is sent without waiting for its answer: the server works on one, we on the next.

psycopg's own cursors wait for each answer, and its pipeline mode commits only where it waits. Here one statement is
sent at a time, its values encoded in binary, over psycopg's wrapper of libpq.
"""

import re
import select
from collections.abc import Mapping

from psycopg import errors
from psycopg.pq import DiagnosticField, ExecStatus
from psycopg.pq.abc import PGresult
from psycopg.sql import SQL

from domain.ledger.database import Connection

WAIT_S = 60.0  # a server that says nothing for so long is gone, or waits for a lock that nobody gives back
BINARY = 1

_PARAMETER = re.compile(r"%\((\w+)\)[bs]")


class Statement:
    """A query of ours, prepared on one connection under a name of its own."""

    def __init__(self, connection: Connection, name: str, query: SQL) -> None:
        text = query.as_string(connection)
        self._parameters = list(dict.fromkeys(_PARAMETER.findall(text)))
        numbers = {parameter: f"${n}" for n, parameter in enumerate(self._parameters, 1)}
        numbered = _PARAMETER.sub(lambda found: numbers[found[1]], text)
        self._pgconn = connection.pgconn
        self._name = name.encode()
        self._formats = [BINARY] * len(self._parameters)
        _check(self._pgconn.prepare(self._name, numbered.encode()), ExecStatus.COMMAND_OK)

    def send(self, given: Mapping[str, bytes]) -> None:
        """Send it with encoded values; outside of a transaction it commits by itself.

        Raises psycopg.OperationalError where the connection is lost.
        """
        values = [given[name] for name in self._parameters]
        self._pgconn.send_query_prepared(self._name, values, self._formats, BINARY)
        while self._pgconn.flush():
            self._wait(select.POLLIN | select.POLLOUT)

    def rows(self) -> int:
        """Wait for the answer to what was sent, and return how many rows it has; raises psycopg.Error."""
        count, wrong = 0, None
        while True:
            while self._pgconn.is_busy():
                self._wait(select.POLLIN)
            result = self._pgconn.get_result()
            if result is None:
                break
            if result.status == ExecStatus.TUPLES_OK:
                count += result.ntuples
            else:
                wrong = result
        if wrong is not None:
            _check(wrong, ExecStatus.TUPLES_OK)
        return count

    def _wait(self, events: int) -> None:
        poll = select.poll()
        poll.register(self._pgconn.socket, events)
        ready = poll.poll(WAIT_S * 1000)
        if not ready:
            raise errors.OperationalError(f"the server said nothing for {WAIT_S:.0f} s")
        if any(event & ~select.POLLOUT for _, event in ready):
            self._pgconn.consume_input()


def _check(result: PGresult, status: ExecStatus) -> None:
    """Raise what the server says; what libpq says by itself, without a code, is that the connection is lost."""
    if result.status == status:
        return
    if result.error_field(DiagnosticField.SQLSTATE) is None:
        raise errors.OperationalError(result.get_error_message())
    raise errors.error_from_result(result)
