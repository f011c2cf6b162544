"""The read models' follower in its own process: replaced when it dies, never outliving the service."""

import errno
import multiprocessing
import os
import re
import signal
from pathlib import Path

import psutil
import pytest
from psycopg import sql

from api import following
from api.following import FollowerProcess
from api.runtime import READ_MODELS, opened, present
from api.settings import Settings
from projections.engine import verify
from projections.engine.storing import Q
from tests.http_service import Client, serving
from tests.support import LEDGER, wait_for
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


def test_no_follower_that_has_begun_outlives_a_killed_service(tmp_path):
    """Given a follower that has shown what was appended, when its service is killed, then it ends too."""
    with serve(tmp_path / "data") as (service, issuer):
        client = Client(issuer.url, issuer)
        with client.http:
            client.register()
            position = client.open_account().json()["position"]
            wait_for(lambda: seen(client, position))
        follower = follower_of(service)
        service.kill()
        service.wait(30)
        wait_for(lambda: not follower.is_running() or follower.status() == psutil.STATUS_ZOMBIE)


def stopped(client):
    """Return the read models that stopped, as a probe is told, and the metrics' word on each model."""
    ready = client.get("/readyz")
    assert ready.status_code == 200, ready.text
    failed = re.findall(
        r'recount_read_model_failed\{ledger="heilongjiang",model="(\w+)"\} 1', client.get("/metrics").text
    )
    return ready.json().get("stopped", []), failed


def as_owner(deployment, statement):
    """Run a statement, as the tables' owner, where the rows of billing_status stand."""
    ledger = deployment.ledger(LEDGER)
    (model,) = (m for m in READ_MODELS if m.name == "billing_status")
    with deployment.database.owner(ledger.schema) as connection:
        _, schema = connection.execute(
            Q["live_of"], {"model": model.name, "version": model.version}
        ).fetchone()
        connection.execute(sql.SQL(statement).format(sql.Identifier(schema, "billing_status")))


@pytest.mark.slow
def test_a_model_that_fails_in_the_followers_process_stops_alone_is_told_and_goes_on(tmp_path):
    """Given a model whose rows can't be written, then it alone stops, probes and metrics say so, until it can again."""
    data = tmp_path / "data"
    with opened(Settings.read(data, {})) as runtime, serve(data) as (service, issuer):
        client = Client(issuer.url, issuer)
        with client.http:
            client.register()
            before = client.open_account("A-1").json()["position"]
            wait_for(lambda: seen(client, before))
            follower = follower_of(service)
            assert stopped(client) == ([], [])

            as_owner(
                runtime.deployment,
                "ALTER TABLE {} ADD CONSTRAINT broken CHECK (account_id <> 'A-BAD') NOT VALID",
            )
            bad = client.open_account("A-BAD").json()["position"]
            last = client.open_account("A-3").json()["position"]
            wait_for(lambda: stopped(client)[0], seconds=60)
            told = {
                "ledger": LEDGER, "model": "billing_status", "position": bad, "reason": "CheckViolation",
                "rebuild": False,
            }  # fmt: skip
            assert stopped(client) == ([told], ["billing_status"])
            refused = client.get(f"/billing/accounts/A-3?min_position={last}&wait_s=1")
            assert (refused.status_code, refused.json()["code"]) == (503, "projection.failed")
            assert client.get("/billing/accounts/A-1").status_code == 200  # what it has, it answers
            others = rf'recount_read_model_lag_events\{{ledger="{LEDGER}",model="(?!billing_status)\w+"\}} 0'
            wait_for(lambda: len(re.findall(others, client.get("/metrics").text)) == len(READ_MODELS) - 1)
            assert client.open_account("A-4").status_code == 201  # and commands go on

            as_owner(runtime.deployment, "ALTER TABLE {} DROP CONSTRAINT broken")
            wait_for(lambda: seen(client, last), seconds=60)
            assert stopped(client) == ([], [])
            assert client.get("/billing/accounts/A-BAD").status_code == 200
            assert follower_of(service).pid == follower.pid
        assert (
            verify(runtime.deployment.ledger(LEDGER), READ_MODELS, present(), sample=None).differences == []
        )


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
