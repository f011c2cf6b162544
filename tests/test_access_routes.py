"""Deny by default: every address that is not public, with no token, a bad one, another scope, another region."""

import re
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.routing import iter_route_contexts
from joserfc.jwk import ECKey

from api.access import SCOPES, requires
from api.access.guarding import PUBLIC, UnguardedRouteError, check_guarded, is_public, requirements
from api.access.issuer import LocalIssuer
from api.app import build
from tests.http_service import Client

pytest_plugins = ["tests.http_fixtures"]

APP = build(SimpleNamespace(deployment=None))  # type: ignore[arg-type]
DOCUMENT = APP.openapi()
IDS = {
    "accounts": "A-FTTH",
    "parties": "P-HRB",
    "dealers": "D-17",
    "cases": "C-HRB",
    "rulebooks": "heilongjiang",
}
QUERIES = {"/investigations/{kind}/{id}/comparison": "?with_known_at=now"}
OTHERS = {"{kind}": "party", "{ledger}": "heilongjiang", "{table}": "statement_line"}
HARBIN = re.compile(r"A-FTTH|P-HRB|C-HRB|A-NETCOM|D-17|NUM-1|harbin-\d|heilongjiang\.harbin")
"""What stands in the Harbin case: none of it is for anybody of another region."""


class Address(NamedTuple):
    """A route that is not public, with an example of what it is asked."""

    method: str
    path: str
    template: str
    scopes: tuple[str, ...]
    body: Any

    def ask(self, client: Client) -> Any:
        headers = {"Idempotency-Key": "walk"} if self.method == "POST" else {}
        body = {} if self.body is None else {"json": self.body}
        with client.http.stream(
            self.method, self.path, headers=headers, follow_redirects=False, **body
        ) as found:
            if "text/event-stream" not in found.headers.get("content-type", ""):
                found.read()
            return found


def _filled(template: str) -> str:
    found = template
    for name, value in OTHERS.items():
        found = found.replace(name, value)
    plural = template.split("/")[2] if template.count("/") > 1 else ""
    return found.replace("{id}", IDS.get(plural, "P-HRB")) + QUERIES.get(template, "")


def _example(template: str, method: str) -> Any:
    content = (
        DOCUMENT["paths"].get(template, {}).get(method.lower(), {}).get("requestBody", {}).get("content", {})
    )
    media = content.get("application/json", {})
    return next((e["value"] for e in media.get("examples", {}).values()), {} if method == "POST" else None)


def addresses() -> list[Address]:
    found = []
    for context in iter_route_contexts(APP.routes):
        path, dependant = context.path_format or "", getattr(context, "dependant", None)
        # what finds a command's route by its shape has no scope of its own
        if dependant is None or is_public(path):
            continue
        needed = next(iter(requirements(dependant))).scopes
        found += [
            Address(method, _filled(path), path, needed, _example(path, method))
            for method in sorted((context.methods or set()) - {"HEAD"})
        ]
    return found


ADDRESSES = addresses()
API = [a for a in ADDRESSES if not a.path.startswith("/console")]


def strangers(client: Client) -> dict[str, str]:
    """Return tokens that let nobody in."""
    issuer = client.issuer
    every = {"subject": "staff/S-1", "scopes": SCOPES, "regions": ["*"]}
    good = issuer.signed(**every)
    other = LocalIssuer(
        issuer.url, ECKey.import_key({**ECKey.generate_key("P-256").as_dict(private=True), "kid": "k"})
    )
    head, payload, signature = good.split(".")
    return {
        "": "access.token_missing",
        issuer.signed(**every, life_s=-3_600): "access.token_invalid",
        issuer.signed(**every, aud="another"): "access.token_invalid",
        issuer.signed(**every, iss="https://another.example"): "access.token_invalid",
        issuer.signed(**every, nbf=32_503_680_000): "access.token_invalid",
        other.signed(**every): "access.token_invalid",
        f"eyJhbGciOiJub25lIn0.{payload}.": "access.token_invalid",
        f"{head}.{payload}.{signature[:-4]}AAAA": "access.token_invalid",
        f"{head}.{payload[:-8]}.{signature}": "access.token_invalid",
        "x": "access.token_invalid",
    }


def test_the_walk_sees_every_address():
    """Each operation of the OpenAPI document that is not public is walked, and says which scope it needs."""
    walked = {(a.template, a.method.lower()) for a in API}
    for path, operations in DOCUMENT["paths"].items():
        for method, operation in operations.items():
            if "public" in operation["tags"]:
                assert is_public(path)
                assert "security" not in operation
            else:
                assert (path, method) in walked
                assert {s for one in operation["security"] for s in one["token"]} <= SCOPES.keys()
                assert {"401", "403", "429"} <= operation["responses"].keys()
    assert len(API) > 100


@pytest.mark.storage
def test_nobody_gets_in_without_a_good_token(seen: Client):
    """401 with WWW-Authenticate at every address, whatever the body; of a page of the console the way to sign in."""
    for token, code in strangers(seen).items():
        client = seen.with_token(token)
        for address in ADDRESSES:
            found = address.ask(client)
            if address.path.startswith("/console"):
                assert (found.status_code, found.headers["location"].partition("?")[0]) == (
                    303,
                    "/console/sign-in",
                ), address
                continue
            assert (found.status_code, found.json()["code"]) == (401, code), address
            assert found.headers["www-authenticate"].startswith('Bearer realm="recount"')


@pytest.mark.storage
def test_a_session_is_no_key_to_the_api(seen: Client):
    """Its cookie opens pages and nothing else: 401."""
    cookie = seen.signed_in()
    cookie.http.headers["Cookie"] = f"recount_session={cookie.http.cookies['recount_session']}"
    for address in API:
        assert address.ask(cookie).status_code == 401, address


@pytest.mark.storage
@pytest.mark.parametrize("scope", SCOPES)
def test_another_scope_is_not_enough(seen: Client, scope: str):
    """403 at every address that needs another one, before anything is looked at; the answer names what is needed."""
    client = seen.as_(scopes=[scope], acts_for=["*"])
    for address in API:
        if scope in address.scopes:
            continue
        found = address.ask(client)
        assert (found.status_code, found.json()["code"]) == (403, "access.scope_missing"), address
        assert f'scope="{" ".join(address.scopes)}"' in found.headers["www-authenticate"]


@pytest.mark.storage
@pytest.mark.parametrize("regions", [["heilongjiang.daqing"], ["jilin"], []])
def test_another_region_sees_and_changes_nothing_of_harbin(seen: Client, regions: list[str]):
    """Single subjects are 404 or 403, lists empty, commands change nothing; no answer has anything of Harbin."""
    client = seen.as_(regions=regions, acts_for=["*"])
    before = seen.get("/feeds").json()
    for address in API:
        if address.path == "/crm/batch":  # each line of it is an address of its own: tests/test_http_batch.py
            continue
        found = address.ask(client)
        if "{id}" in address.template or address.method == "POST":
            assert found.status_code in (403, 404), (address, found.text)
        else:
            assert found.status_code in (200, 403, 404, 422), (address, found.text)
        if "text/event-stream" not in found.headers["content-type"]:
            # It names what was asked for, and the form of a region.
            asked = re.split("[/?]", address.path)[3] if "{id}" in address.template else "(none)"
            hints = found.text.replace(asked, "").replace("as heilongjiang.harbin", "")
            assert not HARBIN.search(hints), (address, found.text)
    assert seen.get("/feeds").json() == before


@pytest.mark.storage
def test_the_right_scope_and_region_get_in(seen: Client):
    """The same walk with all scopes in Harbin is turned away nowhere for who asks."""
    client = seen.as_(regions=["heilongjiang.harbin"], acts_for=["*"])
    for address in API:
        if address.method == "GET":
            found = address.ask(client)
            assert found.status_code not in (401, 403), (address, found.text)
    assert client.get("/billing/accounts/A-FTTH").json()["balance_fen"] == 45_460


def test_an_application_with_an_unguarded_route_is_not_built():
    """Neither one that says nothing, nor one that calls itself public where nothing may be."""

    def endpoint() -> None:
        pass

    def made(**given: Any) -> FastAPI:
        app, router = FastAPI(docs_url=None, redoc_url=None), APIRouter()
        path = given.pop("path", "/secret")
        router.add_api_route(path, endpoint, **given)
        app.include_router(router)
        return app

    for given in (
        {},
        {"tags": ["public"]},
        {"path": "/crm/x", "tags": ["public"]},
        {"include_in_schema": False},
    ):
        with pytest.raises(UnguardedRouteError):
            check_guarded(made(**given))
    with pytest.raises(UnguardedRouteError):  # the door is open there: a scope would be an illusion
        check_guarded(made(path="/auth/x", dependencies=[requires("admin")]))
    plain = FastAPI(docs_url=None, redoc_url=None)
    plain.add_route("/plain", lambda _request: None)
    with pytest.raises(UnguardedRouteError):
        check_guarded(plain)
    mounted = FastAPI(docs_url=None, redoc_url=None)
    mounted.mount("/files", FastAPI())
    with pytest.raises(UnguardedRouteError):
        check_guarded(mounted)
    check_guarded(made(dependencies=[requires("admin")]))
    check_guarded(made(path="/healthz", tags=["public"]))
    with pytest.raises(TypeError):
        requires("everything")
    with pytest.raises(TypeError):
        requires()


def test_only_health_metrics_sign_in_keys_and_files_are_public():
    """Every address the door leaves open is one of these."""
    assert all(
        re.match(
            r"/(healthz|readyz|metrics|docs|openapi\.json|\.well-known/|auth/|console/(sign|static/))", p
        )
        for p in PUBLIC
    )
    for path in (
        "/healthz/../crm",
        "/healthzx",
        "//healthz",
        "/auth",
        "/metrics/",
        "/Auth/x",
        "/console/sign-inx",
    ):
        assert not is_public(path), path
