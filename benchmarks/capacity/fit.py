"""Least squares for the cost model: what each thing costs, from runs in which they came in different numbers.

Enters: rows of (how often each thing happened, what the run cost in all). Leaves: the cost of each thing,
never below nothing, and how far the fit is from each run. Pure; small enough to need no library. Each run
counts by its relative error, so that large runs do not drown small ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec


class Run(msgspec.Struct, frozen=True):
    """One measured run."""

    name: str
    counts: dict[str, float]
    cost: float


class Fit(msgspec.Struct, frozen=True):
    """What came of it."""

    costs: dict[str, float]
    """Per thing, in the unit of the runs' costs."""
    residuals: dict[str, float]
    """Name of a run to (fitted - measured) / measured."""

    @property
    def worst(self) -> float:
        """The largest relative error, whatever its sign."""
        return max((abs(each) for each in self.residuals.values()), default=0.0)

    @property
    def typical(self) -> float:
        """Root of the mean square of the relative errors."""
        squares = [each * each for each in self.residuals.values()]
        return (sum(squares) / len(squares)) ** 0.5 if squares else 0.0


def fit(runs: Sequence[Run], things: Sequence[str]) -> Fit:
    """Find what each thing costs; one that would cost less than nothing costs nothing."""
    kept = list(things)
    while True:
        costs = dict(zip(kept, _solve(runs, kept), strict=True))
        lowest = min(costs, key=lambda thing: costs[thing], default=None)
        if lowest is None or costs[lowest] >= 0:
            break
        kept.remove(lowest)
    complete = {thing: costs.get(thing, 0.0) for thing in things}
    return Fit(complete, {run.name: predicted(complete, run.counts) / run.cost - 1 for run in runs})


def predicted(costs: Mapping[str, float], counts: Mapping[str, float]) -> float:
    """What so many of each thing cost."""
    return sum(cost * counts.get(thing, 0.0) for thing, cost in costs.items())


def _solve(runs: Sequence[Run], things: Sequence[str]) -> list[float]:
    """Solve the normal equations, each run divided by what it cost."""
    rows = [[run.counts.get(thing, 0.0) / run.cost for thing in things] for run in runs]
    scale = [max((abs(row[n]) for row in rows), default=0.0) or 1.0 for n in range(len(things))]
    rows = [[value / scale[n] for n, value in enumerate(row)] for row in rows]
    size = len(things)
    matrix = [
        [sum(row[a] * row[b] for row in rows) + (1e-9 if a == b else 0.0) for b in range(size)]
        + [sum(row[a] for row in rows)]
        for a in range(size)
    ]
    for at in range(size):
        pivot = max(range(at, size), key=lambda n: abs(matrix[n][at]))
        matrix[at], matrix[pivot] = matrix[pivot], matrix[at]
        for n in range(size):
            if n != at:
                factor = matrix[n][at] / matrix[at][at]
                matrix[n] = [a - factor * b for a, b in zip(matrix[n], matrix[at], strict=True)]
    return [matrix[n][size] / matrix[n][n] / scale[n] for n in range(size)]
