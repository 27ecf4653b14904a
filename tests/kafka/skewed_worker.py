"""A tally worker whose wall clock is wrong by as many microseconds as a file says: `... SETTINGS FILE`."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from journey_stream.kafka.app import run_parts
from journey_stream.kafka.worker import JourneyWorker
from journey_stream.settings_read import load_settings
from tests.kafka.tally_worker import parts

if __name__ == "__main__":
    wrong = Path(sys.argv[2])
    JourneyWorker.now = lambda _: time.time_ns() // 1000 + int(wrong.read_text())  # type: ignore[method-assign]
    settings = load_settings(Path(sys.argv[1]).read_text(), {}, {}, file=sys.argv[1])
    sys.exit(run_parts(settings, parts(settings)))
