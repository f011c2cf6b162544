"""Questions that the command line and HTTP ask alike: one answer, whoever asks."""

from typing import Any

from api.runtime import Runtime
from domain.replay import replay, steps


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
