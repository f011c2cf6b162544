"""The service really served: uvicorn on a loopback port, a real database, its own issuer, and a small client."""

import contextlib
import itertools
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any

import httpx
import uvicorn

from api.access import SCOPES, issuing
from api.access.guarding import PAGES, SESSION
from api.access.issuer import LocalIssuer, made_in_memory
from api.access.limits import Limits
from api.app import build
from api.connections import KEEP_ALIVE_S, files_allowed, patient
from api.runtime import Runtime
from api.serving import address_of, listen
from domain.ledger.sight import EVERYWHERE

PERSONAL = ("用户甲", "230100190001010000", "13000000000", "18600000001")
"""The personal data in the Harbin case: it may stand in no answer."""
REGION = "heilongjiang.harbin"
UNLIMITED = Limits(0, 0, 0)
_keys = itertools.count(1)


class Client:
    """Asks the service, and looks at every answer for personal data of the Harbin case.

    It is a system that may do everything everywhere and act for anybody; `as_` gives one of somebody else.
    """

    def __init__(self, base_url: str, issuer: LocalIssuer, token: str | None = None) -> None:
        self.base_url, self.issuer = base_url, issuer
        given = issuer.signed("system/tests", SCOPES, [EVERYWHERE], ["*"]) if token is None else token
        # Without TLS no authorities are needed: to read them takes 20 ms for each of a thousand clients.
        self.http = httpx.Client(base_url=base_url, timeout=20, headers=bearer(given), verify=False)
        self.others: list[httpx.Client] = []

    def as_(
        self,
        subject: str = "staff/S-1",
        scopes: Iterable[str] = SCOPES,
        regions: Iterable[str] = (EVERYWHERE,),
        acts_for: Iterable[str] = (),
    ) -> "Client":
        """Return a client of the same service with somebody else's token."""
        return self.with_token(self.issuer.signed(subject, scopes, regions, acts_for))

    def signed_in(self, subject: str = "staff/S-1", scopes: Iterable[str] = SCOPES, **given: Any) -> "Client":
        """Return a client that is signed in to the console: with the session's cookie, and no token."""
        made = self.with_token("")
        token = self.issuer.signed(subject, scopes, given.pop("regions", (EVERYWHERE,)), **given)
        made.http.cookies.set(SESSION, token, path=PAGES)
        return made

    def with_token(self, token: str) -> "Client":
        """Return a client of the same service with a token, or without one where that is empty."""
        made = Client(self.base_url, self.issuer, token)
        made.others = self.others
        self.others.append(made.http)
        return made

    def close(self) -> None:
        """Close its connections, and those of the clients it gave."""
        for http in (self.http, *self.others):
            http.close()

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self._seen(self.http.get(path, **options))

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self._seen(self.http.post(path, **options))

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self._seen(self.http.request(method, path, **options))

    def ask(
        self,
        path: str,
        data: dict[str, Any],
        *,
        key: str | None = None,
        if_match: str | None = None,
        **envelope: Any,
    ) -> httpx.Response:
        """Ask a command, by default from the store and under a new key."""
        headers = {"Idempotency-Key": key or f"test-{next(_keys)}"}
        if if_match is not None:
            headers["If-Match"] = if_match
        body = {"actor": "staff/S-01", "channel": "store", **envelope, "data": data}
        return self.post(f"/crm/{path}", json=body, headers=headers)

    def register(self, party_id: str = "P-1", **options: Any) -> httpx.Response:
        """Make a party known."""
        data = {
            "kind": "individual",
            "id_type": "resident_id",
            "id_hash": "0" * 64,
            "name": "example",
            "id_number": "example",
            "address": "example",
        }
        return self.ask(f"parties/{party_id}", data, **{"region": REGION, **options})

    def open_account(self, account_id: str = "A-1", party_id: str = "P-1", **options: Any) -> httpx.Response:
        """Open an account."""
        terms = {
            "payment_deadline_days": 10,
            "late_fee_start": "after_due",
            "restore_hours": 24,
            "suspend_after_days": 30,
            "terminate_after_days": 90,
        }
        data = {"party_id": party_id, "line_of_business": "mobile", "contract_terms": terms}
        return self.ask(f"accounts/{account_id}", data, **{"region": REGION, **options})

    @staticmethod
    def _seen(response: httpx.Response) -> httpx.Response:
        for secret in PERSONAL:
            assert secret not in response.text
            assert secret not in str(response.headers)
        return response


def bearer(token: str) -> dict[str, str]:
    """Return the header that brings a token; none for an empty one."""
    return {"Authorization": f"Bearer {token}"} if token else {}


@contextlib.contextmanager
def serving(runtime: Runtime, limits: Limits = UNLIMITED, **patience: Any) -> Iterator[Client]:
    """Serve a runtime until the block ends, with an issuer of its own; `patience` is that for connections."""
    listening = listen("127.0.0.1", 0, guarded=False)
    issuer = made_in_memory(address_of(listening))
    app = build(runtime, issuer.access(limits))
    issuing.install(app, issuer)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=5,
            timeout_keep_alive=KEEP_ALIVE_S,
            http=patient(files_allowed(), **patience),
            ws="none",
        )
    )
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    client = Client(issuer.url, issuer)
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield client
    finally:
        app.state.stopping.set()
        server.should_exit = True
        thread.join(10)
        listening.close()
        client.close()
        assert not thread.is_alive()


def problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Check that an answer is a problem of this status and code, and return it."""
    assert (response.status_code, response.json().get("code")) == (status, code), response.text
    assert response.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = response.json()
    assert found["status"] == status
    assert found["type"] == f"urn:recount:problem:{code}"
    assert found["request_id"] == response.headers["x-request-id"]
    assert found["title"]
    assert found["detail"]
    return found
