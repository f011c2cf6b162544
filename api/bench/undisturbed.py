"""A rebuild while everything goes on: whether the readers' answers are all right, during the swap too, and who waits.

Writers pay into accounts of their own, a follower keeps the live rows up to date, and readers look without pause: a
row of a writer's account has to be a moment of its history, a row of an account nobody writes to has to be what it
was, and the model's position never goes back.
"""

import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from domain.commands.account import OpenAccount, ReceivePayment
from domain.commands.asking import Asked, Command
from domain.commands.party import RegisterParty
from domain.events.account import ContractTerms
from domain.ledger.application import Ledger
from domain.ledger.deployment import Deployment
from domain.ledger.writer import ReceiptKey, Writer, request_digest
from projections.billing_status import BillingStatus, Status, status_of, statuses
from projections.engine import Follower, catch_up, rebuild, standings

ACCOUNTS = 50  # of each writer: none of them becomes long
THREADS = 2  # that write, and as many that read
UNTOUCHED = 500  # accounts nobody writes to that readers look at
PAID_FEN = 100
TOLD_MAX = 5
TERMS = ContractTerms(
    payment_deadline_days=15,
    late_fee_start="after_due",
    restore_hours=48,
    suspend_after_days=30,
    terminate_after_days=60,
)
PERSON: dict[str, Any] = {
    "kind": "individual",
    "id_type": "resident_id",
    "id_hash": "0" * 64,
    "name": "n",
    "id_number": "1",
    "address": "a",
}

Clock = Callable[[], datetime]


@dataclass(slots=True)
class Undisturbed:
    """What went on beside a rebuild, and what of it was not as it should be."""

    events: int = 0
    """That the rebuild folded."""
    wall_s: float = 0.0
    commands: int = 0
    answers: int = 0
    generations: set[int] = field(default_factory=set)
    """The makings of the model that answers came from: the old one and the new one."""
    longest_command_s: float = 0.0
    longest_answer_s: float = 0.0
    wrong: int = 0
    told: list[str] = field(default_factory=list)
    """Some of the wrong answers."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def say(self, line: str) -> None:
        """Count a wrong answer."""
        with self._lock:
            self.wrong += 1
            self.told += [line][: TOLD_MAX - len(self.told)]

    def answered(self, count: int, took_s: float) -> None:
        """Count answers that were given at once."""
        with self._lock:
            self.answers += count
            self.longest_answer_s = max(self.longest_answer_s, took_s)

    def commanded(self, took_s: float) -> None:
        """Count a command."""
        with self._lock:
            self.commands += 1
            self.longest_command_s = max(self.longest_command_s, took_s)


def undisturbed(deployment: Deployment, clock: Clock, *, workers: int, rebuilds: int = 1) -> Undisturbed:
    """Make account status anew in the one ledger of a deployment while commands and readers go on."""
    (ledger,) = deployment.ledgers
    model, found, done = BillingStatus(), Undisturbed(), threading.Event()
    catch_up(deployment, [model], clock)
    untouched = {row.account_id: row for row in statuses(ledger, limit=UNTOUCHED)}
    crew = _Crew(ledger, clock, found, done, untouched)
    catch_up(deployment, [model], clock)
    with _following(deployment, model, clock), ThreadPoolExecutor(2 * THREADS) as pool:
        jobs = [pool.submit(crew.write, n) for n in range(THREADS)]
        jobs += [pool.submit(crew.read, n) for n in range(THREADS)]
        try:
            for _ in range(rebuilds):
                began = time.perf_counter()
                if not rebuild(deployment, ledger, model, clock, workers=workers, show=crew.show):
                    raise RuntimeError("the rebuild was not finished")
                found.wall_s = time.perf_counter() - began
            crew.swapped.wait(10.0)
        finally:
            done.set()
        for job in jobs:
            job.result()
    return found


@contextmanager
def _following(deployment: Deployment, model: BillingStatus, clock: Clock) -> Iterator[None]:
    follower = Follower(deployment, [model], clock)
    follower.start()
    try:
        yield
    finally:
        follower.stop()


class _Crew:
    """Those who write and read meanwhile."""

    def __init__(
        self,
        ledger: Ledger,
        clock: Clock,
        found: Undisturbed,
        done: threading.Event,
        untouched: dict[str, Status],
    ) -> None:
        self._ledger, self._clock, self._found, self._done = ledger, clock, found, done
        self._untouched = untouched
        self._writer = Writer(ledger, clock)
        self._name = f"undisturbed-{uuid.uuid4().hex[:8]}"
        self.swapped = threading.Event()
        """Set once a reader has seen a second generation."""
        self._do(f"party/{self._name}", RegisterParty(**PERSON))
        opening = OpenAccount(party_id=self._name, line_of_business="mobile", contract_terms=TERMS)
        for account_id in (self._account(n, k) for n in range(THREADS) for k in range(ACCOUNTS)):
            self._do(f"account/{account_id}", opening)

    def _account(self, number: int, count: int) -> str:
        return f"{self._name}-{number}-{count % ACCOUNTS}"

    def _do(self, subject: str, command: Command) -> None:
        asked = Asked(subject, command, "staff/S-01", "store", f"{self._ledger.region}.harbin", self._clock())
        key = uuid.uuid4().hex
        answer = self._writer.execute(asked, ReceiptKey("bench", key, request_digest(key.encode())))
        if answer.refused:
            raise RuntimeError(f"refused: {answer.body}")

    def show(self, progress: object) -> None:
        """Take note of how much there was to fold."""
        self._found.events = progress.events_done  # type: ignore[attr-defined]

    def write(self, number: int) -> None:
        """Pay, without a pause, into one account after the other."""
        count = 0
        while not self._done.is_set():
            day = self._clock().date()
            payment = ReceivePayment(
                payment_id=f"P{count}", amount_fen=PAID_FEN, value_date=day, method="bank"
            )
            began = time.perf_counter()
            self._do(f"account/{self._account(number, count)}", payment)
            self._found.commanded(time.perf_counter() - began)
            count += 1

    def read(self, number: int) -> None:
        """Look at accounts of both kinds, and at how far the model is."""
        chance, last = random.Random(number), 0  # noqa: S311 - nothing hangs on it
        seen: set[int] = set()
        while not self._done.is_set():
            began = time.perf_counter()
            standing = next(s for s in standings(self._ledger) if s.name == BillingStatus.name)
            if standing.position < last:
                self._found.say(f"the position went back from {last} to {standing.position}")
            last = standing.position
            seen.add(standing.generation)
            if len(seen) > 1:
                self.swapped.set()
            asked = [*chance.sample(sorted(self._untouched), min(3, len(self._untouched)))]
            asked.append(self._account(number, chance.randrange(ACCOUNTS)))
            for account_id in asked:
                self._check(account_id, status_of(self._ledger, account_id))
            self._found.answered(1 + len(asked), time.perf_counter() - began)
        self._found.generations.update(seen)

    def _check(self, account_id: str, row: Status | None) -> None:
        """Hold a row against what its account can have been."""
        if row is None:
            self._found.say(f"{account_id} has no row")
        elif account_id in self._untouched:
            if row != self._untouched[account_id]:
                self._found.say(f"{account_id} is {row}, was {self._untouched[account_id]}")
        elif row.balance_fen != -PAID_FEN * (row.stream_version - 1):
            self._found.say(f"{account_id} owes {row.balance_fen} fen after {row.stream_version} events")
