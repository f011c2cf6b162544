"""The event sourcing library carries the ledger: its application, its mapper, its recorder, its errors."""

from dataclasses import replace
from itertools import count

import orjson
import pytest
from eventsourcing.persistence import IntegrityError, MapperDeserialisationError
from eventsourcing.popo import POPOApplicationRecorder

from domain.commands import account as cmd
from domain.commands import case as case_cmd
from domain.commands import party as party_cmd
from domain.events import Recorded, envelope, fields
from domain.events.account import PaymentReceived
from domain.events.envelope import parse_event
from domain.ledger import codec
from domain.ledger.application import Ledger
from domain.ledger.codec import CanonicalTranscoder, LedgerMapper, canonical, upcast
from domain.ledger.interchange import export_plain
from domain.refusals import Code, Refused
from domain.replay import in_order
from domain.streams import state_of
from tests import support
from tests.conftest import opened_deployment
from tests.golden_format import fixed_vault
from tests.scenario import REGION, moment
from tests.support import LEDGER, asked, bring, opening_line, payment_line

storage = pytest.mark.storage

STORY = [
    ("party/P1", "2013-07-01", support.register()),
    ("account/A1", "2013-07-02", support.open_account()),
    ("party/P1", "2013-07-03", party_cmd.VerifyIdentity(registration_id="R1", method="in_person", result="passed")),
    ("account/A1", "2013-07-04", cmd.ActivateNumber(number="13900000001", number_id="N1", registration_id="R1")),
    (
        "account/A1",
        "2013-07-15",
        cmd.PresentExpiryOptions(package_id="PK1", options=("suspend", "convert_to_monthly", "renew_annual")),
    ),
    (
        "account/A1",
        "2013-07-15",
        cmd.SelectExpiryOption(package_id="PK1", option="suspend", selected_by="customer", consent_ref="SIGNED-1"),
    ),
    (
        "account/A1",
        "2013-07-16",
        cmd.SubscribePackage(
            package_id="PK1", offer_id="O1", cycle="annual", price_fen=108_000, start="2013-07-16", end="2014-07-16"
        ),
    ),
    (
        "account/A1",
        "2013-07-16",
        cmd.PostCharge(
            charge_id="CH1", kind="package", amount_fen=108_000, period_start="2013-07-16", period_end="2014-07-16"
        ),
    ),
    ("account/A1", "2013-08-01", support.pay(amount_fen=100_000, value_date="2013-08-01")),
    (
        "case/K1",
        "2013-08-02",
        case_cmd.ReceiveComplaint(
            party_id="P1", account_ids=("A1",), category="billing", summary="Secret", answer_due_on="2013-08-17"
        ),
    ),
]  # fmt: skip
SUBJECTS = sorted({subject for subject, _, _ in STORY})


def tell(ledger):
    """Execute the story's commands, with ids and times that are always the same."""
    for (subject, at, command), number in zip(STORY, count(1), strict=False):
        ledger.execute(asked(command, subject, at), f"c{number}", moment(at))
    return ledger


@pytest.fixture
def stock():
    """Return a ledger on the library's own configuration in memory."""
    return Ledger(LEDGER, fixed_vault()[0])


@pytest.fixture
def postgres(deployment):
    """Return a ledger on PostgreSQL, with a vault of known randomness."""
    return Ledger(LEDGER, fixed_vault()[0], deployment.database, deployment.ledger_for(REGION).schema)


# -- one application, two recorders -------------------------------------------------------------------------


@storage
def test_the_stock_configuration_and_postgresql_tell_one_story(stock, postgres, deployment):
    """Given one story told to both, then stored bytes, versions and states are the same, and digests only here."""
    assert isinstance(stock.recorder, POPOApplicationRecorder)
    tell(stock)
    tell(postgres)
    for subject in SUBJECTS:
        ours, theirs = postgres.history(subject), stock.history(subject)
        assert [(r.version, canonical(r.event)) for r in ours] == [
            (r.version, canonical(r.event)) for r in theirs
        ]
        assert state_of(subject, in_order(ours)) == state_of(subject, in_order(theirs))
    assert stock.recorder.max_notification_id() == postgres.recorder.max_notification_id() == len(STORY)
    assert len(support.assert_sound(deployment)) == len(STORY)


@storage
@pytest.mark.parametrize("where", ["stock", "postgres"])
def test_both_refuse_alike(where, request):
    """Given the story, when a number is activated without a verification, then it is refused and not stored."""
    ledger = tell(request.getfixturevalue(where))
    activation = cmd.ActivateNumber(number="13900000002", number_id="N2", registration_id="R2")
    with pytest.raises(Refused) as refused:
        ledger.execute(asked(activation, at="2013-08-03"), "c99", moment("2013-08-03"))
    assert refused.value.code is Code.REGISTRATION_NOT_VERIFIED
    assert ledger.recorder.max_notification_id() == len(STORY)


@storage
@pytest.mark.parametrize("where", ["stock", "postgres"])
def test_a_version_that_stands_already_is_a_conflict_in_both(where, request):
    """Given a stream at version 2, when version 2 is saved again, then IntegrityError and nothing else changes."""
    ledger = tell(request.getfixturevalue(where))
    event = parse_event(orjson.loads(payment_line("A1", "LATE")))
    with pytest.raises(IntegrityError):
        ledger.save(Recorded(event, 2, fingerprint=bytes(32)))
    assert ledger.recorder.max_notification_id() == len(STORY)


@storage
def test_what_was_executed_the_librarys_way_can_be_read_by_everyone(deployment, database_url):
    """Given personal data executed on PostgreSQL, when another process exports it, then it opens."""
    tell(deployment.ledger_for(REGION))
    other = opened_deployment(database_url)
    exported = b"".join(export_plain(other.ledger(LEDGER), []))
    other.close()
    assert support.CLEAR["name"].encode() in exported
    assert b"13900000001" in exported


@storage
def test_the_librarys_notification_log_shows_the_ledger(postgres):
    """Given the story on PostgreSQL, when the library's notification log is read, then it has every event."""
    tell(postgres)
    section = postgres.notification_log["1,20"]
    assert [n.id for n in section.items] == list(range(1, len(STORY) + 1))
    assert section.items[0].topic == "PartyRegistered"


# -- the mapper ---------------------------------------------------------------------------------------------


def recorded(line, version=1):
    """Return a line's event as recorded."""
    return Recorded(parse_event(orjson.loads(line)), version, fingerprint=bytes(32))


@pytest.fixture
def mapper():
    """Return the ledger's mapper."""
    return LedgerMapper(CanonicalTranscoder())


def test_an_event_comes_back_from_its_stored_form_as_it_was(mapper):
    """Given an event, when it is stored and read, then it is equal, and its bytes are canonical."""
    before = recorded(payment_line("A1"), 7)
    stored = mapper.to_stored_event(before)
    assert mapper.to_domain_event(stored) == before
    assert (stored.originator_id, stored.originator_version, stored.topic) == (
        "account/A1",
        7,
        "PaymentReceived",
    )
    assert stored.state == orjson.dumps(orjson.loads(payment_line("A1")), option=orjson.OPT_SORT_KEYS)


@pytest.mark.parametrize("value", [{"b": [1, None, "ä"], "a": {"d": 1, "c": True}}, [], "text", 12])
def test_the_transcoder_gives_back_what_it_was_given(value):
    """Given any JSON value, when it is encoded and decoded, then it is the same, its keys in order."""
    transcoder = CanonicalTranscoder()
    encoded = transcoder.encode(value)
    assert transcoder.decode(encoded) == value
    assert encoded == transcoder.encode(orjson.loads(encoded))
    assert not isinstance(value, dict) or encoded.startswith(b'{"a":{"c"')


def test_the_mapper_refuses_personal_data_in_clear(mapper):
    """Given an event that was not sealed, when it should be stored, then ValueError names its field."""
    data = {"kind": "individual", "id_type": "resident_id", **support.CLEAR}
    with pytest.raises(
        ValueError, match=r"PartyRegistered\.id_hash is personal data and must be sealed"
    ) as caught:
        mapper.to_stored_event(recorded(support.event_line("e1", "PartyRegistered", "party/P1", data)))
    assert not any(value in str(caught.value) for value in support.CLEAR.values())


@pytest.mark.parametrize("variable", ["COMPRESSOR_TOPIC", "CIPHER_TOPIC"])
def test_stored_bytes_are_neither_compressed_nor_encrypted(variable):
    """Given the library's settings for that, when a ledger is made, then it refuses: digests are over the bytes."""
    with pytest.raises(ValueError, match="neither compressed nor encrypted"):
        Ledger(
            LEDGER, fixed_vault()[0], env={variable: "builtins:dict"}
        )  # any class will do: it is never used


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"dataversion": 2}, "dataversion: should be 1, or an older version"),
        ({"dataversion": 0}, "dataversion: should be 1, or an older version"),
        ({"type": "PaymentImagined"}, "type: is not an event type"),
        ({"data": {}}, r"data\.\w+: is missing"),
    ],
)
def test_a_stored_event_that_cant_be_read_is_named(mapper, change, reason):
    """Given stored bytes of a newer program or damaged ones, when read, then the error names stream and version."""
    stored = mapper.to_stored_event(recorded(payment_line("A1"), 7))
    damaged = replace(stored, state=orjson.dumps({**orjson.loads(stored.state), **change}))
    with pytest.raises(
        MapperDeserialisationError, match=rf"^account/A1 version 7 \(PaymentReceived\) .*{reason}"
    ):
        mapper.to_domain_event(damaged)
    with pytest.raises(MapperDeserialisationError, match=r"^account/A1 version 7 \(PaymentReceived\)"):
        mapper.to_domain_event(replace(stored, state=stored.state[:-1]))


# -- upcasting, a worked example ----------------------------------------------------------------------------


@pytest.fixture
def version_2(monkeypatch):
    """Let PaymentReceived be at data version 2, in which `method` is called `paid_by`."""
    monkeypatch.delitem(fields.REGISTRY, "PaymentReceived")
    monkeypatch.setattr(envelope, "_ADAPTERS", {})

    @fields.event("account")
    class PaymentReceived(fields.Payload):
        """A payment came in."""

        payment_id: fields.Identifier
        amount_fen: fields.AmountFen
        value_date: fields.Day
        paid_by: fields.Text
        external_ref: fields.Reference | None = None

    PaymentReceived.VERSION = 2

    def renamed(data):
        return {"paid_by" if name == "method" else name: value for name, value in data.items()}

    monkeypatch.setitem(codec.UPCASTS, ("PaymentReceived", 1), renamed)
    return PaymentReceived


@storage
def test_an_event_stored_by_an_older_program_reads_as_the_present_one(deployment, request):
    """Given a payment stored at data version 1, when version 2 renames a field, then it reads by the new name."""
    bring(deployment, opening_line("A1"), payment_line("A1", "P1"))
    ledger = deployment.ledger(LEDGER)
    assert ledger.history("account/A1")[1].event.data.method == "bank"
    before = support.assert_sound(deployment)
    now = request.getfixturevalue("version_2")
    payment = ledger.history("account/A1")[1].event
    assert type(payment.data) is now
    assert payment.data.paid_by == "bank"
    assert support.assert_sound(deployment) == before
    assert b'"dataversion":1' in before[1].state
    line = orjson.loads(payment_line("A1", "P2"))
    line["data"]["paid_by"] = line["data"].pop("method")
    bring(deployment, orjson.dumps({**line, "dataversion": 2}), payment_line("A1", "P3"))
    new, old = ledger.history("account/A1")[2:]
    assert (new.event.data.paid_by, old.event.data.paid_by) == ("bank", "bank")


@storage
def test_a_history_imported_before_an_upcast_is_still_a_repeat_after_it(deployment, request):
    """Given a payment imported at data version 1, when its line comes again after version 2, then it is a repeat."""
    lines = opening_line("A1"), payment_line("A1", "P1")
    bring(deployment, *lines)
    request.getfixturevalue("version_2")
    tally = bring(deployment, *lines)
    assert (tally.repeated, tally.appended) == (2, 0)


def test_an_old_version_without_a_way_up_is_refused(version_2, monkeypatch, mapper):
    """Given version 2 without its upcast, when version 1 is read, then it can't be, and says so."""
    monkeypatch.delitem(codec.UPCASTS, ("PaymentReceived", 1))
    with pytest.raises(
        fields.MalformedError, match="dataversion: 1 of PaymentReceived can't be read any more"
    ):
        upcast(orjson.loads(payment_line("A1")))


def test_the_vocabulary_is_whole_again_after_the_example():
    """Given the worked example, when it is over, then PaymentReceived is what it was."""
    assert fields.REGISTRY["PaymentReceived"] is PaymentReceived
    assert type(parse_event(orjson.loads(payment_line("A1"))).data) is PaymentReceived
