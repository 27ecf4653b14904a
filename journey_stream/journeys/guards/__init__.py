"""Guards: the expressions of journey definitions, CEL in, fast Python out.

    expression = parse("orders >= 4 && (!has(satisfied) || satisfied >= 0.7)")
    type, problems = check(expression, scope)       # findings, nothing raised
    guard = compile_expr(expression, scope, env)    # guard(c, e, t) -> value, or None when unknown

The rooms, in order: `scan.py` (words), `parse.py` (tree: `nodes.py`), `check.py` and `check_calls.py` (types,
mistakes), `compile.py` (`emit.py`, `operations.py` write Python), `runtime.py` (what compiled guards call).
`types.py` says what types and scopes are. docs/guards.md tells authors what there is.

Where we differ from CEL, on purpose:

- What CEL calls an error (unset name, division by zero, missing key, overflow) is one thing: *unknown*, None.
  `&&`, `||`, `all` and `exists` absorb it as CEL absorbs errors. A double by zero is unknown, not infinite.
- `has(x)` also asks for a bare name; `null` is the unknown value, and comparing with it is a mistake.
- An int beside a double is promoted, also in lists and `?:`; CEL's checker refuses.
- `max` and `min` leave unknown operands out. `abs ceil floor round` stand without `math.`.
- Durations (`120d`, `1d12h`) are numbers of seconds.
- int("...") and double("...") take decimal numbers without spaces, and no `inf`, `nan` or hexadecimal.
- Not offered: bytes, uints, timestamps, messages, `matches`, `type`, `dyn`, names that start with a dot.
- Bounded: 4,000 characters, 50 levels, 2 macros inside each other.
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
