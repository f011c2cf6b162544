"""Commands over HTTP: decided once, answered the same again, refused with stable codes."""

import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from api.runtime import Runtime
from tests.http_service import REGION, Client, problem

pytest_plugins = ["tests.http_fixtures"]
pytestmark = pytest.mark.storage


def events(client: Client, ledger: str = "heilongjiang") -> list[dict]:
    return client.get(f"/feeds/{ledger}?limit=1000").json()


def test_an_accepted_command_says_where_its_events_stand(client: Client):
    """201 with the command's id, the log position, the stream's version and the events."""
    found = client.register()
    assert found.status_code == 201
    body = found.json()
    assert body["ledger"] == "heilongjiang"
    assert (body["position"], body["version"]) == (1, 1)
    assert [e["type"] for e in body["events"]] == ["PartyRegistered"]
    assert found.headers["etag"] == '"1"'
    assert found.headers["location"] == "/crm/parties/P-1"
    assert "idempotency-replayed" not in found.headers


def test_a_state_can_be_read_with_its_version(client: Client):
    """GET gives the stream's state now and its version as ETag; an unknown one is 404."""
    client.register()
    client.open_account()
    found = client.get("/crm/accounts/A-1")
    assert found.status_code == 200
    assert found.headers["etag"] == '"1"'
    assert found.json()["version"] == 1
    assert found.json()["state"]["status"] == "pending"
    for kind in ("accounts", "parties", "dealers", "cases", "rulebooks"):
        missing = client.get(f"/crm/{kind}/NOBODY")
        assert missing.status_code == 404
        assert missing.json()["code"].endswith(".not_found")


# -- idempotency


def test_given_a_lost_answer_when_asked_again_then_the_first_answer_comes(client: Client):
    """The same key and request give the same answer and one event, whatever happened in between."""
    first = client.register(key="k-1")
    client.ask("parties/P-1/details", {"name": "another"})
    again = client.register(key="k-1")
    assert again.status_code == 201
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json() == first.json()
    assert again.headers["etag"] == first.headers["etag"]
    assert len(events(client)) == 2


def test_given_a_refusal_when_asked_again_then_it_is_refused_the_same(client: Client):
    """A refusal is an answer like any other: it has its receipt, even when the reason is gone by then."""
    client.register("P-0")
    refused = problem(client.open_account(key="k-2"), 404, "party.not_found")
    client.register()
    again = client.open_account(key="k-2")
    repeated = problem(again, 404, "party.not_found")
    assert again.headers["idempotency-replayed"] == "true"
    assert repeated["command_id"] == refused["command_id"]
    assert client.open_account(key="k-3").status_code == 201


def test_a_key_is_for_one_request(client: Client):
    """The same key with another body, another address or another If-Match is 422, and changes nothing."""
    client.register(key="k-1")
    problem(client.register(key="k-1", channel="hotline"), 422, "idempotency.key_reused")
    problem(client.register("P-2", key="k-1"), 422, "idempotency.key_reused")
    problem(client.register(key="k-1", if_match='"1"'), 422, "idempotency.key_reused")
    assert len(events(client)) == 1


def test_a_key_is_for_one_request_in_all_ledgers(client: Client):
    """The same key with another region is 422 too, though each ledger keeps its own receipts."""
    client.register(key="k-1")
    client.register("P-9", key="k-9", region="jilin.changchun")
    problem(client.register(key="k-1", region="jilin.changchun"), 422, "idempotency.key_reused")
    assert len(events(client, "jilin")) == 1


def test_two_clients_with_one_key_make_one_event(client: Client):
    """Many at once with the same key and request: one event, one answer for all."""
    together = threading.Barrier(8)
    token = client.http.headers["authorization"].removeprefix("Bearer ")

    def ask(_: int) -> httpx.Response:
        own = client.with_token(token)
        together.wait(10)
        return own.register(key="k-1")

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(ask, range(8)))
    assert {r.status_code for r in found} == {201}
    assert len({r.json()["command_id"] for r in found}) == 1
    assert sum("idempotency-replayed" not in r.headers for r in found) == 1
    assert len(events(client)) == 1


@pytest.mark.parametrize("key", [None, "", "with space", "é", "k" * 201])
def test_a_write_without_a_proper_key_is_turned_away(seen: Client, key: str | None):
    """400, before anything else is looked at."""
    headers = {} if key is None else {"Idempotency-Key": key.encode()}
    found = seen.post("/crm/parties/P-1", json={"anything": 1}, headers=headers)
    problem(found, 400, "idempotency.key_missing" if key is None else "idempotency.key_malformed")


# -- versions


def test_if_match_guards_against_what_was_not_seen(client: Client):
    """The version that was seen goes through, an older one is 412 with the present one."""
    client.register()
    assert client.ask("parties/P-1/details", {"name": "a"}, if_match='"1"').headers["etag"] == '"2"'
    late = client.ask("parties/P-1/details", {"name": "b"}, if_match='"1"')
    problem(late, 412, "version.mismatch")
    assert late.headers["etag"] == '"2"'
    assert client.ask("parties/P-1/details", {"name": "c"}, if_match="*").headers["etag"] == '"3"'


def test_if_match_holds_even_for_a_repeat_after_the_stream_went_on(client: Client):
    """A retry under the same key is answered although its If-Match would not hold any more."""
    client.register()
    first = client.ask("parties/P-1/details", {"name": "a"}, key="k", if_match='"1"')
    again = client.ask("parties/P-1/details", {"name": "a"}, key="k", if_match='"1"')
    assert again.json() == first.json()


def test_a_key_turned_away_by_its_version_may_be_used_again(client: Client):
    """412 changed nothing and left no receipt: the key is free."""
    client.register()
    problem(
        client.ask("parties/P-1/details", {"name": "a"}, key="k", if_match='"7"'), 412, "version.mismatch"
    )
    assert client.ask("parties/P-1/details", {"name": "a"}, key="k", if_match='"1"').status_code == 201


def test_any_version_is_some_version(client: Client):
    """`*` on an opening command asks for a stream that is there: 412 while it is not."""
    problem(client.register(if_match="*"), 412, "version.mismatch")


@pytest.mark.parametrize("value", ["3", 'W/"3"', '"x"', '"1", "2"', '"99999999999"'])
def test_a_malformed_if_match_is_400(seen: Client, value: str):
    """Only one version, or *, is understood."""
    problem(seen.register(if_match=value), 400, "if_match.malformed")


# -- refusals and forms


def test_a_refusal_has_its_code_and_details(client: Client):
    """409 with the domain's code, the ids it speaks of, the command's id and the stream's ETag."""
    client.register()
    found = client.register()
    body = problem(found, 409, "party.already_exists")
    assert body["command_id"]
    assert body["details"] == {"id": "P-1"}
    assert found.headers["etag"] == '"1"'


def test_a_command_for_an_unknown_stream_is_404(client: Client):
    """With and without a region, also where the region has no ledger; no ledger is made for it."""
    body = {"name": "a"}
    problem(client.ask("parties/P-0/details", body), 404, "party.not_found")
    problem(client.ask("parties/P-0/details", body, region=REGION), 404, "party.not_found")
    assert client.get("/feeds").json() == {"ledgers": []}
    client.register()
    problem(client.ask("parties/P-0/details", body, region=REGION), 404, "party.not_found")


def test_a_subject_of_several_ledgers_is_named_with_its_region(client: Client):
    """409 names the ledgers; the region chooses."""
    client.register()
    client.register(region="jilin.changchun")
    found = problem(client.ask("parties/P-1/details", {"name": "a"}), 409, "subject.ambiguous")
    assert found["ledgers"] == ["heilongjiang", "jilin"]
    assert client.ask("parties/P-1/details", {"name": "a"}, region=REGION).json()["ledger"] == "heilongjiang"
    problem(client.get("/crm/parties/P-1"), 409, "subject.ambiguous")
    assert client.get("/crm/parties/P-1?region=jilin").headers["etag"] == '"1"'


def test_a_command_without_region_takes_its_streams_own(client: Client, runtime: Runtime):
    """The event carries the region in which its stream was opened."""
    client.register()
    client.ask("parties/P-1/details", {"name": "a"})
    assert [e["region"] for e in events(client)] == [REGION, REGION]


def test_an_opening_command_says_that_it_needs_a_region(client: Client):
    """422 names the field and what would be right."""
    found = problem(client.register(region=None), 422, "request.invalid")
    assert found["errors"][0]["field"] == "region"
    found = problem(client.ask("dealers/D-1", {"name": "d", "manager_id": "M-1"}), 422, "request.invalid")
    assert found["errors"] == [
        {
            "field": "region",
            "reason": "is missing: what opens a stream says in which region, as heilongjiang.harbin",
        }
    ]


SECRET = "用户甲"
PHONE = "18600000001"


@pytest.mark.parametrize(
    ("path", "data", "envelope", "field"),
    [
        ("accounts/A/packages", {"price_fen": SECRET}, {}, "data.price_fen"),
        ("accounts/A/packages", {"price_fen": -1}, {}, "data.price_fen"),
        ("accounts/A/packages", {"cycle": PHONE}, {}, "data.cycle"),
        ("accounts/A/packages", {"start": PHONE}, {}, "data.start"),
        ("accounts/A/packages", {"package_id": f"{SECRET} {PHONE}"}, {}, "data.package_id"),
        ("accounts/A/packages", {SECRET: PHONE}, {}, "data"),
        ("accounts/A/packages", {"price": PHONE}, {}, "data.price"),
        ("accounts/A/packages", {}, {"actor": SECRET}, "actor"),
        ("accounts/A/packages", {}, {"channel": SECRET}, "channel"),
        ("accounts/A/packages", {}, {"region": SECRET}, "region"),
        ("accounts/A/packages", {}, {"time": PHONE}, "time"),
        ("accounts/A/packages", {}, {"time": "2014-12-09T11:00:00"}, "time"),
        ("accounts/A/packages", {}, {"surprise": PHONE}, "surprise"),
        ("accounts/A/packages", {}, {"actororg": f"{SECRET}\n"}, "actororg"),
        ("accounts/A/packages", {"price_fen": 10**30}, {}, "data.price_fen"),
        ("accounts/A/service-moves", {"address": {"name": SECRET}}, {}, "data.address"),
        ("accounts/A/service-moves", {"address": {"key": "k", "sealed": PHONE}}, {}, "data.address"),
        ("accounts/A/charge-reversals", {"amount_fen": 1, "reason": SECRET}, {}, "data.charge_id"),
        (
            "accounts/A/instalment-plans",
            {"instalments": [{"due_on": PHONE}]},
            {},
            "data.instalments.0.due_on",
        ),
    ],
)
def test_a_form_that_is_wrong_is_explained_without_repeating_it(
    seen: Client, path: str, data: dict, envelope: dict, field: str
):
    """422 names the field and what would be right; the value, which may be personal data, is nowhere."""
    found = seen.ask(path, data, **envelope)  # the client looks for the secrets in every answer
    errors = problem(found, 422, "request.invalid")["errors"]
    assert field in {e["field"] for e in errors}
    assert all(e["reason"] for e in errors)


def test_a_time_in_the_future_is_malformed(client: Client):
    """422 for the field, and nothing is written."""
    found = problem(client.register(time="2199-01-01T00:00:00+08:00"), 422, "request.invalid")
    assert found["errors"][0]["field"] == "time"
    assert events(client) == []


def test_the_envelope_reaches_the_event(client: Client):
    """Actor, organisation, channel, time, evidence and causes are those that were asked with."""
    client.register(
        time="2014-12-09T11:00:00+08:00",
        actororg="store-7",
        evidenceref="form/1",
        correlationid="c-1",
        causationid="e-1",
    )
    found = events(client)[0]
    expected = {
        "actor": "staff/S-01",
        "channel": "store",
        "actororg": "store-7",
        "time": "2014-12-09T11:00:00+08:00",
        "evidenceref": "form/1",
        "correlationid": "c-1",
        "causationid": "e-1",
    }
    assert expected.items() <= found.items()


def test_personal_data_that_was_written_is_never_read_back(client: Client):
    """What was registered stands in no answer: the state, the timeline, the feed and the replay mask it."""
    data = {
        "kind": "individual",
        "id_type": "resident_id",
        "id_hash": "f" * 64,
        "name": SECRET,
        "id_number": "230100190001010000",
        "address": f"{SECRET} street",
    }
    assert client.ask("parties/P-1", data, region=REGION).status_code == 201
    for path in (
        "/crm/parties/P-1",
        "/investigations/party/P-1/timeline",
        "/investigations/party/P-1/replay?steps=true",
        "/feeds/heilongjiang",
    ):
        assert client.get(path).status_code == 200
    shown = events(client)[0]["data"]
    assert {shown[n] for n in ("id_hash", "name", "id_number", "address")} == {"***"}


def test_a_package_is_sold_with_the_choice_made(client: Client):
    """The expiry choice, over HTTP: refused without it, taken with it, and read in the state."""
    client.register()
    client.open_account()
    package = {
        "package_id": "PK-1",
        "offer_id": "FTTH",
        "cycle": "annual",
        "price_fen": 108_000,
        "start": "2026-01-01",
        "end": "2027-01-01",
    }
    problem(client.ask("accounts/A-1/packages", package), 409, "package.expiry_options_not_presented")
    options = ["suspend", "convert_to_monthly", "renew_annual"]
    client.ask("accounts/A-1/expiry-options", {"package_id": "PK-1", "options": options})
    problem(client.ask("accounts/A-1/packages", package), 409, "package.expiry_choice_missing")
    chosen = client.ask(
        "accounts/A-1/expiry-choices",
        {"package_id": "PK-1", "option": "suspend", "selected_by": "customer", "consent_ref": "form/1"},
    )
    assert chosen.status_code == 201, chosen.text
    assert client.ask("accounts/A-1/packages", package).status_code == 201
    assert client.get("/crm/accounts/A-1").json()["state"]["package"]["expiry_option"] == "suspend"
