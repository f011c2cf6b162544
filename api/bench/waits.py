"""How long an investigator waits for a party with 10 accounts and some 5,000 events."""

import asyncio
from datetime import date, timedelta
from typing import Any

import orjson

from api.bench.console import party_page
from api.bench.growth import TERMS, bring
from api.bench.protocol import Bench, timed
from api.inquiry import found, lawful, replayed
from api.runtime import Runtime
from domain.calendar import months_after

ACCOUNTS = 10
MONTHS = 214


def investigator_waits(bench: Bench) -> dict[str, float]:
    """Return the seconds that a replay, findings and a counterfactual of a large party take."""
    months = MONTHS if bench.scale.seconds >= 1 else 2
    with bench.deployment() as (deployment, _):
        lines = a_party(ACCOUNTS, months).split(b"\n")
        bring(deployment, lines)
        runtime = Runtime(deployment)
        return {
            "events": len(lines),
            "replay_s": round(timed(lambda: replayed(runtime, "party/BIG")), 2),
            "findings_s": round(timed(lambda: found(runtime, "party/BIG")), 2),
            "counterfactual_s": round(timed(lambda: lawful(runtime, "party/BIG")), 2),
            **{f"page_{name}": taken for name, taken in asyncio.run(party_page(runtime, "BIG")).items()},
        }


def a_party(accounts: int, months: int) -> bytes:
    """Return one party's history: each account charged and paid month by month, with a late fee every third."""
    lines: list[bytes] = []

    def add(kind: str, subject: str, day: date, data: dict[str, Any]) -> None:
        at = f"{day}T10:00:00+08:00"
        lines.append(
            orjson.dumps(
                {
                    "specversion": "1.0", "id": f"big-{len(lines)}", "source": "urn:recount:bench", "type": kind,
                    "subject": subject, "time": at, "recordedtime": at, "actor": "system/bench",
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
