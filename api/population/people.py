"""Who the customers are, and how they can be reached: identity, contact points, and what becomes of a notice."""

from dataclasses import dataclass
from typing import Any

from api.population.chronicle import BILLING, NOTICES, STORE, Actor, Chronicle, Moment
from api.population.years import Chance, Years

SURNAMES = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗"
GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超兰霞平刚桂英华玉红建文博"
STREETS = ("中山路", "建设街", "和平路", "人民大街", "友谊路", "新华街", "学府路", "红旗大街")
FIRMS = ("商贸", "餐饮", "物流", "科技", "建材", "药房")

LOSES_NUMBER_A_YEAR = 0.12
"""Share of the customers who give up their mobile number in a year."""
HAS_WEB_ACCOUNT = 0.8
LEARNT_WITHIN_DAYS = 60
"""How long the operator goes on writing to a number nobody answers any more."""

ANSWERS = {"sms": 0.94, "web_push": 0.85, "call": 0.6, "visit": 0.7, "letter": 0.97}
"""Share of the notices of a channel that arrive where the contact point is alive."""
FAILS = {
    "sms": "gateway_error",
    "web_push": "rejected",
    "call": "no_answer",
    "visit": "not_home",
    "letter": "rejected",
}
POINT_OF = {
    "sms": "mobile",
    "call": "mobile",
    "web_push": "web_account",
    "visit": "postal",
    "letter": "postal",
}


@dataclass(slots=True)
class Point:
    """A contact point from a day until it is struck off (exclusive); from `dead` on nobody is there any more."""

    point_id: str
    since: int
    dead: int
    until: int


class Person:
    """A party of the population from its first day."""

    def __init__(
        self, party_id: str, chance: Chance, chronicle: Chronicle, years: Years, *, city: str, since: int
    ) -> None:
        self.party_id, self.subject = party_id, f"party/{party_id}"
        self.chance, self.chronicle, self.years, self.since = chance, chronicle, years, since
        self.by = (f"customer/{party_id}", chance.one(("store", "app", "web", "hotline")))
        self.points: dict[str, list[Point]] = {}
        self._city = city
        self._register()
        self._add_points()

    def note(self, kind: str, at: Moment, data: dict[str, Any], by: Actor = BILLING) -> str:
        """Note something on the party's stream; return the event's id."""
        return self.chronicle.note(self.subject, kind, at, data, by=by)

    def _register(self) -> None:
        chance = self.chance
        firm = chance.happens(0.06)
        name = chance.one(SURNAMES) + chance.one(GIVEN) + (chance.one(GIVEN) if chance.happens(0.6) else "")
        self.note(
            "PartyRegistered",
            (self.since, 540),
            {
                "kind": "organisation" if firm else "individual",
                "id_type": "business_licence" if firm else "resident_id",
                "id_hash": f"sha256:{chance.getrandbits(256):064x}",
                "name": f"{name}{chance.one(FIRMS)}有限公司" if firm else name,
                "id_number": f"2301{chance.between(10**13, 10**14 - 1)}",
                "address": self.address(),
            },
            STORE,
        )
        if chance.happens(0.03) and self.since + 90 < self.years.last:
            moved = chance.between(self.since + 60, self.years.last)
            self.note("PartyDetailsChanged", (moved, 570), {"address": self.address()}, self.by)

    def address(self) -> str:
        """Return some address in the party's city."""
        chance = self.chance
        return f"{self._city}市{chance.one(STREETS)}{chance.between(1, 400)}号{chance.between(101, 2804)}室"

    def _add_points(self) -> None:
        """Note the ways to reach the party; mobile numbers are given up and replaced."""
        chance, day, number = self.chance, self.since, 1
        mobiles = self.points["mobile"] = []
        while True:
            point = self._point("mobile", number, day)
            mobiles.append(point)
            dead = day + 1 + chance.days_until(LOSES_NUMBER_A_YEAR)
            learnt = dead + chance.between(1, LEARNT_WITHIN_DAYS)
            if learnt >= self.years.last:
                break
            point.dead, point.until = dead, learnt
            reason = chance.one(("abandoned", "abandoned", "recycled", "wrong_number"))
            self.note(
                "ContactPointInvalidated",
                (learnt, 541),
                {"contact_point_id": point.point_id, "reason": reason},
                STORE,
            )
            day, number = learnt, number + 1
        self.points["postal"] = [self._point("postal", 1, self.since)]
        self.points["web_account"] = (
            [self._point("web_account", 1, self.since)] if chance.happens(HAS_WEB_ACCOUNT) else []
        )

    def _point(self, kind: str, number: int, day: int) -> Point:
        point_id = f"{self.party_id}-{kind}-{number}"
        value = {
            "mobile": f"13{self.chance.between(10**8, 10**9 - 1)}",
            "postal": f"{self._city}市{number}邮区",
            "web_account": f"u{self.party_id}",
        }[kind]
        added = {"contact_point_id": point_id, "kind": kind, "value": value}
        self.note("ContactPointAdded", (day, 545), added, self.by)
        return Point(point_id, day, self.years.last + 1, self.years.last + 1)

    def point(self, channel: str, day: int) -> Point | None:
        """Return the contact point the operator has for a channel on a day."""
        points = self.points[POINT_OF[channel]]
        return next((p for p in points if p.since <= day < p.until), None)


class Notices:
    """The notices of one account: attempts and what became of them."""

    def __init__(self, subject: str, person: Person) -> None:
        self.subject, self.person, self.chance = subject, person, person.chance
        self._count = 0

    def send(self, purpose: str, channel: str, day: int, about: dict[str, Any], *, sure: bool = False) -> str:
        """Send a notice by a channel on a day; return its id where it arrived, else nothing.

        `sure`: somebody is there. To a number given up nothing arrives, sure or not.
        """
        self._count += 1
        notice_id = f"{self.subject[8:]}-N{self._count}"
        point = self.person.point(channel, day)
        data = {"notice_id": notice_id, "purpose": purpose, "channel": channel, "attempt_no": self._count}
        if point is not None:
            data["contact_point_id"] = point.point_id
        minute = self.chance.between(600, 1100)
        note = self.person.chronicle.note
        note(self.subject, "NoticeAttempted", (day, minute), {**data, **about}, by=NOTICES)
        alive = point is not None and day < point.dead
        if alive and (sure or self.chance.random() < ANSWERS[channel]):
            note(self.subject, "NoticeDelivered", (day, minute + 2), {"notice_id": notice_id}, by=NOTICES)
            return notice_id
        reason = FAILS[channel] if alive or point is None else "number_abandoned"
        note(
            self.subject,
            "NoticeFailed",
            (day, minute + 5),
            {"notice_id": notice_id, "reason": reason},
            by=NOTICES,
        )
        return ""

    def tell(self, purpose: str, day: int, about: dict[str, Any]) -> str:
        """Try one channel after the other, a day each, until a notice arrives; return its id.

        A message, then a call, then somebody at the door who does not leave before: four days at the most.
        """
        first = self.chance.one(("sms", "sms", "web_push"))
        for later, channel in enumerate((first, "call", "visit")):
            notice_id = self.send(purpose, channel, day + later, about)
            if notice_id:
                return notice_id
        return self.send(purpose, "visit", day + 3, about, sure=True)

    def try_all(self, purpose: str, day: int, about: dict[str, Any]) -> None:
        """Try every channel that is required, four days long, whatever becomes of it."""
        for later, channel in enumerate(("web_push", "sms", "call", "visit")):
            self.send(purpose, channel, day + later, about)
