"""Files that have their names only once they are whole."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from domain.events.fields import MalformedError


@contextlib.contextmanager
def partial(out: Path) -> Iterator[BinaryIO]:
    """Lend a file only its owner may read, which gets its name once it is whole and on disk, or goes.

    Only an ordinary file is ever replaced: renaming over a device or a pipe would take it away from everybody.
    Raises MalformedError where something else has the name.
    """
    if not out.name or out.name == ".." or (out.exists() and not out.is_file()):
        raise MalformedError("--out", f"should name a file that is new or an ordinary one: {out} is not")
    number, name = tempfile.mkstemp(prefix=f"{out.name[:100]}.", suffix=".part", dir=out.parent)
    made = Path(name)
    try:
        with os.fdopen(number, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        made.replace(out)
    finally:
        made.unlink(missing_ok=True)
