"""Files that hold a key: their owner's alone, safe on disk before anybody uses the key, and never written over."""

import os
import tempfile
from pathlib import Path


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
