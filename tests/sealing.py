"""What the tests of seals share: a key whose every byte is known, sealed histories, and an owner who tampers."""

from api.runtime import present
from domain.ledger.codec import chain, genesis
from domain.ledger.seals import Sealer
from domain.ledger.signing import SealKey
from tests.support import LEDGER, bring, charge_line, opening_line, payment_line

KEY = SealKey(bytes(range(64, 96)))
OTHER_KEY = SealKey(bytes(range(32)))
NAME = "ledger.example.com"
ORIGIN = f"{NAME}/{LEDGER}"
GUARDED = ("event", "seal", "sealed_head", "seal_timestamp", "party_key", "stream_link", "counter", "receipt")
TABLES = (*GUARDED, "sealed_page")


def sealed(deployment, key=KEY, **how):
    """Seal the ledger as it stands and return the seal."""
    seal, _ = Sealer(deployment.ledger(LEDGER), key, NAME, present).seal(**how)
    return seal


def sealed_three_times(deployment):
    """Three accounts, sealed as they grow: A1 in every seal, A2 in the first and the third, A3 in the first alone."""
    for name in ("A1", "A2", "A3"):
        bring(deployment, opening_line(name), charge_line(name))
    first = sealed(deployment)
    bring(deployment, payment_line("A1", "P1"), payment_line("A1", "P2", 200))
    second = sealed(deployment)
    bring(deployment, payment_line("A1", "P3", 300), payment_line("A2", "P1"))
    return first, second, sealed(deployment)


def as_owner(deployment, *statements):
    """Run statements as the tables' owner, every guard taken away."""
    with deployment.database.owner(deployment.ledger(LEDGER).schema) as connection:
        for table in GUARDED:
            connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        for statement in statements:
            if isinstance(statement, str):
                connection.execute(statement)
            else:
                connection.execute(*statement)
        for table in GUARDED:
            connection.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")


def remember(deployment):
    """Keep a copy of all that stands in the ledger, for `restore`."""
    copies = [f"CREATE TABLE kept_{table} AS TABLE {table}" for table in TABLES]
    as_owner(deployment, *copies)


def restore(deployment):
    """Bring the ledger back to what it was when it was remembered."""
    back = [f"INSERT INTO {table} SELECT * FROM kept_{table}" for table in TABLES]
    as_owner(deployment, f"TRUNCATE {', '.join(TABLES)}", *back)


def digested_anew(deployment):
    """Number and digest every stream anew and close the gaps of positions, as a clever owner does afterwards."""
    with deployment.database.owner(deployment.ledger(LEDGER).schema) as connection:
        rows = connection.execute(
            "SELECT subject, version, state FROM event ORDER BY subject, version"
        ).fetchall()
    digests, at = [], {}
    for subject, version, state in rows:
        number, digest = at.get(subject, (0, genesis(subject)))
        at[subject] = number + 1, chain(digest, bytes(state))
        digests.append((subject, version, *at[subject]))
    moved = [
        (
            "UPDATE event SET version = %s + 1000000, digest = %s WHERE subject = %s AND version = %s",
            (n, d, s, v),
        )
        for s, v, n, d in digests
    ]
    as_owner(
        deployment,
        *moved,
        "UPDATE event SET version = version - 1000000",
        "UPDATE event SET position = position + 1000000",
        "UPDATE event SET position = n FROM (SELECT position AS p, row_number() OVER (ORDER BY position) AS n"
        " FROM event) AS anew WHERE position = p",
        "UPDATE counter SET position = (SELECT max(position) FROM event)",
    )
