"""The same small job in plain Faust, as its documentation shows it: what the three kills do to it.

Enters: a topic of events keyed by customer, by environment. Leaves: one record for each order: how many
events the customer had by then, and the stages from and to.
"""

from __future__ import annotations

import os

import faust

PARTITIONS = int(os.environ["FAULTS_PARTITIONS"])
GROUP = os.environ["FAULTS_GROUP"]


class Event(faust.Record, serializer="json", validation=False):
    """The fields that the job needs."""

    event_id: str
    customer_id: str
    type: str


app = faust.App(
    GROUP,
    broker="aiokafka://" + os.environ["FAULTS_BROKER"],
    store="memory://",
    topic_partitions=PARTITIONS,
    datadir=os.environ["FAULTS_FOLDER"],
    web_enabled=False,
    topic_disable_leader=True,
    consumer_auto_offset_reset="earliest",
)
source = app.topic(os.environ["FAULTS_TOPIC"], value_type=Event)
moves = app.topic(os.environ["FAULTS_MOVES"], value_serializer="json", partitions=PARTITIONS)
stages = app.Table(GROUP + "-stages", default=dict, partitions=PARTITIONS)


@app.agent(source)
async def follow(stream: faust.Stream[Event]) -> None:
    """Keep each customer's stage and count; tell each order."""
    async for event in stream:
        state = stages[event.customer_id]
        count, old = state.get("n", 0) + 1, state.get("stage", "prospect")
        new = old
        if event.type == "order_completed":
            new = "customer" if old == "prospect" else "repeat"
        stages[event.customer_id] = {"n": count, "stage": new}
        if event.type == "order_completed":
            move = {"event_id": event.event_id, "n": count, "from": old, "to": new}
            await moves.send(key=event.customer_id, value=move)


if __name__ == "__main__":
    app.main()
