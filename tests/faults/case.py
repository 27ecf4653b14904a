"""Cases: an attack with a name, a full and a short size; how one is carried out, and its line.

    @case("kill-9", Size(faults=20), short=Size(events=8_000, ...))
    async def kill_9(scene: Scene) -> None:
        ...

Enters: the attack. Leaves: an `Outcome`: ok, FAIL, or invalid when the work was over before the last fault,
so that the figures say nothing. An attack calls `scene.struck()` at each fault.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from journey_stream.broker import EmbeddedKafka
from tests.faults.scene import OVER, TAKEN_OVER, Broker, Scene, Size, scene
from tests.faults.verdict import Verdict
from tests.faults.workload import Workload, shop_workload

Attack = Callable[[Scene], Awaitable[None]]
MakeWorkload = Callable[[Size], Workload]
Result = Literal["ok", "FAIL", "invalid", "told"]
"""`told`: figures for comparison, nothing to pass."""

CASES: dict[str, Case | Told] = {}
_workloads: dict[tuple[int, int, int], Workload] = {}


@dataclass
class Outcome:
    """What came of a case."""

    name: str
    result: Result
    what: str
    """Its figures, in words."""
    seconds: float
    size: Size | None = None
    afterwards: Verdict = field(default_factory=Verdict)
    along: Verdict = field(default_factory=Verdict)
    notes: dict[str, Any] = field(default_factory=dict)
    trouble: str = ""

    def line(self) -> str:
        """One line for a person."""
        return f"{self.name:<16} {self.result:<7} {self.what}  {self.seconds:.0f} s"

    def plain(self) -> dict[str, Any]:
        """The same for a machine."""
        return asdict(self)


@dataclass(frozen=True)
class Case:
    """An attack on a deployment under load."""

    name: str
    attack: Attack
    full: Size
    short: Size
    own_broker: bool
    """Whether the attack harms the broker, so that no other case may use the same one."""
    word: str
    """What its faults are called."""
    workload: MakeWorkload
    make_broker: Callable[[Path], Any]
    settings: dict[str, Any]
    module: str

    @property
    def about(self) -> str:
        """First line of what it says of itself."""
        return (self.attack.__doc__ or "").strip().splitlines()[0]

    async def run(self, size: Size, folder: Path, broker: Broker | None = None, seed: int = 7) -> Outcome:
        """Carry it out, on a Kafka of its own when none is given."""
        began = time.monotonic()
        try:
            async with self._broker(folder, broker) as kafka:
                return await self._on(kafka, size, folder, seed)
        except Exception as error:
            trouble = "".join(traceback.format_exception(error))
            what = f"{type(error).__name__}: {error}".splitlines()[0][:200]
            return Outcome(self.name, "FAIL", what, time.monotonic() - began, size, trouble=trouble)

    @contextlib.asynccontextmanager
    async def _broker(self, folder: Path, given: Broker | None) -> AsyncIterator[Any]:
        if given is not None and not self.own_broker:
            yield given
            return
        made = self.make_broker(folder / "kafka")
        await asyncio.to_thread(made.start)
        try:
            yield made
        finally:
            await asyncio.to_thread(made.kill)

    async def _on(self, kafka: Any, size: Size, folder: Path, seed: int) -> Outcome:
        workload = self.workload(size)
        workload.expected  # noqa: B018  (not on the clock of the case)
        began = time.monotonic()
        name = f"{self.name}-{time.time_ns() // 1_000_000 % 10_000_000}"
        async with scene(
            kafka, workload, size, folder, name, seed=seed, module=self.module, **self.settings
        ) as on:
            await self.attack(on)
            await on.done()
            along, afterwards = await on.verdicts()
        return self._outcome(on, along, afterwards, time.monotonic() - began)

    def _outcome(self, on: Scene, along: Verdict, afterwards: Verdict, seconds: float) -> Outcome:
        size = on.size
        zero = along.zero and afterwards.zero
        fed = on.feeding
        in_time = (
            on.progress_at_fault < OVER
            and on.fed_at_fault < 1
            and on.workload.allows(fed.longest_gap, fed.behind, size.idle)
        )
        result: Result = ("ok" if in_time else "invalid") if zero else "FAIL"
        notes = {
            "published at the last fault": f"{on.progress_at_fault:.0%}",
            "takeovers": on.said(TAKEN_OVER),
            **on.notes,
        }
        if afterwards.corrections:
            notes["corrections"] = f"{afterwards.corrections:,}"
        what = (
            f"{on.workload.events:,} events  {size.partitions} partitions  {size.workers} workers  "
            f"{on.faults} {self.word}   lost {afterwards.lost}  wrong {afterwards.wrong}  "
            f"twice {afterwards.twice}   (along: {along.lost} {along.wrong} {along.twice})   "
            + "  ".join(f"{name} {value}" for name, value in notes.items())
        )
        notes |= {
            "records": afterwards.found,
            "customers": on.workload.customers,
            "fed at the last fault": on.fed_at_fault,
            "longest gap of the feeding": fed.longest_gap,
            "feeding behind its plan": fed.behind,
            "readers made anew": on.along.restarts,
        }
        trouble = "\n".join((*afterwards.examples, *(f"along: {each}" for each in along.examples)))
        return Outcome(self.name, result, what, seconds, size, afterwards, along, notes, trouble)


@dataclass(frozen=True)
class Told:
    """Figures that are told for comparison: nothing to pass, and no short form."""

    name: str
    tell: Callable[[Path, float], Awaitable[tuple[str, dict[str, Any]]]]
    """Folder and scale to the figures in words, and by name."""

    @property
    def about(self) -> str:
        """First line of what it says of itself."""
        return (self.tell.__doc__ or "").strip().splitlines()[0]

    async def run(self, scale: float, folder: Path) -> Outcome:
        """Measure it."""
        began = time.monotonic()
        try:
            what, notes = await self.tell(folder, scale)
        except Exception as error:
            trouble = "".join(traceback.format_exception(error))
            what = f"{type(error).__name__}: {error}".splitlines()[0][:200]
            return Outcome(self.name, "FAIL", what, time.monotonic() - began, trouble=trouble)
        return Outcome(self.name, "told", what, time.monotonic() - began, notes=notes)


def shop(size: Size) -> Workload:
    """The usual workload; made once a size."""
    key = (size.events, size.customers, size.partitions)
    made = _workloads.get(key)
    if made is None:
        made = _workloads[key] = shop_workload(size.events, size.customers, partitions=size.partitions)
    return made


SHORT = Size(
    events=8_000, customers=1_600, partitions=4, workers=2, faults=2, seconds=20, checkpoint=1.5, idle=6
)


def case(
    name: str,
    full: Size,
    short: Size = SHORT,
    *,
    own_broker: bool = False,
    word: str = "faults",
    workload: MakeWorkload = shop,
    make_broker: Callable[[Path], Any] = EmbeddedKafka,
    module: str = "journey_stream",
    **settings: Any,
) -> Callable[[Attack], Attack]:
    """Register an attack."""

    def register(attack: Attack) -> Attack:
        CASES[name] = Case(
            name, attack, full, short, own_broker, word, workload, make_broker, settings, module
        )
        return attack

    return register


def told(
    name: str,
) -> Callable[[Callable[[Path, float], Awaitable[tuple[str, dict[str, Any]]]]], Any]:
    """Register figures for comparison."""

    def register(tell: Callable[[Path, float], Awaitable[tuple[str, dict[str, Any]]]]) -> Any:
        CASES[name] = Told(name, tell)
        return tell

    return register


def scaled(size: Size, scale: float) -> Size:
    """The same with fewer (or more) events, customers and seconds; never fewer than two faults."""
    if scale == 1:
        return size
    return replace(
        size,
        events=max(2_000, int(size.events * scale)),
        customers=max(400, int(size.customers * scale)),
        faults=max(2, round(size.faults * scale)),
        seconds=max(20.0, size.seconds * scale),
    )
