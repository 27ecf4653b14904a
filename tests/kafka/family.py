"""Stand-ins for worker processes, and a parent over them: `python -m tests.kafka.family FOLDER PROCESSES BEHAVIOUR`.

Each writes a file `NUMBER-PID` when it is up, and `NUMBER-PID.ended` when it was told to stop and did.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

from journey_stream.errors import SettingsError
from journey_stream.kafka import processes
from journey_stream.kafka.processes import Family
from journey_stream.settings import Settings, Web


def work(folder: Path, behaviour: str, settings: Settings, number: int) -> int:
    """Be a worker that waits, does not listen, fails at once, or is done at once."""
    mark = folder / f"{number}-{os.getpid()}"
    told: list[int] = []
    signal.signal(signal.SIGTERM, lambda *_: told.append(1))
    mark.write_text(str(settings.web.port))
    if behaviour == "fails":
        msg = "there is no such thing"
        raise SettingsError(msg)
    if behaviour == "done":
        return 0
    while not told or behaviour == "deaf":
        time.sleep(0.02)
    mark.with_suffix(".ended").write_text("")
    return 0


def main(arguments: list[str]) -> int:
    folder, count, behaviour = arguments
    logging.basicConfig(level=logging.INFO)
    patience: Any = processes
    patience.BACKOFF = (0.05, 0.2)
    settings = Settings(processes=int(count), web=Web(port=0))
    return Family(settings, partial(work, Path(folder), behaviour), until_done=behaviour == "done").run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
