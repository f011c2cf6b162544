"""How a request becomes a command, and what it came to becomes an answer.

A caller that got no answer asks again with the same key: the ledger's receipt gives the first answer, whatever
has changed since. Only what was decided has a receipt; what was turned away before (a form, a version, a
ledger that does not know the subject) changed nothing and may be asked again.
"""

import asyncio
import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.access import Principal
from api.crm.bodies import Envelope
from api.metrics import Metrics
from api.problems import ProblemError, refusal, retry_after
from api.requests import Trace, answer
from api.runtime import Runtime
from domain.commands.asking import Asked, Command
from domain.decisions import decide, needs
from domain.decisions.hearing import named
from domain.events.envelope import check_subject, ledger_of
from domain.ledger.application import Ledger, Q
from domain.ledger.deployment import Deployment, SubjectError
from domain.ledger.naming import new_id
from domain.ledger.writer import (
    Answer,
    BusyError,
    KeyReusedError,
    ReceiptKey,
    VersionConflictError,
    refusal_body,
    request_digest,
)
from domain.refusals import Refused
from domain.streams import begin

SCOPE = "crm"
ANY_VERSION = "*"


@dataclass(frozen=True, slots=True)
class Write:
    """A request as it came in, its form checked."""

    command: type[Command]
    identifier: str
    body: Envelope
    path: str
    raw: bytes
    key: str
    if_match: str | None
    principal: Principal

    @property
    def actor(self) -> str:
        """Who did it: whoever the token is of, or another one for whom they may act; raises ProblemError."""
        actor = self.body.actor or self.principal.subject
        if not self.principal.may_act_as(actor):
            raise ProblemError("access.other_actor", "actor should be the token's own subject: leave it out")
        return actor

    @property
    def subject(self) -> str:
        """The stream it is asked of; raises MalformedError where it is none."""
        return check_subject(f"{self.command.STREAM}/{self.identifier}")

    @property
    def receipt(self) -> ReceiptKey:
        """Under what its first answer is found again."""
        parts = (
            self.path.encode(),
            self.raw,
            (self.if_match or "").encode(),
            self.principal.subject.encode(),
        )
        return ReceiptKey(SCOPE, self.key, request_digest(*parts))

    @property
    def expected_version(self) -> int | None:
        """The version of the stream the caller has seen, if they say."""
        given = self.if_match
        return None if given is None or given == ANY_VERSION else int(given.strip('"'))


async def write(runtime: Runtime, metrics: Metrics, trace: Trace, given: Write) -> Response:
    """Execute a command and return the answer; raises ProblemError, MalformedError, SubjectError."""
    name = given.command.__name__
    trace.fields["command"] = name
    structlog.contextvars.bind_contextvars(command=name)
    found = await started(runtime, given)
    if isinstance(found, asyncio.Future):
        found = await finished(runtime, found)
    trace.fields["command_id"] = found.body["command_id"]
    return told(metrics, given, found)


async def started(runtime: Runtime, given: Write) -> "Answer | asyncio.Future[Answer]":
    """Return what will be the answer, for `finished`, or the answer itself; raises what `write` raises.

    Commands that are begun one after the other are decided in that order.
    """
    with _problems():
        return await _begin(runtime, given)


async def finished(runtime: Runtime, answering: "asyncio.Future[Answer]") -> Answer:
    """Wait for the answer to a command that was begun; raises ProblemError and what the writer raises."""
    with _problems():
        found = await answering
    runtime.wake()
    return found


def told(metrics: Metrics, given: Write, found: Answer) -> Response:
    """Count a command by what it came to, and return that as an answer."""
    metrics.command(given.command.__name__, _outcome(found))
    return _answer(given, found)


@contextlib.contextmanager
def _problems() -> Iterator[None]:
    """Say as a problem why a command has no answer."""
    try:
        yield
    except KeyReusedError:
        raise ProblemError(
            "idempotency.key_reused", "a new request needs a new key: this one has its answer already"
        ) from None
    except VersionConflictError as error:
        raise ProblemError(
            "version.mismatch",
            f"the stream is at version {error.actual}: look at it again",
            headers={"ETag": f'"{error.actual}"'},
            members={"version": error.actual},
        ) from None
    except BusyError:
        raise ProblemError(
            "storage.busy",
            "come back with the same key: it tells whether anything was decided",
            headers=retry_after(),
        ) from None


async def _begin(runtime: Runtime, given: Write) -> "Answer | asyncio.Future[Answer]":
    actor = given.actor
    region = await _region(runtime.deployment, given)
    if not given.principal.sight.everywhere:
        await run_in_threadpool(check_regions, runtime.deployment, given, region)
    envelope: Any = given.body
    asked = Asked(
        subject=given.subject,
        command=envelope.data,
        actor=actor,
        channel=envelope.channel,
        region=region,
        time=envelope.time or runtime.clock(),
        actororg=envelope.actororg,
        evidenceref=envelope.evidenceref,
        correlationid=envelope.correlationid,
        causationid=envelope.causationid,
        expected_version=given.expected_version,
    )
    if runtime.deployment.ledger(ledger_of(region)) is None:
        refused = await run_in_threadpool(_refused_as_first, asked, runtime)
        if refused is not None:
            return refused
    try:
        writer = runtime.known_writer(region)
        if writer is None:
            writer = await run_in_threadpool(runtime.writer, region)
    except SubjectError as error:
        raise ProblemError("ledger.limit_reached", str(error)) from None
    if given.command.OPENS and given.if_match == ANY_VERSION:
        exists = await run_in_threadpool(writer.ledger.journal.exists, given.subject)
        if not exists:
            raise ProblemError(
                "version.mismatch", "there is no version yet: leave If-Match out to open the stream"
            )
    return writer.begin(asked, given.receipt)


def check_regions(deployment: Deployment, given: Write, region: str) -> None:
    """Check that a command stays in the caller's regions: its own, its stream's, and those of whom it names.

    What is elsewhere is answered as if it did not stand here. Raises ProblemError and SubjectError.
    """
    sight = given.principal.sight
    of_book = [given.identifier] if given.command.STREAM == "rulebook" else []
    if not all(sight.covers(asked) for asked in (region, *of_book)):
        raise ProblemError("access.other_region", "region should be one the token covers")
    ledger = deployment.ledger(ledger_of(region))
    if ledger is None:
        return
    command: Any = given.body
    for subject in (given.subject, *named(command.data)):
        home = deployment.home(ledger, subject)
        own = subject == given.subject
        if home is not None and not (sight.covers(home) if own else sight.shows(subject, home)):
            raise SubjectError(f"{subject} does not stand in the ledger {ledger.region}")


def _refused_as_first(asked: Asked, runtime: Runtime) -> Answer | None:
    """Return the refusal of a command that can't be the first of its region: no ledger is made for it."""
    states = {asked.subject: begin(asked.subject)}
    while wanted := needs(asked, states) - states.keys():
        states |= {subject: begin(subject) for subject in wanted}
    try:
        decide(asked, states, runtime.clock())
    except Refused as refused:
        return Answer(refusal_body(new_id(), refused, 0))
    return None


async def _region(deployment: Deployment, given: Write) -> str:
    """Return the region the command is asked in: the one it names, else the one its stream was opened in.

    Raises SubjectError where the stream stands nowhere or in several ledgers, KeyReusedError where the key was
    used in another ledger than the one named.
    """
    region = given.body.region
    if region is None:
        return await run_in_threadpool(_home, deployment, given.subject)
    name = ledger_of(region)
    if not given.command.OPENS and name not in deployment.known and deployment.ledger(name) is None:
        raise SubjectError(f"{given.subject} does not stand in the ledger {name}")
    others = [ledger for ledger in deployment.known.values() if ledger.region != name]
    if others:
        used = await run_in_threadpool(_used_elsewhere, others, given.key)
        if used:
            raise KeyReusedError(given.key)
    return region


def _home(deployment: Deployment, subject: str) -> str:
    """Return the region a stream was opened in."""
    ledger = deployment.locate(subject)
    first = ledger.journal.select_events(subject, limit=1)[0]
    return ledger.read(first).event.region


def _used_elsewhere(ledgers: Iterable[Ledger], key: str) -> bool:
    """Whether a key has a receipt in one of some ledgers. Each ledger keeps its own: no query crosses two."""
    return any(_has_receipt(ledger, key) for ledger in ledgers)


def _has_receipt(ledger: Ledger, key: str) -> bool:
    """Whether a ledger has a receipt under the key."""
    with ledger.journal.database.connection(ledger.schema) as connection:
        return connection.execute(Q["find_receipt"], {"scope": SCOPE, "key": key}).fetchone() is not None


def _outcome(found: Answer) -> str:
    if found.repeated:
        return "repeated"
    return str(found.body["refusal"]["code"]) if found.refused else "accepted"


def _answer(given: Write, found: Answer) -> Response:
    replayed = {"Idempotency-Replayed": "true"} if found.repeated else {}
    body = found.body
    if found.refused:
        said = body["refusal"]
        made = refusal(
            said["code"],
            said["message"],
            said["details"],
            command_id=body["command_id"],
            version=body["version"],
        )
        made.headers.update(replayed)
        return made
    headers = {"ETag": f'"{body["version"]}"', "Recount-Position": str(body["position"]), **replayed}
    if given.command.OPENS:
        headers["Location"] = given.path.removesuffix(f"/{given.command.ROUTE}")
    return answer(body, status=201, headers=headers)
