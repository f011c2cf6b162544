"""What every answer tells a browser: not to guess, not to frame, not to keep, and to load nothing from elsewhere."""

from collections.abc import Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

Header = tuple[bytes, bytes]

ALWAYS: tuple[Header, ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
    (b"cache-control", b"no-store"),  # a customer's account is kept by nobody between
)
ANSWER: Header = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
PAGE: Header = (
    b"content-security-policy",
    (
        b"default-src 'none'; style-src 'self'; img-src 'self' data:; script-src 'self'; connect-src 'self';"
        b" font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
)
HSTS: Header = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")
"""Where the browser came by https, it comes by nothing else for a year."""


class SecurityHeaders:
    """Adds to every answer what it does not say itself."""

    def __init__(self, app: ASGIApp, *, https: bool = False) -> None:
        """`https` where browsers reach us by it, whatever a proxy makes of it."""
        self._app, self._https = app, https

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request; anything else passes."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                https = self._https or scope.get("scheme") == "https"
                message = {**message, "headers": completed(message.get("headers", ()), https=https)}
            await send(message)

        await self._app(scope, receive, answer)


def completed(headers: Iterable[Header], *, https: bool) -> list[Header]:
    """Return an answer's headers with those it does not say itself."""
    found = list(headers)
    said = dict(found)
    policy = PAGE if said.get(b"content-type", b"").startswith(b"text/html") else ANSWER
    added = (*ALWAYS, policy, HSTS) if https else (*ALWAYS, policy)
    found.extend(header for header in added if header[0] not in said)
    return found
