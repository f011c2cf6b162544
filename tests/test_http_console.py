"""The console over HTTP: every page in both languages, what its headers promise, what a word leads to, how it says no."""
# ruff: noqa: E501 - a page's two titles stand on one line

import csv
import io
import re
import zipfile

import anyio
import httpx
import pytest

from api.bench.console import party_page
from api.runtime import READ_MODELS, Runtime
from projections.engine import catch_up
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
    return seen.signed_in()


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
    assert reader.get("/console/static/0/..%2fshell.py").status_code in {401, 404}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/console/party/NOBODY", 404),
        ("/console/account/NONE/replay", 404),
        ("/console/work/nothing", 404),
        ("/console/nothing/at/all", 404),
        ("/console/rulebook/heilongjiang", 422),
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
    assert "账本还是空的" in client.signed_in().get("/console").text


def test_the_bare_address_leads_to_the_console(seen: Client):
    """Who types the host alone gets there."""
    answer = seen.with_token("").get("/")
    assert (answer.status_code, answer.headers["location"]) == (307, "/console")


# -- deciding, and what one may see -------------------------------------------------------------------------

HARBIN_READ = "/console/party/P-HRB/findings?known_at=2014-12-17&lang=en"
DECIDES = ["investigate:read", "investigate:decide"]


def form_of(page: str, action: str) -> dict[str, str]:
    """Return the hidden fields and the first choice of a form, as a browser sends them."""
    form = page[page.index(f'action="{action}') :]
    form = form[: form.index("</form>")]
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', form))
    return fields | {"case_id": fields.get("case_id") or re.findall(r"<option>([^<]+)", form)[0]}


def sent(client: Client, path: str, data: dict) -> httpx.Response:
    """Send a form as the console's own page does."""
    return client.post(path, data=data, headers={"Origin": client.base_url})


def test_two_people_put_a_history_right(harbin: Client, runtime: Runtime):
    """Given a proposal, its maker can't accept it and another can, once; then nothing is owed and nothing proposed."""
    first, second = (harbin.signed_in(f"staff/S-9{n}", DECIDES) for n in (0, 1))
    proposal = form_of(first.get(HARBIN_READ).text, "/console/party/P-HRB/proposal")
    answer = sent(first, "/console/party/P-HRB/proposal?lang=en", proposal)
    assert answer.status_code == 303, answer.text
    address = answer.headers["location"].partition("#")[0]
    assert "position=102" in address
    assert "Who proposes does not accept" in first.get(address).text
    acceptance = form_of(second.get(address).text, "/console/party/P-HRB/acceptance")
    refused = sent(first, "/console/party/P-HRB/acceptance", acceptance)
    assert refused.status_code == 409
    assert "proposal.same_person" in refused.text
    done = sent(second, "/console/party/P-HRB/acceptance?lang=en", acceptance)
    assert done.status_code == 303, done.text
    catch_up(runtime.deployment, READ_MODELS, runtime.clock)
    after = second.get(done.headers["location"]).text
    assert "The corrections are entered" in after
    assert "<dd>¥0.00</dd>" in after
    assert "not listed" in after
    assert "No entry needs correcting." in second.get("/console/party/P-HRB/findings?lang=en").text


def test_a_form_of_another_site_is_not_read(seen: Client):
    """Whoever makes a browser send a form from elsewhere gets nothing done."""
    client = seen.signed_in("staff/S-90", DECIDES)
    proposal = form_of(client.get(HARBIN_READ).text, "/console/party/P-HRB/proposal")
    for headers in ({}, {"Origin": "http://elsewhere.example"}, {"Sec-Fetch-Site": "cross-site"}):
        answer = client.post("/console/party/P-HRB/proposal", data=proposal, headers=headers)
        assert answer.status_code == 403
    assert 'action="/console/party/P-HRB/proposal' in client.get(HARBIN_READ).text


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("proposal_digest", "sha256:" + "0" * 64),
        ("proposal_digest", "x"),
        ("case_id", "C-NONE"),
        ("case_id", ""),
    ],
)
def test_what_was_not_read_is_not_proposed(seen: Client, field: str, value: str):
    """Another digest, or no case, is refused on a page, and nothing stands afterwards."""
    client = seen.signed_in("staff/S-90", DECIDES)
    proposal = form_of(client.get(HARBIN_READ).text, "/console/party/P-HRB/proposal")
    answer = sent(client, "/console/party/P-HRB/proposal", {**proposal, field: value})
    assert answer.status_code in {404, 409, 422}
    assert answer.headers["content-type"].startswith("text/html")


def test_a_scope_decides_what_is_shown(seen: Client):
    """Who may only read sees no form, and is refused it; who does billing sees lists of money and no person."""
    reads = seen.signed_in("staff/S-2", ["investigate:read"])
    text = reads.get(HARBIN_READ).text
    assert "/proposal" not in text
    assert sent(reads, "/console/party/P-HRB/proposal", {}).status_code == 403
    bills = seen.signed_in("system/billing", ["billing:read"])
    home = bills.get("/console?lang=en").text
    assert "Arrears by age" in home
    assert "Blacklist entries" not in home
    assert "case/C-HRB" not in home
    assert bills.get("/console/work/aging").status_code == 200
    assert bills.get("/console/work/blacklist").status_code == 403
    assert bills.get("/console/party/P-HRB").status_code == 403
    clerk = seen.signed_in("staff/S-3", ["crm:write"])
    assert clerk.get("/console").status_code == 403


def test_a_region_decides_whom_one_finds(seen: Client):
    """Who is bound to another city finds nobody of Harbin, by no name, and no list has them."""
    elsewhere = seen.signed_in("staff/S-4", DECIDES, regions=["heilongjiang.daqing"])
    for word in ("P-HRB", "A-FTTH", "NUM-3", "sha256:P-HRB", "C-HRB"):
        assert "Nothing is called" in elsewhere.get("/console", params={"q": word, "lang": "en"}).text
    assert elsewhere.get("/console/party/P-HRB").status_code == 404
    assert "A-FTTH" not in elsewhere.get("/console/work/aging").text
    here = seen.signed_in("staff/S-5", DECIDES, regions=["heilongjiang.harbin"])
    assert here.get("/console/party/P-HRB").status_code == 200
    assert "A-FTTH" in here.get("/console/work/aging").text


def test_nobody_reads_a_page_without_signing_in(seen: Client):
    """A browser without a session is led to sign in, and back to where it wanted to go."""
    answer = seen.with_token("").get("/console/party/P-HRB?lang=en")
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/console/sign-in?next=/console/party/P-HRB")


def test_personal_data_is_shown_on_purpose_and_recorded(harbin: Client, runtime: Runtime):
    """Given a purpose and a case, the fields asked for are shown once, and the log says who saw what and why."""
    client = harbin.signed_in("staff/S-90", DECIDES)
    given = {"fields": ["name", "contact_points"], "purpose": "to call back", "case_id": "C-HRB"}
    raw = client.http.post(
        "/console/party/P-HRB/disclosure?lang=en", data=given, headers={"Origin": client.base_url}
    )
    assert raw.status_code == 200, raw.text
    assert "用户甲" in raw.text
    assert "230100190001010000" not in raw.text
    assert raw.headers["cache-control"] == "no-store"
    catch_up(runtime.deployment, READ_MODELS, runtime.clock)
    assert "to call back" in client.get("/console/party/P-HRB?type=PersonalDataDisclosed").text
    assert sent(client, "/console/party/P-HRB/disclosure", {**given, "fields": []}).status_code == 422
    assert sent(client, "/console/party/P-HRB/disclosure", {**given, "case_id": "C-NONE"}).status_code == 404


def test_the_benchmark_takes_a_customers_page(harbin: Client, runtime: Runtime):
    """It asks through the whole application, and says how long that took."""
    taken = anyio.run(party_page, runtime, "P-HRB", 3)
    assert 0 < taken["median_ms"] <= taken["most_ms"]
