"""Who reads a page, and what they may do there: whoever reaches the port, until access is controlled."""

from dataclasses import dataclass

from fastapi import Request


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who reads."""

    name: str | None
    csrf: str = ""

    def may(self, scope: str) -> bool:  # noqa: ARG002
        """Whether the visitor may do what a scope allows."""
        return True


def visitor_of(request: Request) -> Visitor:  # noqa: ARG001
    """Return who reads a page."""
    return Visitor(None)
