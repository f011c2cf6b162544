"""party/: the customer as a person or an organisation."""

from typing import Literal

from domain.events.fields import (
    AmountFen,
    Identifier,
    Identifiers,
    Payload,
    PersonalData,
    References,
    Text,
    event,
)

PartyKind = Literal["individual", "organisation"]
ContactKind = Literal["mobile", "landline", "email", "postal", "web_account"]
VerificationMethod = Literal["in_person", "proxy", "online", "none"]
VerificationResult = Literal["passed", "failed", "not_performed"]
AuditResult = Literal["clean", "suspect", "breach"]
InvalidationReason = Literal["abandoned", "recycled", "wrong_number", "moved"]
BlacklistRemovalReason = Literal["arrears_cleared", "entered_in_error", "debt_void", "retention_lapsed"]


@event("party", opens=True)
class PartyRegistered(Payload):
    """A person or organisation became known. `id_hash` is found by its keyed hash, never in clear."""

    kind: PartyKind
    id_type: Text
    id_hash: PersonalData
    name: PersonalData
    id_number: PersonalData
    address: PersonalData


@event("party")
class PartyDetailsChanged(Payload):
    """Name, address or identity number were changed; what is absent stayed as it was."""

    name: PersonalData | None = None
    address: PersonalData | None = None
    id_number: PersonalData | None = None


@event("party")
class PartyMerged(Payload):
    """This party turned out to be another one, which goes on."""

    into_party_id: Identifier


@event("party")
class IdentityVerified(Payload):
    """Somebody compared, or did not compare, the person with the documents for one registration."""

    registration_id: Identifier
    method: VerificationMethod
    result: VerificationResult
    dealer_id: Identifier | None = None
    staff_id: Identifier | None = None


@event("party")
class RegistrationAudited(Payload):
    """A registration's papers were looked at again."""

    registration_id: Identifier
    result: AuditResult


@event("party")
class IdentityMisuseConfirmed(Payload):
    """Registrations in this party's name were made by somebody else with their documents."""

    registration_ids: Identifiers
    numbers: Identifiers
    dealer_id: Identifier | None = None
    case_id: Identifier | None = None


@event("party")
class ContactPointAdded(Payload):
    """An address or number under which the party can be reached."""

    contact_point_id: Identifier
    kind: ContactKind
    value: PersonalData


@event("party")
class ContactPointInvalidated(Payload):
    """The contact point no longer reaches the party."""

    contact_point_id: Identifier
    reason: InvalidationReason


@event("party", endogenous=True)
class BlacklistEntryAdded(Payload):
    """The party was put on the blacklist for a debt on an account."""

    entry_id: Identifier
    basis_account_id: Identifier
    amount_fen: AmountFen
    basis_event_ids: References
    notice_id: Identifier | None = None


@event("party", endogenous=True)
class BlacklistEntryRemoved(Payload):
    """A blacklist entry was taken off."""

    entry_id: Identifier
    reason: BlacklistRemovalReason


@event("party", endogenous=True)
class SignUpRefused(Payload):
    """A sign-up was refused, perhaps on a blacklist entry."""

    reason: Text
    entry_id: Identifier | None = None


@event("party")
class ProcessingRestricted(Payload):
    """Processing of the party's data was restricted."""

    scope: Text
    legal_basis: Text


@event("party")
class PersonalDataDisclosed(Payload):
    """Somebody was shown personal data in clear, for a stated purpose."""

    fields: Identifiers
    purpose: Text
    case_id: Identifier | None = None


@event("party")
class PersonalDataErased(Payload):
    """The party's key was destroyed, and the personal data with it."""

    legal_basis: Text
