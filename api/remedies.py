"""Proposing and accepting what a counterfactual comes to: by two people, computed again, all at once or not at all.

A proposal changes nothing and is kept as a receipt; once another person accepts it, both stand in the case's events.
"""

import uuid
from dataclasses import replace
from typing import Any

import orjson
import psycopg

from api.inquiry import derived
from api.problems import REFUSALS
from api.runtime import Runtime
from domain.case import Case
from domain.events.case import RemedyGranted
from domain.events.fields import MalformedError
from domain.ledger.application import Ledger, Q
from domain.ledger.database import WRITER, Connection
from domain.ledger.surroundings import first_changed, inquiry
from domain.ledger.writer import Answer, ReceiptKey, request_digest
from domain.refusals import Refused
from domain.remedies import Acceptance, Proposal, Reading, check_proposable, check_unchanged, remedies
from domain.replay import in_order
from domain.rules.facts import World
from domain.rules.table import Inquiry
from domain.streams import state_of

SCOPE = "accept"
PROPOSED = "propose"


def propose(
    runtime: Runtime, subject: str, proposal: Proposal, region: str | None = None
) -> tuple[dict[str, Any], bool]:
    """Put forward what a counterfactual proposes; return what stands, and whether it stood before.

    Raises Refused, SubjectError, TooWideError, OtherRegionError and MalformedError.
    """
    if proposal.proposed_by is None:
        raise MalformedError("proposed_by", "is missing")
    ledger = runtime.deployment.locate(subject, region)
    standing = proposed(ledger, subject, proposal)
    if standing is not None:
        return standing, True
    _, computed, world = _computed(runtime, subject, proposal, region)
    check_proposable(proposal, computed, case_of(runtime, ledger, proposal.case_id), world)
    body = {
        "command_id": uuid.uuid4().hex,
        "ledger": ledger.region,
        "subject": subject,
        "case_id": proposal.case_id,
        "position": proposal.position,
        "proposal_digest": proposal.proposal_digest,
        "proposed_by": proposal.proposed_by,
        "proposed_at": runtime.clock().isoformat(),
    }
    receipt = _receipt(PROPOSED, subject, proposal)
    try:
        with ledger.journal.database.transaction(ledger.schema, WRITER) as connection:
            connection.execute(
                Q["add_receipt"],
                {
                    "scope": receipt.scope,
                    "key": receipt.key,
                    "request": receipt.request,
                    "response": orjson.dumps(body),
                },
            )
    except psycopg.errors.UniqueViolation:  # somebody else did, a moment ago
        return propose(runtime, subject, proposal, region)
    return body, False


def proposed(ledger: Ledger, subject: str, reading: Reading) -> dict[str, Any] | None:
    """Return what was put forward of a subject under a case, by its digest; None where nobody did."""
    with ledger.journal.database.connection(ledger.schema) as connection:
        row = connection.execute(
            Q["find_receipt"], {"scope": PROPOSED, "key": f"{reading.proposal_digest} {reading.case_id}"}
        ).fetchone()
    found: dict[str, Any] | None = orjson.loads(bytes(row[1])) if row else None
    return found if found and found["subject"] == subject else None


def by_its_proposer(runtime: Runtime, subject: str, acceptance: Acceptance, region: str | None) -> Acceptance:
    """Return an acceptance with the proposer who is on record; raises MalformedError where it names another."""
    standing = proposed(runtime.deployment.locate(subject, region), subject, acceptance)
    proposer = standing["proposed_by"] if standing else None
    if acceptance.proposed_by not in (None, proposer) and standing:
        raise MalformedError("proposed_by", "should be whoever proposed it, or left out")
    return replace(acceptance, proposed_by=proposer)


def accept(runtime: Runtime, subject: str, acceptance: Acceptance, region: str | None = None) -> Answer:
    """Put a proposal into effect under a case, or give the first answer where that was done before.

    Raises Refused, and then nothing was written; SubjectError, TooWideError, MalformedError and BusyError.
    """
    ledger = runtime.deployment.locate(subject, region)
    writer = runtime.writer(ledger.region)
    receipt = _receipt(SCOPE, subject, acceptance)
    first = writer.first_answer(receipt)
    if first is not None:
        return _told(ledger, acceptance, first)
    asked, proposal, world = _computed(runtime, subject, acceptance, region)
    command_id = uuid.uuid4().hex
    commands = remedies(
        acceptance,
        proposal,
        case_of(runtime, ledger, acceptance.case_id),
        world,
        now=runtime.clock(),
        command_id=command_id,
    )

    def unchanged(connection: Connection) -> None:
        check_unchanged(first_changed(connection, asked, ledger.region), asked.position)

    answer = writer.execute_all(commands, receipt, unchanged, command_id)
    if answer.refused:
        said = answer.body["refusal"]
        raise Refused(REFUSALS[said["code"]], said["message"], said["details"])
    return _told(ledger, acceptance, answer)


def _computed(
    runtime: Runtime, subject: str, reading: Reading, region: str | None
) -> tuple[Inquiry, dict[str, Any], World]:
    """Return a counterfactual computed again as it was read, and what it was computed on."""
    asked, histories = inquiry(
        runtime.deployment,
        subject,
        runtime.clock(),
        known_at=reading.known_at,
        position=reading.position,
        region=region,
    )
    until = reading.until.isoformat() if reading.until else None
    proposal = derived(asked, histories, until=until, assume=reading.stated)
    return asked, proposal, World(histories, asked.known_at, asked.position, asked.region)


def _receipt(scope: str, subject: str, reading: Reading) -> ReceiptKey:
    """Return under what the answer is found again: the proposal itself makes it once, whoever asks."""
    parts = (subject, reading.case_id, reading.proposal_digest)
    key = f"{reading.proposal_digest} {reading.case_id}"
    return ReceiptKey(scope, key, request_digest(*(part.encode() for part in parts)))


def case_of(runtime: Runtime, ledger: Ledger, case_id: str) -> Case:
    """Return a case as it stands now; one that is out of sight is as none."""
    subject = f"case/{case_id}"
    seen = runtime.deployment.shown(ledger, {subject})
    state = state_of(subject, in_order(ledger.history(subject)) if seen else ())
    assert isinstance(state, Case)
    return state


def _told(ledger: Ledger, acceptance: Acceptance, answer: Answer) -> Answer:
    """Return an answer with what was granted, as the log says it."""
    body: dict[str, Any] = answer.body
    first = body["events"][0]["position"]
    events = [ledger.read(e).event for e in ledger.journal.log(first - 1, limit=len(body["events"]))]
    attached = events[0]
    granted = [e.data for e in events if isinstance(e.data, RemedyGranted)]
    return Answer(
        {
            **body,
            "case_id": acceptance.case_id,
            "proposal_digest": acceptance.proposal_digest,
            "proposed_by": attached.actor,
            "accepted_by": events[1].actor,
            "granted": [
                {"kind": g.kind, "account_id": g.account_id, "amount_fen": g.amount_fen or 0} for g in granted
            ],
        },
        answer.repeated,
    )
