"""Attributes: from their definition to slots, updaters per event type, and ways to read them.

In: an `Attribute` of the model, a `Room` that hands out slots and compiles `where`. Out: a `Kept`: steps
that fold an event in, to be fused per event type, and Python source that reads the value in a guard.
`over` decides where a fold lives: plainly in its slot, in a sliding window, tagged with the session it
belongs to, or (`stage`) in a slot that the program empties when the journey enters a stage.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, cast

from journey_stream.engine import paths
from journey_stream.engine.folds import fold_of, short, total
from journey_stream.engine.fusing import Step, holding, step
from journey_stream.engine.kept import Kept, Room
from journey_stream.engine.spans import elapsed, opened, rhythm
from journey_stream.engine.state import Customer
from journey_stream.engine.windows import Window, Windowed
from journey_stream.journeys.model import ACTIVITY, Attribute, Source
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
                if attribute.form == "first" and _simple(attribute):
                    # Asked first, since it is hardly ever so.
                    update = update.when(f"a[{kept.slot}] is None", {"c": "empty", "slot": kept.slot})
                kept.updates.append((kind, active, update))
    for word in attribute.less:
        for kind, active in room.kinds(word):
            kept.updates.append((kind, active, _taking(attribute, room, kept, kind, take)))
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
        described={"r": "kept", "in": {"in": "slot", "slot": slot, "fold": fold.described}},
    )
    if fold.merges:
        kept.approximate = f"(h := c.attrs[{slot}]) is not None and h[-1] > 0"
        kept.described_approximate = {"h": "kept", "in": _within(kept)}
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

    inside = {"in": "window", "slot": slot, **window.described}
    kept = Kept(
        slot=slot,
        code=f"_a{slot}(c.attrs[{slot}], t)",
        read=lambda c, t: window.read(c.attrs[slot], t),
        env={f"_a{slot}": window.read, f"_m{slot}": window.merged},
        approximate=f"_m{slot}(c.attrs[{slot}], t)",
        described={"r": "kept", "in": inside},
        described_approximate={"h": "kept", "in": inside},
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
    inside = {"in": "session", "slot": slot, "session": session, "silence": silence, "fold": fold.described}
    kept.described = {"r": "kept", "in": inside}
    if fold.merges:
        kept.approximate = f"_m{slot}(c, t)"
        kept.described_approximate = {"h": "kept", "in": inside}
        kept.env[f"_m{slot}"] = lambda c, t: fold.merged(present(c, t))
    return kept, add, take


def _within(kept: Kept) -> Any:
    """Where and how it is kept, as data."""
    return kept.described["in"]


def _op(kept: Kept, op: str, **more: Any) -> tuple[Any, ...] | None:
    """One operation on what is kept, as data; None where a getter has no description."""
    found: dict[str, Any] = {"op": op, "in": _within(kept)}
    for name, of in more.items():
        found[name] = getattr(of, "described", None) if callable(of) else of
        if found[name] is None and of is not None:
            return None
    return (found,)


def _adding(attribute: Attribute, room: Room, kept: Kept, source: Source, kind: str, add: Add) -> Step:
    """What one source does in one event type: which values, under which id."""
    common = source.type != kind
    if source.path is None or attribute.form == "count":
        if _simple(attribute):
            return step(f"a[{kept.slot}] += 1", ops=({"op": "one", "slot": kept.slot},))
        by = _by(attribute, room, kind, common=common)
        return step(
            "$add(c, 1, $identity(e, t), t)",
            ops=_op(kept, "count", by=by),
            add=add,
            identity=_identity(by),
        )
    if attribute.form == "map":
        found = _entries(attribute, room, source.path, kind, common=common)
        ops = _op(kept, "entries", of=found)
        return step("for v in $found(e, t):", "    $add(c, v, None, t)", ops=ops, found=found, add=add)
    if "[]" not in source.path:
        return _single(attribute, room, kept, source.path, kind, add, common=common)
    many = paths.values(room.vocabulary, kind, source.path, common=common)
    if attribute.form != "sum":
        ops = _op(kept, "values", of=many)
        return step("for v in $found(e, t):", "    $add(c, v, None, t)", ops=ops, found=many, add=add)
    by = _by(attribute, room, kind, common=common)
    return step(
        "v = $found(e, t)",
        "if v:",
        "    $add(c, $total(v), $identity(e, t), t)",
        ops=_op(kept, "total", of=many, by=by),
        found=many,
        add=add,
        total=total,
        identity=_identity(by),
    )


_INLINE = {
    "first": "a[{0}] = v",
    "last": "a[{0}] = v",
    "min": "if (h := a[{0}]) is None or v < h: a[{0}] = v",
    "max": "if (h := a[{0}]) is None or v > h: a[{0}] = v",
    "sum": "a[{0}] = (a[{0}] or 0.0) + v",
    "distinct": "if (h := a[{0}]) is None or v not in h[0]: $add(c, v, None, t)",
}
"""Forms simple enough to need no call, where there is neither an id nor a window."""


def _single(
    attribute: Attribute, room: Room, kept: Kept, path: str, kind: str, add: Add, *, common: bool
) -> Step:
    vocabulary, slot = room.vocabulary, kept.slot
    value = paths.code(vocabulary, ACTIVITY if common else kind, path)
    if path == "occurred_at" and not paths.own(vocabulary, kind, path):
        # What is applied later than it happened counts from when it was applied.
        value = "t / 1000000"
        if _simple(attribute) and attribute.form in ("first", "last"):
            return step(f"a[{slot}] = {value}", ops=({"op": "at", "slot": slot},))
    lines = [f"v = {value}", "if v is not None:"]
    cut = vocabulary.field(ACTIVITY if common else kind, path) == "string"
    of = paths.getter(vocabulary, kind, path, common=common)
    if cut:
        lines.append(f"    if len(v) > {paths.LONGEST}: v = v[:{paths.LONGEST}]")
    if _simple(attribute) and attribute.form in _INLINE:
        ops = _op(kept, "value", of=of, cut=cut, by=None)
        return step(*lines, "    " + _INLINE[attribute.form].format(slot), ops=ops, add=add)
    by = _by(attribute, room, kind, common=common)
    ops = _op(kept, "value", of=of, cut=cut, by=by)
    return step(*lines, "    $add(c, v, $identity(e, t), t)", ops=ops, add=add, identity=_identity(by))


def _simple(attribute: Attribute) -> bool:
    """Neither ids nor windows: the slot is the value."""
    return attribute.by is None and attribute.over in (None, "stage")


def _entries(attribute: Attribute, room: Room, path: str, kind: str, *, common: bool) -> paths.Getter:
    if attribute.keeps != "count" and attribute.of is not None:
        return paths.pairs(room.vocabulary, kind, path, attribute.of, common=common)
    keys = paths.values(room.vocabulary, kind, path, common=common)
    many = getattr(keys, "described", None)
    return paths.says(
        lambda e, t: [(key, 1) for key in keys(e, t)],
        None if many is None else {"p": "count", "keys": many},
    )


def _by(attribute: Attribute, room: Room, kind: str, *, common: bool) -> paths.Getter | None:
    """What reads the id that `by` names."""
    if attribute.by is None:
        return None
    get = paths.getter(room.vocabulary, kind, attribute.by, common=common)
    return paths.says(get, paths.described_identity(room.vocabulary, kind, attribute.by, common=common))


def _identity(get: paths.Getter | None) -> Callable[[Event, int], str | None]:
    """The id that `by` names; an event without it counts for itself."""
    if get is None:
        return lambda e, t: None
    return lambda e, t: short(value) if (value := get(e, t)) is not None else short("e:" + e.event_id)


def _taking(attribute: Attribute, room: Room, kept: Kept, kind: str, take: Take) -> Step:
    path = next((s.path for s in attribute.sources if s.path is not None), None)
    if attribute.by is not None:
        get = _by(attribute, room, kind, common=False)
        return step(
            "v = $get(e, t)",
            "if v is not None:",
            "    $take(c, None, $short(v))",
            ops=_op(kept, "take", by=get, of=None),
            get=get,
            take=take,
            short=short,
        )
    if path is None or attribute.form != "sum":
        return step("$take(c, None, None)", ops=_op(kept, "take", by=None, of=None), take=take)
    found = paths.values(room.vocabulary, kind, path)
    return step(
        "$take(c, $total($found(e, t)), None)",
        ops=_op(kept, "take", by=None, of=found),
        take=take,
        total=total,
        found=found,
    )


def _where(attribute: Attribute, room: Room, word: str, inner: Step) -> Step:
    if attribute.where is None:
        return inner
    holds = room.where(attribute.where, word)
    return inner.when("$holds(c, e, t) is True", holding(holds), holds=holds)


def _gapped(attribute: Attribute, room: Room, kept: Kept, inner: Step) -> Step:
    """`gap`: a match soon after the last one belongs to the same burst and is not counted."""
    if attribute.gap is None:
        return inner
    slot = kept.gap_slot
    if slot is None:
        slot = kept.gap_slot = room.slot(None)
        if kept.stage_slots:
            kept.stage_slots.append((slot, None))
    counted = inner.when(f"h is None or t - h > {attribute.gap}")
    ops: tuple[Any, ...] | None = None
    if inner.ops is not None:
        ops = ({"op": "gap", "slot": slot, "gap": attribute.gap, "then": [*inner.ops]},)
    return Step((f"h = a[{slot}]", f"a[{slot}] = t", *counted.lines), counted.own, ops)
