"""What a population is written into: files of a bounded number of events, and the truth about them, as it comes."""

from collections import Counter
from pathlib import Path
from typing import Any, BinaryIO

import orjson

EVENTS_PER_FILE = 100_000
"""So many lives as have no more events than this share a file: some 45 MB."""
TRUTH = "truth.json"


class EventFiles:
    """events-0001.jsonl and so on; a life is never cut in two."""

    def __init__(self, folder: Path, events_per_file: int = EVENTS_PER_FILE) -> None:
        self.events = self.files = 0
        self.by_type: Counter[str] = Counter()
        self._folder, self._limit, self._in_file = folder, events_per_file, 0
        self._file: BinaryIO | None = None

    @property
    def name(self) -> str:
        """The name of the present file."""
        return f"events-{self.files:04}.jsonl"

    def write(self, events: list[dict[str, Any]]) -> None:
        """Write a life's events into the present file, or into a new one where they would be too many."""
        if self._file is None or (self._in_file and self._in_file + len(events) > self._limit):
            self.close()
            self.files += 1
            self._in_file = 0
            self._file = (self._folder / self.name).open("xb")
        dumps, newline = orjson.dumps, orjson.OPT_APPEND_NEWLINE
        self._file.write(b"".join([dumps(event, option=newline) for event in events]))
        self.by_type.update([event["type"] for event in events])
        self._in_file += len(events)
        self.events += len(events)

    def close(self) -> None:
        """Close the present file."""
        if self._file is not None:
            self._file.close()


class TruthFile:
    """truth.json: one document, of which every breach has a line of its own. It has its name once it is whole."""

    def __init__(self, folder: Path, conditions: dict[str, Any]) -> None:
        self.by_rule: Counter[str] = Counter()
        self._path = folder / TRUTH
        self._partial = folder / f"{TRUTH}.part"
        self._file = self._partial.open("xb")
        self._file.write(b'{"conditions":' + orjson.dumps(conditions) + b',\n"breaches":[')

    def add(self, breach: dict[str, Any]) -> None:
        """Add a planted breach."""
        self._file.write((b",\n" if self.by_rule else b"\n") + orjson.dumps(breach))
        self.by_rule[breach["rule_id"]] += 1

    def finish(self, counts: dict[str, Any]) -> None:
        """Add what was counted, and give the file its name."""
        tail = orjson.dumps(counts, option=orjson.OPT_SORT_KEYS)
        self._file.write(b"\n],\n" + tail[1:] + b"\n")
        self._file.close()
        self._partial.rename(self._path)
