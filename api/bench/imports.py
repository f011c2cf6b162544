"""import_vs_copy: a population's JSONL through `Importer`, against a raw COPY of the rows that it made.

The neighbour knows everything already: no line is read, checked, fingerprinted, sealed or digested, nothing is looked
up, and the rows go into a table with the same indexes in one statement. It is the bound of what an import can do.
"""

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import psutil
import psycopg
from psycopg import sql

from api.bench.protocol import LEDGER, Bench, Figure, in_turns, timed
from api.population.conditions import Conditions
from api.population.generating import generate
from api.runtime import present
from domain.ledger.deployment import Deployment
from domain.ledger.interchange import Importer, Refusal

YEARS = 3
EVENTS_PER_ACCOUNT = 97  # of three years
COLUMNS = sql.SQL(
    "position, subject, version, type, source, id, occurred_at, recorded_at, appended_at, fingerprint, digest, state"
)
PIECE_BYTES = 1_048_576
WATCH_S = 0.1  # how often memory is looked at


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import took."""

    events: int
    seconds: float
    memory_mb: float
    """The most that the importing processes held at once, their shared pages counted in each."""

    @property
    def rate(self) -> float:
        """Events a second."""
        return self.events / self.seconds


def population(folder: Path, events: int, seed: int = 1) -> Path:
    """Generate a population of about so many events; return the one file they stand in."""
    folder.mkdir(parents=True)
    accounts = max(2, events // EVENTS_PER_ACCOUNT)
    generate(Conditions(accounts, YEARS, seed=seed, breaches=Fraction(1, 50)), folder, events_per_file=10**9)
    (path,) = folder.glob("*.jsonl")
    return path


def imported(deployment: Deployment, path: Path, workers: int | None = None) -> Imported:
    """Import a file that lands whole; return what it took, with the start of its workers."""

    def refuse(refusal: Refusal) -> None:
        raise RuntimeError(f"line {refusal.line} was refused: {refusal.field} {refusal.reason}")

    importer = Importer(deployment, refuse, present, workers=workers)

    def run() -> None:
        with path.open("rb") as source:
            importer.run(source)

    with _memory() as most:
        seconds = timed(run)
    return Imported(importer.tally.appended, seconds, most[0] / 2**20)


def import_vs_copy(bench: Bench) -> Figure:
    """Measure both in turns, each import into an empty ledger."""
    imports: list[Imported] = []
    copies: list[float] = []
    path = population(bench.folder / "import", bench.scale.events)
    size = path.stat().st_size

    def ours(_run: int) -> float:
        with bench.deployment() as (deployment, _url):
            imports.append(imported(deployment, path))
            copies.append(imports[-1].events / copied(deployment, bench.folder / "rows"))
        return imports[-1].rate

    rate, beside, ratio = in_turns(bench.scale.runs, ours, lambda run: copies[run])
    return Figure(
        "import_vs_copy",
        "events/s",
        rate,
        beside,
        ratio,
        "import of a generated population from one JSONL file, against a raw COPY of the same stored rows into a"
        " table with the same indexes",
        at_least=0.35,
        more={
            "events": imports[0].events,
            "bytes_per_line": round(size / imports[0].events),
            "memory_mb": round(max(one.memory_mb for one in imports)),
        },
    )


def copied(deployment: Deployment, rows: Path) -> float:
    """Return the seconds a COPY takes of all rows that stand, into a table with the same indexes; `rows` is a file."""
    ledger = deployment.ledger(LEDGER)
    assert ledger is not None, "something was imported"
    with deployment.database.owner(ledger.schema) as connection:
        connection.execute("CREATE TABLE bare (LIKE event INCLUDING INDEXES INCLUDING DEFAULTS)")
        _write_rows(connection, rows)
        return timed(lambda: _copy(connection, rows))


def _write_rows(connection: psycopg.Connection, rows: Path) -> None:
    query = sql.SQL("COPY (SELECT {} FROM event ORDER BY position) TO STDOUT (FORMAT binary)").format(COLUMNS)
    with rows.open("wb") as file, connection.cursor().copy(query) as out:
        for part in out:
            file.write(part)


def _copy(connection: psycopg.Connection, rows: Path) -> None:
    query = sql.SQL("COPY bare ({}) FROM STDIN (FORMAT binary)").format(COLUMNS)
    with rows.open("rb") as file, connection.cursor().copy(query) as into:
        while piece := file.read(PIECE_BYTES):
            into.write(piece)


@contextlib.contextmanager
def _memory() -> Iterator[list[float]]:
    """Watch the memory of this process and its children; the one number is the most there was, in bytes."""
    most = [0.0]
    done = threading.Event()
    own = psutil.Process()

    def look() -> None:
        total = 0
        for process in (own, *own.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                total += process.memory_info().rss
        most[0] = max(most[0], total)

    def watch() -> None:
        while not done.wait(WATCH_S):
            look()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield most
    finally:
        done.set()
        thread.join()
        look()
