"""What was expected against what came: failures, each with its line and a readable difference.

In: a case, and the records (and attributes) of one of its customers. Out: `Failure`s. Strategy: records are
compared in order, field by field, only the fields that the test gives; nothing else may come. A difference is
shown as the longest common run of records, with `-` before what did not come and `+` before what did.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from journey_stream.testing.cases import Case, Expected, Side
from journey_stream.testing.story import Times
from journey_stream.values import Signal, Transition

Record = Transition | Signal


@dataclass(frozen=True, slots=True)
class Failure:
    """One thing that came otherwise, and where it was expected."""

    file: str
    line: int
    expected: str
    actual: str
    person: str = ""
    """Whose story it is; empty where it is nobody's in particular."""
    difference: tuple[str, ...] = ()
    """Of lists of records: all of them, `- ` before what did not come, `+ ` before what did."""

    def __str__(self) -> str:
        """Write `file:line`, what was expected and what came."""
        lines = [f"{self.file}:{self.line}", f"    expected: {self.expected}", f"    actual:   {self.actual}"]
        return "\n".join([*lines, *(f"      {line}" for line in self.difference)])


@dataclass(slots=True)
class Comparison:
    """Collects what came otherwise for one customer of a case."""

    case: Case
    person: str
    failures: list[Failure] = field(default_factory=list)

    def side(self, side: Side, moves: Sequence[Transition], calls: Sequence[Signal]) -> None:
        """Compare transitions, signals and the stage at the end."""
        if side.transitions is not None:
            self._records(side.transitions, moves, side.then_line, "transition")
        if side.signals is not None:
            named = {each.fields["signal"] for each in side.signals}
            quiet = self.case.quiet.keys() - named
            heard = [record for record in calls if record.signal not in quiet]
            self._records(side.signals, heard, side.signals_line, "signal")
        if side.stage is not None:
            wanted, came = side.stage.fields["stage"], moves[-1].to if moves else None
            if wanted != came:
                self._add(side.stage.line, f"stage {wanted}", f"stage {came}")

    def attributes(self, side: Side, values: Mapping[str, object]) -> None:
        """Compare the attributes at the end."""
        for line, name, wanted in side.attributes:
            if name not in values:
                self._add(line, f"{name}: {written(wanted)}", f"the journey has no attribute '{name}'")
            elif not same(wanted, values[name]):
                self._add(line, f"{name}: {written(wanted)}", f"{name}: {written(values[name])}")

    def _records(self, wanted: Sequence[Expected], came: Sequence[Record], line: int, what: str) -> None:
        for number, expected in enumerate(wanted):
            shown = f"{what} {number + 1}: {self._show(expected)}"
            if number >= len(came):
                self._add(expected.line, shown, "nothing more came", self._difference(wanted, came))
                return
            wrong = self._wrong(expected, came[number])
            if wrong:
                actual = f"{tell(came[number], self.case.times)} ({wrong})"
                self._add(expected.line, shown, actual, self._difference(wanted, came))
                return
        if len(came) > len(wanted):
            extra = tell(came[len(wanted)], self.case.times)
            self._add(line, f"no more {what}s", extra, self._difference(wanted, came))

    def _difference(self, wanted: Sequence[Expected], came: Sequence[Record]) -> tuple[str, ...]:
        """Align what was wanted with what came by the longest common run, and write both in one list."""
        times = self.case.times
        common = _common([[not self._wrong(one, other) for other in came] for one in wanted], len(came))
        lines = []
        i = j = 0
        for i_next, j_next in [*common, (len(wanted), len(came))]:
            lines += [f"- {self._show(each)}" for each in wanted[i:i_next]]
            lines += [f"+ {tell(each, times)}" for each in came[j:j_next]]
            if i_next < len(wanted):
                lines.append(f"  {tell(came[j_next], times)}")
            i, j = i_next + 1, j_next + 1
        return tuple(lines)

    def _wrong(self, expected: Expected, record: Record) -> str:
        """Say which fields are not as expected; empty if all are."""
        wrong: list[str] = []
        for name, wanted in expected.fields.items():
            actual = _field(record, name)
            if name in ("payload", "attributes") and isinstance(wanted, Mapping):
                inner = actual if isinstance(actual, Mapping) else {}
                wrong += [
                    f"{name}.{key} is {written(inner.get(key))}"
                    for key, value in wanted.items()
                    if not same(value, inner.get(key))
                ]
            elif name in ("at", "until") and isinstance(actual, int):
                if actual != wanted:
                    wrong.append(f"{name} {self.case.times.show(actual)}")
            elif not same(wanted, actual):
                wrong.append(f"{name} is {written(actual)}")
        return ", ".join(wrong)

    def _show(self, expected: Expected) -> str:
        times = self.case.times
        parts = []
        for name, value in expected.fields.items():
            if name in ("at", "until") and isinstance(value, int):
                shown = times.show(value)
            else:
                shown = value if isinstance(value, str) else written(value)
            parts.append(shown if name in ("to", "signal") else f"{name} {shown}")
        return ", ".join(parts)

    def _add(self, line: int, expected: str, actual: str, difference: tuple[str, ...] = ()) -> None:
        self.failures.append(Failure(self.case.file, line, expected, actual, self.person, difference))


def _common(match: list[list[bool]], width: int) -> list[tuple[int, int]]:
    """Return the pairs of the longest common run of two sequences, given which pairs match."""
    height = len(match)
    longest = [[0] * (width + 1) for _ in range(height + 1)]
    for i in range(height - 1, -1, -1):
        for j in range(width - 1, -1, -1):
            here = longest[i + 1][j + 1] + 1 if match[i][j] else 0
            longest[i][j] = max(here, longest[i + 1][j], longest[i][j + 1])
    pairs = []
    i = j = 0
    while i < height and j < width:
        if match[i][j] and longest[i][j] == longest[i + 1][j + 1] + 1:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif longest[i + 1][j] >= longest[i][j + 1]:
            i += 1
        else:
            j += 1
    return pairs


_NAMES = {"from": "from_", "kind": "to_kind", "at": "occurred_at", "until": "valid_until"}


def _field(record: Record, name: str) -> object:
    if name == "cause":
        return record.cause.type
    if name == "kind" and isinstance(record, Signal):
        return record.kind
    return getattr(record, _NAMES.get(name, name))


def same(wanted: object, actual: object) -> bool:
    """Whether two values are equal to an author: 1 and 1.0 are, 1 and true are not."""
    if isinstance(wanted, bool) or isinstance(actual, bool):
        return wanted is actual
    if isinstance(wanted, int | float) and isinstance(actual, int | float):
        return math.isclose(wanted, actual, rel_tol=1e-9, abs_tol=1e-9)
    if isinstance(wanted, Mapping) and isinstance(actual, Mapping):
        return wanted.keys() == actual.keys() and all(
            same(value, actual[key]) for key, value in wanted.items()
        )
    if isinstance(wanted, list | tuple) and isinstance(actual, list | tuple):
        return len(wanted) == len(actual) and all(map(same, wanted, actual))
    return wanted == actual


def written(value: object) -> str:
    """Write a value as an author would.

    >>> written({"orders": 2, "fond": True, "plan": None, "spent": 5.0, "seen": ["tea", "7"]})
    "{orders: 2, fond: true, plan: null, spent: 5, seen: ['tea', '7']}"
    """
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case float():
            return f"{value:.15g}"
        case Mapping():
            return f"{{{', '.join(f'{name}: {written(each)}' for name, each in value.items())}}}"
        case list() | tuple():
            return f"[{', '.join(map(written, value))}]"
        case _:
            return repr(value)


def tell(record: Record, times: Times) -> str:
    """Write a record in one line: when, from where to where, by which rule and why."""
    why = f"rule {record.rule}" + (f", reason {record.reason}" if record.reason else "")
    at = times.show(record.occurred_at)
    if isinstance(record, Transition):
        return f"{at}: {record.from_ or '(start)'} -> {record.to} ({why})"
    payload = f" {written(record.payload)}" if record.payload else ""
    return f"{at}: signal {record.signal} {record.status} in {record.stage} ({why}){payload}"
