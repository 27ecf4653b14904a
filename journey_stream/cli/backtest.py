"""`journey-stream backtest`: two definitions over the same history, side by side, before one is deployed."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path

import click

from journey_stream.backtest import Report, Silences, compare, html, pairs, summary, to_json
from journey_stream.cli import example
from journey_stream.cli.common import moment_of, note, settings_options, write_text
from journey_stream.cli.events import Lines, open_events, spooled, tell_unusable
from journey_stream.deployment import decoder_of, engine_options, journey_texts, vocabulary_of
from journey_stream.engine.program import Program, compile_program
from journey_stream.errors import UsageError
from journey_stream.events.vocabulary import Vocabulary
from journey_stream.journeys import Journey, load
from journey_stream.replay import Replayed, replay_each
from journey_stream.settings import Settings, TopicNames
from journey_stream.values import Event, rfc3339


@click.command(
    "backtest",
    epilog=example(
        "journey-stream backtest buyer-value new/buyer-value.yaml --html report.html events.jsonl",
        "journey-stream backtest now/ next/ --from-topics --since 2026-01-01T00:00:00Z",
    ),
)
@settings_options("until")
@click.argument("old")
@click.argument("new")
@click.argument("events", nargs=-1, metavar="[EVENTS]...")
@click.option("--from-topics", is_flag=True, help="Read the deployment's source topics instead of files.")
@click.option("--since", metavar="TIME", help="With --from-topics: leave out what came before (broker time).")
@click.option("--html", "page", metavar="FILE", help="Write the report as a page of its own.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option(
    "--return-at-most",
    type=click.FloatRange(0, 100, min_open=True, max_open=True),
    default=20,
    show_default=True,
    metavar="PERCENT",
    help="Suggest the silence after which at most so many come back.",
)
def command(
    settings: Settings,
    old: str,
    new: str,
    events: tuple[str, ...],
    from_topics: bool,
    since: str | None,
    page: str | None,
    as_json: bool,
    return_at_most: float,
) -> None:
    """Run two definitions over history and show who moves.

    OLD and NEW are shipped names, YAML files or folders of them; journeys of the same id are compared. EVENTS
    are JSON Lines files (`-` for standard input), as for `replay`. Shows the customers per stage under both,
    who stands elsewhere, records gained and lost by rule, records a day, and for each absence rule of NEW how
    many customers come back after a silence.
    """
    if bool(events) == from_topics:
        msg = (
            "backtest: expected either EVENTS files or --from-topics (one of the two). See `backtest --help`"
        )
        raise UsageError(msg)
    if since is not None and not from_topics:
        msg = "backtest --since: it is for --from-topics; files are read whole. Leave it out"
        raise UsageError(msg)
    begin = None if since is None else moment_of("--since", since)
    vocabulary = vocabulary_of(settings)
    old_journeys, new_journeys = (_journeys(name, vocabulary) for name in (old, new))
    matched = pairs(old_journeys, new_journeys)
    programs = [_program(side, vocabulary, settings) for side in (old_journeys, new_journeys)]
    silences = [Silences(journey, vocabulary) for _, journey in matched]

    def seen(event: Event) -> None:
        for each in silences:
            each.see(event)

    with ExitStack() as stack:
        names = spooled(settings, TopicNames.of(settings).sources, begin, stack) if from_topics else events
        sources = open_events(names, stack)
        began = time.monotonic()
        before, after = replay_each(
            programs,
            sources,
            decoder_of(settings, vocabulary),
            settings.allowed_lateness,
            settings.until,
            received=time.time_ns() // 1_000,
            seen=seen,
        )
        seconds = time.monotonic() - began
    report = _report(matched, silences, before, after, seconds, return_at_most / 100)
    _tell(report, before, sources, page, as_json)


def _journeys(name: str, vocabulary: Vocabulary) -> tuple[Journey, ...]:
    return load(journey_texts([name]), vocabulary).usable()


def _program(journeys: Sequence[Journey], vocabulary: Vocabulary, settings: Settings) -> Program:
    return compile_program(journeys, vocabulary, engine_options(settings))


def _report(
    matched: Iterable[tuple[Journey, Journey]],
    silences: Iterable[Silences],
    before: Replayed,
    after: Replayed,
    seconds: float,
    at_most: float,
) -> Report:
    return Report(
        after.counts["lines"],
        len(after.rejections),
        rfc3339(max(after.until, 0)),
        round(seconds, 3),
        [
            compare(old, new, before.records, after.records, old_gone=before.gone, new_gone=after.gone)
            for old, new in matched
        ],
        {
            new.id: each.curves(after.records, after.until, at_most)
            for (_, new), each in zip(matched, silences, strict=True)
        },
    )


def _tell(
    report: Report, replayed: Replayed, sources: Sequence[Lines], page: str | None, as_json: bool
) -> None:
    tell_unusable(replayed.rejections, sources)
    if report.events == report.unusable:
        note("no event that can be used: there is nothing to compare")
    if page is not None:
        write_text(Path(page), html(report))
        note(f"wrote {page}")
    if as_json:
        click.echo(to_json(report))
    else:
        click.echo(summary(report), nl=False)
