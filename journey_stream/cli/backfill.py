"""`journey-stream backfill`: history in, before the workers start."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack

import click

from journey_stream.backfill import InOrder
from journey_stream.cli import example
from journey_stream.cli.common import moment_of, note, run_async, settings_options, watched
from journey_stream.cli.events import open_events, spooled, tell_unusable
from journey_stream.deployment import decoder_of, vocabulary_of
from journey_stream.errors import UsageError
from journey_stream.settings import Settings
from journey_stream.values import rfc3339


@click.command(
    "backfill",
    epilog=example(
        "journey-stream backfill --config config.yaml orders-2025.jsonl visits-2025.jsonl",
        "journey-stream backfill --config config.yaml --from-topic old.orders --since 2025-01-01T00:00:00Z",
    ),
)
@settings_options()
@click.argument("events", nargs=-1, metavar="[EVENTS]...")
@click.option("--from-topic", "topics", multiple=True, metavar="TOPIC", help="Take a topic of the cluster.")
@click.option("--since", metavar="TIME", help="Of those topics: what was written from here on.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    settings: Settings, events: tuple[str, ...], topics: tuple[str, ...], since: str | None, as_json: bool
) -> None:
    """Feed in what happened before, so that customers do not begin anew.

    EVENTS are JSON Lines files (`-` for standard input), each in any order within the lateness. Call it once,
    before the first worker starts, with `backfill.until` set: up to there, records are flagged `replay` or
    withheld. Cut short, call it again with the same files: what has been sent is skipped. The workers then
    take history and live events in the order of their time.
    """
    until = settings.backfill.until
    if until is None:
        msg = "backfill: expected `backfill.until`, the time up to which all is history. Set it in --config"
        raise UsageError(msg)
    if bool(events) == bool(topics):
        msg = "backfill: expected EVENTS files or --from-topic, one of the two. See `backfill --help`"
        raise UsageError(msg)
    from journey_stream.kafka.backfill import gaps, send_history  # only now: help needs no client

    begin = None if since is None else moment_of("--since", since)
    with ExitStack() as stack:
        names = spooled(settings, topics, begin, stack) if topics else events
        sources = open_events(names, stack)
        decoder = decoder_of(settings, vocabulary_of(settings))
        lines = InOrder(sources, decoder, settings.allowed_lateness, time.time_ns() // 1_000)
        sent = run_async(send_history(settings, lines, _progress if watched() else lambda count: None))
    tell_unusable(lines.refused, sources)
    found = {
        "topic": sent.topic,
        "sent": sent.sent,
        "skipped": sent.skipped,
        "unusable": len(lines.refused),
        "filtered": lines.counts["filtered"],
        "first": rfc3339(lines.first) if sent.sent + sent.skipped else None,
        "last": rfc3339(lines.last) if sent.sent + sent.skipped else None,
        "until": rfc3339(until),
    }
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        click.echo(f"{sent.topic}: {sent.sent:,} events sent, {sent.skipped:,} were there")
        click.echo(f"history from {found['first']} to {found['last']}; the fence is {found['until']}")
    if lines.last > until:
        note(f"events after the fence ({rfc3339(until)}) count as live: what comes of them is not flagged")
    for each in run_async(gaps(settings, lines.last)):
        note(f"gap: {each}: nothing given reaches from the last event to there")


def _progress(count: int) -> None:
    click.echo(f"\r{count:,} events", err=True, nl=False)
