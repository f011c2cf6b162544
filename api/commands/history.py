"""replay, findings, counterfactual: what was, what was wrong, what should have been."""

import argparse

from api.commands.adding import Add, add_inquiry
from api.inquiry import found, lawful, replayed
from api.runtime import opened
from api.settings import Settings
from api.terminal import CommandError, Terminal, change_text, counterfactual_lines, finding_lines, state_lines
from domain.events.fields import MalformedError


def register(add: Add) -> None:
    """Add the commands to the command line."""
    asked = add("replay", replay, "what was true, as it was known")
    asked.add_argument("subject", metavar="SUBJECT", help="account/ID, party/ID, dealer/ID or case/ID")
    asked.add_argument("--at", metavar="T", help="a day or a time; now, where it is not given")
    add_inquiry(asked)
    asked.add_argument("--steps", action="store_true", help="each step, and what it changed")

    asked = add("findings", findings, "which rules were kept or broken, shown by which events")
    asked.add_argument("subject", metavar="SUBJECT")
    add_inquiry(asked)
    asked.add_argument("--rule", metavar="ID", help="only one rule")

    asked = add("counterfactual", counterfactual, "what should have happened, beside what did")
    asked.add_argument("subject", metavar="SUBJECT", help="account/ID or party/ID")
    asked.add_argument("--until", metavar="DAY", help="the last day; today, where it is not given")
    asked.add_argument("--assume", metavar="K=V", action="append", default=[], help="expiry_option=suspend")
    add_inquiry(asked)


# -- replay --------------------------------------------------------------------------------------------------


def replay(given: argparse.Namespace, settings: Settings, terminal: Terminal) -> int:
    """Say what was true of a subject at a moment, as it was known at a moment."""
    _check_position(given.position)
    with opened(settings, terminal.say) as runtime:
        answer = replayed(
            runtime,
            given.subject,
            at=given.at,
            known_at=given.known_at,
            position=given.position,
            region=given.region,
            with_steps=given.steps,
        )
    lines = [f"{answer['subject']} at {answer['at']}, as known at {answer['known_at']}"]
    for step in answer.get("steps", []):
        known = f" (known {step['recordedtime']})" if step["recordedtime"] != step["time"] else ""
        lines.append(f"  {step['time']}{known} {step['type']} {step['event_id']}")
        if step["changed"]:
            lines.append(f"      {change_text(step['changed'])}")
    if not given.steps:
        lines += state_lines(answer["state"])
    lines.append(f"position {answer['position']}, digest {answer['digest']}")
    terminal.answer(answer, lines)
    return 0


def _check_position(position: int | None) -> None:
    if position is not None and position < 0:
        raise CommandError("--position: should be 0 or more")


# -- findings ------------------------------------------------------------------------------------------------


def findings(given: argparse.Namespace, settings: Settings, terminal: Terminal) -> int:
    """Say which rules were kept or broken, shown by which events and which absent ones."""
    _check_position(given.position)
    with opened(settings, terminal.say) as runtime:
        answer = found(
            runtime,
            given.subject,
            known_at=given.known_at,
            position=given.position,
            region=given.region,
            rule=given.rule,
        )
    terminal.answer(answer, finding_lines(answer))
    return 0


# -- counterfactual ------------------------------------------------------------------------------------------


def counterfactual(given: argparse.Namespace, settings: Settings, terminal: Terminal) -> int:
    """Say what should have happened, beside what did, and what would put it right."""
    _check_position(given.position)
    assume = assumptions(given.assume)
    with opened(settings, terminal.say) as runtime:
        answer = lawful(
            runtime,
            given.subject,
            until=given.until,
            assume=assume,
            known_at=given.known_at,
            position=given.position,
            region=given.region,
        )
    terminal.answer(answer, counterfactual_lines(answer))
    return 0


def assumptions(given: list[str]) -> dict[str, str]:
    """Return assumptions given as NAME=VALUE by name; raises MalformedError."""
    assume = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise MalformedError("--assume", "should be NAME=VALUE, as expiry_option=suspend")
        assume[name] = value
    return assume
