"""The fold: how a stream's events become a state, one small function per event type.

The event sourcing library's `project_aggregate` checks a protocol at every event, which costs most of a
rebuild; here an event's type looks up its function, and that is all.
"""

from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

from domain.events.envelope import Recorded
from domain.events.fields import REGISTRY, Payload, StreamKind

S = TypeVar("S")
P = TypeVar("P", bound=Payload)
Step = Callable[[S, Recorded, P], None]


class Fold(Generic[S]):
    """The functions that evolve one kind of stream's state.

    A state belongs to the fold that builds it: a step changes it in place, and nobody else does.
    """

    def __init__(self, stream: StreamKind) -> None:
        self.stream = stream
        self._steps: dict[type[Payload], Step[S, Any]] = {}

    def on(self, kind: type[P]) -> Callable[[Step[S, P]], Step[S, P]]:
        """Register the step for an event type."""

        def register(step: Step[S, P]) -> Step[S, P]:
            self._steps[kind] = step
            return step

        return register

    def passes(self, *kinds: type[Payload]) -> None:
        """Say of event types that they change nothing in this state, on purpose."""
        for kind in kinds:
            self._steps[kind] = _nothing

    def unknown(self) -> set[str]:
        """Return the stream's event types that nobody has thought of here."""
        mine = {n: kind for n, kind in REGISTRY.items() if self.stream == kind.STREAM}
        return {n for n, kind in mine.items() if kind not in self._steps}

    def step(self, state: S, recorded: Recorded) -> S:
        """Evolve the state by one event and return it."""
        data = recorded.event.data
        self._steps[type(data)](state, recorded, data)
        return state

    def over(self, state: S, history: Iterable[Recorded]) -> S:
        """Evolve the state by a history and return it."""
        for recorded in history:
            self.step(state, recorded)
        return state


def _nothing(_state: object, _recorded: Recorded, _data: Payload) -> None:
    """Change nothing."""
