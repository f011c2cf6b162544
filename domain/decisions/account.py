"""Decisions on an account's contract and its numbers."""

from collections.abc import Iterable

from domain.account import Account
from domain.account.state import Number
from domain.commands import account as cmd
from domain.commands.asking import Command, to_event
from domain.decisions.hearing import Decisions, Hearing, the
from domain.events import account as ev
from domain.refusals import Code, refuse

decisions: Decisions[Account] = Decisions()

PROOF_METHODS = frozenset({"in_person", "proxy"})
"""How a person is compared with the documents so that it counts (MIIT Order 25, in force 2013-09-01)."""


def of_holder(hearing: Hearing, account: Account, _c: Command) -> Iterable[str]:
    """Return the subjects of the account's party and of those it was merged into."""
    return hearing.person_subjects(account.party_id) if account.opened else ()


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


@decisions.on(cmd.TransferAccount)
def _transfer(_h: Hearing, a: Account, c: cmd.TransferAccount) -> ev.AccountTransferred:
    if c.to_party_id == a.party_id:
        refuse(
            Code.TRANSFER_SAME_PARTY,
            f"The party {a.party_id} holds the account already: name another.",
            party_id=a.party_id,
        )
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


@decisions.on(cmd.ActivateNumber, new_id=("number_id", _active_numbers), needs=of_holder)
def _activate(h: Hearing, a: Account, c: cmd.ActivateNumber) -> ev.NumberActivated:
    person = h.person(a.party_id)
    if any(c.registration_id in p.misused_registrations or c.number_id in p.misused_numbers for p in person):
        refuse(
            Code.REGISTRATION_MISUSED,
            f"Misuse is confirmed for the registration {c.registration_id}: verify a new one in person.",
            registration_id=c.registration_id,
        )
    proofs = [p.verifications[c.registration_id] for p in person if c.registration_id in p.verifications]
    if not any(v.result == "passed" and v.method in PROOF_METHODS and v.at <= h.asked.time for v in proofs):
        refuse(
            Code.REGISTRATION_NOT_VERIFIED,
            f"The registration {c.registration_id} needs a verification that passed,"
            " in person or by a proxy, before the number is activated.",
            registration_id=c.registration_id,
            method=proofs[-1].method if proofs else None,
            result=proofs[-1].result if proofs else None,
        )
    return to_event(ev.NumberActivated, c)


@decisions.on(cmd.DisownNumber, after=["terminated"])
def _disown(_h: Hearing, a: Account, c: cmd.DisownNumber) -> ev.NumberDisowned:
    _held_number(a, c.number_id, "active")
    return to_event(ev.NumberDisowned, c)


@decisions.on(cmd.PortInNumber, new_id=("number_id", _active_numbers))
def _port_in(_h: Hearing, _a: Account, c: cmd.PortInNumber) -> ev.NumberPortedIn:
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
