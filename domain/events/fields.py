"""The field types that events and commands are made of, and the decorators that register them.

Every value is checked where it is made, whether it was typed by a clerk, decoded from the log or read from a
file, by one mechanism (pydantic), whose errors `problems_of` turns into a field's name and what would be
right, never the value itself: it may be personal data.

This module must not know any single event, and nothing of storage.
"""

import contextlib
import re
from collections.abc import Callable
from dataclasses import dataclass as plain_dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Literal, TypeVar, cast, dataclass_transform

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
)
from pydantic.dataclasses import dataclass as checked_dataclass

# -- limits -------------------------------------------------------------------------------------------------

IDENTIFIER_MAX_CHARS = 128  # longer than any identifier seen in billing systems, short enough for an index
SOURCE_MAX_CHARS = 512  # a source's URI
REFERENCE_MAX_CHARS = SOURCE_MAX_CHARS + 1 + IDENTIFIER_MAX_CHARS  # `source#id`, or a document reference
YEARS = range(1900, 2200)  # what lies outside is a typing error, and breaks time zones and databases
DAYS_KEPT = 20_000  # days that were read are kept: fifty years of them, some 3 MB
TEXT_MAX_CHARS = 4_000  # a clerk's summary; longer documents are attached, not typed
LIST_MAX_ITEMS = 1_000  # ids named by one event
PARAMETERS_MAX = 100  # parameters of a rule, or items of one: far more than any rule has
AMOUNT_MAX_FEN = 10**15  # ten trillion yuan: beyond any bill, and far inside 64 bits

# -- scalars ------------------------------------------------------------------------------------------------

Identifier = Annotated[
    str,
    StringConstraints(
        strict=True, min_length=1, max_length=IDENTIFIER_MAX_CHARS, pattern=r"^[^\s\x00-\x1f\x7f]+$"
    ),
]
"""An opaque identifier: no white space, no control characters."""

Reference = Annotated[
    str,
    StringConstraints(
        strict=True, min_length=1, max_length=REFERENCE_MAX_CHARS, pattern=r"^[^\x00-\x1f\x7f]+$"
    ),
]
"""A reference to an event (`id`, or `source#id`), a document, a receipt."""

Text = Annotated[
    str,
    StringConstraints(
        strict=True, min_length=1, max_length=TEXT_MAX_CHARS, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]+$"
    ),
]
"""Text a person wrote or reads."""

AmountFen = Annotated[
    int, Field(strict=True, ge=0, le=AMOUNT_MAX_FEN, description="CNY, in fen (100 = 1 yuan)")
]
"""Money in fen, never negative: the event's type says which way it goes."""

SignedAmountFen = Annotated[
    int, Field(strict=True, ge=-AMOUNT_MAX_FEN, le=AMOUNT_MAX_FEN, description="CNY, in fen")
]
"""Money in fen that may be a credit (a bill's total)."""

PositiveAmountFen = Annotated[int, Field(strict=True, gt=0, le=AMOUNT_MAX_FEN, description="CNY, in fen")]
"""Money in fen that a command asks to move: at least one fen."""

Count = Annotated[int, Field(strict=True, ge=0, le=1_000_000)]
PartsPerMillion = Annotated[int, Field(strict=True, ge=0, le=1_000_000)]
Flag = Annotated[bool, Field(strict=True)]

DAY_CHARS = 10
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}\Z", re.ASCII)
_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d{1,6})?([Zz]|[+-]\d{2}:\d{2})\Z", re.ASCII)


def parse_day(value: object) -> date:
    """Return the date of `YYYY-MM-DD`; raises ValueError that says so otherwise."""
    day = value if type(value) is date else None
    if isinstance(value, str) and len(value) == DAY_CHARS:  # what is longer is not kept
        day = _day_of(value)
    if day is None or day.year not in YEARS:
        raise ValueError(f"should be a date, YYYY-MM-DD, from {YEARS.start} to {YEARS.stop - 1}")
    return day


@lru_cache(maxsize=DAYS_KEPT)
def _day_of(text: str) -> date | None:
    """Return the date of a text that is one: the same days come again and again."""
    if _DAY.match(text):
        with contextlib.suppress(ValueError):
            return date.fromisoformat(text)
    return None


def parse_instant(value: object) -> datetime:
    """Return the aware datetime of an RFC 3339 time; raises ValueError that says so otherwise."""
    moment = value if isinstance(value, datetime) and value.tzinfo is not None else None
    if isinstance(value, str) and _INSTANT.match(value):
        with contextlib.suppress(ValueError):
            moment = datetime.fromisoformat(value.upper())
    if moment is None or moment.year not in YEARS:
        raise ValueError(
            "should be a time with offset, RFC 3339, at most microseconds, as 2014-12-09T11:00:00+08:00, "
            f"from {YEARS.start} to {YEARS.stop - 1}"
        )
    return moment


def normal(value: object) -> object:
    """Return a JSON value as it is compared with what arrived before: no nulls, times written one way."""
    if isinstance(value, dict):
        return {k: normal(v) for k, v in value.items() if v is not None}
    if isinstance(value, list):
        return [normal(v) for v in value]
    if isinstance(value, str) and _INSTANT.match(value):
        with contextlib.suppress(ValueError):
            return datetime.fromisoformat(value.upper()).isoformat()
    return value


def _reads(parse: Callable[[object], object], schema_format: str) -> tuple[object, ...]:
    schema = {"type": "string", "format": schema_format}
    return BeforeValidator(parse), WithJsonSchema(schema)


Day = Annotated[date, *_reads(parse_day, "date")]
"""A calendar day in the region's time zone; the end of a period is exclusive."""

Instant = Annotated[datetime, *_reads(parse_instant, "date-time")]
"""A moment, with its offset kept as it was given."""

# -- personal data ------------------------------------------------------------------------------------------


SEALED_WITH = "A256GCM"
"""How sealed values are encrypted, by its JOSE name: it stands beside each of them."""


@plain_dataclass(frozen=True, slots=True)
class Personal:
    """A value of personal data: in clear where it comes in, sealed where it is kept.

    `sealed` is base64 of nonce and ciphertext under the key `key_id`; `hmac` (only of an identity document's
    hash) is the hash keyed again with the deployment's key, by which it is found. Never printed in clear.
    """

    clear: str | None = None
    key_id: str | None = None
    sealed: str | None = None
    hmac: str | None = None

    def __repr__(self) -> str:
        return "<personal data>"

    def wire(self) -> str | dict[str, str]:
        """Return what stands in JSON: the clear text, or the sealed object."""
        if self.clear is not None:
            return self.clear
        if self.key_id is None or self.sealed is None:
            raise ValueError("personal data is neither clear nor sealed")
        sealed = {"alg": SEALED_WITH, "key": self.key_id, "sealed": self.sealed}
        return sealed if self.hmac is None else {**sealed, "hmac": self.hmac}


SEALED_MAX_CHARS = 4 * ((4 * TEXT_MAX_CHARS + 28 + 2) // 3)
"""The longest sealed text: 4 bytes a character at the most, nonce and tag, in base64."""
_TOKEN = re.compile(rf"[A-Za-z0-9+/=_.:-]{{1,{SEALED_MAX_CHARS}}}\Z", re.ASCII)
_TEXT = re.compile(r"[^\x00-\x08\x0b-\x1f\x7f]+\Z")


def is_sealed(value: object) -> bool:
    """Whether a JSON value has the form of sealed personal data."""
    if not isinstance(value, dict) or value.get("alg") != SEALED_WITH:
        return False
    return {"alg", "key", "sealed"} <= value.keys() <= {"alg", "key", "sealed", "hmac"}


def parse_personal(value: object) -> Personal:
    """Return personal data from clear text or from its sealed form; raises ValueError otherwise."""
    if isinstance(value, Personal):
        return value
    if isinstance(value, str):
        if 0 < len(value) <= TEXT_MAX_CHARS and _TEXT.match(value):
            return Personal(clear=value)
        raise ValueError(f"should be text of 1 to {TEXT_MAX_CHARS} characters without control characters")
    if is_sealed(value):
        assert isinstance(value, dict)
        parts = {str(k): v for k, v in value.items()}
        if all(isinstance(v, str) and _TOKEN.match(v) for v in parts.values()):
            return Personal(key_id=parts["key"], sealed=parts["sealed"], hmac=parts.get("hmac"))
    raise ValueError("should be text, or sealed personal data {alg, key, sealed}")


PersonalData = Annotated[
    Personal,
    BeforeValidator(parse_personal),
    PlainSerializer(lambda value: value.wire()),
    WithJsonSchema(
        {"type": "string", "description": "personal data; kept encrypted with the party's own key"}
    ),
]

# -- a rule's parameters ------------------------------------------------------------------------------------

PARAMETERS_DEPTH_MAX = 5  # lists and objects inside each other
PARAMETER_MAX = 2**63  # beyond it JSON readers make a float of a whole number, each its own


def parse_parameters(value: object) -> dict[str, Any]:
    """Return a rule's parameters: a JSON object of bounded size and depth; raises ValueError that says so."""
    if not isinstance(value, dict):
        raise ValueError("should be an object of parameters")  # noqa: TRY004 - the form every problem has
    _check_parameter(value, PARAMETERS_DEPTH_MAX)
    return value


def _check_parameter(value: object, depth: int) -> None:
    if isinstance(value, dict | list):
        if not depth:
            raise ValueError(f"should be at most {PARAMETERS_DEPTH_MAX} levels deep")
        if len(value) > PARAMETERS_MAX:
            raise ValueError(f"should have at most {PARAMETERS_MAX} entries in one place")
        for item in value.values() if isinstance(value, dict) else value:
            _check_parameter(item, depth - 1)
    elif isinstance(value, str):
        if len(value) > TEXT_MAX_CHARS:
            raise ValueError(f"should have texts of at most {TEXT_MAX_CHARS} characters")
    elif isinstance(value, int | float) and not -PARAMETER_MAX < value < PARAMETER_MAX:
        raise ValueError("should have numbers of at most 63 bits")


Parameters = Annotated[
    dict[str, Any],
    BeforeValidator(parse_parameters),
    WithJsonSchema({"type": "object", "additionalProperties": True}),
]

# -- the vocabulary's recurring enumerations ----------------------------------------------------------------

ExpiryOption = Literal["suspend", "convert_to_monthly", "renew_annual"]
SelectedBy = Literal["customer", "staff_default", "system_default"]
Cycle = Literal["annual", "monthly"]
LineOfBusiness = Literal["fixed_broadband", "mobile", "fixed_voice"]
LateFeeStart = Literal["after_due", "after_suspension"]
ChargeKind = Literal["package", "monthly", "usage", "installation", "equipment"]
NoticePurpose = Literal[
    "pre_expiry", "post_expiry", "arrears", "suspension", "termination", "blacklist", "renewal"
]
NoticeChannel = Literal["web_push", "sms", "call", "visit", "email", "letter", "app"]
HoldScope = Literal["late_fee", "suspension", "blacklist"]
Outcome = Literal["upheld", "partly_upheld", "rejected"]

Identifiers = Annotated[tuple[Identifier, ...], Field(max_length=LIST_MAX_ITEMS)]
References = Annotated[tuple[Reference, ...], Field(max_length=LIST_MAX_ITEMS)]

# -- how a type becomes part of the vocabulary --------------------------------------------------------------

StreamKind = Literal["party", "account", "dealer", "case", "rulebook"]
CHECKED = ConfigDict(
    defer_build=True,
    extra="forbid",
    hide_input_in_errors=True,
    arbitrary_types_allowed=True,
    validate_by_name=True,
    validate_by_alias=True,
)


class Payload:
    """What every event's data has in common: which stream it stands in, and where it comes from."""

    __slots__ = ()
    STREAM: ClassVar[StreamKind]
    ENDOGENOUS: ClassVar[bool]
    OPENS: ClassVar[bool]
    VERSION: ClassVar[int]
    PERSONAL: ClassVar[tuple[str, ...]]
    """Names of the fields that are personal data."""


REGISTRY: dict[str, type[Payload]] = {}
"""Every event type by its wire name."""

T = TypeVar("T", bound=type)


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(Field,))
def event(stream: StreamKind, *, endogenous: bool = False, opens: bool = False) -> Callable[[T], T]:
    """Make a class an event type of a stream: frozen, slotted, checked, and known by its name.

    `endogenous`: the operator's systems decided it, so the counterfactual replay derives it anew.
    `opens`: it may be the first event of its stream.
    """

    def register(cls: T) -> T:
        made: Any = checked_dataclass(frozen=True, slots=True, kw_only=True, config=CHECKED)(cls)
        made.STREAM, made.ENDOGENOUS, made.OPENS, made.VERSION = stream, endogenous, opens, 1
        made.PERSONAL = tuple(
            n for n, f in made.__pydantic_fields__.items() if "Personal" in str(f.annotation)
        )
        if REGISTRY.setdefault(cls.__name__, made) is not made:
            raise TypeError(f"two event types are named {made.__name__}")
        return cast("T", made)

    return register


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(Field,))
def value(cls: T) -> T:
    """Make a class a checked value that stands inside an event or a command."""
    return checked_dataclass(frozen=True, slots=True, kw_only=True, config=CHECKED)(cls)  # type: ignore[return-value]


# -- errors -------------------------------------------------------------------------------------------------


@plain_dataclass(frozen=True, slots=True)
class Problem:
    """A field that is not as it should be, and what would be right."""

    field: str
    reason: str


class MalformedError(ValueError):
    """Something that came in does not have the form it must have."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.problem = Problem(field, reason)


def problems_of(error: ValidationError, prefix: str = "") -> list[Problem]:
    """Return pydantic's findings as fields and reasons, without the offending values."""
    found = []
    for item in error.errors(include_url=False, include_context=True, include_input=False):
        where = ".".join([prefix, *map(str, item["loc"])] if prefix else map(str, item["loc"]))
        reason = {
            "missing": "is missing",
            "unexpected_keyword_argument": "is not a field of this type",
        }.get(item["type"], item["msg"].removeprefix("Value error, ").removeprefix("Input "))
        found.append(Problem(where or "(whole)", reason))
    return found
