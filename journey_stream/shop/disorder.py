"""Delivery: keys, and the disorder of real producers, at choice.

Enters: the events in order. Leaves: records in the order of delivery: some twice, some behind younger ones
(within the allowed lateness, or beyond), bad ones in between. Strategy: a delayed record waits in a heap
for its delivery time; all draws come from a generator of its own, so that disorder never changes what
happens in the shop.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import heappop, heappush
from random import Random

from journey_stream.shop.poison import KINDS
from journey_stream.shop.records import SOURCES, Disorder, ShopOptions, ShopRecord, Source, source_of
from journey_stream.shop.world import Happening
from journey_stream.values import DAY, MINUTE, SECOND

_BAD_HEADERS = (("producer", b"shop"), ("trace", b"\x00\xffbad"))


class _Keys:
    """The customer as the key; for a share of the records something else, or nothing."""

    def __init__(self, options: ShopOptions) -> None:
        self.draw = Random(f"{options.seed}/keys").random
        self.none = options.null_keys / 2
        self.other = options.null_keys

    def key(self, person: str, event_id: str) -> bytes | None:
        dice = self.draw()
        if dice >= self.other:
            return person.encode()
        return None if dice < self.none else event_id.encode()


def deliver(events: Iterable[Happening], options: ShopOptions) -> Iterator[ShopRecord]:
    """Turn events into records, disordered as the options ask."""
    sources: dict[str, Source] = {}
    keys = _Keys(options)
    records = (
        ShopRecord(
            source=sources.get(kind) or sources.setdefault(kind, source_of(kind)),
            key=keys.key(person, event_id),
            value=value,
            headers=(),
            at=at,
            event_id=event_id,
        )
        for at, event_id, kind, person, value in events
    )
    asked = options.duplicates + options.out_of_order + options.late + options.too_late + options.poison
    return _disorder(records, options) if asked else records


def _disorder(records: Iterable[ShopRecord], options: ShopOptions) -> Iterator[ShopRecord]:
    rng = Random(f"{options.seed}/disorder")
    draw = rng.random
    waiting: list[tuple[int, int, ShopRecord]] = []
    bad = _BadRecords(options)
    for order, record in enumerate(records):
        while waiting and waiting[0][0] <= record.at:
            yield heappop(waiting)[2]
        if options.poison and draw() < options.poison:
            yield bad(record.at)
        disorder, delay = _fate(draw(), draw(), options)
        if disorder:
            moved = _moved(record, delay, disorder)
            heappush(waiting, (moved.at, 2 * order, moved))
        else:
            yield record
        if options.duplicates and draw() < options.duplicates:
            again = (options.lateness if draw() < 0.8 else min(DAY, options.dedup_window // 2)) * draw()
            copy = _moved(record, delay + int(again) // SECOND * SECOND, "duplicate")
            heappush(waiting, (copy.at, 2 * order + 1, copy))
    while waiting:
        yield heappop(waiting)[2]


def _fate(dice: float, how_much: float, options: ShopOptions) -> tuple[Disorder, int]:
    """Which disorder befalls a record, and how long it is held back."""
    lateness, window = options.lateness, options.dedup_window
    if dice < options.out_of_order:
        return "out_of_order", max(SECOND, int(how_much * lateness * 0.95))
    dice -= options.out_of_order
    if dice < options.late:
        return "late", lateness + 5 * MINUTE + int(how_much * (window - lateness) * 0.8)
    dice -= options.late
    if dice < options.too_late:
        return "too_late", window + DAY + int(how_much * window)
    return "", 0


def _moved(record: ShopRecord, delay: int, disorder: Disorder) -> ShopRecord:
    return ShopRecord(
        source=record.source,
        key=record.key,
        value=record.value,
        headers=record.headers,
        at=record.at + delay,
        event_id=record.event_id,
        disorder=disorder,
    )


class _BadRecords:
    """Makes bad records, each kind in turn, on each source in turn."""

    def __init__(self, options: ShopOptions) -> None:
        unknown = [kind for kind in options.poison_kinds if kind not in KINDS]
        if unknown:
            msg = f"shop option poison_kinds: unknown {unknown}; expected some of {sorted(KINDS)}"
            raise ValueError(msg)
        self.kinds = options.poison_kinds or tuple(KINDS)
        self.count = 0

    def __call__(self, at: int) -> ShopRecord:
        number = self.count
        self.count = number + 1
        flaw = self.kinds[number % len(self.kinds)]
        reason, make = KINDS[flaw]
        key = None if number % 3 == 0 else b"poison-%d" % number
        return ShopRecord(
            source=SOURCES[number % len(SOURCES)],
            key=key,
            value=make(number, at),
            headers=_BAD_HEADERS,
            at=at,
            poison=reason,
            flaw=flaw,
        )
