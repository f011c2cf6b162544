"""What was wrong, what should have been, and putting it right: a dispute at one moment, the heaviest first."""

from collections.abc import Sequence

from fastapi import APIRouter
from starlette.responses import Response

from api.console.asking import Disputed
from api.console.parties import Shown, told
from api.console.shell import HOME, Asked, Page, PageRoute
from api.dossier.views import Breach, View
from api.wording.labels import LABELS
from domain.events.envelope import kind_of

router = APIRouter(prefix=HOME, route_class=PageRoute, include_in_schema=False)

GRAVE, SERIOUS, FORMAL = 3, 2, 1
SEVERITY = {
    "blacklist-basis": GRAVE,
    "refusal-basis": GRAVE,
    "blacklist-removal": GRAVE,
    "real-name": GRAVE,
    "expiry-choice": GRAVE,
    "charge-basis": GRAVE,
    "termination-window": GRAVE,
    "cancellation": SERIOUS,
    "suspension-window": SERIOUS,
    "restore-within": SERIOUS,
    "late-fee": SERIOUS,
    "dispute-hold": SERIOUS,
    "expiry-notice": SERIOUS,
    "notice-reach": SERIOUS,
    "number-limit": SERIOUS,
}
"""How deep a breach goes into what a customer has: their standing, name and money; their service; how it was done."""
EVIDENCE_SHOWN = 12  # events told in full under one finding; the others are named


@router.get("/{kind}/{id}/findings")
def findings(page: Asked, dispute: Disputed) -> Response:
    """Return the findings, what should have happened, and the proposal."""
    subject, dossier = dispute.subject, dispute.composed(page)
    view = View(dossier, page.lang, "")
    return page.render(
        "findings.html",
        section="findings",
        subject=subject,
        view=view,
        breaches=weighed(view.breaches),
        severity=_severity(page),
        evidence=lambda numbers: _evidence(page, view, numbers),
        leads=lambda shown: _leads(page, subject, shown),
        evidence_shown=EVIDENCE_SHOWN,
        options=[(o, page.label("expiry_option", o)) for o in LABELS["expiry_option"]],
        asked=dispute.asked,
    )


def weighed(breaches: Sequence[Breach]) -> list[Breach]:
    """Return breaches by the money that hangs on them, then by how deep they go."""
    return sorted(breaches, key=lambda b: (-b.amount_fen, -SEVERITY.get(b.rule_id, FORMAL)))


def _severity(page: Page) -> dict[str, tuple[int, str]]:
    words = {
        GRAVE: page.t("重大", "grave"),
        SERIOUS: page.t("较重", "serious"),
        FORMAL: page.t("程序", "procedure"),
    }
    return {rule: (level, words[level]) for rule, level in SEVERITY.items()} | {"": (FORMAL, words[FORMAL])}


def _evidence(page: Page, view: View, numbers: Sequence[int]) -> list[Shown]:
    return [told(page, view.dossier.events[n - 1].recorded) for n in numbers]


def _leads(page: Page, subject: str, shown: Shown) -> str:
    """Return where an event stands in a timeline: the customer's, where the page is about one."""
    home = subject if kind_of(subject) == "party" else shown.subject
    return page.to(home, around=shown.position) + f"#e{shown.position}"
