"""Two histories of a subject held against each other, and a customer's claims against the ledger."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from api.runtime import Runtime
from domain.calendar import day_of, moment_of
from domain.claims import weigh
from domain.claims.forms import parse_claims
from domain.comparison import compare_lawful, compare_replays
from domain.events.fields import MalformedError, parse_day
from domain.ledger.surroundings import inquiry

NOW = "now"
"""What the second side of a comparison is asked with to mean the present moment."""


@dataclass(frozen=True, slots=True)
class Second:
    """What a replay is compared with: what is not given here is as on the first side."""

    at: str | None = None
    known_at: str | None = None
    position: int | None = None


@dataclass(frozen=True, slots=True)
class Lawful:
    """What happened is compared with what should have. `until` is a day; today, where it is not given."""

    until: str | None = None
    assume: Mapping[str, str] = field(default_factory=dict)


def compared(
    runtime: Runtime,
    subject: str,
    other: Second | Lawful,
    *,
    at: str | None = None,
    known_at: str | None = None,
    position: int | None = None,
    region: str | None = None,
) -> dict[str, Any]:
    """Return how two replays of a subject differ, or what happened from what should have.

    Raises SubjectError, TooWideError, and MalformedError that names the field.
    """
    if isinstance(other, Lawful):
        if at is not None:
            raise MalformedError("at", "should not be given with lawful: until is its last day")
        return _with_lawful(runtime, subject, other, known_at=known_at, position=position, region=region)
    if other == Second():
        raise MalformedError(
            "with_known_at", "should be given, or with_at, with_position or lawful: what is it compared with?"
        )
    now = runtime.clock()
    left, histories = runtime.deployment.question(
        subject, now, at=at, known_at=known_at, position=position, region=region
    )
    try:
        right, later = runtime.deployment.question(
            subject,
            now,
            at=_moment("with_at", at, other.at, left.region),
            known_at=_moment("with_known_at", known_at, other.known_at, left.region),
            position=left.position if other.position is None else other.position,
            region=region,
        )
    except MalformedError as error:
        if error.problem.field != "position":
            raise
        raise MalformedError("with_position", error.problem.reason) from None
    return compare_replays(left, right, later if right.position > left.position else histories)


def refuse(reason: str, **given: object) -> None:
    """Raise MalformedError for the first field that is given where it has no meaning."""
    for name, value in given.items():
        if value is not None:
            raise MalformedError(name, reason)


def _moment(name: str, first: str | None, given: str | None, region: str) -> str | None:
    """Return what the second side is asked with: as the first where nothing is given, None for now."""
    if given is None:
        return first
    if given == NOW:
        return None
    moment_of(given, region, name)  # so that an error names the field it was given in
    return given


def _with_lawful(
    runtime: Runtime,
    subject: str,
    other: Lawful,
    *,
    known_at: str | None,
    position: int | None,
    region: str | None,
) -> dict[str, Any]:
    asked, histories = inquiry(
        runtime.deployment, subject, runtime.clock(), known_at=known_at, position=position, region=region
    )
    return compare_lawful(
        subject,
        histories,
        known_at=asked.known_at,
        position=asked.position,
        region=asked.region,
        until=_day("until", other.until) if other.until else day_of(asked.known_at, asked.region),
        assume=other.assume,
    )


def weighed(
    runtime: Runtime,
    subject: str,
    claims: object,
    *,
    known_at: str | None = None,
    position: int | None = None,
    region: str | None = None,
) -> dict[str, Any]:
    """Return a customer's claims, a list of JSON objects, held against the ledger.

    Raises SubjectError, TooWideError, and MalformedError that names the claim and the field.
    """
    parsed = parse_claims(claims)
    asked, histories = inquiry(
        runtime.deployment, subject, runtime.clock(), known_at=known_at, position=position, region=region
    )
    return weigh(asked, histories, parsed)


def _day(field: str, text: str) -> date:
    try:
        return parse_day(text)
    except ValueError as error:
        raise MalformedError(field, str(error)) from None
