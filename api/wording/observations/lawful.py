"""What a counterfactual says: what would have been otherwise, and what it lacks."""
# ruff: noqa: RUF001 - Chinese is written with Chinese punctuation; a sentence stands on one line

from api.wording.observations.forms import Form, form
from api.wording.observations.reasons import ENTRY

DIFFERENCES: tuple[Form, ...] = (
    form("charge <id> does not stand", "收费 <id> 不成立", "charge <id> does not stand"),
    form(
        "late fee <id>: <fen> fen instead of <fen:was> fen",
        "滞纳金 <id> 应为 <fen>，而不是 <was>",
        "late fee <id> should be <fen>, not <was>",
    ),
    form(
        "late fee <id>: <fen> fen instead of <fen:was>",
        "滞纳金 <id> 应为 <fen>，而不是 <was>",
        "late fee <id> should be <fen>, not <was>",
    ),
    form(
        "<types> would not have happened on <day>",
        "<day>不应发生：<types>",
        "this would not have happened on <day>: <types>",
    ),
    form(
        "entry <id>: the debt was cleared",
        "黑名单条目 <id>：欠费已结清，应已移除",
        "blacklist entry <id> should have gone: its debt was cleared",
    ),
    form(
        "entry <id>: <why>",
        "黑名单条目 <id> 不应列入：<why>",
        "blacklist entry <id> should not have been made: <why>",
    ),
    *ENTRY,
)

UNDETERMINED: tuple[Form, ...] = (
    form(
        "<day>: the monthly price after <id> is not on record",
        "套餐 <id> 于<day>之后的月费没有记录，因此未计",
        "what package <id> costs by the month after <day> is not on record, so it was not counted",
    ),
    form(
        "<day>: the price of another year of <id> is not on record",
        "套餐 <id> 于<day>续约一年的价格没有记录，因此未计",
        "what another year of package <id> costs from <day> is not on record, so it was not counted",
    ),
)
