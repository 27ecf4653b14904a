"""Well-typed expressions with an environment, written twice: as our authors do, and as strict CEL wants it.

The differences that we chose are put into the CEL text, so that equality is honest: an int beside a double
stands in double(...), has(name) is the answer itself, a double is divided by zero to an error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from journey_stream.journeys.guards import BOOL, DOUBLE, INT, STRING, Type, list_of, map_of

TYPES: Mapping[str, Type] = {
    "i": INT,
    "j": INT,
    "x": DOUBLE,
    "y": DOUBLE,
    "s": STRING,
    "u": STRING,
    "b": BOOL,
    "k": BOOL,
    "ints": list_of(INT),
    "doubles": list_of(DOUBLE),
    "texts": list_of(STRING),
    "scores": map_of(STRING, DOUBLE),
}
_INTS = st.one_of(st.integers(-5, 5), st.sampled_from([2**63 - 1, -(2**63), 2**62, 10**15, -(10**9)]))
_DOUBLES = st.one_of(
    st.sampled_from(
        [0.0, 1.0, -1.0, 0.5, 2.5, -2.5, 0.1, 1e-7, 123456.789, 1e6, 1e18, 1e21, -9.3e18, 1e308, 3.0]
    ),
    st.floats(-1e6, 1e6, allow_nan=False).map(lambda value: value + 0.0),
)
_STRINGS = st.sampled_from(["", "a", "ab", "b", "12", "-7", "+3", "1.5", "1e3", "é", 'x"y\\', "true", "a\nb"])
_VALUES: Mapping[str, st.SearchStrategy[Any]] = {
    "int": _INTS,
    "double": _DOUBLES,
    "string": _STRINGS,
    "bool": st.booleans(),
}


def _values(of: Type) -> st.SearchStrategy[Any]:
    if of.name == "list":
        return st.lists(_VALUES[of.of[0].name], max_size=4)
    if of.name == "map":
        return st.dictionaries(_STRINGS, _DOUBLES, max_size=3)
    return _VALUES[of.name]


@dataclass(frozen=True)
class Case:
    """`ours` and `cel` mean the same in `env`; a name that `env` lacks is unknown."""

    ours: str
    cel: str
    type: Type
    env: dict[str, Any]


Pair = tuple[str, str]
Draw = Callable[[st.SearchStrategy[Any]], Any]


@st.composite
def cases(
    draw: Draw,
    kinds: tuple[Type, ...] = (BOOL, BOOL, INT, DOUBLE, STRING, list_of(INT)),
    *,
    promote: bool = True,
) -> Case:
    """Draw a case; with `promote`, ints may stand where CEL wants doubles."""
    known = draw(st.sets(st.sampled_from(sorted(TYPES))))
    env = {name: draw(_values(TYPES[name])) for name in sorted(known)}
    kind = draw(st.sampled_from(kinds))
    ours, cel = _Writer(draw, env, promote).write(kind, draw(st.integers(1, 4)))
    return Case(ours, cel, kind, env)


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


class _Writer:
    def __init__(self, draw: Draw, env: dict[str, Any], promote: bool) -> None:
        self.draw = draw
        self.promote = promote
        self.env = env
        self.variables: list[tuple[str, Type]] = []

    def one_of(self, *options: str) -> str:
        return str(self.draw(st.sampled_from(options)))

    def write(self, kind: Type, depth: int) -> Pair:
        if depth <= 0 or self.draw(st.integers(0, 5)) == 0:
            return self.leaf(kind)
        if kind.name in ("int", "double", "string", "bool") and self.draw(st.integers(0, 6)) == 0:
            return self.choice(kind, depth - 1)
        return {"bool": self.bool, "int": self.int, "double": self.double, "string": self.string}.get(
            kind.name, lambda depth: self.list(kind, depth)
        )(depth - 1)

    def leaf(self, kind: Type) -> Pair:
        names = [name for name, found in [*TYPES.items(), *self.variables] if found == kind]
        if names and self.draw(st.integers(0, 3)):
            name = self.one_of(*names)
            return name, name
        if kind.name == "list":
            items = [self.leaf(kind.of[0]) for _ in range(self.draw(st.integers(0, 3)))]
            return tuple("[" + ", ".join(item[side] for item in items) + "]" for side in (0, 1))  # type: ignore[return-value]
        value = self.draw(_values(kind))
        if kind == STRING:
            return quoted(value), quoted(value)
        text = {True: "true", False: "false"}[value] if kind == BOOL else repr(value)
        return (f"({text})", f"({text})") if text.startswith("-") else (text, text)

    def both(self, template: str, *parts: Pair) -> Pair:
        return (
            "(" + template.format(*(part[0] for part in parts)) + ")",
            "(" + template.format(*(part[1] for part in parts)) + ")",
        )

    def number_as_double(self, depth: int) -> tuple[Pair, bool]:
        """A double, or an int that CEL has to be told to promote."""
        if not self.promote or self.draw(st.integers(0, 3)):
            return self.write(DOUBLE, depth), True
        ours, cel = self.write(INT, depth)
        return (ours, f"double({cel})"), False

    def doubles(self, depth: int) -> tuple[Pair, Pair]:
        left, is_double = self.number_as_double(depth)
        right = self.number_as_double(depth)[0] if is_double else self.write(DOUBLE, depth)
        return left, right

    def choice(self, kind: Type, depth: int) -> Pair:
        condition = self.write(BOOL, depth)
        if kind == DOUBLE:
            left, right = self.doubles(depth)
        else:
            left, right = self.write(kind, depth), self.write(kind, depth)
        return self.both("{} ? {} : {}", condition, left, right)

    def bool(self, depth: int) -> Pair:
        match self.draw(st.integers(0, 12)):
            case 0 | 1 | 2:
                parts = [self.write(BOOL, depth) for _ in range(self.draw(st.integers(2, 4)))]
                return self.both(f" {self.one_of('&&', '||')} ".join(["{}"] * len(parts)), *parts)
            case 3:
                return self.both("!{}", self.write(BOOL, depth))
            case 4 | 5:
                name = self.one_of(*TYPES)
                asked = self.one_of(f"has({name})", f"!has({name})")
                answer = (name in self.env) == (not asked.startswith("!"))
                return asked, "true" if answer else "false"
            case 6 | 7:
                return self.both(
                    f"{{}} {self.one_of('<', '<=', '>', '>=', '==', '!=')} {{}}", *self.doubles(depth)
                )
            case 8:
                kind = self.draw(st.sampled_from([INT, STRING, BOOL, list_of(STRING), list_of(INT)]))
                operators = ("==", "!=") if kind.name == "list" else ("<", "<=", ">", ">=", "==", "!=")
                sides = self.write(kind, depth), self.write(kind, depth)
                return self.both(f"{{}} {self.one_of(*operators)} {{}}", *sides)
            case 9:
                kind = self.draw(st.sampled_from([INT, STRING]))
                return self.both("{} in {}", self.write(kind, depth), self.write(list_of(kind), depth))
            case 10:
                return self.both("{} in scores", self.write(STRING, depth))
            case 11:
                method = self.one_of("startsWith", "endsWith", "contains")
                return self.both(f"{{}}.{method}({{}})", self.write(STRING, depth), self.write(STRING, depth))
            case _:
                macro = self.one_of("all", "exists", "exists_one")
                kind = self.draw(st.sampled_from([INT, STRING]))
                return self.macro(macro, self.write(list_of(kind), depth), kind, BOOL, depth)

    def int(self, depth: int) -> Pair:
        match self.draw(st.integers(0, 6)):
            case 0 | 1 | 2:
                operator = self.one_of("+", "-", "*", "/", "%")
                return self.both(f"{{}} {operator} {{}}", self.write(INT, depth), self.write(INT, depth))
            case 3:
                kind = self.draw(st.sampled_from([STRING, list_of(INT), list_of(STRING)]))
                return self.both(self.one_of("size({})", "{}.size()"), self.write(kind, depth))
            case 4:
                return self.both("{}[{}]", self.write(list_of(INT), depth), self.write(INT, depth))
            case 5:
                return self.both(
                    "int({})", self.write(self.draw(st.sampled_from([DOUBLE, STRING, INT])), depth)
                )
            case _:
                return self.both("-{}", self.write(INT, depth))

    def double(self, depth: int) -> Pair:
        match self.draw(st.integers(0, 7)):
            case 0 | 1 | 2:
                return self.both(f"{{}} {self.one_of('+', '-', '*')} {{}}", *self.doubles(depth))
            case 3:
                left, right = self.doubles(depth)
                ours, _ = self.both("{} / {}", left, right)
                return ours, f"({right[1]} == 0.0 ? [0.0][1] : {left[1]} / {right[1]})"
            case 4:
                key = self.write(STRING, depth)
                return self.both("scores[{}]", key) if self.draw(st.booleans()) else ("scores.a", "scores.a")
            case 5:
                return self.both(
                    "double({})", self.write(self.draw(st.sampled_from([DOUBLE, STRING, INT])), depth)
                )
            case 6:
                function = self.one_of("abs", "ceil", "floor", "round")
                ours, cel = self.write(DOUBLE, depth)
                return f"{function}({ours})", f"math.{function}({cel})"
            case _:
                return self.both("-{}", self.write(DOUBLE, depth))

    def string(self, depth: int) -> Pair:
        match self.draw(st.integers(0, 2)):
            case 0:
                return self.both("{} + {}", self.write(STRING, depth), self.write(STRING, depth))
            case 1:
                kind = self.draw(st.sampled_from([DOUBLE, INT, STRING, BOOL]))
                return self.both("string({})", self.write(kind, depth))
            case _:
                return self.both("{}[{}]", self.write(list_of(STRING), depth), self.write(INT, depth))

    def list(self, kind: Type, depth: int) -> Pair:
        element = kind.of[0]
        match self.draw(st.integers(0, 4)):
            case 0:
                return self.both("{} + {}", self.write(kind, depth), self.write(kind, depth))
            case 1:
                return self.macro("filter", self.write(kind, depth), element, BOOL, depth)
            case 2:
                source = self.draw(st.sampled_from([INT, STRING]))
                return self.macro("map", self.write(list_of(source), depth), source, element, depth)
            case _:
                items = [self.write(element, depth) for _ in range(self.draw(st.integers(0, 3)))]
                return tuple("[" + ", ".join(item[side] for item in items) + "]" for side in (0, 1))  # type: ignore[return-value]

    def macro(self, name: str, target: Pair, kind: Type, body: Type, depth: int) -> Pair:
        if len(self.variables) == 2:
            return self.leaf(BOOL) if name in ("all", "exists", "exists_one") else target
        variable = f"item{len(self.variables)}"
        self.variables.append((variable, kind))
        inside = self.write(body, depth)
        self.variables.pop()
        return self.both(f"{{}}.{name}({variable}, {{}})", target, inside)
