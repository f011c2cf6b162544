"""Keeps the read models of a deployment up to date, in the background or until they are.

A model that fails stops alone, right before the event it can't fold, says which and why, and is tried again.
"""

import threading
from collections.abc import Callable, Sequence
from datetime import datetime

import structlog

from domain.ledger.application import Ledger
from domain.ledger.deployment import Deployment
from projections.engine.building import GRACE_S, drop_retired, rebuild
from projections.engine.folding import States, StoppedError, advance, move_on
from projections.engine.generations import install, outdated
from projections.engine.model import ReadModel
from projections.engine.storing import Q

POLL_S = 0.1  # how long a model that has seen everything waits before it looks again
RETRY_S = 5.0  # how long a model that failed waits before it is tried again

log = structlog.get_logger(__name__)


def catch_up(deployment: Deployment, models: Sequence[ReadModel], clock: Callable[[], datetime]) -> None:
    """Bring every model of every ledger up to the present."""
    for ledger in deployment.ledgers:
        install(deployment, ledger, models)
        for model in outdated(ledger, models):
            rebuild(deployment, ledger, model, clock)
        for model in models:
            states = States()
            while advance(ledger, model, clock, states=states):
                pass


class Follower:
    """Keeps the models of all ledgers up to date in the background, until it is stopped."""

    def __init__(
        self, deployment: Deployment, models: Sequence[ReadModel], clock: Callable[[], datetime]
    ) -> None:
        self._deployment = deployment
        self._models = models
        self._clock = clock
        self._stop = threading.Event()
        self._woken = threading.Event()
        self._installed: set[str] = set()
        self._states: dict[tuple[str, str], States] = {}
        self._failed_at: dict[tuple[str, str], datetime] = {}
        self._builders: dict[tuple[str, str], threading.Thread] = {}
        self._dropped_at = clock()
        self._thread = threading.Thread(target=self._run, name="read models", daemon=True)

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def wake(self) -> None:
        """Say that something was appended: a hint, from any thread. Without it the log is polled."""
        self._woken.set()

    def stop(self, timeout_s: float = 10.0) -> None:
        """Stop after the batch that is being folded."""
        self._stop.set()
        self._woken.set()
        for thread in (self._thread, *self._builders.values()):
            thread.join(timeout_s)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                moved = self.round()
            except Exception:  # the database may be away: the follower outlives it
                log.exception("following the log failed; trying again")
                self._stop.wait(RETRY_S)
                continue
            if not moved:
                self._woken.wait(POLL_S)
            self._woken.clear()

    def round(self) -> int:
        """Fold a batch into every model that waits for one; return how many events that were."""
        moved = 0
        ledgers = self._deployment.ledgers
        if (self._clock() - self._dropped_at).total_seconds() > GRACE_S:
            self._dropped_at = self._clock()
            for ledger in ledgers:
                drop_retired(self._deployment, ledger)
        for ledger in ledgers:
            if ledger.region not in self._installed:
                install(self._deployment, ledger, self._models)
                self._installed.add(ledger.region)
            self._build(ledger)
            now = self._clock()
            with ledger.journal.database.connection(ledger.schema) as connection:
                waiting = set(connection.execute(Q["waiting"], {"now": now}).fetchall())
            for model in self._models:
                if (model.name, model.version) in waiting and not self._stop.is_set():
                    moved += self._step(ledger, model, now)
        return moved

    def _step(self, ledger: Ledger, model: ReadModel, now: datetime) -> int:
        key = ledger.region, model.name
        states = self._states.setdefault(key, States())
        failed_at = self._failed_at.get(key)
        resting = failed_at is not None and (now - failed_at).total_seconds() < RETRY_S
        try:
            return move_on(ledger, model, self._clock, states=states, with_failed=not resting)
        except StoppedError:
            self._failed_at[key] = now
            return 0

    def _build(self, ledger: Ledger) -> None:
        """Make models anew whose version here is an old one, in the background: the old rows are read meanwhile."""
        for model in outdated(ledger, self._models):
            key = ledger.region, model.name
            builder = self._builders.get(key)
            if builder is None or not builder.is_alive():
                name = f"rebuild of {model.name}"
                builder = threading.Thread(target=self._rebuild, args=(ledger, model), name=name, daemon=True)
                self._builders[key] = builder
                builder.start()

    def _rebuild(self, ledger: Ledger, model: ReadModel) -> None:
        try:
            rebuild(self._deployment, ledger, model, self._clock, stop=self._stop)
        except Exception:  # whatever it is, what is read stays, and the rebuild goes on where it stood
            log.exception("rebuild stopped; trying again", ledger=ledger.region, model=model.name)
            self._stop.wait(RETRY_S)
