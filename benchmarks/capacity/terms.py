"""What the cost model speaks of: costs, loads, choices, plans, and what a plan comes to. Values only."""

from __future__ import annotations

import math
from typing import Literal

import msgspec


class Costs(msgspec.Struct, frozen=True):
    """What each thing costs. CPU in microseconds; names as in docs/capacity.md."""

    core: dict[str, float]
    """Of a keyed partition's logic, per thing."""
    state: dict[str, float]
    """Bytes of the changelog, per thing."""
    intake: dict[str, float]
    """`look`, `act`: the judging of an event."""
    hop: dict[str, float]
    """`sends`, `batches`, `rows`."""
    hop_broker: dict[str, float]
    hop_bytes: dict[str, float]
    fetch: dict[str, float]
    """`batches`, `rows`."""
    fetch_broker: dict[str, float]
    fetch_bytes: dict[str, float]
    commit: dict[str, float]
    """`commits`, `topics`, `rows`, `KB`."""
    commit_broker: dict[str, float]
    commit_bytes: dict[str, float]
    commit_disk: dict[str, float]
    commit_seconds: dict[str, float]
    """How long a transaction takes."""
    offset_broker: float
    """Microseconds of a broker to note an offset of the group: an append to one partition of its log."""
    commit_spread: float
    """99th percentile of that over its median."""
    marker: dict[str, float]
    """`markers`, `entries`, `sources looked at`: hearing of progress."""
    idle: float
    """Cores of a worker that does nothing."""
    whole: float
    """What a whole worker spends, over the sum of its parts: the event loop, Faust, the metrics."""
    restore: float
    """Microseconds of CPU per record of the changelog."""
    resident: float
    """Bytes of memory per customer at rest."""
    encoded: float
    """Bytes of state per customer at rest."""
    out_bytes: float
    """A record out, with key and headers."""
    event_bytes: float
    rebalance: float
    """Seconds that all workers stand still when the group divides partitions anew."""


class Load(msgspec.Struct, frozen=True):
    """What comes in."""

    events: float
    """A second, at the peak of the day."""
    customers: float
    acts: float = 0.16
    """Share of the events that matter to journeys; the others are looks."""
    rows_out: float = 0.4
    """Records out per event."""
    timers: float = 0.02
    """Timers that come due, per event."""
    journeys: float = 5.0
    """As many as are shipped, each about as large; the cost of the models is taken in proportion."""
    session: float = 20.0
    """Events of one customer within the hour in which order may still change, once there are any."""
    kept: float | None = None
    """Of these, how many are kept with a state that changes; None: worked out from the others."""
    mean: float = 0.5
    """The day's average, as a share of its peak."""
    readers: float = 1.0
    """Consumer groups that read the records out."""


Input = Literal["hop", "keyed"]


class Choices(msgspec.Struct, frozen=True):
    """What the operator chooses, and what the machines are."""

    input: Input = "hop"
    """`keyed`: the sources come keyed by customer and are read by the journeys, without the hop."""
    topics: int = 4
    """Source topics."""
    per_worker: int = 4
    """Keyed partitions a worker, when nobody says how many."""
    interval: float = 0.02
    """`checkpoint.interval`, seconds."""
    longest: float = 0.25
    """`checkpoint.longest`, seconds."""
    marker_interval: float = 0.25
    """Seconds, as in the setting: markers come no more seldom."""
    replication: int = 3
    retention_in: float = 7.0
    """Days that sources and the keyed topic keep."""
    retention_out: float = 30.0
    busy: float = 0.6
    """Of what a worker can do at most, how much the peak may take."""
    memory: float = 8e9
    """Bytes of a worker."""
    worker_network: float = 120e6
    """Bytes a second, each way: a gigabit for each core of a larger machine."""
    broker_network: float = 300e6
    """Bytes a second, each way: a quarter of ten gigabits."""
    broker_cores: float = 4.0
    """Cores of a broker that may be busy: half of eight."""
    broker_replicas: float = 4_000.0
    """Copies of partitions a broker, as Kafka's operators advise."""
    restore_within: float = 120.0
    """Seconds from a crash until all its partitions are at work again."""


class Plan(msgspec.Struct, frozen=True):
    """How many of what."""

    workers: int
    partitions: int
    """Keyed ones."""
    sources: int
    """Source partitions, of all topics together."""


class Flow(msgspec.Struct, frozen=True):
    """What a second of the peak does, in the whole deployment."""

    period: float
    """Seconds from one commit of a partition to the next."""
    commits: float
    changed: float
    entries: float
    rows_out: float
    hop_sends: float
    hop_batches: float
    fetch_batches: float
    markers: float
    marker_entries: float
    sources_looked_at: float


class Limit(msgspec.Struct, frozen=True):
    """Something that there is only so much of."""

    name: str
    used: float
    most: float
    unit: str

    @property
    def share(self) -> float:
        """1 = reached."""
        return self.used / self.most if self.most else math.inf


class Sizing(msgspec.Struct, frozen=True):
    """What a load takes."""

    load: Load
    choices: Choices
    plan: Plan
    steady: Flow
    capacity: float
    """Events a second that the workers can do at most."""
    cores: float
    """Busy at the peak, in steady state, of all workers."""
    cpu: dict[str, float]
    """Where they go: cores by part."""
    brokers: int
    broker_cores: float
    network: dict[str, float]
    """Bytes a second: of a worker in and out, of all brokers in and out."""
    disk: dict[str, float]
    """Bytes with all copies: a day of each kind, and kept in all."""
    memory: float
    """Bytes of a worker."""
    restore: float
    """Seconds to restore the keyed partitions of one worker by itself."""
    recovery: float
    """Seconds from a crash until other workers have restored its partitions and nothing waits any more."""
    limits: list[Limit]
    """The nearest first."""
