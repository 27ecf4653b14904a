"""Who takes part, and which ratios are told.

Enters: nothing. Leaves: two tables. A new contestant is a line here and the program behind it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from benchmarks.peers import programs
from benchmarks.peers.workload import Layout
from journey_stream.settings import SHIPPED_JOURNEYS, Codec

Command = Callable[[Path], list[str]]

ONE = (str(Path(__file__).parent / "three-stages.yaml"),)
FIVE = SHIPPED_JOURNEYS


class Contestant(msgspec.Struct, frozen=True):
    """One of those who do the job."""

    name: str
    """On the command line and in the result."""
    title: str
    layout: Layout
    """What its input is like."""
    guarantee: str
    command: Command | None = None
    """How a peer is started; None for ours."""
    journeys: tuple[str, ...] = ()
    """What ours runs."""
    compression: Codec = "none"
    """Of records out."""
    share: float = 1.0
    """Of the events: the quick ones get more, or nothing long would be measured; slow ones the beginning."""


class Ratio(msgspec.Struct, frozen=True):
    """A ratio of medians, with what it has to be and what is aimed at."""

    ours: str
    peer: str
    at_least: float
    aim: float


CONTESTANTS = (
    Contestant("faust", "plain Faust", "keyed", "at least once", programs.faust_command, share=0.1),
    Contestant("quix", "Quix Streams", "keyed", "exactly once", programs.quix_command, share=1.5),
    Contestant("streams", "Kafka Streams", "keyed", "exactly once", programs.streams_command, share=1.5),
    Contestant(
        "streams-lz4",
        "Kafka Streams, lz4",
        "keyed",
        "exactly once",
        programs.streams_command,
        compression="lz4",
        share=1.5,
    ),
    Contestant(
        "streams-repartition",
        "Kafka Streams, repartition topic",
        "scattered",
        "exactly once",
        programs.streams_command,
    ),
    Contestant("loop", "bare aiokafka loop", "keyed", "transactions", programs.loop_command, share=1.5),
    Contestant(
        "one-keyed", "journey_stream, one journey, keyed", "keyed", "exactly once", journeys=ONE, share=1.5
    ),
    Contestant("one-hop", "journey_stream, one journey, hop", "scattered", "exactly once", journeys=ONE),
    Contestant("five-keyed", "journey_stream, five models, keyed", "keyed", "exactly once", journeys=FIVE),
    Contestant(
        "five-lz4",
        "journey_stream, five models, keyed, lz4",
        "keyed",
        "exactly once",
        journeys=FIVE,
        compression="lz4",
    ),
    Contestant("five-hop", "journey_stream, five models, hop", "scattered", "exactly once", journeys=FIVE),
)
BY_NAME = {each.name: each for each in CONTESTANTS}

RATIOS = (
    Ratio("one-keyed", "streams", 1.2, 1.8),
    Ratio("one-hop", "streams-repartition", 1.0, 1.5),
    Ratio("five-keyed", "streams", 0.8, 1.2),
    Ratio("five-lz4", "streams-lz4", 0.8, 1.2),
    Ratio("five-hop", "streams-repartition", 0.6, 1.0),
    Ratio("one-keyed", "loop", 0.6, 0.85),
    Ratio("one-keyed", "quix", 3.0, 4.5),
    Ratio("one-keyed", "faust", 25.0, 35.0),
)
