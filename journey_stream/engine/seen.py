"""De-duplication: which event ids a customer has had within the window.

In: a customer, the 8-byte fingerprint of an event id. Out: yes or no, and the customer that remembers it.
The fingerprints lie one after the other in the order they were applied; `days` counts how many belong to
each day, so that whole days leave once they are out of the window.
"""

from __future__ import annotations

from journey_stream.engine.state import Customer
from journey_stream.values import DAY

SIZE = 8


def has_seen(c: Customer, mark: bytes) -> bool:
    """Tell whether this id was applied before."""
    at = c.seen.find(mark)
    while at > 0 and at % SIZE:
        at = c.seen.find(mark, at + 1)
    return at >= 0


def remember(c: Customer, mark: bytes, t: int, window: int, limit: int) -> None:
    """Keep an id; days that are wholly out of the window, and ids beyond the limit, are dropped."""
    day, days = t // DAY, c.days
    if days and days[-2] == day:
        days[-1] += 1
        c.seen += mark
    else:
        gone = 0
        while days and (days[0] + 1) * DAY <= t - window:
            gone += days[1]
            del days[:2]
        c.seen = c.seen[gone * SIZE :] + mark
        days += (day, 1)
    if len(c.seen) > limit * SIZE:
        c.seen = c.seen[SIZE:]
        days[1] -= 1
        if not days[1]:
            del days[:2]
