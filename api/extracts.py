"""The addresses of whole tables: a read model's rows as CSV or Parquet, streamed from one snapshot.

Each kind of reader has its own, with the tables that are for them: billing the models it also has as views, management
those about people and conduct.
"""

import contextlib
import threading
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

import anyio
import anyio.to_thread
from fastapi import APIRouter, Path, Query
from pydantic import BaseModel
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from api.problems import ProblemError, documented, retry_after
from api.reading import Waiting, built, ledger_asked, reached
from api.requests import Region, Running, Stopping, answer, audience
from domain.events.fields import MalformedError
from domain.ledger.application import Ledger
from projections.engine import ReadModel
from projections.extracting import About, Format, Source, extracting, sources

EXTRACTS_MAX = 2  # at once: each holds one of the process's dozen connections as long as its reader takes
EXTRACT_MAX_S = 3_600.0  # how long one may hold its snapshot: a larger table is `recount extract`'s
MEDIA = {"csv": "text/csv; charset=utf-8; header=present", "parquet": "application/vnd.apache.parquet"}

DESCRIPTION = (
    "Every row of one snapshot, in no order. `Recount-Position` is how far its model was; `Recount-Digest` is the"
    " digest of all the model's rows there. Parquet says the same in its metadata. An answer that is cut off ends"
    " without its last chunk. CSV is RFC 4180 in UTF-8 with a header: NULL is nothing, an empty text two quotes,"
    " moments are in UTC. `spreadsheet` puts an apostrophe before texts a spreadsheet would calculate; programs leave"
    " it out."
)

_running = threading.BoundedSemaphore(EXTRACTS_MAX)


class ExtractedTable(BaseModel):
    """A table that can be extracted."""

    table: str
    model: str


class ExtractedTables(BaseModel):
    """The tables that can be extracted."""

    tables: list[ExtractedTable]


class _Open:
    """An extract that has begun: it holds a connection until it is closed, whichever threads it is read in."""

    def __init__(
        self, ledger: Ledger, source: Source, form: Format, region: str | None, *, spreadsheet: bool
    ) -> None:
        with contextlib.ExitStack() as stack:
            extraction = stack.enter_context(extracting(ledger, source.model, region))
            self.about: About = extraction.about(source)
            pieces = extraction.stream(source, form, spreadsheet=spreadsheet)
            self._pieces = stack.enter_context(contextlib.closing(pieces))
            self._stack = stack.pop_all()

    def read(self) -> bytes | None:
        """Return the next piece, None where there is none."""
        return next(self._pieces, None)

    def close(self) -> None:
        """Leave the snapshot and give the connection back; what was not read is not read."""
        self._stack.close()


class _ExtractResponse(StreamingResponse):
    """Streams an extract, and closes it however that ends: to its end, too late, or with the client gone."""

    def __init__(self, opened: _Open, stopping: threading.Event, **given: Any) -> None:
        super().__init__(self._body(opened, stopping), **given)
        self._opened = opened

    @staticmethod
    async def _body(opened: _Open, stopping: threading.Event) -> Any:
        while (piece := await anyio.to_thread.run_sync(opened.read)) is not None:
            if stopping.is_set():
                raise ConnectionAbortedError("the server stops: the extract is cut off")
            yield piece

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it. An answer that is not whole breaks the connection off, so that none is taken for whole."""
        try:
            with anyio.fail_after(EXTRACT_MAX_S):
                await super().__call__(scope, receive, send)
        finally:
            with anyio.CancelScope(shield=True):
                try:
                    await anyio.to_thread.run_sync(self._opened.close)
                finally:
                    _running.release()


def extracts_of(name: Literal["billing", "management"], scope: str, models: Sequence[ReadModel]) -> APIRouter:
    """Return the addresses under which an audience extracts the tables of some models."""
    router = audience(name, scope)
    tables = sources(models)
    listed = [{"table": source.name, "model": source.model.name} for source in tables.values()]

    @router.get(
        "/extracts",
        summary="The tables that can be extracted",
        operation_id=f"{name}_extracts",
        response_model=ExtractedTables,
        responses={
            200: {"content": {"application/json": {"example": {"tables": listed[:1]}}}},
            **documented(),
        },
    )
    async def extracts() -> Response:
        """Return the tables with their models."""
        return answer({"tables": listed})

    @router.get(
        "/extracts/{table}",
        summary="A whole table, streamed as CSV or Parquet",
        description=DESCRIPTION,
        operation_id=f"{name}_extract",
        response_class=Response,
        responses={
            200: {
                "description": "the table",
                "content": {
                    "text/csv": {
                        "schema": {"type": "string"},
                        "example": "subject,account_id\naccount/A-FTTH,A-FTTH\n",
                    },
                    "application/vnd.apache.parquet": {"schema": {"type": "string", "format": "binary"}},
                },
            },
            **documented(
                "ledger.not_found", "ledger.ambiguous", "extract.too_many", "projection.behind", "projection.failed",
                "storage.not_ready", "storage.unavailable",
            ),
        },
    )  # fmt: skip
    async def extract(
        *,
        runtime: Running,
        stopping: Stopping,
        wait: Waiting,
        table: Annotated[
            str,
            Path(
                max_length=63,
                description=f"as at /{name}/extracts",
                examples=[listed[0]["table"]],
            ),
        ],
        region: Region = None,
        form: Annotated[Format, Query(alias="format")] = "csv",
        spreadsheet: Annotated[
            bool, Query(description="for people's spreadsheets, not for programs")
        ] = False,
    ) -> Response:
        """Return the stream of a table."""
        source = tables.get(table)
        if source is None:
            raise MalformedError("table", f"should be one of those at /{name}/extracts")
        ledger = await anyio.to_thread.run_sync(ledger_asked, runtime, region)
        await reached(ledger, source.model.name, wait)
        return await _stream(
            lambda: _Open(ledger, source, form, region, spreadsheet=spreadsheet), form, stopping
        )

    return router


async def _stream(begin: Callable[[], _Open], form: Format, stopping: threading.Event) -> Response:
    """Return the stream of an extract, if there is room for another; raises ProblemError."""
    if not _running.acquire(blocking=False):
        detail = f"{EXTRACTS_MAX} extracts are running: come back"
        raise ProblemError("extract.too_many", detail, headers=retry_after())
    try:
        opened = await anyio.to_thread.run_sync(lambda: built(begin))
    except BaseException:
        _running.release()
        raise
    about = opened.about
    headers = {
        "Recount-Position": str(about.position),
        "Recount-Digest": about.digest,
        "Content-Disposition": f'attachment; filename="{about.ledger}-{about.table}-{about.position}.{form}"',
        "Cache-Control": "no-store",
    }
    return _ExtractResponse(opened, stopping, headers=headers, media_type=MEDIA[form])
