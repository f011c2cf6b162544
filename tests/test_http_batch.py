"""POST /crm/batch: many commands a request, each decided in its turn and answered by itself."""

import itertools

import orjson
import pytest

from api.crm import batch
from domain.ledger.batch import Batch
from tests.http_service import REGION, problem
from tests.support import LEDGER, assert_sound

pytest_plugins = ["tests.http_fixtures"]
pytestmark = pytest.mark.storage

PERSON = {
    "kind": "individual", "id_type": "resident_id", "id_hash": "0" * 64, "name": "example", "id_number": "example",
    "address": "example",
}  # fmt: skip
TERMS = {
    "payment_deadline_days": 10, "late_fee_start": "after_due", "restore_hours": 24, "suspend_after_days": 30,
    "terminate_after_days": 90,
}  # fmt: skip
_keys = itertools.count(1)


def line(path, data, key=None, **more):
    """Return a line as a CRM sends it."""
    body = {"actor": "staff/S-01", "channel": "store", "region": REGION, "data": data}
    return {"path": f"/crm/{path}", "key": key or f"batch-{next(_keys)}", "body": body, **more}


def payment(number, account="A-1", **more):
    """Return a payment."""
    data = {"payment_id": f"PAY-{number}", "amount_fen": 100, "value_date": "2014-12-01", "method": "cash"}
    return line(f"accounts/{account}/payments", data, **more)


def customer(account="A-1"):
    """Return the lines that make a customer known and open an account."""
    contract = {"party_id": "P-1", "line_of_business": "mobile", "contract_terms": TERMS}
    return [line("parties/P-1", PERSON), line(f"accounts/{account}", contract)]


def send(client, *lines):
    """Send lines, objects or as they are; return the answers."""
    content = b"\n".join(one if isinstance(one, bytes) else orjson.dumps(one) for one in lines)
    response = client.post(
        "/crm/batch", content=content, headers={"Content-Type": "application/x-ndjson; charset=utf-8"}
    )
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("application/x-ndjson")
    return [orjson.loads(answer) for answer in response.content.splitlines()]


def test_lines_are_decided_in_their_order_and_answered_in_it(client, runtime):
    """Given a party, its account and payments in one batch, then each rests on the lines before it."""
    answers = send(client, *customer(), *(payment(n) for n in range(40)))
    assert [(a["line"], a["status"]) for a in answers] == [(n, 201) for n in range(1, 43)]
    assert [a["etag"] for a in answers[2:]] == [f'"{n}"' for n in range(2, 42)]
    assert [a["body"]["position"] for a in answers] == list(range(1, 43))
    assert len(assert_sound(runtime.deployment)) == 42


def test_a_bad_line_is_answered_with_its_problem_and_harms_no_other(client, runtime):
    """Given lines that are wrong in every way among good ones, then the good ones are done, in their order."""
    bad = [
        (b"{", 400, "request.malformed_json"),
        (b'"text"', 422, "request.invalid"),
        (b'{"path":"\xff"}', 400, "request.malformed_json"),
        ({"path": "/crm/accounts/A-1/payments"}, 422, "request.invalid"),
        ({**payment(1), "more": 1}, 422, "request.invalid"),
        ({**payment(1), "path": "/crm/nothing/A-1/payments"}, 404, "route.unknown"),
        ({**payment(1), "path": "/crm"}, 404, "route.unknown"),
        ({**payment(1), "path": "/crm/accounts/A 1/payments"}, 422, "request.invalid"),
        ({**payment(1), "key": "white space"}, 422, "request.invalid"),
        ({**payment(1), "body": {}}, 422, "request.invalid"),
        (payment(1, if_match='"77"'), 412, "version.mismatch"),
        (payment(1, "A-UNKNOWN"), 404, "account.not_found"),
        (b'{"path":"' + b"x" * 262_145 + b'"}', 413, "body.too_large"),
    ]
    good = [payment(f"good-{n}") for n in range(len(bad))]
    mixed = [one for pair in zip((wrong for wrong, _, _ in bad), good, strict=True) for one in pair]
    answers = send(client, *customer(), *mixed)[2:]
    assert [a["status"] for a in answers[1::2]] == [201] * len(good)
    for answer, (_, status, code) in zip(answers[::2], bad, strict=True):
        assert (answer["status"], answer["body"]["code"]) == (status, code), answer
    assert len(assert_sound(runtime.deployment)) == 2 + len(good)


def test_a_line_says_what_its_own_address_would_say(client):
    """Given a field that is wrong, then the line's problem names it as the command's own address does."""
    send(client, *customer())
    wrong = payment(1)
    wrong["body"]["data"]["amount_fen"] = -1
    (answer,) = send(client, wrong)
    alone = client.post(
        wrong["path"],
        content=orjson.dumps(wrong["body"]),
        headers={"Idempotency-Key": "k", "Content-Type": "application/json"},
    )
    named = [f["field"].removeprefix("body.") for f in answer["body"]["errors"]]
    assert (answer["status"], named) == (422, [f["field"] for f in alone.json()["errors"]])


def test_the_same_lines_again_give_their_first_answers(client, runtime):
    """Given a batch whose answers were lost, when it is sent again, then nothing more happens; also line by line."""
    lines = [*customer(), payment(1, key="k1"), payment(2, key="k2")]
    first, again = send(client, *lines), send(client, *lines)
    assert [a["replayed"] for a in first] == [False] * 4
    assert [a["replayed"] for a in again] == [True] * 4
    assert [a["body"] for a in again] == [a["body"] for a in first]
    alone = client.post(
        lines[2]["path"],
        content=orjson.dumps(lines[2]["body"]),
        headers={"Idempotency-Key": "k1", "Content-Type": "application/json"},
    )
    assert alone.json() == first[2]["body"]
    (reused,) = send(client, payment(3, key="k1"))
    assert (reused["status"], reused["body"]["code"]) == (422, "idempotency.key_reused")
    assert len(assert_sound(runtime.deployment)) == 4


def test_lines_are_committed_together(client, runtime, monkeypatch):
    """Given three hundred payments in one request, then they take few commits."""
    send(client, *customer())
    batches = []
    given = Batch.given
    monkeypatch.setattr(Batch, "given", lambda self: batches.append(self.count) or given(self))
    send(client, *(payment(n) for n in range(300)))
    assert sum(batches) >= 300
    assert len(batches) <= 60
    assert len(runtime.deployment.ledger(LEDGER).history("account/A-1")) == 301


def test_a_batch_is_bounded(client, monkeypatch):
    """Given too many lines, too many bytes or another type, then the whole request is turned away."""
    headers = {"Content-Type": "application/x-ndjson"}
    monkeypatch.setattr(batch, "LINES_MAX", 3)
    problem(client.post("/crm/batch", content=b"{}\n" * 4, headers=headers), 413, "body.too_large")
    huge = client.post("/crm/batch", content=b" " * 8_388_609, headers=headers)
    problem(huge, 413, "body.too_large")
    problem(client.post("/crm/batch", json={}), 415, "body.unsupported_type")
    assert [a["status"] for a in send(client, b"{}", b"", b"{}", b"")] == [422, 422]


def test_an_empty_batch_has_no_answers(client):
    """Given nothing, then nothing."""
    assert send(client) == []


def test_a_line_needs_the_scope_of_its_command(client, runtime):
    """Given a token that may write and not administer, then an erasure among its lines is refused, and no other."""
    send(client, *customer())
    clerk = client.as_(subject="staff/S-01", scopes=["crm:write"], regions=["*"])
    erase = line("parties/P-1/erasures", {"legal_basis": "request of the person", "approver": "staff/M-01"})
    first, second = send(clerk, erase, payment(1))
    assert (first["status"], first["body"]["code"]) == (403, "access.scope_missing")
    assert second["status"] == 201
    reader = client.as_(subject="staff/S-02", scopes=["billing:read"], regions=["*"])
    headers = {"Content-Type": "application/x-ndjson"}
    problem(reader.post("/crm/batch", content=b"", headers=headers), 403, "access.scope_missing")


def test_a_line_for_another_region_is_refused_and_changes_nothing(client, runtime):
    """Given a clerk of Daqing, when lines name Harbin or what stands there, then each is 403 or 404 by itself."""
    send(client, *customer())
    clerk = client.as_(
        subject="staff/S-07", scopes=["crm:write"], regions=["heilongjiang.daqing"], acts_for=["*"]
    )
    elsewhere = payment(2)
    elsewhere["body"] = {**elsewhere["body"], "region": "heilongjiang.daqing"}
    answers = send(clerk, payment(1), elsewhere)
    assert {a["status"] for a in answers} <= {403, 404}
    assert len(assert_sound(runtime.deployment)) == 2
