"""As whom PostgreSQL runs, which refuses to run as root.

An ordinary user runs it as himself. Root runs it in a user namespace in which he has another number: no
ownership changes, and all he can reach the server can. Where namespaces are forbidden (Docker's default), it
runs as an unprivileged user who keeps one capability, CAP_DAC_OVERRIDE: so the program and the data may lie
in folders only root can enter, and none of them is ever opened up. Nothing here knows what PostgreSQL does.
"""

import ctypes
import errno
import os
import pwd
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from domain.ledger.embedded.files import EmbeddedError

Mode = Literal["self", "userns", "setuid"]

CLONE_NEWUSER = 0x10000000
PR_SET_PDEATHSIG, PR_SET_KEEPCAPS, PR_SET_SECUREBITS, PR_CAP_AMBIENT = 1, 8, 28, 47
PR_CAP_AMBIENT_RAISE = 2
SECBIT_NO_SETUID_FIXUP = 1 << 2
CAP_DAC_OVERRIDE = 1
CAPABILITY_VERSION_3 = 0x20080522

# Loaded here because nothing may be imported between fork and exec.
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Identity:
    """As whom a process of PostgreSQL runs."""

    mode: Mode
    uid: int  # as the process sees itself
    gid: int

    def own(self, path: Path) -> None:
        """Give this directory of ours (not its contents) to the identity."""
        if self.mode == "setuid":
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def own_tree(self, top: Path) -> None:
        """Give a whole directory to the identity, the top last: an interrupted change starts again."""
        if self.mode == "setuid":
            for folder, folders, files in os.walk(top):
                for name in [*folders, *files]:
                    self.own(Path(folder, name))
            self.own(top)

    def entry(self, *, death: signal.Signals, needs: Path) -> Callable[[], None]:
        """Return what a forked child does before exec: become the identity, and never outlive us.

        `death` is the signal the kernel sends when this process dies; `needs` a directory the identity must
        be able to enter, else the start fails.
        """
        parent = os.getpid()

        def enter() -> None:
            try:
                if self.mode == "userns":
                    _enter_namespace(self.uid, self.gid)
                elif self.mode == "setuid":
                    _drop_to(self.uid, self.gid)
                os.close(os.open(needs, os.O_RDONLY | os.O_DIRECTORY))
                _die_with(parent, death)  # last: a change of identity clears it
            except OSError as error:
                os.write(2, f"cannot run as uid {self.uid} ({self.mode}): {error}\n".encode())
                raise

        return enter


def candidates(data: Path, pg: Path, forced: str) -> list[Identity]:
    """Return the identities to try for the cluster `pg` in the directory `data`, best first.

    `forced` (userns, setuid or empty) leaves only that way to root. Raises EmbeddedError if there is none.
    """
    if os.geteuid() != 0:
        if _is_known(os.geteuid()) or not sys.platform.startswith("linux"):
            return [Identity("self", os.geteuid(), os.getegid())]
        # initdb wants its user's name, and a container may run under a number that has none.
        return [Identity("userns", *_unprivileged()), Identity("self", os.geteuid(), os.getegid())]
    if not sys.platform.startswith("linux"):
        raise EmbeddedError("PostgreSQL does not run as root on this system: start as an ordinary user")
    owner = (pg if pg.exists() else data).stat()
    if owner.st_uid != 0 and (pg.exists() or _is_known(owner.st_uid)):
        return [Identity("setuid", owner.st_uid, owner.st_gid)]
    ways = [Identity("userns", *_unprivileged()), Identity("setuid", *_unprivileged())]
    return [way for way in ways if forced in ("", way.mode)]


def _is_known(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _unprivileged() -> tuple[int, int]:
    """Return the uid and gid of nobody, or else of the last user who is not root."""
    users = [user for user in pwd.getpwall() if user.pw_uid != 0 and user.pw_gid != 0]
    if not users:
        raise EmbeddedError(
            "PostgreSQL does not run as root, and this system has no other user: add one to /etc/passwd"
            " (say, nobody), or set DATABASE_URL"
        )
    chosen = next((user for user in users if user.pw_name == "nobody"), users[-1])
    return chosen.pw_uid, chosen.pw_gid


def _enter_namespace(uid: int, gid: int) -> None:
    outer_uid, outer_gid = os.geteuid(), os.getegid()
    _check(_libc.unshare(CLONE_NEWUSER), "unshare")
    for name, line in (
        ("setgroups", "deny"),  # the kernel's condition for a map of groups
        ("uid_map", f"{uid} {outer_uid} 1"),
        ("gid_map", f"{gid} {outer_gid} 1"),
    ):
        fd = os.open(f"/proc/self/{name}", os.O_WRONLY)
        os.write(fd, line.encode())
        os.close(fd)


def _drop_to(uid: int, gid: int) -> None:
    try:
        # access(2), with which PostgreSQL looks for its own program, ignores capabilities without this.
        _prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP)
    except OSError:
        _prctl(PR_SET_KEEPCAPS, 1)  # will do where the program lies in the open
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    kept = 1 << CAP_DAC_OVERRIDE
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)(kept, kept, kept, 0, 0, 0)  # effective, permitted, inheritable; high halves
    _check(_libc.capset(header, sets), "capset")
    _prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE)


def _die_with(parent: int, death: signal.Signals) -> None:
    if sys.platform.startswith("linux"):
        _prctl(PR_SET_PDEATHSIG, death)
        if os.getppid() != parent:  # it died before the line above
            raise ProcessLookupError(errno.ESRCH, "the supervisor is gone")


def _prctl(option: int, *values: int) -> None:
    padded = [*values, 0, 0, 0, 0][:4]
    _check(_libc.prctl(ctypes.c_int(option), *(ctypes.c_ulong(value) for value in padded)), "prctl")


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
