"""Numbers and the dealers who register them: verified before they go live, audited within the year."""

from api.population.chronicle import AUDITORS, HEAD, STORE, Chronicle
from api.population.contracts import Contract
from api.population.people import Person

AUDITED_WITHIN_DAYS = 350


def authorise(chronicle: Chronicle, dealer_id: str, manager_id: str, day: int) -> None:
    """Authorise a dealer."""
    data = {"name": f"代理点 {dealer_id}", "manager_id": manager_id}
    chronicle.note(f"dealer/{dealer_id}", "DealerAuthorised", (day, 10), data, by=HEAD)


def verify(person: Person, registration_id: str, day: int, minute: int, dealer_id: str | None) -> str:
    """Compare the person with their documents; return the event's id. What a dealer did is audited later."""
    data = {
        "registration_id": registration_id,
        "method": "in_person" if person.chance.happens(0.95) else "proxy",
        "result": "passed",
    }
    by = STORE
    if dealer_id is None:
        data["staff_id"] = "S-01"
    else:
        data["dealer_id"] = dealer_id
        by = (f"dealer/{dealer_id}", "dealer")
    return person.note("IdentityVerified", (day, minute), data, by)


def audit(person: Person, registration_id: str, registered: int) -> None:
    """Look at a dealer's registration again, within a year of it and while the years last."""
    day = min(registered + person.chance.between(30, AUDITED_WITHIN_DAYS), person.years.last)
    data = {"registration_id": registration_id, "result": "clean"}
    person.note("RegistrationAudited", (day, 650), data, AUDITORS)


def activate(contract: Contract, dealer_id: str | None) -> str:
    """Register a number and let it go live; return the number's id."""
    chance, day, person = contract.chance, contract.plan.opened, contract.person
    registration_id, number_id = f"{contract.account_id}-R", f"{contract.account_id}-NR"
    verify(person, registration_id, day, 590, dealer_id)
    data = {
        "number": f"13{chance.between(10**8, 10**9 - 1)}",
        "number_id": number_id,
        "registration_id": registration_id,
    }
    by = STORE
    if dealer_id is not None:
        data["dealer_id"] = dealer_id
        by = (f"dealer/{dealer_id}", "dealer")
        audit(person, registration_id, day)
    if chance.happens(0.04):
        came = {"number_id": number_id, "other_operator": "another operator"}
        contract.note("NumberPortedIn", (day, 599), came)
    contract.note("NumberActivated", (day, 600), data, by)
    if chance.happens(0.05) and day + 60 < contract.years.last:
        replaced = {"number_id": number_id, "reason": chance.one(("lost", "damaged", "upgrade"))}
        contract.note("SimReplaced", (day + chance.between(20, 60), 660), replaced, person.by)
    return number_id


def give_up(contract: Contract, number_id: str, day: int) -> None:
    """Let a number of an account that ended go to another operator, or back to where it may be given out again."""
    if contract.chance.happens(0.3):
        gone = {"number_id": number_id, "other_operator": "another operator"}
        contract.note("NumberPortedOut", (day, 8), gone)
        return
    released = {"number_id": number_id, "reusable_from": contract.day(day + 90)}
    contract.note("NumberReleased", (day, 30), released)
