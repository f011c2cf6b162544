"""A person erased: nothing of theirs is found any more in any table or file, and all else stays what it was."""

import os
import subprocess
import time
from pathlib import Path

import orjson
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from api import rejects
from api.cli import main
from api.runtime import READ_MODELS, opened, present
from api.settings import Settings
from domain.ledger.embedded.cluster import find_programs
from domain.ledger.erasing import erase
from domain.ledger.interchange import export_plain
from projections.engine import catch_up
from projections.engine.verifying import verify
from tests import support
from tests.conftest import fresh_database, opened_deployment
from tests.support import LEDGER, bring, event_line, opening_line

pytestmark = [pytest.mark.storage, pytest.mark.usefixtures("embedded_only")]

WHO = {
    "id_hash": "sha256:c0ffee-einmalig",
    "name": "欧阳查无此人",
    "id_number": "230199190002299999",
    "address": "Nirgendwo-Gasse 4711, Harbin",
    "number": "13999887766",
    "contact": "nobody-4711@example.invalid",
    "summary": "He says that Kassandra-4711 promised him otherwise.",
}
"""One person's values, none of which stands anywhere else on this machine."""
OTHER = {**support.CLEAR, "name": "Somebody Else Entirely"}


def line(number, kind, subject, data, at="2009-03-01T10:00:00+08:00"):
    return event_line(f"x{number}", kind, subject, data, at)


def history():
    """Return the lines of two customers, one of whom left long ago with everything settled."""
    contact = {"contact_point_id": "CP1", "kind": "email", "value": WHO["contact"]}
    papers = {name: WHO[name] for name in ("id_hash", "name", "id_number", "address")}
    who = {"kind": "individual", "id_type": "resident_id"}
    complaint = {"party_id": "GONE", "account_ids": ["A-GONE"], "category": "billing", "summary": WHO["summary"],
                 "answer_due_on": "2009-05-01"}  # fmt: skip
    charge = {"charge_id": "CH1", "kind": "monthly", "amount_fen": 500, "period_start": "2009-03-01",
              "period_end": "2009-04-01", "due_on": "2009-04-15"}  # fmt: skip
    paid = {"payment_id": "PAY1", "amount_fen": 500, "value_date": "2009-04-10", "method": "bank"}
    number = {"number": WHO["number"], "number_id": "N1", "registration_id": "R1"}
    return [
        line(1, "PartyRegistered", "party/GONE", {**who, **papers}),
        line(2, "PartyRegistered", "party/STAYS", {**who, **OTHER}),
        opening_line("A-GONE", at="2009-03-01T11:00:00+08:00", party_id="GONE"),
        opening_line("A-STAYS", at="2009-03-01T11:00:00+08:00", party_id="STAYS"),
        line(3, "ContactPointAdded", "party/GONE", contact),
        line(4, "NumberActivated", "account/A-GONE", number, "2009-03-01T12:00:00+08:00"),
        line(5, "ServiceMoved", "account/A-GONE", {"address": WHO["address"]}, "2009-03-02T12:00:00+08:00"),
        line(6, "ChargePosted", "account/A-GONE", charge, "2009-04-01T10:00:00+08:00"),
        line(7, "PaymentReceived", "account/A-GONE", paid, "2009-04-10T10:00:00+08:00"),
        line(8, "ComplaintReceived", "case/K-GONE", complaint, "2009-04-11T10:00:00+08:00"),
        line(9, "CaseClosed", "case/K-GONE", {"outcome": "settled"}, "2009-04-20T10:00:00+08:00"),
        line(10, "ServiceTerminated", "account/A-GONE", {"reason": "customer_request"}, "2009-06-01T10:00:00+08:00"),
    ]  # fmt: skip


def refused_lines():
    """Return lines an import refuses: some of the person's, and one of somebody else's."""
    moved = {"address": WHO["address"]}
    return [
        line(20, "ServiceMoved", "account/A-UNKNOWN", moved),
        line(21, "NoSuchEvent", "party/GONE", {}),
        b'{"subject": "account/A-GONE", "torn',
        line(22, "ServiceMoved", "account/A-ELSEWHERE", {"address": "Another Street 5"}),
        b"\xff\xfe " + WHO["summary"].encode(),
    ]


@pytest.fixture(scope="module")
def place(tmp_path_factory, embedded_only):
    """Return an embedded deployment's data directory in which the person stands, everywhere they can stand."""
    data = tmp_path_factory.mktemp("erasure") / "data"
    file = data.parent / "history.jsonl"
    file.write_bytes(b"\n".join([*history(), *refused_lines()]))
    with opened(Settings.read(data, {})) as runtime:
        assert main(["import", str(file), "--data", str(data)]) == 1
        file.unlink()
        catch_up(runtime.deployment, READ_MODELS, present)
        yield runtime, data


def in_tables(runtime, values):
    """Return which of some values stand in any column of any table."""
    found = set()
    with runtime.deployment.database.owner() as connection:
        tables = connection.execute(
            "SELECT table_schema, table_name FROM information_schema.tables WHERE table_type = 'BASE TABLE'"
        ).fetchall()
        for schema, table in tables:
            if schema in ("pg_catalog", "information_schema"):
                continue
            name = sql.Identifier(schema, table)
            for (text,) in connection.execute(sql.SQL("SELECT t::text FROM {} AS t").format(name)):
                found |= {v for v in values if v in text or v.encode().hex() in text}
    return found


def in_files(folder, values):
    """Return which of some values (text or bytes) stand in any file below a folder, in any usual way of writing."""
    sought = {}
    for value in values:
        raw = value if isinstance(value, bytes) else value.encode()
        ways = {raw, raw.hex().encode()}
        if isinstance(value, str):
            ways |= {orjson.dumps(value)[1:-1], value.encode("utf-16-le"), ascii(value)[1:-1].encode()}
        sought[value] = ways
    found = set()
    for path in folder.rglob("*"):
        try:
            content = path.read_bytes() if path.is_file() else b""
        except FileNotFoundError:  # the server goes on meanwhile
            continue
        found |= {value for value, ways in sought.items() if any(way in content for way in ways)}
    return found


def answers(data, capsys):
    """Return what is said of everybody: balances, findings, states."""
    found = {}
    for subject in ("party/GONE", "party/STAYS", "account/A-GONE"):
        for command in ("replay", "findings"):
            capsys.readouterr()
            at = ["--at", "2014-12-17"] if command == "replay" else []
            asked = [
                command,
                subject,
                "--known-at",
                "2014-12-17",
                "--position",
                "12",
                "--data",
                str(data),
                "--json",
                *at,
            ]
            assert main(asked) == 0
            found[command, subject] = capsys.readouterr().out
    return found


def programs(name):
    """Return PostgreSQL's program of the embedded server's own version."""
    return str(find_programs() / name)


def run(*command):
    """Run a program of PostgreSQL's; it has to go well."""
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def wrapped_keys(runtime, owner):
    """Return a party's keys as they stand, wrapped."""
    rows = support.select(runtime.deployment, "SELECT wrapped FROM party_key WHERE owner = %s", owner)
    return [bytes(wrapped) for (wrapped,) in rows]


def test_nothing_of_an_erased_person_is_found_anywhere_and_all_else_stays(place, tmp_path, capsys):
    """Given a person in log, models, caches and reject files, when erased, then no table, file or backup has them."""
    runtime, data = place
    deployment = runtime.deployment
    ledger = deployment.ledger(LEDGER)
    before, said = support.assert_sound(deployment), answers(data, capsys)
    assert WHO["name"].encode() in b"".join(
        export_plain(ledger, [])
    )  # this process has the key in its memory now
    (wrapped,) = wrapped_keys(runtime, "party/GONE")
    with deployment.database.owner() as connection:
        connection.execute("CHECKPOINT")
    assert in_files(data / "pg" / "base", [wrapped]) == {wrapped}  # the scan finds what is there
    assert in_files(data / "rejects", WHO.values()) == {WHO["address"]}  # the other in base64

    receipt_file = tmp_path / "receipt.json"
    command = [
        "erase",
        "party/GONE",
        "--legal-basis",
        "PIPL art. 47",
        "--by",
        "staff/S9",
        "--data",
        str(data),
    ]
    assert main([*command, "--json", "--receipt", str(receipt_file)]) == 0
    receipt = orjson.loads(capsys.readouterr().out)
    assert receipt == orjson.loads(receipt_file.read_bytes())
    assert (receipt["party"], receipt["position"], receipt["repeated"]) == ("party/GONE", 13, False)
    assert len(receipt["keys_destroyed"]) == 1
    assert receipt["storage"]["write_ahead_log"] == "removed up to the last checkpoint"
    assert receipt["reject_files"]["lines_removed"] == 4

    exported = b"".join(export_plain(ledger, []))
    assert not any(value.encode() in exported for value in WHO.values())
    assert OTHER["name"].encode() in exported
    assert not set(receipt["keys_destroyed"]) & set(ledger.vault._ciphers)
    assert in_tables(runtime, WHO.values()) == set()
    assert in_files(data, [*WHO.values(), wrapped]) == set()
    assert b"Another Street 5" in b"".join(p.read_bytes() for p in (data / "rejects").iterdir())

    info = conninfo_to_dict(deployment.database._conninfo())
    to = ["-h", info["host"], "-p", str(info.get("port", 5432)), "-U", info["user"]]
    (tmp_path / "dump.sql").write_bytes(run(programs("pg_dump"), *to, "-d", info["dbname"]))
    base = tmp_path / "base"
    run(programs("pg_basebackup"), *to, "-D", str(base), "-c", "fast", "-X", "stream")
    assert in_files(tmp_path, [*WHO.values(), wrapped]) == set()
    assert in_files(tmp_path, ["party/GONE"]) == {"party/GONE"}

    after = support.assert_sound(deployment)
    assert [(e.state, e.digest, e.fingerprint) for e in after[:12]] == [
        (e.state, e.digest, e.fingerprint) for e in before
    ]
    assert answers(data, capsys) == said
    catch_up(deployment, READ_MODELS, present)
    assert verify(ledger, READ_MODELS, present(), sample=None).differences == []
    again = bring(deployment, *history())
    assert (again.repeated, again.appended) == (12, 0)


def test_an_erasure_done_again_gives_the_same_receipt(place, capsys):
    """Given a person who was erased, when it is asked for again, as after a kill, then the receipt is the same."""
    _, data = place
    command = ["erase", "GONE", "--legal-basis", "PIPL art. 47", "--data", str(data), "--json"]
    receipts = []
    for _ in range(2):
        assert main(command) == 0
        receipts.append(orjson.loads(capsys.readouterr().out))
    assert receipts[1]["repeated"]
    same = ("event_id", "position", "digest", "erased_at", "keys_destroyed", "legal_basis")
    assert [receipts[0][name] for name in same] == [receipts[1][name] for name in same]


def test_an_erasure_that_may_not_be_is_refused_with_its_date_and_changes_nothing(place, capsys):
    """Given a customer whose contract goes on, when erased, then one line says when to ask again, and nothing went."""
    runtime, data = place
    kept = sorted(p.read_bytes() for p in (data / "rejects").iterdir())
    assert main(["erase", "STAYS", "--legal-basis", "PIPL art. 47", "--data", str(data)]) == 1
    said = capsys.readouterr().err
    assert "it ends first. Ask again on 20" in said
    assert "(erasure.service_running)" in said
    assert wrapped_keys(runtime, "party/STAYS") != [None]
    assert sorted(p.read_bytes() for p in (data / "rejects").iterdir()) == kept


@pytest.mark.parametrize("given", ["account/A-STAYS", "party/", "party/NOBODY"])
def test_only_a_party_that_is_here_can_be_erased(place, capsys, given):
    """Given something that is no party here, when it is to be erased, then one line says so."""
    _, data = place
    assert main(["erase", given, "--legal-basis", "x", "--data", str(data)]) in (1, 2)
    said = capsys.readouterr().err
    assert said.count("\n") == 1


def test_a_history_that_says_a_party_was_erased_elsewhere_is_made_true_here(deployment, runtime):
    """Given an imported erasure, whose key still stands here, when the party is erased, then its key goes."""
    support.with_customer(runtime)
    bring(deployment, event_line("gone", "PersonalDataErased", "party/P1", {"legal_basis": "elsewhere"}))
    done = erase(runtime.writer(LEDGER), "party/P1", "PIPL art. 47")
    assert (done.repeated, done.legal_basis, len(done.keys_destroyed)) == (True, "elsewhere", 1)
    assert support.select(deployment, "SELECT count(wrapped) FROM party_key") == [(0,)]


def test_one_documents_keyed_hash_is_another_in_another_deployment(deployment, server):
    """Given one document in two deployments, when its keyed hashes are compared, then they tell nothing."""
    with fresh_database(server, "salted") as url:
        other = opened_deployment(url)
        hashes = {d.secrets.identity_hash(WHO["id_hash"]) for d in (deployment, other)}
        other.close()
    assert len(hashes) == 2


# -- reject files -------------------------------------------------------------------------------------------


def test_reject_files_are_kept_for_a_bounded_time(tmp_path):
    """Given reject files of different age, when they are looked at, then the old ones go and the others stay."""
    folder = tmp_path / "rejects"
    folder.mkdir()
    for days in (0, rejects.KEPT_DAYS - 1, rejects.KEPT_DAYS + 1):
        path = folder / f"{days}.jsonl"
        path.write_bytes(b"{}\n")
        os.utime(path, (time.time() - days * 86_400,) * 2)
    assert rejects.expire(tmp_path) == 1
    assert sorted(p.name for p in folder.iterdir()) == ["0.jsonl", f"{rejects.KEPT_DAYS - 1}.jsonl"]
    assert rejects.expire(tmp_path / "nowhere") == 0


@pytest.mark.parametrize("written", ["欧阳", "\\u6b27\\u9633", "\\u6B27\\u9633"])
def test_a_name_is_found_however_it_is_written(tmp_path, written):
    """Given a refused line with a name in one of JSON's ways, when it is sought, then the line goes, others stay."""
    folder = tmp_path / "rejects"
    folder.mkdir()
    lines = [{"text": f'{{"name": "{written}"}}'}, {"text": '{"name": "somebody"}'}]
    path = folder / "one.jsonl"
    path.write_bytes(b"".join(orjson.dumps(one) + b"\n" for one in lines))
    assert rejects.scrub(tmp_path, ["party/P1"], ["欧阳"]) == (1, 1)
    assert path.read_bytes() == orjson.dumps(lines[1]) + b"\n"


def test_a_file_of_which_nothing_is_left_is_overwritten_and_removed(tmp_path):
    """Given a reject file all of whose lines are a person's, when scrubbed, then it is gone, its old bytes too."""
    folder = tmp_path / "rejects"
    folder.mkdir()
    path, other = folder / "one.jsonl", Path(tmp_path / "hardlink")
    path.write_bytes(orjson.dumps({"text": '{"subject": "party/P1"}'}) + b"\n")
    os.link(path, other)
    assert rejects.scrub(tmp_path, ["party/P1"], []) == (1, 1)
    assert not path.exists()
    assert set(other.read_bytes()) == {0}
