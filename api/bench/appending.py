"""append_vs_library: durable single-event commands through the ledger, against the stock library's save."""

import asyncio
import contextlib
import itertools
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from psycopg.conninfo import conninfo_to_dict

from api.bench.protocol import REGION, Bench, Figure, in_turns, percentile
from api.runtime import collecting_rarely, present
from domain.commands.account import OpenAccount, PostCharge, ReceivePayment
from domain.commands.asking import Asked, Command
from domain.commands.party import RegisterParty
from domain.events.account import ContractTerms
from domain.events.fields import Personal
from domain.ledger.deployment import Deployment
from domain.ledger.writer import ReceiptKey, Writer, request_digest

CLIENTS = 64
THREADS = 8
ACCOUNTS = 10_000  # so that none becomes longer than a customer's few years
OPENED_AT_ONCE = 1_000
ANEW_S = 60.0
TERMS = ContractTerms(
    payment_deadline_days=15,
    late_fee_start="after_due",
    restore_hours=48,
    suspend_after_days=30,
    terminate_after_days=60,
)
PERSON = RegisterParty(
    kind="individual",
    id_type="resident_id",
    id_hash=Personal("0" * 64),
    name=Personal("Li"),
    id_number=Personal("1"),
    address=Personal("Harbin"),
)


def asked(subject: str, command: Command) -> Asked:
    """Return a command as a clerk asks it now."""
    return Asked(subject, command, "staff/S-01", "store", REGION, present())


def open_accounts(writer: Writer, name: str, count: int) -> list[str]:
    """Open accounts of one party; return their subjects."""
    subjects = [f"account/{name}-{n}" for n in range(count)]
    opening = OpenAccount(party_id=name, line_of_business="mobile", contract_terms=TERMS)

    async def all_of_them() -> None:
        await writer.ask(asked(f"party/{name}", PERSON), _receipt(uuid.uuid4().hex))
        for first in range(0, count, OPENED_AT_ONCE):
            some = subjects[first : first + OPENED_AT_ONCE]
            await asyncio.gather(
                *(writer.ask(asked(subject, opening), _receipt(uuid.uuid4().hex)) for subject in some)
            )

    asyncio.run(all_of_them())
    return subjects


def nth_command(number: int, name: str) -> Command:
    """Return a charge or a payment, in turns."""
    today = present().date()
    if number % 2:
        return ReceivePayment(payment_id=f"{name}-{number}", amount_fen=100, value_date=today, method="bank")
    return PostCharge(
        charge_id=f"{name}-{number}",
        kind="monthly",
        amount_fen=9_900,
        period_start=today - timedelta(days=31),
        period_end=today - timedelta(days=1),
        due_on=today + timedelta(days=15),
    )


def command_rate(
    writer: Writer, subjects: list[str], name: str, seconds: float, commands: int | None = None
) -> tuple[float, list[float]]:
    """Return commands a second by clients that each wait for their answer, and how long each waited, in s.

    They come by the streams in turn, for so long or with so many commands.
    """
    numbers = iter(range(commands)) if commands else itertools.count()
    waits: list[float] = []

    async def client(until: float) -> None:
        for number in numbers:
            began = time.perf_counter()
            if began > until:
                break
            subject = subjects[number % len(subjects)]
            key = ReceiptKey("bench", f"{name}-{number}", request_digest(subject.encode()))
            answer = await writer.ask(asked(subject, nth_command(number, name)), key)
            if answer.refused:
                raise RuntimeError(f"refused: {answer.body}")
            waits.append(time.perf_counter() - began)

    async def all_clients() -> float:
        began = time.perf_counter()
        await asyncio.gather(*(client(began + seconds) for _ in range(CLIENTS)))
        return time.perf_counter() - began

    took = asyncio.run(all_clients())
    return len(waits) / took, waits


class Purse(Aggregate):
    """The library's own aggregate, for comparison."""

    @event("Opened")
    def __init__(self) -> None:
        self.amount_fen = 0

    @event("Paid")
    def pay(self, amount_fen: int) -> None:
        """Take a payment."""
        self.amount_fen += amount_fen


@contextlib.contextmanager
def library(url: str) -> Iterator[Application[uuid.UUID]]:
    """Lend the stock library's application on a database, with a connection for each thread."""
    given = {k: str(v) for k, v in conninfo_to_dict(url).items() if v is not None}
    app = Application[uuid.UUID](
        env={
            "PERSISTENCE_MODULE": "eventsourcing.postgres",
            "POSTGRES_DBNAME": given["dbname"],
            "POSTGRES_HOST": given.get("host", ""),
            "POSTGRES_PORT": given.get("port", "5432"),
            "POSTGRES_USER": given.get("user", ""),
            "POSTGRES_PASSWORD": given.get("password", "none"),
            "POSTGRES_POOL_SIZE": str(THREADS),
        }
    )
    try:
        yield app
    finally:
        app.close()


def library_rate(app: Application[uuid.UUID], seconds: float) -> float:
    """Return the library's saves of one event a second, each thread on aggregates it holds in memory."""
    until = time.perf_counter() + seconds

    def thread(_number: int) -> int:
        purses, done = [Purse() for _ in range(20)], 0
        app.save(*purses)
        while time.perf_counter() < until:
            purse = purses[done % len(purses)]
            purse.pay(100)
            app.save(purse)
            done += 1
        return done

    began = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as pool:
        done = sum(pool.map(thread, range(THREADS)))
    return done / (time.perf_counter() - began)


def append_vs_library(bench: Bench) -> Figure:
    """Measure commands (charges and payments) by 64 clients against the library's saves by 8 threads."""
    with bench.deployment() as (deployment, _), bench.database() as beside, library(beside) as app:
        writer = _writer(deployment)
        subjects = open_accounts(writer, "P", ACCOUNTS)
        seconds, waits = bench.scale.seconds, []

        def ours(run: int) -> float:
            with collecting_rarely():  # as the service does
                rate, waited = command_rate(writer, subjects, f"r{run}", seconds)
            waits.extend(waited)
            return rate

        rates = in_turns(bench.scale.runs, ours, lambda _run: library_rate(app, seconds))
        events, size = _stored(deployment)
        with collecting_rarely():
            anew, _ = command_rate(_writer(deployment), subjects, "anew", ANEW_S, len(subjects))
    return Figure(
        "append_vs_library",
        "commands/s",
        *rates,
        what=f"durable charges and payments, decided, digested and with receipt, by {CLIENTS} clients;"
        f" the library's save of one event by {THREADS} threads",
        at_least=20,
        more={
            "event_bytes": size,
            "streams_not_kept": {"events_each": round(events / len(subjects)), "commands_per_s": round(anew)},
            "command_latency_ms": {
                "p50": round(percentile(waits, 0.50) * 1000, 2),
                "p99": round(percentile(waits, 0.99) * 1000, 2),
            },
        },
    )


def _writer(deployment: Deployment) -> Writer:
    return Writer(deployment.ledger_for(REGION), present)


def _stored(deployment: Deployment) -> tuple[int, int]:
    """Return how many events stand in the ledger, and the mean size of one's canonical bytes."""
    ledger = deployment.ledger_for(REGION)
    with deployment.database.connection(ledger.schema) as connection:
        row = connection.execute("SELECT count(*), avg(length(state)) FROM event").fetchone()
    return (row[0], round(row[1])) if row else (0, 0)


def _receipt(key: str) -> ReceiptKey:
    return ReceiptKey("bench", key, b"x" * 32)
