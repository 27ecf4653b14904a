"""`journey-stream worker`: the Faust app, until it is told to stop."""

from __future__ import annotations

import logging
import sys

import click

from journey_stream.cli import example
from journey_stream.cli.common import settings_options
from journey_stream.settings import Settings


@click.command(
    "worker",
    epilog=example(
        "journey-stream worker --bootstrap-servers localhost:9092 --journeys my-journeys/",
        "journey-stream worker --config shop.yaml --processes 4",
    ),
)
@settings_options("journeys", "processes", "clock", "until")
@click.option(
    "--exit-when-done", is_flag=True, help="With `clock: event` and `until`: leave once all is read."
)
def command(settings: Settings, exit_when_done: bool) -> int:
    """Run a worker: events in, transitions and signals out.

    Start as many as you like with the same application id: they share the partitions. With --processes one
    call starts several and watches over them. SIGTERM (or Ctrl-C) commits what is done and leaves; with
    --processes a second one stops at once. Topics are created if missing and checked if not.
    """
    logging.basicConfig(
        level=settings.log_level.upper(),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    # imports Faust: not before the settings are known good
    from journey_stream.kafka.start import run_worker, run_workers

    run = run_workers if settings.processes > 1 else run_worker
    return run(settings, exit_when_done=exit_when_done)
