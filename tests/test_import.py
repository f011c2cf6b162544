"""Import and export: every line accounted for, a repeat changes nothing, what goes out comes back the same."""

import io
from datetime import timedelta

import orjson
import pytest

from api.runtime import present
from domain.ledger.interchange import (
    LINE_MAX_BYTES,
    Importer,
    export_plain,
    export_sealed,
    lines_of,
)
from domain.ledger.recorder import heads
from tests.conftest import CASES, HARBIN, MASTER, fresh_database, import_file, opened_deployment

pytestmark = pytest.mark.storage

HARBIN_LINES = HARBIN.read_bytes().splitlines()
FUTURE = "2199-01-01T00:00:00Z"


def line(number=0, **changes):
    """Return a line of the Harbin case, changed. `data` changes are merged, `None` removes."""
    raw = orjson.loads(HARBIN_LINES[number])
    data = changes.pop("data", {})
    raw.update(changes)
    if isinstance(data, dict):
        raw["data"] = {k: v for k, v in {**raw["data"], **data}.items() if v is not None}
    else:
        raw["data"] = data
    return orjson.dumps({k: v for k, v in raw.items() if v is not None})


def brought(deployment, *lines):
    """Import lines; return the tally and (line, field, reason) of what was refused."""
    refusals = []
    tally = Importer(deployment, refusals.append, present).run(io.BytesIO(b"\n".join(lines)))
    assert tally.lines == len(lines)
    return tally, [(r.line, r.field, r.reason) for r in refusals]


def digests(deployment, region="heilongjiang"):
    """Return the head of every stream of a ledger."""
    ledger = deployment.ledger(region)
    with deployment.database.connection(ledger.schema) as connection:
        subjects = [s for (s,) in connection.execute("SELECT DISTINCT subject FROM event")]
        return heads(connection, subjects)


@pytest.mark.parametrize("case", sorted(p.name for p in CASES.iterdir() if p.name != "harbin"))
def test_a_history_lands_whole_and_a_second_time_changes_nothing(deployment, case):
    """Given a dispute's history, when it is imported twice, then each line is appended once and repeated once."""
    path = CASES / case / "history.jsonl"
    count = len(path.read_bytes().splitlines())
    first, _ = import_file(deployment, path)
    second, _ = import_file(deployment, path)
    assert (first.appended, first.refused) == (count, 0)
    assert (second.appended, second.repeated, second.refused) == (0, count, 0)


def test_each_event_goes_to_the_ledger_of_its_province(deployment):
    """One file may hold several regions."""
    tally, refused = brought(
        deployment, line(0), line(0, id="x", subject="party/X", region="guangdong.shenzhen")
    )
    assert dict(tally.ledgers) == {"heilongjiang": 1, "guangdong": 1}
    assert not refused


def test_the_same_id_with_other_content_is_refused(deployment):
    """A source that uses an id twice is told so, and what stands stays."""
    brought(deployment, line(0))
    tally, refused = brought(deployment, line(0, data={"address": "elsewhere"}), line(1))
    assert (tally.appended, tally.refused) == (1, 1)
    assert refused == [(1, "id", "stands in the ledger already with other content")]


def test_the_same_id_with_other_content_is_refused_within_one_batch_too(deployment):
    """The ledger need not have seen the first of the two committed."""
    tally, refused = brought(deployment, line(0), line(0), line(0, actor="staff/S-02"))
    assert (tally.appended, tally.repeated, tally.refused) == (1, 1, 1)
    assert refused[0][0] == 3


def test_a_time_written_otherwise_is_the_same_content(deployment):
    """The order of keys, a null and a superfluous content type change nothing."""
    raw = orjson.loads(HARBIN_LINES[0])
    brought(deployment, HARBIN_LINES[0])
    again = {k: raw[k] for k in sorted(raw, reverse=True)} | {"actororg": None}
    again.pop("datacontenttype")
    tally, _ = brought(deployment, orjson.dumps(again, option=orjson.OPT_INDENT_2).replace(b"\n", b" "))
    assert tally.repeated == 1


@pytest.mark.parametrize(
    ("bad", "field", "reason"),
    [
        (b"", "(line)", "is empty"),
        (b"{", "(line)", "is not JSON"),
        (b"[1]", "(line)", "should be a JSON object"),
        (b'"\xff\xfe"', "(line)", "is not UTF-8"),
        (b'{"id": "\\ud800"}', "(line)", "is not JSON"),
        (line(3, type="Unheard"), "type", "not an event type"),
        (line(3, data={"package_id": None}), "data.package_id", "is missing"),
        (line(5, data={"amount_fen": "96000"}), "data.amount_fen", "integer"),
        (line(5, data={"amount_fen": -1}), "data.amount_fen", "greater than or equal to 0"),
        (line(5, data={"kind": "gift"}), "data.kind", "should be 'package'"),
        (line(5, data={"colour": "red"}), "data.colour", "not a field"),
        (line(5, data=[]), "data", "should be an object"),
        (line(5, time="2009-10-20T09:31:00+08:00"), "time", "not be later than recordedtime"),
        (line(5, time=None), "time", "is missing"),
        (line(5, subject="account/NEVER"), "subject", "never opened"),
        (line(2, id="again"), "type", "a second time"),
        (line(0, id="again"), "type", "a second time"),
        (line(5, region="Harbin"), "region", "should be province and city"),
        (line(1, data={"value": {"alg": "A256GCM", "key": "k", "sealed": "c2U="}}, id="s"), "data", "without the seal"),
        (line(5, id="f", time=FUTURE, recordedtime=FUTURE), "recordedtime", "future"),
        (line(5, id="g", time="9999-12-31T23:59:59+08:00"), "time", "from 1900 to 2199"),
        (line(5, id="h", recordedtime="0001-01-01T00:00:00+08:00"), "recordedtime", "from 1900 to 2199"),
        (line(5, id="a#b"), "id", "source#id"),
        (line(5, region="a.b.c"), "region", "province and city"),
        (b'{"x": "' + b"y" * LINE_MAX_BYTES + b'"}', "(line)", "at most"),
    ],
)  # fmt: skip
def test_a_bad_line_is_refused_by_number_field_and_reason_and_the_rest_lands(deployment, bad, field, reason):
    """Given a file with one bad line in the middle, when it is imported, then only that line is refused."""
    tally, refused = brought(deployment, *HARBIN_LINES[:5], bad, *HARBIN_LINES[5:8])
    assert (tally.appended, tally.refused) == (8, 1)
    assert refused[0][:2] == (6, field)
    assert reason in refused[0][2]


def test_an_event_may_be_recorded_a_little_before_it_happened(deployment):
    """Clocks differ: five minutes are allowed, not more."""
    brought(deployment, *HARBIN_LINES[:3])
    early = line(
        5,
        subject="account/A-NETCOM",
        time="2009-10-20T09:30:00+08:00",
        recordedtime="2009-10-20T09:25:00+08:00",
    )
    assert brought(deployment, early)[0].appended == 1


def test_a_case_may_be_opened_by_a_complaint_and_then_be_investigated(deployment):
    """Each opens once: a second complaint on the same case is a second opening."""
    complaint = next(i for i, text in enumerate(HARBIN_LINES) if b"ComplaintReceived" in text)
    investigation = line(
        complaint, id="inv", type="InvestigationOpened", data={
            "party_id": "P-HRB", "category": None, "summary": None, "answer_due_on": None, "reason": "press",
        },
    )  # fmt: skip
    tally, refused = brought(deployment, HARBIN_LINES[complaint], investigation, line(complaint, id="two"))
    assert tally.appended == 2
    assert [r[0] for r in refused] == [3]


def test_what_was_stopped_goes_on_when_it_is_run_again(deployment):
    """Given a file of which a part landed, when it is run again, then the rest lands and nothing twice."""
    brought(deployment, *HARBIN_LINES[:37])
    tally, _ = import_file(deployment, HARBIN)
    assert (tally.repeated, tally.appended) == (37, 65)


def test_a_file_is_read_line_by_line_however_long_a_line_is():
    """Memory does not grow with a file that has no line ends."""
    source = io.BytesIO(b"a\r\n" + b"x" * (3 * LINE_MAX_BYTES) + b"\nb\n\nc")
    assert list(lines_of(source)) == [(1, b"a"), (2, None), (3, b"b"), (4, b""), (5, b"c")]


def test_a_byte_order_mark_is_no_fault(deployment):
    """Spreadsheets write one."""
    assert brought(deployment, b"\xef\xbb\xbf" + HARBIN_LINES[0])[0].appended == 1


def test_a_sealed_export_gives_the_same_digests_in_an_empty_ledger(deployment, server, tmp_path):
    """Given a ledger, when its sealed export is imported elsewhere, then every stream's head is the same."""
    import_file(deployment, HARBIN)
    exported = b"".join(export_sealed(deployment, deployment.ledger("heilongjiang"), []))
    assert "用户甲".encode() not in exported
    with another_deployment(server) as other:
        tally = Importer(other, pytest.fail, present).run(io.BytesIO(exported))
        assert (tally.appended, tally.refused) == (102, 0)
        assert digests(other) == digests(deployment)
        again = b"".join(export_sealed(other, other.ledger("heilongjiang"), []))
        assert again.split(b"\n", 1)[1] == exported.split(b"\n", 1)[1]
        original, _ = import_file(other, HARBIN)
        assert (original.repeated, original.refused) == (102, 0)


def test_some_streams_may_be_exported_alone_with_the_keys_they_need(deployment, server):
    """A dispute's streams are enough: their keys come with them."""
    import_file(deployment, HARBIN)
    ledger = deployment.ledger("heilongjiang")
    exported = b"".join(export_sealed(deployment, ledger, ["account/A-M1", "party/P-HRB"]))
    with another_deployment(server) as other:
        tally = Importer(other, pytest.fail, present).run(io.BytesIO(exported))
        assert tally.keys == 2  # the deployment's and the party's
        opened = b"".join(export_plain(other.ledger("heilongjiang"), ["account/A-M1"]))
        assert b"18600000001" in opened


@pytest.mark.parametrize("damage", ["state", "order", "drop"])
def test_a_sealed_export_that_was_changed_is_refused_where_it_was_changed(deployment, server, damage):
    """Given a sealed export altered, reordered or shortened, when it is imported, then the digests tell."""
    import_file(deployment, HARBIN)
    lines = list(export_sealed(deployment, deployment.ledger("heilongjiang"), ["account/A-NETCOM"]))
    at = next(i for i, text in enumerate(lines) if b"ChargePosted" in text)
    if damage == "state":
        lines[at] = lines[at].replace(b'"amount_fen":96000', b'"amount_fen":95000')
    elif damage == "order":
        lines[at], lines[at + 1] = lines[at + 1], lines[at]
    else:
        del lines[at]
    refusals = []
    with another_deployment(server) as other:
        Importer(other, refusals.append, present).run(io.BytesIO(b"".join(lines)))
    assert refusals[0].line == at + 1
    assert refusals[0].field in ("digest", "streamversion")


def test_a_plain_export_has_personal_data_in_clear_and_comes_back_as_repeats(deployment):
    """For those who may: the same content again."""
    import_file(deployment, HARBIN)
    exported = b"".join(export_plain(deployment.ledger("heilongjiang"), []))
    assert "用户甲".encode() in exported
    tally = Importer(deployment, pytest.fail, present).run(io.BytesIO(exported))
    assert (tally.repeated, tally.appended) == (102, 0)


def test_a_sealed_export_of_another_deployment_is_not_mixed_into_a_ledger(deployment, server):
    """Its fingerprints and identity hashes mean nothing here: a plain export does."""
    import_file(deployment, CASES / "dispute-hold" / "history.jsonl")
    with another_deployment(server) as other:
        import_file(other, HARBIN)
        exported = b"".join(export_sealed(other, other.ledger("heilongjiang"), ["party/P-HRB"]))
    refusals = []
    tally = Importer(deployment, refusals.append, present).run(io.BytesIO(exported))
    assert tally.appended == 0
    assert "another deployment" in refusals[0].reason


def test_two_importers_of_one_file_at_once_append_each_event_once(deployment, database_url):
    """Given two processes importing the same file, when both run, then each line is appended by one of them."""
    from concurrent.futures import ThreadPoolExecutor

    other = opened_deployment(database_url)
    with ThreadPoolExecutor(2) as pool:
        tallies = list(pool.map(lambda d: import_file(d, HARBIN)[0], (deployment, other)))
    other.close()
    assert sum(t.appended for t in tallies) == 102
    assert all(t.lines == 102 and not t.refused for t in tallies)


def test_personal_data_after_a_transfer_is_sealed_with_the_new_partys_key(deployment):
    """The party of that time: before the transfer the old one's key, after it the new one's."""

    def moved(number, day):
        return line(
            5, id=f"m{number}", type="ServiceMoved", time=f"{day}T10:00:00+08:00",
            recordedtime=f"{day}T10:00:00+08:00", data={
                "address": "某区", **dict.fromkeys(orjson.loads(HARBIN_LINES[5])["data"]),
            },
        )  # fmt: skip

    transfer = line(
        5, id="t", type="AccountTransferred", time="2010-01-01T00:00:00+08:00",
        recordedtime="2010-01-01T00:00:00+08:00", data={
            "from_party_id": "P-HRB", "to_party_id": "P-NEW", "debt_stays_with": "from",
            **dict.fromkeys(orjson.loads(HARBIN_LINES[5])["data"]),
        },
    )  # fmt: skip
    _, refused = brought(
        deployment,
        *HARBIN_LINES[:3],
        moved(1, "2009-12-01"),
        transfer,
        moved(2, "2010-02-01"),
        moved(3, "2009-12-02"),
    )
    assert not refused
    ledger = deployment.ledger("heilongjiang")
    with deployment.database.connection(ledger.schema) as connection:
        owners = dict(connection.execute("SELECT key_id, owner FROM party_key").fetchall())
    used = {
        r.event.id: owners[r.event.data.address.key_id]
        for r in ledger.history("account/A-NETCOM")
        if r.event.type == "ServiceMoved"
    }
    assert used == {"m1": "party/P-HRB", "m2": "party/P-NEW", "m3": "party/P-HRB"}


def another_deployment(server, master=MASTER):
    """Return a context: a deployment on a second fresh database, with the same master key or another."""
    from contextlib import contextmanager

    @contextmanager
    def opened():
        with fresh_database(server, "other") as url:
            other = opened_deployment(url, master)
            try:
                yield other
            finally:
                other.close()

    return opened()


def test_a_clock_that_is_a_little_behind_still_takes_what_was_just_recorded(deployment):
    """The skew that is allowed between an event's times is allowed against the ledger's clock too."""
    import_file(deployment, CASES / "dispute-hold" / "history.jsonl", present() - timedelta(minutes=1))


# -- what a hostile hand may try ----------------------------------------------------------------------------


def resealed(lines):
    """Make the unkeyed digests of a sealed export fit its (changed) events: anybody can do that."""
    from domain.ledger.codec import chain, genesis

    heads_of = {}
    found = []
    for given in lines:
        text, raw = given, orjson.loads(given)
        if "digest" in raw:
            body = {k: v for k, v in raw.items() if k not in ("streamversion", "digest", "fingerprint")}
            state = orjson.dumps(body, option=orjson.OPT_SORT_KEYS)
            digest = chain(heads_of.get(raw["subject"], genesis(raw["subject"])), state)
            heads_of[raw["subject"]] = digest
            text = orjson.dumps({**raw, "digest": digest.hex()}, option=orjson.OPT_SORT_KEYS) + b"\n"
        found.append(text)
    return found


def test_a_sealed_export_with_a_changed_amount_is_refused_though_its_digests_fit(deployment, server):
    """The digests anybody can make anew; the fingerprint takes the deployment's secret."""
    import_file(deployment, HARBIN)
    lines = list(export_sealed(deployment, deployment.ledger("heilongjiang"), ["account/A-NETCOM"]))
    at = next(i for i, text in enumerate(lines) if b"ChargePosted" in text)
    lines[at] = lines[at].replace(b'"amount_fen":96000', b'"amount_fen":95000')
    refusals = []
    with another_deployment(server) as other:
        Importer(other, refusals.append, present).run(io.BytesIO(b"".join(resealed(lines))))
    assert (refusals[0].line, refusals[0].field) == (at + 1, "fingerprint")


def test_a_sealed_export_needs_the_master_key_it_was_made_with(deployment, server):
    """With another one nothing lands, and the ledger is as good as before."""
    import_file(deployment, HARBIN)
    exported = b"".join(export_sealed(deployment, deployment.ledger("heilongjiang"), []))
    with another_deployment(server, master=bytes(range(1, 33))) as other:
        refusals = []
        tally = Importer(other, refusals.append, present).run(io.BytesIO(exported))
        assert (tally.appended, tally.refused) == (0, tally.lines)
        assert import_file(other, HARBIN)[0].appended == 102


def test_key_lines_are_taken_only_with_their_proof(deployment, server):
    """Nobody can give a party another key, or have its key counted as destroyed, by a line in a file."""
    import_file(deployment, HARBIN)
    lines = list(export_sealed(deployment, deployment.ledger("heilongjiang"), []))
    key = orjson.loads(lines[1])
    swapped = orjson.dumps({**key, "subject": "party/SOMEBODY"})
    destroyed = orjson.dumps({**key, "id": "k2", "data": {"wrapped": None, "proof": key["data"]["proof"]}})
    with another_deployment(server) as other:
        _, refused = brought(other, lines[0].strip(), swapped, destroyed)
        assert [r[:2] for r in refused] == [(2, "data.proof"), (3, "data.proof")]
        _, refused = brought(other, lines[1].strip())
        assert refused[0][1] == "data.proof"


def test_a_refused_transfer_does_not_decide_with_whose_key_data_is_sealed(deployment):
    """Whatever stands beside it in a batch, only what lands counts."""
    opened = orjson.loads(HARBIN_LINES[2])["data"]
    transfer = line(
        2, id="t", type="AccountTransferred", time="2009-10-21T00:00:00+08:00",
        recordedtime="2190-01-01T00:00:00+08:00", data={
            **dict.fromkeys(opened), "from_party_id": "P-HRB", "to_party_id": "P-EVIL", "debt_stays_with": "to",
        },
    )  # fmt: skip
    moved = line(
        2, id="m", type="ServiceMoved", time="2009-10-22T00:00:00+08:00",
        recordedtime="2009-10-22T00:00:00+08:00", data={**dict.fromkeys(opened), "address": "某区"},
    )  # fmt: skip
    tally, _ = brought(deployment, *HARBIN_LINES[:3], transfer, moved)
    assert (tally.appended, tally.refused) == (4, 1)
    with deployment.database.connection("ledger_heilongjiang") as connection:
        owners = [o for (o,) in connection.execute("SELECT owner FROM party_key")]
    assert owners == ["party/P-HRB"]


def test_refused_lines_make_no_ledger(deployment):
    """A typing error in a region does not fill the database with schemas."""
    brought(deployment, *(line(5, id=f"x{n}", region=f"typo{n}.city") for n in range(5)))
    assert [known.region for known in deployment.ledgers] == []


def test_the_longest_identifiers_land(deployment):
    """What the form allows the database can hold, in any script."""
    name = "𠀀" * 128
    opened = line(2, id="𠀁" * 128, source="𠀂" * 512, subject=f"account/{name}", data={"party_id": name})
    tally, refused = brought(deployment, opened)
    assert not refused
    assert tally.appended == 1


def test_a_party_registered_while_an_export_is_written_does_not_break_it(deployment, server):
    """What is exported is as of one position, with every key it needs."""
    import_file(deployment, HARBIN)
    exporting = export_sealed(deployment, deployment.ledger("heilongjiang"), [])
    written = [next(exporting), next(exporting)]
    brought(deployment, line(0, id="late", subject="party/LATE"))
    written += list(exporting)
    with another_deployment(server) as other:
        tally = Importer(other, pytest.fail, present).run(io.BytesIO(b"".join(written)))
        assert tally.appended == 102


def test_a_fingerprint_is_of_the_event_as_it_arrived_whatever_its_version(monkeypatch):
    """A file imported before its types got a new version is still a repeat after it."""
    from domain.ledger import codec
    from domain.ledger.interchange import read_arrival, read_object

    before = read_arrival(1, HARBIN_LINES[6], read_object(HARBIN_LINES[6])).body
    kind = type(read_arrival(1, HARBIN_LINES[6], read_object(HARBIN_LINES[6])).event.data)
    monkeypatch.setattr(kind, "VERSION", 2)
    monkeypatch.setitem(codec.UPCASTS, (kind.__name__, 1), lambda data: data)
    assert read_arrival(1, HARBIN_LINES[6], read_object(HARBIN_LINES[6])).body == before
