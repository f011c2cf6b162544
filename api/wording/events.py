"""Every event type as a plain sentence, and as a short name, in both languages.

A sentence is a template over the event's own fields, by their wire names: `{amount_fen}` is written as money,
`{start}` as a day, an enumeration by its label, `{reason:text}` as what somebody wrote, and a part in brackets
is left out where one of its fields is absent. Personal data has no place in a sentence.
"""
# ruff: noqa: RUF001, E501 - Chinese is written with Chinese punctuation; a sentence stands on one line

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from functools import cache
from types import UnionType
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin

from api.wording.labels import label, said
from api.wording.language import Lang, Words, day_text, instant_text, listed, yuan
from domain.events.fields import REGISTRY, Payload, Personal, parse_day, parse_instant


class Wording(NamedTuple):
    """An event type's short name, and its sentence as a template."""

    name: Words
    sentence: Words


def _w(name_zh: str, name_en: str, zh: str, en: str) -> Wording:
    return Wording(Words(name_zh, name_en), Words(zh, en))


EVENTS: Mapping[str, Wording] = {
    # -- party
    "PartyRegistered": _w(
        "客户登记",
        "customer registered",
        "登记客户资料：{kind}，证件类型为{id_type:text}（姓名、证件号码和地址在此隐去）。",
        "The customer was registered: {kind}, identified by {id_type:text} (name, number and address withheld here).",
    ),
    "PartyDetailsChanged": _w(
        "客户资料变更",
        "customer's details changed",
        "客户资料变更（内容在此隐去）。",
        "The customer's details were changed (withheld here).",
    ),
    "PartyMerged": _w(
        "客户档案合并",
        "customer records merged",
        "经核实与客户 {into_party_id} 为同一人，档案并入后者。",
        "This customer turned out to be the same as {into_party_id}; the records go on there.",
    ),
    "IdentityVerified": _w(
        "实名核验",
        "identity check",
        "登记 {registration_id} 的实名核验：方式为{method}，结果为{result}[，经办代理商 {dealer_id}][，经办员工 {staff_id}]。",
        "Identity check for registration {registration_id}: method {method}, result {result}[, by dealer {dealer_id}]"
        "[, by staff {staff_id}].",
    ),
    "RegistrationAudited": _w(
        "客户资料稽核",
        "registration audited",
        "稽核登记 {registration_id} 的客户资料，结果为{result}。",
        "The papers of registration {registration_id} were audited: {result}.",
    ),
    "IdentityMisuseConfirmed": _w(
        "确认冒用证件",
        "misuse of identity confirmed",
        "确认客户证件被冒用：涉及登记 {registration_ids}，号码 {numbers}[，代理商 {dealer_id}][，案件 {case_id}]。",
        "It was confirmed that the customer's identity was misused: registrations {registration_ids}, numbers {numbers}"
        "[, dealer {dealer_id}][, case {case_id}].",
    ),
    "ContactPointAdded": _w(
        "登记联系方式",
        "contact point added",
        "登记联系方式 {contact_point_id}：{kind}（内容在此隐去）。",
        "Contact point {contact_point_id} was added: {kind} (withheld here).",
    ),
    "ContactPointInvalidated": _w(
        "联系方式失效",
        "contact point no longer valid",
        "联系方式 {contact_point_id} 失效：{reason}。",
        "Contact point {contact_point_id} no longer reaches the customer: {reason}.",
    ),
    "BlacklistEntryAdded": _w(
        "列入黑名单",
        "blacklisted",
        "客户被列入黑名单（条目 {entry_id}）：依据是账户 {basis_account_id} 欠费 {amount_fen}[，所据通知为 {notice_id}]。",
        "The customer was put on the blacklist (entry {entry_id}): {amount_fen} owed on account {basis_account_id}"
        "[, after notice {notice_id}].",
    ),
    "BlacklistEntryRemoved": _w(
        "移出黑名单",
        "taken off the blacklist",
        "黑名单条目 {entry_id} 被移除：{reason}。",
        "Blacklist entry {entry_id} was removed: {reason}.",
    ),
    "SignUpRefused": _w(
        "拒绝办理业务",
        "service refused",
        "拒绝为客户办理业务，理由：{reason:text}[（黑名单条目 {entry_id}）]。",
        "A new service was refused to the customer: {reason:text}[ (blacklist entry {entry_id})].",
    ),
    "ProcessingRestricted": _w(
        "限制处理个人信息",
        "processing restricted",
        "限制处理客户个人信息：范围{scope:text}，依据{legal_basis:text}。",
        "Processing of the customer's data was restricted: {scope:text}, on the basis of {legal_basis:text}.",
    ),
    "PersonalDataDisclosed": _w(
        "查阅个人信息",
        "personal data disclosed",
        "查阅了客户个人信息：{fields}，目的{purpose:text}[，案件 {case_id}]。",
        "Personal data was shown in clear: {fields}, for {purpose:text}[, case {case_id}].",
    ),
    "PersonalDataErased": _w(
        "删除个人信息",
        "personal data erased",
        "客户个人信息被删除，依据{legal_basis:text}。",
        "The customer's personal data was erased, on the basis of {legal_basis:text}.",
    ),
    # -- account: the contract
    "AccountOpened": _w(
        "开户",
        "account opened",
        "为客户 {party_id} 开立{line_of_business}账户。",
        "An account for {line_of_business} was opened for customer {party_id}.",
    ),
    "AccountMigrated": _w(
        "账户迁移",
        "account migrated",
        "账户由旧系统{legacy_system:text}迁入（原编号 {legacy_id}，原开户日 {opened_on}）。",
        "The account came from another system, {legacy_system:text} (there {legacy_id}, opened on {opened_on}).",
    ),
    "AccountTransferred": _w(
        "过户",
        "account transferred",
        "账户由客户 {from_party_id} 过户给客户 {to_party_id}，原有欠费归{debt_stays_with}。",
        "The account went from customer {from_party_id} to customer {to_party_id}; debts stay with {debt_stays_with}.",
    ),
    "ServiceMoved": _w(
        "移机",
        "service moved",
        "服务迁移到新地址（地址在此隐去）。",
        "The service moved to another address (withheld here).",
    ),
    # -- account: numbers
    "NumberActivated": _w(
        "号码开通",
        "number activated",
        "号码 {number_id} 凭登记 {registration_id} 开通[，由代理商 {dealer_id} 办理]（号码本身在此隐去）。",
        "Number {number_id} went live on registration {registration_id}[, sold by dealer {dealer_id}] (withheld here).",
    ),
    "NumberDisowned": _w(
        "客户否认号码",
        "number disowned",
        "客户声明号码 {number_id} 非本人所有，自 {effective_from} 起。",
        "The person named said that number {number_id} is not theirs, from {effective_from}.",
    ),
    "NumberPortedIn": _w(
        "号码携入",
        "number ported in",
        "号码 {number_id} 由{other_operator:text}携入。",
        "Number {number_id} came from {other_operator:text}.",
    ),
    "NumberPortedOut": _w(
        "号码携出",
        "number ported out",
        "号码 {number_id} 携出至{other_operator:text}。",
        "Number {number_id} went to {other_operator:text}.",
    ),
    "SimReplaced": _w(
        "换卡",
        "SIM replaced",
        "号码 {number_id} 换卡，原因：{reason:text}。",
        "Number {number_id} got another SIM: {reason:text}.",
    ),
    "NumberReleased": _w(
        "号码释放",
        "number released",
        "号码 {number_id} 被释放，{reusable_from} 起可分配给他人。",
        "Number {number_id} was given up; somebody else may have it from {reusable_from}.",
    ),
    # -- account: packages
    "PackageSubscribed": _w(
        "办理套餐",
        "package sold",
        "办理{cycle}套餐 {package_id}（产品 {offer_id}），价格 {price_fen}，自 {start} 起[，至 {end} 止（不含当日）]。",
        "Package {package_id} ({cycle}, {offer_id}) was sold for {price_fen}, from {start}[ to {end} (exclusive)].",
    ),
    "ExpiryOptionPresented": _w(
        "告知到期处理方式",
        "expiry options shown",
        "就套餐 {package_id} 向客户说明到期处理方式：{options}。",
        "For package {package_id} the customer was shown what may happen at its end: {options}.",
    ),
    "ExpiryOptionSelected": _w(
        "选定到期处理方式",
        "expiry option set",
        "套餐 {package_id} 的到期处理方式设为“{option}”，选定人：{selected_by}[，同意凭证 {consent_ref}]。",
        "For the end of package {package_id}, “{option}” was set by {selected_by}[ (consent {consent_ref})].",
    ),
    "PackageExpired": _w(
        "套餐到期",
        "package expired",
        "套餐 {package_id} 于 {expired_on} 到期。",
        "Package {package_id} ended on {expired_on}.",
    ),
    "PackageConverted": _w(
        "转包月资费",
        "converted to monthly",
        "套餐 {package_id} 自 {from} 起转为包月（产品 {to_offer_id}），每月 {monthly_price_fen}。",
        "Package {package_id} went on by the month from {from} ({to_offer_id}), {monthly_price_fen} a month.",
    ),
    "PackageRenewed": _w(
        "续包年资费",
        "package renewed",
        "套餐 {package_id} 续约，{start} 至 {end}（不含当日），价格 {price_fen}。",
        "Package {package_id} was renewed from {start} to {end} (exclusive) for {price_fen}.",
    ),
    "PlanChanged": _w(
        "变更资费",
        "plan changed",
        "套餐 {package_id} 自 {effective_from} 起改为产品 {to_offer_id}，价格 {price_fen}，提出方：{requested_by}。",
        "Package {package_id} changed to {to_offer_id} at {price_fen} from {effective_from}, at the request of "
        "{requested_by}.",
    ),
    "CancellationRequested": _w(
        "申请销户",
        "cancellation requested",
        "客户申请自 {effective_from} 起终止服务[（记录的障碍：{blockers:text}）]。",
        "The customer asked to end the contract from {effective_from}[ (recorded as blocking it: {blockers:text})].",
    ),
    # -- account: service
    "ServiceSuspended": _w(
        "停机",
        "service suspended",
        "停机，原因：{reason}[（{mode}）][，系统记载欠费 {arrears_fen}]。",
        "The service was suspended: {reason}[ ({mode})][; the system says {arrears_fen} was owed].",
    ),
    "ServiceResumed": _w(
        "复机",
        "service restored",
        "复机，原因：{reason:text}。",
        "The service was restored: {reason:text}.",
    ),
    "ServiceTerminated": _w(
        "销户",
        "service terminated",
        "服务终止（销户），原因：{reason}。",
        "The service was ended for good: {reason}.",
    ),
    # -- account: charges and credits
    "ChargePosted": _w(
        "出账",
        "charge posted",
        "出账 {charge_id}：{kind} {amount_fen}，计费期 {period_start} 至 {period_end}（不含当日），缴费期限 {due_on}。",
        "Charge {charge_id} was posted: {kind}, {amount_fen}, for {period_start} to {period_end} (exclusive), due on "
        "{due_on}.",
    ),
    "BillIssued": _w(
        "出具账单",
        "bill issued",
        "出具账单 {bill_id}：{charge_ids}，合计 {total_fen}，缴费期限 {due_on}[，税额 {tax_fen}][，发票 {invoice_ref}]。",
        "Bill {bill_id} was issued: {charge_ids}, {total_fen} in all, due on {due_on}[, tax {tax_fen}]"
        "[, invoice {invoice_ref}].",
    ),
    "LateFeeAssessed": _w(
        "计收滞纳金",
        "late fee assessed",
        "就收费 {charge_id} 计收滞纳金 {fee_id}：本金 {base_fen}，每日 {rate_ppm}，{from} 至 {to}（不含当日），"
        "计 {amount_fen}。",
        "A late fee {fee_id} of {amount_fen} was put on charge {charge_id}: {rate_ppm} a day on {base_fen}, from {from} "
        "to {to} (exclusive).",
    ),
    "CreditGranted": _w(
        "减免",
        "credit granted",
        "给予减免 {credit_id}：{amount_fen}，原因：{reason}[，案件 {case_id}]。",
        "A credit {credit_id} of {amount_fen} was granted: {reason}[, case {case_id}].",
    ),
    "DepositTaken": _w(
        "收取押金",
        "deposit taken",
        "收取押金 {deposit_id}：{amount_fen}。",
        "A deposit {deposit_id} of {amount_fen} was taken.",
    ),
    "DepositReturned": _w(
        "退还押金",
        "deposit returned",
        "退还押金 {deposit_id}：{amount_fen}。",
        "Of deposit {deposit_id}, {amount_fen} was returned.",
    ),
    "InstalmentPlanAgreed": _w(
        "约定分期",
        "instalments agreed",
        "就 {charge_ids} 约定分期缴费 {plan_id}：{instalments}。",
        "Instalments {plan_id} were agreed for {charge_ids}: {instalments}.",
    ),
    "ChargeReversed": _w(
        "冲正",
        "charge reversed",
        "冲正[收费 {charge_id}][滞纳金 {fee_id}] {amount_fen}，原因：{reason:text}[，案件 {case_id}]。",
        "Of [charge {charge_id}][late fee {fee_id}], {amount_fen} was taken back: {reason:text}[, case {case_id}].",
    ),
    "DebtWrittenOff": _w(
        "核销欠费",
        "debt written off",
        "核销欠费 {amount_fen}，批准人 {approver}。",
        "A debt of {amount_fen} was given up, approved by {approver}.",
    ),
    # -- account: payments
    "PaymentReceived": _w(
        "缴费",
        "payment received",
        "客户缴费 {payment_id}：{amount_fen}，入账日 {value_date}，方式：{method:text}[，外部凭证 {external_ref}]。",
        "The customer paid {amount_fen} ({payment_id}, {method:text}), counted from {value_date}[, reference "
        "{external_ref}].",
    ),
    "PaymentAllocated": _w(
        "缴费销账",
        "payment allocated",
        "缴费 {payment_id} 中 {amount_fen} 用于冲抵[收费 {charge_id}][滞纳金 {fee_id}]。",
        "Of payment {payment_id}, {amount_fen} was put against [charge {charge_id}][late fee {fee_id}].",
    ),
    "PaymentReversed": _w(
        "缴费撤销",
        "payment reversed",
        "缴费 {payment_id} 不成立：{reason:text}。",
        "Payment {payment_id} did not stand: {reason:text}.",
    ),
    "RefundPaid": _w(
        "退费",
        "refund paid",
        "退还客户 {amount_fen}，方式：{method:text}[，案件 {case_id}]。",
        "{amount_fen} was refunded to the customer, {method:text}[, case {case_id}].",
    ),
    # -- account: collections
    "ArrearsStarted": _w(
        "系统记载欠费",
        "arrears reported",
        "系统记载：收费 {charge_id} 自 {since} 起欠费 {amount_fen}。",
        "The operator's system says that {amount_fen} of charge {charge_id} is overdue since {since}.",
    ),
    "ArrearsCleared": _w(
        "系统记载欠费结清",
        "arrears reported cleared",
        "系统记载：欠费于 {cleared_on} 结清。",
        "The operator's system says that nothing is overdue since {cleared_on}.",
    ),
    "DisputeHoldPlaced": _w(
        "争议暂缓",
        "dispute hold placed",
        "因案件 {case_id} 设立争议暂缓 {hold_id}：争议金额 {amount_fen}[，涉及收费 {charge_ids}]，期间暂缓{scope}。",
        "In case {case_id}, {amount_fen} is disputed (hold {hold_id})[, charges {charge_ids}]: no {scope} for it meanwhile.",
    ),
    "DisputeHoldReleased": _w(
        "争议暂缓解除",
        "dispute hold released",
        "争议暂缓 {hold_id} 解除：{outcome}。",
        "The dispute hold {hold_id} ended: {outcome}.",
    ),
    "NoticeAttempted": _w(
        "发送通知",
        "notice attempted",
        "尝试{purpose}（通知 {notice_id}）：{channel}[，发往 {contact_point_id}]，第 {attempt_no} 次[，套餐 {package_id}]"
        "[，收费 {charge_ids}]。",
        "A {purpose} was attempted (notice {notice_id}): {channel}[, to {contact_point_id}], attempt {attempt_no}"
        "[, package {package_id}][, charges {charge_ids}].",
    ),
    "NoticeDelivered": _w(
        "通知送达",
        "notice delivered",
        "通知 {notice_id} 已送达[（回执 {receipt}）]。",
        "Notice {notice_id} arrived[ (receipt {receipt})].",
    ),
    "NoticeFailed": _w(
        "通知未送达",
        "notice failed",
        "通知 {notice_id} 未送达：{reason}。",
        "Notice {notice_id} did not arrive: {reason}.",
    ),
    # -- dealer
    "DealerAuthorised": _w(
        "代理商授权",
        "dealer authorised",
        "授权代理商{name:text}，内部责任人 {manager_id}。",
        "The dealer {name:text} was authorised; {manager_id} answers for it inside.",
    ),
    "DealerBlocked": _w(
        "封停代理商",
        "dealer blocked",
        "封停代理商，原因：{reason:text}[，案件 {case_id}]。",
        "The dealer was blocked: {reason:text}[, case {case_id}].",
    ),
    "DealerReinstated": _w(
        "恢复代理商",
        "dealer reinstated",
        "恢复代理商资格，原因：{reason:text}。",
        "The dealer's block was lifted: {reason:text}.",
    ),
    # -- case
    "ComplaintReceived": _w(
        "受理投诉",
        "complaint received",
        "客户 {party_id} 投诉[（涉及账户 {account_ids}）]，类别：{category:text}，应于 {answer_due_on} 前答复"
        "（内容在此隐去）。",
        "Customer {party_id} complained[ (accounts {account_ids})] about {category:text}; an answer is due by "
        "{answer_due_on} (its words are withheld here).",
    ),
    "InvestigationOpened": _w(
        "立案调查",
        "investigation opened",
        "立案调查[（客户 {party_id}）][（账户 {account_ids}）]，原因：{reason:text}。",
        "An investigation was opened[ on customer {party_id}][, accounts {account_ids}]: {reason:text}.",
    ),
    "CaseAssigned": _w(
        "案件指派",
        "case assigned",
        "案件由 {owner_id}（{unit:text}）负责。",
        "The case has an owner: {owner_id}, {unit:text}.",
    ),
    "EvidenceAttached": _w(
        "附上证据",
        "evidence attached",
        "附上证据 {evidence_id}（{media_type:text}，标题在此隐去），SHA-256 {sha256}。",
        "Evidence {evidence_id} was attached ({media_type:text}, title withheld here), SHA-256 {sha256}.",
    ),
    "InteractionRecorded": _w(
        "沟通记录",
        "contact recorded",
        "员工 {staff_id} 与客户沟通：{direction}[，解释是否清楚：{explained_clearly}]（内容在此隐去）。",
        "Staff {staff_id} and the customer spoke, {direction}[; explained clearly: {explained_clearly}] (its words are "
        "withheld here).",
    ),
    "CommitmentMade": _w(
        "作出承诺",
        "commitment made",
        "向客户承诺（{commitment_id}）：{solution:text}，期限 {due_at}；逾期则{remedy_if_missed:text}。",
        "A promise was made ({commitment_id}): {solution:text} by {due_at}; if missed, {remedy_if_missed:text}.",
    ),
    "CommitmentMet": _w(
        "承诺兑现",
        "commitment met",
        "承诺 {commitment_id} 已兑现。",
        "The promise {commitment_id} was kept.",
    ),
    "CommitmentMissed": _w(
        "承诺逾期",
        "commitment missed",
        "承诺 {commitment_id} 未按期兑现。",
        "The promise {commitment_id} was missed.",
    ),
    "HandlingStarted": _w(
        "开始处理",
        "handling started",
        "{handler_id} 开始处理案件。",
        "{handler_id} began to work on the case.",
    ),
    "ComplaintAnswered": _w(
        "答复投诉",
        "complaint answered",
        "答复投诉，结论：{outcome}。",
        "The complaint was answered: {outcome}.",
    ),
    "ApologyIssued": _w(
        "致歉",
        "apology",
        "{by:text}向客户致歉。",
        "An apology was given by {by:text}.",
    ),
    "AppealFiled": _w(
        "提出申诉",
        "appeal filed",
        "客户向{body:text}申诉。",
        "The customer took it to {body:text}.",
    ),
    "AppealDecided": _w(
        "申诉裁定",
        "appeal decided",
        "申诉结果：{decision}。",
        "The appeal was decided: {decision}.",
    ),
    "FindingRecorded": _w(
        "记载认定",
        "finding recorded",
        "案件记载认定 {finding_id}：规则 {rule_id}（版本 {rule_version:text}），结论为{verdict}，金额 {amount_fen}。",
        "A finding {finding_id} was put on the case: rule {rule_id} (version {rule_version:text}), {verdict}, {amount_fen}.",
    ),
    "PenaltyImposed": _w(
        "责任处理",
        "penalty imposed",
        "对{subject_kind} {subject_id} 作出处理（{penalty_id}）：{kind}[，金额 {amount_fen}][，依据认定 {finding_ids}]。",
        "A penalty was imposed on {subject_kind} {subject_id} ({penalty_id}): {kind}[, {amount_fen}]"
        "[, for findings {finding_ids}].",
    ),
    "RemedyGranted": _w(
        "给予补救",
        "remedy granted",
        "给予补救：{kind}[，账户 {account_id}][，金额 {amount_fen}][，对应承诺 {commitment_id}]。",
        "A remedy was granted: {kind}[, account {account_id}][, {amount_fen}][, for the promise {commitment_id}].",
    ),
    "CaseClosed": _w(
        "结案",
        "case closed",
        "结案：{outcome:text}。",
        "The case was closed: {outcome:text}.",
    ),
    "CorrectiveActionOpened": _w(
        "立项整改",
        "corrective action opened",
        "立项整改 {action_id}（范围：{scope}；根源：{root_cause}）：{title:text}，应于 {due_on} 前完成。",
        "Corrective action {action_id} was opened ({scope}; root cause: {root_cause}): {title:text}, due on {due_on}.",
    ),
    "CorrectiveActionStepCompleted": _w(
        "整改步骤完成",
        "corrective step done",
        "整改 {action_id} 完成一步：{kind}。",
        "Corrective action {action_id}: {kind} was done.",
    ),
    "CorrectiveActionClosed": _w(
        "整改结束",
        "corrective action closed",
        "整改 {action_id} 结束。",
        "Corrective action {action_id} was closed.",
    ),
    # -- rulebook
    "RuleVersionPublished": _w(
        "发布规则版本",
        "rule version published",
        "发布规则 {rule_id} 的版本 {version:text}，自 {in_force_from} 起施行[，至 {in_force_to} 止]，出处：{citation:text}。",
        "Version {version:text} of rule {rule_id} was published, in force from {in_force_from}[ to {in_force_to}]; source: "
        "{citation:text}.",
    ),
}
"""Each event type's name and sentence."""

PROPOSALS: Mapping[str, Words] = {
    "ChargeReversed": Words(
        "冲正[收费 {charge_id}][滞纳金 {fee_id}]（{reason:text}）",
        "Take back [charge {charge_id}][late fee {fee_id}] ({reason:text})",
    ),
    "RefundPaid": Words("退还客户（{method:text}）", "Refund to the customer ({method:text})"),
    "BlacklistEntryRemoved": Words(
        "将客户移出黑名单，条目 {entry_id}（{reason}）",
        "Take the customer off the blacklist, entry {entry_id} ({reason})",
    ),
    "ServiceResumed": Words("复机（{reason:text}）", "Restore the service ({reason:text})"),
}
"""What a proposed correction asks for; any other type is told as if it had happened."""

GROUPS: Mapping[tuple[str, str], str] = {
    ("PartyRegistered", "kind"): "party_kind",
    ("IdentityVerified", "method"): "verification_method",
    ("IdentityVerified", "result"): "verification_result",
    ("RegistrationAudited", "result"): "audit_result",
    ("ContactPointAdded", "kind"): "contact_kind",
    ("ContactPointInvalidated", "reason"): "invalidation_reason",
    ("BlacklistEntryRemoved", "reason"): "blacklist_removal_reason",
    ("ExpiryOptionPresented", "options"): "expiry_option",
    ("ExpiryOptionSelected", "option"): "expiry_option",
    ("ServiceSuspended", "reason"): "suspension_reason",
    ("ServiceSuspended", "mode"): "suspension_mode",
    ("ServiceTerminated", "reason"): "termination_reason",
    ("ChargePosted", "kind"): "charge_kind",
    ("CreditGranted", "reason"): "credit_reason",
    ("DisputeHoldPlaced", "scope"): "hold_scope",
    ("DisputeHoldReleased", "outcome"): "hold_outcome",
    ("NoticeAttempted", "purpose"): "notice_purpose",
    ("NoticeAttempted", "channel"): "notice_channel",
    ("NoticeFailed", "reason"): "notice_failure",
    ("AppealDecided", "decision"): "appeal_decision",
    ("PenaltyImposed", "subject_kind"): "penalty_subject",
    ("PenaltyImposed", "kind"): "penalty_kind",
    ("RemedyGranted", "kind"): "remedy_kind",
    ("CorrectiveActionOpened", "scope"): "action_scope",
    ("CorrectiveActionStepCompleted", "kind"): "step_kind",
}
"""Under which group of labels an enumerated field stands, where it is not the field's own name."""

_PART = re.compile(r"\[([^\[\]]*)\]")
_PLACE = re.compile(r"\{(\w+)(:text)?\}")

Writer = Callable[[Any, Lang], str]


def name_of(type_name: str, lang: Lang) -> str:
    """Return an event type's short name; raises KeyError for one that has no wording."""
    return EVENTS[type_name].name.of(lang)


def sentence(type_name: str, data: Mapping[str, Any], lang: Lang) -> str:
    """Return what an event says, from its data by wire name (days and moments as such, or as in JSON)."""
    return _told(EVENTS[type_name].sentence, type_name, data, lang)


def proposal(type_name: str, data: Mapping[str, Any], lang: Lang) -> str:
    """Return what a proposed event would do."""
    return _told(PROPOSALS.get(type_name, EVENTS[type_name].sentence), type_name, data, lang)


def _told(words: Words, type_name: str, data: Mapping[str, Any], lang: Lang) -> str:
    writers = _writers(type_name)

    def place(match: re.Match[str]) -> str:
        name, free = match[1], match[2]
        if free:
            texts = data[name] if isinstance(data[name], tuple | list) else [data[name]]
            return listed((said(str(text), lang) for text in texts), lang)
        return writers[name](data[name], lang)

    def part(match: re.Match[str]) -> str:
        there = all(data.get(name) not in (None, (), []) for name, _ in _PLACE.findall(match[1]))
        return match[1] if there else ""

    return _PLACE.sub(place, _PART.sub(part, words.of(lang)))


def group_of(type_name: str, field: str) -> str:
    """Return the group of labels for an enumerated field of an event type."""
    return GROUPS.get((type_name, field), field)


@cache
def _writers(type_name: str) -> Mapping[str, Writer]:
    """Return for each field of an event type, by wire name, how its value is written."""
    kind: type[Payload] = REGISTRY[type_name]
    fields: dict[str, Any] = kind.__pydantic_fields__  # type: ignore[attr-defined]
    return {f.alias or n: _writer(type_name, f.alias or n, f.annotation) for n, f in fields.items()}


def _writer(type_name: str, field: str, annotation: Any) -> Writer:
    scalar, many = unwrapped(annotation)
    one = _scalar_writer(type_name, field, scalar)
    if many:
        return lambda values, lang: listed((one(value, lang) for value in values), lang)
    return one


def _scalar_writer(type_name: str, field: str, scalar: Any) -> Writer:
    if get_origin(scalar) is Literal:
        group = group_of(type_name, field)
        return lambda value, lang: label(group, value, lang)
    if field.endswith("_fen"):
        return lambda value, _lang: yuan(value)
    if field == "rate_ppm":
        return lambda value, _lang: f"{value / 1000:g}‰"
    if field == "instalments":
        return _instalment
    if scalar is bool:
        return lambda value, lang: label("flag", value, lang)
    if scalar is date:
        return lambda value, lang: day_text(parse_day(value), lang)
    if scalar is datetime:
        return lambda value, lang: instant_text(parse_instant(value), lang)
    if scalar is Personal:
        return lambda _value, _lang: "***"
    return lambda value, _lang: str(value)


def _instalment(value: Any, lang: Lang) -> str:
    due_on, amount_fen = (
        (value["due_on"], value["amount_fen"])
        if isinstance(value, Mapping)
        else (value.due_on, value.amount_fen)
    )
    return f"{day_text(parse_day(due_on), lang)} {yuan(amount_fen)}"


def unwrapped(annotation: Any) -> tuple[Any, bool]:
    """Return a field's scalar type without None, annotations and lists, and whether it is a list."""
    many = False
    while True:
        origin, args = get_origin(annotation), get_args(annotation)
        if origin in (Union, UnionType):
            annotation = next(a for a in args if a is not type(None))
        elif origin is tuple:
            annotation, many = args[0], True
        elif origin is not None and hasattr(annotation, "__metadata__"):
            annotation = args[0]
        else:
            return annotation, many
