"""Questions that the command line and HTTP ask alike: one answer, whoever asks."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from api.runtime import Runtime
from domain.calendar import day_of
from domain.counterfactual import counterfactual
from domain.events.fields import MalformedError, parse_day
from domain.ledger.surroundings import inquiry
from domain.replay import Histories, replay, steps
from domain.rules.table import RULE_IDS, Inquiry, findings


def replayed(
    runtime: Runtime,
    subject: str,
    *,
    at: str | None = None,
    known_at: str | None = None,
    position: int | None = None,
    region: str | None = None,
    with_steps: bool = False,
) -> dict[str, Any]:
    """Return a replay's answer, with each step where that is asked.

    Raises SubjectError, and MalformedError that names the field.
    """
    question, histories = runtime.deployment.question(
        subject, runtime.clock(), at=at, known_at=known_at, position=position, region=region
    )
    answer = replay(question, histories)
    if with_steps:
        answer["steps"] = steps(question, histories)
    return answer


def found(
    runtime: Runtime,
    subject: str,
    *,
    known_at: str | None = None,
    position: int | None = None,
    region: str | None = None,
    rule: str | None = None,
) -> dict[str, Any]:
    """Return the findings on a subject under the rulebook, or those of one rule.

    Raises SubjectError, TooWideError, and MalformedError that names the field.
    """
    if rule is not None and rule not in RULE_IDS:
        raise MalformedError("rule", f"should be one of {', '.join(RULE_IDS)}")
    asked, histories = inquiry(
        runtime.deployment, subject, runtime.clock(), known_at=known_at, position=position, region=region
    )
    return findings(asked, histories, only=rule)


def lawful(
    runtime: Runtime,
    subject: str,
    *,
    until: str | None = None,
    assume: Mapping[str, str] | None = None,
    known_at: str | None = None,
    position: int | None = None,
    region: str | None = None,
) -> dict[str, Any]:
    """Return what should have happened, beside what did. `until` is a day; today, where it is not given.

    Raises SubjectError, TooWideError, and MalformedError that names the field.
    """
    asked, histories = inquiry(
        runtime.deployment, subject, runtime.clock(), known_at=known_at, position=position, region=region
    )
    return derived(asked, histories, until=until, assume=assume)


def derived(
    asked: Inquiry, histories: Histories, *, until: str | None = None, assume: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return what should have happened by histories that are loaded; raises MalformedError."""
    return counterfactual(
        asked.subject,
        histories,
        known_at=asked.known_at,
        position=asked.position,
        region=asked.region,
        until=_day(until) if until else day_of(asked.known_at, asked.region),
        assume=assume or {},
    )


def _day(text: str) -> date:
    try:
        return parse_day(text)
    except ValueError as error:
        raise MalformedError("until", str(error)) from None
