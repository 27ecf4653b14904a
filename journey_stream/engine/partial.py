"""Which attributes of a customer speak of less than they seem to: kept only since a change of definitions.

In: a customer whose state has slots that began empty while the customer was known already (`Customer.young`).
Out: the names of the attributes that rest on one whose window has not been full since. A `last` is whole once
it is set; what looks over all time stays partial for as long as the customer is known.
"""

from __future__ import annotations

from journey_stream.engine.kept import Reach
from journey_stream.engine.state import Customer
from journey_stream.engine.tables import JourneyTable


def partial_names(c: Customer, journey: JourneyTable, t: int) -> tuple[str, ...]:
    """Name the partial ones among the attributes that travel with the journey's records."""
    young = c.young or {}
    return tuple(
        name
        for name, rests in journey.rests
        if any(
            slot in young and _short(c, journey.index, slot, young[slot], reach, t) for slot, reach in rests
        )
    )


def _short(c: Customer, j: int, slot: int, since: int, reach: Reach, t: int) -> bool:
    """Whether what the slot looks back on began before the slot did, after `since`."""
    if reach is None:
        return True
    if reach == "last":
        return c.attrs[slot] is None
    if reach == "stage":
        return c.entered[j] <= since
    if reach == "session":
        return min(c.sessions, default=since) <= since
    return t - reach < since
