"""A token issuer of our own for demonstrations and development: a few people, no passwords, on loopback only.

It speaks what a real one speaks (keys, metadata, authorisation code with PKCE), so that everything behind it is as in
operation. `local_issuer` makes it; the addresses stand in `issuing`.
"""

import base64
import hashlib
import hmac
import os
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet

from api.access.guarding import Access, Client
from api.access.keys import FixedKeys
from api.access.limits import Limits
from api.access.principal import (
    ADMIN,
    ANYBODY,
    BILLING_READ,
    CRM_WRITE,
    INVESTIGATE_DECIDE,
    INVESTIGATE_READ,
    SCOPES,
)
from api.access.tokens import Verifier
from domain.ledger.sight import EVERYWHERE

AUDIENCE = "recount"
CLIENT_ID = "recount-console"
KEY_FILE = "issuer.json"
ALGORITHM = "ES256"
TOKEN_LIFE_S = 3_600  # an hour of a demonstration; who is longer at it signs in again
CODE_LIFE_S = 60.0  # a browser brings it back at once
CODES_MAX = 1_000
CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}\Z", re.ASCII)
VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}\Z", re.ASCII)
HARBIN = ("heilongjiang.harbin",)


class IssuerError(Exception):
    """What was asked of the issuer can't be: an OAuth error code, and a line that says what would be right."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody the local issuer knows: who they are, what they may do, and where."""

    name: str
    title: str
    subject: str
    scopes: tuple[str, ...]
    regions: tuple[str, ...]
    acts_for: tuple[str, ...] = ()


PEOPLE = {
    person.name: person
    for person in (
        Person("clerk", "Clerk of a Harbin store", "staff/S-01", (CRM_WRITE,), HARBIN, ("customer",)),
        Person("billing", "The billing system", "system/billing", (BILLING_READ,), (EVERYWHERE,)),
        Person(
            "investigator-a",
            "Investigator A, Harbin",
            "staff/S-90",
            (INVESTIGATE_READ, INVESTIGATE_DECIDE),
            HARBIN,
        ),
        Person(
            "investigator-b",
            "Investigator B, Harbin",
            "staff/S-91",
            (INVESTIGATE_READ, INVESTIGATE_DECIDE),
            HARBIN,
        ),
        Person("admin", "Administrator", "staff/S-00", tuple(SCOPES), (EVERYWHERE,), (ANYBODY,)),
    )
}
"""The people of the demonstration. The two investigators are two, since one may not accept what they proposed."""
assert ADMIN in PEOPLE["admin"].scopes


class Code(NamedTuple):
    """A code that a browser brings back: for whom, to where, and the challenge its bringer has to meet."""

    person: Person
    redirect_uri: str
    challenge: str
    until: float


class LocalIssuer:
    """Signs tokens for PEOPLE. Its codes belong to one event loop."""

    def __init__(self, url: str, key: ECKey, clock: Callable[[], float] = time.time) -> None:
        """`url` is where it is reached: on loopback."""
        self.url = url
        self._key, self._clock = key, clock
        self._codes: OrderedDict[str, Code] = OrderedDict()

    @property
    def jwks(self) -> dict[str, Any]:
        """The public key, as it is published."""
        return {"keys": [{**self._key.as_dict(private=False), "use": "sig", "alg": ALGORITHM}]}

    @property
    def metadata(self) -> dict[str, Any]:
        """What is published about it (RFC 8414)."""
        return {
            "issuer": self.url,
            "jwks_uri": f"{self.url}/.well-known/jwks.json",
            "authorization_endpoint": f"{self.url}/auth/authorize",
            "token_endpoint": f"{self.url}/auth/token",
            "scopes_supported": list(SCOPES),
            "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["none"],
        }

    @property
    def client(self) -> Client:
        """How the console signs a browser in here."""
        return Client(self.url, f"{self.url}/auth/authorize", f"{self.url}/auth/token", CLIENT_ID)

    def access(self, limits: Limits | None = None) -> Access:
        """Return the access of an application that believes this issuer."""
        keys = KeySet.import_key_set(self.jwks)  # type: ignore[arg-type]
        return Access(Verifier(self.url, AUDIENCE, FixedKeys(keys)), self.client, limits)

    def token(self, person: Person, life_s: int = TOKEN_LIFE_S) -> str:
        """Return a token for somebody."""
        return self.signed(person.subject, person.scopes, person.regions, person.acts_for, life_s=life_s)

    def signed(
        self,
        subject: str,
        scopes: Iterable[str],
        regions: Iterable[str],
        acts_for: Iterable[str] = (),
        life_s: int = TOKEN_LIFE_S,
        **claims: Any,
    ) -> str:
        """Return a token for a subject; `claims` are added, or take the place of its own."""
        now = int(self._clock())
        own = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": subject,
            "scope": " ".join(scopes),
            "regions": list(regions),
            "acts_for": list(acts_for),
            "client_id": CLIENT_ID,
            "iat": now,
            "exp": now + life_s,
            "jti": secrets.token_hex(8),
        }
        header = {"alg": ALGORITHM, "kid": self._key.kid, "typ": "at+jwt"}
        return jwt.encode(header, {**own, **claims}, self._key, algorithms=[ALGORITHM])

    # -- authorisation code with PKCE

    def check_request(self, client_id: str, redirect_uri: str, challenge: str, method: str) -> None:
        """Check what a browser was sent with; raises IssuerError."""
        if client_id != CLIENT_ID:
            raise IssuerError("invalid_client", f"client_id should be {CLIENT_ID}")
        if redirect_uri not in self._ways_back:
            raise IssuerError("invalid_request", "redirect_uri should be the console's own")
        if method != "S256" or not CHALLENGE.match(challenge):
            raise IssuerError("invalid_request", "code_challenge should be there, of the method S256")

    @property
    def _ways_back(self) -> frozenset[str]:
        """Where a browser may be sent back to: the console, by whichever name of loopback it was reached."""
        port = self.url.rpartition(":")[2]
        return frozenset(
            f"http://{name}:{port}/console/signed-in" for name in ("127.0.0.1", "localhost", "[::1]")
        )

    def code(self, person: Person, redirect_uri: str, challenge: str) -> str:
        """Return a code to bring back once, soon, with the verifier of its challenge."""
        made = secrets.token_urlsafe(32)
        self._codes[made] = Code(person, redirect_uri, challenge, self._clock() + CODE_LIFE_S)
        while len(self._codes) > CODES_MAX:
            self._codes.popitem(last=False)
        return made

    def redeem(self, code: str, redirect_uri: str, verifier: str) -> Person:
        """Return whom a code was for, and forget it; raises IssuerError."""
        found = self._codes.pop(code, None)
        if found is None or found.until < self._clock() or found.redirect_uri != redirect_uri:
            raise IssuerError("invalid_grant", "the code is none, was used, or is too old")
        if not VERIFIER.match(verifier) or not hmac.compare_digest(challenge_of(verifier), found.challenge):
            raise IssuerError("invalid_grant", "the code_verifier is not that of the challenge")
        return found.person


def challenge_of(verifier: str) -> str:
    """Return the S256 challenge of a PKCE verifier."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def made_in_memory(url: str) -> LocalIssuer:
    """Return an issuer whose key ends with the process."""
    return LocalIssuer(url, _new_key())


def kept_in(data_dir: Path, url: str) -> LocalIssuer:
    """Return the issuer of a data directory, its key made on first use; who reads the file may sign.

    The file says where the issuer is reached, for `recount token`. Raises OSError, IssuerError.
    """
    path = data_dir / KEY_FILE
    key = _read(path)[1] if path.exists() else _new_key()
    data_dir.mkdir(parents=True, exist_ok=True)
    text = orjson.dumps({"issuer": url, "key": key.as_dict(private=True)})
    fresh = path.with_suffix(f".{os.getpid()}")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(text)
    fresh.replace(path)
    return LocalIssuer(url, key)


def found_in(data_dir: Path) -> LocalIssuer:
    """Return the issuer that a service on this data directory has, or had; raises IssuerError."""
    path = data_dir / KEY_FILE
    if not path.exists():
        raise IssuerError(
            "no_issuer", f"{data_dir}: no service with a local issuer was started here (demo, serve --dev)"
        )
    return LocalIssuer(*_read(path))


def _read(path: Path) -> tuple[str, ECKey]:
    try:
        found = orjson.loads(path.read_bytes())
        return str(found["issuer"]), _named(ECKey.import_key(found["key"]))
    except (ValueError, KeyError, TypeError, JoseError):
        raise IssuerError(
            "no_issuer", f"{path}: is no issuer's key: remove it, and a new one is made"
        ) from None


def _new_key() -> ECKey:
    return _named(ECKey.generate_key("P-256"))


def _named(key: ECKey) -> ECKey:
    key.ensure_kid()
    return key
