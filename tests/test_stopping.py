"""Told to stop, the service ends well and soon, whatever it is in the middle of."""

import signal

import pytest

from api.runtime import opened
from api.settings import Settings
from domain.ledger import seals
from domain.ledger.database import WRITER
from domain.ledger.seals import Seals
from projections.engine import verify
from tests.simulation.service import service
from tests.support import LEDGER, wait_for
from tests.test_crash import with_accounts

pytestmark = [pytest.mark.storage, pytest.mark.slow]

WAITING = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_service_that_is_sealing_ends_well_and_leaves_a_whole_seal_or_none(tmp_path, how):
    """Given a seal that can't come to its end, when the service is told to stop, then it does, and seals later."""
    data = tmp_path / "data"
    with opened(Settings.read(data, {})) as runtime, service(data, seal_every_s=0.05) as running:
        with_accounts(running.issuer)
        ledger = runtime.deployment.ledger(LEDGER)
        database = ledger.journal.database
        with database.transaction(ledger.schema, WRITER) as connection:
            connection.execute(seals.Q["lock"], {"schema": ledger.schema})
            wait_for(lambda: connection.execute(WAITING).fetchone() is not None)
            running.process.send_signal(how)
            assert running.process.wait(30) == 0
        wait_for(lambda: any("a seal is given up" in said for said in running.said))
        assert not any("Traceback" in said for said in running.said)
        before = Seals(ledger).last()
        seal, _ = runtime.sealer(ledger).seal()
        assert seal.number == (before.number if before else 0) + (before is None or before.position < 5)
        key = runtime.seal_key()
        found = verify(ledger, (), runtime.clock(), sample=None, keys=lambda name: [key.named(name)])
        assert found.differences == []
