"""A keyed partition with the real engine, live: disorder within the lateness, deaths, and nothing to see of it."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from journey_stream.deployment import assemble
from journey_stream.engine.partition import Partition
from journey_stream.kafka import hop
from journey_stream.net import net
from journey_stream.settings import Settings
from journey_stream.values import DAY, HOUR, SECOND, Event, Signal, Transition
from tests.kafka.log import DECODER, SOURCES, Log, Shell, event_bytes, history, options

PROGRAM = assemble(Settings(journeys=["lifecycle", "buyer-value"])).program


def content(record: Transition | Signal) -> bytes:
    return msgspec.json.encode(msgspec.structs.replace(record, decided_at=0, sequence=0))


def oracle(events: list[dict[str, Any]], until: int) -> Counter[bytes]:
    partition = Partition(PROGRAM)
    decoded = [DECODER.decode(event_bytes(**fields)) for fields in events]
    for event in sorted(decoded, key=lambda e: (e.at, e.event_id)):  # type: ignore[union-attr]
        assert isinstance(event, Event)
        partition.apply(event, 0)
    partition.fire(until, 0)
    return Counter(content(r) for r in partition.drain().records if isinstance(r, Transition | Signal))


def published(shell: Shell) -> Counter[bytes]:
    records = [record for record in shell.published if isinstance(record, Transition | Signal)]
    return Counter(map(content, net(records, strict=True)))


def lived(seed: int, count: int, **chosen: Any) -> tuple[Shell, list[dict[str, Any]], int]:
    """Take in a log while the wall goes by, now in step with it, now behind; die at any time."""
    random = Random(seed)
    log, events = history(random, count, step=10 * 60 * SECOND)
    chosen = {"mode": "wall", "catch_up": DAY, **chosen}
    shell = Shell(log, options(**chosen), engine=lambda: Partition(PROGRAM))
    wall = events[0]["at"]
    while not shell.at_end:
        shell.step(random.randrange(1, 8), wall, once=random.random() < 0.8)
        wall += random.choice([0, SECOND, 5 * 60 * SECOND, HOUR])
        if random.random() < 0.3:
            shell.checkpoint()
        if random.random() < 0.2:
            shell.die()
    until = max(wall, log_end(log)) + 30 * DAY
    log.marker(*(hop.Progress(source, None, True, until, 0) for source in SOURCES))
    shell.step(1, until)
    shell.checkpoint()
    return shell, events, until


def log_end(log: Log) -> int:
    return max(row.wall for row in hop.unpack_marker(log.records[-1].value or b""))


@given(st.integers(0, 10**9), st.integers(1, 40))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_live_the_net_records_are_those_of_the_history_in_order(seed: int, count: int) -> None:
    shell, events, until = lived(seed, count)
    assert until == shell.logic.clock.reached
    assert oracle(events, until) == published(shell)


def test_disorder_does_reach_the_engine_live_and_is_counted() -> None:
    counts: Counter[str] = Counter()
    for seed in range(20):
        counts += lived(seed, 40)[0].logic.engine_counts
    assert counts["disordered"] > 20
    assert counts["corrected"] > 0
    assert counts["unsorted"] == 0


def test_without_lateness_there_are_no_histories() -> None:
    shell, _, _ = lived(7, 40, allowed_lateness=0)
    shell.logic.engine.drain()
    assert shell.states
    plain = Partition(PROGRAM)
    for person, blob in shell.states.items():
        plain.load(person, blob)
    assert {} == plain._store._settling
