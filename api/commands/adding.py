"""How a command joins the command line: each module of this package registers its own."""

import argparse
from collections.abc import Callable
from typing import Protocol

from api.settings import Settings
from api.terminal import Terminal

Run = Callable[[argparse.Namespace, Settings, Terminal], int]
"""Does a command and returns the exit code."""


class Add(Protocol):
    """Adds a command and returns its parser, which has what every command takes already."""

    def __call__(self, name: str, run: Run, text: str) -> argparse.ArgumentParser:
        """Add one."""


def add_inquiry(asked: argparse.ArgumentParser) -> None:
    """Let a question be asked as it was known, and as the log stood."""
    asked.add_argument("--known-at", metavar="T", help="as it was known then; now, where it is not given")
    asked.add_argument("--position", type=int, metavar="N", help="as the log stood then")
