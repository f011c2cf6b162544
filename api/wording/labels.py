"""Names for every value of the vocabulary's enumerations, by group: a page shows none of them raw."""
# ruff: noqa: RUF001 - Chinese is written with Chinese punctuation

from collections.abc import Mapping

from api.wording.language import Lang, Words

LABELS: Mapping[str, Mapping[str, Words]] = {
    # -- the envelope and the streams
    "stream": {
        "party": Words("客户", "customer"),
        "account": Words("账户", "account"),
        "dealer": Words("代理商", "dealer"),
        "case": Words("投诉案件", "case"),
        "rulebook": Words("规则库", "rulebook"),
    },
    "actor": {
        "customer": Words("客户", "customer"),
        "staff": Words("工作人员", "staff"),
        "dealer": Words("代理商", "dealer"),
        "system": Words("系统", "system"),
        "regulator": Words("监管机构", "regulator"),
    },
    "channel": {
        "store": Words("营业厅", "store"),
        "hotline": Words("客服热线", "hotline"),
        "web": Words("网上营业厅", "web"),
        "app": Words("手机客户端", "app"),
        "dealer": Words("代理商渠道", "dealer"),
        "field": Words("上门", "field visit"),
        "system": Words("系统", "system"),
        "media": Words("媒体", "media"),
        "regulator": Words("监管机构", "regulator"),
    },
    "status": {
        "pending": Words("未启用", "not yet in use"),
        "active": Words("在用", "in service"),
        "suspended": Words("停机", "suspended"),
        "terminated": Words("销户", "terminated"),
    },
    # -- the customer
    "party_kind": {
        "individual": Words("个人客户", "a person"),
        "organisation": Words("单位客户", "an organisation"),
    },
    "verification_method": {
        "in_person": Words("本人到场", "in person"),
        "proxy": Words("代办", "by a proxy"),
        "online": Words("线上", "online"),
        "none": Words("没有核验", "none"),
    },
    "verification_result": {
        "passed": Words("通过", "passed"),
        "failed": Words("未通过", "failed"),
        "not_performed": Words("未进行", "not performed"),
    },
    "audit_result": {
        "clean": Words("合规", "in order"),
        "suspect": Words("存疑", "doubtful"),
        "breach": Words("违规", "in breach"),
    },
    "contact_kind": {
        "mobile": Words("手机号码", "mobile number"),
        "landline": Words("固定电话", "landline number"),
        "email": Words("电子邮箱", "e-mail address"),
        "postal": Words("通信地址", "postal address"),
        "web_account": Words("网上账号", "web account"),
    },
    "invalidation_reason": {
        "abandoned": Words("号码已弃用", "no longer in use"),
        "recycled": Words("号码已被他人使用", "given to somebody else"),
        "wrong_number": Words("号码有误", "wrong number"),
        "moved": Words("已搬迁", "moved away"),
    },
    "blacklist_removal_reason": {
        "arrears_cleared": Words("欠费已结清", "the arrears were cleared"),
        "entered_in_error": Words("原系误列", "it had been entered in error"),
        "debt_void": Words("欠费不成立", "the debt was void"),
        "retention_lapsed": Words("保存期限届满", "its retention had lapsed"),
    },
    # -- the contract
    "line_of_business": {
        "fixed_broadband": Words("固网宽带", "fixed broadband"),
        "mobile": Words("移动电话", "mobile"),
        "fixed_voice": Words("固定电话", "fixed voice"),
    },
    "late_fee_start": {
        "after_due": Words("逾期次日起", "from the day after the due date"),
        "after_suspension": Words("停机之日起", "from the suspension on"),
    },
    "debt_stays_with": {
        "from": Words("原客户", "the old holder"),
        "to": Words("新客户", "the new holder"),
    },
    "cycle": {"annual": Words("包年", "annual"), "monthly": Words("包月", "monthly")},
    "expiry_option": {
        "suspend": Words("停机", "suspend the service"),
        "convert_to_monthly": Words("转包月资费", "go on by the month"),
        "renew_annual": Words("续包年资费", "renew for a year"),
    },
    "selected_by": {
        "customer": Words("客户本人", "the customer"),
        "staff_default": Words("工作人员自行设定", "staff by default"),
        "system_default": Words("系统默认", "the system by default"),
    },
    "requested_by": {
        "customer": Words("客户", "the customer"),
        "staff": Words("工作人员", "staff"),
        "system": Words("系统", "the system"),
    },
    "suspension_reason": {
        "arrears": Words("欠费", "arrears"),
        "expiry": Words("包年到期", "the term's end"),
        "customer_request": Words("客户申请", "the customer's request"),
        "fraud": Words("涉嫌诈骗", "suspected fraud"),
    },
    "suspension_mode": {
        "one_way": Words("单向停机", "outgoing only"),
        "two_way": Words("双向停机", "both ways"),
    },
    "termination_reason": {
        "arrears": Words("欠费", "arrears"),
        "customer_request": Words("客户申请", "the customer's request"),
        "identity_misuse": Words("证件被冒用", "misuse of the identity"),
    },
    # -- money
    "charge_kind": {
        "package": Words("包年费", "annual fee"),
        "monthly": Words("月费", "monthly fee"),
        "usage": Words("使用费", "usage"),
        "installation": Words("安装费", "installation"),
        "equipment": Words("设备费", "equipment"),
        "late_fee": Words("滞纳金", "late fee"),
    },
    "credit_reason": {
        "discount": Words("优惠", "discount"),
        "goodwill": Words("补偿", "goodwill"),
        "adjustment": Words("调账", "adjustment"),
    },
    # -- collections
    "notice_purpose": {
        "pre_expiry": Words("到期前提醒", "reminder before the term's end"),
        "post_expiry": Words("到期后提醒", "reminder after the term's end"),
        "arrears": Words("欠费催缴通知", "notice of arrears"),
        "suspension": Words("停机通知", "notice of suspension"),
        "termination": Words("销户通知", "notice of termination"),
        "blacklist": Words("黑名单通知", "notice of blacklisting"),
        "renewal": Words("续约提醒", "notice of renewal"),
    },
    "notice_channel": {
        "web_push": Words("网页推送", "web push"),
        "sms": Words("短信", "SMS"),
        "call": Words("电话", "call"),
        "visit": Words("上门", "visit"),
        "email": Words("电子邮件", "e-mail"),
        "letter": Words("信函", "letter"),
        "app": Words("手机客户端", "app"),
    },
    "notice_failure": {
        "number_abandoned": Words("号码已弃用", "the number was no longer in use"),
        "no_answer": Words("无人接听", "nobody answered"),
        "not_home": Words("上门无人", "nobody was at home"),
        "rejected": Words("被拒收", "it was rejected"),
        "gateway_error": Words("网关故障", "the gateway failed"),
    },
    "hold_scope": {
        "late_fee": Words("滞纳金", "late fees"),
        "suspension": Words("停机", "suspension"),
        "blacklist": Words("列入黑名单", "blacklisting"),
    },
    "hold_outcome": {
        "upheld": Words("争议成立", "upheld"),
        "rejected": Words("争议不成立", "rejected"),
        "withdrawn": Words("客户撤回", "withdrawn"),
    },
    # -- cases
    "direction": {
        "inbound": Words("客户来电来访", "from the customer"),
        "outbound": Words("联系客户", "to the customer"),
    },
    "outcome": {
        "upheld": Words("投诉成立", "upheld"),
        "partly_upheld": Words("部分成立", "partly upheld"),
        "rejected": Words("不成立", "rejected"),
    },
    "appeal_decision": {
        "upheld": Words("申诉成立", "upheld"),
        "rejected": Words("申诉不成立", "rejected"),
    },
    "verdict": {
        "breach": Words("违反", "breach"),
        "kept": Words("符合", "kept"),
        "not_applicable": Words("不适用", "not applicable"),
        "undetermined": Words("尚不能判定", "undetermined"),
    },
    "penalty_subject": {
        "manager": Words("管理人员", "manager"),
        "staff": Words("工作人员", "member of staff"),
        "dealer": Words("代理商", "dealer"),
        "department": Words("部门", "department"),
    },
    "penalty_kind": {
        "accountability": Words("问责", "held to account"),
        "warning": Words("警告", "warning"),
        "pay_deduction": Words("扣减薪酬", "pay deduction"),
        "fine": Words("罚款", "fine"),
        "blocking": Words("封停", "blocking"),
    },
    "remedy_kind": {
        "refund": Words("退费", "refund"),
        "reversal": Words("冲正", "reversal"),
        "blacklist_removal": Words("移出黑名单", "removal from the blacklist"),
        "number_cancellation": Words("注销号码", "cancellation of the number"),
        "other": Words("其他", "other"),
    },
    "action_scope": {
        "store": Words("营业厅", "one store"),
        "city": Words("全市", "the city"),
        "province": Words("全省", "the province"),
        "national": Words("全国", "the whole country"),
    },
    "root_cause": {
        "rule": Words("规则本身", "the rule itself"),
        "execution": Words("执行", "its execution"),
        "system": Words("系统支撑", "the system's support"),
    },
    "step_kind": {
        "review": Words("问题梳理", "review"),
        "contingency_plan": Words("应急预案", "contingency plan"),
        "rectification": Words("整改", "rectification"),
        "training": Words("培训", "training"),
        "inspection": Words("检查", "inspection"),
        "reward_penalty": Words("奖惩", "reward and penalty"),
    },
    # -- what registers say
    "case_status": {
        "open": Words("处理中", "open"),
        "answered": Words("已答复", "answered"),
        "closed": Words("已办结", "closed"),
    },
    "answer_timing": {
        "in_time": Words("按时", "in time"),
        "late": Words("逾期答复", "late"),
        "due": Words("未到期", "due"),
        "missed": Words("已逾期", "missed"),
        "not_required": Words("无须答复", "not required"),
    },
    "dunning_action": {
        "remind": Words("催缴", "remind"),
        "announce_suspension": Words("预告停机", "announce the suspension"),
        "suspend": Words("停机", "suspend"),
        "announce_termination": Words("预告销户", "announce the termination"),
        "terminate": Words("销户", "terminate"),
        "announce_blacklisting": Words("预告列入黑名单", "announce the listing"),
        "blacklist": Words("列入黑名单", "list"),
    },
    "hot_spot_cause": {
        "rule": Words("规则本身", "the rule itself"),
        "execution": Words("执行", "its execution"),
        "system": Words("系统支撑", "the system's support"),
        "several": Words("多种", "several"),
        "unknown": Words("不明", "unknown"),
    },
    "pair_outcome": {
        "both": Words("双方受罚", "both"),
        "dealer_only": Words("只罚代理商", "the dealer only"),
        "manager_only": Words("只罚内部责任人", "the manager only"),
        "manager_unknown": Words("内部责任人不明", "the manager is unknown"),
    },
    "action_status": {
        "open": Words("进行中", "open"),
        "overdue": Words("已逾期", "overdue"),
        "closed": Words("已完成", "closed"),
    },
    "flag": {"true": Words("是", "yes"), "false": Words("否", "no")},
    "notice_outcome": {
        "attempted": Words("结果无记载", "no outcome on record"),
        "delivered": Words("已送达", "delivered"),
        "failed": Words("未送达", "failed"),
    },
}
"""For each group of values the name of each."""

SAID: Mapping[str, Words] = {
    "resident_id": Words("居民身份证", "resident identity card"),
    "passport": Words("护照", "passport"),
    "business_licence": Words("营业执照", "business licence"),
    "cash": Words("现金", "cash"),
    "card": Words("银行卡", "card"),
    "bank_transfer": Words("银行转账", "bank transfer"),
    "as paid": Words("按原缴费方式", "the way it was paid"),
    "no_basis": Words("无收费依据", "no basis for it"),
    "suspended_without_basis": Words("停机没有依据", "there was no basis to suspend it"),
    "arrears_paid": Words("欠费已缴清", "the arrears were paid"),
    "blacklisted": Words("客户在黑名单上", "the customer was on the blacklist"),
    "identity misuse": Words("冒用客户证件", "misuse of a customer's identity"),
    "annual_package_expiry": Words("包年到期处理", "the end of an annual package"),
    "customer_request": Words("客户申请", "the customer's request"),
    "arrears_cleared": Words("欠费已结清", "the arrears were cleared"),
    "assumed": Words("推定（材料未载明）", "assumed (no source says it)"),
    "report": Words("情况说明", "the operator's report"),
    "press": Words("新闻报道", "press report"),
    "billing": Words("计费系统", "billing system"),
    "notices": Words("通知系统", "notice system"),
    "policies": Words("业务规则系统", "policy system"),
    "self": Words("本人", "in person"),
    "provincial head": Words("省公司负责人", "the provincial head"),
}
"""Texts that recur word for word where the vocabulary leaves the text free."""


def label(group: str, value: object, lang: Lang) -> str:
    """Return a value's name; raises KeyError for one that is not in the vocabulary."""
    key = str(value).lower() if isinstance(value, bool) else str(value)
    return LABELS[group][key].of(lang)


def said(text: str, lang: Lang) -> str:
    """Return free text as it is quoted: in both languages where it is known, else word for word in quotes."""
    known = SAID.get(text)
    if known is not None:
        return known.of(lang)
    return f"「{text}」" if lang == "zh" else f"“{text}”"
