"""structlog for the whole program: for people on a terminal, JSON lines otherwise, always on standard error.

Personal data never reaches a log line: states and events print it as <personal data>, nothing logs bodies, and of an
error only its kinds and places are said. Its words may quote what it stumbled over: a row, a statement, a name.
"""

import logging
import sys
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any

import structlog

PLACES_MAX = 8  # the innermost calls: where it happened, and who asked for it
_QUIET = ("uvicorn.access", "httpx", "httpcore", "psycopg.pool", "asyncio")
_ROOT = Path(__file__).parents[1]


def configure(level: str = "INFO") -> None:
    """Send structlog's and the libraries' logs the same way. `level` is a standard level's name."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    pretty = sys.stderr.isatty()
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    renderer = structlog.dev.ConsoleRenderer() if pretty else structlog.processors.JSONRenderer()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                without_words,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def without_words(
    _logger: Any, _method: str, entry: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Say of an error its kinds (its causes after it) and the places it passed, the innermost first."""
    given = entry.pop("exc_info", None)
    entry.pop("stack_info", None)
    if given is True:
        given = sys.exc_info()
    error = given[1] if isinstance(given, tuple) else given
    if isinstance(error, BaseException):
        chain = _chain(error)
        entry["error"] = [type(one).__name__ for one in chain]
        entry["where"] = _places(chain[-1].__traceback__ or error.__traceback__)
    return entry


def _chain(error: BaseException) -> list[BaseException]:
    """Return an error and what led to it, the first cause last."""
    found: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and following not in found and len(found) < PLACES_MAX:
        found.append(following)
        hidden = following.__suppress_context__
        following = following.__cause__ or (None if hidden else following.__context__)
    return found


def _places(trace: TracebackType | None) -> list[str]:
    frames = traceback.extract_tb(trace)[-PLACES_MAX:]
    return [f"{_short(frame.filename)}:{frame.lineno} {frame.name}" for frame in reversed(frames)]


def _short(filename: str) -> str:
    path = Path(filename)
    return str(path.relative_to(_ROOT)) if path.is_relative_to(_ROOT) else f"{path.parent.name}/{path.name}"
