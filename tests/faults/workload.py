"""What is sent to a deployment under attack, and what must come out of it.

Enters: a size and a seed. Leaves: records in the order of delivery, each with its source partition, and the
outcome that `replay` gives for them: the oracle, computed once. Strategy: the simulated shop, thinned to as
many events as asked for (visits go, orders and tickets stay); the records are spread evenly over all
source partitions, so that none of them is ever quiet for long: with `clock: event` a quiet source partition
stops holding the clock, and what it then brought would rightly be late.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from random import Random
from typing import Any

import orjson

from journey_stream.deployment import assemble
from journey_stream.encode import structured
from journey_stream.replay import replay
from journey_stream.settings import SOURCES, Settings
from journey_stream.shop.disorder import deliver
from journey_stream.shop.records import ShopOptions, ShopRecord, source_of
from journey_stream.shop.simulate import happenings
from journey_stream.shop.world import Happening
from journey_stream.values import DAY, HOUR, Transition

RUN_ON = 30 * DAY
"""The clock runs on after the last event, so that absence speaks too."""
FREE = ("decided_at", "sequence")
"""What may differ between two ways to the same net records."""

Place = tuple[str, int]
"""Source (without the topic prefix) and partition."""


@dataclass(frozen=True)
class Sent:
    """One record to send."""

    place: Place
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    poison: str | None
    """The dead-letter reason that it must get; None for a good one."""


@dataclass(frozen=True)
class Expected:
    """What must be published, net."""

    records: dict[str, bytes]
    """Identity of a record to the digest of its content."""
    stages: dict[bytes, str]
    """Key of the stage table to the stage."""


@dataclass
class Workload:
    """Records, and their outcome."""

    events: int
    """Different good events; repeats and bad records come on top."""
    customers: int
    records: list[Sent]
    settings: dict[str, Any]
    """What the deployment must be told for the outcome to be this one."""
    until: int
    """When the clock of the oracle ends."""
    lateness: int = HOUR
    started: int = field(default_factory=lambda: time.time_ns() // 1_000)

    live = False
    """Whether the wall is the clock: then workers do not know when all is done."""

    def begin(self) -> float:
        """Make the records ready to be sent; gives seconds until the first is due."""
        return 0.0

    def allows(self, longest_gap: float, behind: float, idle: float) -> bool:
        """Tell whether the feeding kept what the oracle takes for granted.

        Args:
            longest_gap: seconds in which nothing was sent; a source partition must not seem to be at its end.
            behind: seconds that records were sent later than planned, at most.
            idle: seconds after which a source partition is at its end.
        """
        return longest_gap < idle

    @cached_property
    def expected(self) -> Expected:
        """What `replay` makes of the records, each source partition a source of its own."""
        lines: dict[Place, list[bytes]] = {}
        for record in self.records:
            if record.value is not None:
                lines.setdefault(record.place, []).append(record.value)
        made = assemble(Settings(**self.settings))
        outcome = replay(
            made.program,
            list(lines.values()),
            made.decoder,
            self.lateness,
            self.until,
            self.started,
        )
        records: dict[str, bytes] = {}
        stages: dict[bytes, tuple[int, str]] = {}
        for record in outcome.records:
            value = orjson.loads(structured(record))["data"]
            records[value["id"]] = content(value)
            if isinstance(record, Transition):
                key = f"{record.person}|{record.journey}".encode()
                stages[key] = max(stages.get(key, (0, "")), (record.sequence, record.to))
        assert len(records) == len(outcome.records), "an id stands for two records"
        return Expected(records, {key: stage for key, (_, stage) in stages.items()})

    @property
    def poison(self) -> Counter[str]:
        """Bad records by reason."""
        return Counter(record.poison for record in self.records if record.poison)


def content(value: dict[str, Any]) -> bytes:
    """Digest of a record's value, but for what may differ between two ways to the same result."""
    kept = {name: each for name, each in value.items() if name not in FREE}
    return blake2b(orjson.dumps(kept, option=orjson.OPT_SORT_KEYS), digest_size=16).digest()


def shop_workload(
    events: int,
    customers: int,
    *,
    partitions: int,
    seed: int = 7,
    days: int = 30,
    duplicates: float = 0.1,
    poison: float = 0.01,
    out_of_order: float = 0.3,
    journeys: list[str] | None = None,
) -> Workload:
    """Make the events of a shop: some twice, some bad, many out of order within the lateness.

    Args:
        events: how many different good events; the shop must have had as many (over 10 a customer).
        customers: who took part; a fifth of them anonymous.
        partitions: source partitions per source topic.
    """
    options = ShopOptions(
        seed=seed,
        customers=customers * 4 // 5,
        visitors=0.25,
        days=days,
        cast=False,
        duplicates=duplicates,
        out_of_order=out_of_order,
        poison=poison,
    )
    random = Random(f"{seed}/faults")
    kept = thinned(list(happenings(options)), events, random)
    until = options.start + days * DAY + RUN_ON
    settings: dict[str, Any] = {
        "clock": "event",
        "until": until,
        "allowed_lateness": options.lateness,
        "source_partitions": partitions,
    }
    if journeys is not None:
        settings["journeys"] = journeys
    people = len({person for _, _, _, person, _ in kept})
    return Workload(
        len(kept), people, list(placed(deliver(kept, options), partitions, random)), settings, until
    )


def thinned(happened: list[Happening], events: int, random: Random) -> list[Happening]:
    """Leave out what happened on visits until so many events are left; nobody's first event goes."""
    known: set[str] = set()
    visits = []
    for number, (_, _, kind, person, _) in enumerate(happened):
        if source_of(kind) == "visits" and person in known:
            visits.append(number)
        known.add(person)
    surplus = len(happened) - events
    if not 0 <= surplus <= len(visits):
        msg = f"expected a shop of at least {events:,} events, it had {len(happened):,} ({len(visits):,} of visits)"
        raise ValueError(msg)
    gone = set(random.sample(visits, surplus))
    return [happening for number, happening in enumerate(happened) if number not in gone]


def placed(records: Iterator[ShopRecord], partitions: int, random: Random) -> Iterator[Sent]:
    """Spread records evenly over all source partitions, each in turn; a repeat may come by another way."""
    places = [(source, partition) for source in SOURCES for partition in range(partitions)]
    for number, record in enumerate(records):
        if number % len(places) == 0:
            random.shuffle(places)
        # Kafka takes a record with neither key nor value, aiokafka does not.
        key = b"" if record.key is None and record.value is None else record.key
        yield Sent(places[number % len(places)], key, record.value, record.headers, record.poison)
