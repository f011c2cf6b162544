"""What a reader of the console waits for at the server: the page of a customer with a long history."""

import statistics
import time
from collections.abc import Callable

import httpx

from api.access.guarding import PAGES, SESSION
from api.access.issuer import made_in_memory
from api.access.limits import Limits
from api.access.principal import INVESTIGATE_READ
from api.app import build
from api.runtime import READ_MODELS, Runtime
from domain.ledger.sight import EVERYWHERE
from projections.engine import catch_up

RUNS = 20
TARGET_MS = 300.0  # what one still takes for at once
OUTSIDE = "http://127.0.0.1:8000"


async def party_page(runtime: Runtime, party_id: str, runs: int = RUNS) -> dict[str, float]:
    """Return how long a customer's page takes, in milliseconds: the first time, in the median and at most.

    Through the whole application, from the session's cookie to the page's last byte, without the network; the history
    is in the runtime's ledger already, and the read models are brought up to it first.
    """
    catch_up(runtime.deployment, READ_MODELS, runtime.clock)
    issuer = made_in_memory(OUTSIDE)
    app = build(runtime, issuer.access(Limits(0, 0, 0)))
    token = issuer.signed("staff/S-1", [INVESTIGATE_READ], [EVERYWHERE])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=OUTSIDE) as client:
        client.cookies.set(SESSION, token, path=PAGES)
        taken = [await _asked(client, f"{PAGES}/party/{party_id}") for _ in range(runs + 1)]
    first, *others = taken
    return {
        "first_ms": round(first, 1),
        "median_ms": round(statistics.median(others), 1),
        "most_ms": round(max(others), 1),
        "target_ms": TARGET_MS,
    }


async def _asked(client: httpx.AsyncClient, path: str, now: Callable[[], float] = time.perf_counter) -> float:
    began = now()
    answer = await client.get(path)
    answer.raise_for_status()
    return (now() - began) * 1000
