"""A tally worker in which one batch in ten gets lost between Faust and its lane."""

from __future__ import annotations

import sys
from pathlib import Path
from random import Random
from typing import Any

from journey_stream.kafka import worker
from journey_stream.kafka.app import run_parts
from journey_stream.settings_read import load_settings
from tests.kafka.tally_worker import parts

if __name__ == "__main__":
    random, deliver = Random(7), worker.JourneyWorker.deliver

    def lose(self: Any, tp: Any, batch: Any) -> None:
        """Deliver nine of ten."""
        if random.random() > 0.1:
            deliver(self, tp, batch)

    worker.JourneyWorker.deliver = lose  # type: ignore[method-assign]
    settings = load_settings(Path(sys.argv[1]).read_text(), {}, {}, file=sys.argv[1])
    sys.exit(run_parts(settings, parts(settings), exit_when_done=True))
