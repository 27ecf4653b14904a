"""`journey-stream explain`: one customer's way, present stages, deadlines, and what each way out asks."""

from __future__ import annotations

import difflib
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack

import click
import msgspec

from journey_stream.cli import example
from journey_stream.cli.common import note, run_async, settings_options
from journey_stream.cli.events import open_events, tell_unusable
from journey_stream.deployment import decoder_of, definitions_of, engine_options, vocabulary_of
from journey_stream.engine.program import Program, compile_program, side_by_side
from journey_stream.events.decode import Decoder
from journey_stream.events.derive import derived_events
from journey_stream.explain import Conditions, Explanation, explain, last_state, tell
from journey_stream.journeys import Journey
from journey_stream.replay import Refused
from journey_stream.settings import Settings
from journey_stream.values import Event, Rejection

NAMES = 20_000
"""Customers of the files to look among for one whose name was mistyped."""


@click.command(
    "explain",
    epilog=example(
        "journey-stream explain customer-17 --journeys buyer-value events.jsonl",
        "journey-stream explain customer-17 --bootstrap-servers localhost:9092",
    ),
)
@settings_options("journeys", "until")
@click.argument("customer")
@click.argument("events", nargs=-1, metavar="[EVENTS]...")
@click.option("--anonymous", is_flag=True, help="CUSTOMER is an anonymous id.")
@click.option(
    "--moments",
    type=click.IntRange(min=0),
    default=40,
    show_default=True,
    metavar="N",
    help="Show so many of the timeline.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the explanation as JSON.")
def command(
    settings: Settings,
    customer: str,
    events: tuple[str, ...],
    anonymous: bool,
    moments: int,
    as_json: bool,
) -> None:
    """Explain where one customer is, why, and what may come next.

    With EVENTS (JSON Lines files, `-` for standard input) the customer's own events are replayed, and the
    clock runs to `--until`, or to the last event of the files. Without, the running deployment is asked: its
    last checkpoint and its topics, from the side, so that it notices nothing. Shows the timeline, the stage
    in each journey and what led there, the deadlines ahead, and for each way out what is missing.
    """
    vocabulary = vocabulary_of(settings)
    present, changes = definitions_of(settings, vocabulary)
    conditions = Conditions()
    program = compile_program(present, vocabulary, engine_options(settings), changes, watch=conditions)
    journeys = side_by_side(present, changes)
    person = f"anon:{customer}" if anonymous else customer
    if events:
        found = _from_files(settings, journeys, program, conditions, person, events)
    else:
        found = run_async(_from_deployment(settings, journeys, program, conditions, person))
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(found), indent=2))
    else:
        click.echo(tell(found, journeys, shown=moments), nl=False)
    if not found.known and not found.timeline:
        raise click.exceptions.Exit(1)


def _from_files(
    settings: Settings,
    journeys: Sequence[Journey],
    program: Program,
    conditions: Conditions,
    person: str,
    names: Iterable[str],
) -> Explanation:
    own: list[Event] = []
    others: set[str] = set()
    refused: list[Refused] = []
    last = 0
    decoder = decoder_of(settings, vocabulary_of(settings))
    with ExitStack() as stack:
        sources = open_events(names, stack)
        for event in _events(decoder, sources, refused):
            last = max(last, event.at)
            if event.person == person:
                own.append(event)
            elif not own and len(others) < NAMES:
                others.add(event.person)
        tell_unusable(refused, sources)
    if not own and (close := _close(person, others)):
        note(f"nobody is called {person} in these files. Did you mean {close}?")
    until = last if settings.until is None else settings.until
    state, records = last_state(program, person, own, until)
    return explain(journeys, program, conditions, person, state, records, until, events=len(own))


def _close(person: str, others: set[str]) -> str | None:
    """Name somebody who may be meant."""
    if f"anon:{person}" in others:
        return f"{person} --anonymous"
    if person.removeprefix("anon:") in others:
        return f"{person.removeprefix('anon:')} without --anonymous"
    close = difflib.get_close_matches(person, sorted(others), 1, 0.75)
    return close[0] if close else None


def _events(decoder: Decoder, sources: Iterable[Iterable[bytes]], refused: list[Refused]) -> Iterator[Event]:
    received = time.time_ns() // 1_000
    for number, source in enumerate(sources):
        for place, line in enumerate(source, 1):
            event = decoder.decode(line, received)
            if isinstance(event, Rejection):
                refused.append(Refused(number, place, event.reason, event.detail))
            elif isinstance(event, Event):
                yield event
                for derived in derived_events(event):
                    made = decoder.decode(derived.value, received)
                    if isinstance(made, Event):
                        yield made


async def _from_deployment(
    settings: Settings,
    journeys: Sequence[Journey],
    program: Program,
    conditions: Conditions,
    person: str,
) -> Explanation:
    from journey_stream.kafka.look import find, records_of  # only now: files need no client
    from journey_stream.kafka.reading import reader
    from journey_stream.kafka.security import client_options
    from journey_stream.kafka.topics import admin_client

    async with admin_client(settings):  # says so in our words when no broker is there
        pass
    async with reader(client_options(settings)) as side:
        found = await find(side, settings, program, person)
        records = await records_of(side, settings, person)
    at = 0 if found.checkpoint is None else max(found.checkpoint.meta.clock, 0)
    return explain(journeys, program, conditions, person, found.customer, records, at)
