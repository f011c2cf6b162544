"""What every page of the console shares: its language and address, its frame, its headers, and how it says no.

The state of a page stands in its address: `lang`, `region` where it is needed, and whatever the page is asked. Links
carry the language on. Nothing is loaded from elsewhere and nothing stands inline, so that the content security policy
needs no exception.
"""

import hashlib
from collections.abc import Callable, Coroutine, Mapping
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote, urlencode

import orjson
from fastapi import Depends, Request
from fastapi.routing import APIRoute
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, RedirectResponse, Response

from api.console.visitors import Visitor, visitor_of
from api.problems import answer_to
from api.reading import city_of, ledger_asked
from api.requests import Region, Running
from api.runtime import Runtime
from api.wording import Lang, Telling, name_of, yuan
from domain.calendar import zone_of
from domain.events.envelope import kind_of
from domain.ledger.application import Ledger

HERE = Path(__file__).parent
HOME = "/console"
STATIC = ("console.css", "console.js", "icon.svg")
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self';"
    " form-action 'self'; frame-src 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
}
"""A page loads its own style, script and pictures and nothing else; and nobody keeps a customer's history."""


class Page(Telling):
    """A page that is being made: who reads it, in which language, and how its links go on."""

    def __init__(self, request: Request, lang: Lang, runtime: Runtime, region: str | None) -> None:
        super().__init__(lang, region or "")
        self.request, self.runtime = request, runtime
        self.ledger_region = region
        self.asked_region = request.query_params.get("region")
        self.visitor: Visitor = visitor_of(request)
        self.days: tuple[date | None, date | None] = (None, None)
        """The first and the last day a report is about, both counted."""

    @property
    def now(self) -> datetime:
        """The present moment."""
        return self.runtime.clock()

    def ledger(self) -> Ledger:
        """Return the ledger that lists run over; raises ProblemError."""
        return ledger_asked(self.runtime, self.ledger_region)

    @property
    def city(self) -> str | None:
        """The city that lists are of, None for the whole ledger's."""
        return city_of(self.ledger_region)

    def link(self, path: str, **query: object) -> str:
        """Return the address of a page of the console, in this language; parts of None are left out."""
        found: dict[str, object] = {**query}
        if self.asked_region is not None:
            found.setdefault("region", self.asked_region)
        if self.lang != "zh":
            found.setdefault("lang", self.lang)
        given = {k: v for k, v in found.items() if v is not None and v != ""}
        return HOME + path + (f"?{urlencode(given)}" if given else "")

    def to(self, subject: str, page: str = "", **query: object) -> str:
        """Return the address of a subject's page, or of one of its pages."""
        kind, _, name = subject.partition("/")
        return self.link(f"/{kind}/{quote(name, safe='')}{page}", **query)

    def here(self, **changes: object) -> str:
        """Return this page's address with some of its query changed; None takes a part away."""
        given = {**self.request.query_params, **changes}
        kept = {k: v for k, v in given.items() if v is not None and v != ""}
        return self.request.url.path + (f"?{urlencode(kept)}" if kept else "")

    def asked(self) -> Mapping[str, str]:
        """Return what a form has to carry on beside its own fields."""
        carried = {"lang": self.lang if self.lang != "zh" else "", "region": self.asked_region or ""}
        return {k: v for k, v in carried.items() if v}

    def short(self, value: date | datetime | str | None) -> str:
        """Return a day or a moment in figures, in the region's time; a dash for none."""
        if value is None:
            return "—"
        if isinstance(value, str):
            if len(value) <= 10:
                return value
            value = datetime.fromisoformat(value)
        if isinstance(value, datetime):
            return f"{value.astimezone(zone_of(self.region)):%Y-%m-%d %H:%M}"
        return f"{value:%Y-%m-%d}"

    def type_name(self, type_name: str) -> str:
        """Return the short name of an event type."""
        return name_of(type_name, self.lang)

    def render(self, template: str, *, status: int = 200, **given: Any) -> Response:
        """Return the page."""
        text = (
            environment()
            .get_template(template)
            .render(
                page=self,
                t=self.t,
                yuan=yuan,
                link=self.link,
                to=self.to,
                visitor=self.visitor,
                kind_of=kind_of,
                asset=asset,
                section=given.pop("section", ""),
                **given,
            )
        )
        return HTMLResponse(
            text, status, {**HEADERS, "Content-Language": "zh-CN" if self.lang == "zh" else "en"}
        )

    def redirect(self, address: str) -> Response:
        """Return the answer that leads on to another address of the console, after a form or a search."""
        return RedirectResponse(address, 303, HEADERS)


async def _page(request: Request, runtime: Running, lang: Lang = "zh", region: Region = None) -> Page:
    return Page(request, lang, runtime, region)


Asked = Annotated[Page, Depends(_page)]


class PageRoute(APIRoute):
    """A route that answers with pages, also where it says no."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler; what goes wrong in it becomes a page that says what would be right."""
        handle = super().get_route_handler()

        async def shown(request: Request) -> Response:
            try:
                return await handle(request)
            except Exception as error:
                found = answer_to(error)
                if found is None:
                    raise
                return refused(request, found)

        return shown


def refused(request: Request, problem: Response) -> Response:
    """Return the page that says a problem."""
    lang: Lang = "en" if request.query_params.get("lang") == "en" else "zh"
    said = orjson.loads(problem.body)
    page = Page(request, lang, request.app.state.runtime, None)
    answer = page.render("problem.html", status=problem.status_code, problem=said)
    for name in ("retry-after", "allow"):
        if name in problem.headers:
            answer.headers[name] = problem.headers[name]
    return answer


@cache
def environment() -> Environment:
    """Return where the templates are."""
    return Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def static_file(name: str) -> bytes:
    """Return a static file's bytes; raises KeyError for what is none of ours."""
    if name not in STATIC:
        raise KeyError(name)
    return (HERE / "static" / name).read_bytes()


@cache
def asset(name: str) -> str:
    """Return the address of a static file: another one whenever the file changes, so that it may be kept for ever."""
    return f"{HOME}/static/{hashlib.sha256(static_file(name)).hexdigest()[:12]}/{name}"
