"""A worker whose patience is short, so that a test need not wait: `python -m tests.faults.quick_worker SETTINGS`.

It runs the journeys of the settings; with `--tally` the tally engine. Further arguments `NAME=SECONDS`
set a patience (see `PATIENCE`).
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from journey_stream.deployment import assemble
from journey_stream.kafka import (
    app,
    commits,
    health,
    hop_sender,
    lane,
    sender,
    start,
    transactions,
    watch,
)
from journey_stream.settings_read import load_settings
from tests.kafka import tally_worker

PATIENCE = {
    "look": 1.0,
    "metadata": 2.0,
    "commit": 12.0,
    "request": 8.0,
    "transaction": 60.0,
    "stuck": 2.0,
    "backoff": 2.0,
    "send": 20.0,
}


def be_quick(patience: dict[str, float]) -> None:
    """Shorten what a worker waits for."""
    watch.LOOK_SECONDS = patience["look"]  # type: ignore[misc]
    app.GroupOptions = partial(app.GroupOptions, metadata_seconds=patience["metadata"])  # type: ignore[assignment,misc]
    commits.COMMIT_SECONDS = patience["commit"]  # type: ignore[misc]
    lane.BACKOFF = (0.5, patience["backoff"])  # type: ignore[misc]
    lane.FENCED_SECONDS = 1.0  # type: ignore[misc]
    health.STUCK_SECONDS = patience["stuck"]  # type: ignore[misc]
    hop_sender.SEND_SECONDS = patience["send"]  # type: ignore[misc]
    sender.REQUEST_TIMEOUT_MS = int(patience["request"] * 1000)
    transactions.REQUEST_TIMEOUT_MS = int(patience["request"] * 1000)  # type: ignore[misc]
    transactions.TRANSACTION_TIMEOUT_MS = int(patience["transaction"] * 1000)  # type: ignore[misc]


if __name__ == "__main__":
    named = (argument.split("=") for argument in sys.argv[2:] if "=" in argument)
    be_quick(PATIENCE | {name: float(seconds) for name, seconds in named})
    settings = load_settings(Path(sys.argv[1]).read_text(), {}, {}, file=sys.argv[1])
    tally = "--tally" in sys.argv
    parts = tally_worker.parts(settings) if tally else start.parts_of(assemble(settings))
    sys.exit(app.run_parts(settings, parts, exit_when_done="--exit-when-done" in sys.argv))
