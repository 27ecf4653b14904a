"""Guards to functions: an expression that was read and checked becomes one Python function `(c, e, t)`.

In: an expression, its scope, and the objects that the bindings speak of. Out: a function that returns the
value, or None when it is unknown. Nothing the author wrote becomes source: names turn into the bindings' own
code, variables into numbered ones, everything else into constants. `emit.py` writes the tree; here it is
compiled, without `eval` or `exec`, into a function whose only globals are ours.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from types import CodeType, FunctionType
from typing import Any

from journey_stream.errors import JourneyDefinitionError
from journey_stream.journeys.guards import runtime
from journey_stream.journeys.guards.check import Checked, examine
from journey_stream.journeys.guards.described import describe
from journey_stream.journeys.guards.emit import Emitter, Known
from journey_stream.journeys.guards.parse import Expression
from journey_stream.journeys.guards.pyast import ORDERS
from journey_stream.journeys.guards.types import Scope

Guard = Callable[[Any, Any, int], Any]
"""Takes the state of the customer, the event (or None) and now in microseconds."""


class GuardTypeError(JourneyDefinitionError):
    """An expression that was not checked, or not mended, cannot be compiled."""


def compile_expr(expression: Expression, scope: Scope, env: Mapping[str, object] | None = None) -> Guard:
    """Compile a guard.

    Args:
        expression: As `parse` returned it.
        scope: Knows every name; its bindings' code may use `c`, `e`, `t`, `env` and a few builtins.
        env: What the bindings' code names beyond that. Names of ours (`v1`, `cel_same`) are taken.

    Raises:
        GuardTypeError: when `check` has problems with it; a caller shows those first.
        ValueError: when `env` takes one of our names.
    """
    taken = [name for name in env or () if _OURS.fullmatch(name)]
    if taken:
        message = (
            f"env binds {', '.join(taken)}: names like v1 and cel_... belong to the compiled code; rename"
        )
        raise ValueError(message)
    checked = _sound(expression, scope)
    code = compile(_written(checked), f"<guard {expression.text}>", "exec")
    body = next(each for each in code.co_consts if isinstance(each, CodeType))
    guard = FunctionType(body, {**_GLOBALS, **(env or {}), "__builtins__": {}}, "guard")
    # The same as data, for the compiled core; None: only in Python.
    guard.__dict__["described"] = describe(checked)
    return guard


def compile_event_expr(
    expression: Expression, scope: Scope, env: Mapping[str, object] | None = None
) -> Guard:
    """Compile a `where`: the same, in a scope whose bindings read the event only."""
    return compile_expr(expression, scope, env)


def explain_code(expression: Expression, scope: Scope) -> str:
    """Return the Python that a guard becomes, for people who look into its speed."""
    return ast.unparse(to_python(expression, scope))


def to_python(expression: Expression, scope: Scope) -> ast.Module:
    """Return a module with one function, `guard(c, e, t)`."""
    return _written(_sound(expression, scope))


def _sound(expression: Expression, scope: Scope) -> Checked:
    checked = examine(expression, scope)
    if checked.problems:
        first = checked.problems[0]
        message = f"`{expression.text}`, column {first.column}: {first.message}: {first.suggestion}"
        raise GuardTypeError(message)
    return checked


def _written(checked: Checked) -> ast.Module:
    value = Emitter(checked).value(checked.expression.root, Known(), {})
    arguments = ast.arguments([], [ast.arg(name) for name in ("c", "e", "t")], None, [], [], None, [])
    function = ast.FunctionDef("guard", arguments, [ast.Return(value.expr)], [])
    return ast.fix_missing_locations(ast.Module([function], []))


_OURS = re.compile(r"v[0-9]+|cel_.*")
_BUILTINS = (abs, all, any, bool, dict, float, getattr, int, len, list, max, min, next, str, sum, tuple)
"""What the code of bindings may call; `getattr` among it, for that code is ours."""
_GLOBALS: dict[str, Any] = {
    **{each.__name__: each for each in _BUILTINS},
    **{f"cel_{name}": each for name, each in vars(runtime).items() if callable(each)},
    **{f"cel_{each.__name__}": each for each in ORDERS.values()},
}
