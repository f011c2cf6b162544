"""directory: under which other names a subject is found: numbers, packages, ids in a system before, documents.

An identity document stands here as it does in the log, by its hash keyed with the deployment's key: whoever has the
document's hash finds the party, and whoever has this table finds no document.
"""

from datetime import datetime
from typing import Literal, NamedTuple

from domain.events import account as av
from domain.events import party as pv
from domain.events.envelope import Recorded
from domain.ledger.application import Ledger
from domain.ledger.queries import queries
from projections.engine import ReadModel, Rows, Seen, Table, reading

Q = queries("projections.sql", "directory.sql")

SUBJECTS_MAX = 50  # subjects one name leads to: more is no name but a mistake in the data
Names = Literal["number", "package", "legacy", "identity"]


class Entry(NamedTuple):
    """A name a subject is, or once was, known by."""

    subject: str
    kind: Names
    name: str
    since: datetime


class Directory(ReadModel):
    """The model, as the engine moves it."""

    name = "directory"
    version = 1
    for_billing = False  # about people: nothing a bill is made of
    kinds = frozenset({"account", "party"})
    tables = (Table("directory_entry", Entry),)
    passes = (
        av.ChargePosted, av.BillIssued, av.LateFeeAssessed, av.PaymentReceived, av.PaymentAllocated,
        av.NoticeAttempted, av.NoticeDelivered, av.NoticeFailed, pv.ContactPointAdded,
    )  # fmt: skip

    def begin(self, subject: str) -> dict[tuple[Names, str], datetime]:  # noqa: ARG002 - all begin alike
        """Return a subject without other names."""
        return {}

    def step(self, state: dict[tuple[Names, str], datetime], recorded: Recorded) -> None:
        """Take in an event, in the order of the world."""
        data, at = recorded.event.data, recorded.event.time
        match data:
            case av.NumberActivated() | av.NumberPortedIn():
                state.setdefault(("number", data.number_id), at)
            case av.PackageSubscribed():
                state.setdefault(("package", data.package_id), at)
            case av.AccountMigrated():
                state.setdefault(("legacy", data.legacy_id), at)
            case pv.PartyRegistered() if data.id_hash.hmac is not None:
                state.setdefault(("identity", data.id_hash.hmac), at)
            case _:
                pass

    def rows(self, state: dict[tuple[Names, str], datetime], seen: Seen) -> Rows:
        """Return the names."""
        return Rows({"directory_entry": [Entry(seen.subject, *key, at) for key, at in state.items()]})


def named(ledger: Ledger, name: str, document: str) -> list[tuple[str, Names]]:
    """Return the subjects known by a name, or by the keyed hash of an identity document; raises NotBuiltError."""
    given = {"name": name, "document": document, "limit": SUBJECTS_MAX}
    return reading(ledger, Directory.name, lambda c: [(s, k) for s, k in c.execute(Q["named"], given)])
