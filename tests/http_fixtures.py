"""The service as fixtures: on an empty database, and on the Harbin case; each also shared by those who only look."""

from collections.abc import Iterator

import pytest
from psycopg.conninfo import conninfo_to_dict

from api.runtime import READ_MODELS, Runtime
from projections.engine import catch_up
from tests.conftest import HARBIN, fresh_database, import_file, opened_deployment
from tests.http_service import Client, serving


def bring_harbin(runtime: Runtime) -> None:
    """Import the Harbin case and bring the read models up to it."""
    tally, refusals = import_file(runtime.deployment, HARBIN)
    assert tally.appended == tally.lines
    assert refusals == []
    catch_up(runtime.deployment, READ_MODELS, runtime.clock)


@pytest.fixture(scope="session")
def harbin_database(server: str) -> Iterator[str]:
    """Return the name of a database with the Harbin case, its read models up to date, to make copies of."""
    with fresh_database(server, "harbin") as url:
        opened = opened_deployment(url)
        try:
            bring_harbin(Runtime(opened))
        finally:
            opened.close()
        yield str(conninfo_to_dict(url)["dbname"])


@pytest.fixture
def client(runtime: Runtime) -> Iterator[Client]:
    """Return a client of a service on an empty database."""
    with serving(runtime) as made:
        yield made


@pytest.fixture
def harbin(harbin_database: str, runtime: Runtime) -> Iterator[Client]:
    """Return a client of a service on the Harbin case, its read models up to date."""
    with serving(runtime) as made:
        yield made


@pytest.fixture(scope="module")
def seen_runtime(server: str, harbin_database: str) -> Iterator[Runtime]:
    """Return a runtime on the Harbin case for tests that change nothing."""
    with fresh_database(server, "seen", harbin_database) as url:
        opened = opened_deployment(url)
        try:
            yield Runtime(opened)
        finally:
            opened.close()


@pytest.fixture(scope="module")
def seen(seen_runtime: Runtime) -> Iterator[Client]:
    """Return a client of a service on the Harbin case, for tests that change nothing."""
    with serving(seen_runtime) as made:
        yield made
