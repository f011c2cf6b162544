"""Fast reading: what it makes of stored bytes is what the checked way makes of them, for every event type."""

from pathlib import Path

import orjson
import pytest
from eventsourcing.persistence import MapperDeserialisationError

from domain.events.fields import REGISTRY
from domain.ledger import decoding
from domain.ledger.codec import CanonicalTranscoder, LedgerEvent, LedgerMapper
from domain.ledger.decoding import recorded_of
from tests.conftest import CASES, HARBIN

GOLDEN = Path(__file__).parent / "golden" / "stored.jsonl"
mapper = LedgerMapper(CanonicalTranscoder())


def rows():
    """Return every stored event of the golden files and the cases, as rows of the log."""
    lines = [*GOLDEN.read_bytes().splitlines()]
    for path in (HARBIN, *sorted(CASES.glob("*/history.jsonl"))):
        lines += path.read_bytes().splitlines()
    found = []
    for line in lines:
        raw = orjson.loads(line)
        found.append((raw["subject"], 1, raw["type"], line, 7, None, b"d", b"f"))
    return found


def plainly(row):
    """Return the event by the mapper, which checks everything."""
    return mapper.to_domain_event(
        LedgerEvent(
            originator_id=row[0], originator_version=row[1], topic=row[2], state=row[3], position=row[4],
            digest=row[6], fingerprint=row[7],
        )
    )  # fmt: skip


def test_every_stored_event_is_read_the_same_both_ways():
    """Given golden bytes and every case, when read fast and checked, then both are one, to the last offset."""
    read = [(decoding._read(row[3]), plainly(row).event) for row in rows()]
    assert [fast for fast, _ in read] == [slow for _, slow in read]
    assert [repr(fast) for fast, _ in read] == [repr(slow) for _, slow in read]
    assert {type(fast.data) for fast, _ in read} == set(REGISTRY.values())


def test_an_older_data_version_goes_the_checked_way(monkeypatch):
    """Given bytes of an older version, when read fast, then they are brought up to date as the mapper does it."""
    row = rows()[0]
    old = (*row[:3], row[3].replace(b'"dataversion":1', b'"dataversion":0'), *row[4:])
    with pytest.raises(MapperDeserialisationError, match="dataversion"):
        recorded_of(old)
    monkeypatch.setattr(decoding, "_read", None)  # so that it is the mapper that reads
    assert recorded_of(row) == plainly(row)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (b'"type":"AccountOpened"', b'"type":"AccountMelted"', "type"),
        (b'"party_id":"PARTY-ID-1"', b'"party":"PARTY-ID-1"', "data.party"),
        (b'"time":"2014-12-09T11:00:00+08:00"', b'"time":"yesterday"', "time"),
        (b"{", b"[", "can't be read"),
    ],
)
def test_bytes_that_make_no_sense_are_named_by_the_mapper(old, new, why):
    """Given altered bytes, when read fast, then the error is the one of the checked way."""
    row = rows()[0]
    with pytest.raises(MapperDeserialisationError, match=why):
        recorded_of((*row[:3], row[3].replace(old, new, 1), *row[4:]))
