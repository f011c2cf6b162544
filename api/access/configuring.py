"""Makes the access of a service from its settings: whose tokens are taken, where browsers sign in, the rates."""

from api.access.guarding import Access, Client
from api.access.keys import KeysError, keys_at
from api.access.limits import ANONYMOUS_PER_S, PERSON_PER_S, SYSTEM_PER_S, Limits
from api.access.tokens import Verifier
from api.settings import EdgeSettings, IssuerSettings, Settings


class AccessError(Exception):
    """The settings of access are not whole: one line that says what would be right."""


def configured(settings: Settings) -> Access | None:
    """Return the access the settings describe, None where they name no issuer; raises AccessError."""
    given = settings.issuer
    if given is None:
        return None
    if given.jwks is None:
        raise AccessError(
            "RECOUNT_JWKS is missing: the address, or the file, of RECOUNT_ISSUER's public keys"
        )
    try:
        verifier = Verifier(given.issuer, given.audience, keys_at(given.jwks))
    except KeysError as error:
        raise AccessError(f"RECOUNT_JWKS: {error}") from None
    return Access(verifier, _client(given, settings.edge), limits_of(settings.edge))


def limits_of(edge: EdgeSettings) -> Limits:
    """Return the rates of a service."""

    def or_default(given: float | None, default: float) -> float:
        return default if given is None else given

    return Limits(
        or_default(edge.person_per_s, PERSON_PER_S),
        or_default(edge.system_per_s, SYSTEM_PER_S),
        or_default(edge.anonymous_per_s, ANONYMOUS_PER_S),
    )


def _client(given: IssuerSettings, edge: EdgeSettings) -> Client | None:
    if not given.authorize_url or not given.token_url:
        return None
    return Client(
        given.issuer, given.authorize_url, given.token_url, given.client_id, given.client_secret, edge.outside
    )
