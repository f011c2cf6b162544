"""The master key changed for another: wherever it is stopped either key opens everything, and no event is touched."""

import base64
import os
import signal
import stat
from concurrent.futures.process import BrokenProcessPool

import pytest

from api.cli import main
from api.runtime import Runtime, opened
from api.settings import Settings
from domain.ledger import rotating
from domain.ledger.interchange import export_plain, export_sealed
from domain.ledger.rotating import rotate
from domain.ledger.vault import MasterKey, VaultError
from tests import support
from tests.conftest import MASTER, opened_deployment
from tests.support import CLEAR, LEDGER

pytestmark = pytest.mark.storage

OLD, NEW, OTHER = MASTER, bytes(range(1, 33)), bytes(range(2, 34))
PARTIES = 7


def peopled(deployment):
    """Register some customers, each with a key of their own."""
    writer = Runtime(deployment).writer("heilongjiang.harbin")
    for number in range(PARTIES):
        support.do(writer, support.register(), f"party/P{number}")
    return writer


def names_opened(url, master):
    """Return how many customers' names a master key opens."""
    deployment = opened_deployment(url, master)
    try:
        exported = b"".join(export_plain(deployment.ledger(LEDGER), []))
    finally:
        deployment.close()
    return exported.count(CLEAR["name"].encode())


def log_of(deployment):
    """Return the log as it stands, to the byte."""
    return [(e.position, e.state, e.digest, e.fingerprint) for e in support.assert_sound(deployment)]


class StoppedError(Exception):
    """Where a test stops a rotation."""


def stop(*_given):
    raise StoppedError


def test_after_a_change_of_the_master_key_the_new_one_alone_opens_everything(deployment, database_url):
    """Given customers, when the master key is changed, then only the new one opens, and no event was touched."""
    peopled(deployment)
    before, secret = log_of(deployment), deployment.secrets.secret
    done = rotate(deployment, MasterKey(NEW))
    assert (done.keys, done.ledgers, done.already) == (PARTIES, 1, False)
    assert names_opened(database_url, NEW) == PARTIES
    with pytest.raises(VaultError, match=r"not the one this deployment's keys were wrapped with.*has the id"):
        opened_deployment(database_url, OLD)
    again = opened_deployment(database_url, NEW)
    assert (log_of(again), again.secrets.secret) == (before, secret)
    assert rotate(again, MasterKey(NEW)).already
    again.close()


@pytest.mark.parametrize("where", ["show", "settle"])
def test_a_change_that_was_stopped_leaves_both_keys_good_and_goes_on(deployment, database_url, where):
    """Given a change of keys that stopped half-way, then either key opens everything, and done again it ends."""
    peopled(deployment)
    with pytest.raises(StoppedError):
        rotate(deployment, MasterKey(NEW), **{where: stop})
    assert (names_opened(database_url, OLD), names_opened(database_url, NEW)) == (PARTIES, PARTIES)
    with pytest.raises(VaultError, match="not the one"):
        opened_deployment(database_url, OTHER)
    resumed = opened_deployment(database_url, OLD)
    with pytest.raises(VaultError, match="finish that first"):
        rotate(resumed, MasterKey(OTHER))
    with pytest.raises(VaultError, match="is being changed: finish that first"):
        list(export_sealed(resumed, resumed.ledger(LEDGER), []))
    assert rotate(resumed, MasterKey(NEW)).keys == PARTIES
    resumed.close()
    assert names_opened(database_url, NEW) == PARTIES
    with pytest.raises(VaultError, match="not the one"):
        opened_deployment(database_url, OLD)


def rotate_and_be_killed(url, shown):
    """Change the master key, in a process of its own, and be killed after so many batches; 0: before the end."""
    rotating.KEYS_AT_ONCE = 2
    left = [shown]

    def show(_done):
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)

    rotate(opened_deployment(url, OLD), MasterKey(NEW), lambda: os.kill(os.getpid(), signal.SIGKILL), show)


@pytest.mark.parametrize("shown", [1, 3, 0])
def test_a_change_whose_process_is_killed_leaves_both_keys_good(deployment, database_url, shown):
    """Given a process killed while it changes the key, then either key opens everything, and done again it ends."""
    peopled(deployment)
    with support.processes(1) as pool, pytest.raises(BrokenProcessPool):
        pool.submit(rotate_and_be_killed, database_url, shown).result()
    assert (names_opened(database_url, OLD), names_opened(database_url, NEW)) == (PARTIES, PARTIES)
    resumed = opened_deployment(database_url, NEW)
    assert rotate(resumed, MasterKey(NEW)).keys == PARTIES
    resumed.close()
    assert names_opened(database_url, NEW) == PARTIES


def test_a_key_made_while_the_master_key_is_changed_is_never_lost(deployment, database_url):
    """Given a service that still has the old key, when it makes a key before its ledger's turn, then it opens after."""
    writer = peopled(deployment)
    late = opened_deployment(database_url, OLD)
    rotating._begin(deployment, MasterKey(NEW))
    support.do(writer, support.register(), "party/LATE")
    rotate(late, MasterKey(NEW))
    late.close()
    assert names_opened(database_url, NEW) == PARTIES + 1


def test_a_service_with_the_old_key_makes_no_key_any_more_and_is_told(deployment, database_url):
    """Given a service that ran on while the key was changed, when it would make a key, then it is told why not."""
    writer = peopled(deployment)
    other = opened_deployment(database_url, OLD)
    rotate(other, MasterKey(NEW))
    other.close()
    with pytest.raises(VaultError, match="was changed since this process began: start it again with the new"):
        support.do(writer, support.register(), "party/LATE")
    with pytest.raises(VaultError, match="was changed since this process began"):
        deployment.ledger_for("guangdong")
    support.do(writer, support.open_account("P1"), "account/A1")
    assert names_opened(database_url, NEW) == PARTIES


def test_a_lost_secret_is_not_made_anew(deployment, database_url):
    """Given a database that lost its secret, when it is opened, then it is asked for: no new one, no new key."""
    peopled(deployment)
    with deployment.database.owner("recount") as connection:
        connection.execute("ALTER TABLE deployment_key DISABLE TRIGGER USER; DELETE FROM deployment_key")
    with pytest.raises(VaultError, match=r"secret is gone.*restore the database from its backup") as caught:
        opened_deployment(database_url, OLD)
    assert "\n" not in str(caught.value)


def test_the_command_puts_the_new_key_where_an_embedded_deployment_looks(tmp_path, capsys):
    """Given an embedded deployment, when its key is changed by command, then it opens by itself with the new one."""
    data, file = tmp_path / "data", tmp_path / "new.key"
    settings = Settings.read(data, {})
    with opened(settings) as runtime:
        peopled(runtime.deployment)
        old = runtime.deployment.master
    assert main(["rotate-master-key", "--data", str(data), "--new-key-file", str(file)]) == 1
    assert "new.key can't be read" in capsys.readouterr().err
    file.write_text(base64.b64encode(NEW).decode())
    assert main(["rotate-master-key", "--data", str(data), "--new-key-file", str(file)]) == 0
    assert f"{PARTIES} keys of 1 ledgers are wrapped" in capsys.readouterr().out
    own = data / "master.key"
    assert MasterKey.read(own).id == MasterKey(NEW).id
    assert stat.S_IMODE(own.stat().st_mode) == 0o600
    assert MasterKey.read(data / f"master.key.{old.id}").id == old.id
    with opened(settings) as runtime:
        assert (
            b"".join(export_plain(runtime.deployment.ledger(LEDGER), [])).count(CLEAR["name"].encode())
            == PARTIES
        )
    own.unlink()
    with pytest.raises(VaultError, match=r"master\.key is missing"), opened(settings):
        pass
