"""erase, rotate-master-key: a person's data destroyed, and the key that wraps all others changed for another."""

import argparse
from dataclasses import asdict
from pathlib import Path

import orjson
from pydantic import ValidationError

from api.commands.adding import Add
from api.rejects import Scrubbed, expire, scrub
from api.runtime import opened
from api.settings import MASTER_KEY_FILE, Settings
from api.terminal import CommandError, Terminal
from domain.events.envelope import check_subject, kind_of
from domain.events.fields import MalformedError, problems_of
from domain.ledger.erasing import ACTOR, Cleared, Erased, NotErasedError, clear, erase
from domain.ledger.rotating import Rotated, rotate
from domain.ledger.vault import MasterKey
from domain.ledger.writer import BusyError


def register(add: Add) -> None:
    """Add the commands to the command line."""
    erased = add("erase", erase_party, "destroy a party's personal data, unless something stands against it")
    erased.add_argument("party", metavar="PARTY", help="party/ID")
    erased.add_argument(
        "--legal-basis", metavar="TEXT", required=True, help="why: what the person may ask for"
    )
    erased.add_argument("--by", metavar="staff/ID", default=ACTOR, help="who decides it")
    erased.add_argument("--evidence", metavar="REF", help="a document: the person's request")
    erased.add_argument("--receipt", type=Path, metavar="FILE", help="where the receipt goes too, as JSON")
    changed = add("rotate-master-key", rotate_master_key, "wrap every key anew with another master key")
    changed.add_argument(
        "--new-key-file", type=Path, metavar="FILE", required=True, help="32 random bytes in base64"
    )


# -- erase ---------------------------------------------------------------------------------------------------


def erase_party(given: argparse.Namespace, settings: Settings, terminal: Terminal) -> int:
    """Erase one party, clear up behind it, and give the receipt; again for a party that was erased: the same."""
    subject = given.party if "/" in given.party else f"party/{given.party}"
    if kind_of(check_subject(subject)) != "party":
        raise CommandError(f"{subject}: is no party: only a person's or an organisation's data is erased")
    with opened(settings, terminal.say) as runtime:
        ledger = runtime.deployment.locate(subject, given.region)
        rejected = Scrubbed(0, 0)

        def copies(subjects: set[str], values: set[str]) -> None:
            nonlocal rejected
            rejected = scrub(settings.data_dir, subjects, values)

        try:
            done = erase(
                runtime.writer(ledger.region), subject, given.legal_basis,
                actor=given.by, evidenceref=given.evidence, copies=copies,
            )  # fmt: skip
        except (NotErasedError, BusyError) as error:
            raise CommandError(str(error)) from None
        except ValidationError as error:
            problem = problems_of(error)[0]
            raise MalformedError(f"--{problem.field.replace('_', '-')}", problem.reason) from None
        cleared = clear(runtime.deployment.database, ledger.schema)
    expired = expire(settings.data_dir)
    receipt = {
        **asdict(done),
        "erased_at": done.erased_at.isoformat(),
        "storage": asdict(cleared),
        "reject_files": {
            "lines_removed": rejected.lines,
            "files_changed": rejected.files,
            "expired": expired,
        },
    }
    if given.receipt is not None:
        given.receipt.write_bytes(
            orjson.dumps(receipt, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        )
    terminal.answer(receipt, _erased_lines(done, cleared, rejected))
    return 0


def _erased_lines(done: Erased, cleared: Cleared, rejected: Scrubbed) -> list[str]:
    first = (
        f"{done.party} {'was' if done.repeated else 'is'} erased: {done.event_id}, position {done.position} of"
        f" {done.ledger}, at {done.erased_at.isoformat(timespec='seconds')}"
    )
    lines = [
        first,
        f"  keys destroyed           {len(done.keys_destroyed)}, digest {done.digest}",
        f"  table of keys            {cleared.key_table}",
        f"  write-ahead log          {cleared.write_ahead_log}",
        f"  lines of reject files    {rejected.lines} removed",
    ]
    lines += [f"  the same person as       {other}: erase it too" for other in done.also_known_as]
    return lines


# -- rotate-master-key ---------------------------------------------------------------------------------------


def rotate_master_key(given: argparse.Namespace, settings: Settings, terminal: Terminal) -> int:
    """Let a new master key take the present one's place; stopped, it goes on when it is done again."""
    new = MasterKey.read(given.new_key_file)
    own = settings.data_dir / MASTER_KEY_FILE if settings.keeps_its_key else None

    def show(done: Rotated) -> None:
        terminal.progress(f"{done.keys:,} keys wrapped anew")

    with opened(settings, terminal.say) as runtime:
        done = rotate(runtime.deployment, new, (lambda: new.put(own)) if own else lambda: None, show)
    document = {
        "old": done.old_id,
        "new": done.new_id,
        "keys": done.keys,
        "ledgers": done.ledgers,
        "already": done.already,
        "key_file": str(own) if own else None,
    }
    lines = [f"the master key {done.new_id} wraps everything already"]
    if not done.already:
        lines = [
            f"{done.keys} keys of {done.ledgers} ledgers are wrapped by the master key {done.new_id} now",
            f"it stands in {own}, and the one before it beside it: move that one away"
            if own
            else "start the service with the new key from now on (RECOUNT_MASTER_KEY_FILE)",
            f"the key {done.old_id} opens backups and sealed exports made until now, and nothing here",
        ]
    terminal.answer(document, lines)
    return 0
