"""`recount generate`: the same conditions give the same bytes, and every line of them is one an import takes."""

import hashlib
import itertools
import json
import os
import subprocess
import sys
import tracemalloc
from collections import Counter
from datetime import date, datetime
from fractions import Fraction
from pathlib import Path

import orjson
import pytest

from api.cli import main
from api.population.conditions import Conditions
from api.population.generating import generate
from domain.events.envelope import parse_event
from tests.conftest import import_file

ROOT = Path(__file__).parents[1]
ALL_RULES_FROM = date(2022, 1, 1)
"""From when four years reach every rule: the notice of a renewal is required since July 2024."""
THEIR_END = datetime.fromisoformat("2025-12-31T23:59:59.999999+08:00")
"""The last moment of those years, as which the histories are known."""

LAWFULLY = {
    "AccountMigrated", "AccountOpened", "AccountTransferred", "ApologyIssued", "AppealDecided", "AppealFiled",
    "ArrearsCleared", "ArrearsStarted", "BillIssued", "BlacklistEntryAdded", "BlacklistEntryRemoved",
    "CancellationRequested", "CaseAssigned", "CaseClosed", "ChargePosted", "ChargeReversed", "CommitmentMade",
    "CommitmentMet", "CommitmentMissed", "ComplaintAnswered", "ComplaintReceived", "ContactPointAdded",
    "ContactPointInvalidated", "CorrectiveActionClosed", "CorrectiveActionOpened", "CorrectiveActionStepCompleted",
    "CreditGranted", "DealerAuthorised", "DealerBlocked", "DebtWrittenOff", "DepositReturned", "DepositTaken",
    "DisputeHoldPlaced", "DisputeHoldReleased", "EvidenceAttached", "ExpiryOptionPresented", "ExpiryOptionSelected",
    "FindingRecorded", "HandlingStarted", "IdentityMisuseConfirmed", "IdentityVerified", "InstalmentPlanAgreed",
    "InteractionRecorded", "LateFeeAssessed", "NoticeAttempted", "NoticeDelivered", "NoticeFailed", "NumberActivated",
    "NumberPortedIn", "NumberPortedOut", "NumberReleased", "PackageConverted", "PackageExpired", "PackageRenewed",
    "PackageSubscribed", "PartyDetailsChanged", "PartyRegistered", "PaymentAllocated", "PaymentReceived",
    "PaymentReversed", "PenaltyImposed", "PersonalDataDisclosed", "PlanChanged", "RefundPaid", "RegistrationAudited",
    "RemedyGranted", "ServiceMoved", "ServiceResumed", "ServiceSuspended", "ServiceTerminated", "SignUpRefused",
    "SimReplaced",
}  # fmt: skip
"""What happens to a large enough population."""


def made(folder, accounts=40, years=3, **more):
    """Generate a population into a new folder; return what was counted and the folder."""
    folder.mkdir(parents=True)
    events_per_file = more.pop("events_per_file", 100_000)
    return generate(Conditions(accounts, years, **more), folder, events_per_file=events_per_file)


def contents(folder):
    """Return every file's bytes by name."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def lines_in(folder):
    """Return the events of all files in their order."""
    return [
        orjson.loads(line)
        for path in sorted(folder.glob("*.jsonl"))
        for line in path.read_bytes().splitlines()
    ]


def life_of(raw):
    """Return the life an event is of: its id begins with that."""
    return raw["id"].rpartition(".")[0]


def lives_in(folder):
    """Return the events of each life."""
    found = {}
    for raw in lines_in(folder):
        found.setdefault(life_of(raw), []).append(raw)
    return found


# -- the same for ever --------------------------------------------------------------------------------------


def test_the_same_conditions_give_the_same_bytes_whatever_the_hashes_are(tmp_path):
    """In two processes with other hash seeds; another seed gives another population."""
    for name, hash_seed in (("a", "1"), ("b", "2")):
        arguments = ["--accounts", "30", "--years", "2", "--seed", "7", "--breaches", "0.5", "--out", name]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": hash_seed}
        command = [sys.executable, "-P", "-m", "api.cli", "generate", *arguments]
        subprocess.run(command, check=True, cwd=tmp_path, env=environment, timeout=60, capture_output=True)
    made(tmp_path / "c", 30, 2, seed=8, breaches=Fraction(1, 2))
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert contents(tmp_path / "a").keys() == contents(tmp_path / "c").keys()
    assert contents(tmp_path / "a") != contents(tmp_path / "c")


def test_a_version_of_the_lives_is_pinned_to_the_byte(tmp_path):
    """Who changes what a seed gives changes VERSION with it, and this digest."""
    made(tmp_path / "p", 25, 4, seed=3, breaches=Fraction(1, 2), first=ALL_RULES_FROM)
    digest = hashlib.sha256(b"".join(contents(tmp_path / "p").values())).hexdigest()
    assert (
        digest[:16],
        orjson.loads((tmp_path / "p" / "truth.json").read_bytes())["conditions"]["version"],
    ) == (
        "dcd640ca6d7b8ce5",
        1,
    )


def test_a_larger_population_begins_as_a_smaller_one(tmp_path):
    """Each life has its own chance: how many others there are moves nothing in it."""
    made(tmp_path / "small", 20)
    made(tmp_path / "large", 40)
    small, large = lives_in(tmp_path / "small"), lives_in(tmp_path / "large")
    last = list(small)[-1]  # it may have fewer accounts: there were no more to give
    assert len(small) > 10
    assert all(large[life] == events for life, events in small.items() if life != last)


# -- what is in it ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def population(tmp_path_factory):
    """Return a folder with every kind of breach, in several files."""
    folder = tmp_path_factory.mktemp("populations") / "p"
    counts = made(folder, 200, 4, breaches=Fraction(1, 3), first=ALL_RULES_FROM, events_per_file=5_000)
    return folder, counts


def test_every_line_is_an_event_and_streams_begin_with_what_opens_them(population):
    """In the order in which it became known, life by life; nothing is known before it happened."""
    folder, _ = population
    opened, ids = set(), set()
    for _, life in itertools.groupby(lines_in(folder), key=life_of):
        known = ""
        for raw in life:
            event = parse_event(raw)
            assert event.time <= event.recordedtime
            assert raw["recordedtime"] >= known
            assert (event.subject not in opened) == event.data.OPENS, raw
            opened.add(event.subject)
            ids.add(event.id)
            known = raw["recordedtime"]
    assert len(ids) == len(lines_in(folder))


def test_files_are_bounded_and_no_life_is_cut(population):
    """A file has at most so many events, and what belongs to one party stands in one file."""
    folder, counts = population
    names = [path.name for path in sorted(folder.glob("*.jsonl"))]
    assert names == [f"events-{n:04}.jsonl" for n in range(1, counts["files"] + 1)]
    homes = Counter()
    for path in folder.glob("*.jsonl"):
        raws = [orjson.loads(line) for line in path.read_bytes().splitlines()]
        assert len(raws) <= 5_000
        homes.update({life_of(raw) for raw in raws})
    assert set(homes.values()) == {1}


def test_the_truth_counts_what_is_there(population):
    """By event type, accounts and parties; and of the parties every third has a breach."""
    folder, counts = population
    truth = orjson.loads((folder / "truth.json").read_bytes())
    events = lines_in(folder)
    assert truth["events_by_type"] == Counter(e["type"] for e in events)
    assert truth["events"] == len(events)
    assert truth["accounts"] == 200 == sum(e["type"] == "AccountOpened" for e in events)
    assert truth["planted"] == len(truth["breaches"]) == truth["parties"] // 3
    assert {k: truth[k] for k in counts} == counts
    assert truth["conditions"]["known_at"] == THEIR_END.isoformat()


def test_a_breach_names_its_events_and_what_is_to_be_found(population):
    """The events stand in the file that is named, and the breach itself is the first to be expected."""
    folder, _ = population
    events_of = {
        path.name: {e["id"]: e for e in map(orjson.loads, path.read_bytes().splitlines())}
        for path in folder.glob("*.jsonl")
    }
    for breach in orjson.loads((folder / "truth.json").read_bytes())["breaches"]:
        events = events_of[breach["file"]]
        assert breach["event_ids"]
        assert events.keys() >= set(breach["event_ids"])
        assert any(e["subject"] == breach["party"] for e in events.values())
        own = {"rule_id": breach["rule_id"], "subject": breach["subject"], "verdict": "breach"}
        assert breach["expected"][0] == own


def test_much_happens_in_a_lawful_population(tmp_path):
    """From the first notice to the last appeal."""
    counts = made(tmp_path / "p", 2_500)
    assert counts["events_by_type"].keys() >= LAWFULLY


def test_memory_does_not_grow_with_the_accounts(tmp_path):
    """Of four times as many accounts no more is in memory at once."""

    def peak(accounts):
        tracemalloc.start()
        try:
            made(tmp_path / str(accounts), accounts, 2, breaches=Fraction(1, 2))
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(10)  # what is only made once
    assert peak(480) < 1.3 * peak(120)


@pytest.mark.storage
def test_an_import_takes_every_line(deployment, population):
    """File by file, and nothing is refused."""
    folder, _ = population
    tallies = [import_file(deployment, path, THEIR_END) for path in sorted(folder.glob("*.jsonl"))[:2]]
    assert [refusals for _, refusals in tallies] == [[], []]
    assert sum(t.appended for t, _ in tallies) == sum(t.lines for t, _ in tallies) > 5_000


# -- the command --------------------------------------------------------------------------------------------


def test_the_command_answers_with_what_it_made(tmp_path, capfdbinary):
    """One JSON document: the conditions, and what was counted."""
    arguments = ["--accounts", "5", "--years", "1", "--seed", "9", "--from", "2015-03-01", "--json"]
    assert main(["generate", *arguments, "--region", "guangdong.shenzhen", "--out", str(tmp_path / "p")]) == 0
    answer = json.loads(capfdbinary.readouterr().out)
    truth = orjson.loads((tmp_path / "p" / "truth.json").read_bytes())
    assert answer == {**{k: v for k, v in truth.items() if k != "breaches"}, "out": str(tmp_path / "p")}
    assert answer["conditions"] == {
        "accounts": 5, "years": 1, "seed": 9, "breaches": "0", "from": "2015-03-01", "region": "guangdong.shenzhen",
        "version": 1, "known_at": "2016-02-29T23:59:59.999999+08:00",
    }  # fmt: skip
    assert {e["region"] for e in lines_in(tmp_path / "p")} == {"guangdong.shenzhen"}


def test_nothing_is_written_where_something_is(tmp_path, capfd):
    """Into a folder that is not empty, or a file's place; what stands there stays."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for name in ("full", "file"):
        assert main(["generate", "--accounts", "1", "--years", "1", "--out", str(tmp_path / name)]) == 1
        assert "should be a folder that is new or empty" in capfd.readouterr().err
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--accounts", "0", "--accounts: should be a whole number from 1"),
        ("--years", "21", "--years: should be a whole number from 1 to 20"),
        ("--seed", "-1", "--seed: should be a whole number from 0"),
        ("--breaches", "1.5", "--breaches: should be a share"),
        ("--breaches", "few", "--breaches: should be a share"),
        ("--breaches", "1/0", "--breaches: should be a share"),
        ("--from", "1999-01-01", "--from: should be a date from 2009-01-01"),
        ("--from", "soon", "--from: should be a date"),
        ("--region", "Nowhere!", "region: should be province and city"),
    ],
)
def test_conditions_that_can_not_be_are_told_by_name(tmp_path, capfd, option, value, said):
    """Wrong usage, and no folder is made."""
    given = {"--accounts": "1", "--years": "1", "--out": str(tmp_path / "p"), option: value}
    assert main(["generate", *itertools.chain(*given.items())]) == 2
    assert said in capfd.readouterr().err
    assert not (tmp_path / "p").exists()
