"""`make bench`: one command from nothing to a table, a result for machines, a plot and the page.

Enters: options (`--help`). Leaves: the table on standard output; `benchmarks/results/peers.json`,
`docs/performance.svg` and the figures of `docs/performance.md` and `README.md` when everybody took part, else
only what `--out` asks for.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import tempfile
from pathlib import Path

import msgspec

from benchmarks.measuring import kafka_in, say
from benchmarks.peers.contestants import BY_NAME, CONTESTANTS
from benchmarks.peers.machine import machine, versions
from benchmarks.peers.page import write_pages
from benchmarks.peers.result import Result, compare, row_of, table
from benchmarks.peers.turns import Bench, Work

ROOT = Path(__file__).parents[2]
RESULT = ROOT / "benchmarks" / "results" / "peers.json"


def main(arguments: list[str]) -> int:
    """Run, print, write."""
    options = _parser().parse_args(arguments)
    contestants = [BY_NAME[name] for name in options.only or BY_NAME]
    work = Work(options.events, options.customers, 4, options.repeats)
    with (
        tempfile.TemporaryDirectory(prefix="journey-stream-bench-") as folder,
        kafka_in(Path(folder) / "kafka") as kafka,
    ):
        outcome = asyncio.run(Bench(kafka.bootstrap, Path(folder), work, contestants).run())
    rows = [
        row_of(
            each,
            int(work.events * each.share),
            outcome.due.get(each.name, 0),
            outcome.runs.get(each.name, []),
            outcome.not_run.get(each.name) or outcome.failed.get(each.name),
        )
        for each in CONTESTANTS
    ]
    result = Result(
        measured=datetime.datetime.now(datetime.UTC).date().isoformat(),
        machine=machine(),
        versions=versions(),
        workload={
            "events": work.events,
            "customers": work.customers,
            "partitions": work.partitions,
            "bytes": outcome.bytes,
        },
        repetitions=work.repetitions,
        rows=rows,
        ratios=compare(rows),
    )
    print(table(result))
    target = options.out or (RESULT if options.only is None else None)
    if target is not None:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=2) + b"\n")
        say(f"written: {target}")
    if target == RESULT:
        write_pages(ROOT, result)
    return 1 if outcome.failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="The worker beside its peers.")
    parser.add_argument("--events", type=int, default=400_000)
    parser.add_argument("--customers", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--only", nargs="+", choices=list(BY_NAME), metavar="NAME", help=f"some of {', '.join(BY_NAME)}"
    )
    parser.add_argument("--out", type=Path, help="where the result goes; with it, no page is written")
    return parser
