"""The types of guards, and the scope in which a guard is read: who knows which name, and of what type it is.

A scope belongs to its room (the language for checking, the engine for running); this module says only what a
scope has to answer. Types are values: equal types are equal, and write themselves as people would.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol, TypeAlias

Rule = Literal["unknown-name", "unknown-function", "bad-call", "wrong-type"]
"""What kind of mistake a Problem is."""
Scalar: TypeAlias = "bool | int | float | str"
TypeName = Literal["bool", "int", "double", "string", "null", "list", "map", "record", "dyn"]


@dataclass(frozen=True, slots=True)
class Type:
    """A static type. Make compound ones with `list_of`, `map_of` and `record_of`."""

    name: TypeName
    of: tuple[Type, ...] = ()
    """`list`: its element; `map`: key and value."""
    fields: tuple[tuple[str, Type], ...] = ()
    """`record`: its fields, read as attributes of the object at hand."""

    def __str__(self) -> str:
        return f"{self.name}[{', '.join(map(str, self.of))}]" if self.of else self.name

    @property
    def item(self) -> Type:
        """What is in a list, or the keys of a map; of an empty one it could be anything."""
        return DYN if not self.of or self.of[0] == NULL else self.of[0]

    @property
    def value(self) -> Type:
        """What a map leads to; an empty one could lead anywhere."""
        return DYN if len(self.of) < 2 or self.of[1] == NULL else self.of[1]

    @property
    def numeric(self) -> bool:
        """It may be a number."""
        return self.name in ("int", "double", "dyn")

    def field_type(self, name: str) -> Type | None:
        """Return the type of a field of a record; None if there is none."""
        return dict(self.fields).get(name)


Variables: TypeAlias = "Mapping[str, Type]"
"""The variables of the macros around a node."""
BOOL: Final = Type("bool")
INT: Final = Type("int")
DOUBLE: Final = Type("double")
STRING: Final = Type("string")
NULL: Final = Type("null")
DYN: Final = Type("dyn")


def list_of(element: Type) -> Type:
    """Make the type of lists."""
    return Type("list", (element,))


def map_of(key: Type, value: Type) -> Type:
    """Make the type of maps."""
    return Type("map", (key, value))


def record_of(fields: Mapping[str, Type]) -> Type:
    """Make the type of objects whose fields are Python attributes (a msgspec struct: a line of an order)."""
    return Type("record", fields=tuple(fields.items()))


def comparable(left: Type, right: Type) -> bool:
    """May the two be equal?"""
    if DYN in (left, right) or NULL in (left, right) or (left.numeric and right.numeric):
        return True
    if left.name == right.name and left.of and right.of:
        return all(comparable(*pair) for pair in zip(left.of, right.of, strict=True))
    return left == right


def unify(left: Type, right: Type) -> Type | None:
    """Return the type that holds both; int and double make double, null goes with all."""
    if left == right or right == NULL:
        return left
    if left == NULL:
        return right
    if DYN in (left, right):
        return DYN
    if left.numeric and right.numeric:
        return DOUBLE
    if left.name == right.name and left.of and right.of:
        parts = [unify(*pair) for pair in zip(left.of, right.of, strict=True)]
        known = tuple(part for part in parts if part is not None)
        return Type(left.name, known) if len(known) == len(parts) else None
    return None


_FIELD_TYPES = {
    "string": STRING,
    "double": DOUBLE,
    "int": INT,
    "bool": BOOL,
    "time": DOUBLE,
    "list<string>": list_of(STRING),
    "list<double>": list_of(DOUBLE),
    "list<map>": list_of(DYN),
    "map": DYN,
}


def from_field_type(name: str) -> Type:
    """Return the type of guards for a field type of events; a time is a double of seconds."""
    return _FIELD_TYPES.get(name, DYN)


@dataclass(frozen=True, slots=True)
class Binding:
    """What a name stands for.

    `code` is a Python expression, written by us and never taken from a definition, over `c` (state of the
    customer), `e` (event), `t` (now, microseconds) and the names of the `env` given to `compile_expr`. It
    yields a value of `type` (bools are bools, doubles floats), or None when it is unknown. A binding with
    `constant` set (a parameter) needs no code.
    """

    type: Type
    code: str = "None"
    always: bool = False
    """Never unknown."""
    constant: Scalar | tuple[Scalar, ...] | None = None
    described: object = field(default=None, compare=False)
    """What `code` says, as data for the compiled core; None: only in Python."""

    @classmethod
    def of(cls, value: Scalar | Sequence[Scalar]) -> Binding:
        """Bind a parameter: its value is known when the guard is compiled."""
        if isinstance(value, bool | int | float | str):
            return cls(_type_of(value), always=True, constant=value)
        items = tuple(value)
        kinds = {_type_of(item) for item in items}
        if kinds == {INT, DOUBLE}:
            return cls(list_of(DOUBLE), always=True, constant=tuple(map(float, items)))
        element = kinds.pop() if len(kinds) == 1 else DYN if kinds else NULL
        return cls(list_of(element), always=True, constant=items)


def _type_of(value: object) -> Type:
    if isinstance(value, bool):
        return BOOL
    if isinstance(value, int):
        return INT
    return DOUBLE if isinstance(value, float) else STRING


class Scope(Protocol):
    """What a guard may speak of. The three kinds: bare names, members of a namespace, calls with an id."""

    def lookup(self, name: str) -> Binding | None:
        """Return what a bare name stands for here."""

    def names(self) -> Sequence[str]:
        """Return the bare names known here, for suggestions."""

    def lookup_member(self, owner: str, member: str) -> Binding | None:
        """Return what `owner.member` stands for; owner is `event`, `before`, `event.context` ..."""

    def members(self, owner: str) -> Sequence[str] | None:
        """Return the fields of a namespace, for suggestions; None if there is no such namespace here."""

    def lookup_call(self, function: str, argument: str) -> Binding | None:
        """Return what `stage("argument")`, `entries("argument")`, `oldest(argument)` stand for."""

    def call_arguments(self, function: str) -> Sequence[str] | None:
        """Return the arguments that `function` takes here; None if it is not offered here."""


@dataclass(frozen=True, slots=True)
class PlainScope(Scope):
    """A scope of dictionaries: for tests, and for those that need no more; see Scope."""

    bindings: Mapping[str, Binding]
    namespaces: Mapping[str, Mapping[str, Binding]] = field(default_factory=dict)
    calls: Mapping[str, Mapping[str, Binding]] = field(default_factory=dict)

    def lookup(self, name: str) -> Binding | None:  # noqa: D102
        return self.bindings.get(name)

    def names(self) -> Sequence[str]:  # noqa: D102
        return list(self.bindings)

    def lookup_member(self, owner: str, member: str) -> Binding | None:  # noqa: D102
        return self.namespaces.get(owner, {}).get(member)

    def members(self, owner: str) -> Sequence[str] | None:  # noqa: D102
        fields = self.namespaces.get(owner)
        return None if fields is None else list(fields)

    def lookup_call(self, function: str, argument: str) -> Binding | None:  # noqa: D102
        return self.calls.get(function, {}).get(argument)

    def call_arguments(self, function: str) -> Sequence[str] | None:  # noqa: D102
        known = self.calls.get(function)
        return None if known is None else list(known)


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with an expression that reads well. `rule` is one of a closed list."""

    rule: Rule
    message: str
    suggestion: str
    column: int
    line: int = 1
