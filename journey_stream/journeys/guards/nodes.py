"""The small frozen tree that every guard becomes: the parser writes it, checker and compiler read it.

`at` is the place of a node in the text its author wrote (0-based offset, durations unfolded). It does not
take part in equality: two guards that say the same are equal wherever they stand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Any
from typing import Literal as OneOf

BinaryOp = OneOf["==", "!=", "<", "<=", ">", ">=", "in", "+", "-", "*", "/", "%"]
MacroKind = OneOf["all", "exists", "exists_one", "filter", "map"]
LiteralKind = OneOf["bool", "int", "double", "string", "null"]


def _place() -> int:
    return field(default=0, compare=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant. `kind` keeps `1`, `1.0` and `true` apart, which Python holds to be equal."""

    value: bool | int | float | str | None
    kind: LiteralKind
    at: int = _place()


@dataclass(frozen=True, slots=True)
class Name:
    """A bare name, or the variable of a macro."""

    name: str
    at: int = _place()


@dataclass(frozen=True, slots=True)
class Select:
    """`target.field`."""

    target: Node
    field: str
    at: int = _place()


@dataclass(frozen=True, slots=True)
class Index:
    """`target[key]`."""

    target: Node
    key: Node
    at: int = _place()


@dataclass(frozen=True, slots=True)
class Call:
    """`function(arguments)`, or `target.function(arguments)`."""

    function: str
    arguments: tuple[Node, ...]
    target: Node | None = None
    at: int = _place()


@dataclass(frozen=True, slots=True)
class Unary:
    """`!x` or `-x`."""

    op: OneOf["!", "-"]
    operand: Node
    at: int = _place()


@dataclass(frozen=True, slots=True)
class Binary:
    """`left op right`."""

    op: BinaryOp
    left: Node
    right: Node
    at: int = _place()


@dataclass(frozen=True, slots=True)
class Logic:
    """`a && b && c` or `a || b || c`: a chain is one node, however long."""

    op: OneOf["&&", "||"]
    operands: tuple[Node, ...]
    at: int = _place()


@dataclass(frozen=True, slots=True)
class Ternary:
    """`condition ? then : otherwise`."""

    condition: Node
    then: Node
    otherwise: Node
    at: int = _place()


@dataclass(frozen=True, slots=True)
class ListLit:
    """`[a, b]`."""

    items: tuple[Node, ...]
    at: int = _place()


@dataclass(frozen=True, slots=True)
class MapLit:
    """`{"a": 1}`."""

    entries: tuple[tuple[Node, Node], ...]
    at: int = _place()


@dataclass(frozen=True, slots=True)
class Macro:
    """`target.kind(variable, body)`; `map` may carry a filter: `target.map(variable, predicate, body)`."""

    kind: MacroKind
    target: Node
    variable: str
    body: Node
    predicate: Node | None = None
    at: int = _place()


Node = Literal | Name | Select | Index | Call | Unary | Binary | Logic | Ternary | ListLit | MapLit | Macro


def children(node: Node) -> tuple[Node, ...]:
    """Return the nodes directly below, in the order of the text."""
    match node:
        case Literal() | Name():
            return ()
        case Select(target):
            return (target,)
        case Index(target, key):
            return (target, key)
        case Call(_, arguments, target):
            return arguments if target is None else (target, *arguments)
        case Unary(_, operand):
            return (operand,)
        case Binary(_, left, right):
            return (left, right)
        case Logic(_, operands):
            return operands
        case Ternary(condition, then, otherwise):
            return (condition, then, otherwise)
        case ListLit(items):
            return items
        case MapLit(entries):
            return tuple(node for entry in entries for node in entry)
        case Macro(_, target, _, body, predicate):
            return (target, body) if predicate is None else (target, predicate, body)


def path_of(node: Node) -> str | None:
    """Return `a.b.c` for a name or a chain of selections from one, None for anything else."""
    fields: list[str] = []
    while isinstance(node, Select):
        fields.append(node.field)
        node = node.target
    if not isinstance(node, Name):
        return None
    return ".".join([node.name, *reversed(fields)])


def free_paths(node: Node, bound: frozenset[str] = frozenset()) -> Iterator[str]:
    """Yield each dotted path that the scope has to know: macro variables are left out.

    The argument of `oldest(x)` is a path too: it names an attribute.
    """
    path = path_of(node)
    if path is not None:
        if path.split(".", 1)[0] not in bound:
            yield path
        return
    if isinstance(node, Macro):
        yield from free_paths(node.target, bound)
        inner = bound | {node.variable}
        if node.predicate is not None:
            yield from free_paths(node.predicate, inner)
        yield from free_paths(node.body, inner)
        return
    for child in children(node):
        yield from free_paths(child, bound)


def walk(node: Node) -> Iterator[Node]:
    """Yield the node and everything below it."""
    yield node
    for child in children(node):
        yield from walk(child)


def rebuilt(
    node: Node, swap: Callable[[Node, frozenset[str]], Node | None], bound: frozenset[str] = frozenset()
) -> Node:
    """Return the same tree with other nodes in place of those for which `swap` gives one.

    `swap` is asked from the top down and told the variables of the macros around it; what it gives is
    not gone into.
    """
    swapped = swap(node, bound)
    if swapped is not None:
        return swapped
    if isinstance(node, Macro):
        inner = bound | {node.variable}
        return replace(
            node,
            target=rebuilt(node.target, swap, bound),
            body=rebuilt(node.body, swap, inner),
            predicate=None if node.predicate is None else rebuilt(node.predicate, swap, inner),
        )
    changes = {each.name: _rebuilt_part(getattr(node, each.name), swap, bound) for each in fields(node)}
    return replace(node, **changes)


def _rebuilt_part(
    part: Any, swap: Callable[[Node, frozenset[str]], Node | None], bound: frozenset[str]
) -> Any:
    if isinstance(part, tuple):
        return tuple(_rebuilt_part(each, swap, bound) for each in part)
    return rebuilt(part, swap, bound) if isinstance(part, Node) else part


def to_text(node: Node) -> str:  # noqa: C901 - a case for each kind of node
    """Write the node as CEL again, with every operation in parentheses: one text for one meaning."""
    match node:
        case Literal(value, kind):
            return _literal_text(value, kind)
        case Name(name):
            return name
        case Select(target, name):
            return f"{to_text(target)}.{name}"
        case Index(target, key):
            return f"{to_text(target)}[{to_text(key)}]"
        case Call(function, arguments, target):
            call = f"{function}({', '.join(map(to_text, arguments))})"
            return call if target is None else f"{to_text(target)}.{call}"
        case Unary(op, operand):
            return f"({op}({to_text(operand)}))"
        case Binary(op, left, right):
            return f"({to_text(left)} {op} {to_text(right)})"
        case Logic(op, operands):
            return "(" + f" {op} ".join(map(to_text, operands)) + ")"
        case Ternary(condition, then, otherwise):
            return f"({to_text(condition)} ? {to_text(then)} : {to_text(otherwise)})"
        case ListLit(items):
            return "[" + ", ".join(map(to_text, items)) + "]"
        case MapLit(entries):
            return "{" + ", ".join(f"{to_text(key)}: {to_text(value)}" for key, value in entries) + "}"
        case Macro(kind, target, variable, body, predicate):
            parts = [variable, *([] if predicate is None else [to_text(predicate)]), to_text(body)]
            return f"{to_text(target)}.{kind}({', '.join(parts)})"


_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _literal_text(value: object, kind: LiteralKind) -> str:
    match kind:
        case "string":
            return '"' + "".join(_escaped(character) for character in str(value)) + '"'
        case "bool":
            return "true" if value else "false"
        case "null":
            return "null"
        case _:
            return repr(value)


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    return character if character.isprintable() else f"\\U{ord(character):08x}"
