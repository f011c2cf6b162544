"""Notices on their way: queued, taken over by a gateway, recorded once, and what became of them recorded once."""

import base64
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import orjson
import pytest
from prometheus_client import generate_latest

from api.cli import main, parser
from api.gateways import sending
from api.gateways.file import FileGateway
from api.gateways.results import Results
from api.gateways.sending import BACKOFF, TRIES_MAX, Sender, Sent
from api.gateways.webhook import WebhookGateway
from api.metrics import Metrics
from api.runtime import Runtime, present
from domain.commands import account as cmd
from domain.commands import party as party_cmd
from domain.events.fields import MalformedError
from domain.ledger import outbox
from domain.ledger.database import WRITER
from domain.ledger.deployment import SubjectError
from domain.policies.due import NoticeRequest
from domain.refusals import Refused
from tests import support
from tests.conftest import MASTER
from tests.scenario import REGION
from tests.support import LEDGER, bring, charge_line, do, event_line, select, wait_for

pytestmark = pytest.mark.storage

ROOT = Path(__file__).parents[1]
ADDRESS = "13911110000-Testnummer"
TODAY = present().date()
SMS = NoticeRequest(
    account_id="A1",
    notice_id="arrears.CH1.sms",
    purpose="arrears",
    channel="sms",
    contact_point_id="CP1",
    package_id=None,
    charge_ids=("CH1",),
    useful_until=TODAY + timedelta(days=30),
)


# -- a customer, a clock and a gateway ----------------------------------------------------------------------


class Clock:
    """The present moment, and how far it was moved on."""

    def __init__(self):
        self.on = timedelta(0)

    def __call__(self):
        return present() + self.on


@pytest.fixture
def clock():
    """Return a clock that can be moved on."""
    return Clock()


@pytest.fixture
def writer(deployment, clock):
    """Return a writer whose ledger has P1, reached by CP1, with an overdue charge on the account A1."""
    writer = support.with_customer(Runtime(deployment, clock))
    add_contact_point(writer, "CP1", ADDRESS)
    bring(deployment, charge_line("A1", "CH1"), charge_line("A1", "CH2", amount_fen=500))
    return writer


def add_contact_point(writer, contact_point_id, address):
    """Let the customer be reached there."""
    command = party_cmd.AddContactPoint(contact_point_id=contact_point_id, kind="mobile", value=address)
    do(writer, command, "party/P1")


class Provider:
    """A gateway of the operator's: what was posted to it, and what it answers next.

    `answers` are (status, body) in turn, then 200 for ever; `held` keeps it from answering at all.
    """

    def __init__(self):
        self.posts = []
        self.answers = []
        self.headers = {}
        self.held = None
        lock, provider = threading.Lock(), self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with lock:
                    provider.posts.append((self.headers["Idempotency-Key"], body))
                    status, answer = provider.answers.pop(0) if provider.answers else (200, b"")
                held = provider.held
                if held is not None:
                    held.wait(20)
                with contextlib.suppress(OSError):  # the sender may be gone
                    self.send_response(status)
                    for name, value in provider.headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(answer)))
                    self.end_headers()
                    self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/notices?from=recount"

    @property
    def keys(self):
        """The keys that came, in their order."""
        return [key for key, _ in self.posts]


@pytest.fixture
def provider():
    """Return a gateway that listens on loopback."""
    with serving() as made:
        yield made


@contextlib.contextmanager
def serving():
    """Lend a gateway that listens on loopback."""
    made = Provider()
    thread = threading.Thread(target=made.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.http.shutdown()
        made.http.server_close()
        thread.join()


def enqueue(writer, *requests):
    """Queue requests; return how many are new."""
    ledger = writer.ledger
    with ledger.database.transaction(ledger.schema, WRITER) as connection:
        return outbox.enqueue(connection, requests, writer.clock())


def send(writer, gateway, limit=1_000):
    """Send what waits; return what came of it, without the reasons."""
    return dict(Sender(writer, gateway).run(limit, Sent()).by)


def standing(deployment, notice_id=SMS.notice_id):
    """Return (status, reason) of a request."""
    query = "SELECT status, reason FROM notice_request WHERE notice_id = %s"
    (row,) = select(deployment, query, notice_id)
    return row


def events(deployment, *kinds):
    """Return the log's events of some types, or of all that speak of a notice, as they stand there."""
    wanted = kinds or ("NoticeAttempted", "NoticeDelivered", "NoticeFailed")
    found = [orjson.loads(e.state) for e in support.assert_sound(deployment)]
    return [e for e in found if e["type"] in wanted]


def types(deployment):
    """Return the types of the events that speak of a notice, in their order."""
    return [e["type"] for e in events(deployment)]


# -- the queue ----------------------------------------------------------------------------------------------


def test_asking_twice_is_asking_once(writer, provider, deployment):
    """Given a notice that was asked for, when it is asked for again, waiting or sent, then it is sent once."""
    assert enqueue(writer, SMS, SMS, replace(SMS, account_id="A2")) == 2
    assert enqueue(writer, SMS) == 0
    assert send(writer, WebhookGateway(provider.url), limit=1) == {"handed_over": 1}
    assert enqueue(writer, SMS, replace(SMS, contact_point_id="CP2")) == 0
    send(writer, WebhookGateway(provider.url))
    assert provider.keys == [f"{LEDGER}/A1/arrears.CH1.sms"]
    assert types(deployment) == ["NoticeAttempted"]


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"contact_point_id": None}, "contact_point_id: should be given for a notice by sms"),
        ({"purpose": "advertisement"}, "purpose: should be 'pre_expiry'"),
        ({"charge_ids": ()}, "charge_ids: "),
        ({"account_id": "A 1"}, "subject: "),
    ],
)
def test_a_request_that_can_never_be_attempted_is_not_queued(writer, deployment, wrong, reason):
    """Given one among good requests that is no attempt, when they are queued, then MalformedError, and none is."""
    with pytest.raises(MalformedError, match=reason):
        enqueue(writer, SMS, replace(SMS, notice_id="other", **wrong))
    assert select(deployment, "SELECT count(*) FROM notice_request") == [(0,)]


def test_what_is_queued_comes_back_as_it_was_asked(writer):
    """Given requests with all their fields and with the fewest, when taken, then they are what was queued."""
    few = NoticeRequest("A1", "N-2", "pre_expiry", "visit", None, None, None, date.max)
    enqueue(writer, SMS, few)
    with writer.ledger.database.transaction(writer.ledger.schema, WRITER) as connection:
        taken = outbox.take(connection, writer.clock(), 10)
    assert [q.request for q in taken] == [few, SMS]


def test_nothing_in_the_queue_is_personal(writer, provider, deployment):
    """Given a notice that was sent, when its row is looked at, then the address does not stand there."""
    enqueue(writer, SMS)
    send(writer, WebhookGateway(provider.url))
    assert provider.posts[0][1]["address"] == ADDRESS
    (row,) = select(deployment, "SELECT notice_request::text FROM notice_request")
    assert ADDRESS not in row[0]


# -- the whole way ------------------------------------------------------------------------------------------


def test_a_notice_goes_out_by_webhook_and_what_became_of_it_comes_back(writer, provider, deployment):
    """Given a queued notice, when it is sent and reported delivered, then the attempt and the delivery stand."""
    enqueue(writer, SMS)
    assert types(deployment) == []
    assert send(writer, WebhookGateway(provider.url)) == {"handed_over": 1}
    ((key, body),) = provider.posts
    since = (TODAY - date(2014, 1, 31)).days
    assert since > 0
    assert body == {
        "key": key,
        "account_id": "A1",
        "notice_id": "arrears.CH1.sms",
        "region": REGION,
        "purpose": "arrears",
        "channel": "sms",
        "contact_point_id": "CP1",
        "address": ADDRESS,
        "facts": {
            "on": TODAY.isoformat(),
            "overdue_fen": 10_500,
            "late_fee_fen": 0,
            "arrears_since": "2014-02-01",
            "charges": [{"charge_id": "CH1", "due_on": "2014-01-31", "unpaid_fen": 10_000}],
        },
    }
    (attempted,) = events(deployment)
    assert attempted["data"] == {
        "attempt_no": 1, "channel": "sms", "charge_ids": ["CH1"], "contact_point_id": "CP1",
        "notice_id": "arrears.CH1.sms", "purpose": "arrears",
    }  # fmt: skip
    assert (attempted["actor"], attempted["channel"]) == ("system/notices", "system")
    assert (attempted["region"], standing(deployment)) == (REGION, ("handed_over", None))
    results = Results(Runtime(deployment, writer.clock))
    assert results.record({"account_id": "A1", "notice_id": SMS.notice_id, "outcome": "delivered"})
    assert types(deployment) == ["NoticeAttempted", "NoticeDelivered"]


def test_a_notice_about_a_package_says_when_it_ends_and_what_was_chosen(writer, provider, deployment):
    """Given an annual package, when its reminder is sent, then the end and the customer's choice go with it."""
    choice = {"package_id": "PK1", "option": "suspend", "selected_by": "customer"}
    package = {
        "package_id": "PK1", "offer_id": "O1", "cycle": "annual", "price_fen": 108_000,
        "start": "2026-01-01", "end": "2027-01-01",
    }  # fmt: skip
    bring(
        deployment,
        support.event_line("e1", "ExpiryOptionSelected", "account/A1", choice),
        support.event_line("e2", "PackageSubscribed", "account/A1", package),
    )
    enqueue(writer, replace(SMS, notice_id="N-1", purpose="pre_expiry", package_id="PK1", charge_ids=None))
    send(writer, WebhookGateway(provider.url))
    facts = provider.posts[0][1]["facts"]
    assert facts == {
        "on": TODAY.isoformat(),
        "package": {
            "package_id": "PK1", "offer_id": "O1", "cycle": "annual", "price_fen": 108_000,
            "end": "2027-01-01", "expiry_option": "suspend",
        },
    }  # fmt: skip


def test_a_visit_needs_no_address(writer, provider, deployment):
    """Given a visit without a contact point on record, when it is sent, then it goes without an address."""
    enqueue(writer, replace(SMS, channel="visit", contact_point_id=None))
    assert send(writer, WebhookGateway(provider.url)) == {"handed_over": 1}
    assert provider.posts[0][1]["address"] is None
    assert types(deployment) == ["NoticeAttempted"]


def test_the_file_gateway_writes_each_batch_whole_for_its_owner_only(writer, deployment, tmp_path):
    """Given three notices, when sent to a spool directory two at a time, then two private JSONL files stand there."""
    requests = [replace(SMS, notice_id=f"N-{n}") for n in range(3)]
    enqueue(writer, *requests)
    gateway = FileGateway(tmp_path / "spool")
    gateway.batch_max = 2
    assert send(writer, gateway) == {"handed_over": 3}
    found = sorted((tmp_path / "spool").iterdir())
    assert [path.suffix for path in found] == [".jsonl", ".jsonl"]
    assert {path.stat().st_mode & 0o777 for path in found} == {0o600}
    assert (tmp_path / "spool").stat().st_mode & 0o077 == 0
    lines = [[json.loads(text) for text in path.read_text().splitlines()] for path in found]
    assert [[line["notice_id"] for line in some] for some in lines] == [["N-0", "N-1"], ["N-2"]]
    assert lines[0][0]["address"] == ADDRESS
    assert types(deployment) == ["NoticeAttempted"] * 3


def test_a_spool_that_can_not_be_written_leaves_all_as_it_was(writer, deployment, tmp_path):
    """Given a spool directory that is gone, when notices are sent, then OSError, and they wait as before."""
    enqueue(writer, SMS)
    gateway = FileGateway(tmp_path / "spool")
    (tmp_path / "spool").rmdir()
    with pytest.raises(FileNotFoundError):
        send(writer, gateway)
    assert (standing(deployment), types(deployment)) == (("queued", None), [])


# -- what is not sent ---------------------------------------------------------------------------------------


def test_what_is_too_late_lapses_and_is_never_sent(writer, provider, clock, deployment):
    """Given a notice of use until today, when today is over, then it lapses; while it lasts, it is sent."""
    enqueue(writer, replace(SMS, useful_until=TODAY), replace(SMS, notice_id="late", useful_until=TODAY))
    assert send(writer, WebhookGateway(provider.url), limit=1) == {"handed_over": 1}
    clock.on = timedelta(days=1)
    assert send(writer, WebhookGateway(provider.url)) == {"lapsed": 1}
    assert standing(deployment, "late") == ("lapsed", "too_late")
    assert len(provider.posts) == 1


@pytest.mark.parametrize("charge_ids", [("CH1",), None])
def test_a_debt_that_was_paid_meanwhile_is_not_dunned(writer, provider, deployment, charge_ids):
    """Given an arrears notice that waits, when the customer pays before it is sent, then it is not."""
    enqueue(writer, replace(SMS, charge_ids=charge_ids))
    do(writer, support.pay(amount_fen=10_500))
    assert send(writer, WebhookGateway(provider.url)) == {"lapsed": 1}
    assert (standing(deployment), provider.posts) == (("lapsed", "nothing_owed"), [])


def test_a_contact_point_that_became_invalid_is_not_used(writer, provider, deployment):
    """Given a notice that waits, when its contact point is invalidated, then it is refused, and can be asked anew."""
    enqueue(writer, SMS)
    do(writer, party_cmd.InvalidateContactPoint(contact_point_id="CP1", reason="abandoned"), "party/P1")
    assert send(writer, WebhookGateway(provider.url)) == {"refused": 1}
    assert standing(deployment) == ("refused", "contact_point.invalid")
    assert (provider.posts, types(deployment)) == ([], [])
    add_contact_point(writer, "CP2", "13922220000")
    assert enqueue(writer, replace(SMS, contact_point_id="CP2")) == 1
    assert send(writer, WebhookGateway(provider.url)) == {"handed_over": 1}
    assert provider.posts[0][1]["address"] == "13922220000"


@pytest.mark.parametrize("channel", ["sms", "visit"])
def test_nobody_is_sought_whose_data_was_erased(writer, provider, deployment, channel):
    """Given a notice that waits, when the party is erased, then it is refused, with or without an address."""
    enqueue(writer, replace(SMS, channel=channel, contact_point_id="CP1" if channel == "sms" else None))
    bring(deployment, event_line("erased", "PersonalDataErased", "party/P1", {"legal_basis": "request"}))
    assert send(writer, WebhookGateway(provider.url)) == {"refused": 1}
    assert (standing(deployment), provider.posts) == (("refused", "party.erased"), [])


def test_an_address_whose_key_is_destroyed_is_not_sent(writer, provider, deployment):
    """Given a key that is destroyed without an event, when the notice is sent, then it is refused all the same."""
    enqueue(writer, SMS)
    support.by_owner(deployment, "UPDATE party_key SET wrapped = NULL, destroyed_at = now()")
    assert send(writer, WebhookGateway(provider.url)) == {"refused": 1}
    assert (standing(deployment), provider.posts) == (("refused", "party.erased"), [])


def test_an_address_that_was_altered_fails_alone(writer, provider, deployment):
    """Given a contact point sealed with a key that is not here, when notices are sent, then the others go."""
    enqueue(writer, SMS, replace(SMS, notice_id="visit", channel="visit", contact_point_id=None))
    support.by_owner(deployment, "ALTER TABLE party_key DISABLE TRIGGER USER")
    support.by_owner(deployment, "DELETE FROM party_key")
    assert send(writer, WebhookGateway(provider.url)) == {"failed": 1, "handed_over": 1}
    assert standing(deployment) == ("failed", "vault")


def test_an_account_that_is_not_there_is_refused(writer, provider, deployment):
    """Given a request for an unknown account, when it is sent, then it is refused with the domain's code."""
    enqueue(writer, replace(SMS, account_id="A9"))
    assert send(writer, WebhookGateway(provider.url)) == {"refused": 1}
    assert standing(deployment) == ("refused", "account.not_found")


def test_a_notice_id_that_somebody_else_used_is_refused(writer, provider, deployment):
    """Given a notice recorded by a clerk, when one of the same id is sent, then it is refused, not sent."""
    do(writer, cmd.AttemptNotice(notice_id=SMS.notice_id, purpose="arrears", channel="visit"), at=now(writer))
    enqueue(writer, SMS)
    assert send(writer, WebhookGateway(provider.url)) == {"refused": 1}
    assert (standing(deployment), provider.posts) == (("refused", "id.already_used"), [])


def now(writer):
    """Return the writer's present moment, as it is written."""
    return writer.clock().isoformat()


# -- gateways that fail -------------------------------------------------------------------------------------


def test_a_gateway_that_fails_is_asked_again_later_under_the_same_key(writer, provider, clock, deployment):
    """Given a gateway that answers 500 and later 200, when asked again, then the key is one and so is the attempt."""
    enqueue(writer, SMS)
    provider.answers = [(500, b"{}")]
    assert send(writer, WebhookGateway(provider.url)) == {"postponed": 1}
    assert (standing(deployment), types(deployment)) == (("queued", "HTTP 500"), [])
    assert send(writer, WebhookGateway(provider.url)) == {}
    clock.on = BACKOFF + timedelta(seconds=1)
    assert send(writer, WebhookGateway(provider.url)) == {"handed_over": 1}
    assert len(provider.keys) == 2
    assert len(set(provider.keys)) == 1
    assert types(deployment) == ["NoticeAttempted"]


def test_the_waits_grow_and_end(writer, provider, clock, deployment):
    """Given a gateway that always fails, when asked again and again, then less and less often, and at last never."""
    enqueue(writer, SMS)
    gateway, waits = WebhookGateway(provider.url), []
    for _ in range(TRIES_MAX - 1):
        provider.answers = [(503, b"")]
        assert send(writer, gateway) == {"postponed": 1}
        ((next_try_at,),) = select(deployment, "SELECT next_try_at FROM notice_request")
        waits.append(round((next_try_at - clock()).total_seconds() / 60))
        clock.on += next_try_at - clock()
    assert waits[:9] == [1, 2, 4, 8, 16, 32, 64, 128, 240]
    assert set(waits[9:]) == {240}
    provider.answers = [(503, b"")]
    assert send(writer, gateway) == {"failed": 1}
    assert (standing(deployment), len(provider.posts)) == (("failed", "HTTP 503"), TRIES_MAX)
    assert enqueue(writer, SMS) == 1
    assert send(writer, gateway) == {"handed_over": 1}


def test_a_message_the_gateway_will_never_take_fails_alone(writer, provider, deployment):
    """Given a gateway that will not have one of two messages, when they are sent, then the other goes out."""
    enqueue(writer, SMS, replace(SMS, notice_id="other"))
    provider.answers = [(422, b"no such number: 139")]
    assert send(writer, WebhookGateway(provider.url)) == {"failed": 1, "handed_over": 1}
    assert select(deployment, "SELECT reason FROM notice_request WHERE status = 'failed'") == [("HTTP 422",)]
    assert types(deployment) == ["NoticeAttempted"]


def test_a_gateway_that_is_not_there_ends_the_run(writer, deployment):
    """Given more notices than a batch and nobody who listens, when they are sent, then it stops after one batch."""
    with serving() as gone:
        gateway = WebhookGateway(gone.url)
    enqueue(writer, *(replace(SMS, notice_id=f"N-{n}") for n in range(gateway.batch_max + 5)))
    sent = Sender(writer, gateway).run(1_000, Sent())
    assert sent.stopped
    assert sent.by == {"postponed": gateway.batch_max}
    assert sent.reasons == {"ConnectionRefusedError": gateway.batch_max}


def test_a_redirect_is_not_followed(writer, provider, deployment):
    """Given a gateway that redirects elsewhere, when a notice is sent, then nothing of it goes there."""
    enqueue(writer, SMS)
    with serving() as elsewhere:
        provider.headers, provider.answers = {"Location": elsewhere.url}, [(307, b"")]
        assert send(writer, WebhookGateway(provider.url)) == {"postponed": 1}
        assert elsewhere.posts == []
    assert standing(deployment) == ("queued", "HTTP 307")


@pytest.mark.parametrize(
    "url",
    [
        "", "gateway.example", "ftp://gateway.example/", "file:///etc/passwd", "http://", "https://:443/",
        "http://h:99999/", "http://h:0/", "http://user:secret@h/", "http://h/a b", "http://h/\r\nX: y", "http://[::1",
    ],
)  # fmt: skip
def test_an_address_that_is_none_is_refused(url):
    """Given something that is no http address, when a webhook is made of it, then one line says what would be."""
    with pytest.raises(MalformedError, match="--webhook: should be an address as https://"):
        WebhookGateway(url)


# -- outcomes that the gateway says at once -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "kind", "data"),
    [
        ({"outcome": "delivered", "receipt": "R-1", "id": 7}, "NoticeDelivered", {"receipt": "R-1"}),
        ({"outcome": "failed", "reason": "number_abandoned"}, "NoticeFailed", {"reason": "number_abandoned"}),
    ],
)
def test_an_outcome_said_at_once_is_recorded_with_the_attempt(  # noqa: PLR0917
    writer, provider, deployment, said, kind, data
):
    """Given a gateway that knows at once, when it takes a notice over, then attempt and outcome stand, once."""
    enqueue(writer, SMS)
    provider.answers = [(202, orjson.dumps(said))]
    assert send(writer, WebhookGateway(provider.url)) == {"handed_over": 1}
    attempted, outcome = events(deployment)
    assert (attempted["type"], outcome["type"]) == ("NoticeAttempted", kind)
    assert outcome["data"] == {"notice_id": SMS.notice_id, **data}
    result = {"account_id": "A1", "notice_id": SMS.notice_id, **{k: v for k, v in said.items() if k != "id"}}
    assert Results(Runtime(deployment, writer.clock)).record(result) is False
    assert len(events(deployment)) == 2


@pytest.mark.parametrize(
    "said",
    [b"ok", b"[]", b"{", b"\xff", b'{"outcome": "lost"}', b'{"outcome": "failed"}', b" " * 70_000,
     b'{"outcome": "delivered", "receipt": 7}', b'{"id": 7}'],
)  # fmt: skip
def test_an_answer_that_can_not_be_read_is_a_hand_over_all_the_same(writer, provider, deployment, said):
    """Given a 2xx answer that says nothing of use, when it comes, then the attempt stands and its outcome is open."""
    enqueue(writer, SMS)
    provider.answers = [(200, said)]
    assert send(writer, WebhookGateway(provider.url)) == {"handed_over": 1}
    assert types(deployment) == ["NoticeAttempted"]


# -- killed, and at once ------------------------------------------------------------------------------------


def recount(url, tmp_path, *arguments):
    """Start `recount` in a process of its own, on a database."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "DATABASE_URL": url,
        "RECOUNT_MASTER_KEY": base64.b64encode(MASTER).decode(),
    }
    command = [sys.executable, "-P", "-m", "api.cli", *arguments, "--data", str(tmp_path / "data")]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_a_sender_killed_in_the_middle_of_a_hand_over_leaves_one_attempt(
    writer, provider, deployment, database_url, tmp_path
):
    """Given a sender killed while the gateway has the notice, when sent again, then one key and one attempt."""
    enqueue(writer, SMS)
    provider.held = threading.Event()
    killed = recount(database_url, tmp_path, "notices", "send", "--webhook", provider.url)
    wait_for(lambda: provider.posts)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    provider.held.set()
    provider.held = None
    assert (standing(deployment), types(deployment)) == (("queued", None), [])
    again = recount(database_url, tmp_path, "notices", "send", "--webhook", provider.url, "--json")
    out, err = again.communicate(timeout=30)
    assert (again.returncode, json.loads(out)["handed_over"]) == (0, 1), err
    assert len(provider.keys) == 2
    assert len(set(provider.keys)) == 1
    assert types(deployment) == ["NoticeAttempted"]
    assert ADDRESS.encode() not in out + err


def test_a_sender_that_stops_after_the_record_does_not_offer_it_again(
    writer, provider, deployment, monkeypatch
):
    """Given an attempt recorded and a sender that got no further, when sent again, then it is only settled."""

    def stop(*_):
        raise KeyboardInterrupt

    enqueue(writer, SMS)
    provider.answers = [(200, b'{"outcome": "delivered"}')]
    with monkeypatch.context() as patch:
        patch.setattr(sending, "settle", stop)
        with pytest.raises(KeyboardInterrupt):
            send(writer, WebhookGateway(provider.url))
    assert (standing(deployment), len(events(deployment))) == (("queued", None), 2)
    assert send(writer, WebhookGateway(provider.url)) == {"handed_over": 1}
    assert (standing(deployment), len(provider.posts)) == (("handed_over", None), 1)
    assert types(deployment) == ["NoticeAttempted", "NoticeDelivered"]


def test_several_senders_share_the_work(writer, provider, deployment):
    """Given three senders on one queue, when they send at once, then each notice is offered by one of them."""
    enqueue(writer, *(replace(SMS, notice_id=f"N-{n:02}") for n in range(40)))

    def one(_):
        gateway = WebhookGateway(provider.url)
        gateway.batch_max = 4
        return send(writer, gateway).get("handed_over", 0)

    with ThreadPoolExecutor(3) as pool:
        assert sum(pool.map(one, range(3))) == 40
    assert sorted(provider.keys) == [f"{LEDGER}/A1/N-{n:02}" for n in range(40)]
    assert types(deployment) == ["NoticeAttempted"] * 40


def test_what_the_domain_refuses_after_the_hand_over_is_said_so(writer, provider, deployment, monkeypatch):
    """Given a clerk who takes the id while the gateway is asked, when recorded, then the request says so."""
    gateway = WebhookGateway(provider.url)
    post = gateway._post

    def overtaken(message):
        do(
            writer,
            cmd.AttemptNotice(notice_id=SMS.notice_id, purpose="arrears", channel="visit"),
            at=now(writer),
        )
        return post(message)

    enqueue(writer, SMS)
    monkeypatch.setattr(gateway, "_post", overtaken)
    assert send(writer, gateway) == {"unrecorded": 1}
    assert standing(deployment) == ("unrecorded", "id.already_used")
    assert enqueue(writer, SMS) == 0


# -- results ------------------------------------------------------------------------------------------------


@pytest.fixture
def sent(writer, provider):
    """Return a writer whose notices N-0 to N-4 were handed over."""
    enqueue(writer, *(replace(SMS, notice_id=f"N-{n}") for n in range(5)))
    send(writer, WebhookGateway(provider.url))
    return writer


def result(n=0, outcome="delivered", **more):
    """Return a result as a gateway writes it."""
    return {"account_id": "A1", "notice_id": f"N-{n}", "outcome": outcome, **more}


def test_a_results_file_read_twice_changes_nothing_and_bad_lines_do_not_lose_the_rest(
    sent, deployment, database_url, tmp_path
):
    """Given a file of good and hostile lines, when read twice, then the good are recorded once, the bad kept."""
    bad = {
        2: (b"{oops", "(line)"),
        3: (b"\xff\xfe", "(line)"),
        4: (b"", "(line)"),
        5: (b"[1]", "(line)"),
        6: (orjson.dumps(result(3, "lost")), "outcome"),
        7: (orjson.dumps(result(3, "failed")), "reason"),
        8: (orjson.dumps(result(3, "failed", reason="<script>")), "reason"),
        9: (orjson.dumps(result(3, reason="no_answer")), "reason"),
        10: (orjson.dumps(result(3, receipt="R" * 10_000)), "receipt"),
        11: (orjson.dumps(result(3, at="yesterday")), "at"),
        12: (orjson.dumps(result(3, at="2999-01-01T00:00:00+08:00")), "at"),
        13: (orjson.dumps(result(3, at="2014-01-01T00:00:00+08:00")), "(line)"),
        14: (orjson.dumps(result(3, more=1)), "more"),
        15: (orjson.dumps({**result(3), "account_id": "A1/../A2"}), "account_id"),
        16: (orjson.dumps({**result(3), "account_id": ["A1"]}), "account_id"),
        17: (orjson.dumps({**result(3), "notice_id": "'; DROP TABLE event; --"}), "notice_id"),
        18: (orjson.dumps(result(9)), "(line)"),
        19: (orjson.dumps(result(0, "failed", reason="no_answer")), "(line)"),
        20: (orjson.dumps(result(3, region="Nowhere!")), "region"),
        21: (orjson.dumps(result(3, region="guangdong")), "account_id"),
    }
    good = {
        1: orjson.dumps(result(0, receipt="R-0")),
        22: orjson.dumps(result(1, "failed", reason="no_answer")),
        23: orjson.dumps(result(2, at=now(sent), region=REGION)),
    }
    file = tmp_path / "results.jsonl"
    file.write_bytes(b"\n".join(good.get(n) or bad[n][0] for n in range(1, 24)))

    def read():
        done = recount(database_url, tmp_path, "notices", "results", str(file), "--json")
        out, err = done.communicate(timeout=30)
        assert (done.returncode, err) == (1, b"")
        return json.loads(out)

    told = read()
    assert (told["recorded"], told["repeated"], told["refused"]) == (3, 0, 20)
    rejects = [json.loads(text) for text in Path(told["rejects"]).read_text().splitlines()]
    assert [(r["line"], r["field"]) for r in rejects] == [(n, field) for n, (_, field) in bad.items()]
    assert Path(told["rejects"]).stat().st_mode & 0o077 == 0
    assert rejects[17]["reason"].startswith("notice.already_settled: ")
    before = events(deployment)
    told = read()
    assert (told["recorded"], told["repeated"], told["refused"]) == (0, 3, 20)
    assert events(deployment) == before
    assert types(deployment)[5:] == ["NoticeDelivered", "NoticeFailed", "NoticeDelivered"]


def test_a_result_is_of_the_moment_it_says(sent, deployment):
    """Given results with and without a time, when recorded, then they are of that time, or of the present."""
    results, moment = Results(Runtime(deployment, sent.clock)), sent.clock() + timedelta(seconds=2)
    results.record(result(0, at=moment.isoformat()))
    results.record(result(1))
    first, second = events(deployment, "NoticeDelivered")
    assert first["time"] == moment.isoformat()
    assert abs(sent.clock() - type(moment).fromisoformat(second["time"])) < timedelta(seconds=10)


def test_a_gateways_clock_may_be_a_little_behind(sent, deployment):
    """Given a delivery said to be a minute before the attempt, when recorded, then it is of the attempt's moment."""
    at = sent.clock() - timedelta(minutes=1)
    assert Results(Runtime(deployment, sent.clock)).record(result(0, at=at.isoformat()))
    attempted, delivered = events(deployment)[0], events(deployment, "NoticeDelivered")[0]
    assert delivered["time"] == attempted["time"]
    with pytest.raises(Refused, match="should not be before that"):
        Results(Runtime(deployment, sent.clock)).record(result(1, at=(at - timedelta(hours=1)).isoformat()))


def test_a_result_that_came_too_early_can_be_reported_again(writer, provider, deployment):
    """Given a result read before its attempt was recorded, when it is read again later, then it is recorded."""
    results, early = Results(Runtime(deployment, writer.clock)), {**result(), "notice_id": SMS.notice_id}
    with pytest.raises(Refused, match="no notice"):
        results.record(early)
    enqueue(writer, SMS)
    send(writer, WebhookGateway(provider.url))
    assert results.record(early) is True
    assert results.record(early) is False


def test_an_account_that_stands_in_two_ledgers_needs_its_region(sent, deployment):
    """Given one account id in two provinces, when a result does not say which, then it is refused; else recorded."""
    other = "guangdong.guangzhou"
    bring(deployment, support.opening_line("A1", region=other))
    results = Results(Runtime(deployment, sent.clock))
    with pytest.raises(SubjectError, match="stands in several ledgers"):
        results.record(result())
    assert results.record(result(), REGION)
    assert results.record(result(1, region=REGION))


# -- looking ------------------------------------------------------------------------------------------------


def test_the_list_says_how_many_wait_and_which_is_the_oldest(sent, database_url, monkeypatch, capfd):
    """Given notices that wait and that were sent, when listed, then counts by status, and the oldest of one."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("RECOUNT_MASTER_KEY", base64.b64encode(MASTER).decode())
    monkeypatch.setattr("api.cli.configure", lambda _level: None)  # logging is the whole process's
    enqueue(sent, replace(SMS, notice_id="waits"))
    enqueue(sent, replace(SMS, notice_id="waits-less"))
    assert main(["notices", "list", "--limit", "1", "--json"]) == 0
    told = json.loads(capfd.readouterr().out)
    assert told["by_status"] == {
        "queued": 2, "handed_over": 5, "refused": 0, "lapsed": 0, "failed": 0, "unrecorded": 0,
    }  # fmt: skip
    assert [r["notice_id"] for r in told["requests"]] == ["waits"]
    assert main(["notices", "list", "--status", "handed_over", "--region", REGION]) == 0
    first, *others = capfd.readouterr().out.splitlines()
    assert first == "2 queued, 5 handed over"
    assert len(others) == 5
    assert "account/A1 N-0 arrears by sms, until " in others[0]
    assert main(["notices", "list", "--region", "guangdong"]) == 1


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ((), "the following arguments are required: ACTION"),
        (("send",), "one of the arguments --file --webhook is required"),
        (("send", "--file", "d", "--webhook", "u"), "not allowed with argument"),
        (("send", "--webhook", "ftp://h"), "--webhook: should be an address as https://"),
        (("send", "--file", "d", "--limit", "0"), "--limit: should be from 1 to"),
        (("list", "--status", "lost"), "--status: invalid choice"),
    ],
)
def test_wrong_usage_is_one_clear_line(tmp_path, monkeypatch, capfd, arguments, line):
    """Given arguments that can't be meant, when `notices` is run, then exit 2 and one line that says why."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("api.cli.configure", lambda _level: None)
    try:
        code = main(["notices", *arguments])
    except SystemExit as ended:
        code = ended.code
    out, err = capfd.readouterr()
    assert (code, out) == (2, "")
    assert line in err
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("order", [("--data", "D", "list"), ("list", "--data", "D")])
def test_what_every_command_takes_may_stand_before_or_after_the_action(order):
    """Given --data before or after the action, when the line is read, then it is what was given, and one default."""
    given = parser().parse_args(["notices", *order])
    assert (given.data, given.region, given.json, given.log_level) == (Path("D"), None, False, "WARNING")
    assert parser().parse_args(["notices", "list"]).data == Path("data")


def test_the_metrics_say_how_many_wait(sent, deployment):
    """Given five notices that were sent and one that waits, when Prometheus asks, then one waits."""
    enqueue(sent, SMS)
    found = generate_latest(Metrics(deployment).registry).decode()
    assert f'recount_notices_queued{{ledger="{LEDGER}"}} 1.0' in found
