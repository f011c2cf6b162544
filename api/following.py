"""The read models' follower in a process of its own, so that its folding takes no time from commands.

It is started anew, after a while, whenever it dies; it ends as soon as the service does, however that went: both hold
one end of a socket. What is written into it says that something was appended, or on the other side that following has
begun; its end says that it is over.
"""

import contextlib
import logging
import multiprocessing
import os
import signal
import socket
import threading
import time
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING

import structlog

from api.logging import configure
from api.runtime import Runtime, opened
from api.settings import Settings
from domain.events.envelope import prepare

if TYPE_CHECKING:
    from projections.engine import Follower

STOP_S = 5.0  # how long the batch that is being folded may still take when the service stops
AGAIN_MIN_S = 0.2  # how soon a follower that died is replaced
AGAIN_MAX_S = 30.0  # how soon at the latest, where one after the other dies
STEADY_S = 60.0  # who lived as long died of something new: the next one is started soon
HINTS_MAX_BYTES = 4_096  # hints that are taken as one

log = structlog.get_logger(__name__)


class FollowerProcess:
    """Keeps the models of a deployment up to date from another process, until it is stopped."""

    def __init__(self, runtime: Runtime, settings: Settings) -> None:
        self._runtime = runtime
        self._settings = settings
        self._lock = threading.Lock()
        self._hints: socket.socket | None = None
        self._process: BaseProcess | None = None
        self._instead: Follower | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="read models", daemon=True)

    def start(self) -> None:
        """Begin to follow, and let the commands of the runtime hint at it."""
        self._runtime.followers.append(self)
        self._thread.start()

    def wake(self) -> None:
        """Say that something was appended: a hint, from any thread. Without it the log is polled."""
        with self._lock:
            if self._hints is not None:
                with contextlib.suppress(OSError):  # it has hints enough, or is gone: it looks by itself
                    self._hints.send(b"\0")

    def stop(self) -> None:
        """Stop after the batch that is being folded, at the latest after a moment; at once, if none was begun."""
        self._stop.set()
        self._hang_up()
        if self._thread.ident is not None:  # it was started
            self._thread.join(2 * STOP_S)
        if self._instead is not None:
            self._instead.stop()

    def _run(self) -> None:
        wait_s = AGAIN_MIN_S
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                process = self._started()
            except OSError:
                log.exception("no process for the read models: they are followed in the service's own")
                self._instead = self._runtime.follower()
                self._instead.start()
                return
            self._await(process)
            if self._stop.is_set():
                return
            wait_s = AGAIN_MIN_S if time.monotonic() - began > STEADY_S else min(2 * wait_s, AGAIN_MAX_S)
            log.warning("the read models' process ended; starting another", code=process.exitcode)
            self._stop.wait(wait_s)

    def _started(self) -> BaseProcess:
        """Start a process: a new one, not a copy of this one, whose threads and connections would come along."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)  # noqa: FBT003 - the standard library's way
        level = logging.getLevelName(logging.getLogger().level)
        process = multiprocessing.get_context("spawn").Process(
            target=follow, args=(theirs, self._settings, level), name="read models"
        )
        with theirs:
            try:
                process.start()
            except OSError:
                ours.close()
                raise
        with self._lock:
            self._hints, self._process = ours, process
        if self._stop.is_set():
            self._hang_up()
        return process

    def _await(self, process: BaseProcess) -> None:
        """Wait until a process is gone, and no longer than a moment once it is to stop."""
        while process.is_alive() and not self._stop.is_set():
            process.join(0.5)
        self._hang_up()
        process.join(STOP_S)
        if process.is_alive():
            process.kill()
            process.join()

    def _hang_up(self) -> None:
        with self._lock:
            if self._hints is not None:
                if self._process is not None and not _begun(self._hints):
                    self._process.kill()  # it imports and connects, which may take seconds, and would then end
                self._hints.close()
                self._hints = None


def _begun(hints: socket.socket) -> bool:
    """Whether the other process has said that it follows, or is gone."""
    try:
        hints.recv(1)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def follow(hints: socket.socket, settings: Settings, level: str) -> None:
    """Follow the log until the service hangs up; what the other process does."""
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # who sits at the terminal stops the service, and that one us
    configure(level)
    over = threading.Event()
    followers: list[Follower] = []

    def listen() -> None:
        with contextlib.suppress(OSError):  # a reset: the service was killed before it read that we had begun
            while hints.recv(HINTS_MAX_BYTES):
                for follower in followers:
                    follower.wake()
        if not followers:
            os._exit(0)  # it had not begun
        over.set()
        time.sleep(STOP_S)
        os._exit(1)  # whatever it hangs in: the service is gone

    threading.Thread(target=listen, name="service", daemon=True).start()
    with opened(settings) as runtime:
        prepare()
        follower = runtime.follower()
        followers.append(follower)
        follower.start()
        with contextlib.suppress(OSError):  # the service is gone, as is noticed below
            hints.send(b"\0")
        over.wait()
        follower.stop(STOP_S)
