"""Whether the findings over a population are what is planted in it: every one of them, and nothing else."""

import multiprocessing
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import orjson

from api.population.files import TRUTH
from domain.events.envelope import Recorded, kind_of, parse_event
from domain.rules.table import Inquiry, findings

MISTAKES_MAX = 100
"""Of more mistakes than these only the number is kept."""

Histories = dict[str, list[Recorded]]
Breaches = Sequence[Mapping[str, Any]]


@dataclass(slots=True)
class Checked:
    """What a check came to: `verdicts` counts findings by rule and verdict, `mistakes` says what is otherwise."""

    subjects: int = 0
    events: int = 0
    breaches: int = 0
    wrong: int = 0
    verdicts: Counter[tuple[str, str]] = field(default_factory=Counter)
    mistakes: list[str] = field(default_factory=list)

    def add(self, other: "Checked") -> None:
        """Add what was checked elsewhere."""
        self.subjects += other.subjects
        self.events += other.events
        self.breaches += other.breaches
        self.wrong += other.wrong
        self.verdicts += other.verdicts
        self.mistakes = (self.mistakes + other.mistakes)[:MISTAKES_MAX]

    def mistake(self, text: str) -> None:
        """Keep what is not as it was planted."""
        self.wrong += 1
        if len(self.mistakes) < MISTAKES_MAX:
            self.mistakes.append(text)

    def undetermined(self) -> dict[str, int]:
        """Return how many findings of each rule are undetermined."""
        return {rule: count for (rule, verdict), count in self.verdicts.items() if verdict == "undetermined"}


def check(folder: Path, processes: int = 1) -> Checked:
    """Ask for the findings on every subject of a population's files, and hold them against its truth.

    Life by life: of a file no more is in memory than one life and the breaches planted in that file.
    """
    conditions = _conditions(folder)
    tasks = ((path, conditions, planted) for path, planted in _by_file(folder))
    total = Checked()
    if processes == 1:
        for task in tasks:
            total.add(_check_file(task))
        return total
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        waiting: deque[Future[Checked]] = deque()
        for task in tasks:
            waiting.append(pool.submit(_check_file, task))
            if len(waiting) > 2 * processes:
                total.add(waiting.popleft().result())
        for checked in waiting:
            total.add(checked.result())
    return total


def _conditions(folder: Path) -> dict[str, Any]:
    with (folder / TRUTH).open("rb") as file:
        conditions: dict[str, Any] = orjson.loads(file.readline().rstrip(b",\n") + b"}")["conditions"]
    return conditions


def planted_in(folder: Path) -> Iterator[dict[str, Any]]:
    """Return the planted breaches, in the order of the files, without ever holding them all."""
    with (folder / TRUTH).open("rb") as file:
        file.readline()
        for line in file:
            if line.startswith(b"{"):
                yield orjson.loads(line.rstrip(b",\n"))
            elif line.startswith(b"]"):
                return


def _by_file(folder: Path) -> Iterator[tuple[Path, list[dict[str, Any]]]]:
    """Return every file with the breaches that are planted in it."""
    groups = groupby(planted_in(folder), key=lambda breach: breach["file"])
    name, planted = next(groups, ("", iter(())))
    for path in sorted(folder.glob("events-*.jsonl"), key=lambda p: (len(p.name), p.name)):
        mine: list[dict[str, Any]] = []
        if path.name == name:
            mine = list(planted)
            name, planted = next(groups, ("", iter(())))
        yield path, mine


def lives_of(path: Path) -> Iterator[Histories]:
    """Return the histories of a file's lives, one life after the other: an event's id begins with its life's name."""
    with path.open("rb") as file:
        raws = (orjson.loads(line) for line in file)
        for _, life in groupby(raws, key=lambda raw: raw["id"].rpartition(".")[0]):
            histories: Histories = {}
            for position, raw in enumerate(life, 1):
                history = histories.setdefault(raw["subject"], [])
                history.append(Recorded(parse_event(raw), len(history) + 1, position))
            yield histories


def _check_file(task: tuple[Path, dict[str, Any], Breaches]) -> Checked:
    path, conditions, planted = task
    by_party: dict[str, Breaches] = {b["party"]: [b] for b in planted}
    checked = Checked()
    for histories in lives_of(path):
        check_life(histories, conditions, by_party, checked)
    return checked


def check_life(
    histories: Histories, conditions: Mapping[str, Any], by_party: Mapping[str, Breaches], checked: Checked
) -> None:
    """Ask for the findings on every subject of a life, and count them; what is not as planted is a mistake."""
    known_at = datetime.fromisoformat(conditions["known_at"])
    found = list(findings_of(histories, known_at))
    planted = [b for s in histories if kind_of(s) == "party" for b in by_party.get(s, ())]
    checked.subjects += len(histories)
    checked.events += sum(map(len, histories.values()))
    checked.breaches += len(planted)
    checked.verdicts.update((f["rule_id"], f["verdict"]) for f in found)
    compare(found, planted, checked)


def findings_of(histories: Histories, known_at: datetime) -> Iterator[dict[str, Any]]:
    """Return the findings on every subject of a life: the party's, which span the others, and those of the rest."""
    asked: set[str] = set()
    for subject in sorted(histories, key=lambda s: kind_of(s) != "party"):
        if subject in asked:
            continue
        region = histories[subject][0].event.region
        answer = findings(Inquiry(subject, known_at, sum(map(len, histories.values())), region), histories)
        for finding in answer["findings"]:
            if finding["subject"] in histories:
                asked.add(finding["subject"])
                yield finding
        asked.add(subject)


def compare(found: Iterable[Mapping[str, Any]], planted: Breaches, checked: Checked) -> None:
    """Hold the breaches that were found against those that are planted, and each against the events that show it."""
    breaches = {(f["rule_id"], f["subject"]): f for f in found if f["verdict"] == "breach"}
    expected = {(e["rule_id"], e["subject"]) for b in planted for e in b["expected"]}
    for rule_id, subject in sorted(breaches.keys() - expected):
        kinds = [b["kind"] for b in planted]
        checked.mistake(
            f"{subject}: {rule_id} was not planted {kinds}: {breaches[rule_id, subject]['observed']}"
        )
    for rule_id, subject in sorted(expected - breaches.keys()):
        checked.mistake(f"{subject}: {rule_id} is planted {[b['kind'] for b in planted]} and not found")
    for breach in planted:
        shown = breaches.get((breach["rule_id"], breach["subject"]), {}).get("evidence_event_ids", [])
        if missing := set(breach["event_ids"]) - set(shown):
            checked.mistake(f"{breach['subject']}: {breach['kind']} is not shown by {sorted(missing)}")
