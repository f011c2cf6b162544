"""What a read model says of itself: a pure function from one stream's events to rows of its tables.

A model never reads a clock, a database or another stream, and sends nothing: whatever moves it (the follower, a
rebuild, a check) gets the same rows from the same events. What concerns several streams is asked in SQL, over rows.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

from psycopg.sql import SQL

from domain.events.envelope import Recorded
from domain.events.fields import Payload, StreamKind
from domain.frozen import frozen
from domain.ledger.queries import queries
from domain.replay import Question, selected
from domain.streams import STREAMS, begin

Row = tuple[Any, ...]
Tables = Mapping[str, Sequence[Row]]
"""Rows by table. An object or a list in a row is JSON; everything else is a value PostgreSQL knows."""


class Table(NamedTuple):
    """A table of a model: `row` is the named tuple of its rows, whose fields are the columns, `subject` the first."""

    name: str
    row: Any


class Rows(NamedTuple):
    """What a stream amounts to in a model's tables."""

    tables: Tables
    changes_at: datetime | None = None
    """The next moment at which these rows will read otherwise though nothing happens: then they are folded anew."""


@frozen
class Seen:
    """What was folded: a stream's first `version` events, the last of them at `position`, as it is `now`.

    `counted_from` is the latest moment from which one of the events that were taken counts and is known.
    """

    subject: str
    version: int
    position: int
    now: datetime
    counted_from: datetime | None = None


class ReadModel(ABC):
    """One read model: a module with a subclass of this, and `projections/sql/NAME.sql` with its tables and queries.

    `version` goes up whenever the rows of the same events would become different, or their columns do: the model
    is then made anew beside the old one. `kinds` are the kinds of stream it reads.

    `passes` are types of event that change nothing in its state, unless they are a stream's first: they count for
    version and position, and are not even read. A check looks at them all the same.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    kinds: ClassVar[frozenset[StreamKind]]
    tables: ClassVar[tuple[Table, ...]]
    passes: ClassVar[tuple[type[Payload], ...]] = ()
    for_billing: ClassVar[bool] = True
    """Whether billing systems see its tables, as views (projections/engine/views.py)."""

    @cached_property
    def passed(self) -> frozenset[str]:
        """The wire names of what it passes over."""
        return frozenset(kind.__name__ for kind in self.passes)

    def begin(self, subject: str) -> Any:
        """Return the state before a stream's first event: the domain's own, unless the model keeps another."""
        return begin(subject)

    def step(self, state: Any, recorded: Recorded) -> None:
        """Evolve the state by one event, in place, in the order of the world."""
        STREAMS[recorded.event.data.STREAM].fold.step(state, recorded)

    def script(self) -> SQL:
        """Return the SQL that makes the model's tables, in a schema where they are alone."""
        return queries("projections.sql", f"{self.name}.sql")["tables"]

    @abstractmethod
    def rows(self, state: Any, seen: Seen) -> Rows:
        """Return a stream's rows; leaves the state as it is, which goes on to be stepped."""

    def expected(self, history: Sequence[Recorded], seen: Seen, region: str) -> Tables:
        """Return the rows a plain replay comes to: what `recount verify` holds the tables against.

        A model whose figures somebody signs for gets them here from `domain.replay` by code of its own.
        """
        state = self.begin(seen.subject)
        for recorded in selected(history, question_of(seen, region)):
            self.step(state, recorded)
        return self.rows(state, seen).tables


def question_of(seen: Seen, region: str) -> Question:
    """Return what a replay is asked to say what a read model says: as at now, as known now."""
    return Question(seen.subject, seen.now, seen.now, seen.position, region)
