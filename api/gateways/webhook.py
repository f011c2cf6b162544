"""An HTTP address as a gateway: each message is one POST, and 2xx means that it was taken over."""

import http.client
import ssl
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import SplitResult, urlsplit

import orjson
import structlog

from api.gateways import Handed, Message, NotTaken, TakenOver
from api.gateways.results import Outcome, outcome_of
from domain.events.fields import MalformedError

BATCH_MAX = 32  # messages that are locked at once: at the worst they all wait out the timeout, in 40 s
PARALLEL = 8  # requests at the same time
TIMEOUT_S = 10.0  # for connecting, and for each wait after that
ANSWER_MAX_BYTES = 65_536  # what of an answer is read: an outcome takes a hundred
FINAL = frozenset({400, 413, 422})
"""Answers that say that this very message will never do; any other is the gateway's or its address's fault."""
OUTCOME_FIELDS = ("outcome", "reason", "receipt")

log = structlog.get_logger(__name__)


class WebhookGateway:
    """Hands messages over by POST, each with its key as `Idempotency-Key`.

    A 2xx answer may say at once what became of the notice: {"outcome": "delivered", "receipt": …} or
    {"outcome": "failed", "reason": …}. A redirect is not followed: personal data goes to this address alone.
    """

    batch_max = BATCH_MAX

    def __init__(self, url: str) -> None:
        """Send to an address, http or https; raises MalformedError where it is none."""
        self._url = _checked(url)
        self._context = ssl.create_default_context() if self._url.scheme == "https" else None

    def hand_over(self, messages: Sequence[Message]) -> list[Handed]:
        """Post the messages, some at a time."""
        with ThreadPoolExecutor(min(PARALLEL, len(messages))) as pool:
            return list(pool.map(self._post, messages))

    def _post(self, message: Message) -> Handed:
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Idempotency-Key": message.key,
            "User-Agent": "recount",
        }
        connection = self._connection()
        try:
            connection.request("POST", self._target, message.json(), headers)
            answer = connection.getresponse()
            body = answer.read(ANSWER_MAX_BYTES + 1)
        except (OSError, http.client.HTTPException) as error:
            return NotTaken(type(error).__name__)
        finally:
            connection.close()
        if 200 <= answer.status < 300:
            return TakenOver(_outcome(body))
        return NotTaken(f"HTTP {answer.status}", final=answer.status in FINAL)

    def _connection(self) -> http.client.HTTPConnection:
        host = self._url.hostname or ""
        if self._context is None:
            return http.client.HTTPConnection(host, self._url.port, timeout=TIMEOUT_S)
        return http.client.HTTPSConnection(host, self._url.port, timeout=TIMEOUT_S, context=self._context)

    @property
    def _target(self) -> str:
        path = self._url.path or "/"
        return f"{path}?{self._url.query}" if self._url.query else path


def _checked(url: str) -> SplitResult:
    """Return an address in its parts; raises MalformedError where messages can't be posted to it."""
    wanted = "should be an address as https://gateway.example/notices"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise MalformedError("--webhook", wanted) from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise MalformedError("--webhook", wanted)
    if parts.username is not None or parts.password is not None:
        raise MalformedError("--webhook", f"{wanted}, without a user in it")
    if not url.isascii() or any(c.isspace() or not c.isprintable() for c in url):
        raise MalformedError("--webhook", f"{wanted}, in ASCII and without white space")
    return parts


def _outcome(body: bytes) -> Outcome | None:
    """Return what an answer says became of the notice, None where it says nothing that can be read."""
    if not body.strip() or len(body) > ANSWER_MAX_BYTES:
        return None
    try:
        raw: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(raw, dict) or "outcome" not in raw:
        return None
    try:
        return outcome_of({k: raw[k] for k in OUTCOME_FIELDS if k in raw})
    except MalformedError as error:
        log.warning("a gateway's outcome can't be read", field=error.problem.field, why=error.problem.reason)
        return None
