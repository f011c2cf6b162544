"""import, export: CloudEvents in and out."""

import argparse
import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from api.commands.adding import Add
from api.commands.writing import partial
from api.importing import import_all
from api.rejects import REJECTS_FOLDER, Rejects, expire
from api.runtime import Runtime, opened
from api.settings import Settings
from api.terminal import CommandError, Terminal
from domain.ledger.application import Ledger
from domain.ledger.interchange import export_plain, export_sealed


def register(add: Add) -> None:
    """Add the commands to the command line."""
    bring = add("import", import_files, "CloudEvents JSONL in")
    bring.add_argument("files", nargs="+", metavar="FILE", help="a file, or - for standard input")
    bring.add_argument("--rejects", type=Path, metavar="FILE", help="where refused lines go")
    take = add("export", export, "CloudEvents JSONL out, sealed unless --plain")
    take.add_argument("subjects", nargs="*", metavar="SUBJECT")
    take.add_argument("--out", type=Path, metavar="FILE")
    take.add_argument("--plain", action="store_true", help="personal data in clear, for those who may")


# -- import --------------------------------------------------------------------------------------------------


def import_files(given: argparse.Namespace, settings: Settings, terminal: Terminal) -> int:
    """Bring CloudEvents files in; what is refused goes to the reject file and the rest lands."""
    for name in given.files:
        if name != "-" and not Path(name).is_file():
            raise CommandError(f"{name}: is not a file")
    default = settings.data_dir / REJECTS_FOLDER / f"{time.strftime('%Y%m%dT%H%M%S')}-{os.getpid()}.jsonl"
    expire(settings.data_dir)
    rejects = Rejects(given.rejects or default)
    try:
        with opened(settings, terminal.say) as runtime:
            total = import_all(runtime, given.files, rejects, settings.data_dir, terminal.progress)
    finally:  # also where it is stopped: what was refused until then stays known
        rejects.close()
    document = {
        "appended": total.appended,
        "repeated": total.repeated,
        "refused": total.refused,
        "keys": total.keys,
        "erased": total.erased,
        "lines": total.lines,
        "ledgers": dict(total.ledgers),
        "rejects": str(rejects.path) if rejects.count else None,
    }
    lines = [f"{total.appended} appended, {total.repeated} repeated, {total.refused} refused"]
    if total.erased:
        lines.append(f"{total.erased} parties erased: their keys are destroyed here too")
    if rejects.count:
        lines.append(f"refused lines, with the reasons: {rejects.path}")
    terminal.answer(document, lines)
    return 1 if total.refused else 0


# -- export --------------------------------------------------------------------------------------------------


def export(given: argparse.Namespace, settings: Settings, terminal: Terminal) -> int:
    """Write CloudEvents out: whole ledgers, or some subjects' streams."""
    if given.json and given.out is None:
        raise CommandError("--json and the export both want standard output: name a file with --out")
    with opened(settings, terminal.say) as runtime, _destination(given.out) as write:
        count = 0
        for ledger, subjects in _wanted(runtime, given.subjects, given.region):
            lines = (
                export_plain(ledger, subjects)
                if given.plain
                else export_sealed(runtime.deployment, ledger, subjects)
            )
            for line in lines:
                write(line)
                count += 1
                terminal.progress(f"{count:,} lines")
    if given.out is not None:
        terminal.answer({"lines": count, "out": str(given.out)}, [f"{count} lines in {given.out}"])
    return 0


def _wanted(runtime: Runtime, subjects: list[str], region: str | None) -> Iterator[tuple[Ledger, list[str]]]:
    if not subjects:
        for ledger in runtime.deployment.ledgers:
            if region is None or ledger.region == region.partition(".")[0]:
                yield ledger, []
        return
    by_ledger: dict[str, tuple[Ledger, list[str]]] = {}
    for subject in dict.fromkeys(subjects):
        ledger = runtime.deployment.locate(subject, region)
        by_ledger.setdefault(ledger.region, (ledger, []))[1].append(subject)
    yield from by_ledger.values()


@contextlib.contextmanager
def _destination(out: Path | None) -> Iterator[Callable[[bytes], object]]:
    """Write to standard output, or to a file that stands under its name only once it is whole."""
    if out is None:
        yield sys.stdout.buffer.write
        sys.stdout.buffer.flush()
        return
    with partial(out) as file:
        yield file.write
