"""Types of calls: what each function takes and gives, and what is said when it is called in another way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from journey_stream.journeys.guards import nodes
from journey_stream.journeys.guards.suggest import a, did_you_mean, example
from journey_stream.journeys.guards.types import BOOL, DOUBLE, DYN, INT, NULL, STRING, Type, Variables

if TYPE_CHECKING:
    from journey_stream.journeys.guards.check import Checker

SCOPED = ("stage", "entries", "oldest")
"""Functions that the scope answers."""
TEXT_METHODS = ("startsWith", "endsWith", "contains")
FUNCTIONS = ("has", "max", "min", "size", "int", "double", "string", "abs", "ceil", "floor", "round", *SCOPED)


def method(checker: Checker, node: nodes.Call, target: Type, variables: Variables) -> Type:
    """Type `target.function(...)`."""
    given = [checker.infer(argument, variables) for argument in node.arguments]
    if node.function == "size" and not given:
        return size(checker, node, target)
    if node.function == "matches":
        way_out = "use contains(), startsWith() or endsWith()"
        return checker.problem("unknown-function", node, "regular expressions are not offered", way_out)
    if node.function not in TEXT_METHODS:
        return unknown_function(checker, node)
    if len(given) != 1:
        usage = f'write text.{node.function}("...")'
        return checker.problem("bad-call", node, f"{node.function}() takes one text", usage)
    for part, found in zip((node.target or node, *node.arguments), (target, *given), strict=True):
        if found not in (STRING, DYN):
            checker.wrong(
                part, f"{node.function}() is for text, not for {a(found)}", "write string(...) around it"
            )
    return BOOL


def function(checker: Checker, node: nodes.Call, variables: Variables) -> Type:
    """Type `function(...)`."""
    name, arguments = node.function, node.arguments
    if name in SCOPED:
        return scoped(checker, node)
    if name not in FUNCTIONS:
        return unknown_function(checker, node)
    given = [checker.infer(argument, variables) for argument in arguments]
    if name in ("max", "min"):
        if not given:
            return checker.problem("bad-call", node, f"{name}() of nothing", f"write {name}(a, b)")
        for argument, found in zip(arguments, given, strict=True):
            if not found.numeric and found != NULL:
                checker.wrong(argument, f"{name}() takes numbers, not {a(found)}", f"write {name}(a, b)")
        known = [found for found in given if found != NULL]
        return DYN if DYN in known or not known else INT if set(known) == {INT} else DOUBLE
    if len(given) != 1:
        return checker.problem(
            "bad-call", node, f"{name}() takes one argument, not {len(given)}", f"write {name}(x)"
        )
    if name == "has":
        if not isinstance(arguments[0], nodes.Name | nodes.Select):
            way_out = "write has(name) or has(event.name)"
            return checker.problem("bad-call", node, "has() asks for a name, not for an expression", way_out)
        return BOOL
    return converted(checker, node, name, given[0])


def converted(checker: Checker, node: nodes.Call, name: str, given: Type) -> Type:
    """Type a function of one value."""
    argument = node.arguments[0]
    if name == "size":
        return size(checker, node, given)
    if name in ("abs", "ceil", "floor", "round"):
        if not given.numeric:
            checker.wrong(argument, f"{name}() takes a number, not {a(given)}", f"write {name}(double(...))")
        return given if name == "abs" else DOUBLE
    allowed = (INT, DOUBLE, STRING, DYN, BOOL) if name == "string" else (INT, DOUBLE, STRING, DYN)
    if given not in allowed:
        checker.wrong(argument, f"{name}() of {a(given)}", "it takes a number or a text")
    return Type("int" if name == "int" else "double" if name == "double" else "string")


def size(checker: Checker, node: nodes.Call, given: Type) -> Type:
    """Type `size(x)` and `x.size()`."""
    if given != STRING and given.name not in ("list", "map", "dyn"):
        return checker.wrong(node, f"size of {a(given)}", "only texts, lists and maps have a size")
    return INT


def scoped(checker: Checker, node: nodes.Call) -> Type:
    """Type what the scope answers: `stage("x")`, `entries("x")`, `oldest(x)`."""
    name, arguments = node.function, node.arguments
    known = checker.scope.call_arguments(name)
    if known is None:
        message = f"{name}() is not known in this place"
        return checker.problem("unknown-function", node, message, "it belongs into `when` and its like")
    usage = "oldest(attribute)" if name == "oldest" else f'{name}("{example(known)}")'
    first = arguments[0] if len(arguments) == 1 else None
    asked = nodes.path_of(first) if name == "oldest" and first is not None else None
    if name != "oldest" and isinstance(first, nodes.Literal) and isinstance(first.value, str):
        asked = first.value
    if asked is None:
        return checker.problem("bad-call", node, f"{name}() takes one name", f"write {usage}")
    binding = checker.scope.lookup_call(name, asked)
    if binding is None:
        message = f"{name}() knows no `{asked}`"
        return checker.problem("unknown-name", node.arguments[0], message, did_you_mean(asked, known))
    return checker.bind(node, f"{name}({asked})", binding)


def unknown_function(checker: Checker, node: nodes.Call) -> Type:
    """Say what there is instead."""
    name = node.function
    if name in (*TEXT_METHODS, "all", "exists", "exists_one", "filter", "map") and node.target is None:
        return checker.problem("bad-call", node, f"{name}() follows what it is about", f"write x.{name}(...)")
    if name in FUNCTIONS and node.target is not None:
        way_out = f"write {name}({nodes.to_text(node.target)})"
        return checker.problem("bad-call", node, f"{name}() does not follow a dot", way_out)
    known = FUNCTIONS if node.target is None else (*TEXT_METHODS, "size", "all", "exists", "filter", "map")
    return checker.problem(
        "unknown-function", node, f"there is no function `{name}`", did_you_mean(name, known)
    )
