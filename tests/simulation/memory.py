"""The same application on the library's stock in-memory recorder: no server, so a life takes a moment.

Commands go the library's own way (`Ledger.execute`), observed history by the reader of the interchange format, days are
closed by the policies. A process may die right before or right after it saves, and another writer may be first.
"""

import itertools
import random
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import orjson
from eventsourcing.persistence import IntegrityError, StoredEvent

from domain.events.envelope import Recorded
from domain.ledger.application import Ledger
from domain.ledger.interchange.lines import read_arrival, read_object
from domain.ledger.sealing import Ownership
from domain.ledger.vault import MasterKey, Secrets, Vault
from domain.refusals import Refused
from domain.replay import in_order
from domain.streams import begin, state_of
from tests.conftest import MASTER
from tests.lawful import ONE_DAY, Operator
from tests.simulation import checks
from tests.simulation.acts import FIRST, LEGACY, TARIFF, Acts, Call
from tests.simulation.breaking import Crashed

ACTS_MIN, ACTS_MAX = 10, 30
SOURCE = "urn:recount:ledger:heilongjiang"


class Office(Operator):
    """The operator of `tests.lawful`, working on an application instead of on lists of its own."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__(FIRST.date().isoformat(), TARIFF, self._outcome)
        self.chance = chance
        self.acts = Acts(chance)
        self.ledger = _ledger()
        self.told: list[bytes] = []
        self.answered: dict[str, list[str]] = {}
        """The ids of the events each key was told of."""
        self.asked: dict[str, Call] = {}
        self.broken = 0
        self.overtaken = 0
        self._ids = itertools.count(1)
        self._save: Callable[..., Any] = self.ledger.recorder.insert_events

    def _outcome(self, _request: Any, _number: int) -> str:
        return self.chance.choice(("delivered", "no_answer", "silent"))

    # -- on the application

    def state(self, subject: str) -> Any:
        """Return a stream's state, folded anew."""
        history = self.ledger.history(subject)
        return state_of(subject, in_order(history)) if history else begin(subject)

    def ask(
        self, subject: str, command: Any, by: str = "staff/S1", channel: str = "store", at: Any = None
    ) -> bool:
        """Ask a command, as the close of day and the gateway do."""
        call = self.acts.call(at or self.now, subject, command, by=by, channel=channel)
        return self.do(call) == "accepted"

    def do(self, call: Call, first: Call | None = None) -> str:
        """Ask a command under its key; another writer does `first` between its decision and its save."""
        self.asked[call.key] = call
        moment = max(call.asked.time, self.now)
        if first is not None:
            self._before_saving(lambda: self.do(first))
        for _ in range(3):
            moment = max(moment, self._clock)
            try:
                recorded = self.ledger.execute(call.asked, call.key, moment)
            except Refused:
                self.answered[call.key] = []
                return "refused"
            except IntegrityError:
                self.overtaken += 1
                continue
            except Crashed:
                return self._restart()
            self._tick(moment)
            self._list()
            self.answered[call.key] = [r.event.id for r in recorded]
            return "accepted"
        raise AssertionError("overtaken again and again")

    def _restart(self) -> str:
        """Start another process on what the recorder holds."""
        self.broken += 1
        recorder, keys = self.ledger.recorder, self.ledger.memory_keys
        self.ledger = _ledger()
        recorder.insert_events = self._save  # type: ignore[method-assign]
        self.ledger.repository.event_store.recorder = recorder
        self.ledger.recorder, self.ledger.memory_keys = recorder, keys
        self.ledger.events.recorder = recorder
        self._list()
        return "unknown"

    def _list(self) -> None:
        """Let the operator know which streams there are."""
        for notification in self.ledger.recorder.select_notifications(self.position + 1, 10**6):
            self.histories.setdefault(str(notification.originator_id), [])
            self.position = notification.id

    def _before_saving(self, act: Callable[[], Any]) -> None:
        """Do something right before the next save."""
        recorder = self.ledger.recorder

        def save(events: Sequence[StoredEvent], **given: Any) -> Any:
            recorder.insert_events = self._save  # type: ignore[method-assign]
            act()
            return self._save(events, **given)

        recorder.insert_events = save  # type: ignore[method-assign]

    def break_save(self, *, after: bool) -> None:
        """Die at the next save, before it or after it."""
        recorder = self.ledger.recorder

        def save(events: Sequence[StoredEvent], **given: Any) -> Any:
            if after:
                self._save(events, **given)
            raise Crashed

        recorder.insert_events = save  # type: ignore[method-assign]

    # -- imports

    def bring(self, lines: Sequence[bytes]) -> None:
        """Record what is told, once: a line that stands is passed over, one whose stream was not opened waits."""
        for line in lines:
            event = read_arrival(1, line, read_object(line)).event
            history = self.ledger.history(event.subject)
            if any((r.event.source, r.event.id) == (event.source, event.id) for r in history):
                continue
            if not history and not event.data.OPENS:
                continue
            ownership = Ownership()
            ownership.learn_history(history)
            with self.ledger._keys() as keys:
                recorded = self.ledger.prepare([event], {event.subject: len(history)}, ownership, keys)
            try:
                self.ledger.save(*recorded)
            except IntegrityError:  # another writer was first: it is told again
                self.overtaken += 1
            except Crashed:
                self._restart()
        self._list()

    # -- looking

    def streams(self) -> tuple[dict[str, list[Recorded]], list[dict[str, Any]]]:
        """Return all histories with their positions, and the stored events as the JSON they are."""
        streams: dict[str, list[Recorded]] = {}
        log = []
        for n in self.ledger.recorder.select_notifications(1, 10**6):
            raw = orjson.loads(n.state)
            log.append({**raw, "position": n.id, "version": n.originator_version})
            history = streams.setdefault(raw["subject"], [])
            event = self.ledger.history(raw["subject"])[len(history)].event
            history.append(Recorded(event, n.originator_version, n.id))
        return streams, log


def _ledger() -> Ledger:
    return Ledger("heilongjiang", Vault(MasterKey(MASTER), Secrets(MASTER)))


def run_memory(seed: int) -> dict[str, Any]:
    """Let a ledger in memory live; return what happened."""
    chance = random.Random(seed)
    office = Office(chance)
    for call in office.acts.opening(office.now):
        office.do(call)
    for _ in range(chance.randint(ACTS_MIN, ACTS_MAX)):
        if chance.random() < 0.1:
            office.break_save(after=chance.random() < 0.5)
        _act(office)
    _heal(office)
    return _checked(office)


def _act(office: Office) -> None:
    """Let one thing happen."""
    chance = office.chance
    match chance.choices(("ask", "race", "tell", "again", "live", "jump"), (10, 3, 4, 2, 4, 2))[0]:
        case "ask":
            for call in office.acts.calls(office.now, 4):
                office.do(call)
        case "race":
            one, *others = office.acts.calls(office.now, 12)
            same = [c for c in others if c.asked.subject == one.asked.subject]
            office.do(one, first=next(iter(same), None))
        case "tell":
            lines = (
                office.acts.history(office.now) if chance.random() < 0.6 else office.acts.addition(office.now)
            )
            office.told += lines
            office.bring(lines)
        case "again":
            office.bring(chance.sample(office.told, min(5, len(office.told))))
        case "live":
            office.live(chance.choice((1, 1, 3)))
        case "jump":
            office.today += ONE_DAY * chance.choice((1, 10, 40))


def _heal(office: Office) -> None:
    """Let nothing break any more; what was told stands, and today is closed."""
    office.ledger.recorder.insert_events = office._save  # type: ignore[method-assign]
    office.bring(office.told)
    office._clock = max(office._clock, office.now)
    office.close()
    position = office.position
    office.close()
    office._list()
    assert office.position == position, "a day that was closed was closed again"


def _checked(office: Office) -> dict[str, Any]:
    """Hold all there is against the oracle."""
    streams, log = office.streams()
    now = office.now + timedelta(days=1)
    assert [e["position"] for e in log] == list(range(1, len(log) + 1))
    for history in streams.values():
        assert [r.version for r in history] == list(range(1, len(history) + 1))
    told = sorted(e["id"] for e in log if e["source"] == LEGACY)
    assert told == sorted(orjson.loads(line)["id"] for line in office.told), "lost or doubled of an import"
    stands: dict[str, list[str]] = {}
    for event in log:
        if event["source"] == SOURCE:
            stands.setdefault(event["correlationid"], []).append(event["id"])
    for key, ids in office.answered.items():
        assert stands.pop(key, []) == ids, key
    assert stands.keys() <= office.asked.keys() - office.answered.keys()
    assert all(len(ids) == len(set(ids)) for ids in stands.values())
    checks.check_recorded_times(log, SOURCE)
    checks.check_replays(streams, log, now, office.chance, 3)
    checks.check_money(streams, log, now)
    checks.check_findings(streams, now, office.chance, 3)
    return {
        "events": len(log),
        "commands": len(office.asked),
        "refused": sum(not ids for ids in office.answered.values()),
        "imported": len(told),
        "restarts": office.broken,
        "overtaken": office.overtaken,
    }
