"""Folds the log into a read model: rows and position in one transaction, so that each event counts once.

It follows positions, which have no gaps and commit in order: no event can be skipped. A stream's rows are always
those of its whole history in the order of the world; where the events that came are its latest, the state kept
from before is stepped on, otherwise (a backdated event, or a stream not seen lately) it is folded anew.

An event is only read where the model looks into it; its place in the order of the world stands beside it in the log.
Moments are compared in UTC, without saying so.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import groupby
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple

import structlog

from domain.events.account import PaymentReceived
from domain.ledger.application import Ledger
from domain.ledger.database import PROJECTOR, Connection
from domain.ledger.decoding import Place, Stored, stored_of
from domain.replay import effective_at
from projections.engine.generations import generation_of, look_at
from projections.engine.model import ReadModel, Seen
from projections.engine.storing import Folded, Q, replace

Clock = Callable[[], datetime]

BATCH_EVENTS = 1_000  # one transaction: short enough that readers never wait, long enough to be fast
DUE_MAX = 500  # streams folded again in one transaction because their time has come
STREAMS_AT_ONCE = 100  # whole streams in memory at once: an account has tens of events, some have thousands
KEPT_EVENTS_MAX = 200_000  # events behind the states that are kept: some 200 MB at the most

FAILURE_MAX_CHARS = 500
SUBJECT, POSITION = 0, 4  # columns of the log's queries

log = structlog.get_logger(__name__)


class StoppedError(Exception):
    """A part of a model can't fold an event: `position` is the event's, `reason` names the error and its words."""

    def __init__(self, partition: int, position: int, reason: str) -> None:
        super().__init__(partition, position, reason)
        self.partition, self.position, self.reason = partition, position, reason

    def __str__(self) -> str:
        return f"position {self.position}: {self.reason}"


def named(error: Exception) -> str:
    """Return an error's kind and words."""
    return f"{type(error).__name__}: {error}"


_PAYMENT = PaymentReceived.__name__
_UTC = timezone.utc  # noqa: UP017 - as everywhere


def known_from(stored: Stored) -> datetime:
    """Return the moment from which a replay at (now, now) takes an event."""
    time, recordedtime, *_ = stored.place
    if time <= recordedtime:
        return recordedtime
    if stored.kind != _PAYMENT:
        return time
    return max(_bare(effective_at(stored)), recordedtime)


def _bare(moment: datetime) -> datetime:
    return moment.astimezone(_UTC).replace(tzinfo=None)


# -- one stream ---------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Kept:
    """A stream's state after its first `version` events, the last in the order of the world being at `place`."""

    state: Any
    version: int
    place: Place
    known_from: datetime

    def follows(self, events: Sequence[Stored], now: datetime) -> bool:
        """Whether events are the stream's next ones and its latest, all of them in effect by now."""
        present = _bare(now)
        if events[0].version != self.version + 1 or self.known_from > present:
            return False
        place = self.place
        for stored in events:
            if stored.place < place or known_from(stored) > present:
                return False
            place = stored.place
        return True


class States:
    """States kept from batch to batch: those used last, within a bound. Belongs to one worker of one model."""

    def __init__(self, events_max: int = KEPT_EVENTS_MAX) -> None:
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        self._events = 0
        self._events_max = events_max

    def take(self, subject: str) -> Kept | None:
        """Take a stream's state out: it comes back once what it was stepped on to is written."""
        kept = self._kept.pop(subject, None)
        if kept is not None:
            self._events -= kept.version
        return kept

    def keep(self, subject: str, kept: Kept) -> None:
        """Keep a stream's state, and let go of those not used for longest."""
        self._kept[subject] = kept
        self._events += kept.version
        while self._events > self._events_max:
            _, old = self._kept.popitem(last=False)
            self._events -= old.version


def fold(
    model: ReadModel, subject: str, history: Sequence[Stored], now: datetime
) -> tuple[Folded, Kept | None]:
    """Fold a stream's whole history, in version order; the state too, where no event of it waits for its moment.

    What a clock ahead of ours opened is folded as it will be at its opening: who opened it can read it.
    """
    present, known = _bare(now), [known_from(s) for s in history]
    moment, latest = max(present, known[0]), max(known)
    taken = sorted(history, key=attrgetter("place"))
    if latest > moment:
        taken = [s for s in taken if known_from(s) <= moment]
    state = model.begin(subject)
    model.step(state, taken[0])
    _step_on(model, state, taken[1:])
    seen = Seen(subject, len(history), history[-1].position, now if moment is present else _aware(moment))
    rows = model.rows(state, seen)
    if latest <= present:
        return Folded(seen, rows, rows.changes_at), Kept(state, len(history), taken[-1].place, latest)
    due_at = _aware(min(since for since in known if since > present))
    return Folded(seen, rows, min(due_at, rows.changes_at or due_at)), None


def _aware(moment: datetime) -> datetime:
    return moment.replace(tzinfo=_UTC)


def _step_on(model: ReadModel, state: Any, events: Iterable[Stored]) -> None:
    """Evolve a state by events that are not its first."""
    step, passed = model.step, model.passed
    for stored in events:
        if stored.kind not in passed:
            step(state, stored)


def _fold_on(
    model: ReadModel, subject: str, kept: Kept, events: Sequence[Stored], now: datetime
) -> tuple[Folded, Kept]:
    """Fold a stream's next events, which are its latest."""
    _step_on(model, kept.state, events)
    last = events[-1]
    seen = Seen(subject, last.version, last.position, now)
    rows = model.rows(kept.state, seen)
    latest = max(kept.known_from, *map(known_from, events))
    return Folded(seen, rows, rows.changes_at), Kept(kept.state, last.version, last.place, latest)


# -- a batch of the log -------------------------------------------------------------------------------------


class Part(NamedTuple):
    """A part of a generation that a worker has taken, and how far the log is."""

    generation: int
    number: int
    of: int
    position: int
    due_at: datetime | None
    digest: bytes
    schema: str
    last: int


def advance(
    ledger: Ledger,
    model: ReadModel,
    clock: Clock,
    limit: int | None = None,
    *,
    states: States | None = None,
    generation: int | None = None,
    with_failed: bool = True,
) -> int:
    """Fold the next batch, of at most `limit` events, into a model; return how many events and due streams it held.

    Moves the live generation that this version of the model made, or the one that is named. 0 means that it has
    seen everything, or that other processes are moving it. Raises StoppedError where a batch of one event fails.
    """
    states = States(0) if states is None else states
    with ledger.journal.database.transaction(ledger.schema, PROJECTOR) as connection:
        number = generation or generation_of(connection, model)
        given = {"generation": number, "now": clock(), "with_failed": with_failed}
        row = connection.execute(Q["take"], given).fetchone()
        if row is None:
            return 0
        part = Part(*row)
        look_at(connection, part.schema, ledger.schema)
        work = _work(connection, model, part, clock, limit or BATCH_EVENTS)
        try:
            done = list(_fold_streams(connection, model, work, states))
            folded = [one for one, _ in done]
            digest = replace(connection, model, part.number, folded, part.digest)
            moved = {"generation": number, "partition": part.number, "position": work.upto, "digest": digest}
            connection.execute(Q["move"], moved)
        except Exception as error:
            if len(work.batch) > 1:
                raise
            position = work.batch[0][POSITION] if work.batch else part.position
            raise StoppedError(part.number, position, named(error)) from error
    for one, kept in done:  # only now are their rows safe
        if kept is not None:
            states.keep(one.seen.subject, kept)
    return len(work.batch) + len(work.due)


def move_on(
    ledger: Ledger,
    model: ReadModel,
    clock: Clock,
    *,
    states: States | None = None,
    generation: int | None = None,
    with_failed: bool = True,
) -> int:
    """Fold the next batch; where it fails, event by event up to the one that can't be folded.

    Returns how many events that were. Raises StoppedError, which then stands beside the model's position too.
    """
    try:
        return advance(ledger, model, clock, states=states, generation=generation, with_failed=with_failed)
    except Exception:  # noqa: BLE001 - whatever it is, only this model stops, and right before the event
        moved = 0
        try:
            while moved < BATCH_EVENTS and advance(ledger, model, clock, 1, generation=generation):
                moved += 1
        except StoppedError as error:
            report(ledger, model, error, generation)
            raise
        return moved


def report(ledger: Ledger, model: ReadModel, error: StoppedError, generation: int | None = None) -> None:
    """Write down where a model stopped and why."""
    log.error("read model stopped", ledger=ledger.region, model=model.name, exc_info=error)
    with ledger.journal.database.transaction(ledger.schema, PROJECTOR) as connection:
        given = {
            "generation": generation or generation_of(connection, model),
            "partition": error.partition,
            "position": error.position,
            "failure": error.reason[:FAILURE_MAX_CHARS],
            "building": generation is not None,
        }
        connection.execute(Q["fail"], given)


class Work(NamedTuple):
    """What one transaction folds: rows of the log up to a position, and the streams whose time has come."""

    batch: Sequence[Sequence[Any]]
    upto: int
    due: set[str]
    now: datetime


def _work(connection: Connection, model: ReadModel, part: Part, clock: Clock, limit: int) -> Work:
    given: dict[str, Any] = {
        "after": part.position,
        "upto": part.last,
        "kinds": sorted(model.kinds),
        "partitions": part.of,
        "partition": part.number,
        "limit": limit,
    }
    batch = connection.execute(Q["log_of_part"], given, binary=True).fetchall()
    now = clock()  # not before the events were read: what was recorded a moment ago counts already
    if len(batch) == limit:
        return Work(batch, batch[-1][POSITION], set(), now)
    return Work(batch, part.last, _due(connection, part, now), now)


def _fold_streams(
    connection: Connection, model: ReadModel, work: Work, states: States
) -> Iterator[tuple[Folded, Kept | None]]:
    """Fold the streams a batch touches, and those that are due, as they stand at the batch's end."""
    by_stream: dict[str, list[Stored]] = {}
    for row in work.batch:
        by_stream.setdefault(row[SUBJECT], []).append(stored_of(row))
    anew = sorted(work.due - by_stream.keys())
    for subject, events in by_stream.items():
        kept = states.take(subject)
        if kept is not None and kept.follows(events, work.now):
            yield _fold_on(model, subject, kept, events, work.now)
        elif events[0].version == 1:
            yield fold(model, subject, events, work.now)
        else:
            anew.append(subject)
    for subject, history in _histories(connection, anew, work.upto):
        yield fold(model, subject, history, work.now)


def _due(connection: Connection, part: Part, now: datetime) -> set[str]:
    if part.due_at is None or part.due_at > now:
        return set()
    given = {"partition": part.number, "now": now, "limit": DUE_MAX}
    return {subject for (subject,) in connection.execute(Q["due"], given)}


def _histories(
    connection: Connection, subjects: Iterable[str], position: int
) -> Iterator[tuple[str, list[Stored]]]:
    """Yield streams as they stood at a position, some in memory at a time."""
    wanted = list(subjects)
    for first in range(0, len(wanted), STREAMS_AT_ONCE):
        given = {"subjects": wanted[first : first + STREAMS_AT_ONCE], "position": position}
        yield from streams_of(connection.execute(Q["log_of_streams"], given, binary=True))


def streams_of(rows: Iterable[Sequence[Any]]) -> Iterator[tuple[str, list[Stored]]]:
    """Yield the streams of rows that are in their order, one in memory at a time."""
    for subject, of in groupby(rows, key=itemgetter(SUBJECT)):
        yield subject, list(map(stored_of, of))
