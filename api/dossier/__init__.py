"""The dossier: a whole dispute as pages to read and print, with the evidence it rests on beside them.

`composing` asks everything at one position, once; `money` and `pictures` say what it comes to; `pages` makes a
page of each language with Jinja2; `bundle` has the evidence as plain files under a manifest; `writing` puts all
of it into a folder or a zip. The same question gives the same bytes for ever: no clock and no chance in any file.
"""

from api.dossier.bundle import FORMAT, files_of
from api.dossier.composing import Dossier, compose
from api.dossier.pages import folder_files, page, page_name, style_source
from api.dossier.writing import FolderError, write_folder, zipped

__all__ = [
    "FORMAT",
    "Dossier",
    "FolderError",
    "compose",
    "files_of",
    "folder_files",
    "page",
    "page_name",
    "style_source",
    "write_folder",
    "zipped",
]
