"""account/: one service contract and its money."""

from typing import Annotated, Literal

from pydantic import Field

from domain.events.fields import (
    LIST_MAX_ITEMS,
    AmountFen,
    ChargeKind,
    Count,
    Cycle,
    Day,
    ExpiryOption,
    HoldScope,
    Identifier,
    Identifiers,
    LateFeeStart,
    LineOfBusiness,
    MalformedError,
    NoticeChannel,
    NoticePurpose,
    PartsPerMillion,
    Payload,
    PersonalData,
    Reference,
    SelectedBy,
    SignedAmountFen,
    Text,
    event,
    value,
)

SuspensionReason = Literal["arrears", "expiry", "customer_request", "fraud"]
TerminationReason = Literal["arrears", "customer_request", "identity_misuse"]
NoticeFailure = Literal["number_abandoned", "no_answer", "not_home", "rejected", "gateway_error"]


def _period(start: object, end: object, field: str) -> None:
    if end is not None and end < start:  # type: ignore[operator]
        raise MalformedError(field, "should not be before the period's start")


def _one_debt(charge_id: str | None, fee_id: str | None) -> None:
    if (charge_id is None) == (fee_id is None):
        raise MalformedError("charge_id", "should be given, or else fee_id: exactly one of the two")


@value
class ContractTerms:
    """What the contract says of payment, late fees, suspension, termination and restoring."""

    payment_deadline_days: Count
    late_fee_start: LateFeeStart
    restore_hours: Count
    suspend_after_days: Count
    terminate_after_days: Count


@value
class Instalment:
    """One part of an instalment plan."""

    due_on: Day
    amount_fen: AmountFen


# -- the contract -------------------------------------------------------------------------------------------


@event("account", opens=True)
class AccountOpened(Payload):
    """A contract came into being."""

    party_id: Identifier
    line_of_business: LineOfBusiness
    contract_terms: ContractTerms


@event("account")
class AccountMigrated(Payload):
    """The account came from another system, where it had been opened before."""

    legacy_system: Text
    legacy_id: Text
    opened_on: Day


@event("account")
class AccountTransferred(Payload):
    """The contract went to another party."""

    from_party_id: Identifier
    to_party_id: Identifier
    debt_stays_with: Literal["from", "to"]


@event("account")
class ServiceMoved(Payload):
    """The service is delivered at another address."""

    address: PersonalData


# -- numbers ------------------------------------------------------------------------------------------------


@event("account")
class NumberActivated(Payload):
    """A telephone number went live on a registration."""

    number: PersonalData
    number_id: Identifier
    registration_id: Identifier
    dealer_id: Identifier | None = None


@event("account")
class NumberDisowned(Payload):
    """The person named says the number is not theirs."""

    number_id: Identifier
    effective_from: Day


@event("account")
class NumberPortedIn(Payload):
    """The number came from another operator."""

    number_id: Identifier
    other_operator: Text


@event("account")
class NumberPortedOut(Payload):
    """The number went to another operator."""

    number_id: Identifier
    other_operator: Text


@event("account")
class SimReplaced(Payload):
    """The number got another SIM."""

    number_id: Identifier
    reason: Text


@event("account")
class NumberReleased(Payload):
    """The number was given up; somebody else may have it from `reusable_from`."""

    number_id: Identifier
    reusable_from: Day


# -- packages -----------------------------------------------------------------------------------------------


@event("account")
class PackageSubscribed(Payload):
    """A package was sold; `end` is exclusive and absent where it runs on."""

    package_id: Identifier
    offer_id: Identifier
    cycle: Cycle
    price_fen: AmountFen
    start: Day
    end: Day | None = None

    def __post_init__(self) -> None:
        _period(self.start, self.end, "end")


@event("account")
class ExpiryOptionPresented(Payload):
    """The customer was shown what may happen at the term's end."""

    package_id: Identifier
    options: Annotated[tuple[ExpiryOption, ...], Field(max_length=LIST_MAX_ITEMS)]


@event("account")
class ExpiryOptionSelected(Payload):
    """What will happen at the term's end was set, by whom."""

    package_id: Identifier
    option: ExpiryOption
    selected_by: SelectedBy
    consent_ref: Reference | None = None


@event("account", endogenous=True)
class PackageExpired(Payload):
    """The term ended."""

    package_id: Identifier
    expired_on: Day


@event("account", endogenous=True)
class PackageConverted(Payload):
    """The package goes on by the month."""

    package_id: Identifier
    to_offer_id: Identifier
    monthly_price_fen: AmountFen
    from_: Annotated[Day, Field(alias="from")]
    basis_event_id: Reference | None = None


@event("account", endogenous=True)
class PackageRenewed(Payload):
    """The package goes on for another term."""

    package_id: Identifier
    price_fen: AmountFen
    start: Day
    end: Day
    basis_event_id: Reference | None = None

    def __post_init__(self) -> None:
        _period(self.start, self.end, "end")


@event("account")
class PlanChanged(Payload):
    """The package's offer and price change from a day on, at somebody's request."""

    package_id: Identifier
    to_offer_id: Identifier
    price_fen: AmountFen
    effective_from: Day
    requested_by: Literal["customer", "staff", "system"]


@event("account")
class CancellationRequested(Payload):
    """The customer ends the contract; blockers (equipment to return) do not move the day."""

    effective_from: Day
    blockers: Annotated[tuple[Text, ...], Field(max_length=LIST_MAX_ITEMS)]


# -- service ------------------------------------------------------------------------------------------------


@event("account", endogenous=True)
class ServiceSuspended(Payload):
    """The service was stopped."""

    reason: SuspensionReason
    mode: Literal["one_way", "two_way"] | None = None
    arrears_fen: AmountFen | None = None


@event("account", endogenous=True)
class ServiceResumed(Payload):
    """The service is back."""

    reason: Text


@event("account", endogenous=True)
class ServiceTerminated(Payload):
    """The service ended for good."""

    reason: TerminationReason


# -- charges and credits ------------------------------------------------------------------------------------


@event("account", endogenous=True)
class ChargePosted(Payload):
    """A charge for a period, with the day by which it is to be paid."""

    charge_id: Identifier
    kind: ChargeKind
    amount_fen: AmountFen
    period_start: Day
    period_end: Day
    due_on: Day
    basis_event_id: Reference | None = None

    def __post_init__(self) -> None:
        _period(self.period_start, self.period_end, "period_end")


@event("account", endogenous=True)
class BillIssued(Payload):
    """Charges were put on a bill."""

    bill_id: Identifier
    charge_ids: Identifiers
    total_fen: SignedAmountFen
    due_on: Day
    tax_fen: AmountFen | None = None
    invoice_ref: Reference | None = None


@event("account", endogenous=True)
class LateFeeAssessed(Payload):
    """A late fee on a charge: floor(base x ppm x days / 1,000,000), `to` exclusive."""

    fee_id: Identifier
    charge_id: Identifier
    base_fen: AmountFen
    rate_ppm: PartsPerMillion
    from_: Annotated[Day, Field(alias="from")]
    to: Day
    amount_fen: AmountFen

    def __post_init__(self) -> None:
        _period(self.from_, self.to, "to")


@event("account")
class CreditGranted(Payload):
    """The operator forgoes money."""

    credit_id: Identifier
    amount_fen: AmountFen
    reason: Literal["discount", "goodwill", "adjustment"]
    case_id: Identifier | None = None


@event("account")
class DepositTaken(Payload):
    """The customer left a deposit, which stays theirs."""

    deposit_id: Identifier
    amount_fen: AmountFen


@event("account")
class DepositReturned(Payload):
    """A deposit was given back."""

    deposit_id: Identifier
    amount_fen: AmountFen


@event("account")
class InstalmentPlanAgreed(Payload):
    """Charges are paid in parts, on agreed days."""

    plan_id: Identifier
    charge_ids: Identifiers
    instalments: Annotated[tuple[Instalment, ...], Field(min_length=1, max_length=LIST_MAX_ITEMS)]


@event("account")
class ChargeReversed(Payload):
    """A charge or a late fee was taken back, wholly or in part."""

    charge_id: Identifier | None = None
    fee_id: Identifier | None = None
    amount_fen: AmountFen
    reason: Text
    case_id: Identifier | None = None

    def __post_init__(self) -> None:
        _one_debt(self.charge_id, self.fee_id)


@event("account")
class DebtWrittenOff(Payload):
    """The operator gave a debt up."""

    amount_fen: AmountFen
    approver: Reference


# -- payments -----------------------------------------------------------------------------------------------


@event("account")
class PaymentReceived(Payload):
    """The customer paid; it counts from the start of `value_date`, whenever it was posted."""

    payment_id: Identifier
    amount_fen: AmountFen
    value_date: Day
    method: Text
    external_ref: Reference | None = None


@event("account", endogenous=True)
class PaymentAllocated(Payload):
    """Part of a payment was put against a charge or a fee."""

    payment_id: Identifier
    charge_id: Identifier | None = None
    fee_id: Identifier | None = None
    amount_fen: AmountFen

    def __post_init__(self) -> None:
        _one_debt(self.charge_id, self.fee_id)


@event("account")
class PaymentReversed(Payload):
    """A payment did not stand (a bounced debit)."""

    payment_id: Identifier
    reason: Text


@event("account")
class RefundPaid(Payload):
    """Money went back to the customer."""

    amount_fen: AmountFen
    method: Text
    case_id: Identifier | None = None


# -- collections --------------------------------------------------------------------------------------------


@event("account", endogenous=True)
class ArrearsStarted(Payload):
    """The operator's system says that a charge is overdue."""

    charge_id: Identifier
    amount_fen: AmountFen
    since: Day


@event("account", endogenous=True)
class ArrearsCleared(Payload):
    """The operator's system says that nothing is overdue any more."""

    cleared_on: Day


@event("account")
class DisputeHoldPlaced(Payload):
    """An amount is disputed: what the scope names must not happen for it. No charges named: the account."""

    hold_id: Identifier
    amount_fen: AmountFen
    charge_ids: Identifiers | None = None
    case_id: Identifier
    scope: Annotated[tuple[HoldScope, ...], Field(min_length=1, max_length=LIST_MAX_ITEMS)]


@event("account")
class DisputeHoldReleased(Payload):
    """The dispute over the amount ended."""

    hold_id: Identifier
    outcome: Literal["upheld", "rejected", "withdrawn"]


@event("account")
class NoticeAttempted(Payload):
    """The operator tried to reach the customer; an attempt is not a delivery."""

    notice_id: Identifier
    purpose: NoticePurpose
    channel: NoticeChannel
    contact_point_id: Identifier | None = None
    attempt_no: Count
    package_id: Identifier | None = None
    charge_ids: Identifiers | None = None


@event("account")
class NoticeDelivered(Payload):
    """The notice arrived."""

    notice_id: Identifier
    receipt: Reference | None = None


@event("account")
class NoticeFailed(Payload):
    """The notice did not arrive."""

    notice_id: Identifier
    reason: NoticeFailure
