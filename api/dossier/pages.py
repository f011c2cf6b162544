"""A dossier's pages: one self-contained HTML document for each language, to read on a screen and to print."""

import hashlib
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

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
    text = _environment().get_template("dossier.html").render(view=view, t=view.t, yuan=view.yuan)
    return text.encode("utf-8")


def folder_files(dossier: Dossier) -> dict[str, bytes]:
    """Return every file of a dossier by its path in the folder: the pages, and the bundle with its manifest."""
    bundle = files_of(dossier)
    return {**{page_name(lang): page(dossier, lang, bundle[MANIFEST]) for lang in LANGUAGES}, **bundle}


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
