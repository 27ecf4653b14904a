"""Folds: what an attribute keeps over all time, as pure functions on the value of one slot.

In: what the slot holds (None at first), an event's value and id. Out: what the slot holds then. A slot holds
msgpack-able values only; a collection that outgrows its limit merges its oldest entries and counts them.

Shapes, by form: count int · count/sum by id [total, {id: amount}, merged] · sum, min, max, first, last the
value · mean [sum, n] · distinct [values, merged] · map [{key: value}, merged].
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from hashlib import blake2b
from typing import Any

LONG = 128


def short(identity: object) -> str:
    """Name an id in a state: itself, or a hash where it would take too much room."""
    text = identity if type(identity) is str else str(identity)
    if len(text) <= LONG:
        return text
    return blake2b(text.encode(errors="surrogatepass"), digest_size=8).hexdigest()


class Fold(ABC):
    """One form of folding; `add` and `take` return the slot's new content."""

    empty: Any = None
    mutable = False
    """Whether `read` hands out what later events change in place."""

    @abstractmethod
    def add(self, held: Any, value: Any, identity: str | None) -> Any:
        """Put a value in; an id that is in already changes nothing."""

    def take(self, held: Any, value: Any, identity: str | None) -> Any:
        """Take back what was added (for this id); most forms cannot, and the language does not let them."""
        return held

    def read(self, held: Any) -> Any:
        return held

    def merged(self, held: Any) -> bool:
        """Whether the limit made this approximate."""
        return False


class Count(Fold):
    empty = 0

    def add(self, held: Any, value: Any, identity: str | None) -> Any:
        return held + 1

    def take(self, held: Any, value: Any, identity: str | None) -> Any:
        return held - 1 if held > 0 else 0


class Sum(Fold):
    def add(self, held: Any, value: Any, identity: str | None) -> Any:
        return (held or 0.0) + value

    def take(self, held: Any, value: Any, identity: str | None) -> Any:
        return held if value is None else (held or 0.0) - value

    def read(self, held: Any) -> Any:
        return held or 0.0


class Identified(Fold):
    """Count or sum where each id counts once, and can be taken back."""

    def __init__(self, limit: int, zero: int | float) -> None:
        self.limit, self.zero = limit, zero

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


class Extreme(Fold):
    def __init__(self, choose: Callable[[Any, Any], Any]) -> None:
        self.choose = choose

    def add(self, held: Any, value: Any, identity: str | None) -> Any:
        return value if held is None else self.choose(held, value)


class Mean(Fold):
    def add(self, held: Any, value: Any, identity: str | None) -> Any:
        return [value, 1] if held is None else [held[0] + value, held[1] + 1]

    def read(self, held: Any) -> Any:
        return None if held is None else held[0] / held[1]


class First(Fold):
    def add(self, held: Any, value: Any, identity: str | None) -> Any:
        return value if held is None else held


class Last(Fold):
    def add(self, held: Any, value: Any, identity: str | None) -> Any:
        return value


class Distinct(Fold):
    mutable = True

    def __init__(self, limit: int) -> None:
        self.limit = limit

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


class Mapped(Fold):
    """A map from key to last, sum or count; `add` takes (key, value)."""

    mutable = True

    def __init__(self, limit: int, keeps: str) -> None:
        self.limit, self.keeps = limit, keeps

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
