"""Commands decided one after the other on the standings of one moment, and what has to be written for them.

Nothing here is true before it is committed: the events are numbered from the position at which the log stood,
and are written only where it still stands there.
"""

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import orjson

from domain.commands.asking import Asked, Draft
from domain.decisions import decide, is_wide, needs
from domain.events.envelope import Recorded
from domain.events.links import links_of
from domain.events.party import PersonalDataErased
from domain.frozen import frozen
from domain.ledger.application import NEEDS_ROUNDS_MAX, Ledger
from domain.ledger.arrays import bigint, binaries, integers, moment, moments, texts
from domain.ledger.codec import chain
from domain.ledger.database import Connection
from domain.ledger.sealing import sealed
from domain.ledger.standings import Standings
from domain.ledger.vault import KeyStore
from domain.refusals import Code, Detail, Refused

if TYPE_CHECKING:
    from domain.streams import State


class VersionConflictError(Exception):
    """The stream is not at the version the caller expected."""

    def __init__(self, subject: str, expected: int, actual: int) -> None:
        super().__init__(f"{subject} is at version {actual}, not {expected}")
        self.actual = actual


class KeyReusedError(Exception):
    """An idempotency key came again with another request."""


@frozen
class ReceiptKey:
    """Under what a command's first answer is found again: whose key, and the digest of what was asked."""

    scope: str
    key: str
    request: bytes


@frozen
class Answer:
    """What a command came to: `body` is the first answer's, whether now or before (`repeated`)."""

    body: dict[str, Any]
    repeated: bool = False

    @property
    def refused(self) -> bool:
        """Whether the domain said no."""
        return "refusal" in self.body


Condition = Callable[[Connection], None]
"""What has to hold where commands are committed. It looks under the counter's lock, on the transaction's own
connection, where nothing can change any more, and raises Refused where it does not hold."""


@frozen
class Work:
    """What is to be committed at once, under one command id and one receipt.

    `alone` is one command by itself: its refusal is kept with a receipt, and says of no index.
    """

    commands: tuple[Asked, ...]
    receipt: ReceiptKey
    command_id: str
    alone: bool
    condition: Condition | None = None

    @property
    def plain(self) -> bool:
        """Whether it is decided from standings alone: no key is made, opened or destroyed, nothing rolled back."""
        command = self.commands[0].command
        return self.alone and not command.PERSONAL and PersonalDataErased not in command.EMITS


@dataclass(slots=True)
class Columns:
    """What is written, column by column, as the query `write` takes it."""

    subjects: list[str] = field(default_factory=list)
    versions: list[int] = field(default_factory=list)
    types: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    occurred: list[datetime] = field(default_factory=list)
    fingerprints: list[bytes] = field(default_factory=list)
    digests: list[bytes] = field(default_factory=list)
    states: list[bytes] = field(default_factory=list)
    linking: list[str] = field(default_factory=list)
    related: list[str] = field(default_factory=list)
    linked_at: list[datetime] = field(default_factory=list)
    scopes: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    requests: list[bytes] = field(default_factory=list)
    responses: list[bytes] = field(default_factory=list)

    def given(self) -> dict[str, bytes]:
        """Return the columns by name, encoded."""
        return {
            "subjects": texts(self.subjects),
            "versions": integers(self.versions),
            "types": texts(self.types),
            "ids": texts(self.ids),
            "occurred": moments(self.occurred),
            "fingerprints": binaries(self.fingerprints),
            "digests": binaries(self.digests),
            "states": binaries(self.states),
            "linking": texts(self.linking),
            "related": texts(self.related),
            "linked_at": moments(self.linked_at),
            "scopes": texts(self.scopes),
            "keys": texts(self.keys),
            "requests": binaries(self.requests),
            "responses": binaries(self.responses),
        }


class Batch:
    """Decisions made at one moment, `now`, which is also the recorded time of what they lead to.

    `connection` and `keys` are given where they are a transaction's, with the counter locked; without them, only
    plain works are decided. `before` are the events of a batch that is in flight, on which these decisions rest.
    """

    def __init__(
        self,
        ledger: Ledger,
        standings: Standings,
        now: datetime,
        connection: Connection | None = None,
        keys: KeyStore | None = None,
        *,
        before: Sequence[Recorded] = (),
    ) -> None:
        assert standings.position is not None, "decisions rest on one position of the log"
        self._ledger = ledger
        self._standings = standings
        self._connection = connection
        self._keys = keys
        self._recordedtime = now.isoformat()
        self._before = before
        self.pending: list[Recorded] = []
        """The events it leads to so far."""
        self._columns = Columns()
        self.now = now
        self.base = standings.position
        self.erased: list[str] = []

    @property
    def count(self) -> int:
        """How many events it leads to so far."""
        return len(self.pending)

    @property
    def locked(self) -> bool:
        """Whether nobody else can append until it is committed."""
        return self._connection is not None

    @property
    def touched(self) -> set[str]:
        """The streams it appends to."""
        return set(self._columns.subjects)

    def given(self) -> dict[str, bytes]:
        """Return what the query `write` is given, encoded."""
        return {
            **self._columns.given(),
            "count": bigint(len(self.pending)),
            "expected": bigint(self.base),
            "recorded_at": moment(self.now),
            "source": self._ledger.source.encode(),
        }

    def prepare(self, works: Iterable[Work]) -> None:
        """Load at once what decisions on some works will look at first, where it is not kept: two queries for all."""
        commands = [asked for work in works for asked in work.commands]
        own = {asked.subject for asked in commands}
        if self._standings.knows(own):
            return
        states = {s: standing.state for s, standing in self._standings.load(own, self._connection).items()}
        further = {subject for asked in commands for subject in needs(asked, states)}
        self._standings.load(further, self._connection)

    def add(self, work: Work) -> Answer:
        """Decide commands, each on what those before it lead to, and return the answer to be given once committed.

        Raises VersionConflictError and MalformedError; then it adds nothing, where the work is one command.
        Of a work that is refused nothing is to be committed but the receipt of a command that is `alone`.
        """
        own = work.commands[0].subject
        before: dict[str, int] = {}
        first = len(self.pending)
        try:
            if work.condition is not None:
                assert self._connection is not None, "a condition is looked at under the counter's lock"
                work.condition(self._connection)
            for index, asked in enumerate(work.commands):
                try:
                    self._decide(work, asked, before, first)
                except Refused as refusal:
                    raise refusal if work.alone else _placed(refusal, index, asked) from None
        except Refused as refusal:
            version = before.get(own)
            if version is None:
                version = self._standings.of(own, self._connection).version
            answer = Answer(refusal_body(work.command_id, refusal, version))
        else:
            answer = self._answer(work, own, self.pending[first:])
        if work.alone or not answer.refused:
            self._keep(work.receipt, answer)
        return answer

    def _decide(self, work: Work, asked: Asked, before: dict[str, int], first: int) -> None:
        """Decide a command and take in what it leads to."""
        states = self._load(asked, before)
        if asked.expected_version is not None and asked.expected_version != before[asked.subject]:
            raise VersionConflictError(asked.subject, asked.expected_version, before[asked.subject])
        for draft in decide(asked, states, self.now):
            self._append(work, asked, draft, len(self.pending) - first + 1)

    def _load(self, asked: Asked, before: dict[str, int]) -> "dict[str, State]":
        """Return the states a command's decision needs, and only those; note versions that are not in `before` yet."""
        states: dict[str, State] = {}
        wanted = {asked.subject}
        if is_wide(asked):
            wanted |= self._ledger.journal.concerning(asked.subject, self._connection)
        for _ in range(NEEDS_ROUNDS_MAX):
            for subject, standing in self._standings.load(wanted, self._connection).items():
                states[subject] = standing.state
                before.setdefault(subject, standing.version)
            wanted = needs(asked, states).difference(states)
            if not wanted:
                return states
        raise RuntimeError(f"{type(asked.command).__name__} asks for ever more streams: {sorted(wanted)}")

    def _append(self, work: Work, asked: Asked, draft: Draft, number: int) -> None:
        """Seal, number and chain the event of a draft, and evolve the state of its stream."""
        event = self._ledger.event_of(asked, draft, work.command_id, self.now, number)
        made = sealed(self._ledger.vault, self._keys, self._standings.ownership, event)
        if made is None:
            raise Refused(
                Code.PARTY_ERASED,
                f"{self._standings.ownership.owner_of(event)} was erased: no personal data of theirs may be recorded",
                {},
            )
        standing = self._standings.of(draft.subject, self._connection)
        digest, version = chain(standing.digest, made.state), standing.version + 1
        position = self.base + len(self.pending) + 1
        recorded = Recorded(made.event, version, position, None, digest, made.fingerprint)
        self.pending.append(recorded)
        self._standings.added(recorded, itertools.chain(self._before, self.pending), self._connection)
        columns = self._columns
        columns.subjects.append(draft.subject)
        columns.versions.append(version)
        columns.types.append(event.type)
        columns.ids.append(event.id)
        columns.occurred.append(event.time)
        columns.fingerprints.append(made.fingerprint)
        columns.digests.append(digest)
        columns.states.append(made.state)
        for link in links_of(event):
            columns.linking.append(event.subject)
            columns.related.append(link)
            columns.linked_at.append(event.time)
        if isinstance(event.data, PersonalDataErased):
            self.erased.append(event.subject)

    def _answer(self, work: Work, own: str, events: Sequence[Recorded]) -> Answer:
        return Answer(
            {
                "command_id": work.command_id,
                "ledger": self._ledger.region,
                "recordedtime": self._recordedtime,
                "position": self.base + len(self.pending),
                "version": self._standings.of(own, self._connection).version,
                "events": [_reference(r) for r in events],
            }
        )

    def _keep(self, receipt: ReceiptKey, answer: Answer) -> None:
        """Keep an answer, to be given again."""
        columns = self._columns
        columns.scopes.append(receipt.scope)
        columns.keys.append(receipt.key)
        columns.requests.append(receipt.request)
        columns.responses.append(orjson.dumps(answer.body))


def _reference(recorded: Recorded) -> dict[str, Any]:
    """Return how an answer names an event that was appended."""
    event = recorded.event
    return {
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "subject": event.subject,
        "version": recorded.version,
        "position": recorded.position,
    }


def _placed(refused: Refused, index: int, asked: Asked) -> Refused:
    """Return the refusal of one command among several, with its place."""
    details: dict[str, Detail] = {**refused.details, "index": index, "command": type(asked.command).__name__}
    return Refused(refused.code, refused.message, details)


def refusal_body(command_id: str, refused: Refused, version: int) -> dict[str, Any]:
    """Return what a refused command comes to."""
    return {
        "command_id": command_id,
        "version": version,
        "refusal": {"code": str(refused.code), "message": refused.message, "details": refused.details},
    }
