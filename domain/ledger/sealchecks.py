"""Holds the log against its seals: what was altered, taken away, put in or moved, and since which seal.

Trusts nothing in the database but what leads to a signature made with a trusted key. What a seal covers can't be made
to fit by whoever recomputes digests, for they can't sign; what came after the last seal is held by the streams' own
chains alone.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from domain.evidence import EvidenceError
from domain.evidence.headmap import Leaf, gather, key_of
from domain.evidence.merkle import Peaks, grown, root_with_last
from domain.evidence.records import (
    NOTHING,
    ChangesDigest,
    Checkpoint,
    Record,
    VerifierKey,
    parse_checkpoint,
    parse_note,
)
from domain.ledger.database import Connection
from domain.ledger.seals import Q, Seal, SealError, log_digest, pages_of, rows_of, seal_of
from domain.ledger.signing import opened, signer_of

if TYPE_CHECKING:
    from domain.ledger.timestamping import Roots

EVENTS_SAMPLED = (
    20_000  # events of the latest seals whose order is held against them where not all are asked for
)
STREAMS_AT_ONCE = 5_000
NAMED_MAX = 100  # streams named of one seal

Keys = Callable[[str], Sequence[VerifierKey]]
"""The keys that are trusted to seal a ledger of a name; none where seals can't be checked."""
Tell = Callable[[str, str], None]
"""Takes in a difference: the stream (empty where it is about all of them) and what is wrong."""


@dataclass(slots=True)
class StampsSeen:
    """What the time stamps of one authority came to."""

    authority: str
    trusted: int = 0
    not_trusted: int = 0
    """Stamps of these checkpoints by whoever it may be: no root is trusted that they lead to."""
    wrong: int = 0
    latest: str | None = None
    """The time of the latest that is not wrong."""
    signer: str | None = None


@dataclass(slots=True)
class SealsSeen:
    """What the seals of a ledger came to."""

    seals: int = 0
    position: int = 0
    """The log is sealed up to here."""
    sealed_at: str | None = None
    key: str | None = None
    """The key that signed the last seal, checked."""
    kept: list[str] = field(default_factory=list)
    """The checkpoints kept elsewhere that were held against it."""
    stamps: list[StampsSeen] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What is no difference, and is good to know."""


@dataclass(slots=True)
class _Walk:
    """The seals as they are read, one after the other."""

    tell: Tell
    seen: SealsSeen
    records: list[Record] = field(default_factory=list)
    roots: dict[int, bytes] = field(default_factory=dict)
    peaks: Peaks = ()
    previous: bytes = NOTHING
    origin: str | None = None
    foreign: list[int] = field(default_factory=list)
    """Seals since the last one with a trusted signature."""
    last: Seal | None = None


def check_seals(
    connection: Connection,
    region: str,
    keys: Keys,
    tell: Tell,
    *,
    kept: Mapping[str, bytes] | None = None,
    subjects: Sequence[str] | None = None,
    roots: "Roots | None" = None,
) -> SealsSeen:
    """Check all seals, and the log against them: all of it, or where `subjects` are given, those and the latest.

    `kept` are checkpoints that were kept elsewhere, by where from: a ledger that was set back does not come to them.
    `roots` are authorities whose time stamps are trusted: where there are any, a stamp that leads to none is told.
    Looks on a transaction's own connection, in one snapshot.
    """
    walk = _Walk(tell, SealsSeen())
    for row in connection.execute(Q["all_seals"]):
        _take(walk, row, region, keys)
    _check_signer(walk, keys)
    _check_end(connection, walk)
    for name, raw in (kept or {}).items():
        _check_kept(walk, name, raw, region, keys)
    if walk.last is None:
        return walk.seen
    last = walk.last
    walk.seen.position, walk.seen.sealed_at = last.position, last.record.sealed_at.isoformat()
    _check_extent(connection, walk)
    told = set(_check_heads(connection, walk, subjects))
    _check_log(connection, walk, told, whole=subjects is None)
    _check_pages(connection, walk, subjects)
    _check_stamps(connection, walk, roots)
    return walk.seen


# -- the seals themselves -------------------------------------------------------------------------------------


def _take(walk: _Walk, row: Sequence[object], region: str, keys: Keys) -> None:
    """Check one seal by itself and as the one after the last."""
    number = row[0]
    assert isinstance(number, int)
    walk.seen.seals += 1
    try:
        seal = seal_of(row)
        signed = seal.signed_text()
        signer = signer_of(seal.note, keys(signed.origin))
    except EvidenceError as error:
        walk.tell("", f"seal {number} was altered: {error}")
        walk.previous, walk.peaks, walk.last = b"", (), walk.last
        return
    expected = walk.last.number + 1 if walk.last else 1
    if number != expected and walk.previous:
        one = number == expected + 1
        gone = f"seal {expected} is" if one else f"seals {expected} to {number - 1} are"
        walk.tell("", f"{gone} missing: taken away")
    elif walk.previous and (seal.record.previous, seal.peaks) != (walk.previous, walk.peaks):
        walk.tell("", f"seal {number} does not go on from seal {number - 1}: one of them was altered")
    if seal.record.ledger != region or walk.origin not in (None, signed.origin):
        walk.tell("", f"seal {number} is that of another ledger ({signed.origin})")
    if walk.last is not None and seal.position <= walk.last.position:
        walk.tell("", f"seal {number} covers no more than the seal before it")
    walk.foreign = [] if signer else [*walk.foreign, number]
    if signer:
        walk.seen.key = str(signer)
    root = root_with_last(seal.peaks, number, seal.record.hash)
    assert root is not None  # signed_text came to it
    walk.roots[number], walk.origin = root, signed.origin
    walk.records.append(seal.record)
    walk.peaks = grown(seal.peaks, number - 1, seal.record.hash)
    walk.previous, walk.last = seal.digest, seal


def _check_signer(walk: _Walk, keys: Keys) -> None:
    """See that a trusted key signed the last seal: it covers all before it, whoever signed those."""
    if walk.last is None or walk.origin is None:
        return
    if not keys(walk.origin):
        walk.seen.notes.append(
            f"signatures are not checked: no key of {walk.origin} is here, name one with --key"
        )
    elif walk.foreign:
        first = walk.foreign[0]
        by = ", ".join(f"{s.name}+{s.key_id.hex()}" for s in walk.last.note.signatures)
        since = f"seal {first}" if len(walk.foreign) == 1 else f"seals {first} to {walk.last.number}"
        walk.tell("", f"{since}: not signed with a trusted key but by {by}")


def _check_end(connection: Connection, walk: _Walk) -> None:
    """See that no heads are kept of a seal that is not there: then the last seals were taken away."""
    row = connection.execute("SELECT coalesce(max(seal), 0) FROM sealed_head").fetchone()
    have = walk.last.number if walk.last else 0
    if row is not None and row[0] > have and walk.previous:
        walk.tell(
            "", f"what seal {row[0]} changed is kept, and there are {have} seals: seals were taken away"
        )


def _check_kept(walk: _Walk, name: str, raw: bytes, region: str, keys: Keys) -> None:
    """Hold a checkpoint that was kept elsewhere against the seals, where it is this ledger's."""
    try:
        found = _kept(raw, keys)
    except EvidenceError as error:
        walk.seen.kept.append(name)
        walk.tell("", f"{name}: {error}")
        return
    if found.origin.rpartition("/")[2] != region:
        return
    walk.seen.kept.append(name)
    if walk.origin not in (None, found.origin):
        walk.tell("", f"{name} is of {found.origin}, the seals here are of {walk.origin}")
        return
    have = walk.last.number if walk.last else 0
    if found.size > have:
        walk.tell("", f"seal {found.size} was made ({name}), and there are {have}: the ledger was set back")
    elif walk.roots.get(found.size) != found.root:
        walk.tell(
            "", f"seal {found.size} is another than the one that was made ({name}): seals were made anew"
        )


def _kept(raw: bytes, keys: Keys) -> Checkpoint:
    found = parse_checkpoint(parse_note(raw).text)
    trusted = keys(found.origin)
    return parse_checkpoint(opened(raw, trusted)) if trusted else found


# -- the log against them -------------------------------------------------------------------------------------


def _check_extent(connection: Connection, walk: _Walk) -> None:
    row = connection.execute("SELECT coalesce(max(position), 0) FROM event").fetchone()
    last = walk.last
    assert last is not None
    if row is not None and row[0] < last.position:
        walk.tell("", f"ends at position {row[0]}, and {_named(last.record)} has {last.position}: it was cut")


def _named(record: Record) -> str:
    return f"seal {record.number} of {record.sealed_at.isoformat(timespec='seconds')}"


def _check_heads(connection: Connection, walk: _Walk, subjects: Sequence[str] | None) -> Iterator[str]:
    """Tell which streams are not as they were sealed, and yield them: what they were last sealed as, and since when."""
    records = {record.number: record for record in walk.records}
    for record in walk.records if subjects is None else ():
        digest = ChangesDigest()
        for subject, version, head in connection.execute(Q["heads_of_seal"], {"seal": record.number}):
            digest.add(Leaf(subject, version, bytes(head)))
        if digest.value() != record.changes:
            walk.tell("", f"what is kept of the heads that {_named(record)} changed was altered")
    given = {"subjects": list(subjects) if subjects is not None else None}
    told: set[str] = set()
    for subject, number, version, gone in connection.execute(Q["contradicted"], given).fetchall():
        if subject in told or number not in records:
            continue
        told.add(subject)
        before = connection.execute(Q["held_before"], {"subject": subject, "seal": number}).fetchone()
        held = (
            f"{_named(records[before[0]])} (version {before[1]}) still holds" if before else "no seal holds"
        )
        first = before[1] + 1 if before else 1
        which = f"version {version}" if first == version else f"one of versions {first} to {version}"
        what = f"version {version} is missing" if gone else f"{which} is another event"
        walk.tell(subject, f"{what}: {held}, {_named(records[number])} (version {version}) does not")
        yield subject


def _check_log(connection: Connection, walk: _Walk, told: set[str], *, whole: bool) -> None:
    """Hold the log's order, append times and fingerprints against the seals, the latest first."""
    looked_at = 0
    before = [0, *(record.position for record in walk.records)]
    numbers = [0, *(record.number for record in walk.records)]
    for record, after, number in reversed(list(zip(walk.records, before, numbers, strict=False))):
        if not whole and looked_at >= EVENTS_SAMPLED:
            return
        if number != record.number - 1:
            continue  # the seal between is missing: where this one begins is not known
        looked_at += record.position - after
        try:
            same = log_digest(connection, after, record.position) == record.log
        except SealError:
            same = False
        if same:
            continue
        stretch = f"positions {after + 1} to {record.position}"
        named = _otherwise(connection, walk, record, after, told)
        if named or told:
            walk.tell("", f"{stretch} are not as {_named(record)} has them")
        else:
            walk.tell(
                "", f"{stretch}: their order, append times or fingerprints are not those {_named(record)} has"
            )


def _otherwise(connection: Connection, walk: _Walk, record: Record, after: int, told: set[str]) -> bool:
    """Tell which streams have grown otherwise in a stretch of the log than its seal says; whether any has."""
    given = {"seal": record.number, "after": after, "upto": record.position, "limit": NAMED_MAX}
    found = connection.execute(Q["otherwise_in"], given).fetchall()
    for subject, sealed, there in found:
        if subject in told:
            continue
        if sealed is None:
            text = f"has events up to version {there} that were not there: they were put in or moved"
        elif there is None:
            text = f"has no event there up to version {sealed}: they were taken away or moved"
        else:
            text = f"grew to version {there} there instead of {sealed}"
        walk.tell(subject, f"positions {after + 1} to {record.position}, {_named(record)}: {text}")
        told.add(subject)
    return bool(found)


def _check_pages(connection: Connection, walk: _Walk, subjects: Sequence[str] | None) -> None:
    """See that the map that proofs are read from is the sealed one."""
    last = walk.last
    assert last is not None
    some: Iterable[Sequence[str]]
    if subjects is None:
        rows = rows_of(connection, "heads_at", STREAMS_AT_ONCE, seal=last.number)
        some = ([subject for subject, *_ in batch] for batch in rows)
    else:
        some = [subjects]
    try:
        for batch in some:
            gather(last.record.heads, [key_of(subject) for subject in batch], pages_of(connection))
    except EvidenceError as error:
        walk.tell("", f"{error}; the next seal makes it anew from the sealed heads")


def _check_stamps(connection: Connection, walk: _Walk, roots: "Roots | None") -> None:
    rows = connection.execute(Q["stamps_of_all"]).fetchall()
    if not rows:
        return
    from domain.ledger.timestamping import checked  # noqa: PLC0415 - most ledgers have none

    seen: dict[str, StampsSeen] = {}
    for number, authority, token, checkpoint in rows:
        one = seen.setdefault(authority, StampsSeen(authority))
        try:
            stamp = checked(bytes(token), bytes(checkpoint), roots)
        except EvidenceError as error:
            one.wrong += 1
            walk.tell("", f"seal {number}, time stamp of {authority}: {error}")
            continue
        one.latest, one.signer = stamp.at.isoformat(), stamp.signer
        if stamp.trusted:
            one.trusted += 1
            continue
        one.not_trusted += 1
        if roots is not None:
            walk.tell("", f"seal {number}, time stamp of {authority}: leads to no root that is trusted")
    walk.seen.stamps = list(seen.values())
