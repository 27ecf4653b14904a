"""The worker without exactly once, for `benchmarks.exactly_once` alone: no setting of the product leads here.

Enters: the arguments of `journey-stream`. Leaves: the same command, in which a checkpoint is no transaction:
an idempotent producer sends records and states, and when all are acknowledged the offset is committed to the
group. A worker that dies in between publishes twice; that is what the transaction is paid for.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from faust.types import TP

from journey_stream.cli import main
from journey_stream.kafka import lane, worker
from journey_stream.kafka.checkpoint import Writer
from journey_stream.kafka.sender import MAX_BATCH_BYTES, Row, Sender, in_batches
from journey_stream.values import Out

workers: list[worker.JourneyWorker] = []


def plain(ready: Sequence[Any], rows: Sequence[Row]) -> Sequence[Any]:
    """Batches of no transaction: those that are finished for one, rows behind them."""
    if not ready:
        return tuple(in_batches(rows, "none", transactional=False))
    import journey_stream_native

    # Twice as large: else the large ones would stay what they are.
    now = time.time_ns() // 1_000_000
    return journey_stream_native.join_batches(ready, rows, now, False, 2 * MAX_BATCH_BYTES)


class PlainWriter(Writer):
    """Sends what the transaction would hold, then commits the offset."""

    def __init__(self, client: Mapping[str, Any], **options: Any) -> None:
        super().__init__(client, **options)
        self._sender = Sender(client, 1 << 20)
        self._counts = self._sender.counts

    async def start(self) -> None:
        await self._sender.start()

    async def stop(self) -> None:
        await self._sender.stop()

    async def commit(
        self,
        outs: Sequence[Out],
        changelog: str,
        changes: Iterable[tuple[bytes, bytes | None]],
        offsets: Mapping[tuple[str, int], int],
        ready: Mapping[tuple[str, int], Sequence[Any]] | None = None,
    ) -> None:
        rows = self._grouped(outs, {topic: await self._counts.of(topic) for topic in {o.topic for o in outs}})
        rows.setdefault((changelog, self._partition), []).extend((key, state, []) for key, state in changes)
        finished = dict(ready or {})
        sends = [
            self._sender.deliver(*place, plain(finished.get(place, ()), rows.get(place, [])))
            for place in dict.fromkeys((*finished, *rows))
        ]
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
