"""Random lives of a ledger, each from a seed, that break anywhere and still come to what a naive oracle says.

`scripts/simulate --seed N` lives one of them again, alone.
"""

import pytest

import domain.ledger.writer
from domain.account.state import fold
from domain.events.account import CreditGranted
from domain.ledger.standings import Standings
from tests.conftest import fresh_database
from tests.simulation.memory import run_memory
from tests.simulation.running import run_stored

FEW = range(1, 31)
MANY = range(31, 281)
FEW_STORED = range(1, 3)
MANY_STORED = range(3, 15)


def run_all(seeds, run):
    """Live all lives; name the seed of one that fails."""
    outcomes = []
    for seed in seeds:
        try:
            outcomes.append(run(seed))
        except Exception as error:
            raise AssertionError(f"again with: scripts/simulate --seed {seed}") from error
    return outcomes


def test_lives_in_memory_come_to_what_the_oracle_says():
    """Given commands, imports dated back, closed days, deaths and races, then every answer is the oracle's."""
    outcomes = run_all(FEW, run_memory)
    for what in ("events", "refused", "imported", "restarts"):
        assert sum(o[what] for o in outcomes) > 0, what


@pytest.mark.slow
def test_hundreds_of_lives_in_memory_come_to_what_the_oracle_says():
    """The same of hundreds of seeds, and among them are writers who were overtaken."""
    assert sum(o["overtaken"] for o in run_all(MANY, run_memory)) > 0


@pytest.mark.storage
def test_lives_on_postgresql_come_to_what_the_oracle_says(server):
    """Given a writer, importer, closing and read models that die or are cut off at any step, then nothing is lost."""
    outcomes = run_all(FEW_STORED, lambda seed: run_stored(seed, lambda: fresh_database(server)))
    assert sum(len(o["broken"]) for o in outcomes) > 0


@pytest.mark.storage
@pytest.mark.slow
def test_more_lives_on_postgresql_come_to_what_the_oracle_says(server):
    """The same of more seeds, in which everything breaks that can."""
    outcomes = run_all(MANY_STORED, lambda seed: run_stored(seed, lambda: fresh_database(server)))
    broken = {how for o in outcomes for how in o["broken"]}
    assert broken == {"dies before", "dies after", "lost before", "lost after"}


@pytest.mark.storage
def test_a_seed_gives_the_same_life_again(server):
    """Given a seed lived twice, then the same was asked, broke at the same steps, and came to the same."""
    once, again = (run_stored(5, lambda: fresh_database(server)) for _ in range(2))
    assert once == again
    assert run_memory(5) == run_memory(5)


# -- what it is worth: it notices ----------------------------------------------------------------------------


def test_a_fen_that_goes_missing_is_noticed(monkeypatch):
    """Given a fold that loses a fen of each credit, then a life soon differs from the oracle's."""

    def losing(state, _recorded, data):
        state.credit_ids.add(data.credit_id)
        state.books.credits_fen += data.amount_fen - 1

    monkeypatch.setitem(fold._steps, CreditGranted, losing)
    with pytest.raises(AssertionError):
        run_all(range(1, 100), run_memory)


@pytest.mark.storage
def test_a_writer_that_does_not_ask_the_receipts_is_noticed(server, monkeypatch):
    """Given a writer that decides repeats anew, then some key comes to two answers."""
    monkeypatch.setattr(domain.ledger.writer, "_repeated", lambda _connection, _waiting: {})
    with pytest.raises(AssertionError):
        run_all(range(1, 20), lambda seed: run_stored(seed, lambda: fresh_database(server)))


@pytest.mark.storage
def test_a_state_of_what_was_never_committed_is_noticed(server, monkeypatch):
    """Given standings that keep what a lost commit would have led to, then some decision is not the plain one."""
    monkeypatch.setattr(Standings, "forget", lambda _standings: None)
    with pytest.raises(AssertionError):
        run_all(range(1, 60), lambda seed: run_stored(seed, lambda: fresh_database(server)))
