"""`journey-stream resume`: let paused partitions go on."""

from __future__ import annotations

import json
from typing import Any

import click

from journey_stream.cli import example
from journey_stream.cli.common import note, run_async, settings_options
from journey_stream.cli.pausing import run_change, target_options
from journey_stream.errors import UsageError
from journey_stream.kafka.control import ALL, Pauses
from journey_stream.settings import Settings


@click.command("resume", epilog=example("journey-stream resume --partition 3", "journey-stream resume --all"))
@settings_options()
@target_options
def command(settings: Settings, as_json: bool, **meant: Any) -> None:
    """Let paused partitions go on where they stood.

    What arrived meanwhile is taken in first, in the order of event time; timers that came due speak only
    after it. --all ends every pause there is.
    """
    changes, _ = run_async(run_change(settings, change=_ended, **meant)())
    if as_json:
        click.echo(json.dumps(sorted(changes), indent=2))
        return
    for key in sorted(changes):
        click.echo(f"{key}: goes on")
    if not changes:
        note("nothing was told: none of it is paused. See `journey-stream inspect`")


def _ended(before: Pauses, targets: list[str]) -> dict[str, bytes | None]:
    """Find the pauses that end; refuse what a wider pause would keep paused.

    Raises:
        UsageError: something wider is paused.
    """
    if ALL in targets:
        return dict.fromkeys(before)
    for key in targets:
        topic, _, partition = key.rpartition("/")
        wider = ALL if ALL in before else topic if partition and topic in before else None
        if wider is not None:
            meant = "--all" if wider == ALL else f"--source {wider}"
            msg = f"{key} would stay paused, since {wider} is: say `journey-stream resume {meant}`"
            raise UsageError(msg)
    return {key: None for key in before if any(key == each or key.startswith(f"{each}/") for each in targets)}
