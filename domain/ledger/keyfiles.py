"""Files that hold a key: their owner's alone, safe on disk before anybody uses the key, and never written over."""

import os
import tempfile
from pathlib import Path

KEY_FILE_MAX_BYTES = 4_096  # a key is a line of 44 characters


def beginning(path: Path, most: int) -> bytes:
    """Return at most so many bytes of a file and one more, which says that it is longer: some have no end."""
    with path.open("rb") as file:
        return file.read(most + 1)


def key_text(path: Path) -> str:
    """Return the text of a key's file, as much as could be one; raises OSError, UnicodeDecodeError."""
    return beginning(path, KEY_FILE_MAX_BYTES).decode("ascii")


def made_once(path: Path, text: str) -> None:
    """Make a file of one line of text; one that somebody else just made stays as it is."""
    temporary = written_beside(path, text)
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass
    finally:
        temporary.unlink()
    sync(path.parent)


def written_beside(path: Path, text: str) -> Path:
    """Write a line of text into a file beside the one it is to be, and return where."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # 0600, and nobody else's name
    with os.fdopen(handle, "wb") as file:
        file.write(text.encode("ascii") + b"\n")
        file.flush()
        os.fsync(file.fileno())
    return Path(name)


def sync(folder: Path) -> None:
    """Make a folder's entries survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
