"""The PostgreSQL that comes along when no DATABASE_URL is given.

Any number of commands share the server of one data directory, in any order of starting and stopping. Each
holds a shared lock on `users.lock`; a small detached supervisor (supervisor.py) runs the server and stops it
once that lock is free, which the kernel sees to even when a command is killed. Nothing here knows of events,
accounts or tables: it hands out a connection string and keeps it true.
"""

import os
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from domain.ledger.embedded.files import (
    DATABASE,
    LOG,
    SUPERVISOR_LOCK,
    USER,
    USERS_LOCK,
    EmbeddedError,
    News,
    Status,
    is_current,
    log_tail,
    open_log,
    open_own,
    read_news,
    socket_path,
    try_lock,
)

__all__ = ["EmbeddedError", "EmbeddedPostgres"]

AS_VARIABLE = "RECOUNT_EMBEDDED_AS"  # userns | setuid: for the tests, which hold both ways open
POLL_S = 0.02  # a start takes some 0.3 s: this is not felt, and costs nothing
SLOW_START_S = 3.0  # a clean start never takes so long: after it the waiting is worth a word
SPAWNS_MAX = 3  # one is the rule, two after an unlucky kill; more means it dies before it can speak
PROBE_S = 2.0  # to be let in by a local server; only a stopped or overwhelmed one takes longer
# PostgreSQL's protocol 3.0: the first message of a session, its last, and SQLSTATE 57P03 in a refusal.
_PARAMETERS = f"user\0{USER}\0database\0{DATABASE}\0\0".encode()
HELLO = struct.pack("!ii", 8 + len(_PARAMETERS), 196608) + _PARAMETERS
GOODBYE = struct.pack("!ci", b"X", 4)
CANNOT_CONNECT_NOW = b"\0C57P03\0"

ROOT = Path(__file__).parents[3]  # where `domain` is found by the supervisor's interpreter


class EmbeddedPostgres:
    """A user's hold on the PostgreSQL of one data directory.

    The server runs at least as long as one hold lives; a process that dies gives its holds back. A forked
    child shares its parent's hold.
    """

    def __init__(
        self, data_dir: Path, *, progress: Callable[[str], None] | None = None, timeout_s: float = 60.0
    ) -> None:
        self._data = Path(os.path.abspath(data_dir))  # noqa: PTH100  resolve() would follow a moved link
        self._progress = progress or (lambda _line: None)
        self._timeout_s = timeout_s
        self._users_fd: int | None = None
        self._conninfo: str | None = None
        self._turn = threading.RLock()  # of the threads of this process, which may all call ensure()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def conninfo(self) -> str:
        """The libpq connection string of the last start() or ensure(); EmbeddedError when not held."""
        if self._conninfo is None:
            raise EmbeddedError("the embedded PostgreSQL is not started: call start() first")
        return self._conninfo

    def start(self) -> str:
        """Make, start or join the server; return its libpq connection string.

        Raises EmbeddedError with one clear line (and the server's last words) when that cannot be done
        within timeout_s seconds.
        """
        with self._turn:
            if self._users_fd is not None:
                return self.ensure()
            deadline = time.monotonic() + self._timeout_s
            self._users_fd = self._hold(deadline)
            try:
                self._conninfo = self._await_server(deadline)
            except BaseException:
                self.close()
                raise
            return self._conninfo

    def ensure(self) -> str:
        """Bring the server back if it died since; return the connection string, which may have changed.

        To be called when a connection failed: each call costs the server a (very short) session. Takes up
        to timeout_s seconds; raises EmbeddedError when not held, or when the server stays away.
        """
        with self._turn:
            if self._users_fd is None:
                raise EmbeddedError("the embedded PostgreSQL is not started: call start() first")
            if not is_current(self._users_fd, self._data / USERS_LOCK):
                raise EmbeddedError(f"the data directory {self._data} was removed while in use: start anew")
            self._conninfo = self._await_server(time.monotonic() + self._timeout_s)
            return self._conninfo

    def close(self) -> None:
        """Give the hold back; the last one out makes the supervisor stop the server. May be called again."""
        with self._turn:
            if self._users_fd is not None:
                os.close(self._users_fd)  # no LOCK_UN: a forked child that shares the hold keeps it
            self._users_fd = self._conninfo = None

    def _hold(self, deadline: float) -> int:
        """Take a user's shared lock; waits while a supervisor that is just stopping keeps newcomers out."""
        try:
            self._data.mkdir(mode=0o700, parents=True, exist_ok=True)
            while True:
                fd = open_own(self._data, USERS_LOCK, os.O_RDWR)
                try:
                    while not try_lock(fd, exclusive=False):
                        self._pause(deadline, "the previous server is still stopping")
                    if is_current(fd, self._data / USERS_LOCK):
                        return fd
                except BaseException:
                    os.close(fd)
                    raise
                os.close(fd)  # the directory was removed and made anew meanwhile
                self._pause(deadline, "the data directory is being replaced")
        except OSError as error:
            reason = "it is a file" if self._data.is_file() else error.strerror or error
            raise EmbeddedError(
                f"the data directory {self._data} cannot be used ({reason}):"
                " name a directory this user can write to"
            ) from error

    def _await_server(self, deadline: float) -> str:
        """Return the connection string of a server that accepts connections, started if need be."""
        before = read_news(self._data)
        known = (
            before.attempt if before and before.status == Status.FAILED else None
        )  # not this start's failure
        teller = _Teller(self._progress)
        spawns = 0
        while True:
            news = read_news(self._data)
            if news and news.status == Status.FAILED and news.attempt != known:
                raise EmbeddedError(news.error)
            if news and news.alive:
                teller.tell(news)
                if news.status == Status.RUNNING and _answers(news.socket_dir):
                    return news.conninfo
            elif spawns < SPAWNS_MAX:
                spawns += self._spawn(deadline)
            elif _is_unsupervised(self._data):
                raise EmbeddedError(
                    f"the supervisor of {self._data} ended without a word{log_tail(self._data / LOG)}"
                )
            self._pause(deadline, _describe(news))

    def _spawn(self, deadline: float) -> bool:
        """Start a supervisor unless there is one: whoever gets its lock hands it down to the new process.

        So of any number of commands racing here exactly one starts it, with no moment in between at which
        the lock is free.
        """
        try:
            lock_fd = open_own(self._data, SUPERVISOR_LOCK, os.O_RDWR)
            try:
                if not try_lock(lock_fd, exclusive=True):
                    return False
                log_fd = open_log(self._data)
                try:
                    self._run_supervisor(lock_fd, log_fd, deadline)
                finally:
                    os.close(log_fd)
            finally:
                os.close(lock_fd)
        except OSError as error:
            raise EmbeddedError(f"no server can be started for {self._data}: {error}") from error
        return True

    def _run_supervisor(self, lock_fd: int, log_fd: int, deadline: float) -> None:
        since = os.fstat(log_fd).st_size
        # PGOPTIONS and its like are meant for the user's connections, not for the server's keeper.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        paths = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
        environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), *map(os.path.abspath, paths)])
        command = [sys.executable, "-P", "-m", "domain.ledger.embedded.supervisor"]
        try:
            done = subprocess.run(
                [*command, str(self._data), str(lock_fd), os.environ.get(AS_VARIABLE, "")],
                check=False,
                stdin=subprocess.DEVNULL,
                stdout=log_fd,
                stderr=log_fd,
                cwd="/",  # it must not keep a directory of the user's busy
                env=environment,
                pass_fds=[lock_fd],  # and nothing else: above all not the lock of this user
                start_new_session=True,  # Ctrl-C is meant for the command
                timeout=max(deadline - time.monotonic(), 1.0),
            )
        except subprocess.TimeoutExpired:
            return  # the caller's own deadline tells it better
        if done.returncode != 0:
            raise EmbeddedError(
                f"the supervisor of {self._data} does not start{log_tail(self._data / LOG, since)}"
            )

    def _pause(self, deadline: float, waiting_for: str) -> None:
        if time.monotonic() >= deadline:
            raise EmbeddedError(
                f"the PostgreSQL of {self._data} was not ready within {self._timeout_s:g} s:"
                f" {waiting_for}{log_tail(self._data / LOG)}"
            )
        time.sleep(POLL_S)


class _Teller:
    """Says at most once each what makes a start slow."""

    def __init__(self, progress: Callable[[str], None]) -> None:
        self._progress = progress
        self._since = time.monotonic()
        self._told: set[Status] = set()

    def tell(self, news: News) -> None:
        if news.status == Status.CREATING:
            self._once(news.status, "creating the database (first start)…")
        elif news.status == Status.STARTING and time.monotonic() - self._since > SLOW_START_S:
            self._once(news.status, "waiting for the database…")

    def _once(self, status: Status, line: str) -> None:
        if status not in self._told:
            self._told.add(status)
            self._progress(line)


def _is_unsupervised(data: Path) -> bool:
    """Whether no supervisor holds its lock at this moment."""
    fd = open_own(data, SUPERVISOR_LOCK, os.O_RDWR)
    try:
        return try_lock(fd, exclusive=False)
    finally:
        os.close(fd)


def _answers(socket_dir: str) -> bool:
    """Whether the server really lets users in.

    Its supervisor may not yet have seen that it died; and after the death of one of its sessions it recovers
    by itself, for which time it refuses everybody.
    """
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(PROBE_S)
        try:
            probe.connect(socket_path(socket_dir))
            probe.sendall(HELLO)
            answer = probe.recv(1024)
            if answer.startswith(b"R"):  # let in; a proper goodbye keeps the server's log clean
                probe.sendall(GOODBYE)
                while probe.recv(1024):
                    pass
        except OSError:
            return False
    # Any other refusal (too many sessions, say) is a running server's, and for the user to see.
    return bool(answer) and CANNOT_CONNECT_NOW not in answer


def _describe(news: News | None) -> str:
    if news is None:
        return "its supervisor has not spoken yet"
    if not news.alive:
        return f"its supervisor (pid {news.supervisor}) is gone and the next one has not spoken yet"
    if news.status == Status.RUNNING:
        return f"it runs (pid {news.postmaster}), but lets nobody in at {news.socket_dir}"
    return f"it is still {news.status} (supervisor pid {news.supervisor})"
