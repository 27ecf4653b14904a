"""Attributes that measure time between events: what is open, how long something took, the personal rhythm.

In and out as `attributes`. Slots: open [{id: since, None once closed}, merged] · elapsed [{id: since} or since,
last seconds] · rhythm [first, last, times, {id: 1} or None].
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from journey_stream.engine import paths
from journey_stream.engine.folds import short
from journey_stream.engine.kept import Kept, Room, Update, Where
from journey_stream.engine.state import Customer
from journey_stream.journeys.model import Attribute
from journey_stream.values import SECOND, Event

Identity = Callable[[Event, int], "str | None"]

ONLY = ""
"""The id of all, where no `by` tells them apart."""


def _identity(attribute: Attribute, room: Room, word: str, kind: str) -> Identity:
    if attribute.by is None:
        return lambda e, t: ONLY
    get = paths.getter(room.vocabulary, kind, attribute.by, common=word != kind)
    return lambda e, t: short(value) if (value := get(e, t)) is not None else None


def _guarded(attribute: Attribute, room: Room, word: str, update: Update) -> Update:
    if attribute.where is None:
        return update
    holds: Where = room.where(attribute.where, word)

    def guarded(c: Customer, e: Event, t: int) -> None:
        if holds(c, e, t) is True:
            update(c, e, t)

    return guarded


def opened(attribute: Attribute, room: Room) -> Kept:
    """Ids between their opening and their closing. What was closed is remembered if it can be reopened."""
    slot, limit, reopens = room.slot(None), attribute.limit, bool(attribute.reopened)

    def opening(identity: Identity) -> Update:
        def update(c: Customer, e: Event, t: int) -> None:
            name = identity(e, t)
            if name is None:
                return
            held = c.attrs[slot]
            if held is None:
                held = c.attrs[slot] = [{}, 0]
            if held[0].get(name) is None:
                held[0].pop(name, None)
                held[0][name] = t
                if len(held[0]) > limit:
                    del held[0][next(iter(held[0]))]
                    held[1] += 1

        return update

    def closing(identity: Identity) -> Update:
        def update(c: Customer, e: Event, t: int) -> None:
            name, held = identity(e, t), c.attrs[slot]
            if held is None or name not in held[0]:
                return
            if reopens:
                held[0][name] = None
            else:
                del held[0][name]
                if not held[0] and not held[1]:
                    c.attrs[slot] = None

        return update

    def reopening(identity: Identity) -> Update:
        def update(c: Customer, e: Event, t: int) -> None:
            name, held = identity(e, t), c.attrs[slot]
            if held is not None and name in held[0] and held[0][name] is None:
                held[0][name] = t

        return update

    def count(held: Any) -> int:
        return 0 if held is None else sum(since is not None for since in held[0].values())

    def age(held: Any, t: int) -> float | None:
        if held is None:
            return None
        first = min((since for since in held[0].values() if since is not None), default=None)
        return None if first is None else (t - first) / SECOND

    kept = Kept(
        slot=slot,
        code=f"_a{slot}(c.attrs[{slot}])",
        read=lambda c, t: count(c.attrs[slot]),
        env={f"_a{slot}": count, f"_o{slot}": age},
        approximate=lambda c, t: c.attrs[slot] is not None and c.attrs[slot][1] > 0,
        oldest=f"_o{slot}(c.attrs[{slot}], t)",
    )
    for source in attribute.sources:
        for kind, active in room.kinds(source.type):
            update = opening(_identity(attribute, room, source.type, kind))
            kept.updates.append((kind, active, _guarded(attribute, room, source.type, update)))
    for words, change in ((attribute.closed, closing), (attribute.reopened, reopening)):
        for word in words:
            for kind, active in room.kinds(word):
                kept.updates.append((kind, active, change(_identity(attribute, room, word, kind))))
    if attribute.over == "stage":
        kept.stage_slots.append((slot, None))
    return kept


def elapsed(attribute: Attribute, room: Room) -> Kept:
    """From the first `from` to the next `to`, per id; the last one measured."""
    slot, limit = room.slot(None), attribute.limit

    def starting(identity: Identity) -> Update:
        def update(c: Customer, e: Event, t: int) -> None:
            name = identity(e, t)
            if name is None:
                return
            held = c.attrs[slot]
            if held is None:
                held = c.attrs[slot] = [{}, None]
            if name not in held[0]:
                held[0][name] = t
                if len(held[0]) > limit:
                    del held[0][next(iter(held[0]))]

        return update

    def ending(identity: Identity) -> Update:
        def update(c: Customer, e: Event, t: int) -> None:
            name, held = identity(e, t), c.attrs[slot]
            if held is not None and name in held[0]:
                held[1] = (t - held[0].pop(name)) / SECOND

        return update

    def last(held: Any) -> float | None:
        return None if held is None else held[1]

    kept = Kept(
        slot=slot,
        code=f"_a{slot}(c.attrs[{slot}])",
        read=lambda c, t: last(c.attrs[slot]),
        env={f"_a{slot}": last},
    )
    # The end comes first: an event that both ends one span and starts the next does so in that order.
    for word in attribute.until:
        for kind, active in room.kinds(word):
            kept.updates.append((kind, active, ending(_identity(attribute, room, word, kind))))
    for source in attribute.sources:
        for kind, active in room.kinds(source.type):
            update = starting(_identity(attribute, room, source.type, kind))
            kept.updates.append((kind, active, _guarded(attribute, room, source.type, update)))
    if attribute.over == "stage":
        kept.stage_slots.append((slot, None))
    return kept


def rhythm(attribute: Attribute, room: Room) -> Kept:
    """Mean seconds between matching events, once enough intervals are known; with `by`, an id counts once."""
    slot, limit, least, by = room.slot(None), attribute.limit, attribute.gaps, attribute.by is not None

    def beating(identity: Identity) -> Update:
        def update(c: Customer, e: Event, t: int) -> None:
            held = c.attrs[slot]
            if held is None:
                held = c.attrs[slot] = [t, t, 0, {} if by else None]
            if by:
                name = identity(e, t)
                if name is not None:
                    if name in held[3]:
                        return
                    held[3][name] = 1
                    if len(held[3]) > limit:
                        del held[3][next(iter(held[3]))]
            held[1] = t
            held[2] += 1

        return update

    def mean(held: Any) -> float | None:
        if held is None or held[2] <= least:
            return None
        return float((held[1] - held[0]) / (held[2] - 1) / SECOND)

    kept = Kept(
        slot=slot,
        code=f"_a{slot}(c.attrs[{slot}])",
        read=lambda c, t: mean(c.attrs[slot]),
        env={f"_a{slot}": mean},
    )
    for source in attribute.sources:
        for kind, active in room.kinds(source.type):
            update = beating(_identity(attribute, room, source.type, kind))
            kept.updates.append((kind, active, _guarded(attribute, room, source.type, update)))
    if attribute.over == "stage":
        kept.stage_slots.append((slot, None))
    return kept
