"""A spool directory as a gateway: each batch is one JSONL file that stands there whole, or not at all."""

import os
import secrets
import time
from collections.abc import Sequence
from pathlib import Path

from api.gateways import Handed, Message, TakenOver

BATCH_MAX = 500  # messages in one file: some 300 kB, recorded within seconds


class FileGateway:
    """Hands messages over by writing them where another program picks them up.

    A file is there under its name (`*.jsonl`, in the order of their writing) only once it is whole and safe on
    disk, readable by its owner alone; what the other program has taken it removes. Where a run is killed in
    between, the same messages come again in another file, under the same keys; a hidden `.part` file that it
    leaves behind was never handed over.
    """

    batch_max = BATCH_MAX

    def __init__(self, folder: Path) -> None:
        """Write to a folder, which is made where it is missing; raises OSError where it can't be."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = folder

    def hand_over(self, messages: Sequence[Message]) -> list[Handed]:
        """Write one file; raises OSError where it can't be kept, and then it is not there."""
        name = f"{time.time_ns():020d}-{secrets.token_hex(4)}.jsonl"
        partial = self._folder / f".{name}.part"
        try:
            with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.writelines(message.json() + b"\n" for message in messages)
                file.flush()
                os.fsync(file.fileno())
            partial.rename(self._folder / name)
        except OSError:
            partial.unlink(missing_ok=True)
            raise
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return [TakenOver() for _ in messages]
