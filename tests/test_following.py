"""The read models' follower in its own process: replaced when it dies, never outliving the service."""

import errno
import multiprocessing
import os
import signal
from pathlib import Path

import psutil
import pytest

from api import following
from api.following import FollowerProcess
from api.settings import Settings
from tests.http_service import Client, serving
from tests.support import wait_for
from tests.test_crash import serve

pytestmark = pytest.mark.storage


def follower_of(service):
    """Return the service's process that follows the log; None while there is none."""
    for child in psutil.Process(service.pid).children():
        if any("spawn_main" in word for word in child.cmdline()):
            return child
    return None


def seen(client, position):
    """Whether the read models have seen a position, as a reader asks who waits for it."""
    path = f"/billing/accounts/A-1?min_position={position}&wait_s=1"
    return client.get(path).status_code == 200


@pytest.mark.slow
def test_a_killed_follower_is_replaced_and_goes_on(tmp_path):
    """Given a service, when its follower is killed, then another one shows what was appended since."""
    with serve(tmp_path / "data") as (service, issuer):
        wait_for(lambda: follower_of(service))
        first = follower_of(service)
        first.kill()
        client = Client(issuer.url, issuer)
        with client.http:
            client.register()
            position = client.open_account().json()["position"]
            wait_for(lambda: seen(client, position))
        assert follower_of(service).pid != first.pid


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_no_follower_outlives_its_service(tmp_path, how):
    """Given a service, when it is killed or told to stop, then its follower ends too."""
    with serve(tmp_path / "data") as (service, _):
        wait_for(lambda: follower_of(service))
        follower = follower_of(service)
        service.send_signal(how)
        service.wait(30)
        if how == signal.SIGTERM:
            assert not follower.is_running()
        wait_for(lambda: not follower.is_running() or follower.status() == psutil.STATUS_ZOMBIE)


def test_a_follower_that_has_not_begun_is_not_waited_for(runtime, monkeypatch, tmp_path):
    """Given one that still starts, and would for ever, when it is to stop, then it is gone at once."""
    monkeypatch.setattr(following, "STOP_S", 600)
    one = FollowerProcess(runtime, Settings(tmp_path / "data"))
    one.start()
    wait_for(lambda: one._process)
    os.kill(one._process.pid, signal.SIGSTOP)
    one.stop()
    assert not one._process.is_alive()


def test_where_no_process_can_be_started_a_thread_follows(runtime, monkeypatch):
    """Given a machine without memory for a process, then what is written is read all the same."""

    def refused(_process):
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    monkeypatch.setattr(multiprocessing.get_context("spawn").Process, "start", refused)
    one = FollowerProcess(runtime, Settings(Path("data")))
    one.start()
    try:
        with serving(runtime) as client:
            client.register()
            position = client.open_account().json()["position"]
            wait_for(lambda: seen(client, position))
    finally:
        one.stop()
