"""replay_growth: how much longer a replay takes where the ledger is large; the account is of the same length."""

import io
import time
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import orjson

from api.bench.protocol import REGION, Bench, Figure, percentile
from api.inquiry import replayed
from api.runtime import Runtime, present
from domain.ledger.deployment import Deployment
from domain.ledger.interchange import Importer, Refusal

ACCOUNT_EVENTS = 1_000
REPLAYS = 60
FILLING_EVENTS = 20  # of each account that is there only to make the ledger large
BATCH = 50_000
FIRST_DAY = date(2009, 1, 5)
TERMS = {
    "payment_deadline_days": 15, "late_fee_start": "after_due", "restore_hours": 48, "suspend_after_days": 30,
    "terminate_after_days": 60,
}  # fmt: skip


def history(account_id: str, events: int) -> Iterator[bytes]:
    """Yield an account's opening and payments, one for each day."""
    subject, day = f"account/{account_id}", FIRST_DAY
    opening = {"party_id": "P", "line_of_business": "mobile", "contract_terms": TERMS}
    yield _line(f"{account_id}.0", "AccountOpened", subject, day, opening)
    for number in range(1, events):
        day += timedelta(days=1)
        payment = {
            "payment_id": f"{number}",
            "amount_fen": 100,
            "value_date": day.isoformat(),
            "method": "bank",
        }
        yield _line(f"{account_id}.{number}", "PaymentReceived", subject, day, payment)


def _line(event_id: str, kind: str, subject: str, day: date, data: dict[str, Any]) -> bytes:
    at = f"{day}T10:00:00+08:00"
    return orjson.dumps(
        {
            "specversion": "1.0", "id": event_id, "source": "urn:recount:bench", "type": kind, "subject": subject,
            "time": at, "recordedtime": at, "actor": "system/bench", "channel": "system", "region": REGION,
            "dataversion": 1, "data": data,
        }
    )  # fmt: skip


def bring(deployment: Deployment, lines: list[bytes]) -> None:
    """Import lines, each of which lands."""

    def refuse(refusal: Refusal) -> None:
        raise RuntimeError(f"line {refusal.line}: {refusal.field} {refusal.reason}")

    Importer(deployment, refuse, present).run(io.BytesIO(b"\n".join(lines)))


def fill(deployment: Deployment, first: int, events: int) -> int:
    """Make the ledger so much larger by other accounts; return the number of the next one."""
    lines: list[bytes] = []
    accounts = events // FILLING_EVENTS
    for number in range(first, first + accounts):
        lines.extend(history(f"F{number}", FILLING_EVENTS))
        if len(lines) >= BATCH:
            bring(deployment, lines)
            lines = []
    if lines:
        bring(deployment, lines)
    return first + accounts


def replay_ms(runtime: Runtime) -> float:
    """Return within how many ms 99 of 100 replays of the long account are there."""
    took = []
    for _ in range(REPLAYS):
        began = time.perf_counter()
        replayed(runtime, "account/LONG")
        took.append((time.perf_counter() - began) * 1000)
    return percentile(took, 0.99)


def replay_growth(bench: Bench) -> Figure:
    """Measure the replay of an account of 1,000 events in a large ledger against a small one."""
    small, large = bench.scale.small_ledger, bench.scale.large_ledger
    with bench.deployment() as (deployment, _):
        runtime = Runtime(deployment)
        following = fill(deployment, 0, small // 2)
        bring(deployment, list(history("LONG", ACCOUNT_EVENTS)))
        following = fill(deployment, following, small // 2)
        replay_ms(runtime)
        before = min(replay_ms(runtime) for _ in range(bench.scale.runs))
        fill(deployment, following, large - small)
        replay_ms(runtime)
        after = min(replay_ms(runtime) for _ in range(bench.scale.runs))
    return Figure(
        "replay_growth",
        "ms",
        after,
        before,
        after / before,
        f"p99 of a replay of a {ACCOUNT_EVENTS:,}-event account with {large:,} events in the ledger; with {small:,}",
        at_most=1.3,
        more={"small_events": small, "large_events": large},
    )
