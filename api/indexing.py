"""Finds the route of a command by the shape of its address.

The framework tries one route after the other, and there are over a hundred: a third of what a command costs here.
"""

from collections.abc import Iterable

from fastapi.routing import APIRoute
from starlette._utils import get_route_path
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

ID = "{id}"


class RouteIndex(BaseRoute):
    """Stands before all other routes; what it does not know, they are asked for one by one, as ever.

    It knows routes of one method whose address has one `{id}` and nothing else that varies, all in the same place.
    """

    def __init__(self, routes: Iterable[APIRoute], method: str, place: int) -> None:
        self._method = method
        self._place = place
        self._routes = {r.path: r for r in routes if r.methods == {method} and self._shape(r.path) == r.path}

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Return the route's own answer, where there is one of this shape."""
        if scope["type"] != "http" or scope["method"] != self._method:
            return Match.NONE, {}
        route = self._routes.get(self._shape(get_route_path(scope)))
        return (Match.NONE, {}) if route is None else route.matches(scope)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the route that was found answer."""
        await scope["route"].handle(scope, receive, send)

    def _shape(self, path: str) -> str:
        parts = path.split("/")
        if len(parts) > self._place:
            parts[self._place] = ID
        return "/".join(parts)
