"""Accepting what a counterfactual proposes: computed again, compared, and put into effect all at once or not at all."""

import uuid
from typing import Any

from api.inquiry import derived
from api.problems import REFUSALS
from api.runtime import Runtime
from domain.case import Case
from domain.events.case import RemedyGranted
from domain.ledger.application import Ledger
from domain.ledger.database import Connection
from domain.ledger.surroundings import first_changed, inquiry
from domain.ledger.writer import Answer, ReceiptKey, request_digest
from domain.refusals import Refused
from domain.remedies import Acceptance, check_unchanged, remedies
from domain.replay import in_order
from domain.rules.facts import World
from domain.streams import state_of

SCOPE = "accept"


def accept(runtime: Runtime, subject: str, acceptance: Acceptance, region: str | None = None) -> Answer:
    """Put a proposal into effect under a case, or give the first answer where that was done before.

    Raises Refused, and then nothing was written; SubjectError, TooWideError, MalformedError and BusyError.
    """
    ledger = runtime.deployment.locate(subject, region)
    writer = runtime.writer(ledger.region)
    receipt = _receipt(subject, acceptance)
    first = writer.first_answer(receipt)
    if first is not None:
        return _told(ledger, acceptance, first)
    asked, histories = inquiry(
        runtime.deployment,
        subject,
        runtime.clock(),
        known_at=acceptance.known_at,
        position=acceptance.position,
        region=region,
    )
    until = acceptance.until.isoformat() if acceptance.until else None
    proposal = derived(asked, histories, until=until, assume=acceptance.stated)
    world = World(histories, asked.known_at, asked.position, asked.region)
    command_id = uuid.uuid4().hex
    commands = remedies(
        acceptance,
        proposal,
        _case(ledger, acceptance.case_id),
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


def _receipt(subject: str, acceptance: Acceptance) -> ReceiptKey:
    """Return under what the answer is found again: the proposal itself makes it once, whoever accepts it."""
    parts = (subject, acceptance.case_id, acceptance.proposal_digest)
    key = f"{acceptance.proposal_digest} {acceptance.case_id}"
    return ReceiptKey(SCOPE, key, request_digest(*(part.encode() for part in parts)))


def _case(ledger: Ledger, case_id: str) -> Case:
    subject = f"case/{case_id}"
    state = state_of(subject, in_order(ledger.history(subject)))
    assert isinstance(state, Case)
    return state


def _told(ledger: Ledger, acceptance: Acceptance, answer: Answer) -> Answer:
    """Return an answer with what was granted, as the log says it."""
    body: dict[str, Any] = answer.body
    first = body["events"][0]["position"]
    events = [ledger.read(e).event for e in ledger.journal.log(first - 1, limit=len(body["events"]))]
    granted = [e.data for e in events if isinstance(e.data, RemedyGranted)]
    return Answer(
        {
            **body,
            "case_id": acceptance.case_id,
            "proposal_digest": acceptance.proposal_digest,
            "granted": [
                {"kind": g.kind, "account_id": g.account_id, "amount_fen": g.amount_fen or 0} for g in granted
            ],
        },
        answer.repeated,
    )
