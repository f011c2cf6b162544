"""How something is told in one language: days and moments of a region, names of subjects, and events in a sentence.

What a page of a dossier and a page of the console say of an event or a subject comes from here, so that both say the
same.
"""
# ruff: noqa: RUF001 - Chinese is written with Chinese punctuation

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from api.wording.events import name_of, sentence
from api.wording.labels import SAID, label, said
from api.wording.language import Lang, day_text, instant_text, listed, yuan
from domain.calendar import zone_of
from domain.events.envelope import Event, data_wire, kind_of
from domain.events.fields import parse_day, parse_instant

LATER = timedelta(days=1)
"""An event recorded longer than this after it happened says when it became known."""
ASSUMED = "assumed"


@dataclass(frozen=True, slots=True)
class Told:
    """An event as it is told: when and about whom, what happened, who did it, and when it became known, if later."""

    when: str
    subject: str
    name: str
    text: str
    by: str
    event_id: str
    known: str
    assumed: bool


class Telling:
    """One language, and the region whose days and hours are told."""

    def __init__(self, lang: Lang, region: str = "") -> None:
        self.lang, self.region = lang, region

    def t(self, zh: str, en: str) -> str:
        """Return the text of this language."""
        return zh if self.lang == "zh" else en

    def yuan(self, amount_fen: int) -> str:
        """Return an amount in fen as yuan."""
        return yuan(amount_fen)

    def day(self, value: date | str) -> str:
        """Return a day in words."""
        return day_text(parse_day(value), self.lang)

    def moment(self, value: Any) -> str:
        """Return a moment in words, in the region's time."""
        return instant_text(parse_instant(value).astimezone(zone_of(self.region)), self.lang)

    def label(self, group: str, value: object) -> str:
        """Return the name of a value of the vocabulary."""
        return label(group, value, self.lang)

    def said(self, text: str) -> str:
        """Return free text as it is quoted."""
        return said(text, self.lang)

    def listed(self, items: Iterable[str]) -> str:
        """Return several things one after the other."""
        return listed(items, self.lang)

    def subject(self, subject: str) -> str:
        """Return a subject's name: the kind of it and its id."""
        return f"{self.label('stream', kind_of(subject))} {subject.partition('/')[2]}"

    def actor(self, actor: str) -> str:
        """Return who did something."""
        kind, _, name = actor.partition("/")
        if kind == "system" or name == "self":
            known = SAID.get(name)
            if known is not None and kind == "system":
                return known.of(self.lang)
            if name == "self":
                return self.t("客户本人", "the customer")
        return f"{self.label('actor', kind)} {name}"

    def event(self, event: Event) -> Told:
        """Return an event as it is told."""
        zone = zone_of(event.region)
        when, known = event.time.astimezone(zone), event.recordedtime.astimezone(zone)
        source = event.evidenceref
        by = [self.actor(event.actor), self.label("channel", event.channel)]
        if source:
            by.append(
                self.t("依据：", "source: ") + (SAID[source].of(self.lang) if source in SAID else source)
            )
        return Told(
            when=f"{when:%Y-%m-%d %H:%M}",
            subject=self.subject(event.subject),
            name=name_of(event.type, self.lang),
            text=sentence(event.type, data_wire(event.data), self.lang),
            by=" · ".join(by),
            event_id=event.id,
            known=f"{known:%Y-%m-%d}" if event.recordedtime - event.time > LATER else "",
            assumed=source == ASSUMED,
        )
