"""Reads the sentences of a record, one after the other, and says each in a language."""
# ruff: noqa: RUF001 - Chinese is written with Chinese punctuation; a sentence stands on one line

import re
from collections.abc import Sequence

from api.wording.events import name_of
from api.wording.labels import label, said
from api.wording.language import Lang, day_text, instant_text, yuan
from api.wording.observations.forms import PARTS, PLACE, Form
from api.wording.observations.reasons import ENTRY, REASONS
from domain.events.fields import REGISTRY, parse_day, parse_instant

JOINT = "; "


def joined(text: str, forms: Sequence[Form], lang: Lang) -> str | None:
    """Return all sentences of a text as one, None where one of them is of no form."""
    found = sentences(text, forms, lang)
    return None if found is None else ("；" if lang == "zh" else "; ").join(found)


def sentences(text: str, forms: Sequence[Form], lang: Lang) -> list[str] | None:
    """Return the sentences of a text, each once; None where one of them is of no form."""
    found = []
    at = 0
    while at <= len(text):
        match, form = next(((m, f) for f in forms if (m := f.match(text, at)) is not None), (None, None))
        if match is None or form is None:
            return None
        words = _filled(form, match, lang)
        if words is None:
            return None
        found.append(words)
        at = match.end() + len(JOINT)
    return list(dict.fromkeys(found))


def _filled(form: Form, match: re.Match[str], lang: Lang) -> str | None:
    parts: dict[str, str] = {}
    for name, value in match.groupdict().items():
        if value is not None:
            written = _written(name, value, lang)
            if written is None:
                return None
            parts[name] = written
    words = PLACE.sub(lambda place: parts[place[2] or place[1]], form.words.of(lang))
    entry = parts.get("entry")
    if entry is None:
        return words
    return f"条目 {entry}：{words}" if lang == "zh" else f"entry {entry}: {words}"


def _written(name: str, value: str, lang: Lang) -> str | None:
    """Return a part as it is written in a language, None where it is a reason in no known form."""
    if name == "why":
        return joined(value, (*REASONS, *ENTRY), lang)
    group = {
        "option": "expiry_option",
        "by": "selected_by",
        "purpose": "notice_purpose",
        "channel": "notice_channel",
        "method": "verification_method",
        "result": "verification_result",
    }.get(name)
    if group is not None:
        return label(group, value, lang)
    return _plain(name, value, lang)


def _plain(name: str, value: str, lang: Lang) -> str:
    if name == "types":
        names = [name_of(t, lang) if t in REGISTRY else t for t in value.split(", ")]
        return ("、" if lang == "zh" else ", ").join(names)
    if name in ("fen", "was"):
        return yuan(int(value))
    if name == "text":
        return said(value, lang)
    if re.fullmatch(PARTS["moment"], value):
        return instant_text(parse_instant(value), lang)
    if re.fullmatch(PARTS["day"], value):
        return day_text(parse_day(value), lang)
    return value
