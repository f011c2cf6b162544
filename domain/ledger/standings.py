"""The streams that decisions rest on, kept in memory as they all stood at one position of the log.

A long stream is not read from its start for each command: its state is kept, and evolved by what is appended.
Whoever decides on these states commits only where the ledger's counter still stands at this position; so a state
that is out of date can cost time, and never gives a wrong decision.
"""

import itertools
from collections import OrderedDict
from collections.abc import Container, Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from domain.events.envelope import Recorded
from domain.ledger.codec import genesis
from domain.ledger.database import Connection
from domain.ledger.decoding import recorded_of
from domain.ledger.queries import queries
from domain.ledger.sealing import Ownership
from domain.replay import in_order
from domain.streams import STREAMS, State, begin

if TYPE_CHECKING:
    from domain.ledger.application import Ledger

Q = queries("domain.ledger.sql", "queries.sql")
EVENTS_MAX = 500_000  # what the kept states rest on in all: 230 MB at most
"""An event was measured at 414 bytes; 48 more for the running sums, where it moves money and they were asked for."""
OVERHEAD_EVENTS = 8  # what a stream weighs beside its events
AGAIN_SHARE = 0.8  # of that, what is for streams that were needed more than once
FOREIGN_MAX = 5_000  # events of other writers that are folded in one by one; beyond, all is read anew


class Standing:
    """A stream as it stands: its state, version, last digest, and the place of its last event in the world's order."""

    __slots__ = ("_step", "digest", "kept_at", "latest", "state", "version")

    def __init__(self, subject: str, history: Sequence[Recorded], kept_at: int) -> None:
        self.kept_at = kept_at
        """Where the log stood when it was read."""
        self._step = STREAMS[subject.partition("/")[0]].fold.step  # type: ignore[index]
        self.state: State = begin(subject)
        self.version = 0
        self.digest = genesis(subject)
        self.latest: tuple[datetime, datetime] | None = None
        for recorded in in_order(history):
            self.add(recorded)
        if history:
            self.version, self.digest = history[-1].version, history[-1].digest

    @property
    def weight(self) -> int:
        """What it takes to keep it, in events."""
        return self.version + OVERHEAD_EVENTS

    def follows(self, recorded: Recorded) -> bool:
        """Whether an event comes after all others in the order of the world, so that the state can be evolved."""
        event = recorded.event
        return self.latest is None or (event.time, event.recordedtime) >= self.latest

    def add(self, recorded: Recorded) -> None:
        """Take in an event that `follows`."""
        self._step(self.state, recorded)
        self.version, self.digest = recorded.version, recorded.digest
        self.latest = recorded.event.time, recorded.event.recordedtime


class _Kept:
    """Kept streams in two parts, in each the longest not needed first: those needed once, and those needed again.

    A billing run that comes by each account once takes the place of what it came by before, and not of what others
    work on all day; and where a little more is gone round than can be kept, most of it stays. (Segmented LRU:
    Karedla, Love and Wherry, Caching strategies to improve disk system performance, 1994.)
    """

    def __init__(self, weight_max: int) -> None:
        self._weight_max = weight_max
        self._once: OrderedDict[str, Standing] = OrderedDict()
        self._again: OrderedDict[str, Standing] = OrderedDict()
        self._weight = 0
        self._weight_again = 0

    def clear(self) -> None:
        """Keep nothing."""
        self._once.clear()
        self._again.clear()
        self._weight = self._weight_again = 0

    def get(self, subject: str) -> Standing | None:
        """Return a stream if it is kept."""
        return self._again.get(subject) or self._once.get(subject)

    def need(self, subject: str, position: int | None) -> Standing | None:
        """Return a stream if it is kept, which is needed where the log stands at a position."""
        standing = self._again.get(subject)
        if standing is not None:
            self._again.move_to_end(subject)
            return standing
        standing = self._once.get(subject)
        if standing is not None and standing.kept_at != position:
            del self._once[subject]
            self._again[subject] = standing
            self._weight_again += standing.weight
        return standing

    def put(self, subject: str, standing: Standing) -> None:
        """Keep a stream that was not kept."""
        self._once[subject] = standing
        self._weight += standing.weight

    def add(self, standing: Standing, recorded: Recorded) -> None:
        """Let a stream that is kept take in an event."""
        standing.add(recorded)
        self._weight += 1
        if recorded.event.subject in self._again:
            self._weight_again += 1

    def drop(self, subject: str) -> bool:
        """Let a stream go; whether it was kept."""
        standing = self._again.pop(subject, None)
        if standing is not None:
            self._weight_again -= standing.weight
        else:
            standing = self._once.pop(subject, None)
        if standing is not None:
            self._weight -= standing.weight
        return standing is not None

    def surplus(self, touched: Container[str]) -> list[str]:
        """Return what should be let go for the rest to weigh no more than it may, but nothing that is `touched`."""
        over = self._weight - self._weight_max
        if over <= 0:
            return []
        while self._weight_again > AGAIN_SHARE * self._weight_max:
            subject, standing = self._again.popitem(last=False)
            self._weight_again -= standing.weight
            self._once[subject] = standing
        found = []
        for subject, standing in itertools.chain(self._once.items(), self._again.items()):
            if over <= 0:
                break
            if subject not in touched:
                found.append(subject)
                over -= standing.weight
        return found


class Standings:
    """The kept streams of one ledger. Not for several threads at once."""

    def __init__(self, ledger: "Ledger", events_max: int = EVENTS_MAX) -> None:
        self._ledger = ledger
        self._kept = _Kept(events_max)
        self.ownership = Ownership()
        self.position: int | None = None
        """Where the log stood when all of it was true; None where nothing was looked at yet."""
        self.recorded_at: datetime | None = None
        """The latest recorded time of a live command up to there."""

    def forget(self) -> None:
        """Keep nothing: what was evolved may not have been committed."""
        self._kept.clear()
        self.ownership = Ownership()
        self.position = None

    def advanced(self, position: int, recorded_at: datetime) -> None:
        """Say where the log stands now, all of whose new events were taken in here."""
        self.position, self.recorded_at = position, recorded_at

    def catch_up(self, connection: Connection, position: int, recorded_at: datetime) -> None:
        """Take in what others appended, up to the log's present position."""
        if self.position is None or position - self.position > FOREIGN_MAX:
            self.forget()
        elif position > self.position:
            given = {"after": self.position, "upto": position, "limit": FOREIGN_MAX}
            for row in connection.execute(Q["log"], given):
                if self._kept.get(row[0]) is not None:  # and no other is decoded
                    self._take_in(recorded_of(row))
        self.advanced(position, recorded_at)

    def knows(self, subjects: Iterable[str]) -> bool:
        """Whether all of some streams are kept."""
        return all(self._kept.get(subject) is not None for subject in subjects)

    def load(self, subjects: Iterable[str], connection: Connection | None = None) -> dict[str, Standing]:
        """Return streams as they stand; on a transaction's own connection if given."""
        found: dict[str, Standing] = {}
        missing = []
        for subject in subjects:
            standing = self._kept.need(subject, self.position)
            if standing is None:
                missing.append(subject)
            else:
                found[subject] = standing
        if missing:
            for subject, history in self._read(missing, connection).items():
                found[subject] = self._keep(subject, history)
        return found

    def of(self, subject: str, connection: Connection | None = None) -> Standing:
        """Return one stream as it stands, as `load` does; of one that is kept nothing is said anew of its need."""
        return self._kept.get(subject) or self.load([subject], connection)[subject]

    def added(
        self, recorded: Recorded, pending: Iterable[Recorded] = (), connection: Connection | None = None
    ) -> None:
        """Take in an event that is being appended; `pending` are the uncommitted ones up to and with it.

        One that happened before others of its stream is folded in its place: the stream is read again, and what of
        `pending` was committed meanwhile is there already.
        """
        subject = recorded.event.subject
        standing = self._kept.get(subject)
        assert standing is not None, "what is appended was decided on the stream as it stands"
        if standing.follows(recorded):
            self._kept.add(standing, recorded)
            return
        own = [r for r in pending if r.event.subject == subject]
        (history,) = self._read([subject], connection).values()
        self._drop(subject)
        self._keep(subject, [*(r for r in history if r.version < own[0].version), *own])

    def back_to(self, position: int, touched: Iterable[str] = ()) -> None:
        """Take back what was added after a position, to the streams that were touched: it was not committed."""
        for subject in touched:
            self._drop(subject)
        if self.position is not None:
            self.position = position

    def shrink(self, touched: Container[str] = ()) -> None:
        """Let go of the streams that were longest not needed, where there are too many.

        Those `touched` stay: what was added to them is not in the log yet.
        """
        for subject in self._kept.surplus(touched):
            self._drop(subject)

    def _take_in(self, recorded: Recorded) -> None:
        """Take in an event that another writer appended.

        A stream may have been read with it already: while a batch was in flight whose place another writer took.
        """
        standing = self._kept.get(recorded.event.subject)
        if standing is None or recorded.version <= standing.version:
            return
        if recorded.version > standing.version + 1 or not standing.follows(recorded):
            self._drop(recorded.event.subject)
            return
        self.ownership.learn_from(recorded.event)
        self._kept.add(standing, recorded)

    def _keep(self, subject: str, history: Sequence[Recorded]) -> Standing:
        assert self.position is not None, "what is kept has to be of one position"
        standing = Standing(subject, history, self.position)
        self._kept.put(subject, standing)
        self.ownership.learn_history(history)
        return standing

    def _drop(self, subject: str) -> None:
        if self._kept.drop(subject):
            self.ownership.forget(subject)

    def _read(self, subjects: Sequence[str], connection: Connection | None) -> dict[str, list[Recorded]]:
        assert self.position is not None, "what is kept has to be of one position"
        rows = self._ledger.journal.rows_of(subjects, self.position, connection)
        return {subject: [recorded_of(row) for row in found] for subject, found in rows.items()}
