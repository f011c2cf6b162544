"""How a dossier groups rules for a reader who knows none of them, and the terms it explains."""
# ruff: noqa: RUF001, E501 - Chinese is written with Chinese punctuation; a sentence stands on one line

from api.wording import Words

TOPICS: tuple[tuple[Words, tuple[str, ...]], ...] = (
    (
        Words("套餐与到期", "The package and its end"),
        ("expiry-choice", "expiry-notice", "renewal-notice", "cancellation"),
    ),
    (Words("收费与滞纳金", "Charges and late fees"), ("charge-basis", "late-fee")),
    (
        Words("停机、销户与复机", "Suspension, termination, restoring"),
        ("suspension-window", "termination-window", "restore-within"),
    ),
    (Words("通知与争议", "Notices and disputes"), ("notice-reach", "dispute-hold")),
    (Words("黑名单", "The blacklist"), ("blacklist-basis", "blacklist-removal", "refusal-basis")),
    (
        Words("实名与代理商", "Identity and dealers"),
        ("real-name", "registration-audit", "number-limit", "dealer-block"),
    ),
    (
        Words("投诉处理", "Handling of the complaint"),
        ("complaint-answer", "commitment-first", "clear-explanation"),
    ),
)
"""Rules by what they are about, in the order in which a dispute unfolds."""

CORRECTED_BY_PROPOSAL = frozenset({"charge-basis", "late-fee", "blacklist-basis", "blacklist-removal"})
"""Rules whose breaches the proposed entries put right: their remedy needs no words beside those."""
DONE_LATE = frozenset({"registration-audit", "complaint-answer", "restore-within"})
"""Rules about doing something in time: where nothing is absent, it has been done since, and nothing remains."""

TERMS: tuple[tuple[Words, Words], ...] = (
    (
        Words("包年 / 包月", "annual / monthly package"),
        Words(
            "一次付清一年的套餐；按月付费的套餐。",
            "A package paid for a year at once; one paid by the month.",
        ),
    ),
    (
        Words("到期处理：停机、转包月资费、续包年资费", "what happens at the term's end"),
        Words(
            "包年期满后的三种处理：停止服务；改按月收费；再续一年。应由客户本人选择。",
            "Three ways: the service stops; it goes on by the month; it is renewed for a year. The customer chooses.",
        ),
    ),
    (
        Words("停机 / 复机 / 销户", "suspension / restoring / termination"),
        Words(
            "暂停服务；恢复服务；服务终止。",
            "The service is stopped for a time; is back; is ended for good.",
        ),
    ),
    (
        Words("缴费期限 / 欠费", "due date / arrears"),
        Words(
            "应在该日之前缴清；过期未缴即为欠费。",
            "A charge is to be paid by its due date; unpaid after it, it is in arrears.",
        ),
    ),
    (
        Words("滞纳金", "late fee"),
        Words(
            "对逾期费用按日加收的款项，每日千分之三，不计复利。",
            "What is added for each day of arrears: 3 per mille a day, without interest on interest.",
        ),
    ),
    (
        Words("冲正 / 退费", "reversal / refund"),
        Words(
            "在账上撤销一笔收费；把多收的钱还给客户。",
            "A charge is taken back in the books; what was paid too much is given back.",
        ),
    ),
    (
        Words("入账日", "value date"),
        Words(
            "缴费从这一天起算数，不论何时录入系统。",
            "The day from which a payment counts, whenever it was posted.",
        ),
    ),
    (
        Words("黑名单", "blacklist"),
        Words(
            "运营企业对欠费客户的内部名单，在名单上会被拒绝办理业务。",
            "The operator's list of customers in arrears; those on it are refused new services.",
        ),
    ),
    (
        Words("尝试 / 送达", "attempted / delivered"),
        Words(
            "发出通知是尝试；客户的有效联系方式收到才是送达。",
            "Sending a notice is an attempt; it is delivered once it arrives where it reaches the customer.",
        ),
    ),
    (
        Words("实名登记 / 稽核", "registration / audit"),
        Words(
            "开通号码时核对本人与证件；事后复查登记资料。",
            "Person and document are compared when a number is opened; the papers are looked at again later.",
        ),
    ),
    (
        Words("争议暂缓", "dispute hold"),
        Words(
            "争议了结之前，对争议金额暂缓采取措施。",
            "Until a dispute is settled, nothing is enforced for the sum in dispute.",
        ),
    ),
    (
        Words("依规应有", "lawful"),
        Words(
            "保留客户和外界的行为，运营企业一方按当时的规则重新推算的结果。",
            "What the customer and the outside did is kept; what the operator did is derived anew by the rules of the day.",
        ),
    ),
    (
        Words("截至日 / 账本位置", "as known at / position"),
        Words(
            "卷宗只采用运营企业系统在该时刻已知、账本在该位置之前的记录。",
            "The dossier takes only what the operator's systems knew by then, and what stood in the ledger by that position.",
        ),
    ),
    (
        Words("摘要值（SHA-256）", "digest (SHA-256)"),
        Words(
            "由文件内容算出的一串字符；内容改动一个字，它就不同。",
            "A row of characters computed from a file; it differs as soon as one letter of the file does.",
        ),
    ),
)
"""The terms a reader meets, each explained in one line."""
