"""The worker's metrics, on a registry of our own: base units, `_total` for counters, bounded labels.

Enters: counts and durations from the lanes, once per batch or checkpoint. Leaves: the text of /metrics.
Nothing here is labelled by customer; labels are topics, partitions, journeys, stages and the closed lists.
"""

from __future__ import annotations

import contextlib
import threading
from collections import Counter as Tally
from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from journey_stream.kafka.keyed import KeyedPartition
from journey_stream.kafka.keyed_values import Published
from journey_stream.release import BEGINNING
from journey_stream.values import NEVER, SECOND, DeadLetter, Signal, StageNow, Transition

_FAST: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 10.0)
_LATE: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 600.0)
NONE: Final = "(none)"


class Counted(Protocol):
    """What an engine counts: outcomes, guards that were neither true nor false, timers with how late."""

    engine_counts: Tally[str]
    unknown: Tally[tuple[str, str]]
    fired: list[tuple[int, int]]


class Metrics:
    """Every metric of a worker."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._page = threading.Lock()
        made: Any = {"registry": self.registry, "namespace": "journey_stream"}
        partition = ("partition",)
        self.events = Counter(
            "events",
            "Events by source topic and outcome: read, filtered, dead, repeated by the hop, misrouted "
            "(`keyed_input`), on time, late; "
            "then applied, duplicate or from somebody unknown.",
            ("topic", "outcome"),
            **made,
        )
        self.transitions = Counter(
            "transitions",
            "Stage changes published.",
            ("journey", "from_stage", "to_stage", "trigger"),
            **made,
        )
        self.signals = Counter("signals", "Signals published.", ("journey", "signal", "status"), **made)
        self.corrections = Counter(
            "corrections",
            "Records that took back one published before (counted among transitions and signals, too).",
            ("journey", "record"),
            **made,
        )
        self.population = Gauge(
            "stage_population",
            "Customers per stage, in the partitions of this worker.",
            ("journey", "stage"),
            **made,
        )
        self.dead_letters = Counter(
            "dead_letters", "Records that could not be used, published as dead letters.", ("reason",), **made
        )
        self.engine_counts = Counter(
            "engine_outcomes",
            "What the engine counted: duplicates, events of unknown persons, unknown values touched, ...",
            ("outcome",),
            **made,
        )
        self.unknown = Counter(
            "unknown_values",
            "Expressions that were not true because they touched something unknown.",
            ("journey", "rule"),
            **made,
        )
        self.batch_seconds = Histogram(
            "batch_duration_seconds",
            "Work on one batch, waiting left out.",
            ("stage",),
            buckets=_FAST,
            **made,
        )
        self.checkpoint_seconds = Histogram(
            "checkpoint_duration_seconds", "One transaction, begin to commit.", buckets=_FAST, **made
        )
        self.checkpoints = Counter("checkpoints", "Transactions by outcome.", ("outcome",), **made)
        self.latency = Histogram(
            "end_to_end_latency_seconds",
            "From the broker time of the source record to the commit of what it caused (sampled per batch).",
            buckets=_LATE,
            **made,
        )
        self.clock = Gauge("clock_seconds", "Clock of a keyed partition (Unix time).", partition, **made)
        self.clock_lag = Gauge(
            "clock_lag_seconds",
            "How far the clock is behind the wall; 0 with `clock: event`.",
            partition,
            **made,
        )
        self.clock_held = Gauge(
            "clock_holding_sources",
            "Source partitions that hold the clock of a keyed partition; unknown ones included.",
            partition,
            **made,
        )
        self.buffered = Gauge("buffered_events", "Events that wait for the clock.", partition, **made)
        self.lag = Gauge(
            "consumer_lag_records", "Records of a partition not yet taken in.", ("topic", "partition"), **made
        )
        self.timers = Gauge("timers_pending", "Customers with a timer pending.", partition, **made)
        self.timer_late = Histogram(
            "timer_lateness_seconds",
            "How far the clock had passed the earliest due time when timers fired.",
            buckets=_LATE,
            **made,
        )
        self.customers = Gauge("customers", "Customers kept in a keyed partition.", partition, **made)
        self.restore_remaining = Gauge(
            "restore_remaining_records",
            "Changelog records still to read before a partition works.",
            partition,
            **made,
        )
        self.restore_seconds = Histogram(
            "restore_duration_seconds", "Takeover of a keyed partition.", buckets=_LATE, **made
        )
        self.restore_records = Counter(
            "restore_records", "Changelog records read in takeovers; few where a standby was at hand.", **made
        )
        self.standby_behind = Gauge(
            "standby_behind_records",
            "Changelog records that a standby of this worker has not read.",
            partition,
            **made,
        )
        self.failures = Counter(
            "lane_failures", "Lanes that stopped and started over from their checkpoint.", ("lane",), **made
        )
        self.fenced = Counter("fenced", "Lanes stopped because another worker took over.", **made)
        self.deleted_unread = Counter(
            "deleted_unread_records",
            "Records (offsets) that retention deleted before they were read.",
            ("topic",),
            **made,
        )
        self.topic_problems = Gauge(
            "topic_problems",
            "1 while a topic of the deployment is gone (missing), has another number of partitions, or holds "
            "records placed by another partitioner than `keyed_input` says.",
            ("topic", "problem"),
            **made,
        )
        self.held_sources = Gauge(
            "held_source_partitions", "Source partitions that wait because they run ahead.", **made
        )
        self.paused = Gauge(
            "paused",
            "1 for a partition of this worker that an operator has paused.",
            ("topic", "partition"),
            **made,
        )
        self.rebalances = Counter("rebalances", "Assignments received.", **made)
        self.rebalance_seconds = Histogram(
            "rebalance_duration_seconds", "From the revocation to the new assignment.", buckets=_LATE, **made
        )
        self.assigned = Gauge("assigned_partitions", "Partitions of this worker.", ("topic",), **made)

    def page(self, logics: Mapping[int, KeyedPartition], now: int) -> bytes:
        """Write all metrics in Prometheus' text format; waits for each partition that is at work.

        Args:
            logics: the keyed partitions of the worker.
            now: the wall clock, microseconds.
        """
        with self._page:
            self._show_all(logics, now)
            return generate_latest(self.registry)

    def count_events(self, counts: Tally[tuple[str, str]]) -> None:
        """Add outcomes of events, and empty the tally."""
        for (topic, outcome), n in counts.items():
            self.events.labels(topic, outcome).inc(n)
        counts.clear()

    def published(self, records: list[Published]) -> None:
        """Count what a committed checkpoint published."""
        moves: Tally[tuple[str, str | None, str, str]] = Tally()
        calls: Tally[tuple[str, str, str]] = Tally()
        back: Tally[tuple[str, str]] = Tally()
        for record in records:
            if isinstance(record, Transition | Signal) and record.corrects is not None:
                back[record.journey, "transition" if isinstance(record, Transition) else "signal"] += 1
            if isinstance(record, Transition):
                moves[record.journey, record.from_, record.to, record.trigger] += 1
            elif isinstance(record, Signal):
                calls[record.journey, record.signal, record.status] += 1
            elif isinstance(record, DeadLetter):
                self.dead_letters.labels(record.reason).inc()
            elif not isinstance(record, StageNow):  # pragma: no cover
                raise TypeError(type(record).__name__)
        self.add(moves, calls)
        for (journey, sort), n in back.items():
            self.corrections.labels(journey, sort).inc(n)

    def add(
        self, moves: Mapping[tuple[str, str | None, str, str], int], calls: Mapping[tuple[str, str, str], int]
    ) -> None:
        """Add so many changes of stage (journey, from, to, trigger) and signals (journey, signal, status)."""
        for (journey, from_, to, trigger), n in moves.items():
            self.transitions.labels(journey, from_ or NONE, to, trigger).inc(n)
        for (journey, signal, status), n in calls.items():
            self.signals.labels(journey, signal, status).inc(n)

    def count_engine(self, counted: Counted) -> None:
        """Add what the engine counted."""
        for outcome, n in counted.engine_counts.items():
            self.engine_counts.labels(outcome).inc(n)
        for (journey, rule), n in counted.unknown.items():
            self.unknown.labels(journey, rule).inc(n)
        for behind, _ in counted.fired:
            self.timer_late.observe(behind / SECOND)

    def _show_all(self, logics: Mapping[int, KeyedPartition], now: int) -> None:
        people: Tally[tuple[str, str]] = Tally()
        for partition, logic in logics.items():
            with logic.turn:
                self._show(partition, logic, now)
                for journey, stages in logic.population.items():
                    for stage, n in stages.items():
                        people[journey, stage] += n
        self.population.clear()
        for (journey, stage), n in people.items():
            self.population.labels(journey, stage).set(n)

    def _show(self, partition: int, logic: KeyedPartition, now: int) -> None:
        clock, wall = logic.clock.reached, logic.clock.mode == "wall"
        if clock != BEGINNING:
            self.clock.labels(partition).set(min(clock, NEVER) / SECOND)
            self.clock_lag.labels(partition).set(max(0, now - clock) / SECOND if wall else 0)
        self.clock_held.labels(partition).set(len(logic.clock.holding(now)))
        self.buffered.labels(partition).set(len(logic.buffer))
        self.customers.labels(partition).set(len(logic.engine))
        self.timers.labels(partition).set(logic.engine.timers_pending)

    def show_paused(self, partitions: Iterable[tuple[str, int]]) -> None:
        """Show what rests because an operator wants it."""
        self.paused.clear()
        for topic, partition in partitions:
            self.paused.labels(topic, partition).set(1)

    def forget_standby(self, partition: int) -> None:
        """Drop the gauge of a standby that is followed no more."""
        _remove(self.standby_behind, str(partition))

    def forget_partition(self, topic: str, partition: int) -> None:
        """Drop the gauges of a partition that has gone."""
        for gauge in (
            self.clock,
            self.clock_lag,
            self.clock_held,
            self.buffered,
            self.timers,
            self.customers,
            self.restore_remaining,
        ):
            _remove(gauge, str(partition))
        _remove(self.lag, topic, str(partition))


def _remove(gauge: Gauge, *labels: str) -> None:
    with contextlib.suppress(KeyError):
        gauge.remove(*labels)
