"""A past known only in sums: `history_imported` gives a customer the attributes and stages that it leads to.

In: a customer (perhaps new), the event. Out: the customer as they would be, had the orders come one by one,
and a record for each stage that this changes; nothing else is published, and no signal is raised. Strategy:
the sums are spread over as many orders, evenly between the first and the last, and these are run through the
same engine on the side, timers included, up to the time of the import. Then the customer takes over what is
still blank: attributes that hold nothing, and journeys not entered or still at their start. So what a
customer has done here counts for more than an import that comes after it, and a second import does nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, TypeAlias, cast

from journey_stream.engine.program import Program
from journey_stream.engine.records import move
from journey_stream.engine.state import NOWHERE, Customer
from journey_stream.engine.tables import JourneyTable, Ruling, Run
from journey_stream.engine.timers import earliest
from journey_stream.events.fields import Product
from journey_stream.events.purchases import Order
from journey_stream.events.visits import HistoryImported
from journey_stream.values import SECOND, Event

IMPORT: Final = "history_imported"
RULE: Final = Ruling(IMPORT, IMPORT, None, None)
MOST: Final = 1_000
"""Orders told apart: who has more is taken to have so many."""

Course: TypeAlias = "Callable[[Program, str, list[Event], int, Run], Customer | None]"
"""Runs events, and timers before a time, from nothing: `course.from_nothing`."""


def seed(program: Program, c: Customer, event: Event, t: int, run: Run, course: Course) -> None:
    """Let a customer take over an imported past.

    Args:
        program: compiled journeys.
        c: the customer; of somebody new no journey is entered yet.
        event: a `history_imported`.
        t: when it is applied.
        run: takes the records; it has begun with the event.
        course: how to run events from nothing.
    """
    event.replay = True
    orders = list(orders_of(event, t))
    past = course(program, c.person, orders, t, Run()) if orders else None
    if past is None:
        return
    for slot, empty in enumerate(program.empties):
        if c.attrs[slot] == empty:
            c.attrs[slot] = past.attrs[slot]
    for journey in program.journeys:
        j = journey.index
        elsewhere = any(c.stages[other] != NOWHERE for other in journey.others)
        if past.stages[j] != NOWHERE and c.stages[j] in (NOWHERE, journey.start) and not elsewhere:
            _take_over(program, c, past, journey, t, run)
    c.first = None
    c.due = min(c.due, earliest(program, c)[0])


def orders_of(event: Event, t: int) -> Iterator[Event]:
    """Spread the sums over orders, none of them after `t`."""
    sums = cast("HistoryImported", event.properties)
    count = min(int(sums.orders or 0), MOST)
    if count < 1:
        return
    known = [round(at * SECOND) for at in (sums.first_order_at, sums.last_order_at) if at is not None]
    first, last = (min(t, at) for at in (min(known, default=t), max(known, default=t)))
    each = None if sums.revenue is None else sums.revenue / count
    products = [Product(category=category) for category in sums.categories or ()]
    for number in range(count):
        yield Event(
            event_id=f"{event.event_id}#{number + 1}",
            type="order_completed",
            at=last if number == count - 1 else first + (last - first) * number // max(1, count - 1),
            person=event.person,
            customer_id=event.customer_id,
            anonymous_id=event.anonymous_id,
            account_id=event.account_id,
            properties=Order(
                order_id=f"{event.event_id}#{number + 1}",
                total=each,
                revenue=each,
                currency=sums.currency,
                products=products if number == 0 else None,
            ),
            context=None,
            actor="customer",
            activity=True,
            unrated=event.unrated,
        )


def _take_over(
    program: Program, c: Customer, past: Customer, journey: JourneyTable, t: int, run: Run
) -> None:
    """Bring one journey to where the past leads."""
    j, target = journey.index, past.stages[journey.index]
    if c.stages[j] != target:
        entries = past.entries[j] or {}
        # `move` counts this entry once more.
        c.entries[j] = {**entries, target: entries.get(target, 1) - 1}
        c.loops[j] = past.loops[j]
        move(c, journey, target, RULE, t, run, None)
        for slot, _ in journey.stage_slots:
            c.attrs[slot] = past.attrs[slot]
    c.entered[j] = past.entered[j]
    since_entry = {timer.index for timer in journey.entries[target].arms}
    for timer in program.timers:
        if timer.journey == j:
            _arm(c, past, timer.index, since_entry=timer.index in since_entry)
    own = {memory for entry in journey.entries for memory, _ in entry.remembers}
    remembered = {memory: stage for memory, stage in (past.memories or {}).items() if memory in own}
    if remembered:
        c.memories = (c.memories or {}) | remembered


def _arm(c: Customer, past: Customer, timer: int, *, since_entry: bool) -> None:
    """Let a timer run from what came last: here, or in the past; if since the entry, from the entry then."""
    here, then = c.armed.get(timer), past.armed.get(timer)
    if since_entry or here is None:
        if then is None:
            c.armed.pop(timer, None)
        else:
            c.armed[timer] = then
    elif isinstance(here, int) and isinstance(then, int):
        c.armed[timer] = max(here, then)
    elif isinstance(here, dict) and isinstance(then, dict):
        c.armed[timer] = {**then, **here}
