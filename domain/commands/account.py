"""What may be asked of an account: its contract, numbers, packages, service, money and collections."""

from typing import Annotated, Literal

from pydantic import Field

from domain.commands.asking import (
    Command,
    SomeIdentifiers,
    command,
    in_order,
    no_repeats,
    not_reversed,
    one_debt,
)
from domain.events import account as ev
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
    LineOfBusiness,
    MalformedError,
    NoticeChannel,
    NoticePurpose,
    PersonalData,
    PositiveAmountFen,
    Reference,
    SelectedBy,
    Text,
)

# -- the contract -------------------------------------------------------------------------------------------


@command("account", route="", opens=True, emits=(ev.AccountOpened,))
class OpenAccount(Command):
    """Make a contract with a party."""

    party_id: Identifier
    line_of_business: LineOfBusiness
    contract_terms: ev.ContractTerms


@command("account", route="migrations", emits=(ev.AccountMigrated,))
class MigrateAccount(Command):
    """Say which account of another system this one was."""

    legacy_system: Text
    legacy_id: Text
    opened_on: Day


@command("account", route="transfers", emits=(ev.AccountTransferred,))
class TransferAccount(Command):
    """Give the contract to another party; from whom is known."""

    to_party_id: Identifier
    debt_stays_with: Literal["from", "to"]


@command("account", route="service-moves", emits=(ev.ServiceMoved,))
class MoveService(Command):
    """Deliver the service at another address."""

    address: PersonalData


# -- numbers ------------------------------------------------------------------------------------------------


@command("account", route="numbers", emits=(ev.NumberActivated,))
class ActivateNumber(Command):
    """Let a number go live on a verified registration."""

    number: PersonalData
    number_id: Identifier
    registration_id: Identifier
    dealer_id: Identifier | None = None


@command("account", route="disowned-numbers", emits=(ev.NumberDisowned,))
class DisownNumber(Command):
    """Record that the person named says the number is not theirs."""

    number_id: Identifier
    effective_from: Day


@command("account", route="ported-in-numbers", emits=(ev.NumberPortedIn,))
class PortInNumber(Command):
    """Take a number over from another operator."""

    number_id: Identifier
    other_operator: Text


@command("account", route="ported-out-numbers", emits=(ev.NumberPortedOut,))
class PortOutNumber(Command):
    """Hand a number over to another operator."""

    number_id: Identifier
    other_operator: Text


@command("account", route="sim-replacements", emits=(ev.SimReplaced,))
class ReplaceSim(Command):
    """Give a number another SIM."""

    number_id: Identifier
    reason: Text


@command("account", route="released-numbers", emits=(ev.NumberReleased,))
class ReleaseNumber(Command):
    """Give a number up; somebody else may have it from `reusable_from`."""

    number_id: Identifier
    reusable_from: Day


# -- packages -----------------------------------------------------------------------------------------------


@command("account", route="packages", emits=(ev.PackageSubscribed,))
class SubscribePackage(Command):
    """Sell a package; `end` is exclusive, an annual package has one, and a monthly one at most a month's.

    Where it goes on after an annual term, it is the customer's act, or comes with `evidenceref`.
    """

    package_id: Identifier
    offer_id: Identifier
    cycle: Cycle
    price_fen: AmountFen
    start: Day
    end: Day | None = None

    def __post_init__(self) -> None:
        in_order(self.start, self.end, "end")
        if self.cycle == "annual" and self.end is None:
            raise MalformedError("end", "is missing: an annual package has a term")


@command("account", route="expiry-options", emits=(ev.ExpiryOptionPresented,))
class PresentExpiryOptions(Command):
    """Record what the customer was shown of what may happen at the term's end."""

    package_id: Identifier
    options: Annotated[tuple[ExpiryOption, ...], Field(min_length=1, max_length=LIST_MAX_ITEMS)]

    def __post_init__(self) -> None:
        no_repeats(self.options, "options")


@command("account", route="expiry-choices", emits=(ev.ExpiryOptionSelected,))
class SelectExpiryOption(Command):
    """Record the customer's own choice of what will happen at the term's end."""

    package_id: Identifier
    option: ExpiryOption
    selected_by: SelectedBy
    consent_ref: Reference | None = None


@command("account", route="package-expiries", emits=(ev.PackageExpired,))
class ExpirePackage(Command):
    """Let a term end; on which day is known."""

    package_id: Identifier


@command("account", route="package-conversions", emits=(ev.PackageConverted,))
class ConvertPackage(Command):
    """Let a package go on by the month, from the term's end where no day is given."""

    package_id: Identifier
    to_offer_id: Identifier
    monthly_price_fen: AmountFen
    from_: Annotated[Day | None, Field(alias="from")] = None


@command("account", route="package-renewals", emits=(ev.PackageRenewed,))
class RenewPackage(Command):
    """Let a package go on for another term, from the last one's end where no start is given."""

    package_id: Identifier
    price_fen: AmountFen
    start: Day | None = None
    end: Day

    def __post_init__(self) -> None:
        if self.start is not None:
            in_order(self.start, self.end, "end")


@command("account", route="plan-changes", emits=(ev.PlanChanged,))
class ChangePlan(Command):
    """Change a package's offer and price from a day on; a higher price needs the customer's consent."""

    package_id: Identifier
    to_offer_id: Identifier
    price_fen: AmountFen
    effective_from: Day
    requested_by: Literal["customer", "staff", "system"]


@command("account", route="cancellations", emits=(ev.CancellationRequested,))
class RequestCancellation(Command):
    """End the contract on a day; blockers (equipment to return) do not move the day."""

    effective_from: Day
    blockers: Annotated[tuple[Text, ...], Field(max_length=LIST_MAX_ITEMS)] = ()


# -- service ------------------------------------------------------------------------------------------------


@command("account", route="suspensions", emits=(ev.ServiceSuspended,))
class SuspendService(Command):
    """Stop the service; for arrears, how much they are is computed."""

    reason: ev.SuspensionReason
    mode: Literal["one_way", "two_way"] | None = None


@command("account", route="resumptions", emits=(ev.ServiceResumed,))
class ResumeService(Command):
    """Bring the service back."""

    reason: Text


@command("account", route="terminations", emits=(ev.ServiceTerminated,))
class TerminateService(Command):
    """End the service for good."""

    reason: ev.TerminationReason


# -- charges and credits ------------------------------------------------------------------------------------


@command("account", route="charges", emits=(ev.ChargePosted,))
class PostCharge(Command):
    """Charge for a period; without `due_on` it is due as many days later as the contract says.

    What the charge rests on, where an annual term has ended before it, is computed.
    """

    charge_id: Identifier
    kind: ChargeKind
    amount_fen: PositiveAmountFen
    period_start: Day
    period_end: Day
    due_on: Day | None = None

    def __post_init__(self) -> None:
        not_reversed(self.period_start, self.period_end, "period_end")


@command("account", route="bills", emits=(ev.BillIssued,))
class IssueBill(Command):
    """Put charges on a bill; its total is computed."""

    bill_id: Identifier
    charge_ids: SomeIdentifiers
    due_on: Day
    tax_fen: AmountFen | None = None
    invoice_ref: Reference | None = None

    def __post_init__(self) -> None:
        no_repeats(self.charge_ids, "charge_ids")


@command("account", route="late-fees", emits=(ev.LateFeeAssessed,))
class AssessLateFee(Command):
    """Levy the late fee on a charge for the days before `to`; first day, base and amount are computed."""

    fee_id: Identifier
    charge_id: Identifier
    to: Day


@command("account", route="credits", emits=(ev.CreditGranted,))
class GrantCredit(Command):
    """Forgo money."""

    credit_id: Identifier
    amount_fen: PositiveAmountFen
    reason: Literal["discount", "goodwill", "adjustment"]
    case_id: Identifier | None = None


@command("account", route="deposits", emits=(ev.DepositTaken,))
class TakeDeposit(Command):
    """Take a deposit, which stays the customer's."""

    deposit_id: Identifier
    amount_fen: PositiveAmountFen


@command("account", route="deposit-returns", emits=(ev.DepositReturned,))
class ReturnDeposit(Command):
    """Give a deposit back, wholly or in part."""

    deposit_id: Identifier
    amount_fen: PositiveAmountFen


@command("account", route="instalment-plans", emits=(ev.InstalmentPlanAgreed,))
class AgreeInstalmentPlan(Command):
    """Let charges be paid in parts, on agreed days."""

    plan_id: Identifier
    charge_ids: SomeIdentifiers
    instalments: Annotated[tuple[ev.Instalment, ...], Field(min_length=1, max_length=LIST_MAX_ITEMS)]

    def __post_init__(self) -> None:
        no_repeats(self.charge_ids, "charge_ids")


@command("account", route="charge-reversals", emits=(ev.ChargeReversed,))
class ReverseCharge(Command):
    """Take a charge or a late fee back, wholly or in part."""

    charge_id: Identifier | None = None
    fee_id: Identifier | None = None
    amount_fen: PositiveAmountFen
    reason: Text
    case_id: Identifier | None = None

    def __post_init__(self) -> None:
        one_debt(self.charge_id, self.fee_id)


@command("account", route="write-offs", emits=(ev.DebtWrittenOff,))
class WriteOffDebt(Command):
    """Give a debt up."""

    amount_fen: PositiveAmountFen
    approver: Reference


# -- payments -----------------------------------------------------------------------------------------------


@command("account", route="payments", emits=(ev.PaymentReceived,))
class ReceivePayment(Command):
    """Take a payment; it counts from the start of `value_date`."""

    payment_id: Identifier
    amount_fen: PositiveAmountFen
    value_date: Day
    method: Text
    external_ref: Reference | None = None


@command("account", route="payment-allocations", emits=(ev.PaymentAllocated,))
class AllocatePayment(Command):
    """Put part of a payment against a charge or a late fee."""

    payment_id: Identifier
    charge_id: Identifier | None = None
    fee_id: Identifier | None = None
    amount_fen: PositiveAmountFen

    def __post_init__(self) -> None:
        one_debt(self.charge_id, self.fee_id)


@command("account", route="payment-reversals", emits=(ev.PaymentReversed,))
class ReversePayment(Command):
    """Record that a payment did not stand."""

    payment_id: Identifier
    reason: Text


@command("account", route="refunds", emits=(ev.RefundPaid,))
class PayRefund(Command):
    """Give money back to the customer."""

    amount_fen: PositiveAmountFen
    method: Text
    case_id: Identifier | None = None


# -- collections --------------------------------------------------------------------------------------------


@command("account", route="arrears", emits=(ev.ArrearsStarted,))
class StartArrears(Command):
    """Say that a charge is overdue; how much, and since when, is computed."""

    charge_id: Identifier


@command("account", route="arrears-clearances", emits=(ev.ArrearsCleared,))
class ClearArrears(Command):
    """Say that nothing is overdue any more."""


@command("account", route="dispute-holds", emits=(ev.DisputeHoldPlaced,))
class PlaceDisputeHold(Command):
    """Hold a disputed amount: what the scope names must not happen for it. No charges: the account."""

    hold_id: Identifier
    amount_fen: PositiveAmountFen
    charge_ids: SomeIdentifiers | None = None
    case_id: Identifier
    scope: Annotated[tuple[HoldScope, ...], Field(min_length=1, max_length=LIST_MAX_ITEMS)]

    def __post_init__(self) -> None:
        no_repeats(self.charge_ids, "charge_ids")
        no_repeats(self.scope, "scope")


@command("account", route="dispute-hold-releases", emits=(ev.DisputeHoldReleased,))
class ReleaseDisputeHold(Command):
    """End the dispute over the amount."""

    hold_id: Identifier
    outcome: Literal["upheld", "rejected", "withdrawn"]


@command("account", route="notices", emits=(ev.NoticeAttempted,))
class AttemptNotice(Command):
    """Try to reach the customer; the attempt's number is counted if absent.

    A message or a call goes to a contact point. A visit, a letter or a push may go without one on record: it is
    an attempt, but its delivery does not show that it reached the customer.
    """

    notice_id: Identifier
    purpose: NoticePurpose
    channel: NoticeChannel
    contact_point_id: Identifier | None = None
    attempt_no: Count | None = None
    package_id: Identifier | None = None
    charge_ids: SomeIdentifiers | None = None

    def __post_init__(self) -> None:
        if self.contact_point_id is None and self.channel in ("sms", "call", "email"):
            raise MalformedError("contact_point_id", f"should be given for a notice by {self.channel}")


@command("account", route="notice-deliveries", emits=(ev.NoticeDelivered,))
class ConfirmNoticeDelivery(Command):
    """Record that a notice arrived."""

    notice_id: Identifier
    receipt: Reference | None = None


@command("account", route="notice-failures", emits=(ev.NoticeFailed,))
class ReportNoticeFailure(Command):
    """Record that a notice did not arrive."""

    notice_id: Identifier
    reason: ev.NoticeFailure
