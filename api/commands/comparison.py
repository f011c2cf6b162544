"""compare, claims: where two histories of a subject part, and what of a customer's claims the ledger shows."""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from api.commands.adding import Add, add_inquiry
from api.commands.history import assumptions
from api.inquiry_compare import Lawful, Second, compared, refuse, weighed
from api.runtime import opened
from api.settings import Settings
from api.terminal import Terminal, change_text, yuan
from domain.claims.forms import table
from domain.events.fields import MalformedError

STDIN = Path("-")
FILE_MAX_BYTES = 262_144  # as large as a request's body may be
SIDES: Mapping[str, tuple[str, str]] = {"replays": ("left", "right"), "lawful": ("actual", "lawful")}
"""What a person calls the two sides, by what was compared."""


def register(add: Add) -> None:
    """Add the commands to the command line."""
    asked = add(
        "compare", compare, "what differs between two histories of a subject, and from which event on"
    )
    asked.add_argument("subject", metavar="SUBJECT", help="account/ID, party/ID, dealer/ID or case/ID")
    asked.add_argument("--at", metavar="T", help="a day or a time; now, where it is not given")
    add_inquiry(asked)
    asked.add_argument("--with-at", metavar="T", help="the second replay's; `now`; as the first's else")
    asked.add_argument("--with-known-at", metavar="T", help="the second replay's; `now`; as the first's else")
    asked.add_argument(
        "--with-position", type=int, metavar="N", help="the second replay's; as the first's else"
    )
    asked.add_argument("--lawful", action="store_true", help="with what should have happened instead")
    asked.add_argument("--until", metavar="DAY", help="with --lawful: the last day; today, where not given")
    asked.add_argument(
        "--assume", metavar="K=V", action="append", default=[], help="with --lawful: expiry_option=suspend"
    )

    asked = add(
        "claims", claims, "a customer's claims held against the ledger: confirmed, contradicted or unknown"
    )
    asked.formatter_class = argparse.RawDescriptionHelpFormatter
    asked.epilog = (
        'FILE is a JSON list of claims: [{"claim": "paid", "amount_fen": 108000, "on": "2013-07-16", "text": "…"}]\n'
        f"The forms; what stands in brackets may be left out, `text` may stand in each:\n\n{table()}"
    )
    asked.add_argument("subject", metavar="SUBJECT", help="account/ID or party/ID")
    asked.add_argument("file", metavar="FILE", type=Path, help="the claims; - for standard input")
    add_inquiry(asked)


# -- compare -------------------------------------------------------------------------------------------------


def compare(given: argparse.Namespace, settings: Settings, terminal: Terminal) -> int:
    """Say what differs between two replays, or between what happened and what should have."""
    seconds = {
        "--with-at": given.with_at,
        "--with-known-at": given.with_known_at,
        "--with-position": given.with_position,
    }
    other: Second | Lawful
    if given.lawful:
        refuse("should not be given with --lawful: --until is its last day", **seconds)
        other = Lawful(given.until, assumptions(given.assume))
    else:
        refuse(
            "should be given only with --lawful", **{"--until": given.until, "--assume": given.assume or None}
        )
        other = Second(*seconds.values())
    with opened(settings, terminal.say) as runtime:
        answer = compared(
            runtime,
            given.subject,
            other,
            at=given.at,
            known_at=given.known_at,
            position=given.position,
            region=given.region,
        )
    terminal.answer(answer, comparison_lines(answer))
    return 0


def comparison_lines(answer: Mapping[str, Any]) -> list[str]:
    """Return a comparison as lines a person can read: where the sides part first, then all that differs."""
    subject = answer["subject"]
    names = dict(zip(("left", "right"), SIDES[answer["compared"]], strict=True))
    lines = [f"{subject}: {names['left']} and {names['right']}"]
    lines += [f"  assumed: {name} = {value}" for name, value in answer.get("assumptions", {}).items()]
    for side, name in names.items():
        found = answer[side]
        asked = f"at {found['at']}, as known at {found['known_at']}, position {found['position']}"
        lines.append(f"  {name:<7} {asked}")
        lines += [f"          {text}" for text in [_headline(found)] if text]
    first = answer["first_divergence"]
    if first is None:
        lines.append("both hold the same events")
    else:
        lines.append(f"first divergence {first['time']}")
        lines += [f"  {names[e['side']]} only: {_event(e, subject)}" for e in first["events"]]
        lines.append(f"      {change_text(first['changed']) or 'no figure differs yet'}")
    for side, name in names.items():
        events = answer["events"][f"only_{side}"]
        if events:
            lines.append(f"only {name}: {len(events) + answer['left_out'][f'only_{side}']}")
            lines += [f"  {_event(e, subject)}" for e in events]
    if answer["changed"]:
        lines.append(f"what differs in the end, from {names['left']} to {names['right']}:")
        lines += [f"  {part}" for part in change_text(answer["changed"]).split("; ")]
    if answer["balance"]:
        lines.append("the balances:")
        lines += [f"  {_point(point, names)}" for point in answer["balance"]]
    lines.append(f"position {answer['position']}, digest {answer['digest']}")
    return lines


def _headline(side: Mapping[str, Any]) -> str:
    parts = [side["status"]] if "status" in side else []
    if "blacklisted" in side:
        parts.append("blacklisted" if side["blacklisted"] else "not blacklisted")
    if "balance_fen" in side:
        parts.append(f"balance {yuan(side['balance_fen'])}")
    if side.get("arrears_since"):
        parts.append(f"in arrears since {side['arrears_since']}")
    return ", ".join(parts)


def _event(event: Mapping[str, Any], subject: str) -> str:
    amount = event["data"].get("amount_fen")
    money = f", {yuan(amount)}" if amount is not None else ""
    rule = f" ({event['rule_id']})" if event["rule_id"] else ""
    name = "" if event["position"] is None else f" {event['event_id']}"
    where = "" if event["subject"] == subject else f" on {event['subject']}"
    return f"{event['time']} {event['type']}{name}{where}{money}: {event['why']}{rule}"


def _point(point: Mapping[str, Any], names: Mapping[str, str]) -> str:
    sides = [(name, point[f"{side}_fen"]) for side, name in names.items()]
    return f"{point['on']} " + ", ".join(f"{name} {'-' if fen is None else yuan(fen)}" for name, fen in sides)


# -- claims --------------------------------------------------------------------------------------------------


def claims(given: argparse.Namespace, settings: Settings, terminal: Terminal) -> int:
    """Say of each of a customer's claims whether the ledger confirms it, contradicts it or leaves it open."""
    asserted = read_claims(given.file)
    with opened(settings, terminal.say) as runtime:
        answer = weighed(
            runtime,
            given.subject,
            asserted,
            known_at=given.known_at,
            position=given.position,
            region=given.region,
        )
    terminal.answer(answer, claim_lines(answer))
    return 0


def read_claims(file: Path) -> Any:
    """Return a file's JSON; raises MalformedError where it is none or too large."""
    if file == STDIN:
        raw = sys.stdin.buffer.read(FILE_MAX_BYTES + 1)
    else:
        with file.open("rb") as source:
            raw = source.read(FILE_MAX_BYTES + 1)
    if len(raw) > FILE_MAX_BYTES:
        raise MalformedError("claims", f"should be at most {FILE_MAX_BYTES} bytes")
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise MalformedError("claims", "should be a JSON list of claims") from None


def claim_lines(answer: Mapping[str, Any]) -> list[str]:
    """Return weighed claims as lines a person can read."""
    counts = ", ".join(f"{count} {verdict}" for verdict, count in answer["counts"].items())
    lines = [f"{answer['subject']} as known at {answer['known_at']}: {counts}"]
    for result in answer["claims"]:
        lines.append(f"{result['index']} {result['verdict']}: {_claim(result['claim'])}")
        if result["claim"].get("text"):
            lines.append(f'      "{result["claim"]["text"]}"')
        lines.append(f"      {result['because']}")
        for name, ids in (("shown by", result["event_ids"]), ("nearest", result["nearest"])):
            if ids:
                lines.append(f"      {name} {', '.join(ids)}")
    lines.append(f"position {answer['position']}, digest {answer['digest']}")
    return lines


def _claim(claim: Mapping[str, Any]) -> str:
    fields = [
        f"{k.removesuffix('_fen')} {yuan(v) if k.endswith('_fen') else v}"
        for k, v in claim.items()
        if k not in ("claim", "text") and v is not None
    ]
    return ", ".join([claim["claim"].replace("_", " "), *fields])
