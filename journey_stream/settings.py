"""What an operator can choose: frozen structs, one field a choice, each with its meaning beside it.

Enters: nothing. Leaves: `Settings`, complete with defaults, and `TopicNames`, the names that follow from it.
Strategy: the structs are the one source of truth; `settings_read.load_settings` fills them from YAML,
environment and flags, `settings_reference` writes the reference page and the JSON Schema from them. In the
objects durations and times are integers (microseconds), in the file text (`1h`, `2026-01-01T00:00:00Z`).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from journey_stream.values import DAY, HOUR, MINUTE, NEVER, SECOND, Actor

Duration = Annotated[int, msgspec.Meta(extra={"form": "duration"})]
"""Microseconds; written `250ms`, `1h`, `1d12h`, `never`, or a number of seconds."""
Moment = Annotated[int, msgspec.Meta(extra={"form": "time"})]
"""Microseconds since the epoch; written as RFC 3339 with an offset."""
Size = Annotated[int, msgspec.Meta(extra={"form": "size"}, gt=0)]
"""Bytes; written `1 MiB`, `512KiB` or a number."""
Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]
Count = Annotated[int, msgspec.Meta(ge=1)]
Codec = Literal["none", "gzip", "lz4", "zstd"]
TopicWord = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=150)]

SHIPPED_JOURNEYS = ("relationship", "lifecycle", "brand", "buyer-value", "four-cycles")
HISTORY = "history"
"""The source that `journey-stream backfill` writes to."""
SOURCES = ("visits", "purchases", "tickets", "surveys")


def doc(text: str) -> msgspec.Meta:
    """Attach the meaning of a field, for the reference page."""
    return msgspec.Meta(description=text)


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of every group of settings: frozen, unknown keys refused."""


class Retention(Part, frozen=True):
    """How long topics keep records (`never` = for ever). Used when a topic is created, not checked later."""

    sources: Annotated[Duration, doc("Source topics.")] = 7 * DAY
    events: Annotated[Duration, doc("The keyed topic between intake and journeys.")] = 7 * DAY
    transitions: Annotated[Duration, doc("Stage changes.")] = 30 * DAY
    signals: Annotated[Duration, doc("Signals.")] = 30 * DAY
    dead_letters: Annotated[Duration, doc("Records that could not be used.")] = 30 * DAY


class ForgetAfter(Part, frozen=True):
    """After how long without any event a person is forgotten everywhere."""

    anonymous: Annotated[Duration, doc("Persons without a `customer_id`.")] = 90 * DAY
    known: Annotated[Duration, doc("Persons with a `customer_id`.")] = NEVER


class Checkpoint(Part, frozen=True):
    """When a partition commits: soon while it keeps up, seldom and much in a backlog."""

    interval: Annotated[
        Duration,
        doc(
            "Shortest time between two commits while it keeps up; slow commits lengthen it up to five times."
        ),
    ] = 20_000
    longest: Annotated[Duration, doc("Time between two commits in a backlog.")] = 250_000
    records: Annotated[Count, doc("Whatever the time, after this many events and timers.")] = 10_000
    size: Annotated[Size, doc("Whatever the time, after about so many bytes of records and states.")] = (
        16 * 2**20
    )


class Fetch(Part, frozen=True):
    """How much is read at once."""

    records: Annotated[Count, doc("At most this many records a fetch and partition.")] = 5_000


class Compression(Part, frozen=True):
    """Compression of what is written. Some subscribers' clients read nothing but gzip."""

    public: Annotated[Codec, doc("Transitions, signals, stages, dead letters.")] = "none"
    internal: Annotated[Codec, doc("Keyed topic and changelog.")] = "none"


class RecordTopics(Part, frozen=True):
    """Topics of their own for some records, beside (never instead of) the common ones."""

    transitions: Annotated[
        Literal["none", "stage", "kind"],
        doc("Also to `<prefix>.transitions.<journey>.<stage>` or `<prefix>.transitions.<kind>`."),
    ] = "none"
    signals: Annotated[
        Literal["none", "signal", "kind"],
        doc("Also to `<prefix>.signals.<journey>.<signal>` or `<prefix>.signals.<kind>`."),
    ] = "none"


class Security(Part, frozen=True):
    """How to reach a protected cluster. Prefer the `_file` form or the environment for secrets."""

    protocol: Annotated[
        Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"], doc("As in every Kafka client.")
    ] = "PLAINTEXT"
    sasl_mechanism: Annotated[
        Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"], doc("How the user is proved.")
    ] = "SCRAM-SHA-512"
    sasl_username: Annotated[str | None, doc("The user.")] = None
    sasl_password: Annotated[str | None, doc("The password.")] = None
    sasl_password_file: Annotated[str | None, doc("A file that holds the password.")] = None
    ssl_cafile: Annotated[str | None, doc("Certificates to trust (PEM); the system's when empty.")] = None
    ssl_certfile: Annotated[str | None, doc("Our certificate (PEM), when the broker asks for one.")] = None
    ssl_keyfile: Annotated[str | None, doc("The key of our certificate (PEM).")] = None
    ssl_check_hostname: Annotated[bool, doc("Whether the broker's name must match its certificate.")] = True


class Web(Part, frozen=True):
    """The worker's own pages: /metrics, /health, /ready."""

    host: Annotated[str, doc("Address to listen on; `0.0.0.0` inside a container.")] = "127.0.0.1"
    port: Annotated[
        Port, doc("Port; 0 switches the pages off. With `processes` each has its own on the ports after it.")
    ] = 6066


class DeclaredType(Part, frozen=True):
    """An event type of your own."""

    name: Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]*$"), doc("As in `type` of the event.")]
    actor: Annotated[Actor, doc("Whose act it is; only a customer's creates a person.")] = "customer"
    source: Annotated[str, doc("The source topic it usually comes on.")] = "visits"
    schema: Annotated[dict[str, Any], doc("JSON Schema (2020-12) of its `properties`.")] = {}


class Filter(Part, frozen=True):
    """Events to leave out (staff, bots, tests): counted, not processed."""

    name: Annotated[str, doc("Shown in the metric.")]
    when: Annotated[str, doc("CEL over the event: true leaves the event out.")]


class VersionChange(Part, frozen=True):
    """What becomes of customers who are in another version of a journey (docs/versions.md)."""

    journey: Annotated[str, doc("The journey's id.")]
    from_version: Annotated[Count, doc("The version that customers are in.")]
    policy: Annotated[
        Literal["keep", "migrate", "replay"],
        doc(
            "`keep`: they stay in it, both versions run. `migrate`: they go to the stage that `stages` says. "
            "`replay`: they go where history would have brought them."
        ),
    ]
    previous: Annotated[
        str | None, doc("File with the definition of that version, as it was; not needed for `replay`.")
    ] = None
    history: Annotated[
        list[str],
        doc("`replay`: JSON Lines files with events that the keyed topic has lost."),
    ] = []
    stages: Annotated[
        dict[str, str],
        doc("`migrate`: stage of that version to stage of the present one, where names differ."),
    ] = {}


class Backfill(Part, frozen=True):
    """History from before the deployment, fed in with `journey-stream backfill`."""

    until: Annotated[
        Moment | None,
        doc("The fence: what happened up to here is history. With it, `<prefix>.history` is read."),
    ] = None
    records: Annotated[
        Literal["flagged", "withheld"],
        doc("Records of history: published with `replay: true`, or not at all (the stage table has them)."),
    ] = "flagged"


class Settings(Part, frozen=True):
    """Everything an operator can choose."""

    bootstrap_servers: Annotated[
        str, msgspec.Meta(min_length=1), doc("Brokers, `host:port`, comma between.")
    ] = "localhost:9092"
    application_id: Annotated[
        TopicWord, doc("Consumer group, transactional ids and changelog; two deployments differ in it.")
    ] = "journey-stream"
    topic_prefix: Annotated[TopicWord, doc("First word of every topic's name.")] = "journey"
    sources: Annotated[
        list[TopicWord], msgspec.Meta(min_length=1), doc("Source topics, without the prefix.")
    ] = msgspec.field(default_factory=lambda: list(SOURCES))
    partitions: Annotated[Count, doc("Partitions of the keyed topic, the changelog and the topics out.")] = 8
    source_partitions: Annotated[Count, doc("Partitions of source topics that we create.")] = 8
    keyed_input: Annotated[
        Literal["none", "murmur2", "crc32", "fnv1a"],
        doc(
            "Partitioner of producers that already key by person: source topics, with as many partitions as "
            "`partitions`, are then read without the hop (docs/keyed-input.md)."
        ),
    ] = "none"
    core: Annotated[
        Literal["auto", "compiled", "python"],
        doc(
            "What works on events: the compiled core (package `journey-stream-native`), or Python alone, "
            "with the same outcome. `auto`: the compiled one if it is installed and knows all that the "
            "definitions use."
        ),
    ] = "auto"
    state_store: Annotated[
        Literal["memory", "rocksdb"],
        doc("Where customers at rest are kept: `rocksdb` for more than memory holds (docs/operations.md)."),
    ] = "memory"
    state_dir: Annotated[str, doc("`rocksdb`: folder on a local disk, of this worker alone.")] = (
        "journey-stream-state"
    )
    replication: Annotated[
        Annotated[int, msgspec.Meta(ge=-1)],
        doc("Copies of topics that we create; -1 = the cluster's default."),
    ] = -1
    source_timestamps: Annotated[
        Literal["broker", "producer"],
        doc(
            "Whose clock stamps records of source topics that we create; `max_future` is measured against it."
        ),
    ] = "broker"
    retention: Annotated[Retention, doc("How long topics keep records.")] = Retention()
    processes: Annotated[
        Count, doc("Worker processes that `worker` starts on this machine, one processor core each.")
    ] = 1
    standby_replicas: Annotated[
        Annotated[int, msgspec.Meta(ge=0)],
        doc(
            "Workers that follow the state of a keyed partition beside its owner, each at its cost of memory."
        ),
    ] = 0
    clock: Annotated[
        Literal["wall", "event"], doc("`wall`: live. `event`: only events move the clock (demo, backfill).")
    ] = "wall"
    until: Annotated[Moment | None, doc("Let the clock run up to here and no further.")] = None
    allowed_lateness: Annotated[Duration, doc("Events this far behind the clock are put in order.")] = HOUR
    dedup_window: Annotated[
        Duration, doc("How long an event id is remembered; later events are dead letters `too_late`.")
    ] = 7 * DAY
    max_future: Annotated[
        Duration, doc("Events further ahead of their broker timestamp are dead letters `bad_time`.")
    ] = 5 * MINUTE
    idle_after: Annotated[
        Duration, doc("A source partition read to its end for this long holds no clock.")
    ] = 2 * SECOND
    marker_interval: Annotated[Duration, doc("How often intake tells its progress.")] = 250_000
    catch_up: Annotated[
        Duration, doc("Further behind than this, events are released in event-time order.")
    ] = 10 * SECOND
    max_event_bytes: Annotated[Size, doc("Larger events are dead letters `too_large`.")] = 2**20
    max_record_bytes: Annotated[
        Size,
        doc("Largest record a topic of ours carries: dead letters hold the original, whatever its size."),
    ] = 16 * 2**20
    max_buffered: Annotated[
        Count, doc("Records a worker reads ahead of its slowest clock before sources wait.")
    ] = 50_000
    forget_after: Annotated[ForgetAfter, doc("When idle persons are forgotten.")] = ForgetAfter()
    checkpoint: Annotated[Checkpoint, doc("When a partition commits.")] = Checkpoint()
    fetch: Annotated[Fetch, doc("How much is read at once.")] = Fetch()
    journeys: Annotated[
        list[str], msgspec.Meta(min_length=1), doc("Shipped names, YAML files or folders of them.")
    ] = msgspec.field(default_factory=lambda: list(SHIPPED_JOURNEYS))
    versions: Annotated[
        list[VersionChange], doc("What becomes of customers in other versions of a journey.")
    ] = []
    backfill: Annotated[Backfill, doc("History from before the deployment.")] = Backfill()
    event_types: Annotated[list[DeclaredType], doc("Event types of your own.")] = []
    filters: Annotated[list[Filter], doc("Events to leave out.")] = []
    currency: Annotated[
        Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")] | None,
        doc("The currency amounts are kept in; without it amounts are taken as they come."),
    ] = None
    rates: Annotated[dict[str, float], doc("Value of one unit of another currency in `currency`.")] = {}
    ces_high_is_easy: Annotated[bool, doc("Whether a high customer effort score is a good one.")] = True
    record_topics: Annotated[RecordTopics, doc("Topics of their own for some records.")] = RecordTopics()
    security: Annotated[Security, doc("How to reach a protected cluster.")] = Security()
    web: Annotated[Web, doc("The worker's own pages.")] = Web()
    compression: Annotated[Compression, doc("Compression of what is written.")] = Compression()
    log_level: Annotated[Literal["debug", "info", "warning", "error"], doc("How much the worker tells.")] = (
        "info"
    )
    startup_timeout: Annotated[Duration, doc("How long the brokers may be away at the start.")] = 60 * SECOND


class TopicNames(msgspec.Struct, frozen=True):
    """The topics of one deployment."""

    sources: tuple[str, ...]
    events: str
    transitions: str
    signals: str
    stages: str
    dead_letters: str
    redriven: str
    """Which dead letters have been sent back."""
    control: str
    """What an operator has paused."""
    changelog: str

    @classmethod
    def of(cls, settings: Settings) -> TopicNames:
        """Derive the names from prefix, source list and application id."""
        prefix = settings.topic_prefix
        history = () if settings.backfill.until is None else (HISTORY,)
        return cls(
            sources=tuple(f"{prefix}.{source}" for source in dict.fromkeys((*settings.sources, *history))),
            events=f"{prefix}.events",
            transitions=f"{prefix}.transitions",
            signals=f"{prefix}.signals",
            stages=f"{prefix}.stages",
            dead_letters=f"{prefix}.dead_letters",
            redriven=f"{prefix}.redriven",
            control=f"{prefix}.control",
            changelog=f"{settings.application_id}-customers-changelog",
        )

    def all(self) -> tuple[str, ...]:
        """Every topic, in the order of an event's way."""
        return (
            *self.sources,
            self.events,
            self.transitions,
            self.signals,
            self.stages,
            self.dead_letters,
            self.redriven,
            self.control,
            self.changelog,
        )

    def transition_topic(self, *parts: str) -> str:
        """Name the extra topic of a stage (`journey, stage`) or of a kind (`kind`)."""
        return ".".join((self.transitions, *(part.replace("/", ".") for part in parts)))

    def signal_topic(self, *parts: str) -> str:
        """Name the extra topic of a signal (`journey, signal`) or of a kind (`kind`)."""
        return ".".join((self.signals, *(part.replace("/", ".") for part in parts)))
