"""The console over HTTP: every page in both languages, what its headers promise, what a word leads to, how it says no."""
# ruff: noqa: E501 - a page's two titles stand on one line

import csv
import io
import re
import zipfile

import httpx
import pytest

from tests.http_service import Client

pytest_plugins = ["tests.http_fixtures"]
pytestmark = pytest.mark.storage

DAY = "at=2014-12-09&known_at=2014-12-09"
PAGES = {
    "/console": ("查一起争议", "Look into a dispute"),
    "/console?q=NOTHING": ("没有找到", "Nothing is called"),
    "/console/work/cases": ("最近的案件", "Recent cases"),
    "/console/work/answers": ("待答复的投诉", "Complaints to answer"),
    "/console/work/commitments": ("到期的承诺", "Commitments due"),
    "/console/work/missed": ("逾期未兑现的承诺", "Commitments missed"),
    "/console/work/blacklist": ("应移出的黑名单条目", "Blacklist entries that must go"),
    "/console/work/aging": ("欠费账龄", "Arrears by age"),
    "/console/work/dunning": ("催缴下一步", "Next steps of dunning"),
    "/console/work/audits": ("待稽核的登记", "Registrations to audit"),
    "/console/work/contacts": ("联系不到人的联系方式", "Contact points that reach nobody"),
    "/console/party/P-HRB": ("经过", "What happened"),
    "/console/party/P-HRB?kind=account&type=LateFeeAssessed&sort=time": ("计收滞纳金", "late fee"),
    "/console/account/A-FTTH": ("现在的情况", "As it is now"),
    "/console/case/C-HRB": ("受理投诉", "complaint received"),
    "/console/dealer/D-17": ("封停代理商", "dealer blocked"),
    f"/console/party/P-HRB/replay?{DAY}": ("第 71 步改变了什么", "What step 71 changed"),
    f"/console/account/A-FTTH/replay?{DAY}&step=3": ("第 3 步改变了什么", "What step 3 changed"),
    "/console/account/A-FTTH/compare": ("两个时刻对比", "Two moments side by side"),
    "/console/account/A-FTTH/compare?known_at=2014-12-17&lawful=true": ("从这里开始不同", "From here they part"),
    "/console/party/P-HRB/compare?at=2014-06-01&with_at=2014-12-09": ("从这里开始不同", "From here they part"),
    "/console/party/P-HRB/findings?known_at=2014-12-17": ("到期后的收费须有客户同意", "Charges after the term rest on"),
    "/console/case/C-HRB/findings?known_at=2014-12-17": ("有什么不对", "What was wrong"),
    "/console/account/A-FTTH/findings?known_at=2014-12-17&expiry_option=renew_annual": ("续包年资费", "renew for a year"),
    "/console/party/P-HRB/dossier?known_at=2014-12-17": ("下载（含证据包）", "Download with the evidence"),
    "/console/party/P-HRB/dossier/page?known_at=2014-12-17": ("争议卷宗", "Dossier: customer"),
    "/console/management/hot-spots": ("投诉热点", "Hot spots"),
    "/console/management/accountability?from=2014-12-01&to=2014-12-31": ("双重处罚", "Double penalty"),
    "/console/management/actions": ("整改措施", "Corrective actions"),
    "/console/management/notices": ("通知覆盖", "Notice coverage"),
}  # fmt: skip


@pytest.fixture
def reader(seen: Client) -> Client:
    """Return a reader of the console who changes nothing."""
    return seen


def in_english(path: str) -> str:
    return path + ("&" if "?" in path else "?") + "lang=en"


@pytest.mark.parametrize("path", PAGES)
def test_every_page_speaks_both_languages_and_keeps_its_policy(reader: Client, path: str):
    """Chinese first, English where the address says so; nothing inline, nothing from elsewhere, kept by nobody."""
    chinese, english = PAGES[path]
    first, second = reader.get(path), reader.get(in_english(path))
    assert (first.status_code, second.status_code) == (200, 200)
    assert chinese in first.text
    assert english.lower() in second.text.lower()
    assert '<html lang="zh-CN">' in first.text
    assert '<html lang="en">' in second.text
    for answer in (first, second):
        needs_no_exception(answer, whole="/dossier/page" in path)


def needs_no_exception(answer: httpx.Response, *, whole: bool) -> None:
    """Check a page's promises; a `whole` one carries its style along, which its policy names by a digest."""
    policy = answer.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert not re.search(r"<[^>]+\s(style|on\w+)=", answer.text)
    assert not re.search(r"<script(?![^>]* src=\"/console/static/)", answer.text)
    assert not re.search(r"(?<!xlink:)(src|href|action)=\"(?!/|#)", answer.text)
    assert whole == ("<style" in answer.text)


def test_a_word_leads_to_a_subject_by_any_of_its_names(reader: Client):
    """Given an id, a number, a package, an older id or a document's hash, when it is typed, then its page opens."""
    for word, where in {
        "P-HRB": "party/P-HRB",
        " A-FTTH ": "account/A-FTTH",
        "account/A-FTTH": "account/A-FTTH",
        "C-HRB": "case/C-HRB",
        "D-17": "dealer/D-17",
        "NUM-3": "account/A-M3",
        "PK-F": "account/A-FTTH",
        "sha256:P-HRB": "party/P-HRB",
    }.items():
        answer = reader.get("/console", params={"q": word, "lang": "en"})
        assert (answer.status_code, answer.headers["location"]) == (303, f"/console/{where}?lang=en")
    assert "Nothing is called" in reader.get("/console?q=%3Cb%3E&lang=en").text


def test_a_page_says_what_was_typed_as_text(reader: Client):
    """Markup in an address stands on the page as text."""
    answer = reader.get("/console", params={"q": "<script>alert(1)</script>"})
    assert "<script>alert" not in answer.text
    assert "&lt;script&gt;alert" in answer.text


def test_a_replay_is_stepped_through_by_its_addresses(reader: Client):
    """Given 9 December 2014 as known that day, each step says its event and what it changed, and leads to the next."""
    last = reader.get(f"/console/party/P-HRB/replay?{DAY}").text
    assert "<b>71</b> / 71" in last
    assert "¥835.60" in last
    assert 'data-step="on"' not in last
    before = reader.get(f"/console/party/P-HRB/replay?{DAY}&step=70").text
    assert "harbin-052" in before
    assert "¥826.60" in before  # the customer's balance before the late fee of this step
    assert "step=69" in before
    assert "step=71" in before
    first = reader.get(f"/console/party/P-HRB/replay?{DAY}&step=0").text
    assert "第一条记录之前" in first
    by_event = reader.get(f"/console/account/A-FTTH/replay?{DAY}&event=harbin-031").text
    assert "工作人员自行设定" in by_event


def test_what_was_not_known_yet_is_counted(reader: Client):
    """As known before the merged company's records came, they had happened and nobody knew."""
    text = reader.get("/console/party/P-HRB/replay?at=2014-12-31&known_at=2014-12-09&lang=en").text
    assert "not yet known" in text


def test_findings_stand_by_money_then_gravity(reader: Client):
    """The charges come first, then the late fees, then what has no sum, the gravest before the formal."""
    text = reader.get("/console/party/P-HRB/findings?known_at=2014-12-17").text
    order = [
        text.index(f'id="f-{rule}"')
        for rule in ("charge-basis", "late-fee", "blacklist-basis", "clear-explanation")
    ]
    assert order == sorted(order)
    assert "¥700.00" in text
    assert re.search(r'href="/console/party/P-HRB\?around=(\d+)#e\1">出账</a> <code>harbin-043', text)


def test_the_timeline_shows_an_event_with_those_around_it(reader: Client):
    """A link to an event leads to the page on which it is marked."""
    text = reader.get("/console/party/P-HRB?around=43").text
    assert '<li id="e43" class="current"' in text
    assert 'id="e44"' in text
    assert 'id="e42"' in text


def test_a_list_is_taken_away_as_a_file(reader: Client):
    """With its titles in the page's language, sums in yuan, and nothing a spreadsheet would calculate."""
    answer = reader.get("/console/work/aging?format=csv&lang=en")
    assert answer.headers["content-disposition"] == 'attachment; filename="recount-aging.csv"'
    rows = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert rows[0][:3] == ["Account", "Days past due", "Balance"]
    assert {row[0]: row[2] for row in rows[1:]} == {"A-NETCOM": "381.00", "A-FTTH": "454.60"}
    pairs = reader.get("/console/management/accountability?format=csv&table=pairs").content.decode(
        "utf-8-sig"
    )
    assert "D-17" in pairs


def test_the_dossier_is_taken_away_with_its_evidence(reader: Client):
    """Both languages and the bundle in one file."""
    answer = reader.get("/console/party/P-HRB/dossier/zip?known_at=2014-12-17")
    names = zipfile.ZipFile(io.BytesIO(answer.content)).namelist()
    assert {"dossier.zh.html", "dossier.en.html", "bundle/manifest.json"} <= set(names)


def test_static_files_are_kept_and_nothing_else_is_served(reader: Client):
    """A file's address changes with it, so that it may be kept for ever; other names are not there."""
    home = reader.get("/console").text
    for name in ("console.css", "console.js", "icon.svg"):
        found = re.search(rf"/console/static/[0-9a-f]{{12}}/{name}", home)
        assert found
        answer = reader.get(found[0])
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
    assert reader.get("/console/static/0/shell.py").status_code == 404
    assert reader.get("/console/static/0/..%2fshell.py").status_code == 404


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/console/party/NOBODY", 404),
        ("/console/account/NONE/replay", 404),
        ("/console/work/nothing", 404),
        ("/console/management/nothing", 404),
        ("/console/party/P-HRB/replay?at=yesterday", 422),
        ("/console/party/P-HRB/replay?step=9999", 422),
        ("/console/party/P-HRB/replay?step=-1", 422),
        ("/console/party/P-HRB/replay?event=nothing", 422),
        ("/console/party/P-HRB/findings?expiry_option=nothing", 422),
        ("/console/party/P-HRB/findings?known_at=1", 422),
        ("/console/party/P-HRB?after=1", 422),
        ("/console/party/P-HRB?after=102.999999", 422),
        ("/console/party/P-HRB?around=999999", 422),
        ("/console/party/P-HRB?lang=fr", 422),
        ("/console/work/aging?after=AAAA", 422),
        ("/console/management/hot-spots?from=2015-01-01&to=2014-01-01", 422),
        ("/console?q=%00", 422),
        ("/console?region=atlantis", 404),
    ],
)
def test_a_page_says_no_in_a_page(reader: Client, path: str, status: int):
    """What is wrong stands on a page of the console, with the code and what would be right."""
    answer = reader.get(path)
    assert answer.status_code == status, answer.text[:300]
    assert answer.headers["content-type"].startswith("text/html")
    assert "回到查找" in answer.text


def test_an_empty_deployment_has_a_console(client: Client):
    """Where nothing was imported yet, it says so."""
    assert "账本还是空的" in client.get("/console").text


def test_the_bare_address_leads_to_the_console(reader: Client):
    """Who types the host alone gets there."""
    answer = reader.get("/")
    assert (answer.status_code, answer.headers["location"]) == (307, "/console")
