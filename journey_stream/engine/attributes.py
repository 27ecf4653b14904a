"""Attributes: from their definition to slots, updaters per event type, and ways to read them.

In: an `Attribute` of the model, a `Room` that hands out slots and compiles `where`. Out: a `Kept`: closures
(customer, event, applied time) that fold an event in, and Python source that reads the value in a guard.
`over` decides where a fold lives: plainly in its slot, in a sliding window, tagged with the session it
belongs to, or (`stage`) in a slot that the program empties when the journey enters a stage.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, cast

from journey_stream.engine import paths
from journey_stream.engine.folds import fold_of, short
from journey_stream.engine.kept import Kept, Room, Update
from journey_stream.engine.spans import elapsed, opened, rhythm
from journey_stream.engine.state import Customer
from journey_stream.engine.windows import Window, Windowed
from journey_stream.journeys.model import Attribute, Source
from journey_stream.values import Event

Add: TypeAlias = Callable[[Customer, Any, "str | None", int], None]
Take: TypeAlias = Callable[[Customer, Any, "str | None"], None]


def compile_attribute(attribute: Attribute, room: Room, silence: int) -> Kept:
    """Compile anything but `value` (which is read only, and compiled as a guard)."""
    match attribute.form:
        case "open":
            return opened(attribute, room)
        case "elapsed":
            return elapsed(attribute, room)
        case "rhythm":
            return rhythm(attribute, room)
        case _:
            return _folded(attribute, room, silence)


def _folded(attribute: Attribute, room: Room, silence: int) -> Kept:
    if isinstance(attribute.over, int):
        kept, add, take = _in_window(attribute, room, attribute.over)
    elif attribute.over == "session":
        kept, add, take = _in_session(attribute, room, silence)
    else:
        kept, add, take = _in_slot(attribute, room)
    done: set[tuple[str, str | None]] = set()
    for source in attribute.sources:
        for kind, active in room.kinds(source.type):
            if (kind, source.path) not in done:
                done.add((kind, source.path))
                update = _adding(attribute, room, kept, source, kind, add)
                update = _where(attribute, room, source.type, _gapped(attribute, room, kept, update))
                kept.updates.append((kind, active, update))
    for word in attribute.less:
        for kind, active in room.kinds(word):
            kept.updates.append((kind, active, _taking(attribute, room, kind, take)))
    return kept


def _in_slot(attribute: Attribute, room: Room) -> tuple[Kept, Add, Take]:
    fold = fold_of(attribute)
    slot = room.slot(fold.empty)
    read, put, take_back = fold.read, fold.add, fold.take

    def add(c: Customer, value: Any, identity: str | None, t: int) -> None:
        attrs = c.attrs
        attrs[slot] = put(attrs[slot], value, identity)

    def take(c: Customer, value: Any, identity: str | None) -> None:
        attrs = c.attrs
        attrs[slot] = take_back(attrs[slot], value, identity)

    inline = fold.inline
    kept = Kept(
        slot=slot,
        code=f"_a{slot}(c.attrs[{slot}])" if inline is None else inline.format(slot),
        read=lambda c, t: read(c.attrs[slot]),
        mutable=fold.mutable,
        env={f"_a{slot}": read} if inline is None else {},
    )
    if fold.merges:
        kept.approximate = lambda c, t: fold.merged(c.attrs[slot])
    if attribute.over == "stage":
        kept.stage_slots.append((slot, fold.empty))
    return kept, add, take


def _in_window(attribute: Attribute, room: Room, length: int) -> tuple[Kept, Add, Take]:
    window = Window(
        cast(Windowed, attribute.form),
        length,
        attribute.limit,
        by=attribute.by is not None,
        keeps=attribute.keeps,
    )
    slot = room.slot(None)

    def add(c: Customer, value: Any, identity: str | None, t: int) -> None:
        attrs = c.attrs
        attrs[slot] = window.add(attrs[slot], value, identity, t)

    def take(c: Customer, value: Any, identity: str | None) -> None:
        attrs = c.attrs
        attrs[slot] = window.take(attrs[slot], identity)

    kept = Kept(
        slot=slot,
        code=f"_a{slot}(c.attrs[{slot}], t)",
        read=lambda c, t: window.read(c.attrs[slot], t),
        env={f"_a{slot}": window.read},
        approximate=lambda c, t: window.merged(c.attrs[slot], t),
    )
    return kept, add, take


def _in_session(attribute: Attribute, room: Room, silence: int) -> tuple[Kept, Add, Take]:
    """The slot holds [session, fold]; a slot of another session, or of one gone silent, counts as empty."""
    fold = fold_of(attribute)
    slot, session = room.slot(None), room.session(silence)

    def present(c: Customer, t: int) -> Any:
        held = c.attrs[slot]
        if held is None or held[0] != c.sessions[session] or t - c.active > silence:
            return fold.empty
        return held[1]

    def read(c: Customer, t: int) -> Any:
        return fold.read(present(c, t))

    def add(c: Customer, value: Any, identity: str | None, t: int) -> None:
        if t - c.active <= silence:
            c.attrs[slot] = [c.sessions[session], fold.add(present(c, t), value, identity)]

    def take(c: Customer, value: Any, identity: str | None) -> None:
        held = c.attrs[slot]
        if held is not None and held[0] == c.sessions[session]:
            c.attrs[slot] = [held[0], fold.take(held[1], value, identity)]

    kept = Kept(slot=slot, code=f"_a{slot}(c, t)", read=read, mutable=fold.mutable, env={f"_a{slot}": read})
    if fold.merges:
        kept.approximate = lambda c, t: fold.merged(present(c, t))
    return kept, add, take


def _adding(attribute: Attribute, room: Room, kept: Kept, source: Source, kind: str, add: Add) -> Update:
    """The updater of one source in one event type: which values, under which id."""
    common = source.type != kind
    simple = attribute.by is None and attribute.over in (None, "stage")
    if source.path is None or attribute.form == "count":
        if simple:
            return _plus_one(kept.slot)
        identity = _identity(attribute, room, kind, common=common)
        return lambda c, e, t: add(c, 1, identity(e, t), t)
    identity = _identity(attribute, room, kind, common=common)
    if attribute.form == "map":
        found = _entries(attribute, room, source.path, kind, common=common)
        return _each(found, add)
    if "[]" not in source.path:
        get = paths.getter(room.vocabulary, kind, source.path, common=common)
        if simple and attribute.form == "last":
            return _latest(kept.slot, get)

        def single(c: Customer, e: Event, t: int) -> None:
            value = get(e, t)
            if value is not None:
                add(c, value, identity(e, t), t)

        return single
    many = paths.values(room.vocabulary, kind, source.path, common=common)
    if attribute.form != "sum":
        return _each(many, add)

    def summed(c: Customer, e: Event, t: int) -> None:
        found = many(e, t)
        if found:
            add(c, sum(found), identity(e, t), t)

    return summed


def _plus_one(slot: int) -> Update:
    def update(c: Customer, e: Event, t: int) -> None:
        c.attrs[slot] += 1

    return update


def _latest(slot: int, get: paths.Getter) -> Update:
    def update(c: Customer, e: Event, t: int) -> None:
        value = get(e, t)
        if value is not None:
            c.attrs[slot] = value

    return update


def _each(found: paths.Getter, add: Add) -> Update:
    def update(c: Customer, e: Event, t: int) -> None:
        for value in found(e, t):
            add(c, value, None, t)

    return update


def _entries(attribute: Attribute, room: Room, path: str, kind: str, *, common: bool) -> paths.Getter:
    if attribute.keeps != "count" and attribute.of is not None:
        return paths.pairs(room.vocabulary, kind, path, attribute.of, common=common)
    keys = paths.values(room.vocabulary, kind, path, common=common)
    return lambda e, t: [(key, 1) for key in keys(e, t)]


def _identity(
    attribute: Attribute, room: Room, kind: str, *, common: bool
) -> Callable[[Event, int], str | None]:
    """The id that `by` names; an event without it counts for itself."""
    if attribute.by is None:
        return lambda e, t: None
    get = paths.getter(room.vocabulary, kind, attribute.by, common=common)
    return lambda e, t: short(value) if (value := get(e, t)) is not None else short("e:" + e.event_id)


def _taking(attribute: Attribute, room: Room, kind: str, take: Take) -> Update:
    path = next((s.path for s in attribute.sources if s.path is not None), None)
    amount = paths.values(room.vocabulary, kind, path) if path is not None else None
    if attribute.by is None:

        def plain(c: Customer, e: Event, t: int) -> None:
            take(c, sum(amount(e, t)) if amount is not None and attribute.form == "sum" else None, None)

        return plain
    get = paths.getter(room.vocabulary, kind, attribute.by)

    def identified(c: Customer, e: Event, t: int) -> None:
        value = get(e, t)
        if value is not None:
            take(c, None, short(value))

    return identified


def _where(attribute: Attribute, room: Room, word: str, update: Update) -> Update:
    if attribute.where is None:
        return update
    holds = room.where(attribute.where, word)

    def guarded(c: Customer, e: Event, t: int) -> None:
        if holds(c, e, t) is True:
            update(c, e, t)

    return guarded


def _gapped(attribute: Attribute, room: Room, kept: Kept, update: Update) -> Update:
    """`gap`: a match soon after the last one belongs to the same burst and is not counted."""
    if attribute.gap is None:
        return update
    gap = attribute.gap
    slot = kept.gap_slot
    if slot is None:
        slot = kept.gap_slot = room.slot(None)
        if kept.stage_slots:
            kept.stage_slots.append((slot, None))

    def burst(c: Customer, e: Event, t: int) -> None:
        before = c.attrs[slot]
        c.attrs[slot] = t
        if before is None or t - before > gap:
            update(c, e, t)

    return burst
