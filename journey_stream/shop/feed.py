"""Carry the records of the shop to Kafka.

Enters: records, the topic of each source, client options (`kafka.security.client_options`). Leaves: how many
records each topic took. Strategy: an idempotent producer that packs batches itself; a bounded number of sends
is under way at a time, the first failed one stops the feed loudly. Records get the broker's wall time, not
the simulated one: a topic's retention must not delete a simulated past.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from journey_stream.errors import BrokerError
from journey_stream.shop.records import ShopRecord

AT_ONCE = 20_000
"""Sends under way before the feed waits for the older half."""
LARGEST = 16 * 1024 * 1024
"""Largest request: the shop also sends records that are too large on purpose."""
SLICE_S = 0.05
"""With a rate: so often the feed checks that it is not ahead."""


async def feed(
    records: Iterable[ShopRecord],
    topics: Mapping[str, str],
    client_options: Mapping[str, Any],
    rate: float | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> dict[str, int]:
    """Send all records, in their order per source, and wait until the broker has them.

    Args:
        records: In the order of delivery.
        topics: Source to topic, for all four sources.
        client_options: Keyword arguments for every aiokafka client, `bootstrap_servers` among them.
        rate: Records a second at most; None sends as fast as the broker takes them.
        on_progress: Told the number of records sent so far, every few thousand.

    Raises:
        BrokerError: The broker is away or refuses a record; what was sent before stays sent.
    """
    producer = AIOKafkaProducer(
        **client_options,
        enable_idempotence=True,
        linger_ms=20,
        max_batch_size=256 * 1024,
        max_request_size=LARGEST,
    )
    try:
        await producer.start()
    except KafkaError as error:
        await producer.stop()
        raise _refused("cannot start to feed the shop's events", client_options, error) from error
    try:
        return await _send_all(producer, records, topics, rate, on_progress)
    except KafkaError as error:
        raise _refused("a record of the shop was not taken", client_options, error) from error
    finally:
        await producer.stop()


async def _send_all(
    producer: AIOKafkaProducer,
    records: Iterable[ShopRecord],
    topics: Mapping[str, str],
    rate: float | None,
    on_progress: Callable[[int], None] | None,
) -> dict[str, int]:
    sent: Counter[str] = Counter()
    under_way: list[asyncio.Future[Any]] = []
    began, count = time.monotonic(), 0
    pause = max(1, int(rate * SLICE_S)) if rate else 2_000
    for record in records:
        topic = topics[record.source]
        headers = list(record.headers) or None
        # Kafka takes a record with neither key nor value, aiokafka does not.
        key = b"" if record.key is None and record.value is None else record.key
        under_way.append(await producer.send(topic, record.value, key, headers=headers))
        sent[topic] += 1
        count += 1
        if len(under_way) >= AT_ONCE:
            older, under_way = under_way[: AT_ONCE // 2], under_way[AT_ONCE // 2 :]
            await asyncio.gather(*older)
        if count % pause == 0:
            if on_progress is not None:
                on_progress(count)
            ahead = count / rate - (time.monotonic() - began) if rate else 0.0
            await asyncio.sleep(max(0.0, ahead))
    await asyncio.gather(*under_way)
    if on_progress is not None:
        on_progress(count)
    return dict(sent)


def _refused(what: str, client_options: Mapping[str, Any], error: Exception) -> BrokerError:
    servers = client_options.get("bootstrap_servers", "the broker")
    return BrokerError(
        f"{what}: expected a Kafka broker at {servers} that takes it, got {type(error).__name__}: {error}; "
        f"check that the broker runs and that its topics exist"
    )
