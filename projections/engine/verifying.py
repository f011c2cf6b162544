"""Holds read models against the log by other means: each stream replayed plainly, its rows compared one by one.

Looks at everything in one snapshot, so that commands and models may go on meanwhile. Shares nothing with the way the
rows were made but the events' own meaning: histories are read whole, and what they amount to says the model's
`expected`.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from eventsourcing.persistence import MapperDeserialisationError
from psycopg import sql

from domain.events.envelope import Recorded
from domain.ledger.application import Ledger
from domain.ledger.application import Q as LOG
from domain.ledger.codec import LedgerEvent, chain, genesis
from domain.ledger.database import Connection
from domain.ledger.recorder import stored
from domain.ledger.sealchecks import Keys, SealsSeen, check_seals
from domain.ledger.seals import Q as SEALS
from domain.replay import effective_at
from projections.engine.authentic import SnapshotKeys, check_columns, check_erased, check_prints
from projections.engine.generations import look_at
from projections.engine.model import ReadModel, Row, Seen, Tables
from projections.engine.storing import Q, canonical, digest_of, part_of, total

if TYPE_CHECKING:
    from domain.ledger.timestamping import Roots

SAMPLE = 200  # streams looked at where not all are asked for: a second or two
STREAMS_AT_ONCE = 100
VALUE_MAX_CHARS = 300
SHOWN_MAX = 100  # differences told one by one; the rest is counted


class Difference(NamedTuple):
    """Something that is not as it should be."""

    where: str
    """The log, or the model's name."""
    subject: str
    """The stream; empty where it is about all of them."""
    text: str


@dataclass(slots=True)
class Verdict:
    """What a check came to."""

    ledger: str
    position: int = 0
    streams: int = 0
    events: int = 0
    rows: Counter[str] = field(default_factory=Counter)
    """Rows compared, by model."""
    unchecked: list[str] = field(default_factory=list)
    """Models that this program can't check here: not made yet, or by another version."""
    seals: SealsSeen = field(default_factory=SealsSeen)
    """What the log's seals came to."""
    differences: list[Difference] = field(default_factory=list)
    more: int = 0
    """Differences beyond those that are told."""

    def add(self, where: str, subject: str, text: str) -> None:
        """Take in a difference."""
        if len(self.differences) < SHOWN_MAX:
            self.differences.append(Difference(where, subject, text))
        else:
            self.more += 1


class _Live(NamedTuple):
    model: ReadModel
    generation: int
    schema: str
    positions: Sequence[int]
    digest: bytes


def verify(
    ledger: Ledger,
    models: Sequence[ReadModel],
    now: datetime,
    *,
    sample: int | None = SAMPLE,
    keys: Keys = lambda _name: (),
    kept: Mapping[str, bytes] | None = None,
    roots: "Roots | None" = None,
    show: Callable[[int, int], None] = lambda _done, _of: None,
) -> Verdict:
    """Check the log and the models of a ledger: `sample` streams drawn at random, or all of them where it is None.

    Always checked: that the log has no gap, and the seals, by `keys` and by checkpoints `kept` elsewhere, with their
    time stamps, by `roots`. Of each stream looked at: its digests' chain, its fingerprints, that no key stands where it
    was erased, what seals say of it, and every row of it. Of all streams: besides, the whole log against its seals,
    that each model has those streams and no others, and that its digest is that of its rows.
    """
    found = Verdict(ledger.region)
    with ledger.journal.database.transaction(ledger.schema) as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        _check_positions(connection, found)
        live = _live(connection, models, found)
        subjects = _subjects(connection, sample)
        if sample is not None:
            subjects = list(dict.fromkeys([*subjects, *_sealed(connection, sample)]))
        found.seals = check_seals(
            connection,
            ledger.region,
            keys,
            lambda subject, text: found.add("seal", subject, text),
            kept=kept,
            subjects=None if sample is None else subjects,
            roots=roots,
        )
        for first in range(0, len(subjects), STREAMS_AT_ONCE):
            some = subjects[first : first + STREAMS_AT_ONCE]
            look_at(connection, ledger.schema, ledger.schema)
            streams = _streams(connection, some)
            histories: dict[str, list[Recorded]] = {}
            keys_there = SnapshotKeys(connection)
            for subject, events in streams.items():
                sound = _check_chain(subject, events, found)
                try:
                    histories[subject] = [ledger.read(e) for e in events]
                except MapperDeserialisationError as error:
                    found.add("log", subject, str(error))
                    continue
                if sound:
                    check_prints(ledger, keys_there, events, histories[subject], found.add)
            check_columns(connection, histories, found.add)
            check_erased(connection, histories, found.add)
            for one in live:
                look_at(connection, one.schema, ledger.schema)
                _check_rows(connection, one, histories, now, found)
            found.streams += len(streams)
            show(found.streams, len(subjects))
        if sample is None:
            for one in live:
                look_at(connection, one.schema, ledger.schema)
                _check_whole(connection, one, found)
    return found


def _check_positions(connection: Connection, found: Verdict) -> None:
    row = connection.execute(Q["log_extent"]).fetchone()
    assert row is not None
    last, count, highest = row
    found.position = last
    if not last == count == highest:
        found.add("log", "", f"should have positions 1 to {last} without a gap: has {count} up to {highest}")


def _live(connection: Connection, models: Sequence[ReadModel], found: Verdict) -> list[_Live]:
    live = []
    for model in models:
        row = connection.execute(Q["live_of"], {"model": model.name, "version": model.version}).fetchone()
        if row is None:
            found.unchecked.append(model.name)
            continue
        generation, schema = row
        parts = connection.execute(Q["parts"], {"generation": generation}).fetchall()
        digest = total(bytes(d) for _, d in parts)
        live.append(_Live(model, generation, schema, [p for p, _ in parts], digest))
    return live


def _subjects(connection: Connection, sample: int | None) -> list[str]:
    query = Q["all_streams"] if sample is None else Q["some_streams"]
    return [subject for (subject,) in connection.execute(query, {"sample": sample})]


def _streams(connection: Connection, subjects: Sequence[str]) -> dict[str, list[LedgerEvent]]:
    found: dict[str, list[LedgerEvent]] = {}
    given = {"subjects": list(subjects), "position": 2**63 - 1}
    for row in connection.execute(LOG["streams"], given):
        found.setdefault(row[0], []).append(stored(row))
    return found


def _sealed(connection: Connection, sample: int) -> list[str]:
    """Return some streams that were sealed: one that was taken away whole is not among those of the log."""
    return [subject for (subject,) in connection.execute(SEALS["some_sealed"], {"sample": sample})]


def _check_chain(subject: str, events: Sequence[LedgerEvent], found: Verdict) -> bool:
    """Check a stream's versions and digests; whether they are sound."""
    digest = genesis(subject)
    for number, event in enumerate(events, 1):
        digest = chain(digest, event.state)
        if event.originator_version != number:
            found.add("log", subject, f"should have version {number} next, has {event.originator_version}")
            return False
        if event.digest != digest:
            found.add("log", subject, f"version {number}: the digest is not that of the stored bytes")
            return False
    found.events += len(events)
    return True


# -- a model's rows -----------------------------------------------------------------------------------------


def _check_rows(
    connection: Connection,
    live: _Live,
    histories: Mapping[str, Sequence[Recorded]],
    now: datetime,
    found: Verdict,
) -> None:
    """Compare the rows of some streams with what their plain replay comes to."""
    model = live.model
    mine = {s: h for s, h in histories.items() if s.partition("/")[0] in model.kinds}
    kept = {
        subject: (version, bytes(digest), due_at)
        for subject, version, digest, due_at in connection.execute(Q["folded"], {"subjects": list(mine)})
    }
    there = _rows_of(connection, model, list(mine))
    for subject, whole in mine.items():
        bound = live.positions[part_of(subject, len(live.positions))]
        history = [r for r in whole if r.position <= bound]
        version, digest, due_at = kept.get(subject, (0, b"", None))
        if version != len(history):
            found.add(model.name, subject, f"should rest on {len(history)} events, rests on {version}")
        elif history:
            rows = there.get(subject, {})
            _compare(live, subject, _expected(model, subject, history, due_at, now), rows, found)
            if digest != digest_of(subject, rows):
                found.add(model.name, subject, "its digest is not that of its rows")


def _rows_of(
    connection: Connection, model: ReadModel, subjects: Sequence[str]
) -> dict[str, dict[str, list[Row]]]:
    """Return the rows that stand, by stream and table."""
    found: dict[str, dict[str, list[Row]]] = {}
    for table, row in model.tables:
        ask = sql.SQL("SELECT {} FROM {} WHERE subject = ANY(%s)").format(
            _columns(row), sql.Identifier(table)
        )
        for one in connection.execute(ask, [subjects]):
            found.setdefault(one[0], {}).setdefault(table, []).append(one)
    return found


def _columns(row: Any) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, row._fields))


def _expected(
    model: ReadModel, subject: str, history: Sequence[Recorded], due_at: datetime | None, now: datetime
) -> Tables:
    """Return a stream's rows by plain replay: now, or right before they are to be folded again if that is past."""
    moment = now if due_at is None or now < due_at else due_at - timedelta(microseconds=1)
    first = history[0]
    opened_at = max(effective_at(first), first.event.recordedtime)
    seen = Seen(subject, len(history), history[-1].position, max(moment, opened_at))
    return model.expected(history, seen, first.event.region)


def _compare(live: _Live, subject: str, expected: Tables, there: Tables, found: Verdict) -> None:
    """Tell each row that is not there, or should not be, or reads otherwise."""
    for table, kind in live.model.tables:
        wanted = {canonical(row): row for row in expected.get(table, ())}
        present = {canonical(row): row for row in there.get(table, ())}
        found.rows[live.model.name] += len(wanted)
        if len(wanted) != len(expected.get(table, ())) or len(present) != len(there.get(table, ())):
            found.add(live.model.name, subject, f"{table}: a row stands there twice")
        missing = [row for key, row in wanted.items() if key not in present]
        strange = [row for key, row in present.items() if key not in wanted]
        for should, has in zip(missing, strange, strict=False):
            fields = zip(kind._fields, should, has, strict=True)
            wrong = [
                f"{name} is {_shown(b)}, should be {_shown(a)}"
                for name, a, b in fields
                if canonical(a) != canonical(b)
            ]
            found.add(live.model.name, subject, f"{table}: {'; '.join(wrong)}")
        for row in missing[len(strange) :]:
            found.add(live.model.name, subject, f"{table}: a row is missing: {_shown(row)}")
        for row in strange[len(missing) :]:
            found.add(live.model.name, subject, f"{table}: a row too many: {_shown(row)}")


def _shown(value: Any) -> str:
    text = canonical(value).decode()
    return text if len(text) <= VALUE_MAX_CHARS else text[: VALUE_MAX_CHARS - 1] + "…"


def _check_whole(connection: Connection, live: _Live, found: Verdict) -> None:
    """Check what only all streams together show: none too many or too few, and the model's digest."""
    name = live.model.name
    given = {"kinds": sorted(live.model.kinds), "position": min(live.positions)}
    for (subject,) in connection.execute(Q["not_folded"], given):
        found.add(name, subject, "is in the log and was not folded")
    for (subject,) in connection.execute(Q["not_in_log"]):
        found.add(name, subject, "was folded and is not in the log")
    for table, _ in live.model.tables:
        ask = sql.SQL(
            "SELECT DISTINCT subject FROM {} AS t WHERE NOT EXISTS"
            " (SELECT FROM folded_stream AS f WHERE f.subject = t.subject)"
        ).format(sql.Identifier(table))
        for (subject,) in connection.execute(ask):
            found.add(name, subject, f"{table}: rows of a stream that was not folded")
    digests = (bytes(d) for (d,) in connection.execute(Q["digests"]))
    if total(digests) != live.digest:
        found.add(name, "", "the model's digest is not the sum of its streams' digests")
