"""`python -m benchmarks.capacity.measure` (`make capacity`): take the measurements that the model rests on.

Enters: options (`--help`). Leaves: `benchmarks/results/capacity.json` with costs, how well they fit, and one
real worker under loads. Strategy: broker-less runs first (`core`), then an embedded Kafka (`wire`), then a
worker (`worker`); each cost is fitted from runs in which things came in different numbers (`fit`). One figure
is taken from the whole worker: what it spends over the sum of its parts, in the backlog. The loads are not
used for the fit: they are what the simulation has to foretell.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from benchmarks.capacity import core, wire, worker
from benchmarks.capacity.fit import Fit, Run, fit
from benchmarks.capacity.model import SECOND, distinct, total
from benchmarks.capacity.terms import Costs
from benchmarks.latency import CUSTOMERS
from benchmarks.measuring import kafka_in, say

RESULT = Path(__file__).parents[1] / "results" / "capacity.json"
CORE = (
    "looks",
    "acts",
    "shipped looks",
    "shipped acts",
    "looks x generated",
    "acts x generated",
    "rows out",
    "changed",
    "shipped changed",
    "entries",
    "timers",
    "checkpoints",
)
STATE = ("changed", "shipped changed", "generated changed", "entries")
HOP = ("sends", "batches", "rows")
COMMIT = ("commits", "topics", "rows", "KB")
FETCH = ("batches", "rows")
MARKER = ("markers", "entries", "sources looked at")


class Mix(msgspec.Struct):
    """What a shop's events are, per event."""

    looks_a_session: float
    acts: float
    rows_out: float
    timers: float
    event_bytes: float


class Quality(msgspec.Struct):
    """How far a fit is from its runs, as a share."""

    runs: int
    typical: float
    worst: float
    worst_run: str


class Result(msgspec.Struct):
    """What is committed."""

    when: str
    machine: str
    others: float
    """Load average before the measurement: what others did on the machine."""
    costs: Costs
    per_journey: dict[str, float]
    """Microseconds per event and journey more: without effect (`look`), with (`act`); bytes of `state`."""
    timer: float
    """Microseconds per timer that comes due, with all that follows from it but the transaction."""
    fits: dict[str, Quality]
    shop: list[Mix]
    beside: list[wire.Transactions]
    worked: worker.Worked


def main() -> int:
    """Measure, fit, write."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.capacity.measure", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--quick", action="store_true", help="shorter runs: to try it, not to publish")
    parser.add_argument("--out", type=Path, default=RESULT)
    options = parser.parse_args()
    result = measure(turns=0.3 if options.quick else 1.0)
    options.out.parent.mkdir(exist_ok=True)
    options.out.write_bytes(msgspec.json.format(msgspec.json.encode(rounded(result)), indent=2) + b"\n")
    say(f"written: {options.out}; now `python -m benchmarks.capacity.page docs/capacity.md`")
    return 0


def measure(turns: float) -> Result:
    """Do it all."""
    others = os.getloadavg()[0]
    say("the worker's logic, without a broker")
    events = int(4_000 * max(0.5, turns))
    cases = core.cases()
    core.deployment_of()
    written = [(case, core.run_case(case, events)) for case in cases]
    timers = core.run_timers(events)
    cpu_runs = [Run(case.name, each.counts, each.cpu) for case, each in written]
    cpu = fit([*cpu_runs, Run("timers", timers.counts, timers.cpu)], CORE)
    states = fit([_changes(case, each) for case, each in written], STATE)
    intakes = {kind: core.run_intake(kind == "act", events * 5, 64) for kind in ("look", "act")}
    markers = fit(
        [core.run_markers(w, s, 50) for w, s in ((1, 4), (1, 64), (8, 8), (64, 4), (64, 1))], MARKER
    )
    rest = core.at_rest(int(60_000 * turns))
    shop = [
        (case, each) for case, each in written if case.browsing is not None and case.per_checkpoint == 100
    ]
    with (
        tempfile.TemporaryDirectory(prefix="journey-stream-capacity-") as folder,
        kafka_in(Path(folder) / "kafka") as kafka,
    ):
        say("sends, transactions, fetches, a restore on a Kafka")
        wired = wire.measure(kafka, turns)
        say("a worker under loads")
        rates, seconds = (200, 500, 1_000), 4 + 6 * turns
        worked = asyncio.run(
            worker.measure(kafka, Path(folder), rates, seconds, int(100_000 * max(0.1, turns)))
        )
    fits = {
        "logic: CPU": cpu,
        "logic: bytes of state": states,
        "markers: CPU": markers,
        "hop: CPU": fit(wired.hop.cpu, HOP),
        "hop: broker's CPU": fit(wired.hop.broker, HOP),
        "hop: bytes": fit(wired.hop.bytes, HOP),
        "fetch: CPU": fit(wired.fetch.cpu, FETCH),
        "fetch: broker's CPU": fit(wired.fetch.broker, FETCH),
        "fetch: bytes": fit(wired.fetch.bytes, FETCH),
        "transaction: CPU": fit(wired.commit.cpu, COMMIT),
        "transaction: broker's CPU": fit(wired.commit.broker, COMMIT),
        "transaction: bytes": fit(wired.commit.bytes, COMMIT),
        "transaction: disk": fit(wired.disk, COMMIT),
        "transaction: time": fit(wired.commit_seconds, ("commits", "KB")),
    }
    alone = wired.beside[-1]
    most = written[-1][1]
    costs = Costs(
        core=cpu.costs,
        state=states.costs,
        intake=intakes,
        hop=fits["hop: CPU"].costs,
        hop_broker=fits["hop: broker's CPU"].costs,
        hop_bytes=fits["hop: bytes"].costs,
        fetch=fits["fetch: CPU"].costs,
        fetch_broker=fits["fetch: broker's CPU"].costs,
        fetch_bytes=fits["fetch: bytes"].costs,
        commit=fits["transaction: CPU"].costs,
        commit_broker=fits["transaction: broker's CPU"].costs,
        commit_bytes=fits["transaction: bytes"].costs,
        commit_disk=fits["transaction: disk"].costs,
        commit_seconds=fits["transaction: time"].costs,
        offset_broker=wired.offset_broker,
        commit_spread=alone.p99 / alone.p50,
        marker=markers.costs,
        idle=worked.loads[0].cpu,
        whole=1.0,
        restore=wired.restore_cpu,
        resident=rest.resident,
        encoded=rest.encoded,
        out_bytes=most.out / max(1.0, most.counts["rows out"]),
        event_bytes=most.event_bytes / (most.counts["looks"] + most.counts["acts"]),
        rebalance=worked.rebalance_seconds,
    )
    return Result(
        when=f"{datetime.now(UTC):%Y-%m-%d}",
        machine=f"{os.cpu_count()} cores ({_processor()}), Python {platform.python_version()}",
        others=others,
        costs=msgspec.structs.replace(costs, whole=_whole(costs, worked.backlog)),
        per_journey={
            "look": cpu.costs["looks x generated"],
            "act": cpu.costs["acts x generated"],
            "state": states.costs["generated changed"],
        },
        timer=timers.cpu / timers.counts["timers"],
        fits={name: _quality(each) for name, each in fits.items()},
        shop=[_mix(case, each) for case, each in shop],
        beside=wired.beside,
        worked=worked,
    )


def _changes(case: core.Case, written: core.Written) -> Run:
    """Bytes of states, by what is in them."""
    counts = dict(written.counts)
    counts["generated changed"] = counts["changed"] * (case.quiet + case.moving)
    return Run(case.name, counts, written.changelog)


def _quality(of: Fit) -> Quality:
    worst = max(of.residuals, key=lambda name: abs(of.residuals[name]))
    return Quality(len(of.residuals), of.typical, of.worst, worst)


def _mix(case: core.Case, written: core.Written) -> Mix:
    counts = written.counts
    events = counts["looks"] + counts["acts"]
    assert case.browsing is not None
    return Mix(
        case.browsing,
        counts["acts"] / events,
        counts["rows out"] / events,
        counts["timers"] / events,
        written.event_bytes / events,
    )


def _whole(costs: Costs, backlog: worker.Under) -> float:
    """What a worker spends over the sum of its parts, where it is busy with events alone."""
    return max(1.0, backlog.cpu * SECOND / max(1.0, backlog.done) / backlog_cpu(costs, backlog))


def backlog_cpu(costs: Costs, backlog: worker.Under) -> float:
    """Microseconds an event of the parts: all are acts, in the batches and checkpoints that there were."""
    return sum(backlog_parts(costs, backlog).values())


def backlog_parts(costs: Costs, backlog: worker.Under) -> dict[str, float]:
    """The same by part."""
    commits = backlog.checkpoints / max(1.0, backlog.done)
    changed = commits * distinct(CUSTOMERS / worker.PARTITIONS, 1 / max(commits, 1e-9))
    done = {
        "acts": 1.0,
        "shipped acts": 1.0,
        "rows out": backlog.rows_out,
        "changed": changed,
        "shipped changed": changed,
        "entries": changed * backlog.kept,
        "timers": backlog.timers,
        "checkpoints": commits,
    }
    state = costs.state["changed"] + costs.state["shipped changed"] + backlog.kept * costs.state["entries"]
    payload = changed * state + backlog.rows_out * costs.out_bytes
    held = {
        "commits": commits,
        "topics": 4 * commits,
        "rows": changed + backlog.rows_out,
        "KB": payload / 1e3,
    }
    return {
        "journeys": total(costs.core, done),
        "reading": 2 * costs.fetch["rows"],
        "intake and hop": costs.intake["act"] + total(costs.hop, {"rows": 1.0, "batches": 0.02}),
        "transactions": total(costs.commit, held),
    }


def rounded(result: Result) -> Result:
    """Four digits: more would only make differences look like news."""
    plain = msgspec.to_builtins(result)
    return msgspec.convert(_round(plain), type=Result)


def _round(value: object) -> object:
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {key: _round(each) for key, each in value.items()}
    return [_round(each) for each in value] if isinstance(value, list) else value


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "unknown")


if __name__ == "__main__":
    sys.exit(main())
