"""Findings: what a rule says of a subject's conduct, with everything it rests on."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

import orjson

from domain.rules.book import Rulebook, RuleVersion

Verdict = Literal["breach", "kept", "not_applicable", "undetermined"]
VERDICTS: tuple[Verdict, ...] = ("breach", "undetermined", "kept", "not_applicable")


@dataclass(frozen=True, slots=True)
class Observation:
    """What one piece of conduct on a day shows. `amount_fen` hangs on it; 0 where no money does."""

    verdict: Verdict
    on: date
    observed: str
    evidence: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    amount_fen: int = 0


@dataclass(frozen=True, slots=True)
class Finding:
    """All observations of one rule, subject and verdict."""

    rule_id: str
    rule_version: str
    citation: str
    subject: str
    verdict: Verdict
    required: str
    observed: str
    evidence_event_ids: tuple[str, ...]
    absent_event_types: tuple[str, ...]
    amount_fen: int
    remedy: str

    def as_data(self) -> dict[str, Any]:
        """Return the finding as plain values, in the order of the contract."""
        return {
            "rule_id": self.rule_id,
            "rule_version": self.rule_version,
            "citation": self.citation,
            "subject": self.subject,
            "verdict": self.verdict,
            "required": self.required,
            "observed": self.observed,
            "evidence_event_ids": list(self.evidence_event_ids),
            "absent_event_types": list(self.absent_event_types),
            "amount_fen": self.amount_fen,
            "remedy": self.remedy,
        }


@dataclass(frozen=True, slots=True)
class Rule:
    """What a rule requires and what puts a breach of it right, in words; `kept_whole`: kept only if all was."""

    rule_id: str
    required: str
    remedy: str
    kept_whole: bool = False


def gather(
    rule: Rule, subject: str, observations: Iterable[Observation], book: Rulebook, today: date
) -> list[Finding]:
    """Return one finding per verdict; conduct before the rule was in force is not measured against it."""
    by_verdict: dict[Verdict, list[tuple[Observation, RuleVersion | None]]] = {}
    for seen in observations:
        version = book.on(rule.rule_id, seen.on)
        if version is None and seen.verdict != "not_applicable":
            first = book.versions_of(rule.rule_id)[0].since
            seen = Observation(  # noqa: PLW2901 - the same conduct, measured against nothing
                "not_applicable", seen.on, f"{seen.on}: the rule is in force from {first}", seen.evidence
            )
        by_verdict.setdefault(seen.verdict, []).append((seen, version))
    if not by_verdict:
        nothing = Observation("not_applicable", today, "nothing happened that the rule speaks of")
        by_verdict["not_applicable"] = [(nothing, book.on(rule.rule_id, today))]
    if rule.kept_whole and "breach" in by_verdict:
        by_verdict.pop("kept", None)
    return [
        _finding(rule, subject, verdict, by_verdict[verdict], book)
        for verdict in VERDICTS
        if verdict in by_verdict
    ]


def _finding(
    rule: Rule,
    subject: str,
    verdict: Verdict,
    seen: Sequence[tuple[Observation, RuleVersion | None]],
    book: Rulebook,
) -> Finding:
    versions = list(dict.fromkeys(v for _, v in seen if v is not None)) if seen else []
    if not versions:
        versions = [book.versions_of(rule.rule_id)[0]]
    breached = verdict == "breach"
    return Finding(
        rule_id=rule.rule_id,
        rule_version=", ".join(dict.fromkeys(v.version for v in versions)),
        citation="; ".join(dict.fromkeys(v.cited for v in versions)),
        subject=subject,
        verdict=verdict,
        required=rule.required,
        observed="; ".join(dict.fromkeys(o.observed for o, _ in seen)),
        evidence_event_ids=tuple(dict.fromkeys(e for o, _ in seen for e in o.evidence)),
        absent_event_types=tuple(dict.fromkeys(a for o, _ in seen for a in o.absent)),
        amount_fen=sum(o.amount_fen for o, _ in seen),
        remedy=rule.remedy if breached else "",
    )


def digest_of(answer: Mapping[str, Any]) -> str:
    """Return the digest by which the same findings are the same for ever."""
    return "sha256:" + hashlib.sha256(orjson.dumps(answer, option=orjson.OPT_SORT_KEYS)).hexdigest()
