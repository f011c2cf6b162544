"""A dossier's pages: one self-contained HTML document for each language, to read on a screen and to print."""

import base64
import hashlib
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from api.dossier.bundle import MANIFEST, files_of
from api.dossier.composing import Dossier
from api.dossier.views import View
from api.wording import LANGUAGES, Lang

TEMPLATES = Path(__file__).parent / "templates"


def page_name(lang: Lang) -> str:
    """Return the name of a language's page in the dossier's folder."""
    return f"dossier.{lang}.html"


def page(dossier: Dossier, lang: Lang, manifest: bytes) -> bytes:
    """Return the page of one language; it names the bundle's manifest by its digest."""
    view = View(dossier, lang, hashlib.sha256(manifest).hexdigest())
    text = (
        _environment()
        .get_template("dossier.html")
        .render(
            view=view,
            t=view.t,
            yuan=view.yuan,
            style=Markup(_style()),  # noqa: S704 - our own file
        )
    )
    return text.encode("utf-8")


def folder_files(dossier: Dossier) -> dict[str, bytes]:
    """Return every file of a dossier by its path in the folder: the pages, and the bundle with its manifest."""
    bundle = files_of(dossier)
    return {**{page_name(lang): page(dossier, lang, bundle[MANIFEST]) for lang in LANGUAGES}, **bundle}


def style_source() -> str:
    """Return the one style a page has, as a content security policy names it."""
    digest = hashlib.sha256(_style().encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


@cache
def _style() -> str:
    return (TEMPLATES / "style.css").read_text("utf-8")


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
