"""What is observed of the blacklist: entries, their removal, and refusals that rest on them."""
# ruff: noqa: RUF001, E501 - Chinese is written with Chinese punctuation; a sentence stands on one line

from collections.abc import Mapping

from api.wording.observations.forms import Form, form
from api.wording.observations.reasons import ENTRY, REASONS

FORMS: Mapping[str, tuple[Form, ...]] = {
    "blacklist-basis": tuple(Form(r"(?:(?P<entry>\S+?): )?" + one.pattern, one.words) for one in ENTRY),
    "blacklist-removal": (
        form(
            "<id>: the debt ended on <day>, the entry had to go by <day:due>; that day has not passed",
            "条目 <id>：欠费于<day>了结，应在<due>前移除，期限未到",
            "entry <id>: the debt ended on <day>, the entry has to go by <due>, which has not passed",
        ),
        form(
            "<id>: the debt ended on <day>, the entry had to go by <day:due>; it went only on <day:gone>",
            "条目 <id>：欠费于<day>了结，应在<due>前移除，到<gone>才移除",
            "entry <id>: the debt ended on <day>, the entry had to go by <due>; it went only on <gone>",
        ),
        form(
            "<id>: the debt ended on <day>, the entry had to go by <day:due>; it still stands",
            "条目 <id>：欠费于<day>了结，应在<due>前移除，至今仍在",
            "entry <id>: the debt ended on <day>, the entry had to go by <due>; it still stands",
        ),
        form(
            "<id>: the debt ended on <day>, the entry had to go by <day:due>",
            "条目 <id>：欠费于<day>了结，应在<due>前移除，已按期移除",
            "entry <id>: the debt ended on <day>, the entry had to go by <due>, and did",
        ),
        form(
            "<id>: its debt has not been cleared, and it stood for more than <number> years, past <day>; the history does "
            "not say when the bad conduct ended",
            "条目 <id>：欠费尚未结清，条目保存已超过 <number> 年（<day>）；记录没有说明不良行为何时终止",
            "entry <id>: its debt has not been cleared, and it stood for more than <number> years, past <day>; the records "
            "do not say when the bad conduct ended",
        ),
        form("<id>: removed", "条目 <id> 已移除", "entry <id>: removed"),
        form(
            "<id>: the debt it names has not been cleared",
            "条目 <id> 所列欠费尚未结清，移除期限不起算",
            "entry <id>: the debt it names has not been cleared, so no time for its removal has begun",
        ),
    ),
    "refusal-basis": (
        form(
            "refused on <day> (<text>); on which entry is not on record",
            "<day>拒绝办理（<text>），依据哪个条目没有记录",
            "refused on <day> (<text>); on which entry is not on record",
        ),
        form(
            "refused on <day> on <id>, which is not on record",
            "<day>以条目 <id> 为由拒绝办理，而没有该条目的记录",
            "refused on <day> on entry <id>, which is not on record",
        ),
        form(
            "refused on <day> on <id>, which stood rightly",
            "<day>以条目 <id> 为由拒绝办理，该条目依规存在",
            "refused on <day> on entry <id>, which stood rightly",
        ),
        form(
            "refused on <day> on <id>: <why>",
            "<day>以条目 <id> 为由拒绝办理：<why>",
            "refused on <day> on entry <id>: <why>",
        ),
        *ENTRY,
        *REASONS,
    ),
}
