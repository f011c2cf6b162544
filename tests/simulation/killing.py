"""A command of the program in a process that kills itself at a named stage of its work, or some time after it began.

A stage is `before NAME`, `after NAME` or `committed NAME`, where NAME is one of our queries, the beginning of another
statement, or a function as `module:name`; or `within SECONDS` of the first statement. The process is killed with
SIGKILL right there: the server is left with what it was sent until then.
"""

import functools
import importlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psycopg

from api import cli, sealing
from domain.ledger import application, erasing, seals
from domain.ledger.statement import Statement
from tests.test_crash import command

NAMES = {id(query): name for q in (seals.Q, application.Q, erasing.S) for name, query in q.items()}


def killing(
    stage: str, *arguments: str, data: Path, seal_every_s: float = 0
) -> tuple[list[str], dict[str, str]]:
    """Return how a command is started that is killed at a stage, and in which environment."""
    plain, environment = command(*arguments, data=data)
    program = [sys.executable, "-P", "-m", __name__, stage, str(seal_every_s)]
    return [*program, *plain[plain.index("api.cli") + 1 :]], environment


def killed_at(stage: str, *arguments: str, data: Path) -> bool:
    """Run a command that is killed at a stage; whether it was, and had not ended well before it came to that."""
    line, environment = killing(stage, *arguments, data=data)
    done = subprocess.run(line, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr[-500:]
    return done.returncode != 0


def arm(stage: str) -> None:
    """Let this process kill itself at a stage."""
    when, _, name = stage.partition(" ")
    if when == "within":
        _after_the_first_statement(float(name))
        return
    reached = [False]

    def around(call: Callable[..., Any], named: Callable[..., str]) -> Callable[..., Any]:
        @functools.wraps(call)
        def called(*given: Any, **more: Any) -> Any:
            here = named(*given).startswith(name)
            if here and when == "before":
                _die()
            result = call(*given, **more)
            if here and when == "after":
                _die()
            reached[0] |= here
            return result

        return called

    module, _, function = name.partition(":")
    if function:
        place = importlib.import_module(module)
        setattr(place, function, around(getattr(place, function), lambda *_given: name))
    psycopg.Connection.execute = around(psycopg.Connection.execute, _query_of)  # type: ignore[method-assign]
    Statement.send = around(Statement.send, lambda one, *_given: one.query_name)  # type: ignore[method-assign]
    Statement.__init__ = _named(Statement.__init__)  # type: ignore[method-assign]
    if when == "committed":
        leave = psycopg.Transaction.__exit__

        def left(*given: Any) -> Any:
            result = leave(*given)
            if reached[0]:
                _die()
            return result

        psycopg.Transaction.__exit__ = left  # type: ignore[method-assign]


def _named(make: Callable[..., None]) -> Callable[..., None]:
    """Let a prepared statement remember its name."""

    def made(self: Any, connection: Any, name: str, query: Any) -> None:
        make(self, connection, name, query)
        self.query_name = name

    return made


def _query_of(_connection: Any, query: Any, *_more: Any) -> str:
    return NAMES.get(id(query)) or str(query)


def _after_the_first_statement(seconds: float) -> None:
    execute = psycopg.Connection.execute

    def first(self: Any, *given: Any, **more: Any) -> Any:
        psycopg.Connection.execute = execute  # type: ignore[method-assign]
        threading.Timer(seconds, _die).start()
        return execute(self, *given, **more)

    psycopg.Connection.execute = first  # type: ignore[method-assign]


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _seal_every(seconds: float) -> None:
    """Let a service seal more often than a command line may ask for."""
    make = sealing.Interval.__init__

    def made(self: Any, runtime: Any, _every_s: float) -> None:
        make(self, runtime, seconds)

    sealing.Interval.__init__ = made  # type: ignore[method-assign]


def main(given: Sequence[str]) -> int:
    """Run a command that is killed at a stage."""
    stage, seal_every_s, *arguments = given
    if float(seal_every_s):
        _seal_every(float(seal_every_s))
    if stage:
        arm(stage)
    return cli.main(arguments)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
