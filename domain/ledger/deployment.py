"""A deployment: its database, its secrets, and its regional ledgers, each in a schema of its own.

Says which ledger a subject stands in. No query and no transaction here crosses two ledgers.
"""

import copy
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

import structlog
from psycopg import sql

from domain.calendar import moment_of
from domain.events.envelope import check_region, check_subject, kind_of, ledger_of
from domain.events.fields import MalformedError
from domain.ledger.application import Ledger, Q
from domain.ledger.database import CONTROL_SCHEMA, Connection, Database, migrate
from domain.ledger.sight import UNBOUNDED, OtherRegionError, Sight
from domain.ledger.vault import KEY_BYTES, MasterKey, Secrets, Vault, VaultError
from domain.replay import Histories, Question

LEDGERS_MAX = 64  # China has 34 provinces; a typing error in a file should not fill a database with schemas
HOMES_MAX = 100_000  # streams whose region is kept in mind, some 20 MB; more than are asked for in a day
SCHEMA_PREFIX = "ledger_"

log = structlog.get_logger(__name__)


class SubjectError(Exception):
    """A subject stands in no ledger, or in several: one line that says which."""

    def __init__(self, message: str, ledgers: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.ledgers = ledgers


class Deployment:
    """Everything that stands in one database.

    `master` returns the master key; it is told whether this is the deployment's first use, when alone a key
    may be made. Raises StorageError where the database can't be used, VaultError where the key is wrong.
    """

    def __init__(self, database: Database, master: Callable[[bool], MasterKey]) -> None:
        self.database = database
        self.sight = UNBOUNDED
        self._homes: dict[tuple[str, str], str] = {}
        with database.migrating() as connection:
            migrate(connection, CONTROL_SCHEMA, "domain.ledger.sql", "migrations/control")
            self.master, self.secrets = _unlock(connection, master)
            names = [
                (n, s) for n, s in connection.execute("SELECT name, schema_name FROM ledger ORDER BY name")
            ]
        self._lock = threading.Lock()
        self._ledgers: dict[str, Ledger] = {}
        for name, schema in names:
            self._ledgers[name] = self._migrated(name, schema)

    def close(self) -> None:
        """Close the database's connections."""
        self.database.close()

    def within(self, sight: Sight) -> "Deployment":
        """Return this deployment as somebody sees it who may not see all of it: it finds nothing out of sight."""
        seen = copy.copy(self)  # the same database, secrets and ledgers
        seen.sight = sight
        return seen

    @property
    def ledgers(self) -> list[Ledger]:
        """The ledgers of this deployment by name, also those that other processes made."""
        with self.database.connection(CONTROL_SCHEMA) as connection:
            rows = connection.execute("SELECT name, schema_name FROM ledger ORDER BY name").fetchall()
        for name, schema in rows:
            with self._lock:
                if name not in self._ledgers:
                    self._ledgers[name] = Ledger(name, self._vault(), self.database, schema)
        return [self._ledgers[name] for name, _ in rows if self.sight.ledger(name)]

    @property
    def known(self) -> Mapping[str, Ledger]:
        """The ledgers this process has seen so far, by name: without asking the database."""
        return self._ledgers

    def ledger(self, name: str) -> Ledger | None:
        """Return a ledger by name, or None where there is none."""
        if not self.sight.ledger(name):
            return None
        found = self._ledgers.get(name)
        return found or next((known for known in self.ledgers if known.region == name), None)

    def ledger_for(self, region: str) -> Ledger:
        """Return the ledger of a region, made where it is the region's first event.

        Raises MalformedError where it is no region, SubjectError where there would be too many ledgers.
        """
        name = ledger_of(check_region(region))
        found = self._ledgers.get(name)
        if found is None:
            schema = SCHEMA_PREFIX + name
            with self.database.migrating(CONTROL_SCHEMA) as connection:
                count = connection.execute("SELECT count(*) FROM ledger WHERE name <> %s", [name]).fetchone()
                if count and count[0] >= LEDGERS_MAX:
                    raise SubjectError(f"there are {LEDGERS_MAX} ledgers already: no new one for {name}")
                connection.execute(
                    "INSERT INTO ledger (name, schema_name) VALUES (%s, %s) ON CONFLICT DO NOTHING",
                    [name, schema],
                )
                # In the same transaction: whoever sees the ledger's entry sees its tables too.
                check_current(connection, self.master)
                _prepare(connection, schema, self.master)
            made = Ledger(name, self._vault(), self.database, schema)
            with self._lock:
                found = self._ledgers.setdefault(name, made)
        return found

    def locate(self, subject: str, region: str | None = None) -> Ledger:
        """Return the ledger a subject stands in.

        Raises MalformedError where it is no subject, SubjectError where it stands in none or in several.
        """
        check_subject(subject)
        candidates = self.ledgers
        if region is not None:
            name = ledger_of(check_region(region))
            candidates = [known for known in candidates if known.region == name]
        found = [known for known in candidates if self._shows(known, subject)]
        if not found:
            where = f"the ledger {ledger_of(region)}" if region else "any ledger"
            raise SubjectError(f"{subject} does not stand in {where}")
        if len(found) > 1:
            names = tuple(known.region for known in found)
            raise SubjectError(f"{subject} stands in several ledgers: name one of {', '.join(names)}", names)
        return found[0]

    def _shows(self, ledger: Ledger, subject: str) -> bool:
        """Whether a stream stands in a ledger and may be seen."""
        if self.sight.everywhere:
            return ledger.journal.exists(subject)
        home = self.home(ledger, subject)
        return home is not None and self.sight.shows(subject, home)

    def home(self, ledger: Ledger, subject: str) -> str | None:
        """Return the region a stream was opened in, None where it does not stand in the ledger."""
        found = self._homes.get((ledger.region, subject))
        if found is None:
            first = ledger.journal.select_events(subject, limit=1)
            if not first:
                return None
            if len(self._homes) >= HOMES_MAX:
                self._homes.clear()
            found = self._homes[ledger.region, subject] = ledger.read(first[0]).event.region
        return found

    def shown(self, ledger: Ledger, subjects: set[str]) -> set[str]:
        """Return those of some streams that may be seen, and those that do not stand in the ledger."""
        if self.sight.everywhere:
            return subjects
        homes = {subject: self.home(ledger, subject) for subject in subjects}
        return {s for s, home in homes.items() if home is None or self.sight.shows(s, home)}

    def check_sight(self, ledger: Ledger, subjects: Iterable[str]) -> None:
        """Check that an answer rests on nothing out of sight; raises OtherRegionError, which names nothing."""
        asked = set(subjects)
        if self.shown(ledger, asked) != asked:
            raise OtherRegionError("the answer would rest on streams of other regions")

    def question(
        self,
        subject: str,
        now: datetime,
        *,
        at: str | None = None,
        known_at: str | None = None,
        position: int | None = None,
        region: str | None = None,
        partial: bool = False,
    ) -> tuple[Question, Histories]:
        """Return what a replay is asked and the histories it looks at: a party's with its accounts'.

        A moment not given is `now`, a position not given the ledger's present one. With `partial`, accounts out of
        sight are left out; else they are a reason to refuse.
        Raises SubjectError, OtherRegionError, and MalformedError that names the field.
        """
        ledger = self.locate(subject, region)
        last = ledger.journal.last_position()
        bound = bounded(position, last)
        subjects = [subject]
        if kind_of(subject) == "party":
            subjects += [s for s in ledger.journal.linked_to(subject) if kind_of(s) == "account"]
        if partial:
            subjects = sorted(self.shown(ledger, set(subjects)))
        self.check_sight(ledger, subjects)
        histories = ledger.histories(subjects, bound)
        own = histories[subject]
        home = own[0].event.region if own else ledger.region
        question = Question(
            subject=subject,
            at=moment_of(at, home, "at") if at else now,
            known_at=moment_of(known_at, home, "known_at") if known_at else now,
            position=bound,
            region=home,
        )
        return question, histories

    def adopt(self, wrapped: bytes) -> bool:
        """Take over another deployment's secret, where nothing stands here yet; whether it is this one's now.

        A sealed export brings it along: fingerprints and identity hashes stay what they were.
        """
        secret = self.master.unwrap(wrapped)
        if secret == self.secrets.secret:
            return True
        if any(ledger.journal.last_position() for ledger in self.ledgers):
            return False
        with self.database.migrating(CONTROL_SCHEMA) as connection:
            check_current(connection, self.master)
            connection.execute("UPDATE deployment_key SET wrapped = %s", [self.master.wrap(secret)])
        self.secrets = Secrets(secret)
        for ledger in self._ledgers.values():
            ledger.vault = self._vault()
        return True

    def _vault(self) -> Vault:
        return Vault(self.master, self.secrets)

    def _migrated(self, name: str, schema: str) -> Ledger:
        with self.database.migrating() as connection:
            _prepare(connection, schema, self.master)
        return Ledger(name, self._vault(), self.database, schema)


def bounded(position: int | None, last: int) -> int:
    """Return the position a question is asked at: the present one, where none is named.

    Raises MalformedError for one that the log has not reached: its answer would change.
    """
    if position is None:
        return last
    if not 0 <= position <= last:
        raise MalformedError("position", f"should be from 0 to {last}, the ledger's present position")
    return position


def _prepare(connection: Connection, schema: str, master: MasterKey) -> None:
    """Bring a ledger's schema up to date; its keys are wrapped by the master key that opened it first."""
    migrate(connection, schema, "domain.ledger.sql", "migrations/ledger")
    connection.execute(sql.SQL("SET LOCAL search_path TO {}").format(sql.Identifier(schema)))
    connection.execute(Q["begin_wrapping"], {"master": master.id})


def check_current(connection: Connection, master: MasterKey) -> None:
    """Raise VaultError where another master key took the place of this one since the process began."""
    row = connection.execute("SELECT wrapped_by FROM recount.deployment_key").fetchone()
    if row is None or row[0] not in master.ids:
        raise VaultError(
            "the master key was changed since this process began: start it again with the new one"
        )


def _unlock(connection: Connection, master: Callable[[bool], MasterKey]) -> tuple[MasterKey, Secrets]:
    """Return the master key and the deployment's secret, which is made on first use and never again.

    While one master key takes another's place either is given, and opens what both of them wrap.
    """
    row = connection.execute("SELECT wrapped, wrapped_by FROM deployment_key").fetchone()
    if row is None and connection.execute("SELECT FROM ledger LIMIT 1").fetchone() is not None:
        raise VaultError(
            "the deployment's secret is gone from its database, and what it keyed is there: restore the database"
            " from its backup (a new secret would know nothing of it)"
        )
    key = master(row is None)
    if row is None:
        secret = os.urandom(KEY_BYTES)
        connection.execute(
            "INSERT INTO deployment_key (wrapped, wrapped_by) VALUES (%s, %s)", [key.wrap(secret), key.id]
        )
        log.info("deployment key made")
        return key, Secrets(secret)
    key = _with_the_other(connection, key)
    try:
        opened = Secrets(key.unwrap(bytes(row[0])))
    except VaultError as error:
        known = f" (that one has the id {row[1]}, the one given {key.id})" if row[1] else ""
        raise VaultError(f"{error}{known}") from None
    if row[1] is None:  # made before ids were kept
        connection.execute("UPDATE deployment_key SET wrapped_by = %s", [key.id])
    return key, opened


def _with_the_other(connection: Connection, key: MasterKey) -> MasterKey:
    """Return the key that wraps from now on with the one whose place it is taking, where that is under way."""
    row = connection.execute(
        "SELECT old_id, new_id, new_by_old, old_by_new FROM master_key_rotation"
    ).fetchone()
    if row is None or key.id not in row[:2]:
        return key
    log.warning("the master key is being changed: finish it with recount rotate-master-key")
    if key.id == row[0]:
        return key.opened(bytes(row[2])).taking_over(key)
    return key.taking_over(key.opened(bytes(row[3])))
