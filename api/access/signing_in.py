"""Signs a browser in: the authorisation code flow with PKCE at whichever issuer is configured.

The session cookie is the access token itself, kept from scripts and from other sites: it lets in exactly whom the
token does, until it expires, and only to the pages of the console. Nothing about a session is stored here.
"""

import hmac
import secrets
from typing import Annotated
from urllib.parse import parse_qsl, urlencode

import anyio.to_thread
import httpx
import orjson
from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from api.access.guarding import PAGES, SESSION, SIGN_IN, Access, Client, check_same_site
from api.access.issuer import challenge_of
from api.access.keys import KeysError, is_loopback
from api.access.tokens import TOKEN_MAX_CHARS, TokenError
from api.problems import ProblemError, retry_after

FLOW = "recount_sign_in"
FLOW_LIFE_S = 600  # how long somebody may take at the issuer's page
SIGNED_IN = "/console/signed-in"
SIGN_OUT = "/console/sign-out"
NEXT_MAX_CHARS = 1_000
EXCHANGE_TIMEOUT_S = 10.0
ANSWER_MAX_BYTES = 65_536

router = APIRouter(tags=["public"], include_in_schema=False)


@router.get(SIGN_IN)
async def sign_in(
    request: Request, wanted: Annotated[str, Query(alias="next", max_length=NEXT_MAX_CHARS)] = PAGES
) -> Response:
    """Send a browser to the issuer, and remember in a cookie where it wanted to go."""
    client = _client(request)
    own = _own(request, client)
    state, verifier = secrets.token_urlsafe(24), secrets.token_urlsafe(48)
    asked = {
        "response_type": "code",
        "client_id": client.client_id,
        "redirect_uri": own + SIGNED_IN,
        "state": state,
        "code_challenge": challenge_of(verifier),
        "code_challenge_method": "S256",
    }
    joint = "&" if "?" in client.authorize_url else "?"
    response = RedirectResponse(f"{client.authorize_url}{joint}{urlencode(asked)}", 303)
    flow = urlencode({"state": state, "verifier": verifier, "next": _inside(wanted)})
    _set(response, FLOW, flow, secure=own.startswith("https://"), life_s=FLOW_LIFE_S)
    return response


@router.get(SIGNED_IN)
async def signed_in(
    request: Request,
    code: Annotated[str, Query(max_length=4_096)] = "",
    state: Annotated[str, Query(max_length=NEXT_MAX_CHARS)] = "",
) -> Response:
    """Take the code a browser brings back, get its token, and let the browser in."""
    client = _client(request)
    flow = dict(_parsed(request.cookies.get(FLOW, "")))
    if not code or not hmac.compare_digest(flow.get("state", "").encode(), state.encode()) or not state:
        raise ProblemError("access.sign_in_failed", f"begin again at {SIGN_IN}")
    access: Access = request.app.state.access
    own = _own(request, client)
    token = await _exchanged(client, code, flow.get("verifier", ""), own + SIGNED_IN)
    try:
        await anyio.to_thread.run_sync(access.verify, token)
    except (TokenError, KeysError) as error:
        raise ProblemError("access.sign_in_failed", f"the issuer's token lets nobody in: {error}") from None
    response = RedirectResponse(_inside(flow.get("next", PAGES)), 303)
    _set(response, SESSION, token, secure=own.startswith("https://"))
    response.delete_cookie(FLOW, path=PAGES)
    return response


@router.post(SIGN_OUT)
async def sign_out(request: Request) -> Response:
    """Forget who was signed in."""
    check_same_site(request.scope)
    response = RedirectResponse(PAGES, 303)
    response.delete_cookie(SESSION, path=PAGES)
    return response


def _client(request: Request) -> Client:
    access: Access = request.app.state.access
    if access.client is None:
        raise ProblemError(
            "access.sign_in_failed", "no issuer is configured to sign in at: RECOUNT_AUTHORIZE_URL"
        )
    return access.client


def _own(request: Request, client: Client) -> str:
    """Return our own address as the browser sees it."""
    return client.outside or f"{request.url.scheme}://{request.headers['host']}"


def _inside(wanted: str) -> str:
    """Return where a browser goes on: a page of the console, whatever it was told."""
    plain = wanted.isascii() and wanted.isprintable() and "\\" not in wanted and "//" not in wanted
    return wanted if plain and (wanted == PAGES or wanted.startswith((f"{PAGES}/", f"{PAGES}?"))) else PAGES


def _parsed(text: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(text, max_num_fields=5)
    except ValueError:
        return []


def _set(response: Response, name: str, value: str, *, secure: bool, life_s: int | None = None) -> None:
    """Set a cookie that only the console's pages get, and no script."""
    response.set_cookie(name, value, max_age=life_s, path=PAGES, secure=secure, httponly=True, samesite="lax")


async def _exchanged(client: Client, code: str, verifier: str, redirect_uri: str) -> str:
    """Return the access token for a code; raises ProblemError."""
    asked = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect_uri,
        "client_id": client.client_id,
        "code_verifier": verifier,
    }
    secret = (client.client_id, client.client_secret) if client.client_secret else None
    try:
        async with httpx.AsyncClient(
            timeout=EXCHANGE_TIMEOUT_S, trust_env=not is_loopback(client.token_url)
        ) as http:
            found = await http.post(client.token_url, data=asked, auth=secret or httpx.USE_CLIENT_DEFAULT)
        token = orjson.loads(found.content[:ANSWER_MAX_BYTES])["access_token"]
    except httpx.HTTPError:
        raise ProblemError(
            "access.keys_unavailable", "the issuer does not answer: come back", headers=retry_after()
        ) from None
    except (ValueError, KeyError, TypeError):
        raise ProblemError(
            "access.sign_in_failed", f"the issuer gave no token: begin again at {SIGN_IN}"
        ) from None
    if not isinstance(token, str) or not 0 < len(token) <= TOKEN_MAX_CHARS:
        raise ProblemError("access.sign_in_failed", "the issuer's token is none, or too long")
    return token
