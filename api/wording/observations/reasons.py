"""Why something was not as it should be, and what a blacklist entry rests on: these stand inside other sentences."""
# ruff: noqa: RUF001 - Chinese is written with Chinese punctuation; a sentence stands on one line

from api.wording.observations.forms import Form, form

LINE_UNKNOWN = form(
    "the history does not say which line of business the account is of",
    "记录没有说明该账户属于哪类业务",
    "the records do not say which kind of service the account is for",
)
NO_CHOICE = form(
    "no choice of the customer's own was on record",
    "没有客户本人的选择记录",
    "no choice of the customer's own was on record",
)
CHOSEN = form(
    "the customer had chosen <option>", "客户选择的是“<option>”", "the customer had chosen “<option>”"
)
NOTHING_DUE = form("nothing was unpaid past its deadline", "没有逾期未缴的费用", "nothing was overdue")

REASONS: tuple[Form, ...] = (
    NO_CHOICE,
    CHOSEN,
    NOTHING_DUE,
    form("the charge has no basis (<why>)", "该笔收费没有依据（<why>）", "the charge has no basis (<why>)"),
    form("no such charge is on record", "没有这笔收费的记录", "no such charge is on record"),
    form("the charge was reversed", "该笔收费已冲正", "the charge had been reversed"),
    form("its day had not come", "尚未到可以计收之日", "the day from which it may run had not come"),
    form("that day was levied before", "同一日已计收过", "the same days had been charged before"),
    form("a dispute hold covered it", "处于争议暂缓期间", "a dispute hold covered it"),
    form("it was paid", "费用已缴清", "the charge was already paid"),
    form("it is more than the rate allows", "超过法定比例", "it is more than the rate allows"),
    form("more than was owed", "超过所欠金额", "it is more than was owed"),
    form(
        "<number> charges for time from then on",
        "此后又收取 <number> 笔费用",
        "<number> charges were posted for later",
    ),
    form("the service ended on <day>", "服务到<day>才终止", "the service ended only on <day>"),
    form("the service did not end", "服务没有终止", "the service did not end"),
    form("it was made only on <day>", "该条目到<day>才列入", "the entry was made only on <day>"),
    form("it had been removed on <day>", "该条目已于<day>移除", "the entry had been removed on <day>"),
    form("it should have gone by <day>", "该条目应在<day>前移除", "the entry should have gone by <day>"),
)
"""Why something was not as it should be: these stand inside other sentences, too."""

ENTRY: tuple[Form, ...] = (
    form("the account <id> is not on record", "没有账户 <id> 的记录", "account <id> is not on record"),
    form(
        "no lawful debt of the party's was overdue (<why>)",
        "客户没有依法应缴的逾期欠费（<why>）",
        "the customer lawfully owed nothing that was overdue (<why>)",
    ),
    form(
        "the number was opened without a verified identity: its debt is void for the person named",
        "号码未经实名核验开通，其欠费对被冒名者无效",
        "the number was opened without a verified identity, so its debt is void for the person named",
    ),
    form(
        "no notice of the arrears had reached the party (delivered elsewhere)",
        "欠费通知送到了别处，没有送达客户",
        "the notice of the arrears had been delivered elsewhere, not to the customer",
    ),
    form(
        "no notice of the arrears had reached the party",
        "此前没有一次欠费通知送达客户",
        "no notice of the arrears had reached the customer",
    ),
    form(
        "the history does not say which contact point the notice of the arrears went to",
        "记录没有说明欠费通知发往哪个联系方式",
        "the records do not say which contact point the notice of the arrears went to",
    ),
    form(
        "<fen> fen were overdue and the party had been told",
        "逾期欠费 <fen>，且已通知客户",
        "<fen> was overdue and the customer had been told",
    ),
)
"""What is said of a blacklist entry's basis."""
