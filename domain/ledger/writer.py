"""The service's write path: commands decided and committed with their receipts, exactly once.

One command makes one transaction, and so do several that belong together: all or none. It goes round the
library's `Application.save`, whose guard covers only the streams written to: here every stream a decision has
looked at is checked again under the counter's lock, so that no decision rests on what is no longer true.
"""

import hashlib
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import orjson
import psycopg
import structlog

from domain.commands.asking import Asked, Draft
from domain.decisions import decide
from domain.events.envelope import Event
from domain.events.party import PersonalDataErased
from domain.ledger.application import Ledger, Loaded, PostgresKeys, Q
from domain.ledger.codec import LedgerEvent
from domain.ledger.database import Connection
from domain.ledger.recorder import append, heads
from domain.refusals import Detail, Refused

ATTEMPTS_MAX = 6  # how often a command whose streams changed under it, or whose connection broke, is tried
PATIENT_AFTER = 2  # after so many tries it waits for its turn first, and then can't be overtaken

log = structlog.get_logger(__name__)


class VersionConflictError(Exception):
    """The stream is not at the version the caller expected."""

    def __init__(self, subject: str, expected: int, actual: int) -> None:
        super().__init__(f"{subject} is at version {actual}, not {expected}")
        self.actual = actual


class KeyReusedError(Exception):
    """An idempotency key came again with another request."""


class BusyError(Exception):
    """Others kept writing to the same streams: come back."""


@dataclass(frozen=True, slots=True)
class ReceiptKey:
    """Under what a command's first answer is found again: whose key, and the digest of what was asked."""

    scope: str
    key: str
    request: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command came to: `body` is the first answer's, whether now or before (`repeated`)."""

    body: dict[str, Any]
    repeated: bool = False

    @property
    def refused(self) -> bool:
        """Whether the domain said no."""
        return "refusal" in self.body


def request_digest(*parts: bytes) -> bytes:
    """Return the digest (32 bytes) by which the same request is known again."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.digest()


class _StaleError(Exception):
    """A stream changed between loading and committing."""


Condition = Callable[[Connection], None]
"""What has to hold where commands are committed. It looks under the counter's lock, on the transaction's own
connection, where nothing can change any more, and raises Refused where it does not hold."""


@dataclass(frozen=True, slots=True)
class _Work:
    """What is to be committed at once, under one command id and one receipt.

    `alone` is one command by itself: its refusal is kept with a receipt, and says of no index.
    """

    commands: tuple[Asked, ...]
    receipt: ReceiptKey
    command_id: str
    alone: bool
    condition: Condition | None = None


@dataclass(frozen=True, slots=True)
class _Decided:
    """What commands were decided on, and for each what it leads to; or the refusal of the first refused."""

    loaded: Loaded
    drafts: tuple[tuple[Draft, ...], ...] | Refused


class Writer:
    """Executes commands on one ledger. `clock` returns the present moment, aware."""

    def __init__(self, ledger: Ledger, clock: Callable[[], datetime]) -> None:
        self.ledger = ledger
        self._clock = clock

    def execute(self, asked: Asked, receipt: ReceiptKey) -> Answer:
        """Decide a command and commit what it leads to, or give its first answer again.

        Raises KeyReusedError, VersionConflictError, MalformedError (a time in the future) and BusyError;
        then nothing was written. A refusal by the domain is an answer, with a receipt like any other.
        """
        return self._persistently(_Work((asked,), receipt, uuid.uuid4().hex, alone=True))

    def execute_all(
        self,
        commands: Sequence[Asked],
        receipt: ReceiptKey,
        condition: Condition | None = None,
        command_id: str | None = None,
    ) -> Answer:
        """Decide commands one after the other and commit what all of them lead to, or nothing.

        Each is decided on what those before it lead to. The answer lists all events; its `version` is of the
        stream that the first command addresses. Where a command is refused, or the condition does not hold,
        the answer is that refusal (of a command, with its `index` from 0 and its name as `command`); it leaves
        no receipt, so that the same may be asked again once what stood against it is gone.
        `command_id` is given where commands name events of those before them; it is new for each call.
        Raises what `execute` raises, and ValueError where there are no commands.
        """
        if not commands:
            raise ValueError("there should be at least one command")
        name = command_id or uuid.uuid4().hex
        return self._persistently(_Work(tuple(commands), receipt, name, alone=False, condition=condition))

    def first_answer(self, receipt: ReceiptKey) -> Answer | None:
        """Return the answer that was given under a receipt before, if any; raises KeyReusedError."""
        with self.ledger.journal.database.connection(self.ledger.schema) as connection:
            return _first_answer(connection, receipt)

    def _persistently(self, work: _Work) -> Answer:
        """Try until nobody comes between deciding and committing."""
        for attempt in range(ATTEMPTS_MAX):
            try:
                return self._attempt(work, patient=attempt >= PATIENT_AFTER)
            except _StaleError:
                continue
            except psycopg.OperationalError as error:
                # Whether a commit went through before the connection broke, the receipt knows.
                log.warning(
                    "connection lost, asking the receipt", command_id=work.command_id, attempt=attempt
                )
                if attempt >= 2:
                    raise BusyError("the database can't be reached") from error
        raise BusyError(f"{work.commands[0].subject} is being written to by too many at once")

    def _attempt(self, work: _Work, *, patient: bool) -> Answer:
        """Decide and commit. `patient`: take the ledger's turn before looking, so that nothing can change."""
        now = self._clock()
        early = None if patient else self._decided(work, now)
        with self.ledger.journal.database.transaction(self.ledger.schema) as connection:
            locked = connection.execute(Q["lock_counter"]).fetchone() or (0, self._clock())
            first = _first_answer(connection, work.receipt)
            if first is not None:
                return first
            return self._commit(connection, locked, work, early or self._decided(work, now, connection))

    def _decided(self, work: _Work, now: datetime, connection: Connection | None = None) -> _Decided:
        """Decide each command on the states as those before it leave them."""
        loaded, found = Loaded(), []
        for index, asked in enumerate(work.commands):
            decided = replace(asked, now=now)
            self.ledger.load(decided, connection, loaded)
            try:
                found.append(decide(decided, loaded.states))
            except Refused as refusal:
                return _Decided(loaded, refusal if work.alone else _placed(refusal, index, asked))
            if index + 1 < len(work.commands):
                # Whether it lies in the future is for the commit to say.
                known = max(now, asked.time)
                for event in self._events(work, found, known, since=index):
                    loaded.evolve(event)
        return _Decided(loaded, tuple(found))

    def _events(
        self, work: _Work, drafts: Sequence[tuple[Draft, ...]], recordedtime: datetime, since: int = 0
    ) -> list[Event]:
        """Return the events of the commands from `since` on, numbered through all of the work."""
        number = 1 + sum(len(of_one) for of_one in drafts[:since])
        events: list[Event] = []
        for asked, of_one in zip(work.commands[since:], drafts[since:], strict=False):
            first = number + len(events)
            events += self.ledger.events_of(asked, of_one, work.command_id, recordedtime, first)
        return events

    def _commit(
        self, connection: Connection, locked: tuple[int, datetime], work: _Work, decided: _Decided
    ) -> Answer:
        last, high = locked
        loaded, drafts = decided.loaded, decided.drafts
        touched = set(loaded.versions)
        if not isinstance(drafts, Refused):
            touched |= {d.subject for of_one in drafts for d in of_one}
        at = heads(connection, touched)
        for subject in touched:
            head = at.get(subject)
            if loaded.versions.get(subject, 0) != (head.version if head else 0):
                raise _StaleError
        for asked in work.commands:
            self._check_version(asked, loaded)
        own = work.commands[0].subject
        try:
            if work.condition is not None:
                work.condition(connection)
            if isinstance(drafts, Refused):
                raise drafts
            # another host's clock may be ahead of ours: recorded time never runs backwards
            now = self._clock()
            now = max(now, high.astimezone(now.tzinfo))
            events = self._events(work, drafts, now)
            recorded = self.ledger.prepare(
                events, loaded.versions, loaded.ownership, PostgresKeys(connection)
            )
        except Refused as refusal:  # by the domain, or by the vault: the key of whom it is about is destroyed
            answer = Answer(refusal_body(work.command_id, refusal, loaded.versions[own]))
        else:
            done = append(connection, self.ledger.stored(recorded), at, recorded_at=now)
            erased = [e.subject for e in events if isinstance(e.data, PersonalDataErased)]
            if erased:
                connection.execute(Q["destroy_keys"], {"owners": erased})
            answer = Answer(
                {
                    "command_id": work.command_id,
                    "ledger": self.ledger.region,
                    "recordedtime": now.isoformat(),
                    "position": done[-1].position if done else last,
                    "version": at[own].version if own in at else 0,
                    "events": [_reference(e) for e in done],
                }
            )
        if work.alone or not answer.refused:
            _keep(connection, work.receipt, answer)
        return answer

    @staticmethod
    def _check_version(asked: Asked, loaded: Loaded) -> None:
        """Check that a stream is at the version the asker has seen; raises VersionConflictError."""
        actual = loaded.versions.get(asked.subject)
        if asked.expected_version is None or actual is None:  # not loaded: an earlier command was refused
            return
        if asked.expected_version != actual:
            raise VersionConflictError(asked.subject, asked.expected_version, actual)


def _placed(refused: Refused, index: int, asked: Asked) -> Refused:
    """Return the refusal of one command among several, with its place."""
    details: dict[str, Detail] = {**refused.details, "index": index, "command": type(asked.command).__name__}
    return Refused(refused.code, refused.message, details)


def _reference(event: LedgerEvent) -> dict[str, Any]:
    """Return how an answer names an event that was appended."""
    return {
        "id": event.event_id,
        "source": event.source,
        "type": event.topic,
        "subject": event.originator_id,
        "version": event.originator_version,
        "position": event.position,
    }


def _keep(connection: Connection, receipt: ReceiptKey, answer: Answer) -> None:
    """Keep an answer, to be given again."""
    connection.execute(
        Q["add_receipt"],
        {
            "scope": receipt.scope,
            "key": receipt.key,
            "request": receipt.request,
            "response": orjson.dumps(answer.body),
        },
    )


def _first_answer(connection: Connection, receipt: ReceiptKey) -> Answer | None:
    row = connection.execute(Q["find_receipt"], {"scope": receipt.scope, "key": receipt.key}).fetchone()
    if row is None:
        return None
    request, response = row
    if bytes(request) != receipt.request:
        raise KeyReusedError(receipt.key)
    return Answer(orjson.loads(bytes(response)), repeated=True)


def refusal_body(command_id: str, refused: Refused, version: int) -> dict[str, Any]:
    """Return what a refused command comes to."""
    return {
        "command_id": command_id,
        "version": version,
        "refusal": {"code": str(refused.code), "message": refused.message, "details": refused.details},
    }
