"""Where the public keys of tokens come from: an address that publishes them, a file, or the local issuer.

Only public keys of signatures are taken: a secret among them would let anybody who reads the set sign with it.
Fetching is bounded in every way, since an unknown key id comes from whoever sends a token.
"""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import httpx
import orjson
import structlog
from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry, KeySet

from domain.ledger.keyfiles import beginning

FRESH_S = (
    600.0  # how long fetched keys are used unasked; issuers announce a new key hours before its first use
)
STALE_MAX_S = 86_400.0  # how long they serve while the issuer does not answer: a day, and then nobody gets in
RETRY_S = (
    30.0  # between two fetches, whoever asks and however it went: unknown key ids cost the issuer nothing
)
FETCH_TIMEOUT_S = 5.0
SET_MAX_BYTES = 262_144
KEYS_MAX = 100
KEY_TYPES = frozenset({"RSA", "EC", "OKP"})
LOOPBACK = ("http://127.0.0.1:", "http://localhost:", "http://[::1]:")

log = structlog.get_logger(__name__)


class KeysError(Exception):
    """There are no keys to check a token with: one line that says why."""


class Keys(Protocol):
    """Gives the keys."""

    def of(self, kid: str | None) -> KeySet:
        """Return the keys, fetched anew where this key id is none of theirs; raises KeysError."""

    @property
    def version(self) -> int:
        """Counts how often the keys have changed."""


def key_set(text: bytes) -> KeySet:
    """Return the keys of a JWKS document; raises KeysError. What signs nothing we take is left out."""
    if len(text) > SET_MAX_BYTES:
        raise KeysError(f"a key set should be at most {SET_MAX_BYTES} bytes")
    try:
        found = orjson.loads(text)["keys"]
        usable = [k for k in found[:KEYS_MAX] if k.get("kty") in KEY_TYPES and k.get("use", "sig") == "sig"]
        keys = [JWKRegistry.import_key(_public(k)) for k in usable]
    except (ValueError, KeyError, TypeError, AttributeError, JoseError) as error:
        raise KeysError('a key set should be JSON as of RFC 7517, {"keys": [...]}') from error
    if not keys:
        raise KeysError("the key set has no public key of a signature (RSA, EC or OKP)")
    return KeySet(keys)


def _public(key: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value for name, value in key.items() if name not in {"d", "p", "q", "dp", "dq", "qi", "oth"}
    }


class FixedKeys:
    """Keys that do not change while the program runs: the local issuer's."""

    version = 0

    def __init__(self, keys: KeySet) -> None:
        self._keys = keys

    def of(self, kid: str | None) -> KeySet:  # noqa: ARG002 - there are no others to look for
        """Return the keys."""
        return self._keys


class FetchedKeys:
    """Keys that are read where they are published, kept for a while, and read anew where a token names another."""

    def __init__(self, read: Callable[[], bytes], clock: Callable[[], float] = time.monotonic) -> None:
        self._read, self._clock = read, clock
        self._lock = threading.Lock()
        self._keys: KeySet | None = None
        self._text = b""
        self._kept_at = 0.0
        self._asked_at: float | None = None
        self._why = "they were not read yet"
        self.version = 0

    def of(self, kid: str | None) -> KeySet:
        """Return the keys, fetched anew where they are old or this key id is none of theirs; raises KeysError."""
        # One thread fetches. Who has keys meanwhile uses them; who has none waits for the first ones.
        if self._is_due(kid) and self._lock.acquire(blocking=self._keys is None):
            try:
                if self._is_due(kid):
                    self._fetch()
            finally:
                self._lock.release()
        if self._keys is None or self._clock() - self._kept_at > STALE_MAX_S:
            raise KeysError(f"the keys of tokens can't be read: {self._why}")
        return self._keys

    def _is_due(self, kid: str | None) -> bool:
        now = self._clock()
        if self._asked_at is not None and now - self._asked_at < RETRY_S:
            return False
        if self._keys is None or now - self._kept_at > FRESH_S:
            return True
        return kid is not None and all(key.kid != kid for key in self._keys)

    def _fetch(self) -> None:
        self._asked_at = self._clock()
        try:
            text = self._read()
            keys = key_set(text)
        except (KeysError, OSError, httpx.HTTPError) as error:
            self._why = str(error) if isinstance(error, KeysError) else type(error).__name__
            log.warning("keys not read", error=self._why)
            return
        self._kept_at = self._clock()
        if text != self._text:
            self._keys, self._text = keys, text
            self.version += 1


def keys_at(place: str) -> FetchedKeys:
    """Return the keys of an https address (http on loopback) or a file; raises KeysError where it is neither."""
    if place.startswith(("https://", *LOOPBACK)):
        return FetchedKeys(lambda: fetch(place))
    if "://" in place:
        raise KeysError(f"{place}: keys are read from https addresses, or from a file")
    path = Path(place)
    if not path.is_file():
        raise KeysError(f"{place}: there is no such file of keys")
    return FetchedKeys(lambda: beginning(path, SET_MAX_BYTES))


def is_loopback(address: str) -> bool:
    """Whether an address is on this machine, where no proxy stands between."""
    return address.startswith(LOOPBACK)


def fetch(address: str) -> bytes:
    """Return a small document of an issuer; raises KeysError, httpx.HTTPError. Redirects are not followed."""
    deadline = time.monotonic() + FETCH_TIMEOUT_S
    with (
        httpx.Client(timeout=FETCH_TIMEOUT_S, trust_env=not is_loopback(address)) as http,
        http.stream("GET", address, headers={"Accept": "application/json"}) as found,
    ):
        if found.status_code != httpx.codes.OK:
            raise KeysError(f"the issuer answered {found.status_code}")
        text = b""
        for piece in found.iter_bytes():
            text += piece
            if len(text) > SET_MAX_BYTES or time.monotonic() > deadline:
                raise KeysError(f"an issuer's document should be at most {SET_MAX_BYTES} bytes, within 5 s")
    return text
