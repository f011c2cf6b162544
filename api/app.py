"""The HTTP application: routers, problems and middleware put together around a runtime. Nothing is decided here."""

import contextlib
import threading
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from api import (
    billing,
    console,
    crm,
    feeds,
    health,
    investigations,
    management,
    problems,
    reference,
    registers,
    seals,
)
from api.access import Access, signing_in
from api.access.guarding import check_guarded, documented_scopes
from api.access.headers import SecurityHeaders
from api.indexing import RouteIndex
from api.metrics import Metrics
from api.patience import Patience
from api.reading import standings_of
from api.requests import HOSTS, Bounds, RequestContext
from api.runtime import Runtime
from api.waiting import Shared, last_position

DESCRIPTION = """\
Customer accounts as they were on any day, as they were known on any day.

Writes go to `/crm` with an `Idempotency-Key`; everything else reads. Errors are RFC 9457 problems with a stable
`code`. Times are RFC 3339 with offset, amounts are fen.
"""


def build(
    runtime: Runtime, access: Access | None = None, hosts: frozenset[str] = HOSTS, *, https: bool = False
) -> FastAPI:
    """Return the application that serves a runtime to those who have access; without it, to nobody.

    `app.state.stopping` is an event: once it is set, streams and waiting readers end, so that a server can
    stop within a moment.
    """
    stopping = threading.Event()

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        stopping.set()

    app = FastAPI(
        title="Recount",
        summary="An event-sourced customer account ledger for telecom operators",
        description=DESCRIPTION,
        version="0.1.0",
        lifespan=lifespan,
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
    )
    door = access or Access()
    metrics = Metrics(runtime.deployment)
    app.state.runtime, app.state.metrics = runtime, metrics
    app.state.stopping, app.state.access = stopping, door
    app.state.positions, app.state.standings = Shared(last_position), Shared(standings_of)
    for router in (
        crm.router(),
        billing.router,
        registers.router,
        management.router,
        investigations.router,
        feeds.router,
        seals.router,
        seals.public,
        health.router,
        console.router,
        console.entrance,
    ):
        app.include_router(router)
    app.include_router(signing_in.router)
    app.include_router(console.lost)  # after every other page: it takes what they leave
    reference.install(app)
    problems.install(app)
    app.add_middleware(Bounds, access=door, hosts=hosts)
    app.add_middleware(SecurityHeaders, https=https)
    app.add_middleware(Patience)
    app.add_middleware(RequestContext, metrics=metrics)  # the last added is the outermost
    _document(app)
    check_guarded(app)
    commands = (route for route in crm.router().routes if isinstance(route, APIRoute))
    app.router.routes.insert(0, RouteIndex(commands, "POST", place=3))  # /crm/accounts/{id}/...
    return app


def _document(app: FastAPI) -> None:
    """Let the OpenAPI document know the form of problems, which no route returns as its own answer, and the scopes."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        if "Problem" not in schemas:
            model = problems.Problem.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas.update(model.pop("$defs", {}))
            schemas["Problem"] = model
            documented_scopes(app, document)
        return document

    app.openapi = openapi  # type: ignore[method-assign]
