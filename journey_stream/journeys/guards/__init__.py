"""Guards: the expressions of journey definitions, CEL in, fast Python out.

    expression = parse("orders >= 4 && (!has(satisfied) || satisfied >= 0.7)")
    type, problems = check(expression, scope)       # findings, nothing raised
    guard = compile_expr(expression, scope, env)    # guard(c, e, t) -> value, or None when unknown

`parse.py` reads (scan.py cuts the words), `check.py` types, `compile.py` writes Python, `runtime.py` is called by
what it wrote. `types.py` says what a scope is. docs/guards.md tells authors, and where we differ from CEL.
"""

from journey_stream.journeys.guards.check import check
from journey_stream.journeys.guards.compile import (
    Guard,
    GuardTypeError,
    compile_event_expr,
    compile_expr,
    explain_code,
)
from journey_stream.journeys.guards.parse import Expression, parse
from journey_stream.journeys.guards.scan import GuardSyntaxError
from journey_stream.journeys.guards.types import (
    BOOL,
    DOUBLE,
    DYN,
    INT,
    NULL,
    STRING,
    Binding,
    PlainScope,
    Problem,
    Scope,
    Type,
    from_field_type,
    list_of,
    map_of,
    record_of,
)

__all__ = [
    "BOOL",
    "DOUBLE",
    "DYN",
    "INT",
    "NULL",
    "STRING",
    "Binding",
    "Expression",
    "Guard",
    "GuardSyntaxError",
    "GuardTypeError",
    "PlainScope",
    "Problem",
    "Scope",
    "Type",
    "check",
    "compile_event_expr",
    "compile_expr",
    "explain_code",
    "from_field_type",
    "list_of",
    "map_of",
    "parse",
    "record_of",
]
