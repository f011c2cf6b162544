"""close-day: what the calendar makes due."""

import argparse
from pathlib import Path
from typing import Any

import orjson

from api.commands.adding import Add, add_workers
from api.runtime import Runtime, opened
from api.sealing import document, line, seal_one
from api.settings import Settings
from api.terminal import CommandError, Terminal
from domain.closing import Offer, Tariff
from domain.events.fields import AMOUNT_MAX_FEN, MalformedError, parse_day
from domain.ledger.application import Ledger
from domain.ledger.closing import Closed, Closer, ClosingBusyError, summary
from domain.ledger.seals import SealError
from domain.ledger.signing import NoSealKeyError, SealKeyError
from domain.ledger.workers import LostWorkerError
from domain.ledger.writer import BusyError

TARIFF_MAX_BYTES = 16 * 1024 * 1024  # some hundred thousand offers


def register(add: Add) -> None:
    """Add the command to the command line."""
    closing = add("close-day", close_day, "what the calendar makes due by a day, done once")
    closing.add_argument(
        "day", metavar="DATE", help="the day, as 2014-12-09; today's, or one that was missed"
    )
    closing.add_argument(
        "--tariff",
        type=Path,
        metavar="FILE",
        help='prices no event has yet, by offer: {"BB-10M": {"monthly_offer_id": "BB-10M-M",'
        ' "monthly_price_fen": 10000, "annual_price_fen": 108000}}',
    )
    add_workers(closing)


def close_day(given: argparse.Namespace, settings: Settings, terminal: Terminal) -> int:
    """Do whatever is due by a day, in every ledger or in one region."""
    try:
        day = parse_day(given.day)
    except ValueError as error:
        raise MalformedError("DATE", str(error)) from None
    tariff = read_tariff(given.tariff) if given.tariff else {}
    answers, lines = [], []
    with opened(settings, terminal.say) as runtime:
        ledgers = (
            [runtime.deployment.ledger_for(given.region)] if given.region else runtime.deployment.ledgers
        )
        for ledger in ledgers:
            closer = Closer(runtime.writer(ledger.region), tariff)

            def show(closed: Closed) -> None:
                done = sum(closed.events.values())
                of = f" of {closed.of_streams:,}" if closed.of_streams is not None else ""
                left = f", {closed.left_s:,.0f} s left" if closed.left_s is not None else ""
                terminal.progress(
                    f"{closed.region} {closed.day}: {closed.looked_at:,}{of} streams, {done:,} events,"
                    f" {closed.rate:,.0f} streams/s{left}"
                )

            try:
                closed = closer.close(day, given.region, show, given.workers)
            except LostWorkerError as error:
                raise CommandError(
                    f"{ledger.region} {day}: {error}; close the day again, it goes on"
                ) from error
            except (ClosingBusyError, BusyError) as error:
                raise CommandError(str(error)) from error
            sealed = _sealed(runtime, ledger)
            answers.append({**summary(closed), "seal": sealed})
            lines += [*_lines(closed), *([line(sealed)] if sealed else [])]
    terminal.answer({"day": day.isoformat(), "regions": answers}, lines or ["there is no ledger yet"])
    return 1 if any(a["failed"] or (a["seal"] or {}).get("failed") for a in answers) else 0


def _sealed(runtime: Runtime, ledger: Ledger) -> dict[str, Any] | None:
    """Seal a ledger once its day is closed; nothing where no key was ever set to seal with.

    What can't be sealed is told and hinders no other ledger's close.
    """
    try:
        return document(seal_one(runtime, ledger))
    except NoSealKeyError:
        return None
    except (SealError, SealKeyError) as error:
        return {"ledger": ledger.region, "made": False, "seal": None, "failed": str(error)}


def _lines(closed: Closed) -> list[str]:
    lines = [
        f"{closed.region} {closed.day}: {closed.streams} streams, {sum(closed.events.values())} events,"
        f" {closed.notices} notices queued"
        + (", gone on from where it had stopped" if closed.resumed else "")
    ]
    lines += [f"  {kind:<24} {count}" for kind, count in sorted(closed.events.items())]
    lines += [f"  refused {code:<16} {count}" for code, count in sorted(closed.refused.items())]
    lines += [f"  not closed: {subject} ({kind})" for subject, kind in list(closed.failed.items())[:50]]
    if closed.open_tasks:
        lines.append(f"for a person to do: {sum(closed.tasks.values())}")
    for task in closed.open_tasks[:50]:
        due = f" by {task.due_on}" if task.due_on else ""
        lines.append(f"  {task.kind} {task.subject}{due}: {task.what}")
    return lines


def read_tariff(path: Path) -> Tariff:
    """Return the price list of a file; raises MalformedError that names what is wrong."""
    with path.open("rb") as file:
        text = file.read(TARIFF_MAX_BYTES + 1)  # a device says of no size
    if len(text) > TARIFF_MAX_BYTES:
        raise MalformedError("--tariff", f"should be at most {TARIFF_MAX_BYTES} bytes")
    try:
        raw = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise MalformedError("--tariff", f"should be JSON: {error}") from None
    if not isinstance(raw, dict):
        raise MalformedError("--tariff", "should be an object of offers by id")
    return {offer_id: _offer(offer_id, entry) for offer_id, entry in raw.items()}


def _offer(offer_id: str, entry: Any) -> Offer:
    names = ("monthly_offer_id", "monthly_price_fen", "annual_price_fen")
    if not isinstance(entry, dict):
        raise MalformedError(f"--tariff {offer_id}", f"should be an object with {', '.join(names)}")
    for name, value in entry.items():
        field = f"--tariff {offer_id}.{name}"
        if name not in names:
            raise MalformedError(field, f"is not known: {', '.join(names)} are")
        if name == "monthly_offer_id":
            if not isinstance(value, str) or not value:
                raise MalformedError(field, "should be an offer's id")
        elif type(value) is not int or not 0 <= value <= AMOUNT_MAX_FEN:
            raise MalformedError(field, "should be a price in whole fen")
    if ("monthly_offer_id" in entry) != ("monthly_price_fen" in entry):
        raise MalformedError(
            f"--tariff {offer_id}", "should have monthly_offer_id and monthly_price_fen together"
        )
    return Offer(**entry)
