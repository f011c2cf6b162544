"""rebuild, verify: read models made anew, and held against the log."""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from api.commands.adding import Add, add_workers, number
from api.commands.bundles import refuse_more, verify_bundle
from api.runtime import READ_MODELS, Runtime, opened
from api.settings import Settings
from api.terminal import CommandError, Terminal, printable
from api.trust import keys_of, read_checkpoint, roots_in, trusted_key
from domain.ledger.application import Ledger
from domain.ledger.sealchecks import StampsSeen
from domain.ledger.workers import LostWorkerError
from projections.engine import Progress, ReadModel, StoppedError, Verdict, install, rebuild, standings, verify
from projections.engine.verifying import SAMPLE

PARTITIONS_MAX = 64


def register(add: Add) -> None:
    """Add the commands to the command line."""
    names = ", ".join(model.name for model in READ_MODELS)
    make = add("rebuild", rebuild_models, "a read model made anew beside the old one, then swapped in")
    make.add_argument("model", nargs="?", metavar="READ-MODEL", help=f"{names}; all, where it is not given")
    add_workers(make)
    make.add_argument(
        "--partitions", type=number(PARTITIONS_MAX), default=1, metavar="N",
        help="parts its streams are split into afterwards, each moved by one process at a time",
    )  # fmt: skip
    check = add("verify", verify_models, "the log's own integrity, and the read models against it")
    check.add_argument("--model", metavar="READ-MODEL", help="only one read model")
    check.add_argument(
        "bundle", nargs="?", type=Path, metavar="BUNDLE", help="a dossier's, instead of the ledger"
    )
    check.add_argument(
        "--key",
        action="append",
        default=[],
        metavar="VKEY",
        help="a public key that is trusted, and no other",
    )
    check.add_argument(
        "--checkpoint",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="one that was kept elsewhere",
    )
    check.add_argument(
        "--tsa-roots",
        type=Path,
        metavar="FILE",
        help="certificates (PEM) of time-stamping authorities that are trusted, instead of RECOUNT_TSA_ROOTS",
    )
    which = check.add_mutually_exclusive_group()
    which.add_argument("--full", action="store_true", help="every stream, not a sample")
    which.add_argument(
        "--sample", type=number(10**9), default=SAMPLE, metavar="N", help="so many streams, drawn at random"
    )


def _models(name: str | None) -> list[ReadModel]:
    found = [model for model in READ_MODELS if name in (None, model.name)]
    if not found:
        names = ", ".join(model.name for model in READ_MODELS)
        raise CommandError(f"{name}: is no read model: there is {names}")
    return found


def _ledgers(runtime: Runtime, region: str | None) -> list[Ledger]:
    found = [
        ledger
        for ledger in runtime.deployment.ledgers
        if region is None or ledger.region == region.partition(".")[0]
    ]
    if region is not None and not found:
        raise CommandError(f"--region {region}: there is no such ledger")
    return found


# -- rebuild -------------------------------------------------------------------------------------------------


def rebuild_models(given: argparse.Namespace, settings: Settings, terminal: Terminal) -> int:
    """Make read models anew; those who read them notice nothing but newer rows."""
    done = []
    with opened(settings, terminal.say) as runtime:
        models = _models(given.model)
        for ledger in _ledgers(runtime, given.region):
            install(runtime.deployment, ledger, models)
            done += [_rebuild_one(runtime, ledger, model, given, terminal) for model in models]
    lines = [
        f"{d['ledger']} {d['model']}: {d['events']:,} events of {d['streams']:,} streams folded"
        f" ({d['events_per_s']:,}/s), position {d['position']}, digest {d['digest']}"
        for d in done
    ]
    terminal.answer({"rebuilt": done}, lines or ["there is no ledger yet"])
    return 0


def _rebuild_one(
    runtime: Runtime, ledger: Ledger, model: ReadModel, given: argparse.Namespace, terminal: Terminal
) -> dict[str, Any]:
    latest: list[Progress] = []

    def show(progress: Progress) -> None:
        latest[:] = [progress]
        left = f", {progress.left_s:,.0f} s left" if progress.left_s is not None else ""
        terminal.progress(
            f"{ledger.region} {model.name}: {progress.stage}, {progress.events_done:,} of {progress.events:,}"
            f" events, {progress.rate:,.0f}/s{left}"
        )

    try:
        rebuild(
            runtime.deployment, ledger, model, runtime.clock,
            workers=given.workers, partitions=given.partitions, show=show,
        )  # fmt: skip
    except StoppedError as error:
        raise CommandError(
            f"{ledger.region} {model.name} stopped at {error}; what is read stays as it was:"
            " rebuild it again after the fix"
        ) from error
    except LostWorkerError as error:
        raise CommandError(
            f"{ledger.region} {model.name}: {error}; what is read stays as it was: rebuild it again, it goes on"
        ) from error
    standing = next(s for s in standings(ledger) if s.name == model.name)
    return {
        "ledger": ledger.region,
        "model": model.name,
        "version": standing.version,
        "generation": standing.generation,
        "streams": latest[0].streams_done,
        "events": latest[0].events_done,
        "events_per_s": round(latest[0].rate),
        "position": standing.position,
        "digest": standing.digest,
    }


# -- verify --------------------------------------------------------------------------------------------------


def verify_models(given: argparse.Namespace, settings: Settings, terminal: Terminal) -> int:
    """Replay streams plainly and compare; exit code 1 where anything differs."""

    def show(done: int, of: int) -> None:
        terminal.progress(f"{done:,} of {of:,} streams")

    named = [trusted_key(text) for text in given.key]
    roots = roots_in(given.tsa_roots or settings.tsa_roots)
    if given.bundle is not None:
        refuse_more(given)
        return verify_bundle(given.bundle, named, roots, terminal)
    kept = {str(path): read_checkpoint(path) for path in given.checkpoint}
    with opened(settings, terminal.say) as runtime:
        models = _models(given.model)
        verdicts = []
        for ledger in _ledgers(runtime, given.region):
            install(runtime.deployment, ledger, models)
            sample = None if given.full else given.sample
            keys = keys_of(runtime, named)
            verdicts.append(
                verify(
                    ledger,
                    models,
                    runtime.clock(),
                    sample=sample,
                    keys=keys,
                    kept=kept,
                    roots=roots,
                    show=show,
                )
            )
    lines = [line for v in verdicts for line in _lines(v)] or ["there is no ledger yet"]
    alone = sorted(kept.keys() - {name for v in verdicts for name in v.seals.kept})
    lines += [f"{name}: is the checkpoint of no ledger here" for name in alone]
    wrong = sum(len(v.differences) + v.more for v in verdicts) + len(alone)
    document = {
        "differences": wrong,
        "ledgers": [_document(v) for v in verdicts],
        "checkpoints_of_no_ledger": alone,
    }
    terminal.answer(document, lines)
    return 1 if wrong else 0


def _document(verdict: Verdict) -> dict[str, Any]:
    return {
        "ledger": verdict.ledger,
        "position": verdict.position,
        "streams": verdict.streams,
        "events": verdict.events,
        "rows": dict(verdict.rows),
        "unchecked": verdict.unchecked,
        "seals": asdict(verdict.seals),
        "differences": [d._asdict() for d in verdict.differences],
        "more": verdict.more,
    }


def _lines(verdict: Verdict) -> list[str]:
    lines = [
        f"{verdict.ledger} {d.where}{f' {d.subject}' if d.subject else ''}: {d.text}"
        for d in verdict.differences
    ]
    if verdict.more:
        lines.append(f"{verdict.ledger}: {verdict.more} more differences")
    lines += [f"{verdict.ledger} {name}: not checked, it is still to be made" for name in verdict.unchecked]
    lines += [f"{verdict.ledger}: {note}" for note in verdict.seals.notes]
    seals = verdict.seals
    if seals.seals:
        held = f"{seals.seals:,} seal{'' if seals.seals == 1 else 's'} up to position {seals.position:,}"
        lines.append(
            f"{verdict.ledger}: {held} looked at, the last of {seals.sealed_at} by {seals.key or 'nobody'}"
        )
    lines += [f"{verdict.ledger}: {_stamps(one)}" for one in seals.stamps]
    rows = ", ".join(f"{count:,} rows of {name}" for name, count in verdict.rows.items())
    lines.append(
        f"{verdict.ledger}: {verdict.streams:,} streams with {verdict.events:,} events replayed up to position"
        f" {verdict.position:,}; {rows or 'no rows'} compared,"
        f" {len(verdict.differences) + verdict.more} differences"
    )
    return lines


def _stamps(seen: StampsSeen) -> str:
    """Return what an authority's time stamps came to, as a line."""
    counts = {
        "stamped": seen.trusted,
        "stamped but the authority not trusted": seen.not_trusted,
        "wrong": seen.wrong,
    }
    text = ", ".join(
        f"{count:,} seal{'' if count == 1 else 's'} {what}" for what, count in counts.items() if count
    )
    last = f", the last at {seen.latest} by {printable(seen.signer or '')}" if seen.latest else ""
    how = " (whom to trust say RECOUNT_TSA_ROOTS or --tsa-roots)" if seen.not_trusted else ""
    return f"{seen.authority}: {text}{last}{how}"
