"""The topics of the deployment, looked at while it runs: gone, grown, or made anew.

Enters: how many partitions each topic has now. Leaves: a sentence for each that no longer fits, in the log,
in /health and as a metric. Strategy: `judge` says what is wrong (pure); the watch asks every half minute,
believes what it has seen twice, and repairs nothing: what a topic's owner did to it, only they can undo.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final

import msgspec
from aiokafka.errors import KafkaError

from journey_stream.errors import JourneyStreamError, StateError, TopicError
from journey_stream.kafka.metrics import Metrics

if TYPE_CHECKING:
    from faust.types import TP

    from journey_stream.kafka.group import Misplaced

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 30.0


class Watched(msgspec.Struct, frozen=True):
    """The topics of a deployment by what they are for."""

    sources: tuple[str, ...]
    events: str
    changelog: str
    outs: tuple[str, ...]
    partitions: int
    """Of the keyed topic and the changelog."""
    keyed_input: str = "none"

    def all(self) -> tuple[str, ...]:
        """Every topic."""
        return (*self.sources, self.events, self.changelog, *self.outs)


Problem = tuple[str, str]
"""Topic, and what is wrong with it: `missing` or `partitions`."""


def judge(watched: Watched, counts: Mapping[str, int]) -> dict[Problem, str]:
    """Say what about the topics no longer fits, each with what it means and the way out."""
    found: dict[Problem, str] = {}
    for topic in watched.all():
        if not counts.get(topic):
            found[topic, "missing"] = f"topic {topic} is gone: {_gone(watched, topic)}"
        elif topic in (watched.events, watched.changelog) and counts[topic] != watched.partitions:
            found[topic, "partitions"] = (
                f"topic {topic}: expected {watched.partitions} partitions, found {counts[topic]}. Customers "
                "are bound to partitions: those beyond stay unused, the next start refuses. Begin anew with "
                f"`partitions: {counts[topic]}` after `journey-stream reset`, or in another deployment"
            )
        elif (
            topic in watched.sources and watched.keyed_input != "none" and counts[topic] != watched.partitions
        ):
            found[topic, "partitions"] = (
                f"topic {topic}: expected {watched.partitions} partitions, found {counts[topic]}. With "
                "`keyed_input` nobody reads those beyond: they hold the clock, and the next start refuses. "
                "Begin anew with `keyed_input: none` after `journey-stream reset`, or in another deployment"
            )
    return found


def _gone(watched: Watched, topic: str) -> str:
    if topic in watched.sources:
        return (
            "what was read of it is safe, the clock waits for the rest. Under the same name its events would "
            "count as repeats: give the source another name (`sources`)"
        )
    if topic == watched.events:
        return "with it what intake had handed on; begin anew with `journey-stream reset`"
    if topic == watched.changelog:
        return "with it the state of all customers; restore it, or begin anew with `journey-stream reset`"
    return (
        "with it what was published. Partitions that have something to publish there stand still until it is "
        "back: `journey-stream topics --create`"
    )


def elsewhere(tp: TP, found: Misplaced, *, keyed: bool) -> JourneyStreamError:
    """Say that a partition ends before the offset we stand at."""
    what = (
        f"{tp.topic}[{tp.partition}]: we stand at offset {found.wanted}, but the topic ends at {found.end}: "
        "it was made anew. "
    )
    if keyed:
        way = "What intake had handed on is gone with it: begin anew with `journey-stream reset`"
        return StateError(what + way)
    way = "Its events would count as repeats: give the source another name (`sources`), or begin anew"
    return TopicError(what + way)


def tell_lost(tp: TP, found: Misplaced, metrics: Metrics) -> None:
    """Say that records were deleted before we read them."""
    metrics.deleted_unread.labels(tp.topic).inc(found.first - found.wanted)
    log.error(
        "%s[%d]: offsets %d to %d were deleted before they were read, reading goes on behind them; raise the "
        "topic's retention, or start more workers",
        tp.topic,
        tp.partition,
        found.wanted,
        found.first - 1,
    )


class TopicWatch:
    """What is wrong with the topics at present."""

    def __init__(self, watched: Watched, metrics: Metrics) -> None:
        self.problems: dict[Problem, str] = {}
        self._watched = watched
        self._metrics = metrics
        self._suspected: dict[Problem, str] = {}

    def take(self, counts: Mapping[str, int]) -> None:
        """Compare; what is seen for the second time is told."""
        found = judge(self._watched, counts)
        for problem, text in found.items():
            if problem in self._suspected and problem not in self.problems:
                self.problems[problem] = text
                self._metrics.topic_problems.labels(*problem).set(1)
                log.error("%s", text)
        for problem in [each for each in self.problems if each not in found]:
            del self.problems[problem]
            self._metrics.topic_problems.labels(*problem).set(0)
            log.info("topic %s: there again, as expected", problem[0])
        self._suspected = found

    async def run(self, count: Callable[[Iterable[str]], Awaitable[dict[str, int] | None]]) -> None:
        """Look, for ever; while the brokers are away nothing is known."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                counts = await count(self._watched.all())
            except KafkaError:
                continue  # that they are away is told elsewhere
            if counts is not None:
                self.take(counts)
