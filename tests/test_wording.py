"""What the product says to people: everything in the vocabulary and the rulebook has its words, in both languages."""

import re
from datetime import date, datetime
from pathlib import Path
from typing import Literal, get_args, get_origin

import orjson
import pytest

from api.wording import (
    LANGUAGES,
    RULES,
    citation_text,
    day_text,
    difference_text,
    instant_text,
    label,
    listed,
    name_of,
    observed_texts,
    proposal,
    said,
    sentence,
    undetermined_text,
    yuan,
)
from api.wording.events import EVENTS, PROPOSALS, group_of, unwrapped
from api.wording.labels import LABELS
from api.wording.observations import COMMON, DIFFERENCES, ENTRY, FORMS, REASONS, UNDETERMINED
from domain.account import Account
from domain.counterfactual import counterfactual
from domain.events import REGISTRY, Personal
from domain.events.account import ContractTerms
from domain.events.envelope import ACTOR_KINDS, CHANNELS
from domain.events.fields import StreamKind
from domain.rules.book import BUILT_IN
from domain.rules.finding import VERDICTS
from domain.rules.table import RULE_IDS, TABLE, Inquiry, findings
from tests.histories import LATER, moment
from tests.test_findings_coverage import corpus
from tests.test_replay import WANTED, history_of

ARRIVED = [
    orjson.loads(line)
    for line in (Path(__file__).parent / "golden" / "arrived.jsonl").read_bytes().splitlines()
]
ENUMERATED = [
    pytest.param(name, f.alias or n, get_args(scalar), id=f"{name}.{n}")
    for name, kind in REGISTRY.items()
    for n, f in kind.__pydantic_fields__.items()
    if get_origin(scalar := unwrapped(f.annotation)[0]) is Literal
]
PLACE = re.compile(r"\{(\w+)(?::text)?\}")
CHINESE = re.compile(r"[\u4e00-\u9fff]")


# -- events


def test_every_event_type_has_a_name_and_a_sentence_and_nothing_else_has():
    """Whoever adds an event type gives it its words."""
    assert set(EVENTS) == set(REGISTRY)


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_a_sentence_speaks_of_the_events_own_fields_and_of_no_personal_data(name):
    """Both languages tell the same fields, and never what is sealed."""
    kind = REGISTRY[name]
    fields = {f.alias or n for n, f in kind.__pydantic_fields__.items()}
    zh, en = (set(PLACE.findall(EVENTS[name].sentence.of(lang))) for lang in LANGUAGES)
    assert zh == en
    assert zh <= fields - set(kind.PERSONAL)


@pytest.mark.parametrize(("name", "field", "values"), ENUMERATED)
def test_every_value_of_an_enumeration_has_a_label_in_both_languages(name, field, values):
    """Whoever adds a value gives it its words."""
    for value in values:
        zh, en = (label(group_of(name, field), value, lang) for lang in LANGUAGES)
        assert CHINESE.search(zh), value
        assert en, value
        assert "_" not in zh + en, value


@pytest.mark.parametrize(
    ("group", "values"),
    [
        ("channel", CHANNELS),
        ("actor", ACTOR_KINDS),
        ("verdict", VERDICTS),
        ("stream", get_args(StreamKind)),
        ("status", get_args(Account.__annotations__["status"])),
        ("late_fee_start", get_args(ContractTerms.__pydantic_fields__["late_fee_start"].annotation)),
    ],
)
def test_what_stands_beside_events_has_labels_too(group, values):
    """The envelope's and the states' values are named as well."""
    assert values
    assert set(values) <= set(LABELS[group])


@pytest.mark.parametrize("raw", ARRIVED, ids=lambda raw: raw["type"])
@pytest.mark.parametrize("lang", LANGUAGES)
def test_an_event_reads_as_a_sentence_without_raw_values(raw, lang):
    """No enumeration's value, no fen and no ISO date is left, whole event or only what it must have."""
    kind = REGISTRY[raw["type"]]
    required = {f.alias or n for n, f in kind.__pydantic_fields__.items() if f.is_required()}
    for data in (raw["data"], {k: v for k, v in raw["data"].items() if k in required}):
        text = sentence(raw["type"], data, lang)
        told = text.replace(" ", "")
        assert told.endswith("。" if lang == "zh" else "."), text
        assert not re.search(r"[{}\[\]]|\bNone\b|fen\b", text)
        raws = [
            v
            for p in ENUMERATED
            if p.values[0] == raw["type"]
            for v in _many(data.get(p.values[1]))
            if "_" in v or lang == "zh"
        ]
        assert [v for v in raws if re.search(rf"\b{v}\b", text)] == []
        for name, value in data.items():
            if name.endswith("_fen") and f"{{{name}}}" in EVENTS[raw["type"]].sentence.of(lang):
                assert yuan(value) in text
        assert not any(str(v) in text for n, v in data.items() if n in kind.PERSONAL)


def _many(value):
    return [] if value is None else value if isinstance(value, list) else [value]


def test_every_type_has_a_short_name_in_each_language():
    """They are what an absent record is called by."""
    for name in REGISTRY:
        assert CHINESE.search(name_of(name, "zh"))
        assert name_of(name, "en").isascii()


@pytest.mark.parametrize("name", sorted(PROPOSALS))
def test_a_proposed_correction_is_told_as_something_to_do(name):
    """It has not happened: its words are its own, over the event's own fields."""
    fields = {f.alias or n for n, f in REGISTRY[name].__pydantic_fields__.items()}
    zh, en = (set(PLACE.findall(PROPOSALS[name].of(lang))) for lang in LANGUAGES)
    assert zh == en
    assert zh <= fields
    example = next(raw["data"] for raw in ARRIVED if raw["type"] == name)
    assert proposal(name, example, "en") != sentence(name, example, "en")
    assert (
        proposal("ArrearsCleared", {"cleared_on": "2014-07-16"}, "zh")
        == "系统记载：欠费于 2014年7月16日 结清。"
    )


def test_personal_data_in_a_payload_is_never_written():
    """Even where a sentence would ask for it."""
    from api.wording.events import _writers

    assert _writers("PartyRegistered")["name"](Personal(clear="somebody"), "zh") == "***"


# -- money, days, lists, quotes


@pytest.mark.parametrize(
    ("fen", "text"), [(108_000, "¥1,080.00"), (-5, "-¥0.05"), (0, "¥0.00"), (123_456_789, "¥1,234,567.89")]
)
def test_fen_are_written_as_yuan(fen, text):
    assert yuan(fen) == text


def test_days_moments_and_lists_are_written_in_each_language():
    at = datetime.fromisoformat("2014-12-09T11:05:00+08:00")
    assert (day_text(date(2014, 7, 16), "zh"), day_text(date(2014, 7, 16), "en")) == (
        "2014年7月16日",
        "16 July 2014",
    )
    assert (instant_text(at, "zh"), instant_text(at, "en")) == (
        "2014年12月9日 11:05",
        "9 December 2014 11:05",
    )
    assert (listed("ab", "zh"), listed("abc", "en"), listed("a", "en"), listed("", "en")) == (
        "a、b",
        "a, b and c",
        "a",
        "",
    )


def test_free_text_is_quoted_word_for_word_unless_it_is_a_known_one():
    assert (said("cash", "zh"), said("cash", "en")) == ("现金", "cash")
    assert (said("<b>", "zh"), said("<b>", "en")) == ("「<b>」", "“<b>”")


# -- rules


def test_every_rule_has_its_words():
    """Title, requirement, remedy and what a breach is, in both languages."""
    assert set(RULES) == set(RULE_IDS)
    for words in RULES.values():
        for pair in words:
            assert CHINESE.search(pair.zh)
            assert pair.en.isascii()
        assert "{where}" in words.broken.zh
        assert "{where}" in words.broken.en


@pytest.mark.parametrize("version", BUILT_IN, ids=lambda v: f"{v.rule_id}-{v.version}")
def test_every_built_in_source_is_cited_in_chinese(version):
    """With what of it is assumed."""
    zh, en = (citation_text(version.cited, lang) for lang in LANGUAGES)
    assert CHINESE.search(zh)
    assert not re.search(r"[a-z]{3}", zh)
    assert en.startswith(version.citation)
    assert "_" not in en
    assert ("推定：" in zh) == bool(version.assumed)


def test_a_published_source_is_quoted_as_it_was_published():
    assert citation_text("our own rule", "zh") == "our own rule"


# -- observations


def observed(subject, histories, known_at):
    """Return what the rules say of a subject."""
    found = findings(Inquiry(subject, known_at, 10**9, "heilongjiang.harbin"), histories)["findings"]
    return [(f["rule_id"], f["observed"]) for f in found]


def every_observation():
    """Return what the rules say of the shared disputes at each of their moments, and of the corpus of the rules."""
    found = set()
    for name in WANTED:
        histories = {}
        for recorded in history_of(name):
            histories.setdefault(recorded.event.subject, []).append(recorded)
        moments = sorted({r.event.recordedtime for h in histories.values() for r in h})
        for known_at in (*moments[:: max(1, len(moments) // 8)], moments[-1], moment("2035-01-01")):
            for subject in histories:
                found.update(observed(subject, histories, known_at))
    for history in corpus():
        histories = history.recorded()
        for known_at in ("2014-06-01", "2014-12-17", LATER):
            for subject in histories.keys() - {"rulebook/heilongjiang"}:
                found.update(observed(subject, histories, moment(known_at)))
    return sorted(found)


def test_everything_a_rule_observes_is_said_plainly_in_both_languages():
    """No observation of the shared disputes or of the rules' corpus is left to the program's own words."""
    every = every_observation()
    assert {rule_id for rule_id, _ in every} == set(RULE_IDS)
    assert len(every) > 100
    for rule_id, text in every:
        zh, en = (observed_texts(rule_id, text, lang) for lang in LANGUAGES)
        assert zh, (rule_id, text)
        assert en, (rule_id, text)
        assert all(CHINESE.search(t) for t in zh)
        assert not re.search(
            r"staff_default|convert_to|not_performed|\bfen\b|(?<!@)\d{4}-\d{2}-\d{2}", "".join(zh + en)
        )


@pytest.mark.parametrize("name", WANTED)
def test_everything_a_counterfactual_names_is_said_plainly(name):
    """Each difference, and what it lacks, in both languages."""
    histories = {}
    for recorded in history_of(name):
        histories.setdefault(recorded.event.subject, []).append(recorded)
    known_at = moment("2035-01-01")
    for subject in (s for s in histories if s.startswith(("party/", "account/"))):
        answer = counterfactual(
            subject, histories, known_at=known_at, position=10**9, region="heilongjiang.harbin",
            until=date(2020, 1, 1), assume={"expiry_option": "renew_annual"},
        )  # fmt: skip
        for lang in LANGUAGES:
            assert all(difference_text(d["what"], lang) for d in answer["differences"])
            assert all(undetermined_text(u, lang) for u in answer["undetermined"])


@pytest.mark.parametrize(
    "form",
    [f for forms in (*FORMS.values(), REASONS, ENTRY, COMMON, DIFFERENCES, UNDETERMINED) for f in forms],
    ids=lambda f: f.words.en,
)
def test_a_form_tells_the_same_in_both_languages(form):
    """What it quotes stands in its pattern."""
    places = [set(re.findall(r"<(\w+)>", form.words.of(lang))) for lang in LANGUAGES]
    named = set(re.findall(r"\(\?P<(\w+)>", form.pattern))
    assert places[0] == places[1] == named - {"entry"}


def test_what_is_said_in_no_known_form_is_left_to_the_record():
    """A text that breaks a sentence up makes nothing up."""
    assert observed_texts("late-fee", "late fee on m1: the moon was full", "zh") is None
    assert observed_texts("no-such-rule", "anything", "en") is None
    assert difference_text("anything", "en") is None
    assert observed_texts("complaint-answer", "", "en") is None


def test_every_rule_of_the_table_has_forms():
    assert set(FORMS) == {rule.rule_id for rules in TABLE.values() for rule, _ in rules}
