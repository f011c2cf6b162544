"""What is observed of a customer's own word: cancelling, disputing, being reached."""
# ruff: noqa: RUF001, E501 - Chinese is written with Chinese punctuation; a sentence stands on one line

from collections.abc import Mapping

from api.wording.observations.forms import Form, form
from api.wording.observations.reasons import REASONS

FORMS: Mapping[str, tuple[Form, ...]] = {
    "cancellation": (
        form(
            "cancelled from <day>; that day has not passed",
            "客户申请自<day>起终止，该日未到",
            "cancelled from <day>, and that day has not passed",
        ),
        form(
            "cancelled from <day>, and nothing went on",
            "客户申请自<day>起终止，此后没有继续",
            "cancelled from <day>, and nothing went on",
        ),
        form("cancelled from <day>: <why>", "客户申请自<day>起终止：<why>", "cancelled from <day>: <why>"),
        *REASONS,
    ),
    "dispute-hold": (
        form("<id> was respected", "争议暂缓 <id> 得到遵守", "the hold <id> was respected"),
        form(
            "<id>: <types> while it stood; the charges it names are not on record",
            "争议暂缓 <id> 期间仍有：<types>；所涉收费没有记录",
            "while the hold <id> stood: <types>; the charges it names are not on record",
        ),
        form(
            "<id> was released; since when it stood and for what is not on record: <types> came before its end",
            "争议暂缓 <id> 已解除，何时设立、就什么设立没有记录；解除之前有：<types>",
            "the hold <id> ended; since when it stood and for what is not on record; before its end: <types>",
        ),
        form(
            "<id>: <types> while it stood",
            "争议暂缓 <id> 期间仍有：<types>",
            "while the hold <id> stood: <types>",
        ),
    ),
    "notice-reach": (
        form(
            "<id> was delivered, but no attempt of it is on record",
            "通知 <id> 记为送达，但没有发出的记录",
            "notice <id> was delivered, but no attempt of it is on record",
        ),
        form(
            "<id> (<purpose>, <channel>) reached the party",
            "通知 <id>（<purpose>，<channel>）送达客户",
            "notice <id> (<purpose>, <channel>) reached the customer",
        ),
        form(
            "<id> (<purpose>, <channel>) went to <id:point>, which was not the party's valid contact point",
            "通知 <id>（<purpose>，<channel>）发往 <point>，而它当时不是客户有效的联系方式",
            "notice <id> (<purpose>, <channel>) went to <point>, which was then no valid contact point of the customer's",
        ),
        form(
            "<id> (<purpose>, <channel>): the history does not say which contact point it went to",
            "通知 <id>（<purpose>，<channel>）：记录没有说明发往哪个联系方式",
            "notice <id> (<purpose>, <channel>): the records do not say which contact point it went to",
        ),
    ),
}
