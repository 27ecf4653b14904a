"""`python -m benchmarks.state_size`: bytes of a customer at rest, all five models.

Enters: options (`--help`). Leaves: a table, and a JSON file if asked. Strategy: the simulated shop goes by,
its events are applied in batches as a worker does that has caught up, until the recent histories of all are
settled. A customer is whoever is known by a customer id (visitors are told beside). `written` is the state
as the changelog has it, `at rest` what the partition keeps of it once it had time to pack it. Then so many
states are loaded into partitions of a fresh process, as a takeover does, under keys of their own, each
`encoded` another: `resident` is the growth of the process, everything counted that a partition keeps.
Which engine keeps them is chosen: the compiled core has them in memory of its own.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
from pathlib import Path
from typing import Any, Literal

from journey_stream.deployment import assemble
from journey_stream.engine.partition import LAYOUT_KEY, Partition
from journey_stream.kafka.engines import Engines
from journey_stream.settings import Settings
from journey_stream.shop import ShopOptions, simulate
from journey_stream.values import HOUR, Event

BATCH = 500


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--customers", type=int, default=3_000)
    parser.add_argument("--days", type=int, nargs="+", default=[60, 365])
    parser.add_argument("--load", type=int, default=500_000, help="states loaded to measure memory")
    parser.add_argument("--core", choices=("python", "compiled"), default="python")
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    chosen = parser.parse_args()
    rows = {}
    for days in chosen.days:
        made = lived(chosen.customers, days, chosen.core)
        row = sizes(made)
        with multiprocessing.get_context("spawn").Pool(1) as fresh:
            row["resident"] = fresh.apply(resident, (states(made, known=True), chosen.load, chosen.core))
        rows[f"{days} days"] = row
    print(
        f"{'':10}{'customers':>10}{'ids kept':>12}{'written':>16}{'at rest':>16}{'resident':>9}{'visitor':>8}"
    )
    print(f"{'':10}{'':>10}{'':>12}{'mean, median':>16}{'mean, median':>16}")
    for name, row in rows.items():
        written = f"{row['written']:.0f}, {row['written_median']:.0f}"
        at_rest = f"{row['at_rest']:.0f}, {row['at_rest_median']:.0f}"
        print(
            f"{name:10}{row['customers']:>10,}{row['remembered']:>12.1f}{written:>16}{at_rest:>16}"
            f"{row['resident']:>9.0f}{row['visitor_at_rest']:>8.0f}"
        )
    if chosen.json:
        chosen.json.write_text(json.dumps(rows, indent=2) + "\n")


def lived(customers: int, days: int, core: Literal["auto", "python", "compiled"] = "auto") -> Partition:
    """A partition after so many days of the shop, tidied up."""
    made = assemble(Settings(core=core))
    decode = made.decoder.decode
    partition, clock, count = Engines(made)(), 0, 0
    for record in simulate(ShopOptions(customers=customers, days=days)):
        event = None if record.value is None else decode(record.value)
        if not isinstance(event, Event):
            continue
        partition.apply(event, event.at)
        clock, count = max(clock, event.at), count + 1
        if count % BATCH == 0:
            settle(partition, clock, clock - HOUR - 1)
    settle(partition, clock, clock + HOUR)
    while partition._store.settling:
        settle(partition, clock, clock + HOUR)
    for _ in range(2):
        partition.tidy(10 * customers)
    return partition


def settle(partition: Partition, clock: int, horizon: int) -> None:
    """Fire what is due and put all to rest."""
    partition.horizon = horizon
    partition.fire(clock, clock)
    partition.drain()


def states(partition: Partition, *, known: bool) -> dict[str, bytes]:
    """States as the changelog has them: of customers, or of visitors."""
    found = {person: partition.at_rest(person) for person in partition.people()}
    return {
        person: blob
        for person, blob in found.items()
        if blob is not None and person.startswith("anon:") != known
    }


def sizes(partition: Partition) -> dict[str, float]:
    """Bytes per customer."""
    rest = dict(partition._store.blobs.items())
    customers, visitors = states(partition, known=True), states(partition, known=False)
    written, at_rest = list(map(len, customers.values())), [len(rest[person]) for person in customers]
    remembered = [len(c.seen) / 8 for person in customers if (c := partition.customer(person)) is not None]
    return {
        "customers": len(customers),
        "remembered": statistics.fmean(remembered),
        "written": statistics.fmean(written),
        "written_median": statistics.median(written),
        "at_rest": statistics.fmean(at_rest),
        "at_rest_median": statistics.median(at_rest),
        "visitor_at_rest": statistics.fmean(len(rest[person]) for person in visitors),
    }


def resident(known: dict[str, bytes], count: int, core: Literal["python", "compiled"]) -> float:
    """What a process grows by for each of so many customers."""
    made = assemble(Settings(core=core))
    program, partition = made.program, Engines(made)()
    partition.load(LAYOUT_KEY + program.fingerprint.hex(), program.layout_bytes)
    blobs = list(known.values())
    for number in range(5_000):  # what a dictionary and the first of everything cost is not a customer's
        partition.load(f"c-{number:08d}", blobs[number % len(blobs)])
    before = rss()
    for number in range(5_000, 5_000 + count):
        partition.load(f"c-{number:08d}", bytes(bytearray(blobs[number % len(blobs)])))
        if number % BATCH == 0:
            partition.drain()
    partition.tidy(count)
    assert partition.next_due
    return (rss() - before) / count


def rss() -> int:
    """What this process holds in memory, in bytes."""
    status: dict[str, Any] = dict(
        line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":" in line
    )
    return int(status["VmRSS"].split()[0]) * 1024


if __name__ == "__main__":
    main()
