"""Files brought in, one after the other, for the command that imports and for the demo."""

import contextlib
import sys
import time
from collections.abc import Callable
from pathlib import Path

from api.rejects import Rejects, scrub
from api.runtime import Runtime
from domain.ledger.application import Ledger
from domain.ledger.database import Database
from domain.ledger.erasing import clear, values_of
from domain.ledger.interchange import Importer, Refusal, Tally


class Forgetting:
    """What is cleared of parties whose erasure comes in: nothing stays where `recount erase` leaves nothing.

    An import that is run again after a kill does it again.
    """

    def __init__(self, data_dir: Path, rejects: Rejects) -> None:
        self._data_dir = data_dir
        self._rejects = rejects
        self._schemas: set[str] = set()
        self._subjects: set[str] = set()
        self._values: set[str] = set()

    def before(self, ledger: Ledger, party: str) -> None:
        """Take out of reject files, this import's too, what speaks of a party: its key still says what that is."""
        subjects, values = values_of(ledger, party)
        scrub(self._data_dir, subjects, values, also=self._rejects.path)
        self._schemas.add(ledger.schema)
        self._subjects |= subjects
        self._values |= values

    def after(self, database: Database) -> None:
        """Take out what was refused since, because nobody could read it; and what the server keeps of the keys."""
        if self._schemas:
            scrub(self._data_dir, self._subjects, self._values, also=self._rejects.path)
        for schema in self._schemas:
            clear(database, schema)


def import_all(
    runtime: Runtime, names: list[str], rejects: Rejects, data_dir: Path, progress: Callable[[str], None]
) -> Tally:
    """Bring files in, one after the other, and tell how far and how fast."""
    total = Tally()
    forgetting = Forgetting(data_dir, rejects)
    began = time.monotonic()
    name, size = "", 0

    def show(tally: Tally) -> None:
        lines = total.lines + tally.lines
        rate = lines / max(time.monotonic() - began, 0.001)
        share = f" ({min(100 * source.tell() // size, 100)} %)" if size else ""
        progress(
            f"{name}{share}: {lines:,} lines, {total.appended + tally.appended:,} appended, {rate:,.0f}/s"
        )

    def refuse(refusal: Refusal) -> None:
        rejects.add(name, refusal)

    with Importer(runtime.deployment, refuse, runtime.clock, show, erasing=forgetting.before) as importer:
        for name in names:
            with contextlib.ExitStack() as stack:
                source = sys.stdin.buffer if name == "-" else stack.enter_context(Path(name).open("rb"))
                size = 0 if name == "-" else Path(name).stat().st_size
                total.add(importer.run(source))
    forgetting.after(runtime.deployment.database)
    return total
