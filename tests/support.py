"""What the storage tests share: one customer to write about, receipts, and work done in other processes."""

import contextlib
import hashlib
import io
import multiprocessing
import os
import signal
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import orjson
import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from api.runtime import present
from domain.commands import Asked
from domain.commands import account as account_cmd
from domain.commands import party as party_cmd
from domain.ledger.codec import LedgerEvent
from domain.ledger.interchange import Importer
from domain.ledger.writer import BusyError, ReceiptKey, Writer
from tests.conftest import opened_deployment
from tests.scenario import REGION, moment, terms

LEDGER = "heilongjiang"
CLEAR = {
    "id_hash": "sha256:4f-test-identity",
    "name": "Zhang Wei-Testname",
    "id_number": "230103197001010017",
    "address": "Testgasse 7, Harbin",
}
"""The personal data of the customer these tests write about."""


# -- commands -----------------------------------------------------------------------------------------------


def register():
    """Return the command that makes the customer known."""
    return party_cmd.RegisterParty(kind="individual", id_type="resident_id", **CLEAR)


def open_account(party_id="P1", **contract):
    """Return the command that opens an account."""
    return account_cmd.OpenAccount(
        party_id=party_id, line_of_business="mobile", contract_terms=terms(**contract)
    )


def pay(payment_id="PAY1", amount_fen=100, value_date="2014-12-01"):
    """Return the command that takes a payment."""
    return account_cmd.ReceivePayment(
        payment_id=payment_id, amount_fen=amount_fen, value_date=value_date, method="cash"
    )


def asked(command, subject="account/A1", at="2014-12-01", **more):
    """Return a command as a clerk asks it."""
    return Asked(
        **{
            "subject": subject,
            "command": command,
            "actor": "staff/S1",
            "channel": "store",
            "region": REGION,
            "time": moment(at),
            **more,
        }
    )


def receipt(key, request=b"the request", scope="test"):
    """Return a receipt key."""
    return ReceiptKey(scope, key, hashlib.sha256(request).digest())


def do(writer, command, subject="account/A1", key=None, **more):
    """Execute a command that is accepted; return the answer's body."""
    answer = writer.execute(asked(command, subject, **more), receipt(key or f"{subject} {command}"))
    assert not answer.refused, answer.body
    return answer.body


def with_customer(runtime, *account_ids, party="P1"):
    """Register a customer, open accounts for them, and return the ledger's writer."""
    writer = runtime.writer(REGION)
    do(writer, register(), f"party/{party}")
    for account_id in account_ids or ("A1",):
        do(writer, open_account(party), f"account/{account_id}")
    return writer


def persistently(writer, request, key):
    """Execute a command however busy the stream is, as a client does: again with the same key."""
    while True:
        try:
            return writer.execute(request, key)
        except BusyError:
            continue


# -- histories ----------------------------------------------------------------------------------------------


def event_line(event_id, kind, subject, data, at="2014-12-01T10:00:00+08:00", **more):
    """Return one line of a history to import."""
    return orjson.dumps(
        {
            "specversion": "1.0",
            "id": event_id,
            "source": "urn:recount:test",
            "type": kind,
            "subject": subject,
            "time": at,
            "recordedtime": at,
            "actor": "system/legacy",
            "channel": "system",
            "region": REGION,
            "dataversion": 1,
            "data": data,
            **more,
        }
    )


def opening_line(account_id, event_id=None, at="2013-01-01T10:00:00+08:00", party_id="P1", **more):
    """Return the line of an account's opening."""
    contract = {
        "payment_deadline_days": 15, "late_fee_start": "after_due", "restore_hours": 48,
        "suspend_after_days": 10, "terminate_after_days": 60,
    }  # fmt: skip
    data = {"party_id": party_id, "line_of_business": "mobile", "contract_terms": contract}
    return event_line(
        event_id or f"open-{account_id}", "AccountOpened", f"account/{account_id}", data, at, **more
    )


def charge_line(
    account_id, charge_id="CH1", amount_fen=10_000, due="2014-01-31", at="2014-01-01T10:00:00+08:00"
):
    """Return the line of a monthly charge."""
    data = {
        "charge_id": charge_id, "kind": "monthly", "amount_fen": amount_fen,
        "period_start": "2014-01-01", "period_end": "2014-02-01", "due_on": due,
    }  # fmt: skip
    return event_line(f"{account_id}-{charge_id}", "ChargePosted", f"account/{account_id}", data, at)


def payment_line(
    account_id,
    payment_id="PAY1",
    amount_fen=100,
    value_date="2014-12-01",
    at="2014-12-01T10:00:00+08:00",
    **more,
):
    """Return the line of a payment."""
    data = {"payment_id": payment_id, "amount_fen": amount_fen, "value_date": value_date, "method": "bank"}
    return event_line(
        f"{account_id}-{payment_id}", "PaymentReceived", f"account/{account_id}", data, at, **more
    )


def bring(deployment, *lines, now=None):
    """Import lines, each of which lands or is a repeat; return the tally."""
    refusals = []
    importer = Importer(deployment, refusals.append, (lambda: now) if now else present)
    tally = importer.run(io.BytesIO(b"\n".join(lines)))
    assert not refusals, [(r.line, r.field, r.reason) for r in refusals[:5]]
    return tally


# -- looking at what stands ---------------------------------------------------------------------------------


def select(deployment, query, *values, region=LEDGER):
    """Return a query's rows, read from one ledger by the application's role."""
    with deployment.database.connection(deployment.ledger(region).schema) as connection:
        return connection.execute(query, values).fetchall()


def by_owner(deployment, statement, *values, region=LEDGER):
    """Run a statement in one ledger as the owner of its tables, as an administrator might."""
    with deployment.database.owner(deployment.ledger(region).schema) as connection:
        connection.execute(statement, values)


def assert_sound(deployment, region=LEDGER):
    """Assert what is always true of a log: no gaps, versions in order, digests that chain; return its events."""
    events = deployment.ledger(region).journal.log(0, limit=1_000_000)
    assert [e.position for e in events] == list(range(1, len(events) + 1))
    heads = {}
    for e in events:
        version, digest = heads.get(e.originator_id, (0, chain_start(e.originator_id)))
        assert e.originator_version == version + 1
        assert e.digest == hashlib.sha256(digest + e.state).digest()
        heads[e.originator_id] = (e.originator_version, e.digest)
    appended = [e.appended_at for e in events]
    assert appended == sorted(appended)
    return events


def chain_start(subject):
    """Return what the first digest of a stream chains to, by the published rule."""
    return hashlib.sha256(b"recount stream 1\n" + subject.encode()).digest()


def follow(journal, until_position, seen: list[LedgerEvent], page=97):
    """Read the log by position as it grows, until `until_position()` is known and reached."""
    after = 0
    while (end := until_position()) is None or after < end:
        for event in journal.log(after, limit=page):
            seen.append(event)
            after = event.position


def wait_for(true, seconds=20.0):
    """Wait until something is true; fail where it does not become so."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


@contextlib.contextmanager
def login(url, label, *statements):
    """Lend the conninfo of a user of one's own who may connect, after statements about them ({} is their name)."""
    name, password = f"recount_test_{label}_{os.getpid()}", "only-for-this-test"
    who = sql.Identifier(name)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(who, sql.Literal(password)))
        connection.execute(
            sql.SQL("GRANT {} TO CURRENT_USER").format(who)
        )  # to empty it before PostgreSQL 16
        for statement in statements:
            connection.execute(sql.SQL(statement).format(who))
        try:
            yield make_conninfo(url, user=name, password=password)
        finally:
            connection.execute(sql.SQL("DROP OWNED BY {who}; DROP ROLE {who}").format(who=who))


# -- other processes ----------------------------------------------------------------------------------------


def processes(count):
    """Return a pool of real processes, which share nothing with this one."""
    return ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn"))


def killed(job, *given):
    """Run a job in a process that kills itself in it."""
    process = multiprocessing.get_context("spawn").Process(target=job, args=given)
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL


def lives(pid):
    """Whether a process is there and is more than a corpse nobody has fetched."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def pay_in_threads(url, name, account_ids, each, threads=4):
    """Take `each` payments on every account by Writer, from several threads; return the events' ids."""
    deployment = opened_deployment(url)
    try:
        writer = Writer(deployment.ledger_for(REGION), present)

        def one(number):
            account_id = account_ids[number % len(account_ids)]
            request = asked(pay(f"{name}-{number}"), f"account/{account_id}")
            answer = persistently(writer, request, receipt(f"{name}-{number}"))
            assert not answer.refused, answer.body
            return [(e["id"], e["position"]) for e in answer.body["events"]]

        with ThreadPoolExecutor(threads) as pool:
            return [found for ids in pool.map(one, range(each * len(account_ids))) for found in ids]
    finally:
        deployment.close()


def import_in_batches(url, lines, batch):
    """Import lines, some at a time; return (appended, repeated)."""
    deployment = opened_deployment(url)
    try:
        tallies = [bring(deployment, *lines[at : at + batch]) for at in range(0, len(lines), batch)]
        return sum(t.appended for t in tallies), sum(t.repeated for t in tallies)
    finally:
        deployment.close()


def open_and_make_ledgers(url, regions):
    """Open a deployment on a database that may be empty, and make ledgers there; return the secret."""
    deployment = opened_deployment(url)
    try:
        for region in regions:
            deployment.ledger_for(region)
        return deployment.secrets.secret
    finally:
        deployment.close()
