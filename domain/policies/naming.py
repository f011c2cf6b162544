"""Names of what policies make: they follow from what it is for, so that asking twice is asking once."""

import hashlib

from domain.events.fields import IDENTIFIER_MAX_CHARS

SEPARATOR = "."


def identifier(*parts: str) -> str:
    """Return an identifier made of parts; where it would be too long, its end is a digest of the whole."""
    name = SEPARATOR.join(parts)
    if len(name) <= IDENTIFIER_MAX_CHARS:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:32]
    return f"{name[: IDENTIFIER_MAX_CHARS - len(digest) - 1]}{SEPARATOR}{digest}"
