"""Comparisons and claims over HTTP and on the command line: the same answers, and what is refused."""

import base64
import json

import pytest

from api.cli import main
from domain.claims.forms import FORMS, parse_claims
from tests.conftest import HARBIN, MASTER
from tests.http_service import Client, problem

pytest_plugins = ["tests.http_fixtures"]
pytestmark = pytest.mark.storage
COMPARISON = "/investigations/account/A-FTTH/comparison"
CLAIMS = "/investigations/party/P-HRB/claims"
ASSERTED = [
    {"claim": "paid", "amount_fen": 108_000, "on": "2013-07-16", "text": "one year"},
    {"claim": "never_chose", "option": "convert_to_monthly"},
]


def test_two_replays_are_compared(seen: Client):
    """Known in August and known in September: they part at the first charge that was posted in between."""
    found = seen.get(f"{COMPARISON}?known_at=2014-08-31&with_known_at=2014-12-09&position=102")
    assert found.headers["recount-position"] == "102"
    body = found.json()
    assert body["first_divergence"]["event_ids"] == ["harbin-047"]
    assert (body["left"]["balance_fen"], body["right"]["balance_fen"]) == (10_000, 45_460)
    assert {e["reason"] for e in body["events"]["only_right"]} == {"recorded_later"}


def test_what_happened_is_compared_with_what_should_have(seen: Client):
    """The sides part at the end of the year that nobody was asked about."""
    body = seen.get(f"{COMPARISON}?lawful=true&until=2014-12-17").json()
    assert body["first_divergence"]["time"].startswith("2014-07-16")
    assert (body["left"]["status"], body["right"]["status"]) == ("active", "suspended")
    kept = seen.get(f"{COMPARISON}?lawful=true&until=2014-12-17&expiry_option=convert_to_monthly").json()
    assert kept["first_divergence"] is None


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("", "with_known_at"),
        ("with_at=yesterday", "with_at"),
        ("with_position=103", "with_position"),
        ("with_position=-1", "with_position"),
        ("lawful=true&at=2014-12-09", "at"),
        ("lawful=true&with_known_at=now", "with_known_at"),
        ("lawful=true&until=soon", "until"),
        ("lawful=true&expiry_option=gift", "assume expiry_option"),
        ("with_known_at=now&until=2014-12-17", "until"),
    ],
)
def test_a_comparison_that_is_none_is_malformed(seen: Client, query: str, field: str):
    """422 names the parameter."""
    found = problem(seen.get(f"{COMPARISON}?{query}"), 422, "request.invalid")
    assert found["errors"][0]["field"] == field


def test_claims_are_weighed_without_a_key(seen: Client):
    """It is a read: no Idempotency-Key, and the log stays where it was."""
    found = seen.post(f"{CLAIMS}?known_at=2014-12-17", json=ASSERTED)
    assert (found.status_code, found.headers["recount-position"]) == (200, "102")
    body = found.json()
    assert [c["verdict"] for c in body["claims"]] == ["confirmed", "confirmed"]
    assert body["claims"][0]["event_ids"] == ["harbin-034"]
    assert body["claims"][0]["claim"] == ASSERTED[0]
    assert seen.post(f"{CLAIMS}?known_at=2014-12-17&position=102", json=ASSERTED).json() == body


def test_a_claim_that_is_none_is_malformed(seen: Client):
    """422 names the claim and the field, 400 what is no JSON, 415 what says that it is none."""
    found = problem(
        seen.post(CLAIMS, json=[*ASSERTED, {"claim": "paid", "on": "2013-07-16"}]), 422, "request.invalid"
    )
    assert found["errors"] == [{"field": "claims[2].amount_fen", "reason": "is missing"}]
    json_type = {"content-type": "application/json"}
    problem(seen.post(CLAIMS, content=b"[", headers=json_type), 400, "request.malformed_json")
    problem(seen.post(CLAIMS, content=b"[]"), 415, "body.unsupported_type")
    problem(seen.post(CLAIMS, json={"claims": ASSERTED}), 422, "request.invalid")


@pytest.mark.parametrize("kind", ["account", "party"])
def test_a_subject_that_is_not_there_is_404(seen: Client, kind: str):
    """For both."""
    path = f"/investigations/{kind}/NOBODY"
    problem(seen.get(f"{path}/comparison?with_known_at=now"), 404, f"{kind}.not_found")
    problem(seen.get(f"{path}/comparison?lawful=true"), 404, f"{kind}.not_found")
    problem(seen.post(f"{path}/claims", json=[]), 404, f"{kind}.not_found")


def test_the_document_names_every_form_and_its_example_is_taken(seen: Client):
    """A program can make claims from the OpenAPI document alone."""
    found = seen.get("/openapi.json").json()["paths"]["/investigations/{kind}/{id}/claims"]["post"]
    body = found["requestBody"]["content"]["application/json"]
    assert [f["properties"]["claim"]["const"] for f in body["schema"]["items"]["oneOf"]] == list(FORMS)
    assert parse_claims(body["examples"]["claims"]["value"])
    assert all(name in found["description"] for name in FORMS)


# -- the command line


@pytest.fixture
def recount(database_url, monkeypatch, capsysbinary, tmp_path):
    """Run a command on the Harbin case and return its exit code, its output and its errors."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("RECOUNT_MASTER_KEY", base64.b64encode(MASTER).decode())

    def run(*arguments):
        code = main([*arguments, "--data", str(tmp_path)])
        out, err = capsysbinary.readouterr()
        return code, out.decode(), err.decode()

    assert run("import", str(HARBIN))[0] == 0
    return run


def test_a_person_reads_where_two_histories_part(recount):
    """In a few lines, and as one JSON document."""
    code, out, _ = recount("compare", "account/A-FTTH", "--lawful", "--until", "2014-12-17")
    assert code == 0
    assert "first divergence 2014-07-16T00:05:00+08:00\n  lawful only: 2014-07-16T00:05:00+08:00 Serv" in out
    assert "balance 454.60 yuan -> 0.00 yuan" in out
    ask = ("compare", "account/A-FTTH", "--known-at", "2014-08-31", "--with-known-at", "2014-12-09")
    code, out, _ = recount(*ask)
    assert (code, "first divergence 2014-09-01T00:20:00+08:00" in out) == (0, True)
    code, out, _ = recount(*ask, "--json")
    assert json.loads(out)["first_divergence"]["event_ids"] == ["harbin-047"]
    code, out, _ = recount("compare", "case/C-HRB", "--at", "2014-12-10", "--with-at", "2014-12-10")
    assert (code, "both hold the same events" in out) == (0, True)


def test_a_person_reads_what_becomes_of_each_claim(recount, tmp_path):
    """From a file: the verdict, why, and by which events."""
    file = tmp_path / "claims.json"
    file.write_text(json.dumps(ASSERTED))
    code, out, _ = recount("claims", "party/P-HRB", str(file), "--known-at", "2014-12-17")
    assert code == 0
    assert "2 confirmed, 0 contradicted, 0 unknown" in out
    assert "0 confirmed: paid, amount 1,080.00 yuan, on 2013-07-16" in out
    assert "shown by harbin-034" in out
    file.write_text('[{"claim": "paid", "amount_fen": 1.5, "on": "2013-07-16"}]')
    code, _, err = recount("claims", "party/P-HRB", str(file))
    assert (code, "claims[0].amount_fen: should be" in err) == (2, True)
    file.write_text("[")
    assert recount("claims", "party/P-HRB", str(file))[0] == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "with_known_at: should be given"),
        (("--until", "2014-12-17"), "--until: should be given only with --lawful"),
        (("--lawful", "--with-at", "now"), "--with-at: should not be given with --lawful"),
    ],
)
def test_wrong_usage_is_one_clear_line(recount, arguments, said):
    """Exit 2."""
    code, out, err = recount("compare", "account/A-FTTH", *arguments)
    assert (code, out) == (2, "")
    assert said in err
