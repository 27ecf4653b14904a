"""Attributes that measure time between events: what is open, how long it took, the personal rhythm.

In and out as `attributes`. Slots: open [{id: since, None once closed}, merged] · elapsed [{id: since}, last
seconds] · rhythm [first, last, times, {id: 1} or None]. Without `by` everything has the id "".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from journey_stream.engine import paths
from journey_stream.engine.folds import short
from journey_stream.engine.fusing import Step, holding, step
from journey_stream.engine.kept import Kept, Room
from journey_stream.engine.state import Customer
from journey_stream.journeys.model import Attribute
from journey_stream.values import SECOND

Act: TypeAlias = Callable[[Customer, "str | None", int], None]
"""What an event with this id does at this time."""


def opened(attribute: Attribute, room: Room) -> Kept:
    """Ids between their opening and their closing. What was closed is remembered if it can be reopened."""
    slot = room.slot(None)
    open_ = _Open(slot, attribute.limit, reopens=bool(attribute.reopened))
    kept = Kept(
        slot=slot,
        code=f"_a{slot}(c.attrs[{slot}])",
        read=lambda c, t: open_.count(c.attrs[slot]),
        env={f"_a{slot}": open_.count, f"_o{slot}": open_.age},
        approximate=f"(h := c.attrs[{slot}]) is not None and h[1] > 0",
        oldest=f"_o{slot}(c.attrs[{slot}], t)",
        described={"r": "open", "slot": slot},
        described_approximate={"h": "open", "slot": slot},
        described_oldest={"r": "oldest", "slot": slot},
    )
    opens = {"op": "open", "slot": slot, "limit": attribute.limit}
    closes = {"op": "close", "slot": slot, "reopens": bool(attribute.reopened)}
    kept.updates += _on(attribute, room, _words(attribute), open_.open, opens, guarded=True)
    kept.updates += _on(attribute, room, attribute.closed, open_.close, closes)
    kept.updates += _on(attribute, room, attribute.reopened, open_.reopen, {"op": "reopen", "slot": slot})
    return _scoped(attribute, kept)


def elapsed(attribute: Attribute, room: Room) -> Kept:
    """From the first `from` to the next `to`, per id; the last one measured."""
    slot = room.slot(None)
    spans = _Elapsed(slot, attribute.limit)
    kept = Kept(
        slot=slot,
        code=f"_a{slot}(c.attrs[{slot}])",
        read=lambda c, t: spans.last(c.attrs[slot]),
        env={f"_a{slot}": spans.last},
        described={"r": "elapsed", "slot": slot},
    )
    starts = {"op": "start", "slot": slot, "limit": attribute.limit}
    # The end comes first: an event that both ends one span and starts the next does so in that order.
    kept.updates += _on(attribute, room, attribute.until, spans.end, {"op": "end", "slot": slot})
    kept.updates += _on(attribute, room, _words(attribute), spans.start, starts, guarded=True)
    return _scoped(attribute, kept)


def rhythm(attribute: Attribute, room: Room) -> Kept:
    """Mean seconds between matching events, once enough intervals are known; with `by`, an id counts once."""
    slot = room.slot(None)
    beats = _Rhythm(slot, attribute.limit, attribute.gaps, by=attribute.by is not None)
    kept = Kept(
        slot=slot,
        code=f"_a{slot}(c.attrs[{slot}])",
        read=lambda c, t: beats.mean(c.attrs[slot]),
        env={f"_a{slot}": beats.mean},
        described={"r": "rhythm", "slot": slot, "gaps": attribute.gaps},
    )
    beat = {"op": "beat", "slot": slot, "limit": attribute.limit, "ids": attribute.by is not None}
    kept.updates += _on(attribute, room, _words(attribute), beats.beat, beat, guarded=True)
    return _scoped(attribute, kept)


class _Open:
    def __init__(self, slot: int, limit: int, *, reopens: bool) -> None:
        self.slot, self.limit, self.reopens = slot, limit, reopens

    def open(self, c: Customer, name: str | None, t: int) -> None:
        if name is None:
            return
        held = c.attrs[self.slot]
        if held is None:
            held = c.attrs[self.slot] = [{}, 0]
        if held[0].get(name) is None:
            held[0].pop(name, None)
            held[0][name] = t
            if len(held[0]) > self.limit:
                del held[0][next(iter(held[0]))]
                held[1] += 1

    def close(self, c: Customer, name: str | None, t: int) -> None:
        held = c.attrs[self.slot]
        if held is None or name not in held[0]:
            return
        if self.reopens:
            held[0][name] = None
            return
        del held[0][name]
        if not held[0] and not held[1]:
            c.attrs[self.slot] = None

    def reopen(self, c: Customer, name: str | None, t: int) -> None:
        held = c.attrs[self.slot]
        if held is not None and name in held[0] and held[0][name] is None:
            held[0][name] = t

    def count(self, held: Any) -> int:
        return 0 if held is None else sum(since is not None for since in held[0].values())

    def age(self, held: Any, t: int) -> float | None:
        if held is None:
            return None
        first = min((since for since in held[0].values() if since is not None), default=None)
        return None if first is None else (t - first) / SECOND


class _Elapsed:
    def __init__(self, slot: int, limit: int) -> None:
        self.slot, self.limit = slot, limit

    def start(self, c: Customer, name: str | None, t: int) -> None:
        if name is None:
            return
        held = c.attrs[self.slot]
        if held is None:
            held = c.attrs[self.slot] = [{}, None]
        if name not in held[0]:
            held[0][name] = t
            if len(held[0]) > self.limit:
                del held[0][next(iter(held[0]))]

    def end(self, c: Customer, name: str | None, t: int) -> None:
        held = c.attrs[self.slot]
        if held is not None and name in held[0]:
            held[1] = (t - held[0].pop(name)) / SECOND

    def last(self, held: Any) -> float | None:
        return None if held is None else held[1]


class _Rhythm:
    def __init__(self, slot: int, limit: int, gaps: int, *, by: bool) -> None:
        self.slot, self.limit, self.gaps, self.by = slot, limit, gaps, by

    def beat(self, c: Customer, name: str | None, t: int) -> None:
        held = c.attrs[self.slot]
        if held is None:
            held = c.attrs[self.slot] = [t, t, 0, {} if self.by else None]
        ids = held[3]
        if ids is not None and name is not None:
            if name in ids:
                return
            ids[name] = 1
            if len(ids) > self.limit:
                del ids[next(iter(ids))]
        held[1] = t
        held[2] += 1

    def mean(self, held: Any) -> float | None:
        if held is None or held[2] <= self.gaps:
            return None
        return float((held[1] - held[0]) / (held[2] - 1) / SECOND)


def _words(attribute: Attribute) -> list[str]:
    return [source.type for source in attribute.sources]


def _on(
    attribute: Attribute,
    room: Room,
    words: Iterable[str],
    act: Act,
    op: dict[str, Any],
    *,
    guarded: bool = False,
) -> list[tuple[str, bool, Step]]:
    """Let every event type of `words` act; `guarded`: where the attribute's `where` holds.

    `op` is what they do, as data but for the id.
    """
    found = []
    for word in words:
        for kind, active in room.kinds(word):
            update = _acting(attribute, room, word, kind, act, op)
            if guarded and attribute.where is not None:
                holds = room.where(attribute.where, word)
                update = update.when("$holds(c, e, t) is True", holding(holds), holds=holds)
            found.append((kind, active, update))
    return found


def _acting(attribute: Attribute, room: Room, word: str, kind: str, act: Act, op: dict[str, Any]) -> Step:
    if attribute.by is None:
        return step('$act(c, "", t)', ops=({**op, "by": None},), act=act)
    get = paths.getter(room.vocabulary, kind, attribute.by, common=word != kind)
    by = paths.described_identity(room.vocabulary, kind, attribute.by, common=word != kind)
    return step(
        "v = $get(e, t)",
        "$act(c, None if v is None else $short(v), t)",
        ops=None if by is None else ({**op, "by": by},),
        act=act,
        get=get,
        short=short,
    )


def _scoped(attribute: Attribute, kept: Kept) -> Kept:
    if attribute.over == "stage":
        kept.stage_slots.append((kept.slot, None))
    return kept
