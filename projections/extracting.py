"""Whole tables of read models for other systems, as CSV or Parquet, streamed: memory does not grow with the rows.

All tables of an extraction are of one snapshot, which a swap or a command meanwhile does not change. Both formats
come from PostgreSQL's COPY, whose every message is one row; Parquet is made of the same text, column by column.
Nothing is sorted: the first row comes at once, and the server needs no room for a copy of the table.
"""

import contextlib
import io
import json
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple, get_args

import psycopg
from psycopg import sql

from domain.events.fields import MalformedError
from domain.ledger.application import Ledger
from domain.ledger.database import Connection
from domain.ledger.queries import queries
from projections.engine import NotBuiltError, ReadModel, snapshot, standings_on
from projections.engine.views import name_of

Format = Literal["csv", "parquet"]
FORMATS: tuple[Format, ...] = get_args(Format)
Pieces = Generator[bytes, None, None]
CHUNK_BYTES = 262_144  # CSV handed on at once: some thousand rows
GROUP_ROWS = 50_000  # rows of a Parquet row group: a few megabytes compressed
GROUP_BYTES = 16_777_216  # or so much CSV, where rows are wide: what is in memory is a few times that
FORMULA = "^[=+@\t\r\n＝＋＠－-]"  # noqa: RUF001 - how a text begins that a spreadsheet would calculate, also in full width

Q = queries("projections.sql", "views.sql")


class Source(NamedTuple):
    """A table that can be extracted, under the name of its view."""

    name: str
    model: ReadModel
    table: str


class Column(NamedTuple):
    """A column, with PostgreSQL's name of its type."""

    name: str
    type: str
    comment: str


@dataclass(frozen=True, slots=True)
class About:
    """What an extract is of, and how far its model is. `digest` is that of all the model's rows, not of the file."""

    table: str
    model: str
    version: int
    ledger: str
    region: str | None
    position: int
    lag: int
    moved_at: str
    digest: str

    def document(self) -> dict[str, Any]:
        """Return it as JSON says it."""
        return asdict(self)


def sources(models: Sequence[ReadModel]) -> Mapping[str, Source]:
    """Return every table of some models by the name it is extracted under."""
    found = (Source(name_of(m.name, table), m, table) for m in models for table, _ in m.tables)
    return {source.name: source for source in found}


class Extraction:
    """Tables of one model in one snapshot."""

    def __init__(self, connection: Connection, ledger: Ledger, model: ReadModel, region: str | None) -> None:
        self._connection = connection
        self._ledger = ledger
        self._model = model
        self._region = region
        self._standing = next(s for s in standings_on(connection) if s.name == model.name)
        self.rows = 0
        """How many rows have been handed on, of all tables."""

    def about(self, source: Source) -> About:
        """Return what an extract of a table is of."""
        at = self._standing
        return About(
            table=source.name,
            model=at.name,
            version=at.version,
            ledger=self._ledger.region,
            region=self._region,
            position=at.position,
            lag=at.lag,
            moved_at=at.moved_at.isoformat(),
            digest=at.digest,
        )

    def stream(self, source: Source, form: Format, *, spreadsheet: bool = False) -> Pieces:
        """Return a table as the bytes of a file, its rows as they lie. Raises MalformedError before the first.

        `region` with a city takes that city's rows only, of a table that has regions. `spreadsheet` puts an
        apostrophe before a text that a spreadsheet would take for a formula; else every value is as it is.
        """
        columns = [Column(*row) for row in self._connection.execute(Q["columns_of"], {"table": source.table})]
        city = self._region is not None and "." in self._region
        if city and not any(column.name == "region" for column in columns):
            raise MalformedError("region", f"should be a whole ledger: {source.name} has no regions")
        copy = sql.SQL("COPY ({}) TO STDOUT (FORMAT csv, ENCODING 'UTF8')").format(
            self._select(source.table, columns, city=city, spreadsheet=spreadsheet)
        )
        rows = self._rows(copy)
        return _csv(columns, rows) if form == "csv" else _parquet(columns, rows, self.about(source))

    def _select(
        self, table: str, columns: Sequence[Column], *, city: bool, spreadsheet: bool
    ) -> sql.Composed:
        def value(column: Column) -> sql.Composable:
            name = sql.Identifier(column.name)
            if not spreadsheet or _arrow_name(column.type) != "string" or column.type == "jsonb":
                return name
            return sql.SQL("CASE WHEN {0} ~ {1} THEN '''' || {0} ELSE {0} END").format(
                name, sql.Literal(FORMULA)
            )

        where = sql.SQL(" WHERE region = {}").format(sql.Literal(self._region)) if city else sql.SQL("")
        return sql.SQL("SELECT {} FROM {}{}").format(
            sql.SQL(", ").join(map(value, columns)), sql.Identifier(table), where
        )

    def _rows(self, statement: sql.Composed) -> Pieces:
        with self._connection.cursor() as cursor, cursor.copy(statement) as copy:
            for row in copy:
                self.rows += 1
                yield bytes(row)


@contextlib.contextmanager
def extracting(ledger: Ledger, model: ReadModel, region: str | None = None) -> Iterator[Extraction]:
    """Lend an extraction of a model: a connection and a snapshot are held until the block ends.

    Raises NotBuiltError where the model is still to be made in this ledger.
    """
    with snapshot(ledger, model.name) as connection:
        connection.execute(
            "SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO'; SET LOCAL synchronize_seqscans = off;"
            " SET LOCAL statement_timeout = 0"  # whoever reads a whole table has a bound of their own
        )
        try:
            for table, _ in model.tables:  # from here on no generation is dropped under it
                connection.execute(sql.SQL("SELECT FROM {} LIMIT 0").format(sql.Identifier(table)))
        except psycopg.errors.UndefinedTable as error:
            raise NotBuiltError(f"{model.name} is being made in the ledger {ledger.region}") from error
        yield Extraction(connection, ledger, model, region)


# -- CSV ----------------------------------------------------------------------------------------------------


def _csv(columns: Sequence[Column], rows: Pieces) -> Pieces:
    """Yield a header and the rows, as RFC 4180 has it; NULL is nothing, an empty text two quotes."""
    with contextlib.closing(rows):
        held, size = [",".join(column.name for column in columns).encode() + b"\n"], 0
        for row in rows:
            held.append(row)
            size += len(row)
            if size >= CHUNK_BYTES:
                yield b"".join(held)
                held, size = [], 0
        yield b"".join(held)


# -- Parquet ------------------------------------------------------------------------------------------------

_ARROW_NAMES = {
    "smallint": "int16",
    "integer": "int32",
    "bigint": "int64",
    "boolean": "bool",
    "double precision": "float64",
    "date": "date32",
    "timestamp with time zone": "timestamp",
}


def _arrow_name(kind: str) -> str:
    """Return the name of the Arrow type of a PostgreSQL type; what has none is its text, JSON too."""
    return _ARROW_NAMES.get(kind, "string")


def _parquet(columns: Sequence[Column], rows: Pieces, about: About) -> Pieces:
    """Yield a Parquet file: its key-value metadata says what it is of, each field's what the column is."""
    import pyarrow as pa  # noqa: PLC0415 - 60 MB in memory, for nobody but those who ask for Parquet
    from pyarrow import parquet  # noqa: PLC0415

    def arrow(column: Column) -> Any:
        name = _arrow_name(column.type)
        kind = pa.timestamp("us", tz="UTC") if name == "timestamp" else pa.type_for_alias(name)
        return pa.field(column.name, kind, metadata={"comment": column.comment})

    named = {f"recount.{key}": _text(value) for key, value in about.document().items() if value is not None}
    schema = pa.schema([arrow(column) for column in columns], metadata=named)
    sink = _Sink()
    with contextlib.closing(rows), parquet.ParquetWriter(sink, schema, compression="zstd") as writer:
        for group in _groups(rows):
            writer.write_table(_table(group, schema))
            yield sink.taken()
    yield sink.taken()


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _groups(rows: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the CSV of a row group at a time."""
    for first in rows:
        held, size = [first], len(first)
        for row in rows:
            held.append(row)
            size += len(row)
            if len(held) >= GROUP_ROWS or size >= GROUP_BYTES:
                break
        yield b"".join(held)


def _table(text: bytes, schema: Any) -> Any:
    """Return PostgreSQL's CSV as a table of a schema's types."""
    from pyarrow import csv  # noqa: PLC0415

    return csv.read_csv(
        io.BytesIO(text),
        csv.ReadOptions(column_names=schema.names, use_threads=False),
        csv.ParseOptions(newlines_in_values=True),
        csv.ConvertOptions(
            column_types=schema,
            null_values=[""],
            true_values=["t"],
            false_values=["f"],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    ).cast(schema)


class _Sink(io.RawIOBase):
    """A file that is written from front to back, and taken away piece by piece."""

    def __init__(self) -> None:
        self._held: list[bytes] = []
        self._size = 0

    def writable(self) -> bool:
        """Say that it can be written."""
        return True

    def tell(self) -> int:
        """Return how much has been written in all."""
        return self._size

    def write(self, data: Any) -> int:
        """Take in a piece."""
        piece = bytes(data)
        self._held.append(piece)
        self._size += len(piece)
        return len(piece)

    def taken(self) -> bytes:
        """Return what was written since it was last asked."""
        held, self._held = b"".join(self._held), []
        return held
