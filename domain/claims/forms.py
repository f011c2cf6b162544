"""What a customer may assert: a small, closed set of forms, each a JSON object whose `claim` names it.

Days are dates; `since` and `until` are the first and the last day of a time, both included, and open where they
are not given. `account_id` narrows a claim to one of the customer's accounts. `text` is for the person who
reads: it is echoed and nothing is made of it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, TypeVar, cast, dataclass_transform

from pydantic import Field, TypeAdapter, ValidationError

from domain.events.fields import (
    AmountFen,
    Day,
    ExpiryOption,
    Identifier,
    MalformedError,
    NoticeChannel,
    NoticePurpose,
    PositiveAmountFen,
    Reference,
    SignedAmountFen,
    Text,
    problems_of,
    value,
)

CLAIMS_MAX = 200  # what a customer asserts in one dispute; more is a document, not a list of facts
TEXT_MAX_CHARS = 500  # a sentence of the customer's own
STAFF_MAX = 1_000

Staff = Annotated[int, Field(strict=True, ge=1, le=STAFF_MAX)]


@value
class Claim:
    """What every form has."""

    NAME: ClassVar[str]
    NEVER: ClassVar[bool]
    """Whether it asserts that something did not happen."""

    text: Annotated[Text, Field(max_length=TEXT_MAX_CHARS)] | None = None


@value
class OnAccount(Claim):
    """A claim about the customer's accounts, or about one of them."""

    account_id: Identifier | None = None


@value
class Within(OnAccount):
    """A claim about a time on the customer's accounts."""

    since: Day | None = None
    until: Day | None = None

    def __post_init__(self) -> None:
        if self.since is not None and self.until is not None and self.until < self.since:
            raise MalformedError("until", "should not be before since")


FORMS: dict[str, type[Claim]] = {}
"""Every form by its name, in the order of the documentation."""

T = TypeVar("T", bound=type)


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(Field,))
def form(name: str, *, never: bool = False) -> Callable[[T], T]:
    """Make a class a form of claim, known by a name; its docstring says what it asserts."""

    def register(cls: T) -> T:
        made: Any = value(cls)
        made.NAME, made.NEVER = name, never
        FORMS[name] = made
        return cast("T", made)

    return register


# -- money


@form("paid")
class Paid(OnAccount):
    """A sum was paid, counting from a day, in one payment or several that day."""

    amount_fen: PositiveAmountFen
    on: Day
    method: Text | None = None
    external_ref: Reference | None = None


@form("never_paid", never=True)
class NeverPaid(Within):
    """The customer paid nothing in that time."""


@form("owed")
class Owed(OnAccount):
    """So much was owed at the end of a day (0: nothing; negative: a credit)."""

    amount_fen: SignedAmountFen
    on: Day


@form("was_charged")
class WasCharged(Within):
    """A charge or late fee of so much was posted."""

    amount_fen: AmountFen


# -- the end of a package


@form("chose")
class Chose(OnAccount):
    """The customer themself chose what happens at a package's end, on `by` at the latest."""

    option: ExpiryOption
    package_id: Identifier | None = None
    by: Day | None = None


@form("never_chose", never=True)
class NeverChose(OnAccount):
    """The customer themself never chose this; without `option`, never chose at all."""

    option: ExpiryOption | None = None
    package_id: Identifier | None = None


@form("was_presented_options")
class WasPresentedOptions(OnAccount):
    """All three handlings at a package's end were shown to the customer."""

    package_id: Identifier | None = None


@form("never_presented_options", never=True)
class NeverPresentedOptions(OnAccount):
    """The handlings at a package's end were never shown to the customer."""

    package_id: Identifier | None = None


# -- notices


@form("was_notified")
class WasNotified(Within):
    """A notice reached the customer; an attempt, or a delivery to a dead number, does not."""

    purpose: NoticePurpose | None = None
    channel: NoticeChannel | None = None


@form("never_notified", never=True)
class NeverNotified(Within):
    """No notice reached the customer in that time."""

    purpose: NoticePurpose | None = None
    channel: NoticeChannel | None = None


# -- what the customer asked for


@form("requested")
class Requested(Within):
    """The customer asked for this."""

    what: Literal["cancellation", "plan_change"]


@form("never_requested", never=True)
class NeverRequested(Within):
    """The customer never asked for this."""

    what: Literal["cancellation", "plan_change"]


# -- numbers and identity


@form("opened_number")
class OpenedNumber(OnAccount):
    """The customer opened this number, named by itself or its registration."""

    number_id: Identifier | None = None
    registration_id: Identifier | None = None

    def __post_init__(self) -> None:
        if self.number_id is None and self.registration_id is None:
            raise MalformedError("number_id", "should be given, or else registration_id")


@form("never_opened_number", never=True)
class NeverOpenedNumber(OnAccount):
    """The customer did not open this number; without either id, none at all."""

    number_id: Identifier | None = None
    registration_id: Identifier | None = None


@form("was_verified")
class WasVerified(Claim):
    """The customer's identity was verified, for this registration or for any."""

    registration_id: Identifier | None = None


@form("never_verified", never=True)
class NeverVerified(Claim):
    """The customer's identity was never verified, for this registration or for any."""

    registration_id: Identifier | None = None


# -- service and standing


@form("was_suspended")
class WasSuspended(OnAccount):
    """The service stood suspended at some time of a day."""

    on: Day


@form("was_not_suspended", never=True)
class WasNotSuspended(OnAccount):
    """The service did not stand suspended, all that day."""

    on: Day


@form("was_blacklisted")
class WasBlacklisted(Claim):
    """The customer stood on the blacklist at some time of a day."""

    on: Day


@form("was_not_blacklisted", never=True)
class WasNotBlacklisted(Claim):
    """The customer did not stand on the blacklist, all that day."""

    on: Day


# -- complaints


@form("complained")
class Complained(Claim):
    """The customer complained on a day."""

    on: Day
    case_id: Identifier | None = None


@form("was_answered")
class WasAnswered(Claim):
    """The customer's complaint was answered, by the end of a day."""

    by: Day
    case_id: Identifier | None = None


@form("was_not_answered", never=True)
class WasNotAnswered(Claim):
    """The customer's complaint was not answered by the end of a day."""

    by: Day
    case_id: Identifier | None = None


@form("contacted_by")
class ContactedBy(Claim):
    """At least so many different members of staff contacted the customer about a complaint."""

    staff: Staff
    since: Day | None = None
    until: Day | None = None
    case_id: Identifier | None = None

    def __post_init__(self) -> None:
        if self.since is not None and self.until is not None and self.until < self.since:
            raise MalformedError("until", "should not be before since")


# -- reading and describing them


@dataclass(frozen=True, slots=True)
class Asserted:
    """A claim, and the JSON object it came as."""

    claim: Claim
    given: Mapping[str, Any]


_ADAPTERS: dict[str, TypeAdapter[Any]] = {}


def parse_claims(raw: object) -> list[Asserted]:
    """Return the claims of a JSON list; raises MalformedError that names the claim by its index, and the field."""
    if not isinstance(raw, list) or len(raw) > CLAIMS_MAX:
        raise MalformedError("claims", f"should be a list of at most {CLAIMS_MAX} claims")
    return [_parsed(given, f"claims[{index}]") for index, given in enumerate(raw)]


def _parsed(given: object, where: str) -> Asserted:
    if not isinstance(given, dict):
        raise MalformedError(where, "should be an object")
    name = given.get("claim")
    if not isinstance(name, str) or name not in FORMS:
        raise MalformedError(f"{where}.claim", f"should be one of {', '.join(FORMS)}")
    try:
        claim = _adapter(name).validate_python({k: v for k, v in given.items() if k != "claim"})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        cause = first.get("ctx", {}).get("error")
        if isinstance(cause, MalformedError) and not first["loc"]:
            raise MalformedError(f"{where}.{cause.problem.field}", cause.problem.reason) from None
        if first["type"] == "unexpected_keyword_argument":
            names = ", ".join(n for n, _ in fields_of(FORMS[name]))
            raise MalformedError(where, f"should have no fields but claim, {names}") from None
        problem = problems_of(error, where)[0]
        raise MalformedError(problem.field, problem.reason) from None
    return Asserted(claim, given)


def _adapter(name: str) -> TypeAdapter[Any]:
    found = _ADAPTERS.get(name)
    if found is None:
        found = _ADAPTERS[name] = TypeAdapter(FORMS[name])
    return found


def fields_of(kind: type[Claim]) -> list[tuple[str, bool]]:
    """Return a form's fields in their order, and whether each has to be given; those of every form come last."""
    fields: Mapping[str, Any] = kind.__pydantic_fields__  # type: ignore[attr-defined]
    own = [name for name in fields if name not in ("text", "account_id", "since", "until")]
    shared = [n for n in ("since", "until", "account_id", "text") if n in fields]
    return [(name, fields[name].is_required()) for name in (*own, *shared)]


def table() -> str:
    """Return the forms as text, one a line: the name, its fields (those in brackets may be left out), its meaning."""
    lines = []
    for name, kind in FORMS.items():
        fields = " ".join(
            field if required else f"[{field}]" for field, required in fields_of(kind) if field != "text"
        )
        lines += [f"  {name} {fields}".rstrip(), f"      {(kind.__doc__ or '').strip()}"]
    return "\n".join(lines)


def schema() -> dict[str, Any]:
    """Return the JSON schema of a list of claims."""
    return {"type": "array", "maxItems": CLAIMS_MAX, "items": {"oneOf": [_schema(name) for name in FORMS]}}


def _schema(name: str) -> dict[str, Any]:
    made = _adapter(name).json_schema()
    return {
        **made,
        "title": name,
        "description": (FORMS[name].__doc__ or "").strip(),
        "properties": {"claim": {"const": name}, **made["properties"]},
        "required": ["claim", *made.get("required", [])],
    }
