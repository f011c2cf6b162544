"""The key that seals: made once, where nothing was sealed before, and never replaced in silence."""

import base64
import stat
import threading

import pytest
import structlog

from api.runtime import Runtime
from api.sealing import Interval
from api.settings import Settings
from domain.ledger.seals import Seals
from domain.ledger.signing import NoSealKeyError, SealKey, SealKeyError
from tests.sealing import KEY, NAME, as_owner, digested_anew, sealed
from tests.support import LEDGER, bring, opening_line, payment_line, wait_for

TEXT = base64.b64encode(bytes(range(64, 96))).decode()


def never():
    return False


def test_a_key_is_made_on_first_use_and_then_stays(tmp_path):
    """Given an embedded data directory, when a key is first asked for, then its owner alone can read it."""
    settings = Settings.read(tmp_path, {})
    made = settings.sealing_key(never)
    assert stat.S_IMODE((tmp_path / "seal.key").stat().st_mode) == 0o600
    assert settings.sealing_key(lambda: True).public == made.public
    assert [p.name for p in tmp_path.iterdir()] == ["seal.key"]


def test_a_key_that_was_lost_is_no_new_one(tmp_path):
    """Given a ledger that was sealed, when its key is gone, then one line says what to do, and none is made."""
    with pytest.raises(SealKeyError, match=r"seal\.key is missing.*backup.*--new-key"):
        Settings.read(tmp_path, {}).sealing_key(lambda: True)
    assert list(tmp_path.iterdir()) == []


def test_many_who_make_a_key_at_once_get_the_same(tmp_path):
    """Given threads that ask together, then there is one key."""
    settings, found = Settings.read(tmp_path, {}), []
    threads = [
        threading.Thread(target=lambda: found.append(settings.sealing_key(never).public)) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1


def test_a_key_of_the_environment_comes_first(tmp_path):
    """Given a text or a file, then that is the key; on a server of one's own there is none else."""
    (tmp_path / "key").write_text(TEXT + "\n")
    for environment in ({"RECOUNT_SEAL_KEY": TEXT}, {"RECOUNT_SEAL_KEY_FILE": str(tmp_path / "key")}):
        assert Settings.read(tmp_path, environment).sealing_key(never).public == KEY.public
    with pytest.raises(NoSealKeyError, match="RECOUNT_SEAL_KEY_FILE"):
        Settings.read(tmp_path, {"DATABASE_URL": "x"}).sealing_key(never)


@pytest.mark.parametrize("name", ["a b", "a+b", "x" * 190])
def test_a_name_that_no_checkpoint_can_have_is_refused(tmp_path, name):
    with pytest.raises(SealKeyError, match="RECOUNT_SEAL_NAME"):
        Settings.read(tmp_path, {"RECOUNT_SEAL_KEY": TEXT, "RECOUNT_SEAL_NAME": name}).sealing_key(never)


@pytest.mark.parametrize("text", ["", "nonsense", "AAAA", "ä" * 44, TEXT + TEXT])
def test_what_is_no_key_is_named(tmp_path, text):
    (tmp_path / "key").write_text(text)
    with pytest.raises(SealKeyError, match="key"):
        SealKey.read(tmp_path / "key")
    with pytest.raises(SealKeyError, match="can't be read"):
        SealKey.read(tmp_path / "nothing")


# -- at intervals -------------------------------------------------------------------------------------------


@pytest.mark.storage
def test_the_service_seals_at_intervals_and_says_when_it_can_not(deployment):
    """Given a service that seals by itself, then what comes is sealed; what contradicts a seal is logged."""
    bring(deployment, opening_line("A1"), payment_line("A1"))
    ledger = deployment.ledger(LEDGER)
    sealing = Interval(Runtime(deployment, seal_key=lambda: KEY, seal_name=NAME), 0.05)
    with structlog.testing.capture_logs() as logs:
        sealing.start()
        wait_for(lambda: Seals(ledger).last() is not None)
        bring(deployment, opening_line("A2"))
        wait_for(lambda: Seals(ledger).last().number == 2)
        as_owner(deployment, "DELETE FROM event WHERE subject = 'account/A1' AND version = 2")
        digested_anew(deployment)
        wait_for(lambda: any(e["event"] == "not sealed" for e in logs))
        sealing.stop()
    assert not sealing.is_alive()
    assert {e["log_level"] for e in logs if e["event"] == "not sealed"} == {"error"}


@pytest.mark.storage
def test_a_service_without_a_key_says_so_once(deployment):
    """Given no key to seal with, then one warning, and nothing goes on trying."""
    bring(deployment, opening_line("A1"))
    sealing = Interval(Runtime(deployment), 0.01)
    with structlog.testing.capture_logs() as logs:
        sealing.start()
        sealing.join(20)
    assert [e["event"] for e in logs] == ["nothing is sealed"]
    sealing.stop()


@pytest.mark.storage
def test_a_seal_that_breaks_off_leaves_nothing(deployment, monkeypatch):
    """Given a seal that fails half-way, then no page, no head and no seal of it stands, and the next one is whole."""
    bring(deployment, *(opening_line(f"A{n}") for n in range(30)))
    first = sealed(deployment)
    bring(deployment, *(payment_line(f"A{n}") for n in range(30)))
    before = Seals(deployment.ledger(LEDGER)).proofs(first, ["account/A7"])
    with monkeypatch.context() as patch:
        patch.setattr("domain.ledger.seals.log_digest", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            sealed(deployment)
    assert Seals(deployment.ledger(LEDGER)).last() == first
    assert Seals(deployment.ledger(LEDGER)).proofs(first, ["account/A7"]) == before
    assert sealed(deployment).number == 2
