"""What may be asked of a party: to be registered, verified, reached, listed, merged and forgotten."""

from domain.commands.asking import Command, SomeIdentifiers, command
from domain.events import party as ev
from domain.events.fields import Identifier, Identifiers, MalformedError, PersonalData, Text


@command("party", route="", opens=True, emits=(ev.PartyRegistered,))
class RegisterParty(Command):
    """Make a person or an organisation known."""

    kind: ev.PartyKind
    id_type: Text
    id_hash: PersonalData
    name: PersonalData
    id_number: PersonalData
    address: PersonalData


@command("party", route="details", emits=(ev.PartyDetailsChanged,))
class ChangePartyDetails(Command):
    """Change name, address or identity number; what is absent stays."""

    name: PersonalData | None = None
    address: PersonalData | None = None
    id_number: PersonalData | None = None

    def __post_init__(self) -> None:
        if self.name is None and self.address is None and self.id_number is None:
            raise MalformedError("name", "should be given, or else address or id_number")


@command("party", route="mergers", emits=(ev.PartyMerged,))
class MergeParty(Command):
    """Say that this party is another one, which goes on."""

    into_party_id: Identifier


@command("party", route="verifications", emits=(ev.IdentityVerified,))
class VerifyIdentity(Command):
    """Record how the person was compared with the documents for one registration."""

    registration_id: Identifier
    method: ev.VerificationMethod
    result: ev.VerificationResult
    dealer_id: Identifier | None = None
    staff_id: Identifier | None = None

    def __post_init__(self) -> None:
        if (self.method == "none") != (self.result == "not_performed"):
            raise MalformedError("result", "should be not_performed where the method is none, and only there")


@command("party", route="registration-audits", emits=(ev.RegistrationAudited,))
class AuditRegistration(Command):
    """Record that a registration's papers were looked at again."""

    registration_id: Identifier
    result: ev.AuditResult


@command("party", route="misuse-confirmations", emits=(ev.IdentityMisuseConfirmed,))
class ConfirmIdentityMisuse(Command):
    """Confirm that registrations in this party's name were made by somebody else with their documents."""

    registration_ids: Identifiers = ()
    numbers: Identifiers = ()
    dealer_id: Identifier | None = None
    case_id: Identifier | None = None

    def __post_init__(self) -> None:
        if not self.registration_ids and not self.numbers:
            raise MalformedError("registration_ids", "should name a registration, or else numbers a number")


@command("party", route="contact-points", emits=(ev.ContactPointAdded,))
class AddContactPoint(Command):
    """Add an address or number under which the party can be reached."""

    contact_point_id: Identifier
    kind: ev.ContactKind
    value: PersonalData


@command("party", route="contact-point-invalidations", emits=(ev.ContactPointInvalidated,))
class InvalidateContactPoint(Command):
    """Say that a contact point no longer reaches the party."""

    contact_point_id: Identifier
    reason: ev.InvalidationReason


@command("party", route="blacklist-entries", emits=(ev.BlacklistEntryAdded,))
class AddBlacklistEntry(Command):
    """Put the party on the blacklist for an account's debt.

    The amount and the charges it rests on are computed. Without `notice_id` a notice that fits is looked for.
    """

    entry_id: Identifier
    basis_account_id: Identifier
    notice_id: Identifier | None = None


@command("party", route="blacklist-removals", emits=(ev.BlacklistEntryRemoved,))
class RemoveBlacklistEntry(Command):
    """Take an entry off the blacklist."""

    entry_id: Identifier
    reason: ev.BlacklistRemovalReason


@command("party", route="sign-up-refusals", emits=(ev.SignUpRefused,))
class RefuseSignUp(Command):
    """Refuse a sign-up, perhaps on a blacklist entry."""

    reason: Text
    entry_id: Identifier | None = None


@command("party", route="processing-restrictions", emits=(ev.ProcessingRestricted,))
class RestrictProcessing(Command):
    """Restrict the processing of the party's data."""

    scope: Text
    legal_basis: Text


@command("party", route="disclosures", emits=(ev.PersonalDataDisclosed,))
class DisclosePersonalData(Command):
    """Show somebody personal data in clear, for a stated purpose."""

    fields: SomeIdentifiers
    purpose: Text
    case_id: Identifier | None = None


@command("party", route="erasures", emits=(ev.PersonalDataErased,))
class ErasePersonalData(Command):
    """Destroy the party's key, and the personal data with it."""

    legal_basis: Text
