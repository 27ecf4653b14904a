"""Plain Faust, as its documentation shows it: Record, Table, `async for`. The reference of `make bench`.

Enters: topic and bootstrap servers by environment (`BENCH_BROKER`, `BENCH_TOPIC`, `BENCH_EVENTS`).
Leaves: one JSON line on standard output: events, seconds and CPU seconds over the events between 5 % and
95 % of the run, so that start and end do not count for or against anybody.

The job is the one that the peers get: one journey of three stages (prospect, customer, repeat), one state
per customer with a changelog, one record out for each change of stage. At-least-once, no timers, no
de-duplication, one model: less than what the worker beside it does for each event.
"""

from __future__ import annotations

import json
import os
import sys
import time

import faust

BROKER = os.environ.get("BENCH_BROKER", "127.0.0.1:9092")
TOPIC = os.environ.get("BENCH_TOPIC", "bench.all")
GROUP = os.environ.get("BENCH_GROUP", "bench-plain-faust")
EVENTS = int(os.environ.get("BENCH_EVENTS", "100000"))
PARTITIONS = int(os.environ.get("BENCH_PARTITIONS", "8"))


class Event(faust.Record, serializer="json", validation=False):
    """The fields that the job needs; Faust leaves the others out."""

    event_id: str
    occurred_at: str
    type: str
    customer_id: str | None = None
    anonymous_id: str | None = None


app = faust.App(
    GROUP,
    broker="aiokafka://" + BROKER,
    store="memory://",
    topic_partitions=PARTITIONS,
    datadir=os.environ.get("BENCH_FOLDER", "./faust-data"),
    web_enabled=False,
    topic_disable_leader=True,
    consumer_auto_offset_reset="earliest",
)
source = app.topic(TOPIC, value_type=Event)
changes = app.topic(GROUP + "-changes", value_serializer="json", partitions=PARTITIONS)
stages = app.Table(GROUP + "-stages", default=dict, partitions=PARTITIONS)

FIRST, LAST = EVENTS * 5 // 100, EVENTS * 95 // 100
seen = 0
begun = (0.0, 0.0)


@app.agent(source)
async def follow(stream: faust.Stream[Event]) -> None:
    """Keep each customer's stage and count; tell each change."""
    global seen, begun
    async for event in stream:
        person = event.customer_id or event.anonymous_id or ""
        state = stages[person]
        old = state.get("stage", "prospect")
        new = old
        if event.type == "order_completed":
            new = "customer" if old == "prospect" else "repeat"
        stages[person] = {"n": state.get("n", 0) + 1, "stage": new, "last": event.occurred_at}
        if new != old:
            await changes.send(key=person, value={"customer": person, "from": old, "to": new})
        seen += 1
        if seen == FIRST:
            begun = (time.perf_counter(), time.process_time())
        elif seen == LAST:
            seconds, cpu = time.perf_counter() - begun[0], time.process_time() - begun[1]
            figure = {"events": LAST - FIRST, "seconds": seconds, "cpu_seconds": cpu}
            # Faust's worker turns `print` into log lines.
            print(json.dumps(figure), file=sys.__stdout__, flush=True)


if __name__ == "__main__":
    app.main()
