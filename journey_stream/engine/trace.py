"""What happened, step by step: each event and timer, the state before and after, what guards said.

In: a watched program, events in the order they are to be applied, a time to run on to. Out: `Step`s, which
`why` explains rule by rule. Strategy: the steps are those of `Partition`, called for one event or one timer
at a time; nothing is decided here, so that a trace cannot disagree with what the worker does. Meant for a
few customers: looking for who is due next asks all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from journey_stream.engine.partition import Partition
from journey_stream.engine.program import Program
from journey_stream.engine.state import Customer
from journey_stream.engine.timers import FORGET, earliest
from journey_stream.engine.watch import Look, Watch
from journey_stream.values import Event, Signal, Transition

Fate = Literal["applied", "duplicate", "unknown_person", "rejected", "fired", "forgotten"]
"""What became of an event, or of a timer (the last two)."""
_NOT_APPLIED: tuple[Fate, ...] = ("duplicate", "unknown_person", "rejected")


@dataclass(frozen=True, slots=True)
class Step:
    """One event or one timer of one customer."""

    person: str
    at: int
    """The time that it counts for: the event's, unless the customer was further already; the timer's due."""
    fate: Fate
    event: Event | None
    """None for a timer."""
    timer: str | None
    """`journey/transition/rule` or `journey/signal/rule`; None for an event, and for forgetting."""
    id: str | None
    """The `by` value of the timer, where it has one per value."""
    before: Customer | None
    """The state before; None for somebody not known yet."""
    after: Customer | None
    """The state after; None for somebody not known, or forgotten."""
    looks: tuple[Look, ...]
    """What guards said, in the order they were asked."""
    records: tuple[Transition | Signal, ...]
    detail: str = ""
    """Of a rejected event: what the engine failed on."""


class Tracer:
    """Runs events and timers one at a time."""

    def __init__(self, program: Program, watch: Watch) -> None:
        """Args: program: compiled with `watch`. watch: what its guards tell."""
        self.partition = Partition(program)
        self._watch = watch

    def apply(self, event: Event) -> Iterator[Step]:
        """Fire what is due before the event, then apply it; a step for each."""
        yield from self.run_until(event.at - 1)
        partition = self.partition
        before = partition.customer(event.person)
        self._watch.take()
        partition.apply(event, event.at)
        after = partition.customer(event.person)
        drained = partition.drain()
        yield Step(
            person=event.person,
            at=event.at if before is None else max(event.at, before.latest),
            fate=next((fate for fate in _NOT_APPLIED if drained.counts[fate]), "applied"),
            event=event,
            timer=None,
            id=None,
            before=before,
            after=after,
            looks=tuple(self._watch.take()),
            records=tuple(each for each in drained.records if isinstance(each, Transition | Signal)),
            detail=drained.rejected[0][1] if drained.rejected else "",
        )

    def run_until(self, until: int) -> Iterator[Step]:
        """Let the clock run: fire every timer due up to `until` (inclusive), a step for each."""
        while self.partition.next_due <= until:
            step = self._fire(until)
            if step is None:
                return
            yield step

    def _fire(self, until: int) -> Step | None:
        partition, program = self.partition, self.partition.program
        waiting = [(earliest(program, c), c) for c in map(partition.customer, partition.people()) if c]
        due, before = min(waiting, key=lambda each: (each[0][0], each[1].person), default=(None, None))
        if due is None or before is None or due[0] > until:
            return None
        self._watch.take()
        while not partition.fire(until, due[0], limit=1):
            pass  # an entry that came too early was put back where it belongs
        after = partition.customer(before.person)
        return Step(
            person=before.person,
            at=due[0],
            fate="forgotten" if due[1] == FORGET else "fired",
            event=None,
            timer=None if due[1] == FORGET else program.timers[due[1]].key,
            id=due[2],
            before=before,
            after=after,
            looks=tuple(self._watch.take()),
            records=tuple(
                each for each in partition.drain().records if isinstance(each, Transition | Signal)
            ),
        )
