"""Takes notices from a ledger's queue to a gateway, and records each attempt once the gateway has it.

The order for each notice: lock its request; decide, without writing, whether the attempt may be made; open the
address; offer it to the gateway; record `NoticeAttempted` (and the outcome, where the gateway said it); take it
off the queue. Why this order, and what a kill leaves:

- The event says that the customer was tried to be reached. Recorded before the hand-over it would be a lie
  wherever the hand-over never came to be, and a delivery that the law asks for would seem on its way. So it
  comes after; and what the domain would refuse is never offered.
- Killed before the hand-over: the lock goes with the connection, and nothing has happened.
- Killed after the hand-over and before the record: the request waits still and is offered again, under the same
  key, by which the gateway knows it. At least once to the gateway, once to the customer.
- Killed after the record: the receipt, written with the event, says so; it is not offered again, and recorded once.

The other order of the last two steps would lose the event. Attempt and outcome are one transaction, so that no
kill loses an outcome that is said only once.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any

import orjson
import structlog

from api.gateways import Gateway, Handed, Message, TakenOver
from api.gateways.results import ACTOR, CHANNEL
from domain.account import Account, figures
from domain.calendar import day_of
from domain.commands.asking import Asked
from domain.decisions import decide
from domain.decisions.hearing import Hearing, check_party
from domain.events.fields import LIST_MAX_ITEMS
from domain.events.party import ContactPointAdded
from domain.ledger.application import Loaded, PostgresKeys, Q
from domain.ledger.database import WRITER, Connection
from domain.ledger.outbox import Queued, Status, attempt_of, key_of, postpone, settle, take
from domain.ledger.vault import VaultError
from domain.ledger.writer import BusyError, ReceiptKey, Writer, request_digest
from domain.policies.due import NoticeRequest
from domain.refusals import Code, Refused, refuse
from domain.replay import in_order

SCOPE = "notices"
BACKOFF = timedelta(minutes=1)  # doubled with each try in vain
BACKOFF_MAX = timedelta(hours=4)
TRIES_MAX = 20  # with these waits some two days: then the gateway is not down, it is gone
OF_A_DEBT = frozenset({"arrears", "suspension", "termination", "blacklist"})
"""Purposes that speak of what is owed: once it is paid they are of no use."""
NOTHING_OWED = "nothing_owed"
TOO_LATE = "too_late"

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Sent:
    """What a run came to: requests by what became of them (`postponed` stay queued).

    `stopped`: nothing of a whole batch was taken over, for no fault of the messages: the gateway is not there.
    """

    by: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    """Why requests were not taken over or not sent, by code."""
    stopped: bool = False

    @property
    def total(self) -> int:
        """How many requests were looked at."""
        return self.by.total()


@dataclass(frozen=True, slots=True)
class _Ready:
    """A request that may be sent now: as the gateway needs it, and what will be asked once it has it."""

    queued: Queued
    message: Message
    asked: Asked


class Sender:
    """Sends the notices of a writer's ledger through a gateway, by its clock.

    Any number of senders may work on one queue: each request is locked by the one that offers it.
    """

    def __init__(self, writer: Writer, gateway: Gateway) -> None:
        self._writer = writer
        self._ledger, self._clock = writer.ledger, writer.clock
        self._gateway = gateway

    def run(self, limit: int, sent: Sent, progress: Callable[[Sent], None] | None = None) -> Sent:
        """Send up to `limit` of the requests due by now, and return what came of them, added to `sent`.

        Each is tried once in a run. Raises StorageError, and OSError where the gateway's own place fails.
        """
        due, left = self._clock(), limit
        while left > 0 and not sent.stopped:
            with self._ledger.journal.database.transaction(self._ledger.schema, WRITER) as connection:
                taken = take(connection, due, min(left, self._gateway.batch_max))
                self._send(connection, taken, sent)
            if not taken:
                break
            left -= len(taken)
            if progress is not None:
                progress(sent)
        return sent

    # -- one batch

    def _send(self, connection: Connection, taken: Sequence[Queued], sent: Sent) -> None:
        ready = [found for queued in taken if (found := self._ready(connection, queued, sent)) is not None]
        if not ready:
            return
        handed = self._gateway.hand_over([r.message for r in ready])
        for one, came in zip(ready, handed, strict=True):
            if isinstance(came, TakenOver):
                self._recorded(connection, one, came, sent)
            elif came.final:
                self._settle(connection, one.queued.request, "failed", sent, came.reason)
            else:
                self._postpone(connection, one.queued, came.reason, sent)
        sent.stopped = all(_not_there(came) for came in handed)

    def _ready(self, connection: Connection, queued: Queued, sent: Sent) -> _Ready | None:
        """Return what is to be offered; or bring the request to its end, and return None."""
        request, now = queued.request, self._clock()
        try:
            if self._was_recorded(connection, request):
                self._settle(connection, request, "handed_over", sent)
                return None
            return self._prepared(connection, queued, now)
        except _UselessError as useless:
            self._settle(connection, request, "lapsed", sent, str(useless))
        except Refused as refused:
            self._settle(connection, request, "refused", sent, refused.code)
        except VaultError as error:
            log.error("a contact point can't be opened", why=str(error))  # noqa: TRY400 - it says which
            self._settle(connection, request, "failed", sent, "vault")
        return None

    def _was_recorded(self, connection: Connection, request: NoticeRequest) -> bool:
        """Whether a run that was killed has recorded this attempt; refusals leave no receipt."""
        receipt = _receipt(request)
        row = connection.execute(Q["find_receipt"], {"scope": receipt.scope, "key": receipt.key}).fetchone()
        return row is not None and bytes(row[0]) == receipt.request

    def _prepared(self, connection: Connection, queued: Queued, now: datetime) -> _Ready:
        """Decide, without writing, and open the address; raises Refused, VaultError and _UselessError."""
        request = queued.request
        if request.useful_until < day_of(now, self._ledger.region):
            raise _UselessError(TOO_LATE)
        asked = Asked(
            subject=f"account/{request.account_id}",
            command=attempt_of(request),
            actor=ACTOR,
            channel=CHANNEL,
            region=self._ledger.region,
            time=now,
        )
        loaded = self._ledger.load(asked, connection)
        account = loaded.states[asked.subject]
        assert isinstance(account, Account)
        asked = replace(asked, region=account.region or self._ledger.region)
        decide(asked, loaded.states, now)
        holder = Hearing(asked, loaded.states).person(account.party_id)[-1]
        check_party(holder)
        day = day_of(now, asked.region)
        message = Message(
            key=f"{self._ledger.region}/{key_of(request.account_id, request.notice_id)}",
            account_id=request.account_id,
            notice_id=request.notice_id,
            region=asked.region,
            purpose=request.purpose,
            channel=request.channel,
            contact_point_id=request.contact_point_id,
            address=self._address(connection, asked, loaded, request.contact_point_id),
            facts=_facts(account, request, day),
        )
        return _Ready(queued, message, asked)

    def _address(
        self, connection: Connection, asked: Asked, loaded: Loaded, contact_point_id: str | None
    ) -> str | None:
        """Return a contact point in clear; refuses where its key is destroyed."""
        if contact_point_id is None:
            return None
        account = loaded.states[asked.subject]
        assert isinstance(account, Account)
        for subject in Hearing(asked, loaded.states).person_subjects(account.party_id):
            added = [
                r.event
                for r in in_order(loaded.histories[subject])
                if isinstance(r.event.data, ContactPointAdded)
                and r.event.data.contact_point_id == contact_point_id
            ]
            if not added:
                continue
            data = self._ledger.vault.open(added[-1], PostgresKeys(connection)).data
            assert isinstance(data, ContactPointAdded)
            if data.value.clear is None:
                refuse(
                    Code.PARTY_ERASED, "The contact point was erased: nothing can be sent to it.", id=subject
                )
            return data.value.clear
        raise AssertionError(f"{contact_point_id} was decided on, and is not there")

    # -- what came of it

    def _recorded(self, connection: Connection, one: _Ready, came: TakenOver, sent: Sent) -> None:
        """Record that the gateway has a notice, and what became of it if it said so; then settle it."""
        request = one.queued.request
        asked = [one.asked]
        if came.outcome is not None:
            command = came.outcome.command(request.notice_id)
            asked.append(replace(one.asked, command=command, time=self._clock()))
        try:
            answer = self._writer.execute_all(asked, _receipt(request))
        except BusyError:  # it is offered again, under the same key
            return self._postpone(connection, one.queued, "busy", sent)
        if not answer.refused:
            return self._settle(connection, request, "handed_over", sent)
        # Decided a moment ago, and refused now: somebody was faster, or dated an event back.
        code = answer.body["refusal"]["code"]
        log.error(
            "a notice was handed over, and its attempt is refused",
            account_id=request.account_id,
            notice_id=request.notice_id,
            code=code,
        )
        return self._settle(connection, request, "unrecorded", sent, code)

    def _settle(
        self,
        connection: Connection,
        request: NoticeRequest,
        status: Status,
        sent: Sent,
        reason: str | None = None,
    ) -> None:
        settle(connection, request, status, self._clock(), reason)
        sent.by[status] += 1
        if reason is not None:
            sent.reasons[reason] += 1

    def _postpone(self, connection: Connection, queued: Queued, reason: str, sent: Sent) -> None:
        """Let a request be tried again later, each time after a longer wait, and at last not any more."""
        if queued.tries + 1 >= TRIES_MAX:
            return self._settle(connection, queued.request, "failed", sent, reason)
        wait = min(BACKOFF * 2**queued.tries, BACKOFF_MAX)
        postpone(connection, queued.request, self._clock() + wait, reason)
        sent.by["postponed"] += 1
        sent.reasons[reason] += 1
        return None


class _UselessError(Exception):
    """A notice that has no use any more; its text is the code."""


def _receipt(request: NoticeRequest) -> ReceiptKey:
    """Under what the attempt's answer is found again: the same for the same request, whenever it is sent."""
    content = orjson.dumps(attempt_of(request))
    return ReceiptKey(SCOPE, key_of(request.account_id, request.notice_id), request_digest(content))


def _not_there(came: Handed) -> bool:
    return not isinstance(came, TakenOver) and not came.final


# -- what the text of a notice speaks of ---------------------------------------------------------------------


def _facts(account: Account, request: NoticeRequest, day: date) -> dict[str, Any]:
    """Return what a gateway's template needs, as of a day: amounts in fen, days as YYYY-MM-DD.

    Raises _UselessError where the notice speaks of a debt that is paid by now.
    """
    facts: dict[str, Any] = {"on": day}
    package = account.packages.get(request.package_id or "")
    if package is not None:
        choice = account.choices.get(package.package_id)
        offer_id, price_fen = package.on(day)
        facts["package"] = {
            "package_id": package.package_id,
            "offer_id": offer_id,
            "cycle": package.cycle,
            "price_fen": price_fen,
            "end": package.end or package.term_end,
            "expiry_option": choice.option if choice else None,
        }
    if request.purpose in OF_A_DEBT:
        money = figures(account.books, day)
        named = set(request.charge_ids or ())
        open_items = [i for i in money.open_items if (i.charge_id in named if named else i.due_on < day)]
        if not open_items:
            raise _UselessError(NOTHING_OWED)
        facts["overdue_fen"] = sum(i.unpaid_fen for i in money.open_items if i.due_on < day)
        facts["late_fee_fen"] = money.late_fee_fen
        facts["arrears_since"] = money.past_due.arrears_since
        facts["charges"] = [
            {"charge_id": i.charge_id, "due_on": i.due_on, "unpaid_fen": i.unpaid_fen}
            for i in open_items[:LIST_MAX_ITEMS]
        ]
    return facts
