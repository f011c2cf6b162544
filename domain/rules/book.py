"""The dated rulebook: which version of a rule governed a day, with its parameters and its source.

A rule is data. The built-in versions stand here; an operator adds versions by `RuleVersionPublished`. Which
one applies is decided by the day of the conduct, never by today's, and a version never reaches back before
the day on which it was published: publishing one changes no finding about earlier conduct.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import orjson

from domain.calendar import day_of
from domain.events.envelope import Event, Recorded
from domain.events.rulebook import RuleVersionPublished
from domain.rules import windows

ASSUMED_FROM = date(2009, 1, 1)
"""From when a rule is taken to be in force where its source gives no date (assumed)."""

GROUP_RULE = "Group rule on annual packages, cited in the case report of 2014-12-17 (start date assumed)"
LATE_FEE_2000 = "Telecommunications Regulations (State Council Decree 291, 2000-09-25), art. 35"
LATE_FEE_2014 = "Telecommunications Regulations (revision of 2014-07-29), art. 34"


@dataclass(frozen=True, slots=True)
class RuleVersion:
    """One version of a rule; `until` is exclusive, None where it is still in force."""

    rule_id: str
    version: str
    since: date
    citation: str
    until: date | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict, hash=False)
    assumed: tuple[str, ...] = ()
    """Which of its parameters or dates no source gives."""
    unread: tuple[str, ...] = ()
    """Which parameters of a published version the rule does not know, or cannot measure with."""

    def governs(self, day: date) -> bool:
        """Whether conduct on a day is measured against this version."""
        return self.since <= day and (self.until is None or day < self.until)

    @property
    def cited(self) -> str:
        """The citation, with what of it is assumed."""
        notes = (("assumed", self.assumed), ("not usable", self.unread))
        return self.citation + "".join(f" [{what}: {', '.join(names)}]" for what, names in notes if names)


def _v(rule_id: str, citation: str, **more: Any) -> RuleVersion:
    given = {"version": "1", "since": ASSUMED_FROM, **more}
    return RuleVersion(rule_id=rule_id, citation=citation, **given)


def _article(rule_id: str, **parameters: Any) -> tuple[RuleVersion, RuleVersion]:
    """Return the two texts of the same article."""
    return (
        _v(
            rule_id,
            LATE_FEE_2000,
            version="2000",
            since=date(2000, 9, 25),
            until=windows.REVISED_ON,
            parameters=parameters,
        ),
        _v(rule_id, LATE_FEE_2014, version="2014", since=windows.REVISED_ON, parameters=parameters),
    )


BUILT_IN: tuple[RuleVersion, ...] = (
    _v("expiry-choice", GROUP_RULE, assumed=("in force from",)),
    _v(
        "expiry-notice",
        GROUP_RULE,
        parameters={
            "before_days": 30,
            "after_days": 30,
            "channels": ["web_push", "sms", "call", "visit"],
        },
        assumed=("in force from", "before_days", "after_days"),
    ),
    _v("charge-basis", GROUP_RULE, until=date(2014, 3, 15), assumed=("in force from",)),
    _v(
        "charge-basis",
        "Consumer Rights Protection Law (revision in force 2014-03-15), arts. 8 and 9",
        version="2014",
        since=date(2014, 3, 15),
    ),
    *_article("late-fee", rate_ppm=windows.LATE_FEE_PPM),
    *_article("suspension-window", fixed_line_days=windows.FIXED_LINE_GRACE_DAYS),
    *_article("termination-window", days=windows.TERMINATION_DAYS),
    *_article("restore-within", hours=48),
    _v(
        "blacklist-basis",
        "Operator's policy, on the model of the Credit Reporting Regulation (2013-03-15), art. 15",
        parameters={"purposes": ["arrears", "blacklist"]},
        assumed=("in force from",),
    ),
    _v(
        "blacklist-removal",
        "Operator's policy, on the model of the Credit Reporting Regulation (2013-03-15), art. 16",
        parameters={"working_days": 5, "retention_years": windows.BLACKLIST_RETENTION_YEARS},
        assumed=("in force from", "working days are Monday to Friday"),
    ),
    _v("refusal-basis", "Telecommunications Regulations, art. 40(3)", assumed=("in force from",)),
    _v(
        "real-name",
        "Operator's own rule on registrations",
        until=date(2013, 9, 1),
        assumed=("in force from",),
    ),
    _v(
        "real-name",
        "MIIT Order 25 (registration of telephone users' real identities)",
        version="2013",
        since=date(2013, 9, 1),
    ),
    _v(
        "registration-audit",
        "MIIT Order 25, yearly self-check",
        parameters={"months": 12},
        assumed=("in force from",),
    ),
    _v(
        "number-limit",
        "Anti-fraud notice of 2016: at most 5 numbers for one identity document with one operator",
        version="2016",
        since=date(2016, 6, 1),
        parameters={"numbers": 5},
        assumed=("in force from (month)",),
    ),
    _v(
        "dealer-block",
        "Operator's rule, ordered again in the second measure of 2014-12-17",
        parameters={"days": 10},
        assumed=("in force from", "days"),
    ),
    _v(
        "complaint-answer",
        "Telecommunication service rules; appeals procedure",
        parameters={"days": 15},
        assumed=("in force from",),
    ),
    _v(
        "commitment-first",
        "Third measure of 2014-12-17: promise first, then handle",
        version="2014",
        since=windows.COMMITMENT_FIRST_FROM,
    ),
    _v(
        "clear-explanation",
        "Fourth finding of the case report of 2014-12-17",
        parameters={"staff": 3},
        assumed=("in force from",),
    ),
    _v("cancellation", "The contract", assumed=("in force from",)),
    _v("dispute-hold", "Operator's policy on disputed amounts", assumed=("in force from",)),
    _v("notice-reach", "Derived: what did not reach the customer is no notice", assumed=("in force from",)),
    _v(
        "renewal-notice",
        "Implementing Regulation of the Consumer Rights Protection Law, art. 10",
        version="2024",
        since=date(2024, 7, 1),
        parameters={"days": 5},
    ),
)


class Rulebook:
    """The versions that count: the built-in ones, and those an operator published."""

    def __init__(self, published: Iterable[RuleVersion] = ()) -> None:
        self._published = tuple(published)
        self._versions: dict[str, list[RuleVersion]] = {}
        for version in (*BUILT_IN, *self._published):
            self._versions.setdefault(version.rule_id, []).append(version)

    @property
    def version(self) -> str:
        """The rulebook's own version: the same for the same versions of rules."""
        if not self._published:
            return "built-in 1"
        text = orjson.dumps([_as_data(v) for v in self._published], option=orjson.OPT_SORT_KEYS)
        return f"built-in 1 + {len(self._published)} published ({hashlib.sha256(text).hexdigest()[:12]})"

    def on(self, rule_id: str, day: date) -> RuleVersion | None:
        """Return the version that governs conduct on a day: of several, the one published last."""
        return next((v for v in reversed(self._versions.get(rule_id, [])) if v.governs(day)), None)

    def parameter(self, rule_id: str, day: date, name: str) -> Any:
        """Return a parameter on a day; where the version does not give it, the built-in rule's."""
        version = self.on(rule_id, day)
        if version is not None and name in version.parameters and name not in version.unread:
            return version.parameters[name]
        return _built_in(rule_id)[name]

    def versions_of(self, rule_id: str) -> Sequence[RuleVersion]:
        """Return every version of a rule, as it was published."""
        return self._versions.get(rule_id, [])


PARAMETER_MAX = 10_000
"""No number of days, hours, months, years or parts per million that a rule measures with is larger."""


def _built_in(rule_id: str) -> Mapping[str, Any]:
    """Return every parameter a rule knows, by the first built-in version that gives it."""
    found: dict[str, Any] = {}
    for version in BUILT_IN:
        if version.rule_id == rule_id:
            found = {**version.parameters, **found}
    return found


def _unread(rule_id: str, parameters: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the parameters that a rule does not know, or that are not of the form it measures with."""
    known = _built_in(rule_id)
    return tuple(sorted(n for n, v in parameters.items() if n not in known or not _fits(v, known[n])))


def _fits(given: object, known: object) -> bool:
    if isinstance(known, int):
        return type(given) is int and 0 <= given <= PARAMETER_MAX
    return isinstance(given, list) and all(isinstance(item, str) for item in given)


def _as_data(version: RuleVersion) -> list[Any]:
    return [
        version.rule_id,
        version.version,
        version.since,
        version.until,
        version.citation,
        version.parameters,
    ]


def rulebook_of(history: Iterable[Recorded]) -> Rulebook:
    """Return the rulebook that the events of rulebook streams amount to, in their order."""
    published = []
    for recorded in history:
        event = recorded.event
        if isinstance(event.data, RuleVersionPublished):
            published.append(
                RuleVersion(
                    rule_id=event.data.rule_id,
                    version=event.data.version,
                    since=max(event.data.in_force_from, _published_on(event)),
                    until=event.data.in_force_to,
                    citation=event.data.citation,
                    parameters=event.data.parameters,
                    unread=_unread(event.data.rule_id, event.data.parameters),
                )
            )
    return Rulebook(published)


def _published_on(event: Event) -> date:
    """Return the day on which a version was there to be followed: a backdated one binds nobody before it."""
    return day_of(max(event.time, event.recordedtime), event.region)
