"""`journey-stream replay`: events from files through the same core as the worker, without Kafka."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack

import click

from journey_stream.backfill import told_apart
from journey_stream.cli import example
from journey_stream.cli.common import settings_options
from journey_stream.cli.events import open_events, tell_unusable
from journey_stream.deployment import assemble
from journey_stream.encode import structured
from journey_stream.replay import replay
from journey_stream.settings import Settings


@click.command(
    "replay",
    epilog=example("journey-stream replay --journeys buyer-value --until 2026-12-31T00:00:00Z events.jsonl"),
)
@settings_options("journeys", "until")
@click.argument("events", nargs=-1, required=True, metavar="EVENTS...")
@click.option("--strict", is_flag=True, help="Exit code 1 if any event could not be used.")
def command(settings: Settings, events: tuple[str, ...], strict: bool) -> int:
    """Run events from files through journeys and print what would be published.

    EVENTS are JSON Lines files (`-` for standard input), in any order within the lateness. Prints the net
    records, one CloudEvent a line, by time, customer, journey and sequence: the same bytes on each run.
    What could not be used is told on standard error.
    """
    deployment = assemble(settings)
    with ExitStack() as stack:
        sources = open_events(events, stack)
        replayed = replay(
            deployment.program,
            sources,
            deployment.decoder,
            settings.allowed_lateness,
            settings.until,
            received=time.time_ns() // 1_000,
        )
    if settings.backfill.until is not None:
        withhold = settings.backfill.records == "withheld"
        replayed.records = told_apart(replayed.records, settings.backfill.until, withhold=withhold)
    write = sys.stdout.buffer.write
    for record in replayed.records:
        write(structured(record) + b"\n")
    sys.stdout.buffer.flush()
    tell_unusable(replayed.rejections, sources)
    return 1 if strict and replayed.rejections else 0
