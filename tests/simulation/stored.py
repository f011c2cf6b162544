"""A ledger as it is in service: PostgreSQL, the writer, the importer, the closing of days and the read models.

Everything runs in the run's own thread, and everything may break. Clients ask again what was not answered; who tells
an import again tells it whole; a day that was not closed is closed again.
"""

import asyncio
import io
import random
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import orjson
import psycopg

from api.runtime import READ_MODELS
from domain.events.fields import MalformedError
from domain.ledger.batch import Answer, KeyReusedError, ReceiptKey, VersionConflictError
from domain.ledger.closing import Closed, Closer
from domain.ledger.database import Database, StorageError
from domain.ledger.deployment import Deployment
from domain.ledger.interchange import Importer, bringing
from domain.ledger.vault import MasterKey
from domain.ledger.writer import BusyError, Writer, request_digest
from projections.engine import NotBuiltError, States, StoppedError, advance, catch_up, install, rebuild
from tests.conftest import MASTER
from tests.simulation.acts import REGION, TARIFF, Acts, Call
from tests.simulation.breaking import Crashed, Steps, held

SCHEMA = "ledger_heilongjiang"
LOST = (psycopg.OperationalError, StorageError, BusyError)
"""What a caller is told where nothing is known of what became of it."""
READ_MAX = 100_000


@dataclass
class Delivery:
    """A command that was asked, between which positions, and what the client was told."""

    call: Call
    before: int
    now: datetime
    """The ledger's clock when it was decided, where it is known."""
    after: int = 0
    answer: Answer | None = None


@dataclass
class World:
    """One ledger and its clients."""

    url: str
    chance: random.Random
    steps: Steps
    acts: Acts
    now: datetime
    highest: datetime
    """The latest moment the clock has shown."""
    asked: dict[str, Call] = field(default_factory=dict)
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The first answer to each key."""
    deliveries: list[Delivery] = field(default_factory=list)
    lines: list[bytes] = field(default_factory=list)
    """All that was told by the legacy system, in an order in which all of it lands."""
    asked_later: list[tuple[str, datetime, datetime, int, str]] = field(default_factory=list)
    """Replays (subject, at, known_at, position, digest) that have to come to the same for ever."""
    states: dict[str, States] = field(default_factory=dict)
    restarts: int = 0

    def __post_init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.start()

    # -- the process

    def start(self) -> None:
        """Start a process, again if it dies or loses its connection while it starts."""
        while True:
            self.steps.mend() if self.steps.dead else None
            database = None
            try:
                database = Database(lambda: self.url)
                self.deployment = Deployment(database, lambda _first: MasterKey(MASTER))
                self.ledger = self.deployment.ledger_for(REGION)
                install(self.deployment, self.ledger, READ_MODELS)
                self.writer = Writer(self.ledger, self.clock)
                self.states = {}
            except (Crashed, *LOST):
                if database is not None:
                    database.close()
                self._buried()
            else:
                return

    def restart(self) -> None:
        """Let the process die, its connections with it, and start another."""
        self.restarts += 1
        self.deployment.close()
        self._buried()
        self.start()

    def _buried(self) -> None:
        """Let the server notice: the sessions of a dead process hold no lock and no transaction any more."""
        self.steps.mend()
        self.steps.bury()
        end = (
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        with self.steps.looking(), psycopg.connect(self.url, autocommit=True) as connection:
            while connection.execute(end).fetchone() != (0,):
                time.sleep(0.001)

    def end(self) -> None:
        """Close everything."""
        self.deployment.close()
        self.steps.bury()
        self.loop.close()

    def clock(self) -> datetime:
        """Return the moment the clock shows."""
        return self.now

    def jump(self, by: timedelta) -> None:
        """Let the clock jump, also back."""
        self.now += by
        self.highest = max(self.highest, self.now)

    def lost(self, error: BaseException) -> None:
        """Take in that something broke: only what was broken on purpose may."""
        assert self.steps.broken, error
        if isinstance(error, Crashed):
            self.restart()

    # -- commands

    def ask(self, calls: Iterable[Call], *, cancel: float = 0.0) -> None:
        """Ask commands at once; some clients go away before they have an answer."""
        given = list(calls)
        self.asked |= {c.key: c for c in given}
        before, recorded_at = self.counter()
        # refusals move the ledger's clock as well: it never shows less than it has shown
        now = max(self.now, recorded_at.astimezone(self.now.tzinfo))
        made = [Delivery(call, before, now) for call in given]
        tasks = []
        try:
            with held() as work:
                tasks = [self.loop.create_task(self.writer.ask(c.asked, _receipt(c))) for c in given]
                self._turn()
                for task in tasks:
                    if self.chance.random() < cancel:
                        task.cancel()
                self._turn()
                while work:
                    work.popleft()()
        except Crashed as crash:
            self._turn()
            self.lost(crash)
        self._turn()
        self._hear(made, tasks)

    def _turn(self) -> None:
        """Let the clients hear what there is to hear."""
        for _ in range(3):
            self.loop.run_until_complete(asyncio.sleep(0))

    def _hear(self, made: list[Delivery], tasks: list[asyncio.Task[Answer]]) -> None:
        after = self.position()
        for delivery, task in zip(made, tasks, strict=True):
            if not task.done():
                task.cancel()
                continue
            if task.cancelled():
                continue
            error = task.exception()
            if error is not None:
                assert isinstance(error, LOST), error
                assert self.steps.broken, error
                continue
            delivery.answer, delivery.after = task.result(), after
            self.deliveries.append(delivery)
            first = self.answers.setdefault(delivery.call.key, delivery.answer.body)
            assert first == delivery.answer.body, "another answer than the first"
        self._turn()

    def ask_other(self, call: Call) -> None:
        """Ask another command under a key that was used: it is told so, whatever else there is to say."""
        other = ReceiptKey("simulation", call.key, request_digest(b"another request"))
        try:
            self.writer.execute(call.asked, other)
        except KeyReusedError:
            assert call.key in self.answers or self.steps.broken
        except VersionConflictError:
            raise AssertionError("no version was expected") from None
        except (Crashed, *LOST) as error:
            self.lost(error)
        else:
            raise AssertionError(f"{call.key} was taken for two requests")

    # -- imports and days

    def bring(self, lines: list[bytes], batch: int) -> None:
        """Import lines as one file, so many at a time."""
        size, bringing.BATCH_LINES = bringing.BATCH_LINES, batch
        try:
            refused: list[Any] = []
            Importer(self.deployment, refused.append, self.clock).run(io.BytesIO(b"\n".join(lines)))
        except (Crashed, *LOST) as error:
            self.lost(error)
        finally:
            bringing.BATCH_LINES = size

    def bring_all(self) -> None:
        """Import all that was ever told, once more: whatever has not landed does now."""
        refused: list[Any] = []
        tally = Importer(self.deployment, refused.append, lambda: self.highest).run(
            io.BytesIO(b"\n".join(self.lines))
        )
        assert not refused, refused[0]
        assert tally.appended + tally.repeated == len(self.lines)

    def close(self, back: int) -> Closed | None:
        """Close a day so many days ago."""
        day = (self.now - timedelta(days=back)).date()
        try:
            return Closer(self.writer, TARIFF).close(day)
        except MalformedError:  # the clock was set back
            return None
        except (Crashed, *LOST) as error:
            self.lost(error)
            return None

    # -- read models

    def follow(self) -> None:
        """Let some read models take some batches, of any size."""
        try:
            for model in self.chance.sample(READ_MODELS, 3):
                kept = self.states.setdefault(model.name, States(self.chance.choice((0, 20, 10_000))))
                for _ in range(self.chance.randint(1, 3)):
                    advance(self.ledger, model, self.clock, self.chance.choice((1, 3, 1_000)), states=kept)
        except (Crashed, StoppedError, NotBuiltError, *LOST) as error:
            self.lost(error)

    def make_anew(self) -> None:
        """Make a read model anew."""
        try:
            rebuild(self.deployment, self.ledger, self.chance.choice(READ_MODELS), self.clock)
        except (Crashed, StoppedError, *LOST) as error:
            self.lost(error)

    def catch_up(self) -> None:
        """Bring every read model up to the present."""
        catch_up(self.deployment, READ_MODELS, self.clock)

    # -- looking

    def position(self) -> int:
        """Return how far the log is."""
        return self.counter()[0]

    def counter(self) -> tuple[int, datetime]:
        """Return how far the log is, and the ledger's own clock."""
        with self.steps.looking(), psycopg.connect(self.url, autocommit=True) as connection:
            row = connection.execute(f"SELECT position, recorded_at FROM {SCHEMA}.counter").fetchone()
            assert row is not None
            return row[0], row[1]

    def log(self) -> list[dict[str, Any]]:
        """Return the stored events as the JSON they are, each with its place in the log."""
        found = []
        for event in self.ledger.journal.log(0, limit=READ_MAX):
            raw = orjson.loads(event.state)
            found.append({**raw, "position": event.position, "version": event.originator_version})
        return found


def _receipt(call: Call) -> ReceiptKey:
    return ReceiptKey("simulation", call.key, request_digest(call.key.encode()))
