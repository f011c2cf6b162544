"""The real service in processes of its own, with clients at work, and what is counted of them afterwards."""

import contextlib
import random
import re
import subprocess
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import orjson

from api.access.issuer import LocalIssuer, found_in
from api.runtime import READ_MODELS, Runtime, opened
from api.settings import Settings
from projections.engine import catch_up, verify
from tests import support
from tests.simulation.killing import killing
from tests.support import wait_for
from tests.test_crash import Clerks

STARTED_S = 60.0


@dataclass
class Outcome:
    """What a fault came to; all but the first two should be 0."""

    times: int = 0
    acknowledged: int = 0
    lost: int = 0
    """Acknowledged and not stored, or not as it was acknowledged."""
    doubled: int = 0
    """Stored more than once."""
    wrong: int = 0
    """Differences of the log from its chain, and of read models from a replay."""

    def __add__(self, other: "Outcome") -> "Outcome":
        return Outcome(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    @property
    def sound(self) -> bool:
        """Whether nothing was lost, doubled or wrong, and there was something to lose."""
        return self.acknowledged > 0 and (self.lost, self.doubled, self.wrong) == (0, 0, 0)


@dataclass
class Service:
    """A service that runs."""

    process: subprocess.Popen[str]
    issuer: LocalIssuer
    """Signs for its clients, and says where it is."""
    said: list[str]
    """Its log, line by line."""


@contextlib.contextmanager
def service(data: Path, *, stage: str = "", seal_every_s: float = 0, **environment: str) -> Iterator[Service]:
    """Run the service until the block ends, then kill it if need be.

    `stage`: it is killed there by itself; `seal_every_s`: it seals more often than may be asked for.
    """
    arguments, inherited = killing(
        stage, "serve", "--dev", "--port", "0", data=data, seal_every_s=seal_every_s
    )
    process = subprocess.Popen(arguments, env=inherited | environment, stderr=subprocess.PIPE, text=True)
    said: list[str] = []

    def listen() -> None:
        assert process.stderr is not None
        said.extend(process.stderr)

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    try:
        wait_for(lambda: _address(said) or process.poll() is not None, seconds=STARTED_S)
        assert _address(said), f"the service ended: {said[-3:]}"
        yield Service(process, found_in(data), said)
    finally:
        process.kill()
        process.wait()
        listener.join(10)
        assert process.stderr is not None
        process.stderr.close()


def _address(said: Sequence[str]) -> str | None:
    return next((found[0] for line in list(said) if (found := re.search(r"http://[\d.]+:\d+", line))), None)


@contextlib.contextmanager
def at_work(clerks: Clerks, issuer: LocalIssuer, chance: random.Random, least: int = 30) -> Iterator[None]:
    """Let clients work; the block begins after a random number of acknowledged commands."""
    with clerks.at_work(issuer):
        enough = len(clerks.acknowledged) + least + chance.randint(0, 60)
        wait_for(lambda: len(clerks.acknowledged) >= enough, seconds=60)
        yield


def going_on(clerks: Clerks, more: int = 20, seconds: float = 60.0) -> None:
    """Wait until more commands are acknowledged."""
    enough = len(clerks.acknowledged) + more
    wait_for(lambda: len(clerks.acknowledged) >= enough, seconds=seconds)


def asked_again(clerks: Clerks, data: Path, **environment: str) -> None:
    """Start the service and ask everything again, until all of it is answered as it was at first."""
    with service(data, **environment) as running:
        clerks.retry(running.issuer)


# -- counting -----------------------------------------------------------------------------------------------


def counted(data: Path, clerks: Clerks, **environment: str) -> Outcome:
    """Return what the clients were told against what stands, and what stands against a replay."""
    with opened(Settings.read(data, environment)) as runtime:
        return counted_in(runtime, clerks.acknowledged)


def counted_in(runtime: Runtime, acknowledged: dict[str, dict[str, Any]]) -> Outcome:
    """Do the same on a runtime that is open."""
    taken: dict[str, list[Any]] = {}
    ledger = runtime.deployment.ledger(support.LEDGER)
    assert ledger is not None
    for event in ledger.journal.log(0, limit=1_000_000):
        body = orjson.loads(event.state)
        if body["type"] == "PaymentReceived":
            taken.setdefault(body["data"]["payment_id"], []).append((body["id"], event.position))
    found = Outcome(1, len(acknowledged))
    for key, body in acknowledged.items():
        said = [(e["id"], e["position"]) for e in body["events"]]
        found.lost += not set(said) <= set(taken.get(key, ()))
    found.doubled = sum(len(stands) > 1 for stands in taken.values())
    found.wrong = len(wrongs(runtime))
    return found


def wrongs(runtime: Runtime) -> list[Any]:
    """Return what is not as it should be: of the log, and of every read model by a full replay."""
    catch_up(runtime.deployment, READ_MODELS, runtime.clock)
    found: list[Any] = []
    for ledger in runtime.deployment.ledgers:
        verdict = verify(ledger, READ_MODELS, runtime.clock(), sample=None)
        found += [*verdict.differences, *verdict.unchecked]
        if runtime.deployment.ledger(ledger.region) is not None:
            support.assert_sound(runtime.deployment, ledger.region)
    return found
