"""Sliding windows: what an attribute keeps of the last so much time.

In: the slot's content, values with the time they were applied at. Out: the slot's new content, or the value
of the window that ends now. A slot holds None or [times, values, ids, merged at]: parallel lists, oldest
first; `values` of a plain count is None until merging gives its entries weights; `ids` only with `by`.
An event exactly one window old is out. What has slid out leaves when the next event comes in.
Beyond the limit the two oldest entries merge where the form allows it (count, sum, min, max), else the
oldest is left out; the time of the last merge tells how long the window stays approximate.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from typing import Any, Literal

from journey_stream.engine.folds import total

Windowed = Literal["count", "sum", "min", "max", "mean", "first", "last", "distinct", "map"]


class Window:
    """The last `length` microseconds of one attribute."""

    def __init__(self, form: Windowed, length: int, limit: int, *, by: bool, keeps: str = "count") -> None:
        self.form, self.length, self.limit, self.by, self.keeps = form, length, limit, by, keeps
        self._value = _READS[form]

    @property
    def described(self) -> dict[str, Any]:
        """The same as data, for the compiled core."""
        return {
            "form": self.form,
            "length": self.length,
            "limit": self.limit,
            "by": self.by,
            "keeps": self.keeps,
        }

    def add(self, held: Any, value: Any, identity: str | None, t: int) -> Any:
        """Put a value in; with `by`, an id that is in the window already changes nothing."""
        if held is None:
            held = [[], None if self.form == "count" else [], [] if self.by else None, None]
        times, values, ids, _ = held
        gone = bisect_right(times, t - self.length)
        if gone:
            del times[:gone]
            if values is not None:
                del values[:gone]
            if ids is not None:
                del ids[:gone]
        if ids is not None:
            if identity in ids:
                return held
            ids.append(identity)
        times.append(t)
        if values is not None:
            values.append(1 if self.form == "count" else value)
        if len(times) > self.limit:
            self._merge(held)
        return held

    def take(self, held: Any, identity: str | None) -> Any:
        """Take back the entry of this id; without ids, the newest."""
        if held is None or not held[0]:
            return held
        times, values, ids, _ = held
        if ids is None:
            at = len(times) - 1
        elif identity in ids:
            at = ids.index(identity)
            del ids[at]
        else:
            return held
        del times[at]
        if values is not None:
            del values[at]
        return held if times else None

    def read(self, held: Any, t: int) -> Any:
        """The value of the window that ends at `t`."""
        if held is None:
            return self._value([], None, self.keeps)
        times, values, _, _ = held
        start = bisect_right(times, t - self.length)
        if values is not None and start:
            values = values[start:]
        return self._value(times[start:] if start else times, values, self.keeps)

    def merged(self, held: Any, t: int) -> bool:
        """Whether what the limit merged is still in the window."""
        return held is not None and held[3] is not None and held[3] > t - self.length

    def _merge(self, held: Any) -> None:
        times, values, ids, _ = held
        held[3] = times[1]
        if self.form == "count":
            if values is None:
                values = held[1] = [1] * len(times)
            values[1] += values[0]
        elif self.form == "sum":
            values[1] += values[0]
        elif self.form == "min":
            values[1] = min(values[:2])
        elif self.form == "max":
            values[1] = max(values[:2])
        del times[0], values[0]
        if ids is not None:
            del ids[0]


def _count(times: list[int], values: Any, keeps: str) -> Any:
    return len(times) if values is None else sum(values)


def _sum(times: list[int], values: Any, keeps: str) -> Any:
    return total(values) if values else 0.0


def _distinct(times: list[int], values: Any, keeps: str) -> Any:
    return list(dict.fromkeys(values or ()))


def _map(times: list[int], values: Any, keeps: str) -> Any:
    table: dict[Any, Any] = {}
    for key, amount in values or ():
        if keeps == "count":
            table[key] = table.get(key, 0) + 1
        elif keeps == "sum":
            table[key] = table.get(key, 0.0) + amount
        else:
            table[key] = amount
    return table


_READS: dict[Windowed, Callable[[list[int], Any, str], Any]] = {
    "count": _count,
    "sum": _sum,
    "min": lambda times, values, keeps: min(values) if values else None,
    "max": lambda times, values, keeps: max(values) if values else None,
    "mean": lambda times, values, keeps: total(values) / len(values) if values else None,
    "first": lambda times, values, keeps: values[0] if values else None,
    "last": lambda times, values, keeps: values[-1] if values else None,
    "distinct": _distinct,
    "map": _map,
}
