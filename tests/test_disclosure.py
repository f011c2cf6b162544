"""Disclosing personal data: recorded before it is shown, for a purpose, under a case, and to nobody else."""

import base64

import orjson
import psycopg
import pytest

from api.access.principal import INVESTIGATE_READ
from api.cli import main
from api.runtime import Runtime
from tests.conftest import MASTER
from tests.http_service import PERSONAL, REGION, Client, problem

pytest_plugins = ["tests.http_fixtures"]
pytestmark = pytest.mark.storage

PATH = "/investigations/party/P-HRB/disclosures"
ASKED = {"fields": ["name", "contact_points"], "purpose": "to call back", "case_id": "C-HRB"}


def ask(client: Client, key: str = "d-1", path: str = PATH, **changed):
    """Ask to see personal data: past the client's own look at every answer, which would find it."""
    body = {k: v for k, v in {**ASKED, **changed}.items() if v is not None}
    return client.http.post(path, json=body, headers={"Idempotency-Key": key})


@pytest.fixture
def investigator(harbin: Client) -> Client:
    return harbin.as_(subject="staff/S-90", scopes=[INVESTIGATE_READ], regions=[REGION])


def last(client: Client) -> dict:
    position = client.get("/feeds").json()["ledgers"][0]["position"]
    found: dict = client.get(f"/feeds/heilongjiang?after={position - 1}").json()[0]
    return found


def test_what_is_disclosed_stands_in_the_log_without_its_words(harbin: Client, investigator: Client):
    """201 with the data; the event says who saw which kinds, what for and under which case."""
    found = ask(investigator)
    assert found.status_code == 201
    body = found.json()
    assert body["values"]["name"] == PERSONAL[0]
    assert {p["value"] for p in body["values"]["contact_points"].values()} >= {PERSONAL[2]}
    event = last(harbin)
    assert (event["type"], event["subject"], event["actor"]) == (
        "PersonalDataDisclosed",
        "party/P-HRB",
        "staff/S-90",
    )
    assert event["data"] == {
        "fields": ["name", "contact_points"],
        "purpose": "to call back",
        "case_id": "C-HRB",
    }
    assert event["position"] == body["position"] == 103
    assert found.headers["cache-control"] == "no-store"
    every = ask(
        investigator, "d-2", fields=["name", "id_number", "address", "contact_points", "numbers", "summaries"]
    )
    assert every.json()["values"].keys() == {
        "name", "id_number", "address", "contact_points", "numbers", "summaries"
    }  # fmt: skip
    assert every.json()["values"]["id_number"] == PERSONAL[1]
    assert any(n["number"] for n in every.json()["values"]["numbers"].values())
    assert every.json()["values"]["summaries"][0]["text"]


def test_nothing_is_shown_that_could_not_be_recorded(harbin: Client, investigator: Client, monkeypatch):
    """The event comes first: where it can't be appended, there is no answer with data."""
    from domain.ledger.writer import BusyError, Writer

    def full(*_: object, **__: object) -> None:
        raise BusyError("full")

    monkeypatch.setattr(Writer, "execute", full)
    found = investigator.post(PATH, json=ASKED, headers={"Idempotency-Key": "d-1"})
    problem(found, 503, "storage.busy")
    assert last(harbin)["type"] != "PersonalDataDisclosed"


def test_a_repeat_shows_nothing_again(harbin: Client, investigator: Client):
    """The same key says that it was disclosed, without the data; another request needs a new key."""
    ask(investigator)
    again = investigator.post(PATH, json=ASKED, headers={"Idempotency-Key": "d-1"})
    assert (again.status_code, again.headers["idempotency-replayed"], again.json()["values"]) == (
        201,
        "true",
        None,
    )
    problem(
        investigator.post(PATH, json={**ASKED, "purpose": "another"}, headers={"Idempotency-Key": "d-1"}),
        422,
        "idempotency.key_reused",
    )
    assert last(harbin)["position"] == 103


@pytest.mark.parametrize(
    ("changed", "status", "code"),
    [
        ({"purpose": None}, 422, "request.invalid"),
        ({"purpose": ""}, 422, "request.invalid"),
        ({"case_id": None}, 422, "request.invalid"),
        ({"case_id": "NONE"}, 404, "case.not_found"),
        ({"fields": []}, 422, "request.invalid"),
        ({"fields": ["everything"]}, 422, "request.invalid"),
        ({"fields": ["name"] * 50}, 422, "request.invalid"),
        ({"actor": "staff/S-1"}, 422, "request.invalid"),
    ],
)
def test_without_a_purpose_and_a_case_nothing_is_disclosed(
    harbin: Client, investigator: Client, changed: dict, status: int, code: str
):
    """Each is said; nothing is recorded, nothing shown."""
    body = {k: v for k, v in {**ASKED, **changed}.items() if v is not None}
    problem(investigator.post(PATH, json=body, headers={"Idempotency-Key": "d-1"}), status, code)
    assert last(harbin)["position"] == 102


def test_a_case_of_somebody_else_or_a_closed_one_opens_nothing(harbin: Client, investigator: Client):
    """The case is about the person, and somebody still works on it."""
    harbin.register("P-2")
    for case_id, party_id in (("C-2", "P-2"), ("C-3", "P-HRB")):
        look = {"party_id": party_id, "account_ids": [], "reason": "a dispute"}
        assert harbin.ask(f"cases/{case_id}/investigation", look, region=REGION).status_code == 201
    assert ask(investigator, "d-0", case_id="C-3").status_code == 201
    assert harbin.ask("cases/C-3/closures", {"outcome": "settled"}).status_code == 201
    for number, (case_id, code) in enumerate((("C-2", "case.other_party"), ("C-3", "case.closed"))):
        found = ask(investigator, f"d-{number + 1}", case_id=case_id)
        problem(found, 409, code)


def test_only_an_investigator_of_the_region_sees_it(harbin: Client):
    """Another scope 403, another region 404, no token 401; nothing is recorded."""
    for scope in ("crm:write", "billing:read", "investigate:decide", "admin"):
        client = harbin.as_(scopes=[scope])
        problem(client.post(PATH, json=ASKED, headers={"Idempotency-Key": "d"}), 403, "access.scope_missing")
    elsewhere = harbin.as_(scopes=[INVESTIGATE_READ], regions=["heilongjiang.daqing"])
    problem(elsewhere.post(PATH, json=ASKED, headers={"Idempotency-Key": "d"}), 404, "party.not_found")
    problem(harbin.with_token("").post(PATH, json=ASKED), 401, "access.token_missing")
    assert last(harbin)["position"] == 102


def test_what_was_erased_is_disclosed_to_nobody(harbin: Client, investigator: Client, runtime: Runtime):
    """With the key gone there is nothing to show; that somebody looked is recorded all the same."""
    ledger = runtime.deployment.ledgers[0]
    with runtime.deployment.database.migrating(ledger.schema) as connection:
        connection.execute(
            "UPDATE party_key SET wrapped = NULL, destroyed_at = now() WHERE owner = 'party/P-HRB'"
        )
    found = investigator.post(
        PATH, json={**ASKED, "fields": ["name", "id_number"]}, headers={"Idempotency-Key": "d-1"}
    )
    assert (found.status_code, found.json()["values"]) == (201, {"name": None, "id_number": None})


def test_the_command_line_records_and_shows_it(harbin: Client, database_url: str, monkeypatch, capsys):
    """0 with the data, in lines or JSON; a wrong case 1, a wrong name 2."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("RECOUNT_MASTER_KEY", base64.b64encode(MASTER).decode())
    asked = ["disclose", "party/P-HRB", "--purpose", "to call back", "--by", "staff/S-90", "--field", "name"]
    assert main([*asked, "--case", "C-HRB"]) == 0
    assert f"name: {PERSONAL[0]}" in capsys.readouterr().out
    assert main([*asked, "--field", "contact_points", "--case", "C-HRB", "--json"]) == 0
    assert orjson.loads(capsys.readouterr().out)["values"]["name"] == PERSONAL[0]
    assert main([*asked, "--case", "NONE"]) == 1
    assert "(case.not_found)" in capsys.readouterr().err
    assert main([*asked[:4], *asked[6:], "--by", "customer/P-HRB", "--case", "C-HRB"]) == 2
    assert main(["disclose", "account/A-FTTH", *asked[2:], "--case", "C-HRB"]) == 2
    assert last(harbin)["actor"] == "staff/S-90"


def test_no_copy_of_it_stays_anywhere(investigator: Client, runtime: Runtime, database_url: str):
    """Neither receipts nor read models know what was shown."""
    ask(investigator)
    ledger = runtime.deployment.ledgers[0]
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(
            f"SELECT convert_from(response, 'UTF8') FROM {ledger.schema}.receipt"
        ).fetchall()
    assert rows
    assert not any(secret in row[0] for row in rows for secret in PERSONAL)
