"""`journey-stream lint`: every finding of journey definitions."""

from __future__ import annotations

import json

import click
import msgspec

from journey_stream.cli import example
from journey_stream.cli.common import note, settings_options
from journey_stream.deployment import journey_texts, vocabulary_of
from journey_stream.journeys import load
from journey_stream.settings import Settings


@click.command("lint", epilog=example("journey-stream lint my-journeys/ buyer-value"))
@settings_options()
@click.argument("journeys", nargs=-1, metavar="[JOURNEY]...")
@click.option("--json", "as_json", is_flag=True, help="Print findings as one JSON array.")
def command(settings: Settings, journeys: tuple[str, ...], as_json: bool) -> None:
    """Check journey definitions and print every finding.

    JOURNEY is a shipped name, a YAML file or a folder of them; without any, those of the configuration.
    Definitions given together are checked together: they may name each other. Exit code 1 if any is broken.
    """
    texts = journey_texts(journeys or settings.journeys)
    loaded = load(texts, vocabulary_of(settings))
    if as_json:
        click.echo(json.dumps([msgspec.to_builtins(finding) for finding in loaded.findings], indent=2))
    else:
        for finding in loaded.findings:
            click.echo(str(finding))
        warnings = len(loaded.findings) - len(loaded.errors)
        counted = f"{_many(len(loaded.errors), 'error')}, {_many(warnings, 'warning')}"
        note(f"{_many(len(texts), 'definition')}: {counted}")
    if loaded.errors:
        raise click.exceptions.Exit(1)


def _many(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
