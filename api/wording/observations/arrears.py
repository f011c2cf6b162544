"""What is observed when money is owed: late fees, suspension, termination, restoring."""
# ruff: noqa: RUF001, E501 - Chinese is written with Chinese punctuation; a sentence stands on one line

from collections.abc import Mapping

from api.wording.observations.forms import Form, form
from api.wording.observations.reasons import REASONS

FORMS: Mapping[str, tuple[Form, ...]] = {
    "late-fee": (
        form(
            "late fee on <id>: from when the contract lets it run is not on record",
            "收费 <id> 的滞纳金：合同约定自何时起算没有记录",
            "late fee on charge <id>: from when the contract lets it run is not on record",
        ),
        form("late fee on <id> stands", "收费 <id> 的滞纳金成立", "the late fee on charge <id> stands"),
        form(
            "late fee on <id> was taken back",
            "收费 <id> 的滞纳金已冲回",
            "the late fee on charge <id> was taken back",
        ),
        form("late fee on <id>: <why>", "收费 <id> 的滞纳金：<why>", "late fee on charge <id>: <why>"),
        *REASONS,
    ),
    "suspension-window": (
        form(
            "suspended on <day>; what the contract says is not on record",
            "<day>停机；合同的约定没有记录",
            "suspended on <day>; what the contract says is not on record",
        ),
        form(
            "suspended on <day> with nothing unpaid past its deadline",
            "<day>停机时没有逾期未缴的费用",
            "suspended on <day> with nothing overdue",
        ),
        form(
            "suspended on <day>, <number> days past the deadline <day:due> of <id>; the first lawful day was <day:first>",
            "<day>停机，距收费 <id> 的缴费期限（<due>）<number> 日；依规最早可在<first>停机",
            "suspended on <day>, <number> days past the deadline (<due>) of charge <id>; the first lawful day was <first>",
        ),
    ),
    "termination-window": (
        form(
            "ended on <day>; what was before the account's first event is not on record",
            "<day>销户；账户首条记录之前的情况没有记录",
            "ended on <day>; what was before the account's first event is not on record",
        ),
        form(
            "ended on <day>; whether the system it came from had suspended it is not on record",
            "<day>销户；在迁入前的旧系统中是否已停机没有记录",
            "ended on <day>; whether the system it came from had suspended it is not on record",
        ),
        form(
            "ended on <day> without having been suspended for arrears",
            "<day>销户，此前没有因欠费停机",
            "ended on <day> without having been suspended for arrears",
        ),
        form(
            "ended on <day>, <number> days after the suspension of <day:since>, with nothing unpaid past its deadline",
            "<day>销户，距<since>停机 <number> 日，当时没有逾期未缴的费用",
            "ended on <day>, <number> days after the suspension of <since>, with nothing overdue",
        ),
        form(
            "ended on <day>, <number> days after the suspension of <day:since>",
            "<day>销户，距<since>停机 <number> 日",
            "ended on <day>, <number> days after the suspension of <since>",
        ),
    ),
    "restore-within": (
        form(
            "paid in full on <moment>, <number> hours to restore, back on <moment:back>",
            "<moment>缴清，应在 <number> 小时内复机，于<back>复机",
            "paid in full on <moment>, to be restored within <number> hours, back on <back>",
        ),
        form(
            "paid in full on <moment>, <number> hours to restore; they have not passed",
            "<moment>缴清，应在 <number> 小时内复机，时限未到",
            "paid in full on <moment>, to be restored within <number> hours, which have not passed",
        ),
        form(
            "paid in full on <moment>, <number> hours to restore, back only on <moment:back>",
            "<moment>缴清，应在 <number> 小时内复机，到<back>才复机",
            "paid in full on <moment>, to be restored within <number> hours, back only on <back>",
        ),
        form(
            "paid in full on <moment>, <number> hours to restore, not back",
            "<moment>缴清，应在 <number> 小时内复机，至今没有复机",
            "paid in full on <moment>, to be restored within <number> hours, not restored",
        ),
    ),
}
