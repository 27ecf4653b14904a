"""Quix Streams, exactly once, as its documentation shows it: a dataframe, `apply` with state, `to_topic`.

Enters: the environment that `programs` sets. Leaves: changes of stage in `<group>-changes`; `begun` and
`ended` on standard output when 5 % and 95 % of the events are done, each with how many. State is its
RocksDB with a changelog topic, a transaction every 5 s: its defaults. It runs in an environment of its own.
"""

from __future__ import annotations

import os
from typing import Any

from quixstreams import Application, State
from quixstreams.models import TopicConfig

GROUP = os.environ["BENCH_GROUP"]
EVENTS = int(os.environ["BENCH_EVENTS"])
FIRST, LAST = EVENTS * 5 // 100, EVENTS * 95 // 100
seen = 0


def follow(event: dict[str, Any], state: State) -> dict[str, Any] | None:
    """Keep the customer's state; tell a change of stage."""
    global seen
    kept = state.get("customer") or {"count": 0, "stage": "prospect", "last_seen": ""}
    old = new = kept["stage"]
    if event["type"] == "order_completed":
        new = "customer" if old == "prospect" else "repeat"
    count, last = kept["count"] + 1, max(kept["last_seen"], event["occurred_at"])
    state.set("customer", {"count": count, "stage": new, "last_seen": last})
    seen += 1
    if seen in (FIRST, LAST):
        print("begun" if seen == FIRST else "ended", seen, flush=True)
    if new == old:
        return None
    return {"customer": event["customer_id"], "from": old, "to": new, "count": count, "last_seen": last}


def main() -> None:
    """Run until ended from outside."""
    app = Application(
        broker_address=os.environ["BENCH_BROKER"],
        consumer_group=GROUP,
        auto_offset_reset="earliest",
        processing_guarantee="exactly-once",
        state_dir=os.environ["BENCH_FOLDER"],
        loglevel="WARNING",
    )
    source = app.topic(os.environ["BENCH_SOURCE"], value_deserializer="json", key_deserializer="str")
    layout = TopicConfig(num_partitions=int(os.environ["BENCH_PARTITIONS"]), replication_factor=1)
    target = app.topic(GROUP + "-changes", value_serializer="json", config=layout)
    frame = app.dataframe(source).apply(follow, stateful=True)
    frame.filter(lambda change: change is not None).to_topic(target)
    app.run()


if __name__ == "__main__":
    main()
