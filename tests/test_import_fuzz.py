"""Whatever comes in as a file, the importer never crashes and accounts for every line."""

import io

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.runtime import present
from domain.ledger.interchange import Importer, lines_of
from tests.conftest import HARBIN

pytestmark = pytest.mark.storage

LINES = HARBIN.read_bytes().splitlines()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(sorted({k for text in LINES for k in orjson.loads(text)}))
FIELDS = st.sampled_from(sorted({k for text in LINES for k in orjson.loads(text)["data"]}))


def _plain(value):
    """JSON that orjson can write (it has no integers beyond 64 bits)."""
    try:
        return orjson.loads(orjson.dumps(value))
    except TypeError:
        return str(value)


@st.composite
def damaged(draw):
    """A line of the Harbin case with something done to it."""
    text = draw(st.sampled_from(LINES))
    raw = orjson.loads(text)
    match draw(st.integers(0, 6)):
        case 0:
            return text
        case 1:
            raw[draw(NAMES)] = _plain(draw(JSON))
        case 2:
            raw["data"][draw(FIELDS)] = _plain(draw(JSON))
        case 3:
            raw.pop(draw(NAMES), None)
        case 4:
            cut = draw(st.integers(0, len(text)))
            return text[:cut]
        case 5:
            at = draw(st.integers(0, len(text) - 1))
            return text[:at] + draw(st.binary(min_size=1, max_size=3)) + text[at + 1 :]
        case 6:
            raw["id"] = draw(st.text(max_size=30))
    return orjson.dumps(raw)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(damaged() | st.binary(max_size=60), max_size=12))
def test_every_line_is_appended_repeated_or_refused(deployment, lines):
    """Given any bytes as lines, when they are imported, then no line is lost and none is counted twice."""
    content = b"\n".join(lines)
    expected = sum(1 for _ in lines_of(io.BytesIO(content)))
    refusals = []
    tally = Importer(deployment, refusals.append, present).run(io.BytesIO(content))
    assert tally.appended + tally.repeated + tally.refused + tally.keys == expected
    assert tally.refused == len(refusals)
    assert all(1 <= r.line <= expected and r.field and r.reason for r in refusals)
