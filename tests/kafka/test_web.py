"""Whoever looks at the metrics waits for partitions that are at work; the worker does not wait with him."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

from journey_stream.kafka import web
from journey_stream.kafka.keyed import KeyedPartition
from journey_stream.kafka.lead import Lead
from journey_stream.kafka.metrics import Metrics
from journey_stream.kafka.progress import Progress
from journey_stream.values import SECOND
from tests.kafka.log import DECODER, SOURCES, START, options
from tests.kafka.tally import TallyEngine


class App:
    """Keeps the pages that are registered."""

    def __init__(self) -> None:
        self.pages: dict[str, Callable[[Any, Any], Awaitable[Any]]] = {}

    def page(self, path: str) -> Callable[[Any], Any]:
        return lambda handler: self.pages.setdefault(path, handler)


def partition(**chosen: Any) -> KeyedPartition:
    logic = KeyedPartition(TallyEngine(), DECODER, SOURCES, options(**chosen))
    logic.restore(None, 0)
    return logic


async def test_a_look_at_the_metrics_does_not_stop_the_loop_while_a_partition_is_at_work() -> None:
    logic, app = partition(), App()
    worker: Any = SimpleNamespace(metrics=Metrics(), logics=lambda: {3: logic}, now=lambda: 0)
    web.add_pages(app, worker)  # type: ignore[arg-type]
    view = SimpleNamespace(bytes=lambda text, headers: text)
    with logic.turn:
        looking = asyncio.ensure_future(app.pages["/metrics"](view, None))
        await asyncio.sleep(0.05)
        assert not looking.done()
    async with asyncio.timeout(5):
        assert b'journey_stream_customers{partition="3"} 0.0' in await looking


async def test_sources_are_held_by_their_lead_without_waiting_for_a_partition_at_work() -> None:
    logic, held = partition(), []
    lane = SimpleNamespace(lead=Lead(), inbox=SimpleNamespace(wake=asyncio.Event()))
    lane.lead.took(START, 6)
    worker: Any = SimpleNamespace(
        lanes={0: SimpleNamespace(logic=logic, paused=False)},
        intakes={"visits": lane},
        options=SimpleNamespace(max_buffered=5),
        hold=lambda tp, why: held.append((tp, why)),
        release=lambda tp, why: held.clear(),
        is_held=lambda tp, why: bool(held),
        metrics=Metrics(),
    )
    with logic.turn:
        Progress(worker)._hold()
    assert [("visits", "ahead")] == held
    logic.clock.reached = START
    Progress(worker)._hold()
    assert [] == held
    assert lane.inbox.wake.is_set(), "who went to rest takes up what waits"


async def test_near_the_wall_nothing_waits_so_a_source_of_the_future_is_not_held() -> None:
    logic, held = partition(mode="wall"), []
    lane = SimpleNamespace(lead=Lead(), inbox=SimpleNamespace(wake=asyncio.Event()))
    lane.lead.took(START + 60 * SECOND, 6)
    logic.clock.reached = START
    now = [START + SECOND]
    worker: Any = SimpleNamespace(
        lanes={0: SimpleNamespace(logic=logic, paused=False)},
        intakes={"visits": lane},
        options=SimpleNamespace(max_buffered=5, keyed=SimpleNamespace(catch_up=10 * SECOND)),
        hold=lambda tp, why: held.append((tp, why)),
        is_held=lambda tp, why: bool(held),
        now=lambda: now[0],
        metrics=Metrics(),
    )
    Progress(worker)._hold()
    assert [] == held
    lane.lead.took(START + 60 * SECOND, 6)
    now[0] = START + 20 * SECOND
    Progress(worker)._hold()
    assert [("visits", "ahead")] == held
