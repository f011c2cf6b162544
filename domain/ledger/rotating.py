"""The master key changed for another: every party's key and the deployment's secret wrapped anew, no event touched.

From the first commit to the last each of the two keys stands wrapped by the other, so that either opens everything,
wherever it is stopped; done again with the same new key it goes on from there. Ledgers are done one by one, each in
a transaction that holds its counter: whoever makes a key meanwhile makes it before, or is told of the change.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog

from domain.ledger.application import Q
from domain.ledger.database import CONTROL_SCHEMA, Connection
from domain.ledger.deployment import Deployment
from domain.ledger.vault import MasterKey, VaultError

KEYS_AT_ONCE = 5_000  # wrapped and sent together: some tens of milliseconds and less than a megabyte

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Rotated:
    """What came of it: `keys` were wrapped anew, in `ledgers`; `already` where nothing was left to do."""

    old_id: str
    new_id: str
    keys: int = 0
    ledgers: int = 0
    already: bool = False


def rotate(
    deployment: Deployment,
    new: MasterKey,
    settle: Callable[[], None] = lambda: None,
    show: Callable[[Rotated], None] = lambda _done: None,
) -> Rotated:
    """Let a new master key take the present one's place.

    `settle` is called while both still open everything: there the new key is put where it is looked for. Raises
    VaultError where the place is being taken by yet another key.
    """
    done = Rotated(_begin(deployment, new), new.id)
    if done.old_id == new.id:
        done.already = True
        return done
    ring = new.taking_over(deployment.master.old or deployment.master)
    finished: set[str] = set()
    while True:
        for ledger in deployment.ledgers:  # also one that somebody made meanwhile
            if ledger.schema not in finished:
                with deployment.database.owner(ledger.schema) as connection, connection.transaction():
                    _rewrap(connection, ring, done, show)
                finished.add(ledger.schema)
                done.ledgers += 1
        settle()
        if _finish(deployment, new, finished):
            log.info("the master key was changed", old=done.old_id, new=done.new_id, keys=done.keys)
            return done


def _begin(deployment: Deployment, new: MasterKey) -> str:
    """Let both keys open everything from here on; return the id of the old one, the new one's where all is done."""
    with deployment.database.migrating(CONTROL_SCHEMA) as connection:
        row = connection.execute("SELECT old_id, new_id FROM master_key_rotation").fetchone()
        if row is not None:
            if row[1] != new.id:
                raise VaultError(
                    f"the master key with the id {row[1]} is taking the place of {row[0]}: finish that first, with"
                    f" the file of that key (the one given has the id {new.id})"
                )
            return str(row[0])
        (wrapped_by,) = connection.execute("SELECT wrapped_by FROM deployment_key").fetchone() or (None,)
        if wrapped_by == new.id:
            return new.id
        old = deployment.master
        if wrapped_by != old.id:
            raise VaultError("the master key was changed since this process began: begin again")
        connection.execute(
            "INSERT INTO master_key_rotation (old_id, new_id, new_by_old, old_by_new) VALUES (%s, %s, %s, %s)",
            [old.id, new.id, new.inside(old), old.inside(new)],
        )
        connection.execute(
            "UPDATE deployment_key SET wrapped = %s, wrapped_by = %s",
            [new.wrap(deployment.secrets.secret), new.id],
        )
        return old.id


def _rewrap(connection: Connection, ring: MasterKey, done: Rotated, show: Callable[[Rotated], None]) -> None:
    """Wrap every key of one ledger anew, all of them or none; whoever would make one waits at the counter."""
    connection.execute(Q["lock_counter"])
    connection.execute(Q["rewrapping"], {"master": ring.id})
    after = ""
    while True:
        given: dict[str, Any] = {"after": after, "limit": KEYS_AT_ONCE}
        rows = connection.execute(Q["keys_to_rewrap"], given).fetchall()
        if not rows:
            break
        after = rows[-1][0]
        key_ids = [key_id for key_id, _ in rows]
        wrapped = [ring.wrap(ring.unwrap(bytes(old))) for _, old in rows]
        connection.execute(Q["rewrap_keys"], {"key_ids": key_ids, "wrapped": wrapped})
        done.keys += len(rows)
        show(done)
    connection.execute(Q["rewrapped"])


def _finish(deployment: Deployment, new: MasterKey, finished: set[str]) -> bool:
    """Let only the new key open what is here; whether no ledger was made meanwhile that is still to be done."""
    with deployment.database.migrating(CONTROL_SCHEMA) as connection:
        schemas = {schema for (schema,) in connection.execute("SELECT schema_name FROM ledger")}
        if not schemas <= finished:
            return False
        connection.execute("DELETE FROM master_key_rotation WHERE new_id = %s", [new.id])
        return True
