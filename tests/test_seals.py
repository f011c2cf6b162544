"""Seals: what they say, that they cost what has changed, and that whatever an owner of the database does is found."""

import base64
import hashlib
import itertools

import orjson
import psycopg
import pytest

from api.bench.seals import seal_costs
from api.runtime import present
from domain.evidence.headmap import head_of
from domain.evidence.merkle import log_root
from domain.evidence.records import Checkpoint, parse_checkpoint
from domain.ledger.sealing import as_arrived
from domain.ledger.seals import Sealer, SealError, Seals
from domain.ledger.signing import opened
from projections.engine import verify
from tests.conftest import HARBIN, fresh_database, import_file, opened_deployment
from tests.sealing import (
    KEY,
    NAME,
    ORIGIN,
    OTHER_KEY,
    as_owner,
    digested_anew,
    remember,
    restore,
    sealed,
    sealed_three_times,
)
from tests.support import LEDGER, bring, by_owner, charge_line, opening_line, payment_line, select

pytestmark = pytest.mark.storage


@pytest.fixture(scope="module")
def once(server):
    """Return a deployment sealed three times, and its seals, for tests that put back what they changed."""
    with fresh_database(server, "seals") as url:
        deployment = opened_deployment(url)
        try:
            seals = sealed_three_times(deployment)
            remember(deployment)
            yield deployment, *seals
        finally:
            deployment.close()


@pytest.fixture
def thrice(once):
    """Return a deployment sealed three times, and its seals; whatever is done to it is undone afterwards."""
    yield once
    restore(once[0])


def found(deployment, keys=(KEY,), kept=None, sample=None):
    """Return what a verification by some keys finds, as (where, subject, text)."""
    verdict = verify(
        deployment.ledger(LEDGER),
        [],
        present(),
        sample=sample,
        keys=lambda origin: [key.named(origin) for key in keys],
        kept=kept,
    )
    return [tuple(d) for d in verdict.differences]


def told(differences, *parts):
    """Whether one difference has all of some words in it."""
    return any(all(part in " ".join(d) for part in parts) for d in differences)


# -- what a seal says ---------------------------------------------------------------------------------------


def test_a_seal_is_a_signed_checkpoint_over_the_log_of_all_records(thrice):
    """Given three seals, then each is a C2SP checkpoint by the key, of so many records and their RFC 6962 root."""
    _, *seals = thrice
    for number, seal in enumerate(seals, 1):
        text = opened(seal.checkpoint, [KEY.named(ORIGIN)])
        root = log_root(s.record.hash for s in seals[:number])
        assert parse_checkpoint(text) == Checkpoint(ORIGIN, number, root) == seal.signed_text()
        assert text.decode().split("\n")[2] == base64.b64encode(root).decode()
    assert [s.record.previous for s in seals[1:]] == [
        hashlib.sha256(s.checkpoint).digest() for s in seals[:-1]
    ]
    assert [(s.position, s.record.streams) for s in seals] == [(6, 3), (8, 3), (10, 3)]


@pytest.mark.parametrize("most", [20_000, 0])
def test_every_seal_proves_each_streams_head_and_that_others_are_not_there(thrice, monkeypatch, most):
    """Given streams that grew and one that came, then each seal proves what stood then, the older ones too."""
    monkeypatch.setattr("domain.ledger.seals.REWOUND_MAX", most)
    deployment, *_ = thrice
    bring(deployment, opening_line("A4"))
    sealed(deployment)
    digests = {
        (s, v): bytes(d) for s, v, d in select(deployment, "SELECT subject, version, digest FROM event")
    }
    versions = {
        "account/A1": (2, 4, 5, 5),
        "account/A2": (2, 2, 3, 3),
        "account/A3": (2,) * 4,
        "account/A4": (0, 0, 0, 1),
    }
    seals = Seals(deployment.ledger(LEDGER))
    for number in range(1, 5):
        seal = seals.numbered(number)
        for subject, proof in seals.proofs(seal, [*versions, "party/nobody"]).items():
            version = versions.get(subject, (0,) * 4)[number - 1]
            expected = (version, digests[subject, version]) if version else None
            assert head_of(seal.record.heads, subject, proof) == expected


def test_nothing_new_is_not_sealed_again(thrice):
    """Given a sealed log, when it is sealed again, then the same seal stands; an empty ledger has none."""
    deployment, *_, last = thrice
    sealer = Sealer(deployment.ledger(LEDGER), KEY, NAME, present)
    assert sealer.seal() == (last, False)
    deployment.ledger_for("hebei")
    assert Sealer(deployment.ledger("hebei"), KEY, NAME, present).seal() == (None, False)


def test_sealing_reads_and_writes_only_what_changed(deployment):
    """Given many streams, when one grows and is sealed, then no more pages change than the tree is deep."""
    bring(deployment, *(opening_line(f"A{n}") for n in range(600)))
    sealed(deployment)
    before = dict(select(deployment, "SELECT path, content FROM sealed_page"))
    bring(deployment, payment_line("A7"))
    sealed(deployment)
    after = dict(select(deployment, "SELECT path, content FROM sealed_page"))
    changed = [path for path in after if after[path] != before.get(path)]
    assert 1 <= len(changed) <= 5 < len(after)
    assert select(deployment, "SELECT subject, version FROM sealed_head WHERE seal = 2") == [
        ("account/A7", 2)
    ]


def test_the_map_is_the_same_however_it_was_sealed(deployment, monkeypatch):
    """Given the same log, sealed at once, in small batches or event by event, then its heads have one root."""
    monkeypatch.setattr("domain.ledger.seals.BATCH_STREAMS", 7)
    monkeypatch.setattr("domain.ledger.seals.BATCH_EVENTS", 5)
    roots = set()
    for batch in (1, 40):
        deployment.ledger_for(LEDGER)
        tables = "event, seal, sealed_head, sealed_page, seal_timestamp, stream_link"
        as_owner(deployment, f"TRUNCATE {tables}", "UPDATE counter SET position = 0")
        lines = [opening_line(f"A{n}") for n in range(40)]
        for some in itertools.batched(lines, batch) if hasattr(itertools, "batched") else [lines]:
            bring(deployment, *some)
            last = sealed(deployment)
        roots.add(last.record.heads)
        assert found(deployment) == []
    assert len(roots) == 1


def test_a_real_history_sealed_is_found_sound(deployment):
    """Given the Harbin case with its personal data, when sealed and verified, then nothing differs."""
    import_file(deployment, HARBIN)
    seal = sealed(deployment)
    assert found(deployment) == []
    assert found(deployment, sample=3) == []
    assert found(deployment, kept={"kept.txt": seal.checkpoint}) == []


# -- what an owner of the database may do -------------------------------------------------------------------


def altered(amount=10_001):
    return (
        f"UPDATE event SET state = replace(convert_from(state, 'UTF8'), ':10000,', ':{amount},')::bytea"
        " WHERE subject = 'account/A2' AND version = 2"
    )


def test_an_event_altered_and_all_digested_anew_is_named_with_the_seal_that_held(thrice):
    """Given an owner who alters an event and recomputes every digest after it, then which and since when is told."""
    deployment, *_ = thrice
    as_owner(deployment, altered())
    digested_anew(deployment)
    for sample in (None, 200):
        differences = found(deployment, sample=sample)
        assert told(
            differences, "account/A2", "one of versions 1 to 2 is another event: no seal holds, seal 1 of"
        )
        assert told(differences, "log", "account/A2", "version 2: the fingerprint is not that of the event")


def test_an_event_altered_between_two_seals_leaves_the_first_of_them_holding(thrice):
    """Given an event of the second seal altered, then the first still holds and the second does not."""
    deployment, *_ = thrice
    as_owner(
        deployment,
        "UPDATE event SET state = replace(convert_from(state, 'UTF8'), ':200,', ':201,')::bytea"
        " WHERE subject = 'account/A1' AND version = 4",
    )
    digested_anew(deployment)
    differences = found(deployment)
    assert told(
        differences, "account/A1", "one of versions 3 to 4", "seal 1 of", "(version 2) still holds, seal 2 of"
    )
    assert not told(differences, "account/A2")


@pytest.mark.parametrize(
    ("name", "statement", "parts"),
    [
        ("in the middle", "DELETE FROM event WHERE subject = 'account/A1' AND version = 3", ("account/A1", "seal 2")),
        ("the end", "DELETE FROM event WHERE subject = 'account/A2' AND version = 3",
         ("account/A2", "version 3 is missing", "seal 1 of", "still holds, seal 3")),
        ("a whole stream", "DELETE FROM event WHERE subject = 'account/A3'",
         ("account/A3", "version 2 is missing: no seal holds, seal 1")),
        ("the log's end", "DELETE FROM event WHERE position > 8", ("ends at position 8", "seal 3", "it was cut")),
    ],
)  # fmt: skip
def test_an_event_taken_away_is_found_whatever_is_made_to_fit(thrice, name, statement, parts):
    """Given events deleted, versions, positions and digests closed up over them, then the stream is named."""
    deployment, *_ = thrice
    as_owner(deployment, statement)
    digested_anew(deployment)
    for sample in (None, 200):
        assert told(found(deployment, sample=sample), *parts), name


def test_an_event_put_in_is_found(thrice):
    """Given an event written into the past with all that belongs to it, then it is told what was not there."""
    deployment, *_ = thrice
    as_owner(
        deployment,
        "UPDATE event SET position = position + 1000000 WHERE position >= 7",
        "INSERT INTO event SELECT 7, 'account/A3', 3, type, source, 'forged', occurred_at, recorded_at, appended_at,"
        " fingerprint, digest, replace(replace(convert_from(state, 'UTF8'), 'A2-P1', 'forged'), 'account/A2',"
        " 'account/A3')::bytea FROM event WHERE subject = 'account/A2' AND version = 3",
    )
    digested_anew(deployment)
    differences = found(deployment)
    assert told(differences, "account/A3", "seal 2", "were not there: they were put in or moved")
    assert told(differences, "positions 7 to 8 are not as seal 2")


def test_events_in_another_order_are_found(thrice):
    """Given two events of two streams that changed places in the log, then their stretch is named."""
    deployment, *_ = thrice
    as_owner(
        deployment,
        "UPDATE event SET position = 1000000 WHERE position = 9",
        "UPDATE event SET position = 9 WHERE position = 10",
        "UPDATE event SET position = 10 WHERE position = 1000000",
    )
    assert found(deployment) == [
        (
            "seal",
            "",
            f"positions 9 to 10: their order, append times or fingerprints are not those {seal_name(thrice[3])} has",
        )
    ]


def seal_name(seal):
    return f"seal {seal.number} of {seal.record.sealed_at.isoformat(timespec='seconds')}"


def test_events_of_one_stream_in_another_order_are_found(thrice):
    """Given two events of one stream that changed places, digests and all, then the stream is named."""
    deployment, *_ = thrice
    as_owner(
        deployment,
        "UPDATE event SET version = 9 WHERE subject = 'account/A1' AND version = 3",
        "UPDATE event SET version = 3 WHERE subject = 'account/A1' AND version = 4",
        "UPDATE event SET version = 4 WHERE subject = 'account/A1' AND version = 9",
    )
    digested_anew(deployment)
    assert told(found(deployment), "account/A1", "one of versions 3 to 4", "seal 2")


@pytest.mark.parametrize(
    ("statement", "parts"),
    [
        ("UPDATE event SET appended_at = 'epoch' WHERE position = 7", ("positions 7 to 8", "append")),
        ("UPDATE event SET fingerprint = sha256('x') WHERE position = 7", ("account/A1", "version 3: the fingerprint")),
        ("UPDATE event SET type = 'PaymentReversed' WHERE position = 7", ("account/A1", "version 3", "type beside")),
        ("UPDATE event SET occurred_at = 'epoch' WHERE position = 7", ("account/A1", "occurred_at beside")),
    ],
)  # fmt: skip
def test_what_is_kept_beside_an_event_is_held_as_well(thrice, statement, parts):
    """Given append time, fingerprint or a column altered, then that is told."""
    deployment, *_ = thrice
    as_owner(deployment, statement)
    assert told(found(deployment), *parts)


def test_an_event_altered_before_any_seal_is_found_by_its_fingerprint(deployment):
    """Given no seal, an owner who has not the deployment's secret can't make an altered event's fingerprint."""
    bring(deployment, opening_line("A2"), charge_line("A2"))
    as_owner(deployment, altered())
    digested_anew(deployment)
    assert found(deployment) == [
        ("log", "account/A2", "version 2: the fingerprint is not that of the event: it was altered")
    ]


# -- seals themselves ---------------------------------------------------------------------------------------

RECORDED = (
    "UPDATE seal SET position = 7, record = replace(convert_from(record, 'UTF8'), E'\\n8\\n', E'\\n7\\n')::bytea"
    " WHERE number = 2"
)


@pytest.mark.parametrize(
    ("statement", "parts"),
    [
        ("DELETE FROM seal WHERE number = 2", ("seal 2 is missing",)),
        ("DELETE FROM seal WHERE number = 1", ("seal 1 is missing",)),
        ("DELETE FROM seal WHERE number = 3", ("what seal 3 changed is kept, and there are 2 seals",)),
        ("UPDATE seal SET position = 7 WHERE number = 2", ("seal 2 was altered",)),
        (RECORDED, ("seal 2 was altered",)),
        ("UPDATE seal SET peaks = sha256('x') WHERE number = 2", ("seal 2 was altered",)),
        ("UPDATE seal SET checkpoint = (SELECT checkpoint FROM seal WHERE number = 1) WHERE number = 2",
         ("seal 2 was altered",)),
        ("UPDATE sealed_head SET digest = sha256('x') WHERE seal = 2", ("heads that seal 2", "was altered")),
        ("DELETE FROM sealed_head WHERE seal = 2", ("heads that seal 2", "was altered")),
        ("UPDATE sealed_page SET content = ''", ("page (root) of the sealed map",)),
    ],
)  # fmt: skip
def test_a_seal_altered_or_taken_away_is_found(thrice, statement, parts):
    """Given a seal, or what is kept of it, altered or deleted, then it is named."""
    deployment, *_ = thrice
    as_owner(deployment, statement)
    assert told(found(deployment), *parts)


def test_a_ledger_set_back_is_found_by_a_checkpoint_kept_elsewhere(thrice):
    """Given everything set back to the second seal, then only a checkpoint that left the house shows it."""
    deployment, _, _, last = thrice
    as_owner(
        deployment,
        "DELETE FROM seal WHERE number = 3", "DELETE FROM sealed_head WHERE seal = 3",
        "DELETE FROM sealed_page", "DELETE FROM event WHERE position > 8", "UPDATE counter SET position = 8",
    )  # fmt: skip
    again = Sealer(deployment.ledger(LEDGER), KEY, NAME, present)
    assert again.seal()[1] is False
    Seals(deployment.ledger(LEDGER)).proofs(
        again.seal()[0], ["account/A1"]
    )  # the map is made anew when it is read
    assert found(deployment) == []
    kept = {"kept.txt": last.checkpoint}
    assert found(deployment, kept=kept) == [
        ("seal", "", "seal 3 was made (kept.txt), and there are 2: the ledger was set back")
    ]
    bring(deployment, opening_line("A9"))
    sealed(deployment)
    assert found(deployment, kept=kept) == [
        ("seal", "", "seal 3 is another than the one that was made (kept.txt): seals were made anew")
    ]


def test_seals_made_anew_with_another_key_are_found_by_the_one_that_is_trusted(thrice):
    """Given an owner who alters, throws all seals away and seals anew with a key of his own, then that is told."""
    deployment, *_ = thrice
    as_owner(deployment, altered(), "TRUNCATE seal, sealed_head, sealed_page, seal_timestamp")
    digested_anew(deployment)
    sealed(deployment, OTHER_KEY)
    assert told(found(deployment), "seal 1: not signed with a trusted key but by", ORIGIN)


def test_a_new_key_goes_on_and_covers_what_the_old_one_sealed(thrice):
    """Given another key, then nothing is sealed by mistake; said so, it goes on and is trusted for all before it."""
    deployment, *_ = thrice
    bring(deployment, opening_line("A4"))
    with pytest.raises(SealError, match=r"seal 3 was made with another key.*--new-key"):
        sealed(deployment, OTHER_KEY)
    sealed(deployment, OTHER_KEY, new_key=True)
    assert found(deployment, keys=(OTHER_KEY,)) == []
    assert found(deployment, keys=(KEY, OTHER_KEY)) == []
    assert told(found(deployment), "seal 4: not signed with a trusted key")


def test_a_seal_never_takes_over_what_was_altered(thrice):
    """Given sealed events altered, when the stream grows and is to be sealed, then it is refused by name."""
    deployment, *_ = thrice
    as_owner(deployment, altered())
    digested_anew(deployment)
    bring(deployment, opening_line("A5"))
    sealed(deployment)  # the altered stream did not grow: its sealed head stays as it was
    assert told(found(deployment), "account/A2", "seal 1")
    bring(deployment, payment_line("A2", "P9"))
    with pytest.raises(SealError, match="account/A2: version 3 is not the event that seal 4 has"):
        sealed(deployment)


def test_a_map_that_was_lost_is_made_anew_and_one_that_was_altered_is_not_believed(thrice):
    """Given the pages of the map lost or altered, then the next seal makes them anew from the sealed heads."""
    deployment, *_ = thrice
    as_owner(deployment, "UPDATE sealed_page SET content = content || content")
    bring(deployment, payment_line("A3"))
    sealed(deployment)
    assert found(deployment) == []
    as_owner(deployment, "DELETE FROM sealed_page", "UPDATE sealed_head SET version = 9 WHERE seal = 3")
    bring(deployment, payment_line("A2", "P9"))
    with pytest.raises(SealError, match="the heads that are kept of seal 4 are not those it has"):
        sealed(deployment)


@pytest.mark.parametrize("table", ["seal", "sealed_head", "seal_timestamp"])
@pytest.mark.parametrize("what", ["UPDATE {} SET seal = 1", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
def test_seals_are_never_changed(thrice, table, what):
    """Given seals, when even their owner changes them by mistake, then it is refused."""
    deployment, *_ = thrice
    statement = what.format(table).replace("SET seal", "SET number" if table == "seal" else "SET seal")
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="never changed"):
        by_owner(deployment, statement)


def test_two_who_seal_at_once_make_one_seal(deployment):
    """Given two sealers, when both seal, then one seal covers the log and the other finds it done."""
    from concurrent.futures import ThreadPoolExecutor

    with_customer_lines = [opening_line(f"A{n}") for n in range(50)]
    bring(deployment, *with_customer_lines)
    ledger = deployment.ledger(LEDGER)
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: Sealer(ledger, KEY, NAME, present).seal(), range(4)))
    assert sorted(new for _, new in made) == [False, False, False, True]
    assert len({seal.checkpoint for seal, _ in made}) == 1


def test_the_measure_of_seals_grows_a_ledger_and_seals_it(deployment):
    """Given two sizes, when seals are measured, then each is of so many streams, and the ledger is sound."""
    costs = seal_costs(deployment, present, sizes=(20, 200), changed=10, times=2)
    assert [(c.streams, c.changed) for c in costs] == [(20, 10), (200, 10)]
    ledger = deployment.ledger("jilin")
    assert [s.record.streams for s in Seals(ledger).page(0, 10)] == [20, 20, 20, 200, 200, 200]
    changed = select(deployment, "SELECT count(*) FROM sealed_head WHERE seal = 6", region="jilin")
    assert changed == [(10,)]


COLUMNS = {
    "position": "position + 1000",
    "subject": "'account/A7'",
    "version": "version + 7",
    "type": "'DealerBlocked'",
    "source": "'urn:other'",
    "id": "id || 'x'",
    "occurred_at": "occurred_at + interval '1 microsecond'",
    "recorded_at": "recorded_at + interval '1 microsecond'",
    "appended_at": "appended_at + interval '1 microsecond'",
    "fingerprint": "sha256(fingerprint)",
    "digest": "sha256(digest)",
    "state": "replace(convert_from(state, 'UTF8'), 'system/legacy', 'system/legacz')::bytea",
}


@pytest.mark.slow
@pytest.mark.parametrize("anew", [False, True])
@pytest.mark.parametrize("column", COLUMNS)
def test_no_column_of_any_sealed_event_can_be_another(once, column, anew):
    """Given one column of one event altered, each in turn, and digested anew or not, then it is found."""
    deployment = once[0]
    healed = {"position", "version", "digest"} if anew else set()  # numbering anew makes them what they were
    for position in range(1, 11):
        as_owner(deployment, f"UPDATE event SET {column} = {COLUMNS[column]} WHERE position = {position}")
        if anew:
            digested_anew(deployment)
        differences = found(deployment)
        assert differences or column in healed, (column, position)
        restore(deployment)


@pytest.mark.slow
def test_whatever_is_found_is_found_by_the_seals_alone(once):
    """Given no fingerprint to rely on, since the owner has the deployment's secret, then the seals find it all."""
    deployment = once[0]
    secrets = deployment.ledger(LEDGER).vault.secrets
    for position in range(1, 11):
        as_owner(deployment, f"UPDATE event SET state = {COLUMNS['state']} WHERE position = {position}")
        ((state,),) = select(deployment, f"SELECT state FROM event WHERE position = {position}")
        forged = secrets.fingerprint(as_arrived(orjson.loads(bytes(state))))
        as_owner(deployment, ("UPDATE event SET fingerprint = %s WHERE position = %s", (forged, position)))
        digested_anew(deployment)
        differences = found(deployment)
        assert differences
        assert {where for where, _, _ in differences} == {"seal"}
        ((subject,),) = select(deployment, f"SELECT subject FROM event WHERE position = {position}")
        assert told(differences, subject, "is another event", "does not"), (position, differences)
        restore(deployment)
