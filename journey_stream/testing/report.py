"""Results of suites as text for people and as values for machines.

In: `Result`s. Out: lines, ready to print, coloured by the function given; or plain values for JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from journey_stream.testing.compare import Failure
from journey_stream.testing.cover import Coverage, Part
from journey_stream.testing.run import Outcome
from journey_stream.testing.suite import Result

Paint = Callable[[str, str], str]
"""Colours a text: (text, name of a colour) -> text."""


def plainly(text: str, colour: str) -> str:
    """Leave a text as it is."""
    return text


def suite_line(result: Result, width: int, paint: Paint = plainly) -> str:
    """Say in one line what came of a suite."""
    suite = result.suite
    if result.broken:
        name, said = (suite.tests_file if result.journey != suite.file else suite.file), "not run: errors"
        return f"{name:<{width}}  {paint(said, 'red')}"
    if suite.tests is None:
        return f"{suite.file:<{width}}  {paint('no tests', 'yellow')}"
    failed = len(result.failed)
    parts = [paint(f"{len(result.outcomes) - failed} passed", "green")]
    if failed:
        parts.append(paint(f"{failed} failed", "red"))
    return f"{suite.tests_file:<{width}}  {', '.join(parts)}"


def failure_lines(outcome: Outcome, paint: Paint = plainly) -> Iterator[str]:
    """Write a failed case: where, what was expected, what came, and the trace that led there."""
    yield paint(f"FAILED {outcome.case.file}:{outcome.case.line} {outcome.case.name}", "red")
    for failure in outcome.failures:
        yield f"  {failure.file}:{failure.line}"
        yield f"    expected: {failure.expected}"
        yield f"    actual:   {failure.actual}"
        for line in failure.difference:
            yield f"      {paint(line, {'-': 'red', '+': 'green'}.get(line[0], ''))}"
    for line in outcome.trace.splitlines():
        yield f"  {line}"


def coverage_lines(results: Sequence[Result], least: float | None, paint: Paint = plainly) -> Iterator[str]:
    """Write the table of what the tests reach, and below it what they do not."""
    rows: list[tuple[list[str], bool]] = [
        (["coverage", "stages", "transitions", "signals", "guards", "all"], False)
    ]
    for result in results:
        if (coverage := result.coverage) is not None:
            counts = [f"{part.reached}/{part.total}" for part in coverage.parts.values()]
            low = least is not None and coverage.percent < least
            rows.append(([result.journey, *counts, f"{int(coverage.percent)} %"], low))
    widths = [max(len(cells[column]) for cells, _ in rows) for column in range(len(rows[0][0]))]
    for (name, *figures), low in rows:
        shown = [f"{figure:>{width}}" for figure, width in zip(figures, widths[1:], strict=True)]
        line = "  ".join([f"{name:<{widths[0]}}", *shown])
        yield paint(line, "red") if low else line
    missing = [line for result in results for line in missing_lines(result)]
    if missing:
        yield ""
        yield "not covered:"
        yield from (f"  {line}" for line in missing)


def missing_lines(result: Result) -> Iterator[str]:
    """Name each thing that no test reached, where it stands in the definition."""
    coverage = result.coverage
    if coverage is None:
        return
    words = {"stages": "stage {} never entered", "transitions": "transition {} never moves anybody"}
    words |= {"signals": "signal rule {} never raises", "guards": "{}"}
    for kind, part in coverage.parts.items():
        for name in part.missing:
            yield f"{result.suite.file}:{coverage.lines[name]}: {words[kind].format(name)}"


def summary(results: Sequence[Result], paint: Paint = plainly) -> str:
    """Say in one line what came of all suites."""
    cases = sum(len(result.outcomes) for result in results)
    failed = sum(len(result.failed) for result in results)
    broken = sum(result.broken for result in results)
    said = f"{cases} {'test' if cases == 1 else 'tests'}: {cases - failed} passed, {failed} failed"
    if broken:
        said += f", {broken} {'file' if broken == 1 else 'files'} with errors"
    return paint(said, "red" if failed or broken else "green")


def as_values(results: Sequence[Result]) -> dict[str, Any]:
    """Give everything as plain values, for JSON."""
    return {
        "passed": sum(len(result.outcomes) - len(result.failed) for result in results),
        "failed": sum(len(result.failed) for result in results),
        "suites": [_suite(result) for result in results],
    }


def _suite(result: Result) -> dict[str, Any]:
    return {
        "journey": result.journey,
        "file": result.suite.file,
        "tests": result.suite.tests_file if result.suite.tests is not None else None,
        "cases": [_case(outcome) for outcome in result.outcomes],
        "findings": [msgspec.to_builtins(finding) for finding in result.findings],
        "coverage": None if result.coverage is None else _coverage(result.coverage),
    }


def _case(outcome: Outcome) -> dict[str, Any]:
    return {
        "name": outcome.case.name,
        "line": outcome.case.line,
        "passed": outcome.passed,
        "failures": [_failure(failure) for failure in outcome.failures],
        "trace": outcome.trace.splitlines(),
    }


def _failure(failure: Failure) -> dict[str, Any]:
    return {
        "file": failure.file,
        "line": failure.line,
        "customer": failure.person or None,
        "expected": failure.expected,
        "actual": failure.actual,
        "difference": list(failure.difference),
    }


def _coverage(coverage: Coverage) -> dict[str, Any]:
    def part(each: Part) -> dict[str, Any]:
        return {"reached": each.reached, "total": each.total, "missing": list(each.missing)}

    return {"percent": round(coverage.percent, 2)} | {
        name: part(each) for name, each in coverage.parts.items()
    }
