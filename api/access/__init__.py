"""Who gets in, what they may do, and where: tokens, scopes, regions, sign-in, and the limits put on every caller.

Every address says which scope it takes, or the application is not built (`guarding`). Tokens are verified in `tokens`
with `keys`; `issuer` is the issuer of tests and demonstrations, on loopback only; `signing_in` lets a browser in.
"""

from api.access.guarding import Access, Client, page_principal, requires
from api.access.principal import SCOPES, Principal
from api.access.tokens import TokenError, Verifier

__all__ = [
    "SCOPES",
    "Access",
    "Client",
    "Principal",
    "TokenError",
    "Verifier",
    "page_principal",
    "requires",
]
