"""The command line: `recount COMMAND`. Exit 0 done, 1 a refusal or failed check, 2 wrong usage."""

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

import structlog

from api.commands import GROUPS
from api.commands.adding import Run, add_shared
from api.logging import configure
from api.settings import DEFAULT_DATA, Settings
from api.terminal import CommandError, Terminal
from domain.events.fields import MalformedError
from domain.ledger.database import StorageError
from domain.ledger.deployment import SubjectError
from domain.ledger.embedded import EmbeddedError
from domain.ledger.seals import SealError
from domain.ledger.signing import SealKeyError
from domain.ledger.surroundings import TooWideError
from domain.ledger.vault import VaultError

FAILURES = (
    CommandError, StorageError, EmbeddedError, VaultError, SealKeyError, SealError, SubjectError, TooWideError,
)  # fmt: skip

log = structlog.get_logger(__name__)


class _Parser(argparse.ArgumentParser):
    """An argument parser that says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        sys.stderr.write(f"recount: {message} (see {self.prog} --help)\n")
        raise SystemExit(2)


def parser() -> argparse.ArgumentParser:
    """Return the parser of every command."""
    shared = add_shared(_Parser(add_help=False))
    shared.set_defaults(data=DEFAULT_DATA, log_level="WARNING")
    top = _Parser(
        prog="recount", description="Customer accounts as they were on any day, as known on any day."
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, run: Run, text: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, parents=[shared], help=text, description=text)
        made.set_defaults(run=run)
        return made

    for group in GROUPS:
        group.register(add)
    return top


def _check_text(made: argparse.ArgumentParser, arguments: Sequence[str]) -> None:
    """End with a line where an argument is no text: neither the database nor an answer could name it."""
    for number, text in enumerate(arguments, 1):
        try:
            text.encode()
        except UnicodeEncodeError:
            made.error(f"argument {number}: should be UTF-8")
        if "\0" in text:
            made.error(f"argument {number}: should not hold a NUL")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    made = parser()
    _check_text(made, sys.argv[1:] if arguments is None else arguments)
    given = made.parse_args(arguments)
    configure(given.log_level)
    terminal = Terminal(as_json=given.json)
    try:
        return int(given.run(given, Settings.read(given.data), terminal))
    except MalformedError as error:
        terminal.fail(str(error))
        return 2
    except FAILURES as error:
        terminal.fail(str(error))
        return 1
    except BrokenPipeError:  # the reader had enough
        sys.stderr.close()
        return 1
    except KeyboardInterrupt:
        terminal.fail("stopped")
        return 1
    except OSError as error:
        terminal.fail(f"{error.filename}: {error.strerror}" if error.filename else str(error))
        return 1


if __name__ == "__main__":
    raise SystemExit(main())
