"""Seals ledgers: when a person asks, at the close of a day, before a dossier, and at intervals while it is served."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
import structlog

from api.runtime import Runtime
from domain.ledger.application import Ledger
from domain.ledger.database import StorageError
from domain.ledger.embedded import EmbeddedError
from domain.ledger.seals import Seal, SealError
from domain.ledger.signing import NoSealKeyError, SealKeyError

STOP_S = 5.0  # how long a seal may still take when the service stops: most take well under one

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Sealed:
    """What sealing a ledger came to; `seal` is None where it is empty."""

    ledger: str
    seal: Seal | None
    made: bool
    stamp: str | None = None
    """What became of its time stamp, where an authority is set: "" where it has one, else why not."""
    stamp_trusted: bool = False
    """Whether the stamp was held against roots that are trusted."""


def seal_one(runtime: Runtime, ledger: Ledger, *, new_key: bool = False, stamped: bool = True) -> Sealed:
    """Seal a ledger as it stands; raises SealError, SealKeyError."""
    seal, made = runtime.sealer(ledger).seal(new_key=new_key)
    if seal is None or runtime.tsa_url is None or not stamped:
        return Sealed(ledger.region, seal, made)
    from domain.ledger.timestamping import Roots, RootsError, stamp  # noqa: PLC0415 - an HTTP client most do not need

    try:
        roots = Roots.read(runtime.tsa_roots) if runtime.tsa_roots else None
    except RootsError as error:
        return Sealed(ledger.region, seal, made, str(error))
    _, reason = stamp(ledger, runtime.tsa_url, runtime.clock, roots)
    return Sealed(ledger.region, seal, made, reason or "", stamp_trusted=roots is not None)


def document(sealed: Sealed) -> dict[str, Any]:
    """Return what sealing came to as plain values."""
    seal = sealed.seal
    found: dict[str, Any] = {"ledger": sealed.ledger, "made": sealed.made, "seal": None}
    if seal is not None:
        found |= {
            "seal": seal.number,
            "position": seal.position,
            "streams": seal.record.streams,
            "sealed_at": seal.record.sealed_at.isoformat(),
            "checkpoint": seal.checkpoint.decode(),
        }
    if sealed.stamp is not None:
        granted = "granted" if sealed.stamp_trusted else "granted, its authority not checked"
        found["time_stamp"] = sealed.stamp or granted
    return found


def line(found: Mapping[str, Any]) -> str:
    """Return what sealing came to as a line a person can read."""
    if "failed" in found:
        return f"{found['ledger']}: not sealed: {found['failed']}"
    if found["seal"] is None:
        return f"{found['ledger']}: nothing to seal yet"
    what = "sealed" if found["made"] else "nothing new since"
    stamp = f", time stamp: {found['time_stamp']}" if "time_stamp" in found else ""
    return (
        f"{found['ledger']}: {what} seal {found['seal']} of {found['sealed_at']}, position {found['position']},"
        f" {found['streams']} streams{stamp}"
    )


class Interval(threading.Thread):
    """Seals every ledger at intervals until it is stopped; what fails is logged and tried again."""

    def __init__(self, runtime: Runtime, every_s: float) -> None:
        super().__init__(name="seals", daemon=True)
        self._runtime = runtime
        self._every_s = every_s
        self._stopping = threading.Event()

    def run(self) -> None:
        """Seal, wait, and so on."""
        while not self._stopping.wait(self._every_s):
            try:
                for ledger in self._runtime.deployment.ledgers:
                    seal_one(self._runtime, ledger)
            except NoSealKeyError as error:
                log.warning("nothing is sealed", reason=str(error))
                return
            except (SealError, SealKeyError) as error:
                log.error("not sealed", reason=str(error))  # noqa: TRY400 - the line says all there is
            except (StorageError, EmbeddedError, psycopg.Error) as error:
                log.warning("not sealed", error=type(error).__name__)

    def stop(self) -> None:
        """Let it end, and wait a moment for it: a seal that takes longer is given up whole, the next one makes it."""
        self._stopping.set()
        if self.is_alive():
            self.join(STOP_S)
            if self.is_alive():
                log.warning("a seal is given up", waited_s=STOP_S)
