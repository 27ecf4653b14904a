"""`journey-stream pause`: let partitions rest until `resume`."""

from __future__ import annotations

import json
import time
from typing import Any

import click
import msgspec

from journey_stream.cli import example
from journey_stream.cli.common import note, run_async, settings_options
from journey_stream.cli.pausing import run_change, target_options
from journey_stream.kafka.control import Pause, Pauses
from journey_stream.settings import Settings
from journey_stream.values import rfc3339


@click.command(
    "pause",
    epilog=example(
        'journey-stream pause --partition 3 --reason "poisoned state, see ticket 42"',
        "journey-stream pause --source purchases",
        "journey-stream pause --all",
    ),
)
@settings_options()
@target_options
@click.option("--reason", metavar="TEXT", help="Why; shown by `inspect` and in the workers' logs.")
def command(settings: Settings, reason: str | None, as_json: bool, **meant: Any) -> None:
    """Let partitions rest until `resume`, whichever worker has them, now and later.

    A partition of customers commits what it has done and rests: nothing is taken in, no timer fires. A source
    that is paused is not read, and time waits for it once something arrives there. Pauses survive restarts
    and rebalances. Workers obey within a second or so.
    """
    now = rfc3339(time.time_ns() // 1_000_000 * 1000)

    def change(before: Pauses, targets: list[str]) -> dict[str, bytes | None]:
        new = msgspec.json.encode(Pause(now, reason))
        return {key: new for key in targets if key not in before}

    changes, before = run_async(run_change(settings, change=change, **meant)())
    if as_json:
        told = {key: {"since": now, "reason": reason} for key in changes}
        click.echo(json.dumps(told, indent=2))
        return
    for key in changes:
        click.echo(f"{key}: paused")
    if not changes:
        note("nothing was told: all of it is paused already. See `journey-stream inspect`")
    elif before:
        note(f"paused before: {', '.join(sorted(before))}")
