"""The door as a browser and an attacker meet it: signing in, sessions, rates, headers, and errors that say nothing."""

import re
import socket
from urllib.parse import parse_qs, urlsplit

import httpx
import orjson
import psycopg
import pytest

from api.access.guarding import SESSION
from api.access.issuer import CLIENT_ID, PEOPLE, challenge_of
from api.access.limits import BURST_S, Buckets, Limits, network_of
from api.access.principal import principal_of
from api.logging import configure
from api.problems import ProblemError
from api.runtime import Runtime
from domain.ledger.database import CONTROL_SCHEMA
from tests.http_service import PERSONAL, Client, problem, serving

pytest_plugins = ["tests.http_fixtures"]

VERIFIER = "v" * 50


def asked(client: Client, **changed: str) -> dict[str, str]:
    """Return what a browser is sent to the issuer with."""
    return {
        "response_type": "code",
        "client_id": CLIENT_ID,
        "redirect_uri": f"{client.base_url}/console/signed-in",
        "state": "s",
        "code_challenge": challenge_of(VERIFIER),
        "code_challenge_method": "S256",
        **changed,
    }


@pytest.fixture
def browser(seen: Client):
    """Return a browser that is nobody yet."""
    with httpx.Client(base_url=seen.base_url, timeout=20, follow_redirects=False) as made:
        yield made


@pytest.mark.storage
def test_a_browser_signs_in_and_comes_back_to_where_it_wanted_to_go(seen: Client, browser: httpx.Client):
    """The issuer's page lists the people; the one chosen comes back with a session no script can read."""
    begun = browser.get("/console/sign-in?next=/console/cases?owner=S-90")
    assert begun.status_code == 303
    at = urlsplit(begun.headers["location"])
    query = {k: v[0] for k, v in parse_qs(at.query).items()}
    assert (at.path, query["code_challenge_method"], query["client_id"]) == (
        "/auth/authorize",
        "S256",
        CLIENT_ID,
    )
    page = browser.get(begun.headers["location"])
    assert all(person.title in page.text for person in PEOPLE.values())
    assert "form-action 'self'" in page.headers["content-security-policy"]
    hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page.text))
    chosen = browser.post("/auth/authorize", data={**hidden, "person": "investigator-a"})
    back = browser.get(chosen.headers["location"])
    assert (back.status_code, back.headers["location"]) == (303, "/console/cases?owner=S-90")
    cookie = next(c for c in back.headers.get_list("set-cookie") if c.startswith(SESSION))
    assert {"HttpOnly", "Path=/console", "SameSite=lax"} <= {p.strip() for p in cookie.split(";")}
    assert "Secure" not in cookie  # http on loopback
    token = browser.cookies[SESSION]
    assert seen.issuer.access().verify(token).subject == "staff/S-90"
    again = browser.get(chosen.headers["location"])
    problem(again, 400, "access.sign_in_failed")
    out = browser.post("/console/sign-out", headers={"Origin": seen.base_url})
    assert out.status_code == 303
    assert SESSION not in browser.cookies


@pytest.mark.storage
@pytest.mark.parametrize(
    "wanted", ["https://evil.example", "//evil.example", "/\\evil.example", "/console//evil.example", "/crm",
               "/consolex", "/console/\r\nSet-Cookie: a=b", "javascript:alert(1)", "/console/x\\y"],
)  # fmt: skip
def test_signing_in_leads_nowhere_else(seen: Client, browser: httpx.Client, wanted: str):
    """Whatever it was told to go on to, it is a page of the console."""
    begun = browser.get("/console/sign-in", params={"next": wanted})
    query = {k: v[0] for k, v in parse_qs(urlsplit(begun.headers["location"]).query).items()}
    made = browser.post("/auth/authorize", data={**_sent(query), "person": "clerk"})
    back = browser.get(made.headers["location"])
    assert (back.status_code, back.headers["location"]) == (303, "/console")


def _sent(query: dict[str, str]) -> dict[str, str]:
    return {k: v for k, v in query.items() if k != "response_type"}


@pytest.mark.storage
@pytest.mark.parametrize(
    "changed",
    [
        {"client_id": "another"},
        {"redirect_uri": "https://evil.example/console/signed-in"},
        {"redirect_uri": "http://127.0.0.1:1/console/signed-in"},
        {"code_challenge_method": "plain"},
        {"code_challenge_method": ""},
        {"code_challenge": ""},
        {"code_challenge": "short"},
        {"code_challenge": "!" * 43},
    ],
)
def test_the_issuer_gives_codes_only_to_the_console_and_with_pkce(
    seen: Client, browser: httpx.Client, changed
):
    """What was not checked is sent nowhere: the browser stays here."""
    given = asked(seen, **changed)
    for found in (
        browser.get("/auth/authorize", params=given),
        browser.post("/auth/authorize", data={**_sent(given), "person": "admin"}),
    ):
        problem(found, 400, "access.sign_in_failed")


@pytest.mark.storage
def test_a_stolen_code_is_worth_nothing(seen: Client, browser: httpx.Client):
    """Without the verifier, with another, or a second time: invalid_grant."""
    sent = {**_sent(asked(seen)), "person": "admin"}

    def redeem(**changed: str) -> httpx.Response:
        at = browser.post("/auth/authorize", data=sent).headers["location"]
        code = parse_qs(urlsplit(at).query)["code"][0]
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": asked(seen)["redirect_uri"],
                "client_id": CLIENT_ID, "code_verifier": VERIFIER, **changed}  # fmt: skip
        return browser.post("/auth/token", data=form)

    granted = redeem().json()
    assert (granted["token_type"], granted["expires_in"]) == ("Bearer", 3_600)
    assert seen.issuer.access().verify(granted["access_token"]).subject == "staff/S-00"
    for changed in (
        {"code_verifier": ""},
        {"code_verifier": "w" * 50},
        {"redirect_uri": "http://x"},
        {"code": "x"},
    ):
        assert redeem(**changed).json()["error"] == "invalid_grant"
    for changed in ({"grant_type": "password"}, {"client_id": "x"}, {"grant_type": "client_credentials"}):
        found = redeem(**changed)
        assert (found.status_code, found.json()["error"]) == (400, "unsupported_grant_type")


@pytest.mark.storage
def test_another_sites_sign_in_is_not_completed(seen: Client, browser: httpx.Client):
    """A code that was not begun here (no cookie, another state) lets nobody in."""
    begun = browser.get("/console/sign-in")
    query = {k: v[0] for k, v in parse_qs(urlsplit(begun.headers["location"]).query).items()}
    at = browser.post("/auth/authorize", data={**_sent(query), "person": "admin"}).headers["location"]
    with httpx.Client(base_url=seen.base_url) as stranger:
        problem(stranger.get(at), 400, "access.sign_in_failed")
    problem(browser.get(at.replace("state=", "state=x")), 400, "access.sign_in_failed")
    problem(browser.get("/console/signed-in"), 400, "access.sign_in_failed")


@pytest.mark.storage
def test_keys_and_metadata_are_published_and_nothing_private(seen: Client, browser: httpx.Client):
    """What any OAuth 2 client reads first."""
    found = browser.get("/.well-known/openid-configuration").json()
    assert found["issuer"] == seen.base_url
    keys = browser.get(found["jwks_uri"]).json()["keys"]
    assert [sorted(k) for k in keys] == [["alg", "crv", "kid", "kty", "use", "x", "y"]]


@pytest.mark.storage
def test_one_line_gets_a_token(seen: Client, browser: httpx.Client):
    """For a shell: the token alone, as text; nobody else than the people listed."""
    for name, person in PEOPLE.items():
        found = browser.post("/auth/demo-token", data={"person": name})
        assert found.headers["content-type"].startswith("text/plain")
        assert seen.issuer.access().verify(found.text).subject == person.subject
    problem(browser.post("/auth/demo-token", data={"person": "root"}), 400, "access.sign_in_failed")
    problem(browser.post("/auth/demo-token"), 400, "access.sign_in_failed")


# -- rates


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_holds_a_burst_and_fills_again():
    """Ten seconds' worth at once, then as many as the rate; the wait is said."""
    clock = Clock()
    buckets = Buckets(clock)
    taken = sum(buckets.wait_s("a", 5.0) == 0 for _ in range(200))
    assert taken == 5 * BURST_S
    assert buckets.wait_s("a", 5.0) == pytest.approx(0.2)
    assert buckets.wait_s("b", 5.0) == 0
    clock.now += 1
    assert sum(buckets.wait_s("a", 5.0) == 0 for _ in range(10)) == 5


def test_buckets_are_bounded():
    """However many names come, and whoever was seen last keeps theirs."""
    buckets = Buckets(Clock(), max_names=100)
    for number in range(1_000):
        buckets.wait_s(f"n{number}", 1.0)
        buckets.wait_s("mine", 1.0)
    assert len(buckets) == 100
    assert buckets.wait_s("mine", 1.0) > 0


def test_who_has_many_addresses_has_one_bucket():
    """An IPv6 network of one customer counts as one; a strange address is bounded."""
    assert network_of("2001:db8:1:2::1") == network_of("2001:db8:1:2:ffff::9")
    assert network_of("2001:db8:1:2::1") != network_of("2001:db8:1:3::1")
    assert network_of("192.0.2.1") != network_of("192.0.2.2")
    assert len(network_of("x" * 1_000)) == 64


def test_people_and_systems_have_their_own_rates():
    """A person is stopped where a system goes on; no rate is no limit."""
    limits = Limits(1.0, 100.0, 1.0)
    person, system = (principal_of(s, [], []) for s in ("staff/S-1", "system/crm"))
    for _ in range(10):
        limits.known(person)
    with pytest.raises(ProblemError) as caught:
        limits.known(person)
    assert caught.value.headers == {"Retry-After": "1"}
    for _ in range(500):
        limits.known(system)
    unlimited = Limits(0, 0, 0)
    for _ in range(100):
        unlimited.known(person)


@pytest.mark.storage
def test_too_many_requests_are_turned_away_and_told_when_to_come_back(runtime: Runtime):
    """429 with Retry-After, for a principal and for an address that nobody is known at; others are not touched."""
    with serving(runtime, Limits(1.0, 5_000, 1.0)) as client:
        one, other = client.as_(subject="staff/S-1"), client.as_(subject="staff/S-2")
        answers = [one.get("/feeds") for _ in range(12)]
        assert {r.status_code for r in answers[:10]} == {200}
        found = problem(answers[-1], 429, "access.too_many_requests")
        assert int(answers[-1].headers["retry-after"]) >= 1
        assert found["detail"]
        assert other.get("/feeds").status_code == 200
        guesses = [client.with_token(f"x{n}").get("/feeds") for n in range(12)]
        assert (guesses[0].status_code, guesses[-1].status_code) == (401, 429)
        assert other.get("/feeds").status_code == 200


# -- headers, and what errors say


@pytest.mark.storage
def test_every_answer_has_the_security_headers(seen: Client, browser: httpx.Client):
    """Answers, problems and pages alike: no sniffing, framing, keeping; nothing from elsewhere."""
    for found in (
        seen.get("/billing/accounts/A-FTTH"),
        browser.get("/billing/accounts/A-FTTH"),
        browser.get("/nowhere"),
        browser.get("/docs"),
        seen.get("/investigations/party/P-HRB/dossier"),
        browser.get("/auth/authorize", params=asked(seen)),
        browser.get("/healthz"),
    ):
        assert found.headers["x-content-type-options"] == "nosniff"
        assert found.headers["referrer-policy"] == "no-referrer"
        assert found.headers["cache-control"] == "no-store"
        assert "frame-ancestors 'none'" in found.headers["content-security-policy"]
        assert "default-src 'none'" in found.headers["content-security-policy"]
        assert "strict-transport-security" not in found.headers


@pytest.mark.storage
def test_a_body_of_nobody_is_never_read(seen: Client):
    """Whoever is turned away is so by the head of the request alone: 401 while the body is still to come."""
    host, port = seen.base_url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as raw:
        raw.sendall(b"POST /crm/parties/P-1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n")
        assert raw.recv(1024).startswith(b"HTTP/1.1 401")


SECRETS = ("SELECT", "Traceback", "psycopg", 'File "', "relation", "password", *PERSONAL)


@pytest.mark.storage
def test_no_error_says_how_it_came_about(
    harbin: Client, runtime: Runtime, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    """Errors of the database, of ours, and of tokens: no SQL, no trace, nothing personal, in answers and in logs."""
    name = PERSONAL[0]

    def broken(*_: object, **__: object) -> None:
        with runtime.deployment.database.connection(CONTROL_SCHEMA) as connection:
            connection.execute(f"SELECT '{name}' FROM there_is_no_such_table_as_this".encode())

    def worse(*_: object, **__: object) -> None:
        try:
            broken()
        except psycopg.Error as error:
            raise RuntimeError(f"password of {name}") from error

    def unique(*_: object, **__: object) -> None:
        raise psycopg.errors.UniqueViolation(f"Key (name)=({name}) already exists.")

    configure("DEBUG")
    for failing in (broken, worse, unique):
        monkeypatch.setattr(runtime.deployment, "question", failing)
        found = harbin.get("/crm/accounts/A-FTTH")
        assert found.status_code in (500, 503)
        assert not any(secret in found.text for secret in SECRETS)
    token = harbin.issuer.signed(name, [], [name])
    assert not any(secret in harbin.with_token(token).get("/feeds").text for secret in SECRETS)
    harbin.get(f"/billing/accounts?party_id={name}&after={name}")
    harbin.post(
        "/crm/parties/P-1", content=f'{{"actor": "{name}"}}', headers={"Content-Type": "application/json"}
    )
    logged = capfd.readouterr().err
    lines = [orjson.loads(line) for line in logged.splitlines() if line.startswith("{")]
    failed = [line for line in lines if line["event"] == "request failed"]
    assert [line["error"][0] for line in failed] == ["RuntimeError", "UniqueViolation"]
    assert failed[0]["error"] == ["RuntimeError", "UndefinedTable"]
    assert any("test_access_door.py" in place for place in failed[0]["where"])
    assert not any(secret in logged.replace("psycopg/", "") for secret in SECRETS), logged
    assert token not in logged
