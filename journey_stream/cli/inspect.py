"""`journey-stream inspect`: how a running deployment stands, one partition of it, or one customer."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import click
import msgspec
from aiokafka.errors import KafkaError

from journey_stream.cli import example
from journey_stream.cli.common import run_async, settings_options
from journey_stream.engine.view import CustomerView, view
from journey_stream.errors import BrokerError, UsageError
from journey_stream.kafka.control import Pause, pause_of, read_pauses
from journey_stream.kafka.look import LastCheckpoint, find, person_of, records_of
from journey_stream.kafka.reading import Where, reader
from journey_stream.kafka.security import client_options
from journey_stream.kafka.standing import PartitionStanding, SourceStanding, Standing, standing
from journey_stream.kafka.topics import admin_client
from journey_stream.settings import Settings, TopicNames
from journey_stream.values import SECOND, rfc3339


class Person(msgspec.Struct, frozen=True):
    """What is known of one customer."""

    person: str
    partition: int
    checkpoint_at: int | None
    pause: Pause | None
    known: bool
    state: CustomerView | None
    records: list[dict[str, Any]]


@click.command(
    "inspect",
    epilog=example(
        "journey-stream inspect",
        "journey-stream inspect --partition 3",
        "journey-stream inspect --customer customer-17 --journeys buyer-value",
    ),
)
@settings_options("journeys", "clock")
@click.option("--partition", type=click.IntRange(0), metavar="N", help="One partition of customers.")
@click.option("--customer", metavar="ID", help="One customer, by `customer_id`.")
@click.option("--anonymous", metavar="ID", help="One customer, by `anonymous_id`.")
@click.option("--last", default=10, show_default=True, metavar="N", help="Show a customer's last N records.")
@click.option(
    "--tail",
    default=20_000,
    show_default=True,
    metavar="N",
    help="Look for them in the last N offsets of their partitions.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    settings: Settings,
    partition: int | None,
    customer: str | None,
    anonymous: str | None,
    last: int,
    tail: int,
    as_json: bool,
) -> int:
    """Look at a running deployment from the side: nothing is joined, nothing is disturbed.

    Says how far each partition of customers and each source has come, who holds the clock, and what is
    paused. With --partition also its customers and timers; with --customer or --anonymous one customer:
    stages, values, deadlines, signals that can still be cancelled, last records. All of it as of the last
    checkpoint.
    """
    if sum(each is not None for each in (partition, customer, anonymous)) > 1:
        raise UsageError("expected one of --partition, --customer and --anonymous, came more")
    if customer is None and anonymous is None:
        found = run_async(_standing(settings, partition))
        lines = _partition_lines(found) if partition is not None else _lines(found)
        click.echo(_json(found) if as_json else "\n".join(lines))
        return 0
    person = run_async(_person(settings, person_of(customer, anonymous), last, tail))
    click.echo(_json(person) if as_json else "\n".join(_person_lines(person)))
    return 0 if person.known else 1


async def _standing(settings: Settings, partition: int | None) -> Standing:
    try:
        async with admin_client(settings) as admin, reader(client_options(settings)) as read:
            there = await read.partitions(TopicNames.of(settings).changelog)
            if partition is not None and partition not in there:
                msg = f"--partition {partition}: the deployment has the partitions 0 to {len(there) - 1}"
                raise UsageError(msg)
            return await standing(read, admin, settings, partition)
    except KafkaError as error:
        raise BrokerError(_refused(error)) from error


async def _person(settings: Settings, person: str, last: int, tail: int) -> Person:
    from journey_stream.deployment import assemble  # slow to import, and needless for partitions

    program = assemble(settings).program
    try:
        async with admin_client(settings), reader(client_options(settings)) as read:
            found = await find(read, settings, program, person)
            pause = pause_of(
                await read_pauses(read, settings), TopicNames.of(settings).events, found.partition
            )
            records = await records_of(read, settings, person, Where(tail=tail))
    except KafkaError as error:
        raise BrokerError(_refused(error)) from error
    records.sort(key=lambda record: (record["decided_at"], record["journey"], record["sequence"]))
    c = found.customer
    state = None if c is None else view(program, c, max(_now(settings, found.checkpoint), c.latest))
    at = None if found.checkpoint is None else found.checkpoint.at
    return Person(
        person, found.partition, at, pause, state is not None, state, records[-last:] if last else []
    )


def _now(settings: Settings, checkpoint: LastCheckpoint | None) -> int:
    """The time that counts for windows: the wall, or where the clock of events has come to."""
    if settings.clock == "wall" or checkpoint is None:
        return time.time_ns() // 1000
    return checkpoint.meta.clock


def _refused(error: KafkaError) -> str:
    return f"the cluster refused: {type(error).__name__}: {error}"


# -- as JSON: times as people write them --------------------------------------------------------------------

_TIMES = {"since", "due", "until", "latest", "active", "forgotten_at", "clock", "checkpoint_at", "highest"}
_TIMES |= {"next_due"}
_SPANS = {"clock_lag"}
_THEIRS = {"attributes", "records", "population", "entries"}
"""What definitions and records have named: left as it is."""


def _json(found: Standing | Person) -> str:
    return json.dumps(_plain(msgspec.to_builtins(found)), indent=2)


def _plain(value: Any, key: str = "") -> Any:
    """Turn microseconds into what reads well: times into RFC 3339, spans into seconds."""
    if isinstance(value, dict):
        return {name: each if name in _THEIRS else _plain(each, name) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each, key) for each in value]
    if type(value) is int and key in _TIMES:
        return rfc3339(value)
    if type(value) is int and key in _SPANS:
        return value / SECOND
    return value


# -- for people ---------------------------------------------------------------------------------------------


def _lines(found: Standing) -> Iterator[str]:
    yield "partition    position         end         lag  checkpoint   clock"
    for each in found.partitions:
        yield (
            f"{each.partition:>9}{each.position:>12,}{each.end:>12,}{each.lag:>12,}  "
            f"{_ago(each.checkpoint_at):<13}{_clock(each)}{_paused(each.pause)}"
        )
    yield ""
    wide = max(len(f"{each.topic}/{each.partition}") for each in found.sources)
    yield f"{'source':<{wide}}   committed         end         lag  newest event"
    for source in found.sources:
        yield _source_line(source, wide)
    for target, pause in sorted(found.pauses.items()):
        yield f"{target} is paused{_since(pause)}"


def _source_line(source: SourceStanding, wide: int) -> str:
    name = f"{source.topic}/{source.partition}"
    newest = "none yet" if source.highest is None else rfc3339(source.highest)
    state = ", read to its end" if source.idle else ""
    return (
        f"{name:<{wide}}{source.committed or 0:>12,}{source.end:>12,}{source.lag:>12,}  "
        f"{newest}{state}{_paused(source.pause)}"
    )


def _partition_lines(found: Standing) -> Iterator[str]:
    (each,) = found.partitions
    yield f"partition {each.partition}{_paused(each.pause)}"
    if each.checkpoint_at is None:
        yield "nobody has worked on it yet"
        return
    yield f"last checkpoint    {rfc3339(each.checkpoint_at)}, by version {each.application}"
    yield f"taken in up to     {each.position:,} of {each.end:,}: {each.lag:,} behind"
    yield f"restarts from      {each.oldest:,}"
    yield f"group's offset     {'none' if each.committed is None else format(each.committed, ',')}"
    yield f"clock              {_clock(each)}"
    if each.counted is not None:
        due = "" if each.counted.next_due is None else f", the first {rfc3339(each.counted.next_due)}"
        yield f"customers          {each.counted.customers:,}"
        yield f"timers pending     {each.counted.timers_pending:,} customers{due}"
    for journey in each.journeys:
        yield ""
        yield f"{journey.journey} version {journey.version}"
        stages = each.population.get(journey.journey, {})
        yield from (f"  {stage:<40}{count:>10,}" for stage, count in sorted(stages.items()) if count)


def _person_lines(found: Person) -> Iterator[str]:
    at = "no checkpoint yet" if found.checkpoint_at is None else f"as of {rfc3339(found.checkpoint_at)}"
    yield f"{found.person} (partition {found.partition}, {at}){_paused(found.pause)}"
    c = found.state
    if c is None:
        yield "nobody by that id is known here: never came, was forgotten, or waits to be read"
    else:
        yield from _state_lines(c)
    if found.records:
        yield ""
        yield "last records"
        yield from map(_record_line, found.records)


def _state_lines(c: CustomerView) -> Iterator[str]:
    profile = {
        "anonymous_id": c.anonymous_id,
        "account_id": c.account_id,
        "locale": c.locale,
        "country": c.country,
        "timezone": c.timezone,
        "test": c.test or None,
        **{
            f"may be reached by {k}": v
            for k, v in msgspec.to_builtins(c.contactable).items()
            if v != "unknown"
        },
        "last act": rfc3339(c.active),
        "forgotten at": None if c.forgotten_at is None else rfc3339(c.forgotten_at),
    }
    yield from (f"  {name}: {value}" for name, value in profile.items() if value is not None)
    for each in c.journeys:
        yield ""
        if each.stage is None:
            yield f"{each.journey} version {each.version}: not entered"
            continue
        owner = f", owner {each.owner}" if each.owner else ""
        since = f"since {rfc3339(each.since)} ({each.kind}{owner})"
        yield f"{each.journey} version {each.version}: {each.stage} {since}"
        entries = ", ".join(f"{stage} {count}" for stage, count in each.entries.items())
        yield f"  entered: {entries}; loops: {each.loops}; last record: {each.sequence}"
        for name, value in each.attributes.items():
            known = "unknown" if value is None else json.dumps(value)
            yield f"  {name} = {known}{' (approximate)' if name in each.approximate else ''}"
    yield from _deadline_lines(c)


def _deadline_lines(c: CustomerView) -> Iterator[str]:
    if c.timers:
        yield ""
        yield "deadlines"
    for timer in c.timers:
        what = "signal" if timer.raises else "transition"
        by = "" if timer.by is None else f" for {timer.by}"
        waits = "" if timer.counts else ", waits for a stage in which it counts"
        yield f"  {rfc3339(timer.due)}  {timer.journey}: {what} {timer.rule}{by}{waits}"
    if c.signals:
        yield ""
        yield "signals that can still be cancelled"
    for signal in c.signals:
        until = "" if signal.until is None else f", until {rfc3339(signal.until)}"
        by = "" if signal.by is None else f" for {signal.by}"
        yield f"  {signal.journey}: {signal.rule}{by}{until} ({signal.signal_id})"


def _record_line(record: dict[str, Any]) -> str:
    if record["record_type"] == "signal":
        what = f"signal {record['signal']} {record['status']}"
    else:
        what = f"{record['from'] or 'nowhere'} -> {record['to']}"
    return (
        f"  {record['occurred_at']}  {record['journey']}: {what}, by {record['rule']} ({record['sequence']})"
    )


def _clock(each: PartitionStanding) -> str:
    if each.clock is None:
        return "unknown" if each.checkpoint_at is None else "stands: nothing is known of some source yet"
    behind = f", {each.clock_lag / SECOND:.1f} s behind" if each.clock_lag else ""
    held = f", held by {', '.join(each.holding)}" if each.holding else ""
    return f"{rfc3339(each.clock)}{behind}{held}"


def _ago(at: int | None) -> str:
    if at is None:
        return "none yet"
    seconds = max(0, time.time_ns() // 1000 - at) / SECOND
    return f"{seconds:,.0f} s ago" if seconds < 7200 else f"{seconds / 3600:,.0f} h ago"


def _paused(pause: Pause | None) -> str:
    return "" if pause is None else f"  PAUSED{_since(pause)}"


def _since(pause: Pause) -> str:
    return f" since {pause.since}" + (f": {pause.reason}" if pause.reason else "")
