"""Tree to Python: one function `(c, e, t)` for each guard, made of `ast` nodes and run at the speed of Python.

In: an expression, its scope, and the objects that the bindings speak of. Out: a function that returns the
value, or None when it is unknown. Nothing the author wrote becomes source: names turn into the bindings' own
code, variables into numbered ones, everything else into constants.

Unknown is None, and most values are never None. So each piece of code carries what is known about it (`Code`):
whether it may be None, which names are surely known once it was true or false (`has(x) && x > 1` needs no
second test), and which names were already read into a local. Only what may be None is tested for it.
`&&` and `||` absorb unknowns as CEL absorbs errors: false && unknown is false, true || unknown is true.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from types import CodeType, FunctionType
from typing import Any

from journey_stream.errors import JourneyDefinitionError
from journey_stream.journeys.guards import nodes, runtime
from journey_stream.journeys.guards.check import Checked, examine
from journey_stream.journeys.guards.nodes import Node
from journey_stream.journeys.guards.parse import Expression
from journey_stream.journeys.guards.pyast import (
    ARITHMETIC,
    COMPARISONS,
    ORDERS,
    any_of,
    attribute,
    call,
    compare,
    constant,
    either,
    is_none,
    load,
    negate,
    walrus,
)
from journey_stream.journeys.guards.types import BOOL, DOUBLE, DYN, INT, STRING, Binding, Scope, Type

Guard = Callable[[Any, Any, int], Any]
"""Takes the state of the customer, the event (or None) and now in microseconds."""


class GuardTypeError(JourneyDefinitionError):
    """An expression that was not checked, or not mended, cannot be compiled."""


def compile_expr(expression: Expression, scope: Scope, env: Mapping[str, object] | None = None) -> Guard:
    """Compile a guard.

    Args:
        expression: As `parse` returned it.
        scope: Knows every name; its bindings' code may use `c`, `e`, `t`, `env` and a few builtins.
        env: What the bindings' code names beyond that.

    Raises:
        GuardTypeError: when `check` has problems with it; a caller shows those first.
    """
    tree = to_python(expression, scope)
    names: dict[str, Any] = {**_BUILTINS, **_RUNTIME, **(env or {}), "__builtins__": {}}
    code = compile(tree, f"<guard {expression.text}>", "exec")
    body = next(each for each in code.co_consts if isinstance(each, CodeType))
    return FunctionType(body, names, "guard")


def compile_event_expr(
    expression: Expression, scope: Scope, env: Mapping[str, object] | None = None
) -> Guard:
    """Compile a `where`: the same, in a scope whose bindings read the event only."""
    return compile_expr(expression, scope, env)


def explain_code(expression: Expression, scope: Scope) -> str:
    """Return the Python that a guard becomes, for people who look into its speed."""
    return ast.unparse(to_python(expression, scope))


def to_python(expression: Expression, scope: Scope) -> ast.Module:
    checked = examine(expression, scope)
    if checked.problems:
        first = checked.problems[0]
        raise GuardTypeError(
            f"`{expression.text}`, column {first.column}: {first.message}: {first.suggestion}"
        )
    value = _Compiler(checked).value(expression.root, Known(), {})
    arguments = [ast.arg(name) for name in ("c", "e", "t")]
    function = ast.FunctionDef(
        "guard",
        ast.arguments([], arguments, None, [], [], None, []),
        [ast.Return(value.node)],
        [],
    )
    return ast.fix_missing_locations(ast.Module([function], []))


_BUILTINS: dict[str, Any] = {
    each.__name__: each
    for each in (
        abs,
        all,
        any,
        bool,
        dict,
        float,
        getattr,
        int,
        isinstance,
        len,
        list,
        max,
        min,
        next,
        str,
        sum,
        tuple,
    )
}
_RUNTIME: dict[str, Any] = {f"_{name}": each for name, each in vars(runtime).items() if callable(each)} | {
    f"_{each.__name__}": each for each in ORDERS.values()
}


@dataclass(frozen=True, slots=True)
class Known:
    """What is certain at a point of the code: names read into locals, names that are not unknown."""

    locals: Mapping[str, str] = field(default_factory=dict)
    sure: frozenset[str] = frozenset()

    def assuming(self, keys: frozenset[str]) -> Known:
        return Known(self.locals, self.sure | keys) if keys else self

    def with_locals(self, other: Known) -> Known:
        return Known({**self.locals, **other.locals}, self.sure)


@dataclass(frozen=True, slots=True)
class Code:
    """A Python expression, and what is known of it."""

    node: ast.expr
    maybe: bool
    """It may be None."""
    after: Known
    """What is certain once it was evaluated, whatever it gave."""
    true: frozenset[str] = frozenset()
    """Names that are known if it is True."""
    false: frozenset[str] = frozenset()
    """Names that are known if it is False."""


Variables = Mapping[str, str]


class _Compiler:
    def __init__(self, checked: Checked) -> None:
        self.checked = checked
        self.reads = Counter(key for key, _ in checked.bindings.values())
        self.numbered = 0

    def fresh(self) -> str:
        self.numbered += 1
        return f"v{self.numbered}"

    def type_of(self, node: Node) -> Type:
        return self.checked.type_of(node)

    # Values.

    def value(self, node: Node, known: Known, variables: Variables) -> Code:
        bound = self.checked.bindings.get(id(node))
        if bound is not None:
            return self.read(*bound, known)
        match node:
            case nodes.Literal(value):
                return Code(constant(value), value is None, known)
            case nodes.Name(name):
                return Code(load(variables[name]), self.type_of(node) == DYN, known)
            case nodes.Logic():
                return self.logic(node, known, variables)
            case nodes.Unary("!", operand):
                return self.negation(operand, known, variables)
            case nodes.Ternary():
                return self.ternary(node, known, variables)
            case nodes.Macro():
                return self.macro(node, known, variables)
            case nodes.Call("has", (asked,)):
                return self.has(asked, known, variables)
            case nodes.Call("max" | "min"):
                return self.extreme(node, known, variables)
            case _:
                return self.strict(node, known, variables)

    def read(self, key: str, binding: Binding, known: Known) -> Code:
        """Read a name: from the local it was put into, or from where the scope says."""
        if binding.constant is not None:
            return Code(constant(binding.constant), False, known)
        maybe = not binding.always and key not in known.sure
        if key in known.locals:
            return Code(load(known.locals[key]), maybe, known)
        node = _parsed(binding.code)
        if self.reads[key] < 2:
            return Code(node, maybe, known)
        local = self.fresh()
        return Code(walrus(local, node), maybe, Known({**known.locals, key: local}, known.sure))

    def key_of(self, node: Node) -> frozenset[str]:
        bound = self.checked.bindings.get(id(node))
        return frozenset() if bound is None else frozenset([bound[0]])

    def strict(self, node: Node, known: Known, variables: Variables) -> Code:
        """Compile what needs all its operands: test those that may be unknown, then compute."""
        tests: list[ast.expr] = []
        operands: list[ast.expr] = []
        after: Known | None = None
        for part in nodes.children(node):
            code = self.value(part, known, variables)
            if code.maybe:
                name, test = self.tested(code.node)
                tests.append(test)
                operands.append(load(name))
                after = after or code.after
                known = known.with_locals(code.after).assuming(self.key_of(part))
            else:
                operands.append(code.node)
        result, maybe = self.compute(node, operands)
        if tests:
            result = either(any_of(tests), constant(None), result)
        return Code(result, maybe or bool(tests), after or known)

    def tested(self, node: ast.expr) -> tuple[str, ast.expr]:
        """Return the local that holds the value of `node`, and the test whether it is unknown."""
        if isinstance(node, ast.Name):
            return node.id, is_none(node)
        if isinstance(node, ast.NamedExpr):
            return node.target.id, is_none(node)
        local = self.fresh()
        return local, is_none(walrus(local, node))

    def compute(self, node: Node, operands: list[ast.expr]) -> tuple[ast.expr, bool]:
        """Return the code of an operation on known operands, and whether it may be unknown."""
        types = [self.type_of(part) for part in nodes.children(node)]
        match node:
            case nodes.Binary(op):
                return self.binary(op, operands, types, self.type_of(node))
            case nodes.Unary():
                if types[0] == DOUBLE:
                    return ast.UnaryOp(ast.USub(), operands[0]), False
                return call("_negated", *operands), True
            case nodes.Select(_, name):
                if types[0].name == "record":
                    return attribute(operands[0], name), True
                if types[0].name == "map":
                    return call(attribute(operands[0], "get"), constant(name)), True
                return call("_chosen", operands[0], constant(name)), True
            case nodes.Index():
                if types[0].name == "map" and DYN not in (types[0].of[0], types[1]):
                    return call(attribute(operands[0], "get"), operands[1]), True
                if types[0].name == "list" and types[1] == INT:
                    return call("_item_at", *operands), True
                return call("_indexed", *operands), True
            case nodes.ListLit():
                wanted = self.type_of(node).of[0]
                pairs = zip(operands, types, strict=True)
                return ast.List([as_type(each, found, wanted) for each, found in pairs], ast.Load()), False
            case nodes.MapLit():
                return self.map_literal(node, operands)
            case nodes.Call(function):
                return self.call(function, operands, types)
        raise AssertionError(f"no code for {node}")

    def binary(
        self, op: str, operands: list[ast.expr], types: list[Type], result: Type
    ) -> tuple[ast.expr, bool]:
        left, right = operands
        simple = {"bool", "int", "double", "string"}
        plain = DYN not in types and types[0].name in simple and types[1].name in simple
        if op in ("==", "!="):
            texts = STRING in types
            if plain or texts:
                return compare(op, *numbers_alike(operands, types)), False
            equal = call("_same", left, right)
            return (negate(equal) if op == "!=" else equal), False
        if op in COMPARISONS and op != "in":
            if plain:
                return compare(op, *numbers_alike(operands, types)), False
            return call("_ordered", load(f"_{ORDERS[op].__name__}"), left, right), True
        if op == "in":
            return contained(left, right, types)
        if op == "+" and result.name in ("string", "list") and DYN not in types:
            joined = ast.BinOp(left, ast.Add(), right)
            return (call("_joined", left, right) if result.name == "list" else joined), False
        if DYN in types:
            return call("_computed", constant(op), left, right), True
        if result == INT:
            if op in ("/", "%"):
                return call("_divide_ints" if op == "/" else "_remainder", left, right), True
            return call("_whole", ast.BinOp(left, ARITHMETIC[op], right)), True
        left, right = numbers_alike(operands, types)
        if op == "/" and not (isinstance(right, ast.Constant) and right.value != 0):
            return call("_divide", left, right), True
        return ast.BinOp(left, ARITHMETIC[op], right), False

    def map_literal(self, node: nodes.MapLit, operands: list[ast.expr]) -> tuple[ast.expr, bool]:
        wanted = self.type_of(node).of[1]
        keys = operands[::2]
        found = [self.type_of(value) for _, value in node.entries]
        values = [as_type(*each, wanted) for each in zip(operands[1::2], found, strict=True)]
        if all(isinstance(key, ast.Constant) for key in keys):
            return ast.Dict(list(keys), values), False
        pairs = [ast.Tuple([*pair], ast.Load()) for pair in zip(keys, values, strict=True)]
        return call("_mapping", *pairs), True

    def call(self, function: str, operands: list[ast.expr], types: list[Type]) -> tuple[ast.expr, bool]:
        match function:
            case "startsWith" | "endsWith" | "contains":
                if DYN in types:
                    return call(_DYNAMIC_TEXT[function], *operands), True
                if function == "contains":
                    return compare("in", operands[1], operands[0]), False
                return call(attribute(operands[0], function.lower()), operands[1]), False
            case "size":
                return (call("_sized", *operands), True) if DYN in types else (call("len", *operands), False)
            case "int":
                return (operands[0], False) if types == [INT] else (call("_to_int", *operands), True)
            case "double":
                if types == [INT] or types == [DOUBLE]:
                    return as_type(operands[0], types[0], DOUBLE), False
                return call("_to_double", *operands), True
            case "string":
                return (
                    (operands[0], False)
                    if types == [STRING]
                    else (call("_to_string", *operands), DYN in types)
                )
            case "abs":
                return (
                    (call("abs", *operands), False)
                    if types == [DOUBLE]
                    else (call("_distance", *operands), True)
                )
            case "ceil" | "floor" | "round":
                name = "_round_half_away" if function == "round" else f"_{function}"
                if DYN in types:
                    return call("_rounded", load(name), *operands), True
                return call(name, as_type(operands[0], types[0], DOUBLE)), False
        raise AssertionError(f"no code for {function}")

    # What is not strict.

    def has(self, asked: Node, known: Known, variables: Variables) -> Code:
        """has(x): is it known? Of a field inside a value: the value itself has to be."""
        bound = self.checked.bindings.get(id(asked))
        if bound is None and isinstance(asked, nodes.Select):
            target = self.value(asked.target, known, variables)
            name, test = self.tested(target.node)
            field_code, _ = self.compute(asked, [load(name) if target.maybe else target.node])
            present = ast.Compare(field_code, [ast.IsNot()], [constant(None)])
            if not target.maybe:
                return Code(present, False, known)
            return Code(either(test, constant(None), present), True, target.after)
        code = self.value(asked, known, variables)
        if not code.maybe:
            return Code(constant(True), False, known)
        key = self.key_of(asked)
        return Code(ast.Compare(code.node, [ast.IsNot()], [constant(None)]), False, code.after, true=key)

    def negation(self, operand: Node, known: Known, variables: Variables) -> Code:
        code = self.condition(operand, known, variables)
        if not code.maybe:
            return Code(negate(code.node), False, code.after, code.false, code.true)
        name, test = self.tested(code.node)
        node = either(test, constant(None), negate(load(name)))
        return Code(node, True, code.after, code.false, code.true)

    def condition(self, node: Node, known: Known, variables: Variables) -> Code:
        """Compile a value that has to be a bool; what turns out to be none is unknown."""
        code = self.value(node, known, variables)
        if self.type_of(node) == BOOL:
            return code
        return Code(call("_truth", code.node), True, code.after)

    def logic(self, node: nodes.Logic, known: Known, variables: Variables) -> Code:
        """`&&` and `||`. An operand is reached only when those before did not decide."""
        both = node.op == "&&"
        codes: list[Code] = []
        facts: frozenset[str] = frozenset()
        for operand in node.operands:
            code = self.condition(operand, known, variables)
            codes.append(code)
            passed = code.true if both else code.false
            facts |= passed
            known = known.with_locals(code.after)
            if not code.maybe:
                known = known.assuming(passed)
        true, false = (facts, frozenset[str]()) if both else (frozenset[str](), facts)
        after = codes[0].after
        if not any(code.maybe for code in codes[:-1]):
            op: ast.boolop = ast.And() if both else ast.Or()
            result: ast.expr = ast.BoolOp(op, [code.node for code in codes])
            return Code(result, codes[-1].maybe, after, true, false)
        decides: list[ast.expr] = []
        unknowns: list[ast.expr] = []
        for code in codes:
            if not code.maybe:
                decides.append(negate(code.node) if both else code.node)
                continue
            if isinstance(code.node, ast.NamedExpr | ast.Name):
                held, name = code.node, self.tested(code.node)[0]
            else:
                name = self.fresh()
                held = walrus(name, code.node)
            decides.append(ast.Compare(held, [ast.Is()], [constant(not both)]))
            unknowns.append(is_none(load(name)))
        undecided = either(any_of(unknowns), constant(None), constant(both))
        return Code(either(any_of(decides), constant(not both), undecided), True, after, true, false)

    def ternary(self, node: nodes.Ternary, known: Known, variables: Variables) -> Code:
        condition = self.condition(node.condition, known, variables)
        known = known.with_locals(condition.after)
        wanted = self.type_of(node)
        then = self.value(node.then, known.assuming(condition.true), variables)
        otherwise = self.value(node.otherwise, known.assuming(condition.false), variables)
        yes = self.as_wanted(then, self.type_of(node.then), wanted)
        no = self.as_wanted(otherwise, self.type_of(node.otherwise), wanted)
        if not condition.maybe:
            chosen = either(condition.node, yes, no)
        else:
            name, test = self.tested(condition.node)
            chosen = either(test, constant(None), either(load(name), yes, no))
        return Code(chosen, condition.maybe or then.maybe or otherwise.maybe, condition.after)

    def as_wanted(self, code: Code, found: Type, wanted: Type) -> ast.expr:
        if not code.maybe or found != INT or wanted != DOUBLE:
            return as_type(code.node, found, wanted)
        name, test = self.tested(code.node)
        return either(test, constant(None), as_type(load(name), found, wanted))

    def extreme(self, node: nodes.Call, known: Known, variables: Variables) -> Code:
        """max() and min(): unknown operands are left out."""
        wanted, parts, maybe = self.type_of(node), [], True
        first: Known | None = None
        for argument in node.arguments:
            code = self.value(argument, known, variables)
            found = self.type_of(argument)
            parts.append(call("_number", code.node) if found == DYN else self.as_wanted(code, found, wanted))
            maybe = maybe and (code.maybe or found == DYN)
            known = known.with_locals(code.after)
            first = first or code.after
        called = call("_largest" if node.function == "max" else "_smallest", *parts)
        return Code(called, maybe, first or known)

    def macro(self, node: nodes.Macro, known: Known, variables: Variables) -> Code:
        target = self.value(node.target, known, variables)
        items, maybe = target.node, target.maybe
        if self.type_of(node.target) == DYN:
            items, maybe = call("_iterable", items), True
        test = None
        if maybe:
            name, test = self.tested(items)
            items = load(name)
        # The lambda runs at once, but maybe never: what it reads into locals stays inside.
        inside = known.with_locals(target.after).assuming(self.key_of(node.target))
        if node.predicate is not None:
            predicate = self.body(node, node.predicate, inside, variables, truth=True)
            kept = call("_kept", items, predicate)
            name, missing = self.tested(kept)
            test = missing if test is None else any_of([test, missing])
            items = load(name)
        body = self.body(node, node.body, inside, variables, truth=node.kind != "map")
        result: ast.expr = call(_MACROS[node.kind], items, body)
        if test is not None:
            result = either(test, constant(None), result)
        return Code(result, True, target.after)

    def body(
        self, node: nodes.Macro, part: Node, known: Known, variables: Variables, *, truth: bool
    ) -> ast.expr:
        local = self.fresh()
        inner = {**variables, node.variable: local}
        code = self.condition(part, known, inner) if truth else self.value(part, known, inner)
        arguments = ast.arguments([], [ast.arg(local)], None, [], [], None, [])
        return ast.Lambda(arguments, code.node)


_DYNAMIC_TEXT = {"startsWith": "_starts", "endsWith": "_ends", "contains": "_has_part"}
_MACROS = {
    "all": "_every",
    "exists": "_some",
    "exists_one": "_exactly_one",
    "filter": "_kept",
    "map": "_mapped",
}


@cache
def _parsed(code: str) -> ast.expr:
    return ast.parse(code, mode="eval").body


def as_type(node: ast.expr, found: Type, wanted: Type) -> ast.expr:
    """Promote an int to a double where a double is wanted."""
    if found != INT or wanted != DOUBLE:
        return node
    if isinstance(node, ast.Constant) and isinstance(node.value, int):
        return constant(float(node.value))
    return call("float", node)


def numbers_alike(operands: Sequence[ast.expr], types: Sequence[Type]) -> list[ast.expr]:
    """Write constant ints as doubles beside a double: Python compares those faster."""
    if DOUBLE not in types:
        return list(operands)
    return [
        as_type(node, found, DOUBLE) if isinstance(node, ast.Constant) else node
        for node, found in zip(operands, types, strict=True)
    ]


def contained(left: ast.expr, right: ast.expr, types: list[Type]) -> tuple[ast.expr, bool]:
    """`in`: a set of constants where the list is one, Python's `in` where the kinds are alike."""
    inside = types[1].of[0] if types[1].of else DYN
    if types[1] == DYN:
        return call("_contained", left, right), True
    alike = STRING in (types[0], inside) or (types[0] in (INT, DOUBLE) and inside in (INT, DOUBLE))
    if not alike or DYN in (types[0], inside):
        return call("_contained", left, right), False
    if (
        isinstance(right, ast.List)
        and all(isinstance(each, ast.Constant) for each in right.elts)
        and right.elts
    ):
        right = ast.Set(right.elts)
    return compare("in", left, right), False
