"""Disclosing personal data: for a purpose, under an open case of the person's, and recorded before it is shown.

Everywhere else it is masked, for everybody. What was disclosed is kept nowhere but in the answer: the log says which
kinds of data somebody saw, when and why, and never what they read.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass as checked_dataclass

from api.problems import REFUSALS
from api.remedies import case_of
from api.runtime import Runtime
from domain.commands.asking import Asked
from domain.commands.party import DisclosePersonalData
from domain.events import account as account_ev
from domain.events import case as case_ev
from domain.events import party as party_ev
from domain.events.envelope import Channel, Event
from domain.events.fields import Identifier, Personal, Text
from domain.ledger.application import Ledger, PostgresKeys
from domain.ledger.surroundings import inquiry
from domain.ledger.writer import ReceiptKey, request_digest
from domain.refusals import Code, Refused, refuse
from domain.remedies import FORM, concerns
from domain.replay import in_order
from domain.rules.facts import World

SCOPE = "disclose"
Kind = Literal["name", "id_number", "address", "contact_points", "numbers", "summaries"]
KINDS: tuple[str, ...] = Kind.__args__  # type: ignore[attr-defined]
"""Kinds of data: of the person, the numbers of their accounts, and what was written down in the case."""


@checked_dataclass(frozen=True, slots=True, kw_only=True, config=FORM)
class Disclosure:
    """What somebody has to see, what for, and under which case."""

    fields: Annotated[tuple[Kind, ...], Field(min_length=1, max_length=len(KINDS))]
    purpose: Annotated[Text, Field(description="what it is needed for: it stands in the log")]
    case_id: Annotated[Identifier, Field(description="an open case of the person's")]


@dataclass(frozen=True, slots=True)
class Asking:
    """Who asks to see it, and under which key."""

    actor: str
    key: str
    channel: Channel


def disclose(
    runtime: Runtime, party_id: str, given: Disclosure, asking: Asking, region: str | None = None
) -> tuple[dict[str, Any], bool]:
    """Record that somebody sees personal data, then return it, and whether the key was used before.

    A repeat returns no data: it is shown once for each event. Raises Refused, SubjectError, OtherRegionError,
    TooWideError, MalformedError, BusyError and KeyReusedError.
    """
    subject = f"party/{party_id}"
    ledger = runtime.deployment.locate(subject, region)
    asked, histories = inquiry(runtime.deployment, subject, runtime.clock(), region=region)
    case = case_of(runtime, ledger, given.case_id)
    if not case.opened:
        refuse(Code.CASE_NOT_FOUND, f"There is no case {given.case_id}: name an open one.", id=given.case_id)
    if case.closed is not None:
        refuse(Code.CASE_CLOSED, f"The case {given.case_id} is closed: name an open one.", id=given.case_id)
    if not concerns(case, subject, World(histories, asked.known_at, asked.position, asked.region)):
        refuse(
            Code.CASE_OTHER_PARTY,
            f"The case {given.case_id} is not about {subject}: name one that is.",
            id=given.case_id,
            party_id=case.party_id,
        )
    command = DisclosePersonalData(fields=given.fields, purpose=given.purpose, case_id=given.case_id)
    answer = runtime.writer(ledger.region).execute(
        Asked(
            subject=subject,
            command=command,
            actor=asking.actor,
            channel=asking.channel,
            region=asked.region,
            time=runtime.clock(),
        ),
        _receipt(subject, given, asking),
    )
    if answer.refused:
        said = answer.body["refusal"]
        raise Refused(REFUSALS[said["code"]], said["message"], said["details"])
    events = [r.event for history in histories.values() for r in in_order(history)]
    body = {
        **answer.body,
        "party_id": party_id,
        "case_id": given.case_id,
        "purpose": given.purpose,
        "disclosed_to": asking.actor,
        "values": None if answer.repeated else _values(ledger, events, given),
    }
    return body, answer.repeated


def _receipt(subject: str, given: Disclosure, asking: Asking) -> ReceiptKey:
    parts = (subject, asking.actor, given.case_id, given.purpose, *given.fields)
    return ReceiptKey(SCOPE, f"{asking.actor} {asking.key}", request_digest(*(p.encode() for p in parts)))


def _values(ledger: Ledger, events: Iterable[Event], given: Disclosure) -> dict[str, Any]:
    """Return what is asked for, in clear; None stands for what was never given, or was erased."""
    with ledger.journal.database.connection(ledger.schema) as connection:
        keys = PostgresKeys(connection)
        opened = [ledger.vault.open(e, keys) for e in events if e.data.PERSONAL]
    found = _told(opened, f"case/{given.case_id}")
    return {kind: found[kind] for kind in given.fields}


def _told(events: Iterable[Event], case: str) -> Mapping[str, Any]:
    """Return every kind of data that events in clear tell."""
    person: dict[str, str | None] = dict.fromkeys(("name", "id_number", "address"))
    points: dict[str, dict[str, Any]] = {}
    numbers: dict[str, dict[str, Any]] = {}
    summaries = []
    for event in events:
        match event.data:
            case party_ev.PartyRegistered() | party_ev.PartyDetailsChanged() as data:
                person |= {n: _clear(value) for n in person if (value := getattr(data, n)) is not None}
            case party_ev.ContactPointAdded() as data:
                points[data.contact_point_id] = {"kind": data.kind, "value": _clear(data.value)}
            case account_ev.NumberActivated() as data:
                numbers[data.number_id] = {"account": event.subject, "number": _clear(data.number)}
            case case_ev.ComplaintReceived() | case_ev.InteractionRecorded() as data if event.subject == case:
                summaries.append({"event_id": event.id, "type": event.type, "text": _clear(data.summary)})
            case case_ev.EvidenceAttached() as data if event.subject == case:
                summaries.append({"event_id": event.id, "type": event.type, "text": _clear(data.title)})
            case _:
                pass
    return {**person, "contact_points": points, "numbers": numbers, "summaries": summaries}


def _clear(value: Personal | None) -> str | None:
    return value.clear if value is not None else None
