"""What decisions rest on is kept in memory within a bound, and is always what the log says."""

import random

import pytest

from domain.ledger.standings import OVERHEAD_EVENTS, Standings
from domain.replay import in_order
from domain.streams import state_of
from tests import support
from tests.support import LEDGER, do, pay

pytestmark = pytest.mark.storage

ACCOUNTS = [f"A{n}" for n in range(12)]
SUBJECTS = [f"account/{name}" for name in ACCOUNTS]
EACH = 1 + OVERHEAD_EVENTS
"""What an account weighs that was opened, and no more."""


class Watched(Standings):
    """Standings that remember which streams they read from the log."""

    def __init__(self, ledger, events_max):
        super().__init__(ledger, events_max)
        self.read = []

    def _read(self, subjects, connection):
        self.read.extend(subjects)
        return super()._read(subjects, connection)


@pytest.fixture
def writer(runtime):
    """Return a writer whose ledger has a customer with twelve accounts."""
    return support.with_customer(runtime, *ACCOUNTS)


def begun(deployment, streams):
    """Return standings that keep so many streams of one event."""
    ledger = deployment.ledger(LEDGER)
    made = Watched(ledger, streams * EACH)
    goes_on(made, deployment)
    return made


def goes_on(standings, deployment, steps=1):
    """Let the log be further, as it is when the next commands are decided."""
    with deployment.database.connection(deployment.ledger(LEDGER).schema) as connection:
        position, recorded_at = connection.execute("SELECT position, recorded_at FROM counter").fetchone()
    standings.advanced((standings.position or position) + steps, recorded_at)


def needed(standings, deployment, subjects):
    """Need streams one after the other, each by commands of its own."""
    for subject in subjects:
        standings.load([subject])
        standings.shrink()
        goes_on(standings, deployment)


def test_what_is_kept_is_not_read_again(writer, deployment):
    """Given room for all streams, when they are needed twice, each was read once."""
    standings = begun(deployment, streams=12)
    needed(standings, deployment, SUBJECTS * 2)
    assert standings.read == SUBJECTS


def test_what_was_longest_not_needed_makes_room(writer, deployment):
    """Given room for four streams, when five were needed, then the first is read again and the last is not."""
    standings = begun(deployment, streams=4)
    needed(standings, deployment, SUBJECTS[:5])
    standings.read.clear()
    needed(standings, deployment, [SUBJECTS[4], SUBJECTS[0]])
    assert standings.read == [SUBJECTS[0]]


def test_who_comes_by_once_does_not_displace_what_is_worked_on(writer, deployment):
    """Given three accounts that are worked on, when a billing run comes by nine others, the three are still kept."""
    standings = begun(deployment, streams=5)
    worked_on = SUBJECTS[:3]
    needed(standings, deployment, worked_on * 2)
    needed(standings, deployment, SUBJECTS[3:])
    standings.read.clear()
    needed(standings, deployment, worked_on)
    assert standings.read == []


def test_most_stays_where_a_little_more_is_gone_round_than_can_be_kept(writer, deployment):
    """Given ten accounts kept and needed twice, when twelve are gone round in turn, most are not read again."""
    standings = begun(deployment, streams=10)
    needed(standings, deployment, SUBJECTS[:10] * 2)
    standings.read.clear()
    needed(standings, deployment, SUBJECTS * 3)
    assert len(standings.read) < len(SUBJECTS * 3) / 2


def test_what_one_batch_needs_again_and_again_was_needed_once(writer, deployment):
    """Given a stream that one batch needs three times, when others come by, it makes room like any other."""
    standings = begun(deployment, streams=4)
    for _ in range(3):
        standings.load([SUBJECTS[0]])
    goes_on(standings, deployment)
    needed(standings, deployment, SUBJECTS[1:6])
    standings.read.clear()
    needed(standings, deployment, [SUBJECTS[0]])
    assert standings.read == [SUBJECTS[0]]


def test_what_is_not_in_the_log_yet_stays(writer, deployment):
    """Given more than may be kept, when room is made, the streams of a batch in flight stay."""
    standings = begun(deployment, streams=2)
    standings.load(SUBJECTS[:6])
    standings.shrink(touched=set(SUBJECTS[:6]))
    assert standings.knows(SUBJECTS[:6])
    standings.shrink()
    assert [s for s in SUBJECTS[:6] if standings.knows([s])] == SUBJECTS[4:6]


@pytest.mark.parametrize("seed", range(4))
def test_a_stream_stands_as_the_log_says_whatever_was_let_go(writer, deployment, seed):
    """Given commands and other writers' events in any order, each stream asked for is the fold of its history."""
    chance = random.Random(seed)
    standings = Watched(deployment.ledger(LEDGER), events_max=4 * EACH)
    ledger = deployment.ledger(LEDGER)
    for number in range(30):
        do(writer, pay(f"P{seed}-{number}"), chance.choice(SUBJECTS), key=f"{seed}-{number}")
        with deployment.database.connection(ledger.schema) as connection:
            position, recorded_at = connection.execute("SELECT position, recorded_at FROM counter").fetchone()
            standings.catch_up(connection, position, recorded_at)
        for subject in chance.sample(SUBJECTS, 3):
            history = ledger.history(subject)
            standing = standings.of(subject)
            assert (standing.state, standing.version, standing.digest) == (
                state_of(subject, in_order(history)),
                len(history),
                history[-1].digest,
            )
        standings.shrink()
    assert len(standings.read) > len(SUBJECTS)
