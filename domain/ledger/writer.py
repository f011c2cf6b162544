"""The service's write path: commands decided and committed with their receipts, exactly once.

Today one command makes one transaction; `_commit` is written for whatever waits to share one. It goes round
the library's `Application.save`, whose guard covers only the streams written to: here every stream a decision
has looked at is checked again under the counter's lock, so that no decision rests on what is no longer true.
"""

import hashlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import orjson
import psycopg
import structlog

from domain.commands.asking import Asked, Draft
from domain.decisions import decide
from domain.events.party import PersonalDataErased
from domain.ledger.application import Ledger, Loaded, PostgresKeys, Q
from domain.ledger.database import Connection
from domain.ledger.recorder import append, heads
from domain.refusals import Refused

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
        command_id = uuid.uuid4().hex
        for attempt in range(ATTEMPTS_MAX):
            try:
                return self._attempt(asked, receipt, command_id, patient=attempt >= PATIENT_AFTER)
            except _StaleError:
                continue
            except psycopg.OperationalError as error:
                # Whether a commit went through before the connection broke, the receipt knows.
                log.warning("connection lost, asking the receipt", command_id=command_id, attempt=attempt)
                if attempt >= 2:
                    raise BusyError("the database can't be reached") from error
        raise BusyError(f"{asked.subject} is being written to by too many at once")

    def _attempt(self, asked: Asked, receipt: ReceiptKey, command_id: str, *, patient: bool) -> Answer:
        """Decide and commit. `patient`: take the ledger's turn before looking, so that nothing can change."""
        asked = replace(asked, now=self._clock())
        early = None if patient else self._decided(asked)
        with self.ledger.journal.database.transaction(self.ledger.schema) as connection:
            locked = connection.execute(Q["lock_counter"]).fetchone() or (0, self._clock())
            first = _first_answer(connection, receipt)
            if first is not None:
                return first
            loaded, drafts = early or self._decided(asked, connection)
            return self._commit(connection, locked, asked, receipt, command_id, loaded, drafts)

    def _decided(
        self, asked: Asked, connection: Connection | None = None
    ) -> tuple[Loaded, tuple[Draft, ...] | Refused]:
        loaded = self.ledger.load(asked, connection)
        try:
            return loaded, decide(asked, loaded.states)
        except Refused as refusal:
            return loaded, refusal

    def _commit(  # noqa: PLR0917 - everything one transaction needs
        self,
        connection: Connection,
        locked: tuple[int, datetime],
        asked: Asked,
        receipt: ReceiptKey,
        command_id: str,
        loaded: Loaded,
        drafts: tuple[Draft, ...] | Refused,
    ) -> Answer:
        last, high = locked
        touched = set(loaded.versions)
        if not isinstance(drafts, Refused):
            touched |= {d.subject for d in drafts}
        at = heads(connection, touched)
        for subject in touched:
            head = at.get(subject)
            if loaded.versions.get(subject, 0) != (head.version if head else 0):
                raise _StaleError
        own_version = loaded.versions[asked.subject]
        if asked.expected_version is not None and asked.expected_version != own_version:
            raise VersionConflictError(asked.subject, asked.expected_version, own_version)
        try:
            if isinstance(drafts, Refused):
                raise drafts
            # another host's clock may be ahead of ours: recorded time never runs backwards
            now = self._clock()
            now = max(now, high.astimezone(now.tzinfo))
            events = self.ledger.events_of(asked, drafts, command_id, now)
            recorded = self.ledger.prepare(
                events, loaded.versions, loaded.ownership, PostgresKeys(connection)
            )
        except Refused as refusal:  # by the domain, or by the vault: the key of whom it is about is destroyed
            body = refusal_body(command_id, refusal, own_version)
        else:
            done = append(connection, self.ledger.stored(recorded), at, recorded_at=now)
            erased = [e.subject for e in events if isinstance(e.data, PersonalDataErased)]
            if erased:
                connection.execute(Q["destroy_keys"], {"owners": erased})
            body = {
                "command_id": command_id,
                "ledger": self.ledger.region,
                "recordedtime": now.isoformat(),
                "position": done[-1].position if done else last,
                "version": at[asked.subject].version if asked.subject in at else 0,
                "events": [
                    {
                        "id": e.event_id,
                        "source": e.source,
                        "type": e.topic,
                        "subject": e.originator_id,
                        "version": e.originator_version,
                        "position": e.position,
                    }
                    for e in done
                ],
            }
        connection.execute(
            Q["add_receipt"],
            {
                "scope": receipt.scope,
                "key": receipt.key,
                "request": receipt.request,
                "response": orjson.dumps(body),
            },
        )
        return Answer(body)


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
