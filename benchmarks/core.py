"""`make bench-core`: what one event costs without a broker, stage by stage, and a guard against regressions.

Enters: options (`--help`), and the limits in `core_limits.json`. Leaves: a table in microseconds of CPU per
event, and exit code 1 when a figure is beyond its limit. Strategy: records are worked on as a lane does it
(slices taken, clock advanced, a checkpoint every so many events, its records and states packed into batches).
Seconds differ between machines and hours, so the guard compares ratios of one run: to a yardstick (a fixed
loop of Python and msgspec that nobody changes) and between definitions. Rounds alternate, and of each figure
the least counts: noise only ever adds.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
from collections.abc import Callable
from hashlib import blake2b
from importlib.util import find_spec
from pathlib import Path
from time import thread_time_ns
from typing import Any, NamedTuple

import msgspec
from aiokafka.producer.message_accumulator import BatchBuilder

from benchmarks.core_load import SOURCES, START, Source, deployments, events, keyed, sources
from journey_stream.deployment import Deployment
from journey_stream.encode import Encoder
from journey_stream.engine.partition import Partition
from journey_stream.kafka import hop
from journey_stream.kafka.aside import SLICE
from journey_stream.kafka.engines import PACKAGE, Engines
from journey_stream.kafka.garbage import leave_alone
from journey_stream.kafka.intake import Intake
from journey_stream.kafka.keyed import KeyedPartition
from journey_stream.kafka.keyed_values import Options
from journey_stream.kafka.meta import JourneyVersion
from journey_stream.kafka.sender import MAX_BATCH_BYTES
from journey_stream.kafka.versions import Versions
from journey_stream.values import DAY, HOUR, NEVER, SECOND

HEADROOM = 0.25
"""What a machine that is busy with other things may add to a ratio."""
HEADROOM_COMPILED = 0.6
"""The same for the compiled core, which is held to Python: hours that are slow are slowest for that."""
LIMITS = Path(__file__).parent / "core_limits.json"
STAGES = ("decode", "release", "advance", "states", "records", "batches")
"""Bytes to event; wait for the clock; engine; states to bytes; records to bytes; both into batches.

The compiled core does the first with the second, and records with states."""


class Load(NamedTuple):
    """How much of what is worked on."""

    customers: int = 10_000
    warm: int = 40_000
    """Events before the measured ones, so that customers have a past."""
    measured: int = 18_000
    commit: int = 3_000
    """Events per checkpoint."""
    rounds: int = 3


class Seen(msgspec.Struct):
    """What the yardstick reads of an event. Frozen with it: a change makes all limits void."""

    event_id: str
    type: str
    customer_id: str
    properties: dict[str, Any]


def yardstick(values: list[bytes]) -> float:
    """Microseconds per event of a loop that stands for this machine, this Python and this hour."""
    decode, pack = msgspec.json.Decoder(Seen).decode, msgspec.msgpack.Encoder().encode
    unpack = msgspec.msgpack.Decoder(list[Any]).decode
    kept: dict[str, bytes] = {}
    out: list[bytes] = []
    began = thread_time_ns()
    for value in values:
        event = decode(value)
        held = kept.get(event.customer_id)
        state = [0, 0, {}, b""] if held is None else unpack(held)
        state[0] += 1
        state[1] = len(value)
        state[2][event.type] = state[2].get(event.type, 0) + 1
        state[3] = (state[3] + blake2b(event.event_id.encode(), digest_size=8).digest())[-80:]
        kept[event.customer_id] = pack(state)
        if state[0] % 5 == 0:
            out.append(pack((event.event_id, event.type, state[0], event.properties)))
    return (thread_time_ns() - began) / 1000 / len(values)


class Lane:
    """A keyed partition and what its lane does around it, without Kafka and asyncio."""

    def __init__(self, deployment: Deployment, mode: str, core: str) -> None:
        versions = Versions(
            tuple(JourneyVersion(j.id, j.version, j.content_sha) for j in deployment.journeys)
        )
        options = Options(
            "wall" if mode == "wall" else "event", NEVER, HOUR, 7 * DAY, 10 * SECOND, "core", versions
        )
        packed = [hop.pack_source(topic, 0) for topic in SOURCES.values()]
        self.compiled = core == "compiled"
        engine = Engines(deployment)() if self.compiled else Partition(deployment.program)
        self.logic = KeyedPartition(engine, deployment.decoder, packed, options)
        self.logic.restore(None, 0)
        self.spent = dict.fromkeys(STAGES, 0)
        self.records = self.bytes = self.states = 0
        self._decode = deployment.decoder.decode
        self._encode = Encoder(deployment.topics).encode_all

    def work(self, records: list[Any], commit: int) -> None:
        """Take all records in; a checkpoint every `commit`."""
        logic, spent = self.logic, self.spent
        for start in range(0, len(records), SLICE):
            part = records[start : start + SLICE]
            now = part[-1].timestamp * 1000 + 60 * SECOND  # a backlog: the wall clock is ahead
            begun = thread_time_ns()
            if not self.compiled:  # there, both are one
                for record in part:
                    self._decode(record.value, record.timestamp * 1000)
            decoded = thread_time_ns()
            logic.take(part, now)
            taken = thread_time_ns()
            while logic.advance(now):
                pass
            advanced = thread_time_ns()
            spent["decode"] += decoded - begun
            spent["release"] += taken - decoded - (decoded - begun)
            spent["advance"] += advanced - taken
            if logic.pending >= commit:
                self.commit()
        self.commit()

    def commit(self) -> None:
        """Make a checkpoint and pack all it holds, as `checkpoint.Writer` would."""
        spent = self.spent
        begun = thread_time_ns()
        if self.compiled:
            self._commit_ready(begun)
            return
        done = self.logic.checkpoint()
        drained = thread_time_ns()
        outs = [out for record in done.records for out in self._encode(record)]
        encoded = thread_time_ns()
        for rows in (
            [(out.key, out.value, list(out.headers)) for out in outs],
            [(key.encode(), state, []) for key, state in done.changes],
        ):
            _pack(rows)
        packed = thread_time_ns()
        spent["states"] += drained - begun
        spent["records"] += encoded - drained
        spent["batches"] += packed - encoded
        self.records += len(outs)
        self.states += len(done.changes)
        self.bytes += sum(len(state or b"") for _, state in done.changes)

    def _commit_ready(self, begun: int) -> None:
        done = self.logic.checkpoint(ready=0).ready
        drained = thread_time_ns()
        for batches in (done.transitions, done.signals, done.stages, done.changes):
            for batch in batches:
                batch._build()
        self.spent["states"] += drained - begun
        self.spent["batches"] += thread_time_ns() - drained
        moves = sum(done.moves.values())
        self.records += 2 * moves + sum(done.calls.values())
        self.states += done.states
        self.bytes += sum(batch.size() for batch in done.changes)


def _pack(rows: list[Any]) -> None:
    batch = BatchBuilder(MAX_BATCH_BYTES, 0, is_transactional=True)
    for key, value, headers in rows:
        if batch.append(timestamp=None, key=key, value=value, headers=headers) is None:
            batch._build()
            batch = BatchBuilder(MAX_BATCH_BYTES, 0, is_transactional=True)
            batch.append(timestamp=None, key=key, value=value, headers=headers)
    batch._build()


class Cost(NamedTuple):
    """Microseconds per event, by stage, and what came out per event."""

    stages: dict[str, float]
    records: float
    states: float
    state_bytes: float

    @property
    def total(self) -> float:
        """All stages."""
        return sum(self.stages.values())


def run(deployment: Deployment, mode: str, core: str, load: Load, records: list[Any]) -> Cost:
    """Warm a partition up, then measure."""
    lane = Lane(deployment, mode, core)
    cut = next(place for place, record in enumerate(records) if record.timestamp * 1000 >= _warm_until(load))
    lane.work(records[:cut], load.commit)
    lane.spent = dict.fromkeys(STAGES, 0)
    lane.records = lane.states = lane.bytes = 0
    gc.collect()
    lane.work(records[cut:], load.commit)
    per = 1 / load.measured
    return Cost(
        {stage: nanos / 1000 * per for stage, nanos in lane.spent.items()},
        lane.records * per,
        lane.states * per,
        lane.bytes / max(1, lane.states),
    )


def _warm_until(load: Load) -> int:
    return START + load.warm * SECOND


def intake(deployment: Deployment, made: list[Source]) -> float:
    """Microseconds per event of the hop: judge, address, pack for the keyed topic."""
    judge = Intake(deployment.decoder, SOURCES["page_viewed"], 0, hop.Partitioner(4))
    begun = thread_time_ns()
    for start in range(0, len(made), 2_000):
        rows: dict[int, list[Any]] = {}
        judge.take(made[start : start + 2_000], rows, None)
        for batch in rows.values():
            _pack(batch)
    return (thread_time_ns() - begun) / 1000 / len(made)


CASES = tuple(
    (name, mode, core)
    for core in ("python", *(("compiled",) if find_spec(PACKAGE) else ()))
    for name, mode in (
        ("one journey", "event"),
        ("five models", "event"),
        ("twenty journeys", "event"),
        ("one journey", "wall"),
        ("five models", "wall"),
    )
)


def measure(load: Load, say: Callable[[str], None] = lambda _: None) -> tuple[dict[str, Cost], float, float]:
    """Gives the cost of each case, of intake, and of the yardstick."""
    made = events(load.warm + load.measured, load.customers)
    records, come = keyed(made), sources(made[-load.measured :])
    values = [value for _, _, value in made]
    known = deployments()
    leave_alone()  # as a worker does
    best: dict[str, Cost] = {}
    hops, yards = [], []
    for turn in range(1, load.rounds + 1):
        yards.append(yardstick(values))
        hops.append(intake(known["one journey"], come))
        for name, mode, core in CASES:
            cost = run(known[name], mode, core, load, records)
            title = f"{name}, {mode} time" + (", compiled" if core == "compiled" else "")
            say(f"round {turn}: {title}: {cost.total:.2f} µs")
            if title not in best or cost.total < best[title].total:
                best[title] = cost
            yards.append(yardstick(values[-load.measured :]))
    return best, min(hops), min(yards)


def ratios(best: dict[str, Cost], hop_cost: float, yard: float) -> dict[str, float]:
    """What is compared with the limits: all of one run, none in seconds."""
    found = {f"{title} / yardstick": cost.total / yard for title, cost in best.items()}
    found["intake / yardstick"] = hop_cost / yard
    found["twenty journeys / five models"] = (
        best["twenty journeys, event time"].total / best["five models, event time"].total
    )
    for title in [title for title in best if title.endswith(", compiled")]:
        plain = title.removesuffix(", compiled")
        found[f"{title} / Python"] = best[title].total / best[plain].total
    return found


def beyond(found: dict[str, float], limits: dict[str, float]) -> list[str]:
    """Tell, in a sentence each, which figures are beyond their limit or have none."""
    return [
        *(
            f"{name}: expected at most {limits[name]:.2f}, measured {value:.2f}: the hot path has become "
            "slower. Find the stage in the table; if the cost is meant, write new limits with --write-limits"
            for name, value in found.items()
            if name in limits and value > limits[name]
        ),
        *(
            f"{name}: no limit in {LIMITS.name}; write it with --write-limits"
            for name in found.keys() - limits
        ),
    ]


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, compare."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.core", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=Load().rounds, help="of each figure the least counts")
    parser.add_argument("--write-limits", action="store_true", help="take this run, and some more, as limits")
    parser.add_argument("--out", type=Path, help="also write the figures there, as JSON")
    options = parser.parse_args(arguments)
    best, hop_cost, yard = measure(Load(rounds=options.rounds), lambda text: print(text, file=sys.stderr))
    heads = "".join(f"{head:>9}" for head in (*STAGES, "total", "records", "bytes"))
    print(f"{'µs of CPU per event':<28}{heads}")
    for title, cost in best.items():
        cells = "".join(f"{cost.stages[stage]:9.2f}" for stage in STAGES)
        print(f"{title:<28}{cells}{cost.total:9.2f}{cost.records:9.2f}{cost.state_bytes:9.0f}")
    print(f"{'intake':<28}{hop_cost:9.2f}\n{'yardstick':<28}{yard:9.2f}")
    found = ratios(best, hop_cost, yard)
    if options.out is not None:
        stages = {title: cost.stages for title, cost in best.items()}
        figures = {"ratios": found, "yardstick": yard, "intake": hop_cost, "stages": stages}
        options.out.write_text(json.dumps(figures, indent=2))
    if options.write_limits:
        limits = {
            name: round(value * (1 + (HEADROOM_COMPILED if ", compiled" in name else HEADROOM)), 2)
            for name, value in found.items()
        }
        LIMITS.write_text(json.dumps(limits, indent=2) + "\n")
    limits = json.loads(LIMITS.read_text())
    problems = beyond(found, limits)
    for name, value in found.items():
        print(f"{name:<40}{value:7.2f}  (limit {limits.get(name, float('nan')):.2f})")
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
