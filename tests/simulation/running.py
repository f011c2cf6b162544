"""One run from its seed: acts and breaks; then all is asked again until it is answered, and held against the oracle."""

import random
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any

import orjson

from api.runtime import READ_MODELS
from projections.engine import reading, verify
from tests import support
from tests.simulation import checks
from tests.simulation.acts import FIRST, LEGACY, Acts
from tests.simulation.breaking import WAYS, Steps, breakable
from tests.simulation.stored import World

ACTS_MIN, ACTS_MAX = 10, 30
HEALING_MAX = 50
STEPS_AHEAD_MAX = 60
"""A break comes within so many steps to the database: a batch takes five, a close of day some hundred."""


def run_stored(seed: int, database: Callable[[], AbstractContextManager[str]]) -> dict[str, Any]:
    """Let a ledger on PostgreSQL live and break; return what happened."""
    chance = random.Random(seed)
    steps = Steps()
    with database() as url, breakable(steps):
        world = World(url, chance, steps, Acts(chance), FIRST, FIRST)
        try:
            world.ask(world.acts.opening(world.now))
            for _ in range(chance.randint(ACTS_MIN, ACTS_MAX)):
                if chance.random() < 0.4:
                    steps.break_at(chance.randint(1, STEPS_AHEAD_MAX), chance.choice(WAYS))
                _act(world)
            _heal(world)
            return _checked(world)
        finally:
            world.end()


def _act(world: World) -> None:
    """Let one thing happen."""
    chance = world.chance
    acts: list[tuple[int, Callable[[], Any]]] = [
        (30, lambda: world.ask(world.acts.calls(world.now, chance.choice((8, 8, 8, 60))), cancel=0.1)),
        (10, lambda: _again(world)),
        (4, lambda: _other(world)),
        (12, lambda: _tell(world)),
        (8, lambda: _tell_again(world)),
        (
            12,
            lambda: world.jump(timedelta(days=chance.choice((1, 1, 5, 31, 90)), hours=chance.randint(0, 9))),
        ),
        (6, lambda: world.jump(-timedelta(hours=chance.choice((1, 30)), seconds=chance.randint(0, 99)))),
        (10, lambda: world.close(chance.choice((0, 0, 1, 7)))),
        (10, world.follow),
        (2, world.make_anew),
        (3, world.restart),
        (3, lambda: _remember(world)),
    ]
    weights, does = zip(*acts, strict=True)
    chance.choices(does, weights)[0]()


def _again(world: World) -> None:
    """Deliver commands again, some twice at once, in any order: answered or not."""
    calls = world.chance.sample(list(world.asked.values()), min(4, len(world.asked)))
    world.ask([*calls, *world.acts.calls(world.now, 2), *calls[:1]])


def _other(world: World) -> None:
    """Use the key of a command that was answered for another request."""
    answered = [c for c in world.asked.values() if c.key in world.answers]
    world.ask_other(world.chance.choice(answered))


def _tell(world: World) -> None:
    """Import something new; it is remembered in an order in which each stream is opened first."""
    chance = world.chance
    lines = world.acts.history(world.now) if chance.random() < 0.6 else world.acts.addition(world.now)
    world.lines += lines
    world.bring(lines, chance.choice((1, 3, 500)))


def _tell_again(world: World) -> None:
    """Import some of what was told already, in another order."""
    some = world.chance.sample(world.lines, min(9, len(world.lines)))
    world.bring(some, world.chance.choice((1, 3, 500)))


def _remember(world: World) -> None:
    """Ask for a replay whose answer is to be the same at the end."""
    if world.steps.armed:
        return  # it would break the question, not the ledger
    streams = _streams(world)
    subject, position = world.chance.choice(sorted(streams)), world.position()
    at = world.now - timedelta(days=world.chance.randint(0, 300))
    digest = checks.replayed(streams, subject, at, world.now, position)["digest"]
    world.asked_later.append((subject, at, world.now, position, digest))


def _streams(world: World) -> dict[str, list[Any]]:
    streams: dict[str, list[Any]] = {}
    for event in world.ledger.journal.log(0, limit=100_000):
        recorded = world.ledger.read(event)
        streams.setdefault(recorded.event.subject, []).append(recorded)
    return streams


# -- the end ------------------------------------------------------------------------------------------------


def _heal(world: World) -> None:
    """Break no more: everything is asked again until it is answered, and told again until it stands."""
    world.steps.mend()
    world.now = world.highest
    for _ in range(HEALING_MAX):
        left = [c for c in world.asked.values() if c.key not in world.answers]
        if not left:
            break
        world.ask(left)
    assert not left, "never answered"
    world.ask(world.asked.values())  # and once more, all of them: each first answer again
    world.bring_all()
    closed = world.close(0)
    if closed is not None and closed.resumed:
        world.close(0)  # it went on where it had stopped: what came in behind that waits for the next
    again = world.close(0)
    assert again is not None
    assert not again.events, f"a day that was closed was closed again: {again.events}"
    assert not again.failed
    world.catch_up()


def _checked(world: World) -> dict[str, Any]:
    """Hold all there is against the oracle."""
    support.assert_sound(world.deployment)
    log, streams = world.log(), _streams(world)
    check_acknowledged(world, log)
    checks.check_recorded_times(log, world.ledger.source)
    checks.check_replays(streams, log, world.highest, world.chance, 3)
    owed_fen = checks.check_money(streams, log, world.highest)
    checks.check_findings(streams, world.highest, world.chance, 3)
    check_decisions(world, streams)
    for subject, at, known_at, position, digest in world.asked_later:
        assert checks.replayed(streams, subject, at, known_at, position)["digest"] == digest, (
            "an old answer changed"
        )
    check_read_models(world, owed_fen)
    return {
        "events": len(log),
        "commands": len(world.asked),
        "refused": sum("refusal" in a for a in world.answers.values()),
        "imported": len(world.lines),
        "restarts": world.restarts,
        "steps": world.steps.taken,
        "broken": list(world.steps.broken),
    }


def check_acknowledged(world: World, log: list[dict[str, Any]]) -> None:
    """What was answered stands once, as it was answered; nothing of anybody else's does; and all that was told."""
    by_key: dict[str, list[dict[str, Any]]] = {}
    for event in log:
        if event["source"] != LEGACY:
            by_key.setdefault(event["correlationid"], []).append(event)
    for key, body in world.answers.items():
        said = [
            (e["id"], e["position"], e["version"], e["type"], e["subject"]) for e in body.get("events", ())
        ]
        stands = [
            (e["id"], e["position"], e["version"], e["type"], e["subject"]) for e in by_key.pop(key, ())
        ]
        assert said == stands, f"{key}: answered {said}, stored {stands}"
    assert not [key for key in by_key if key.startswith("key")], "stored and never answered"
    told = sorted(e["id"] for e in log if e["source"] == LEGACY)
    assert told == sorted(orjson.loads(line)["id"] for line in world.lines), "lost or doubled of an import"


def check_decisions(world: World, streams: dict[str, list[Any]]) -> None:
    """Each first answer is what the plain decision says."""
    for delivery in world.deliveries:
        if delivery.answer is not None and not delivery.answer.repeated:
            body, between = delivery.answer.body, (delivery.before, delivery.after)
            checks.check_decision(delivery.call, body, streams, between, delivery.now)


def check_read_models(world: World, owed_fen: int) -> None:
    """Each row is what a replay says, and all that billing reads sums up to what is owed."""
    verdict = verify(world.ledger, READ_MODELS, world.highest, sample=None)
    assert (verdict.differences, verdict.unchecked) == ([], [])
    assert verdict.position == world.position()

    def total(connection: Any) -> int:
        row = connection.execute("SELECT coalesce(sum(balance_fen), 0) FROM billing_status").fetchone()
        return int(row[0])

    assert reading(world.ledger, "billing_status", total) == owed_fen, "billing reads another sum"
