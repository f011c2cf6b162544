"""What happened in one life, as the lines of an import: CloudEvents as plain objects, known by subject and type."""

from collections.abc import Iterator, Sequence
from typing import Any

from api.population.years import Years

Event = dict[str, Any]
Moment = tuple[int, int]
"""A day's number and a minute of that day."""

CLOCK = [f"T{minute // 60:02}:{minute % 60:02}:00+08:00" for minute in range(24 * 60)]
MINUTES_OF_DAY = len(CLOCK)

Actor = tuple[str, str]
"""Who did something, and over which channel."""
BILLING: Actor = ("system/billing", "system")
NOTICES: Actor = ("system/notices", "system")
CRM: Actor = ("system/crm", "system")
STORE: Actor = ("staff/S-01", "store")
CARE: Actor = ("staff/S-20", "hotline")
AUDITORS: Actor = ("staff/S-70", "system")
HEAD: Actor = ("staff/S-90", "system")
"""Who decides what costs the operator money."""


class Chronicle:
    """The events of one life. Each has an id of its own, made of the life's name and a number."""

    def __init__(self, name: str, source: str, region: str, years: Years) -> None:
        self.events: list[Event] = []
        self.name, self._source, self._region, self._names = name, source, region, years.names
        self._count = 0

    def note(
        self,
        subject: str,
        kind: str,
        at: Moment,
        data: dict[str, Any],
        *,
        by: Actor = BILLING,
        known: Moment | None = None,
    ) -> str:
        """Note that something happened, by an actor over a channel; return the event's id.

        `known` is when it became known, where that was later.
        """
        self._count += 1
        event_id = f"{self.name}.{self._count}"
        time = self.moment(at)
        self.events.append(
            {
                "specversion": "1.0",
                "id": event_id,
                "source": self._source,
                "type": kind,
                "subject": subject,
                "time": time,
                "recordedtime": time if known is None else self.moment(known),
                "actor": by[0],
                "channel": by[1],
                "region": self._region,
                "dataversion": 1,
                "data": data,
            }
        )
        return event_id

    def moment(self, at: Moment) -> str:
        """Return a moment as events name it."""
        return self._names[at[0]] + CLOCK[at[1]]

    def in_order(self) -> list[Event]:
        """Return the events in the order in which they became known: what opens a stream comes first."""
        self.events.sort(key=_recorded)
        return self.events

    def of(self, kind: str | Sequence[str], subject: str | None = None, **wanted: Any) -> Iterator[Event]:
        """Return the events of a type, or some types, of one stream or all, whose fields have these values."""
        kinds = (kind,) if isinstance(kind, str) else kind
        for event in self.events:
            if event["type"] in kinds and subject in (None, event["subject"]):
                data = event["data"]
                if all(data.get(name) == value for name, value in wanted.items()):
                    yield event


def _recorded(event: Event) -> str:
    return str(event["recordedtime"])


def minutes_after(at: Moment, minutes: int) -> Moment:
    """Return the moment so many minutes later."""
    days, minute = divmod(at[1] + minutes, MINUTES_OF_DAY)
    return at[0] + days, minute
