"""Import against a raw COPY of the same rows, single commands against the library's own save: one run, one server."""

import io
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import orjson
import psycopg
from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event

from api.bench.imports import import_vs_copy
from api.bench.protocol import Bench, Scale
from api.inquiry import found, lawful, replayed
from api.logging import configure
from api.runtime import READ_MODELS, Runtime, present
from domain.calendar import months_after
from domain.commands.account import OpenAccount, ReceivePayment
from domain.commands.asking import Asked
from domain.commands.party import RegisterParty
from domain.events.account import ContractTerms
from domain.ledger.database import Database
from domain.ledger.deployment import Deployment
from domain.ledger.embedded import EmbeddedPostgres
from domain.ledger.interchange import Importer
from domain.ledger.vault import MasterKey
from domain.ledger.writer import ReceiptKey, Writer
from projections.engine import catch_up

CASES = 200  # copies of the Harbin case: 20,400 events
EVENTS = 200_000  # of a generated population
COMMANDS = 1_000
RUNS = 3
HARBIN = Path(__file__).parents[1] / "api" / "demo" / "harbin.jsonl"
TERMS: dict[str, Any] = {
    "payment_deadline_days": 15,
    "late_fee_start": "after_due",
    "restore_hours": 48,
    "suspend_after_days": 30,
    "terminate_after_days": 60,
}


def timed(work: Callable[[], Any]) -> float:
    """Return how many seconds the work took."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def many(run: int) -> bytes:
    """Return many histories in one file."""
    text = HARBIN.read_text(encoding="utf-8")
    return "".join(
        text.replace("P-HRB", f"P{run}.{n}").replace("A-", f"A{run}.{n}-").replace("C-HRB", f"C{run}.{n}")
        .replace("dealer/D-17", f"dealer/D{run}.{n}").replace('"harbin-', f'"h{run}.{n}-')
        for n in range(CASES)
    ).encode()  # fmt: skip


def a_party(accounts: int, months: int) -> bytes:
    """Return one party's history: each account charged and paid month by month, with a late fee every third."""
    lines = []

    def add(kind: str, subject: str, day: date, data: dict[str, Any]) -> None:
        at = f"{day}T10:00:00+08:00"
        lines.append(
            orjson.dumps(
                {
                    "specversion": "1.0", "id": f"big-{len(lines)}", "source": "urn:recount:measure", "type": kind,
                    "subject": subject, "time": at, "recordedtime": at, "actor": "system/measure",
                    "channel": "system", "region": "heilongjiang.harbin", "dataversion": 1, "data": data,
                }
            )
        )  # fmt: skip

    first = date(2001, 1, 1)  # long ago: nothing of it may lie in the future
    person = {"kind": "individual", "id_type": "resident_id", "id_hash": "0" * 64, "name": "Li"}
    add("PartyRegistered", "party/BIG", first, {**person, "id_number": "1", "address": "Harbin"})
    for n in range(accounts):
        subject = f"account/BIG{n}"
        contract = {"party_id": "BIG", "line_of_business": "fixed_broadband", "contract_terms": TERMS}
        add("AccountOpened", subject, first, contract)
        for month in range(months):
            start, end = months_after(first, month), months_after(first, month + 1)
            due = end + timedelta(days=15)
            charge = {
                "charge_id": f"C{month}", "kind": "monthly", "amount_fen": 10_000, "period_start": str(start),
                "period_end": str(end), "due_on": str(due),
            }  # fmt: skip
            add("ChargePosted", subject, end, charge)
            paid = due + timedelta(days=20 * (month % 3 == 0))
            if month % 3 == 0:
                fee = {
                    "fee_id": f"F{month}", "charge_id": f"C{month}", "base_fen": 10_000, "rate_ppm": 3_000,
                    "from": str(due + timedelta(days=1)), "to": str(due + timedelta(days=11)), "amount_fen": 300,
                }  # fmt: skip
                add("LateFeeAssessed", subject, due + timedelta(days=12), fee)
            payment = {
                "payment_id": f"P{month}",
                "amount_fen": 10_000,
                "value_date": str(paid),
                "method": "bank",
            }
            add("PaymentReceived", subject, paid, payment)
    return b"\n".join(lines)


def questions(deployment: Deployment) -> dict[str, float]:
    """Return how long an investigator waits for a party with 10 accounts and some 5,000 events."""

    def refuse(refusal: Any) -> None:
        raise RuntimeError(refusal)

    appended = Importer(deployment, refuse, present).run(io.BytesIO(a_party(10, 214))).appended
    runtime = Runtime(deployment)
    return {
        "events": appended,
        "replay_s": round(timed(lambda: replayed(runtime, "party/BIG")), 2),
        "findings_s": round(timed(lambda: found(runtime, "party/BIG")), 2),
        "counterfactual_s": round(timed(lambda: lawful(runtime, "party/BIG")), 2),
    }


def bring_many(deployment: Deployment) -> None:
    """Import many histories, for the read models to fold."""

    def refuse(refusal: Any) -> None:
        raise AssertionError(refusal)

    for run in range(RUNS):
        Importer(deployment, refuse, present).run(io.BytesIO(many(run)))


class Purse(Aggregate):
    """The library's own aggregate, for comparison."""

    @event("Opened")
    def __init__(self) -> None:
        self.amount_fen = 0

    @event("Paid")
    def pay(self, amount_fen: int) -> None:
        """Take a payment."""
        self.amount_fen += amount_fen


def commands_against_library(
    deployment: Deployment, conninfo: dict[str, str], run: int
) -> tuple[float, float]:
    """Return durable single-event commands a second, one client each: ours, and the library's save."""
    writer = Writer(deployment.ledger_for("heilongjiang.harbin"), present)
    now = present() - timedelta(minutes=1)
    terms = ContractTerms(**TERMS)

    def ask(subject: str, command: Any) -> None:
        asked = Asked(subject, command, "staff/S-01", "store", "heilongjiang.harbin", now)
        answer = writer.execute(asked, ReceiptKey("bench", uuid.uuid4().hex, b"x" * 32))
        assert not answer.refused, answer.body

    def name(n: int) -> str:
        return f"bench-{run}-{n}"

    ask(
        f"party/{name(0)}",
        RegisterParty(kind="individual", id_type="id", id_hash="h", name="n", id_number="1", address="a"),
    )
    for n in range(20):
        ask(
            f"account/{name(n)}",
            OpenAccount(party_id=name(0), line_of_business="mobile", contract_terms=terms),
        )

    def ours() -> None:
        for n in range(COMMANDS):
            ask(
                f"account/{name(n % 20)}",
                ReceivePayment(payment_id=f"p{n}", amount_fen=100, value_date=now.date(), method="cash"),
            )

    app = Application[uuid.UUID](
        env={
            "PERSISTENCE_MODULE": "eventsourcing.postgres",
            "POSTGRES_DBNAME": conninfo["dbname"],
            "POSTGRES_HOST": conninfo["host"],
            "POSTGRES_PORT": conninfo["port"],
            "POSTGRES_USER": conninfo["user"],
            "POSTGRES_PASSWORD": "none",
        }
    )
    purses = [Purse() for _ in range(20)]
    app.save(*purses)

    def theirs() -> None:
        for n in range(COMMANDS):
            purse: Purse = app.repository.get(purses[n % 20].id)
            purse.pay(100)
            app.save(purse)

    found = COMMANDS / timed(ours), COMMANDS / timed(theirs)
    app.close()
    return found


def main() -> None:
    """Print the medians and their ratios."""
    configure("WARNING")
    with tempfile.TemporaryDirectory() as folder, EmbeddedPostgres(Path(folder) / "data") as server:
        conninfo = psycopg.conninfo.conninfo_to_dict(server.conninfo)
        deployment = Deployment(Database(server.ensure), lambda _first: MasterKey(bytes(32)))
        bring_many(deployment)
        folding = timed(lambda: catch_up(deployment, READ_MODELS, present))
        total = sum(ledger.journal.last_position() for ledger in deployment.ledgers)
        commands = [
            commands_against_library(deployment, {k: str(v) for k, v in conninfo.items()}, run)
            for run in range(RUNS)
        ]
        asked = questions(deployment)
        deployment.close()
        scale = Scale("measure", RUNS, seconds=0.0, events=EVENTS, small_events=0, large_events=0)
        importing = import_vs_copy(Bench(server.ensure, Path(folder), scale))

    def median(rows: list[tuple[float, float]]) -> dict[str, float]:
        return {
            "ours_per_s": round(statistics.median(a for a, _ in rows)),
            "beside_per_s": round(statistics.median(b for _, b in rows)),
            "ratio": round(statistics.median(a / b for a, b in rows), 3),
        }

    print(
        orjson.dumps(
            {
                "import_vs_copy": {"ratio": round(importing.ratio, 3), **importing.as_data()},
                "command_vs_library_save": median(commands),
                "read_models_events_per_s": round(total / folding),
                "party_of_10_accounts": asked,
            },
            option=orjson.OPT_INDENT_2,
        ).decode()
    )


if __name__ == "__main__":
    main()
