"""What was received is told by source offsets, and a source topic made anew is told from a repeat."""

from __future__ import annotations

import pytest

from journey_stream.errors import StateError
from journey_stream.kafka import hop
from journey_stream.kafka.received import SKEW, Received
from journey_stream.values import HOUR, SECOND
from tests.kafka.log import SOURCES, START, Log, Shell, options

SOURCE, OTHER = SOURCES


def received(**chosen: bool) -> Received:
    made = Received(SOURCES, **{"broker_times": True, **chosen})
    assert made.is_new(SOURCE, 20, START)
    return made


def test_each_offset_counts_once_and_each_source_for_itself() -> None:
    made = received()
    assert not made.is_new(SOURCE, 20, START)
    assert not made.is_new(SOURCE, 18, START - SECOND)
    assert made.is_new(SOURCE, 21, START), "the derived event of the same record"
    assert made.is_new(OTHER, 2, START)


def test_the_record_at_the_highest_offset_has_to_be_the_same_record() -> None:
    with pytest.raises(StateError, match=r"j\.visits\[0\]@10: offsets up to 10 .* made anew.*`sources`"):
        received(broker_times=False).is_new(SOURCE, 20, START - 1)


def test_where_brokers_stamp_a_repeat_cannot_be_younger() -> None:
    made = received()
    assert not made.is_new(SOURCE, 4, START + SKEW), "clocks of brokers differ"
    with pytest.raises(StateError, match="made anew"):
        made.is_new(SOURCE, 4, START + SKEW + 1)


def test_where_senders_stamp_any_time_may_repeat() -> None:
    assert not received(broker_times=False).is_new(SOURCE, 4, START + HOUR)


def test_a_source_that_is_no_longer_read_hurts_nobody() -> None:
    made = Received((OTHER,), broker_times=True)
    made.restore({SOURCE: 20}, {SOURCE: START})
    assert not made.is_new(SOURCE, 4, START + HOUR)


def test_a_checkpoint_of_an_older_version_has_no_times_and_is_believed() -> None:
    made = Received(SOURCES, broker_times=True)
    made.restore({SOURCE: 20}, {})
    assert not made.is_new(SOURCE, 4, START + HOUR)


def test_a_restart_remembers_the_times() -> None:
    log = Log()
    log.event(SOURCE, 5, event_id="a", person="c", at=START)
    shell = Shell(log, options(broker_times=True))
    shell.step(10, START)
    shell.checkpoint()
    shell.die()
    log.event(SOURCE, 1, event_id="b", person="c", at=START + HOUR)
    with pytest.raises(StateError, match="made anew"):
        shell.step(10, START + HOUR)


def test_partitions_that_a_source_grew_by_hold_the_clock_and_those_of_strangers_do_not() -> None:
    log, grown, stranger = Log(), hop.pack_source("j.visits", 1), hop.pack_source("j.gone", 0)
    shell = Shell(log, options())
    log.marker(*(hop.Progress(s, START + HOUR, False, START, 1) for s in (*SOURCES, stranger)))
    shell.step(10, START)
    assert START + HOUR == shell.logic.clock.reached
    log.marker(hop.Progress(grown, START, False, START, 1))
    log.marker(*(hop.Progress(s, START + 2 * HOUR, False, START, 2) for s in SOURCES))
    shell.step(10, START)
    assert START + HOUR == shell.logic.clock.reached, "the new partition is an hour behind the others"
    assert {*SOURCES, grown} == set(shell.logic.clock.sources)
