"""Finds what a day makes due on some streams: only reads, in whichever process, and writes nothing.

What is due follows from the states (`domain.closing`); this loads them, and what they are looked at with: who holds
an account, which accounts a blacklist entry names.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import NamedTuple

import psycopg
import structlog

from domain.account import Account
from domain.case import Case
from domain.closing import (
    Closing,
    Tariff,
    due_on_account,
    due_on_case,
    due_on_party,
    moment_of_closing,
)
from domain.ledger.application import Q
from domain.ledger.database import READER, Connection
from domain.ledger.decoding import recorded_of
from domain.ledger.recorder import POSITION_MAX
from domain.ledger.workers import connect
from domain.party import Party
from domain.policies.due import Due
from domain.replay import in_order
from domain.rules.book import Rulebook
from domain.streams import State, state_of

EVENTS_AT_ONCE = (
    5_000  # of whole streams in memory at once, some 10 MB; only their states are kept for a page
)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Day:
    """What is closed, and with which law and prices."""

    day: date
    region: str
    book: Rulebook
    tariff: Tariff


class Found(NamedTuple):
    """What is due on one stream, in which region it is, and with what it is closed."""

    region: str
    closing: Closing
    dues: list[Due]


@dataclass(slots=True)
class Page:
    """What was found on some streams: `streams` are those of the region; those on which nothing is due are left out.

    `failed` names the streams that could not be closed, and the kind of error.
    """

    streams: int = 0
    found: dict[str, Found] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


def find(connection: Connection, of: Day, subjects: Sequence[str], now: datetime) -> Page:
    """Return what is due on some streams, on a connection that looks into their ledger."""
    page = Page()
    states = {s: state for s, state in _readable(connection, subjects, page) if _of_region(state, of.region)}
    page.streams = len(states)
    people = _people(connection, (s.party_id for s in states.values() if isinstance(s, Account | Party)))
    accounts = _listed(connection, states.values())
    for subject, state in states.items():
        moment = moment_of_closing(of.day, now, region_of(state) or of.region)
        closing = Closing(of.day, moment, of.book, of.tariff)
        try:
            dues = list(dict.fromkeys(_due(state, people, accounts, closing)))
        except Exception as error:  # one stream that can't be closed must not stop a region
            log.exception("a stream can't be closed", subject=subject)
            page.failed[subject] = type(error).__name__
            continue
        if dues:
            page.found[subject] = Found(region_of(state) or of.region, closing, dues)
    return page


def _due(
    state: State, people: Mapping[str, Party], accounts: Mapping[str, Account], closing: Closing
) -> Iterable[Due]:
    match state:
        case Account():
            return due_on_account(state, people_of(state.party_id, people), closing)
        case Party():
            return due_on_party(state, people_of(state.party_id, people), accounts, closing)
        case Case():
            return due_on_case(state, closing)
        case _:
            return ()


# -- in a process of its own --------------------------------------------------------------------------------


class Reader:
    """What a worker process keeps: its connection, and what it was told when it began."""

    connection: Connection
    of: Day


def begin(conninfo: str, schema: str, of: Day) -> None:
    """Let a worker process connect, once."""
    Reader.connection = connect(conninfo, READER, schema)
    Reader.of = of


def find_here(subjects: Sequence[str], now: datetime) -> Page:
    """Do what `find` does, in a worker process that has begun."""
    return find(Reader.connection, Reader.of, subjects, now)


# -- reading ------------------------------------------------------------------------------------------------


def _loaded(connection: Connection, subjects: Iterable[str]) -> Iterator[tuple[str, State]]:
    """Yield the states of streams, with the events of some of them in memory at a time."""
    wanted, weight = list[str](), 0
    for subject, version, _ in connection.execute(Q["heads"], {"subjects": list(subjects)}):
        if wanted and weight + version > EVENTS_AT_ONCE:
            yield from _states(connection, wanted)
            wanted, weight = [], 0
        wanted.append(subject)
        weight += version
    if wanted:
        yield from _states(connection, wanted)


def _states(connection: Connection, subjects: Sequence[str]) -> Iterator[tuple[str, State]]:
    given = {"subjects": subjects, "position": POSITION_MAX}
    rows: dict[str, list[Sequence[object]]] = {}
    for row in connection.execute(Q["streams"], given, binary=True):
        rows.setdefault(row[0], []).append(row)
    for subject, history in rows.items():
        yield subject, state_of(subject, in_order(map(recorded_of, history)))


def _readable(connection: Connection, subjects: Sequence[str], page: Page) -> list[tuple[str, State]]:
    """Return the states of streams, without those that can't be read: they must not stop a region."""
    try:
        return list(_loaded(connection, subjects))
    except psycopg.Error:  # the database's fault, not the stream's
        raise
    except Exception as error:
        if len(subjects) > 1:
            return [found for one in subjects for found in _readable(connection, [one], page)]
        log.exception("a stream can't be read", subject=subjects[0])
        page.failed[subjects[0]] = type(error).__name__
        return []


def _people(connection: Connection, party_ids: Iterable[str]) -> dict[str, Party]:
    """Return parties, and those they were merged into, by id."""
    found: dict[str, Party] = {}
    wanted = set(party_ids) - {""}
    while wanted:
        loaded = _loaded(connection, [f"party/{i}" for i in sorted(wanted)])
        parties = [p for _, p in loaded if isinstance(p, Party)]
        found |= {p.party_id: p for p in parties}
        wanted = {p.merged_into for p in parties if p.merged_into} - found.keys()
    return found


def _listed(connection: Connection, states: Iterable[State]) -> dict[str, Account]:
    """Return the accounts that standing blacklist entries of some parties name, by id."""
    named = [
        f"account/{e.basis_account_id}"
        for s in states
        if isinstance(s, Party)
        for e in s.blacklist.values()
        if e.removed_at is None
    ]
    return {a.account_id: a for _, a in _loaded(connection, named) if isinstance(a, Account)} if named else {}


def people_of(party_id: str, people: Mapping[str, Party]) -> list[Party]:
    """Return a party and those it was merged into, the one that goes on last."""
    found: list[Party] = []
    while party_id in people and people[party_id] not in found:
        found.append(people[party_id])
        party_id = people[party_id].merged_into or ""
    return [p for p in found if p.opened]


def region_of(state: State) -> str:
    """Return the region a stream is of, empty where it says none."""
    region: str = getattr(state, "region", "")
    return region


def _of_region(state: State, region: str) -> bool:
    """Whether a stream is of a region, or of a city in it."""
    own = region_of(state)
    return own == region or own.startswith(f"{region}.")
