"""Seals over HTTP: checkpoints and keys for everybody, proofs that hold on the caller's side."""

import httpx
import pytest

from api.runtime import Runtime
from domain.evidence.headmap import Place, Proof, head_of
from domain.evidence.records import parse_key, parse_record
from domain.ledger.signing import opened
from tests.conftest import HARBIN, import_file
from tests.http_service import serving
from tests.sealing import KEY, NAME, ORIGIN, sealed

pytestmark = pytest.mark.storage


@pytest.fixture
def client(deployment):
    import_file(deployment, HARBIN)
    with serving(Runtime(deployment, seal_key=lambda: KEY, seal_name=NAME)) as client:
        yield client


def test_keys_checkpoint_seals_and_proofs_fit_together(client, deployment):
    """Given a sealed ledger, when everything is fetched, then the key opens the checkpoint and proofs lead to it."""
    assert client.get("/.well-known/recount/checkpoint").json()["code"] == "seal.not_found"
    seal = sealed(deployment)
    key = parse_key(client.get("/.well-known/recount/keys").json()["keys"][0]["key"])
    checkpoint = client.get("/.well-known/recount/checkpoint")
    assert checkpoint.headers["content-type"].startswith("text/plain")
    assert opened(checkpoint.content, [key]) == seal.signed_text().text()
    page = client.get("/seals?limit=1").json()
    assert (page["ledger"], page["next"], page["seals"][0]["checkpoint"]) == (
        "heilongjiang", None, checkpoint.text,
    )  # fmt: skip
    assert client.get("/seals/latest").json() == page["seals"][0]
    root = parse_record(page["seals"][0]["record"].encode()).heads
    for subject, absent in (("account/A-FTTH", False), ("party/nobody", True)):
        found = client.get("/seals/proof", params={"subject": subject}).json()
        place = found["proof"]["place"]
        proof = Proof(
            tuple(map(bytes.fromhex, found["proof"]["siblings"])),
            place and Place(bytes.fromhex(place["key"]), place["version"], bytes.fromhex(place["digest"])),
        )
        head = head_of(root, subject, proof)
        assert (head is None) == absent
        assert found["head"] == (head and {"version": head[0], "digest": head[1].hex()})


def test_a_proof_is_for_those_who_may_see_the_stream(client, deployment):
    """Given an investigator of another city, or a clerk, then there is no proof; keys are everybody's."""
    sealed(deployment)
    elsewhere = client.as_(subject="staff/S-9", scopes=["investigate:read"], regions=["heilongjiang.daqing"])
    for subject in ("account/A-FTTH", "account/nobody"):
        answer = elsewhere.get("/seals/proof", params={"subject": subject})
        assert (answer.status_code, answer.json()["code"]) == (404, "account.not_found")
    clerk = client.as_(subject="staff/S-9", scopes=["crm:write"], regions=["*"])
    assert clerk.get("/seals").status_code == 403
    for path in ("keys", "checkpoint"):
        assert httpx.get(f"{client.base_url}/.well-known/recount/{path}").status_code == 200
    assert httpx.get(f"{client.base_url}/seals").status_code == 401


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/seals/proof?subject=nonsense", 422, "request.invalid"),
        ("/seals/proof?subject=account/A-FTTH", 404, "seal.not_found"),
        ("/seals/proof?subject=account/A-FTTH&number=7", 404, "seal.not_found"),
        ("/seals?region=hebei", 404, "ledger.not_found"),
        ("/seals?limit=0", 422, "request.invalid"),
    ],
)
def test_what_is_not_there_or_not_well_asked_is_a_problem(client, path, status, code):
    answer = client.get(path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_a_dossier_over_http_is_sealed(client):
    """Given a dossier as a zip, then the bundle in it is sealed to its position."""
    answer = client.get("/investigations/party/P-HRB/dossier?known_at=2014-12-17&format=zip")
    assert answer.status_code == 200
    assert b"bundle/checkpoint.txt" in answer.content
    latest = client.get("/.well-known/recount/checkpoint")
    assert opened(latest.content, [KEY.named(ORIGIN)])
