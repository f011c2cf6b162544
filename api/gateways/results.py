"""What became of notices, as gateways report it: read, checked, and recorded as events."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, TypeVar

import orjson
from pydantic import TypeAdapter, ValidationError

from api.runtime import Runtime
from domain.calendar import CLOCK_SKEW
from domain.commands.account import ConfirmNoticeDelivery, ReportNoticeFailure
from domain.commands.asking import Asked, Command
from domain.events.account import NoticeFailure
from domain.events.envelope import check_subject
from domain.events.fields import (
    Identifier,
    Instant,
    MalformedError,
    Reference,
    parse_instant,
    problems_of,
    value,
)
from domain.ledger.application import Ledger
from domain.ledger.outbox import key_of
from domain.ledger.writer import ReceiptKey, Writer, request_digest
from domain.refusals import Code, Refused

ACTOR = "system/notices"
CHANNEL = "system"
SCOPE = "notice results"


@value
class Outcome:
    """What became of a notice; a failure has a reason, a delivery may have a receipt (`outcome_of` checks it)."""

    outcome: Literal["delivered", "failed"]
    reason: NoticeFailure | None = None
    receipt: Reference | None = None

    def command(self, notice_id: str) -> Command:
        """Return the command that records it."""
        if self.reason is None:
            return ConfirmNoticeDelivery(notice_id=notice_id, receipt=self.receipt)
        return ReportNoticeFailure(notice_id=notice_id, reason=self.reason)


@value
class _Place:
    """Which notice a result speaks of; `region` only where an account stands in several ledgers."""

    account_id: Identifier
    notice_id: Identifier
    region: str | None = None
    at: Instant | None = None


T = TypeVar("T")
_PLACE_FIELDS = ("account_id", "notice_id", "region", "at")


def outcome_of(raw: Mapping[str, Any]) -> Outcome:
    """Return the outcome that fields say; raises MalformedError that names what is wrong."""
    found = _checked(Outcome, raw)
    if (found.reason is None) == (found.outcome == "failed"):
        raise MalformedError("reason", "should be given for a notice that failed, and only for one")
    if found.outcome == "failed" and found.receipt is not None:
        raise MalformedError("receipt", "should be given only for a notice that was delivered")
    return found


class Results:
    """Records what became of notices."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def record(self, raw: Mapping[str, Any], region: str | None = None) -> bool:
        """Record one result, an object as a gateway writes it; whether it was news.

        Without `at` the outcome is of the present moment. The same result again changes nothing; another one for
        a notice whose outcome stands is refused. Raises MalformedError, SubjectError, Refused and BusyError;
        then nothing was written, and the same may be reported again.
        """
        place = _checked(_Place, {k: v for k, v in raw.items() if k in _PLACE_FIELDS})
        outcome = outcome_of({k: v for k, v in raw.items() if k not in _PLACE_FIELDS})
        subject = _subject(place.account_id)
        ledger = self._runtime.deployment.locate(subject, place.region or region)
        asked = Asked(
            subject=subject,
            command=outcome.command(place.notice_id),
            actor=ACTOR,
            channel=CHANNEL,
            region=_region(ledger, subject),
            time=place.at or self._runtime.clock(),
        )
        request = request_digest(orjson.dumps(dict(raw), option=orjson.OPT_SORT_KEYS))
        receipt = ReceiptKey(
            SCOPE, f"{key_of(place.account_id, place.notice_id)}/{request.hex()[:32]}", request
        )
        try:
            return _record(self._runtime.writer(ledger.region), asked, receipt)
        except Refused as refused:
            if refused.code == Code.NOTICE_SETTLED and refused.details.get("outcome") == outcome.outcome:
                return False  # reported another way before: in the gateway's answer, or by hand
            raise
        except MalformedError as error:
            if error.problem.field == "time":
                raise MalformedError("at", error.problem.reason) from None
            raise


def _record(writer: Writer, asked: Asked, receipt: ReceiptKey) -> bool:
    """Record an outcome, at the attempt's own moment where the gateway's clock is a little behind ours."""
    answer = writer.execute_all([asked], receipt)  # a refusal leaves no receipt: it may be reported again
    if not answer.refused:
        return not answer.repeated
    refusal = answer.body["refusal"]
    code, details = Code(refusal["code"]), refusal["details"]  # type: ignore[call-arg]
    if code == Code.TIME_BEFORE_CAUSE:
        attempted_at = parse_instant(details["at"])
        if attempted_at - CLOCK_SKEW <= asked.time < attempted_at:
            return _record(writer, replace(asked, time=attempted_at), receipt)
    raise Refused(code, refusal["message"], details)


def _subject(account_id: str) -> str:
    try:
        return check_subject(f"account/{account_id}")
    except MalformedError:
        raise MalformedError("account_id", "should be the ID of an account") from None


def _region(ledger: Ledger, subject: str) -> str:
    """Return the region a stream was opened in."""
    first = ledger.recorder.select_events(subject, limit=1)
    return ledger.read(first[0]).event.region if first else ledger.region


def _checked(kind: type[T], raw: Mapping[str, Any]) -> T:
    try:
        return TypeAdapter(kind).validate_python(dict(raw))
    except ValidationError as error:
        problem = problems_of(error)[0]
        raise MalformedError(problem.field, problem.reason) from None
