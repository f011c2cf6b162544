"""What was true of a subject, worked out the slow way from the stored JSON alone: everything is folded every time.

Shares no code with the product: it reads the published format and follows the vocabulary's "Order, and what the
money means". Only what a run's acts can lead to is known here; another event type is an error of the simulation.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone

HARBIN = timezone(timedelta(hours=8))
BUCKETS = ((0, "current"), (30, "d1_30"), (60, "d31_60"), (90, "d61_90"), (10**9, "d90_plus"))
IGNORED = {
    "ExpiryOptionPresented", "ExpiryOptionSelected", "BillIssued", "ArrearsStarted", "ArrearsCleared",
    "CancellationRequested", "PackageExpired", "PackageConverted", "PackageRenewed", "PlanChanged", "DepositTaken",
    "IdentityVerified", "RegistrationAudited", "ComplaintReceived", "CaseAssigned", "CommitmentMade",
    "CommitmentMet", "CommitmentMissed", "HandlingStarted", "ComplaintAnswered", "RemedyGranted", "SignUpRefused",
}  # fmt: skip
"""What changes none of the figures below."""
BEGINS = {"PackageSubscribed", "ChargePosted", "NumberActivated"}
"""What makes an account that was only opened an active one."""


@dataclass
class Debt:
    """A charge or a late fee."""

    debt_id: str
    amount_fen: int
    due_on: date
    reversed_fen: int = 0


@dataclass
class Truth:
    """What an account, a party or a dealer comes to."""

    status: str = "pending"
    party_id: str | None = None
    package_ids: list[str] = field(default_factory=list)
    charges: list[Debt] = field(default_factory=list)
    fees: list[Debt] = field(default_factory=list)
    payments: list[dict] = field(default_factory=list)
    allocations: list[dict] = field(default_factory=list)
    given_fen: int = 0
    """Credits and write-offs less refunds."""
    waiting: list[dict] = field(default_factory=list)
    """Events that speak of what is not there yet."""
    holds: dict[str, tuple[str, ...]] = field(default_factory=dict)
    notices: dict[str, str] = field(default_factory=dict)
    numbers: dict[str, str] = field(default_factory=dict)
    contacts: dict[str, bool] = field(default_factory=dict)
    listed: dict[str, bool] = field(default_factory=dict)
    merged_into: str | None = None
    blocked: bool = False


def moment(text: str) -> datetime:
    """Return a moment of the format."""
    return datetime.fromisoformat(text)


def effective(event: dict) -> datetime:
    """Return from when an event counts: a payment from the start of its value date."""
    if event["type"] == "PaymentReceived":
        value_date = datetime.fromisoformat(event["data"]["value_date"]).replace(tzinfo=HARBIN)
        return min(moment(event["time"]), value_date)
    return moment(event["time"])


def chosen(stream: list[dict], at: datetime, known_at: datetime, position: int) -> list[dict]:
    """Return the events a question takes, in the order of the world."""
    taken = [
        e for e in stream
        if e["position"] <= position and moment(e["recordedtime"]) <= known_at and effective(e) <= at
    ]  # fmt: skip
    return sorted(taken, key=lambda e: (moment(e["time"]), moment(e["recordedtime"]), e["position"]))


def fold(events: list[dict]) -> Truth:
    """Return what events come to, one after the other."""
    truth = Truth()
    for event in events:
        _take(truth, event)
    return truth


def _take(truth: Truth, event: dict) -> None:
    kind, data = event["type"], event["data"]
    if not _match(truth, kind, data):
        truth.waiting.append(event)
        return
    if kind in BEGINS and truth.status == "pending":
        truth.status = "active"
    if kind in ("ChargePosted", "PaymentReceived", "LateFeeAssessed", "DisputeHoldPlaced", "NoticeAttempted",
                "BlacklistEntryAdded"):  # fmt: skip
        waiting, truth.waiting = truth.waiting, []
        for early in waiting:
            _take(truth, early)


def _match(truth: Truth, kind: str, data: dict) -> bool:
    """Let an event count; False where it speaks of what is not there."""
    match kind:
        case "AccountOpened":
            truth.party_id = truth.party_id or data["party_id"]
        case "AccountTransferred":
            truth.party_id = data["to_party_id"]
        case "PackageSubscribed":
            truth.package_ids.append(data["package_id"])
        case "ServiceSuspended":
            truth.status = "suspended"
        case "ServiceResumed":
            truth.status = "active"
        case "ServiceTerminated":
            truth.status = "terminated"
        case "NumberActivated":
            truth.numbers[data["number_id"]] = "active"
        case "ChargePosted":
            due_on = date.fromisoformat(data["due_on"])
            truth.charges.append(Debt(data["charge_id"], data["amount_fen"], due_on))
        case "LateFeeAssessed":
            truth.fees.append(Debt(data["fee_id"], data["amount_fen"], date.fromisoformat(data["to"])))
        case "ChargeReversed":
            key = data.get("charge_id") or data.get("fee_id")
            book = truth.charges if data.get("charge_id") else truth.fees
            same = [d for d in book if d.debt_id == key]
            if not same:
                return False
            debt = next((d for d in same if d.reversed_fen < d.amount_fen), same[0])
            debt.reversed_fen += data["amount_fen"]
        case "PaymentReceived":
            truth.payments.append({**data, "stands": True})
        case "PaymentReversed":
            same = [p for p in truth.payments if p["payment_id"] == data["payment_id"] and p["stands"]]
            if not same:
                return False
            same[0]["stands"] = False
        case "PaymentAllocated":
            truth.allocations.append(data)
        case "CreditGranted" | "DebtWrittenOff":
            truth.given_fen += data["amount_fen"]
        case "RefundPaid":
            truth.given_fen -= data["amount_fen"]
        case "DisputeHoldPlaced":
            truth.holds[data["hold_id"]] = tuple(data["scope"])
        case "DisputeHoldReleased":
            return truth.holds.pop(data["hold_id"], None) is not None
        case "NoticeAttempted":
            truth.notices[data["notice_id"]] = "pending"
        case "NoticeDelivered" | "NoticeFailed":
            if data["notice_id"] not in truth.notices:
                return False
            truth.notices[data["notice_id"]] = "delivered" if kind == "NoticeDelivered" else "failed"
        case _:
            return _match_other(truth, kind, data)
    return True


def _match_other(truth: Truth, kind: str, data: dict) -> bool:
    """Let an event of a party or a dealer count."""
    match kind:
        case "PartyRegistered" | "DealerAuthorised":
            pass
        case "PartyMerged":
            truth.merged_into = data["into_party_id"]
        case "ContactPointAdded":
            truth.contacts[data["contact_point_id"]] = True
        case "ContactPointInvalidated":
            if data["contact_point_id"] in truth.contacts:
                truth.contacts[data["contact_point_id"]] = False
        case "BlacklistEntryAdded":
            truth.listed[data["entry_id"]] = True
        case "BlacklistEntryRemoved":
            if data["entry_id"] not in truth.listed:
                return False
            truth.listed[data["entry_id"]] = False
        case "DealerBlocked":
            truth.blocked = True
        case "DealerReinstated":
            truth.blocked = False
        case _ if kind not in IGNORED:
            raise NotImplementedError(f"the oracle knows no {kind}")
    return True


# -- money --------------------------------------------------------------------------------------------------


def money(truth: Truth, on: date) -> dict:
    """Return what is owed on a day, as the vocabulary says: oldest charge first, all principal before any fee."""
    counted = {}
    for number, paid in enumerate(truth.payments):
        if paid["stands"] and date.fromisoformat(paid["value_date"]) <= on:
            counted[number] = paid["amount_fen"]
    debts = [*truth.charges, *truth.fees]
    funds = sum(counted.values()) + truth.given_fen
    funds += sum(max(0, d.reversed_fen - d.amount_fen) for d in debts)
    funds += sum(e["data"]["amount_fen"] for e in truth.waiting if e["type"] == "ChargeReversed")
    overdrawn, funds = max(0, -funds), max(0, funds)
    charges = [
        [d, max(0, d.amount_fen - d.reversed_fen)] for d in sorted(truth.charges, key=lambda d: d.due_on)
    ]
    fees = [[d, max(0, d.amount_fen - d.reversed_fen)] for d in sorted(truth.fees, key=lambda d: d.due_on)]
    left = defaultdict(int)
    for number, amount_fen in counted.items():
        left[truth.payments[number]["payment_id"]] = left[truth.payments[number]["payment_id"]] or amount_fen
    for part in truth.allocations:
        rows = charges if part.get("charge_id") else fees
        key = part.get("charge_id") or part.get("fee_id")
        row = next((r for r in rows if r[0].debt_id == key), None)
        take = min(part["amount_fen"], left[part["payment_id"]], row[1] if row else 0, funds)
        if take > 0:
            left[part["payment_id"]] -= take
            row[1] -= take
            funds -= take
    for row in [*charges, *fees]:
        take = min(row[1], funds)
        row[1] -= take
        funds -= take
    principal = sum(unpaid for _, unpaid in charges) + overdrawn
    late_fee = sum(unpaid for _, unpaid in fees)
    aging = dict.fromkeys((name for _, name in BUCKETS), 0)
    for debt, unpaid in charges:
        days = (on - debt.due_on).days
        aging[next(name for end, name in BUCKETS if days <= end)] += unpaid
    aging["current"] += overdrawn
    return {
        "balance_fen": principal + late_fee - funds,
        "principal_fen": principal,
        "late_fee_fen": late_fee,
        "credit_fen": funds,
        "aging": aging,
    }


def account_at(stream: list[dict], at: datetime, known_at: datetime, position: int) -> dict:
    """Return what a replay of an account has to say."""
    truth = fold(chosen(stream, at, known_at, position))
    return {
        "status": truth.status,
        "party_id": truth.party_id,
        **money(truth, at.astimezone(HARBIN).date()),
        "payments": sorted((p["payment_id"], p["amount_fen"], p["stands"]) for p in truth.payments),
        "dispute_holds": dict(sorted(truth.holds.items())),
        "notices": dict(sorted(truth.notices.items())),
        "packages": sorted(set(truth.package_ids)),
        "numbers": dict(sorted(truth.numbers.items())),
    }


def party_at(
    stream: list[dict], accounts: list[list[dict]], at: datetime, known_at: datetime, position: int
) -> dict:
    """Return what a replay of a party has to say; `accounts` are all accounts' streams."""
    truth = fold(chosen(stream, at, known_at, position))
    party_id = stream[0]["subject"].partition("/")[2]
    held = [
        one for account in accounts
        if (one := account_at(account, at, known_at, position))["party_id"] == party_id
    ]  # fmt: skip
    return {
        "blacklisted": any(truth.listed.values()),
        "contact_points": dict(sorted(truth.contacts.items())),
        "merged_into": truth.merged_into,
        "balance_fen": sum(one["balance_fen"] for one in held),
        "accounts": len(held),
    }


def dealer_at(stream: list[dict], at: datetime, known_at: datetime, position: int) -> dict:
    """Return what a replay of a dealer has to say."""
    events = chosen(stream, at, known_at, position)
    blocked = fold(events).blocked
    return {"status": "blocked" if blocked else "authorised" if events else "unknown"}


# -- the same form of an answer of the product --------------------------------------------------------------


def told(subject: str, state: dict) -> dict:
    """Return the part of a replay's state that the oracle has an opinion on."""
    kind = subject.partition("/")[0]
    if kind == "dealer":
        return {"status": state["status"]}
    if kind == "party":
        return {
            "blacklisted": state["blacklisted"],
            "contact_points": dict(
                sorted((c["contact_point_id"], c["valid"]) for c in state["contact_points"])
            ),
            "merged_into": state["merged_into"],
            "balance_fen": state["balance_fen"],
            "accounts": len(state["accounts"]),
        }
    return {
        **{k: state[k] for k in (
            "status", "party_id", "balance_fen", "principal_fen", "late_fee_fen", "credit_fen", "aging",
        )},
        "payments": sorted((p["payment_id"], p["amount_fen"], p["stands"]) for p in state["payments"]),
        "dispute_holds": dict(sorted((h["hold_id"], tuple(h["scope"])) for h in state["dispute_holds"])),
        "notices": dict(sorted((n["notice_id"], n["outcome"]) for n in state["notices"])),
        "packages": sorted({p["package_id"] for p in state["packages"]}),
        "numbers": dict(sorted((n["number_id"], n["status"]) for n in state["numbers"])),
    }  # fmt: skip


def answer(
    subject: str, streams: dict[str, list[dict]], at: datetime, known_at: datetime, position: int
) -> dict:
    """Return what a replay of a subject has to say."""
    kind = subject.partition("/")[0]
    if kind == "account":
        return account_at(streams[subject], at, known_at, position)
    if kind == "party":
        accounts = [stream for name, stream in sorted(streams.items()) if name.startswith("account/")]
        return party_at(streams[subject], accounts, at, known_at, position)
    return dealer_at(streams[subject], at, known_at, position)
