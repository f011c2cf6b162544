"""notices: what waits to be sent goes to a gateway, and what became of it comes back."""

import argparse
import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from api.commands.adding import Add, add_shared
from api.gateways.file import FileGateway
from api.gateways.results import Results
from api.gateways.sending import Sender, Sent
from api.gateways.webhook import WebhookGateway
from api.rejects import REJECTS_FOLDER, Rejects
from api.runtime import Runtime, opened
from api.settings import Settings
from api.terminal import CommandError, Terminal
from domain.calendar import zone_of
from domain.events.envelope import ledger_of
from domain.events.fields import MalformedError
from domain.ledger import outbox
from domain.ledger.application import Ledger
from domain.ledger.deployment import SubjectError
from domain.ledger.interchange import Refusal
from domain.ledger.interchange.lines import lines_of, read_object
from domain.ledger.writer import BusyError
from domain.refusals import Refused

SEND_MAX = 100_000  # requests of one run; the next run goes on
LIST_DEFAULT = 20
LIST_MAX = 1_000


def register(add: Add) -> None:
    """Add the commands to the command line."""
    made = add("notices", send, "send the notices that wait, take in what became of them, list them")
    shared = add_shared(argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS))
    actions = made.add_subparsers(dest="action", required=True, metavar="ACTION")

    sending = actions.add_parser("send", parents=[shared], help="hand over what waits to a gateway")
    sending.set_defaults(run=send)
    where = sending.add_mutually_exclusive_group(required=True)
    where.add_argument("--file", type=Path, metavar="DIR", help="as JSONL files in a spool directory")
    where.add_argument("--webhook", metavar="URL", help="by POST, one request each")
    sending.add_argument("--limit", type=_count(SEND_MAX), default=SEND_MAX, metavar="N")

    coming = actions.add_parser("results", parents=[shared], help="record what became of notices")
    coming.set_defaults(run=results)
    coming.add_argument("file", type=Path, metavar="FILE", help="JSONL from the gateway")
    coming.add_argument("--rejects", type=Path, metavar="FILE", help="where refused lines go")

    listing = actions.add_parser("list", parents=[shared], help="how many wait, and the oldest of a status")
    listing.set_defaults(run=list_requests)
    listing.add_argument("--status", choices=get_args(outbox.Status), default="queued")
    listing.add_argument("--limit", type=_count(LIST_MAX), default=LIST_DEFAULT, metavar="N")


def _count(most: int) -> Any:
    def count(text: str) -> int:
        value = int(text)
        if not 1 <= value <= most:
            raise argparse.ArgumentTypeError(f"should be from 1 to {most}")
        return value

    return count


def _ledgers(runtime: Runtime, region: str | None) -> Iterator[Ledger]:
    """Return the ledgers that are meant: all, or a region's; raises SubjectError where it has none."""
    found = [k for k in runtime.deployment.ledgers if region is None or k.region == ledger_of(region)]
    if region is not None and not found:
        raise SubjectError(f"there is no ledger of {region}")
    yield from found


# -- send ----------------------------------------------------------------------------------------------------


def send(given: argparse.Namespace, settings: Settings, terminal: Terminal) -> int:
    """Hand the notices that wait over to a gateway, and record each attempt."""
    gateway = FileGateway(given.file) if given.file else WebhookGateway(given.webhook)
    sent = Sent()
    with opened(settings, terminal.say) as runtime:
        for ledger in _ledgers(runtime, given.region):
            if sent.stopped or sent.total >= given.limit:
                break
            Sender(runtime.writer(ledger.region), gateway).run(
                given.limit - sent.total, sent, lambda s: terminal.progress(f"{s.total:,} notices")
            )
    by = {name: sent.by[name] for name in (*outbox.STATUSES[1:], "postponed")}
    lines = [", ".join(f"{by[n]} {n.replace('_', ' ')}" for n in by if by[n] or n == "handed_over")]
    lines += [f"  {count} because of {reason}" for reason, count in sorted(sent.reasons.items())]
    if sent.stopped:
        lines.append("stopped: the gateway takes nothing over; what waits is tried again by a later run")
    terminal.answer({**by, "reasons": dict(sorted(sent.reasons.items())), "stopped": sent.stopped}, lines)
    return 1 if by["postponed"] or by["failed"] or by["unrecorded"] else 0


# -- results -------------------------------------------------------------------------------------------------


def results(given: argparse.Namespace, settings: Settings, terminal: Terminal) -> int:
    """Record what a gateway says became of notices; what is refused goes to the reject file."""
    if not given.file.is_file():
        raise CommandError(f"{given.file}: is not a file")
    default = settings.data_dir / REJECTS_FOLDER / f"{time.strftime('%Y%m%dT%H%M%S')}-{os.getpid()}.jsonl"
    rejects, count = Rejects(given.rejects or default), Counter[bool]()
    with opened(settings, terminal.say) as runtime, given.file.open("rb") as source:
        recorder = Results(runtime)
        for number, line in lines_of(source):
            try:
                count[recorder.record(read_object(line), given.region)] += 1
            except MalformedError as error:
                rejects.add(
                    str(given.file), Refusal(number, error.problem.field, error.problem.reason, line or b"")
                )
            except SubjectError as error:
                rejects.add(str(given.file), Refusal(number, "account_id", str(error), line or b""))
            except Refused as refused:
                reason = f"{refused.code}: {refused.message}"
                rejects.add(str(given.file), Refusal(number, "(line)", reason, line or b""))
            except BusyError as error:
                rejects.close()
                raise CommandError(
                    f"stopped at line {number}, {error}: read the file again, nothing is recorded twice"
                ) from None
            terminal.progress(f"{number:,} lines")
    rejects.close()
    document = {
        "recorded": count[True],
        "repeated": count[False],
        "refused": rejects.count,
        "rejects": str(rejects.path) if rejects.count else None,
    }
    lines = [f"{count[True]} recorded, {count[False]} repeated, {rejects.count} refused"]
    if rejects.count:
        lines.append(f"refused lines, with the reasons: {rejects.path}")
    terminal.answer(document, lines)
    return 1 if rejects.count else 0


# -- list ----------------------------------------------------------------------------------------------------


def list_requests(given: argparse.Namespace, settings: Settings, terminal: Terminal) -> int:
    """Say how many requests there are by status, and which of one status are the oldest."""
    counts: Counter[str] = Counter()
    found: list[tuple[str, outbox.Queued]] = []
    with opened(settings, terminal.say) as runtime:
        for ledger in _ledgers(runtime, given.region):
            with runtime.deployment.database.connection(ledger.schema) as connection:
                counts.update(outbox.count_by_status(connection))
                some = outbox.oldest(connection, given.status, given.limit)
            found += [(ledger.region, queued) for queued in some]
    found = sorted(found, key=lambda pair: pair[1].requested_at)[: given.limit]
    by = {status: counts[status] for status in outbox.STATUSES}
    document = {"by_status": by, "status": given.status, "requests": [_entry(*pair) for pair in found]}
    lines = [
        ", ".join(f"{n} {status.replace('_', ' ')}" for status, n in by.items() if n or status == "queued")
    ]
    lines += [_line(*pair) for pair in found]
    terminal.answer(document, lines)
    return 0


def _entry(region: str, queued: outbox.Queued) -> dict[str, Any]:
    request, zone = queued.request, zone_of(region)
    return {
        "ledger": region,
        "account_id": request.account_id,
        "notice_id": request.notice_id,
        "purpose": request.purpose,
        "channel": request.channel,
        "contact_point_id": request.contact_point_id,
        "useful_until": request.useful_until,
        "status": queued.status,
        "requested_at": queued.requested_at.astimezone(zone),
        "tries": queued.tries,
        "next_try_at": queued.next_try_at.astimezone(zone),
        "settled_at": queued.settled_at and queued.settled_at.astimezone(zone),
        "reason": queued.reason,
    }


def _line(region: str, queued: outbox.Queued) -> str:
    request, asked = queued.request, queued.requested_at.astimezone(zone_of(region))
    tries = f", {queued.tries} tries" if queued.tries else ""
    reason = f", {queued.reason}" if queued.reason else ""
    return (
        f"  {asked.isoformat(timespec='seconds')} account/{request.account_id} {request.notice_id}"
        f" {request.purpose} by {request.channel}, until {request.useful_until}{tries}{reason}"
    )
