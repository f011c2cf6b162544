"""The composition root: the one place where the parts are put together. Importing it does nothing."""

import contextlib
import gc
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from api.settings import SEAL_NAME, Settings
from domain.calendar import zone_of
from domain.events.envelope import ledger_of
from domain.evidence.records import VerifierKey
from domain.ledger.application import Ledger
from domain.ledger.database import Database
from domain.ledger.deployment import Deployment
from domain.ledger.embedded import EmbeddedPostgres
from domain.ledger.seals import Seal, Sealer, Seals, origin_of
from domain.ledger.sight import Sight
from domain.ledger.signing import NoSealKeyError, SealKey
from domain.ledger.writer import Writer
from projections.accountability import Accountability
from projections.billing_status import BillingStatus
from projections.blacklist import Blacklist
from projections.cases import Cases
from projections.complaints import Complaints
from projections.directory import Directory
from projections.dunning import Dunning
from projections.engine import Follower, ReadModel
from projections.notices import Notices
from projections.registrations import Registrations
from projections.statement import Statement
from projections.timeline import Timeline

COLLECT_AFTER = (50_000, 20, 20)
"""So many objects more than before, and it is looked among the new ones for circles that nobody refers to any more.

Python's own 700 come to one look for every ten commands: of what they make, nearly all is let go at once, and what
stays are the states of streams, at which it would look in vain. 50,000 objects are some 10 MB.
"""

READ_MODELS: tuple[ReadModel, ...] = (
    BillingStatus(),
    Statement(),
    Dunning(),
    Notices(),
    Blacklist(),
    Registrations(),
    Cases(),
    Complaints(),
    Accountability(),
    Timeline(),
    Directory(),
)


def _no_seal_key() -> SealKey:
    raise NoSealKeyError("no key to seal with was set")


@contextlib.contextmanager
def collecting_rarely() -> Iterator[None]:
    """Let Python look less often for circles of garbage, as is right for the service: a tenth of its commands' time."""
    before = gc.get_threshold()
    gc.set_threshold(*COLLECT_AFTER)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def present() -> datetime:
    """Return the present moment, in the zone contracts count their days in. The program's one clock."""
    return datetime.now(zone_of(""))


class Wakeable(Protocol):
    """What follows the log, here or in another process."""

    def wake(self) -> None:
        """Say that something was appended."""


@dataclass(slots=True)
class Runtime:
    """A deployment that is open, and what works on it."""

    deployment: Deployment
    clock: Callable[[], datetime] = present
    seal_key: Callable[[], SealKey] = _no_seal_key
    """The key that seals; raises NoSealKeyError where none was set, SealKeyError. Asked when it is needed."""
    seal_name: str = SEAL_NAME
    tsa_url: str | None = None
    tsa_roots: Path | None = None
    followers: list[Wakeable] = field(default_factory=list)
    _writers: dict[str, Writer] = field(default_factory=dict)
    _making: threading.Lock = field(default_factory=threading.Lock)

    def within(self, sight: Sight) -> "Runtime":
        """Return what somebody works on who may not see all of it; the writers and the followers are the same."""
        return self if sight.everywhere else replace(self, deployment=self.deployment.within(sight))

    def writer(self, region: str) -> Writer:
        """Return the one writer of a region's ledger, which is made where it is the region's first.

        Whatever this process appends goes through it, but for imports, which lock the log: a second writer would decide
        on what the first is just writing, and both would begin anew.
        """
        ledger = self.deployment.ledger_for(region)
        with self._making:
            if ledger.region not in self._writers:
                self._writers[ledger.region] = Writer(ledger, self.clock)
            return self._writers[ledger.region]

    def known_writer(self, region: str) -> Writer | None:
        """Return the writer of a region's ledger where it is known already, without asking the database."""
        return self._writers.get(ledger_of(region))

    def sealer(self, ledger: Ledger) -> Sealer:
        """Return what seals a ledger; raises SealKeyError."""
        return Sealer(ledger, self.seal_key(), self.seal_name, self.clock)

    def verifier_key(self, ledger: Ledger, last: Seal | None) -> VerifierKey:
        """Return a ledger's public key, under the name its checkpoints have or will have; raises SealKeyError."""
        origin = last.signed_text().origin if last else origin_of(self.seal_name, ledger.region)
        return self.seal_key().named(origin)

    def follower(self) -> Follower:
        """Return what keeps the read models up to date."""
        made = Follower(self.deployment, READ_MODELS, self.clock)
        self.followers.append(made)
        return made

    def wake(self) -> None:
        """Let the read models look at the log now: something was appended here. They would find it soon anyway."""
        for follower in self.followers:
            follower.wake()


@contextlib.contextmanager
def opened(
    settings: Settings,
    progress: Callable[[str], None] | None = None,
    clock: Callable[[], datetime] = present,
    answer_max_s: float | None = None,
) -> Iterator[Runtime]:
    """Open the deployment the settings name, on DATABASE_URL or on the embedded server.

    `answer_max_s` bounds a reader's statement, where others wait for the connection.
    Raises StorageError, EmbeddedError and VaultError with one line that says what would be right.
    """
    with contextlib.ExitStack() as stack:
        conninfo: Callable[[], str]
        if settings.database_url:
            url = settings.database_url
            conninfo = lambda: url  # noqa: E731
        else:
            server: Any = stack.enter_context(EmbeddedPostgres(settings.data_dir, progress=progress))
            conninfo = server.ensure
        owner_url = settings.owner_url
        database = Database(conninfo, (lambda: owner_url) if owner_url else None, answer_max_s)
        stack.callback(database.close)
        deployment = Deployment(database, settings.master)

        def was_sealed() -> bool:
            return any(Seals(ledger).last() is not None for ledger in deployment.ledgers)

        yield Runtime(
            deployment,
            clock,
            seal_key=lambda: settings.sealing_key(was_sealed),
            seal_name=settings.seal_name,
            tsa_url=settings.tsa_url,
            tsa_roots=settings.tsa_roots,
        )
