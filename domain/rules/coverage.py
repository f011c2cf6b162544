"""Which event types each rule looks at, and which no rule looks at, on purpose: nothing is silently fine.

An event type that stands in neither table is one that nobody has thought of, and the tests refuse it. That a
rule looks at a type means that events of it can change what the rule finds, by themselves or through the
money they move; that none does means that they never can. The tests hold both against the code and against
real histories.
"""

from collections.abc import Mapping

from domain.events import account as av
from domain.events import case as cv
from domain.events import dealer as dv
from domain.events import party as pv
from domain.events import rulebook as rv
from domain.events.fields import Payload
from domain.rules import past

Types = frozenset[type[Payload]]


def _types(*kinds: type[Payload]) -> Types:
    return frozenset(kinds)


MONEY: Types = frozenset(past.MONEY)

HOLDER: Types = frozenset({av.AccountOpened, av.AccountTransferred})
"""Whose account it is, and under which contract."""

REACH: Types = HOLDER | {
    av.NoticeAttempted,
    av.NoticeDelivered,
    pv.ContactPointAdded,
    pv.ContactPointInvalidated,
    pv.PartyMerged,
}
"""Whether a notice reached the party."""

TERMS: Types = frozenset({av.AccountOpened, av.PackageSubscribed, av.PackageRenewed})
"""The annual terms sold and renewed."""

BASIS: Types = TERMS | {
    av.ExpiryOptionPresented,
    av.ExpiryOptionSelected,
    av.PackageConverted,
    av.PlanChanged,
    av.ChargePosted,
    av.ChargeReversed,
}
"""Whether a charge after a term rests on something."""

REAL_NAME: Types = HOLDER | {
    av.NumberActivated,
    av.NumberPortedIn,
    av.ChargePosted,
    av.ChargeReversed,
    av.LateFeeAssessed,
    pv.IdentityVerified,
    pv.IdentityMisuseConfirmed,
}
"""Whether a number rests on a verified identity, and the money that hangs on it."""

ENTRY: Types = MONEY | BASIS | REACH | REAL_NAME | {pv.BlacklistEntryAdded}
"""What a blacklist entry rests on."""

LOOKED_AT: Mapping[str, Types] = {
    "expiry-choice": frozenset(
        {av.AccountOpened, av.PackageSubscribed, av.ExpiryOptionPresented, av.ExpiryOptionSelected}
    ),
    "expiry-notice": TERMS | REACH | {av.NoticeFailed, av.ServiceTerminated},
    "charge-basis": BASIS,
    "late-fee": MONEY
    | BASIS
    | {av.ServiceSuspended, av.ServiceResumed, av.DisputeHoldPlaced, av.DisputeHoldReleased},
    "suspension-window": MONEY | {av.AccountOpened, av.ServiceSuspended},
    "termination-window": MONEY
    | {
        av.AccountOpened,
        av.AccountMigrated,
        av.ServiceSuspended,
        av.ServiceResumed,
        av.ServiceTerminated,
    },
    "restore-within": MONEY
    | {av.AccountOpened, av.ServiceSuspended, av.ServiceResumed, av.ServiceTerminated},
    "real-name": REAL_NAME,
    "cancellation": frozenset(
        {av.CancellationRequested, av.ChargePosted, av.ChargeReversed, av.ServiceTerminated}
    ),
    "dispute-hold": MONEY
    | {av.DisputeHoldPlaced, av.DisputeHoldReleased, av.ServiceSuspended, pv.BlacklistEntryAdded},
    "notice-reach": REACH,
    "renewal-notice": TERMS | REACH,
    "blacklist-basis": ENTRY,
    "blacklist-removal": MONEY
    | _types(
        av.NumberActivated,
        pv.BlacklistEntryAdded,
        pv.BlacklistEntryRemoved,
        pv.IdentityMisuseConfirmed,
    ),
    "refusal-basis": ENTRY | _types(pv.BlacklistEntryRemoved, pv.SignUpRefused),
    "registration-audit": HOLDER | {av.NumberActivated, pv.IdentityVerified, pv.RegistrationAudited},
    "number-limit": HOLDER
    | {
        av.NumberActivated,
        av.NumberPortedIn,
        av.NumberPortedOut,
        av.NumberReleased,
        av.NumberDisowned,
        av.ServiceTerminated,
    },
    "dealer-block": frozenset(
        {
            pv.IdentityVerified,
            pv.IdentityMisuseConfirmed,
            dv.DealerAuthorised,
            dv.DealerBlocked,
            dv.DealerReinstated,
            cv.PenaltyImposed,
        }
    ),
    "complaint-answer": frozenset({cv.ComplaintReceived, cv.ComplaintAnswered}),
    "commitment-first": frozenset(
        {cv.CommitmentMade, cv.CommitmentMet, cv.CommitmentMissed, cv.HandlingStarted, cv.RemedyGranted}
    ),
    "clear-explanation": frozenset(
        {cv.InteractionRecorded, cv.CaseAssigned, cv.ComplaintAnswered, cv.CaseClosed}
    ),
}
"""For each rule the event types that can change what it finds."""

EVERY_RULE: Types = frozenset({rv.RuleVersionPublished, cv.ComplaintReceived, cv.InvestigationOpened})
"""What every rule is measured by, and what says whose case it is: a party's findings span the cases about it."""

_SAID = "the operator's own statement: the rules compute it from what happened"
_DATA = "personal data and its handling: no rule of the table is about it"
_CARE = "what was done about a case: recorded for its reports, measured by no rule of the table"

IGNORED: Mapping[type[Payload], str] = {
    av.ServiceMoved: "the same service at another address",
    av.SimReplaced: "the same number on another SIM",
    av.PackageExpired: _SAID,
    av.BillIssued: "charges count as posted, whether or not they were put on a bill",
    av.DepositTaken: "a deposit stays the customer's and pays nothing",
    av.DepositReturned: "a deposit stays the customer's and pays nothing",
    av.InstalmentPlanAgreed: "the deadline of a charge is its due date (vocabulary); a plan moves none",
    av.ArrearsStarted: _SAID,
    av.ArrearsCleared: _SAID,
    pv.PartyRegistered: "who the party is; that its numbers are verified is asked of each registration",
    pv.PartyDetailsChanged: _DATA,
    pv.ProcessingRestricted: _DATA,
    pv.PersonalDataDisclosed: _DATA,
    pv.PersonalDataErased: _DATA,
    cv.EvidenceAttached: _CARE,
    cv.ApologyIssued: _CARE,
    cv.AppealFiled: _CARE,
    cv.AppealDecided: _CARE,
    cv.FindingRecorded: "what somebody found before is no fact of the conduct",
    cv.CorrectiveActionOpened: _CARE,
    cv.CorrectiveActionStepCompleted: _CARE,
    cv.CorrectiveActionClosed: _CARE,
}
"""Why no rule looks at an event type."""


def looked_at() -> Types:
    """Return every event type that some rule looks at."""
    return EVERY_RULE.union(*LOOKED_AT.values())
