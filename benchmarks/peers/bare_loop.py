"""A loop around aiokafka's clients, with transactions and no framework: as far as this library goes.

Enters: the environment that `programs` sets. Leaves: changes of stage in `<group>-changes`, changed states in
`<group>-changelog`; `begun` and `ended` on standard output when 5 % and 95 % of the events are done, each
with how many. Strategy: the largest fetches, batches built by hand, and one transaction around each fetch:
changes, each changed customer's state once, offsets. It holds state in a dictionary that it never reads
back, looks at no rebalance, and survives no fault: what is missing here is what a framework is for.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

BROKER = os.environ["BENCH_BROKER"]
GROUP = os.environ["BENCH_GROUP"]
EVENTS = int(os.environ["BENCH_EVENTS"])
FIRST, LAST = EVENTS * 5 // 100, EVENTS * 95 // 100
FETCH = int(os.environ.get("BENCH_FETCH", "20000"))
BATCH_BYTES = 1_000_000


class Event(msgspec.Struct):
    """The fields that the job needs."""

    event_id: str
    occurred_at: str
    type: str
    customer_id: str


State = tuple[int, str, str]
"""Count, stage, last seen."""
NEW: State = (0, "prospect", "")

decode = msgspec.json.Decoder(Event).decode
encode = msgspec.json.Encoder().encode


def work(records: list[Any], states: dict[str, State]) -> tuple[list[tuple[bytes, bytes]], dict[str, State]]:
    """Take one partition's records in; give changes of stage and changed states."""
    outs: list[tuple[bytes, bytes]] = []
    changed: dict[str, State] = {}
    for record in records:
        event = decode(record.value)
        customer = event.customer_id
        count, old, last = states.get(customer, NEW)
        new = old
        if event.type == "order_completed":
            new = "customer" if old == "prospect" else "repeat"
        count, last = count + 1, max(last, event.occurred_at)
        states[customer] = changed[customer] = (count, new, last)
        if new != old:
            change = {"customer": customer, "from": old, "to": new, "count": count, "last_seen": last}
            outs.append((customer.encode(), encode(change)))
    return outs, changed


async def send(
    producer: AIOKafkaProducer, topic: str, partition: int, rows: Iterable[tuple[bytes, bytes]]
) -> list[Any]:
    """Send rows in batches built by hand."""
    sent, batch = [], producer.create_batch()
    for key, value in rows:
        if batch.append(key=key, value=value, timestamp=None) is None:
            sent.append(await producer.send_batch(batch, topic, partition=partition))
            batch = producer.create_batch()
            batch.append(key=key, value=value, timestamp=None)
    if batch.record_count():
        sent.append(await producer.send_batch(batch, topic, partition=partition))
    return sent


async def main() -> None:
    """Run until ended from outside."""
    consumer = AIOKafkaConsumer(
        os.environ["BENCH_SOURCE"],
        bootstrap_servers=BROKER,
        group_id=GROUP,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        isolation_level="read_committed",
        max_partition_fetch_bytes=4 << 20,
    )
    producer = AIOKafkaProducer(
        bootstrap_servers=BROKER, transactional_id=GROUP, max_batch_size=BATCH_BYTES, linger_ms=0
    )
    await producer.start()
    await consumer.start()
    states: dict[str, State] = {}
    done = 0
    while True:
        fetched = await consumer.getmany(timeout_ms=1000, max_records=FETCH)
        if not fetched:
            continue
        before = done
        async with producer.transaction():
            sent = []
            for place, records in fetched.items():
                outs, changed = work(records, states)
                states_out = ((customer.encode(), encode(state)) for customer, state in changed.items())
                sent += await send(producer, GROUP + "-changes", place.partition, outs)
                sent += await send(producer, GROUP + "-changelog", place.partition, states_out)
                done += len(records)
            await asyncio.gather(*sent)
            offsets = {place: records[-1].offset + 1 for place, records in fetched.items()}
            await producer.send_offsets_to_transaction(offsets, GROUP)
        for mark, word in ((FIRST, "begun"), (LAST, "ended")):
            if before < mark <= done:
                print(word, done, flush=True)


if __name__ == "__main__":
    try:
        import uvloop
    except ImportError:
        asyncio.run(main())
    else:
        uvloop.run(main())
