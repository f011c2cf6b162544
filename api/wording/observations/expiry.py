"""What is observed at the end of an annual term: choice, reminders, what it carries on to."""
# ruff: noqa: RUF001, E501 - Chinese is written with Chinese punctuation; a sentence stands on one line

from collections.abc import Mapping

from api.wording.observations.forms import Form, form
from api.wording.observations.reasons import LINE_UNKNOWN

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
        form(
            "<id>: the customer chose <option> among the three options",
            "套餐 <id>：客户在三种方式中选择了“<option>”",
            "package <id>: the customer chose “<option>” among the three options",
        ),
        form(
            "<id>: sold on <day> with the options shown, and no choice was recorded",
            "套餐 <id> 于<day>办理，虽说明了到期处理方式，但没有记录选择",
            "package <id> was sold on <day> with the options shown, and no choice was recorded",
        ),
        form(
            "<id>: sold on <day> without the three options on record before, and no choice was recorded",
            "套餐 <id> 于<day>办理，事先没有三种到期处理方式的说明记录，也没有任何选择",
            "package <id> was sold on <day>; no record shows that the three options were explained, and no choice was "
            "recorded",
        ),
        form(
            "<id>: sold on <day> with the options shown; <option> was set by <by>",
            "套餐 <id> 于<day>办理，说明了到期处理方式，但“<option>”的设定方式：<by>",
            "package <id> was sold on <day> with the options shown, but “<option>” was set by <by>",
        ),
        form(
            "<id>: sold on <day> without the three options on record before; <option> was set by <by>",
            "套餐 <id> 于<day>办理，事先没有三种到期处理方式的说明记录；“<option>”的设定方式：<by>",
            "package <id> was sold on <day>; no record shows that the three options were explained before, and “<option>” "
            "was set by <by>",
        ),
        LINE_UNKNOWN,
    ),
    "expiry-notice": (
        *(
            form(
                "<id>, ended <day>: before it <number:a> attempts, <number:b> delivered; after it <number:c> attempts, "
                f"<number:d> delivered{tail}",
                f"套餐 <id> 于<day>到期：到期前尝试 <a> 次、送达 <b> 次；到期后尝试 <c> 次、送达 <d> 次{zh}",
                "package <id> ended on <day>: <a> reminders attempted before it, <b> delivered; <c> attempted after it, "
                f"<d> delivered{en}",
            )
            for tail, zh, en in REMINDERS_OPEN
        ),
        form("<id>: no end is on record", "套餐 <id> 没有到期日的记录", "package <id>: no end is on record"),
        LINE_UNKNOWN,
    ),
    "charge-basis": (
        form(
            "<id>: until when the year ran that it carries on is not on record",
            "收费 <id> 所延续的包年期限到何时为止没有记录",
            "charge <id>: until when the year ran that it carries on is not on record",
        ),
        form(
            "the customer's own choice carries it",
            "以客户本人的选择为依据",
            "the customer's own choice carries it",
        ),
        form("<id> was taken back in full", "收费 <id> 已全额冲正", "charge <id> was taken back in full"),
        form(
            "charges for time after <day>, the end of <id>: no choice of the customer's own was on record",
            "套餐 <id> 于<day>期满，此后仍在收费，而没有客户本人的选择记录",
            "charges for time after <day>, when package <id> ended, though no choice of the customer's own was on record",
        ),
        form(
            "charges for time after <day>, the end of <id>: the customer had chosen <option>",
            "套餐 <id> 于<day>期满，此后仍在收费，而客户选择的是“<option>”",
            "charges for time after <day>, when package <id> ended, though the customer had chosen “<option>”",
        ),
    ),
    "renewal-notice": (
        form(
            "renewed from <day>, told by <day:by_day>",
            "自<day>起续约，已在<by_day>前提醒",
            "renewed from <day>, and the customer was told by <by_day>",
        ),
        form(
            "to be renewed from <day>: the notice may go out by <day:by_day>",
            "将自<day>起续约，提醒应在<by_day>前送达",
            "to be renewed from <day>: the notice may go out by <by_day>",
        ),
        form(
            "renewed from <day> without a renewal notice delivered by <day:by_day>",
            "自<day>起续约，而<by_day>前没有送达提醒",
            "renewed from <day> without a notice delivered by <by_day>",
        ),
    ),
}
