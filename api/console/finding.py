"""Where one begins: a word leads to a dispute, the recent cases and the worklists to the next; and the static files."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from starlette.responses import RedirectResponse, Response

from api.console.searching import search
from api.console.shell import HOME, Asked, PageRoute, static_file
from api.console.tables import Shown, exported, shown
from api.console.worklists import BY_NAME, RECENT, WORKLISTS
from api.paging import CURSOR_MAX_CHARS
from api.problems import ProblemError
from api.reading import candidates
from domain.events.fields import TEXT_MAX_CHARS
from projections.engine import NotBuiltError

router = APIRouter(prefix=HOME, route_class=PageRoute, include_in_schema=False)
files = APIRouter(prefix=HOME, tags=["public"], include_in_schema=False)

WORD_MAX_CHARS = TEXT_MAX_CHARS
TILE_MAX = 100  # things counted on a worklist's tile; of more it says so
RECENT_ROWS = 8
KEPT = "public, max-age=31536000, immutable"
MEDIA = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}

Word = Annotated[str, Query(max_length=WORD_MAX_CHARS, pattern=r"^[^\x00]*$")]
After = Annotated[str | None, Query(max_length=CURSOR_MAX_CHARS, pattern=r"^[A-Za-z0-9_-]+$")]


@router.get("")
def home(page: Asked, q: Word = "") -> Response:
    """Return where one begins, or what a word leads to: at once, where it is one subject."""
    word = q.strip()
    if word:
        hits = search(page.runtime, word, page.ledger_region)
        if len(hits) == 1:
            several = len(page.runtime.deployment.ledgers) > 1
            return page.redirect(page.to(hits[0].subject, region=hits[0].ledger if several else None))
        return page.render("found.html", word=word, hits=hits, section="find")
    ledgers = candidates(page.runtime, page.ledger_region)
    if not ledgers:
        return page.render("home.html", section="find", ledgers=[], recent=None, tiles=[])
    if len(ledgers) > 1:
        return page.render("home.html", section="find", ledgers=ledgers, recent=None, tiles=[])
    tiles = [(listing, _shown(page, listing, TILE_MAX)) for listing in WORKLISTS]
    return page.render(
        "home.html", section="find", ledgers=ledgers, recent=_shown(page, RECENT, RECENT_ROWS), tiles=tiles
    )


def _shown(page: Asked, listing: object, rows: int) -> Shown | None:
    """Return the beginning of a list, None while its model is being made."""
    try:
        return shown(page, listing, limit=rows)  # type: ignore[arg-type]
    except NotBuiltError:
        return None


@router.get("/work/{name}")
def worklist(
    page: Asked,
    name: str,
    after: After = None,
    form: Annotated[Literal["html", "csv"], Query(alias="format")] = "html",
) -> Response:
    """Return a worklist, a page of it or all of it as a file."""
    listing = BY_NAME.get(name)
    if listing is None:
        raise ProblemError("route.unknown", "the worklists stand at /console")
    try:
        if form == "csv":
            return exported(page, listing)
        return page.render(
            "worklist.html", section="find", found=shown(page, listing, after), lists=WORKLISTS
        )
    except NotBuiltError as error:
        raise ProblemError("storage.not_ready", f"{error}: come back") from error


@files.get("/static/{digest}/{name}")
def static(digest: str, name: str) -> Response:  # noqa: ARG001 - another file has another address
    """Return one of the console's own static files."""
    try:
        content = static_file(name)
    except KeyError:
        raise ProblemError("route.unknown", "there is no such file") from None
    headers = {"Cache-Control": KEPT, "X-Content-Type-Options": "nosniff"}
    return Response(content, 200, headers, MEDIA[name.rpartition(".")[2]])


entrance = APIRouter(tags=["public"], include_in_schema=False)


@entrance.get("/")
def front_door() -> Response:
    """Lead whoever opens the bare address to the console."""
    return RedirectResponse(HOME, 307)
