"""What is masked everywhere else, shown on purpose: for a reason, under a case, and recorded before it is shown."""

import uuid
from typing import Annotated, Any

from fastapi import Form
from pydantic import TypeAdapter, ValidationError
from starlette.responses import Response

from api.access import Principal, requires
from api.access.principal import INVESTIGATE_READ
from api.console.asking import Named
from api.console.shell import Asked, pages
from api.disclosing import KINDS, Asking, Disclosure, disclose
from api.problems import ProblemError, retry_after
from domain.events.fields import TEXT_MAX_CHARS, MalformedError, problems_of
from domain.ledger.writer import BusyError

router = pages()

Reader = Annotated[Principal, requires(INVESTIGATE_READ)]


@router.post("/party/{id}/disclosure")
def disclosed(
    *,
    page: Asked,
    principal: Reader,
    identifier: Named,
    purpose: Annotated[str, Form(max_length=TEXT_MAX_CHARS)],
    case_id: Annotated[str, Form(max_length=TEXT_MAX_CHARS)],
    fields: Annotated[tuple[str, ...], Form(max_length=len(KINDS))] = (),
) -> Response:
    """Return the page with personal data in clear, which nobody keeps; each time it is asked for is recorded."""
    given = _checked({"fields": fields, "purpose": purpose, "case_id": case_id})
    asking = Asking(principal.subject, uuid.uuid4().hex, "web")
    try:
        body, _ = disclose(page.runtime, identifier, given, asking, page.ledger_region)
    except BusyError:
        raise ProblemError("storage.busy", "nothing was shown: come back", headers=retry_after()) from None
    return page.render("disclosed.html", section="party", subject=f"party/{identifier}", shown=body)


def _checked(raw: dict[str, Any]) -> Disclosure:
    try:
        return TypeAdapter(Disclosure).validate_python(raw)
    except ValidationError as error:
        problem = problems_of(error)[0]
        raise MalformedError(problem.field, problem.reason) from None
