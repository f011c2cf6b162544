"""A dossier into a folder or a zip: whole, or not at all, and readable by its owner only."""

import io
import os
import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import orjson

from api.dossier.bundle import FOLDER, FORMATS, MANIFEST, SIGNATURE
from api.wording import LANGUAGES
from domain.ledger.keyfiles import beginning

FILE_MODE, FOLDER_MODE = 0o600, 0o700
PAGE_NAMES = tuple(f"dossier.{lang}.html" for lang in LANGUAGES)
MANIFEST_MAX_BYTES = 16 * 1024 * 1024  # of a dossier that is to be replaced: some 100,000 streams
ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest a zip can say: the same files are the same zip


class FolderError(Exception):
    """The folder can't take a dossier: one clear line."""


def write_folder(files: Mapping[str, bytes], out: Path) -> None:
    """Write a dossier's files, by their path in it, into a folder that is new, empty or an earlier dossier.

    The folder has its name only once it is whole. Raises FolderError, and OSError where writing fails.
    """
    target = out.resolve()
    _check(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent))
    try:
        for name, content in files.items():
            _write(made / name, content)
        for folder in (made / FOLDER, made):
            _sync(folder)
        _replace(made, target)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def zipped(files: Mapping[str, bytes]) -> bytes:
    """Return a dossier's files as a zip: the same files give the same bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, ZIP_EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # unix, whatever made it
            entry.external_attr = FILE_MODE << 16
            archive.writestr(entry, content)
    return out.getvalue()


def _check(target: Path) -> None:
    """See that nothing of somebody else's would be lost; raises FolderError."""
    if not target.exists():
        return
    if not target.is_dir():
        raise FolderError(f"{target}: is not a folder")
    names = {p.name for p in target.iterdir()}
    if not names:
        return
    if not _is_dossier(target):
        raise FolderError(f"{target}: has other files in it; name a new folder, or an empty one")
    ours = {*PAGE_NAMES, FOLDER}
    within = {*_listed(target), Path(MANIFEST).name, Path(SIGNATURE).name}
    foreign = (names - ours) | {p.name for p in (target / FOLDER).iterdir()} - within
    if foreign:
        raise FolderError(f"{target}: has a file that is no part of a dossier: {min(foreign)}")


def _is_dossier(target: Path) -> bool:
    return _manifest(target).get("format") in FORMATS


def _listed(target: Path) -> set[str]:
    files = _manifest(target).get("files")
    return set(files) if isinstance(files, dict) else set()


def _manifest(target: Path) -> dict[str, dict[str, object] | str]:
    try:
        found = orjson.loads(beginning(target / MANIFEST, MANIFEST_MAX_BYTES))
    except (OSError, orjson.JSONDecodeError):
        return {}
    return found if isinstance(found, dict) else {}


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(mode=FOLDER_MODE, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _replace(made: Path, target: Path) -> None:
    """Give the finished folder its name; an earlier dossier steps aside first and goes afterwards."""
    aside: Path | None = None
    if target.exists() and any(target.iterdir()):
        aside = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".old", dir=target.parent))
        target.rename(aside)
    try:
        made.rename(target)
    except OSError:
        if aside is not None:
            aside.rename(target)
        raise
    _sync(target.parent)
    if aside is not None:
        shutil.rmtree(aside, ignore_errors=True)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
