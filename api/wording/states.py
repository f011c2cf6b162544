"""What a replay's state is made of, in words: what each part of it is called, and what a step changed in it."""
# ruff: noqa: RUF001 - Chinese is written with Chinese punctuation

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from api.wording.labels import LABELS, SAID
from api.wording.language import Lang, Words, instant_text, yuan
from domain.calendar import zone_of
from domain.events.fields import parse_instant

FIELDS: Mapping[str, Words] = {
    # -- an account
    "status": Words("状态", "status"),
    "suspension_reason": Words("停机原因", "suspended for"),
    "line_of_business": Words("业务", "service"),
    "party_id": Words("持有人", "holder"),
    "legacy": Words("旧系统", "system before"),
    "package": Words("套餐", "package"),
    "packages": Words("套餐", "packages"),
    "expiry_choices": Words("到期处理", "choice for the term's end"),
    "numbers": Words("号码", "numbers"),
    "balance_fen": Words("余额", "balance"),
    "principal_fen": Words("未缴费用", "unpaid charges"),
    "late_fee_fen": Words("滞纳金", "late fees"),
    "credit_fen": Words("预存余款", "credit"),
    "arrears_since": Words("欠费自", "in arrears since"),
    "days_past_due": Words("逾期天数", "days past due"),
    "reported_arrears_since": Words("系统记载的欠费起日", "arrears as the system said"),
    "charges": Words("收费", "charges"),
    "late_fees": Words("滞纳金明细", "late fees"),
    "payments": Words("缴费", "payments"),
    "deposits_fen": Words("押金", "deposits"),
    "instalment_plans": Words("分期", "instalment plans"),
    "dispute_holds": Words("争议暂缓", "dispute holds"),
    "notices": Words("通知", "notices"),
    "cancellation_from": Words("申请销户自", "cancellation from"),
    "unmatched_event_ids": Words("无法对应的记录", "events that match nothing"),
    # -- a customer
    "kind": Words("种类", "kind"),
    "merged_into": Words("并入", "merged into"),
    "blacklisted": Words("在黑名单上", "blacklisted"),
    "blacklist_entries": Words("黑名单条目", "blacklist entries"),
    "contact_points": Words("联系方式", "contact points"),
    "accounts": Words("账户", "accounts"),
    "registrations": Words("实名登记", "registrations"),
    "sign_ups_refused": Words("被拒绝的办理", "services refused"),
    "erased_at": Words("个人信息删除于", "personal data erased"),
    # -- a case or a dealer
    "account_ids": Words("涉及账户", "accounts"),
    "category": Words("事由", "about"),
    "answer_due_on": Words("应答复", "answer due"),
    "owner_id": Words("负责人", "owner"),
    "unit": Words("部门", "unit"),
    "handling_since": Words("开始处理", "handled since"),
    "answered": Words("答复", "answer"),
    "answered_at": Words("答复于", "answered"),
    "outcome": Words("结果", "outcome"),
    "closed_at": Words("办结于", "closed"),
    "interactions": Words("联系记录", "contacts"),
    "commitments": Words("承诺", "commitments"),
    "findings": Words("认定", "findings"),
    "penalties": Words("处理", "penalties"),
    "remedies": Words("补救", "remedies"),
    "corrective_actions": Words("整改措施", "corrective actions"),
    "evidence": Words("证据", "evidence"),
    "apologies": Words("致歉", "apologies"),
    "appeals": Words("申诉", "appeals"),
    "appeal_decisions": Words("申诉决定", "appeals decided"),
    "name": Words("名称", "name"),
    "manager_id": Words("内部责任人", "manager"),
    "blocked_since": Words("封停自", "blocked since"),
    "block_reason": Words("封停原因", "blocked for"),
    # -- parts of an entry
    "option": Words("处理方式", "option"),
    "selected_by": Words("由谁选择", "chosen by"),
    "presented": Words("已说明的选项", "options shown"),
    "valid": Words("有效", "valid"),
    "invalid_since": Words("失效自", "invalid since"),
    "added_at": Words("登记于", "added"),
    "removed_at": Words("移除于", "removed"),
    "removal_reason": Words("移除原因", "removed for"),
    "reason": Words("原因", "reason"),
    "purpose": Words("目的", "purpose"),
    "channel": Words("渠道", "channel"),
    "attempted_at": Words("尝试于", "attempted"),
    "amount_fen": Words("金额", "amount"),
    "reversed_fen": Words("已冲正", "taken back"),
    "unpaid_fen": Words("未缴", "unpaid"),
    "due_on": Words("缴费期限", "due"),
    "value_date": Words("入账日", "value date"),
    "stands": Words("有效", "stands"),
    "cycle": Words("周期", "cycle"),
    "price_fen": Words("价格", "price"),
    "start": Words("自", "from"),
    "end": Words("至", "to"),
    "period_start": Words("期间自", "period from"),
    "period_end": Words("期间至", "period to"),
    "expired_on": Words("到期于", "expired"),
    "expiry_option": Words("到期处理", "at the term's end"),
    "expiry_option_selected_by": Words("由谁选择", "chosen by"),
    "offer_id": Words("资费", "offer"),
    "basis_account_id": Words("依据账户", "for a debt on"),
    "dealer_id": Words("代理商", "dealer"),
    "method": Words("核验方式", "method"),
    "result": Words("核验结果", "result"),
    "audit": Words("稽核", "audit"),
    "misuse_confirmed": Words("确认冒用", "misuse confirmed"),
    "scope": Words("范围", "scope"),
    "case_id": Words("案件", "case"),
    "contact_point_id": Words("联系方式", "contact point"),
    "solution": Words("承诺的处理", "promise"),
    "due_at": Words("期限", "due"),
    "title": Words("标题", "title"),
    "root_cause": Words("根源", "root cause"),
    "steps": Words("步骤", "steps"),
    "closed": Words("完成", "closed"),
}
"""What parts of a state are called; what has no name here is told by another part, or says nothing to a reader."""
_GROUPS: Mapping[str, tuple[str, ...]] = {
    "status": ("status", "case_status"),
    "suspension_reason": ("suspension_reason",),
    "line_of_business": ("line_of_business",),
    "option": ("expiry_option",),
    "expiry_option": ("expiry_option",),
    "presented": ("expiry_option",),
    "selected_by": ("selected_by",),
    "expiry_option_selected_by": ("selected_by",),
    "cycle": ("cycle",),
    "kind": ("charge_kind", "contact_kind", "party_kind"),
    "reason": ("invalidation_reason", "notice_failure"),
    "removal_reason": ("blacklist_removal_reason",),
    "purpose": ("notice_purpose",),
    "channel": ("notice_channel", "channel"),
    "outcome": ("notice_outcome", "outcome"),
    "method": ("verification_method",),
    "result": ("verification_result",),
    "audit": ("audit_result",),
    "scope": ("hold_scope", "action_scope"),
    "root_cause": ("root_cause",),
    "answered": ("outcome",),
}
"""Where the values of a part are named."""
BESIDE = frozenset({"packages", "aging", "principal_fen", "status_since", "arrears_differ", "days_past_due"})
"""What changes beside the thing itself, and would only hide the rest."""
ITEM_FIELDS_MAX = 8  # parts of one entry told in a line


class Change(NamedTuple):
    """What became of a part of a state."""

    name: str
    before: str
    after: str


def value_text(field: str, value: object, lang: Lang, region: str = "") -> str:
    """Return a value of a state in words."""
    nothing = Words("无", "nothing").of(lang)
    if value in (None, "", [], {}):
        return nothing
    match value:
        case bool():
            return LABELS["flag"][str(value).lower()].of(lang)
        case int():
            return yuan(value) if field.endswith("_fen") else str(value)
        case Mapping():
            return _item(value, lang, region) or nothing
        case list():
            return Words("、", ", ").of(lang).join(value_text(field, v, lang, region) for v in value)
        case _:
            return _text(field, str(value), lang, region)


def changes(changed: Mapping[str, Any], lang: Lang, region: str = "") -> list[Change]:
    """Return in words what a step changed, or what differs between two states."""
    return list(_changes(changed, lang, region))


def _changes(changed: Mapping[str, Any], lang: Lang, region: str) -> Iterator[Change]:
    for key, change in changed.items():
        if key in BESIDE or key not in FIELDS:
            continue
        name = FIELDS[key].of(lang)
        if "from" in change:
            before, after = (value_text(key, change[side], lang, region) for side in ("from", "to"))
            if before != after:
                yield Change(name, before, after)
        else:
            yield from _entries(name, change["removed"], change["added"], lang, region)


def _entries(name: str, removed: list[Any], added: list[Any], lang: Lang, region: str) -> Iterator[Change]:
    """Yield what came into a list, left it or became different; an entry is known by its first field."""
    nothing = Words("无", "nothing").of(lang)
    before = {_known_by(item): item for item in removed}
    for item in added:
        known = _known_by(item)
        old = before.pop(known, None)
        if isinstance(item, Mapping) and isinstance(old, Mapping):
            for field in item:
                if old.get(field) != item[field] and field in FIELDS:
                    was, now = (value_text(field, v[field], lang, region) for v in (old, item))
                    yield Change(f"{name} {known} · {FIELDS[field].of(lang)}", was, now)
        else:
            yield Change(_named(name, item, lang, region), nothing, value_text("", item, lang, region))
    for item in before.values():
        yield Change(_named(name, item, lang, region), value_text("", item, lang, region), nothing)


def _named(name: str, item: object, lang: Lang, region: str) -> str:
    """Return what an entry of a list is called: by the first of its fields, where it has any."""
    return f"{name} {_text('', _known_by(item), lang, region)}" if isinstance(item, Mapping) else name


def _known_by(item: object) -> str:
    return str(next(iter(item.values()), "")) if isinstance(item, Mapping) else str(item)


def _item(item: Mapping[str, Any], lang: Lang, region: str) -> str:
    told = [
        f"{FIELDS[k].of(lang)} {value_text(k, v, lang, region)}"
        for k, v in item.items()
        if k in FIELDS and v not in (None, "", [], {}, 0)
    ]
    return Words("，", ", ").of(lang).join(told[:ITEM_FIELDS_MAX])


def _text(field: str, value: str, lang: Lang, region: str) -> str:
    for group in _GROUPS.get(field, ()):
        if value in LABELS[group]:
            return LABELS[group][value].of(lang)
    if value in SAID:
        return SAID[value].of(lang)
    if len(value) > len("2014-12-09") and value[:4].isdecimal() and "T" in value:
        try:
            return instant_text(parse_instant(value).astimezone(zone_of(region)), lang)
        except ValueError:
            return value
    return value
