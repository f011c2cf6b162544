"""What is observed of identities and dealers: real names, audits, numbers, misuse."""
# ruff: noqa: RUF001, E501 - Chinese is written with Chinese punctuation; a sentence stands on one line

from collections.abc import Mapping

from api.wording.observations.forms import Form, form

FORMS: Mapping[str, tuple[Form, ...]] = {
    "real-name": (
        form(
            "<id> rests on a verified identity",
            "号码 <id> 有通过的实名核验",
            "number <id> rests on a verified identity",
        ),
        form(
            "<id> was ported in: the history does not say on which registration it rests",
            "号码 <id> 系携入，记录没有说明所依据的登记",
            "number <id> was ported in; the records do not say on which registration it rests",
        ),
        form(
            "<id>: the party is not on record",
            "号码 <id>：没有客户的记录",
            "number <id>: its customer is not on record",
        ),
        form(
            "<id>: no verification of its registration was on record when it went live",
            "号码 <id> 开通时，没有其登记的核验记录",
            "number <id>: no identity check of its registration was on record when it went live",
        ),
        form(
            "<id>: its registration's verification: <result>",
            "号码 <id> 的实名核验结果：<result>",
            "number <id>: the identity check of its registration was <result>",
        ),
        form(
            "<id>: its registration was verified by the method <method>",
            "号码 <id> 的核验方式为“<method>”，不符合要求",
            "number <id>: its registration was checked by a method that does not count: <method>",
        ),
        form(
            "<id>: the registration was confirmed to misuse the identity",
            "号码 <id> 的登记已确认为冒用证件",
            "number <id>: its registration was confirmed to misuse the identity",
        ),
    ),
    "registration-audit": (
        form(
            "<id> was registered on <day>, to be audited by <day:due>, audited on <day:done>",
            "登记 <id> 办于<day>，应在<due>前稽核，已于<done>稽核",
            "registration <id> of <day> was to be audited by <due>, and was on <done>",
        ),
        form(
            "<id> was registered on <day>, to be audited by <day:due>; that day has not passed",
            "登记 <id> 办于<day>，应在<due>前稽核，期限未到",
            "registration <id> of <day> is to be audited by <due>, which has not passed",
        ),
        form(
            "<id> was registered on <day>, to be audited by <day:due>, audited only on <day:done>",
            "登记 <id> 办于<day>，应在<due>前稽核，到<done>才稽核",
            "registration <id> of <day> was to be audited by <due>, and was only on <done>",
        ),
        form(
            "<id> was registered on <day>, to be audited by <day:due>, never audited",
            "登记 <id> 办于<day>，应在<due>前稽核，从未稽核",
            "registration <id> of <day> was to be audited by <due>, and never was",
        ),
    ),
    "number-limit": (
        form(
            "<id> made <number> numbers for one identity document, at most <number:most>; since when <ids> had been held is "
            "not on record",
            "号码 <id> 开通后，同一证件名下有 <number> 个号码，上限 <most> 个；<ids> 自何时起持有没有记录",
            "with number <id> there were <number> numbers for one document, at most <most> are allowed; since when <ids> had "
            "been held is not on record",
        ),
        form(
            "<id> made <number> numbers for one identity document, at most <number:most>",
            "号码 <id> 开通后，同一证件名下有 <number> 个号码，上限 <most> 个",
            "with number <id> there were <number> numbers for one document, at most <most> are allowed",
        ),
    ),
    "dealer-block": (
        form(
            "misuse confirmed on <day>, to be answered by <day:due>; that day has not passed",
            "<day>确认冒用，应在<due>前处理，期限未到",
            "misuse confirmed on <day>, to be answered by <due>, which has not passed",
        ),
        form(
            "misuse confirmed on <day>, to be answered by <day:due>; which manager answers for the dealer is not on record",
            "<day>确认冒用，应在<due>前处理；代理商的内部责任人没有记录",
            "misuse confirmed on <day>, to be answered by <due>; which manager answers for the dealer is not on record",
        ),
        form(
            "misuse confirmed on <day>, to be answered by <day:due>; missing: <text>",
            "<day>确认冒用，应在<due>前处理，仍缺：<text>",
            "misuse confirmed on <day>, to be answered by <due>; missing: <text>",
        ),
        form(
            "misuse confirmed on <day>, to be answered by <day:due>",
            "<day>确认冒用，代理商和内部责任人均在<due>前处理",
            "misuse confirmed on <day>; dealer and manager were held to account by <due>",
        ),
    ),
}
