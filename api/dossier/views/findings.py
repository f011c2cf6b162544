"""What a page says of the findings: what was broken, what shows it, what is open and what was kept."""
# ruff: noqa: RUF001 - Chinese is written with Chinese punctuation

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from api.dossier.topics import DONE_LATE, TOPICS
from api.dossier.views.reading import REFERENCES_MAX, Reading
from api.wording import RULES, citation_text, name_of, observed_texts, undetermined_text, yuan
from domain.events.fields import REGISTRY

OBSERVED_MAX = 24  # things one finding observed, printed one by one
RECORD_MAX_CHARS = 2_000  # of the program's own record of one finding
BREACHES_ROOMY = 9  # as many as a first page holds in its usual type


@dataclass(frozen=True, slots=True)
class Breach:
    """A rule that was broken, on every subject it was found on."""

    number: str
    rule_id: str
    title: str
    required: str
    remedy: str
    citations: Sequence[str]
    amount_fen: int
    summary: str
    found: Sequence["Found"]
    done: bool
    """What the rule asks for has been done since, too late."""


@dataclass(frozen=True, slots=True)
class Found:
    """One finding as it is read."""

    subject: str
    observed: Sequence[str]
    record: str
    references: Sequence[int]
    more_references: int
    absent: Sequence[str]
    amount_fen: int
    title: str = ""


class FindingsView(Reading):
    """The findings."""

    @cached_property
    def breaches(self) -> list[Breach]:
        """The rules that were broken, in the order in which a dispute unfolds."""
        by_rule: dict[str, list[dict[str, Any]]] = {}
        for finding in self.dossier.of_verdict("breach"):
            by_rule.setdefault(finding["rule_id"], []).append(finding)
        order = [rule_id for _, rules in TOPICS for rule_id in rules]
        ordered = sorted(by_rule, key=lambda r: order.index(r) if r in order else len(order))
        return [self._breach(number, r, by_rule[r]) for number, r in enumerate(ordered, 1)]

    def _breach(self, number: int, rule_id: str, found: list[dict[str, Any]]) -> Breach:
        words = RULES.get(rule_id)
        found = sorted(found, key=self._first)
        done = rule_id in DONE_LATE and not any(f["absent_event_types"] for f in found)
        amount_fen = sum(f["amount_fen"] for f in found)
        where = self.subjects(f["subject"] for f in found)
        title = words.title.of(self.lang) if words else rule_id
        summary = words.broken.of(self.lang) if words else "{where}: " + title
        return Breach(
            number=self.t(f"认定{number}", f"F{number}"),
            rule_id=rule_id,
            title=title,
            required=words.required.of(self.lang) if words else found[0]["required"],
            remedy=self._remedy(rule_id, found, done=done),
            citations=self._citations(rule_id, found),
            amount_fen=amount_fen,
            summary=summary.format(where=where, amount=yuan(amount_fen)),
            found=[self._found(f) for f in found],
            done=done,
        )

    def _first(self, finding: dict[str, Any]) -> int:
        """Return the number of the first event that shows a finding, beyond all where none does."""
        numbers = (self.number(e) for e in finding["evidence_event_ids"])
        return min((n for n in numbers if n is not None), default=len(self.dossier.events) + 1)

    def _remedy(self, rule_id: str, found: list[dict[str, Any]], *, done: bool) -> str:
        if done:
            return self.t(
                "已补做，但逾期；无须再补。", "It has been done since, too late; nothing remains to be done."
            )
        words = RULES.get(rule_id)
        return words.remedy.of(self.lang) if words else found[0]["remedy"]

    def _citations(self, rule_id: str, found: list[dict[str, Any]]) -> list[str]:
        versions = {v for f in found for v in f["rule_version"].split(", ")}
        return [
            citation_text(v.cited, self.lang)
            for v in self.dossier.book.versions_of(rule_id)
            if v.version in versions
        ]

    def _found(self, finding: dict[str, Any]) -> Found:
        observed = observed_texts(finding["rule_id"], finding["observed"], self.lang)
        references = [n for e in finding["evidence_event_ids"] if (n := self.number(e)) is not None]
        words = RULES.get(finding["rule_id"])
        unsaid = self.t("见下方程序原始记录（英文）。", "See the program's own record below.")
        return Found(
            subject=self.subject(finding["subject"]),
            observed=self._observed(observed) if observed is not None else [unsaid],
            record=self._record(finding["observed"]),
            references=sorted(references)[:REFERENCES_MAX],
            more_references=max(0, len(references) - REFERENCES_MAX),
            absent=[name_of(t, self.lang) if t in REGISTRY else t for t in finding["absent_event_types"]],
            amount_fen=finding["amount_fen"],
            title=words.title.of(self.lang) if words else finding["rule_id"],
        )

    def _observed(self, texts: list[str]) -> list[str]:
        some = [self._ended(text) for text in texts[:OBSERVED_MAX]]
        more = len(texts) - len(some)
        if more:
            where = "bundle/findings.json"
            some.append(self.t(f"另有 {more} 项，见 {where}。", f"And {more} more, in {where}."))
        return some

    def _record(self, text: str) -> str:
        if len(text) <= RECORD_MAX_CHARS:
            return text
        return text[:RECORD_MAX_CHARS] + " … (bundle/findings.json)"

    @property
    def topics(self) -> list[tuple[str, list[Breach]]]:
        """What was broken, by topic."""
        found = []
        placed: set[str] = set()
        for title, rules in TOPICS:
            some = [b for b in self.breaches if b.rule_id in rules]
            placed |= {b.rule_id for b in some}
            if some:
                found.append((title.of(self.lang), some))
        rest = [b for b in self.breaches if b.rule_id not in placed]
        return [*found, (self.t("其他", "Other"), rest)] if rest else found

    @property
    def open_findings(self) -> list[Found]:
        """What could not be decided."""
        return [self._found(f) for f in self.dossier.of_verdict("undetermined")]

    @property
    def open_figures(self) -> list[str]:
        """What the lawful account lacks."""
        texts = [u for p in self.dossier.parts for u in p.counterfactual["undetermined"]]
        return [self._ended(undetermined_text(u, self.lang) or u) for u in dict.fromkeys(texts)]

    @property
    def absent(self) -> list[tuple[str, list[str]]]:
        """Records that should be there and are not, with the findings that miss them."""
        found: dict[str, list[str]] = {}
        for breach in self.breaches:
            for name in dict.fromkeys(n for f in breach.found for n in f.absent):
                found.setdefault(name, []).append(breach.number)
        return list(found.items())

    @property
    def kept(self) -> list[Found]:
        """The rules that were kept."""
        return [self._found(f) for f in self.dossier.of_verdict("kept")]

    @property
    def not_applicable(self) -> int:
        """How many checks found nothing that their rule speaks of."""
        return len(self.dossier.of_verdict("not_applicable"))

    @property
    def dense(self) -> bool:
        """Whether there is so much to say that the first page takes smaller type."""
        return len(self.breaches) > BREACHES_ROOMY

    @cached_property
    def _cited(self) -> dict[int, list[str]]:
        found: dict[int, list[str]] = {}
        by_rule = {b.rule_id: b.number for b in self.breaches}
        for finding in self.dossier.of_verdict("breach"):
            for reference in finding["evidence_event_ids"]:
                number = self.number(reference)
                if number is not None and by_rule[finding["rule_id"]] not in found.setdefault(number, []):
                    found[number].append(by_rule[finding["rule_id"]])
        return found
