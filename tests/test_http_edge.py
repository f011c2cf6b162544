"""What every request goes through: problems, bounds, hosts, ids, logs, health and metrics."""

import socket

import httpx
import pytest
import structlog

import api.health
from api.requests import BODY_MAX_BYTES, QUERY_MAX_BYTES
from api.runtime import READ_MODELS, Runtime
from domain.ledger.database import StorageError
from projections.engine import catch_up
from tests.http_service import REGION, Client, problem

pytest_plugins = ["tests.http_fixtures"]
pytestmark = pytest.mark.storage
JSON = {"Idempotency-Key": "k", "Content-Type": "application/json"}


def test_an_unknown_address_is_a_problem(seen: Client):
    """404 with a stable code."""
    problem(seen.get("/nowhere/用户乙?q=18600000002"), 404, "route.unknown")
    problem(seen.get("/crm/accounts/A-1/packages/deeper"), 404, "route.unknown")


def test_an_unknown_method_is_a_problem(seen: Client):
    """405 with the methods that are known."""
    found = seen.request("DELETE", "/crm/accounts/A-1")
    problem(found, 405, "method.not_allowed")
    assert found.headers["allow"]


@pytest.mark.parametrize(
    "body", [b"{", b"\xff\xfe", b'{"a": NaN}', b'{"a": "\\ud800"}', b"[" * 5_000, "用户甲".encode()]
)
def test_a_body_that_is_not_json_is_a_problem(seen: Client, body: bytes):
    """400, and nothing of the body in it."""
    problem(seen.post("/crm/parties/P-1", content=body, headers=JSON), 400, "request.malformed_json")


@pytest.mark.parametrize("body", [b"", b"[]", b"1", b'"text"', b"null"])
def test_a_body_that_is_no_object_is_a_problem(seen: Client, body: bytes):
    """422 says that it should be an object."""
    problem(seen.post("/crm/parties/P-1", content=body, headers=JSON), 422, "request.invalid")


@pytest.mark.parametrize(
    "kind", [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]
)
def test_a_body_that_a_foreign_page_could_send_is_not_read(seen: Client, kind: str | None):
    """415 for whatever is not application/json."""
    headers = {"Idempotency-Key": "k", **({"Content-Type": kind} if kind else {})}
    problem(seen.post("/crm/parties/P-1", content=b"{}", headers=headers), 415, "body.unsupported_type")


def test_a_body_that_is_too_large_is_turned_away_by_its_announcement(seen: Client):
    """413 before the body is read."""
    large = b'{"actor": "' + b"x" * BODY_MAX_BYTES + b'"}'
    problem(seen.post("/crm/parties/P-1", content=large, headers=JSON), 413, "body.too_large")


def test_a_body_that_is_too_large_is_turned_away_while_it_streams(seen: Client):
    """413 also where no length was announced, and before all of it came."""
    host, port = seen.base_url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as raw:
        raw.sendall(
            b"POST /crm/parties/P-1 HTTP/1.1\r\nHost: localhost\r\nIdempotency-Key: k\r\n"
            + f"Authorization: {seen.http.headers['authorization']}\r\n".encode()
            + b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
        for _ in range(5):  # 320 KiB, and no end of the body
            raw.sendall(chunk)
        assert raw.recv(1024).startswith(b"HTTP/1.1 413")


def test_a_body_at_the_bound_is_read(seen: Client):
    """The largest body that is allowed comes to the handler."""
    body = b'{"actor": "' + b"x" * (BODY_MAX_BYTES - 13) + b'"}'
    assert len(body) == BODY_MAX_BYTES
    problem(seen.post("/crm/parties/P-1", content=body, headers=JSON), 422, "request.invalid")


def test_queries_and_headers_have_bounds(seen: Client):
    """414 and 431."""
    problem(seen.get("/feeds?" + "x" * (QUERY_MAX_BYTES + 1)), 414, "query.too_long")
    problem(seen.get("/feeds", headers={"X-Large": "x" * 20_000}), 431, "headers.too_large")


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil:80", "[::2]", ""])
def test_another_sites_name_for_this_host_is_not_served(seen: Client, host: str):
    """421: a browser that was led here by another site's DNS gets nothing."""
    problem(seen.get("/feeds", headers={"Host": host}), 421, "host.not_allowed")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:8000", "LOCALHOST", "[::1]:8000", "testserver"])
def test_loopback_names_are_served(seen: Client, host: str):
    """With or without a port."""
    assert seen.get("/feeds", headers={"Host": host}).status_code == 200


def test_a_request_id_comes_back(seen: Client):
    """A sane one that came in, or else a new one."""
    assert seen.get("/healthz", headers={"X-Request-Id": "abc-1.2:3"}).headers["x-request-id"] == "abc-1.2:3"
    for strange in (b"a b", "用户乙".encode(), b"x" * 65):
        made = seen.get("/healthz", headers={"X-Request-Id": strange}).headers["x-request-id"]
        assert len(made) == 32


@pytest.mark.parametrize(
    "path",
    [
        "/billing/accounts?limit=0",
        "/billing/accounts?limit=1001",
        "/billing/accounts?party_id=%00",
        "/billing/accounts?after=%F0%9F",
        "/billing/accounts/A-1?wait_s=6",
        "/billing/accounts/A-1?min_position=-1",
        "/billing/accounts/A-1?min_position=99999999999999999999",
        "/billing/accounts/A-1?region=%C3%A9",
        "/investigations/nothing/A-1/timeline",
        "/investigations/account/A%201/timeline",
        "/investigations/account/A%00/replay",
        "/crm/accounts/%00",
        "/crm/accounts/" + "x" * 200,
    ],
)
def test_parameters_out_of_bounds_are_problems(seen: Client, path: str):
    """422, whatever the parameter."""
    problem(seen.get(path), 422, "request.invalid")


def test_what_nobody_foresaw_is_a_problem_without_its_cause(
    client: Client, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
):
    """500 with the request id, and neither a stack trace nor the error's words."""

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("SELECT secret FROM table")

    monkeypatch.setattr(runtime.deployment, "question", broken)
    with structlog.testing.capture_logs() as lines:
        found = client.get("/crm/accounts/A-1")
    problem(found, 500, "internal.error")
    assert [line["log_level"] for line in lines] == ["error", "info"]
    assert "SELECT" not in found.text
    assert "Traceback" not in found.text


def test_storage_that_is_away_is_503(client: Client, runtime: Runtime, monkeypatch: pytest.MonkeyPatch):
    """503 with Retry-After; how it failed is not told."""

    def away(*_: object, **__: object) -> None:
        raise StorageError("host=secret is away")

    monkeypatch.setattr(runtime.deployment, "question", away)
    found = client.get("/crm/accounts/A-1")
    problem(found, 503, "storage.unavailable")
    assert found.headers["retry-after"] == "1"
    assert "secret" not in found.text


def test_every_line_of_a_request_has_its_id(client: Client):
    """One access line with the route's template and the command, no ids in the path, no query, no body."""
    with structlog.testing.capture_logs([structlog.contextvars.merge_contextvars]) as lines:
        client.register("P-77", key="k-77")
        client.get("/crm/parties/P-77?region=heilongjiang")
    access = [line for line in lines if line["event"] == "request"]
    assert [line["route"] for line in access] == ["/crm/parties/{id}"] * 2
    assert access[0]["command"] == "RegisterParty"
    assert access[0]["command_id"]
    assert [line["status"] for line in access] == [201, 200]
    assert all(line["duration_ms"] >= 0 for line in access)
    assert all(line["request_id"] for line in lines)
    assert "P-77" not in str(lines)
    assert "region" not in str(access)


# -- health and metrics


def test_healthz_says_that_the_process_lives(seen: Client):
    """Without asking the database."""
    assert seen.get("/healthz").json() == {"status": "ok"}


def test_readyz_says_what_is_missing(client: Client, runtime: Runtime):
    """Not ready until each ledger has its read models."""
    assert client.get("/readyz").json() == {"status": "ok"}
    client.register()
    found = problem(client.get("/readyz"), 503, "service.not_ready")
    assert found["reasons"] == [f"heilongjiang: {m.name} is being made" for m in READ_MODELS]
    catch_up(runtime.deployment, READ_MODELS, runtime.clock)
    assert client.get("/readyz").status_code == 200


def test_readyz_does_not_wait_for_a_database_that_is_away(
    client: Client, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
):
    """503 with the reason, soon, and nothing of how the database is reached."""
    monkeypatch.setattr(api.health, "READY_WAIT_S", 0.5)
    runtime.deployment.close()
    found = problem(client.get("/readyz"), 503, "service.not_ready")
    assert len(found["reasons"]) == 1
    assert client.get("/healthz").status_code == 200
    assert "recount_storage_up 0.0" in client.get("/metrics").text


def test_metrics_count_without_naming_anybody(harbin: Client):
    """Requests by template, commands by outcome, positions and lag; no ids, no personal data."""
    harbin.register("P-77", key="k-1")
    harbin.register("P-77", key="k-1")
    harbin.register("P-77", key="k-2")
    harbin.get("/billing/accounts/A-FTTH")
    found = harbin.get("/metrics")
    assert found.headers["content-type"].startswith("text/plain")
    for line in (
        'recount_commands_total{command="RegisterParty",outcome="accepted"} 1.0',
        'recount_commands_total{command="RegisterParty",outcome="repeated"} 1.0',
        'recount_commands_total{command="RegisterParty",outcome="party.already_exists"} 1.0',
        'recount_http_requests_total{method="GET",route="/billing/accounts/{id}",status="200"} 1.0',
        'recount_ledger_position{ledger="heilongjiang"} 103.0',
        'recount_read_model_position{ledger="heilongjiang",model="billing_status"} 102.0',
        'recount_read_model_lag_events{ledger="heilongjiang",model="billing_status"} 1.0',
        'recount_read_model_failed{ledger="heilongjiang",model="billing_status"} 0.0',
        "recount_storage_up 1.0",
    ):
        assert line in found.text
    for identifier in ("P-77", "A-FTTH", REGION):
        assert identifier not in found.text


def test_a_client_that_leaves_does_not_disturb_the_others(seen: Client):
    """A half-sent request is forgotten."""
    host, port = seen.base_url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as raw:
        raw.sendall(b"POST /crm/parties/P-1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
    with httpx.Client(base_url=seen.base_url) as other:
        assert other.get("/healthz").status_code == 200
