"""The dossier over HTTP: a page to read, or the whole of it as a zip."""

from typing import Annotated, Literal

from fastapi import Path, Query
from starlette.responses import Response

from api.access.principal import INVESTIGATE_READ
from api.dossier import compose, files_of, folder_files, page, style_source, zipped
from api.dossier.bundle import MANIFEST
from api.investigations.asking import MOMENT_MAX_CHARS, KnownAt, Named, Position
from api.problems import documented
from api.requests import Region, Running, audience
from api.wording import Lang

SAFE = {
    "Content-Security-Policy": f"default-src 'none'; style-src {style_source()}; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
"""The page loads nothing and runs nothing, whatever stands in an event; and nobody keeps a customer's history."""

router = audience("investigations", INVESTIGATE_READ)

Disputed = Annotated[Literal["party", "account", "case"], Path(examples=["party"])]


@router.get(
    "/{kind}/{id}/dossier",
    summary="The whole dispute as pages to read and print",
    description="One self-contained HTML page in the language asked, or with `format=zip` the pages of both languages"
    " and the bundle of evidence they rest on. The same question with its position gives the same bytes. Personal data"
    " is masked.",
    operation_id="dossier",
    response_class=Response,
    responses={
        200: {
            "description": "A page, or a zip",
            "content": {
                "text/html": {"schema": {"type": "string"}, "example": "<!doctype html>…"},
                "application/zip": {"schema": {"type": "string", "format": "binary"}},
            },
        },
        **documented("account.not_found", "subject.ambiguous", "inquiry.too_wide", "storage.unavailable"),
    },
)
def get_dossier(
    *,
    runtime: Running,
    kind: Disputed,
    identifier: Named,
    lang: Annotated[Lang, Query(description="the page's language")] = "zh",
    form: Annotated[Literal["html", "zip"], Query(alias="format")] = "html",
    expiry_option: Annotated[str | None, Query(max_length=MOMENT_MAX_CHARS, description="assumed")] = None,
    known_at: KnownAt = None,
    position: Position = None,
    region: Region = None,
) -> Response:
    """Return a dossier."""
    dossier = compose(
        runtime,
        f"{kind}/{identifier}",
        known_at=known_at,
        position=position,
        region=region,
        assume={"expiry_option": expiry_option} if expiry_option else {},
    )
    headers = {**SAFE, "Recount-Position": str(dossier.position)}
    if form == "zip":
        headers["Content-Disposition"] = f'attachment; filename="dossier-{kind}.zip"'
        return Response(zipped(folder_files(dossier)), 200, headers, "application/zip")
    text = page(dossier, lang, files_of(dossier)[MANIFEST])
    return Response(text, 200, {**headers, "Content-Language": lang}, "text/html; charset=utf-8")
