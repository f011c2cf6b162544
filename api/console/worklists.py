"""The worklists: what is to be done next, read from the registers, what presses most first."""
# ruff: noqa: RUF001, E501 - Chinese is written with Chinese punctuation; a sentence stands on one line

from typing import Any

from api.access.principal import BILLING_READ, INVESTIGATE_READ
from api.console.shell import Page
from api.console.tables import CASE, Column, Listing, Rows, today
from api.wording import Words
from domain.ledger.application import Ledger
from projections import blacklist, cases, dunning, notices, registrations, statement
from projections.paging import Column as Sorted
from projections.paging import Part

MONEY = (INVESTIGATE_READ, BILLING_READ)
"""Who may see lists of what is owed."""

PARTY = Column("party_id", Words("客户", "Customer"), "party")
UNIT = Column("unit", Words("部门", "Unit"))


def _wanted(page: Page, *unbounded: str, **bounds: Any) -> dict[str, Any]:
    """Return what rows are wanted, as a register is asked: of the page's city, with some bounds and without others."""
    return {"city": page.city, **dict.fromkeys(unbounded), **bounds}


def _commitments(status: str) -> Any:
    def read(page: Page, ledger: Ledger, part: Part) -> Rows:
        wanted = _wanted(page, "unit", "channel", "case_id", status=status)
        return cases.commitments(ledger, page.now, wanted, part)

    return read


def _cases(status: str | None = None) -> Any:
    names = ("answer", "unit", "channel", "category", "party_id", "received_since", "received_before")

    def read(page: Page, ledger: Ledger, part: Part) -> Rows:
        return cases.cases(ledger, today(page, ledger), _wanted(page, *names, status=status), part)

    return read


def _entries(page: Page, ledger: Ledger, part: Part) -> Rows:
    wanted = _wanted(page, "overdue", "cleared", "party_id", "account_id", standing=True)
    return blacklist.entries(ledger, today(page, ledger), wanted, part)


def _aging(page: Page, ledger: Ledger, part: Part) -> Rows:
    wanted = _wanted(page, past_due_days=1, principal_fen=1)
    return statement.aging(ledger, today(page, ledger), wanted, part).accounts


def _dunning(page: Page, ledger: Ledger, part: Part) -> Rows:
    wanted = _wanted(page, "due_by", "action", "blocked", "account_id", "party_id", "amount_fen")
    return dunning.steps_of(ledger, today(page, ledger), wanted, part)


def _audits(page: Page, ledger: Ledger, part: Part) -> Rows:
    wanted = _wanted(page, "party_id", "dealer_id", "misused", audit="missed")
    return registrations.registrations(ledger, today(page, ledger), wanted, part)


def _contacts(page: Page, ledger: Ledger, part: Part) -> Rows:
    wanted = _wanted(page, "still_used", "party_id", "kind", "reason", reaches_nobody=True)
    return notices.contact_points(ledger, wanted, part)


_PROMISE = (
    CASE,
    PARTY,
    Column("solution", Words("承诺的处理", "What was promised"), "said"),
    Column("due_at", Words("期限", "Due"), "day"),
    Column("remedy_if_missed", Words("逾期补偿", "If missed"), "said"),
    UNIT,
)

RECENT = Listing(
    "cases",
    Words("最近的案件", "Recent cases"),
    Words("所有投诉与调查，最近受理的在前。", "All complaints and investigations, the latest first."),
    cases.Cases.name,
    (
        CASE,
        Column("category", Words("事由", "About"), "said"),
        PARTY,
        Column("received_on", Words("受理", "Received"), "day"),
        Column("status", Words("进度", "State"), group="case_status"),
        Column("must_answer_by", Words("应答复", "Answer by"), "day"),
        Column("answer_timing", Words("答复时限", "Answer"), group="answer_timing"),
    ),
    _cases(),
    "-received_on",
    cases.SORTS,
    cases.KEY,
    empty=Words("还没有案件。", "There are no cases yet."),
)

WORKLISTS: tuple[Listing, ...] = (
    Listing(
        "answers",
        Words("待答复的投诉", "Complaints to answer"),
        Words("还没有答复的投诉，期限最近的在前。", "Complaints without an answer, the nearest deadline first."),
        cases.Cases.name,
        (
            CASE,
            Column("category", Words("事由", "About"), "said"),
            PARTY,
            Column("received_on", Words("受理", "Received"), "day"),
            Column("must_answer_by", Words("应答复", "Answer by"), "day"),
            Column("answer_timing", Words("时限", "Deadline"), group="answer_timing"),
            Column("days_open", Words("已历天数", "Days open"), "count"),
            Column("owner_id", Words("负责人", "Owner")),
        ),
        _cases("open"),
        "must_answer_by",
        cases.SORTS,
        cases.KEY,
    ),
    Listing(
        "commitments",
        Words("到期的承诺", "Commitments due"),
        Words("向客户作出、尚未兑现的承诺，最先到期的在前。", "Promises to customers still to keep, the first due first."),
        cases.Cases.name,
        _PROMISE,
        _commitments("open"),
        "due_at",
        cases.PROMISE_SORTS,
        cases.PROMISE_KEY,
    ),
    Listing(
        "missed",
        Words("逾期未兑现的承诺", "Commitments missed"),
        Words("逾期且补偿尚未给付的承诺。", "Promises that were missed and whose remedy was not granted."),
        cases.Cases.name,
        _PROMISE,
        _commitments("missed"),
        "due_at",
        cases.PROMISE_SORTS,
        cases.PROMISE_KEY,
    ),
    Listing(
        "blacklist",
        Words("应移出的黑名单条目", "Blacklist entries that must go"),
        Words("仍在名单上的条目，最先应移出的在前。", "Entries that stand, the first that has to go first."),
        blacklist.Blacklist.name,
        (
            PARTY,
            Column("entry_id", Words("条目", "Entry")),
            Column("basis_account_id", Words("依据账户", "For a debt on"), "account"),
            Column("amount_fen", Words("所列欠费", "Amount"), "fen"),
            Column("added_on", Words("列入", "Since"), "day"),
            Column("must_leave_by", Words("最迟移出", "Must go by"), "day"),
            Column("overdue", Words("已逾期", "Overdue"), "flag", warns=True),
            Column("notices_reached", Words("事前送达通知", "Notices that reached them"), "count"),
        ),
        _entries,
        "must_leave_by",
        blacklist.SORTS,
        blacklist.KEY,
    ),
    Listing(
        "aging",
        Words("欠费账龄", "Arrears by age"),
        Words("逾期未缴的账户，欠得最久的在前。", "Accounts past due, the longest first."),
        statement.Statement.name,
        (
            Column("account_id", Words("账户", "Account"), "account"),
            Column("days_past_due", Words("逾期天数", "Days past due"), "count"),
            Column("balance_fen", Words("余额", "Balance"), "fen"),
            Column("d1_30", Words("1–30 天", "1–30 days"), "fen"),
            Column("d31_60", Words("31–60 天", "31–60"), "fen"),
            Column("d61_90", Words("61–90 天", "61–90"), "fen"),
            Column("d90_plus", Words("90 天以上", "over 90"), "fen"),
            Column("late_fee_fen", Words("滞纳金", "Late fees"), "fen"),
        ),
        _aging,
        "-days_past_due",
        (
            Sorted("account_id"),
            Sorted("balance_fen", "bigint"),
            Sorted("principal_fen", "bigint"),
            Sorted("days_past_due", "bigint"),
        ),
        statement.ACCOUNT_KEY,
        MONEY,
    ),
    Listing(
        "dunning",
        Words("催缴下一步", "Next steps of dunning"),
        Words("对欠费账户接下来可以做什么、从哪天起、被什么挡住。", "What comes next for accounts in arrears, from when, and what blocks it."),
        dunning.Dunning.name,
        (
            Column("account_id", Words("账户", "Account"), "account"),
            PARTY,
            Column("action", Words("下一步", "Next"), group="dunning_action"),
            Column("from_on", Words("自", "From"), "day"),
            Column("amount_fen", Words("逾期金额", "Overdue"), "fen"),
            Column("blocked", Words("被挡住", "Blocked"), "flag"),
        ),
        _dunning,
        "from_on",
        (Sorted("from_on", "date"), Sorted("account_id")),
        dunning.STEP_KEY,
        MONEY,
    ),
    Listing(
        "audits",
        Words("待稽核的登记", "Registrations to audit"),
        Words("代理商办理、应稽核而逾期未稽核的登记。", "Registrations by dealers whose audit is overdue."),
        registrations.Registrations.name,
        (
            PARTY,
            Column("registration_id", Words("登记", "Registration")),
            Column("dealer_id", Words("代理商", "Dealer"), "dealer"),
            Column("registered_on", Words("登记日", "Registered"), "day"),
            Column("audit_due_on", Words("应稽核", "Audit due"), "day"),
            Column("numbers_held", Words("在用号码", "Numbers held"), "count"),
        ),
        _audits,
        "audit_due_on",
        registrations.SORTS,
        registrations.KEY,
    ),
    Listing(
        "contacts",
        Words("联系不到人的联系方式", "Contact points that reach nobody"),
        Words("已失效，或发去的通知全部失败；仍在向它发送的在前。", "No longer valid, or everything sent there failed; those still used first."),
        notices.Notices.name,
        (
            PARTY,
            Column("contact_point_id", Words("联系方式", "Contact point")),
            Column("kind", Words("种类", "Kind"), group="contact_kind"),
            Column("invalid_since", Words("失效自", "Invalid since"), "day"),
            Column("reason", Words("原因", "Reason"), group="invalidation_reason"),
            Column("attempts_since", Words("失效后仍发送", "Sent since"), "count", warns=True),
            Column("party_reachable", Words("客户另可联系", "Reachable otherwise"), "flag"),
        ),
        _contacts,
        "-attempts_since",
        notices.CONTACT_SORTS,
        notices.CONTACT_KEY,
    ),
)  # fmt: skip
BY_NAME = {one.name: one for one in (RECENT, *WORKLISTS)}
