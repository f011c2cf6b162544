"""The benchmarks of rebuilds, at a size that only shows that each measures what it says."""

import os

import pytest

from api.bench import rebuilds
from api.bench.runner import SCHEMA, library_rate
from api.bench.undisturbed import undisturbed
from api.population.conditions import Conditions
from api.population.generating import generate
from api.runtime import present
from domain.account import figures
from domain.ledger.interchange import Importer
from domain.streams import state_of
from projections.billing_status import BillingStatus
from projections.engine import verify
from tests.conftest import fresh_database, opened_deployment

pytestmark = pytest.mark.storage

ACCOUNTS = int(os.environ.get("RECOUNT_BENCH_ACCOUNTS", "60"))  # some 100 events each


@pytest.fixture(scope="module")
def population(server, tmp_path_factory):
    """Return a deployment with a generated population in its one ledger."""
    folder = tmp_path_factory.mktemp("population")
    generate(Conditions(ACCOUNTS, 2), folder)
    with fresh_database(server, "bench") as url:
        opened = opened_deployment(url)
        for path in sorted(folder.glob("*.jsonl")):
            with path.open("rb") as source:
                Importer(opened, lambda refusal: pytest.fail(str(refusal)), present).run(source)
        yield opened
        opened.close()


def test_each_figure_has_its_neighbour_measured_beside_it(population):
    """Given a population, then both rates of each figure are there, and the ratio is of them."""
    for found in (
        rebuilds.rebuild_vs_library(population, present, workers=1, library_events=50, runs=1),
        rebuilds.rebuild_vs_bound(population, present, runs=1),
        rebuilds.engine_vs_bound(population, present, runs=1),
    ):
        assert found.ours > 0
        assert found.ratio == pytest.approx(found.ours / found.beside)


def test_growth_is_of_the_time_an_event_takes(population):
    """Given one ledger as the small and the large one, then the ratio is of their times, and memory is said."""
    found = rebuilds.cost_growth(population, population, present, workers=2)
    assert found.ratio == pytest.approx(found.beside / found.ours)
    assert found.more["small_events"] == found.more["large_events"] > ACCOUNTS
    assert 0 < found.more["peak_mb"] < 600


def test_the_library_writes_the_rows_that_ours_does(population):
    """Given the library's runner over the first events of all, then a row of its table is the replay's of them."""
    (ledger,) = population.ledgers
    assert library_rate(ledger, present(), 40) > 0
    with population.database.owner() as connection:
        rows = connection.execute(
            f"SELECT subject, stream_version, balance_fen FROM {SCHEMA}.billing_status"
        ).fetchall()
    assert rows
    for subject, version, balance_fen in rows:
        state = state_of(subject, ledger.history(subject)[:version])
        assert figures(state.books, present().date()).balance_fen == balance_fen


@pytest.mark.slow
def test_a_rebuild_disturbs_nobody_and_every_answer_is_right(population):
    """Given commands and readers without pause, when the model is made anew, then no answer was wrong.

    RECOUNT_BENCH_ACCOUNTS=10000 is a million events.
    """
    found = undisturbed(population, present, workers=2, rebuilds=2)
    print(found)  # noqa: T201 - what a person who asks for a million wants to see
    assert (found.wrong, found.told) == (0, [])
    assert found.commands > 10
    assert found.answers > 50
    assert len(found.generations) > 1
    assert found.events > 20 * ACCOUNTS
    verdict = verify(population.ledgers[0], [BillingStatus()], present(), sample=100)
    assert verdict.differences == []
