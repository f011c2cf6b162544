"""What the rules observed, in plain words of both languages, read from the sentences they record it in.

A rule records each observation as one short English sentence of a fixed form, several of them joined by "; ".
Here every form has its plain wording. What fits none (a form added later, or one broken up by somebody's free
text) is answered with None: whoever prints it shows the program's own record, which always stands beside.

A module for each family of rules, as in `domain.rules`; `forms` says what a form is, `reading` reads them.
"""
# ruff: noqa: RUF001 - Chinese is written with Chinese punctuation; a sentence stands on one line

from collections.abc import Mapping

from api.wording.language import Lang
from api.wording.observations import arrears, complaints, disputes, expiry, identity, standing
from api.wording.observations.forms import Form, form
from api.wording.observations.lawful import DIFFERENCES, UNDETERMINED
from api.wording.observations.reading import joined, sentences
from api.wording.observations.reasons import ENTRY, REASONS

__all__ = [
    "COMMON",
    "DIFFERENCES",
    "ENTRY",
    "FORMS",
    "REASONS",
    "UNDETERMINED",
    "difference_text",
    "observed_texts",
    "undetermined_text",
]

FORMS: Mapping[str, tuple[Form, ...]] = {
    **expiry.FORMS,
    **arrears.FORMS,
    **disputes.FORMS,
    **identity.FORMS,
    **standing.FORMS,
    **complaints.FORMS,
}
"""For each rule the forms of its observations; of several that fit, the first counts."""

COMMON: tuple[Form, ...] = (
    form(
        "<day>: the rule is in force from <day:since>",
        "<day>的行为早于规则施行之日（<since>）",
        "what happened on <day> was before the rule came into force on <since>",
    ),
    form(
        "nothing happened that the rule speaks of",
        "没有发生该规则所涉的事项",
        "nothing happened that the rule speaks of",
    ),
)
"""What any rule may say."""


def observed_texts(rule_id: str, observed: str, lang: Lang) -> list[str] | None:
    """Return what a rule observed, one thing after the other; None where it is said in no known form."""
    return sentences(observed, (*FORMS.get(rule_id, ()), *COMMON), lang)


def difference_text(what: str, lang: Lang) -> str | None:
    """Return what would have been otherwise, in plain words; None where it is said in no known form."""
    return joined(what, DIFFERENCES, lang)


def undetermined_text(text: str, lang: Lang) -> str | None:
    """Return what a counterfactual lacks, in plain words; None where it is said in no known form."""
    return joined(text, UNDETERMINED, lang)
