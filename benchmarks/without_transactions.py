"""The worker without exactly once, for `benchmarks.exactly_once` alone: no setting of the product leads here.

Enters: the arguments of `journey-stream`. Leaves: the same command, in which a checkpoint is no transaction:
an idempotent producer sends records and states, and when all are acknowledged the offset is committed to the
group. A worker that dies in between publishes twice; that is what the transaction is paid for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from faust.types import TP

from journey_stream.cli import main
from journey_stream.kafka import lane, worker
from journey_stream.kafka.checkpoint import Row, Sender, Writer
from journey_stream.values import Out

workers: list[worker.JourneyWorker] = []


class PlainWriter(Writer):
    """Sends what the transaction would hold, then commits the offset."""

    def __init__(self, client: Mapping[str, Any], **options: Any) -> None:
        super().__init__(client, **options)
        self._producer._closed = True  # never started: it would complain of not having been stopped
        Sender.__init__(self, client, options["max_record_bytes"])

    async def commit(
        self,
        outs: Sequence[Out],
        changelog: str,
        changes: Iterable[tuple[bytes, bytes | None]],
        offsets: Mapping[tuple[str, int], int],
    ) -> None:
        rows = self._grouped(outs, {topic: await self.partitions(topic) for topic in {o.topic for o in outs}})
        sends = [self.send(topic, p, batch, self._public) for (topic, p), batch in rows.items()]
        states: Iterable[Row] = ((key, state, []) for key, state in changes)
        sends.append(self.send(changelog, self._partition, states, self._internal))
        await asyncio.gather(*sends)
        for (topic, partition), offset in offsets.items():
            await workers[0].commit(TP(topic, partition), offset)


class KnownWorker(worker.JourneyWorker):
    """The worker, to be found by its writers."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        workers.append(self)


if __name__ == "__main__":
    from journey_stream.kafka import app

    lane.Writer = PlainWriter  # type: ignore[misc]
    app.JourneyWorker = KnownWorker  # type: ignore[misc]
    main()
