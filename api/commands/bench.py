"""bench: what the system does in a second, each figure beside its neighbour on the same server."""

import argparse
import contextlib
import tempfile
from collections.abc import Callable  # noqa: TC003 - said where it is used
from pathlib import Path

from api.commands.adding import Add
from api.runtime import present
from api.settings import Settings
from api.terminal import Terminal
from domain.ledger.embedded import EmbeddedPostgres


def register(add: Add) -> None:
    """Add the command to the command line."""
    asked = add("bench", measure, "the benchmarks: each figure with its neighbour, in one run on one server")
    asked.add_argument(
        "--quick", action="store_const", dest="scale", const="quick", default="full",
        help="under 5 minutes, at smaller sizes: the document says which",
    )  # fmt: skip
    asked.add_argument(
        "--tiny", action="store_const", dest="scale", const="tiny", help="only to see that all of it works"
    )
    asked.add_argument("--picture", type=Path, metavar="FILE", help="a picture of the ratios, .svg or .png")


def measure(given: argparse.Namespace, settings: Settings, terminal: Terminal) -> int:
    """Measure on DATABASE_URL's server, in databases of its own, or on a server that is made for it and thrown away."""
    # What only benchmarks need would slow every other command down.
    from api.bench.picture import draw  # noqa: PLC0415
    from api.bench.protocol import SCALES, Bench  # noqa: PLC0415
    from api.bench.running import lines_of, run  # noqa: PLC0415

    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="recount-bench-")))
        url = settings.database_url
        conninfo: Callable[[], str]
        if url is not None:  # noqa: SIM108 - two ways to a server, not one long line
            conninfo = lambda: url  # noqa: E731
        else:
            conninfo = stack.enter_context(EmbeddedPostgres(folder / "data")).ensure
        bench = Bench(conninfo, folder, SCALES[given.scale], terminal.progress)
        document = run(bench, present())
    if given.picture is not None:
        draw(document, given.picture)
    terminal.answer(document, lines_of(document))
    return 0
