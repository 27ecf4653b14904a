"""`journey-stream lint`: every finding of journey definitions."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click

from journey_stream.cli import example
from journey_stream.cli.common import note, settings_options
from journey_stream.cli.formats import FORMATS
from journey_stream.deployment import journey_texts, vocabulary_of
from journey_stream.errors import UsageError
from journey_stream.journeys import lint
from journey_stream.settings import Settings


@click.command(
    "lint",
    epilog=example(
        "journey-stream lint my-journeys/ buyer-value",
        "journey-stream lint --strict --format github my-journeys/",
    ),
)
@settings_options()
@click.argument("journeys", nargs=-1, metavar="[JOURNEY]...")
@click.option("--strict", is_flag=True, help="Fail on warnings too.")
@click.option(
    "--format",
    "form",
    type=click.Choice(list(FORMATS)),
    default="text",
    show_default=True,
    help="For people, for scripts, or for the host of the code.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
def command(settings: Settings, journeys: tuple[str, ...], strict: bool, form: str, as_json: bool) -> None:
    """Check journey definitions and print every finding.

    JOURNEY is a shipped name, a YAML file or a folder of them; without any, those of the configuration.
    Definitions given together are checked together: they may name each other.

    Errors keep a definition from being used, warnings tell what is in vain, hints what is perhaps not meant.
    A comment `# lint: allow RULE WHY`, beside the line or above it, accepts a warning or a hint. Exit code 1
    if there is an error, or with --strict a warning.
    """
    for name in journeys:
        if Path(name).stem.endswith("_test") and Path(name).is_file():
            msg = f"{name} holds tests, and lint reads definitions: run `journey-stream test {name}`"
            raise UsageError(msg)
    texts = journey_texts(journeys or settings.journeys)
    found = lint(texts, vocabulary_of(settings)).findings
    form = "json" if as_json else form
    click.echo(FORMATS[form](found), nl=False)
    count = Counter(finding.severity for finding in found)
    if form == "text":
        parts = [_many(count["error"], "error"), _many(count["warning"], "warning")]
        parts += [_many(count["hint"], "hint")] if count["hint"] else []
        note(f"{_many(len(texts), 'definition')}: {', '.join(parts)}")
    if count["error"] or (strict and count["warning"]):
        raise click.exceptions.Exit(1)


def _many(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
