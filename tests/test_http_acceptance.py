"""Proposing and accepting over HTTP: two people, each by their own token; refused with a code."""

import pytest

from api.access.principal import INVESTIGATE_DECIDE, INVESTIGATE_READ
from api.runtime import Runtime
from tests.http_service import REGION, Client, problem

pytest_plugins = ["tests.http_fixtures"]
pytestmark = pytest.mark.storage

PARTY = "/investigations/party/P-HRB"


def question(client: Client, path: str = PARTY) -> dict:
    """Return what to accept, as the counterfactual says it."""
    read = client.get(f"{path}/counterfactual?until=2014-12-17").json()
    asked = {k: read[k] for k in ("position", "proposal_digest", "until", "assumptions")}
    return {"case_id": "C-HRB", **asked}


def propose(client: Client, body: dict, path: str = PARTY, key: str = "p-1"):
    return client.post(f"{path}/proposal", json=body, headers={"Idempotency-Key": key})


def accept(client: Client, body: dict, path: str = PARTY, key: str = "k-1"):
    return client.post(f"{path}/acceptance", json=body, headers={"Idempotency-Key": key})


def investigator(client: Client, name: str) -> Client:
    return client.as_(
        subject=f"staff/{name}", scopes=[INVESTIGATE_READ, INVESTIGATE_DECIDE], regions=[REGION]
    )


@pytest.fixture
def two(harbin: Client) -> tuple[Client, Client]:
    """Return two investigators."""
    return investigator(harbin, "S-90"), investigator(harbin, "S-91")


def test_what_one_proposes_another_accepts_and_billing_sees(harbin: Client, two: tuple[Client, Client]):
    """201 with what was granted and the position a reader waits for; both names stand in the case; nothing is owed."""
    one, other = two
    body = question(one)
    made = propose(one, body)
    assert (made.status_code, made.json()["proposed_by"]) == (201, "staff/S-90")
    assert harbin.get("/feeds").json()["ledgers"][0]["position"] == 102  # nothing has changed yet
    answer = accept(other, body)
    assert answer.status_code == 201, answer.text
    found = answer.json()
    assert (found["proposed_by"], found["accepted_by"]) == ("staff/S-90", "staff/S-91")
    assert [g["kind"] for g in found["granted"]] == ["reversal", "reversal", "blacklist_removal"]
    assert answer.headers["recount-position"] == str(found["position"]) == str(102 + len(found["events"]))
    events = harbin.get("/feeds/heilongjiang?after=102").json()
    assert [e["actor"] for e in events] == ["staff/S-90"] + ["staff/S-91"] * (len(events) - 1)
    assert (events[0]["type"], events[0]["subject"]) == ("EvidenceAttached", "case/C-HRB")
    assert f"sha256:{events[0]['data']['sha256']}" == body["proposal_digest"]
    after = harbin.get(f"{PARTY}/counterfactual").json()
    assert (after["to_reverse_fen"], after["actual"]) == (0, {"balance_fen": 0, "blacklisted": False})


def test_nobody_accepts_what_they_proposed_or_what_nobody_did(harbin: Client, two: tuple[Client, Client]):
    """Whoever is named in the request: it is the tokens that are two."""
    one, other = two
    body = question(one)
    problem(accept(one, body), 409, "proposal.not_made")
    problem(accept(one, {**body, "proposed_by": "staff/S-91"}), 409, "proposal.not_made")
    propose(one, body)
    problem(accept(one, body), 409, "proposal.same_person")
    problem(accept(one, {**body, "proposed_by": "staff/S-91"}), 422, "request.invalid")
    problem(accept(one, {**body, "accepted_by": "staff/S-91"}), 403, "access.other_actor")
    problem(propose(one, {**body, "proposed_by": "staff/S-91"}), 403, "access.other_actor")
    assert propose(other, body, key="p-2").json()["proposed_by"] == "staff/S-90"  # the first one stays
    problem(accept(harbin, body), 422, "request.invalid")  # a system is nobody who answers for it
    assert harbin.get("/feeds").json()["ledgers"][0]["position"] == 102
    assert accept(other, body).status_code == 201


def test_who_may_only_read_neither_proposes_nor_accepts(harbin: Client):
    """403 without investigate:decide; and nothing of another region is proposed."""
    body = question(harbin)
    reader = harbin.as_(scopes=[INVESTIGATE_READ])
    problem(propose(reader, body), 403, "access.scope_missing")
    problem(accept(reader, body), 403, "access.scope_missing")
    elsewhere = harbin.as_(scopes=[INVESTIGATE_DECIDE], regions=["heilongjiang.daqing"])
    problem(propose(elsewhere, body), 404, "party.not_found")
    problem(accept(elsewhere, body), 404, "party.not_found")


def test_accepting_twice_gives_the_first_answer_under_any_key(two: tuple[Client, Client]):
    """It is the proposal that makes it once: the answer says that it is a repeat; so does a second proposal's."""
    one, other = two
    body = question(one)
    proposed, repeated = propose(one, body), propose(one, body, key="p-2")
    assert (repeated.headers["idempotency-replayed"], repeated.json()) == ("true", proposed.json())
    first, again = accept(other, body), accept(other, body, key="k-2")
    assert "idempotency-replayed" not in first.headers
    assert (again.status_code, again.headers["idempotency-replayed"]) == (201, "true")
    assert again.json() == first.json()


def test_what_is_not_accepted_says_why(harbin: Client, two: tuple[Client, Client]):
    """Each refusal has its code and status, and nothing was written."""
    one, other = two
    body = question(one)
    for code, status, change in (
        ("proposal.changed", 409, {"proposal_digest": "sha256:" + "0" * 64}),
        ("case.not_found", 404, {"case_id": "NONE"}),
    ):
        problem(propose(one, {**body, **change}), status, code)
    propose(one, body)
    harbin.ask("accounts/A-FTTH/deposits", {"deposit_id": "D-1", "amount_fen": 100})
    found = problem(accept(other, body), 409, "proposal.outdated")
    assert found["details"] == {"subject": "account/A-FTTH", "position": 102}


def test_a_case_of_another_region_is_as_none(harbin: Client, two: tuple[Client, Client], runtime: Runtime):
    """Neither that it is there nor whose it is, is said."""
    one, _ = two
    harbin.register("P-D", region="heilongjiang.daqing")
    look = {"party_id": "P-D", "account_ids": [], "reason": "a dispute"}
    opened = harbin.ask("cases/C-D/investigations", look, region="heilongjiang.daqing")
    body = question(one)
    if opened.status_code == 404:
        opened = harbin.ask("cases/C-D/investigation", look, region="heilongjiang.daqing")
    assert opened.status_code == 201, opened.text
    problem(propose(one, {**body, "case_id": "C-D"}), 404, "case.not_found")


def test_an_acceptance_that_is_not_well_formed_names_the_field(two: tuple[Client, Client]):
    """422 with the field; without a key 400; another subject than an account or a party 422."""
    one, other = two
    body = question(one)
    propose(one, body)
    found = problem(accept(other, {**body, "accepted_by": "customer/P-HRB"}), 422, "request.invalid")
    assert found["errors"] == [
        {"field": "accepted_by", "reason": "should be staff/ID: a person answers for it"}
    ]
    problem(propose(one, {**body, "position": 10_000, "case_id": "C-2"}), 422, "request.invalid")
    problem(other.post(f"{PARTY}/acceptance", json=body), 400, "idempotency.key_missing")
    problem(propose(one, body, "/investigations/dealer/D-17"), 422, "request.invalid")
    problem(accept(other, body, "/investigations/party/NOBODY"), 404, "party.not_found")
