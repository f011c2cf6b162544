"""What a page shows, in one language: the dossier's parts as plain texts, numbers and rows for the template.

A module for each part of the page: `people`, `course` (what happened), `findings`, `money`, `remedy`; a part that
speaks of another one's matter is made on it. `reading` is what all of them need.
"""
# ruff: noqa: RUF001 - Chinese is written with Chinese punctuation

from typing import Any

from api.dossier.bundle import used_versions
from api.dossier.topics import TERMS
from api.dossier.views.course import CourseView, Row
from api.dossier.views.findings import Breach, Found
from api.dossier.views.people import PeopleView
from api.dossier.views.reading import ranges
from api.dossier.views.remedy import RemedyView
from api.wording import RULES, citation_text

__all__ = ["Breach", "Found", "Row", "View", "ranges"]


class View(PeopleView, CourseView, RemedyView):
    """All parts of a page, with its head and what the findings were measured against."""

    @property
    def title(self) -> str:
        """The dossier's title."""
        return self.t("争议卷宗：", "Dossier: ") + self.subject(self.dossier.subject)

    @property
    def known_day(self) -> str:
        """The day of the known-at instant, in words."""
        return self.day(self.dossier.until)

    @property
    def rules(self) -> list[dict[str, Any]]:
        """The versions of rules that were used, other than where nothing applied."""
        named = {f["rule_id"] for f in self.dossier.findings if f["verdict"] != "not_applicable"}
        return [
            {
                "title": RULES[v.rule_id].title.of(self.lang) if v.rule_id in RULES else v.rule_id,
                "rule_id": v.rule_id,
                "version": v.version,
                "since": v.since.isoformat(),
                "until": v.until.isoformat() if v.until else "",
                "citation": citation_text(v.cited, self.lang),
            }
            for v in used_versions(self.dossier)
            if v.rule_id in named
        ]

    @property
    def terms(self) -> list[tuple[str, str]]:
        """The terms and what they mean."""
        return [(term.of(self.lang), text.of(self.lang)) for term, text in TERMS]
