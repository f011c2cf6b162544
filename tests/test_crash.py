"""Killed without warning: what was acknowledged stands once, what was not can be asked again."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import orjson
import pytest

from api.access.issuer import found_in
from api.runtime import opened
from api.settings import Settings
from domain.ledger.embedded.files import read_news
from tests import support
from tests.http_service import Client
from tests.support import LEDGER, charge_line, opening_line, payment_line, wait_for

pytestmark = pytest.mark.storage

ROOT = Path(__file__).parents[1]
ACCOUNTS = [f"A{n}" for n in range(4)]
CLIENTS = 6
LOAD_MIN = 100  # commands acknowledged before the kill: enough that all clients are in the middle of one


def command(*arguments, data):
    """Return how the program is started on a data directory of one's own, and in which environment."""
    environment = {k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "RECOUNT_OWNER_URL")}
    environment["PYTHONPATH"] = str(ROOT)
    return [sys.executable, "-P", "-m", "api.cli", *arguments, "--data", str(data)], environment


@contextlib.contextmanager
def serve(data):
    """Run the real service; give its process and its issuer, which says where it is."""
    arguments, environment = command("serve", "--dev", "--port", "0", data=data)
    service = subprocess.Popen(arguments, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        for line in service.stderr:
            if re.search(r"http://[\d.]+:\d+", line):
                break
        else:
            pytest.fail(f"the service ended: {service.wait()}")
        threading.Thread(target=service.stderr.read, daemon=True).start()
        yield service, found_in(data)
    finally:
        service.kill()
        service.wait()
        service.stderr.close()


class Clerks:
    """Clients that take payments, each with its own key, and write down what was acknowledged."""

    def __init__(self):
        self.asked = {}
        self.acknowledged = {}
        self.stop = threading.Event()

    def work(self, issuer, name):
        """Send command after command until told to stop or the service is gone."""
        client = Client(issuer.url, issuer)
        with client.http:
            number = 0
            while not self.stop.is_set():
                number += 1
                key = f"{name}-{number}"
                self.asked[key] = ACCOUNTS[number % len(ACCOUNTS)]
                try:
                    done = self.send(client, key)
                except httpx.TransportError:
                    done = False
                if not done:
                    self.stop.wait(0.1)

    def send(self, client, key):
        """Send one command; whether it was acknowledged."""
        data = {"payment_id": key, "amount_fen": 1, "value_date": "2014-12-01", "method": "cash"}
        moment = {"time": "2014-12-01T10:00:00+08:00"}
        response = client.ask(f"accounts/{self.asked[key]}/payments", data, key=key, **moment)
        if response.is_success:
            body = response.json()
            assert self.acknowledged.setdefault(key, body) == body, "another answer than the first"
            return True
        assert response.status_code == 503, response.text
        return False

    def retry(self, issuer):
        """Send again, with its key, each command, also those that were acknowledged, until each one is."""
        client = Client(issuer.url, issuer)
        with client.http, ThreadPoolExecutor(CLIENTS) as pool:
            list(pool.map(lambda key: wait_for(lambda: self.send(client, key)), self.asked))

    @contextlib.contextmanager
    def at_work(self, issuer):
        """Let the clients work while the block runs."""
        with ThreadPoolExecutor(CLIENTS) as pool:
            jobs = [pool.submit(self.work, issuer, f"clerk{n}") for n in range(CLIENTS)]
            try:
                yield
            finally:
                self.stop.set()
        for job in jobs:
            job.result()


def with_accounts(issuer):
    """Open the accounts."""
    client = Client(issuer.url, issuer)
    with client.http:
        assert client.register().status_code == 201
        for account_id in ACCOUNTS:
            assert client.open_account(account_id).status_code == 201


def assert_each_once(data, clerks):
    """Assert that each command stands exactly once where it was acknowledged, in a log that is whole."""
    with opened(Settings.read(data, {})) as runtime:
        events = support.assert_sound(runtime.deployment)
    taken = {}
    for event in events:
        body = orjson.loads(event.state)
        if body["type"] == "PaymentReceived":
            assert taken.setdefault(body["data"]["payment_id"], event) is event, "doubled"
    assert taken.keys() == clerks.asked.keys() == clerks.acknowledged.keys()
    for key, body in clerks.acknowledged.items():
        (said,) = body["events"]
        assert (said["id"], said["position"]) == (orjson.loads(taken[key].state)["id"], taken[key].position)


def test_a_service_killed_under_load_keeps_every_acknowledged_command_once(tmp_path):
    """Given clients at work, when the service is killed and started again, then each command stands once."""
    data, clerks = tmp_path / "data", Clerks()
    with serve(data) as (service, issuer):
        with_accounts(issuer)
        with clerks.at_work(issuer):
            wait_for(lambda: len(clerks.acknowledged) >= LOAD_MIN)
            service.send_signal(signal.SIGKILL)
            service.wait()
    assert len(clerks.acknowledged) < len(clerks.asked)
    with serve(data) as (_, issuer):
        clerks.retry(issuer)
    assert_each_once(data, clerks)


def test_a_database_killed_under_load_keeps_every_acknowledged_command_once(tmp_path):
    """Given clients at work, when PostgreSQL is killed, then the service brings it back and nothing is lost."""
    data, clerks = tmp_path / "data", Clerks()
    with serve(data) as (service, issuer):
        with_accounts(issuer)
        with clerks.at_work(issuer):
            wait_for(lambda: len(clerks.acknowledged) >= LOAD_MIN)
            postmaster = read_news(data).postmaster
            os.kill(postmaster, signal.SIGKILL)
            before = len(clerks.acknowledged)
            wait_for(lambda: len(clerks.acknowledged) >= before + LOAD_MIN, seconds=30)
        assert service.poll() is None
        assert read_news(data).postmaster != postmaster
        clerks.retry(issuer)
    assert_each_once(data, clerks)


def test_an_import_that_was_killed_is_completed_by_running_it_again(tmp_path):
    """Given an import killed half-way, when it is run again, then every line is there once."""
    data, source = tmp_path / "data", tmp_path / "history.jsonl"
    lines = [
        line
        for n in range(2_000)
        for line in (opening_line(f"A{n}"), charge_line(f"A{n}"), payment_line(f"A{n}"))
    ]
    source.write_bytes(b"\n".join(lines))
    arguments, environment = command("import", "--json", str(source), data=data)
    with opened(Settings.read(data, {})) as runtime:
        journal = runtime.deployment.ledger_for(LEDGER).journal
        killed = subprocess.Popen(arguments, env=environment, stdout=subprocess.DEVNULL)
        wait_for(lambda: journal.last_position() >= 1_000)
        killed.kill()
        assert killed.wait() == -signal.SIGKILL
        landed = journal.last_position()
        assert 1_000 <= landed < len(lines)
        again = subprocess.run(arguments, env=environment, check=True, capture_output=True)
        tally = orjson.loads(again.stdout)
        wait_for(lambda: journal.last_position() == len(lines))
        assert tally["appended"] + tally["repeated"] == len(lines)
        assert tally["repeated"] >= landed
        assert len(support.assert_sound(runtime.deployment)) == len(lines)
