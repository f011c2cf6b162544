"""The OpenAPI document: every command with an example that would be taken, every address described."""

from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import TypeAdapter

from api.app import build
from api.crm.bodies import body_of
from api.crm.examples import example_of
from api.crm.routes import PLURALS
from api.problems import CODES, STATUS_OF_KIND
from domain.commands import COMMANDS
from domain.refusals import Code


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return build(SimpleNamespace(deployment=None)).openapi()  # type: ignore[arg-type]


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method, found) for path, item in document["paths"].items() for method, found in item.items()
    ]


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_an_address_with_an_example_that_validates(document, name):
    """A command stands at its stream's address, needs a key, and its example has the form it asks for."""
    command = COMMANDS[name]
    path = f"/crm/{PLURALS[command.STREAM]}/{{id}}" + (f"/{command.ROUTE}" if command.ROUTE else "")
    found = document["paths"][path]["post"]
    assert found["operationId"] == name
    content = found["requestBody"]["content"]["application/json"]
    example = content["examples"][name]["value"]
    made = body_of(command).model_validate(example)
    assert isinstance(made.data, command)  # type: ignore[attr-defined]
    assert "example" in found["responses"]["201"]["content"]["application/json"]
    headers = {p["name"]: p["required"] for p in found["parameters"] if p["in"] == "header"}
    assert headers == {"Idempotency-Key": True, "If-Match": False}


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_examples_name_no_field_that_the_command_lacks(name):
    """An example is checked by the command itself, apart from the envelope."""
    TypeAdapter(COMMANDS[name]).validate_python(example_of(COMMANDS[name]))


def test_every_address_is_described(document):
    """Summary, tags, operation id, an example of the answer, and problems as problem+json."""
    ids = []
    for path, _method, found in operations(document):
        assert found["summary"], path
        assert found["tags"], path
        ids.append(found["operationId"])
        good = found["responses"].get("200") or found["responses"]["201"]
        assert any("example" in content for content in good["content"].values()), path
        for status, response in found["responses"].items():
            if int(status) >= 400:
                assert list(response["content"]) == ["application/problem+json"], path
    assert len(ids) == len(set(ids))
    assert document["openapi"].startswith("3.1")


def test_only_health_and_metrics_are_public(document):
    """The routes that need no token are tagged, and are no others."""
    public = {path for path, _, found in operations(document) if "public" in found["tags"]}
    assert public == {
        "/healthz", "/readyz", "/metrics", "/.well-known/recount/keys", "/.well-known/recount/checkpoint",
    }  # fmt: skip


def test_references_lead_somewhere(document):
    """Every $ref of the document has its schema in it."""

    def references(value: Any) -> list[str]:
        if isinstance(value, dict):
            own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
            return own + [r for v in value.values() for r in references(v)]
        return [r for v in value for r in references(v)] if isinstance(value, list) else []

    found = set(references(document))
    assert found
    for reference in found:
        where = document
        for part in reference.removeprefix("#/").split("/"):
            where = where[part]


def test_the_edge_and_the_domain_share_no_code():
    """A code means one thing, and every kind of refusal has a status."""
    assert not set(CODES) & {str(code) for code in Code}
    assert {code.kind for code in Code} == set(STATUS_OF_KIND)


def test_the_page_of_the_addresses_loads_nothing_from_elsewhere():
    """Every address stands in it with its example, on a machine without internet too."""
    from api.reference import render

    document = {
        "info": {"title": "T", "version": "1", "description": "<d>"},
        "paths": {
            "/a/{id}": {
                "post": {
                    "tags": ["crm"], "summary": "Do <it>",
                    "parameters": [{"name": "id", "in": "path", "required": True}],
                    "requestBody": {"content": {"application/json": {"example": {"x": "</pre>"}}}},
                    "responses": {"201": {"description": "done"}},
                }
            }
        },
    }  # fmt: skip
    page = render(document)
    assert "http" not in page
    assert "Do &lt;it&gt;" in page
    assert "&lt;/pre&gt;" in page
