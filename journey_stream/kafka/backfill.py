"""History into its source topic, before the deployment begins; once, however often it is called.

Enters: lines in the order of event time. Leaves: the topic `<prefix>.history`, each person's lines in one
partition. Strategy: to begin with workers that have not begun: then this topic is a source like the others,
holds the clock until it is read to its end, and what the live topics hold waits for its turn in event time
(the clock and the buffers of `keyed` do that; nothing else joins the two). The same files give the same lines
to the same partitions, so a second call skips as many as a partition holds already.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from journey_stream.backfill import Line
from journey_stream.errors import UsageError
from journey_stream.kafka.hop import Partitioner, partitioner_of
from journey_stream.kafka.reading import Reader, reader
from journey_stream.kafka.security import client_options
from journey_stream.kafka.sender import Row, Sender
from journey_stream.kafka.topics import ensure_topics
from journey_stream.settings import HISTORY, Settings, TopicNames
from journey_stream.values import rfc3339

AT_ONCE: Final = 5_000
"""Lines sent before the broker is waited for."""


class Sent(msgspec.Struct):
    """What was done."""

    topic: str
    sent: int = 0
    skipped: int = 0
    """Lines that an earlier call had sent."""


async def send_history(settings: Settings, lines: Iterable[Line], tell: Callable[[int], None]) -> Sent:
    """Send history to its topic.

    Args:
        settings: of the deployment, with a fence.
        lines: in the order of event time; the same on each call.
        tell: is told how many lines are through, now and then.

    Raises:
        UsageError: the deployment has begun: history would come too late.
        BrokerError: the cluster cannot be reached.
        TopicError: a topic is there and cannot be used.
    """
    await ensure_topics(settings)
    names, result = TopicNames.of(settings), Sent(f"{settings.topic_prefix}.{HISTORY}")
    client = client_options(settings)
    async with reader(client) as side:
        await _check_not_begun(side, settings, names.changelog)
        spans = await side.spans(result.topic, await side.partitions(result.topic))
    skip = {partition: span.end for partition, span in spans.items()}
    partition_of = Partitioner(len(skip), partitioner_of(settings.keyed_input))
    sender = Sender(client, settings.max_record_bytes)
    await sender.start()
    try:
        rows: defaultdict[int, list[Row]] = defaultdict(list)
        waiting = 0
        for line in lines:
            key = line.person.encode()
            partition = partition_of(key)
            if skip[partition] > 0:
                skip[partition] -= 1
                result.skipped += 1
                continue
            rows[partition].append((key, line.text, []))
            waiting += 1
            if waiting == AT_ONCE:
                result.sent += await _flush(sender, result.topic, rows)
                waiting = 0
                tell(result.sent + result.skipped)
        result.sent += await _flush(sender, result.topic, rows)
    finally:
        await sender.stop()
    return result


async def gaps(settings: Settings, last: int) -> list[str]:
    """Name the live source partitions whose earliest records are gone, so that a gap is left after `last`."""
    found = []
    async with reader(client_options(settings)) as side:
        for topic in TopicNames.of(settings).sources:
            spans = await side.spans(topic, await side.partitions(topic))
            for partition, span in spans.items() if not topic.endswith(f".{HISTORY}") else ():
                if 0 < span.first < span.end:
                    async for records in side.read(topic, [partition]):
                        if records and records[0].timestamp * 1000 > last:
                            found.append(f"{topic}[{partition}] from {rfc3339(records[0].timestamp * 1000)}")
                        break
    return found


async def _check_not_begun(side: Reader, settings: Settings, changelog: str) -> None:
    spans = await side.spans(changelog, await side.partitions(changelog))
    if any(span.end > 0 for span in spans.values()):
        msg = (
            f"the deployment {settings.application_id} has begun: its clock stands in the present, and "
            "history would come too late. Stop the workers and `journey-stream reset`, or choose another "
            "`application_id` and `topic_prefix`; then backfill, then start the workers (docs/backfill.md)"
        )
        raise UsageError(msg)


async def _flush(sender: Sender, topic: str, rows: defaultdict[int, list[Row]]) -> int:
    count = 0
    for partition, batch in rows.items():
        await sender.send(topic, partition, batch)
        count += len(batch)
    rows.clear()
    return count
