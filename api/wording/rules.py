"""What each rule asks for, in plain words, and what puts a breach of it right; where it comes from."""
# ruff: noqa: RUF001, E501 - Chinese is written with Chinese punctuation; a sentence stands on one line

import re
from collections.abc import Mapping
from typing import NamedTuple

from api.wording.language import Lang, Words


class RuleWording(NamedTuple):
    """A rule's title, what it requires, what remedies a breach, and a breach in one sentence.

    `broken` is for a summary: `{where}` are the accounts, customers or cases it was found on.
    """

    title: Words
    required: Words
    remedy: Words
    broken: Words


RULES: Mapping[str, RuleWording] = {
    "expiry-choice": RuleWording(
        Words("到期处理方式须由客户选择", "The customer chooses what happens at the term's end"),
        Words(
            "办理包年宽带时，应向客户说明到期后的三种处理方式（停机、转包月资费、续包年资费），并在开通之前或当时留有客户本人的选择记录。"
            "工作人员或系统代为设定的，不算客户的选择。",
            "An annual broadband package is sold with three options for its end shown to the customer (suspend, go on by "
            "the month, renew for a year), and the customer's own choice on record before or at activation. What staff or "
            "a system set for the customer is no choice.",
        ),
        Words(
            "请客户本人选择；在其选择之前，按到期停机处理。",
            "Ask the customer; treat the package as suspended at its end until they choose.",
        ),
        Words(
            "{where}：包年宽带到期后怎样处理，没有留下客户本人的选择。",
            "{where}: what happens at the end of the annual package was never the customer's own choice.",
        ),
    ),
    "expiry-notice": RuleWording(
        Words("包年到期前后须提醒到客户", "Reminders before and after the term's end"),
        Words(
            "包年到期前、后均应提醒客户，渠道为网页推送、短信、电话、上门。到期前至少一次送达，或者各渠道都已尝试；到期后至少一次送达。"
            "发出不等于送达。",
            "The customer is reminded before and after the term's end by web push, SMS, call and visit: before it, one "
            "reminder delivered or every channel tried; after it, one delivered. An attempt is not a delivery.",
        ),
        Words(
            "通过能联系到客户的渠道，立即补作告知。",
            "Tell the customer now, through a channel that reaches them.",
        ),
        Words(
            "{where}：到期前后规定的提醒没有送达客户。",
            "{where}: the reminders required before and after the term's end did not reach the customer.",
        ),
    ),
    "charge-basis": RuleWording(
        Words("到期后的收费须有客户同意", "Charges after the term rest on the customer's own choice"),
        Words(
            "包年期满之后的每一笔收费，都应以客户本人有效的选择或事后的申请为依据。",
            "Each charge for time after an annual term rests on the customer's own valid choice or a later request of "
            "theirs.",
        ),
        Words(
            "冲正没有依据的收费，已缴部分退还客户。",
            "Reverse the unsupported charges, refund what was paid on them.",
        ),
        Words(
            "{where}：包年期满后继续收费共 {amount}，没有客户本人的选择作依据。",
            "{where}: {amount} was charged for time after the term without a choice of the customer's own.",
        ),
    ),
    "late-fee": RuleWording(
        Words("滞纳金不得超过法定范围", "Late fees within what the law allows"),
        Words(
            "滞纳金按所欠费用每日千分之三单利计收，自合同约定之日起算；对没有依据或已冲正的收费、缴费入账日之后的日子、争议暂缓期间，"
            "不得计收。",
            "A late fee is simple, 3 per mille a day on the sum owed, from the day the contract says; never on an "
            "unsupported or reversed charge, for days after the payment counted, or under a dispute hold.",
        ),
        Words("冲正超出部分。", "Reverse what was assessed beyond that."),
        Words(
            "{where}：计收了不应收取的滞纳金 {amount}。",
            "{where}: late fees of {amount} were put on what was not owed.",
        ),
    ),
    "suspension-window": RuleWording(
        Words("不得提前停机", "No suspension before its day"),
        Words(
            "固定电话、固网宽带在最早一笔欠费的缴费期限过后超过 30 日，方可因欠费停机；移动电话按合同约定的期限。",
            "No suspension for arrears until more than 30 days past the oldest unpaid charge's deadline on fixed lines; on "
            "mobile, the contract's own term.",
        ),
        Words("恢复服务。", "Restore the service."),
        Words(
            "{where}：停机早于规定的日期，或停机时并无逾期欠费。",
            "{where}: the service was suspended before its day, or with nothing overdue.",
        ),
    ),
    "termination-window": RuleWording(
        Words("不得提前销户", "No termination before its day"),
        Words(
            "因欠费停机后 60 日仍未缴清的，方可终止服务（销户）。",
            "No termination for arrears before 60 days of suspension have passed unpaid.",
        ),
        Words(
            "按客户意愿恢复服务，或解除合同。",
            "Restore the service, or release the customer from the contract, as they wish.",
        ),
        Words("{where}：销户早于规定的日期。", "{where}: the service was ended before its day."),
    ),
    "restore-within": RuleWording(
        Words("缴清后须按时复机", "Service back in time once all is paid"),
        Words(
            "欠费和滞纳金缴清后，应在合同约定的时限内复机，最长不超过 48 小时。",
            "Once arrears and late fees are paid in full, the service is back within the contract's hours, 48 at most.",
        ),
        Words("立即复机。", "Restore the service at once."),
        Words(
            "{where}：欠费缴清后没有按时复机。",
            "{where}: the service was not restored in time after all was paid.",
        ),
    ),
    "real-name": RuleWording(
        Words("实名登记", "A verified identity behind every number"),
        Words(
            "每个号码都应以通过核验的实名登记为依据：本人或代办人到场出示证件，且在号码开通之前或当时已有记录。",
            "Every number rests on an identity check of its registration that was passed, in person or by a proxy, on "
            "record at or before the activation.",
        ),
        Words(
            "注销该号码；其收费和滞纳金对被冒名者无效。",
            "Cancel the number; its charges and fees are void for the person named.",
        ),
        Words(
            "{where}：以该客户名义开通的号码，没有经过实名核验。",
            "{where}: numbers were opened in the customer's name without a verified identity.",
        ),
    ),
    "cancellation": RuleWording(
        Words("申请终止后不得再收费", "Nothing is charged after a cancellation"),
        Words(
            "自客户申请的终止日起不得再收取费用，服务应于当日终止。",
            "No charge for periods from the cancellation's effective date on, and the service ends on that date.",
        ),
        Words(
            "冲正有关收费，并按该日终止服务。",
            "Reverse the charges and end the service as of that date.",
        ),
        Words(
            "{where}：客户申请终止后仍在收费或没有终止服务（涉及 {amount}）。",
            "{where}: after the customer had cancelled, charges or the service went on ({amount}).",
        ),
    ),
    "dispute-hold": RuleWording(
        Words("争议期间暂缓措施", "Nothing is enforced while it is disputed"),
        Words(
            "争议暂缓期间，不得就争议金额计收滞纳金、停机或列入黑名单（以暂缓范围为准）。",
            "While a dispute hold stands, no late fee, suspension or blacklisting that its scope covers.",
        ),
        Words("撤销在此期间采取的措施。", "Undo what was done under the hold."),
        Words(
            "{where}：争议尚未了结，就采取了应当暂缓的措施。",
            "{where}: measures were taken that a dispute hold forbade.",
        ),
    ),
    "notice-reach": RuleWording(
        Words("通知须送达客户本人的联系方式", "A notice goes to a contact point that reaches the customer"),
        Words(
            "通知只有发往当时属于客户本人且有效的联系方式，才算送达。",
            "A notice counts as delivered only to a contact point that was the customer's own and still valid.",
        ),
        Words(
            "找到能联系到客户的方式；以该通知为前提的措施不成立。",
            "Find a contact point that reaches the customer; what rested on the notice falls.",
        ),
        Words(
            "{where}：通知发往了已不属于客户的联系方式。",
            "{where}: a notice went to a contact point that was no longer the customer's.",
        ),
    ),
    "renewal-notice": RuleWording(
        Words("自动续约前须显著提醒", "A prominent notice before an automatic renewal"),
        Words(
            "每次自动续约前至少 5 日，应以显著方式提醒客户。",
            "A prominent notice at least 5 days before each automatic renewal.",
        ),
        Words(
            "允许客户退出续约，并退还未使用期间的费用。",
            "Let the customer withdraw from the renewal and refund the time not used.",
        ),
        Words(
            "{where}：自动续约前没有按期提醒客户。",
            "{where}: the package was renewed without the notice due before it.",
        ),
    ),
    "blacklist-basis": RuleWording(
        Words("列入黑名单须有依据并先行通知", "A blacklist entry rests on a debt and a notice"),
        Words(
            "只有确属应缴的欠费，且欠费通知已送达客户之后，才可将客户列入黑名单。没有依据的收费、冒用证件形成的欠费，都不能作为依据。",
            "An entry is made only for a debt that is owed, and after a notice of the arrears was delivered. Charges "
            "without a basis and debts from a misused identity are none.",
        ),
        Words("按误列处理，移出黑名单。", "Remove the entry as entered in error."),
        Words(
            "{where}：列入黑名单的依据不足（欠费不成立，或事先没有通知到客户）。",
            "{where}: the customer was blacklisted on no sufficient ground (for what was not owed, or without having been told).",
        ),
    ),
    "blacklist-removal": RuleWording(
        Words("黑名单应按时移除", "A blacklist entry goes in time"),
        Words(
            "欠费结清或被认定不成立后 5 个工作日内应移除条目；自不良行为终止起最长保存 5 年。",
            "An entry goes within 5 working days after the debt is cleared or found void, and 5 years after the bad conduct "
            "ended at the latest.",
        ),
        Words("移除该条目。", "Remove the entry."),
        Words(
            "{where}：黑名单条目到期没有移除。",
            "{where}: the blacklist entry stood longer than it might.",
        ),
    ),
    "refusal-basis": RuleWording(
        Words("不得以不当的黑名单拒绝服务", "No refusal on an entry that should not be there"),
        Words(
            "不得以本不应列入或早应移除的黑名单条目为由拒绝为客户服务。",
            "No refusal of service on an entry that should not have been made or should have gone.",
        ),
        Words("为客户办理被拒绝的业务。", "Offer the service that was refused."),
        Words(
            "{where}：以不应存在的黑名单条目为由拒绝为客户办理业务。",
            "{where}: a service was refused on a blacklist entry that should not have been there.",
        ),
    ),
    "registration-audit": RuleWording(
        Words("代理商登记须按期稽核", "Dealers' registrations are audited in time"),
        Words(
            "代理商办理的每一笔登记，都应在 12 个月内稽核。",
            "Each registration made by a dealer is audited within 12 months.",
        ),
        Words("稽核有关登记。", "Audit the registrations."),
        Words(
            "{where}：代理商办理的登记没有按期稽核。",
            "{where}: registrations made by a dealer were not audited in time.",
        ),
    ),
    "number-limit": RuleWording(
        Words("一证号码数量上限", "A limit of numbers for one document"),
        Words(
            "同一证件在同一运营企业最多办理 5 个号码。",
            "At most 5 numbers for one identity document with one operator.",
        ),
        Words("由客户确定保留哪些号码。", "Let the customer say which numbers they keep."),
        Words(
            "{where}：同一证件名下的号码超过上限。",
            "{where}: more numbers than allowed stand under one document.",
        ),
    ),
    "dealer-block": RuleWording(
        Words("违规代理商与内部责任人同时处理", "Dealer and manager both answer for a misuse"),
        Words(
            "确认冒用证件后 10 日内，应封停并处罚代理商，同时处理授权时指定的内部责任人。",
            "Within 10 days after a confirmed misuse of identity the dealer is blocked and penalised, and a penalty falls "
            "on the manager named when it was authorised.",
        ),
        Words("封停代理商，并追究双方责任。", "Block the dealer and hold both to account."),
        Words(
            "{where}：确认冒用后没有按期处理代理商和内部责任人。",
            "{where}: dealer and manager were not both held to account in time.",
        ),
    ),
    "complaint-answer": RuleWording(
        Words("投诉须按期答复", "A complaint is answered in time"),
        Words("受理投诉后应在 15 日内答复。", "A complaint is answered within 15 days."),
        Words("答复投诉。", "Answer the complaint."),
        Words("{where}：投诉没有按期答复。", "{where}: the complaint was not answered in time."),
    ),
    "commitment-first": RuleWording(
        Words("先承诺，再处理", "Promise first, then handle"),
        Words(
            "处理开始之前，应向客户承诺解决办法、时限和逾期补救；逾期的，应兑现补救。",
            "Before handling starts, a solution, a time limit and a remedy are promised; where the promise is missed, the "
            "remedy is granted.",
        ),
        Words(
            "作出承诺，并兑现逾期的补救。",
            "Make the commitment, grant the remedy of the missed one.",
        ),
        Words(
            "{where}：没有先向客户承诺，或承诺逾期而没有补救。",
            "{where}: no promise came first, or a missed one was not made good.",
        ),
    ),
    "clear-explanation": RuleWording(
        Words("一人负责，解释清楚", "One owner, explained clearly"),
        Words(
            "同一投诉应由一人负责联系客户并解释清楚。三名及以上工作人员先后联系而未解决，或有沟通记载为解释不清的，即为违反。",
            "Contacts on one complaint have one owner and are explained clearly. Three or more different staff without a "
            "resolution, or any contact marked unclear, is a breach.",
        ),
        Words(
            "确定一名负责人，并以书面再作说明。",
            "Name one owner, and explain once more, in writing.",
        ),
        Words(
            "{where}：多名工作人员先后联系客户，解释不清。",
            "{where}: several staff contacted the customer one after another, without explaining clearly.",
        ),
    ),
}
"""Each rule in words, in the order in which a dispute unfolds."""

CITATIONS: Mapping[str, str] = {
    "Group rule on annual packages, cited in the case report of 2014-12-17 (start date assumed)": (
        "集团关于包年业务的规定，见 2014年12月17日情况说明（施行日期为推定）"
    ),
    "Consumer Rights Protection Law (revision in force 2014-03-15), arts. 8 and 9": (
        "《消费者权益保护法》（2014年3月15日起施行的修正文本）第八条、第九条"
    ),
    "Telecommunications Regulations (State Council Decree 291, 2000-09-25), art. 35": (
        "《电信条例》（国务院令第291号，2000年9月25日）第三十五条"
    ),
    "Telecommunications Regulations (revision of 2014-07-29), art. 34": (
        "《电信条例》（2014年7月29日修订）第三十四条"
    ),
    "Operator's policy, on the model of the Credit Reporting Regulation (2013-03-15), art. 15": (
        "企业内部规定，参照《征信业管理条例》（2013年3月15日起施行）第十五条"
    ),
    "Operator's policy, on the model of the Credit Reporting Regulation (2013-03-15), art. 16": (
        "企业内部规定，参照《征信业管理条例》（2013年3月15日起施行）第十六条"
    ),
    "Telecommunications Regulations, art. 40(3)": "《电信条例》第四十条第（三）项",
    "Operator's own rule on registrations": "企业内部登记规定",
    "MIIT Order 25 (registration of telephone users' real identities)": (
        "工业和信息化部令第25号《电话用户真实身份信息登记规定》"
    ),
    "MIIT Order 25, yearly self-check": "工业和信息化部令第25号，年度自查",
    "Anti-fraud notice of 2016: at most 5 numbers for one identity document with one operator": (
        "2016年防范通讯信息诈骗通知：同一证件在同一运营企业最多 5 个号码"
    ),
    "Operator's rule, ordered again in the second measure of 2014-12-17": (
        "企业内部规定，2014年12月17日第二项措施重申"
    ),
    "Telecommunication service rules; appeals procedure": "《电信服务规范》；电信用户申诉处理办法",
    "Third measure of 2014-12-17: promise first, then handle": "2014年12月17日第三项措施：先承诺再处理",
    "Fourth finding of the case report of 2014-12-17": "2014年12月17日情况说明第四项",
    "The contract": "合同",
    "Operator's policy on disputed amounts": "企业关于争议金额的规定",
    "Derived: what did not reach the customer is no notice": "推论：没有到达客户的，不是通知",
    "Implementing Regulation of the Consumer Rights Protection Law, art. 10": (
        "《消费者权益保护法实施条例》第十条"
    ),
}
"""The built-in sources in Chinese; what an operator publishes is quoted as it was published."""

_NOTES = re.compile(r" \[(assumed|not usable): ([^\]]*)\]")
NOTES: Mapping[str, Words] = {
    "assumed": Words("推定", "assumed"),
    "not usable": Words("无法采用", "not usable"),
    "in force from": Words("施行日期", "in force from"),
    "in force from (month)": Words("施行月份", "in force from (month)"),
    "before_days": Words("到期前天数", "days before"),
    "after_days": Words("到期后天数", "days after"),
    "days": Words("天数", "days"),
    "months": Words("月数", "months"),
    "working days are Monday to Friday": Words("工作日按周一至周五计", "working days are Monday to Friday"),
}


def citation_text(citation: str, lang: Lang) -> str:
    """Return where a rule comes from: one version's citation, with what of it is assumed."""
    notes = _NOTES.findall(citation)
    bare = _NOTES.sub("", citation)
    if lang == "zh":
        bare = CITATIONS.get(bare, bare)
    colon, comma, left, right = ("：", "、", "〔", "〕") if lang == "zh" else (": ", ", ", " [", "]")
    said = (
        f"{left}{_note(kind, lang)}{colon}{comma.join(_note(n, lang) for n in names.split(', '))}{right}"
        for kind, names in notes
    )
    return bare + "".join(said)


def _note(text: str, lang: Lang) -> str:
    known = NOTES.get(text)
    return known.of(lang) if known else text
