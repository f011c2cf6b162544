"""Which streams a question about a subject has to look at: found by links, loaded at one position."""

from collections.abc import Iterable
from datetime import datetime

from domain.calendar import moment_of
from domain.events.envelope import kind_of
from domain.ledger.application import Ledger, Q
from domain.ledger.deployment import Deployment, bounded
from domain.replay import Histories
from domain.rules.table import Inquiry

STREAMS_MAX = 5_000  # streams one inquiry loads: a dealer's parties; more is a report, not a question


class TooWideError(Exception):
    """A question would have to load more streams than one answer may."""


def inquiry(
    deployment: Deployment,
    subject: str,
    now: datetime,
    *,
    known_at: str | None = None,
    position: int | None = None,
    region: str | None = None,
) -> tuple[Inquiry, Histories]:
    """Return what findings are asked for and the histories they rest on.

    A moment not given is `now`, a position not given the ledger's present one.
    Raises SubjectError, TooWideError, and MalformedError that names the field.
    """
    ledger = deployment.locate(subject, region)
    last = ledger.journal.last_position()
    bound = bounded(position, last)
    own = ledger.history(subject)
    home = own[0].event.region if own else ledger.region
    asked = Inquiry(
        subject=subject,
        known_at=moment_of(known_at, home, "known_at") if known_at else now,
        position=bound,
        region=home,
    )
    books = {f"rulebook/{ledger.region}", f"rulebook/{home}"}
    return asked, ledger.histories(sorted(around(ledger, subject) | books), bound)


def around(ledger: Ledger, subject: str) -> set[str]:
    """Return the subject and the streams that rules on it speak of.

    A party's accounts, cases and dealers; an account's parties and cases; a dealer's parties and cases.
    """
    found = {subject}
    match kind_of(subject):
        case "party":
            found |= set(_linked(ledger, subject)) | set(_related(ledger, {subject}))
            accounts = _of_kind(found, "account")
            found |= {s for s in _related(ledger, accounts) if kind_of(s) in ("dealer", "party")}
            for dealer in _of_kind(found, "dealer"):
                found |= set(_linked(ledger, dealer, "case"))
        case "account":
            found |= {s for s in _related(ledger, {subject}) if kind_of(s) in ("party", "case")}
            found |= set(_linked(ledger, subject, "case")) | set(_linked(ledger, subject, "party"))
            merged = _related(ledger, _of_kind(found, "party"))  # one person, whatever they are called
            found |= {s for s in merged if kind_of(s) == "party"}
        case "dealer":
            found |= set(_linked(ledger, subject, "party")) | set(_linked(ledger, subject, "case"))
            found |= {
                s for s in _related(ledger, {subject} | _of_kind(found, "party")) if kind_of(s) == "case"
            }
        case "case":
            found |= set(_related(ledger, {subject}))
        case _:
            pass
    if len(found) > STREAMS_MAX:
        raise TooWideError(
            f"{subject} touches {len(found)} streams, more than the {STREAMS_MAX} of one answer"
        )
    return found


def _of_kind(subjects: Iterable[str], kind: str) -> set[str]:
    return {s for s in subjects if kind_of(s) == kind}


def _linked(ledger: Ledger, subject: str, kind: str = "") -> list[str]:
    """Return the streams, of one kind or all, that speak of a subject."""
    prefix = f"{kind}/" if kind else ""
    with ledger.journal.database.connection(ledger.schema) as connection:
        rows = connection.execute(
            Q["linked_of_kind"], {"related": subject, "prefix": prefix + "%", "limit": STREAMS_MAX + 1}
        )
        return [s for (s,) in rows]


def _related(ledger: Ledger, subjects: Iterable[str]) -> list[str]:
    """Return the streams that some streams speak of."""
    with ledger.journal.database.connection(ledger.schema) as connection:
        return [s for (s,) in connection.execute(Q["related_of"], {"subjects": list(subjects)})]
