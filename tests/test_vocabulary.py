"""The event format: every type of the vocabulary, checked where it is made, stored to the byte."""

from pathlib import Path

import orjson
import pytest
from pydantic import ValidationError

from domain import account, case, dealer, party, rulebook
from domain.events import REGISTRY, MalformedError, parse_event
from domain.events.account import ChargePosted, ChargeReversed, LateFeeAssessed, PackageConverted
from domain.events.fields import Personal
from domain.ledger.codec import canonical
from tests.golden_format import stored_form

HERE = Path(__file__).parent
GOLDEN = HERE / "golden"
VOCABULARY = [
    line.split("\t") for line in (HERE / "vocabulary.tsv").read_text().splitlines() if line[0] != "#"
]
ARRIVED = [orjson.loads(line) for line in (GOLDEN / "arrived.jsonl").read_bytes().splitlines()]
STORED = (GOLDEN / "stored.jsonl").read_bytes().splitlines()
DIGESTS = [line.split() for line in (GOLDEN / "digests.txt").read_text().splitlines()]


@pytest.mark.parametrize(("stream", "name", "fields"), VOCABULARY, ids=[v[1] for v in VOCABULARY])
def test_each_type_of_the_vocabulary_has_its_fields(stream, name, fields):
    """Names, which are optional and which are personal data are the contract's (id_hash is sealed as well)."""
    kind = REGISTRY[name]
    personal = set(kind.PERSONAL) - {"id_hash"}
    mine = {
        (f.alias or n) + ("" if f.is_required() else "?") + ("*" if n in personal else "")
        for n, f in kind.__pydantic_fields__.items()
    }
    assert (kind.STREAM, mine) == (stream, set(fields.split()))


def test_no_type_stands_outside_the_vocabulary():
    """Nothing is stored under a name that the contract does not know."""
    assert set(REGISTRY) == {name for _, name, _ in VOCABULARY}


@pytest.mark.parametrize("module", [account, case, dealer, party, rulebook], ids=lambda m: m.__name__)
def test_every_fold_knows_every_type_of_its_stream(module):
    """An event type that a fold does not know is never silently fine."""
    assert module.fold.unknown() == set()


def test_every_event_type_has_a_golden_event():
    """Whoever adds a type pins its bytes."""
    assert {raw["type"] for raw in ARRIVED} == set(REGISTRY)


@pytest.fixture(scope="module")
def encoded():
    return stored_form([parse_event(raw) for raw in ARRIVED])


@pytest.mark.parametrize("number", range(len(ARRIVED)), ids=[raw["type"] for raw in ARRIVED])
def test_the_stored_bytes_digest_and_fingerprint_are_what_they_were(encoded, number):
    """What was stored once stays readable and provable: these files only ever grow."""
    state, digest, fingerprint = encoded[number]
    assert state == STORED[number]
    assert [digest.hex(), fingerprint.hex()] == DIGESTS[number]


@pytest.mark.parametrize("line", STORED, ids=[orjson.loads(s)["type"] for s in STORED])
def test_stored_bytes_read_back_are_the_same_bytes(line):
    """Decoding loses nothing."""
    assert canonical(parse_event(orjson.loads(line))) == line


def test_events_are_frozen_and_slotted():
    """No event is ever changed."""
    charge = ChargePosted(
        charge_id="c", kind="monthly", amount_fen=1, period_start="2014-07-16", period_end="2014-08-16",
        due_on="2014-08-31",
    )  # fmt: skip
    with pytest.raises((AttributeError, TypeError)):
        charge.amount_fen = 2
    assert not hasattr(charge, "__dict__")


def test_a_field_named_like_a_keyword_has_its_name_on_the_wire():
    """`from` is `from_` in Python and nowhere else."""
    converted = PackageConverted(package_id="p", to_offer_id="o", monthly_price_fen=1, from_="2014-07-16")
    assert converted.from_.isoformat() == "2014-07-16"
    assert b'"from":"2010-10-20"' in next(s for s in STORED if b"PackageConverted" in s).replace(
        b"2013-07-16", b"2010-10-20"
    )


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        ({"amount_fen": -1}, "amount_fen", "greater than or equal to 0"),
        ({"amount_fen": 1.0}, "amount_fen", "integer"),
        ({"amount_fen": "1"}, "amount_fen", "integer"),
        ({"amount_fen": True}, "amount_fen", "integer"),
        ({"amount_fen": 10**15 + 1}, "amount_fen", "less than or equal"),
        ({"due_on": "2014-02-30"}, "due_on", "YYYY-MM-DD"),
        ({"due_on": "20140831"}, "due_on", "YYYY-MM-DD"),
        ({"due_on": 1409443200}, "due_on", "YYYY-MM-DD"),
        ({"kind": "weekly"}, "kind", "'package', 'monthly'"),
        ({"charge_id": ""}, "charge_id", "at least 1 character"),
        ({"charge_id": "a b"}, "charge_id", "pattern"),
        ({"charge_id": "x" * 129}, "charge_id", "at most 128"),
        ({"charge_id": None}, "charge_id", "string"),
        ({"colour": "red"}, "colour", "not a field"),
        ({"period_end": "2014-07-15"}, "data", "before the period's start"),
    ],
)
def test_an_ill_formed_field_is_named_with_what_would_be_right(change, field, reason):
    """A person can mend the line without reading the program."""
    raw = next(r for r in ARRIVED if r["type"] == "ChargePosted")
    with pytest.raises(MalformedError) as error:
        parse_event({**raw, "data": {**raw["data"], "period_start": "2014-07-16", **change}})
    assert field in error.value.problem.field
    assert reason in error.value.problem.reason


@pytest.mark.parametrize("name", ["charge_id", "due_on", "kind", "amount_fen"])
def test_a_missing_field_is_named(name):
    """Required means required."""
    raw = next(r for r in ARRIVED if r["type"] == "ChargePosted")
    data = {k: v for k, v in raw["data"].items() if k != name}
    with pytest.raises(MalformedError, match=f"data.{name}: is missing"):
        parse_event({**raw, "data": data})


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"specversion": "0.3"}, "specversion"),
        ({"id": ""}, "id"),
        ({"id": None}, "id"),
        ({"source": 7}, "source"),
        ({"type": "MoneyLost"}, "type"),
        ({"subject": "party/P"}, "subject"),
        ({"subject": "account/"}, "subject"),
        ({"subject": "account/a b"}, "subject"),
        ({"time": "2014-12-09"}, "time"),
        ({"time": "2014-12-09T11:00:00"}, "time"),
        ({"time": "2014-12-09T11:00:00.1234567+08:00"}, "time"),
        ({"time": "2014-13-09T11:00:00+08:00"}, "time"),
        ({"recordedtime": None}, "recordedtime"),
        ({"actor": "nobody"}, "actor"),
        ({"actor": "ghost/1"}, "actor"),
        ({"channel": "pigeon"}, "channel"),
        ({"region": "Heilongjiang"}, "region"),
        ({"region": "x; drop schema"}, "region"),
        ({"dataversion": 2}, "dataversion"),
        ({"dataversion": "1"}, "dataversion"),
        ({"data": []}, "data"),
        ({"datacontenttype": "text/xml"}, "datacontenttype"),
        ({"traceparent": "00"}, "traceparent"),
    ],
)
def test_an_ill_formed_attribute_is_named(change, field):
    """The envelope is checked like the data."""
    raw = next(r for r in ARRIVED if r["type"] == "ChargePosted")
    with pytest.raises(MalformedError) as error:
        parse_event({**raw, **change})
    assert error.value.problem.field == field


def test_an_error_never_shows_the_value():
    """It may be personal data."""
    raw = next(r for r in ARRIVED if r["type"] == "PartyRegistered")
    for bad in ({"kind": "用户甲"}, {"name": ["用户甲"]}, {"用户甲": 1} | {"name": 3}):
        with pytest.raises(MalformedError) as error:
            parse_event({**raw, "data": {**raw["data"], **bad}})
        assert "用户甲" not in error.value.problem.reason


def test_personal_data_is_not_shown_when_an_event_is_printed():
    """Not in a log line, not in a traceback."""
    event = parse_event(next(r for r in ARRIVED if r["type"] == "PartyRegistered"))
    assert "用户甲" not in repr(event)
    assert repr(Personal(clear="用户甲")) == "<personal data>"


def test_a_reversal_names_a_charge_or_a_fee_and_not_both():
    """Exactly one debt is reversed."""
    for names in ({}, {"charge_id": "c", "fee_id": "f"}):
        with pytest.raises(ValidationError, match="exactly one"):
            ChargeReversed(amount_fen=1, reason="r", **names)


def test_the_amount_of_a_late_fee_may_be_wrong():
    """Observed history is checked for form, never for conduct: a wrong fee is what a finding shows."""
    fee = LateFeeAssessed(
        fee_id="f",
        charge_id="c",
        base_fen=100,
        rate_ppm=3000,
        from_="2014-09-01",
        to="2014-09-02",
        amount_fen=99,
    )
    assert fee.amount_fen == 99


def test_what_arrives_in_the_current_version_is_fingerprinted_over_its_canonical_bytes():
    """So an event of our own, exported in clear and brought back, is a repeat."""
    from domain.ledger.sealing import as_arrived

    for raw in ARRIVED:
        assert as_arrived(raw) == canonical(parse_event(raw))


@pytest.mark.parametrize(
    ("parameters", "fine"),
    [
        (
            {"days": 30, "rate": 0.003, "channels": ["sms"], "by_line": {"mobile": {"days": 15}}, "on": True},
            True,
        ),
        ({"a": {"b": {"c": {"d": {"e": 1}}}}}, True),
        ({"a": {"b": {"c": {"d": {"e": {"f": 1}}}}}}, False),
        ({"n": 2**63}, False),
        ({"n": 1e300}, False),
        ({"t": "x" * 4_001}, False),
        ({str(n): n for n in range(101)}, False),
        ([], False),
    ],
)
def test_a_rules_parameters_are_bounded_json(parameters, fine):
    """Whatever an operator's rule needs, and nothing that another reader would read otherwise."""
    raw = next(r for r in ARRIVED if r["type"] == "RuleVersionPublished")
    changed = {**raw, "data": {**raw["data"], "parameters": parameters}}
    if fine:
        event = parse_event(changed)
        assert parse_event(orjson.loads(canonical(event))) == event
    else:
        with pytest.raises(MalformedError, match=r"data\.parameters"):
            parse_event(changed)
