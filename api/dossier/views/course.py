"""What a page says of the course of events: the story in a few words, and the timeline with its findings."""
# ruff: noqa: RUF001 - Chinese is written with Chinese punctuation

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from api.dossier.composing import Numbered
from api.dossier.views.findings import FindingsView
from api.dossier.views.reading import ranges
from api.wording import name_of
from domain.calendar import zone_of
from domain.events.envelope import kind_of

ROWS_MAX = 2_000  # events printed: some 100 pages; all of them stand in the bundle
MILESTONES_MAX = 14
REPEATED = frozenset({"NumberActivated", "SignUpRefused"})
MILESTONES = REPEATED | {
    "PackageSubscribed",
    "AccountMigrated",
    "AccountTransferred",
    "BlacklistEntryAdded",
    "BlacklistEntryRemoved",
    "CancellationRequested",
    "ComplaintAnswered",
    "ComplaintReceived",
    "DisputeHoldPlaced",
    "IdentityMisuseConfirmed",
    "PackageConverted",
    "PackageRenewed",
    "ServiceResumed",
    "ServiceSuspended",
    "ServiceTerminated",
}
"""What a summary names of what happened."""


@dataclass(frozen=True, slots=True)
class Row:
    """An event as the timeline shows it."""

    number: int
    when: str
    subject: str
    text: str
    by: str
    event_id: str
    known: str
    assumed: bool
    findings: Sequence[str]


class CourseView(FindingsView):
    """What happened, each event with the findings it shows."""

    @property
    def milestones(self) -> list[str]:
        """The story in a few words: what changed the customer's position, runs of one kind as one."""
        runs: list[list[Numbered]] = []
        for item in self.dossier.events:
            event = item.recorded.event
            if event.type not in MILESTONES:
                continue
            last = runs[-1][-1].recorded.event.type if runs else None
            if event.type == last and event.type in REPEATED:
                runs[-1].append(item)
            else:
                runs.append([item])
        half = MILESTONES_MAX // 2
        some = runs if len(runs) <= MILESTONES_MAX else [*runs[:half], *runs[-half:]]
        return [self._milestone(run) for run in some]

    def _milestone(self, run: list[Numbered]) -> str:
        first, last = run[0].recorded.event, run[-1].recorded.event
        days = dict.fromkeys(e.time.astimezone(zone_of(e.region)).date() for e in (first, last))
        when = "–".join(f"{d:%Y-%m-%d}" for d in days)
        times = f" ×{len(run)}" if len(run) > 1 else ""
        about = f" {first.stream_id}" if kind_of(first.subject) == "account" and not times else ""
        numbers = ranges([i.number for i in run])
        return f"{when} {name_of(first.type, self.lang)}{times}{about} [{numbers}]"

    @cached_property
    def rows(self) -> list[Row]:
        """The timeline's rows: all, or, of too many, the evidence and the latest of the rest."""
        events = self.dossier.events
        cited = self._cited
        if len(events) > ROWS_MAX:
            first = [i for i in events if i.number in cited][:ROWS_MAX]
            rest = [i for i in events if i.number not in cited]
            events = sorted(first + rest[len(rest) - (ROWS_MAX - len(first)) :], key=lambda i: i.number)
        return [self._row(item, cited.get(item.number, ())) for item in events]

    @property
    def left_out(self) -> int:
        """How many events the printed timeline leaves out."""
        return len(self.dossier.events) - len(self.rows)

    def _row(self, item: Numbered, findings: Sequence[str]) -> Row:
        told = self.event(item.recorded.event)
        return Row(
            number=item.number,
            when=told.when,
            subject=told.subject,
            text=told.text,
            by=told.by,
            event_id=told.event_id,
            known=told.known,
            assumed=told.assumed,
            findings=findings,
        )

    @property
    def assumed_rows(self) -> str:
        """The numbers of the events that no source states."""
        return ranges([r.number for r in self.rows if r.assumed])
