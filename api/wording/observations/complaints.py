"""What is observed of the handling of a complaint: answer, promises, explanations."""
# ruff: noqa: RUF001, E501 - Chinese is written with Chinese punctuation; a sentence stands on one line

from collections.abc import Mapping

from api.wording.observations.forms import Form, form

FORMS: Mapping[str, tuple[Form, ...]] = {
    "complaint-answer": (
        form(
            "received on <day>, to be answered by <day:due>, answered on <day:done>",
            "<day>受理，应在<due>前答复，已于<done>答复",
            "received on <day>, to be answered by <due>, answered on <done>",
        ),
        form(
            "received on <day>, to be answered by <day:due>; that day has not passed",
            "<day>受理，应在<due>前答复，期限未到",
            "received on <day>, to be answered by <due>, which has not passed",
        ),
        form(
            "received on <day>, to be answered by <day:due>, answered only on <day:done>",
            "<day>受理，应在<due>前答复，到<done>才答复",
            "received on <day>, to be answered by <due>, answered only on <done>",
        ),
        form(
            "received on <day>, to be answered by <day:due>, not answered",
            "<day>受理，应在<due>前答复，没有答复",
            "received on <day>, to be answered by <due>, not answered",
        ),
    ),
    "commitment-first": (
        form(
            "a commitment was made before handling started",
            "处理开始前已作出承诺",
            "a promise was made before handling started",
        ),
        form(
            "handling started on <day> without a commitment",
            "<day>开始处理，事先没有承诺",
            "handling started on <day> without a promise",
        ),
        form(
            "<id>, due <moment>, was met",
            "承诺 <id>（期限<moment>）已兑现",
            "promise <id>, due <moment>, was kept",
        ),
        form(
            "<id>, due <moment>, has time left",
            "承诺 <id>（期限<moment>）期限未到",
            "promise <id>, due <moment>, has time left",
        ),
        form(
            "<id>, due <moment>, was missed, and its remedy was granted",
            "承诺 <id>（期限<moment>）逾期，已给予补救",
            "promise <id>, due <moment>, was missed, and its remedy was granted",
        ),
        form(
            "<id>, due <moment>, was missed; its remedy (<text>) was not granted",
            "承诺 <id>（期限<moment>）逾期，约定的补救（<text>）没有给予",
            "promise <id>, due <moment>, was missed; its remedy (<text>) was not granted",
        ),
    ),
    "clear-explanation": (
        form(
            "<number> different staff spoke to the customer without a resolution",
            "先后有 <number> 名工作人员联系客户而未解决",
            "<number> different staff spoke to the customer without a resolution",
        ),
        form(
            "<number> contacts were marked as not clearly explained",
            "<number> 次沟通记载为解释不清",
            "<number> contacts were marked as not clearly explained",
        ),
        form(
            "<number> contacts by <number:staff> staff, unresolved; neither who owns it nor whether anything was explained "
            "is on record",
            "共 <number> 次沟通，工作人员 <staff> 名，尚未解决；由谁负责、是否解释清楚都没有记录",
            "<number> contacts by <staff> staff, unresolved; neither who owns it nor whether anything was explained is on "
            "record",
        ),
        form(
            "<number> contacts by <number:staff> staff",
            "共 <number> 次沟通，工作人员 <staff> 名",
            "<number> contacts by <staff> staff",
        ),
    ),
}
