"""Accepting what a counterfactual proposes: the history then shows it put right, once, and only as it was read."""

import base64
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import orjson
import pytest

from api.cli import main
from api.inquiry import found, lawful
from api.remedies import accept
from api.runtime import present
from domain.commands import case as case_cmd
from domain.ledger.writer import BusyError
from domain.refusals import Refused
from domain.remedies import acceptance_of
from tests import support
from tests.conftest import CASES, HARBIN, MASTER, import_file
from tests.scenario import REGION
from tests.support import charge_line, do, pay

pytestmark = pytest.mark.storage

WANTED = {p.name: orjson.loads((p / "expected.json").read_bytes()) for p in sorted(CASES.iterdir())}
WRONG = (
    "auto-renew-unpaid",
    "blacklist-not-lifted",
    "dispute-hold",
    "late-posted-payment",
    "recycled-number",
)
"""The cases in which there is something to put right; Harbin has tests of its own."""


def read(runtime, subject, **question):
    """Return a counterfactual as an investigator reads it."""
    return lawful(runtime, subject, **question)


def accepting(proposal, case_id="K1", **more):
    """Return the acceptance of what was read."""
    asked = {k: proposal[k] for k in ("position", "proposal_digest", "until", "assumptions", "known_at")}
    return acceptance_of(
        {"case_id": case_id, "accepted_by": "staff/S9", "proposed_by": "staff/S8", **asked, **more}
    )


def investigate(runtime, subject, region, case_id="K1"):
    """Open an investigation into a party or an account."""
    kind, _, name = subject.partition("/")
    about = {"party_id": name, "account_ids": ()} if kind == "party" else {"account_ids": (name,)}
    look = case_cmd.OpenInvestigation(**about, reason="a dispute")
    do(runtime.writer(region), look, f"case/{case_id}", region=region, at=present().isoformat())


def breaches(runtime, subject):
    """Return what hangs on each breach in fen, by rule and subject."""
    answer = found(runtime, subject)
    return {
        (f["rule_id"], f["subject"]): f["amount_fen"] for f in answer["findings"] if f["verdict"] == "breach"
    }


@pytest.fixture
def harbin(runtime):
    """Return a runtime on the Harbin case."""
    import_file(runtime.deployment, HARBIN)
    return runtime


@pytest.mark.parametrize("name", WRONG)
def test_what_a_dispute_comes_to_is_put_right(runtime, name):
    """Nothing is left to reverse, to refund or to propose; what is owed is what is lawful; no fen hangs on it."""
    import_file(runtime.deployment, CASES / name / "history.jsonl")
    ask = WANTED[name]["ask"]
    lines = [orjson.loads(text) for text in (CASES / name / "history.jsonl").read_bytes().splitlines()]
    subject = next(line["subject"] for line in lines if line["subject"].startswith("party/"))
    investigate(runtime, subject, lines[0]["region"])
    before = read(runtime, subject)
    body = accept(runtime, subject, accepting(before, refund_method="cash")).body
    after = read(runtime, subject)
    assert (after["to_reverse_fen"], after["to_refund_fen"], after["proposed_events"]) == (0, 0, [])
    assert after["actual"] == after["lawful"] == before["lawful"]
    assert set(breaches(runtime, ask["subject"]).values()) <= {0}
    kinds = [e["type"] for e in body["events"]]
    proposed = [e["type"] for e in before["proposed_events"]]
    assert kinds == ["EvidenceAttached", *["RemedyGranted"] * len(body["granted"]), *proposed]


def test_the_customer_of_harbin_owes_nothing_and_stands_on_no_list(harbin):
    """835.60 yuan are reversed on two accounts, the entry goes, under the case of his complaint."""
    before = read(harbin, "party/P-HRB")
    assert breaches(harbin, "party/P-HRB")["charge-basis", "account/A-FTTH"] == 40_000
    body = accept(harbin, "party/P-HRB", accepting(before, "C-HRB")).body
    assert body["granted"] == [
        {"kind": "reversal", "account_id": "A-FTTH", "amount_fen": 45_460},
        {"kind": "reversal", "account_id": "A-NETCOM", "amount_fen": 38_100},
        {"kind": "blacklist_removal", "account_id": None, "amount_fen": 0},
    ]
    after = read(harbin, "party/P-HRB")
    assert (after["to_reverse_fen"], after["proposed_events"]) == (0, [])
    assert after["actual"] == after["lawful"] == {"balance_fen": 0, "blacklisted": False}
    left = breaches(harbin, "party/P-HRB")
    assert set(left.values()) == {0}
    assert ("blacklist-basis", "party/P-HRB") in left  # what was done stays done
    assert (
        "blacklist-removal",
        "party/P-HRB",
    ) not in left  # the entry went on the day the debt was taken back


def test_what_is_put_right_says_by_whom_for_which_case_and_why(harbin):
    """Each correction belongs to the case, rests on the proposal, and was caused by what was granted."""
    before = read(harbin, "account/A-FTTH")
    body = accept(harbin, "account/A-FTTH", accepting(before, "C-HRB", evidenceref="minute 7")).body
    ledger = harbin.deployment.ledger("heilongjiang")
    attached, granted, *corrections = [ledger.read(e).event for e in ledger.journal.log(before["position"])]
    assert (attached.type, attached.actor, f"sha256:{attached.data.sha256}") == (
        "EvidenceAttached",
        "staff/S8",
        before["proposal_digest"],
    )
    assert (granted.type, granted.evidenceref, granted.causationid) == (
        "RemedyGranted",
        "minute 7",
        attached.id,
    )
    assert (granted.actor, body["proposed_by"], body["accepted_by"]) == ("staff/S9", "staff/S8", "staff/S9")
    assert {e.type for e in corrections} == {"ChargeReversed"}
    assert {e.data.case_id for e in corrections} == {"C-HRB"}
    assert {e.causationid for e in corrections} == {granted.id}
    assert {e.evidenceref for e in corrections} == {before["proposal_digest"]}
    assert {(e.actor, e.correlationid) for e in (granted, *corrections)} == {("staff/S9", "case/C-HRB")}
    assert [e["id"] for e in body["events"]] == [e.id for e in (attached, granted, *corrections)]


def test_a_proposal_is_known_by_its_digest_whenever_it_is_read(harbin):
    """The same question at the same position has the same digest; another day, assumption or position another."""
    asked = {"until": "2014-12-17", "position": 102}
    first = read(harbin, "party/P-HRB", **asked)["proposal_digest"]
    assert read(harbin, "party/P-HRB", **asked)["proposal_digest"] == first
    others = [
        {**asked, "until": "2014-12-16"},
        {**asked, "position": 101},
        {**asked, "assume": {"expiry_option": "convert_to_monthly"}},
    ]
    digests = {read(harbin, "party/P-HRB", **other)["proposal_digest"] for other in others}
    assert len({first, *digests}) == 4


def test_accepting_twice_changes_nothing(harbin):
    """Whoever comes second, from wherever, gets the first answer."""
    before = read(harbin, "party/P-HRB")
    first = accept(harbin, "party/P-HRB", accepting(before, "C-HRB"))
    position = harbin.deployment.ledger("heilongjiang").journal.last_position()
    again = accept(harbin, "party/P-HRB", accepting(before, "C-HRB", accepted_by="staff/S1", channel="store"))
    assert (first.repeated, again.repeated, again.body) == (False, True, first.body)
    assert harbin.deployment.ledger("heilongjiang").journal.last_position() == position


def test_of_many_who_accept_at_once_one_does(harbin):
    """Eight people press the button: one answer, one set of events."""
    before = read(harbin, "account/A-FTTH")

    def press(number):
        given = accepting(before, "C-HRB", accepted_by=f"staff/T{number}")
        while True:
            try:
                return accept(harbin, "account/A-FTTH", given)
            except BusyError:
                continue

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(press, range(8)))
    assert sum(not a.repeated for a in answers) == 1
    assert {orjson.dumps(a.body) for a in answers} == {orjson.dumps(answers[0].body)}
    support.assert_sound(harbin.deployment)
    assert harbin.deployment.ledger("heilongjiang").journal.last_position() == before["position"] + len(
        answers[0].body["events"]
    )


@pytest.mark.parametrize(
    ("command", "subject"),
    [
        (pay("LATE", 100), "account/A-FTTH"),
        (case_cmd.RecordInteraction(staff_id="S1", direction="inbound", summary="asks again"), "case/C-HRB"),
        (support.open_account("P-HRB"), "account/A-NEW"),
    ],
    ids=["its-money", "its-case", "an-account-that-is-new"],
)
def test_a_proposal_whose_history_has_changed_is_not_accepted(harbin, command, subject):
    """Anything that happened since, in any stream the question looks at, wants a second look: it is named."""
    before = read(harbin, "party/P-HRB")
    do(harbin.writer(REGION), command, subject, at=present().isoformat())
    last = harbin.deployment.ledger("heilongjiang").journal.last_position()
    with pytest.raises(Refused) as caught:
        accept(harbin, "party/P-HRB", accepting(before, "C-HRB"))
    assert caught.value.code == "proposal.outdated"
    assert caught.value.details == {"subject": subject, "position": before["position"]}
    assert harbin.deployment.ledger("heilongjiang").journal.last_position() == last
    accept(harbin, "party/P-HRB", accepting(read(harbin, "party/P-HRB"), "C-HRB", refund_method="cash"))


def test_what_happens_elsewhere_does_not_stand_in_the_way(harbin):
    """Another customer pays: the proposal is accepted all the same."""
    before = read(harbin, "party/P-HRB")
    support.with_customer(harbin)
    assert accept(harbin, "party/P-HRB", accepting(before, "C-HRB")).body["granted"]


def test_a_proposal_that_was_altered_is_not_accepted(harbin):
    """Another day, another assumption, or a digest of one's own: what is computed is not what is accepted."""
    before = read(harbin, "party/P-HRB", until="2014-12-17")
    given = accepting(before, "C-HRB")
    for other in (
        replace(given, proposal_digest="sha256:" + "0" * 64),
        replace(given, until=given.until.replace(day=1)),
        replace(given, assumptions={"expiry_option": "convert_to_monthly"}),
        replace(given, position=before["position"] - 1),
    ):
        with pytest.raises(Refused) as caught:
            accept(harbin, "party/P-HRB", other)
        assert caught.value.code == "proposal.changed"
    assert harbin.deployment.ledger("heilongjiang").journal.last_position() == 102


def test_a_refusal_can_be_mended_and_the_proposal_accepted(runtime):
    """Paid and charged without a basis: refused until somebody says how the money is paid back; then it is."""
    import_file(runtime.deployment, CASES / "auto-renew-unpaid" / "history.jsonl")
    subject = WANTED["auto-renew-unpaid"]["ask"]["subject"]
    region = runtime.deployment.ledgers[0].history(subject)[0].event.region
    do(runtime.writer(region), pay("PAID", 88_000), subject, region=region, at="2015-05-01")
    investigate(runtime, subject, region)
    before = read(runtime, subject)
    assert (before["to_reverse_fen"], before["to_refund_fen"]) == (88_000, 88_000)
    with pytest.raises(Refused) as caught:
        accept(runtime, subject, accepting(before))
    assert caught.value.code == "refund.method_missing"
    body = accept(runtime, subject, accepting(before, refund_method="bank transfer")).body
    assert [e["type"] for e in body["events"]] == [
        "EvidenceAttached",
        "RemedyGranted",
        "RemedyGranted",
        "ChargeReversed",
        "RefundPaid",
    ]
    after = read(runtime, subject)
    assert (after["to_reverse_fen"], after["to_refund_fen"], after["proposed_events"]) == (0, 0, [])
    assert after["actual"]["balance_fen"] == after["lawful"]["balance_fen"] == 0
    refund = runtime.deployment.ledgers[0].history(subject)[-1].event.data
    assert (refund.amount_fen, refund.method, refund.case_id) == (88_000, "bank transfer", "K1")


def test_where_all_was_right_there_is_nothing_to_accept(runtime):
    """The control: `proposal.empty`, and nothing is written."""
    import_file(runtime.deployment, CASES / "everything-right" / "history.jsonl")
    subject = WANTED["everything-right"]["ask"]["subject"]
    region = runtime.deployment.ledgers[0].history(subject)[0].event.region
    investigate(runtime, subject, region)
    before = read(runtime, subject)
    with pytest.raises(Refused) as caught:
        accept(runtime, subject, accepting(before))
    assert caught.value.code == "proposal.empty"
    assert runtime.deployment.ledgers[0].journal.last_position() == before["position"]


def test_a_case_that_is_not_there_or_about_somebody_else_is_none(harbin):
    """The case has to be of the person whose money it is."""
    support.with_customer(harbin, "A1")
    support.bring(harbin.deployment, charge_line("A1"))
    investigate(harbin, "account/A1", REGION)
    before = read(harbin, "account/A-FTTH")
    for case_id, code in (("NONE", "case.not_found"), ("K1", "case.other_party")):
        with pytest.raises(Refused) as caught:
            accept(harbin, "account/A-FTTH", accepting(before, case_id))
        assert caught.value.code == code


# -- on the command line ------------------------------------------------------------------------------------


@pytest.fixture
def recount(harbin, database_url, monkeypatch, capsys):
    """Run `recount` on the Harbin case; return its exit code, its output and its one line of errors."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("RECOUNT_MASTER_KEY", base64.b64encode(MASTER).decode())

    def run(*arguments):
        code = main(arguments)
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def test_a_proposal_is_read_and_accepted_on_the_command_line(recount):
    """Given what `counterfactual` printed, when accepted, then it says what was granted; 0, and 1 for a refusal."""
    _, read_out, _ = recount("counterfactual", "account/A-FTTH", "--until", "2014-12-17")
    digest = read_out.splitlines()[-1].removeprefix("proposal ")
    ask = ["accept", "account/A-FTTH", "--case", "C-HRB", "--by", "staff/S-9", "--position", "102"]
    ask += ["--proposed-by", "staff/S-8"]
    ask += ["--until", "2014-12-17", "--digest"]
    code, _, said = recount(*ask, "sha256:" + "0" * 64)
    assert (code, said.count("\n"), "(proposal.changed)" in said) == (1, 1, True)
    assert recount(*ask, "nonsense")[0] == 2
    code, _, said = recount(*ask, digest, "--proposed-by", "staff/S-9")  # the last one given counts
    assert (code, "(proposal.same_person)" in said) == (1, True)
    code, lines, _ = recount(*ask, digest)
    assert code == 0
    assert "granted reversal on account/A-FTTH, 454.60 yuan" in lines
    code, document, _ = recount(*ask, digest, "--json")
    again = orjson.loads(document)
    assert (code, again["repeated"], len(again["events"]), again["position"]) == (0, True, 9, 111)
