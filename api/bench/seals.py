"""What a seal costs: seconds for so many changed streams, in ledgers of different sizes.

Grows a ledger of its own to each size, so that only the size differs between two measurements.
"""

import io
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Any

import orjson

from domain.ledger.deployment import Deployment
from domain.ledger.interchange import Importer
from domain.ledger.seals import Sealer
from domain.ledger.signing import SealKey

REGION = "jilin.changchun"
KEY = SealKey(bytes(32))
_TERMS = {
    "payment_deadline_days": 15, "late_fee_start": "after_due", "restore_hours": 48, "suspend_after_days": 10,
    "terminate_after_days": 60,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class SealCost:
    """What was measured in a ledger of one size."""

    streams: int
    changed: int
    first_s: float
    """The first seal: of all streams that came since the size before."""
    seal_s: float
    """A seal of `changed` streams, the median."""


def seal_costs(
    deployment: Deployment,
    clock: Callable[[], datetime],
    sizes: tuple[int, ...] = (10_000, 100_000),
    changed: int = 1_000,
    times: int = 5,
) -> list[SealCost]:
    """Return what sealing `changed` streams costs in one ledger, grown to each of the sizes."""
    ledger = deployment.ledger_for(REGION)
    sealer = Sealer(ledger, KEY, "bench", clock)
    numbers = itertools.count(1)
    found, at = [], 0
    for size in sizes:
        _bring(deployment, clock, (_opening(n) for n in range(at, size)))
        at = size
        first_s = _seconds(sealer)
        took = []
        for _ in range(times):
            step = max(1, size // changed)
            number = next(numbers)
            _bring(deployment, clock, (_payment(n, number) for n in range(0, size, step)))
            took.append(_seconds(sealer))
        found.append(SealCost(size, min(changed, size), first_s, median(took)))
    return found


def _seconds(sealer: Sealer) -> float:
    began = time.perf_counter()
    _, made = sealer.seal()
    assert made
    return time.perf_counter() - began


def _bring(deployment: Deployment, clock: Callable[[], datetime], lines: Iterator[bytes]) -> None:
    """Import events; each of them lands."""
    refused: list[Any] = []
    Importer(deployment, refused.append, clock).run(io.BytesIO(b"\n".join(lines)))
    assert not refused


def _line(number: int, event_id: str, kind: str, data: dict[str, Any]) -> bytes:
    at = "2014-12-01T10:00:00+08:00"
    return orjson.dumps(
        {
            "specversion": "1.0", "id": event_id, "source": "urn:recount:bench", "type": kind,
            "subject": f"account/B{number}", "time": at, "recordedtime": at, "actor": "system/bench",
            "channel": "system", "region": REGION, "dataversion": 1, "data": data,
        }
    )  # fmt: skip


def _opening(number: int) -> bytes:
    data = {"party_id": f"B{number}", "line_of_business": "mobile", "contract_terms": _TERMS}
    return _line(number, f"open-{number}", "AccountOpened", data)


def _payment(number: int, turn: int) -> bytes:
    payment_id = f"P{number}-{turn}"
    data = {"payment_id": payment_id, "amount_fen": 100, "value_date": "2014-12-01", "method": "bank"}
    return _line(number, payment_id, "PaymentReceived", data)
