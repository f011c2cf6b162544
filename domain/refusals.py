"""Every "no" of the domain, enumerated, each with a stable code, a kind and a one-line meaning.

Free of HTTP. Codes never change once published; new ones may come. Within a decision the checks run in a
fixed order: existence of streams, ids already used, the state of the stream, a dealer's authority, the time, and then
things inside the stream and the rule itself.
"""

from datetime import date
from enum import StrEnum
from typing import Literal, NoReturn, Self

Kind = Literal["unknown", "conflict", "authority", "rule"]
"""unknown: something named is not there; conflict: it is, but not in a state for this; authority: the asker
may not; rule: law, contract or policy forbids it."""

Detail = str | int | None


class Code(StrEnum):
    """The stable codes, in a fixed order: first those every decision shares, then by what they are about."""

    kind: Kind
    meaning: str

    def __new__(cls, value: str, kind: Kind, meaning: str) -> Self:
        """Make a member whose value is the code alone."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.kind, member.meaning = kind, meaning
        return member

    # existence of streams
    ACCOUNT_NOT_FOUND = "account.not_found", "unknown", "There is no such account."
    PARTY_NOT_FOUND = "party.not_found", "unknown", "There is no such party."
    DEALER_NOT_FOUND = "dealer.not_found", "unknown", "There is no such dealer."
    CASE_NOT_FOUND = "case.not_found", "unknown", "There is no such case."
    ACCOUNT_EXISTS = "account.already_exists", "conflict", "An account was opened under this id before."
    PARTY_EXISTS = "party.already_exists", "conflict", "A party was registered under this id before."
    DEALER_EXISTS = "dealer.already_exists", "conflict", "A dealer was authorised under this id before."

    # ids inside a stream
    ID_USED = "id.already_used", "conflict", "The id of the new thing was used in this stream before."

    # the state of the stream and of those named
    ACCOUNT_TERMINATED = "account.terminated", "conflict", "The account's service was terminated."
    PARTY_MERGED = "party.merged", "conflict", "The party was merged into another one, which goes on."
    PARTY_ERASED = "party.erased", "conflict", "The party's personal data was erased."
    CASE_CLOSED = "case.closed", "conflict", "The case was closed."

    # authority
    DEALER_NOT_NAMED = "dealer.not_named", "authority", "What comes through a dealer names the dealer."
    DEALER_NOT_AUTHORISED = "dealer.not_authorised", "authority", "The acting dealer was never authorised."
    DEALER_BLOCKED = "dealer.blocked", "authority", "The acting dealer is blocked."

    # the time it is said to have happened
    TIME_BACKDATED = (
        "time.backdated",
        "rule",
        "What the operator does itself is decided when it happens, not dated back.",
    )
    TIME_BEFORE_CAUSE = "time.before_cause", "rule", "Nothing happens before the thing it refers to."
    EFFECTIVE_IN_PAST = "effective_from.in_past", "rule", "What is agreed takes effect that day or later."

    # things inside a stream
    PACKAGE_NOT_FOUND = "package.not_found", "unknown", "The account has no such package."
    CHARGE_NOT_FOUND = "charge.not_found", "unknown", "The account has no such charge."
    FEE_NOT_FOUND = "fee.not_found", "unknown", "The account has no such late fee."
    PAYMENT_NOT_FOUND = "payment.not_found", "unknown", "The account has no such payment."
    DEPOSIT_NOT_FOUND = "deposit.not_found", "unknown", "The account has no such deposit."
    NUMBER_NOT_FOUND = "number.not_found", "unknown", "The account has no such number."
    HOLD_NOT_FOUND = "hold.not_found", "unknown", "The account has no such dispute hold."
    NOTICE_NOT_FOUND = "notice.not_found", "unknown", "The account has no such notice."
    CONTACT_POINT_NOT_FOUND = "contact_point.not_found", "unknown", "The party has no such contact point."
    REGISTRATION_NOT_FOUND = "registration.not_found", "unknown", "The party has no such registration."
    BLACKLIST_ENTRY_NOT_FOUND = "blacklist_entry.not_found", "unknown", "The party has no such entry."
    COMMITMENT_NOT_FOUND = "commitment.not_found", "unknown", "The case has no such commitment."
    FINDING_NOT_FOUND = "finding.not_found", "unknown", "The case has no such finding."
    CORRECTIVE_ACTION_NOT_FOUND = (
        "corrective_action.not_found",
        "unknown",
        "The case has no such corrective action.",
    )

    # the contract
    ACCOUNT_ALREADY_MIGRATED = (
        "account.already_migrated",
        "conflict",
        "Where it came from is recorded already.",
    )
    TRANSFER_SAME_PARTY = "transfer.same_party", "conflict", "The party holds the account already."

    # numbers
    NUMBER_NOT_ACTIVE = "number.not_active", "conflict", "The number is not active on the account any more."
    REGISTRATION_NOT_VERIFIED = (
        "registration.not_verified",
        "rule",
        "A number rests on a verification that passed, in person or by a proxy, before its activation.",
    )
    REGISTRATION_MISUSED = (
        "registration.misused",
        "rule",
        "The registration was made by somebody else with the party's documents.",
    )

    REGISTRATION_DEALER_BLOCKED = (
        "registration.dealer_blocked",
        "rule",
        "A verification made by a dealer who is blocked proves nothing.",
    )
    HOLDER_NOT_VERIFIED = (
        "holder.not_verified",
        "rule",
        "Who takes numbers over was verified, in person or by a proxy.",
    )

    # packages
    EXPIRY_OPTIONS_NOT_PRESENTED = (
        "package.expiry_options_not_presented",
        "rule",
        "An annual package is sold with all three expiry options presented.",
    )
    EXPIRY_CHOICE_MISSING = (
        "package.expiry_choice_missing",
        "rule",
        "An annual package rests on the customer's own choice of what happens at its end.",
    )
    EXPIRY_CHOICE_NOT_OFFERED = (
        "expiry_choice.not_offered",
        "rule",
        "Only an option that was presented can be chosen.",
    )
    EXPIRY_CHOICE_NOT_CUSTOMERS = (
        "expiry_choice.not_customers",
        "rule",
        "A default set by staff or a system is no choice.",
    )
    CONSENT_MISSING = (
        "consent.missing",
        "authority",
        "What the customer asked for comes from the customer, or with a reference to their consent.",
    )
    EVIDENCE_MISSING = (
        "evidence.missing",
        "authority",
        "What is laid to the customer's charge comes with a reference to the evidence.",
    )
    PACKAGE_TERM_NOT_MONTHLY = (
        "package.term_not_monthly",
        "rule",
        "A monthly package has no term longer than a month: sell an annual one, with its choice.",
    )
    PACKAGE_NOT_ANNUAL = "package.not_annual", "conflict", "The package has no annual term that could end."
    PACKAGE_ALREADY_EXPIRED = "package.already_expired", "conflict", "The package expired already."
    PACKAGE_NOT_ENDED = "package.not_ended", "rule", "The package's term has not ended yet."
    CONVERSION_NOT_CHOSEN = (
        "package.conversion_not_chosen",
        "rule",
        "A package is converted only where the customer chose it.",
    )
    RENEWAL_NOT_CHOSEN = (
        "package.renewal_not_chosen",
        "rule",
        "A package is renewed only where the customer chose it.",
    )
    PERIOD_OVERLAPS = "package.period_overlaps", "rule", "The new period starts before the paid term ends."
    PERIOD_BEFORE_CHOICE = (
        "package.period_before_choice",
        "rule",
        "The service stood still, and the new period starts before the customer chose that it goes on.",
    )

    # money
    CHARGE_NO_BASIS = (
        "charge.no_basis",
        "rule",
        "A charge for time after an annual term's end rests on the customer's own choice.",
    )
    CHARGE_AFTER_CANCELLATION = (
        "charge.after_cancellation",
        "rule",
        "Nothing is charged for time from the cancellation's effective date on.",
    )
    CHARGE_AFTER_TERMINATION = (
        "charge.after_termination",
        "rule",
        "Nothing is charged for time after the service was terminated.",
    )
    CHARGE_DUE_TOO_EARLY = (
        "charge.due_too_early",
        "rule",
        "A charge leaves the customer the contract's days to pay, and is never due in the past.",
    )
    CHARGE_SETTLED = "charge.settled", "conflict", "Nothing is left unpaid of the charge."
    CHARGE_REVERSED = "charge.reversed", "conflict", "The charge was taken back."
    CHARGE_NOT_OVERDUE = "charge.not_overdue", "rule", "The charge's deadline has not passed."
    HOLD_COVERS = "hold.covers", "rule", "A dispute hold forbids it for what is disputed."
    LATE_FEE_NOT_STARTED = (
        "late_fee.not_started",
        "rule",
        "The contract lets late fees begin only with the suspension.",
    )
    LATE_FEE_NO_DAYS = "late_fee.no_days", "rule", "No day is left for which the fee was not assessed."
    LATE_FEE_IN_FUTURE = "late_fee.in_future", "rule", "A late fee is not assessed for days to come."
    LATE_FEE_ZERO = "late_fee.zero", "rule", "The late fee would be less than one fen."
    REVERSAL_TOO_HIGH = "reversal.too_high", "rule", "More would be reversed than stands."
    INSTALMENTS_DIFFER = (
        "instalments.differ",
        "rule",
        "The instalments together are what is unpaid of the charges.",
    )
    WRITE_OFF_TOO_HIGH = "write_off.too_high", "rule", "More would be written off than is owed."
    DEPOSIT_TOO_LOW = "deposit.too_low", "rule", "More would be returned than is held."
    PAYMENT_REVERSED = "payment.reversed", "conflict", "The payment was reversed."
    ALLOCATION_EXCEEDS_PAYMENT = (
        "allocation.exceeds_payment",
        "rule",
        "More would be allocated than is left of the payment.",
    )
    ALLOCATION_EXCEEDS_DEBT = (
        "allocation.exceeds_debt",
        "rule",
        "More would be allocated than is owed of the charge or fee.",
    )
    REFUND_TOO_HIGH = "refund.too_high", "rule", "More would be refunded than the account's credit."

    # collections and service
    ARREARS_ALREADY_STARTED = "arrears.already_started", "conflict", "Arrears are recorded already."
    ARREARS_NOT_STARTED = "arrears.not_started", "conflict", "No arrears are recorded."
    ARREARS_STAND = "arrears.stand", "rule", "Something is still overdue."
    HOLD_RELEASED = "hold.already_released", "conflict", "The dispute hold was released already."
    NOTICE_SETTLED = "notice.already_settled", "conflict", "The notice's outcome is recorded already."
    CONTACT_POINT_INVALID = (
        "contact_point.invalid",
        "conflict",
        "The contact point does not reach the party at that time.",
    )
    SERVICE_NOT_ACTIVE = "service.not_active", "conflict", "Only a service that is active can be suspended."
    SERVICE_NOT_SUSPENDED = "service.not_suspended", "conflict", "The service is not suspended."
    NOTHING_OVERDUE = "arrears.nothing_overdue", "rule", "No charge is unpaid past its deadline."
    SUSPENSION_TOO_EARLY = (
        "suspension.too_early",
        "rule",
        "The time to pay before a suspension has not passed.",
    )
    PACKAGE_RUNNING = "package.running", "rule", "A package of the account is running."
    TERMINATION_NOT_SUSPENDED = (
        "termination.not_suspended",
        "rule",
        "A termination for arrears follows a suspension for arrears.",
    )
    TERMINATION_TOO_EARLY = (
        "termination.too_early",
        "rule",
        "The time to pay before a termination has not passed.",
    )
    TERMINATION_OTHER_DEBT = (
        "termination.other_debt",
        "rule",
        "A termination for arrears is for debts that were overdue when the suspension began.",
    )
    TERMINATION_NOT_REQUESTED = (
        "termination.not_requested",
        "rule",
        "No cancellation by the customer is in effect.",
    )
    MISUSE_NOT_CONFIRMED = (
        "misuse.not_confirmed",
        "rule",
        "No misuse of identity is confirmed for the account's numbers.",
    )

    # the party
    MERGE_INTO_ITSELF = "party.merge_into_itself", "conflict", "A party cannot be merged into itself."
    CONTACT_POINT_ALREADY_INVALID = (
        "contact_point.already_invalid",
        "conflict",
        "The contact point was invalidated already.",
    )
    BLACKLIST_OTHER_PARTY = "blacklist.other_party", "rule", "The account is not the party's."
    BLACKLIST_OTHER_DEBTOR = "blacklist.other_debtor", "rule", "What is owed is another party's debt."
    BLACKLIST_ALREADY_LISTED = (
        "blacklist.already_listed",
        "conflict",
        "An entry for the account's debt stands already.",
    )
    BLACKLIST_MISUSED_IDENTITY = (
        "blacklist.misused_identity",
        "rule",
        "A debt on numbers made with misused documents is not the party's.",
    )
    BLACKLIST_NOTHING_OWED = (
        "blacklist.nothing_owed",
        "rule",
        "An entry needs a charge with a basis that is unpaid past its deadline.",
    )
    BLACKLIST_NOTICE_MISSING = (
        "blacklist.notice_missing",
        "rule",
        "An entry needs a notice of the arrears that was delivered to the party.",
    )
    BLACKLIST_NOTICE_ASTRAY = (
        "blacklist.notice_astray",
        "rule",
        "The notice went to a contact point that did not reach the party then.",
    )
    BLACKLIST_ENTRY_REMOVED = "blacklist_entry.removed", "conflict", "The entry does not stand any more."
    BLACKLIST_REASON_UNFIT = (
        "blacklist.reason_unfit",
        "rule",
        "The reason for the removal is not what the account shows.",
    )

    # personal data
    ERASURE_CASE_OPEN = "erasure.case_open", "rule", "A case that concerns the party is open."
    ERASURE_SERVICE_RUNNING = "erasure.service_running", "rule", "A contract of the party's goes on."
    ERASURE_UNSETTLED = "erasure.unsettled", "rule", "An account of the party's is not settled."
    ERASURE_BLACKLISTED = "erasure.blacklisted", "rule", "A blacklist entry of the party's stands."
    ERASURE_RETENTION = "erasure.retention", "rule", "The law has the party's records kept longer."

    # the dealer
    DEALER_ALREADY_BLOCKED = "dealer.already_blocked", "conflict", "The dealer is blocked already."
    DEALER_NOT_BLOCKED = "dealer.not_blocked", "conflict", "The dealer is not blocked."

    # the case
    COMPLAINT_EXISTS = "case.complaint_exists", "conflict", "The case has a complaint already."
    INVESTIGATION_EXISTS = "case.investigation_exists", "conflict", "The case is an investigation already."
    CASE_OTHER_PARTY = "case.other_party", "conflict", "The case is about another party."
    CASE_NO_COMPLAINT = "case.no_complaint", "conflict", "The case has no complaint to answer."
    CASE_ALREADY_ANSWERED = "case.already_answered", "conflict", "The complaint was answered already."
    CASE_UNANSWERED = "case.unanswered", "rule", "A complaint is answered before its case is closed."
    COMMITMENT_FIRST = "case.commitment_first", "rule", "A commitment is made before handling starts."
    COMMITMENT_DUE_IN_PAST = "commitment.due_in_past", "rule", "A commitment is for a time to come."
    COMMITMENT_NOT_OPEN = "commitment.not_open", "conflict", "The commitment was met or missed already."
    COMMITMENT_NOT_DUE = "commitment.not_due", "rule", "The commitment's time has not passed yet."
    COMMITMENT_NOT_MISSED = "commitment.not_missed", "rule", "A remedy follows a commitment that was missed."
    NO_APPEAL_PENDING = "case.no_appeal_pending", "conflict", "No appeal awaits a decision."
    CORRECTIVE_ACTION_CLOSED = (
        "corrective_action.closed",
        "conflict",
        "The corrective action was closed already.",
    )

    # proposals of a counterfactual
    PROPOSAL_SAME_PERSON = (
        "proposal.same_person",
        "authority",
        "Who proposes a correction does not accept it.",
    )
    PROPOSAL_NOT_MADE = (
        "proposal.not_made",
        "authority",
        "What is accepted was proposed under the case by somebody else.",
    )
    PROPOSAL_CHANGED = "proposal.changed", "conflict", "The proposal is not the one that was read."
    PROPOSAL_OUTDATED = "proposal.outdated", "conflict", "What the proposal rests on has changed since."
    PROPOSAL_EMPTY = "proposal.empty", "conflict", "Nothing is proposed: there is nothing to put right."
    REFUND_METHOD_MISSING = "refund.method_missing", "rule", "Who has money paid back says how."

    # the rulebook
    RULE_PERIOD_EMPTY = "rule.period_empty", "rule", "A rule version ends after it begins."


class Refused(Exception):  # noqa: N818  it is an answer, not an error
    """A command was refused: why, and what would be right. Never carries personal data."""

    def __init__(self, code: Code, message: str, details: dict[str, Detail]) -> None:
        super().__init__(f"{code.value}: {message}")
        self.code = code
        self.message = message
        self.details = details


def refuse(code: Code, message: str, **details: str | int | date | None) -> NoReturn:
    """Refuse with a sentence that says what would be right, and the figures and ids it speaks of."""
    raise Refused(code, message, {k: v.isoformat() if isinstance(v, date) else v for k, v in details.items()})
