"""The evidence bundle: what left the house is checked without it, and whatever was done to it on the way is found.

Everything is held against both checkers: `recount verify BUNDLE`, and the single file that ships in the bundle.
"""

import base64
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.cli import main
from api.dossier import check as shipped
from api.dossier import compose, files_of, folder_files, write_folder
from api.dossier.bundle import NAMES, SEALED_NAMES, signed_of
from api.dossier.verifying import check_bundle
from api.runtime import Runtime
from domain.evidence import EvidenceError
from domain.evidence.records import Checkpoint, parse_key
from domain.ledger.seals import SealError
from tests.conftest import CASES, HARBIN, MASTER, fresh_database, import_file, opened_deployment
from tests.sealing import KEY, NAME, ORIGIN, OTHER_KEY, as_owner, digested_anew
from tests.support import bring, event_line

pytestmark = pytest.mark.storage

KNOWN = "2014-12-17"
TRUSTED = str(KEY.named(ORIGIN))
EARLIER = 60
"""A position in the middle of the Harbin case: its dossier rests on a seal that came later."""


def held(deployment, key=KEY):
    return Runtime(deployment, seal_key=lambda: key, seal_name=NAME)


@pytest.fixture(scope="module")
def runtime(server):
    """Return a runtime that seals, on the Harbin case."""
    with fresh_database(server, "bundle") as url:
        deployment = opened_deployment(url)
        try:
            import_file(deployment, HARBIN)
            yield held(deployment)
        finally:
            deployment.close()


@pytest.fixture(scope="module")
def dossiers(runtime):
    """Return the files of the present dossier, and of one asked at an earlier position."""
    now = folder_files(compose(runtime, "party/P-HRB", known_at=KNOWN))
    earlier = folder_files(compose(runtime, "party/P-HRB", known_at=KNOWN, position=EARLIER))
    return {"now": now, "earlier": earlier}


@pytest.fixture(params=["now", "earlier"])
def bundle(request, dossiers, tmp_path):
    """Return a bundle's folder."""
    write_folder(dossiers[request.param], tmp_path / "out")
    return tmp_path / "out" / "bundle"


@pytest.fixture
def current(dossiers, tmp_path):
    write_folder(dossiers["now"], tmp_path / "out")
    return tmp_path / "out" / "bundle"


@pytest.fixture
def earlier(dossiers, tmp_path):
    write_folder(dossiers["earlier"], tmp_path / "earlier")
    return tmp_path / "earlier" / "bundle"


def both(folder, key=TRUSTED):
    """Return what each checker says of a bundle: None where it holds."""
    said = []
    for ask, error in (
        (lambda: check_bundle(folder, [parse_key(key)]), EvidenceError),
        (lambda: shipped.check(folder, shipped.parse_key(key)), shipped.Wrong),
    ):
        try:
            ask()
        except error as wrong:
            said.append(str(wrong))
        else:
            said.append(None)
    return said


def refused(folder, *parts, key=TRUSTED):
    """Whether both checkers refuse a bundle, and with some words."""
    said = both(folder, key)
    return all(text is not None and all(part in text for part in parts) for text in said)


def listed_anew(folder, key=KEY):
    """List a bundle's files anew and sign that, as an operator who forges the bundle would."""
    manifest = orjson.loads((folder / "manifest.json").read_bytes())
    heads = {}
    for line in (folder / "events.jsonl").read_bytes().splitlines():
        event = orjson.loads(line)
        heads[event["subject"]] = {"version": event["streamversion"], "digest": event["digest"]}
    manifest["streams"] = heads
    for name in manifest["files"]:
        content = (folder / name).read_bytes()
        manifest["files"][name] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
    signed(folder, manifest, key)


def signed(folder, manifest, key=KEY):
    raw = orjson.dumps(manifest, option=orjson.OPT_SORT_KEYS) + b"\n"
    (folder / "manifest.json").write_bytes(raw)
    (folder / "manifest.sig").write_bytes(key.signed(ORIGIN, signed_of(ORIGIN, raw)))


def lines_of(folder, name="events.jsonl"):
    return (folder / name).read_bytes().splitlines(keepends=True)


def written(folder, lines, name="events.jsonl"):
    (folder / name).write_bytes(b"".join(lines))


# -- what holds ---------------------------------------------------------------------------------------------


def test_a_bundle_holds_by_both_checkers_and_its_answers_come_from_its_events(bundle):
    """Given a bundle, now or of an earlier position, then both hold it, and findings and states are computed anew."""
    assert both(bundle) == [None, None]
    found = check_bundle(bundle, [parse_key(TRUSTED)])
    assert found.differences == []
    assert {p.name for p in bundle.iterdir()} == {*NAMES, *SEALED_NAMES, "manifest.json", "manifest.sig"}


def test_a_dossier_is_sealed_to_its_end_and_an_earlier_one_brings_what_leads_to_the_seal(current, earlier):
    """Given a dossier of now, then nothing is left unsealed; given an earlier one, then later events lead there."""
    now, then = (check_bundle(folder, [parse_key(TRUSTED)]) for folder in (current, earlier))
    assert (now.events, now.later, now.position, now.seal) == (102, 0, 102, 1)
    assert (then.events, then.events + then.later, then.position, then.seal) == (EARLIER, 102, EARLIER, 1)


@pytest.fixture(scope="module")
def disputes(server):
    """Return a runtime that seals, on every shared dispute."""
    with fresh_database(server, "disputes") as url:
        deployment = opened_deployment(url)
        try:
            for path in sorted(CASES.glob("*/history.jsonl")):
                import_file(deployment, path)
            yield held(deployment)
        finally:
            deployment.close()


@pytest.mark.parametrize("path", sorted(CASES.glob("*/history.jsonl")), ids=lambda p: p.parent.name)
def test_every_shared_dispute_has_a_bundle_that_holds(disputes, tmp_path, path):
    """Given any dispute, then its bundle holds and its answers are computed anew without the ledger."""
    lines = [orjson.loads(line) for line in path.read_bytes().splitlines()]
    subjects = {line["subject"] for line in lines if line["type"] in ("PartyRegistered", "AccountOpened")}
    origin = f"{NAME}/{lines[0]['region'].partition('.')[0]}"
    for subject in sorted(subjects)[:2]:
        folder = tmp_path / subject.replace("/", "-")
        folder.mkdir()
        for name, content in files_of(compose(disputes, subject)).items():
            (folder / name.removeprefix("bundle/")).write_bytes(content)
        assert check_bundle(folder, [KEY.named(origin)]).differences == []
        assert shipped.check(folder, shipped.parse_key(str(KEY.named(origin))))


def test_the_same_question_has_the_same_bytes_whatever_was_sealed_since(runtime, dossiers):
    """Given more events and more seals, when the question is asked again with its position, then nothing differs."""
    position = orjson.loads(dossiers["now"]["bundle/manifest.json"])["position"]
    more = event_line(
        "more", "PartyDetailsChanged", "party/P-HRB", {"name": "X"}, region="heilongjiang.harbin"
    )
    bring(runtime.deployment, more)
    newer = compose(runtime, "party/P-HRB", known_at=KNOWN)
    assert newer.position == position + 1
    for name, at in (("now", position), ("earlier", EARLIER)):
        again = folder_files(compose(runtime, "party/P-HRB", known_at=KNOWN, position=at))
        assert again == dossiers[name]


def test_the_shipped_checker_runs_alone(current, tmp_path):
    """Given the folder elsewhere and no Recount, when its own checker runs, then it says what it proves."""
    moved = tmp_path / "elsewhere"
    shutil.copytree(current, moved)

    def run(*arguments):
        done = subprocess.run(
            [sys.executable, "-I", "-B", "check.py", *arguments],
            cwd=moved,
            capture_output=True,
            timeout=60,
            check=False,
        )
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    code, out, error = run(TRUSTED)
    assert (code, error) == (0, "")
    assert "It does not prove: that what was recorded is true" in out
    assert run()[0] == 2
    assert run("nonsense")[0] == 2
    code, out, error = run(str(OTHER_KEY.named(ORIGIN)))
    assert (code, out) == (1, "")
    assert "not signed with the key you named" in error


# -- what does not ------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_no_byte_of_any_file_can_be_another(current):
    """Given one byte flipped, in any file, then both checkers refuse; of long files, bytes all over them are tried."""
    chance = random.Random(1)
    for path in sorted(current.iterdir()):
        raw = path.read_bytes()
        places = range(len(raw)) if len(raw) <= 300 else sorted(chance.sample(range(len(raw)), 60))
        for at in places:
            path.write_bytes(raw[:at] + bytes([raw[at] ^ (1 << chance.randrange(8))]) + raw[at + 1 :])
            assert refused(current), (path.name, at)
        for cut in (raw[:-1], raw + b"\n", b""):
            path.write_bytes(cut)
            assert refused(current) or cut == raw, path.name
        path.write_bytes(raw)
    assert both(current) == [None, None]


@pytest.mark.slow
def test_no_event_can_be_left_out_even_by_whoever_signs(current):
    """Given each event dropped in turn and the bundle listed and signed anew by the operator, then it is found."""
    lines = lines_of(current)
    for number in range(len(lines)):
        written(current, lines[:number] + lines[number + 1 :])
        (current / "timeline.json").write_bytes(b"[]\n")
        listed_anew(current)
        assert refused(current), number


def test_no_end_of_a_stream_and_no_stream_can_be_left_out(earlier):
    """Given a stream's last events, or all of them, dropped and all signed anew, then its sealed end tells."""
    lines, later = lines_of(earlier), lines_of(earlier, "later.jsonl")
    (earlier / "timeline.json").write_bytes(b"[]\n")
    for subject in {orjson.loads(line)["subject"] for line in lines}:
        own = [line for line in lines if orjson.loads(line)["subject"] == subject]
        for kept in {0, len(own) - 1}:
            written(earlier, [line for line in lines if line not in own[kept:]])
            written(earlier, [x for x in later if orjson.loads(x)["subject"] != subject], "later.jsonl")
            listed_anew(earlier)
            assert refused(earlier, "does not end where the seal says"), (subject, kept)


def test_no_event_can_be_moved_altered_or_put_in_by_whoever_signs(current):
    """Given events swapped in their stream, one altered and digested anew, or one too many, then it is found."""
    lines = lines_of(current)
    (current / "timeline.json").write_bytes(b"[]\n")
    subject = "account/A-FTTH"
    own = [n for n, line in enumerate(lines) if orjson.loads(line)["subject"] == subject]
    swapped = list(lines)
    swapped[own[1]], swapped[own[2]] = lines[own[2]], lines[own[1]]
    again = [*lines, lines[own[-1]]]
    event = orjson.loads(lines[own[-1]])
    event["actor"] = "staff/forged"
    for name in ("digest", "streamversion", "fingerprint"):
        event.pop(name)
    before = bytes.fromhex(orjson.loads(lines[own[-2]])["digest"])
    body = orjson.dumps(event, option=orjson.OPT_SORT_KEYS)
    event |= {
        "digest": hashlib.sha256(before + body).hexdigest(),
        "streamversion": len(own),
        "fingerprint": "0" * 64,
    }
    altered = list(lines)
    altered[own[-1]] = orjson.dumps(event, option=orjson.OPT_SORT_KEYS) + b"\n"
    for forged in (swapped, again, altered):
        written(current, forged)
        listed_anew(current)
        assert refused(current)


@pytest.mark.parametrize("name", ["subject", "known_at", "streams"])
def test_a_signed_manifest_without_what_is_said_of_it_is_refused_in_a_line(current, name):
    """Given a manifest that lacks what it is about, signed anew, then both checkers refuse it, and neither breaks."""
    manifest = orjson.loads((current / "manifest.json").read_bytes())
    del manifest[name]
    signed(current, manifest)
    assert None not in both(current)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_both_checkers_agree_on_whatever_is_signed(dossiers, tmp_path, seed):
    """Given any value in seal, events or manifest replaced and all signed anew, then both refuse or neither does."""
    chance = random.Random(seed)
    folder = tmp_path / "bundle"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, content in dossiers[chance.choice(["now", "earlier"])].items():
        if name.startswith("bundle/"):
            (folder / name.removeprefix("bundle/")).write_bytes(content)
    name = chance.choice(["seal.json", "events.jsonl", "later.jsonl", "timeline.json", "manifest.json"])
    lines = lines_of(folder, name)
    if not lines:
        return
    number = chance.randrange(len(lines))
    value = mutated(orjson.loads(lines[number]), chance)
    lines[number] = orjson.dumps(value, option=orjson.OPT_SORT_KEYS) + b"\n"
    written(folder, lines, name)
    if name == "manifest.json":
        if not isinstance(value, dict):
            return
        signed(folder, value)
    else:
        listed_anew_as_it_is(folder)
    ours, theirs = both(folder)
    if name == "manifest.json" and ours is not None and theirs is None:
        # the shipped checker takes the manifest's word for what is no part of the proof
        assert "not the form" in ours or "does not list" in ours
        return
    assert (ours is None) == (theirs is None), (ours, theirs)


def listed_anew_as_it_is(folder):
    manifest = orjson.loads((folder / "manifest.json").read_bytes())
    for name in manifest["files"]:
        content = (folder / name).read_bytes()
        manifest["files"][name] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
    signed(folder, manifest)


STRANGE = (None, True, 0, -1, 1, 2**63, "", "0" * 64, "account/A-FTTH", [], {}, [[]], {"a": None})


def mutated(value, chance, depth=0):
    """Return a value with one thing in it, at any depth, replaced by something strange."""
    if isinstance(value, dict) and value and (depth == 0 or chance.random() < 0.9):
        key = chance.choice(sorted(value))
        if chance.random() < 0.1:
            return {k: v for k, v in value.items() if k != key}
        return {**value, key: mutated(value[key], chance, depth + 1)}
    if isinstance(value, list) and value and (depth == 0 or chance.random() < 0.9):
        at = chance.randrange(len(value))
        return [*value[:at], mutated(value[at], chance, depth + 1), *value[at + 1 :]]
    return chance.choice(STRANGE)


# -- hostile folders ----------------------------------------------------------------------------------------


def test_a_file_added_removed_renamed_or_linked_is_found(current, tmp_path):
    """Given any change in what files there are, then it is told; nothing outside is read, nothing hangs."""
    for path in sorted(current.iterdir()):
        away = tmp_path / "away"
        path.rename(away)
        assert refused(current), path.name
        path.symlink_to(away)
        assert refused(current), path.name
        path.unlink()
        os.mkfifo(path)
        assert refused(current), path.name
        path.unlink()
        path.mkdir()
        assert refused(current), path.name
        path.rmdir()
        away.rename(path)
    (current / "more.txt").touch()
    assert refused(current, "more.txt", "not listed")
    (current / "more.txt").rename(current / "\udcff")
    assert refused(current, "not listed")
    (current / "\udcff").unlink()
    assert both(current) == [None, None]


@pytest.mark.parametrize(
    "name", ["../master.key", "/etc/passwd", "a/../b.txt", "..", "", "x" * 300, "a\x00b", "seal.json/"]
)
def test_a_path_in_the_manifest_leads_nowhere(current, name):
    """Given a manifest, signed by a key that is trusted, that lists a path, then it is refused."""
    manifest = orjson.loads((current / "manifest.json").read_bytes())
    manifest["files"][name] = {"sha256": "0" * 64, "size": 0}
    signed(current, manifest)
    assert refused(current)


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 100_000 + b"]" * 100_000 + b"\n", b'{"a":' * 50_000 + b"1" + b"}" * 50_000 + b"\n",
        b"1" * 100_000 + b"\n", b"1e999999\n", b"NaN\n", b'"\\ud800"\n', b'{"a":1,"a":2}\n',
        b"\xff\n", b"\xef\xbb\xbf{}\n",
        b"", b"\n", b"null\n", b"[]\n", b"{}\n", b'"x"\n', b'{"record":1}\n', b'{ "a":1}\n', b"\x00" * 1000,
    ],
    ids=range(18),
)  # fmt: skip
@pytest.mark.parametrize(
    "name", ["manifest.json", "seal.json", "events.jsonl", "timeline.json", "checkpoint.txt"]
)
def test_huge_deep_and_strange_json_is_refused_in_one_line(current, name, content):
    """Given a file of hostile content under a good signature, then both refuse without falling over."""
    if name == "timeline.json" and content == b"[]\n":
        return  # a bundle without numbers is one
    (current / name).write_bytes(content)
    if name != "manifest.json":
        listed_anew_as_it_is(current)
    else:
        (current / "manifest.sig").write_bytes(KEY.signed(ORIGIN, signed_of(ORIGIN, content)))
    assert refused(current)


def test_a_file_too_large_is_not_read(current, monkeypatch):
    """Given a file beyond the limit, then it is refused by its size."""
    monkeypatch.setattr("api.dossier.verifying.FILE_MAX_BYTES", 10_000)
    monkeypatch.setattr(shipped, "FILE_MAX_BYTES", 10_000)
    assert refused(current, "is no plain file of at most 10000 bytes")


# -- keys and ledgers ---------------------------------------------------------------------------------------


def test_a_bundle_under_another_key_is_refused(current):
    """Given another key than the trusted one, in checkpoint, manifest or both, then it does not hold."""
    assert refused(current, "not signed", key=str(OTHER_KEY.named(ORIGIN)))
    listed_anew(current, OTHER_KEY)
    assert refused(current, "manifest.sig")


def test_a_bundle_that_is_not_sealed_says_so(deployment, tmp_path):
    """Given a ledger without a key to seal with, then its dossier is made, and no checker takes it for proven."""
    import_file(deployment, HARBIN)
    write_folder(folder_files(compose(Runtime(deployment), "party/P-HRB", known_at=KNOWN)), tmp_path / "out")
    assert refused(tmp_path / "out" / "bundle", "not sealed")


def test_no_dossier_is_made_of_a_ledger_that_contradicts_its_seal(deployment):
    """Given sealed events altered by the database's owner, when a dossier is asked, then it is refused by name."""
    import_file(deployment, HARBIN)
    runtime = held(deployment)
    compose(runtime, "account/A-FTTH", known_at=KNOWN)
    as_owner(deployment, "DELETE FROM event WHERE subject = 'account/A-FTTH' AND version = 5")
    digested_anew(deployment)
    with pytest.raises(SealError, match=r"recount verify|were taken away"):
        compose(runtime, "account/A-FTTH", known_at=KNOWN)


# -- the command --------------------------------------------------------------------------------------------


def test_verify_takes_a_bundle_and_needs_no_ledger(current, monkeypatch, capsys):
    """Given a bundle and a key, when verify runs where there is no database, then exit code and JSON say it all."""
    monkeypatch.setenv("DATABASE_URL", "host=/nowhere")
    assert main(["verify", str(current), "--key", TRUSTED]) == 0
    assert "none left out or altered" in capsys.readouterr().out
    assert main(["verify", str(current.parent), "--key", TRUSTED, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["holds"] is True
    assert main(["verify", str(current)]) == 1
    assert "--key" in capsys.readouterr().err
    assert main(["verify", str(current), "--key", "nonsense"]) == 1
    capsys.readouterr()
    assert main(["verify", str(current), "--key", TRUSTED, "--full"]) == 1
    capsys.readouterr()
    findings = orjson.loads((current / "findings.json").read_bytes())
    findings[0]["findings"][0]["amount_fen"] += 1
    (current / "findings.json").write_bytes(orjson.dumps(findings, option=orjson.OPT_SORT_KEYS) + b"\n")
    assert main(["verify", str(current), "--key", TRUSTED]) == 1
    assert "findings.json: is not the file" in capsys.readouterr().out
    listed_anew_as_it_is(current)
    assert main(["verify", str(current), "--key", TRUSTED]) == 1
    assert "findings.json: is not what the events come to" in capsys.readouterr().out


def test_seal_verify_and_close_day_as_a_person_runs_them(
    deployment, database_url, tmp_path, monkeypatch, capsys
):
    """Given a key in a file, when days are closed and the ledger sealed, then verify holds it by them."""
    import_file(deployment, HARBIN)
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("RECOUNT_MASTER_KEY", base64.b64encode(MASTER).decode())
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        code = main(arguments)
        said = capsys.readouterr()
        return code, said.out, said.err

    code, _, error = run("seal")
    assert (code, "RECOUNT_SEAL_KEY_FILE" in error) == (1, True)
    (tmp_path / "seal.key").write_text(base64.b64encode(bytes(range(64, 96))).decode())
    monkeypatch.setenv("RECOUNT_SEAL_KEY_FILE", str(tmp_path / "seal.key"))
    monkeypatch.setenv("RECOUNT_SEAL_NAME", NAME)
    assert run("seal", "--key")[1].strip() == TRUSTED
    assert run("seal")[1].startswith("heilongjiang: sealed seal 1 of ")
    code, out, _ = run("seal", "--json")
    made = json.loads(out)["seals"][0]
    assert (code, made["made"], made["seal"], made["position"]) == (0, False, 1, 102)
    (tmp_path / "kept.txt").write_text(made["checkpoint"])
    assert ": sealed seal 2 of " in run("close-day", "2014-12-31")[1]
    code, out, _ = run("verify", "--checkpoint", "kept.txt", "--key", TRUSTED, "--json")
    found = json.loads(out)
    assert (code, found["ledgers"][0]["seals"]["seals"], found["ledgers"][0]["seals"]["key"]) == (
        0,
        2,
        TRUSTED,
    )
    elsewhere = KEY.signed(f"{NAME}/hebei", Checkpoint(f"{NAME}/hebei", 3, bytes(32)).text())
    (tmp_path / "elsewhere.txt").write_bytes(elsewhere)
    code, out, _ = run("verify", "--checkpoint", "elsewhere.txt")
    assert (code, "elsewhere.txt: is the checkpoint of no ledger here" in out) == (1, True)
    deployment.ledger_for("hebei")
    code, out, _ = run("verify", "--checkpoint", "elsewhere.txt", "--checkpoint", "kept.txt")
    assert (code, out.count("set back")) == (1, 1)
    assert run("verify", "--checkpoint", "kept.txt")[0] == 0
    other = str(OTHER_KEY.named(ORIGIN))
    code, out, _ = run("verify", "--key", other)
    assert (code, "not signed with a trusted key" in out) == (1, True)
    as_owner(deployment, "TRUNCATE seal, sealed_head, sealed_page, seal_timestamp")
    code, out, _ = run("verify", "--checkpoint", "kept.txt")
    assert (code, "and there are 0: the ledger was set back" in out) == (1, True)
