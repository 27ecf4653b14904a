"""Plain Faust, as its documentation shows it: Record, Table, `async for`.

Enters: the environment that `programs` sets. Leaves: changes of stage in `<group>-changes`; `begun` and
`ended` on standard output when 5 % and 95 % of the events are done, each with how many.
At least once, no timers, no de-duplication. `benchmarks.shop` runs it, too.
"""

from __future__ import annotations

import os
import sys

import faust

GROUP = os.environ["BENCH_GROUP"]
EVENTS = int(os.environ["BENCH_EVENTS"])
PARTITIONS = int(os.environ["BENCH_PARTITIONS"])


class Event(faust.Record, serializer="json", validation=False):
    """The fields that the job needs; Faust leaves the others out."""

    event_id: str
    occurred_at: str
    type: str
    customer_id: str | None = None
    anonymous_id: str | None = None


app = faust.App(
    GROUP,
    broker="aiokafka://" + os.environ["BENCH_BROKER"],
    store="memory://",
    topic_partitions=PARTITIONS,
    datadir=os.environ["BENCH_FOLDER"],
    web_enabled=False,
    topic_disable_leader=True,
    consumer_auto_offset_reset="earliest",
)
source = app.topic(os.environ["BENCH_SOURCE"], value_type=Event)
changes = app.topic(GROUP + "-changes", value_serializer="json", partitions=PARTITIONS)
customers = app.Table(GROUP + "-customers", default=dict, partitions=PARTITIONS)

FIRST, LAST = EVENTS * 5 // 100, EVENTS * 95 // 100
seen = 0


@app.agent(source)
async def follow(stream: faust.Stream[Event]) -> None:
    """Keep each customer's state; tell each change of stage."""
    global seen
    async for event in stream:
        person = event.customer_id or event.anonymous_id or ""
        state = customers[person]
        old = state.get("stage", "prospect")
        new = old
        if event.type == "order_completed":
            new = "customer" if old == "prospect" else "repeat"
        count = state.get("count", 0) + 1
        last = max(state.get("last_seen", ""), event.occurred_at)
        customers[person] = {"count": count, "stage": new, "last_seen": last}
        if new != old:
            change = {"customer": person, "from": old, "to": new, "count": count, "last_seen": last}
            await changes.send(key=person, value=change)
        seen += 1
        if seen in (FIRST, LAST):
            # Faust's worker turns `print` into log lines.
            print("begun" if seen == FIRST else "ended", seen, file=sys.__stdout__, flush=True)


if __name__ == "__main__":
    app.main()
