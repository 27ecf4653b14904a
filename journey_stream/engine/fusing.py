"""Fusing: the small steps of one event type become one Python function, without a call for each.

In: steps, each a few lines of Python of ours and what those lines call. Out: one function (c, e, t).
Nothing an author wrote is ever part of a line: lines are made of our templates, slot numbers and the names
of properties that the vocabulary knows. In lines, `$name` is an object of the step's own; `a` stands for the
customer's attributes, `armed` and `stages` for its timers and stages; `v` and `h` are free to use.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import CodeType, FunctionType
from typing import Any, TypeAlias

from journey_stream.engine.state import Customer
from journey_stream.values import Event

Update: TypeAlias = Callable[[Customer, Event, int], None]

_OWN = re.compile(r"\$(\w+)")
_BUILTINS = {"len": len}
_HEAD = ("a = c.attrs", "armed = c.armed", "stages = c.stages")


@dataclass(frozen=True, slots=True)
class Step:
    """Lines of Python, and what `$name` in them stands for."""

    lines: tuple[str, ...]
    own: Mapping[str, Any] = field(default_factory=dict)
    ops: tuple[Any, ...] | None = None
    """The same as data (`described`), None: only in Python."""

    def when(self, condition: str, described: Any = None, **own: Any) -> Step:
        """The same behind a condition; `described` says the condition as data."""
        ops = None
        if described is not None and self.ops is not None:
            ops = ({"op": "if", "if": described, "then": [*self.ops], "else": []},)
        return Step((f"if {condition}:", *indented(self.lines)), {**self.own, **own}, ops)


def step(*lines: str, ops: tuple[Any, ...] | None = None, **own: Any) -> Step:
    """Make a step."""
    return Step(lines, own, ops)


def holding(guard: Any) -> dict[str, Any]:
    """The condition that a guard holds, as data."""
    return {"c": "guard", "guard": guard}


def indented(lines: Sequence[str]) -> tuple[str, ...]:
    """The lines one level deeper."""
    return tuple("    " + line for line in lines)


def fuse(steps: Sequence[Step]) -> Update | None:
    """Make one function of all steps, in their order; None of none.

    Its attribute `described` has the operations of all steps, None where one of them has none.
    """
    if not steps:
        return None
    names: dict[str, Any] = {}
    lines = list(_HEAD)
    for number, each in enumerate(steps):
        names |= {f"{name}_{number}": value for name, value in each.own.items()}
        lines += [_OWN.sub(rf"\1_{number}", line) for line in each.lines]
    made = _function("c, e, t", lines, names)
    made.described = described(steps)
    fold: Update = made
    return fold


def described(steps: Sequence[Step]) -> list[Any] | None:
    """What the steps do, as data; None if one of them is known to Python only."""
    ops: list[Any] = []
    for each in steps:
        if each.ops is None:
            return None
        ops += each.ops
    return ops


def fuse_dict(entries: Sequence[tuple[str, str]], env: Mapping[str, Any]) -> Callable[[Customer, int], Any]:
    """Make a function (c, t) that gives {name: value} of (name, source that reads the value)."""
    names = {**env, **{f"k{number}": name for number, (name, _) in enumerate(entries)}}
    items = ", ".join(f"k{number}: {code}" for number, (_, code) in enumerate(entries))
    lines = ["a = c.attrs", f"return {{{_short(items)}}}"]
    read: Callable[[Customer, int], Any] = _function("c, t", lines, names)
    return read


def fuse_names(entries: Sequence[tuple[str, str]], env: Mapping[str, Any]) -> Callable[[Customer, int], Any]:
    """Make a function (c, t) that gives the names whose source is true, in a tuple: most often none."""
    names = {**env, **{f"k{number}": name for number, (name, _) in enumerate(entries)}}
    lines = ["a = c.attrs", "found = ()"]
    for number, (_, code) in enumerate(entries):
        lines += [f"if {_short(code)}:", f"    found += (k{number},)"]
    merged: Callable[[Customer, int], Any] = _function("c, t", [*lines, "return found"], names)
    return merged


def _short(code: str) -> str:
    """Look the slots up once, in the local `a`."""
    return code.replace("c.attrs[", "a[")


def _function(parameters: str, lines: Sequence[str], names: Mapping[str, Any]) -> Any:
    source = "\n".join((f"def fused({parameters}):", *indented(lines)))
    code = compile(source, "<fused>", "exec")
    body = next(each for each in code.co_consts if isinstance(each, CodeType))
    return FunctionType(body, {**names, "__builtins__": _BUILTINS}, "fused")
