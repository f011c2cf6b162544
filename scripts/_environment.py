"""Makes a virtual environment hold what a lock file names; started by scripts/environment.

Usage: _environment.py run|dev FOLDER

Three files in the folder tell later runs, and runs at the same time, where it stands:

.ready-run, .ready-dev  copies of the lock files it satisfies, each written as the last step
.unfinished             there while a set-up is under way: whoever finds it starts from nothing
.setup-lock             held by the set-up under way, and by the pip it started should it be killed
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent
LOCKS = {"run": ROOT / "requirements.lock", "dev": ROOT / "requirements-dev.lock"}
LINES_OF_A_FAILURE = 15
USABLE = "import sys; sys.exit(sys.version_info < (3, 11))"


def say(line: str) -> None:
    """Tell the person who waits; standard output belongs to the program they started."""
    print(f"recount: {line}", file=sys.stderr, flush=True)


def fail(line: str) -> NoReturn:
    """End with one line that says what to do."""
    say(line)
    sys.exit(1)


class Environment:
    """One virtual environment, of which this process is the only one to change anything."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.python = folder / "bin" / "python"
        self.unfinished = folder / ".unfinished"
        self.setup_lock = folder / ".setup-lock"
        self.lock_fd = self._alone()

    def _alone(self) -> int:
        """Wait until no other set-up is under way, and keep further ones out."""
        self.folder.mkdir(parents=True, exist_ok=True)
        fd = os.open(self.setup_lock, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another run is setting up; waiting for it…")
            fcntl.flock(fd, fcntl.LOCK_EX)
        return fd

    def stamp(self, kind: str) -> Path:
        """Where the copy of the lock file stands that this environment satisfies."""
        return self.folder / f".ready-{kind}"

    def satisfies(self, kind: str) -> bool:
        """Tell whether there is nothing to do."""
        stamp = self.stamp(kind)
        return stamp.is_file() and stamp.read_bytes() == LOCKS[kind].read_bytes() and self.works()

    def works(self) -> bool:
        """Tell whether packages can be installed here (not after the python it was made with went)."""
        if not os.access(self.python, os.X_OK):
            return False
        return self._succeeds("-c", USABLE) and (self._has_pip() or shutil.which("uv") is not None)

    def satisfy(self, kind: str) -> None:
        """Install what the lock file names, from nothing unless the environment is whole."""
        whole = not self.unfinished.exists() and self.works()
        self.unfinished.touch()
        for other in LOCKS:
            self.stamp(other).unlink(missing_ok=True)
        if whole:
            say("bringing the virtual environment up to date…")
        else:
            say("setting up (once, about half a minute)…")
            say(f"making the virtual environment {self.folder}")
            self._clear()
            self._create()
        lock = LOCKS[kind]
        content = lock.read_bytes()
        say(f"installing {len(re.findall(rb'^[a-z0-9]', content, re.MULTILINE))} packages from {lock.name}")
        self._install(lock)
        # Whoever has the tools of the tests has what the program needs too.
        self._write_stamp(kind, content)
        if kind == "dev":
            self._write_stamp("run", LOCKS["run"].read_bytes())
        self.unfinished.unlink()

    def _write_stamp(self, kind: str, content: bytes) -> None:
        new = self.folder / ".ready-new"
        new.write_bytes(content)
        new.replace(self.stamp(kind))

    def _clear(self) -> None:
        """Remove all but the two files that keep this right should it be cut short."""
        for path in self.folder.iterdir():
            if path in (self.unfinished, self.setup_lock):
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()

    def _create(self) -> None:
        # The interpreter by its real name (python3.11): when that is replaced by a newer one, the
        # environment's link to it ends nowhere, and the next run makes the environment anew.
        base = os.path.realpath(sys.executable)
        ensurepip = importlib.util.find_spec("ensurepip")
        if ensurepip and ensurepip.origin:
            command = [base, "-I", "-m", "venv", str(self.folder)]
        else:
            command = ["uv", "venv", "--allow-existing", "--python", base, str(self.folder)]
        self._run(command, "the virtual environment could not be made")

    def _install(self, lock: Path) -> None:
        locked = ["--require-hashes", "--only-binary", ":all:", "-r", str(lock)]
        if self._has_pip():
            install = [str(self.python), "-I", "-m", "pip", "install", "--no-input"]
        else:
            install = ["uv", "pip", "install", "--python", str(self.python)]
        self._run([*install, *locked], f"the packages of {lock.name} could not be installed")

    def _has_pip(self) -> bool:
        return self._succeeds("-c", "import pip")

    def _succeeds(self, *arguments: str) -> bool:
        try:
            done = subprocess.run([self.python, "-I", *arguments], check=False, capture_output=True)
        except OSError:
            return False
        return done.returncode == 0

    def _run(self, command: list[str], failure: str) -> None:
        """Run quietly; what the command printed matters only when it fails."""
        done = subprocess.run(
            command,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=self.folder,
            # It goes on when only this process is killed: the next set-up then waits for its end.
            pass_fds=[self.lock_fd],
        )
        if done.returncode:
            lines = done.stdout.decode(errors="replace").splitlines()
            print(*lines[-LINES_OF_A_FAILURE:], sep="\n", file=sys.stderr)
            fail(f"{failure} (above, the end of what was said); the next run tries again")


def is_foreign(folder: Path) -> bool:
    """Tell whether this is a folder of something else, where nothing may be removed."""
    ours = {".unfinished", ".setup-lock", "pyvenv.cfg"}
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    return bool(names) and not names & ours


def main() -> None:
    """Set the environment up, or say why that cannot be."""
    kind, folder = sys.argv[1], Path(sys.argv[2])
    started = time.monotonic()
    try:
        if is_foreign(folder):
            fail(f"{folder} is no virtual environment; RECOUNT_VENV can name an empty folder, or a new one")
        environment = Environment(folder)
        if environment.satisfies(kind):
            return  # the run that was waited for did it
        environment.satisfy(kind)
    except OSError as problem:
        fail(f"cannot set up {folder} ({problem}); RECOUNT_VENV can name a folder that you may write")
    except KeyboardInterrupt:
        fail("interrupted; the next run starts the set-up again")
    say(f"ready after {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
