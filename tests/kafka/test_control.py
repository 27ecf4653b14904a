"""What is paused is told in a topic: read, followed, obeyed by the partitions it names and no other."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from journey_stream.kafka.control import Control, Pause, Pauses, pause_of, read_pauses, take
from journey_stream.kafka.reading import reader
from journey_stream.settings import Settings
from tests.kafka.cluster import client, eventually, send, topics

SINCE = "2026-01-01T00:00:00Z"


@dataclass
class Told:
    key: bytes | None
    value: bytes | None
    topic: str = "t.control"


def pauses(*keys: str) -> Pauses:
    return {key: Pause(SINCE, key) for key in keys}


@pytest.mark.parametrize(
    ("paused", "why"),
    [
        ((), None),
        (("all",), "all"),
        (("t.events/1",), "t.events/1"),
        (("t.events/11", "t.events/0", "t.visits"), None),
        (("t.events/1", "t.events"), "t.events"),
    ],
)
def test_a_partition_rests_for_itself_its_topic_or_all(paused: tuple[str, ...], why: str | None) -> None:
    found = pause_of(pauses(*paused), "t.events", 1)
    assert why == (found and found.reason)


def test_the_last_word_counts_and_what_cannot_be_read_pauses_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    found = pauses("all", "t.visits")
    value = json.dumps({"since": SINCE, "reason": "why", "more": 1}).encode()
    take(
        found,
        [Told(b"all", None), Told(b"a/1", value), Told(b"b", b"{"), Told(None, value), Told(b"b/0", None)],
    )
    assert {"t.visits": Pause(SINCE, "t.visits"), "a/1": Pause(SINCE, "why")} == found
    assert "the pause of b cannot be read and is left out" in caplog.text


class Lane:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.paused: bool | None = None

    def pause(self, *, paused: bool) -> None:
        self.paused = paused


async def test_an_ear_hears_what_was_told_before_and_what_is_told_later(
    deployment: Callable[..., Settings],
) -> None:
    settings = deployment()
    names = await topics(settings)
    value = json.dumps({"since": SINCE}).encode()

    async def tell(key: str, value: bytes | None) -> None:
        await send(settings, [(names.control, 0, key.encode(), value, [])])

    await tell("t/1", value)
    lanes = {("t", n): Lane() for n in range(3)}
    resting: list[list[tuple[str, int]]] = []
    control = Control(client(settings), names.control, lambda: resting.append(control.tell(lanes.items())))
    try:
        await control.known()
        assert [False, True, False] == [lane.paused for lane in lanes.values()]
        for key, told, expected in (("t", value, 3), ("t/1", None, 3), ("t", None, 0), ("t/2", value, 1)):
            await tell(key, told)

            async def obeyed(count: int = expected) -> bool:
                return count == len(resting[-1])

            await eventually(obeyed)
        assert [("t", 2)] == resting[-1]
        async with reader(client(settings)) as read:
            assert {"t/2": Pause(SINCE)} == await read_pauses(read, settings)
    finally:
        control.stop()
        await asyncio.sleep(1)  # its consumer closes
