"""Seals on one ledger's log: made, kept and read back, with proofs of what they say about a stream.

A seal costs what was appended since the one before: its map is changed along the paths of the streams that grew, and
each page on them is checked against the sealed root before it is used. So a seal never takes over what was altered in
older events, whoever altered it: a stream that did not grow keeps its sealed head, one that grew has to go on from it.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

import structlog

from domain.evidence import EvidenceError
from domain.evidence.headmap import (
    EMPTY,
    Leaf,
    Pages,
    Proof,
    built,
    changed,
    encode,
    find,
    gather,
    key_of,
    prove,
)
from domain.evidence.merkle import HASH_BYTES, Peaks, grown, root_with_last
from domain.evidence.records import (
    NOTHING,
    ChangesDigest,
    Checkpoint,
    LogDigest,
    Note,
    Record,
    parse_checkpoint,
    parse_note,
    parse_record,
)
from domain.ledger.application import Ledger
from domain.ledger.database import WRITER, Connection
from domain.ledger.queries import queries
from domain.ledger.signing import SealKey, signer_of

Q = queries("domain.ledger.sql", "seals.sql")
BATCH_STREAMS = 20_000  # changed at once: some 60 MB of pages
BATCH_EVENTS = 20_000  # digests read at once: some 3 MB
REWOUND_MAX = 20_000  # streams taken back to an older seal in memory: some 60 MB of pages

T = TypeVar("T")

log = structlog.get_logger(__name__)


class SealError(Exception):
    """The log can't be sealed, or contradicts a seal: one line that says what and what to do."""


@dataclass(frozen=True, slots=True)
class Seal:
    """A seal as it stands: its record, what leads from it to the signed root, and the signed checkpoint."""

    record: Record
    peaks: Peaks
    checkpoint: bytes

    @property
    def number(self) -> int:
        """Which seal it is, from 1."""
        return self.record.number

    @property
    def position(self) -> int:
        """The log is sealed up to here."""
        return self.record.position

    @property
    def digest(self) -> bytes:
        """What the next seal names as the checkpoint before it."""
        return hashlib.sha256(self.checkpoint).digest()

    @property
    def note(self) -> Note:
        """The checkpoint's text and signatures, not checked yet; raises EvidenceError."""
        return parse_note(self.checkpoint)

    def signed_text(self) -> Checkpoint:
        """Return what was signed, by its form and its own root; raises EvidenceError where it is not this seal's."""
        found = parse_checkpoint(self.note.text)
        root = root_with_last(self.peaks, self.number, self.record.hash)
        if (found.size, found.root) != (self.number, root):
            raise EvidenceError("the checkpoint is not that of the seal's record")
        return found


def origin_of(name: str, region: str) -> str:
    """Return what a ledger is called in its checkpoints."""
    return f"{name}/{region}"


def seal_of(row: Sequence[Any]) -> Seal:
    """Return the seal of a row of the queries; raises EvidenceError where its columns are not its record's."""
    number, position, sealed_at, raw, peaks, checkpoint = row
    record, peaks = parse_record(bytes(raw)), bytes(peaks)
    if (record.number, record.position, record.sealed_at) != (number, position, sealed_at):
        raise EvidenceError("its number, position or time is not its record's")
    if len(peaks) % HASH_BYTES:
        raise EvidenceError("its peaks are cut")
    cut = tuple(peaks[at : at + HASH_BYTES] for at in range(0, len(peaks), HASH_BYTES))
    return Seal(record, cut, bytes(checkpoint))


class Seals:
    """The seals of one ledger, for reading."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def last(self) -> Seal | None:
        """Return the latest seal."""
        return self._one("last")

    def numbered(self, number: int) -> Seal | None:
        """Return a seal by its number, from 1."""
        return self._one("by_number", number=number)

    def first_from(self, position: int) -> Seal | None:
        """Return the first seal that covers a position."""
        return self._one("first_from", position=position)

    def page(self, after: int, limit: int) -> list[Seal]:
        """Return the seals after a number, in their order."""
        with self._ledger.journal.database.connection(self._ledger.schema) as connection:
            return [seal_of(row) for row in connection.execute(Q["page"], {"after": after, "limit": limit})]

    def timestamps(self, number: int) -> list[tuple[str, bytes]]:
        """Return what time-stamping authorities said of a seal: (authority, RFC 3161 response)."""
        with self._ledger.journal.database.connection(self._ledger.schema) as connection:
            rows = connection.execute(Q["timestamps"], {"seal": number})
            return [(authority, bytes(token)) for authority, token, _ in rows]

    def proofs(self, seal: Seal, subjects: Iterable[str]) -> dict[str, Proof]:
        """Return the proof of each stream's head, or that there was no such stream, as a seal has it.

        An older seal's map is the present one with what was changed since taken back; where that is very much, it is
        made anew from the heads that are kept. Raises SealError.
        """
        asked = list(subjects)
        with self._ledger.journal.database.transaction(self._ledger.schema, WRITER) as connection:
            connection.execute(Q["lock"], {"schema": self._ledger.schema})
            last = _read(connection, "last")
            if last is None:
                raise SealError("there is no seal yet")
            root, pages = _pages_then(connection, last, seal.number, asked)
        if root != seal.record.heads:
            raise SealError(f"seal {seal.number} has other heads than are kept of it: run recount verify")
        return {subject: prove(pages, subject) for subject in asked}

    def _one(self, query: str, **given: Any) -> Seal | None:
        with self._ledger.journal.database.connection(self._ledger.schema) as connection:
            return _read(connection, query, **given)


def _read(connection: Connection, query: str, **given: Any) -> Seal | None:
    row = connection.execute(Q[query], given).fetchone()
    try:
        return seal_of(row) if row else None
    except EvidenceError as error:
        assert row is not None
        raise SealError(f"seal {row[0]} was altered ({error}): run recount verify") from error


def _pages_then(
    connection: Connection, last: Seal, number: int, subjects: Sequence[str]
) -> tuple[bytes, Pages]:
    """Return the root of a seal's map, and its pages on the way to some streams."""
    given = {"seal": number, "limit": REWOUND_MAX + 1}
    heads = connection.execute(Q["changed_since"], given).fetchall()
    if len(heads) > REWOUND_MAX:
        rows = (
            row for some in rows_of(connection, "heads_by_key", BATCH_STREAMS, seal=number) for row in some
        )
        return built((Leaf(s, v, bytes(d)) for s, v, d in rows), map(key_of, subjects))
    then = {s: None if d is None else Leaf(s, v, bytes(d)) for s, v, d in heads}
    keys = [key_of(subject) for subject in {*subjects, *then}]
    pages = _mended(connection, last, lambda: gather(last.record.heads, keys, pages_of(connection)))
    if not then:
        return last.record.heads, pages
    before = changed(pages, then)
    return before.root, pages | before.pages


def pages_of(connection: Connection) -> Callable[[Sequence[str]], Mapping[str, bytes]]:
    """Return what loads pages of the last seal's map."""

    def load(paths: Sequence[str]) -> dict[str, bytes]:
        rows = connection.execute(Q["pages"], {"paths": list(paths)})
        return {path: bytes(content) for path, content in rows}

    return load


def _mended(connection: Connection, last: Seal | None, work: Callable[[], T]) -> T:
    """Do some work on the last seal's map; where its pages were lost or altered, make them anew and do it again."""
    try:
        with connection.transaction():
            return work()
    except EvidenceError as error:
        log.warning("the sealed map is made anew", error=str(error))
        try:
            _remake(connection, last)
            return work()
        except EvidenceError as again:
            raise SealError(f"the sealed map can't be made anew ({again}): run recount verify") from again


def _remake(connection: Connection, last: Seal | None) -> None:
    """Make the last seal's map anew from the heads that are kept; raises SealError where they are not its own."""
    connection.execute(Q["drop_pages"])
    root = EMPTY
    for rows in rows_of(connection, "heads_at", BATCH_STREAMS, seal=last.number if last else 0):
        leaves = {s: Leaf(s, v, bytes(d)) for s, v, d in rows}
        pages = gather(root, map(key_of, leaves), pages_of(connection))
        root = _put(connection, pages, leaves)
    if last is not None and root != last.record.heads:
        raise SealError(
            f"the heads that are kept of seal {last.number} are not those it has: run recount verify"
        )


def _put(connection: Connection, pages: Pages, leaves: Mapping[str, Leaf]) -> bytes:
    """Put leaves into the map, keep the pages that changed, and return its root."""
    made = changed(pages, leaves)
    given = {"paths": list(made.pages), "contents": [encode(page) for page in made.pages.values()]}
    connection.execute(Q["put_pages"], given)
    return made.root


def rows_of(connection: Connection, query: str, size: int, **given: Any) -> Iterator[list[tuple[Any, ...]]]:
    """Return a query's rows, some at a time, from a cursor of the server's."""
    with connection.cursor(name=f"seals_{query}") as cursor:
        cursor.execute(Q[query], given)
        while rows := cursor.fetchmany(size):
            yield rows


# -- sealing --------------------------------------------------------------------------------------------------


class Sealer:
    """Seals one ledger. `name` begins the ledger's name in its first checkpoint; later ones keep that."""

    def __init__(self, ledger: Ledger, key: SealKey, name: str, clock: Callable[[], datetime]) -> None:
        self._ledger = ledger
        self._key = key
        self._name = name
        self._clock = clock

    def seal(self, *, new_key: bool = False) -> tuple[Seal | None, bool]:
        """Seal the log as it stands; return the latest seal, and whether it was made now.

        None where there is nothing to seal; the one that stands where nothing was appended since. A seal is
        signed with the key of the one before unless `new_key` allows another. Raises SealError where the log is
        not what an earlier seal says, and seals nothing.
        """
        database, schema = self._ledger.journal.database, self._ledger.schema
        with database.transaction(schema, WRITER) as connection:
            connection.execute(Q["lock"], {"schema": schema})
            last = _read(connection, "last")
            position = self._position(connection)
            if last is not None:
                self._check(last, position, new_key=new_key)
                if position == last.position:
                    return last, False
            elif position == 0:
                return None, False
            made = _mended(connection, last, lambda: self._made(connection, last, position))
            connection.execute(
                Q["add"],
                {
                    "number": made.number,
                    "position": made.position,
                    "sealed_at": made.record.sealed_at,
                    "record": made.record.text(),
                    "peaks": b"".join(made.peaks),
                    "checkpoint": made.checkpoint,
                },
            )
        log.info("sealed", ledger=self._ledger.region, seal=made.number, position=made.position)
        return made, True

    def _position(self, connection: Connection) -> int:
        row = connection.execute("SELECT position FROM counter").fetchone()
        return int(row[0]) if row else 0

    def _check(self, last: Seal, position: int, *, new_key: bool) -> None:
        """See that the last seal is one to go on from; raises SealError."""
        try:
            origin = last.signed_text().origin
            signer = signer_of(last.note, [self._key.named(origin)])
        except EvidenceError as error:
            raise SealError(f"seal {last.number} was altered ({error}): run recount verify") from error
        if signer is None and not new_key:
            raise SealError(
                f"seal {last.number} was made with another key than this one ({self._key.named(origin)}):"
                " put that key back, or say that this one takes its place with recount seal --new-key"
            )
        if position < last.position:
            raise SealError(
                f"the log ends at position {position}, seal {last.number} has {last.position}: events were taken away"
            )

    def _made(self, connection: Connection, last: Seal | None, position: int) -> Seal:
        after = last.position if last else 0
        number = last.number + 1 if last else 1
        heads, changes, added = self._heads(connection, last, position)
        peaks = grown(last.peaks, last.number - 1, last.record.hash) if last else ()
        record = Record(
            ledger=self._ledger.region,
            number=number,
            position=position,
            streams=(last.record.streams if last else 0) + added,
            heads=heads,
            changes=changes,
            log=log_digest(connection, after, position),
            previous=last.digest if last else NOTHING,
            sealed_at=self._clock().astimezone(UTC),
        )
        root = root_with_last(peaks, number, record.hash)
        assert root is not None
        origin = last.signed_text().origin if last else origin_of(self._name, self._ledger.region)
        return Seal(record, peaks, self._key.signed(origin, Checkpoint(origin, number, root).text()))

    def _heads(self, connection: Connection, last: Seal | None, position: int) -> tuple[bytes, bytes, int]:
        """Bring the map up to date; return its root, the digest of what changed, and how many streams are new."""
        root, digest, added = last.record.heads if last else EMPTY, ChangesDigest(), 0
        number = last.number + 1 if last else 1
        stretch = {"after": last.position if last else 0, "upto": position}
        for rows in rows_of(connection, "heads_between", BATCH_STREAMS, **stretch):
            leaves = {subject: Leaf(subject, most, bytes(head)) for subject, _, most, _, head in rows}
            pages = gather(root, map(key_of, leaves), pages_of(connection))
            known = {s: leaf for s in leaves if (leaf := find(pages, s)) is not None}
            _check_continued(connection, rows, known, number - 1)
            root = _put(connection, pages, leaves)
            for leaf in leaves.values():
                digest.add(leaf)
            added += len(leaves) - len(known)
            given = {
                "seal": number,
                "subjects": list(leaves),
                "versions": [leaf.version for leaf in leaves.values()],
                "digests": [leaf.digest for leaf in leaves.values()],
            }
            connection.execute(Q["add_heads"], given)
        return root, digest.value(), added


def _check_continued(
    connection: Connection, rows: Iterable[Sequence[Any]], known: Mapping[str, Leaf], number: int
) -> None:
    """See that streams go on where the last seal has them; raises SealError."""
    asked = {"subjects": list(known), "versions": [leaf.version for leaf in known.values()]}
    standing = {s: bytes(d) for s, d in connection.execute(Q["digests_at"], asked)}
    for subject, first, most, count, _ in rows:
        leaf = known.get(subject)
        if leaf is not None and standing.get(subject) != leaf.digest:
            raise SealError(
                f"{subject}: version {leaf.version} is not the event that seal {number} has: run recount verify"
            )
        if first != (leaf.version if leaf else 0) + 1 or count != most - first + 1:
            raise SealError(
                f"{subject}: its versions do not go on where seal {number} has it: run recount verify"
            )


def log_digest(connection: Connection, after: int, upto: int) -> bytes:
    """Return the digest of a stretch of the log; raises SealError where a position is missing in it."""
    found, expected = LogDigest(), after
    for rows in rows_of(connection, "log_between", BATCH_EVENTS, after=after, upto=upto):
        for position, appended_us, digest, fingerprint in rows:
            expected += 1
            if position != expected:
                raise SealError(f"the log has no event at position {expected}: run recount verify")
            found.add(position, appended_us, bytes(digest), bytes(fingerprint))
    if expected != upto:
        raise SealError(f"the log has no event at position {expected + 1}: run recount verify")
    return found.value()
