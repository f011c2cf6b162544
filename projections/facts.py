"""What models of conduct share: the rules' own facts about one stream, and what the rules measure with.

These models are folded from the same facts as the findings, and their deadlines are counted when they are read, with
the rulebook's parameters of the day: what a register says of a deadline and what a finding says can't differ.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from domain.events.envelope import Recorded
from domain.ledger.application import Ledger
from domain.replay import in_order
from domain.rules.book import Rulebook, rulebook_of
from domain.rules.facts import AccountFacts, CaseFacts, PartyFacts, World
from projections.engine import ReadModel, Seen


@dataclass(slots=True)
class Kept:
    """A stream's events that a model looks at, in the order of the world."""

    region: str = ""
    events: list[Recorded] = field(default_factory=list)


class FactsModel(ReadModel):
    """A model whose rows come from the rules' facts about one stream. What it passes is left out of these too."""

    def begin(self, subject: str) -> Kept:  # noqa: ARG002 - one beginning for all
        """Return nothing, to begin with."""
        return Kept()

    def step(self, state: Kept, recorded: Recorded) -> None:
        """Keep an event."""
        state.region = state.region or recorded.event.region
        if not isinstance(recorded.event.data, self.passes):
            state.events.append(recorded)


def facts_of(state: Kept, seen: Seen) -> AccountFacts | PartyFacts | CaseFacts:
    """Return what the rules know of the stream, looked at by itself."""
    found = World({seen.subject: state.events}, seen.now, seen.position, state.region).facts(seen.subject)
    assert isinstance(found, AccountFacts | PartyFacts | CaseFacts)
    return found


def region_of(facts: AccountFacts | PartyFacts | CaseFacts) -> str:
    """Return the region a stream was opened in, or that of its first event where the opening is not on record."""
    return facts.state.region or facts.world.region


# -- what the rules measure with ----------------------------------------------------------------------------


def rulebook(ledger: Ledger) -> Rulebook:
    """Return the rulebook of a ledger."""
    return rulebook_of(in_order(ledger.history(f"rulebook/{ledger.region}")))


def measures(book: Rulebook, rule_id: str, names: Iterable[str] = ()) -> dict[str, Any]:
    """Return a rule's parameters by day as arrays for SQL: `since`, `until` (exclusive), `in_force` and `names`.

    A parameter that is a list of words is one text, separated by commas.
    """
    versions = book.versions_of(rule_id)
    days = {date.min, *(v.since for v in versions), *(v.until for v in versions if v.until)}
    starts = sorted(days)
    found: dict[str, Any] = {
        "since": starts,
        "until": [*starts[1:], date.max],
        "in_force": [book.on(rule_id, day) is not None for day in starts],
    }
    for name in names:
        found[name] = [_plain(book.parameter(rule_id, day, name)) for day in starts]
    return found


def _plain(value: int | Sequence[str]) -> int | str:
    return value if isinstance(value, int) else ",".join(value)
