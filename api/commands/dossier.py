"""dossier: the whole dispute as pages to read and print, with the evidence beside them."""

import argparse
from pathlib import Path

from api.commands.adding import Add, add_inquiry
from api.runtime import opened
from api.settings import Settings
from api.terminal import CommandError, Terminal
from domain.events.fields import MalformedError


def register(add: Add) -> None:
    """Add the command to the command line."""
    asked = add("dossier", dossier, "the whole dispute as pages to read and print, in Chinese and English")
    asked.add_argument("subject", metavar="SUBJECT", help="party/ID, account/ID or case/ID")
    asked.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="new, empty, or an earlier dossier"
    )
    asked.add_argument("--assume", metavar="K=V", action="append", default=[], help="expiry_option=suspend")
    add_inquiry(asked)


def dossier(given: argparse.Namespace, settings: Settings, terminal: Terminal) -> int:
    """Write a dossier into a folder that has its name only once it is whole."""
    from api.dossier import (  # noqa: PLC0415 - what it takes to make pages would slow every other command down
        FolderError,
        compose,
        folder_files,
        write_folder,
    )

    if given.position is not None and given.position < 0:
        raise CommandError("--position: should be 0 or more")
    with opened(settings, terminal.say) as runtime:
        composed = compose(
            runtime,
            given.subject,
            known_at=given.known_at,
            position=given.position,
            region=given.region,
            assume=_assumptions(given.assume),
        )
    files = folder_files(composed)
    try:
        write_folder(files, given.out)
    except FolderError as error:
        raise CommandError(str(error)) from None
    document = {
        "subject": composed.subject,
        "known_at": composed.known_at.isoformat(),
        "position": composed.position,
        "out": str(given.out),
        "files": sorted(files),
        "breaches": len(composed.of_verdict("breach")),
    }
    terminal.answer(
        document,
        [
            f"{given.out}: {', '.join(n for n in sorted(files) if n.endswith('.html'))} and bundle/",
            f"{composed.subject} as known at {document['known_at']}, position {composed.position}",
        ],
    )
    return 0


def _assumptions(given: list[str]) -> dict[str, str]:
    found = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise MalformedError("--assume", "should be NAME=VALUE, as expiry_option=suspend")
        found[name] = value
    return found
