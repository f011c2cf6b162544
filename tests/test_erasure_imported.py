"""An erasure that comes with a history: true here at once, for what stands, what comes after, and every copy."""

import io
from concurrent.futures import ThreadPoolExecutor

import orjson
import pytest

from api import rejects
from api.cli import main
from api.runtime import READ_MODELS, opened, present
from api.settings import Settings
from domain.ledger.application import PostgresKeys
from domain.ledger.database import WRITER
from domain.ledger.erasing import erase
from domain.ledger.interchange import Importer, Refusal, export_plain, export_sealed
from domain.ledger.writer import Writer
from projections.engine import catch_up
from projections.engine.verifying import verify
from tests import support
from tests.conftest import fresh_database, opened_deployment
from tests.simulation import halfway
from tests.simulation.killing import killed_at
from tests.support import LEDGER, bring, event_line, opening_line, select
from tests.test_erasure import WHO, history, in_files, in_tables, line, programs, run, wrapped_keys
from tests.test_import_parallel import brought, parallel, stands

pytestmark = pytest.mark.storage

__all__ = ["parallel"]  # the fixture

NAMED = {"kind": "individual", "id_type": "resident_id"}
PAPERS = {name: WHO[name] for name in ("id_hash", "name", "id_number", "address")}
GONE_AT = "2012-01-01T10:00:00+08:00"
ERASED = line("gone", "PersonalDataErased", "party/GONE", {"legal_basis": "PIPL art. 47"}, GONE_AT)


def later_lines():
    """Return what may still come of the person: in its own stream, its account's, and a case about it."""
    complaint = {"party_id": "GONE", "account_ids": ["A-GONE"], "category": "billing", "summary": WHO["summary"],
                 "answer_due_on": "2012-03-01"}  # fmt: skip
    contact = {"contact_point_id": "CP9", "kind": "email", "value": WHO["contact"]}
    return [
        line("l1", "PartyDetailsChanged", "party/GONE", {"address": WHO["address"]}, "2011-01-01T10:00:00+08:00"),
        line("l2", "ServiceMoved", "account/A-GONE", {"address": WHO["address"]}, "2012-02-01T10:00:00+08:00"),
        line("l3", "ComplaintReceived", "case/K-LATE", complaint, "2012-02-02T10:00:00+08:00"),
        line("l4", "ContactPointAdded", "party/GONE", contact, "2012-02-03T10:00:00+08:00"),
    ]  # fmt: skip


def refused(deployment, *lines, **more):
    """Import lines, of which only some may land; return the tally and what was refused."""
    refusals = []
    tally = Importer(deployment, refusals.append, present, **more).run(io.BytesIO(b"\n".join(lines)))
    return tally, refusals


def in_clear(deployment):
    """Return a ledger's plain export."""
    return b"".join(export_plain(deployment.ledger(LEDGER), []))


def assert_nothing_in_clear(deployment):
    """Assert that nothing of the person opens, that no key of theirs stands, and all else is sound."""
    assert not any(value.encode() in in_clear(deployment) for value in WHO.values())
    assert set(wrapped(deployment)) == {None}
    support.assert_sound(deployment)


def wrapped(deployment, owner="party/GONE"):
    """Return a party's keys as they stand: None where one was destroyed."""
    return [w for (w,) in select(deployment, "SELECT wrapped FROM party_key WHERE owner = %s", owner)]


# -- what stands, and what comes after ----------------------------------------------------------------------


def test_an_imported_erasure_destroys_the_key_of_what_stands(deployment):
    """Given a person's history, when their erasure is imported, then their data opens no more; others' does."""
    bring(deployment, *history())
    before = support.assert_sound(deployment)
    assert WHO["name"].encode() in in_clear(deployment)
    tally = bring(deployment, ERASED)
    assert (tally.appended, tally.erased) == (1, 1)
    assert_nothing_in_clear(deployment)
    assert b"Somebody Else Entirely" in in_clear(deployment)
    after = support.assert_sound(deployment)
    assert [(e.state, e.digest) for e in after[:-1]] == [(e.state, e.digest) for e in before]
    again = bring(deployment, *history(), ERASED)
    assert (again.repeated, again.erased) == (len(history()) + 1, 0)
    catch_up(deployment, READ_MODELS, present)
    assert verify(deployment.ledger(LEDGER), READ_MODELS, present(), sample=None).differences == []


@pytest.mark.parametrize("together", [True, False])
def test_personal_data_that_comes_after_an_erasure_is_refused_and_kept_nowhere(deployment, together):
    """Given an erasure, when the person's data comes after it, in the same file or later, then no text of it stays."""
    lines = [*history(), ERASED, *later_lines()]
    if together:
        tally, refusals = refused(deployment, *lines)
    else:
        bring(deployment, *lines[: len(history()) + 1])
        tally, refusals = refused(deployment, *later_lines())
    assert [r.line for r in refusals] == list(range(tally.lines - 3, tally.lines + 1))
    assert {r.reason for r in refusals} == {"is personal data of a party whose personal data was erased"}
    assert {r.text for r in refusals} == {None}
    assert_nothing_in_clear(deployment)
    assert len(wrapped(deployment)) == 1
    assert select(deployment, "SELECT subject FROM event WHERE subject = 'case/K-LATE'") == []


def test_a_line_refused_for_another_reason_keeps_no_text_of_an_erased_party_either(deployment):
    """Given an erased party, when an altered repeat of theirs comes, then it is refused without its text."""
    bring(deployment, *history(), ERASED)
    altered = line(5, "ServiceMoved", "account/A-GONE", {"address": "Anders " + WHO["address"]})
    other = line(2, "PartyRegistered", "party/STAYS", {**NAMED, **support.CLEAR, "name": "Somebody Changed"})
    _, refusals = refused(deployment, altered, other)
    assert [(r.field, r.text) for r in refusals] == [("id", None), ("id", other)]


@pytest.mark.parametrize("where", ["case", "service"])
def test_nothing_here_stands_against_an_erasure_that_happened_elsewhere(deployment, where):
    """Given what would refuse the command, an open case or a contract that goes on, then the fact lands."""
    lines = history()
    kept = [raw for raw in lines if b"CaseClosed" not in raw and b"ServiceTerminated" not in raw]
    bring(
        deployment,
        *(kept if where == "case" else [raw for raw in lines if b"ServiceTerminated" not in raw]),
        ERASED,
    )
    assert_nothing_in_clear(deployment)


def test_an_erasure_that_is_refused_destroys_nothing(deployment):
    """Given an erasure of an unknown party, a clash and one in the future, then every key stands."""
    bring(deployment, *history())
    lines = [
        line("g1", "PersonalDataErased", "party/NOBODY", {"legal_basis": "x"}),
        line(1, "PersonalDataErased", "party/GONE", {"legal_basis": "x"}),
        line("g3", "PersonalDataErased", "party/GONE", {"legal_basis": "x"}, "2199-01-01T10:00:00+08:00"),
        line("g4", "PersonalDataErased", "party/GONE", {}),
    ]
    tally, refusals = refused(deployment, *lines)
    assert (tally.refused, tally.erased, len(refusals)) == (4, 0, 4)
    assert WHO["name"].encode() in in_clear(deployment)


def test_several_parties_are_erased_in_one_file_and_others_are_not(deployment):
    """Given histories with their erasures among each other, then each is erased from its own on, and nobody else."""
    lines = []
    for n in range(40):
        at = f"2013-01-01T10:00:{n:02}+08:00"
        who = {**NAMED, **support.CLEAR, "name": f"Person Number-{n:02}"}
        lines.append(line(f"r{n}", "PartyRegistered", f"party/E{n}", who, at))
        if n % 2:
            lines.append(line(f"e{n}", "PersonalDataErased", f"party/E{n}", {"legal_basis": "x"}, at))
            lines.append(
                line(f"d{n}", "PartyDetailsChanged", f"party/E{n}", {"name": f"Later Number-{n:02}"}, at)
            )
        else:
            lines.append(
                line(f"d{n}", "PartyDetailsChanged", f"party/E{n}", {"name": f"Later Number-{n:02}"}, at)
            )
    tally, refusals = refused(deployment, *lines)
    assert (tally.appended, tally.erased, len(refusals)) == (80, 20, 20)
    clear = in_clear(deployment)
    for n in range(40):
        assert (f"Person Number-{n:02}".encode() in clear, f"Later Number-{n:02}".encode() in clear) == (
            (False, False) if n % 2 else (True, True)
        )


def test_a_key_that_a_sealed_export_brings_of_an_erased_party_does_not_stand(deployment, server):
    """Given an export from before an erasure, when it comes after it, then the party's keys stay destroyed."""
    bring(deployment, *history())
    old = b"".join(export_sealed(deployment, deployment.ledger(LEDGER), []))
    bring(deployment, ERASED)
    again, refusals = refused(deployment, *old.splitlines())
    assert (again.repeated, refusals) == (len(history()), [])
    assert_nothing_in_clear(deployment)
    new = b"".join(export_sealed(deployment, deployment.ledger(LEDGER), []))
    with fresh_database(server, "restored") as url:
        other = opened_deployment(url)
        _, refusals = refused(other, *old.splitlines())
        assert (refusals, WHO["name"].encode() in in_clear(other)) == ([], True)
        bring(other, *new.splitlines())
        assert_nothing_in_clear(other)
        assert stands(other) == stands(deployment)
        other.close()


def test_a_key_made_by_another_importer_meanwhile_goes_too(deployment, database_url):
    """Given two importers, when one erases while the other is making a key for the person, then both keys go."""
    other = opened_deployment(database_url)
    bring(deployment, *history())
    ledger = other.ledger(LEDGER)
    with ThreadPoolExecutor(1) as pool:
        with ledger.journal.database.transaction(ledger.schema, WRITER) as connection:
            keys = PostgresKeys(connection)
            keys.make_alone(other.master.ids)
            erasing = pool.submit(bring, deployment, ERASED)
            keys.add([("late", "party/GONE", other.master.wrap(bytes(32)))])
            assert not erasing.done()
        assert erasing.result(60).erased == 1
    other.close()
    assert wrapped(deployment) == [None, None]


def test_a_key_that_stands_of_an_erased_party_is_told_and_goes_when_the_erasure_is_done_again(deployment):
    """Given a key that an older version or a restored table left, then verify names it, and erase ends it."""
    bring(deployment, *history(), ERASED)
    ledger = deployment.ledger(LEDGER)
    key = deployment.master.wrap(bytes(32))
    support.by_owner(
        deployment, "INSERT INTO party_key (key_id, owner, wrapped) VALUES ('old', 'party/GONE', %s)", key
    )
    (told,) = verify(ledger, (), present(), sample=None).differences
    assert told[:2] == ("log", "party/GONE")
    assert "was erased, and its key old stands: run recount erase party/GONE" in told.text
    assert erase(Writer(ledger, present), "party/GONE", "again").repeated
    assert verify(ledger, (), present(), sample=None).differences == []


# -- by workers ---------------------------------------------------------------------------------------------


def test_workers_erase_a_party_whose_events_are_on_anothers_share(deployment, server, parallel):
    """Given a person's events and erasure on several workers' shares, then all is as one process makes it."""
    padding = [opening_line(f"W{n}", party_id="STAYS") for n in range(1_200)]
    content = b"\n".join(
        [
            *history(),
            *padding[:400],
            *padding[400:800],
            ERASED,
            *padding[800:1_000],
            *later_lines(),
            *padding[1_000:],
        ]
    )
    with fresh_database(server, "other") as url:
        alone = opened_deployment(url)
        expected, expected_refusals = brought(alone, content, workers=1)
        expected_events = stands(alone)
        alone.close()
    tally, refusals = brought(deployment, content, workers=3)
    assert parallel.taken > 10
    assert (tally, refusals) == (expected, expected_refusals)
    assert (tally.erased, [r.text for r in refusals]) == (1, [None] * 4)
    assert stands(deployment) == expected_events
    assert_nothing_in_clear(deployment)


# -- by command: copies too ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("embedded_only")
@pytest.mark.parametrize("elsewhere", [False, True])
def test_after_an_import_with_an_erasure_no_table_file_or_backup_has_the_person(tmp_path, capsys, elsewhere):
    """Given a person in log, models and reject files, when their erasure comes in, then nothing has them."""
    data, file = tmp_path / "data", tmp_path / "in" / "history.jsonl"
    file.parent.mkdir()
    bad = [
        line(20, "ServiceMoved", "account/A-UNKNOWN", {"address": WHO["address"]}),
        b'{"subject": "account/A-GONE", "torn',
        b"\xff\xfe " + WHO["summary"].encode(),
        line(22, "ServiceMoved", "account/A-ELSEWHERE", {"address": "Another Street 5"}),
    ]
    more = ["--rejects", str(tmp_path / "own" / "rejected.jsonl")] if elsewhere else []
    with opened(Settings.read(data, {})) as runtime:
        file.write_bytes(b"\n".join([*history(), *bad]))
        assert main(["import", str(file), "--data", str(data)]) == 1
        catch_up(runtime.deployment, READ_MODELS, present)
        (wrapped_key,) = wrapped_keys(runtime, "party/GONE")
        assert in_files(data / "rejects", WHO.values()) == {WHO["address"]}
        file.write_bytes(b"\n".join([bad[0], bad[3], ERASED, *later_lines(), *bad[1:3]]))
        capsys.readouterr()
        assert main(["import", str(file), "--data", str(data), *more]) == 1
        assert "1 parties erased: their keys are destroyed here too" in capsys.readouterr().out
        file.unlink()
        catch_up(runtime.deployment, READ_MODELS, present)
        assert in_tables(runtime, WHO.values()) == set()
        assert in_files(tmp_path, [*WHO.values(), wrapped_key]) == set()
        assert (
            verify(runtime.deployment.ledger(LEDGER), READ_MODELS, present(), sample=None).differences == []
        )
        url = runtime.deployment.database.conninfos()[0]
        (tmp_path / "dump.sql").write_bytes(run(programs("pg_dump"), "-d", url))
        assert in_files(tmp_path, [*WHO.values(), wrapped_key]) == set()
    left = [
        orjson.loads(raw)
        for path in sorted({*(data / "rejects").iterdir(), *(tmp_path / "own").glob("*")})
        for raw in path.read_bytes().splitlines()
    ]
    assert sum("withheld" in one for one in left) == 4
    assert {one["text"] for one in left if "text" in one} == {bad[3].decode()}


@pytest.mark.slow
@pytest.mark.usefixtures("embedded_only")
def test_an_import_killed_as_an_erasure_lands_is_completed_by_running_it_again(tmp_path):
    """Given an import killed at each stage of an erasure, then all of it stands or nothing, and again it is done."""
    data, file = tmp_path / "data", tmp_path / "erased.jsonl"
    stages = (
        "after api.rejects:_replace",
        "after claim",
        "after destroy_keys",
        "committed destroy_keys",
        "before switch",
    )
    names = [f"I{number}" for number in range(len(stages))]
    with opened(Settings.read(data, {})) as runtime:
        bring(runtime.deployment, *(raw for name in names for raw in halfway.person(name)))
        for name, stage in zip(names, stages, strict=True):
            halfway.refused(data, name)
            file.write_bytes(
                event_line(f"{name}-gone", "PersonalDataErased", f"party/{name}", {"legal_basis": "x"})
            )
            assert killed_at(stage, "import", str(file), data=data)
            assert halfway.half_erased(runtime, name) == 0
            assert main(["import", str(file), "--data", str(data)]) == 0
            assert (halfway.half_erased(runtime, name), halfway.erasures(runtime, name)) == (0, 1)
        assert halfway.still_found(runtime, data, names) == 0
        catch_up(runtime.deployment, READ_MODELS, present)
        assert (
            verify(runtime.deployment.ledger(LEDGER), READ_MODELS, present(), sample=None).differences == []
        )


# -- reject files that are written and cleared at once ------------------------------------------------------


def test_what_is_refused_while_a_file_is_cleared_is_not_lost(tmp_path):
    """Given an import that still writes, when lines are taken out of its file, then what it refuses next is there."""
    file = rejects.Rejects(tmp_path / "rejects" / "now.jsonl")
    for number, text in enumerate([b'{"subject": "party/P1"}', b'{"subject": "party/P2"}'], 1):
        file.add("in", Refusal(number, "x", "y", text))
    assert rejects.scrub(tmp_path, ["party/P1"], []) == (1, 1)
    file.add("in", Refusal(3, "x", "y", b"third"))
    assert rejects.scrub(tmp_path, ["party/P2"], ["third"]) == (1, 2)
    assert not file.path.exists()
    file.add("in", Refusal(4, "x", "y", None))
    file.close()
    (left,) = file.path.read_bytes().splitlines()
    assert orjson.loads(left) == {
        "file": "in", "line": 4, "field": "x", "reason": "y", "withheld": "personal data of a party that was erased",
    }  # fmt: skip
    assert (file.count, file.path.stat().st_mode & 0o777) == (4, 0o600)


def test_a_file_of_another_kind_of_name_is_cleared_in_the_folder_too(tmp_path):
    """Given an import's reject file that is named otherwise, then lines are taken out of it, too."""
    file = rejects.Rejects(tmp_path / "rejects" / "mine.txt")
    for number, text in enumerate([b'{"subject": "party/P1"}', b'{"subject": "party/P2"}'], 1):
        file.add("in", Refusal(number, "x", "y", text))
    assert rejects.scrub(tmp_path, ["party/P1"], [], also=file.path) == (1, 1)
    file.close()
    assert b"party/P1" not in file.path.read_bytes()


def test_two_imports_into_one_reject_file_write_whole_lines(tmp_path):
    """Given two imports that were given one file, then the later takes it over, and no line is torn."""
    one, other = (rejects.Rejects(tmp_path / "rejected.jsonl") for _ in range(2))
    for number in range(1, 6):
        one.add("in", Refusal(number, "x", "y", b"one" * number))
        if number > 2:
            other.add("in", Refusal(number, "x", "y", b"other" * number))
    one.close()
    other.close()
    found = [orjson.loads(raw) for raw in one.path.read_bytes().splitlines()]
    assert [entry["line"] for entry in found] == [3, 4, 4, 5, 5]


def test_what_a_kill_left_half_written_does_not_stay(tmp_path):
    """Given a clearing that was killed, when reject files are looked at again, then its half of a file goes too."""
    folder = tmp_path / "rejects"
    folder.mkdir()
    (folder / "one.jsonl").write_bytes(b'{"text": "kept"}\n')
    (folder / "one.part").write_bytes(b'{"text": "a person')
    assert rejects.scrub(tmp_path, ["party/P1"], []) == (0, 0)
    assert [path.name for path in folder.iterdir()] == ["one.jsonl"]
