"""Fast reading of lines: what it makes of a line is what the checked way makes of it, or it leaves it to that."""

import hashlib
import hmac
from fractions import Fraction
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.population.conditions import Conditions
from api.population.generating import generate
from domain.events.fields import REGISTRY, MalformedError
from domain.events.links import links_of
from domain.ledger.codec import canonical
from domain.ledger.interchange.reading import Reader
from domain.ledger.vault import Secrets, _Keyed
from tests.conftest import CASES, HARBIN

GOLDEN = Path(__file__).parent / "golden" / "arrived.jsonl"
SECRETS = Secrets(bytes(range(32)))
LINES = [
    line
    for path in (GOLDEN, HARBIN, *sorted(CASES.glob("*/history.jsonl")))
    for line in path.read_bytes().replace(b":05.25+", b":05.250000+").splitlines()
]
"""Lines whose times are written as they are stored; those of the golden file are not."""
TIMES = (
    "2014-12-09T11:00:00+08:00", "2014-12-09T11:00:00.5+08:00", "2014-12-09T11:00:00.500000+08:00",
    "2014-12-09T11:00:00.000000+08:00", "2014-12-09t11:00:00z", "2014-12-09T03:00:00Z", "2014-12-09T24:00:00+08:00",
    "2014-02-30T11:00:00+08:00", "2014-12-09T11:00:60+08:00", "2014-12-09T11:00:00-00:00", "2014-12-09T11:00:00",
    "2014-12-09 11:00:00+08:00", "1899-12-31T11:00:00+08:00", "2200-01-01T00:00:00+08:00", "0001-01-01T00:00:00+00:00",
    "2014-12-09T11:00:00+24:00", "2014-12-09T11:00:00+23:59", "２０14-12-09T11:00:00+08:00",
    "2014-12-09T11:00:00.１23456+08:00", "2014-12-09T11:00:00.12345+008:00",
)  # fmt: skip
TEXTS = st.one_of(
    st.text(max_size=30),
    st.sampled_from(TIMES),
    st.sampled_from(
        ("", " ", "a b", "a#b", "a\x7fb", "a\u0085b", "a\u00a0b", "a\nb", "\x00", "nullify", "x" * 128, "x" * 129,
         "x" * 641, "x" * 642, "x" * 4001, "党/1", "staff/", "staff/a b", "case/1", "party/a/b", "1.0", "harbin",
         "a.b", "a.b.c", "é" * 128, "from", "from_")
    ),
)  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
ATTRIBUTES = sorted({k for text in LINES for k in orjson.loads(text)} | {"streamversion", "digest", "colour"})


def by_both(line):
    """Return what fast reading and the checked way make of a line; None where either does not take it."""
    fast = Reader(SECRETS).read(7, line)
    try:
        checked = Reader(SECRETS).checked(7, line)
    except MalformedError:
        checked = None
    return fast, checked


def assert_same(line):
    """Assert that fast reading takes a line as the checked way does, or leaves it to that; whether it took it."""
    fast, checked = by_both(line)
    if fast is None:
        return False
    assert checked is not None, line
    assert fast._replace(event=None) == checked._replace(event=None)
    if fast.event is None:
        assert checked.seal is None
        assert canonical(checked.event) == fast.body
        assert not links_of(checked.event)
        assert not checked.event.data.PERSONAL
        assert not checked.event.data.OPENS
    else:
        assert fast.event == checked.event
        assert repr(fast.event) == repr(checked.event)
        assert canonical(fast.event) == canonical(checked.event)
    return True


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_every_event_type_is_read_fast_but_a_rule(name):
    """Given a line of each type, when it is read fast, then it is what the checked way makes of it."""
    lines = [line for line in LINES if orjson.loads(line)["type"] == name]
    assert lines
    assert [assert_same(line) for line in lines] == [name != "RuleVersionPublished"] * len(lines)


def test_a_population_is_read_fast(tmp_path):
    """What an operator's own systems write needs no second look, but for the odd line."""
    generate(Conditions(12, 2, breaches=Fraction(1, 2)), tmp_path)
    lines = [line for path in tmp_path.glob("*.jsonl") for line in path.read_bytes().splitlines()]
    assert sum(map(assert_same, lines)) > 0.99 * len(lines)


@st.composite
def changed(draw):
    """A line with something in it that is otherwise, in any way JSON can be written."""
    raw = orjson.loads(draw(st.sampled_from(LINES)))
    for _ in range(draw(st.integers(0, 2))):
        where = raw
        if draw(st.booleans()) and raw.get("data") and isinstance(raw["data"], dict):
            where = raw["data"]
            name = draw(st.sampled_from([*sorted(where), "from_", "colour"]))
        else:
            name = draw(st.sampled_from(ATTRIBUTES))
        match draw(st.integers(0, 3)):
            case 0:
                where.pop(name, None)
            case 1:
                where[name] = draw(TEXTS)
            case 2:
                where[name] = draw(VALUES)
            case 3:
                where[name] = (
                    [*where[name], draw(TEXTS)] if isinstance(where.get(name), list) else draw(VALUES)
                )
    for name in draw(st.lists(st.sampled_from(("time", "recordedtime")), max_size=2)):
        raw[name] = draw(st.sampled_from(TIMES))
    order = draw(st.permutations(sorted(raw)))
    line = orjson.dumps({k: raw[k] for k in order}, option=draw(st.sampled_from((0, orjson.OPT_SORT_KEYS))))
    return line.replace(b":", b" : ", 3) if draw(st.booleans()) else line


@settings(max_examples=600, deadline=None)
@given(changed())
def test_a_changed_line_is_read_the_same_both_ways(line):
    """Given anything in a line's place, when it is read fast, then it is as checked, or left to the checked way."""
    assert_same(line)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(LINES), st.integers(0), st.binary(max_size=3))
def test_a_line_with_other_bytes_is_read_the_same_both_ways(line, at, put):
    """Given a line damaged at any place, when it is read fast, then it is as checked, or left to the checked way."""
    at %= len(line)
    assert_same(line[:at] + put + line[at + len(put) :])


def test_what_was_right_before_is_looked_at_again_where_it_is_not():
    """Given a reader that has seen many lines, when a wrong one comes, then it is no more taken than by a new one."""
    reader = Reader(SECRETS)
    assert all(reader.read(1, line) for line in LINES if b"RuleVersionPublished" not in line)
    raw = orjson.loads(next(line for line in LINES if b'"ChargePosted"' in line))
    assert reader.read(1, orjson.dumps(raw))
    for wrong in (
        {"subject": "party/P-HRB"}, {"actor": 1}, {"actor": ["staff/S-01"]}, {"region": {}}, {"source": ""},
        {"channel": "fax"}, {"dataversion": True}, {"dataversion": 2}, {"specversion": 1.0}, {"time": ""},
        {"data": [1]}, {"data": {**raw["data"], "amount_fen": 1.0}}, {"actororg": ""}, {"streamversion": 1},
    ):  # fmt: skip
        assert reader.read(1, orjson.dumps({**raw, **wrong})) is None, wrong


@given(st.binary(max_size=200), st.binary(min_size=1, max_size=64))
def test_a_fingerprint_is_an_hmac_of_the_bytes(message, key):
    """Made by hand it is faster, and is still what everybody else's HMAC-SHA-256 gives."""
    assert _Keyed(key).digest(message) == hmac.digest(key, message, hashlib.sha256)
