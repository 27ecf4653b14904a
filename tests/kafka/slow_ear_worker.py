"""A tally worker that hears only after some seconds what is paused."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from journey_stream.kafka.app import run_parts
from journey_stream.kafka.control import Control
from journey_stream.settings_read import load_settings
from tests.kafka.tally_worker import parts

SECONDS = 4.0

if __name__ == "__main__":
    follow = Control._follow

    async def late(self: Control) -> None:
        """Follow, later."""
        await asyncio.sleep(SECONDS)
        await follow(self)

    Control._follow = late  # type: ignore[method-assign]
    settings = load_settings(Path(sys.argv[1]).read_text(), {}, {}, file=sys.argv[1])
    sys.exit(run_parts(settings, parts(settings)))
