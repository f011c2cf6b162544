"""Remedies: how a counterfactual's proposal, once a person accepts it, becomes commands that put things right.

A proposal is accepted under a case. For each kind of remedy (of an account) the case grants it, and each
correcting event is asked for by the command that leads to it, with what was granted as its cause. Pure: the
counterfactual is given, and whoever executes the commands sees to it that nothing has changed since.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked_dataclass

from domain.case import Case
from domain.commands import account as account_cmd
from domain.commands import case as case_cmd
from domain.commands import party as party_cmd
from domain.commands.asking import Asked, Command, event_id
from domain.counterfactual import ASSUMABLE
from domain.events.case import RemedyKind
from domain.events.envelope import Channel
from domain.events.fields import Day, Identifier, MalformedError, Personal, Reference, Text, problems_of
from domain.refusals import Code, refuse
from domain.rules.facts import AccountFacts, PartyFacts, World

TITLE = "What the counterfactual proposes, as it was put forward"
ASSUMPTIONS_MAX = 1_000  # one for each package of the largest customer
FORM = ConfigDict(extra="forbid", hide_input_in_errors=True)  # built at once: it is a request's whole body


def _staff(actor: str) -> str:
    if not re.fullmatch(r"staff/\S+", actor):
        raise ValueError("should be staff/ID: a person answers for it")
    return actor


def _digest(text: str) -> str:
    if not re.fullmatch(r"sha256:[0-9a-f]{64}", text):
        raise ValueError("should be the proposal_digest of the counterfactual that was read, sha256:...")
    return text


Staff = Annotated[Reference, AfterValidator(_staff)]


@checked_dataclass(frozen=True, slots=True, kw_only=True, config=FORM)
class Reading:
    """A counterfactual that was read: its question, its digest, and under which case it is put forward.

    The question is asked as the counterfactual was, at its position; `assumptions` may be its answer's whole.
    """

    case_id: Identifier
    position: Annotated[int, Field(strict=True, ge=0, description="of the counterfactual that was read")]
    proposal_digest: Annotated[
        str, AfterValidator(_digest), Field(description="of the counterfactual that was read")
    ]
    until: Annotated[Day | None, Field(description="as the counterfactual says it; today else")] = None
    assumptions: Annotated[dict[str, str], Field(max_length=ASSUMPTIONS_MAX)] = Field(default_factory=dict)
    known_at: Annotated[str | None, Field(description="as the counterfactual was asked; now else")] = None

    @property
    def stated(self) -> dict[str, str]:
        """The assumptions without what an answer says they mean for single packages."""
        return {
            name: value
            for name, value in self.assumptions.items()
            if not any(name.startswith(f"{assumed} of ") for assumed in ASSUMABLE)
        }


@checked_dataclass(frozen=True, slots=True, kw_only=True, config=FORM)
class Proposal(Reading):
    """That a person puts forward what a counterfactual proposes, for another one to accept."""

    proposed_by: Annotated[Staff | None, Field(description="staff/ID; whoever asks, where not given")] = None


@checked_dataclass(frozen=True, slots=True, kw_only=True, config=FORM)
class Acceptance(Reading):
    """That a person accepts what another one proposed. `refund_method` is needed where money is paid back."""

    accepted_by: Annotated[Staff | None, Field(description="staff/ID; whoever asks, where not given")] = None
    proposed_by: Annotated[Staff | None, Field(description="staff/ID of who proposed it: somebody else")] = (
        None
    )
    channel: Channel = "system"
    refund_method: Annotated[Text | None, Field(description="how money is paid back: cash, bank, ...")] = None
    evidenceref: Annotated[Reference | None, Field(description="a document: the decision, a minute")] = None


def acceptance_of(raw: Mapping[str, Any]) -> Acceptance:
    """Return a checked acceptance; raises MalformedError that names the first field that is not as it should be."""
    try:
        return TypeAdapter(Acceptance).validate_python({k: v for k, v in raw.items() if v is not None})
    except ValidationError as error:
        problem = problems_of(error)[0]
        raise MalformedError(problem.field, problem.reason) from None


@dataclass(frozen=True, slots=True)
class _Correction:
    """How one type of proposed event is asked for."""

    kind: RemedyKind
    command: Callable[[Mapping[str, Any], Acceptance], Command]


_CORRECTIONS: Mapping[str, _Correction] = {
    "ChargeReversed": _Correction(
        "reversal", lambda data, a: account_cmd.ReverseCharge(**{**data, "case_id": a.case_id})
    ),
    "RefundPaid": _Correction(
        "refund",
        lambda data, a: account_cmd.PayRefund(
            amount_fen=data["amount_fen"], method=a.refund_method or "", case_id=a.case_id
        ),
    ),
    "BlacklistEntryRemoved": _Correction(
        "blacklist_removal", lambda data, _: party_cmd.RemoveBlacklistEntry(**data)
    ),
    "ServiceResumed": _Correction("other", lambda data, _: account_cmd.ResumeService(**data)),
}


def remedies(
    acceptance: Acceptance,
    proposal: Mapping[str, Any],
    case: Case,
    world: World,
    *,
    now: datetime,
    command_id: str,
) -> list[Asked]:
    """Return the commands that put an accepted proposal into effect, in the names of both who stand for it.

    Who proposed attaches the proposal to the case, by its digest; who accepted grants it, and asks for each correction.
    `proposal` is the counterfactual computed again, `world` what it was computed on, `case` as it is now;
    `command_id` is what the commands will be executed under, for what was granted is the corrections' cause.
    Raises Refused where the proposal may not be accepted, or not so.
    """
    proposer, acceptor = _two_people(acceptance)
    check_proposable(acceptance, proposal, case, world)
    _check_refund(acceptance, proposal)
    corrections = proposal["proposed_events"]
    grants = _grants(corrections)

    def asked(
        subject: str, command: Command, region: str, evidenceref: str, causationid: str | None = None
    ) -> Asked:
        return Asked(
            subject=subject,
            command=command,
            actor=acceptor,
            channel=acceptance.channel,
            region=region,
            time=now,
            evidenceref=evidenceref,
            correlationid=f"case/{case.case_id}",
            causationid=causationid,
        )

    subject, digest = f"case/{case.case_id}", acceptance.proposal_digest
    attached = case_cmd.AttachEvidence(
        evidence_id=f"proposal-{digest.removeprefix('sha256:')[:32]}",
        sha256=digest.removeprefix("sha256:"),
        media_type="application/json",
        title=Personal(clear=TITLE),
    )
    found = [replace(asked(subject, attached, case.region, digest), actor=proposer)]
    found += [
        asked(
            subject,
            case_cmd.GrantRemedy(kind=kind, account_id=account_id, amount_fen=amount_fen or None),
            case.region,
            acceptance.evidenceref or digest,
            event_id(command_id, 1),
        )
        for (kind, account_id), amount_fen in grants.items()
    ]
    causes = {remedy: event_id(command_id, number) for number, remedy in enumerate(grants, 2)}
    for event in corrections:
        correction = _CORRECTIONS[event["type"]]
        found.append(
            asked(
                event["subject"],
                correction.command(event["data"], acceptance),
                event["region"],
                acceptance.proposal_digest,
                causes[_remedy(event)],
            )
        )
    return found


def _remedy(event: Mapping[str, Any]) -> tuple[RemedyKind, str | None]:
    """Return what a correction is granted as: its kind, and of which account."""
    kind, _, name = event["subject"].partition("/")
    return _CORRECTIONS[event["type"]].kind, name if kind == "account" else None


def _grants(corrections: Iterable[Mapping[str, Any]]) -> dict[tuple[RemedyKind, str | None], int]:
    """Return what is granted, each with its amount in fen, in the order of the corrections."""
    found: dict[tuple[RemedyKind, str | None], int] = {}
    for event in corrections:
        remedy = _remedy(event)
        found[remedy] = found.get(remedy, 0) + event["data"].get("amount_fen", 0)
    return found


# -- whether it may be accepted -----------------------------------------------------------------------------


def _two_people(acceptance: Acceptance) -> tuple[str, str]:
    """Return who proposed and who accepts; refuses where they are not two."""
    proposer, acceptor = acceptance.proposed_by, acceptance.accepted_by
    if acceptor is None:
        raise MalformedError("accepted_by", "is missing")
    if proposer is None:
        refuse(
            Code.PROPOSAL_NOT_MADE,
            "Nobody proposed it: one person should propose it under the case, and another one accept it.",
        )
    if proposer == acceptor:
        refuse(
            Code.PROPOSAL_SAME_PERSON,
            f"{acceptor} proposed it: somebody else should accept it.",
            proposed_by=proposer,
        )
    return proposer, acceptor


def check_proposable(reading: Reading, proposal: Mapping[str, Any], case: Case, world: World) -> None:
    """Refuse what can't be put forward: under no case or one of somebody else, changed since it was read, or empty."""
    if not case.opened:
        refuse(Code.CASE_NOT_FOUND, f"There is no case {case.case_id}: open it first.", id=case.case_id)
    if not concerns(case, proposal["subject"], world):
        refuse(
            Code.CASE_OTHER_PARTY,
            f"The case {case.case_id} is about neither {proposal['subject']} nor whose it is: name one that is.",
            id=case.case_id,
            party_id=case.party_id,
        )
    if proposal["proposal_digest"] != reading.proposal_digest:
        refuse(
            Code.PROPOSAL_CHANGED,
            "The same question comes to another proposal now: read it, and accept that one.",
            proposal_digest=proposal["proposal_digest"],
        )
    if not proposal["proposed_events"]:
        refuse(Code.PROPOSAL_EMPTY, f"There is nothing to put right on {proposal['subject']}.")


def _check_refund(acceptance: Acceptance, proposal: Mapping[str, Any]) -> None:
    if acceptance.refund_method is None and proposal["to_refund_fen"]:
        refuse(
            Code.REFUND_METHOD_MISSING,
            f"{proposal['to_refund_fen']} fen are paid back: say how, in refund_method.",
            to_refund_fen=proposal["to_refund_fen"],
        )


def concerns(case: Case, subject: str, world: World) -> bool:
    """Whether a case is about an account, its holder, or the party: one person, however often they were merged."""
    facts = world.facts(subject)
    accounts, holder_id = {subject}, facts.subject.partition("/")[2]
    if isinstance(facts, PartyFacts):
        accounts = {a.subject for a in facts.accounts}
    elif isinstance(facts, AccountFacts):
        holder_id = facts.state.party_id or ""
    if case.party_id is not None and _person(case.party_id, world) & _person(holder_id, world):
        return True
    named = {f"account/{account_id}" for account_id in case.account_ids}
    return bool(named & accounts) and (isinstance(facts, AccountFacts) or case.party_id is None)


def _person(party_id: str, world: World) -> set[str]:
    """Return the ids of a party and of those it was merged into."""
    return {party_id, *(p.party_id for p in world.person(party_id))} - {""}


def check_unchanged(subject: str | None, position: int) -> None:
    """Refuse where a stream the proposal rests on has changed: the first that has, None where none has."""
    if subject is not None:
        refuse(
            Code.PROPOSAL_OUTDATED,
            f"{subject} has changed since position {position}: ask again, and accept what is proposed then.",
            subject=subject,
            position=position,
        )
