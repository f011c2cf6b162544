"""Observed history in: a file in chunks, each read and landed, in worker processes where that pays.

What a sealed export says besides its events (whose it is, the keys) decides how the lines after it are taken: a chunk
with such a line is taken here, line by line, in its turn. So is one that says that a party's personal data was
destroyed: whoever keeps copies elsewhere lets go of them first, while the party's key still says what to look for.
"""

import base64
import binascii
import hmac
import io
import os
from collections.abc import Callable
from datetime import datetime
from types import TracebackType
from typing import Any, BinaryIO, Self

import psycopg

from domain.events.envelope import check_subject, ledger_of, text_attribute
from domain.events.fields import IDENTIFIER_MAX_CHARS, MalformedError
from domain.ledger.application import Ledger, PostgresKeys, Q
from domain.ledger.database import WRITER, StorageError
from domain.ledger.deployment import Deployment, SubjectError
from domain.ledger.interchange.bringing import (
    Bringer,
    Brought,
    KeyLineError,
    Read,
    Tally,
    erases,
    read_chunk,
    read_line,
    refusal_of,
)
from domain.ledger.interchange.lines import (
    DEPLOYMENT_TYPE,
    Arrival,
    Chunk,
    Refusal,
    chunks_of,
    lines_of,
    read_object,
)
from domain.ledger.interchange.reading import Reader
from domain.ledger.interchange.workers import Team
from domain.ledger.vault import VaultError

PARALLEL_FROM_BYTES = 25_165_824
"""Some 60,000 events, over a second's work for one process: from there on workers are faster, start included."""
WORKERS_MAX = 3  # two keep a ledger's turn busy, a third fills its gaps; more would only wait


class Importer:
    """Brings observed history into a deployment. `refuse` is called for every line that does not land.

    As a context it keeps its workers from one file to the next.
    """

    parallel_from_bytes = PARALLEL_FROM_BYTES

    def __init__(
        self,
        deployment: Deployment,
        refuse: Callable[[Refusal], None],
        clock: Callable[[], datetime],
        progress: Callable[[Tally], None] | None = None,
        *,
        workers: int | None = None,
        erasing: Callable[[Ledger, str], None] = lambda _ledger, _party: None,
    ) -> None:
        """`workers`: how many processes read and land a long file, with this one; by default one for each core.

        `erasing` is called before a party's erasure lands, with all that stands before it landed.
        """
        self.tally = Tally()
        self._deployment = deployment
        self._refuse = refuse
        self._clock = clock
        self._progress = progress
        self._erasing = erasing
        self._workers = min(_cores(), WORKERS_MAX) if workers is None else workers
        self._team: Team | None = None
        self._keeps_team = False
        self._seen_bytes = 0
        self._reader = Reader(deployment.secrets)
        self._bringer = Bringer(deployment)
        self._own_seal = False  # whether a sealed export told, and proved, that it is of this deployment

    def __enter__(self) -> Self:
        self._keeps_team = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._disband()

    def run(self, source: BinaryIO) -> Tally:
        """Import a whole file; may be stopped anywhere and run again.

        Raises StorageError where the connection or a worker process was lost.
        """
        self.tally, self._own_seal = Tally(), False
        whole = False
        try:
            self._take_all(source)
            whole = True
        except psycopg.OperationalError as error:
            why = str(error).partition("\n")[0]
            raise StorageError(
                f"the connection to PostgreSQL was lost ({why}): run it again, what has landed is told as repeated"
            ) from error
        finally:
            if not (whole and self._keeps_team):
                self._disband()
        return self.tally

    def _take_all(self, source: BinaryIO) -> None:
        """Take a file chunk by chunk: here, until there are workers, where it is long enough for them."""
        expected = _size_of(source)
        for chunk in chunks_of(source):
            self._seen_bytes += len(chunk.text)
            long = max(self._seen_bytes, expected) >= self.parallel_from_bytes
            # The first of a sealed export says whose it is, and workers start on the secret that it takes over.
            if long and self._team is None and self._workers > 1 and not _may_say_whose(chunk):
                self._team = Team(self._deployment, self._workers - 1, self)
            if self._team is not None and self._team.ready():
                self._team.take(chunk)
            else:
                self.take_here(chunk)
        if self._team is not None:
            self._team.finish()

    def _disband(self) -> None:
        if self._team is not None:
            self._team.close()
            self._team = None

    # -- what a team asks of the one it works for

    def turn(self) -> tuple[datetime, bool]:
        """Return the present moment, and whether seals are this deployment's."""
        return self._clock(), self._own_seal

    def brought(self, brought: Brought) -> None:
        """Count what became of a chunk."""
        self.tally.add(brought.tally)
        for refusal in brought.refusals:
            self._refuse(refusal)
        if self._progress is not None:
            self._progress(self.tally)

    def read(self, chunk: Chunk) -> Read | None:
        """Return what a chunk's lines are; None where some line in it decides how those after it are read."""
        return read_chunk(self._reader, chunk)

    def bring(self, read: Read) -> None:
        """Land what was read; up to an erasure, then what has to be done before it, and on from there."""
        begins = 0
        for index, one in enumerate(read):
            if erases(one):
                self._land(read[begins:index])
                begins = index
                self._before(one)
        self._land(read[begins:])

    def take_here(self, chunk: Chunk) -> None:
        """Read and land a chunk in this process."""
        read = self.read(chunk)
        if read is None:
            self._take_line_by_line(chunk)
        else:
            self.bring(read)

    # -- in this process

    def _land(self, read: Read) -> None:
        if read:
            self.brought(self._bringer.bring(read, self._clock(), own_seal=self._own_seal))

    def _before(self, erasure: Arrival | Refusal) -> None:
        assert isinstance(erasure, Arrival), "what is refused erases nobody"
        ledger = self._deployment.ledger(ledger_of(erasure.region))
        if ledger is not None:
            self._erasing(ledger, erasure.subject)

    def _take_line_by_line(self, chunk: Chunk) -> None:
        """Take a chunk in which some line decides how those after it are read."""
        read: list[Arrival | Refusal] = []
        for number, line in lines_of(io.BytesIO(chunk.text), chunk.first):
            try:
                read.append(read_line(self._reader, number, line))
            except KeyLineError:
                if read:
                    self.bring(read)
                    read = []
                try:
                    self._take_key(read_object(line))
                    self.tally.keys += 1
                except (MalformedError, SubjectError, VaultError) as error:
                    read.append(refusal_of(number, line, error))
        self.bring(read)

    def _take_key(self, raw: dict[str, Any]) -> None:
        """Take a sealed export's line that is no event: whose export it is, or a party's key."""
        data = raw.get("data")
        if not isinstance(data, dict):
            raise MalformedError("data", "should be an object")
        try:
            wrapped = base64.b64decode(data["wrapped"], validate=True) if data.get("wrapped") else None
        except (TypeError, binascii.Error, ValueError):
            raise MalformedError("data.wrapped", "should be a wrapped key in base64") from None
        if raw["type"] == DEPLOYMENT_TYPE:
            self._own_seal = False
            if wrapped is None:
                raise MalformedError("data.wrapped", "is missing")
            if not self._deployment.adopt(wrapped):
                raise MalformedError(
                    "data.wrapped",
                    "is another deployment's: import a plain export, or into an empty database",
                )
            self._own_seal = True
            self._reader = Reader(self._deployment.secrets)
            return
        self._keep_key(raw, data.get("proof"), wrapped)

    def _keep_key(self, raw: dict[str, Any], proof: object, wrapped: bytes | None) -> None:
        key_id, region = text_attribute(raw, "id", IDENTIFIER_MAX_CHARS), text_attribute(raw, "region")
        owner = check_subject(text_attribute(raw, "subject"))
        expected = self._deployment.secrets.key_line(
            key_id, owner, base64.b64encode(wrapped or b"").decode("ascii")
        )
        if not self._own_seal or not isinstance(proof, str) or not hmac.compare_digest(proof, expected):
            raise MalformedError("data.proof", "does not show that the key is this deployment's")
        ledger = self._deployment.ledger_for(region)
        given: dict[str, Any] = {"key_ids": [key_id], "owners": [owner]}
        with ledger.journal.database.transaction(ledger.schema, WRITER) as connection:
            keys = PostgresKeys(connection)
            keys.make_alone(self._deployment.master.ids)
            if wrapped is None or any(gone is None for _, _, gone in keys.of_owners([owner])):
                connection.execute(Q["add_destroyed_keys"], given)
            else:
                self._deployment.master.unwrap(wrapped)
                connection.execute(Q["add_keys"], {**given, "wrapped": [wrapped]})


def _cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _may_say_whose(chunk: Chunk) -> bool:
    """Whether the chunk may hold the line of a sealed export that says whose it is."""
    return DEPLOYMENT_TYPE.encode() in chunk.text


def _size_of(source: BinaryIO) -> int:
    """Return how many bytes are to come, 0 where that is not known."""
    if not source.seekable():
        return 0
    at = source.tell()
    end = source.seek(0, os.SEEK_END)
    source.seek(at)
    return end - at
