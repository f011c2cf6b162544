"""Real PostgreSQL for every test that touches storage: DATABASE_URL's server, or the embedded one."""

import contextlib
import itertools
import logging
import os
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
import structlog
from psycopg import sql
from psycopg.conninfo import make_conninfo

from api.runtime import Runtime, present
from domain.ledger.database import Database
from domain.ledger.deployment import Deployment
from domain.ledger.embedded import EmbeddedPostgres
from domain.ledger.interchange import Importer, Refusal, Tally
from domain.ledger.vault import MasterKey

CASES = Path(__file__).parent / "cases"
HARBIN = Path(__file__).parents[1] / "api" / "demo" / "harbin.jsonl"
MASTER = bytes(range(32))
DROP_ATTEMPTS = 40  # ten seconds
_numbers = itertools.count(1)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave slow tests out unless a marker expression or a test's own name asks for them."""
    if config.option.markexpr or any("::" in a for a in config.args):
        return
    slow = [i for i in items if i.get_closest_marker("slow")]
    if slow:
        config.hook.pytest_deselected(items=slow)
        items[:] = [i for i in items if not i.get_closest_marker("slow")]


def pytest_xdist_auto_num_workers() -> int:
    """One process more than there are cores: a good part of a test's time it waits for the disk or for a program."""
    return (os.cpu_count() or 1) + 1


@pytest.fixture(scope="session", autouse=True)
def _loggers_are_not_kept() -> Iterator[None]:
    """Let a test capture logs after another one ran a command in this process, which configures them."""
    configure = structlog.configure

    def uncached(**given: Any) -> None:
        configure(**{**given, "cache_logger_on_first_use": False})

    structlog.configure = uncached
    yield
    structlog.configure = configure


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """Take the log handler of a command that ran in this process away again: its stream is the test's."""
    root = logging.getLogger()
    level = root.level
    yield
    if any(type(handler) is logging.StreamHandler for handler in root.handlers):
        root.handlers[:] = [h for h in root.handlers if type(h) is not logging.StreamHandler]
        root.setLevel(level)
        structlog.reset_defaults()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the conninfo of a server on which databases can be made."""
    url = os.environ.get("DATABASE_URL")
    if url:
        yield url
        return
    with EmbeddedPostgres(tmp_path_factory.mktemp("postgres")) as embedded:
        yield embedded.conninfo


@pytest.fixture(scope="module")
def embedded_only(server: str) -> Iterator[None]:
    """Let commands of this module use their own data directories, whatever server the other tests are on."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("DATABASE_URL", "RECOUNT_OWNER_URL", "RECOUNT_MASTER_KEY", "RECOUNT_MASTER_KEY_FILE"):
            patch.delenv(name, raising=False)
        yield


@contextlib.contextmanager
def fresh_database(server: str, label: str = "test", copy_of: str = "template1") -> Iterator[str]:
    """Lend the conninfo of a database of one's own: empty, or a copy of another one that nobody is connected to."""
    name = f"recount_{label}_{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(server, autocommit=True) as connection:
        made = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        connection.execute(made.format(sql.Identifier(name), sql.Identifier(copy_of)))
        try:
            yield make_conninfo(server, dbname=name)
        finally:
            _drop(connection, name)


def _drop(connection: psycopg.Connection, name: str) -> None:
    """Drop a database; autovacuum may be in it, which an ordinary role can't end but which ends by itself."""
    for attempt in range(DROP_ATTEMPTS):
        try:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
        except (psycopg.errors.InsufficientPrivilege, psycopg.errors.ObjectInUse):
            if attempt == DROP_ATTEMPTS - 1:
                raise
            time.sleep(0.25)
        else:
            return


@pytest.fixture
def database_url(server: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """Return the conninfo of a fresh database: empty, but for a test that is of the Harbin case."""
    of_harbin = "harbin_database" in request.fixturenames
    copy_of = request.getfixturevalue("harbin_database") if of_harbin else "template1"
    with fresh_database(server, copy_of=copy_of) as url:
        yield url


def opened_deployment(url: str, master: bytes = MASTER) -> Deployment:
    """Open a deployment on a database; the caller closes it."""
    database = Database(lambda: url)
    try:
        return Deployment(database, lambda _first_use: MasterKey(master))
    except BaseException:
        database.close()
        raise


@pytest.fixture
def deployment(database_url: str) -> Iterator[Deployment]:
    """Return a deployment on a fresh database."""
    opened = opened_deployment(database_url)
    try:
        yield opened
    finally:
        opened.close()


@pytest.fixture
def runtime(deployment: Deployment) -> Runtime:
    """Return a runtime on a fresh database, with the real clock."""
    return Runtime(deployment)


def import_file(
    deployment: Deployment, path: Path, now: datetime | None = None
) -> tuple[Tally, list[Refusal]]:
    """Import a file and return the tally and what was refused."""
    refusals: list[Refusal] = []
    importer = Importer(deployment, refusals.append, (lambda: now) if now else present)
    with path.open("rb") as source:
        return importer.run(source), refusals
