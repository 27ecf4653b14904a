"""Records made by Hypothesis, twice: as the compiled core has them, and as Python's structs."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
from hypothesis import strategies as st

from journey_stream.engine.profile import contactable
from journey_stream.values import Cause, Signal, StageNow, Transition

pack = msgspec.msgpack.Encoder().encode

# Python's UTF-8 knows no surrogates.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ["", "é", 'a"b\\c', "\x00\x1f\x7f\u2028", "😀", "x" * 300]
)
IDS = st.text("abcdefghij-_/", min_size=1, max_size=9)
INTS = st.integers(-(2**63), 2**63 - 1)
FLOATS = st.floats() | st.sampled_from([1e16, 1e15, 1e-5, 1e-6, 1.5e-7, 1e22, -0.0, 5e-324, 1.7e308])
LEAVES = st.none() | st.booleans() | INTS | FLOATS | TEXTS | st.binary(max_size=7)
KEYS = TEXTS | INTS
VALUES = st.recursive(
    LEAVES, lambda v: st.lists(v, max_size=3) | st.dictionaries(KEYS, v, max_size=3), max_leaves=6
)
WHOLE = st.integers(-62_135_596_800, 253_402_300_799).map(lambda seconds: seconds * 1_000_000)
TIMES = WHOLE | st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999)
KINDS = st.sampled_from(["prospect", "acquisition", "conversion", "at_risk"])
RAW_IDS = st.binary(min_size=16, max_size=16)
DIRECTIONS = {-1: "backward", 0: "lateral", 1: "forward"}


class Made(NamedTuple):
    """One case: what the compiled core takes, and what Python encodes."""

    program: bytes
    native: bytes
    python: list[Transition | Signal | StageNow]


@st.composite
def programs(draw: st.DrawFn) -> list[Any]:
    """Journeys (id, version, stages, kinds, owners, attributes), rulings, calls."""
    journeys = []
    for _ in range(draw(st.integers(1, 3))):
        stages = draw(st.lists(IDS | TEXTS, min_size=1, max_size=3, unique=True))
        n = len(stages)
        kinds = draw(st.lists(KINDS, min_size=n, max_size=n))
        owners = draw(st.lists(st.none() | TEXTS, min_size=n, max_size=n))
        names = draw(st.lists(TEXTS, max_size=4, unique=True))
        journeys.append([draw(IDS), draw(st.integers(0, 9)), stages, kinds, owners, names])
    rulings = draw(st.lists(st.tuples(TEXTS, st.none() | TEXTS), max_size=3))
    call = st.tuples(
        TEXTS, TEXTS, st.none() | KINDS, st.none() | TEXTS, st.lists(TEXTS, max_size=3, unique=True)
    )
    return [journeys, rulings, draw(st.lists(call, min_size=1, max_size=3))]


@st.composite
def _record(draw: st.DrawFn, program: list[Any]) -> tuple[list[Any], Transition | Signal | StageNow]:
    journeys, rulings, calls = program
    j = draw(st.integers(0, len(journeys) - 1))
    journey, version, stages, kinds, owners, names = journeys[j]
    person, place = draw(IDS), draw(st.integers(0, len(stages) - 1))
    sort = draw(st.sampled_from(["transition", "transition", "signal", "signal", "gone"]))
    if sort == "gone":
        gone = StageNow(
            person, journey, version, None, None, None, None, None, None, 0, 1, None, {}, False, False
        )
        return ["gone", person, j, place], gone
    opt = st.none() | TEXTS
    known, anonymous, account = draw(st.booleans()), draw(opt), draw(opt)
    consent, contacted = draw(st.integers(0, 1023)), draw(st.booleans())
    cause = Cause(draw(opt), draw(TEXTS), draw(TIMES))
    locale, country, timezone = draw(opt), draw(opt), draw(opt)
    test, replay, late = draw(st.booleans()), draw(st.booleans()), draw(st.booleans())
    about = [person, known, anonymous, consent, contacted, *msgspec.structs.astuple(cause), account]
    about += [locale, country, timezone, test, replay]
    values = draw(st.lists(VALUES, min_size=len(names), max_size=len(names)))
    attributes = dict(zip(names, values, strict=True))
    places = draw(st.lists(st.sampled_from(range(len(names))), max_size=2)) if names else []
    approximate = tuple(names[p] for p in places)
    raw, reason, at, decided = draw(RAW_IDS), draw(opt), draw(st.just(cause.occurred_at) | TIMES), draw(TIMES)
    who = (person if known else None, anonymous, account)
    end = (
        contactable(consent),
        contacted,
        locale,
        country,
        timezone,
        late,
        test,
        replay,
        person,
        approximate,
    )
    if sort == "transition":
        left = draw(st.integers(-1, len(stages) - 1))
        ruling = draw(st.none() | st.sampled_from(range(len(rulings)))) if rulings else None
        rule, owner = ("start", None) if ruling is None else rulings[ruling]
        direction, timer = draw(st.sampled_from([-1, 0, 1])), draw(st.booleans())
        entered, dwell = draw(st.none() | TIMES), draw(st.none() | FLOATS)
        sequence, number, loops = draw(INTS), draw(st.integers(1, 3)), draw(INTS)
        native = ["transition", *about, values, places, raw, j, left, place, direction, ruling, reason]
        native += [timer, at, decided, entered, dwell, sequence, number, loops, late]
        return native, Transition(
            raw.hex(),
            journey,
            version,
            *who,
            None if left < 0 else stages[left],
            stages[place],
            None if left < 0 else kinds[left],
            kinds[place],
            DIRECTIONS[direction],  # type: ignore[arg-type]
            rule,
            reason,
            owner if owner is not None else owners[place],
            "timer" if timer else "event",
            cause,
            at,
            decided,
            entered,
            dwell,
            sequence,
            number == 1,
            number,
            loops,
            attributes,
            *end,
        )
    c, cancelled = draw(st.integers(0, len(calls) - 1)), draw(st.booleans())
    rule, signal, kind, owner, payload_names = calls[c]
    payload = (
        [] if cancelled else draw(st.lists(VALUES, min_size=len(payload_names), max_size=len(payload_names)))
    )
    until, sequence = draw(st.none() | TIMES), draw(INTS)
    native = ["signal", *about, values, places, raw, j, c, cancelled, place, reason, at, decided, until]
    native += [sequence, payload, late]
    return native, Signal(
        raw.hex(),
        signal,
        "cancelled" if cancelled else "raised",
        journey,
        version,
        *who,
        stages[place],
        kind or kinds[place],
        owner if owner is not None else owners[place],
        rule,
        reason,
        cause,
        at,
        decided,
        until,
        sequence,
        {} if cancelled else dict(zip(payload_names, payload, strict=True)),
        attributes,
        *end,
    )


def _nested(native: list[Any]) -> list[Any]:
    """As the probe reads it: `about` is an array of its own, its first field the person."""
    if native[0] == "gone":
        return native
    return [native[0], native[1:15], *native[15:]]


@st.composite
def cases(draw: st.DrawFn) -> Made:
    """A program and some records of it."""
    program = draw(programs())
    records = draw(st.lists(_record(program), min_size=1, max_size=6))
    native = pack([_nested(native) for native, _ in records])
    return Made(pack(program), native, [record for _, record in records])
