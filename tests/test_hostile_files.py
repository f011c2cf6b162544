"""Whatever stands in a file, an argument or a name: one clear line, nothing written where nothing should be."""

import base64
import gzip
import io
import json
import os
import stat
import zlib
from pathlib import Path

import orjson
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from api.access.keys import SET_MAX_BYTES, KeysError, keys_at
from api.cli import main
from api.runtime import present
from api.terminal import printable
from domain.ledger.interchange import Importer, lines_of
from tests.conftest import HARBIN, MASTER, fresh_database
from tests.support import bring, charge_line, event_line, opening_line

pytestmark = pytest.mark.storage

GOOD = orjson.loads(charge_line("A1"))
DEEP = 100_000


# -- lines of an import -------------------------------------------------------------------------------------


def with_value(name, value):
    """Return the good line with something else as a field of its data, written as it is given."""
    text = json.dumps({**GOOD, "id": "bad", "data": {**GOOD["data"], name: "@"}})
    return text.replace('"@"', value).encode("utf-8", "surrogatepass")


HOSTILE = {
    "NaN": with_value("amount_fen", "NaN"),
    "infinity": with_value("amount_fen", "-Infinity"),
    "a number beyond all": with_value("amount_fen", "9" * 5_000),
    "an exponent beyond all": with_value("amount_fen", "1e400"),
    "a float": with_value("amount_fen", "100.0"),
    "beyond 64 bits": with_value("amount_fen", str(2**64)),
    "more than there is money": with_value("amount_fen", str(2**63 - 1)),
    "a boolean for a number": with_value("amount_fen", "true"),
    "nested deeply": with_value("charge_id", "[" * DEEP + "]" * DEEP),
    "objects nested deeply": with_value("charge_id", '{"a":' * DEEP + "1" + "}" * DEEP),
    "a lone surrogate": with_value("charge_id", r'"\ud800"'),
    "surrogates the wrong way round": with_value("charge_id", r'"\udc00\ud800"'),
    "a NUL": with_value("charge_id", r'"A\u0000B"'),
    "a raw NUL": with_value("charge_id", '"A\x00B"'),
    "raw control characters": with_value("charge_id", '"A\x1b[2J"'),
    "a slash in the subject": json.dumps({**GOOD, "subject": "account/../../x"}).encode(),
    "another alphabet's digits": with_value("due_on", '"２０１４-01-31"'),
    "a day that is not": with_value("due_on", '"2014-02-30"'),
    "surrogates as bytes": with_value("charge_id", '"\ud800"'),
    "UTF-16": json.dumps(GOOD).encode("utf-16"),
    "GBK": with_value("charge_id", '"编号"').decode().encode("gbk"),
    "gzip": gzip.compress(charge_line("A1", "CH9")).replace(b"\n", b"n"),
    "a bomb": zlib.compress(bytes(10_000_000), 9).replace(b"\n", b"n"),
    "only brackets": b"[" * 500_000,
    "an endless string": b'{"id": "' + b"x" * 900_000,
    "too long a line": b'{"id": "' + b"x" * 2_000_000 + b'"}',
    "a list": b"[1, 2]",
    "a number": b"1",
    "nothing": b"null",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_line_is_refused_in_one_line_and_its_neighbours_land(deployment, name):
    """Given a hostile line among good ones, then it alone is refused, with a reason that can be printed."""
    lines = [opening_line("A1"), HOSTILE[name], charge_line("A1")]
    refusals = []
    tally = Importer(deployment, refusals.append, present).run(io.BytesIO(b"\n".join(lines)))
    assert (tally.appended, tally.refused) == (2, 1), [(r.field, r.reason[:200]) for r in refusals]
    (refusal,) = refusals
    assert refusal.line == 2
    assert refusal.field
    assert printable(refusal.reason) == refusal.reason
    assert len(refusal.reason) < 1_000


def test_of_a_key_that_comes_twice_the_last_counts_and_what_is_stored_has_one(deployment):
    """Given a line with two amounts, then one event with one amount stands, and the line again is a repeat."""
    twice = charge_line("A1").replace(b'"amount_fen":10000', b'"amount_fen":1,"amount_fen":2')
    bring(deployment, opening_line("A1"), twice)
    assert bring(deployment, twice).repeated == 1
    (_, stored) = deployment.ledger("heilongjiang").journal.log(0)
    assert stored.state.count(b'"amount_fen"') == 1
    assert orjson.loads(stored.state)["data"]["amount_fen"] == 2


def test_the_largest_events_that_are_honest_land(deployment):
    """Given texts, lists and identifiers as long as they may be, then they land."""
    asked = {"effective_from": "2015-01-01", "blockers": ["x" * 4_000] * 200}
    cancelled = event_line("e" * 128, "CancellationRequested", "account/A1", asked)
    assert bring(deployment, opening_line("A1"), cancelled).appended == 2


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=8)
    | st.just(float("nan")) | st.just(10**400) | st.just("\ud800") | st.just("\x00"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(sorted(GOOD)), st.sampled_from([None, *sorted(GOOD["data"])]), ANYTHING, st.data())
def test_any_value_anywhere_is_taken_or_refused(deployment, attribute, name, value, data):
    """Given an event with any JSON as any attribute or field, in any encoding, then each line is accounted for."""
    raw = {**GOOD, "id": "any", attribute: value} if name is None else with_data(name, value)
    text = json.dumps(raw, ensure_ascii=data.draw(st.booleans()))
    content = text.encode(data.draw(st.sampled_from(["utf-8", "utf-16-le", "utf-7"])), "surrogatepass")
    expected = sum(1 for _ in lines_of(io.BytesIO(content)))
    refusals = []
    tally = Importer(deployment, refusals.append, present).run(io.BytesIO(content))
    assert tally.appended + tally.repeated + len(refusals) == expected
    assert all(printable(r.reason) == r.reason for r in refusals)


def with_data(name, value):
    """Return the good event with another value as a field of its data."""
    return {**GOOD, "id": "any", "data": {**GOOD["data"], name: value}}


# -- the command line ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def harbin(server, tmp_path_factory):
    """Return the environment in which commands find the Harbin case."""
    with fresh_database(server, "hostile") as url, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATABASE_URL", url)
        patch.setenv("RECOUNT_MASTER_KEY", base64.b64encode(MASTER).decode())
        assert main(["import", str(HARBIN), "--data", str(tmp_path_factory.mktemp("data"))]) == 0
        yield {"DATABASE_URL": url, "RECOUNT_MASTER_KEY": base64.b64encode(MASTER).decode()}


@pytest.fixture
def recount(harbin, tmp_path, monkeypatch, capfd):
    """Run a command in this process, in a folder of its own; return its exit code and what it said."""
    for name, value in harbin.items():
        monkeypatch.setenv(name, value)
    place = tmp_path / "place"
    place.mkdir()
    monkeypatch.chdir(place)

    def run(*arguments, data=None):
        try:
            code = main([*arguments, "--data", str(tmp_path / "data") if data is None else data])
        except SystemExit as stopped:
            code = stopped.code
        out, said = capfd.readouterr()
        assert code in (0, 1, 2), code
        assert "Traceback" not in said
        if code == 2 or (code == 1 and "refused" not in out):
            assert said.count("\n") == 1, said
            assert said.isascii() or printable(said.strip()) == said.strip()
        return code, said

    return run


ASKING = st.sampled_from([
    ("replay",), ("replay", "--steps"), ("findings",), ("counterfactual",), ("export", "--out", "out.jsonl"),
    ("dossier", "--out", "out"), ("compare", "--with-at", "now"),
])  # fmt: skip
SUBJECTS = st.builds(
    "{}{}{}".format,
    st.sampled_from(["account", "party", "dealer", "case", "rulebook", "", "ACCOUNT", "account/.."]),
    st.sampled_from(["/", "//", "", "\\"]),
    st.text(st.characters(), max_size=12),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ASKING, SUBJECTS)
@example(("replay",), "account/\ud800")
@example(("findings",), "account/\u202egpj")
@example(("export", "--out", "out.jsonl"), "account/../../etc/passwd")
@example(("dossier", "--out", "out"), "party/" + "x" * 10_000)
def test_any_subject_is_answered_with_one_line(recount, asking, subject):
    """Given slashes, dots, control characters, surrogates and signs that turn a line round, then one line is said."""
    command, *options = asking
    code, _ = recount(command, *options, "--", subject)
    assert code in (1, 2)
    assert standing() == {}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["--at", "--known-at", "--position", "--region"]),
    st.text(st.characters(), max_size=20)
    | st.sampled_from(
        ["9999-12-31T23:59:59+00:00", "0001-01-01", "2014-01-01T00:00:00+99:99", "9" * 40, "1e5"]
    ),
)
def test_any_moment_position_and_region_is_answered_with_one_line(recount, option, value):
    """Given any text where a moment, a number or a region is asked for, then one line is said, or it is one."""
    recount("replay", "account/A-FTTH", f"{option}={value}")


def made(name):
    """Make what a path may turn out to be in the present folder; return the path."""
    match name:
        case "a folder":
            Path("folder").mkdir()
            return "folder"
        case "a pipe":
            os.mkfifo("pipe")
            return "pipe"
        case "a link to itself":
            Path("loop").symlink_to("loop")
            return "loop"
        case "a missing folder":
            return "missing/file"
        case "a name too long":
            return "x" * 300
        case "a NUL":
            return "a\x00b"
        case "not UTF-8":
            return "\udcff"
        case _:
            return {"no name": "", "the folder itself": ".", "the folder above": "..", "the root": "/"}[name]


def standing():
    """Return what stands in the present folder, and what each thing is."""
    return {path.name: path.lstat().st_mode for path in Path().iterdir()}


PLACES = [
    "a folder", "a pipe", "a link to itself", "a missing folder", "a name too long", "a NUL", "not UTF-8", "no name",
    "the folder itself", "the folder above",
]  # fmt: skip
WRITING = [
    ("export",),
    ("export", "account/A-FTTH", "--plain"),
    ("extract", "billing_status"),
]


@pytest.mark.parametrize("place", PLACES)
def test_only_an_ordinary_file_is_ever_replaced(recount, place):
    """Given a pipe, a folder or no place at all as --out, then it is refused and stays what it was."""
    path = made(place)
    before = standing()
    for command in WRITING:
        code, said = recount(*command, "--out", path)
        if place == "a link to itself":  # a link is a name like another: the file takes its place
            assert code in (0, 1)
            continue
        assert code in (1, 2), said
        assert standing() == before


def test_an_export_takes_the_place_of_an_earlier_one_and_nothing_else(recount):
    """Given a file, then it is replaced whole, readable by its owner only, and no partial file is left."""
    for _ in range(2):
        assert recount("export", "--out", "out.jsonl")[0] == 0
    assert standing().keys() == {"out.jsonl"}
    assert stat.S_IMODE(standing()["out.jsonl"]) == 0o600


READING = [
    ("import",),
    ("claims", "account/A-FTTH"),
    ("notices", "results"),
    ("close-day", "2015-01-01", "--tariff"),
]


@pytest.mark.parametrize("place", [p for p in PLACES if p != "a pipe"])
def test_what_is_no_file_can_not_be_read(recount, place):
    """Given no file where one is to be read, then that is said in a line."""
    path = made(place)
    for command in READING:
        assert recount(*command, path)[0] in (1, 2)


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\x00" * 100, b"\xff\xfe{}", b"[" * 200_000, b'{"a":' * 200_000, gzip.compress(b"[]"), b'"\\ud800"',
        b"NaN", b"9" * 100_000, b'{"BB": {"annual_price_fen": 1e400}}', b'[{"claim": "paid", "amount_fen": 1e999}]',
        b'{"a": 1, "a": 2}', b"\xef\xbb\xbf[]",
    ],
    ids=range(13),
)  # fmt: skip
def test_whatever_stands_in_a_file_is_answered_with_one_line(recount, content):
    """Given any bytes as a history, claims, results or a price list, then a line is said and that is all."""
    Path("file").write_bytes(content)
    for command in READING:
        recount(*command, "file")


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="there is no endless file here")
@pytest.mark.parametrize("command", READING, ids=lambda c: c[0])
def test_a_file_without_an_end_is_read_up_to_a_bound(recount, command):
    """Given a file that never ends, then it is refused before it fills the memory."""
    assert recount(*command, "/dev/zero")[0] in (1, 2)


@pytest.mark.parametrize("place", ["a pipe", "a link to itself", "a NUL", "not UTF-8"])
def test_a_data_directory_that_can_not_be_one_is_refused(recount, monkeypatch, place):
    """Given something else than a folder as --data, then that is said in a line, and it stays what it was."""
    monkeypatch.delenv("DATABASE_URL")
    path = made(place)
    before = standing()
    assert recount("replay", "account/A-FTTH", data=path)[0] in (1, 2)
    assert standing() == before


UNREADABLE = ("staff/x\x01", "staff/x\ny", "staff/" + "x" * 5_000, "nobody", "")
"""What can't stand as an actor in an event: stored, it would make its whole stream unreadable."""


@pytest.mark.parametrize("actor", UNREADABLE, ids=range(len(UNREADABLE)))
def test_no_command_stores_what_can_not_be_read_back(recount, actor):
    """Given an actor or a text that no event may have, then it is refused, and the party's history can be read."""
    seen = ("--field", "name", "--purpose", "complaint", "--case", "C-HRB")
    assert recount("disclose", "party/P-HRB", *seen, "--by", actor)[0] in (1, 2)
    assert recount("erase", "party/P-HRB", "--legal-basis", "law", "--by", actor or "x")[0] in (1, 2)
    assert recount("erase", "party/P-HRB", "--legal-basis", f"law\x01{actor}")[0] == 2
    assert recount("replay", "party/P-HRB")[0] == 0


# -- settings -------------------------------------------------------------------------------------------------

SETTINGS = {
    "RECOUNT_MASTER_KEY": ("verify", "--sample", "1"),
    "RECOUNT_MASTER_KEY_FILE": ("verify", "--sample", "1"),
    "RECOUNT_SEAL_KEY": ("seal",),
    "RECOUNT_SEAL_KEY_FILE": ("seal",),
    "RECOUNT_SEAL_NAME": ("seal",),
    "RECOUNT_TSA_URL": ("seal",),
    "RECOUNT_TSA_ROOTS": ("verify", "--sample", "1"),
    "RECOUNT_OWNER_URL": ("verify", "--sample", "1"),
    "DATABASE_URL": ("verify", "--sample", "1"),
    "RECOUNT_PERSON_PER_S": ("verify", "--sample", "1"),
    "RECOUNT_PUBLIC_URL": ("verify", "--sample", "1"),
}
SETTING_VALUES = [
    "/dev/zero", "/", "none", "a b", "\udcff\udcfe", "\u202egpj.\u00e9", "../x", "x" * 50_000, "a\nb", "-1", "http://[",
    "http://127.0.0.1:99999/", "http://127.0.0.1:9/", "file:///etc/passwd", "postgresql://[::", "host=/none",
    "postgresql://127.0.0.1:99999/x", "postgresql:///x?host=/none&options=-c%20x",
]  # fmt: skip


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="there is no endless file here")
@pytest.mark.parametrize("name", SETTINGS)
def test_whatever_a_setting_says_is_answered_with_one_line(recount, monkeypatch, name):
    """Given files without end, addresses that are none and any text as a setting, then it serves or a line is said."""
    monkeypatch.setenv("RECOUNT_SEAL_KEY", base64.b64encode(bytes(32)).decode())
    if name.endswith("_FILE"):
        monkeypatch.delenv(name.removesuffix("_FILE"))
    for value in SETTING_VALUES:
        monkeypatch.setenv(name, value)
        recount(*SETTINGS[name])
    assert standing() == {}


def test_a_key_set_or_an_earlier_dossier_without_end_is_read_up_to_a_bound(recount, tmp_path):
    """Given a key set larger than any, or a folder whose manifest has no end, then both are refused."""
    large = tmp_path / "keys.json"
    with large.open("wb") as file:
        file.truncate(10 * SET_MAX_BYTES)
    with pytest.raises(KeysError, match="at most"):
        keys_at(str(large)).of(None)
    Path("out/bundle").mkdir(parents=True)
    Path("out/bundle/manifest.json").symlink_to("/dev/zero")
    assert recount("dossier", "party/P-HRB", "--out", "out")[0] in (1, 2)
    assert Path("out/bundle/manifest.json").is_symlink()
