"""What the rules observed, in plain words of both languages, read from the sentences they record it in.

A rule records each observation as one short English sentence of a fixed form, several of them joined by "; ".
Here every form has its plain wording. What fits none (a form added later, or one broken up by somebody's free
text) is answered with None: whoever prints it shows the program's own record, which always stands beside.
"""
# ruff: noqa: RUF001, E501 - Chinese is written with Chinese punctuation; a sentence stands on one line

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import NamedTuple

from api.wording.events import name_of
from api.wording.labels import label, said
from api.wording.language import Lang, Words, day_text, instant_text, yuan
from domain.events.fields import REGISTRY, parse_day, parse_instant

JOINT = "; "


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

_PLACE = re.compile(r"<(\w+)(?::(\w+))?>")


def _form(pattern: str, zh: str, en: str) -> Form:
    """Return a form; in the pattern and in the words alike a place is `<kind>` or `<kind:name>`."""
    escaped = "".join(
        part if index % 2 else re.escape(part)
        for index, part in enumerate(re.split(r"(<\w+(?::\w+)?>)", pattern))
    )

    def place(match: re.Match[str]) -> str:
        return f"(?P<{match[2] or match[1]}>{PARTS[match[1]]})"

    return Form(_PLACE.sub(place, escaped) + r"(?=; |$)", Words(zh, en))


LINE_UNKNOWN = _form(
    "the history does not say which line of business the account is of",
    "记录没有说明该账户属于哪类业务",
    "the records do not say which kind of service the account is for",
)
NO_CHOICE = _form(
    "no choice of the customer's own was on record",
    "没有客户本人的选择记录",
    "no choice of the customer's own was on record",
)
CHOSEN = _form(
    "the customer had chosen <option>", "客户选择的是“<option>”", "the customer had chosen “<option>”"
)
NOTHING_DUE = _form("nothing was unpaid past its deadline", "没有逾期未缴的费用", "nothing was overdue")

REASONS: tuple[Form, ...] = (
    NO_CHOICE,
    CHOSEN,
    NOTHING_DUE,
    _form("the charge has no basis (<why>)", "该笔收费没有依据（<why>）", "the charge has no basis (<why>)"),
    _form("no such charge is on record", "没有这笔收费的记录", "no such charge is on record"),
    _form("the charge was reversed", "该笔收费已冲正", "the charge had been reversed"),
    _form("its day had not come", "尚未到可以计收之日", "the day from which it may run had not come"),
    _form("that day was levied before", "同一日已计收过", "the same days had been charged before"),
    _form("a dispute hold covered it", "处于争议暂缓期间", "a dispute hold covered it"),
    _form("it was paid", "费用已缴清", "the charge was already paid"),
    _form("it is more than the rate allows", "超过法定比例", "it is more than the rate allows"),
    _form("more than was owed", "超过所欠金额", "it is more than was owed"),
    _form(
        "<number> charges for time from then on",
        "此后又收取 <number> 笔费用",
        "<number> charges were posted for later",
    ),
    _form("the service ended on <day>", "服务到<day>才终止", "the service ended only on <day>"),
    _form("the service did not end", "服务没有终止", "the service did not end"),
    _form("it was made only on <day>", "该条目到<day>才列入", "the entry was made only on <day>"),
    _form("it had been removed on <day>", "该条目已于<day>移除", "the entry had been removed on <day>"),
    _form("it should have gone by <day>", "该条目应在<day>前移除", "the entry should have gone by <day>"),
)
"""Why something was not as it should be: these stand inside other sentences, too."""

ENTRY: tuple[Form, ...] = (
    _form("the account <id> is not on record", "没有账户 <id> 的记录", "account <id> is not on record"),
    _form(
        "no lawful debt of the party's was overdue (<why>)",
        "客户没有依法应缴的逾期欠费（<why>）",
        "the customer lawfully owed nothing that was overdue (<why>)",
    ),
    _form(
        "the number was opened without a verified identity: its debt is void for the person named",
        "号码未经实名核验开通，其欠费对被冒名者无效",
        "the number was opened without a verified identity, so its debt is void for the person named",
    ),
    _form(
        "no notice of the arrears had reached the party (delivered elsewhere)",
        "欠费通知送到了别处，没有送达客户",
        "the notice of the arrears had been delivered elsewhere, not to the customer",
    ),
    _form(
        "no notice of the arrears had reached the party",
        "此前没有一次欠费通知送达客户",
        "no notice of the arrears had reached the customer",
    ),
    _form(
        "the history does not say which contact point the notice of the arrears went to",
        "记录没有说明欠费通知发往哪个联系方式",
        "the records do not say which contact point the notice of the arrears went to",
    ),
    _form(
        "<fen> fen were overdue and the party had been told",
        "逾期欠费 <fen>，且已通知客户",
        "<fen> was overdue and the customer had been told",
    ),
)
"""What is said of a blacklist entry's basis."""

REMINDERS_OPEN = (
    (
        "; which contact point it went to is not on record",
        "；发往哪个联系方式没有记录",
        "; which contact point they went to is not on record",
    ),
    ("; the time for it has not passed", "；期限未到", "; the time for it has not passed"),
    ("", "", ""),
)

FORMS: Mapping[str, tuple[Form, ...]] = {
    "expiry-choice": (
        _form(
            "<id>: the customer chose <option> among the three options",
            "套餐 <id>：客户在三种方式中选择了“<option>”",
            "package <id>: the customer chose “<option>” among the three options",
        ),
        _form(
            "<id>: sold on <day> with the options shown, and no choice was recorded",
            "套餐 <id> 于<day>办理，虽说明了到期处理方式，但没有记录选择",
            "package <id> was sold on <day> with the options shown, and no choice was recorded",
        ),
        _form(
            "<id>: sold on <day> without the three options on record before, and no choice was recorded",
            "套餐 <id> 于<day>办理，事先没有三种到期处理方式的说明记录，也没有任何选择",
            "package <id> was sold on <day>; no record shows that the three options were explained, and no choice was "
            "recorded",
        ),
        _form(
            "<id>: sold on <day> with the options shown; <option> was set by <by>",
            "套餐 <id> 于<day>办理，说明了到期处理方式，但“<option>”的设定方式：<by>",
            "package <id> was sold on <day> with the options shown, but “<option>” was set by <by>",
        ),
        _form(
            "<id>: sold on <day> without the three options on record before; <option> was set by <by>",
            "套餐 <id> 于<day>办理，事先没有三种到期处理方式的说明记录；“<option>”的设定方式：<by>",
            "package <id> was sold on <day>; no record shows that the three options were explained before, and “<option>” "
            "was set by <by>",
        ),
        LINE_UNKNOWN,
    ),
    "expiry-notice": (
        *(
            _form(
                "<id>, ended <day>: before it <number:a> attempts, <number:b> delivered; after it <number:c> attempts, "
                f"<number:d> delivered{tail}",
                f"套餐 <id> 于<day>到期：到期前尝试 <a> 次、送达 <b> 次；到期后尝试 <c> 次、送达 <d> 次{zh}",
                "package <id> ended on <day>: <a> reminders attempted before it, <b> delivered; <c> attempted after it, "
                f"<d> delivered{en}",
            )
            for tail, zh, en in REMINDERS_OPEN
        ),
        _form("<id>: no end is on record", "套餐 <id> 没有到期日的记录", "package <id>: no end is on record"),
        LINE_UNKNOWN,
    ),
    "charge-basis": (
        _form(
            "<id>: until when the year ran that it carries on is not on record",
            "收费 <id> 所延续的包年期限到何时为止没有记录",
            "charge <id>: until when the year ran that it carries on is not on record",
        ),
        _form(
            "the customer's own choice carries it",
            "以客户本人的选择为依据",
            "the customer's own choice carries it",
        ),
        _form("<id> was taken back in full", "收费 <id> 已全额冲正", "charge <id> was taken back in full"),
        _form(
            "charges for time after <day>, the end of <id>: no choice of the customer's own was on record",
            "套餐 <id> 于<day>期满，此后仍在收费，而没有客户本人的选择记录",
            "charges for time after <day>, when package <id> ended, though no choice of the customer's own was on record",
        ),
        _form(
            "charges for time after <day>, the end of <id>: the customer had chosen <option>",
            "套餐 <id> 于<day>期满，此后仍在收费，而客户选择的是“<option>”",
            "charges for time after <day>, when package <id> ended, though the customer had chosen “<option>”",
        ),
    ),
    "late-fee": (
        _form(
            "late fee on <id>: from when the contract lets it run is not on record",
            "收费 <id> 的滞纳金：合同约定自何时起算没有记录",
            "late fee on charge <id>: from when the contract lets it run is not on record",
        ),
        _form("late fee on <id> stands", "收费 <id> 的滞纳金成立", "the late fee on charge <id> stands"),
        _form(
            "late fee on <id> was taken back",
            "收费 <id> 的滞纳金已冲回",
            "the late fee on charge <id> was taken back",
        ),
        _form("late fee on <id>: <why>", "收费 <id> 的滞纳金：<why>", "late fee on charge <id>: <why>"),
        *REASONS,
    ),
    "suspension-window": (
        _form(
            "suspended on <day>; what the contract says is not on record",
            "<day>停机；合同的约定没有记录",
            "suspended on <day>; what the contract says is not on record",
        ),
        _form(
            "suspended on <day> with nothing unpaid past its deadline",
            "<day>停机时没有逾期未缴的费用",
            "suspended on <day> with nothing overdue",
        ),
        _form(
            "suspended on <day>, <number> days past the deadline <day:due> of <id>; the first lawful day was <day:first>",
            "<day>停机，距收费 <id> 的缴费期限（<due>）<number> 日；依规最早可在<first>停机",
            "suspended on <day>, <number> days past the deadline (<due>) of charge <id>; the first lawful day was <first>",
        ),
    ),
    "termination-window": (
        _form(
            "ended on <day>; what was before the account's first event is not on record",
            "<day>销户；账户首条记录之前的情况没有记录",
            "ended on <day>; what was before the account's first event is not on record",
        ),
        _form(
            "ended on <day>; whether the system it came from had suspended it is not on record",
            "<day>销户；在迁入前的旧系统中是否已停机没有记录",
            "ended on <day>; whether the system it came from had suspended it is not on record",
        ),
        _form(
            "ended on <day> without having been suspended for arrears",
            "<day>销户，此前没有因欠费停机",
            "ended on <day> without having been suspended for arrears",
        ),
        _form(
            "ended on <day>, <number> days after the suspension of <day:since>, with nothing unpaid past its deadline",
            "<day>销户，距<since>停机 <number> 日，当时没有逾期未缴的费用",
            "ended on <day>, <number> days after the suspension of <since>, with nothing overdue",
        ),
        _form(
            "ended on <day>, <number> days after the suspension of <day:since>",
            "<day>销户，距<since>停机 <number> 日",
            "ended on <day>, <number> days after the suspension of <since>",
        ),
    ),
    "restore-within": (
        _form(
            "paid in full on <moment>, <number> hours to restore, back on <moment:back>",
            "<moment>缴清，应在 <number> 小时内复机，于<back>复机",
            "paid in full on <moment>, to be restored within <number> hours, back on <back>",
        ),
        _form(
            "paid in full on <moment>, <number> hours to restore; they have not passed",
            "<moment>缴清，应在 <number> 小时内复机，时限未到",
            "paid in full on <moment>, to be restored within <number> hours, which have not passed",
        ),
        _form(
            "paid in full on <moment>, <number> hours to restore, back only on <moment:back>",
            "<moment>缴清，应在 <number> 小时内复机，到<back>才复机",
            "paid in full on <moment>, to be restored within <number> hours, back only on <back>",
        ),
        _form(
            "paid in full on <moment>, <number> hours to restore, not back",
            "<moment>缴清，应在 <number> 小时内复机，至今没有复机",
            "paid in full on <moment>, to be restored within <number> hours, not restored",
        ),
    ),
    "real-name": (
        _form(
            "<id> rests on a verified identity",
            "号码 <id> 有通过的实名核验",
            "number <id> rests on a verified identity",
        ),
        _form(
            "<id> was ported in: the history does not say on which registration it rests",
            "号码 <id> 系携入，记录没有说明所依据的登记",
            "number <id> was ported in; the records do not say on which registration it rests",
        ),
        _form(
            "<id>: the party is not on record",
            "号码 <id>：没有客户的记录",
            "number <id>: its customer is not on record",
        ),
        _form(
            "<id>: no verification of its registration was on record when it went live",
            "号码 <id> 开通时，没有其登记的核验记录",
            "number <id>: no identity check of its registration was on record when it went live",
        ),
        _form(
            "<id>: its registration's verification: <result>",
            "号码 <id> 的实名核验结果：<result>",
            "number <id>: the identity check of its registration was <result>",
        ),
        _form(
            "<id>: its registration was verified by the method <method>",
            "号码 <id> 的核验方式为“<method>”，不符合要求",
            "number <id>: its registration was checked by a method that does not count: <method>",
        ),
        _form(
            "<id>: the registration was confirmed to misuse the identity",
            "号码 <id> 的登记已确认为冒用证件",
            "number <id>: its registration was confirmed to misuse the identity",
        ),
    ),
    "cancellation": (
        _form(
            "cancelled from <day>; that day has not passed",
            "客户申请自<day>起终止，该日未到",
            "cancelled from <day>, and that day has not passed",
        ),
        _form(
            "cancelled from <day>, and nothing went on",
            "客户申请自<day>起终止，此后没有继续",
            "cancelled from <day>, and nothing went on",
        ),
        _form("cancelled from <day>: <why>", "客户申请自<day>起终止：<why>", "cancelled from <day>: <why>"),
        *REASONS,
    ),
    "dispute-hold": (
        _form("<id> was respected", "争议暂缓 <id> 得到遵守", "the hold <id> was respected"),
        _form(
            "<id>: <types> while it stood; the charges it names are not on record",
            "争议暂缓 <id> 期间仍有：<types>；所涉收费没有记录",
            "while the hold <id> stood: <types>; the charges it names are not on record",
        ),
        _form(
            "<id> was released; since when it stood and for what is not on record: <types> came before its end",
            "争议暂缓 <id> 已解除，何时设立、就什么设立没有记录；解除之前有：<types>",
            "the hold <id> ended; since when it stood and for what is not on record; before its end: <types>",
        ),
        _form(
            "<id>: <types> while it stood",
            "争议暂缓 <id> 期间仍有：<types>",
            "while the hold <id> stood: <types>",
        ),
    ),
    "notice-reach": (
        _form(
            "<id> was delivered, but no attempt of it is on record",
            "通知 <id> 记为送达，但没有发出的记录",
            "notice <id> was delivered, but no attempt of it is on record",
        ),
        _form(
            "<id> (<purpose>, <channel>) reached the party",
            "通知 <id>（<purpose>，<channel>）送达客户",
            "notice <id> (<purpose>, <channel>) reached the customer",
        ),
        _form(
            "<id> (<purpose>, <channel>) went to <id:point>, which was not the party's valid contact point",
            "通知 <id>（<purpose>，<channel>）发往 <point>，而它当时不是客户有效的联系方式",
            "notice <id> (<purpose>, <channel>) went to <point>, which was then no valid contact point of the customer's",
        ),
        _form(
            "<id> (<purpose>, <channel>): the history does not say which contact point it went to",
            "通知 <id>（<purpose>，<channel>）：记录没有说明发往哪个联系方式",
            "notice <id> (<purpose>, <channel>): the records do not say which contact point it went to",
        ),
    ),
    "renewal-notice": (
        _form(
            "renewed from <day>, told by <day:by_day>",
            "自<day>起续约，已在<by_day>前提醒",
            "renewed from <day>, and the customer was told by <by_day>",
        ),
        _form(
            "to be renewed from <day>: the notice may go out by <day:by_day>",
            "将自<day>起续约，提醒应在<by_day>前送达",
            "to be renewed from <day>: the notice may go out by <by_day>",
        ),
        _form(
            "renewed from <day> without a renewal notice delivered by <day:by_day>",
            "自<day>起续约，而<by_day>前没有送达提醒",
            "renewed from <day> without a notice delivered by <by_day>",
        ),
    ),
    "blacklist-basis": tuple(Form(r"(?:(?P<entry>\S+?): )?" + form.pattern, form.words) for form in ENTRY),
    "blacklist-removal": (
        _form(
            "<id>: the debt ended on <day>, the entry had to go by <day:due>; that day has not passed",
            "条目 <id>：欠费于<day>了结，应在<due>前移除，期限未到",
            "entry <id>: the debt ended on <day>, the entry has to go by <due>, which has not passed",
        ),
        _form(
            "<id>: the debt ended on <day>, the entry had to go by <day:due>; it went only on <day:gone>",
            "条目 <id>：欠费于<day>了结，应在<due>前移除，到<gone>才移除",
            "entry <id>: the debt ended on <day>, the entry had to go by <due>; it went only on <gone>",
        ),
        _form(
            "<id>: the debt ended on <day>, the entry had to go by <day:due>; it still stands",
            "条目 <id>：欠费于<day>了结，应在<due>前移除，至今仍在",
            "entry <id>: the debt ended on <day>, the entry had to go by <due>; it still stands",
        ),
        _form(
            "<id>: the debt ended on <day>, the entry had to go by <day:due>",
            "条目 <id>：欠费于<day>了结，应在<due>前移除，已按期移除",
            "entry <id>: the debt ended on <day>, the entry had to go by <due>, and did",
        ),
        _form(
            "<id>: its debt has not been cleared, and it stood for more than <number> years, past <day>; the history does "
            "not say when the bad conduct ended",
            "条目 <id>：欠费尚未结清，条目保存已超过 <number> 年（<day>）；记录没有说明不良行为何时终止",
            "entry <id>: its debt has not been cleared, and it stood for more than <number> years, past <day>; the records "
            "do not say when the bad conduct ended",
        ),
        _form("<id>: removed", "条目 <id> 已移除", "entry <id>: removed"),
        _form(
            "<id>: the debt it names has not been cleared",
            "条目 <id> 所列欠费尚未结清，移除期限不起算",
            "entry <id>: the debt it names has not been cleared, so no time for its removal has begun",
        ),
    ),
    "refusal-basis": (
        _form(
            "refused on <day> (<text>); on which entry is not on record",
            "<day>拒绝办理（<text>），依据哪个条目没有记录",
            "refused on <day> (<text>); on which entry is not on record",
        ),
        _form(
            "refused on <day> on <id>, which is not on record",
            "<day>以条目 <id> 为由拒绝办理，而没有该条目的记录",
            "refused on <day> on entry <id>, which is not on record",
        ),
        _form(
            "refused on <day> on <id>, which stood rightly",
            "<day>以条目 <id> 为由拒绝办理，该条目依规存在",
            "refused on <day> on entry <id>, which stood rightly",
        ),
        _form(
            "refused on <day> on <id>: <why>",
            "<day>以条目 <id> 为由拒绝办理：<why>",
            "refused on <day> on entry <id>: <why>",
        ),
        *ENTRY,
        *REASONS,
    ),
    "registration-audit": (
        _form(
            "<id> was registered on <day>, to be audited by <day:due>, audited on <day:done>",
            "登记 <id> 办于<day>，应在<due>前稽核，已于<done>稽核",
            "registration <id> of <day> was to be audited by <due>, and was on <done>",
        ),
        _form(
            "<id> was registered on <day>, to be audited by <day:due>; that day has not passed",
            "登记 <id> 办于<day>，应在<due>前稽核，期限未到",
            "registration <id> of <day> is to be audited by <due>, which has not passed",
        ),
        _form(
            "<id> was registered on <day>, to be audited by <day:due>, audited only on <day:done>",
            "登记 <id> 办于<day>，应在<due>前稽核，到<done>才稽核",
            "registration <id> of <day> was to be audited by <due>, and was only on <done>",
        ),
        _form(
            "<id> was registered on <day>, to be audited by <day:due>, never audited",
            "登记 <id> 办于<day>，应在<due>前稽核，从未稽核",
            "registration <id> of <day> was to be audited by <due>, and never was",
        ),
    ),
    "number-limit": (
        _form(
            "<id> made <number> numbers for one identity document, at most <number:most>; since when <ids> had been held is "
            "not on record",
            "号码 <id> 开通后，同一证件名下有 <number> 个号码，上限 <most> 个；<ids> 自何时起持有没有记录",
            "with number <id> there were <number> numbers for one document, at most <most> are allowed; since when <ids> had "
            "been held is not on record",
        ),
        _form(
            "<id> made <number> numbers for one identity document, at most <number:most>",
            "号码 <id> 开通后，同一证件名下有 <number> 个号码，上限 <most> 个",
            "with number <id> there were <number> numbers for one document, at most <most> are allowed",
        ),
    ),
    "dealer-block": (
        _form(
            "misuse confirmed on <day>, to be answered by <day:due>; that day has not passed",
            "<day>确认冒用，应在<due>前处理，期限未到",
            "misuse confirmed on <day>, to be answered by <due>, which has not passed",
        ),
        _form(
            "misuse confirmed on <day>, to be answered by <day:due>; which manager answers for the dealer is not on record",
            "<day>确认冒用，应在<due>前处理；代理商的内部责任人没有记录",
            "misuse confirmed on <day>, to be answered by <due>; which manager answers for the dealer is not on record",
        ),
        _form(
            "misuse confirmed on <day>, to be answered by <day:due>; missing: <text>",
            "<day>确认冒用，应在<due>前处理，仍缺：<text>",
            "misuse confirmed on <day>, to be answered by <due>; missing: <text>",
        ),
        _form(
            "misuse confirmed on <day>, to be answered by <day:due>",
            "<day>确认冒用，代理商和内部责任人均在<due>前处理",
            "misuse confirmed on <day>; dealer and manager were held to account by <due>",
        ),
    ),
    "complaint-answer": (
        _form(
            "received on <day>, to be answered by <day:due>, answered on <day:done>",
            "<day>受理，应在<due>前答复，已于<done>答复",
            "received on <day>, to be answered by <due>, answered on <done>",
        ),
        _form(
            "received on <day>, to be answered by <day:due>; that day has not passed",
            "<day>受理，应在<due>前答复，期限未到",
            "received on <day>, to be answered by <due>, which has not passed",
        ),
        _form(
            "received on <day>, to be answered by <day:due>, answered only on <day:done>",
            "<day>受理，应在<due>前答复，到<done>才答复",
            "received on <day>, to be answered by <due>, answered only on <done>",
        ),
        _form(
            "received on <day>, to be answered by <day:due>, not answered",
            "<day>受理，应在<due>前答复，没有答复",
            "received on <day>, to be answered by <due>, not answered",
        ),
    ),
    "commitment-first": (
        _form(
            "a commitment was made before handling started",
            "处理开始前已作出承诺",
            "a promise was made before handling started",
        ),
        _form(
            "handling started on <day> without a commitment",
            "<day>开始处理，事先没有承诺",
            "handling started on <day> without a promise",
        ),
        _form(
            "<id>, due <moment>, was met",
            "承诺 <id>（期限<moment>）已兑现",
            "promise <id>, due <moment>, was kept",
        ),
        _form(
            "<id>, due <moment>, has time left",
            "承诺 <id>（期限<moment>）期限未到",
            "promise <id>, due <moment>, has time left",
        ),
        _form(
            "<id>, due <moment>, was missed, and its remedy was granted",
            "承诺 <id>（期限<moment>）逾期，已给予补救",
            "promise <id>, due <moment>, was missed, and its remedy was granted",
        ),
        _form(
            "<id>, due <moment>, was missed; its remedy (<text>) was not granted",
            "承诺 <id>（期限<moment>）逾期，约定的补救（<text>）没有给予",
            "promise <id>, due <moment>, was missed; its remedy (<text>) was not granted",
        ),
    ),
    "clear-explanation": (
        _form(
            "<number> different staff spoke to the customer without a resolution",
            "先后有 <number> 名工作人员联系客户而未解决",
            "<number> different staff spoke to the customer without a resolution",
        ),
        _form(
            "<number> contacts were marked as not clearly explained",
            "<number> 次沟通记载为解释不清",
            "<number> contacts were marked as not clearly explained",
        ),
        _form(
            "<number> contacts by <number:staff> staff, unresolved; neither who owns it nor whether anything was explained "
            "is on record",
            "共 <number> 次沟通，工作人员 <staff> 名，尚未解决；由谁负责、是否解释清楚都没有记录",
            "<number> contacts by <staff> staff, unresolved; neither who owns it nor whether anything was explained is on "
            "record",
        ),
        _form(
            "<number> contacts by <number:staff> staff",
            "共 <number> 次沟通，工作人员 <staff> 名",
            "<number> contacts by <staff> staff",
        ),
    ),
}
"""For each rule the forms of its observations; of several that fit, the first counts."""

COMMON: tuple[Form, ...] = (
    _form(
        "<day>: the rule is in force from <day:since>",
        "<day>的行为早于规则施行之日（<since>）",
        "what happened on <day> was before the rule came into force on <since>",
    ),
    _form(
        "nothing happened that the rule speaks of",
        "没有发生该规则所涉的事项",
        "nothing happened that the rule speaks of",
    ),
)
"""What any rule may say."""

DIFFERENCES: tuple[Form, ...] = (
    _form("charge <id> does not stand", "收费 <id> 不成立", "charge <id> does not stand"),
    _form(
        "late fee <id>: <fen> fen instead of <fen:was> fen",
        "滞纳金 <id> 应为 <fen>，而不是 <was>",
        "late fee <id> should be <fen>, not <was>",
    ),
    _form(
        "late fee <id>: <fen> fen instead of <fen:was>",
        "滞纳金 <id> 应为 <fen>，而不是 <was>",
        "late fee <id> should be <fen>, not <was>",
    ),
    _form(
        "<types> would not have happened on <day>",
        "<day>不应发生：<types>",
        "this would not have happened on <day>: <types>",
    ),
    _form(
        "entry <id>: the debt was cleared",
        "黑名单条目 <id>：欠费已结清，应已移除",
        "blacklist entry <id> should have gone: its debt was cleared",
    ),
    _form(
        "entry <id>: <why>",
        "黑名单条目 <id> 不应列入：<why>",
        "blacklist entry <id> should not have been made: <why>",
    ),
    *ENTRY,
)

UNDETERMINED: tuple[Form, ...] = (
    _form(
        "<day>: the monthly price after <id> is not on record",
        "套餐 <id> 于<day>之后的月费没有记录，因此未计",
        "what package <id> costs by the month after <day> is not on record, so it was not counted",
    ),
    _form(
        "<day>: the price of another year of <id> is not on record",
        "套餐 <id> 于<day>续约一年的价格没有记录，因此未计",
        "what another year of package <id> costs from <day> is not on record, so it was not counted",
    ),
)


def observed_texts(rule_id: str, observed: str, lang: Lang) -> list[str] | None:
    """Return what a rule observed, one thing after the other; None where it is said in no known form."""
    return _sentences(observed, (*FORMS.get(rule_id, ()), *COMMON), lang)


def difference_text(what: str, lang: Lang) -> str | None:
    """Return what would have been otherwise, in plain words; None where it is said in no known form."""
    return _said(what, DIFFERENCES, lang)


def undetermined_text(text: str, lang: Lang) -> str | None:
    """Return what a counterfactual lacks, in plain words; None where it is said in no known form."""
    return _said(text, UNDETERMINED, lang)


def _said(text: str, forms: Sequence[Form], lang: Lang) -> str | None:
    found = _sentences(text, forms, lang)
    return None if found is None else ("；" if lang == "zh" else "; ").join(found)


def _sentences(text: str, forms: Sequence[Form], lang: Lang) -> list[str] | None:
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
    words = _PLACE.sub(lambda place: parts[place[2] or place[1]], form.words.of(lang))
    entry = parts.get("entry")
    if entry is None:
        return words
    return f"条目 {entry}：{words}" if lang == "zh" else f"entry {entry}: {words}"


def _written(name: str, value: str, lang: Lang) -> str | None:
    """Return a part as it is written in a language, None where it is a reason in no known form."""
    if name == "why":
        return _said(value, (*REASONS, *ENTRY), lang)
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
