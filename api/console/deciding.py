"""Putting it right: one person proposes what the counterfactual comes to, another one accepts it.

Both answer a form on the page of the findings, whose address names the moment and the position they were read at: it
can be sent to whoever is to accept. What may be proposed and accepted, and by whom, the domain says.
"""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Form
from pydantic import TypeAdapter, ValidationError
from starlette.responses import Response

from api.access import Principal, requires
from api.access.principal import INVESTIGATE_DECIDE
from api.console.asking import Kind, Named
from api.console.shell import Asked, Page, pages
from api.dossier import Dossier
from api.investigations.asking import MOMENT_MAX_CHARS
from api.problems import ProblemError, retry_after
from api.remedies import accept, propose, proposed
from domain.events.fields import IDENTIFIER_MAX_CHARS, MalformedError, problems_of
from domain.ledger.application import Ledger
from domain.ledger.recorder import POSITION_MAX
from domain.ledger.writer import BusyError
from domain.remedies import Acceptance, Proposal, Reading

router = pages(INVESTIGATE_DECIDE)

DIGEST_MAX_CHARS = 80
METHOD_MAX_CHARS = 200

Decider = Annotated[Principal, requires(INVESTIGATE_DECIDE)]


@dataclass(frozen=True, slots=True)
class Decision:
    """What a form says: the reading that is proposed or accepted, and the moment of the page to go back to."""

    subject: str
    fields: dict[str, Any]
    known_at: str
    expiry_option: str
    refund_method: str

    def checked(self, kind: type[Any], **more: Any) -> Any:
        """Return a proposal or an acceptance; raises MalformedError that names the first field that is not right."""
        try:
            return TypeAdapter(kind).validate_python({**self.fields, **more})
        except ValidationError as error:
            problem = problems_of(error)[0]
            raise MalformedError(problem.field, problem.reason) from None

    @property
    def asked(self) -> dict[str, Any]:
        """The query of the page it was read on."""
        return {
            "known_at": self.known_at,
            "expiry_option": self.expiry_option,
            "position": self.fields["position"],
        }


async def _decision(
    *,
    kind: Kind,
    identifier: Named,
    case_id: Annotated[str, Form(max_length=IDENTIFIER_MAX_CHARS)],
    position: Annotated[int, Form(ge=0, le=POSITION_MAX)],
    proposal_digest: Annotated[str, Form(max_length=DIGEST_MAX_CHARS)],
    known_at: Annotated[str, Form(max_length=MOMENT_MAX_CHARS)],
    expiry_option: Annotated[str, Form(max_length=MOMENT_MAX_CHARS)] = "",
    refund_method: Annotated[str, Form(max_length=METHOD_MAX_CHARS)] = "",
) -> Decision:
    fields = {
        "case_id": case_id,
        "position": position,
        "proposal_digest": proposal_digest,
        "known_at": known_at,
        "assumptions": {"expiry_option": expiry_option} if expiry_option else {},
    }
    return Decision(f"{kind}/{identifier}", fields, known_at, expiry_option, refund_method)


Decided = Annotated[Decision, Depends(_decision)]


@router.post("/{kind}/{id}/proposal")
def put_forward(page: Asked, decision: Decided, principal: Decider) -> Response:
    """Propose what was read, and lead back to the page that another person accepts it on."""
    proposal = decision.checked(Proposal, proposed_by=principal.subject)
    propose(page.runtime, decision.subject, proposal, page.ledger_region)
    return page.redirect(page.to(decision.subject, "/findings", **decision.asked) + "#right")


@router.post("/{kind}/{id}/acceptance")
def put_right(page: Asked, decision: Decided, principal: Decider) -> Response:
    """Accept what another person proposed, and lead to the history that is right again."""
    more = {"accepted_by": principal.subject}
    if decision.refund_method:
        more["refund_method"] = decision.refund_method
    standing = _standing(page, decision)
    if standing:
        more["proposed_by"] = standing["proposed_by"]
    try:
        done = accept(
            page.runtime, decision.subject, decision.checked(Acceptance, **more), page.ledger_region
        )
    except BusyError:
        raise ProblemError(
            "storage.busy", "nothing was written: come back and accept again", headers=retry_after()
        ) from None
    return page.redirect(page.to(decision.subject, min_position=done.body["position"], done=1))


def _standing(page: Page, decision: Decision) -> dict[str, Any] | None:
    ledger = page.runtime.deployment.locate(decision.subject, page.ledger_region)
    return proposed(ledger, decision.subject, decision.checked(Reading))


@dataclass(frozen=True, slots=True)
class Remedy:
    """What may be decided of one subject of a dossier: proposed, or accepted where somebody proposed it."""

    subject: str
    digest: str
    position: int
    known_at: str
    refund_fen: int
    cases: list[str]
    standing: dict[str, Any] | None


def remedies_of(ledger: Ledger, dossier: Dossier) -> list[Remedy]:
    """Return what is proposed of each subject of a dossier, where there is something to put right."""
    return [
        _remedy(ledger, dossier, part.subject, part.counterfactual)
        for part in dossier.parts
        if part.counterfactual["proposed_events"]
    ]


def _remedy(ledger: Ledger, dossier: Dossier, subject: str, lawful: dict[str, Any]) -> Remedy:
    cases = [c.state.case_id for c in dossier.world.cases.values() if c.state.opened and not c.state.closed]
    read = {
        "position": dossier.position,
        "proposal_digest": lawful["proposal_digest"],
        "known_at": dossier.known_at.isoformat(),
    }
    found = (proposed(ledger, subject, Reading(case_id=case_id, **read)) for case_id in cases)
    return Remedy(
        subject=subject,
        digest=lawful["proposal_digest"],
        position=dossier.position,
        known_at=read["known_at"],
        refund_fen=lawful["to_refund_fen"],
        cases=cases,
        standing=next((one for one in found if one), None),
    )
