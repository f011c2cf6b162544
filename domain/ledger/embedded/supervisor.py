"""The small process that runs one data directory's server for as long as anybody uses it.

`python -m domain.ledger.embedded.supervisor <data> <descriptor of the locked supervisor.lock> <way|''>`:
started by a command, detached from it at once, and ended by the kernel's word that the last user's lock is
free. It knows nothing of what its users do with the server. Its standard error is the server's log.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
import traceback
import uuid
from collections import deque
from enum import Enum, auto
from pathlib import Path
from types import FrameType

from domain.ledger.embedded.cluster import (
    Cluster,
    find_cluster,
    make_socket_dir,
    remove_socket_dir,
    remove_stale_sockets,
)
from domain.ledger.embedded.files import (
    DATABASE,
    LOG,
    NEWS,
    PORT,
    USER,
    USERS_LOCK,
    EmbeddedError,
    News,
    Status,
    is_current,
    log_tail,
    open_own,
    publish,
    read_news,
    socket_path,
    try_lock,
)

START_POLL_S = 0.01  # a clean start takes some 0.1 s
WATCH_POLL_S = 0.1  # how late it may see the last user go or the server die: nobody waits for less
DEATHS_MAX = 5  # a server that dies more often than this ...
DEATHS_WITHIN_S = 60.0  # ... in this time will not get better by being started again


class Seen(Enum):
    """What made the supervisor stop watching its server."""

    READY = auto()
    UNUSED = auto()  # the last user is gone, or somebody told the supervisor to stop
    REMOVED = auto()  # the data directory is gone
    DIED = auto()  # the server, or the socket by which it is reached


class Supervisor:
    """One life of the supervisor of one data directory, whose lock this process holds."""

    def __init__(self, data: Path, forced: str) -> None:
        self._data = data
        self._forced = forced
        self._attempt = uuid.uuid4().hex
        self._log_start = os.fstat(sys.stderr.fileno()).st_size
        self._users_fd = open_own(data, USERS_LOCK, os.O_RDWR)
        self._news_fd: int | None = None
        self._server: subprocess.Popen[bytes] | None = None
        self._socket_dir: Path | None = None
        self._told_to_stop = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_stop)

    def run(self) -> None:
        """Serve until nobody needs it; a failure is published, for the commands that wait for it."""
        seen = Seen.DIED
        try:
            seen = self._serve()
        except EmbeddedError as error:
            self._fail(str(error))
        except OSError as error:  # a full disk, say
            self._fail(f"the supervisor of {self._data} cannot go on: {error}")
        except Exception as error:  # noqa: BLE001  whatever it is: somebody waits to be told
            _note(traceback.format_exc())
            self._fail(f"the supervisor of {self._data} failed ({error!r}): please report this")
        else:
            if seen is not Seen.REMOVED:  # else the name may already be another server's
                with contextlib.suppress(OSError):
                    (self._data / NEWS).unlink()

    def _serve(self) -> Seen:
        earlier = read_news(self._data)
        remove_stale_sockets(self._data, earlier.socket_dir if earlier else "")
        cluster = find_cluster(self._data, self._forced)
        if not cluster.check():
            self._publish(Status.CREATING)
            cluster.create()
        deaths: deque[float] = deque(maxlen=DEATHS_MAX)
        while True:
            try:
                seen = self._serve_once(cluster, first=not deaths)
            finally:
                self._end(cluster)
            if seen is not Seen.DIED:
                return seen
            _note(f"the server died and is started again ({len(deaths) + 1})")
            deaths.append(time.monotonic())
            if len(deaths) == DEATHS_MAX and deaths[-1] - deaths[0] < DEATHS_WITHIN_S:
                raise EmbeddedError(f"the server of {self._data} keeps dying{self._last_words()}")

    def _serve_once(self, cluster: Cluster, *, first: bool) -> Seen:
        """One life of the server. While it is not the first, dying before it is ready is no error yet."""
        self._publish(Status.STARTING)
        cluster.clear_remains()
        self._socket_dir = make_socket_dir(self._data, cluster.identity)
        self._publish(Status.STARTING)  # names the socket's directory, to be cleaned up whatever happens
        self._server = cluster.serve(self._socket_dir)
        seen = self._watch(cluster, self._server, until_ready=True)
        if seen is Seen.READY:
            if first:  # afterwards its users may need every connection
                cluster.need_database(self._socket_dir)
            self._publish(Status.RUNNING)
            seen = self._watch(cluster, self._server, until_ready=False)
        elif seen is Seen.DIED and first:
            raise EmbeddedError(f"the server of {self._data} does not start{self._last_words()}")
        return seen

    def _watch(self, cluster: Cluster, server: subprocess.Popen[bytes], *, until_ready: bool) -> Seen:
        """Wait for something to happen. There is no limit: recovering from a crash takes what it takes."""
        while True:
            if not is_current(self._users_fd, self._data / USERS_LOCK):
                return Seen.REMOVED
            if self._told_to_stop or try_lock(self._users_fd, exclusive=True):
                return Seen.UNUSED  # the lock stays ours until we end: newcomers wait for that
            if server.poll() is not None:
                return Seen.DIED
            if until_ready and cluster.is_ready(server):
                return Seen.READY
            if not until_ready and not os.path.lexists(socket_path(str(self._socket_dir))):
                return Seen.DIED  # a cleaner of temporary files took the socket: as good as dead
            time.sleep(START_POLL_S if until_ready else WATCH_POLL_S)

    def _end(self, cluster: Cluster) -> None:
        if self._server:
            cluster.stop(self._server)
            self._server = None
        if self._socket_dir:
            remove_socket_dir(self._socket_dir)
            self._socket_dir = None

    def _publish(self, status: Status, error: str = "") -> None:
        socket_dir = str(self._socket_dir or "")
        news = News(
            status=status,
            attempt=self._attempt,
            supervisor=os.getpid(),
            postmaster=self._server.pid if self._server else 0,
            socket_dir=socket_dir,
            conninfo=f"host={_quoted(socket_dir)} port={PORT} user={USER} dbname={DATABASE}",
            error=error,
        )
        fd = publish(self._data, news)
        if self._news_fd is not None:
            os.close(self._news_fd)
        self._news_fd = fd

    def _fail(self, error: str) -> None:
        _note(error)
        with contextlib.suppress(OSError):  # the directory itself may be what is gone
            self._publish(Status.FAILED, error)

    def _last_words(self) -> str:
        return log_tail(self._data / LOG, self._log_start)

    def _on_stop(self, _number: int, _frame: FrameType | None) -> None:
        self._told_to_stop = True


def _quoted(value: str) -> str:
    """Return the value as libpq's connection strings want it; most paths need no quotes."""
    if value and not set(value) & set(" '\\"):
        return value
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _note(line: str) -> None:
    sys.stderr.write(f"{time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime())} UTC supervisor: {line}\n")
    sys.stderr.flush()


def main(data: str, lock_fd: str, forced: str) -> None:
    """Detach from the command that started us, and supervise."""
    os.set_inheritable(int(lock_fd), False)  # noqa: FBT003  the lock ends with us, not with a server
    if os.fork() != 0:
        os._exit(0)  # so the command has no child left to wait for
    os.umask(0o077)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])  # the command's own are none of ours
    Supervisor(Path(data).resolve(), forced).run()  # the link it was reached by may go before the last user


if __name__ == "__main__":
    main(*sys.argv[1:])
