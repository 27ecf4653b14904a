"""A worker whose compiled core panics over one record, as an intake reads it; it says who works on partitions."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from journey_stream.deployment import assemble
from journey_stream.kafka.app import run_parts
from journey_stream.kafka.compiled_intake import CompiledIntake
from journey_stream.kafka.start import parts_of
from journey_stream.kafka.worker import JourneyWorker
from journey_stream.settings_read import load_settings

POISON = b"poison"

if __name__ == "__main__":
    take, make = CompiledIntake.take, JourneyWorker.make_partition

    def panics(self: Any, records: Any, *more: Any) -> Any:
        """Let the core do what it must not: it knows no such partition."""
        taken = take(self, records, *more)
        if any(POISON in (record.value or b"") for record in records):
            self._rows.append(10**6, None, None, [])
        return taken

    def tells(self: Any, partition: int, engine: Any = None) -> Any:
        """Say which engine works."""
        made = make(self, partition, engine)
        print(f"partition {partition}: {type(made.engine).__name__}", flush=True)
        return made

    CompiledIntake.take = panics  # type: ignore[method-assign]
    JourneyWorker.make_partition = tells  # type: ignore[method-assign]
    settings = load_settings(Path(sys.argv[1]).read_text(), {}, {}, file=sys.argv[1])
    sys.exit(run_parts(settings, parts_of(assemble(settings))))
