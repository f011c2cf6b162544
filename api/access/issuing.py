"""The addresses of the local issuer: its keys and metadata, a page to choose a person on, and tokens for codes.

Installed by `demo` and `serve --dev`, and nowhere else.
"""

from html import escape
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, FastAPI, Form, Query
from starlette.responses import HTMLResponse, RedirectResponse, Response

from api.access.guarding import check_guarded
from api.access.issuer import PEOPLE, TOKEN_LIFE_S, IssuerError, LocalIssuer
from api.problems import ProblemError
from api.requests import answer

PARAMETER_MAX_CHARS = 1_000
STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:32rem;margin:3rem auto;padding:0 1rem;color:#1b1f24}
button{display:block;width:100%;text-align:left;font:inherit;padding:.6rem .8rem;margin:.5rem 0;cursor:pointer}
small{display:block;color:#57606a}
"""
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self' {back}; base-uri 'none';"
    " frame-ancestors 'none'"
)

Asked = Annotated[str, Query(max_length=PARAMETER_MAX_CHARS)]
Sent = Annotated[str, Form(max_length=PARAMETER_MAX_CHARS)]


def install(app: FastAPI, issuer: LocalIssuer) -> None:
    """Add the issuer's addresses to an application."""
    router = APIRouter(tags=["public"], include_in_schema=False)

    @router.get("/.well-known/jwks.json")
    async def keys() -> Response:
        return answer(issuer.jwks)

    @router.get("/.well-known/openid-configuration")
    @router.get("/.well-known/oauth-authorization-server")
    async def metadata() -> Response:
        return answer(issuer.metadata)

    @router.get("/auth/authorize")
    async def choose(
        client_id: Asked = "",
        redirect_uri: Asked = "",
        state: Asked = "",
        code_challenge: Asked = "",
        code_challenge_method: Asked = "",
    ) -> Response:
        _check(issuer, client_id, redirect_uri, code_challenge, code_challenge_method)
        hidden = {
            "client_id": client_id,
            "redirect_uri": redirect_uri,
            "state": state,
            "code_challenge": code_challenge,
            "code_challenge_method": code_challenge_method,
        }
        headers = {
            "Content-Security-Policy": POLICY.format(back=redirect_uri.removesuffix("/console/signed-in"))
        }
        return HTMLResponse(_page(hidden), headers=headers)

    @router.post("/auth/authorize")
    async def chosen(
        *,
        person: Sent = "",
        client_id: Sent = "",
        redirect_uri: Sent = "",
        code_challenge: Sent = "",
        code_challenge_method: Sent = "",
        state: Sent = "",
    ) -> Response:
        _check(issuer, client_id, redirect_uri, code_challenge, code_challenge_method)
        found = PEOPLE.get(person)
        if found is None:
            raise ProblemError("access.sign_in_failed", f"person should be one of {', '.join(PEOPLE)}")
        code = issuer.code(found, redirect_uri, code_challenge)
        return RedirectResponse(f"{redirect_uri}?{urlencode({'code': code, 'state': state})}", 303)

    @router.post("/auth/token")
    async def redeem(
        grant_type: Sent = "",
        code: Sent = "",
        redirect_uri: Sent = "",
        code_verifier: Sent = "",
        client_id: Sent = "",
    ) -> Response:
        if grant_type != "authorization_code" or client_id != issuer.client.client_id:
            return _refused(IssuerError("unsupported_grant_type", "grant_type should be authorization_code"))
        try:
            person = issuer.redeem(code, redirect_uri, code_verifier)
        except IssuerError as error:
            return _refused(error)
        granted = {
            "access_token": issuer.token(person),
            "token_type": "Bearer",
            "expires_in": TOKEN_LIFE_S,
            "scope": " ".join(person.scopes),
        }
        return answer(granted)

    @router.post("/auth/demo-token")
    async def demo_token(person: Sent = "") -> Response:
        found = PEOPLE.get(person)
        if found is None:
            raise ProblemError("access.sign_in_failed", f"person should be one of {', '.join(PEOPLE)}")
        return Response(issuer.token(found), 200, None, "text/plain")

    app.include_router(router)
    check_guarded(app)


def _check(issuer: LocalIssuer, client_id: str, redirect_uri: str, challenge: str, method: str) -> None:
    """Check what a browser was sent with. What is wrong is shown here: an address nobody checked gets nothing."""
    try:
        issuer.check_request(client_id, redirect_uri, challenge, method)
    except IssuerError as error:
        raise ProblemError("access.sign_in_failed", str(error)) from None


def _refused(error: IssuerError) -> Response:
    return answer({"error": error.code, "error_description": str(error)}, status=400)


def _page(hidden: dict[str, str]) -> str:
    fields = "".join(f'<input type="hidden" name="{n}" value="{escape(v)}">' for n, v in hidden.items())
    people = "".join(
        f'<button name="person" value="{p.name}">{escape(p.title)}'
        f"<small>{p.subject}: {escape(', '.join(p.scopes))}; {escape(', '.join(p.regions))}</small></button>"
        for p in PEOPLE.values()
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Recount: sign in</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body>'
        "<main><h1>Who are you today?</h1><p>The people of the demonstration. Nobody here has a password: this page is"
        f' on loopback only.</p><form method="post" action="/auth/authorize">{fields}{people}</form></main>'
        "</body></html>"
    )
