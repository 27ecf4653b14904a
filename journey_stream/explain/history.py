"""One customer's events through the core: the state at the end, and every record on the way.

In: a program, the customer's events in any order, until when the clock runs. Out: state and records. The
events of others are not needed: customers do not touch each other.
"""

from __future__ import annotations

from collections.abc import Iterable

from journey_stream.engine.partition import Partition
from journey_stream.engine.program import Program
from journey_stream.engine.state import Customer
from journey_stream.values import Event, Signal, Transition


def last_state(
    program: Program, person: str, events: Iterable[Event], until: int
) -> tuple[Customer | None, list[Transition | Signal]]:
    """Run a customer's events in the order of time, and the clock to `until` (microseconds, inclusive).

    Returns:
        The state (None for somebody never met, or forgotten), and the records in the order they were made.
    """
    partition = Partition(program)
    for event in sorted(events, key=lambda each: (each.at, each.event_id)):
        if event.at <= until:
            partition.apply(event, event.at)
    partition.fire(until, until)
    records = [each for each in partition.drain().records if isinstance(each, Transition | Signal)]
    return partition.customer(person), records
