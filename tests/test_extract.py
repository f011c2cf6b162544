"""Extracts: whole tables as CSV or Parquet, of one snapshot, in bounded memory, as files and over HTTP."""

import base64
import csv
import hashlib
import io
import json
import re
import stat
import threading
from datetime import UTC
from pathlib import Path

import httpx
import psycopg
import pyarrow as pa
import pytest
from pyarrow import parquet
from structlog.testing import capture_logs

import api.commands.extract
from api import extracts
from api.cli import main
from api.runtime import READ_MODELS, Runtime, present
from domain.events.fields import MalformedError
from projections import extracting as extracting_module
from projections.engine import NotBuiltError, catch_up, install, rebuild, standings
from projections.extracting import extracting, sources
from tests import support
from tests.conftest import HARBIN, MASTER, fresh_database, import_file, opened_deployment
from tests.http_service import serving
from tests.support import LEDGER, bring, charge_line, opening_line, payment_line

pytestmark = pytest.mark.storage

TABLES = sources(READ_MODELS)
STATUS, LINES, ITEMS = TABLES["billing_status"], TABLES["statement_line"], TABLES["statement_open_item"]
MONEY = [m for m in READ_MODELS if m.name in ("billing_status", "statement")]
EACH = pytest.mark.parametrize("form", ["csv", "parquet"])


@pytest.fixture(scope="module")
def harbin_url(server):
    """Return the conninfo of the database in which the Harbin case stands."""
    with fresh_database(server, "extract") as url:
        yield url


@pytest.fixture(scope="module")
def harbin(harbin_url):
    """Return a deployment with the Harbin case, all its read models up to it, that is only looked at."""
    opened = opened_deployment(harbin_url)
    import_file(opened, HARBIN)
    catch_up(opened, READ_MODELS, present)
    yield opened
    opened.close()


@pytest.fixture
def owing(deployment):
    """Return a deployment with an account that owes 100 yuan, its rows up to date."""
    bring(deployment, opening_line("A0"), charge_line("A0"))
    catch_up(deployment, MONEY, present)
    return deployment


def extract(deployment, source, form, region=None, **more):
    """Return a table's extract as bytes."""
    with extracting(deployment.ledger(LEDGER), source.model, region) as extraction:
        return b"".join(extraction.stream(source, form, **more))


def as_rows(text):
    """Return a CSV's header and its rows as texts."""
    header, *rows = csv.reader(io.StringIO(text.decode()))
    return header, rows


def as_table(data):
    """Return a Parquet file as a table."""
    return parquet.read_table(io.BytesIO(data))


def live(deployment, source, what="*"):
    """Return the live rows of a table, by the database's own word."""
    with deployment.database.owner() as connection:
        (schema,) = connection.execute(
            "SELECT schema_name FROM ledger_heilongjiang.read_model_generation"
            " WHERE model = %s AND state = 'live'",
            [source.model.name],
        ).fetchone()
        return connection.execute(f"SELECT {what} FROM {schema}.{source.table}").fetchall()


def put(deployment, source, **values):
    """Change every row of a live table: what no event says, but a row may hold."""
    with deployment.database.owner() as connection:
        (schema,) = connection.execute(
            "SELECT schema_name FROM ledger_heilongjiang.read_model_generation"
            " WHERE model = %s AND state = 'live'",
            [source.model.name],
        ).fetchone()
        for name, value in values.items():
            connection.execute(f"UPDATE {schema}.{source.table} SET {name} = %s", [value])


# -- what is in it ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(TABLES))
def test_both_formats_have_every_row_of_every_table(harbin, name):
    """Given the Harbin case, then each table's CSV and Parquet have its columns and its rows, and nothing else."""
    source = TABLES[name]
    rows = live(harbin, source, f"{source.table}.subject")
    header, found = as_rows(extract(harbin, source, "csv"))
    table = as_table(extract(harbin, source, "parquet"))
    fields = next(t.row for t in source.model.tables if t.name == source.table)._fields
    assert tuple(header) == tuple(table.column_names) == fields
    assert (
        sorted(row[0] for row in found) == sorted(table["subject"].to_pylist()) == sorted(s for (s,) in rows)
    )


def test_parquet_has_the_types_of_the_columns_and_their_values(harbin):
    """Dates are dates, moments UTC with microseconds, amounts 64 bits, JSON its text; as the database says them."""
    table = as_table(extract(harbin, ITEMS, "parquet"))
    types = {field.name: field.type for field in table.schema}
    assert types["from_on"] == types["until_on"] == types["due_on"] == pa.date32()
    assert types["unpaid_fen"] == pa.int64()
    key = "item_id, from_on, until_on, unpaid_fen"
    mine = zip(*(table[name].to_pylist() for name in key.split(", ")), strict=True)
    assert sorted(map(repr, mine)) == sorted(map(repr, live(harbin, ITEMS, key)))
    statuses = as_table(extract(harbin, STATUS, "parquet"))
    assert statuses.schema.field("status_since").type == pa.timestamp("us", tz="UTC")
    assert statuses.schema.field("held").type == pa.bool_()
    assert statuses.schema.field("open_items").type == pa.string()
    columns = "account_id, status_since, held, balance_fen"
    mine = zip(*(statuses[name].to_pylist() for name in columns.split(", ")), strict=True)
    utc = [(a, s and s.astimezone(UTC), h, b) for a, s, h, b in live(harbin, STATUS, columns)]
    assert sorted((a, s and s.replace(tzinfo=UTC), h, b) for a, s, h, b in mine) == sorted(utc)
    documents = [json.loads(text) for text in statuses["open_items"].to_pylist()]
    assert sorted(map(repr, documents)) == sorted(repr(d) for (d,) in live(harbin, STATUS, "open_items"))


def test_what_is_hard_to_write_down_comes_through(owing):
    """Given quotes, commas, new lines, an empty text and nothing at all, then both formats tell them apart."""
    odd = 'a "quoted", 中文\nsecond line\r\n\\N'
    put(owing, STATUS, status=odd, region="", status_since=None)
    header, (row,) = as_rows(extract(owing, STATUS, "csv"))
    assert (row[header.index("status")], row[header.index("region")]) == (odd, "")
    assert b',"",' in extract(owing, STATUS, "csv")
    (line,) = as_table(extract(owing, STATUS, "parquet")).to_pylist()
    assert (line["status"], line["region"], line["status_since"]) == (odd, "", None)


@EACH
@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0d"])
def test_a_formula_is_left_to_programs_and_disarmed_for_spreadsheets(owing, form, start):
    """Given a text a spreadsheet would calculate, then it is as it is, or has an apostrophe where that is asked."""
    put(owing, STATUS, status=f"{start}1+2", balance_fen=-5)

    def status(**more):
        data = extract(owing, STATUS, form, **more)
        if form == "parquet":
            (row,) = as_table(data).to_pylist()
            return row["status"], row["balance_fen"]
        header, (row,) = as_rows(data)
        return row[header.index("status")], int(row[header.index("balance_fen")])

    assert status() == (f"{start}1+2", -5)
    assert status(spreadsheet=True) == (f"'{start}1+2", -5)


@EACH
def test_an_empty_table_is_a_file_with_columns(deployment, form):
    """Given no rows, then the file is whole: a header, or a schema."""
    install(deployment, deployment.ledger_for("heilongjiang.harbin"), MONEY)
    data = extract(deployment, STATUS, form)
    fields = list(STATUS.model.tables[0].row._fields)
    if form == "csv":
        assert as_rows(data) == (fields, [])
    else:
        assert (as_table(data).column_names, as_table(data).num_rows) == (fields, 0)


def test_parquet_says_what_it_is_of(harbin):
    """The metadata has the model, its version, the position and the model's digest; each field its comment."""
    schema = as_table(extract(harbin, LINES, "parquet")).schema
    standing = next(s for s in standings(harbin.ledger(LEDGER)) if s.name == "statement")
    assert schema.metadata == {
        b"recount.table": b"statement_line",
        b"recount.model": b"statement",
        b"recount.version": str(standing.version).encode(),
        b"recount.ledger": b"heilongjiang",
        b"recount.position": b"102",
        b"recount.lag": b"0",
        b"recount.moved_at": standing.moved_at.astimezone(UTC).isoformat().encode(),
        b"recount.digest": standing.digest.encode(),
    }
    assert schema.field("position").metadata[b"comment"]


@EACH
def test_a_city_has_its_own_rows_only(harbin, form):
    """Given a region with a city, then only its rows are taken; a table without regions can't be asked so."""
    data = extract(harbin, STATUS, form, "heilongjiang.harbin")
    assert len(as_rows(data)[1] if form == "csv" else as_table(data)) == len(live(harbin, STATUS))
    nowhere = extract(harbin, STATUS, form, "heilongjiang.daqing")
    assert len(as_rows(nowhere)[1] if form == "csv" else as_table(nowhere)) == 0
    without = next(s for s in TABLES.values() if "region" not in dict(s.model.tables)[s.table]._fields)
    with pytest.raises(MalformedError, match="should be a whole ledger"):
        extract(harbin, without, form, "heilongjiang.harbin")


# -- one snapshot, bounded memory ---------------------------------------------------------------------------


@EACH
def test_an_extract_is_of_one_moment_whatever_happens_meanwhile(owing, form):
    """Given an extract that has begun, when rows change and the model is rebuilt, then it goes on as it was."""
    ledger = owing.ledger(LEDGER)
    with extracting(ledger, LINES.model) as extraction:
        bring(owing, payment_line("A0", "P1", 100))
        catch_up(owing, MONEY, present)
        rebuild(owing, ledger, LINES.model, present)
        lines = b"".join(extraction.stream(LINES, form))
        items = b"".join(extraction.stream(ITEMS, form))
        position = extraction.about(LINES).position
    assert position == 2
    assert extraction.rows == 2
    for data in (lines, items):
        assert len(as_rows(data)[1] if form == "csv" else as_table(data)) == 1
    assert len(as_rows(extract(owing, LINES, "csv"))[1]) == 2


def test_a_model_that_is_not_there_yet_can_not_be_extracted(deployment):
    """Given a ledger without the model, when it is asked for, then it says that it is being made."""
    deployment.ledger_for("heilongjiang.harbin")
    install(deployment, deployment.ledger(LEDGER), [STATUS.model])
    with (
        pytest.raises(NotBuiltError, match="statement is being made"),
        extracting(deployment.ledger(LEDGER), LINES.model),
    ):
        pass


def test_pieces_and_row_groups_are_bounded(harbin, monkeypatch):
    """Given small bounds, then what is handed on at once is small, and together the same rows."""
    rows = len(live(harbin, LINES))
    whole = extract(harbin, LINES, "csv")
    monkeypatch.setattr(extracting_module, "CHUNK_BYTES", 1_000)
    monkeypatch.setattr(extracting_module, "GROUP_ROWS", 7)
    with extracting(harbin.ledger(LEDGER), LINES.model) as extraction:
        pieces = list(extraction.stream(LINES, "csv"))
    assert b"".join(pieces) == whole
    assert max(map(len, pieces)) < 2_000
    groups = parquet.ParquetFile(io.BytesIO(extract(harbin, LINES, "parquet")))
    assert groups.metadata.num_row_groups == -(-rows // 7)
    monkeypatch.setattr(extracting_module, "GROUP_BYTES", 1)
    groups = parquet.ParquetFile(io.BytesIO(extract(harbin, LINES, "parquet")))
    assert groups.metadata.num_row_groups == -(-rows // 2)


MILLION = 1_000_000
MEMORY_MAX_MB = 300


def peak_of_extracting(url, form):
    """Extract a table in a process of its own; return its rows and the most memory it ever had, in MB."""
    deployment = opened_deployment(url)
    with extracting(deployment.ledger(LEDGER), LINES.model) as extraction:
        for _ in extraction.stream(LINES, form):
            pass
    deployment.close()
    # Not getrusage: its figure outlives an exec, and would be that of the process these tests run in.
    status = Path("/proc/self/status").read_text()
    return extraction.rows, int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) // 1024


@pytest.mark.slow
def test_a_million_rows_take_no_more_memory_than_some(deployment, database_url):
    """Given a million rows (240 MB as CSV), when they are extracted, then memory stays under 300 MB."""
    install(deployment, deployment.ledger_for("heilongjiang.harbin"), MONEY)
    with deployment.database.owner() as connection:
        (schema,) = connection.execute(
            "SELECT schema_name FROM ledger_heilongjiang.read_model_generation WHERE model = 'statement'"
        ).fetchone()
        connection.execute(
            f"INSERT INTO {schema}.statement_line (subject, position, part, account_id, region, effective_on,"
            " occurred_at, recorded_at, kind, amount_fen, change_fen, balance_fen, event_id, source, rests_on)"
            " SELECT 'account/A' || n, n, 0, 'A' || n, 'heilongjiang.harbin', '2014-01-01'::date + n % 1000, now(),"
            " now(), 'charge', 10000, 10000, n, 'event-' || n, 'urn:recount:test', '[\"event\"]'"
            f" FROM generate_series(1, {MILLION}) AS n"
        )
    for form in ("csv", "parquet"):
        with support.processes(1) as pool:
            rows, peak_mb = pool.submit(peak_of_extracting, database_url, form).result()
        assert rows == MILLION
        assert peak_mb < MEMORY_MAX_MB, form


# -- as files -----------------------------------------------------------------------------------------------


@pytest.fixture
def recount(harbin, harbin_url, capsys, monkeypatch):
    """Run `recount` on the Harbin case; returns (exit code, standard output, standard error)."""
    monkeypatch.setenv("DATABASE_URL", harbin_url)
    monkeypatch.setenv("RECOUNT_MASTER_KEY", base64.b64encode(MASTER).decode())

    def run(*arguments):
        capsys.readouterr()
        try:
            code = main(arguments)
        except SystemExit as left:
            code = left.code
        return code, *capsys.readouterr()

    return run


def mode(path):
    """Return a file's permissions."""
    return stat.S_IMODE(path.stat().st_mode)


def test_a_table_as_a_csv_file_with_what_it_is_of_beside_it(harbin, recount, tmp_path):
    """Given a table's name, then a file only its owner may read stands there, and a document says what it is."""
    out = tmp_path / "lines.csv"
    code, text, _ = recount("extract", "statement_line", "--out", str(out))
    rows = len(live(harbin, LINES))
    assert (code, text) == (0, f"{rows} rows of statement_line at position 102 in {out}\n")
    assert out.read_bytes() == extract(harbin, LINES, "csv")
    beside = tmp_path / "lines.csv.meta.json"
    about = json.loads(beside.read_bytes())
    assert (about["model"], about["ledger"], about["position"], about["rows"]) == (
        "statement", LEDGER, 102, rows,
    )  # fmt: skip
    assert about["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()
    assert about["digest"] == next(
        s.digest for s in standings(harbin.ledger(LEDGER)) if s.name == "statement"
    )
    assert (mode(out), mode(beside)) == (0o600, 0o600)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["lines.csv", "lines.csv.meta.json"]


def test_a_model_of_several_tables_is_a_folder_of_one_moment(recount, tmp_path):
    """Given a model's name, then each of its tables is a file in the folder, all at one position."""
    out = tmp_path / "statement"
    code, text, _ = recount("extract", "statement", "--format", "parquet", "--out", str(out), "--json")
    assert code == 0
    made = json.loads(text)["extracts"]
    names = ["statement_line", "statement_open_item", "statement_posting"]
    assert sorted(p.name for p in out.iterdir()) == [f"{name}.parquet" for name in names]
    assert sorted(m["table"] for m in made) == names
    for one in made:
        table = parquet.read_table(one["out"])
        assert (table.num_rows, one["position"]) == (one["rows"], 102)


def test_an_extract_that_fails_leaves_what_was_there(recount, tmp_path, monkeypatch):
    """Given an earlier file, when a new extract breaks off, then the old one stands and no part of the new."""
    out = tmp_path / "status.csv"
    out.write_text("earlier")
    really = api.commands.extract.Extraction.stream

    def breaks_off(*given, **more):
        yield from list(really(*given, **more))[:1]
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(api.commands.extract.Extraction, "stream", breaks_off)
    code, _, error = recount("extract", "billing_status", "--out", str(out))
    assert (code, out.read_text()) == (1, "earlier")
    assert "No space left" in error
    assert [p.name for p in tmp_path.iterdir()] == ["status.csv"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nothing",), "is no table and no read model: there is "),
        (("billing_status", "--region", "hebei"), "there is no such ledger"),
        (("billing_status", "--out", "/nowhere/at/all"), "No such file or directory"),
    ],
)
def test_what_can_not_be_extracted_is_one_line(recount, tmp_path, arguments, said):
    """Given a name or a place that is not there, then one line says so."""
    code, out, error = recount("extract", "--out", str(tmp_path / "x"), *arguments)
    assert (code, out, len(error.splitlines())) == (1, "", 1)
    assert said in error


# -- over HTTP ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def client(harbin):
    """Return a client of a service on the Harbin case."""
    with serving(Runtime(harbin)) as made:
        yield made


@EACH
def test_a_table_is_streamed_with_how_far_it_is(harbin, client, form):
    """Given a table's address, then its bytes come, and headers say position, digest and a file's name."""
    answer = client.http.get("/billing/extracts/statement_line", params={"format": form})
    assert answer.status_code == 200
    assert answer.content == extract(harbin, LINES, form)
    standing = next(s for s in standings(harbin.ledger(LEDGER)) if s.name == "statement")
    assert answer.headers["Recount-Position"] == "102"
    assert answer.headers["Recount-Digest"] == standing.digest
    assert answer.headers["Content-Type"] == extracts.MEDIA[form]
    name = f'attachment; filename="heilongjiang-statement_line-102.{form}"'
    assert answer.headers["Content-Disposition"] == name


def test_the_tables_are_listed(client):
    """So that a consumer knows what there is."""
    listed = client.get("/billing/extracts").json()["tables"]
    assert {"table": "statement_line", "model": "statement"} in listed
    listed += client.get("/management/extracts").json()["tables"]
    assert sorted(one["table"] for one in listed) == sorted(TABLES)


def test_billing_extracts_what_it_may_see_and_management_the_rest(client):
    """What is about people and conduct is no view of billing's, and no extract of theirs either."""
    kept = {m.name for m in READ_MODELS if not m.for_billing}
    for_billing = {one["model"] for one in client.get("/billing/extracts").json()["tables"]}
    assert for_billing & kept == set()
    assert {one["model"] for one in client.get("/management/extracts").json()["tables"]} == kept
    assert client.get("/management/extracts/accountability_penalty").status_code == 200
    for table in ("registration", "cases_promise"):
        refused = client.get(f"/billing/extracts/{table}")
        assert (refused.status_code, refused.json()["code"]) == (422, "request.invalid")


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("nothing", 422, "request.invalid"),
        ("statement_line?format=xml", 422, "request.invalid"),
        ("statement_line?region=hebei", 404, "ledger.not_found"),
        ("statement_line?min_position=1000&wait_s=0", 503, "projection.behind"),
    ],
)
def test_what_can_not_be_streamed_is_a_problem(client, path, status, code):
    """Given an address that has nothing to stream, then it is a problem before the first byte."""
    answer = client.get(f"/billing/extracts/{path}")
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_no_more_than_some_at_once_and_each_gives_its_place_back(client, monkeypatch):
    """Given as many extracts as may run, then the next is told to come back, until one ends or its client leaves."""
    hold, begun = threading.Event(), threading.Semaphore(0)
    really = extracts._Open.read

    def held(opened):
        begun.release()
        assert hold.wait(20)
        return really(opened)

    path = "/billing/extracts/billing_status"
    monkeypatch.setattr(extracts._Open, "read", held)
    running = [client.http.stream("GET", path) for _ in range(extracts.EXTRACTS_MAX)]
    answers = [one.__enter__() for one in running]
    for _ in running:
        assert begun.acquire(timeout=10)
    refused = client.get(path)
    assert (refused.status_code, refused.json()["code"]) == (503, "extract.too_many")
    assert "Retry-After" in refused.headers
    answers[0].close()  # leaves in the middle
    hold.set()
    assert answers[1].read()
    for one in running:
        one.__exit__(None, None, None)
    monkeypatch.undo()
    support.wait_for(lambda: client.get(path).status_code == 200)
    for _ in range(20):  # more than the process has connections
        with client.http.stream("GET", path) as answer:
            assert answer.status_code == 200
        support.wait_for(lambda: extracts._running._value == extracts.EXTRACTS_MAX)


def test_an_extract_that_breaks_off_is_not_taken_for_whole(client, monkeypatch):
    """Given an extract that fails in the middle, then the connection breaks, and the client knows."""
    really, read = extracts._Open.read, []

    def breaks_off(opened):
        read.append(1)
        if len(read) > 1:
            raise psycopg.OperationalError("gone")
        return really(opened)

    monkeypatch.setattr(extracts._Open, "read", breaks_off)
    with capture_logs() as logs, pytest.raises(httpx.RemoteProtocolError):
        client.http.get("/billing/extracts/billing_status")
    support.wait_for(lambda: any(entry["event"] == "request failed" for entry in logs))
