"""How something wrong is put into a lawful life: events that are added, left out, moved or made otherwise."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from api.population.arrears import ROOM_DAYS
from api.population.chronicle import BILLING, Actor, Event, Moment
from api.population.living import Life, Wish
from api.population.packages import AFTER_DAYS
from api.population.years import Chance, Years

CLERK: Actor = ("staff/S-09", "store")
FIRST_BILL_DAYS = 40
"""After so many days an account that is charged by the month was charged."""
YEAR_DAYS = 366


@dataclass(frozen=True, slots=True)
class Planted:
    """A breach that was planted: on whom, shown by which events, and which breaches of other rules follow."""

    subject: str
    event_ids: tuple[str, ...]
    follows: tuple[tuple[str, str], ...] = ()
    """Rule and subject of each."""


Wanted = Callable[[Years, Chance], Wish | None]
Sow = Callable[["Planting"], Planted]


@dataclass(frozen=True, slots=True)
class Kind:
    """One way to break a rule: what the life has to be like (None: these years do not serve), and what is done."""

    rule_id: str
    name: str
    wanted: Wanted
    sow: Sow


class Breaks:
    """The decorator of a module's plantings: it says which rule each breaks, how, and in what kind of life."""

    def __init__(self) -> None:
        self.kinds: list[Kind] = []

    def __call__(self, rule_id: str, name: str, wanted: Wanted) -> Callable[[Sow], Sow]:
        """Add a way to break a rule."""

        def named(sow: Sow) -> Sow:
            self.kinds.append(Kind(rule_id, name, wanted, sow))
            return sow

        return named


class Planting:
    """A lawful life into which something wrong is put."""

    def __init__(self, life: Life, chance: Chance) -> None:
        self.life, self.chance, self.years = life, chance, life.years
        self.chronicle, self.person = life.chronicle, life.person
        self.contract = life.first
        self.subject = self.contract.subject

    # -- what is there

    def of(self, kind: str | Sequence[str], subject: str | None = None, **wanted: Any) -> list[Event]:
        """Return events by type, stream and fields, in the order of time."""
        return sorted(self.chronicle.of(kind, subject, **wanted), key=lambda e: str(e["time"]))

    def one(self, kind: str, **wanted: Any) -> Event:
        """Return the first event of a type on the account."""
        return self.of(kind, self.subject, **wanted)[0]

    def day(self, event: Event) -> int:
        """Return the number of the day of an event."""
        return self.number(str(event["time"])[:10])

    def number(self, day: str) -> int:
        """Return the number of a day as events name it."""
        return self.years.names.index(day)

    # -- what is done

    def add(self, subject: str, kind: str, at: Moment, data: dict[str, Any], *, by: Actor = CLERK) -> str:
        """Let something have happened; return the event's id."""
        return self.chronicle.note(subject, kind, at, data, by=by)

    def drop(self, events: Iterable[Event]) -> None:
        """Leave events out."""
        gone = {event["id"] for event in events}
        self.chronicle.events[:] = [e for e in self.chronicle.events if e["id"] not in gone]

    def move(self, event: Event, day: int) -> str:
        """Let something have happened on another day; return the event's id."""
        event["time"] = event["recordedtime"] = self.years.names[day] + str(event["time"])[10:]
        return str(event["id"])

    def fail(self, notice_ids: Iterable[str]) -> None:
        """Let notices not have arrived."""
        wanted = set(notice_ids)
        for event in self.of("NoticeDelivered", self.subject):
            notice_id = event["data"]["notice_id"]
            if notice_id in wanted:
                event["type"] = "NoticeFailed"
                event["data"] = {"notice_id": notice_id, "reason": "gateway_error"}

    def months_from(self, day: int, count: int, basis: Mapping[str, str]) -> tuple[str, ...]:
        """Charge months from a day on, as far as the years go; return the events' ids."""
        found = []
        for number in range(count):
            start = day + 30 * number
            if start + 1 > self.years.last:
                break
            names = self.years.names
            charge = {
                "charge_id": f"{self.contract.account_id}-X{number + 1}",
                "kind": "monthly",
                "amount_fen": self.contract.price_fen,
                "period_start": names[start],
                "period_end": names[start + 30],
                "due_on": names[start + 60],
                **basis,
            }
            found.append(self.add(self.subject, "ChargePosted", (start + 1, 60), charge, by=BILLING))
        return tuple(found)


# -- what a life should be like


def _opened(years: Years, chance: Chance, room_days: int) -> int | None:
    """Return a day to open the account with so many days to come; None where the years are too short."""
    return None if years.last < room_days else chance.between(0, years.last - room_days)


def paying(product: str = "broadband", room_days: int = 120, **more: Any) -> Wanted:
    """Want an account by the month whose bills are paid on time."""

    def wanted(years: Years, chance: Chance) -> Wish | None:
        opened = _opened(years, chance, room_days)
        return None if opened is None else Wish({"product": product, "opened": opened, **more})

    return wanted


def owing(outcome: str, **more: Any) -> Wanted:
    """Want an account on which the customer stops paying at the first bill."""
    plan = {
        "product": "broadband",
        "payer": "debtor",
        "outcome": outcome,
        "debt_month": 0,
        "fee_after_suspension": False,
        **more,
    }

    def wanted(years: Years, chance: Chance) -> Wish | None:
        opened = _opened(years, chance, ROOM_DAYS + 32)
        return None if opened is None else Wish({**plan, "opened": opened})

    return wanted


def yearly(option: str, after_expiry: str = "rests", years_sold: int = 1) -> Wanted:
    """Want a year that was sold with a choice, and went on or not as chosen."""
    plan = {"product": "annual", "option": option, "after_expiry": after_expiry, "told_before": True}

    def wanted(years: Years, chance: Chance) -> Wish | None:
        opened = _opened(years, chance, years_sold * YEAR_DAYS + AFTER_DAYS + 5)
        return None if opened is None else Wish({**plan, "opened": opened})

    return wanted
