"""A program as data: what the compiled core (`journey_stream_native`) is told of it.

In: a compiled `Program`, the description of its vocabulary. Out: JSON, or `NotDescribed`: something in it is
known to Python alone, and Python runs all of it. Strategy: whatever makes a closure says beside it what the
closure does (`described`); here it is only collected. Guards stand in one list and are named by their place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from journey_stream.engine.program import Program
from journey_stream.engine.tables import Call, Cancel, Chance, Entry, JourneyTable, Move, Plan, Ruling, Timer


class NotDescribed(Exception):
    """Something of a program that only Python knows how to do."""


class _Collected:
    """Guards, rulings and calls, each that is the same once, by the order they were met."""

    def __init__(self) -> None:
        self.guards: list[Any] = []
        self.rulings: list[dict[str, Any]] = []
        self.calls: list[dict[str, Any]] = []
        self._places: dict[int, int] = {}
        self._same: dict[tuple[int, bytes], int] = {}
        """The same by list and content: rules of several stages and journeys ask and do the same."""
        self._kept: list[Any] = []
        """What places are by identity has to stay alive."""

    def guard(self, guard: Callable[..., Any] | None) -> int | None:
        """The place of a guard."""
        if guard is None:
            return None
        return self._place(guard, self.guards, lambda: self.plain(of(guard, "an expression")))

    def ruling(self, ruling: Ruling) -> int:
        """The place of what a transition rule says."""
        return self._place(
            ruling,
            self.rulings,
            lambda: {
                "id": ruling.id,
                "reason": ruling.reason,
                "reason_from": self.guard(ruling.reason_from),
                "owner": ruling.owner,
            },
        )

    def call(self, call: Call) -> int:
        """The place of a signal rule."""
        return self._place(call, self.calls, lambda: self._call(call))

    def _call(self, call: Call) -> dict[str, Any]:
        fields = (
            "id",
            "signal",
            "slot",
            "kind",
            "owner",
            "expires",
            "cancellable",
            "every",
            "at_most",
            "reason",
        )
        return {
            **{name: getattr(call, name) for name in fields},
            "by": self.getter(call.by),
            "reason_from": self.guard(call.reason_from),
            "payload": [(name, self.guard(guard)) for name, guard in call.payload],
        }

    def getter(self, get: Callable[..., Any] | None) -> Any:
        """How to read an id of an event."""
        return None if get is None else self.plain(of(get, "an id"))

    def plain(self, described: Any) -> Any:
        """Plain data: guards in it become their places."""
        match described:
            case dict():
                return {key: self.plain(value) for key, value in described.items()}
            case list() | tuple():
                return [self.plain(each) for each in described]
            case None | bool() | int() | float() | str():
                return described
            case _:
                return self.guard(described)

    def _place(self, thing: Any, kept: list[Any], make: Callable[[], Any]) -> int:
        place = self._places.get(id(thing))
        if place is None:
            made = make()  # first, since it may put others there
            place = self._same.setdefault((id(kept), msgspec.json.encode(made)), len(kept))
            if place == len(kept):
                kept.append(made)
            self._places[id(thing)] = place
            self._kept.append(thing)
        return place


def of(thing: Any, what: str) -> Any:
    """What a closure says of itself.

    Raises:
        NotDescribed: nothing.
    """
    described = getattr(thing, "described", None)
    if described is None:
        raise NotDescribed(what)
    return described


def describe(program: Program, vocabulary: dict[str, Any]) -> str:
    """Write a program down.

    Raises:
        NotDescribed: something in it only Python can do.
    """
    if program.watched:
        raise NotDescribed("guards are watched")
    known = _Collected()
    names = program.vocabulary.names()
    options = program.options
    whole = {
        "vocabulary": vocabulary,
        "journeys": [_journey(known, table) for table in program.journeys],
        "timers": [_timer(known, timer) for timer in program.timers],
        "active": [_plan(known, program.active[name]) for name in names],
        "passive": [_plan(known, program.passive[name]) for name in names],
        "silences": program.silences,
        "befores": [_needed(known, each, "a value before") for each in program.described_befores],
        "empties": program.empties,
        "forget_anonymous": program.forget_anonymous,
        "forget_known": program.forget_known,
        "dedup_window": options.dedup_window,
        "dedup_limit": options.dedup_limit,
        "fingerprint": list(program.fingerprint),
        "guards": known.guards,
        "rulings": known.rulings,
        "calls": known.calls,
    }
    return msgspec.json.encode(whole).decode()


def _needed(known: _Collected, described: Any, what: str) -> Any:
    if described is None:
        raise NotDescribed(what)
    return known.plain(described)


def _journey(known: _Collected, table: JourneyTable) -> dict[str, Any]:
    return {
        "id": table.id,
        "version": table.version,
        "stages": table.stages,
        "kinds": table.kinds,
        "owners": table.owners,
        "ranks": table.ranks,
        "start": table.start,
        "attributes": [
            (name, _needed(known, read, f"attribute {name}")) for name, read, _, _ in table.described
        ],
        "approximate": [
            (name, _needed(known, merged, f"the limit of attribute {name}"))
            for name, _, limited, merged in table.described
            if limited
        ],
        "others": table.others,
        "entered_by_newcomers": table.entered_by_newcomers,
        "entries": [_entry(known, entry) for entry in table.entries],
        "stage_slots": table.stage_slots,
        "steady": table.steady,
    }


def _entry(known: _Collected, entry: Entry) -> dict[str, Any]:
    return {
        "arms": [timer.index for timer in entry.arms],
        "disarms": entry.disarms,
        "wakes": [timer.index for timer in entry.wakes],
        "remembers": entry.remembers,
        "signals": [_chance(known, each) for each in entry.signals],
    }


def _timer(known: _Collected, timer: Timer) -> dict[str, Any]:
    fixed = isinstance(timer.after, int)
    return {
        "key": timer.key,
        "journey": timer.journey,
        "live": timer.live,
        "after": timer.after if fixed else None,
        "after_guard": None if isinstance(timer.after, int) else known.guard(timer.after),
        "limit": timer.limit,
        "min_dwell": timer.min_dwell,
        "when": known.guard(timer.when),
        "before": [place for place, _, _ in timer.before],
        "moves": [None if each is None else _move(known, each) for each in timer.moves],
        "call": None if timer.call is None else known.call(timer.call),
    }


def _move(known: _Collected, move: Move) -> dict[str, Any]:
    return {
        "sequence": move.sequence,
        "min_dwell": move.min_dwell,
        "where": known.guard(move.where),
        "when": known.guard(move.when),
        "target": move.target,
        "memory": move.memory,
        "reenter": move.reenter,
        "ruling": known.ruling(move.ruling),
    }


def _chance(known: _Collected, chance: Chance) -> dict[str, Any]:
    return {
        "sequence": chance.sequence,
        "where": known.guard(chance.where),
        "when": known.guard(chance.when),
        "call": known.call(chance.call),
    }


def _cancel(known: _Collected, cancel: Cancel) -> dict[str, Any]:
    return {"slot": cancel.slot, "by": known.getter(cancel.by), "call": known.call(cancel.call)}


def _chances(known: _Collected, by_stage: Sequence[Sequence[Chance]]) -> list[Any]:
    return [[_chance(known, each) for each in chances] for chances in by_stage]


def _plan(known: _Collected, plan: Plan) -> dict[str, Any]:
    return {
        "before": [place for place, _, _ in plan.before],
        "profile": plan.profile is not None,
        "fold": [] if plan.fold is None else known.plain(of(plan.fold, "an attribute or timer")),
        "sequences": [(k, known.plain(of(advance, "a sequence"))) for k, advance in plan.sequences],
        "moves": [
            (j, [[_move(known, each) for each in moves] for moves in by_stage]) for j, by_stage in plan.moves
        ],
        "signals": [(j, _chances(known, by_stage)) for j, by_stage in plan.signals],
        "cancels": [(j, [_cancel(known, each) for each in cancels]) for j, cancels in plan.cancels],
        "touched": plan.touched,
        "after_moves": [
            (
                table.index,
                _chances(known, staying),
                _chances(known, entering),
                [_cancel(known, each) for each in cancels],
            )
            for table, staying, entering, cancels in plan.all_
        ],
    }
