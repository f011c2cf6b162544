"""What a policy may name as due: a command to ask, a notice to send, or a task for a person."""

from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from domain.commands.asking import Command
from domain.events.fields import Payload

TaskKind = Literal[
    "price_missing",
    "charge_without_basis",
    "charge_too_old",
    "misused_number",
    "not_reached",
    "renewal_notice_missing",
    "complaint_answer_due",
    "remedy_due",
]
"""Why a person has to act: no policy can."""


@dataclass(frozen=True, slots=True)
class NoticeRequest:
    """A notice that should go out: to be queued, and attempted only when a gateway takes it.

    `notice_id` follows from what the notice is for and by which channel, so that asking twice is asking once.
    `contact_point_id` is absent where the channel needs none on record (a visit, a push). After `useful_until`
    it is no longer sent.
    """

    account_id: str
    notice_id: str
    purpose: str
    channel: str
    contact_point_id: str | None
    package_id: str | None
    charge_ids: tuple[str, ...] | None
    useful_until: date


@dataclass(frozen=True, slots=True)
class Task:
    """Something that is due and that only a person can do; `due_on` is the last day for it, where there is one."""

    kind: TaskKind
    subject: str
    what: str
    due_on: date | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """A command that is due, and the stream it is asked of."""

    subject: str
    command: Command


Due = Order | NoticeRequest | Task


@dataclass(slots=True)
class Prices:
    """Figures of the contract that a policy may use, and never invents."""

    conversions: dict[str, tuple[str, int]] = field(default_factory=dict)
    """By package: the monthly offer and its price in fen."""
    renewals: dict[str, int] = field(default_factory=dict)
    """By package: the price in fen of another year."""


@dataclass(slots=True)
class Handling:
    """What a package's end leads to: the option, and whose it is."""

    option: str
    assumed: bool
    chosen_on: date | None = None
    """When the customer's choice was on record, where it is theirs."""


@dataclass(slots=True)
class Missing:
    """Something that is due but lacks a figure: a person has to say it."""

    on: date
    what: str


Happening = Payload | Missing
"""What the calendar alone brings about: an event, or that a figure for it is missing."""
