"""Where a word leads: the subjects of that id, and those a number, a package, an older id or a document belongs to."""

import re
from dataclasses import dataclass

from api.runtime import Runtime
from domain.events.fields import MalformedError
from domain.ledger.application import Ledger
from domain.ledger.deployment import SubjectError
from projections.directory import named
from projections.engine import NotBuiltError

KINDS = ("party", "account", "case", "dealer")
_SUBJECT = re.compile(rf"({'|'.join(KINDS)})/(\S+)\Z")
_NO_ID = re.compile(r"\s")


@dataclass(frozen=True, slots=True)
class Hit:
    """A subject that was found, in which ledger, and by which kind of name."""

    subject: str
    ledger: str
    by: str


def search(runtime: Runtime, word: str, ledger: str | None) -> list[Hit]:
    """Return the subjects a word leads to, in one ledger or all the reader may see."""
    found = []
    for one in runtime.deployment.ledgers:
        if ledger is None or one.region == ledger:
            found += [Hit(subject, one.region, by) for subject, by in _in(runtime, one, word).items()]
    return found


def _in(runtime: Runtime, ledger: Ledger, word: str) -> dict[str, str]:
    whole = _SUBJECT.match(word)
    if whole is None and _NO_ID.search(word):
        return {}
    asked = [word] if whole else [f"{kind}/{word}" for kind in KINDS]
    found = {s: "id" for s in asked if _stands(runtime, ledger, s)}
    document = ledger.vault.secrets.identity_hash(word)
    try:
        for subject, by in named(ledger, word, document):
            if _stands(runtime, ledger, subject):
                found.setdefault(subject, by)
    except NotBuiltError:
        pass  # the directory is being made for the first time: what has that very id is found all the same
    return found


def _stands(runtime: Runtime, ledger: Ledger, subject: str) -> bool:
    """Whether a subject stands in a ledger, as far as the reader may see."""
    try:
        return runtime.deployment.locate(subject, ledger.region).region == ledger.region
    except (SubjectError, MalformedError):
        return False
