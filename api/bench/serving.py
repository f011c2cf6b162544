"""http_vs_noop: commands over HTTP, against a route of the same app that checks the same and does nothing.

The service runs in a process of its own (uvicorn, uvloop, httptools), the clients in another, and the read models
follow in a third, which the service starts as `recount serve` does; what stands between the two routes is what a
command costs beyond being asked over HTTP.
"""

import asyncio
import base64
import contextlib
import itertools
import multiprocessing
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Annotated

import orjson
import uvicorn
import uvloop
from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.routing import APIRoute
from starlette.responses import Response

from api.access import issuing, requires
from api.access.issuer import made_in_memory
from api.access.limits import Limits
from api.access.principal import CRM_WRITE
from api.app import build
from api.bench import load
from api.bench.appending import ACCOUNTS, open_accounts
from api.bench.protocol import REGION, Bench, Figure, in_turns, opened, percentile
from api.connections import files_allowed, patient
from api.crm.bodies import Envelope, body_of
from api.crm.routes import Id, IfMatch, Key
from api.following import FollowerProcess
from api.indexing import RouteIndex
from api.logging import configure
from api.requests import Caller, Counting, JsonRoute, Running, Tracing, answer
from api.runtime import READ_MODELS, Runtime, collecting_rarely, present
from api.settings import Settings
from domain.commands.account import ReceivePayment
from domain.events.envelope import prepare
from domain.ledger.application import Ledger
from domain.ledger.deployment import Deployment
from domain.ledger.sight import EVERYWHERE
from domain.ledger.vault import KEY_BYTES
from projections.engine import catch_up, standings

CONNECTIONS = 64
CREATED = b"201"
START_S = 60.0
LAG_EVERY_S = 0.02
PACED_PAUSE_S = 0.16  # 64 connections then ask some 400 times a second: a busy day, not the most there can be
PAYMENTS = "/crm/accounts/{account}/payments"
NOTHING = "/crm/accounts/{account}/nothing"


async def _raw_body(request: Request) -> bytes:
    return await request.body()


def doing_nothing() -> APIRouter:
    """Return a route that takes what a payment takes, and does nothing."""
    made = APIRouter(prefix="/crm", route_class=JsonRoute)

    async def nothing(
        *,
        request: Request,  # noqa: ARG001 - all of these are what a command's route takes
        runtime: Running,  # noqa: ARG001
        metrics: Counting,  # noqa: ARG001
        trace: Tracing,  # noqa: ARG001
        caller: Caller,  # noqa: ARG001
        raw: Annotated[bytes, Depends(_raw_body)],  # noqa: ARG001
        identifier: Id,  # noqa: ARG001
        body: Envelope,  # noqa: ARG001
        key: Key,  # noqa: ARG001
        if_match: IfMatch = None,  # noqa: ARG001
    ) -> Response:
        return answer({}, status=201)

    nothing.__annotations__["body"] = body_of(ReceivePayment)
    made.add_api_route(
        "/accounts/{id}/nothing",
        nothing,
        methods=["POST"],
        status_code=201,
        dependencies=[requires(CRM_WRITE)],
    )
    return made


def _with_nothing(app: FastAPI) -> None:
    """Add the route that does nothing, found as quickly as a command's."""
    router = doing_nothing()
    app.include_router(router)
    app.router.routes.insert(
        0, RouteIndex((r for r in router.routes if isinstance(r, APIRoute)), "POST", place=3)
    )


def _serve(url: str, told: Connection) -> None:
    """Serve until told to stop; a process of its own. Tells its port and a token."""
    configure("WARNING")
    deployment = opened(url)
    runtime = Runtime(deployment)
    listening = socket.create_server(("127.0.0.1", 0), backlog=1_024)
    port = listening.getsockname()[1]
    issuer = made_in_memory(f"http://127.0.0.1:{port}")
    app = build(runtime, issuer.access(Limits(0, 0, 0)))
    issuing.install(app, issuer)
    _with_nothing(app)
    prepare()
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            loop="uvloop",
            http=patient(files_allowed()),
            ws="none",
        )
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    key = base64.b64encode(bytes(KEY_BYTES)).decode()
    follower = FollowerProcess(runtime, Settings(Path(), database_url=url, master_key=key))
    follower.start()
    token = issuer.signed("system/crm", [CRM_WRITE], [EVERYWHERE], ["*"])
    with collecting_rarely():
        told.send((port, token))
        told.recv()
    app.state.stopping.set()
    server.should_exit = True
    thread.join()
    follower.stop()
    deployment.close()


@contextlib.contextmanager
def served(url: str) -> Iterator[tuple[int, str]]:
    """Serve a database from a process of its own; lend the port and a token of a CRM."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(url, theirs))
    process.start()
    try:
        if not ours.poll(START_S):
            raise RuntimeError("the service did not start")
        yield ours.recv()
        ours.send(None)
        process.join(START_S)
    finally:
        process.kill()
        process.join()


def requests_of(address: str, token: str, run: str) -> load.Requests:
    """Return what each connection asks: payments on accounts in turn, under a new key each."""
    day = present().date().isoformat()

    def of(connection: int) -> Iterator[bytes]:
        for number in itertools.count():
            name = f"{run}-{connection}-{number}"
            data = {"payment_id": name, "amount_fen": 100, "value_date": day, "method": "bank"}
            body = orjson.dumps({"actor": "staff/S-01", "channel": "store", "region": REGION, "data": data})
            account = f"P-{(connection * 37 + number) % ACCOUNTS}"
            head = (
                f"POST {address.format(account=account)} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                f"Authorization: Bearer {token}\r\nContent-Type: application/json\r\n"
                f"Idempotency-Key: {name}\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            yield head.encode() + body

    return of


def _ask(port: int, requests: tuple[str, str, str], seconds: float, pause_s: float, told: Connection) -> None:
    """Load the service from a process of its own."""
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    told.send(load.run(port, CONNECTIONS, seconds, CREATED, requests_of(*requests), pause_s=pause_s))


def loaded(
    port: int, address: str, token: str, run: str, seconds: float, *, pause_s: float = 0.0
) -> load.Load:
    """Return what came of a load by clients in a process of their own."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    given = (port, (address, token, run), seconds, pause_s, theirs)
    process = context.Process(target=_ask, args=given, daemon=True)
    process.start()
    try:
        if not ours.poll(seconds + 2 * START_S):
            raise RuntimeError("the clients did not come to an end")
        found: load.Load = ours.recv()
    finally:
        process.kill()
        process.join()
    if found.others or not found.waits:
        raise RuntimeError(f"{found.others} of {len(found.waits)} answers were no 201")
    return found


def http_vs_noop(bench: Bench) -> Figure:
    """Measure payments over HTTP by 64 connections against the route that does nothing."""
    seconds = bench.scale.seconds
    waits: list[float] = []
    idle: list[float] = []
    with bench.deployment() as (deployment, url):
        runtime = Runtime(deployment)
        open_accounts(runtime.writer(REGION), "P", ACCOUNTS)
        catch_up(deployment, READ_MODELS, present)
        with served(url) as (port, token):
            for name, address in (("warm", PAYMENTS), ("warm", NOTHING)):
                loaded(port, address, token, name, min(1.0, seconds))
            _caught_up(deployment)
            with _lags(deployment) as paced_lags:
                paced = loaded(port, PAYMENTS, token, "paced", max(1.0, seconds), pause_s=PACED_PAUSE_S)

            def ours(run: int) -> float:
                found = loaded(port, PAYMENTS, token, f"r{run}", seconds)
                waits.extend(found.waits)
                return found.rate

            def beside(run: int) -> float:
                found = loaded(port, NOTHING, token, f"n{run}", seconds)
                idle.extend(found.waits)
                return found.rate

            with _lags(deployment) as lags:
                rates = in_turns(bench.scale.runs, ours, beside)
    return Figure(
        "http_vs_noop",
        "requests/s",
        *rates,
        what=f"payments over HTTP by {CONNECTIONS} connections; a route of the same app that checks the same token and"
        " validates the same body and does nothing",
        at_least=0.5,
        more={
            "request_latency_ms": _quantiles(waits, 1000),
            "noop_latency_ms": _quantiles(idle, 1000),
            "read_model_lag_ms": _quantiles(lags.behind_s, 1000),
            "paced": {
                "requests_per_s": round(paced.rate),
                "request_latency_ms": _quantiles(paced.waits, 1000),
                "read_model_lag_ms": _quantiles(paced_lags.behind_s, 1000),
            },
        },
    )


def _quantiles(values: Sequence[float], factor: float) -> dict[str, float]:
    shares = {"p50": 0.50, "p99": 0.99}
    return {name: round(percentile(values, share) * factor, 2) for name, share in shares.items()}


class _Lags:
    """How late the slowest read model is, looked at again and again: how long ago the log stood where it stands."""

    def __init__(self) -> None:
        self.behind_s: list[float] = []
        self._tips: deque[tuple[float, int]] = deque()
        """When the log was first seen at a position, from the one before the slowest model's on."""

    def look(self, ledger: Ledger) -> None:
        """Look once."""
        models = standings(ledger)
        now = time.perf_counter()
        if not models:
            return
        slowest = min(s.position for s in models)
        tip = max(s.position + s.lag for s in models)
        if not self._tips or tip > self._tips[-1][1]:
            self._tips.append((now, tip))
        while self._tips[0][1] <= slowest and len(self._tips) > 1:
            self._tips.popleft()
        since, position = self._tips[0]
        self.behind_s.append(now - since if position > slowest else 0.0)


@contextlib.contextmanager
def _lags(deployment: Deployment) -> Iterator[_Lags]:
    """Watch how late the slowest read model is, to the interval between two looks."""
    found = _Lags()
    done = threading.Event()
    (ledger,) = deployment.ledgers

    def watch() -> None:
        while not done.wait(LAG_EVERY_S):
            found.look(ledger)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        done.set()
        thread.join()


def _caught_up(deployment: Deployment) -> None:
    """Wait until the read models have folded all there is."""
    (ledger,) = deployment.ledgers
    until = time.perf_counter() + START_S
    while any(s.lag for s in standings(ledger)):
        if time.perf_counter() > until:
            raise RuntimeError(f"the read models were not there within {START_S:.0f} s")
        time.sleep(LAG_EVERY_S)
