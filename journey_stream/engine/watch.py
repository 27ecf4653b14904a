"""Looking over the shoulder of guards: what each said, and of which values.

In: guards while a program is compiled. Out: guards that do the same and note it. A watched program takes the
same decisions as one that is not: the guard is the one that the worker runs, and nothing is asked twice
but, with `detailed`, the values of the names in it, and of the parts that `&&` joins.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from journey_stream.engine.kept import own
from journey_stream.journeys.guards import Expression, Guard, Scope, compile_expr, nodes
from journey_stream.journeys.guards.check import examine
from journey_stream.journeys.places import GuardPlace


@dataclass(frozen=True, slots=True)
class Part:
    """A guard, or one of those that `&&` joins to it."""

    text: str
    said: bool | None
    """None: unknown."""
    values: dict[str, Any]
    """What it names, in the order of the text; None: unknown."""
    inner: tuple[Look, ...] = ()
    """Of the derived attributes (`value`) among them that are true or false: why."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a guard said once."""

    at: GuardPlace
    said: bool | None
    """None: unknown, so it did not hold."""
    parts: tuple[Part, ...]
    """Empty unless the watch is detailed."""


class Watch:
    """Collects looks; `take` hands them out."""

    def __init__(self, *, detailed: bool = False) -> None:
        """Args: detailed: note the values as well."""
        self.detailed = detailed
        self.looks: list[Look] = []

    def take(self) -> list[Look]:
        """Return the looks since the last call, in the order they were taken."""
        looks, self.looks = self.looks, []
        return looks

    def over(
        self,
        at: GuardPlace,
        expression: Expression,
        scope: Scope,
        env: Mapping[str, object],
        guard: Guard,
    ) -> Guard:
        """Return a guard that says what this one says, and notes it."""
        anatomy: list[_Anatomy] = []
        # Attributes that are compiled later add to `env`, so the parts are compiled at the first look.

        def watched(c: Any, e: Any, t: int) -> Any:
            said = guard(c, e, t)
            parts: tuple[Part, ...] = ()
            if self.detailed:
                if not anatomy:
                    anatomy.extend(dissect(expression, scope, env))
                parts = tuple(self._part(each, c, e, t) for each in anatomy)
            self.looks.append(Look(at, said if isinstance(said, bool) else None, parts))
            return said

        return watched

    def _part(self, anatomy: _Anatomy, c: Any, e: Any, t: int) -> Part:
        """Ask for the values; derived attributes that are read on the way tell their own reasons."""
        before = len(self.looks)
        said = anatomy.guard(c, e, t)
        mark = len(self.looks)
        values = {name: own(read(c, e, t)) for name, read in anatomy.names}
        inner = tuple(look for look in self.looks[mark:] if look.said is not None)
        del self.looks[before:]
        return Part(anatomy.text, said if isinstance(said, bool) else None, values, inner)


class _Anatomy(NamedTuple):
    """A part of a guard, compiled, with readers of the names in it."""

    text: str
    guard: Guard
    names: tuple[tuple[str, Guard], ...]


def dissect(expression: Expression, scope: Scope, env: Mapping[str, object]) -> list[_Anatomy]:
    """Take a guard apart: what its outermost `&&` joins, each with readers of what it names."""
    root = expression.root
    if not isinstance(root, nodes.Logic) or root.op != "&&":
        return [_anatomy(expression, " ".join(expression.text.split()), scope, env)]
    found = []
    for operand in root.operands:
        part = Expression(operand, expression.text)
        found.append(_anatomy(part, written(operand), scope, env))
    return found


def written(node: nodes.Node) -> str:
    """Write a node as people do, without parentheses around the whole."""
    text = nodes.to_text(node)
    if isinstance(node, nodes.Binary | nodes.Logic | nodes.Ternary) and text.startswith("("):
        return text[1:-1]
    return text


def _anatomy(expression: Expression, text: str, scope: Scope, env: Mapping[str, object]) -> _Anatomy:
    bindings = examine(expression, scope).bindings
    readers: dict[str, Guard] = {}
    for node in nodes.walk(expression.root):
        if id(node) in bindings:
            name = bindings[id(node)][0]
            if name not in readers:
                readers[name] = compile_expr(Expression(node, expression.text), scope, env)
    return _Anatomy(text, compile_expr(expression, scope, env), tuple(readers.items()))
