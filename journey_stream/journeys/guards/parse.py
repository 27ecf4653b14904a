"""Text to tree: what a marketer wrote becomes an `Expression`, or a GuardSyntaxError: where, why, what now.

Three steps. The scanner (`scan.py`) cuts the text into words: it folds durations to seconds, decodes strings
and keeps a map of places. A kept CEL grammar (celpy's, on lark) reads the words: strings reach it as numbered
placeholders only, so its regular expressions never meet an author's text. The converter turns lark's tree,
a level for each grammar rule, into our nodes. Length and depth are bounded before anything recurses.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any, cast, get_args

from journey_stream.journeys.guards import nodes
from journey_stream.journeys.guards.nodes import Node
from journey_stream.journeys.guards.scan import (
    INT_MAX,
    INT_MIN,
    GuardSyntaxError,
    Scanned,
    place,
    refusal,
    scan,
    too_deep,
)

MAX_TEXT = 4_000
"""Characters in one expression."""
MAX_DEPTH = 50
"""Levels of nesting in one expression; a chain of `&&` or `||` is one level."""
MAX_MACROS = 2
"""Macros inside macros: each level multiplies the work by the length of a list."""

_MACROS = frozenset(get_args(nodes.MacroKind))
_RESERVED = frozenset(
    (
        "as",
        "break",
        "const",
        "continue",
        "else",
        "for",
        "function",
        "if",
        "import",
        "in",
        "let",
        "loop",
        "package",
        "namespace",
        "return",
        "var",
        "void",
        "while",
    )
)
_BINARY = {
    "relation_lt": "<",
    "relation_le": "<=",
    "relation_gt": ">",
    "relation_ge": ">=",
    "relation_eq": "==",
    "relation_ne": "!=",
    "relation_in": "in",
    "addition_add": "+",
    "addition_sub": "-",
    "multiplication_mul": "*",
    "multiplication_div": "/",
    "multiplication_mod": "%",
}
_HINTS = {
    "and": "write && for and",
    "or": "write || for or",
    "not": "write ! for not: !known",
    "is": "write == to compare",
    "then": "write condition ? this : that",
    "matches": "regular expressions are not offered: use contains(), startsWith() or endsWith()",
}


@dataclass(frozen=True, slots=True)
class Expression:
    """A guard that was read; equal to another that says the same, whatever its spaces."""

    root: Node
    text: str = field(compare=False)

    def names(self) -> frozenset[str]:
        """Return the first word of every path: `event.total > orders` has `event` and `orders`."""
        return frozenset(path.split(".", 1)[0] for path in self.paths())

    def paths(self) -> frozenset[str]:
        """Return every dotted path the scope has to know; variables of macros are left out."""
        return frozenset(nodes.free_paths(self.root))

    def members(self, owner: str) -> frozenset[str]:
        """Return the fields that are read of `owner`: `members("before")` of `before.x > 1` is `{"x"}`."""
        prefix = owner + "."
        return frozenset(path.removeprefix(prefix) for path in self.paths() if path.startswith(prefix))

    def calls(self, function: str) -> frozenset[str]:
        """Return the first arguments (a string or a path) of the calls of `stage`, `entries` or `oldest`."""
        found: set[str] = set()
        for node in nodes.walk(self.root):
            if isinstance(node, nodes.Call) and node.function == function and node.arguments:
                first = node.arguments[0]
                argument = first.value if isinstance(first, nodes.Literal) else nodes.path_of(first)
                if isinstance(argument, str):
                    found.add(argument)
        return frozenset(found)

    def canonical(self) -> str:
        """Return one text for one meaning: spaces, parentheses and duration spellings gone."""
        return nodes.to_text(self.root)

    def place(self, at: int) -> tuple[int, int]:
        """Return line and column (both from 1) of an offset."""
        return place(self.text, at)


@lru_cache(maxsize=4_096)
def parse(text: str) -> Expression:
    """Read one expression.

    Raises:
        GuardSyntaxError: with line, column and a way out; nothing else, whatever the text.
    """
    if len(text) > MAX_TEXT:
        message = f"the expression has {len(text)} characters, at most {MAX_TEXT} are read"
        raise GuardSyntaxError(message, help="move parts of it into attributes with `value:`")
    scanned = scan(text, MAX_DEPTH)
    try:
        root = _Converter(scanned).node(_tree(scanned), 0, 0)
    except RecursionError:
        raise too_deep(text, 0, MAX_DEPTH) from None
    return Expression(root, text)


@cache
def _parser() -> Any:
    # celpy takes 0.2 s to import and its grammar as long to build: paid by the first guard only.
    from celpy.celparser import CELParser

    return CELParser()


def _tree(scanned: Scanned) -> Any:
    from celpy.celparser import CELParseError

    try:
        return _parser().parse(scanned.folded)
    except CELParseError as error:
        raise _unexpected(scanned, error.__context__) from None


def _unexpected(scanned: Scanned, cause: Any) -> GuardSyntaxError:
    token = getattr(cause, "token", None)
    start = getattr(cause, "pos_in_stream", None)
    if token is not None:
        start = token.start_pos
    if token is None or token.type == "$END" or start is None:
        if not scanned.folded.strip():
            return GuardSyntaxError("the expression is empty", help="write a condition, or leave the key out")
        way_out = "something is missing after the last word: an operand, or a closing bracket"
        return refusal(scanned.text, len(scanned.text), "the expression ends too early", way_out)
    at = scanned.origin(start)
    word = scanned.word(start)
    return refusal(scanned.text, at, f"{word} is not expected here", _hint(scanned, at, word))


def _hint(scanned: Scanned, at: int, word: str) -> str:
    before = scanned.text[:at].rstrip().rsplit(maxsplit=1)
    for candidate in (word, *(before[-1:] if before else ())):
        if candidate in _HINTS:
            return _HINTS[candidate]
    if word in (")", "]", "}"):
        return "an operand is missing before it, or a bracket was closed that was not opened"
    return "an operator (&&, ||, ==, <, +, ...) is missing, or a word too many"


class _Converter:
    """Lark's tree to nodes."""

    def __init__(self, scanned: Scanned) -> None:
        self.scanned = scanned

    def _refuse(self, tree: Any, message: str, way_out: str) -> GuardSyntaxError:
        at = self.scanned.origin(_start(tree))
        return refusal(self.scanned.text, at, message, way_out)

    def node(self, tree: Any, depth: int, macros: int) -> Node:  # noqa: C901 - a case for each rule
        """Convert a tree; `depth` counts our levels, `macros` those around it."""
        while len(tree.children) == 1 and tree.data in _WRAPPERS:
            tree = tree.children[0]
        if depth > MAX_DEPTH:
            raise too_deep(self.scanned.text, self.scanned.origin(_start(tree)), MAX_DEPTH)
        at = self.scanned.origin(_start(tree))
        parts = tree.children

        def down(part: Any) -> Node:
            return self.node(part, depth + 1, macros)

        match tree.data:
            case "expr":
                return nodes.Ternary(down(parts[0]), down(parts[1]), down(parts[2]), at=at)
            case "conditionalor":
                return nodes.Logic("||", tuple(map(down, _chain(tree))), at=at)
            case "conditionaland":
                return nodes.Logic("&&", tuple(map(down, _chain(tree))), at=at)
            case "relation" | "addition" | "multiplication":
                op = cast(nodes.BinaryOp, _BINARY[parts[0].data])
                return nodes.Binary(op, down(parts[0].children[0]), down(parts[1]), at=at)
            case "unary":
                return nodes.Unary("!" if parts[0].data == "unary_not" else "-", down(parts[1]), at=at)
            case "ident":
                return nodes.Name(self._identifier(tree, str(parts[0])), at=at)
            case "member_dot":
                return nodes.Select(down(parts[0]), str(parts[1]), at=at)
            case "member_index":
                return nodes.Index(down(parts[0]), down(parts[1]), at=at)
            case "ident_arg":
                return nodes.Call(str(parts[0]), tuple(map(down, _listed(parts[1:]))), at=at)
            case "member_dot_arg":
                return self._method(tree, at, depth, macros)
            case "list_lit":
                return nodes.ListLit(tuple(map(down, _listed(parts))), at=at)
            case "map_lit":
                values = list(map(down, parts[0].children)) if parts else []
                return nodes.MapLit(tuple(zip(values[::2], values[1::2], strict=True)), at=at)
            case "literal":
                return self._literal(tree, parts[0], at)
            case "member_object":
                raise self._refuse(tree, "objects are not built here", 'a map is written {"key": value}')
            case _:  # dot_ident, dot_ident_arg
                raise self._refuse(tree, "a name cannot start with a dot", "leave the dot out")

    def _identifier(self, tree: Any, name: str) -> str:
        if name in _RESERVED:
            way_out = "give the attribute or parameter another name; a property is read as event." + name
            raise self._refuse(tree, f"`{name}` is a reserved word of CEL", way_out)
        return name

    def _method(self, tree: Any, at: int, depth: int, macros: int) -> Node:
        target, name, arguments = tree.children[0], str(tree.children[1]), _listed(tree.children[2:])
        if name not in _MACROS:
            below = (self.node(argument, depth + 1, macros) for argument in arguments)
            return nodes.Call(name, tuple(below), self.node(target, depth + 1, macros), at=at)
        usage = (
            f"write {name}(item, condition of item)" if name != "map" else "write map(item, value of item)"
        )
        if len(arguments) != 2 and not (name == "map" and len(arguments) == 3):
            raise self._refuse(tree, f"{name}() takes a variable and an expression of it", usage)
        variable = self.node(arguments[0], depth + 1, macros)
        if not isinstance(variable, nodes.Name):
            raise self._refuse(arguments[0], f"the first argument of {name}() is a name for the item", usage)
        if macros == MAX_MACROS:
            message = f"more than {MAX_MACROS} of all, exists, exists_one, filter, map inside each other"
            raise self._refuse(tree, message, "split the expression into attributes with `value:`")
        inner = [self.node(argument, depth + 1, macros + 1) for argument in arguments[1:]]
        return nodes.Macro(
            cast(nodes.MacroKind, name),
            self.node(target, depth + 1, macros),
            variable.name,
            inner[-1],
            inner[0] if len(inner) == 2 else None,
            at=at,
        )

    def _literal(self, tree: Any, token: Any, at: int) -> nodes.Literal:
        text = str(token)
        match token.type:
            case "STRING_LIT":
                value = self.scanned.constants[int(text[1:-1])]
                return nodes.Literal(value, "bool" if isinstance(value, bool) else "string", at=at)
            case "NULL_LIT":
                return nodes.Literal(None, "null", at=at)
            case "INT_LIT":
                number = int(text, 16 if "x" in text.lower() else 10)
                if not INT_MIN <= number <= INT_MAX:
                    raise self._refuse(
                        tree, "the number does not fit into 64 bits", "write it with a point: 1.0"
                    )
                return nodes.Literal(number, "int", at=at)
            case _:
                double = float(text)
                if abs(double) == float("inf"):
                    raise self._refuse(tree, "the number is too large", "the largest is about 1.79e308")
                return nodes.Literal(double, "double", at=at)


_WRAPPERS = {"expr", "conditionalor", "conditionaland", "relation", "addition", "multiplication"} | {
    "unary",
    "member",
    "primary",
    "paren_expr",
}


def _start(tree: Any) -> int:
    return int(tree.meta.start_pos)


def _listed(parts: list[Any]) -> list[Any]:
    """Return the expressions of an optional `exprlist`."""
    return list(parts[0].children) if parts else []


def _chain(tree: Any) -> Iterator[Any]:
    """Yield the operands of `a && b && c`, which lark nests to the left, first to last."""
    rule, operands = tree.data, []
    while tree.data == rule and len(tree.children) == 2:
        operands.append(tree.children[1])
        tree = tree.children[0]
    return iter([tree, *reversed(operands)])
