"""What a person sees on a terminal, and what a program reads from standard output."""

import sys
import time
from collections.abc import Mapping
from typing import Any

import orjson

SLOW_S = 1.0  # what takes longer shows progress
REDRAW_S = 0.2


class CommandError(Exception):
    """A command that can't be done: one clear line."""


class Terminal:
    """Standard output for answers, standard error for everything else."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self._began = time.monotonic()
        self._drawn_at = 0.0
        self._drawn = False

    def answer(self, document: Mapping[str, Any], lines: list[str]) -> None:
        """Give the answer: one JSON document, or lines for a person."""
        self.clear()
        if self.as_json:
            sys.stdout.buffer.write(orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE))
            sys.stdout.buffer.flush()
        else:
            sys.stdout.write("".join(f"{line}\n" for line in lines))
            sys.stdout.flush()

    def say(self, line: str) -> None:
        """Say something beside the answer."""
        self.clear()
        sys.stderr.write(line + "\n")
        sys.stderr.flush()

    def fail(self, line: str) -> None:
        """Say in one line why the command did not do it."""
        self.say("recount: " + printable(" ".join(line.split())))

    def progress(self, text: str) -> None:
        """Show how far a slow command is, on a terminal only."""
        now = time.monotonic()
        if sys.stderr.isatty() and now - self._began > SLOW_S and now - self._drawn_at > REDRAW_S:
            sys.stderr.write(f"\r\x1b[K{text}")
            sys.stderr.flush()
            self._drawn_at, self._drawn = now, True

    def clear(self) -> None:
        """Take the progress line away."""
        if self._drawn:
            sys.stderr.write("\r\x1b[K")
            self._drawn = False


def printable(text: str) -> str:
    """Return a text whose invisible characters are written out: none of them may steer a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def yuan(amount_fen: int) -> str:
    """Return an amount in fen as yuan, for people: 45460 is 454.60."""
    sign = "-" if amount_fen < 0 else ""
    return f"{sign}{abs(amount_fen) // 100:,}.{abs(amount_fen) % 100:02d} yuan"


EMPTY: tuple[object, ...] = (None, [], {}, "", False, 0)
BUCKETS = ("current", "d1_30", "d31_60", "d61_90", "d90_plus")
ALWAYS = ("blacklisted", "balance_fen")
"""What is said even where it is no or nothing."""
BESIDE = ("packages", "aging", "principal_fen", "status_since")
"""What a step changes beside the thing itself: it stands in the JSON, and would only hide the rest here."""
ITEM_CHARS = 110


def state_lines(state: Mapping[str, Any]) -> list[str]:
    """Return a state as lines a person can read: what is empty is left out."""
    found = []
    for key, value in state.items():
        if key == "packages" and len(value) < 2:
            continue  # the package stands above
        if key in ALWAYS:
            found.append(f"  {_label(key):<24} {_scalar(key, value)}")
        elif value in EMPTY or (isinstance(value, Mapping) and not _inline(value)):
            continue
        elif isinstance(value, list):
            found.append(f"  {_label(key)}")
            found += [f"    - {_inline(item)}" for item in value]
        else:
            found.append(f"  {_label(key):<24} {_scalar(key, value)}")
    return found


def change_text(changed: Mapping[str, Any]) -> str:
    """Return in one line what a step changed, without what follows from it."""
    parts = []
    for key, change in changed.items():
        if key in BESIDE:
            continue
        if "from" in change:
            before, after = _scalar(key, change["from"]), _scalar(key, change["to"])
            parts.append(f"{_label(key)} {before} -> {after}")
        else:
            parts += _entries(_label(key), change["removed"], change["added"])
    return "; ".join(parts)


def _entries(label: str, removed: list[Any], added: list[Any]) -> list[str]:
    """Return what came into a list, left it or became different; an entry is known by its first field."""
    before = {_name(item): item for item in removed}
    found = []
    for item in added:
        name = _name(item)
        old = before.pop(name, None)
        if isinstance(item, Mapping) and isinstance(old, Mapping):
            fields = {k: v for k, v in item.items() if old.get(k) != v}
            found.append(
                f"{label} {name}: {', '.join(f'{_label(k)} {_scalar(k, v)}' for k, v in fields.items())}"
            )
        else:
            found.append(f"{label} + {_shortened(_inline(item))}")
    return found + [f"{label} - {name}" for name in before]


def _name(item: Any) -> str:
    return str(next(iter(item.values()), "")) if isinstance(item, Mapping) else str(item)


def _label(key: str) -> str:
    return key.removesuffix("_fen")


def _shortened(text: str) -> str:
    return text if len(text) <= ITEM_CHARS else text[: ITEM_CHARS - 1] + "…"


def _inline(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{_label(k)} {_scalar(k, v)}" for k, v in value.items() if v not in EMPTY)
    return str(value)


def _scalar(key: str, value: Any) -> str:
    if isinstance(value, Mapping):
        return _inline(value) or "nothing"
    if isinstance(value, list):
        return " ".join(map(_inline, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return yuan(value) if key.endswith("_fen") or key in BUCKETS else str(value)
    return "nothing" if value is None else str(value)


def finding_lines(answer: Mapping[str, Any]) -> list[str]:
    """Return findings as lines a person can read: breaches whole, what is open or kept in a line each."""
    lines = [f"{answer['subject']} as known at {answer['known_at']}, rulebook {answer['rulebook_version']}"]
    for verdict in ("breach", "undetermined", "kept", "not_applicable"):
        some = [f for f in answer["findings"] if f["verdict"] == verdict]
        if some:
            lines.append(f"{verdict.replace('_', ' ')}: {len(some)}")
        for finding in some:
            amount = f", {yuan(finding['amount_fen'])}" if finding["amount_fen"] else ""
            lines.append(f"  {finding['rule_id']} on {finding['subject']}{amount}")
            if verdict in ("breach", "undetermined"):
                lines.append(f"      {finding['observed']}")
            if verdict == "breach":
                absent = finding["absent_event_types"]
                missing = f"; absent {', '.join(absent)}" if absent else ""
                lines.append(f"      shown by {', '.join(finding['evidence_event_ids'])}{missing}")
                lines.append(f"      {finding['citation']}")
    lines.append(f"position {answer['position']}, digest {answer['digest']}")
    return lines


def counterfactual_lines(answer: Mapping[str, Any]) -> list[str]:
    """Return a counterfactual as lines a person can read."""
    lines = [f"{answer['subject']} until {answer['until']}, rulebook {answer['rulebook_version']}"]
    lines += [f"  assumed: {name} = {value}" for name, value in answer["assumptions"].items()]
    for name in ("actual", "lawful"):
        lines.append(f"  {name:<9} {_inline(answer[name]) or 'nothing owed'}")
    lines.append("differences:" if answer["differences"] else "nothing would have been otherwise")
    for item in answer["differences"]:
        amount = f" ({yuan(item['amount_fen'])})" if item["amount_fen"] else ""
        lines.append(
            f"  {item['on']} {item['what']}{amount}: {item['rule_id']}, {', '.join(item['event_ids'])}"
        )
    lines += [f"undetermined: {text}" for text in answer["undetermined"]]
    lines.append(f"to reverse {yuan(answer['to_reverse_fen'])}, to refund {yuan(answer['to_refund_fen'])}")
    lines.append(
        f"{len(answer['proposed_events'])} correcting events proposed; position {answer['position']}"
    )
    if answer["proposed_events"]:
        lines.append(f"proposal {answer['proposal_digest']}")
    return lines


def acceptance_lines(answer: Mapping[str, Any]) -> list[str]:
    """Return what accepting a proposal came to as lines a person can read."""
    when = "had been put right before" if answer["repeated"] else "put right"
    lines = [f"{answer['subject']} {when}, under case/{answer['case_id']} at {answer['recordedtime']}"]
    lines[0] += f", proposed by {answer['proposed_by']}, accepted by {answer['accepted_by']}"
    for remedy in answer["granted"]:
        of = f" on account/{remedy['account_id']}" if remedy["account_id"] else ""
        amount = f", {yuan(remedy['amount_fen'])}" if remedy["amount_fen"] else ""
        lines.append(f"  granted {remedy['kind'].replace('_', ' ')}{of}{amount}")
    lines += [f"  {e['type']} on {e['subject']} {e['id']}" for e in answer["events"]]
    lines.append(f"{len(answer['events'])} events appended, position {answer['position']}")
    return lines


def disclosure_lines(answer: Mapping[str, Any]) -> list[str]:
    """Return what was disclosed as lines a person can read."""
    seen = f"{answer['subject']} disclosed to {answer['disclosed_to']} under case/{answer['case_id']}"
    lines = [f"{seen} at {answer['recordedtime']}: {answer['purpose']}"]
    for kind, value in answer["values"].items():
        if isinstance(value, Mapping):
            lines += [f"  {kind} {name}: {_inline(item)}" for name, item in value.items()]
        elif isinstance(value, list):
            lines += [f"  {kind}: {_inline(item)}" for item in value]
        else:
            lines.append(f"  {kind}: {value if value is not None else 'not there'}")
    return lines
