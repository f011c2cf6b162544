"""Lines that were read, brought into the ledgers of their provinces: what an import does, in whichever process."""

import contextlib
import gc
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from domain.events.envelope import ledger_of
from domain.events.fields import MalformedError
from domain.events.party import PersonalDataErased
from domain.ledger.deployment import Deployment, SubjectError
from domain.ledger.interchange.landing import NEVER_OPENED, land_all
from domain.ledger.interchange.lines import (
    DEPLOYMENT_TYPE,
    KEY_TYPE,
    Arrival,
    Chunk,
    Refusal,
    lines_of,
    read_object,
)
from domain.ledger.interchange.reading import Reader
from domain.ledger.vault import VaultError

BATCH_LINES = 4_000  # some 40 ms of writing: the position counter is never held for much longer than that
BATCH_MAX_BYTES = 4_194_304

Read = Sequence[Arrival | Refusal]
"""What lines are: events, or why they are refused."""


@dataclass(slots=True)
class Tally:
    """What became of a file's lines; their sum is the number of lines."""

    appended: int = 0
    repeated: int = 0
    refused: int = 0
    keys: int = 0
    erased: int = 0
    """Parties whose keys were destroyed: what some of the appended lines came to."""
    ledgers: Counter[str] = field(default_factory=Counter)

    @property
    def lines(self) -> int:
        """How many lines were read."""
        return self.appended + self.repeated + self.refused + self.keys

    def add(self, other: "Tally") -> None:
        """Count in what became of other lines."""
        self.appended += other.appended
        self.repeated += other.repeated
        self.refused += other.refused
        self.keys += other.keys
        self.erased += other.erased
        self.ledgers.update(other.ledgers)


@dataclass(slots=True)
class Brought:
    """What became of some lines; the refused ones with their reasons, which are all there are."""

    tally: Tally = field(default_factory=Tally)
    refusals: list[Refusal] = field(default_factory=list)

    def refuse(self, refusal: Refusal) -> None:
        """Count a line that does not land."""
        self.tally.refused += 1
        self.refusals.append(refusal)


class KeyLineError(Exception):
    """A line that is no event but decides how those after it are read: it is taken in its place."""


def read_line(reader: Reader, number: int, line: bytes | None) -> Arrival | Refusal:
    """Return the event a line holds, or why it is refused; raises KeyLineError where it is no event."""
    if line is not None:
        arrival = reader.read(number, line)
        if arrival is not None:
            return arrival
    try:
        raw = read_object(line)
        if raw.get("type") in (KEY_TYPE, DEPLOYMENT_TYPE):
            raise KeyLineError
        return reader.checked(number, line or b"", raw)
    except (MalformedError, SubjectError, VaultError) as error:
        return refusal_of(number, line, error)


def erases(one: Arrival | Refusal) -> bool:
    """Whether a line says that a party's personal data was destroyed."""
    return isinstance(one, Arrival) and one.kind is PersonalDataErased


def refusal_of(number: int, line: bytes | None, error: Exception) -> Refusal:
    """Return why a line does not land, by the field it names."""
    problem = error.problem if isinstance(error, MalformedError) else None
    where, reason = (problem.field, problem.reason) if problem else ("(line)", str(error))
    return Refusal(number, where, reason, line or b"")


def read_chunk(reader: Reader, chunk: Chunk) -> Read | None:
    """Return what a chunk's lines are; None where one is no event but decides how those after it are read."""
    with _uncollected(), contextlib.suppress(KeyLineError):
        return [
            read_line(reader, number, line) for number, line in lines_of(io.BytesIO(chunk.text), chunk.first)
        ]
    return None


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Let nobody look for garbage in what is kept anyway: a tenth of the work of reading a chunk."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class Bringer:
    """Lands what was read, batch by batch, each event in the ledger of its province."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._new = True  # whether what comes is expected to be new: it is looked up only where it is not

    def bring(self, read: Read, now: datetime, *, own_seal: bool) -> Brought:
        """Land what was read, in its order, in batches of bounded size; every line is accounted for."""
        brought = Brought()
        batch: list[Arrival] = []
        size = 0
        for one in read:
            if isinstance(one, Refusal):
                brought.refuse(one)
                continue
            batch.append(one)
            size += len(one.text)
            if len(batch) >= BATCH_LINES or size >= BATCH_MAX_BYTES:
                self._land(batch, now, brought, own_seal=own_seal)
                batch, size = [], 0
        self._land(batch, now, brought, own_seal=own_seal)
        brought.refusals.sort(key=lambda refusal: refusal.line)
        return brought

    def _land(self, batch: Sequence[Arrival], now: datetime, brought: Brought, *, own_seal: bool) -> None:
        by_ledger: dict[str, list[Arrival]] = {}
        of_region: dict[str, list[Arrival]] = {}  # the same lists: a province has few regions
        for arrival in batch:
            if arrival.seal is not None and not own_seal:
                brought.refuse(_refusal(arrival, "digest", "was not sealed by this deployment"))
                continue
            region = arrival.region
            if region not in of_region:
                of_region[region] = by_ledger.setdefault(ledger_of(region), [])
            of_region[region].append(arrival)
        for name, arrivals in by_ledger.items():
            self._land_in(name, arrivals, now, brought)

    def _land_in(self, name: str, arrivals: list[Arrival], now: datetime, brought: Brought) -> None:
        """Land one ledger's part of a batch; a ledger is made only where something opens in it."""
        if self._deployment.ledger(name) is None and not any(a.kind.OPENS for a in arrivals):
            for arrival in arrivals:
                brought.refuse(_refusal(arrival, "subject", NEVER_OPENED))
            return
        try:
            ledger = self._deployment.ledger_for(arrivals[0].region)
        except SubjectError as error:
            for arrival in arrivals:
                brought.refuse(_refusal(arrival, "region", str(error)))
            return
        outcome = land_all(ledger, arrivals, now, new=self._new)
        self._new = not outcome.repeated and not outcome.refusals
        brought.tally.appended += outcome.appended
        brought.tally.ledgers[ledger.region] += outcome.appended
        brought.tally.repeated += outcome.repeated
        brought.tally.erased += outcome.erased
        for refusal in outcome.refusals:
            brought.refuse(refusal)


def _refusal(arrival: Arrival, where: str, reason: str) -> Refusal:
    return Refusal(arrival.line, where, reason, arrival.text)
