"""How a command joins the command line: each module of this package registers its own."""

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar

from api.settings import Settings
from api.terminal import Terminal

Parser = TypeVar("Parser", bound=argparse.ArgumentParser)
WORKERS_MAX = 32
Run = Callable[[argparse.Namespace, Settings, Terminal], int]
"""Does a command and returns the exit code."""


class Add(Protocol):
    """Adds a command and returns its parser, which has what every command takes already."""

    def __call__(self, name: str, run: Run, text: str) -> argparse.ArgumentParser:
        """Add one."""


def add_shared(parser: Parser) -> Parser:
    """Add what every command takes, and return the parser; the defaults are those of the whole command line.

    A command of several actions adds it to each, with argument_default=argparse.SUPPRESS: else the action's
    defaults would take the place of what was given before it.
    """
    parser.add_argument("--data", type=Path, metavar="DIR", help="embedded data directory")
    parser.add_argument("--region", metavar="R", help="the ledger, where a subject stands in several")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    parser.add_argument("--log-level", choices=["DEBUG", "INFO", "WARNING", "ERROR"])
    return parser


def add_inquiry(asked: argparse.ArgumentParser) -> None:
    """Let a question be asked as it was known, and as the log stood."""
    asked.add_argument("--known-at", metavar="T", help="as it was known then; now, where it is not given")
    asked.add_argument("--position", type=int, metavar="N", help="as the log stood then")


def add_workers(parser: argparse.ArgumentParser) -> None:
    """Let it be said in how many processes work on many streams is done."""
    parser.add_argument(
        "--workers",
        type=number(WORKERS_MAX),
        default=os.cpu_count() or 1,
        metavar="N",
        help="processes, where there are many streams: as many as there are cores, where it is not given",
    )


def number(most: int) -> Any:
    """Return what reads a number from 1 to another from the command line."""

    def parse(text: str) -> int:
        value = int(text)
        if not 1 <= value <= most:
            raise argparse.ArgumentTypeError(f"should be a number from 1 to {most}")
        return value

    return parse
