"""The service lets Python look for circles of garbage less often; what it changes is put back."""

import gc

from api.runtime import COLLECT_AFTER, collecting_rarely


def test_the_collector_is_as_before_afterwards() -> None:
    """Given the collector's settings, they are the service's while it serves, and what they were after that."""
    before = gc.get_threshold()
    with collecting_rarely():
        assert gc.isenabled()
        assert gc.get_threshold() == COLLECT_AFTER
    assert gc.get_threshold() == before
