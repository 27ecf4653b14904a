"""`journey-stream redrive`: look at dead letters, mend them, send them back to their sources, each once."""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, get_args

import click
import msgspec
from aiokafka.errors import KafkaError

from journey_stream.cli import example
from journey_stream.cli.common import note, run_async, settings_options, source_topic, watched
from journey_stream.cli.spool import Spool, filtered
from journey_stream.errors import BrokerError, FilterError, UsageError
from journey_stream.kafka.reading import Reader, reader
from journey_stream.kafka.redrive import Choice, Letter, Place, Resend, Resender, chosen, sent_before, size
from journey_stream.kafka.security import client_options
from journey_stream.kafka.topics import admin_client, describe, ensure_topics
from journey_stream.letter_lines import as_line
from journey_stream.letters import identity, redrive_of
from journey_stream.settings import Settings, TopicNames
from journey_stream.settings_read import parse_duration, parse_moment
from journey_stream.values import NEVER, DeadLetter, Reason, Rejection, rfc3339

TO_SEND, SENT_BEFORE, GIVEN_UP, UNSENDABLE = "to_send", "sent_before", "given_up", "unsendable"
FATES = (TO_SEND, SENT_BEFORE, GIVEN_UP, UNSENDABLE)
MAX_BYTES = 4 << 20
"""Of one transaction; a single larger letter has one to itself."""


class Order(msgspec.Struct, frozen=True):
    """What the caller wants."""

    choice: Choice
    send: bool
    again: bool
    attempts: int
    limit: int | None
    filter: str | None
    as_of: int | None
    batch: int


class Outcome(msgspec.Struct):
    """What was found, and what became of it."""

    counts: Counter[tuple[str, str, str]] = msgspec.field(default_factory=Counter)
    """Letters by (reason, source, fate)."""
    to_send: int = 0
    changed: int = 0
    left_out: int = 0
    """By the filter."""
    sent: int = 0
    refused: int = 0
    """Would be refused again at once."""
    first_refused: str = ""
    too_late: int = 0


@click.command(
    "redrive",
    epilog=example(
        "journey-stream redrive --reason wrong_type",
        "journey-stream redrive --reason wrong_type --list --json",
        "journey-stream redrive --filter \"jq -c '.value.properties.total |= tonumber'\" --send",
        "journey-stream redrive --reason too_late --as-of now --send",
    ),
)
@settings_options()
@click.option("--send", is_flag=True, help="Really send; without it nothing is changed anywhere.")
@click.option("--list", "as_list", is_flag=True, help="Print the letters that would be sent, one a line.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON; with --list what a filter gets.")
@click.option(
    "--reason",
    "reasons",
    multiple=True,
    type=click.Choice(get_args(Reason)),
    metavar="REASON",
    help="Only these; may be repeated.",
)
@click.option(
    "--source",
    "sources",
    multiple=True,
    metavar="TOPIC[/PARTITION[/OFFSET[-OFFSET]]]",
    help="Only those that came from here; may be repeated.",
)
@click.option(
    "--since", metavar="TIME|AGO", help="Only letters written since, `2026-01-01T00:00:00Z` or `2h`."
)
@click.option("--until", metavar="TIME|AGO", help="Only letters written before.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="At most so many, the oldest.")
@click.option(
    "--filter", "command_", metavar="COMMAND", help="Pass them through a shell command as JSON Lines."
)
@click.option("--as-of", metavar="now|TIME", help="Let them count as having happened then, flagged late.")
@click.option("--again", is_flag=True, help="Also those that have been sent back before.")
@click.option(
    "--attempts",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    metavar="N",
    help="Give up on records that came back so often.",
)
@click.option(
    "--batch",
    type=click.IntRange(1, 5000),
    default=500,
    show_default=True,
    metavar="N",
    help="Letters in one transaction.",
)
def command(settings: Settings, send: bool, as_list: bool, as_json: bool, **chosen_: Any) -> int:
    """Send dead letters back to their source topics, mended or as they are, once each.

    Without --send it says what it would do. With --filter a command gets the letters as JSON Lines and
    writes those to be sent: what it leaves out stays a dead letter, what it leaves as it was goes back byte
    for byte. Whatever is sent is remembered in the same transaction: however often this is stopped and
    called again, each letter is sent once.
    """
    order = _order(settings, send, **chosen_)
    with contextlib.ExitStack() as stack:
        letters = stack.enter_context(Spool())
        outcome = run_async(_run(settings, order, letters, stack, _printer(as_list, as_json)))
    if as_json and not as_list:
        click.echo(json.dumps(_summary(outcome), indent=2))
    elif not as_list:
        _print_table(outcome)
    _tell(outcome, order)
    return 0


def _order(settings: Settings, send: bool, **said: Any) -> Order:
    now = time.time_ns() // 1000
    choice = Choice(
        frozenset(said["reasons"]),
        tuple(_place(text, settings) for text in said["sources"]),
        _when("--since", said["since"], now),
        _when("--until", said["until"], now),
    )
    as_of = now if said["as_of"] == "now" else _when("--as-of", said["as_of"], now)
    if as_of is not None and as_of > now:
        msg = f"--as-of {said['as_of']}: expected now or a time that is over, came one ahead"
        raise UsageError(msg)
    kept = {name: said[name] for name in ("again", "attempts", "limit", "batch")}
    return Order(choice=choice, send=send, filter=said["command_"], as_of=as_of, **kept)


def _place(text: str, settings: Settings) -> Place:
    match = re.fullmatch(r"([^/]+)(?:/(\d+)(?:/(\d+)(?:-(\d+))?)?)?", text)
    topic = None if match is None else source_topic(settings, match[1])
    if match is None or topic is None:
        msg = (
            f"--source {text}: expected TOPIC, TOPIC/PARTITION, TOPIC/PARTITION/OFFSET or "
            f"TOPIC/PARTITION/FIRST-LAST, with one of the topics {', '.join(TopicNames.of(settings).sources)}"
        )
        raise UsageError(msg)
    _, partition, first, last = match.groups()
    if first is None:
        return Place(topic, None if partition is None else int(partition))
    return Place(topic, int(partition), int(first), int(last or first))


def _when(option: str, text: str | None, now: int) -> int | None:
    if text is None:
        return None
    with contextlib.suppress(ValueError):
        return parse_moment(text)
    with contextlib.suppress(ValueError):
        ago = parse_duration(text)
        if ago != NEVER:
            return now - ago
    msg = (
        f"{option} {text}: expected a time with its offset such as 2026-01-01T00:00:00Z, "
        "or how long ago, such as 2h"
    )
    raise UsageError(msg)


async def _run(
    settings: Settings,
    order: Order,
    letters: Spool,
    stack: contextlib.ExitStack,
    print_: Callable[[Letter], None] | None,
) -> Outcome:
    names, outcome = TopicNames.of(settings), Outcome()
    client = client_options(settings)
    try:
        async with admin_client(settings) as admin, reader(client) as read:
            await read.partitions(names.dead_letters)
            if order.send:
                await ensure_topics(settings, admin, only="notes")
            topics = await describe(admin, [*names.sources, names.redriven])
            largest = {
                name: int(state.config.get("max.message.bytes", "1048588")) for name, state in topics.items()
            }
            remembers = largest.pop(names.redriven, None) is not None
            async with contextlib.AsyncExitStack() as sending:
                # Fence before the memory is read: nobody else can add to it from here on.
                resender = await _start(client, settings, sending) if order.send else None
                before = await sent_before(read, settings) if remembers and not order.again else set()
                await _set_aside(read, settings, order, letters, outcome, _Fates(before, largest, order))
                if order.filter is not None and len(letters):
                    before_filter = len(letters)
                    letters = stack.enter_context(filtered(letters, order.filter))
                    outcome.changed, outcome.left_out = letters.changed, before_filter - len(letters)
                    _refuse_large(letters, largest, order)
                outcome.to_send = len(letters)
                _foresee(settings, letters, order, outcome)
                if print_ is not None:
                    for each in letters:
                        print_(each)
                if resender is not None:
                    await _send(resender, letters, order, outcome)
    except KafkaError as error:
        msg = f"the cluster refused: {type(error).__name__}: {error}"
        raise BrokerError(msg) from error
    return outcome


async def _start(client: dict[str, Any], settings: Settings, sending: contextlib.AsyncExitStack) -> Resender:
    resender = Resender(client, settings)
    sending.push_async_callback(resender.stop)
    await resender.start()
    return resender


class _Fates:
    """What would become of a letter, as it is."""

    def __init__(self, before: set[str], largest: dict[str, int], order: Order) -> None:
        self._before, self._largest, self._order = before, largest, order

    def of(self, letter: DeadLetter) -> str:
        told, _ = redrive_of(letter.headers)
        if letter.topic not in self._largest:
            return UNSENDABLE  # what a stranger wrote to the keyed topic, or a source that is no more
        if identity(letter) in self._before:
            return SENT_BEFORE
        if told is not None and told.count >= self._order.attempts:
            return GIVEN_UP
        if self._order.filter is None and size(letter, self._order.as_of) > self._largest[letter.topic]:
            return UNSENDABLE
        return TO_SEND


async def _set_aside(
    read: Reader, settings: Settings, order: Order, letters: Spool, outcome: Outcome, fates: _Fates
) -> None:
    async for letter in chosen(read, settings, order.choice):
        of = letter.letter
        fate = fates.of(of)
        outcome.counts[of.reason, of.topic, fate] += 1
        if fate == TO_SEND:
            letters.add(letter)
    if order.limit is not None:
        letters.cut(order.limit)


def _refuse_large(letters: Spool, largest: dict[str, int], order: Order) -> None:
    for each in letters:
        needed, most = size(each.letter, order.as_of), largest[each.letter.topic]
        if needed > most:
            msg = (
                f"letter {identity(each.letter)}: the filter made it {needed} bytes, its topic takes {most}. "
                "Nothing was sent"
            )
            raise FilterError(msg)


def _foresee(settings: Settings, letters: Spool, order: Order, outcome: Outcome) -> None:
    """Find those that this configuration would refuse again at once."""
    if not len(letters):
        return
    from journey_stream.deployment import decoder_of, vocabulary_of  # slow to import

    decode, now = decoder_of(settings, vocabulary_of(settings)).decode, time.time_ns() // 1000
    for each in letters:
        found = decode(each.letter.value, now)
        if isinstance(found, Rejection):
            outcome.refused += 1
            if not outcome.first_refused:
                outcome.first_refused = f"{identity(each.letter)}: {found.reason}: {found.detail}"
        elif each.letter.reason == "too_late" and order.as_of is None:
            outcome.too_late += 1


async def _send(resender: Resender, letters: Spool, order: Order, outcome: Outcome) -> None:
    shows = watched()
    for batch in _batches(letters.resends(), order):
        await resender.send_back(batch, order.as_of, time.time_ns() // 1000)
        outcome.sent += len(batch)
        if shows:
            click.echo(f"\r{outcome.sent:,} of {outcome.to_send:,} sent", err=True, nl=False)
    if shows:
        click.echo("\r\x1b[K", err=True, nl=False)


def _batches(letters: Iterable[Resend], order: Order) -> Iterator[list[Resend]]:
    batch: list[Resend] = []
    room = MAX_BYTES
    for each in letters:
        needed = size(each.letter, order.as_of)
        if batch and (len(batch) >= order.batch or needed > room):
            yield batch
            batch, room = [], MAX_BYTES
        batch.append(each)
        room -= needed
    if batch:
        yield batch


def _printer(as_list: bool, as_json: bool) -> Callable[[Letter], None] | None:
    if not as_list:
        return None

    def print_(each: Letter) -> None:
        if as_json:
            click.echo(as_line(each.letter, each.written_at))
        else:
            of = each.letter
            click.echo(f"{rfc3339(each.written_at)}  {identity(of)}  {of.reason}: {of.detail}")

    return print_


def _rows(outcome: Outcome) -> list[dict[str, Any]]:
    groups = sorted({(reason, source) for reason, source, _ in outcome.counts})
    return [
        {
            "reason": reason,
            "source": source,
            "letters": sum(outcome.counts[reason, source, fate] for fate in FATES),
            **{fate: outcome.counts[reason, source, fate] for fate in FATES},
        }
        for reason, source in groups
    ]


def _summary(outcome: Outcome) -> dict[str, Any]:
    return {
        "letters": outcome.counts.total(),
        "to_send": outcome.to_send,
        "changed_by_filter": outcome.changed,
        "left_out_by_filter": outcome.left_out,
        "refused_again": outcome.refused,
        "sent": outcome.sent,
        "by": _rows(outcome),
    }


def _print_table(outcome: Outcome) -> None:
    rows = _rows(outcome)
    if not rows:
        return
    wide = max(len(row["source"]) for row in rows)
    heads = ("letters", *(fate.replace("_", " ") for fate in FATES))
    click.echo(f"{'reason':<18}{'source':<{wide}}" + "".join(f"{head:>13}" for head in heads))
    for row in rows:
        numbers = "".join(f"{row[name]:>13,}" for name in ("letters", *FATES))
        click.echo(f"{row['reason']:<18}{row['source']:<{wide}}{numbers}")


def _tell(outcome: Outcome, order: Order) -> None:
    """Say on standard error what is not the result."""
    if outcome.left_out or outcome.changed:
        note(f"the filter changed {outcome.changed:,} and left out {outcome.left_out:,}")
    if outcome.refused:
        note(f"{outcome.refused:,} would be refused again at once, the first: {outcome.first_refused}")
    if outcome.too_late:
        note(f"{outcome.too_late:,} came too late, and will again unless sent `--as-of now`")
    if outcome.sent or order.send:
        note(f"sent {outcome.sent:,}")
    elif outcome.to_send:
        note(f"nothing was sent: say --send to send {outcome.to_send:,}")
    else:
        note("there is nothing to send")
