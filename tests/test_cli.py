"""The command line, run as a person runs it: its own process, its own data directory."""

import base64
import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from domain.ledger.embedded import EmbeddedPostgres
from tests.conftest import CASES, HARBIN, MASTER

pytestmark = pytest.mark.storage

ROOT = Path(__file__).parents[1]


@pytest.fixture
def recount(tmp_path, request):
    """Run `recount` on a data directory (or, with DATABASE_URL, on a fresh database).

    The server that the first command made stays for the next ones: that it comes and goes is for test_embedded.
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    if "DATABASE_URL" in environment:
        environment["DATABASE_URL"] = request.getfixturevalue("database_url")
        environment["RECOUNT_MASTER_KEY"] = base64.b64encode(MASTER).decode()

    def run(*arguments, stdin=b"", data="data"):
        folder = tmp_path / data
        if (folder / "pg" / "PG_VERSION").exists() and folder not in held:
            held[folder] = stack.enter_context(EmbeddedPostgres(folder))
        return subprocess.run(
            [sys.executable, "-P", "-m", "api.cli", *arguments, "--data", str(folder)],
            input=stdin,
            capture_output=True,
            timeout=60,
            check=False,
            env=environment,
            cwd=tmp_path,
        )

    run.environment = environment
    held = {}
    with contextlib.ExitStack() as stack:
        yield run


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """Return a data directory in which nothing stands, for commands that bring nothing; its server runs."""
    folder = tmp_path_factory.mktemp("empty")
    with contextlib.nullcontext() if "DATABASE_URL" in os.environ else EmbeddedPostgres(folder):
        yield folder


def answer(done):
    """Return the one JSON document of a command that did what it was asked."""
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def test_import_replay_and_export_tell_one_story(recount, tmp_path):
    """Given an empty directory, when the Harbin case is imported, then it replays, repeats and exports."""
    assert answer(recount("import", str(HARBIN), "--json"))["appended"] == 102
    assert answer(recount("import", str(HARBIN), "--json"))["repeated"] == 102
    ask = ("replay", "account/A-FTTH", "--at", "2014-12-09", "--known-at", "2014-12-09", "--json")
    first, second = recount(*ask), recount(*ask)
    assert first.stdout == second.stdout
    assert answer(first)["state"]["balance_fen"] == 45_460
    assert (
        answer(recount("replay", "account/A-FTTH", "--steps", "--json"))["steps"][1]["event_id"]
        == "harbin-031"
    )
    out = tmp_path / "sealed.jsonl"
    assert answer(recount("export", "--out", str(out), "--json"))["lines"] == 104
    assert out.stat().st_mode & 0o077 == 0
    plain = recount("export", "account/A-M1", "--plain")
    assert plain.stdout.count(b"\n") == 2
    assert "18600000001" in plain.stdout.decode()


def test_refused_lines_go_to_a_reject_file_and_the_exit_code_says_so(recount, tmp_path):
    """Given two bad lines among good ones on standard input, when they are imported, then the rest lands."""
    lines = HARBIN.read_bytes().splitlines()
    done = recount("import", "-", "--json", stdin=b"\n".join([lines[0], b"{oops", lines[1], b"\xff"]))
    told = json.loads(done.stdout)
    assert (done.returncode, told["appended"], told["refused"], told["lines"]) == (1, 2, 2, 4)
    rejects = [json.loads(text) for text in Path(told["rejects"]).read_text().splitlines()]
    assert [(r["line"], r["field"]) for r in rejects] == [(2, "(line)"), (4, "(line)")]
    assert rejects[0]["text"] == "{oops"
    assert rejects[1]["base64"] == "/w=="
    assert Path(told["rejects"]).stat().st_mode & 0o077 == 0


def test_a_subject_in_two_ledgers_has_to_be_told_apart(recount, tmp_path):
    """The error names the ledgers, and --region chooses."""
    text = HARBIN.read_text()
    other = tmp_path / "other.jsonl"
    other.write_text(text.replace("heilongjiang.harbin", "guangdong.shenzhen"))
    answer(recount("import", str(HARBIN), str(other), "--json"))
    done = recount("replay", "account/A-FTTH")
    assert done.returncode == 1
    assert b"guangdong, heilongjiang" in done.stderr
    assert (
        answer(recount("replay", "account/A-FTTH", "--region", "guangdong", "--json"))["state"]["party_id"]
        == "P-HRB"
    )


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("fly",), 2, "invalid choice"),
        (("replay",), 2, "SUBJECT"),
        (("replay", "account"), 2, "subject: should be"),
        (("replay", "account/A", "--at", "soon"), 1, "does not stand in any ledger"),
        (("replay", "account/A", "--position", "-1"), 1, "--position: should be"),
        (("import", "nowhere.jsonl"), 1, "nowhere.jsonl: is not a file"),
        (("serve", "--host", "0.0.0.0"), 1, "without an issuer of tokens"),
        (("serve", "--host", "0.0.0.0", "--dev"), 1, "--dev lets in whoever asks"),
        (("token", "nobody"), 2, "should be one of clerk"),
        (("token", "clerk"), 1, "no service with a local issuer"),
        (("serve", "--port", "70000"), 2, "should be a port"),
        (("export", "--json"), 1, "--out"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(recount, empty, arguments, code, said):
    """Exit 2 for wrong usage, 1 where it can't be done, one clear line on standard error, nothing on output."""
    done = recount(*arguments, data=empty)
    lines = [text for text in done.stderr.decode().splitlines() if not text.endswith("…")]  # a slow start
    assert (done.returncode, done.stdout, len(lines)) == (code, b"", 1)
    assert said in lines[0]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_demo_serves_the_harbin_case_and_says_where_to_look(recount, tmp_path):
    """Given nothing, when demo is started, then it says in a few lines what to open, and that answers."""
    import httpx

    port = free_port()
    process = subprocess.Popen(
        [
            sys.executable,
            "-P",
            "-m",
            "api.cli",
            "demo",
            "--port",
            str(port),
            "--data",
            str(tmp_path / "data"),
        ],
        env=recount.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        told = [process.stdout.readline() for _ in range(4)]
        assert "102 events (102 new)" in told[0]
        address = f"http://127.0.0.1:{port}"
        assert f"{address}/console" in told[1]
        assert f"TOKEN=$(curl -sd person=investigator-a {address}/auth/demo-token)" in told[3]
        token = httpx.post(f"{address}/auth/demo-token", data={"person": "billing"}, timeout=10).text
        own = recount("token", "billing").stdout.decode().strip()
        for given in (token, own):
            headers = {"Authorization": f"Bearer {given}"}
            status = httpx.get(f"{address}/billing/accounts/A-FTTH", headers=headers, timeout=10)
            assert status.json()["balance_fen"] == 45_460
        busy = recount("serve", "--port", str(port))
        assert busy.returncode == 1
        assert f"port {port} can't be listened on" in busy.stderr.decode()
        assert answer(recount("replay", "account/A-FTTH", "--json"))["state"]["balance_fen"] == 45_460
    finally:
        process.terminate()
        process.communicate(timeout=20)
    assert process.returncode in (0, -15)


def test_a_lost_master_key_is_said_and_no_new_one_is_made(recount, tmp_path):
    """What was locked with it would be lost with it."""
    if "DATABASE_URL" in os.environ:
        pytest.skip("the embedded data directory's own key file")
    answer(recount("import", str(CASES / "dispute-hold" / "history.jsonl"), "--json"))
    key = tmp_path / "data" / "master.key"
    kept = key.read_bytes()
    key.unlink()
    done = recount("replay", "account/dispute-hold.A")
    assert done.returncode == 1
    assert b"master.key is missing" in done.stderr
    assert not key.exists()
    key.write_bytes(kept)
    answer(recount("replay", "account/dispute-hold.A", "--json"))


@pytest.mark.slow  # test_crash kills one, too, at a moment that is chosen
def test_an_import_that_was_killed_is_whole_after_it_is_run_again(recount, tmp_path):
    """Given an import killed with SIGKILL at any moment, when it is run again, then every line is there once."""
    lines = HARBIN.read_text()
    many = tmp_path / "many.jsonl"
    with many.open("w") as file:
        for n in range(120):
            file.write(
                lines.replace("P-HRB", f"P{n}").replace("A-", f"A{n}-").replace("C-HRB", f"C{n}")
                .replace("dealer/D-17", f"dealer/D{n}").replace('"harbin-', f'"h{n}-')
            )  # fmt: skip
    command = [sys.executable, "-P", "-m", "api.cli", "import", str(many), "--data", str(tmp_path / "data")]
    for wait_s in (1.6, 2.2):
        process = subprocess.Popen(command, env=recount.environment, stderr=subprocess.DEVNULL)
        time.sleep(wait_s)
        process.kill()
        process.wait()
    told = answer(recount("import", str(many), "--json"))
    assert (told["lines"], told["refused"]) == (120 * 102, 0)
    assert answer(recount("import", str(many), "--json"))["repeated"] == 120 * 102
