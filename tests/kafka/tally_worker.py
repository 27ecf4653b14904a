"""A worker process over the tally engine, for tests that kill it: `python -m tests.kafka.tally_worker
SETTINGS`.
"""

from __future__ import annotations

import logging
import sys
from functools import partial
from pathlib import Path

from journey_stream.encode import Encoder
from journey_stream.events.decode import DecodeLimits, Decoder
from journey_stream.events.vocabulary import BUILT_IN
from journey_stream.kafka.app import Parts, run_parts
from journey_stream.kafka.meta import JourneyVersion
from journey_stream.kafka.processes import Family
from journey_stream.kafka.versions import Versions
from journey_stream.settings import Settings, TopicNames
from journey_stream.settings_read import load_settings
from tests.kafka import tally_worker
from tests.kafka.tally import TallyEngine


def parts(settings: Settings) -> Parts:
    """Make the parts of a tally worker."""
    return Parts(
        make_engine=TallyEngine,
        decoder=Decoder(BUILT_IN, DecodeLimits(settings.max_event_bytes, settings.max_future)),
        encoder=Encoder(TopicNames.of(settings)),
        versions=Versions((JourneyVersion("tally", 1, "0"),)),
    )


def work(settings: Settings, process: int = 0, *, exit_when_done: bool = False) -> int:
    """Run one worker, which may be one of several processes."""
    return run_parts(settings, parts(settings), process, exit_when_done=exit_when_done)


if __name__ == "__main__":
    settings = load_settings(Path(sys.argv[1]).read_text(), {}, {}, file=sys.argv[1])
    done = "--exit-when-done" in sys.argv
    if settings.processes > 1:
        logging.basicConfig(level=logging.INFO)
        run = tally_worker.work  # by its importable name: this module is `__main__` here
        sys.exit(Family(settings, partial(run, exit_when_done=done), until_done=done).run())
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for noisy in ("aiokafka", "faust", "mode"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    sys.exit(work(settings, exit_when_done=done))
