"""The forms of what rules observe: a sentence as they record it, and how it is said."""

import re
from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

from api.wording.language import Words


class Form(NamedTuple):
    """A sentence of a rule, as a pattern with named parts, and how it is said."""

    pattern: str
    words: Words

    def match(self, text: str, at: int) -> re.Match[str] | None:
        """Return where the sentence stands in a text from a place on, None where another one does."""
        return _compiled(self.pattern).match(text, at)


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)  # on first use: a short command has no use for a hundred of them


PARTS: Mapping[str, str] = {
    "day": r"\d{4}-\d{2}-\d{2}",
    "moment": r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?[+-]\d{2}:\d{2}",
    "number": r"\d+",
    "id": r"\S+?",
    "option": r"suspend|convert_to_monthly|renew_annual",
    "by": r"customer|staff_default|system_default",
    "purpose": r"\w+",
    "channel": r"\w+",
    "method": r"\w+",
    "result": r"\w+",
    "types": r"\w+(?:, \w+)*",
    "fen": r"-?\d+",
    "ids": r"\S+(?:, \S+)*?",
    "text": r".+?",
    "why": r".+?",
}
"""What may stand in each kind of place: `<day>`, or `<day:since>` where there are several."""

PLACE = re.compile(r"<(\w+)(?::(\w+))?>")


def form(pattern: str, zh: str, en: str) -> Form:
    """Return a form; in the pattern and in the words alike a place is `<kind>` or `<kind:name>`."""
    escaped = "".join(
        part if index % 2 else re.escape(part)
        for index, part in enumerate(re.split(r"(<\w+(?::\w+)?>)", pattern))
    )

    def place(match: re.Match[str]) -> str:
        return f"(?P<{match[2] or match[1]}>{PARTS[match[1]]})"

    return Form(PLACE.sub(place, escaped) + r"(?=; |$)", Words(zh, en))
