"""What the processes that share one data directory agree on: the files' names, the locks, the news.

The supervisor publishes its state in `server.json`. Every edition is a new file, locked exclusively by its
writer before it gets its name and for as long as it holds: so a reader that finds the lock free knows that
these very lines are stale, whatever became of the process ids in them. This module starts no process.
"""

import contextlib
import fcntl
import json
import os
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path

PGDATA = "pg"
USERS_LOCK = "users.lock"
SUPERVISOR_LOCK = "supervisor.lock"
NEWS = "server.json"
LOG = "postgres.log"

USER = DATABASE = "recount"
PORT = 5432  # only a part of the socket's name: nothing listens on a network
LOG_BYTES_MAX = 10 * 1024 * 1024  # some months of a healthy server; one older log is kept beside it
TAIL_LINES = 8  # enough for PostgreSQL's error, detail and hint
TAIL_BYTES = 4096


class EmbeddedError(Exception):
    """One clear line: what is wrong and what would be right."""


class Status(StrEnum):
    """Where a supervisor stands."""

    CREATING = "creating"
    STARTING = "starting"
    RUNNING = "running"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class News:
    """What a supervisor says of itself and its server; `alive` is the reader's finding, not its word."""

    status: Status
    attempt: str  # names one supervisor's life, as a process id may come again
    supervisor: int
    postmaster: int = 0
    socket_dir: str = ""
    conninfo: str = ""
    error: str = ""
    alive: bool = field(default=True, compare=False)


def read_news(data: Path) -> News | None:
    """Return the data directory's latest news, or None if there is none that can be read."""
    try:
        fd = os.open(data / NEWS, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(fd, "rb") as file:
        try:
            said = json.loads(file.read())
            said["status"] = Status(said["status"])
            return News(**said | {"alive": not try_lock(fd, exclusive=False)})
        except (ValueError, TypeError, KeyError):
            return None  # not ours, or of another version of the program: the same as no news


def publish(data: Path, news: News) -> int:
    """Replace the news by these; return the descriptor whose lock keeps them believable."""
    fresh = data / f"{NEWS}.new"
    fresh.unlink(missing_ok=True)  # of a killed supervisor: ours is the only one now
    fd = open_own(data, fresh.name, os.O_RDWR)
    try_lock(fd, exclusive=True)
    said = asdict(news)
    del said["alive"]
    os.write(fd, json.dumps(said, indent=1).encode() + b"\n")
    fresh.replace(data / NEWS)
    return fd


def open_own(data: Path, name: str, flags: int) -> int:
    """Open a file of the data directory, made private if it is missing.

    It is the directory owner's even if root makes it: the owner can still use his own data afterwards.
    """
    flags |= os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        fd = os.open(data / name, flags | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return os.open(data / name, flags | os.O_CREAT, 0o600)
    if os.geteuid() == 0:
        owner = data.stat()
        os.fchown(fd, owner.st_uid, owner.st_gid)
    return fd


def try_lock(fd: int, *, exclusive: bool) -> bool:
    """Lock the open file if that is possible at once; say whether it is now locked."""
    try:
        fcntl.flock(fd, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_current(fd: int, path: Path) -> bool:
    """Whether the open file still is the one of that name (a lock on a removed file shuts nobody out)."""
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except OSError:
        return False


def sync_directory(path: Path) -> None:
    """Make the directory's entries survive a power cut."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def socket_path(socket_dir: str) -> str:
    """Return the path of the server's socket in its directory."""
    return f"{socket_dir}/.s.PGSQL.{PORT}"


def open_log(data: Path) -> int:
    """Open the log for appending; a large one is put aside first. Only under the supervisor's lock."""
    log = data / LOG
    with contextlib.suppress(FileNotFoundError):
        if log.stat().st_size > LOG_BYTES_MAX:
            log.replace(data / f"{LOG}.1")
    return open_own(data, LOG, os.O_WRONLY | os.O_APPEND)


def log_tail(log: Path, since: int = 0) -> str:
    """Return the log's last lines written after the byte `since`, made to follow an error's one line."""
    try:
        with log.open("rb") as file:
            file.seek(max(since, log.stat().st_size - TAIL_BYTES))
            lines = file.read().decode(errors="replace").splitlines()[-TAIL_LINES:]
    except OSError:
        return ""
    return "".join(f"\n  {line}" for line in ["the last lines of " + str(log) + ":", *lines] if lines)
