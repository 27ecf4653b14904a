"""What compiled guards call where an operator of Python does not do: arithmetic, macros, dynamic values.

Every function is total: it takes values (never unknown ones, unless it says so) and returns a value, or None
where CEL reports an error (overflow, division by zero, a missing key, values of the wrong kind).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

INT_MIN, INT_MAX = -(2**63), 2**63 - 1


def whole(value: int) -> int | None:
    """Keep an int that fits into 64 bits."""
    return value if INT_MIN <= value <= INT_MAX else None


def divide_ints(left: int, right: int) -> int | None:
    """Divide towards zero, as CEL does."""
    if left >= 0 and right > 0:
        return left // right
    if right == 0:
        return None
    quotient = abs(left) // abs(right)
    return whole(quotient if (left < 0) == (right < 0) else -quotient)


def remainder(left: int, right: int) -> int | None:
    """Return what divide_ints leaves: it has the sign of `left`."""
    if right == 0 or (left == INT_MIN and right == -1):
        return None
    rest = abs(left) % abs(right)
    return -rest if left < 0 else rest


def divide(left: float, right: float) -> float | None:
    """Divide doubles; by zero is unknown."""
    return None if right == 0 else left / right


def larger(left: Any, right: Any) -> Any:
    """Return the larger of two, either of which may be unknown: then the other."""
    if left is None or (right is not None and right > left):
        return right
    return left


def smaller(left: Any, right: Any) -> Any:
    """Return the smaller of two, either of which may be unknown: then the other."""
    if left is None or (right is not None and right < left):
        return right
    return left


def item_at(items: Sequence[Any], index: int) -> Any:
    """Return an item of a list; outside of it is unknown."""
    return items[index] if 0 <= index < len(items) else None


def mapping(*entries: tuple[Any, Any]) -> dict[Any, Any] | None:
    """Build a map; a key that stands twice makes it unknown."""
    built = dict(entries)
    return built if len(built) == len(entries) else None


# Macros. The list may be a map: then its keys are gone through.


def every(items: Iterable[Any], holds: Callable[[Any], bool | None]) -> bool | None:
    """CEL's all(): one false decides, an unknown is only told if nothing was false."""
    unknown = False
    for item in items:
        answer = holds(item)
        if answer is False:
            return False
        unknown = unknown or answer is None
    return None if unknown else True


def some(items: Iterable[Any], holds: Callable[[Any], bool | None]) -> bool | None:
    """CEL's exists(): one true decides, an unknown is only told if nothing was true."""
    unknown = False
    for item in items:
        answer = holds(item)
        if answer:
            return True
        unknown = unknown or answer is None
    return None if unknown else False


def exactly_one(items: Iterable[Any], holds: Callable[[Any], bool | None]) -> bool | None:
    """CEL's exists_one(): any unknown makes it unknown."""
    answers = [holds(item) for item in items]
    return None if None in answers else answers.count(True) == 1


def kept(items: Iterable[Any], holds: Callable[[Any], bool | None]) -> list[Any] | None:
    """CEL's filter(): any unknown makes it unknown."""
    chosen = []
    for item in items:
        answer = holds(item)
        if answer is None:
            return None
        if answer:
            chosen.append(item)
    return chosen


def mapped(items: Iterable[Any], make: Callable[[Any], Any]) -> list[Any] | None:
    """CEL's map(): any unknown makes it unknown."""
    made = [make(item) for item in items]
    return None if any(each is None for each in made) else made


# Conversions.

_INT_TEXT = re.compile(r"[+-]?[0-9]{1,40}", re.ASCII)
_DOUBLE_TEXT = re.compile(
    r"[+-]?(?:[0-9]{1,400}(?:\.[0-9]{0,400})?|\.[0-9]{1,400})(?:[eE][+-]?[0-9]{1,9})?", re.ASCII
)


def to_int(value: Any) -> int | None:
    """Doubles lose their fraction; texts are decimal digits."""
    if isinstance(value, str):
        return whole(int(value)) if _INT_TEXT.fullmatch(value) else None
    if isinstance(value, float):
        return whole(int(value)) if math.isfinite(value) else None
    return value if is_number(value) else None


def to_double(value: Any) -> float | None:
    """Texts are decimal numbers, with a point or an exponent or none; `inf` and `nan` are none."""
    if isinstance(value, str):
        number = float(value) if _DOUBLE_TEXT.fullmatch(value) else math.inf
        return number if math.isfinite(number) else None
    return float(value) if is_number(value) else None


def to_string(value: Any) -> str | None:
    """Write as CEL does: `4`, `0.5`, `1.5e+06`, `true`."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    return _double_text(value) if isinstance(value, float) else None


def _double_text(value: float) -> str:
    if not math.isfinite(value):
        return "nan" if value != value else "inf" if value > 0 else "-inf"
    sign, digits, exponent = _decimal(value)
    if -4 <= exponent < max(6, len(digits)) and exponent < 21:
        if exponent >= len(digits) - 1:
            return sign + digits.ljust(exponent + 1, "0")
        if exponent < 0:
            return f"{sign}0.{'0' * (-exponent - 1)}{digits}"
        return f"{sign}{digits[: exponent + 1]}.{digits[exponent + 1 :]}"
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{fraction}e{exponent:+03d}"


def _decimal(value: float) -> tuple[str, str, int]:
    """Return sign, shortest digits and decimal exponent of the first digit."""
    mantissa, _, exponent = f"{value!r}".partition("e")
    sign, mantissa = ("-", mantissa[1:]) if mantissa.startswith("-") else ("", mantissa)
    integral, _, fraction = mantissa.partition(".")
    shift = int(exponent or 0) + len(integral) - 1
    digits = integral + fraction
    stripped = digits.lstrip("0")
    shift -= len(digits) - len(stripped) if stripped else 0
    return sign, stripped.rstrip("0") or "0", shift


def round_half_away(value: float) -> float:
    """Round halves away from zero, as CEL's math.round."""
    if not math.isfinite(value) or abs(value) >= 2**52:
        return float(value)
    return math.copysign(math.floor(abs(value) + 0.5) if abs(value) != 0.49999999999999994 else 0.0, value)


def ceil(value: float) -> float:
    """Round up."""
    return float(math.ceil(value)) if math.isfinite(value) else value


def floor(value: float) -> float:
    """Round down."""
    return float(math.floor(value)) if math.isfinite(value) else value


# Values whose kind is only known when they are there: nested objects, elements of mixed lists.


def is_number(value: Any) -> bool:
    """Is it an int or a double? In Python bools are ints."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def same(left: Any, right: Any) -> bool:
    """CEL's equality: numbers by value, everything else by kind and value."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return len(left) == len(right) and all(key in right and same(left[key], right[key]) for key in left)
    return bool(left == right)


def ordered(op: Callable[[Any, Any], bool], left: Any, right: Any) -> bool | None:
    """Compare two numbers, two texts or two bools; None for anything else."""
    if is_number(left) and is_number(right):
        return op(left, right)
    if type(left) is type(right) and isinstance(left, str | bool):
        return op(left, right)
    return None


def computed(op: str, left: Any, right: Any) -> Any:
    """Compute with values of any kind; None where CEL has no such operation."""
    if is_number(left) and is_number(right):
        if isinstance(left, int) and isinstance(right, int):
            return _INTS[op](left, right)
        return None if op == "%" else _DOUBLES[op](float(left), float(right))
    if op == "+" and isinstance(left, str) and isinstance(right, str):
        return left + right
    if op == "+" and isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return [*left, *right]
    return None


_INTS: dict[str, Callable[[int, int], int | None]] = {
    "+": lambda left, right: whole(left + right),
    "-": lambda left, right: whole(left - right),
    "*": lambda left, right: whole(left * right),
    "/": divide_ints,
    "%": remainder,
}
_DOUBLES: dict[str, Callable[[float, float], float | None]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": divide,
}


def negated(value: Any) -> Any:
    """Return minus the value."""
    if isinstance(value, int) and not isinstance(value, bool):
        return whole(-value)
    return -value if isinstance(value, float) else None


def number(value: Any) -> Any:
    """Keep a number."""
    return value if is_number(value) else None


def truth(value: Any) -> bool | None:
    """Keep a bool."""
    return value if isinstance(value, bool) else None


def text(value: Any) -> str | None:
    """Keep a text."""
    return value if isinstance(value, str) else None


def chosen(value: Any, name: str) -> Any:
    """Read a field by name: of a map, or of a struct that declares it. Nothing else has fields here."""
    if isinstance(value, dict):
        return value.get(name)
    if isinstance(value, msgspec.Struct) and name in value.__struct_fields__:
        return getattr(value, name)
    return None


def present(value: Any, name: str) -> bool | None:
    """Answer has(value.name); what has no fields at all makes it unknown."""
    if isinstance(value, dict | msgspec.Struct):
        return chosen(value, name) is not None
    return None


def indexed(value: Any, key: Any) -> Any:
    """Return `value[key]` of a list or a map."""
    if isinstance(value, list | tuple):
        return item_at(value, key) if isinstance(key, int) and not isinstance(key, bool) else None
    if isinstance(value, dict) and isinstance(key, str | int | float):
        return value.get(key)
    return None


def contained(value: Any, items: Any) -> bool | None:
    """Answer `value in items` for lists and maps."""
    if isinstance(items, list | tuple):
        return any(same(value, item) for item in items)
    if isinstance(items, dict):
        return isinstance(value, str | int | float) and any(same(value, key) for key in items)
    return None


def sized(value: Any) -> int | None:
    """Return size(value)."""
    return len(value) if isinstance(value, str | list | tuple | dict) else None


def iterable(value: Any) -> Any:
    """Keep what macros go through."""
    return value if isinstance(value, list | tuple | dict) else None


def distance(value: Any) -> Any:
    """Return abs(value); it overflows for the smallest int."""
    if not is_number(value):
        return None
    return whole(abs(value)) if isinstance(value, int) else abs(value)


def joined(left: Sequence[Any], right: Sequence[Any]) -> list[Any]:
    """Put two lists together."""
    return [*left, *right]


def starts(value: Any, start: Any) -> bool | None:
    """Answer startsWith()."""
    return value.startswith(start) if isinstance(value, str) and isinstance(start, str) else None


def ends(value: Any, end: Any) -> bool | None:
    """Answer endsWith()."""
    return value.endswith(end) if isinstance(value, str) and isinstance(end, str) else None


def has_part(value: Any, part: Any) -> bool | None:
    """Answer contains()."""
    return part in value if isinstance(value, str) and isinstance(part, str) else None


def rounded(how: Callable[[float], float], value: Any) -> float | None:
    """Round a number."""
    return how(value) if is_number(value) else None
