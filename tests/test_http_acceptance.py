"""Accepting a proposal over HTTP: read, accepted, seen; refused with a code."""

import pytest

from tests.http_service import Client, problem

pytest_plugins = ["tests.http_fixtures"]
pytestmark = pytest.mark.storage

PARTY = "/investigations/party/P-HRB"


def question(client: Client, path: str = PARTY) -> dict:
    """Return what to accept, as the counterfactual says it."""
    read = client.get(f"{path}/counterfactual?until=2014-12-17").json()
    asked = {k: read[k] for k in ("position", "proposal_digest", "until", "assumptions")}
    return {"case_id": "C-HRB", "accepted_by": "staff/S-90", **asked}


def accept(client: Client, body: dict, path: str = PARTY, key: str = "k-1"):
    return client.post(f"{path}/acceptance", json=body, headers={"Idempotency-Key": key})


def test_a_proposal_is_read_accepted_and_seen_by_billing(harbin: Client):
    """201 with what was granted and the position a reader waits for; then nothing is owed."""
    answer = accept(harbin, question(harbin))
    assert answer.status_code == 201
    body = answer.json()
    assert [g["kind"] for g in body["granted"]] == ["reversal", "reversal", "blacklist_removal"]
    assert answer.headers["recount-position"] == str(body["position"]) == str(102 + len(body["events"]))
    after = harbin.get(f"{PARTY}/counterfactual").json()
    assert (after["to_reverse_fen"], after["actual"]) == (0, {"balance_fen": 0, "blacklisted": False})


def test_accepting_twice_gives_the_first_answer_under_any_key(harbin: Client):
    """It is the proposal that makes it once: the answer says that it is a repeat."""
    body = question(harbin)
    first, again = accept(harbin, body), accept(harbin, body, key="k-2")
    assert "idempotency-replayed" not in first.headers
    assert (again.status_code, again.headers["idempotency-replayed"]) == (201, "true")
    assert again.json() == first.json()


def test_what_is_not_accepted_says_why(harbin: Client):
    """Each refusal has its code and status, and nothing was written."""
    body = question(harbin)
    wrong = {
        "proposal.changed": (409, {"proposal_digest": "sha256:" + "0" * 64}),
        "proposal.same_person": (409, {"proposed_by": "staff/S-90"}),
        "case.not_found": (404, {"case_id": "NONE"}),
    }
    for code, (status, change) in wrong.items():
        problem(accept(harbin, {**body, **change}), status, code)
    harbin.ask("accounts/A-FTTH/deposits", {"deposit_id": "D-1", "amount_fen": 100})
    found = problem(accept(harbin, body), 409, "proposal.outdated")
    assert found["details"] == {"subject": "account/A-FTTH", "position": 102}


def test_an_acceptance_that_is_not_well_formed_names_the_field(harbin: Client):
    """422 with the field; without a key 400; another subject than an account or a party 422."""
    body = question(harbin)
    found = problem(accept(harbin, {**body, "accepted_by": "customer/P-HRB"}), 422, "request.invalid")
    assert found["errors"] == [
        {"field": "accepted_by", "reason": "should be staff/ID: a person answers for it"}
    ]
    problem(accept(harbin, {**body, "position": 10_000}), 422, "request.invalid")
    problem(harbin.post(f"{PARTY}/acceptance", json=body), 400, "idempotency.key_missing")
    problem(accept(harbin, body, "/investigations/dealer/D-17"), 422, "request.invalid")
    problem(accept(harbin, body, "/investigations/party/NOBODY"), 404, "party.not_found")
