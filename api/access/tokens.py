"""Verifies bearer tokens: JWTs of one issuer, for this audience, in time, signed with an allowed algorithm.

What was verified is kept until it expires, at most a few minutes and only while the keys stay the same, so that
checking a token again costs one hash. A token that is refused is told why in a few fixed words, never with its content.
"""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from joserfc import jws, jwt
from joserfc.errors import (
    ExpiredTokenError,
    InvalidClaimError,
    InvalidKeyIdError,
    JoseError,
    MissingClaimError,
)
from joserfc.jws import JWSRegistry

from api.access.keys import Keys
from api.access.principal import Principal, principal_of

ALGORITHMS = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519",
)  # fmt: skip
"""Signatures with a private key of the issuer's; neither `none` nor secrets that both sides know."""
TOKEN_MAX_CHARS = 8_192  # issuers stay below 4 kB; all headers together have 16 kB
LEEWAY_S = 30  # by how much clocks may differ
KEPT_MAX = 10_000  # verified tokens in mind, some 10 MB
KEPT_S = 300.0  # how long one is trusted unasked: an issuer's withdrawn key ends its tokens by then
BROKEN = (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError)
"""What reading a hostile token may raise."""


class TokenError(Exception):
    """A token that lets nobody in; `str` says why, in words of ours."""


class _Kept(NamedTuple):
    principal: Principal
    until: float
    version: int


class Verifier:
    """Verifies the tokens of one issuer for one audience. Used by several threads at once."""

    def __init__(
        self,
        issuer: str,
        audience: str,
        keys: Keys,
        *,
        algorithms: Iterable[str] = ALGORITHMS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`algorithms` are some of ALGORITHMS."""
        self.issuer, self.audience = issuer, audience
        self._keys, self._clock = keys, clock
        self._registry = JWSRegistry(algorithms=tuple(algorithms), strict_check_header=False)
        self._claims = jwt.JWTClaimsRegistry(
            now=lambda: int(clock()),
            leeway=LEEWAY_S,
            iss={"essential": True, "value": issuer},
            aud={"essential": True, "value": audience},
            exp={"essential": True},
            sub={"essential": True},
        )
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()

    def kept(self, token: str) -> Principal | None:
        """Return whom a token that was verified lately lets in, None where it has to be verified."""
        found = self._kept.get(_name(token))
        if found is None or found.until <= self._clock() or found.version != self._keys.version:
            return None
        return found.principal

    def verify(self, token: str) -> Principal:
        """Return whom a token lets in; raises TokenError, KeysError. May fetch keys: not for an event loop."""
        found = self.kept(token)
        if found is not None:
            return found
        if not token.isascii() or not 0 < len(token) <= TOKEN_MAX_CHARS:
            raise TokenError(f"a token should be at most {TOKEN_MAX_CHARS} ASCII characters")
        claims, version = self._read(token)
        principal = _principal(claims)
        self._keep(token, _Kept(principal, min(claims["exp"], self._clock() + KEPT_S), version))
        return principal

    def _read(self, token: str) -> tuple[dict[str, Any], int]:
        """Return a token's claims, its signature and claims checked, and the version of the keys that did it."""
        try:
            header = jws.extract_compact(token.encode(), registry=self._registry).headers()
            kid = header.get("kid")
            name = kid if isinstance(kid, str) else None
        except BROKEN as error:
            raise TokenError("it is no signed JWT") from error
        keys = self._keys.of(name)
        version = self._keys.version
        try:
            read = jwt.decode(token, keys, registry=self._registry)
            self._claims.validate(read.claims)
        except ExpiredTokenError:
            raise TokenError("it has expired") from None
        except (InvalidClaimError, MissingClaimError) as error:
            raise TokenError(_claim_text(error)) from None
        except InvalidKeyIdError:
            raise TokenError("its key is none of the issuer's") from None
        except BROKEN as error:
            raise TokenError("its signature is not the issuer's, or of a kind that is not taken") from error
        return read.claims, version

    def _keep(self, token: str, kept: _Kept) -> None:
        self._kept[_name(token)] = kept
        while len(self._kept) > KEPT_MAX:
            try:
                self._kept.popitem(last=False)
            except KeyError:  # another thread was faster
                return


def _name(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()


def _claim_text(error: InvalidClaimError | MissingClaimError) -> str:
    words = {
        "iss": "it is of another issuer",
        "aud": "it is for another audience",
        "nbf": "it is not valid yet",
        "iat": "it is not valid yet",
    }
    if isinstance(error, MissingClaimError):
        return "one of exp, iss, aud and sub is missing"
    return words.get(error.claim, "one of exp, iss, aud and sub is not as it should be")


def _principal(claims: dict[str, Any]) -> Principal:
    """Return the principal of checked claims; raises TokenError."""
    try:
        return principal_of(
            _text(claims["sub"]),
            _words(claims.get("scope", claims.get("scp"))),
            _words(claims.get("regions")),
            _words(claims.get("acts_for")),
        )
    except ValueError as error:
        raise TokenError(str(error)) from None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("sub should be text")  # noqa: TRY004 - like every other claim that is not as it should be
    return value


def _words(value: Any) -> list[str]:
    """Return a claim that is a list of words, or one text of words with spaces between them."""
    if value is None:
        return []
    found = value.split() if isinstance(value, str) else value
    if not isinstance(found, list) or not all(isinstance(word, str) for word in found):
        raise ValueError("scope, regions and acts_for should be lists of words")
    return found
