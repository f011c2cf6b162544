"""The shared cases, asked again as commands: what was lawful is accepted, and what did the harm is refused.

Each event of a case is turned into the command that leads to it and decided, on what was recorded before it,
at the moment it was recorded. Whatever is decided, the event then counts: it is what happened.
"""

import json
from collections import Counter
from dataclasses import fields
from pathlib import Path

import pytest
from pydantic import ValidationError

from domain.commands import COMMANDS, Asked, Command
from domain.decisions import decide, needs
from domain.events import Event, Recorded
from domain.events.envelope import parse_event
from domain.refusals import Refused
from domain.replay import in_order
from domain.streams import State, begin, state_of

ROOT = Path(__file__).parent.parent
HISTORIES = {path.parent.name: path for path in (ROOT / "tests" / "cases").glob("*/history.jsonl")}
HISTORIES["harbin"] = ROOT / "api" / "demo" / "harbin.jsonl"

WRONG = {
    "everything-right": [],
    "late-posted-payment": [],
    "blacklist-not-lifted": [],  # what was wrong there is what was not done
    "auto-renew-unpaid": [
        ("PackageRenewed", "package.renewal_not_chosen"),
        ("ChargePosted", "charge.no_basis"),
    ],
    "dispute-hold": [("LateFeeAssessed", "hold.covers"), ("ServiceSuspended", "hold.covers")],
    "recycled-number": [
        ("NoticeAttempted", "contact_point.invalid"),
        ("BlacklistEntryAdded", "blacklist.notice_astray"),
    ],
    "suspended-early-fixed": [("ServiceSuspended", "suspension.too_early")],
}
"""What each case has in it that no command could have led to, in the order in which it was recorded."""

HARBIN = {
    ("ExpiryOptionSelected", "expiry_choice.not_customers"): 2,
    ("PackageSubscribed", "package.expiry_options_not_presented"): 2,
    ("PackageConverted", "package.conversion_not_chosen"): 2,
    ("ChargePosted", "charge.no_basis"): 7,
    ("LateFeeAssessed", "charge.no_basis"): 6,
    ("NoticeAttempted", "contact_point.invalid"): 6,
    ("BlacklistEntryAdded", "blacklist.nothing_owed"): 1,
    ("NumberActivated", "registration.not_verified"): 6,
    ("PenaltyImposed", "malformed"): 10,
}
"""How often; the report's penalties name no finding, which a command has to."""

COMMAND_OF = {kind.__name__: command for command in COMMANDS.values() for kind in command.EMITS}
"""The command that leads to each type of event."""


def told(case: str) -> list[Event]:
    """Return a case's events in the order in which they became known."""
    lines = HISTORIES[case].read_text(encoding="utf-8").splitlines()
    events = [parse_event(json.loads(line)) for line in lines]
    return sorted(events, key=lambda event: (event.recordedtime, event.time))


def as_command(event: Event) -> Command:
    """Return the command that asks for what an event says; what is computed is left to the decision."""
    kind = COMMAND_OF[event.type]
    shared = {f.name for f in fields(kind)} & {f.name for f in fields(event.data)}
    return kind(**{name: getattr(event.data, name) for name in shared})


def ask(event: Event) -> Asked:
    return Asked(
        subject=event.subject,
        command=as_command(event),
        actor=event.actor,
        channel=event.channel,
        region=event.region,
        time=event.time,
        evidenceref=event.evidenceref,
    )


def answer(event: Event, histories: dict[str, list[Recorded]]) -> str | None:
    """Return the code with which an event is refused as a command; None where it is accepted."""
    try:
        asked = ask(event)
    except ValidationError:
        return "malformed"
    states: dict[str, State] = {}
    while missing := needs(asked, states) - states.keys():
        for subject in missing:
            past = histories.get(subject)
            states[subject] = state_of(subject, in_order(past)) if past else begin(subject)
    try:
        drafts = decide(asked, states, event.recordedtime)
    except Refused as refused:
        return refused.code.value
    assert [type(draft.data) for draft in drafts] == [type(event.data)]
    return None


def refusals(case: str) -> list[tuple[str, str]]:
    """Return the events of a case that are refused as commands: the type of each, and the code."""
    histories: dict[str, list[Recorded]] = {}
    found = []
    for position, event in enumerate(told(case), 1):
        code = answer(event, histories)
        if code is not None:
            found.append((event.type, code))
        history = histories.setdefault(event.subject, [])
        history.append(Recorded(event, len(history) + 1, position))
    return found


def test_every_case_is_looked_at():
    assert {*WRONG, "harbin"} == set(HISTORIES)


@pytest.mark.parametrize("case", sorted(WRONG))
def test_what_was_lawful_is_accepted_and_what_was_not_is_refused(case):
    assert refusals(case) == WRONG[case]


def test_what_led_to_the_harbin_case_is_refused():
    assert Counter(refusals("harbin")) == HARBIN
