"""Reject files: refused lines as they came in, personal data in clear, and so kept for a bounded time only.

A line that was refused never got a key, so that destroying a key can't erase it: what speaks of a person is taken out
of the files by what the person is known by.
"""

import base64
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import orjson

REJECTS_FOLDER = "rejects"
KEPT_DAYS = 30  # long enough to mend what was refused and bring it again
VALUE_MIN_CHARS = 2  # one character is in half of all lines: a name has two


class Scrubbed(NamedTuple):
    """How many lines were taken out of how many files."""

    files: int
    lines: int


def expire(data_dir: Path, now: float | None = None) -> int:
    """Remove the data directory's reject files that are too old, and return how many."""
    until = (time.time() if now is None else now) - KEPT_DAYS * 86_400
    old = [path for path in _files(data_dir) if path.stat().st_mtime < until]
    for path in old:
        _destroy(path)
    return len(old)


def scrub(data_dir: Path, subjects: Iterable[str], values: Iterable[str]) -> Scrubbed:
    """Take every line out that names one of some streams, or holds one of some values; others stay as they are."""
    sought = _sought(subjects, values)
    files = lines = 0
    for path in _files(data_dir):
        found = path.read_bytes().splitlines(keepends=True)
        left = [line for line in found if not _speaks_of(line, sought)]
        if len(left) == len(found):
            continue
        files, lines = files + 1, lines + len(found) - len(left)
        if left:
            _replace(path, left)
        else:
            _destroy(path)
    return Scrubbed(files, lines)


def _files(data_dir: Path) -> list[Path]:
    return sorted((data_dir / REJECTS_FOLDER).glob("*.jsonl"))


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
    temporary = path.with_suffix(".part")
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
