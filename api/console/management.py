"""For management: hot spots, who was held to account, corrective actions, and whom notices reached.

Each as a picture, the table behind it, and the table as a file.
"""
# ruff: noqa: RUF001, E501 - Chinese is written with Chinese punctuation; a sentence stands on one line

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import Query
from markupsafe import Markup
from starlette.responses import Response

from api.console.drawing import ACCENT, ALARM, BARS_MAX, NARROW_IN, QUIET, WIDE_IN, Bars, Series, bars
from api.console.finding import After
from api.console.shell import Asked, Page, pages
from api.console.tables import CASE, Column, Listing, Rows, Shown, exported, shown, today
from api.management.asking import Days
from api.problems import ProblemError
from api.wording import Words
from api.wording.labels import SAID
from domain.ledger.application import Ledger
from projections import accountability, complaints, notices
from projections.engine import NotBuiltError
from projections.paging import Part

router = pages()

REGION = Column("region", Words("地区", "Region"))
GOOD = "#4f8a5b"


@dataclass(frozen=True, slots=True)
class Report:
    """A report: its picture is drawn from the rows of its first list, or from figures of its own."""

    name: str
    title: Words
    about: Words
    lists: Sequence[Listing]
    picture: Callable[[Page, Ledger, Rows], Bars | None]


def _said(text: str, page: Page) -> str:
    return SAID[text].of(page.lang) if text in SAID else text


# -- hot spots


def _spots(page: Page, ledger: Ledger, part: Part) -> Rows:
    asked = complaints.Asked(*page.days, page.city, None, "city")
    found = complaints.hot_spots(ledger, asked, today(page, ledger), part)
    return [{**spot, "next": _next_action(spot)} for spot in found]


def _next_action(spot: dict[str, Any]) -> str:
    return "; ".join(a["title"] for a in spot["corrective_actions"][:2])


def _spots_picture(page: Page, _ledger: Ledger, rows: Rows) -> Bars | None:
    if not rows:
        return None
    names = [f"{_said(r['category'], page)} · {r['region'].rpartition('.')[2]}" for r in rows]
    series = [Series(page.t("投诉", "complaints"), [r["complaints"] for r in rows], ACCENT)]
    return Bars(page.t("各热点的投诉数", "Complaints by hot spot"), names, series)


HOT_SPOTS = Report(
    "hot-spots",
    Words("投诉热点", "Hot spots"),
    Words(
        "投诉最多的问题，按地区与事由归并，附涉及金额、根源与最先到期的整改措施。",
        "What is complained of most, by place and subject, with the sums at stake, the root cause and the corrective actions due first.",
    ),
    (
        Listing(
            "hot-spots", Words("投诉热点", "Hot spots"), Words("", ""), complaints.Complaints.name,
            (
                Column("category", Words("事由", "About"), "said"), REGION,
                Column("complaints", Words("投诉", "Complaints"), "count"),
                Column("accounts", Words("账户", "Accounts"), "count"),
                Column("parties", Words("客户", "Customers"), "count"),
                Column("unanswered", Words("未答复", "Unanswered"), "count", warns=True),
                Column("breaches", Words("违规认定", "Breaches"), "count"),
                Column("at_stake_fen", Words("涉及金额", "At stake"), "fen"),
                Column("root_cause", Words("根源", "Root cause"), group="hot_spot_cause"),
                Column("actions", Words("整改措施", "Actions"), "count"),
                Column("actions_overdue", Words("逾期", "Overdue"), "count", warns=True),
                Column("next_due_on", Words("最先到期", "Next due"), "day"),
            ),
            _spots, "-complaints", complaints.SORTS, complaints.KEY,
        ),
    ),
    _spots_picture,
)  # fmt: skip


# -- accountability


def _scope(page: Page) -> accountability.Scope:
    return accountability.Scope(page.city, *page.days)


def _penalties(page: Page, ledger: Ledger, part: Part) -> Rows:
    found = accountability.penalties(ledger, _scope(page), part)
    return [{**p, "findings": [f["finding_id"] for f in p["findings"]]} for p in found]


def _pairs(page: Page, ledger: Ledger, part: Part) -> Rows:
    return accountability.pairing(ledger, _scope(page), part)


def _penalties_picture(page: Page, ledger: Ledger, _rows: Rows) -> Bars | None:
    months, _ = accountability.summary(ledger, _scope(page))
    if not months:
        return None
    kinds: dict[str, dict[str, int]] = {}
    for row in months:
        kinds.setdefault(row["subject_kind"], {}).setdefault(row["kind"], 0)
        kinds[row["subject_kind"]][row["kind"]] += row["penalties"]
    bars_of = [(s, k, n) for s, some in kinds.items() for k, n in some.items()]
    names = [f"{page.label('penalty_subject', s)} · {page.label('penalty_kind', k)}" for s, k, _ in bars_of]
    series = [Series(page.t("处理", "penalties"), [n for *_, n in bars_of], ACCENT)]
    return Bars(page.t("按对象和种类的处理数", "Penalties by subject and kind"), names, series)


ACCOUNTABILITY = Report(
    "accountability",
    Words("责任处理", "Accountability"),
    Words(
        "受到处理的人员、部门和代理商；代理商与其内部责任人是否双方受罚。",
        "Who was penalised, and whether a dealer and the manager inside were both.",
    ),
    (
        Listing(
            "penalties", Words("处理记录", "Penalties"), Words("", ""), accountability.Accountability.name,
            (
                Column("imposed_on", Words("日期", "Day"), "day"),
                Column("subject_kind", Words("对象", "On"), group="penalty_subject"),
                Column("subject_id", Words("编号", "Who")),
                Column("kind", Words("种类", "Kind"), group="penalty_kind"),
                Column("amount_fen", Words("金额", "Amount"), "fen"), CASE,
                Column("findings", Words("所据认定", "Findings"), "labels", group="flag"),
            ),
            _penalties, "-imposed_at", accountability.PENALTY_SORTS, accountability.PENALTY_KEY,
        ),
        Listing(
            "pairs", Words("双重处罚", "Double penalty"), Words("", ""), accountability.Accountability.name,
            (
                Column("on_day", Words("日期", "Day"), "day"),
                Column("dealer_id", Words("代理商", "Dealer"), "dealer"),
                Column("manager_id", Words("内部责任人", "Manager")),
                Column("outcome", Words("结果", "Outcome"), group="pair_outcome"),
                Column("blocked", Words("已封停", "Blocked"), "flag"), CASE,
            ),
            _pairs, "-on_day", accountability.PAIR_SORTS, accountability.PAIR_KEY,
        ),
    ),
    _penalties_picture,
)  # fmt: skip


# -- corrective actions


def _actions(page: Page, ledger: Ledger, part: Part) -> Rows:
    found = accountability.corrective_actions(ledger, part, today=today(page, ledger), region=page.city)
    return [
        {
            **a,
            "done": [s["kind"] for s in a["steps"]],
            "done_count": f"{len({s['kind'] for s in a['steps']})} / {len(accountability.STEPS)}",
        }
        for a in found
    ]


def _actions_picture(page: Page, ledger: Ledger, _rows: Rows) -> Bars | None:
    groups = accountability.readiness(ledger, today=today(page, ledger), region=page.city)
    if not groups:
        return None
    names = [
        f"{page.label('action_scope', g['scope'])} · {page.label('root_cause', g['root_cause'])}"
        for g in groups
    ]
    series = [
        Series(page.t("已完成", "closed"), [g["closed"] for g in groups], GOOD),
        Series(page.t("进行中", "open"), [g["actions"] - g["closed"] - g["overdue"] for g in groups], ACCENT),
        Series(page.t("已逾期", "overdue"), [g["overdue"] for g in groups], ALARM),
    ]
    return Bars(page.t("整改措施的进度", "Corrective actions"), names, series)


ACTIONS = Report(
    "actions",
    Words("整改措施", "Corrective actions"),
    Words(
        "每项措施的范围、根源、期限和已完成的步骤，最先到期的在前。",
        "Of each its scope, root cause, deadline and the steps done, the first due first.",
    ),
    (
        Listing(
            "actions", Words("整改措施", "Corrective actions"), Words("", ""), accountability.Accountability.name,
            (
                Column("title", Words("措施", "Action")),
                Column("scope", Words("范围", "Scope"), group="action_scope"),
                Column("root_cause", Words("根源", "Root cause"), group="root_cause"),
                Column("due_on", Words("期限", "Due"), "day"),
                Column("status", Words("进度", "State"), group="action_status"),
                Column("done_count", Words("步骤", "Steps")),
                Column("steps_missing", Words("尚缺的步骤", "Steps missing"), "labels", group="step_kind"), CASE,
            ),
            _actions, "due_on", accountability.ACTION_SORTS, accountability.ACTION_KEY,
        ),
    ),
    _actions_picture,
)  # fmt: skip


# -- notice coverage


def _ended(page: Page) -> dict[str, Any]:
    since, until = page.days
    return {"city": page.city, "account_id": None, "ended_since": since, "ended_before": until}


def _terms(page: Page, ledger: Ledger, part: Part) -> Rows:
    return notices.terms(ledger, today(page, ledger), {**_ended(page), "verdict": None}, part)


def _coverage_picture(page: Page, ledger: Ledger, _rows: Rows) -> Bars | None:
    cells, _ = notices.coverage(ledger, today(page, ledger), _ended(page))
    if not cells:
        return None
    sums: dict[tuple[str, str], dict[str, int]] = {}
    for cell in cells:
        sums.setdefault((cell["side"], cell["channel"]), {})[cell["outcome"]] = cell["notices"]
    sides = {"before": page.t("到期前", "before"), "after": page.t("到期后", "after")}
    names = [f"{sides.get(s, s)} · {page.label('notice_channel', c)}" for s, c in sums]
    series = list(_outcomes(page, list(sums.values())))
    return Bars(page.t("到期前后的通知", "Notices around the term's end"), names, series)


def _outcomes(page: Page, sums: Sequence[dict[str, int]]) -> Iterator[Series]:
    """Yield what became of notices: those that reached the customer first."""
    others = sorted({name for some in sums for name in some} - {"reached", "delivered", "failed"})
    reached = [some.get("reached", 0) + some.get("delivered", 0) for some in sums]
    yield Series(page.t("送达", "delivered"), reached, GOOD)
    yield Series(page.t("未送达", "failed"), [some.get("failed", 0) for some in sums], ALARM)
    if others:
        rest = [sum(some.get(name, 0) for name in others) for some in sums]
        yield Series(page.t("结果不明", "unknown"), rest, QUIET)


COVERAGE = Report(
    "notices",
    Words("通知覆盖", "Notice coverage"),
    Words(
        "包年到期前后，通知是否送达客户：按渠道与结果，以及每个到期套餐的判定。",
        "Whether customers were reached before and after annual terms' ends: by channel and outcome, and each term's verdict.",
    ),
    (
        Listing(
            "terms", Words("到期的包年套餐", "Annual terms that ended"), Words("", ""), notices.Notices.name,
            (
                Column("account_id", Words("账户", "Account"), "account"),
                Column("package_id", Words("套餐", "Package")),
                Column("end_on", Words("到期", "Ended"), "day"),
                Column("attempts_before", Words("到期前发出", "Sent before"), "count"),
                Column("reached_before", Words("到期前送达", "Reached before"), "count"),
                Column("attempts_after", Words("到期后发出", "Sent after"), "count"),
                Column("reached_after", Words("到期后送达", "Reached after"), "count"),
                Column("verdict", Words("判定", "Verdict"), group="verdict"),
            ),
            _terms, "-end_on", notices.TERM_SORTS, notices.TERM_KEY,
        ),
    ),
    _coverage_picture,
)  # fmt: skip

REPORTS = {one.name: one for one in (HOT_SPOTS, ACCOUNTABILITY, ACTIONS, COVERAGE)}


@router.get("/management")
def overview(page: Asked) -> Response:
    """Lead to the first report."""
    return page.redirect(page.link(f"/management/{HOT_SPOTS.name}"))


@router.get("/management/{name}")
def report(
    *,
    page: Asked,
    name: str,
    days: Days,
    after: After = None,
    form: Annotated[Literal["html", "csv"], Query(alias="format")] = "html",
    table: Annotated[str, Query(max_length=40)] = "",
) -> Response:
    """Return a report, or one of its tables as a file."""
    found = REPORTS.get(name)
    if found is None:
        raise ProblemError("route.unknown", "the reports stand at /console/management")
    page.days = days
    listing = next((one for one in found.lists if one.name == table), found.lists[0])
    try:
        if form == "csv":
            return exported(page, listing)
        return _shown(page, found, after)
    except NotBuiltError as error:
        raise ProblemError("storage.not_ready", f"{error}: come back") from error


def _shown(page: Page, found: Report, after: str | None) -> Response:
    first, *others = found.lists
    lists: list[Shown] = [shown(page, first, after), *(shown(page, one) for one in others)]
    rows = lists[0].rows if after is None else shown(page, first, limit=BARS_MAX).rows
    what = found.picture(page, page.ledger(), rows[:BARS_MAX])
    return page.render(
        "report.html",
        section="management",
        report=found,
        reports=REPORTS.values(),
        lists=lists,
        # every word in them was escaped
        pictures=[Markup(bars(what, width)) for width in (WIDE_IN, NARROW_IN)] if what else [],  # noqa: S704
    )
