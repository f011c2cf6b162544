"""Reject files: refused lines as they came in, personal data in clear, and so kept for a bounded time only.

A line that was refused never got a key, so that destroying a key can't erase it: what speaks of a person is taken out
of the files by what the person is known by. Who writes a file and who takes lines out do it in turn, by a lock on the
folder, so that neither loses what the other did.
"""

import base64
import contextlib
import fcntl
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import orjson

from domain.ledger.interchange import Refusal

REJECTS_FOLDER = "rejects"
HALF_SUFFIX = ".part"
KEPT_DAYS = 30  # long enough to mend what was refused and bring it again
VALUE_MIN_CHARS = 2  # one character is in half of all lines: a name has two


class Scrubbed(NamedTuple):
    """How many lines were taken out of how many files."""

    files: int
    lines: int


class Rejects:
    """A reject file, made with the first refused line and readable by its owner only: it holds what came."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0
        self._file: BinaryIO | None = None

    def add(self, name: str, refusal: Refusal) -> None:
        """Keep a refused line with its place, field and reason; its text where that may be kept."""
        entry: dict[str, Any] = {
            "file": name,
            "line": refusal.line,
            "field": refusal.field,
            "reason": refusal.reason,
        }
        if refusal.text is None:
            entry["withheld"] = "personal data of a party that was erased"
        else:
            try:
                entry["text"] = refusal.text.decode("utf-8")
            except UnicodeDecodeError:
                entry["base64"] = base64.b64encode(refusal.text).decode("ascii")
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _alone(self.path.parent):
            file = self._opened()
            file.write(orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE))
            file.flush()
        self.count += 1

    def close(self) -> None:
        """Put the file safely on disk."""
        if self._file is not None:
            os.fsync(self._file.fileno())
            self._file.close()

    def _opened(self) -> BinaryIO:
        """Return the file that stands under the name: lines may have been taken out of it, into a new one."""
        if self._file is not None:
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(self._file.fileno()), self.path.stat()):
                    return self._file
            self._file.close()
        mode = os.O_WRONLY | os.O_CREAT | os.O_APPEND | (0 if self.count else os.O_TRUNC)
        self._file = os.fdopen(os.open(self.path, mode, 0o600), "wb")
        return self._file


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let nobody else write reject files of a folder while the block runs; a killed one lets go of it."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def expire(data_dir: Path, now: float | None = None) -> int:
    """Remove the data directory's reject files that are too old, and return how many."""
    until = (time.time() if now is None else now) - KEPT_DAYS * 86_400
    folder = data_dir / REJECTS_FOLDER
    if not folder.is_dir():
        return 0
    with _alone(folder):
        old = [path for path in _files(folder) if path.stat().st_mtime < until]
        for path in old:
            _destroy(path)
    return len(old)


def scrub(
    data_dir: Path, subjects: Iterable[str], values: Iterable[str], also: Path | None = None
) -> Scrubbed:
    """Take every line out that names one of some streams, or holds one of some values; others stay as they are.

    `also`: a reject file that stands elsewhere.
    """
    sought, folder = _sought(subjects, values), data_dir / REJECTS_FOLDER
    taken: list[int] = []
    if folder.is_dir():
        with _alone(folder):
            taken += [_taken_out(path, sought) for path in _files(folder)]
    if also is not None and also.is_file():  # and if it was looked at already
        with _alone(also.parent):
            taken.append(_taken_out(also, sought))
    return Scrubbed(sum(map(bool, taken)), sum(taken))


def _taken_out(path: Path, sought: list[bytes]) -> int:
    """Take lines out of a file, which goes where none is left, and return how many."""
    found = path.read_bytes().splitlines(keepends=True)
    left = [line for line in found if not _speaks_of(line, sought)]
    if left and len(left) < len(found):
        _replace(path, left)
    elif found and not left:
        _destroy(path)
    return len(found) - len(left)


def _files(folder: Path) -> list[Path]:
    """Return a folder's reject files. What a kill left half written is none: the file it was to replace is whole."""
    for half in folder.glob(f"*{HALF_SUFFIX}"):
        _destroy(half)
    return sorted(folder.glob("*.jsonl"))


def _sought(subjects: Iterable[str], values: Iterable[str]) -> list[bytes]:
    """Return what a line is searched for: subjects and bare ids as JSON strings, values as any JSON writes them."""
    found: set[bytes] = set()
    for subject in subjects:
        found |= {orjson.dumps(subject), orjson.dumps(subject.partition("/")[2])}
    for value in values:
        if len(value) >= VALUE_MIN_CHARS:
            plain = orjson.dumps(value)[1:-1]
            escaped = "".join(c if ord(c) < 128 else _escaped(c) for c in plain.decode()).encode()
            found |= {plain, escaped, escaped.lower(), value.encode()}
    return sorted(found)


def _escaped(character: str) -> str:
    units = character.encode("utf-16-be")
    return "".join(f"\\u{units[n]:02X}{units[n + 1]:02X}" for n in range(0, len(units), 2))


def _speaks_of(line: bytes, sought: list[bytes]) -> bool:
    try:
        entry = orjson.loads(line)
        text = entry["text"].encode() if "text" in entry else base64.b64decode(entry["base64"])
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError):
        text = line  # cut off by a kill, or not ours
    return any(one in text for one in sought)


def _replace(path: Path, lines: list[bytes]) -> None:
    """Put some lines in a file's place, safe on disk before the old one is overwritten."""
    temporary = path.with_suffix(HALF_SUFFIX)
    old = os.open(path, os.O_RDWR)
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.writelines(lines)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _overwrite(old)
    finally:
        os.close(old)


def _destroy(path: Path) -> None:
    """Remove a file, overwritten before: where the file system writes in place, nothing of it is left."""
    handle = os.open(path, os.O_RDWR)
    try:
        _overwrite(handle)
    finally:
        os.close(handle)
    path.unlink()


def _overwrite(handle: int) -> None:
    left, at = os.fstat(handle).st_size, 0
    while left > 0:
        written = os.pwrite(handle, bytes(min(left, 1 << 20)), at)
        left, at = left - written, at + written
    os.fsync(handle)
