"""Which streams a question about a subject has to look at: found by links, loaded at one position."""

from collections.abc import Iterable
from datetime import datetime

from domain.calendar import moment_of
from domain.events.envelope import kind_of
from domain.ledger.application import Q
from domain.ledger.database import Connection
from domain.ledger.deployment import Deployment, bounded
from domain.replay import Histories
from domain.rules.table import Inquiry

STREAMS_MAX = 5_000  # streams one inquiry loads: a dealer's parties; more is a report, not a question


class TooWideError(Exception):
    """A question would have to load more streams than one answer may."""


class Links:
    """Which streams speak of which, as one connection sees it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def to(self, subject: str, kind: str = "") -> list[str]:
        """Return the streams, of one kind or all, that speak of a subject."""
        prefix = f"{kind}/" if kind else ""
        rows = self._connection.execute(
            Q["linked_of_kind"], {"related": subject, "prefix": prefix + "%", "limit": STREAMS_MAX + 1}
        )
        return [s for (s,) in rows]

    def of(self, subjects: Iterable[str]) -> list[str]:
        """Return the streams that some streams speak of."""
        return [s for (s,) in self._connection.execute(Q["related_of"], {"subjects": list(subjects)})]


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
    Raises SubjectError, OtherRegionError, TooWideError, and MalformedError that names the field.
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
    with ledger.journal.database.connection(ledger.schema) as connection:
        subjects = looked_at(Links(connection), subject, ledger.region, home)
    deployment.check_sight(ledger, subjects)
    return asked, ledger.histories(sorted(subjects), bound)


def looked_at(links: Links, subject: str, *regions: str) -> set[str]:
    """Return all streams that a question about a subject looks at, the rulebooks of regions among them."""
    return around(links, subject) | {f"rulebook/{region}" for region in regions}


def first_changed(connection: Connection, asked: Inquiry, ledger_region: str) -> str | None:
    """Return the stream that a question looks at and that changed first after its position, None if none did.

    Looks on a transaction's own connection: under the counter's lock, what it says stays true until the end.
    """
    subjects = looked_at(Links(connection), asked.subject, ledger_region, asked.region)
    row = connection.execute(
        Q["first_after"], {"position": asked.position, "subjects": sorted(subjects)}
    ).fetchone()
    return row[0] if row else None


def around(links: Links, subject: str) -> set[str]:
    """Return the subject and the streams that rules on it speak of.

    A party's accounts, cases and dealers; an account's parties and cases; a dealer's parties and cases.
    """
    found = {subject}
    match kind_of(subject):
        case "party":
            found |= set(links.to(subject)) | set(links.of({subject}))
            accounts = _of_kind(found, "account")
            found |= {s for s in links.of(accounts) if kind_of(s) in ("dealer", "party")}
            for dealer in _of_kind(found, "dealer"):
                found |= set(links.to(dealer, "case"))
        case "account":
            found |= {s for s in links.of({subject}) if kind_of(s) in ("party", "case")}
            found |= set(links.to(subject, "case")) | set(links.to(subject, "party"))
            merged = links.of(_of_kind(found, "party"))  # one person, whatever they are called
            found |= {s for s in merged if kind_of(s) == "party"}
        case "dealer":
            found |= set(links.to(subject, "party")) | set(links.to(subject, "case"))
            found |= {s for s in links.of({subject} | _of_kind(found, "party")) if kind_of(s) == "case"}
        case "case":
            found |= set(links.of({subject}))
        case _:
            pass
    if len(found) > STREAMS_MAX:
        raise TooWideError(
            f"{subject} touches {len(found)} streams, more than the {STREAMS_MAX} of one answer"
        )
    return found


def _of_kind(subjects: Iterable[str], kind: str) -> set[str]:
    return {s for s in subjects if kind_of(s) == kind}
