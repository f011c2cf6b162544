"""Pages, their forms and sign-in, which no OpenAPI document names, answer whatever is sent with a page or a problem.

Each parameter and each field of a form is sent each hostile value, one at a time, beside good ones.
"""

import re
from urllib.parse import quote

import pytest
from fastapi.routing import iter_route_contexts

from api.app import build
from tests.http_service import Client

pytest_plugins = ["tests.http_fixtures"]
pytestmark = [pytest.mark.storage, pytest.mark.slow]  # some 2,000 requests: ten seconds

LEAKS = ("Traceback", "psycopg", "SELECT ", "INSERT ", 'File "', "SQLSTATE")
VALUES = {
    "nothing": "",
    "a NUL": "a\0b",
    "a line end": "a\r\nSet-Cookie: x=y",
    "the way out": "../../../etc/passwd",
    "markup": "<script>alert(1)</script>\"'",
    "SQL": "'; DROP TABLE event; --",
    "a template": "{{7*7}}${7*7}%7B%7B",
    "signs that turn a line": "\u202e\u2066\ufeff\u0000",
    "other digits": "１２３",
    "beyond 64 bits": str(2**64),
    "negative": "-1",
    "a fraction": "1e400",
    "not a number": "NaN",
    "the last day": "9999-12-31T23:59:59.999999+14:00",
    "the first day": "0001-01-01T00:00:00-14:00",
    "an odd zone": "2014-12-09T00:00:00+23:59",
    "another address": "//evil.example/\\evil.example",
    "long": "x" * 3_000,
}
GOOD = {
    "kind": "party", "id": "P-HRB", "name": "blacklist", "digest": "x", "rest": "x",
    "case_id": "C-HRB", "position": "102", "known_at": "2014-12-17", "purpose": "complaint", "fields": "name",
    "proposal_digest": "sha256:" + "0" * 64,
}  # fmt: skip


def addresses(seen_runtime):
    """Return what is not in the document: (method, path, names in the path, in the query, in the form)."""
    for context in iter_route_contexts(build(seen_runtime).routes):
        dependant = getattr(context, "dependant", None)
        if dependant is None or getattr(context, "include_in_schema", True):
            continue
        below, path, query, form = [dependant], set(), set(), set()
        while below:
            one = below.pop()
            below += one.dependencies
            path |= {p.alias for p in one.path_params}
            query |= {p.alias for p in one.query_params}
            form |= {p.alias for p in one.body_params}
        for method in sorted(context.methods - {"HEAD"}):
            yield method, context.path_format, path, query, form


def filled(path, names, values):
    """Return an address with values for its names."""
    for name in names:
        path = re.sub(r"\{" + name + r"(:path)?\}", quote(values.get(name, "x"), safe=""), path)
    return path


def tried(seen_runtime):
    """Yield each request: where one name at a time has each hostile value."""
    for method, path, in_path, in_query, in_form in addresses(seen_runtime):
        for name in sorted(in_path | in_query | in_form):
            for what, value in VALUES.items():
                given = {**GOOD, name: value}
                yield (
                    method,
                    filled(path, in_path, given),
                    {k: given[k] for k in in_query if k == name},
                    {k: given.get(k, "") for k in in_form},
                    f"{method} {path}: {what} as {name}",
                )


def test_no_page_and_no_form_breaks_at_whatever_is_sent(seen: Client, seen_runtime):
    """Given each hostile value in each place, then a page, a problem or a way on, and never a word of the inside."""
    page = seen.signed_in("staff/S-1")
    counted: dict[int, int] = {}
    broken = []
    for method, path, query, form, what in tried(seen_runtime):
        headers = {"Origin": seen.base_url, "Sec-Fetch-Site": "same-origin"}
        found = page.http.request(
            method, path, params=query, data=form if method == "POST" else None, headers=headers
        )
        counted[found.status_code] = counted.get(found.status_code, 0) + 1
        onward = found.headers.get("location", "/")
        if found.status_code >= 500 or any(leak in found.text for leak in LEAKS):
            broken.append((what, found.status_code, found.text[:300]))
        elif (
            "<script>alert" in found.text
            or "evil.example" in onward.split("?")[0]
            or "x=y" in str(found.cookies)
        ):
            broken.append((what, found.status_code, "echoed"))
    assert broken == []
    assert counted.keys() >= {200, 404, 422}
