"""The dossier over HTTP: a page in the language asked, or the whole as a zip, the same bytes as the command's."""

import io
import zipfile

import pytest

from api.dossier import compose, folder_files
from api.runtime import Runtime
from tests.http_service import PERSONAL, Client, problem

pytest_plugins = ["tests.http_fixtures"]
pytestmark = pytest.mark.storage
PATH = "/investigations/party/P-HRB/dossier?known_at=2014-12-17"


def test_a_page_comes_in_the_language_asked_chinese_else(seen: Client):
    """Self-contained HTML that may load and run nothing, with the position it stands for."""
    zh, en = seen.get(PATH), seen.get(f"{PATH}&lang=en")
    assert zh.headers["content-type"] == "text/html; charset=utf-8"
    assert "争议卷宗：客户 P-HRB" in zh.text
    assert "Dossier: customer P-HRB" in en.text
    assert (zh.headers["content-language"], en.headers["content-language"]) == ("zh", "en")
    for answer in (zh, en):
        assert answer.headers["recount-position"] == "102"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"


def test_a_zip_has_the_whole_dossier_byte_for_byte(seen: Client, seen_runtime: Runtime):
    """Both pages and the bundle, as the command writes them."""
    answer = seen.get(f"{PATH}&format=zip")
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-disposition"] == 'attachment; filename="dossier-party.zip"'
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        found = {name: archive.read(name) for name in archive.namelist()}
    assert found == folder_files(compose(seen_runtime, "party/P-HRB", known_at="2014-12-17"))
    assert not any(secret.encode() in content for content in found.values() for secret in PERSONAL)
    assert seen.get(f"{PATH}&format=zip").content == answer.content


def test_accounts_and_cases_have_dossiers_and_a_position_holds_them(seen: Client):
    """Asked again at the position that was named, a page is the same."""
    for subject in ("account/A-FTTH", "case/C-HRB"):
        path = f"/investigations/{subject}/dossier?known_at=2014-12-17&lang=en"
        first = seen.get(path)
        assert first.status_code == 200
        again = seen.get(f"{path}&position={first.headers['recount-position']}")
        assert again.content == first.content


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("party/nobody/dossier", 404, "party.not_found"),
        ("dealer/D-17/dossier", 422, "request.invalid"),
        ("party/P-HRB/dossier?lang=fr", 422, "request.invalid"),
        ("party/P-HRB/dossier?format=pdf", 422, "request.invalid"),
        ("party/P-HRB/dossier?known_at=yesterday", 422, "request.invalid"),
        ("party/P-HRB/dossier?position=999", 422, "request.invalid"),
        ("party/P-HRB/dossier?expiry_option=guess", 422, "request.invalid"),
    ],
)
def test_what_cannot_be_asked_is_a_problem_with_a_stable_code(seen: Client, path, status, code):
    problem(seen.get(f"/investigations/{path}"), status, code)
