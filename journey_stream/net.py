"""Net records: what still holds of all that was published.

Enters: transitions and signals as they were published, as structs or as their JSON values (bare, or inside
a structured CloudEvent). Leaves: those that hold. The rule, for whoever reads the topics:

- A record with `corrects` takes back the record of that id, and is itself not net. A transition's id is its
  `transition_id`. A signal's is its `signal_id` with its status: `cancelled` with `corrects` takes back
  what was raised, `raised` with `corrects` takes back a cancellation.
- What was taken back can be published again, under the same id: then it holds again. So publications and
  corrections of an id are counted, in the order of `sequence`; what is left of each id, is net.

What the net records of a customer are is decided by the history of the customer alone, not by the order in
which it became known: after all corrections they equal those of the history in order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from operator import itemgetter
from typing import Any, TypeAlias, TypeVar

import msgspec

from journey_stream.values import Signal, SignalStatus, Transition

AnyRecord: TypeAlias = "Transition | Signal | Mapping[str, Any]"
R = TypeVar("R", bound=AnyRecord)
Name: TypeAlias = tuple[str, SignalStatus | None]
"""Id, and of a signal the status."""

OPPOSITE: dict[SignalStatus, SignalStatus] = {"raised": "cancelled", "cancelled": "raised"}


def net(records: Iterable[R], *, strict: bool = False) -> list[R]:
    """Leave out what was corrected, and the corrections.

    Args:
        records: published transitions and signals in any order; other records must not be among them.
        strict: whether all that was ever published is here, so that a correction of nothing is an error.

    Returns:
        The net records, in the order they were given. A record that was published twice, and not corrected
        in between, is there twice.

    Raises:
        ValueError: `strict`, and a record corrects one that does not hold.
    """
    given = list(records)
    found = [(*_read(record), place) for place, record in enumerate(given)]
    places: dict[Name, list[int]] = {}
    for name, corrects, _, place in sorted(found, key=itemgetter(2)):
        if corrects is None:
            places.setdefault(name, []).append(place)
        elif held := places.get(corrects):
            held.pop()
        elif strict:
            msg = f"a record corrects {corrects[0]!r}, which does not hold: {given[place]!r}"
            raise ValueError(msg)
    return [given[place] for place in sorted(place for held in places.values() for place in held)]


def record_id(record: Transition | Signal) -> str:
    """Name one record for good: the id of its CloudEvent.

    That is the transition's or signal's own id. What a rule cancels adds a digest of what the cancellation
    says, since another history can cancel the same signal for another cause; a correction of a signal adds
    its number.
    """
    if isinstance(record, Transition):
        return record.transition_id
    if record.corrects is not None:
        return f"{record.signal_id}:{record.status}:{record.sequence}"
    if record.status == "raised":
        return record.signal_id
    said = msgspec.structs.replace(record, decided_at=0, sequence=0, late=False, replay=False)
    digest = blake2b(_pack(said), digest_size=8).hexdigest()
    return f"{record.signal_id}:{record.status}:{digest}"


_pack = msgspec.msgpack.Encoder().encode


def _read(record: AnyRecord) -> tuple[Name, Name | None, int]:
    """What a record is called, what it corrects, and its number."""
    if isinstance(record, Transition):
        corrects = record.corrects
        return (record.transition_id, None), None if corrects is None else (corrects, None), record.sequence
    if isinstance(record, Signal):
        named, status, corrects, number = record.signal_id, record.status, record.corrects, record.sequence
    else:
        data = record.get("data")
        value: Mapping[str, Any] = data if isinstance(data, Mapping) else record
        corrects, number = value.get("corrects"), value["sequence"]
        if "signal_id" not in value:
            return (value["transition_id"], None), None if corrects is None else (corrects, None), number
        named, status = value["signal_id"], value["status"]
    return (named, status), None if corrects is None else (corrects, OPPOSITE[status]), number
