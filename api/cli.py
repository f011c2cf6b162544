"""The command line: `recount COMMAND`. Exit 0 done, 1 a refusal or failed check, 2 wrong usage."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

import structlog

from api import commands_data
from api.logging import configure
from api.settings import DEFAULT_DATA, Settings
from api.terminal import CommandError, Terminal
from domain.events.fields import MalformedError
from domain.ledger.database import StorageError
from domain.ledger.deployment import SubjectError
from domain.ledger.embedded import EmbeddedError
from domain.ledger.surroundings import TooWideError
from domain.ledger.vault import VaultError

FAILURES = (CommandError, StorageError, EmbeddedError, VaultError, SubjectError, TooWideError)

log = structlog.get_logger(__name__)


class _Parser(argparse.ArgumentParser):
    """An argument parser that says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        sys.stderr.write(f"recount: {message} (see {self.prog} --help)\n")
        raise SystemExit(2)


def parser() -> argparse.ArgumentParser:
    """Return the parser of every command."""
    shared = _Parser(add_help=False)
    shared.add_argument(
        "--data", type=Path, default=DEFAULT_DATA, metavar="DIR", help="embedded data directory"
    )
    shared.add_argument("--region", metavar="R", help="the ledger, where a subject stands in several")
    shared.add_argument("--json", action="store_true", help="one JSON document on standard output")
    shared.add_argument("--log-level", default="WARNING", choices=["DEBUG", "INFO", "WARNING", "ERROR"])
    top = _Parser(
        prog="recount", description="Customer accounts as they were on any day, as known on any day."
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, run: Callable[..., int], text: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, parents=[shared], help=text, description=text)
        made.set_defaults(run=run)
        return made

    demo = add("demo", _demo, "the Harbin case, imported and served on loopback")
    demo.add_argument("--port", type=_port, default=8000)
    serve = add("serve", _serve, "the service, on DATABASE_URL or embedded")
    serve.add_argument("--port", type=_port, default=8000)
    serve.add_argument("--host", default="127.0.0.1")

    bring = add("import", commands_data.import_files, "CloudEvents JSONL in")
    bring.add_argument("files", nargs="+", metavar="FILE", help="a file, or - for standard input")
    bring.add_argument("--rejects", type=Path, metavar="FILE", help="where refused lines go")
    take = add("export", commands_data.export, "CloudEvents JSONL out, sealed unless --plain")
    take.add_argument("subjects", nargs="*", metavar="SUBJECT")
    take.add_argument("--out", type=Path, metavar="FILE")
    take.add_argument("--plain", action="store_true", help="personal data in clear, for those who may")

    replay = add("replay", commands_data.replay, "what was true, as it was known")
    replay.add_argument("subject", metavar="SUBJECT", help="account/ID, party/ID, dealer/ID or case/ID")
    replay.add_argument("--at", metavar="T", help="a day or a time; now, where it is not given")
    replay.add_argument("--known-at", metavar="T", help="as it was known then; now, where it is not given")
    replay.add_argument("--position", type=int, metavar="N", help="as the log stood then")
    replay.add_argument("--steps", action="store_true", help="each step, and what it changed")

    findings = add(
        "findings", commands_data.findings, "which rules were kept or broken, shown by which events"
    )
    findings.add_argument("subject", metavar="SUBJECT")
    findings.add_argument("--known-at", metavar="T", help="as it was known then; now, where it is not given")
    findings.add_argument("--position", type=int, metavar="N", help="as the log stood then")
    findings.add_argument("--rule", metavar="ID", help="only one rule")

    lawful = add("counterfactual", commands_data.counterfactual, "what should have happened, beside what did")
    lawful.add_argument("subject", metavar="SUBJECT", help="account/ID or party/ID")
    lawful.add_argument("--until", metavar="DAY", help="the last day; today, where it is not given")
    lawful.add_argument("--assume", metavar="K=V", action="append", default=[], help="expiry_option=suspend")
    lawful.add_argument("--known-at", metavar="T", help="as it was known then; now, where it is not given")
    lawful.add_argument("--position", type=int, metavar="N", help="as the log stood then")
    return top


def _demo(given: argparse.Namespace, settings: Settings, terminal: Terminal) -> int:
    from api.commands_serve import demo  # noqa: PLC0415 - the web framework takes half a second to load

    return demo(given, settings, terminal)


def _serve(given: argparse.Namespace, settings: Settings, terminal: Terminal) -> int:
    from api.commands_serve import serve  # noqa: PLC0415 - as above

    return serve(given, settings, terminal)


def _port(text: str) -> int:
    value = int(text)
    if not 0 <= value < 65_536:
        raise argparse.ArgumentTypeError("should be a port, 0 to 65535")
    return value


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    given = parser().parse_args(arguments)
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
