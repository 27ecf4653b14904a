"""Folds: what an attribute keeps over all time, as pure functions on the value of one slot.

In: what the slot holds (None at first), an event's value and id. Out: what the slot holds then. A slot holds
msgpack-able values only; a collection that outgrows its limit merges its oldest entries and counts them.

Shapes, by form: count int · count/sum by id [total, {id: amount}, merged] · sum, min, max, first, last the
value · mean [sum, n] · distinct [values, merged] · map [{key: value}, merged].
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from functools import reduce
from hashlib import blake2b
from operator import add
from typing import Any

from journey_stream.journeys.model import Attribute

LONG = 128


def short(identity: object) -> str:
    """Name an id in a state: itself, or a hash where it would take too much room."""
    text = identity if type(identity) is str else str(identity)
    if len(text) <= LONG:
        return text
    return blake2b(text.encode(errors="surrogatepass"), digest_size=8).hexdigest()


def total(values: Iterable[float]) -> float:
    """Add up from left to right: `sum` rounds otherwise from one version of Python to the next."""
    return reduce(add, values, 0.0)


class Fold(ABC):
    """One form of folding; `add` and `take` return the slot's new content."""

    empty: Any = None
    mutable = False
    """Whether `read` hands out what later events change in place."""
    inline: str | None = None
    """Python source that reads slot {0}, where no call is needed."""
    merges = False
    """Whether a limit can make it approximate."""
    described: dict[str, Any]
    """The same as data, for the compiled core."""

    @abstractmethod
    def add(self, held: Any, value: Any, identity: str | None) -> Any:
        """Put a value in; an id that is in already changes nothing."""

    def take(self, held: Any, value: Any, identity: str | None) -> Any:
        """Take back what was added (for this id); most forms cannot, and the language does not let them."""
        return held

    def read(self, held: Any) -> Any:
        """The value of what the slot holds."""
        return held

    def merged(self, held: Any) -> bool:
        """Whether the limit made this approximate."""
        return False


class _Count(Fold):
    empty = 0
    inline = "c.attrs[{0}]"
    described = {"f": "count"}  # noqa: RUF012

    def add(self, held: Any, value: Any, identity: str | None) -> Any:
        return held + 1

    def take(self, held: Any, value: Any, identity: str | None) -> Any:
        return held - 1 if held > 0 else 0


class _Sum(Fold):
    inline = "(c.attrs[{0}] or 0.0)"
    described = {"f": "sum"}  # noqa: RUF012

    def add(self, held: Any, value: Any, identity: str | None) -> Any:
        return (held or 0.0) + value

    def take(self, held: Any, value: Any, identity: str | None) -> Any:
        return held if value is None else (held or 0.0) - value

    def read(self, held: Any) -> Any:
        return held or 0.0


class _Identified(Fold):
    """Count or sum where each id counts once, and can be taken back."""

    merges = True

    def __init__(self, limit: int, zero: int | float) -> None:
        self.limit, self.zero = limit, zero
        self.inline = f"(c.attrs[{{0}}] or ({zero},))[0]"
        self.described = {"f": "identified", "limit": limit, "sum": type(zero) is float}

    def add(self, held: Any, value: Any, identity: str | None) -> Any:
        if held is None:
            return [value, {identity: value}, 0]
        amounts = held[1]
        if identity not in amounts:
            held[0] += value
            amounts[identity] = value
            if len(amounts) > self.limit:
                del amounts[next(iter(amounts))]
                held[2] += 1
        return held

    def take(self, held: Any, value: Any, identity: str | None) -> Any:
        if held is not None and identity in held[1]:
            amount = held[1].pop(identity)
            if not held[1] and not held[2]:
                return None
            held[0] -= amount
        return held

    def read(self, held: Any) -> Any:
        return self.zero if held is None else held[0]

    def merged(self, held: Any) -> bool:
        return held is not None and held[2] > 0


class _Extreme(Fold):
    inline = "c.attrs[{0}]"

    def __init__(self, choose: Callable[[Any, Any], Any], name: str) -> None:
        self.choose = choose
        self.described = {"f": name}

    def add(self, held: Any, value: Any, identity: str | None) -> Any:
        return value if held is None else self.choose(held, value)


class _Mean(Fold):
    described = {"f": "mean"}  # noqa: RUF012

    def add(self, held: Any, value: Any, identity: str | None) -> Any:
        return [value, 1] if held is None else [held[0] + value, held[1] + 1]

    def read(self, held: Any) -> Any:
        return None if held is None else held[0] / held[1]


class _First(Fold):
    inline = "c.attrs[{0}]"
    described = {"f": "first"}  # noqa: RUF012

    def add(self, held: Any, value: Any, identity: str | None) -> Any:
        return value if held is None else held


class _Last(Fold):
    inline = "c.attrs[{0}]"
    described = {"f": "last"}  # noqa: RUF012

    def add(self, held: Any, value: Any, identity: str | None) -> Any:
        return value


class _Distinct(Fold):
    inline = "(c.attrs[{0}] or ([],))[0]"
    mutable = True
    merges = True

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.described = {"f": "distinct", "limit": limit}

    def add(self, held: Any, value: Any, identity: str | None) -> Any:
        if held is None:
            return [[value], 0]
        found = held[0]
        if value not in found:
            found.append(value)
            if len(found) > self.limit:
                del found[0]
                held[1] += 1
        return held

    def read(self, held: Any) -> Any:
        return [] if held is None else held[0]

    def merged(self, held: Any) -> bool:
        return held is not None and held[1] > 0


class _Mapped(Fold):
    """A map from key to last, sum or count; `add` takes (key, value)."""

    inline = "(c.attrs[{0}] or ({{}},))[0]"
    mutable = True
    merges = True

    def __init__(self, limit: int, keeps: str) -> None:
        self.limit, self.keeps = limit, keeps
        self.described = {"f": "map", "limit": limit, "keeps": keeps}

    def add(self, held: Any, value: Any, identity: str | None) -> Any:
        key, amount = value
        if held is None:
            held = [{}, 0]
        table = held[0]
        if self.keeps == "count":
            table[key] = table.get(key, 0) + 1
        elif self.keeps == "sum":
            table[key] = table.get(key, 0.0) + amount
        else:
            table[key] = amount
        if len(table) > self.limit:
            del table[next(iter(table))]
            held[1] += 1
        return held

    def read(self, held: Any) -> Any:
        return {} if held is None else held[0]

    def merged(self, held: Any) -> bool:
        return held is not None and held[1] > 0


def fold_of(attribute: Attribute) -> Fold:
    """Choose how an attribute folds; `open`, `elapsed`, `rhythm` and `value` do not."""
    match attribute.form:
        case "count":
            return _Identified(attribute.limit, 0) if attribute.by else _Count()
        case "sum":
            return _Identified(attribute.limit, 0.0) if attribute.by else _Sum()
        case "min":
            return _Extreme(min, "min")
        case "max":
            return _Extreme(max, "max")
        case "mean":
            return _Mean()
        case "first":
            return _First()
        case "last":
            return _Last()
        case "distinct":
            return _Distinct(attribute.limit)
        case "map":
            return _Mapped(attribute.limit, attribute.keeps)
        case _:
            msg = f"attribute {attribute.name!r}: {attribute.form!r} is not a fold"
            raise AssertionError(msg)
