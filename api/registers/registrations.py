"""The addresses of registrations: each with its audit, the numbers of each identity, and what dealers registered."""

from typing import Literal

from pydantic import BaseModel
from starlette.responses import Response

from api.access.principal import INVESTIGATE_READ
from api.reading import Projection
from api.registers.asking import Id, Listing, Paged, Reading, described, today
from api.requests import audience
from projections.registrations import (
    DEALER_KEY,
    DEALER_SORTS,
    KEY,
    PERSON_KEY,
    PERSON_SORTS,
    SORTS,
    Registrations,
    dealers,
    persons,
    registrations,
)

router = audience("registers", INVESTIGATE_READ)
REGISTRATIONS = Listing("registrations", Registrations.name, SORTS, KEY)
IDENTITIES = Listing("identities", Registrations.name, PERSON_SORTS, PERSON_KEY)
DEALERS = Listing("dealers", Registrations.name, DEALER_SORTS, DEALER_KEY)
Audit = Literal["done", "late", "due", "missed", "not_required"]


class RegistrationRow(BaseModel):
    """A registration; those by dealers have to be audited by `audit_due_on`."""

    party_id: str
    registration_id: str
    region: str
    dealer_id: str | None
    method: str | None
    result: str | None
    registered_on: str | None
    audit_due_on: str | None
    audited_on: str | None
    audit_result: str | None
    misuse_on: str | None
    numbers_activated: int
    numbers_held: int
    audit: Audit


class RegistrationPage(BaseModel):
    """A page of registrations."""

    registrations: list[RegistrationRow]
    next: str | None
    projection: Projection


class IdentityRow(BaseModel):
    """The numbers a person holds, under whatever parties. `numbers_max` is null where no limit holds."""

    person_id: str
    region: str | None
    parties: list[str]
    numbers_held: int
    accounts: int
    registrations: int
    last_activated_on: str | None
    numbers_max: int | None
    over_limit: bool
    activated_over_limit: int


class IdentityPage(BaseModel):
    """A page of persons."""

    identities: list[IdentityRow]
    next: str | None
    projection: Projection


class DealerRow(BaseModel):
    """What a dealer registered, and the gaps in its audits."""

    dealer_id: str
    registrations: int
    parties: int
    numbers_activated: int
    numbers_held: int
    unverified: int
    misused: int
    audits_done: int
    audits_late: int
    audits_due: int
    audits_missed: int
    next_audit_due_on: str | None
    last_registered_on: str


class DealerPage(BaseModel):
    """A page of dealers."""

    dealers: list[DealerRow]
    next: str | None
    projection: Projection


_REGISTRATION = {
    "party_id": "P-HRB",
    "registration_id": "R-1",
    "region": "heilongjiang.harbin",
    "dealer_id": "D-17",
    "method": "none",
    "result": "not_performed",
    "registered_on": "2013-10-08",
    "audit_due_on": "2014-10-08",
    "audited_on": "2014-12-13",
    "audit_result": "breach",
    "misuse_on": "2014-12-13",
    "numbers_activated": 1,
    "numbers_held": 1,
    "audit": "late",
}
_IDENTITY = {
    "person_id": "P-HRB",
    "region": "heilongjiang.harbin",
    "parties": ["P-HRB"],
    "numbers_held": 6,
    "accounts": 6,
    "registrations": 6,
    "last_activated_on": "2013-11-12",
    "numbers_max": 5,
    "over_limit": True,
    "activated_over_limit": 0,
}
_DEALER = {
    "dealer_id": "D-17",
    "registrations": 6,
    "parties": 1,
    "numbers_activated": 6,
    "numbers_held": 6,
    "unverified": 6,
    "misused": 6,
    "audits_done": 0,
    "audits_late": 6,
    "audits_due": 0,
    "audits_missed": 0,
    "next_audit_due_on": None,
    "last_registered_on": "2013-11-12",
}


@router.get(
    "/registrations",
    summary="Registrations with their verification and audit, a page at a time",
    description="`audit` is done (in time), late, due (time is left), missed, or not_required where no dealer made it.",
    operation_id="register_registrations",
    response_model=RegistrationPage,
    responses=described(Registrations.name, {"registrations": [_REGISTRATION], "next": None}),
)
async def register(
    *,
    reader: Reading,
    page: Paged,
    audit: Audit | None = None,
    misused: bool | None = None,
    party_id: Id = None,
    dealer_id: Id = None,
    sort: Literal[
        "audit_due_on", "-audit_due_on", "registered_on", "-registered_on", "numbers_held", "-numbers_held",
        "dealer_id", "-dealer_id", "party_id", "-party_id",
    ] = "audit_due_on",
) -> Response:  # fmt: skip
    """Return a page of registrations."""
    given = {"audit": audit, "misused": misused, "party_id": party_id, "dealer_id": dealer_id}
    return await REGISTRATIONS.answer(
        reader,
        page,
        sort,
        given,
        lambda ledger, now, w, part: registrations(ledger, today(ledger, now), w, part),
    )


@router.get(
    "/identities",
    summary="The numbers each person holds, against the limit of today; a page at a time",
    description="A person is a party with those merged into it and those registered with the same identity document,"
    " which is known by its keyed hash alone.",
    operation_id="register_identities",
    response_model=IdentityPage,
    responses=described(Registrations.name, {"identities": [_IDENTITY], "next": None}),
)
async def identities(
    *,
    reader: Reading,
    page: Paged,
    over_limit: bool | None = None,
    party_id: Id = None,
    sort: Literal[
        "numbers_held", "-numbers_held", "registrations", "-registrations", "person_id", "-person_id"
    ] = "-numbers_held",
) -> Response:
    """Return a page of persons."""
    given = {"over_limit": over_limit, "party_id": party_id}
    return await IDENTITIES.answer(
        reader, page, sort, given, lambda ledger, now, w, part: persons(ledger, today(ledger, now), w, part)
    )


@router.get(
    "/dealers",
    summary="What each dealer registered: numbers, misuses and gaps in the audits; a page at a time",
    operation_id="register_dealers",
    response_model=DealerPage,
    responses=described(Registrations.name, {"dealers": [_DEALER], "next": None}),
)
async def by_dealer(
    *,
    reader: Reading,
    page: Paged,
    dealer_id: Id = None,
    sort: Literal[
        "registrations", "-registrations", "audits_missed", "-audits_missed", "misused", "-misused",
        "numbers_held", "-numbers_held", "dealer_id", "-dealer_id",
    ] = "-audits_missed",
) -> Response:  # fmt: skip
    """Return a page of dealers."""
    return await DEALERS.answer(
        reader,
        page,
        sort,
        {"dealer_id": dealer_id},
        lambda ledger, now, w, part: dealers(ledger, today(ledger, now), w, part),
    )
