"""extract: tables of read models as CSV or Parquet.

Not `export`: that is of events, sealed, and can be imported again; an extract is what they come to, for other systems.
"""

import argparse
import hashlib
from pathlib import Path
from typing import Any

import orjson

from api.commands.adding import Add
from api.commands.writing import partial
from api.runtime import READ_MODELS, Runtime, opened
from api.settings import Settings
from api.terminal import CommandError, Terminal
from domain.events.envelope import check_region, ledger_of
from domain.ledger.application import Ledger
from projections.engine import NotBuiltError, install
from projections.extracting import FORMATS, Extraction, Format, Source, extracting, sources

META_SUFFIX = ".meta.json"


def register(add: Add) -> None:
    """Add the command to the command line."""
    asked = add("extract", extract, "a read model's tables as CSV or Parquet, all of one moment")
    asked.add_argument(
        "name", metavar="NAME", help="a table, as its view is named, or a read model: all its tables"
    )
    asked.add_argument("--format", choices=FORMATS, default="csv")
    asked.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="PATH",
        help="the file; a folder, where there are several tables",
    )
    asked.add_argument(
        "--spreadsheet", action="store_true", help="an apostrophe before texts a spreadsheet would calculate"
    )


def extract(given: argparse.Namespace, settings: Settings, terminal: Terminal) -> int:
    """Write tables into files that have their names only once they are whole."""
    asked = _asked(given.name)
    region = check_region(given.region) if given.region else None
    if asked[0].name != given.name and len(asked) > 1:
        given.out.mkdir(parents=True, exist_ok=True, mode=0o700)
        targets = [given.out / f"{source.name}.{given.format}" for source in asked]
    else:
        targets = [given.out]
    made = []
    with opened(settings, terminal.say) as runtime:
        ledger = _ledger(runtime, region)
        install(runtime.deployment, ledger, READ_MODELS)
        try:
            with extracting(ledger, asked[0].model, region) as extraction:
                for source, target in zip(asked, targets, strict=True):
                    made.append(_write(extraction, source, target, given, terminal))
        except NotBuiltError as error:
            raise CommandError(f"{error}: run recount rebuild {asked[0].model.name}") from error
    lines = [f"{m['rows']:,} rows of {m['table']} at position {m['position']:,} in {m['out']}" for m in made]
    terminal.answer({"extracts": made}, lines)
    return 0


def _asked(name: str) -> list[Source]:
    """Return the tables a name stands for."""
    known = sources(READ_MODELS)
    if name in known:
        return [known[name]]
    found = [source for source in known.values() if source.model.name == name]
    if not found:
        raise CommandError(f"{name}: is no table and no read model: there is {', '.join(sorted(known))}")
    return found


def _ledger(runtime: Runtime, region: str | None) -> Ledger:
    ledgers = [
        known for known in runtime.deployment.ledgers if region is None or known.region == ledger_of(region)
    ]
    if not ledgers:
        raise CommandError(
            f"--region {region}: there is no such ledger" if region else "there is no ledger yet"
        )
    if len(ledgers) > 1:
        names = ", ".join(known.region for known in ledgers)
        raise CommandError(f"an extract is of one ledger: name it with --region, {names}")
    return ledgers[0]


def _write(
    extraction: Extraction, source: Source, out: Path, given: argparse.Namespace, terminal: Terminal
) -> dict[str, Any]:
    """Write one table, and beside CSV, which has no place for it, what it is of; return that."""
    form: Format = given.format
    before, digest = extraction.rows, hashlib.sha256()
    with partial(out) as file:
        for piece in extraction.stream(source, form, spreadsheet=given.spreadsheet):
            file.write(piece)
            digest.update(piece)
            terminal.progress(f"{source.name}: {extraction.rows - before:,} rows")
        document = {
            **extraction.about(source).document(),
            "format": form,
            "spreadsheet": given.spreadsheet,
            "rows": extraction.rows - before,
            "sha256": digest.hexdigest(),
        }
        if form == "csv":
            with partial(out.with_name(out.name + META_SUFFIX)) as beside:
                beside.write(orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    return {**document, "out": str(out)}
