"""`journey-stream test`: journeys against the test files beside them."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import click

from journey_stream.cli import example
from journey_stream.cli.common import settings_options, write_text
from journey_stream.cli.suites import suites
from journey_stream.deployment import decoder_of, engine_options, vocabulary_of
from journey_stream.errors import UsageError
from journey_stream.settings import Settings
from journey_stream.testing import Choice, Result, World, run_suite
from journey_stream.testing.junit import junit
from journey_stream.testing.report import (
    Paint,
    as_values,
    coverage_lines,
    failure_lines,
    plainly,
    suite_line,
    summary,
)


@click.command(
    "test",
    epilog=example(
        "journey-stream test my-journeys/",
        "journey-stream test buyer-value -k lapse",
        "journey-stream test my-journeys/ --coverage-min 100 --junit report.xml",
    ),
)
@settings_options()
@click.argument("journeys", nargs=-1, metavar="[JOURNEY]...")
@click.option("-k", "only", metavar="TEXT", help="Only tests with this text in journey or name.")
@click.option("-x", "first_only", is_flag=True, help="Stop at the first test that fails.")
@click.option(
    "--coverage-min",
    type=click.FloatRange(0, 100),
    metavar="PERCENT",
    help="Exit code 1 if the tests of a journey reach less than this of it.",
)
@click.option("--junit", "junit_file", metavar="FILE", help="Also write the results as JUnit XML.")
@click.option("--json", "as_json", is_flag=True, help="Print the results as one JSON object.")
def command(
    settings: Settings,
    journeys: tuple[str, ...],
    only: str | None,
    first_only: bool,
    coverage_min: float | None,
    junit_file: str | None,
    as_json: bool,
) -> int:
    """Test journeys: given these events, when the clock says, then these records.

    JOURNEY is a shipped name, a definition x.yaml (its tests are in x_test.yaml beside it), a test file, or
    a folder; without any, those of the configuration. Needs no Kafka: the core is the worker's. A failure
    shows what was expected, what came, and the trace that led there; the table shows what no test reaches.
    Exit code 1 if anything fails.
    """
    if coverage_min is not None and (only is not None or first_only):
        msg = "--coverage-min asks what all tests reach, so it goes with neither -k nor -x"
        raise UsageError(msg)
    vocabulary = vocabulary_of(settings)
    world = World(vocabulary, decoder_of(settings, vocabulary), engine_options(settings))
    found = suites(journeys or settings.journeys, vocabulary)
    paint = plainly if os.environ.get("NO_COLOR") else _paint
    width = max(len(suite.tests_file) for suite in found)
    results: list[Result] = []
    seconds: list[float] = []
    for suite in found:
        began = time.perf_counter()
        result = run_suite(suite, world, None if only is None else _named(only), first_only=first_only)
        seconds.append(time.perf_counter() - began)
        results.append(result)
        if not as_json:
            _show(result, width, paint)
        if first_only and not result.passed:
            break
    if only is not None and not any(result.outcomes or result.broken for result in results):
        msg = f"-k {only}: no test has this in its journey or name"
        raise UsageError(msg)
    if junit_file is not None:
        write_text(Path(junit_file), junit(results, seconds))
    if as_json:
        click.echo(json.dumps(as_values(results), indent=2, ensure_ascii=False))
    else:
        _close(results, coverage_min, paint)
    return 0 if _fine(results, coverage_min) else 1


def _named(text: str) -> Choice:
    """Choose cases that have a text in journey or name."""
    return lambda journey, case: text.lower() in f"{journey} {case.name}".lower()


def _fine(results: list[Result], least: float | None) -> bool:
    if not all(result.passed for result in results):
        return False
    measured = [result.coverage for result in results if result.coverage is not None]
    return least is None or all(coverage.percent >= least for coverage in measured)


def _show(result: Result, width: int, paint: Paint) -> None:
    click.echo(suite_line(result, width, paint))
    for finding in result.findings:
        click.echo(f"  {finding}")
    for outcome in result.failed:
        click.echo()
        for line in failure_lines(outcome, paint):
            click.echo(line)
        click.echo()


def _close(results: list[Result], least: float | None, paint: Paint) -> None:
    if any(result.coverage is not None for result in results):
        click.echo()
        for line in coverage_lines(results, least, paint):
            click.echo(line)
    click.echo()
    click.echo(summary(results, paint))
    if least is not None:
        low = [result for result in results if result.coverage and result.coverage.percent < least]
        for result in low:
            click.echo(paint(f"coverage of {result.journey} is below {least:g} %", "red"))


def _paint(text: str, colour: str) -> str:
    """Colour a text; where nobody watches, click leaves colours out."""
    return click.style(text, fg=colour) if colour else text
