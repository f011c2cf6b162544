"""Decisions on an account's contract and its numbers."""

from collections.abc import Iterable

from domain.account import Account
from domain.account.state import Number
from domain.commands import account as cmd
from domain.commands.asking import Command, to_event
from domain.dealer import Dealer
from domain.decisions.hearing import Decisions, Hearing, the
from domain.events import account as ev
from domain.party import Party, Verification
from domain.refusals import Code, refuse

decisions: Decisions[Account] = Decisions()

PROOF_METHODS = frozenset({"in_person", "proxy"})
"""How a person is compared with the documents so that it counts (MIIT Order 25, in force 2013-09-01)."""


def of_holder(hearing: Hearing, account: Account, _c: Command) -> Iterable[str]:
    """Return the subjects of the account's party and of those it was merged into."""
    return hearing.person_subjects(account.party_id) if account.opened else ()


# -- how a person was compared with the documents -----------------------------------------------------------


def proves(hearing: Hearing, verification: Verification) -> bool:
    """Whether a verification passed, in person or by a proxy, and was known when it is relied on."""
    time = hearing.asked.time
    return (
        verification.result == "passed"
        and verification.method in PROOF_METHODS
        and max(verification.at, verification.recorded_at) <= time
    )


def _blocked_dealer(hearing: Hearing, verification: Verification) -> str | None:
    """Return the dealer who made a verification, where that dealer is blocked."""
    dealer = hearing.states.get(f"dealer/{verification.dealer_id}")
    blocked = isinstance(dealer, Dealer) and dealer.blocked_since is not None
    return verification.dealer_id if blocked else None


def _verified_by(person: Iterable[Party], registration_id: str | None = None) -> Iterable[str]:
    """Yield the subjects of the dealers who verified a person, for one registration or for any."""
    for party in person:
        for verification in party.verifications.values():
            if verification.dealer_id and registration_id in (None, verification.registration_id):
                yield f"dealer/{verification.dealer_id}"


def _check_verified(hearing: Hearing, party_id: str) -> None:
    """Refuse where no verification of a party stands on which it could take numbers over."""
    person = hearing.person(party_id)
    misused = {r for p in person for r in p.misused_registrations}
    for verification in (v for p in person for v in p.verifications.values()):
        if (
            proves(hearing, verification)
            and verification.registration_id not in misused
            and _blocked_dealer(hearing, verification) is None
        ):
            return
    refuse(
        Code.HOLDER_NOT_VERIFIED,
        f"Verify the party {party_id} first, in person or by a proxy, and not by a dealer who is blocked.",
        party_id=party_id,
    )


# -- the contract -------------------------------------------------------------------------------------------


@decisions.on(cmd.OpenAccount)
def _open(_h: Hearing, _a: Account, c: cmd.OpenAccount) -> ev.AccountOpened:
    return to_event(ev.AccountOpened, c)


@decisions.on(cmd.MigrateAccount)
def _migrate(_h: Hearing, a: Account, c: cmd.MigrateAccount) -> ev.AccountMigrated:
    if a.legacy is not None:
        refuse(
            Code.ACCOUNT_ALREADY_MIGRATED,
            f"The account came from {a.legacy['legacy_system']} {a.legacy['legacy_id']}: that stays.",
            legacy_system=str(a.legacy["legacy_system"]),
            legacy_id=str(a.legacy["legacy_id"]),
        )
    return to_event(ev.AccountMigrated, c)


def _new_holder(h: Hearing, _a: Account, c: cmd.TransferAccount) -> Iterable[str]:
    return _verified_by(h.person(c.to_party_id))


@decisions.on(cmd.TransferAccount, needs=_new_holder)
def _transfer(h: Hearing, a: Account, c: cmd.TransferAccount) -> ev.AccountTransferred:
    if c.to_party_id == a.party_id:
        refuse(
            Code.TRANSFER_SAME_PARTY,
            f"The party {a.party_id} holds the account already: name another.",
            party_id=a.party_id,
        )
    if _active_numbers(a):
        _check_verified(h, c.to_party_id)
    return to_event(ev.AccountTransferred, c, from_party_id=a.party_id)


@decisions.on(cmd.MoveService)
def _move(_h: Hearing, _a: Account, c: cmd.MoveService) -> ev.ServiceMoved:
    return to_event(ev.ServiceMoved, c)


# -- numbers ------------------------------------------------------------------------------------------------


def _active_numbers(a: Account) -> set[str]:
    """Return the ids in use; a number that was given up may come back."""
    return {n.number_id for n in a.numbers.values() if n.status == "active"}


def _held_number(a: Account, number_id: str, *statuses: str) -> Number:
    number = the(a.numbers, number_id, Code.NUMBER_NOT_FOUND, "number")
    if number.status not in statuses:
        refuse(
            Code.NUMBER_NOT_ACTIVE,
            f"The number {number_id} is {number.status}: it should be {' or '.join(statuses)}.",
            id=number_id,
            status=number.status,
        )
    return number


def _registrars(h: Hearing, a: Account, c: cmd.ActivateNumber) -> Iterable[str]:
    yield from of_holder(h, a, c)
    yield from _verified_by(h.person(a.party_id), c.registration_id)


@decisions.on(cmd.ActivateNumber, new_id=("number_id", _active_numbers), needs=_registrars)
def _activate(h: Hearing, a: Account, c: cmd.ActivateNumber) -> ev.NumberActivated:
    person = h.person(a.party_id)
    if any(c.registration_id in p.misused_registrations or c.number_id in p.misused_numbers for p in person):
        refuse(
            Code.REGISTRATION_MISUSED,
            f"Misuse is confirmed for the registration {c.registration_id}: verify a new one in person.",
            registration_id=c.registration_id,
        )
    proofs = [p.verifications[c.registration_id] for p in person if c.registration_id in p.verifications]
    for dealer_id in filter(None, (_blocked_dealer(h, v) for v in proofs)):
        refuse(
            Code.REGISTRATION_DEALER_BLOCKED,
            f"The dealer {dealer_id}, who is blocked, made the registration {c.registration_id}:"
            " verify a new one in person.",
            registration_id=c.registration_id,
            dealer_id=dealer_id,
        )
    if not any(proves(h, v) for v in proofs):
        refuse(
            Code.REGISTRATION_NOT_VERIFIED,
            f"The registration {c.registration_id} needs a verification that passed,"
            " in person or by a proxy, and was recorded before the number is activated.",
            registration_id=c.registration_id,
            method=proofs[-1].method if proofs else None,
            result=proofs[-1].result if proofs else None,
        )
    return to_event(ev.NumberActivated, c)


@decisions.on(cmd.DisownNumber, after=["terminated"])
def _disown(_h: Hearing, a: Account, c: cmd.DisownNumber) -> ev.NumberDisowned:
    _held_number(a, c.number_id, "active")
    return to_event(ev.NumberDisowned, c)


def _holder_and_registrars(h: Hearing, a: Account, c: cmd.PortInNumber) -> Iterable[str]:
    yield from of_holder(h, a, c)
    yield from _verified_by(h.person(a.party_id))


@decisions.on(cmd.PortInNumber, new_id=("number_id", _active_numbers), needs=_holder_and_registrars)
def _port_in(h: Hearing, a: Account, c: cmd.PortInNumber) -> ev.NumberPortedIn:
    _check_verified(h, a.party_id)
    return to_event(ev.NumberPortedIn, c)


@decisions.on(cmd.PortOutNumber)
def _port_out(_h: Hearing, a: Account, c: cmd.PortOutNumber) -> ev.NumberPortedOut:
    _held_number(a, c.number_id, "active")
    return to_event(ev.NumberPortedOut, c)


@decisions.on(cmd.ReplaceSim)
def _replace_sim(_h: Hearing, a: Account, c: cmd.ReplaceSim) -> ev.SimReplaced:
    _held_number(a, c.number_id, "active")
    return to_event(ev.SimReplaced, c)


@decisions.on(cmd.ReleaseNumber, after=["terminated"])
def _release(_h: Hearing, a: Account, c: cmd.ReleaseNumber) -> ev.NumberReleased:
    _held_number(a, c.number_id, "active", "disowned")
    return to_event(ev.NumberReleased, c)
