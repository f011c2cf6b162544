"""The dossier: what it says of the shared disputes, that its sums add up, and how it comes to stand in a folder."""

import base64
import hashlib
import io
import json
import os
import re
import subprocess
import sys
from datetime import date, timedelta
from html.parser import HTMLParser
from pathlib import Path

import orjson
import pytest

from api.dossier import FolderError, compose, files_of, folder_files, page, write_folder, zipped
from api.dossier.bundle import FORMAT, MANIFEST, NAMES
from api.dossier.money import money_of
from api.dossier.pictures import Captions, Mark, Point, picture, thinned
from api.dossier.views import View, ranges
from api.dossier.views import course as views_course
from api.dossier.views import money as views_money
from api.inquiry import found, lawful
from api.runtime import Runtime
from api.wording import LANGUAGES, yuan
from domain.events.fields import MalformedError
from domain.ledger.codec import genesis
from domain.ledger.deployment import SubjectError
from domain.ledger.interchange import Importer
from tests.conftest import CASES, HARBIN, MASTER, fresh_database, import_file, opened_deployment
from tests.http_service import PERSONAL
from tests.test_replay import WANTED

ROOT = Path(__file__).parents[1]
KNOWN = "2014-12-17"
HOSTILE = "<script>alert(1)</script>"
SUBJECTS = sorted(
    {(name, want["ask"]["subject"], want["ask"]["known_at"]) for name, want in WANTED.items()}
    | {
        (name, ask["subject"], want["ask"]["known_at"])
        for name, want in WANTED.items()
        for ask in want.get("counterfactual", ())
    }
)


@pytest.fixture(scope="module")
def database(server):
    """Return the conninfo of a database for those who only look."""
    with fresh_database(server, "dossier") as url:
        yield url


@pytest.fixture(scope="module")
def disputes(database):
    """Return a runtime on every shared dispute and on one whose texts are hostile."""
    deployment = opened_deployment(database)
    try:
        for path in (HARBIN, *sorted(CASES.glob("*/history.jsonl"))):
            import_file(deployment, path)
        refusals = []
        importer = Importer(deployment, refusals.append, Runtime(deployment).clock)
        importer.run(io.BytesIO(b"".join(hostile_lines())))
        assert refusals == []
        yield Runtime(deployment)
    finally:
        deployment.close()


def hostile_lines():
    """Return a small history in which every free text and identifier tries to become markup."""
    mark = HOSTILE.replace(" ", "")
    envelope = {
        "specversion": "1.0", "source": f"urn:{mark}", "actor": f"staff/{mark}", "channel": "store",
        "region": "jilin.jilin", "dataversion": 1, "evidenceref": mark, "actororg": mark,
    }  # fmt: skip
    terms = {
        "payment_deadline_days": 1, "late_fee_start": "after_due", "restore_hours": 1, "suspend_after_days": 1,
        "terminate_after_days": 1,
    }  # fmt: skip
    party = {
        "kind": "individual",
        "id_type": mark,
        "id_hash": "h",
        "name": mark,
        "id_number": "1",
        "address": "a",
    }
    charge = {
        "charge_id": mark, "kind": "monthly", "amount_fen": 10_000, "period_start": "2015-02-01",
        "period_end": "2015-03-01", "due_on": "2015-03-31",
    }  # fmt: skip
    entry = {
        "entry_id": mark,
        "basis_account_id": "A-<b>$x^2$",
        "amount_fen": 1,
        "basis_event_ids": [mark],
    }
    investigation = {"account_ids": ["A-<b>$x^2$", "A-2"], "reason": HOSTILE}
    events = [
        ("party/P-<i>&", "PartyRegistered", party),
        ("account/A-<b>$x^2$", "AccountOpened",
         {"party_id": "P-<i>&", "line_of_business": "mobile", "contract_terms": terms}),
        ("account/A-<b>$x^2$", "ChargePosted", charge),
        ("party/P-<i>&", "BlacklistEntryAdded", entry),
        ("party/P-<i>&", "SignUpRefused", {"reason": f"blacklist {HOSTILE}; x", "entry_id": mark}),
        ("account/A-<b>$x^2$", "ServiceResumed", {"reason": HOSTILE}),
        ("account/A-2", "AccountOpened", {"party_id": "P-2", "line_of_business": "mobile", "contract_terms": terms}),
        ("case/K", "InvestigationOpened", investigation),
    ]  # fmt: skip
    for number, (subject, kind, data) in enumerate(events):
        time = f"2015-04-{number + 1:02}T10:00:00+08:00"
        yield orjson.dumps(
            {**envelope, "id": f"e{number}{mark}", "subject": subject, "type": kind, "time": time,
             "recordedtime": time, "data": data}
        ) + b"\n"  # fmt: skip


@pytest.fixture(scope="module")
def harbin(disputes):
    return compose(disputes, "party/P-HRB", known_at=KNOWN)


@pytest.fixture(scope="module")
def files(harbin):
    return folder_files(harbin)


class Words(HTMLParser):
    """A page as its reader sees it: text, and every tag and attribute."""

    def __init__(self, text):
        super().__init__()
        self.words, self.tags, self.attributes, self.hidden = [], [], [], False
        self.feed(text)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        self.hidden = tag == "style"

    def handle_endtag(self, _tag):
        self.hidden = False

    def handle_data(self, data):
        if not self.hidden:
            self.words.append(data)


def read(dossier, lang):
    return Words(page(dossier, lang, files_of(dossier)[MANIFEST]).decode())


pytestmark = pytest.mark.storage


# -- what it says


def test_the_harbin_summary_says_what_the_operator_found(harbin):
    """On one page: the money, what was broken, what is to be put right and what is open, in both languages."""
    zh, en = (read(harbin, lang).text for lang in LANGUAGES)
    first_zh, first_en = zh.partition("二、人员与账户")[0], en.partition("2. People and accounts")[0]
    for text in (first_zh, first_en):
        assert "¥835.60" in text
        assert "¥700.00" in text
        assert "¥135.60" in text
        assert "BL-1" in text
        assert "A-NETCOM" in text
    assert "没有留下客户本人的选择" in first_zh
    assert "冲正 7 笔收费、6 笔滞纳金，共 ¥835.60。" in first_zh
    assert "尚不能判定" in first_zh
    assert "never the customer's own choice" in first_en
    assert "Take back 7 charges and 6 late fees, ¥835.60 in all." in first_en


@pytest.mark.parametrize(("name", "subject", "known_at"), SUBJECTS)
@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_dispute_reads_without_raw_values(disputes, name, subject, known_at, lang):
    """No enumeration's value, no sum in fen and no Python value stands in what a regulator reads."""
    dossier = compose(disputes, subject, known_at=known_at)
    text = read(dossier, lang).text
    told = re.sub(
        r"(程序原始记录（英文）：|Program’s own record:).*?(?=客户|账户|认定|投诉|account|customer|case|F\d)",
        "",
        text,
    )
    raws = r"staff_default|convert_to_monthly|not_performed|fixed_broadband|number_abandoned|\bNone\b|_fen\b|\d fen\b"
    assert re.search(raws, told) is None
    assert not any(secret in text for secret in PERSONAL)


@pytest.mark.parametrize(("name", "subject", "known_at"), SUBJECTS)
def test_the_money_adds_up(disputes, name, subject, known_at):
    """Line by line, sum by sum, and with what the counterfactual says as a whole."""
    dossier = compose(disputes, subject, known_at=known_at)
    money = money_of(dossier)
    for account in money:
        for line in account.lines:
            assert line.posted_fen - line.reversed_fen == line.lawful_fen + line.to_reverse_fen
        other_fen = account.paid_fen + account.forgiven_fen + account.other_fen - account.refunded_fen
        assert account.posted_fen - account.reversed_fen - other_fen == account.actual_fen
        assert account.stands_fen - other_fen - account.unexplained_fen == account.lawful_fen
        assert (account.other_fen, account.unexplained_fen) == (0, 0)
    answers = [p.counterfactual for p in dossier.parts]
    for mine, theirs in (
        ([m.actual_fen for m in money], [a["actual"]["balance_fen"] for a in answers]),
        ([m.lawful_fen for m in money], [a["lawful"]["balance_fen"] for a in answers]),
        ([m.to_reverse_fen for m in money], [a["to_reverse_fen"] for a in answers]),
        ([m.to_refund_fen for m in money], [a["to_refund_fen"] for a in answers]),
    ):
        assert sum(mine) == sum(theirs)


def test_every_number_that_is_referred_to_stands_in_the_timeline(harbin):
    """And every event that is evidence has its number."""
    for lang in LANGUAGES:
        seen = read(harbin, lang)
        anchors = {v for n, v in seen.attributes if n == "id"}
        links = {v[1:] for n, v in seen.attributes if n == "href"}
        assert links <= anchors
    assert all(harbin.number_of(e) for f in harbin.findings for e in f["evidence_event_ids"])
    assert [i.number for i in harbin.events] == list(range(1, len(harbin.events) + 1))


def test_what_became_known_late_says_when(disputes):
    """A payment posted days after its day shows both days."""
    text = read(compose(disputes, "account/late-posted-payment.A", known_at="2017-03-12"), "en").text
    assert "It became known to the system only on 2017-03-12." in text


def test_a_case_is_its_customers_dossier(disputes, harbin):
    """The same findings and money, under the case's name; a dealer has no dossier."""
    about = compose(disputes, "case/C-HRB", known_at=KNOWN)
    assert [p.subject for p in about.parts] == ["party/P-HRB"]
    assert about.findings == harbin.findings
    assert "投诉案件 C-HRB" in read(about, "zh").text
    with pytest.raises(MalformedError, match="should be a party, an account or a case"):
        compose(disputes, "dealer/D-17")
    with pytest.raises(SubjectError):
        compose(disputes, "party/nobody")


def test_an_investigation_without_a_customer_is_its_accounts_dossier(disputes):
    """Each account asked on its own, the case's own findings beside them."""
    about = compose(disputes, "case/K")
    assert [p.subject for p in about.parts] == ["account/A-<b>$x^2$", "account/A-2"]
    assert {"case/K", "account/A-2"} <= {f["subject"] for f in about.findings}
    assert len(orjson.loads(files_of(about)["bundle/findings.json"])) == 2
    assert HOSTILE in read(about, "en").text


def test_an_account_has_its_customer_and_its_case_but_no_other_account(disputes):
    """Its money alone is counted."""
    about = compose(disputes, "account/A-FTTH", known_at=KNOWN)
    assert [m.subject for m in money_of(about)] == ["account/A-FTTH"]
    subjects = {i.recorded.event.subject for i in about.events}
    assert {"party/P-HRB", "case/C-HRB", "account/A-FTTH"} <= subjects
    assert "account/A-NETCOM" not in {s for s in subjects if s.startswith("account/")}


def test_it_is_asked_as_it_was_known(disputes):
    """Before the complaint there is none, and nothing that came later is told."""
    about = compose(disputes, "party/P-HRB", known_at="2014-12-08")
    assert all(i.recorded.event.recordedtime <= about.known_at for i in about.events)
    assert "refusal-basis" not in {f["rule_id"] for f in about.of_verdict("breach")}


def test_before_anything_was_known_there_is_an_empty_dossier(disputes):
    """A known-at instant before the first record is no error."""
    about = compose(disputes, "party/P-HRB", known_at="2001-01-01")
    assert about.events == []
    assert "没有发现违反规则之处" in read(about, "zh").text


def test_an_assumption_is_named_and_changes_the_lawful_side(disputes):
    """An investigator's assumption stands on the first page."""
    about = compose(
        disputes, "account/A-FTTH", known_at=KNOWN, assume={"expiry_option": "convert_to_monthly"}
    )
    assert "“转包月资费”" in read(about, "zh").text.partition("二、人员与账户")[0]
    with pytest.raises(MalformedError, match="expiry_option"):
        compose(disputes, "account/A-FTTH", assume={"expiry_option": "guess"})


def test_of_too_many_events_the_evidence_is_printed_and_the_rest_is_counted(harbin, monkeypatch):
    """What is left out is said to stand in the bundle."""
    monkeypatch.setattr(views_course, "ROWS_MAX", 70)
    view = View(harbin, "en", "")
    printed = {r.number for r in view.rows}
    assert (len(printed), view.left_out) == (70, len(harbin.events) - 70)
    assert {
        harbin.number_of(e) for f in harbin.of_verdict("breach") for e in f["evidence_event_ids"]
    } <= printed
    assert "bundle/timeline.json" in read(harbin, "en").text
    assert [r.number for r in view.rows] == sorted(printed)


def test_of_too_many_charges_the_rest_is_one_line_and_the_sum_stays(harbin, monkeypatch):
    """What is to be taken back is printed first."""
    monkeypatch.setattr(views_money, "LINES_MAX", 7)
    view = View(harbin, "en", "")
    account = next(m for m in view.money if m.subject == "account/A-FTTH")
    printed, rest = view.lines(account), view.rest(account)
    assert (len(printed), rest["count"]) == (7, len(account.lines) - 7)
    assert sum(line.to_reverse_fen for line in printed) == account.to_reverse_fen
    assert sum(line.posted_fen for line in printed) + rest["posted_fen"] == account.posted_fen


# -- safe to open, the same for ever


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_hostile_text_stays_text(disputes, lang):
    """Whatever an identifier or a reason says, it is no markup, in the page or in its pictures."""
    seen = read(compose(disputes, "party/P-<i>&"), lang)
    assert HOSTILE in seen.text
    assert "account A-<b>$x^2$" in seen.text or "账户 A-<b>$x^2$" in seen.text
    assert "script" not in seen.tags
    assert not {"i", "img", "iframe", "object", "link"} & set(seen.tags)
    assert not [n for n, _ in seen.attributes if n.startswith("on")]


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_page_loads_nothing_from_elsewhere(harbin, lang):
    """Styles and pictures stand in it."""
    seen = read(harbin, lang)
    loads = [v for n, v in seen.attributes if n in ("href", "src", "xlink:href") and not v.startswith("#")]
    assert loads == []
    assert "svg" in seen.tags
    raw = page(harbin, lang, b"").decode()
    assert not re.search(r"@import|url\((?!#)", raw)


def test_the_same_question_gives_the_same_bytes(disputes, files):
    """Pages, pictures, bundle and zip, also after more was recorded."""
    again = folder_files(compose(disputes, "party/P-HRB", known_at=KNOWN))
    assert again == files
    assert zipped(again) == zipped(files)
    position = json.loads(files[MANIFEST])["position"]
    first = compose(disputes, "party/P-HRB", known_at=KNOWN, position=position)
    assert folder_files(first) == files


# -- the bundle


def test_the_manifest_lists_every_file_and_the_page_names_the_manifest(harbin, files):
    """By SHA-256 and size; the manifest is canonical, ready to be signed."""
    manifest = orjson.loads(files[MANIFEST])
    assert manifest["format"] == FORMAT
    assert set(manifest["files"]) == set(NAMES)
    assert set(files) == {"dossier.zh.html", "dossier.en.html", MANIFEST, *(f"bundle/{n}" for n in NAMES)}
    for name, said in manifest["files"].items():
        content = files[f"bundle/{name}"]
        assert said == {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
    assert orjson.dumps(manifest, option=orjson.OPT_SORT_KEYS) + b"\n" == files[MANIFEST]
    digest = hashlib.sha256(files[MANIFEST]).hexdigest()
    assert all(digest in read(harbin, lang).text for lang in LANGUAGES)


def test_the_bundle_has_the_answers_as_everybody_gets_them(disputes, files, harbin):
    """The same findings and counterfactual, by their digests, as asked on their own."""
    ask = {"known_at": KNOWN, "position": harbin.position}
    assert orjson.loads(files["bundle/findings.json"]) == [found(disputes, "party/P-HRB", **ask)]
    assert orjson.loads(files["bundle/counterfactual.json"]) == [
        lawful(disputes, "party/P-HRB", until=KNOWN, **ask)
    ]
    replays = {r["subject"] for r in orjson.loads(files["bundle/replays.json"])}
    assert {"party/P-HRB", "account/A-FTTH", "account/A-NETCOM"} <= replays


def test_the_events_are_as_stored_sealed_and_proven_by_their_own_lines(files):
    """Each digest follows from the one before it in its stream and the event's bytes; no key and no clear text."""
    heads = {}
    lines = [orjson.loads(line) for line in files["bundle/events.jsonl"].splitlines()]
    for raw in lines:
        digest, version = bytes.fromhex(raw.pop("digest")), raw.pop("streamversion")
        raw.pop("fingerprint")
        before = heads.get(raw["subject"]) or (0, genesis(raw["subject"]))
        assert version == before[0] + 1
        stored = orjson.dumps(raw, option=orjson.OPT_SORT_KEYS)
        assert hashlib.sha256(before[1] + stored).digest() == digest
        heads[raw["subject"]] = version, digest
    manifest = orjson.loads(files[MANIFEST])
    assert {s: h["digest"] for s, h in manifest["streams"].items()} == {
        s: d.hex() for s, (_, d) in heads.items()
    }
    whole = b"".join(files.values()).decode()
    assert not any(secret in whole for secret in PERSONAL)
    assert not any("wrapped" in raw["data"] for raw in lines)


def test_each_printed_number_leads_to_its_stored_event(files, harbin):
    """By id, stream, version and digest."""
    numbered = orjson.loads(files["bundle/timeline.json"])
    stored = {
        (r["subject"], r["streamversion"]): r
        for r in map(orjson.loads, files["bundle/events.jsonl"].splitlines())
    }
    assert [n["number"] for n in numbered] == [i.number for i in harbin.events]
    for item in numbered:
        event = stored[item["subject"], item["version"]]
        assert (event["id"], event["digest"], event["type"]) == (
            item["event_id"],
            item["digest"],
            item["type"],
        )


def test_the_rulebook_has_the_versions_that_were_used(files):
    """With citation, parameters and what is assumed of them."""
    rules = {(r["rule_id"], r["version"]): r for r in orjson.loads(files["bundle/rulebook.json"])["rules"]}
    assert rules["late-fee", "2000"]["parameters"] == {"rate_ppm": 3000}
    assert rules["expiry-choice", "1"]["assumed"] == ["in force from"]
    assert rules["charge-basis", "2014"]["in_force_from"] == "2014-03-15"


# -- pictures


CAPTIONS = Captions("余额 <b>", "实际 & $x$", "依规", "状态", "应有")


def steps(count):
    start = date(2010, 1, 1)
    return [Point(start + timedelta(days=n), n * 100, 0, "active", "suspended") for n in range(count)]


def test_a_pictures_words_are_text_and_escaped():
    """Chinese stays text in the pages' fonts, without a font that has to know it; nothing is a formula."""
    drawn = picture(steps(5), date(2010, 2, 1), [Mark(date(2010, 1, 3), "[1] <script>")], CAPTIONS)
    assert ">实际 &amp; $x$<" in drawn
    assert "余额 &lt;b&gt;" in drawn
    assert "[1] &lt;script&gt;" in drawn
    assert "<script" not in drawn
    assert "<metadata" not in drawn
    assert not re.search(r"zq\d+qz", drawn)


def test_a_curve_of_any_length_is_bounded_and_keeps_its_ends():
    points = steps(5_000)
    some = thinned(points, 100)
    assert (len(some), some[0], some[-1]) == (100, points[0], points[-1])
    assert thinned(points[:3]) == points[:3]


def test_drawing_needs_no_home_and_says_nothing(tmp_path):
    """With a home that can't be written, no warning and no line; and no other command pays for the import."""
    code = (
        "import sys, api.cli, api.app\n"
        "assert 'matplotlib' not in sys.modules\n"
        "from datetime import date\n"
        "from api.dossier.pictures import *\n"
        "print(picture([Point(date(2010,1,1),1,0,'active','active')], date(2010,2,1), [], Captions(*'甲乙丙丁戊'))[:4])"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": "/dev/null/none", "TMPDIR": str(tmp_path)}
    environment.pop("MPLCONFIGDIR", None)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-P", "-c", code],
        capture_output=True,
        env=environment,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr) == (b"<svg\n", b"")
    assert list(tmp_path.iterdir()) == []


def test_numbers_in_a_row_are_shortened():
    assert ranges([1, 2, 3, 7, 9, 10]) == "1–3, 7, 9, 10"
    assert ranges([]) == ""


# -- into a folder


def names_in(folder):
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


def test_a_new_folder_is_whole_and_its_owners_alone(files, tmp_path):
    """Histories of customers are readable by nobody else."""
    out = tmp_path / "deep" / "out"
    write_folder(files, out)
    assert names_in(out) == set(files)
    assert all((out / name).read_bytes() == content for name, content in files.items())
    assert {p.stat().st_mode & 0o777 for p in out.rglob("*") if p.is_file()} == {0o600}
    assert {p.stat().st_mode & 0o777 for p in (out, out / "bundle")} == {0o700}
    assert [p.name for p in out.parent.iterdir()] == ["out"]


def test_an_empty_folder_and_an_earlier_dossier_are_replaced(files, tmp_path):
    """Nothing of the earlier one is left."""
    out = tmp_path / "out"
    out.mkdir()
    write_folder(files, out)
    shorter = {**files, "dossier.zh.html": b"new"}
    write_folder(shorter, out)
    assert (out / "dossier.zh.html").read_bytes() == b"new"
    assert names_in(out) == set(files)
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("name", ["notes.txt", "bundle/notes.txt"])
def test_a_folder_with_a_foreign_file_is_refused(files, tmp_path, name):
    """Nothing of somebody else's is lost, beside a dossier or inside it."""
    out = tmp_path / "out"
    write_folder(files, out)
    (out / name).write_text("mine")
    with pytest.raises(FolderError, match=r"notes\.txt"):
        write_folder(files, out)
    assert (out / name).read_text() == "mine"


def test_a_folder_that_is_no_dossier_and_a_file_are_refused(files, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "dossier.zh.html").write_text("mine")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(FolderError, match="other files"):
        write_folder(files, tmp_path / "mine")
    with pytest.raises(FolderError, match="is not a folder"):
        write_folder(files, tmp_path / "file")


def test_what_breaks_off_leaves_nothing_under_the_name(files, tmp_path):
    """Neither half a dossier nor a leftover beside it; an earlier one stays."""
    out = tmp_path / "out"
    broken = {**files, "bundle/zz": None}
    with pytest.raises(TypeError):
        write_folder(broken, out)
    assert list(tmp_path.iterdir()) == []
    write_folder(files, out)
    with pytest.raises(TypeError):
        write_folder(broken, out)
    assert names_in(out) == set(files)


# -- the command


def test_the_command_writes_a_dossier_and_refuses_in_one_line(disputes, database, tmp_path):
    """As a person runs it: files, one JSON document; a folder with other files in it is exit 1."""
    key = base64.b64encode(MASTER).decode()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "DATABASE_URL": database, "RECOUNT_MASTER_KEY": key}

    def run(*arguments):
        return subprocess.run(
            [sys.executable, "-P", "-m", "api.cli", "dossier", *arguments],
            capture_output=True,
            timeout=60,
            check=False,
            env=environment,
            cwd=tmp_path,
        )

    done = run("account/A-FTTH", "--known-at", KNOWN, "--out", "out", "--json")
    assert done.returncode == 0, done.stderr
    assert done.stderr == b""
    answer = json.loads(done.stdout)
    assert (answer["subject"], answer["known_at"][:10]) == ("account/A-FTTH", KNOWN)
    assert set(answer["files"]) == names_in(tmp_path / "out")
    assert yuan(45_460) in (tmp_path / "out" / "dossier.en.html").read_text()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "x").touch()
    refused = run("account/A-FTTH", "--out", "mine")
    assert (refused.returncode, refused.stdout, refused.stderr.count(b"\n")) == (1, b"", 1)
