"""The door: every request is let in by its token, or a page's by its session, before anything else of it is read.

`requires(scope)` on a route says who may use it; `check_guarded` refuses an application with a route that says
nothing. Only what stands under PUBLIC is open to everybody.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import anyio.to_thread
from fastapi import Depends, FastAPI, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import RouteContext, iter_route_contexts
from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.types import Scope

from api.access.keys import KeysError
from api.access.limits import Limits
from api.access.principal import SCOPES, Principal
from api.access.tokens import TOKEN_MAX_CHARS, TokenError, Verifier
from api.indexing import RouteIndex
from api.problems import ProblemError, documented, retry_after

PRINCIPAL = "recount.principal"
SESSION = "recount_session"
PAGES = "/console"
SIGN_IN = "/console/sign-in"
FILES = "/console/static/"
PUBLIC = (
    "/healthz", "/readyz", "/metrics", "/docs", "/openapi.json",
    "/.well-known/", "/auth/", SIGN_IN, "/console/signed-in", "/console/sign-out", FILES,
)  # fmt: skip
"""Health, metrics, sign-in, keys and static files (the API's description is one). Ending in /: all below it."""
ENTRANCE = "/"
"""The bare address leads to the console, which asks who it is."""
STATIC = frozenset({"/docs", "/openapi.json"})
"""Public addresses that are no operations of the API, and so have no tag."""
NOT_SIGNED_IN = frozenset({"access.token_missing", "access.token_invalid"})
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

_BEARER = re.compile(r"Bearer +([A-Za-z0-9._~+/=-]+) *\Z", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class Client:
    """How a browser is signed in: the issuer's addresses, and the name under which we are known there.

    `outside` is our own address as browsers see it, where that is not the one asked.
    """

    issuer: str
    authorize_url: str
    token_url: str
    client_id: str
    client_secret: str | None = None
    outside: str | None = None


class Access:
    """What the door knows: how tokens are verified, how often anybody may ask, and how a browser is signed in."""

    def __init__(
        self, verifier: Verifier | None = None, client: Client | None = None, limits: Limits | None = None
    ) -> None:
        """Without a verifier nobody gets in."""
        self.verifier, self.client = verifier, client
        self.limits = limits or Limits()

    def verify(self, token: str) -> Principal:
        """Return whom a token lets in; raises TokenError, KeysError. May fetch keys: not for an event loop."""
        if self.verifier is None:
            raise TokenError("no issuer of tokens is configured here")
        return self.verifier.verify(token)

    async def admit(self, scope: Scope) -> Principal | None:
        """Let a request in by its token or session, or, on a public address, as nobody; raises ProblemError."""
        path = str(scope["path"])
        if is_public(path):
            self.limits.anonymous(scope)
            return None
        page = path == PAGES or path.startswith(f"{PAGES}/")
        try:
            token = _session(scope) if page else _token(scope)
            principal = await self._verified(token, scope)
        except ProblemError as refused:
            self.limits.anonymous(scope)
            if page and refused.code in NOT_SIGNED_IN:
                raise _to_sign_in(scope) from None
            raise
        self.limits.known(principal)
        if page:
            check_same_site(scope)
        scope[PRINCIPAL] = principal
        return principal

    async def _verified(self, token: str, scope: Scope) -> Principal:
        found = self.verifier.kept(token) if self.verifier else None
        if found is not None:
            return found
        self.limits.anonymous(scope, take=False)  # guesses are stopped before they cost a signature
        try:
            return await anyio.to_thread.run_sync(self.verify, token)
        except TokenError as error:
            raise invalid(str(error)) from None
        except KeysError:
            raise ProblemError(
                "access.keys_unavailable",
                "the issuer of tokens does not answer: come back",
                headers=retry_after(),
            ) from None


def is_public(path: str) -> bool:
    """Whether an address is open to everybody."""
    return path == ENTRANCE or any(path.startswith(p) if p.endswith("/") else path == p for p in PUBLIC)


def _token(scope: Scope) -> str:
    given = Headers(scope=scope).getlist("authorization")
    if not given:
        raise ProblemError(
            "access.token_missing",
            "send a token: Authorization: Bearer …",
            headers={"WWW-Authenticate": 'Bearer realm="recount"'},
        )
    found = _BEARER.match(given[0])
    if len(given) != 1 or found is None:
        raise invalid("the header should be Authorization: Bearer and one token")
    return found[1]


def _session(scope: Scope) -> str:
    cookies = cookie_parser("; ".join(Headers(scope=scope).getlist("cookie")))
    found = cookies.get(SESSION, "")
    if not 0 < len(found) <= TOKEN_MAX_CHARS:
        raise ProblemError("access.token_missing", "sign in first")
    return found


def invalid(why: str) -> ProblemError:
    """Return the problem of a token that lets nobody in; `why` is in words of ours."""
    challenge = f'Bearer realm="recount", error="invalid_token", error_description="{why}"'
    return ProblemError("access.token_invalid", why, headers={"WWW-Authenticate": challenge})


def _to_sign_in(scope: Scope) -> ProblemError:
    """Return what sends a browser to sign in, and back to where it wanted to go."""
    wanted = str(scope["path"]) if scope["method"] in SAFE_METHODS else PAGES
    query = scope.get("query_string", b"").decode("ascii", "ignore")
    back = quote(f"{wanted}?{query}" if query and scope["method"] in SAFE_METHODS else wanted, safe="/")
    return ProblemError("access.sign_in", "sign in first", headers={"Location": f"{SIGN_IN}?next={back}"})


def check_same_site(scope: Scope) -> None:
    """Refuse what another site's page makes a browser send with our cookie; raises ProblemError."""
    if scope["method"] in SAFE_METHODS:
        return
    headers = Headers(scope=scope)
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if origin is not None and origin != "null":
        if origin.partition("://")[2].lower() == headers.get("host", "").lower():
            return
    elif site == "same-origin":
        return
    raise ProblemError("access.cross_site", "a form of this console should be sent by its own page")


# -- what a route says ---------------------------------------------------------------------------------------


class Requirement:
    """One of these scopes is needed; as a dependency it gives the principal who has it."""

    def __init__(self, scopes: tuple[str, ...]) -> None:
        self.scopes = scopes

    async def __call__(self, request: Request) -> Principal:
        """Return who asks; raises ProblemError where they may not."""
        return self.check(request.scope)

    def check(self, scope: Scope) -> Principal:
        """Return who asks; raises ProblemError where they may not."""
        principal: Principal | None = scope.get(PRINCIPAL)
        if principal is None:
            raise invalid("nobody was let in here")
        return self.of(principal)

    def of(self, principal: Principal) -> Principal:
        """Return a principal who may; raises ProblemError otherwise."""
        if not principal.may(*self.scopes):
            needed = " ".join(self.scopes)
            challenge = f'Bearer realm="recount", error="insufficient_scope", scope="{needed}"'
            raise ProblemError(
                "access.scope_missing",
                f"this needs a token with the scope {' or '.join(self.scopes)}",
                headers={"WWW-Authenticate": challenge},
            )
        return principal


def requires(*scopes: str) -> Any:
    """Say that a route needs one of these scopes: `dependencies=[requires("billing:read")]`, or a parameter."""
    unknown = set(scopes) - SCOPES.keys()
    if unknown or not scopes:
        raise TypeError(f"scopes are {', '.join(SCOPES)}, not {', '.join(sorted(unknown)) or 'none'}")
    return Depends(Requirement(scopes))


def requirements(dependant: Dependant) -> Iterator[Requirement]:
    """Yield what a route requires, in the order it is checked."""
    for part in dependant.dependencies:
        if isinstance(part.call, Requirement):
            yield part.call
        yield from requirements(part)


def page_principal(request: Request) -> Principal | None:
    """Return who is signed in, for a page that shows it."""
    found: Principal | None = request.scope.get(PRINCIPAL)
    return found


# -- no route without ----------------------------------------------------------------------------------------


class UnguardedRouteError(Exception):
    """A route says neither which scope it needs nor that it is public."""


def check_guarded(app: FastAPI) -> None:
    """Check that every route requires a scope, or is public by its tag and its address; raises UnguardedRouteError."""
    for context in iter_route_contexts(app.routes):
        if isinstance(context.original_route, RouteIndex):
            continue  # it finds routes that stand in the list as well
        wrong = _unguarded(context)
        if wrong:
            raise UnguardedRouteError(f"{context.path or context.original_route}: {wrong}")


def _unguarded(context: RouteContext) -> str | None:
    """Return what is wrong with a route, None where nothing is."""
    path = context.path
    if path is None:
        return "a route without a path can't be guarded"
    dependant = getattr(context, "dependant", None)
    tags = getattr(context, "tags", [])
    files = dependant is None and f"{path}/".startswith(FILES)
    if "public" in tags or path in STATIC or files:
        allowed = is_public(f"{path}/" if files else path)
        return None if allowed else f"only {', '.join(PUBLIC)} may be public"
    if dependant is None or next(requirements(dependant), None) is None:
        return "say requires(scope), or tag it public"
    return f"{path} is open to everybody: it can require no scope" if is_public(path) else None


def documented_scopes(app: FastAPI, document: dict[str, Any]) -> None:
    """Say in an OpenAPI document which token each operation needs."""
    schemes = document.setdefault("components", {}).setdefault("securitySchemes", {})
    schemes["token"] = {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "an OAuth 2 token",
    }
    needed = {}
    for context in iter_route_contexts(app.routes):
        dependant = getattr(context, "dependant", None)
        if dependant is not None:
            found = next(requirements(dependant), None)
            for method in context.methods or ():
                needed[context.path_format, method.lower()] = found
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            requirement = needed.get((path, method))
            if requirement is not None:
                operation["security"] = [{"token": [scope]} for scope in requirement.scopes]
                _document_refusals(operation)


def _document_refusals(operation: dict[str, Any]) -> None:
    for status, said in documented(
        "access.token_missing", "access.scope_missing", "access.other_region", "access.too_many_requests"
    ).items():
        operation["responses"].setdefault(str(status), said)
