"""`make faults`: every case at full size, one after the other, one line each.

Enters: options (`--help`). Leaves: lines on standard output, exit code 1 when a case failed or said nothing,
and with `--json` one JSON object a case. Each case has a Kafka of its own, in a folder that is gone
afterwards unless `--keep` names one.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, NoReturn

import tests.faults.every  # noqa: F401  (registers the cases)
from tests.faults.case import CASES, Outcome, Told, scaled

SHOWN = 4_000


def main() -> int:
    """Run and tell."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults",
        description="The fault suite on a real Kafka.",
        epilog='Example: make faults FAULTS="kill-9 pause --scale 0.2"',
    )
    parser.add_argument("cases", nargs="*", metavar="CASE", help="names; none: all")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the full size")
    parser.add_argument("--short", action="store_true", help="the sizes that `make test` uses")
    parser.add_argument("--seed", type=int, default=7, help="of victims and times")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also one JSON object a case, appended")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the logs of workers and Kafka here")
    parser.add_argument("--list", action="store_true", help="say what there is")
    options = parser.parse_args()
    if options.list:
        for name, each in CASES.items():
            print(f"{name:<16} {each.about}")
        return 0
    unknown = [name for name in options.cases if name not in CASES]
    if unknown:
        parser.error(f"no case {', '.join(unknown)}; there are {', '.join(CASES)}")
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # (what fails is told by the case itself)
    # Told to end, leave nothing behind: workers, Kafka and folders go with the cases that made them.
    signal.signal(signal.SIGTERM, leave)
    outcomes = [run(name, options) for name in options.cases or CASES]
    results = Counter(outcome.result for outcome in outcomes)
    print(f"{len(outcomes)} cases: " + ", ".join(f"{count} {result}" for result, count in results.items()))
    return 1 if results["FAIL"] or results["invalid"] else 0


def run(name: str, options: argparse.Namespace) -> Outcome:
    """Run one case in a folder of its own and print its line."""
    each = CASES[name]
    with tempfile.TemporaryDirectory(prefix="journey-stream-faults-") as scratch:
        folder = Path(scratch)
        if isinstance(each, Told):
            outcome = finished(each.run(0.1 if options.short else options.scale, folder))
        else:
            size = each.short if options.short else scaled(each.full, options.scale)
            outcome = finished(each.run(size, folder, seed=options.seed))
        if options.keep is not None:
            kept = options.keep / name
            shutil.rmtree(kept, ignore_errors=True)
            shutil.copytree(folder, kept, ignore=shutil.ignore_patterns("data"))
    print(outcome.line(), flush=True)
    if outcome.result in ("FAIL", "invalid") and outcome.trouble:
        print(outcome.trouble[-SHOWN:], file=sys.stderr, flush=True)
    if options.json is not None:
        with options.json.open("a") as out:
            out.write(json.dumps(outcome.plain()) + "\n")
    return outcome


def finished(work: Coroutine[Any, Any, Outcome]) -> Outcome:
    """Run a case; told to end, it is cancelled and takes down what it has made."""

    async def cancelled_when_told() -> Outcome:
        case = asyncio.current_task()
        assert case is not None
        # An exit raised by the handler would strike whichever task runs, and again whoever waits for that one.
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, case.cancel)
        return await work

    try:
        return asyncio.run(cancelled_when_told())
    except asyncio.CancelledError:
        leave()
    finally:
        signal.signal(signal.SIGTERM, leave)


def leave(*_: Any) -> NoReturn:
    """End as somebody does who was told to."""
    sys.exit(128 + signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
