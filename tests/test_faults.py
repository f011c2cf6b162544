"""Real faults of the real service: what was acknowledged stands once, and every answer is still right.

`scripts/simulate --faults --times N` tries each so often and writes the table of the README.
"""

import pytest

from tests.simulation.faults import FAULTS, small_disk, tried
from tests.simulation.service import Outcome

pytestmark = [pytest.mark.storage, pytest.mark.slow, pytest.mark.timeout(400)]

ELSEWHERE = {
    "service killed under load",
    "PostgreSQL's postmaster killed under load",
    "a PostgreSQL backend killed under load",
    "all sessions ended, 20 times under load",
    "import killed, 3 times",
    "rebuild killed, 3 times",
    "close of day killed, 3 times",
    "service killed as it seals, under load, 3 times",
}
"""Each, or its like, is tried elsewhere (test_crash, test_rebuild, test_closing, test_stopping): here only a table."""


@pytest.mark.parametrize("name", sorted(FAULTS.keys() - ELSEWHERE))
def test_whatever_breaks_nothing_is_lost_doubled_or_wrong(name, tmp_path):
    """Given clients at work, when it breaks and goes on, then each command stands once, and read models are replays."""
    if "disk" in name:
        try:
            with small_disk(tmp_path / "probe"):
                pass
        except OSError as error:
            pytest.skip(str(error))
    found = tried(FAULTS[name], tmp_path / "fault", seed=1)
    assert found.sound, found


def test_what_is_lost_would_be_counted():
    """An outcome is sound only where there was something to lose and nothing was."""
    assert Outcome(1, 10).sound
    assert not Outcome(1, 0).sound
    assert not (Outcome(1, 10) + Outcome(1, 10, lost=1)).sound
