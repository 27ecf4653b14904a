"""The worker's own pages, served by Faust: /metrics, /health, /ready.

Enters: the worker. Leaves: text. /health is 503 while something has failed for long; /ready is 200 once every
partition of this worker is restored and at work; both name what an operator has paused. Neither page names
a customer.
"""

from __future__ import annotations

import asyncio
from typing import Any

import faust

from journey_stream.kafka.worker import JourneyWorker

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def add_pages(app: faust.App, worker: JourneyWorker) -> None:
    """Register the pages with the app's web server."""

    @app.page("/metrics")
    async def metrics(self: Any, request: Any) -> Any:
        # Beside the loop: it waits for partitions that are at work.
        text = await asyncio.to_thread(worker.metrics.page, worker.logics(), worker.now())
        return self.bytes(text, headers={"Content-Type": METRICS_TYPE})

    @app.page("/health")
    async def health(self: Any, request: Any) -> Any:
        problems, paused = worker.problems(), _names(worker)
        body = {"status": "failing" if problems else "ok", "problems": problems, "paused": paused}
        return self.json(body, status=503 if problems else 200)

    @app.page("/ready")
    async def ready(self: Any, request: Any) -> Any:
        lanes = {str(tp.partition): lane.state for tp, lane in sorted(worker.lanes.items())}
        body = {
            "ready": worker.ready,
            "finished": worker.finished.is_set(),
            "partitions": lanes,
            "standbys": {str(partition): state for partition, state in worker.standbys.states().items()},
            "paused": _names(worker),
        }
        return self.json(body, status=200 if worker.ready else 503)


def _names(worker: JourneyWorker) -> list[str]:
    """Name what an operator has paused."""
    return [f"{topic}/{partition}" for topic, partition in worker.paused]
