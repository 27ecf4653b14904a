"""Who holds the clock, by what the last checkpoint says."""

from __future__ import annotations

from journey_stream.kafka.hop import pack_source
from journey_stream.kafka.look import LastCheckpoint
from journey_stream.kafka.meta import META_FORMAT, Meta
from journey_stream.kafka.standing import PartitionStanding, _as_of
from journey_stream.settings import Settings
from journey_stream.values import SECOND

AT = 1_767_225_600 * SECOND
A, B = pack_source("t.visits", 0), pack_source("t.visits", 1)


def holding(clock: int, **progress: tuple[int, bool, int]) -> tuple[str, ...]:
    """Who holds a clock that stands here, when these two have told this."""
    told = {source: progress[name] for source, name in ((A, "a"), (B, "b")) if name in progress}
    meta = Meta(META_FORMAT, 5, 5, clock, clock, told, {}, "1", [])
    found = PartitionStanding(partition=0, committed=5, end=5, pause=None)
    return _as_of(found, LastCheckpoint(meta, AT), Settings(), [A, B]).holding


def test_a_clock_a_moment_behind_its_checkpoint_is_held_by_nobody() -> None:
    told = (AT - 60 * SECOND, True, AT - SECOND)
    assert () == holding(AT - SECOND, a=told, b=told)


def test_a_source_that_is_not_read_to_its_end_holds_the_clock_and_one_that_tells_nothing_does() -> None:
    idle = (AT - 60 * SECOND, True, AT - SECOND)
    assert ("t.visits/1",) == holding(AT - 60 * SECOND, a=idle, b=(AT - 60 * SECOND, False, AT - SECOND))
    assert ("t.visits/1",) == holding(AT - 60 * SECOND, a=idle)
