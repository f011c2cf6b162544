"""Backups that can be restored, and a standby that has all that was acknowledged, with PostgreSQL's own programs."""

import contextlib
import os
import shutil
import subprocess
import threading

import orjson
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from api.cli import main
from api.runtime import READ_MODELS, Runtime, opened, present
from api.settings import Settings
from domain.ledger.database import StorageError
from domain.ledger.embedded import EmbeddedPostgres
from domain.ledger.embedded.cluster import find_cluster, find_programs, make_socket_dir
from domain.ledger.embedded.files import DATABASE, PORT, USER
from domain.ledger.writer import BusyError, Writer
from projections.engine import catch_up
from projections.engine.verifying import verify
from tests import support
from tests.conftest import HARBIN, import_file, opened_deployment
from tests.support import LEDGER, asked, pay, receipt, wait_for

pytestmark = [pytest.mark.storage, pytest.mark.usefixtures("embedded_only")]

COMMANDS_MIN = (
    200  # acknowledged before the primary is killed: enough that it is killed in the middle of some
)
CLIENTS = 4


def run(name, *arguments):
    """Run one of PostgreSQL's programs that come along; it has to go well."""
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
    command = [str(find_programs() / name), *arguments]
    done = subprocess.run(command, capture_output=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr.decode()


def at(conninfo):
    """Return how PostgreSQL's programs are told where a server is."""
    given = conninfo_to_dict(conninfo)
    return ["-h", given["host"], "-p", str(given.get("port", PORT)), "-U", given["user"]]


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """Return an embedded deployment with the Harbin case, its data directory, and how to reach its server."""
    data = tmp_path_factory.mktemp("original") / "data"
    with opened(Settings.read(data, {})) as runtime:
        import_file(runtime.deployment, HARBIN)
        catch_up(runtime.deployment, READ_MODELS, present)
        yield runtime.deployment, data, runtime.deployment.database._conninfo()


def assert_restored(data, original, capsys):
    """Assert that a restored data directory has the same log to the byte, opens it, and verifies whole."""
    deployment, source, _ = original
    shutil.copy(source / "master.key", data / "master.key")
    assert main(["verify", "--full", "--data", str(data), "--json"]) == 0
    verdict = orjson.loads(capsys.readouterr().out)
    assert (verdict["differences"], [v["streams"] > 5 for v in verdict["ledgers"]]) == (0, [True])
    assert all(v["rows"] and not v["unchecked"] for v in verdict["ledgers"])
    with opened(Settings.read(data, {})) as restored:
        assert log_of(restored.deployment) == log_of(deployment)
        with (
            restored.deployment.database.owner(f"ledger_{LEDGER}") as owner,
            pytest.raises(psycopg.errors.InsufficientPrivilege, match="events are never changed"),
        ):
            owner.execute("UPDATE event SET type = 'x'")
        found = main(["export", "party/P-HRB", "--plain", "--out", str(data / "plain"), "--data", str(data)])
        assert found == 0
        assert "用户甲" in (data / "plain").read_text()


def log_of(deployment):
    """Return the log as it stands, to the byte."""
    return [(e.position, e.state, e.digest, e.fingerprint) for e in support.assert_sound(deployment)]


def test_a_dump_that_is_restored_is_the_same_ledger(original, tmp_path, capsys):
    """Given a pg_dump, and one of the roles, when both are restored elsewhere, then all verifies and opens."""
    _, _, conninfo = original
    dump, roles, data = tmp_path / "ledger.dump", tmp_path / "roles.sql", tmp_path / "data"
    run("pg_dumpall", *at(conninfo), "--roles-only", "-f", str(roles))
    run("pg_dump", *at(conninfo), "-d", conninfo_to_dict(conninfo)["dbname"], "-Fc", "-f", str(dump))
    with EmbeddedPostgres(data) as server:
        run("psql", *at(server.conninfo), "-d", DATABASE, "-Xqf", str(roles))
        run("pg_restore", *at(server.conninfo), "-d", DATABASE, "--exit-on-error", str(dump))
        assert_restored(data, original, capsys)


def test_a_base_backup_that_is_started_is_the_same_ledger(original, tmp_path, capsys):
    """Given a pg_basebackup, when it is put in a data directory of its own and started, then all verifies and opens."""
    _, _, conninfo = original
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    run("pg_basebackup", *at(conninfo), "-D", str(data / "pg"), "-c", "fast", "-X", "stream")
    run("pg_verifybackup", str(data / "pg"))
    assert_restored(data, original, capsys)


# -- a standby ----------------------------------------------------------------------------------------------


@contextlib.contextmanager
def served(cluster):
    """Serve a cluster; give the server's process and how to reach it."""
    sockets = make_socket_dir(cluster.data, cluster.identity)
    server = cluster.serve(sockets)
    conninfo = make_conninfo(host=str(sockets), port=PORT, user=USER, dbname=DATABASE, connect_timeout=5)
    try:
        wait_for(lambda: answers(conninfo), 60)
        yield server, conninfo
    finally:
        server.kill()
        server.wait()
        cluster.clear_remains()
        shutil.rmtree(sockets, ignore_errors=True)


def answers(conninfo):
    """Whether a server lets anybody in."""
    with (
        contextlib.suppress(psycopg.OperationalError),
        psycopg.connect(make_conninfo(conninfo, dbname="postgres")),
    ):
        return True
    return False


def cluster_in(folder):
    """Return the cluster of a data directory, which is made."""
    folder.mkdir(mode=0o700, parents=True)
    return find_cluster(folder, "")


class Clerks:
    """Clients that take payments until they are stopped or turned away; what was acknowledged they write down."""

    def __init__(self, deployment):
        self.acknowledged = {}
        self._writer = Writer(deployment.ledger(LEDGER), present)
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(n,), daemon=True) for n in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def _work(self, number):
        count = 0
        while not self._stop.is_set():
            count += 1
            name = f"{number}-{count}"
            try:
                answer = self._writer.execute(asked(pay(name), "account/A1"), receipt(name))
            except (BusyError, StorageError, psycopg.Error):
                return
            self.acknowledged[name] = answer.body["events"][0]

    def end(self):
        self._stop.set()
        for thread in self._threads:
            thread.join(60)


@pytest.mark.slow
def test_a_synchronous_standby_has_everything_that_was_acknowledged(tmp_path):
    """Given a primary killed under load, when its synchronous standby is promoted, then it has all acknowledged."""
    first = cluster_in(tmp_path / "first")
    first.create()
    with served(first) as (primary, conninfo):
        run("psql", *at(conninfo), "-d", "postgres", "-c", f"CREATE DATABASE {DATABASE}")
        deployment = opened_deployment(conninfo)
        support.with_customer(Runtime(deployment))
        second = cluster_in(tmp_path / "second")
        run("pg_basebackup", *at(conninfo), "-D", str(second.pg), "-c", "fast", "-X", "stream", "-R")
        with served(second) as (_, standby):
            with psycopg.connect(conninfo, autocommit=True) as owner:
                owner.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
                owner.execute("SELECT pg_reload_conf()")
                follows = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
                wait_for(lambda: owner.execute(follows).fetchone() == (1,), 60)
            clerks = Clerks(deployment)
            wait_for(lambda: len(clerks.acknowledged) >= COMMANDS_MIN, 60)
            primary.kill()
            clerks.end()
            deployment.close()
            with psycopg.connect(standby, autocommit=True) as owner:
                assert owner.execute("SELECT pg_promote()").fetchone() == (True,)
            promoted = opened_deployment(standby)
            stands = positions(promoted)
            assert {e["id"]: e["position"] for e in clerks.acknowledged.values()}.items() <= stands.items()
            catch_up(promoted, READ_MODELS, present)
            assert verify(promoted.ledger(LEDGER), READ_MODELS, present(), sample=None).differences == []
            promoted.close()


def positions(deployment):
    """Return where each event of a sound log stands, by its id."""
    return {orjson.loads(e.state)["id"]: e.position for e in support.assert_sound(deployment)}
