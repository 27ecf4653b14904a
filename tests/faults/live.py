"""Attacks on a live deployment: the wall's clock, events stamped as they happen and out of order, corrections.

Enters: a size. Leaves: a workload that is stamped when its feeding begins, so that its events are of now; and
the oracle, a replay of the same bytes. Strategy: the journey has deadlines of seconds, so that absence speaks
while the attack lasts; events are shuffled within an allowed lateness of a minute, so that what was published
has to be taken back; the clock ends with `until`, after everything is due.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import orjson

from journey_stream.shop.poison import KINDS
from journey_stream.shop.records import ShopRecord
from journey_stream.values import SECOND, rfc3339
from tests.faults.case import SHORT, case
from tests.faults.scene import Scene, Size
from tests.faults.workload import Sent, Workload, placed

JOURNEY = Path(__file__).parent / "journeys" / "live.yaml"
LATENESS = 60 * SECOND
DISORDER = 15 * SECOND
"""How much later than they happened events are sent; the rest of the lateness is for a slow machine."""
LEAD = 5 * SECOND
RUN_ON = 30 * SECOND
TYPES = ("page_viewed",) * 4 + ("product_added",) * 2 + ("order_completed",) * 3 + ("order_cancelled",)


@dataclass
class Live(Workload):
    """Records that get their times when the feeding begins."""

    seconds: float = 60.0
    seed: int = 7

    live = True

    def begin(self) -> float:
        """Stamp the records: the first is due a little later than now."""
        start = time.time_ns() // 1_000 + LEAD
        self.started = start
        self.until = start + int(self.seconds * SECOND) + RUN_ON
        self.records = stamped(self, start)
        self.__dict__.pop("expected", None)
        self.expected  # noqa: B018  (known before there is anything to compare)
        return start / SECOND - time.time()

    def allows(self, longest_gap: float, behind: float, idle: float) -> bool:
        """No record may be sent later than the lateness, less the disorder that was intended, allows."""
        return behind < (LATENESS - DISORDER) / SECOND / 2


def stamped(live: Live, start: int) -> list[Sent]:
    """Make the records in the order of sending; each happened up to `DISORDER` before."""
    random = Random(live.seed)
    poison = [(name, *KINDS[name]) for name in KINDS]
    each = int(live.seconds * SECOND / live.events / 1.11)
    made: list[ShopRecord] = []
    for number in range(live.events):
        sent = start + len(made) * each
        happened = sent - (random.randrange(DISORDER) if random.random() < 0.3 else 0)
        record = ShopRecord("visits", None, event(number, random, live.customers, happened), (), sent)
        made.append(record)
        if random.random() < 0.1:
            made.append(record)
        if random.random() < 0.01:
            flaw, reason, make = poison[number % len(poison)]
            made.append(
                ShopRecord("visits", b"bad", make(number, happened), (), sent, poison=reason, flaw=flaw)
            )
    return list(placed(iter(made), live.settings["source_partitions"], random))


def event(number: int, random: Random, customers: int, at: int) -> bytes:
    """One event of a customer."""
    kind = random.choice(TYPES)
    properties: dict[str, Any] = {"title": f"page {number % 50}"}
    if kind.startswith("order"):
        properties = {"order_id": f"o{number // 8 % 300}", "total": random.randrange(1, 30)}
    elif kind == "product_added":
        properties = {"product_id": f"p{number % 9}"}
    who = f"c{random.randrange(customers)}"
    return orjson.dumps(
        {
            "event_id": f"e{number:07d}",
            "type": kind,
            "occurred_at": rfc3339(at),
            "customer_id": who,
            "properties": properties,
        }
    )


def live_workload(size: Size) -> Live:
    """Make the workload of a live case."""
    settings = {
        "clock": "wall",
        "allowed_lateness": LATENESS,
        "source_partitions": size.partitions,
        "journeys": [str(JOURNEY)],
    }
    return Live(size.events, size.customers, [], settings, 0, LATENESS, seconds=size.seconds)


@case(
    "live-kill-9",
    Size(events=60_000, customers=3_000, faults=8, seconds=180, checkpoint=2, idle=2),
    replace(SHORT, events=4_000, customers=300, faults=1, seconds=25, checkpoint=1, idle=2),
    word="kills",
    workload=live_workload,
)
async def live_kill_9(scene: Scene) -> None:
    """Workers are killed with -9 while the wall's clock runs and what was said has to be taken back."""
    for moment in sorted(scene.random.uniform(0.1, 0.9) for _ in range(scene.size.faults)):
        await scene.feeding.reaches(moment)
        scene.struck()
        await scene.kill(scene.pick())
        await scene.start_worker()
