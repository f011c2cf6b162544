"""The ledger as an application of the event sourcing library: one region's log, its vault and its histories.

On PostgreSQL it stands on our recorder; with the library's stock in-memory recorder the same application
serves the domain's tests. The service writes through `writer.py`; `execute` here is the library's own path.
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from eventsourcing.application import Application
from eventsourcing.persistence import ApplicationRecorder, InfrastructureFactory
from eventsourcing.utils import Environment

from domain.calendar import CLOCK_SKEW
from domain.commands.asking import Asked, Draft, event_id
from domain.decisions import decide, is_wide, needs
from domain.events.envelope import Event, Recorded
from domain.events.fields import MalformedError
from domain.ledger.codec import LedgerEvent
from domain.ledger.database import WRITER, Connection, Database
from domain.ledger.queries import queries
from domain.ledger.recorder import POSITION_MAX, Factory, LedgerRecorder
from domain.ledger.sealing import Ownership, fingerprint_of, seal_all
from domain.ledger.vault import KeyStore, MemoryKeys, Vault, VaultError
from domain.refusals import Code, Refused
from domain.replay import Histories, in_order
from domain.streams import State, state_of

Q = queries("domain.ledger.sql", "queries.sql")
NEEDS_ROUNDS_MAX = 6  # an account, its party, its dealers, their cases: no decision looks further


class PostgresKeys:
    """The wrapped keys of one ledger, in its own table, on the connection of the running transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def of_owners(self, owners: Iterable[str]) -> list[tuple[str, str, bytes | None]]:
        """Return (owner, key id, wrapped or None where destroyed), the newest of an owner last."""
        return self._rows("keys_of_owners", {"owners": list(owners)})

    def by_id(self, key_ids: Iterable[str]) -> list[tuple[str, str, bytes | None]]:
        """Return (key id, owner, wrapped or None where destroyed)."""
        return self._rows("keys_by_id", {"key_ids": list(key_ids)})

    def make_alone(self, masters: Sequence[str]) -> None:
        """Take the counter's lock, which every writer takes anyway: no second lock to wait for crosswise.

        Raises VaultError where another master key than one of these wraps the ledger's keys.
        """
        self._connection.execute(Q["lock_counter"])
        row = self._connection.execute(Q["wrapping_key"]).fetchone()
        if row is None or row[0] not in masters:
            raise VaultError(
                "the master key was changed since this process began: start it again with the new one"
            )

    def add(self, keys: Iterable[tuple[str, str, bytes]]) -> None:
        """Keep new keys: (key id, owner, wrapped)."""
        key_ids, owners, wrapped = (list(column) for column in zip(*keys, strict=True))
        self._connection.execute(Q["add_keys"], {"key_ids": key_ids, "owners": owners, "wrapped": wrapped})

    def _rows(self, query: str, given: Mapping[str, Any]) -> list[tuple[str, str, bytes | None]]:
        rows = self._connection.execute(Q[query], given).fetchall()
        return [(a, b, None if wrapped is None else bytes(wrapped)) for a, b, wrapped in rows]


@dataclass(slots=True)
class Loaded:
    """What decisions look at: states, the versions in the log they rest on, and whose streams they are."""

    states: dict[str, State] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    ownership: Ownership = field(default_factory=Ownership)
    histories: dict[str, list[Recorded]] = field(default_factory=dict)

    def add(self, subject: str, history: list[Recorded]) -> None:
        """Take a stream in as it stands in the log."""
        self.histories[subject] = history
        self.states[subject] = state_of(subject, in_order(history))
        self.versions[subject] = len(history)
        self.ownership.learn_history(history)


class Ledger(Application[str]):
    """One region's ledger."""

    env: ClassVar[dict[str, str]] = {
        "MAPPER_TOPIC": "domain.ledger.codec:LedgerMapper",
        "TRANSCODER_TOPIC": "domain.ledger.codec:CanonicalTranscoder",
    }

    def __init__(
        self,
        region: str,
        vault: Vault,
        database: Database | None = None,
        schema: str = "",
        env: dict[str, str] | None = None,
    ) -> None:
        """Stand on a database's schema, or, without one, on what `env` configures (memory by default)."""
        self.region = region
        self.vault = vault
        self.database = database
        self.schema = schema
        self.source = f"urn:recount:ledger:{region}"
        """The CloudEvents source of what this ledger itself records."""
        self.memory_keys = MemoryKeys()
        super().__init__(env)

    def construct_factory(self, env: Environment) -> InfrastructureFactory:
        """Return our factory on PostgreSQL, the library's own otherwise."""
        if self.database is None:
            return super().construct_factory(env)
        factory = Factory(env)
        factory.database, factory.schema = self.database, self.schema
        return factory

    @property
    def journal(self) -> LedgerRecorder:
        """The log on PostgreSQL; raises TypeError on another recorder."""
        recorder: ApplicationRecorder = self.recorder
        if not isinstance(recorder, LedgerRecorder):
            raise TypeError("this ledger does not stand on PostgreSQL")
        return recorder

    # -- reading

    def history(self, subject: str) -> list[Recorded]:
        """Return one stream in version order."""
        return [self.read(e) for e in self.recorder.select_events(subject)]

    def histories(self, subjects: Iterable[str], position: int = POSITION_MAX) -> Histories:
        """Return several streams as they stood at a position."""
        streams = self.journal.streams(subjects, position)
        return {subject: [self.read(e) for e in events] for subject, events in streams.items()}

    def read(self, event: Any) -> Recorded:
        """Return a stored event decoded; its personal data stays sealed."""
        recorded = self.mapper.to_domain_event(event)
        assert isinstance(recorded, Recorded)
        return recorded

    def load(self, asked: Asked, connection: Connection | None = None) -> Loaded:
        """Load what a command's decision needs, and only that; on a transaction's own connection if given."""
        loaded = Loaded()
        wanted = {asked.subject}
        if is_wide(asked) and self.database is not None:
            wanted |= self.journal.concerning(asked.subject, connection)
        for _ in range(NEEDS_ROUNDS_MAX):
            for subject, history in self._read_streams(wanted, connection).items():
                loaded.add(subject, history)
            wanted = needs(asked, loaded.states) - loaded.states.keys()
            if not wanted:
                return loaded
        raise RuntimeError(f"{type(asked.command).__name__} asks for ever more streams: {sorted(wanted)}")

    def _read_streams(self, subjects: set[str], connection: Connection | None) -> dict[str, list[Recorded]]:
        if self.database is None:
            return {subject: self.history(subject) for subject in subjects}
        streams = self.journal.streams(sorted(subjects), connection=connection)
        return {subject: [self.read(e) for e in events] for subject, events in streams.items()}

    # -- writing

    def event_of(
        self, asked: Asked, draft: Draft, command_id: str, recordedtime: datetime, number: int
    ) -> Event:
        """Return a draft as an event, the command's `number`th; raises MalformedError where it lies in the future."""
        if asked.time > recordedtime and asked.time > recordedtime + CLOCK_SKEW:
            raise MalformedError("time", "should not lie in the future")
        return Event(
            event_id(command_id, number),
            self.source,
            draft.subject,
            asked.time,
            recordedtime,
            asked.actor,
            asked.channel,
            asked.region,
            draft.data,
            asked.actororg,
            asked.correlationid or command_id,
            asked.causationid,
            asked.evidenceref,
        )

    def prepare(
        self, events: Iterable[Event], versions: Mapping[str, int], ownership: Ownership, keys: KeyStore
    ) -> list[Recorded]:
        """Return events sealed and numbered after the versions their streams are at; raises Refused."""
        clear = list(events)
        at = dict(versions)
        found = []
        for event, sealed in zip(clear, seal_all(self.vault, keys, ownership, clear), strict=True):
            if sealed is None:
                raise Refused(
                    Code.PARTY_ERASED,
                    f"{ownership.owner_of(event)} was erased: no personal data of theirs may be recorded",
                    {},
                )
            at[event.subject] = at.get(event.subject, 0) + 1
            found.append(Recorded(sealed, at[event.subject], fingerprint=fingerprint_of(self.vault, event)))
        return found

    def stored(self, recorded: Iterable[Recorded]) -> list[LedgerEvent]:
        """Return events in their stored form."""
        found = [self.mapper.to_stored_event(r) for r in recorded]
        return [e for e in found if isinstance(e, LedgerEvent)]

    def execute(self, asked: Asked, command_id: str, recordedtime: datetime) -> list[Recorded]:
        """Decide a command and save its events the library's way; raises Refused, IntegrityError.

        The plain path: no receipt, and only the streams written to are guarded against other writers.
        """
        loaded = self.load(asked)
        drafts = decide(asked, loaded.states)
        events = [self.event_of(asked, d, command_id, recordedtime, n) for n, d in enumerate(drafts, 1)]
        with self._keys() as keys:  # kept before the events are: a key without an event harms nobody
            recorded = self.prepare(events, loaded.versions, loaded.ownership, keys)
        self.save(*recorded)
        return recorded

    @contextlib.contextmanager
    def _keys(self) -> Iterator[KeyStore]:
        if self.database is None:
            yield self.memory_keys
        else:
            with self.database.transaction(self.schema, WRITER) as connection:
                yield PostgresKeys(connection)
