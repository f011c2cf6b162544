"""Findings on the shared disputes: what each case expects, from the pure rules and from the ledger alike."""

import pytest

from api.inquiry import found
from domain.calendar import moment_of
from domain.rules.table import Inquiry, findings
from tests.conftest import CASES, HARBIN, import_file
from tests.test_replay import WANTED, history_of

FAR = 10**9
EXPECTED = [
    pytest.param(name, wanted, id=f"{name}-{wanted['rule_id']}-{wanted['subject'].rpartition('.')[2]}")
    for name, want in WANTED.items()
    for wanted in want["findings"]
]


def found_in(name):
    """Return the findings of a case's question, from its events alone."""
    history = history_of(name)
    histories = {}
    for recorded in history:
        histories.setdefault(recorded.event.subject, []).append(recorded)
    ask, region = WANTED[name]["ask"], history[0].event.region
    inquiry = Inquiry(ask["subject"], moment_of(ask["known_at"], region, "known_at"), FAR, region)
    return findings(inquiry, histories)["findings"]


def matches(finding, wanted):
    """Whether a finding is what a case expects, as the shared runner of the cases says it."""
    same = all(
        finding[k] == wanted[k] for k in ("rule_id", "verdict", "subject", "amount_fen") if k in wanted
    )
    evidence, absent = finding["evidence_event_ids"], finding["absent_event_types"]
    return (
        same
        and set(wanted.get("evidence_includes", ())) <= set(evidence)
        and set(wanted.get("absent_includes", ())) <= set(absent)
    )


@pytest.mark.parametrize(("name", "wanted"), EXPECTED)
def test_a_dispute_is_found_as_its_case_says(name, wanted):
    """Given a dispute's history, when it is asked about, then the expected finding is there."""
    same_rule = [f for f in found_in(name) if f["rule_id"] == wanted["rule_id"]]
    assert any(matches(f, wanted) for f in same_rule), same_rule


@pytest.mark.parametrize("name", WANTED)
def test_a_dispute_has_no_breach_that_its_case_does_not_name(name):
    """The cases say of one history that nothing else is wrong; it holds for all of them."""
    wanted = WANTED[name]["findings"]
    breaches = [f for f in found_in(name) if f["verdict"] == "breach"]
    assert [f for f in breaches if not any(matches(f, w) for w in wanted)] == []


@pytest.mark.storage
@pytest.mark.parametrize("name", WANTED)
def test_the_ledger_finds_what_the_pure_rules_find(runtime, name):
    """What was sealed, stored, linked and loaded around the subject gives the findings of the events themselves."""
    import_file(runtime.deployment, HARBIN if name == "harbin" else CASES / name / "history.jsonl")
    ask = WANTED[name]["ask"]
    answer = found(runtime, ask["subject"], known_at=ask["known_at"])
    assert answer["findings"] == found_in(name)
    assert found(runtime, ask["subject"], known_at=ask["known_at"], position=answer["position"]) == answer
