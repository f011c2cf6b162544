"""The dossier: looked at as it will be printed, and taken away with its evidence."""

from fastapi import APIRouter
from starlette.responses import Response

from api.console.asking import Disputed
from api.console.shell import HOME, Asked, PageRoute
from api.dossier import files_of, folder_files, style_source, zipped
from api.dossier import page as dossier_page
from api.dossier.bundle import MANIFEST

router = APIRouter(prefix=HOME, route_class=PageRoute, include_in_schema=False)

WITHIN = {
    "Content-Security-Policy": f"default-src 'none'; style-src {style_source()}; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
"""The page stands in a frame of the console's own; it runs nothing and loads nothing."""


@router.get("/{kind}/{id}/dossier")
def preview(page: Asked, dispute: Disputed) -> Response:
    """Return the page around the dossier: what it is asked with, and how to take it away."""
    ledger = page.runtime.deployment.locate(dispute.subject, page.ledger_region)
    page.region = ledger.region
    return page.render("dossier_frame.html", section="dossier", subject=dispute.subject, asked=dispute.asked)


@router.get("/{kind}/{id}/dossier/page")
def sheet(page: Asked, dispute: Disputed) -> Response:
    """Return the dossier itself, as it is read and printed."""
    dossier = dispute.composed(page)
    text = dossier_page(dossier, page.lang, files_of(dossier)[MANIFEST])
    return Response(text, 200, WITHIN, "text/html; charset=utf-8")


@router.get("/{kind}/{id}/dossier/zip")
def archive(page: Asked, dispute: Disputed) -> Response:
    """Return the pages of both languages and the bundle, as one file."""
    name = f"dossier-{dispute.subject.partition('/')[0]}.zip"
    headers = {**WITHIN, "Content-Disposition": f'attachment; filename="{name}"'}
    return Response(zipped(folder_files(dispute.composed(page))), 200, headers, "application/zip")
