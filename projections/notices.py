"""notices: what was sent to customers, around which terms, and the contact points it went to.

Whether a delivery reached the customer is asked in SQL, over the account's notices and the party's contact points.
Windows around a term's end are the rulebook's, counted when read.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

from psycopg.sql import SQL

from domain.calendar import day_of, zone_of
from domain.events import account as av
from domain.events import party as pv
from domain.events.envelope import Recorded
from domain.ledger.application import Ledger
from domain.ledger.queries import queries
from domain.rules.facts import AccountFacts, PartyFacts
from projections.engine import Rows, Seen, Table, reading
from projections.facts import FactsModel, Kept, facts_of, measures, region_of, rulebook
from projections.paging import Column, Part, page

Q = queries("projections.sql", "notices.sql")
TERMS_BY_VERDICT = SQL("WITH measured_term AS ({}) {}").format(Q["terms"], Q["coverage_verdicts"])


class Notice(NamedTuple):
    """A notice and what became of it. `holder_id` is whose the account was when it came to its end."""

    subject: str
    version: int
    account_id: str
    region: str
    notice_id: str
    purpose: str
    channel: str
    contact_point_id: str | None
    package_id: str | None
    holder_id: str | None
    attempted_at: datetime
    attempted_on: date
    outcome: str
    reason: str | None
    outcome_at: datetime | None
    outcome_recorded_at: datetime | None
    outcome_known_on: date | None


class AnnualTerm(NamedTuple):
    """A year that was sold or renewed; `end_on` is exclusive."""

    subject: str
    version: int
    account_id: str
    region: str
    line_of_business: str
    package_id: str
    start_on: date
    end_on: date | None
    renewal: bool
    ended_early: bool


class ContactPeriod(NamedTuple):
    """A time in which a contact point reached the party; `until` is exclusive, None where it still does."""

    subject: str
    contact_point_id: str
    number: int
    party_id: str
    region: str
    kind: str
    added_at: datetime
    until: datetime | None
    reason: str | None
    latest: bool


class Person(NamedTuple):
    """A party, and which one it was merged into."""

    subject: str
    party_id: str
    region: str
    merged_into: str | None


class Notices(FactsModel):
    """The model, as the engine moves it."""

    name = "notices"
    version = 2
    kinds = frozenset({"account", "party"})
    tables = (
        Table("notice", Notice),
        Table("annual_term", AnnualTerm),
        Table("contact_period", ContactPeriod),
        Table("person", Person),
    )
    passes = (
        av.ChargePosted, av.BillIssued, av.LateFeeAssessed, av.PaymentReceived, av.PaymentAllocated,
        pv.PartyDetailsChanged, pv.IdentityVerified,
    )  # fmt: skip

    def rows(self, state: Kept, seen: Seen) -> Rows:
        """Return an account's notices and terms, or a party's contact points."""
        facts = facts_of(state, seen)
        if isinstance(facts, AccountFacts):
            return Rows(
                {
                    "notice": list(_notices(facts, seen.subject)),
                    "annual_term": list(_terms(facts, seen.subject)),
                }
            )
        assert isinstance(facts, PartyFacts)
        return Rows(
            {
                "contact_period": contact_periods(facts, seen.subject),
                "person": [Person(seen.subject, facts.party_id, region_of(facts), merged_into(facts))],
            }
        )


def _notices(account: AccountFacts, subject: str) -> Iterator[Notice]:
    delivered: dict[int, Recorded] = {}
    for delivery in account.deliveries:
        delivered.setdefault(delivery.attempted.version, delivery.delivered)
    failed = _failures(account)
    for attempted, data in account.of(av.NoticeAttempted):
        came = delivered.get(attempted.version) or failed.get(attempted.version)
        why = came.event.data.reason if came and isinstance(came.event.data, av.NoticeFailed) else None
        outcome = "pending" if came is None else "failed" if why is not None else "delivered"
        yield Notice(
            subject=subject,
            version=attempted.version,
            account_id=account.state.account_id,
            region=region_of(account),
            notice_id=data.notice_id,
            purpose=data.purpose,
            channel=data.channel,
            contact_point_id=data.contact_point_id,
            package_id=data.package_id,
            holder_id=account.holder_at((came or attempted).event.time),
            attempted_at=attempted.event.time,
            attempted_on=account.day(attempted),
            outcome=outcome,
            reason=why,
            outcome_at=came.event.time if came else None,
            outcome_recorded_at=came.event.recordedtime if came else None,
            outcome_known_on=known_on(came) if came else None,
        )


def known_on(recorded: Recorded) -> date:
    """Return the day on which an event was on record."""
    event = recorded.event
    return day_of(max(event.time, event.recordedtime), event.region)


def _failures(account: AccountFacts) -> dict[int, Recorded]:
    """Return each attempt's last failure, by the attempt's version."""
    attempts: dict[str, int] = {}
    found = {}
    for recorded in account.history:
        data = recorded.event.data
        if isinstance(data, av.NoticeAttempted):
            attempts[data.notice_id] = recorded.version
        elif isinstance(data, av.NoticeFailed) and data.notice_id in attempts:
            found[attempts[data.notice_id]] = recorded
    return found


def _terms(account: AccountFacts, subject: str) -> Iterator[AnnualTerm]:
    ends = [account.day(r) for r, _ in account.of(av.ServiceTerminated)]
    for term in account.terms:
        yield AnnualTerm(
            subject=subject,
            version=term.began.version,
            account_id=account.state.account_id,
            region=region_of(account),
            line_of_business=account.state.line_of_business,
            package_id=term.package_id,
            start_on=term.start,
            end_on=term.end,
            renewal=term.renewal,
            ended_early=term.end is not None and any(day < term.end for day in ends),
        )


def contact_periods(party: PartyFacts, subject: str) -> list[ContactPeriod]:
    """Return the times in which each contact point reached the party, as `PartyFacts.reachable` counts them."""
    found: list[ContactPeriod] = []
    current: dict[str, int] = {}
    for recorded in party.history:
        data = recorded.event.data
        if isinstance(data, pv.ContactPointAdded):
            key = data.contact_point_id
            index = current.get(key)
            if index is not None and found[index].until is None:
                continue
            if index is not None:
                found[index] = found[index]._replace(latest=False)
            number = sum(p.contact_point_id == key for p in found) + 1
            current[key] = len(found)
            found.append(
                ContactPeriod(
                    subject, key, number, party.party_id, region_of(party), data.kind, recorded.event.time,
                    None, None, latest=True,
                )
            )  # fmt: skip
        elif isinstance(data, pv.ContactPointInvalidated):
            index = current.get(data.contact_point_id)
            if index is not None and found[index].until is None:
                found[index] = found[index]._replace(until=recorded.event.time, reason=data.reason)
    return found


def merged_into(party: PartyFacts) -> str | None:
    """Return the party it was merged into last."""
    merged = party.of(pv.PartyMerged)
    return merged[-1][1].into_party_id if merged else None


# -- reading ------------------------------------------------------------------------------------------------


CONTACT_KEY = (Column("party_id"), Column("contact_point_id"))
CONTACT_SORTS = (
    Column("invalid_since", "timestamptz"),
    Column("last_attempt_at", "timestamptz"),
    Column("attempts_since", "bigint"),
    Column("failed", "bigint"),
    Column("party_id"),
)
TERM_KEY = (Column("account_id"), Column("version", "bigint"))
TERM_SORTS = (Column("end_on", "date"), Column("account_id"), Column("attempts_before", "bigint"))


def windows(ledger: Ledger, today: date) -> dict[str, Any]:
    """Return what the queries about terms measure with."""
    measured = measures(rulebook(ledger), "expiry-notice", ("before_days", "after_days", "channels"))
    return {**measured, "today": today, "zone": zone_of(ledger.region).key}


def coverage(
    ledger: Ledger, today: date, wanted: Mapping[str, Any]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return notices around terms that ended in [since, before) by side, channel and outcome, and terms by verdict.

    `wanted` has ended_since, ended_before, city and account_id, each None where it does not matter.
    """
    given = {**windows(ledger, today), **wanted}

    def ask(connection: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        cells = connection.execute(Q["coverage"], given).fetchall()
        verdicts = connection.execute(TERMS_BY_VERDICT, {**given, "verdict": None}).fetchall()
        return (
            [dict(zip(("side", "channel", "outcome", "notices", "terms"), r, strict=True)) for r in cells],
            [dict(zip(("verdict", "before", "after", "terms"), r, strict=True)) for r in verdicts],
        )

    return reading(ledger, Notices.name, ask)


def terms(ledger: Ledger, today: date, wanted: Mapping[str, Any], part: Part) -> list[dict[str, Any]]:
    """Return a page of terms with what was sent before and after their end, and the finding's verdict."""
    given = {**windows(ledger, today), **wanted}
    return reading(ledger, Notices.name, lambda c: page(c, Q["terms"], given, *part))


def contact_points(ledger: Ledger, wanted: Mapping[str, Any], part: Part) -> list[dict[str, Any]]:
    """Return a page of contact points, with what was sent to them, and sent to them in vain."""
    return reading(ledger, Notices.name, lambda c: page(c, Q["contact_points"], wanted, *part))


def reaches(ledger: Ledger) -> Sequence[tuple[str, int, str]]:
    """Return (stream, version of the attempt, what became of it) of every notice."""
    return reading(ledger, Notices.name, lambda c: c.execute(Q["reaches"]).fetchall())
