"""Events from files through the same core as the worker, with event time only: what would be published.

In: a program, sources of lines (each in any order within the lateness), the lateness, until when the clock
runs. Out: the net records in a fixed order, what could not be used, and counts. Each source tells its own
progress and the one furthest behind is read next, so that a long file does not make the events of a short
one late. The outcome depends on the events alone, not on how they are spread over files, but for what comes
too late.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import msgspec

from journey_stream.engine.partition import Drained, Partition
from journey_stream.engine.program import Program
from journey_stream.events.decode import Decoder
from journey_stream.events.derive import derived_events
from journey_stream.release import (
    BEGINNING,
    PartitionClock,
    ReleaseBuffer,
    classify,
    furthest_behind,
    settled,
)
from journey_stream.values import NEVER, Event, Reason, Rejection, Signal, StageNow, Transition

DRAIN_EVERY = 10_000


class Refused(msgspec.Struct, frozen=True):
    """A line that could not be used."""

    source: int
    """Which source, counted from 0."""
    line: int
    """Which line of it, counted from 1."""
    reason: Reason
    detail: str


class Replayed(msgspec.Struct):
    """What came of a replay."""

    records: list[Transition | Signal]
    """Net records by (`occurred_at`, customer, journey, sequence)."""
    rejections: list[Refused]
    """By source and line."""
    counts: Counter[str]
    """lines, filtered, and what the engine counts (`Drained.counts`)."""
    unknown: dict[tuple[str, str], int]
    """(journey, rule) to how often its expression touched something unknown."""
    until: int
    """How far the clock ran."""
    gone: set[tuple[str, str]] = msgspec.field(default_factory=set)
    """(person, journey) of those who were forgotten, and are not back, by then."""


def replay(
    program: Program,
    sources: Sequence[Iterable[bytes]],
    decoder: Decoder,
    lateness: int,
    until: int | None = None,
    received: int = NEVER - 1,
) -> Replayed:
    """Run events through journeys.

    Args:
        program: compiled journeys.
        sources: lines of JSON, one event each; a source is read once, as far as needed.
        decoder: of the same vocabulary as the program.
        lateness: how far behind the clock an event may come and still take its place (microseconds).
        until: events and timers up to and including this time; the last event's time if left out.
        received: when the lines were received: an event too far ahead of it is `bad_time`, as it is for the
            worker, so that one clock gone wrong does not move ours. Left out, any time is taken.
    """
    return replay_each([program], sources, decoder, lateness, until, received)[0]


def replay_each(
    programs: Sequence[Program],
    sources: Sequence[Iterable[bytes]],
    decoder: Decoder,
    lateness: int,
    until: int | None = None,
    received: int = NEVER - 1,
    seen: Callable[[Event], None] | None = None,
) -> list[Replayed]:
    """Run the same events through several programs, each on its own, in one reading.

    Args:
        programs: each of the decoder's vocabulary.
        sources: as for `replay`, as are the next four.
        decoder: of the same vocabulary as the programs.
        lateness: microseconds.
        until: microseconds.
        received: microseconds.
        seen: called with each event in the order it is applied (duplicates too), before it is.

    Returns:
        One result per program, in their order.
    """
    return _Replay(programs, sources, decoder, lateness, until, received, seen).run()


class _Run:
    """One program at work, and what has come of it."""

    def __init__(self, program: Program) -> None:
        self.partition = Partition(program)
        self.result = Replayed([], [], Counter(), {}, BEGINNING)

    def drain(self, places: dict[int, tuple[int, int]]) -> None:
        drained: Drained = self.partition.drain()
        result = self.result
        for record in drained.records:
            if isinstance(record, StageNow):
                keep = result.gone.add if record.stage is None else result.gone.discard
                keep((record.person, record.journey))
            else:
                result.records.append(record)
        result.counts += drained.counts
        for key, count in drained.unknown.items():
            result.unknown[key] = result.unknown.get(key, 0) + count
        for event, detail in drained.rejected:
            result.rejections.append(Refused(*places[id(event)], "processing_error", detail))

    def finish(self, refused: Iterable[Refused], counts: Counter[str], until: int) -> Replayed:
        result = self.result
        result.until = until
        result.counts += counts
        result.rejections += refused
        result.records.sort(key=lambda r: (r.occurred_at, r.person, r.journey, r.sequence))
        result.rejections.sort(key=lambda r: (r.source, r.line))
        return result


class _Replay:
    def __init__(
        self,
        programs: Sequence[Program],
        sources: Sequence[Iterable[bytes]],
        decoder: Decoder,
        lateness: int,
        until: int | None,
        received: int,
        seen: Callable[[Event], None] | None,
    ) -> None:
        self._sources = [iter(source) for source in sources]
        self._decode = decoder.decode
        self._lateness = lateness
        self._received = received
        self._window = max(program.options.dedup_window for program in programs)
        self._until = NEVER if until is None else until
        self._runs = [_Run(program) for program in programs]
        self._seen = seen
        self._clock = PartitionClock("event", range(len(sources)))
        self._buffer = ReleaseBuffer()
        self._places: dict[int, tuple[int, int]] = {}
        """id of an event handed to the engine and not drained yet, to where it came from."""
        self._kept: list[Event] = []
        self._last = BEGINNING
        self._refused: list[Refused] = []
        self._counts: Counter[str] = Counter()

    def run(self) -> list[Replayed]:
        for source, number, line in furthest_behind(self._sources, self._clock, self._advance):
            self._counts["lines"] += 1
            self._take(line, source, number)
        until = self._last if self._until == NEVER else self._until
        if until != BEGINNING:
            self._release(until)
        self._drain()
        return [run.finish(self._refused, self._counts, until) for run in self._runs]

    def _take(self, line: bytes, source: int, number: int) -> None:
        event = self._decode(line, self._received)
        if type(event) is not Event:
            if isinstance(event, Rejection):
                self._refused.append(Refused(source, number, event.reason, event.detail))
            else:
                self._counts["filtered"] += 1
            return
        clock = self._clock
        for each in (event, *self._derived(event)):
            timely = classify(each.at, clock.reached, self._lateness, self._window)
            if timely == "too_late":
                behind = (clock.reached - each.at) // 1_000_000
                detail = f"occurred_at is {behind} s behind the clock, more than the de-duplication window"
                self._refused.append(Refused(source, number, "too_late", detail))
                continue
            each.late = timely == "late"
            self._buffer.push(each, (source, number))
            if each.at > self._last:
                self._last = each.at
        if event.at > clock.sources[source].highest:
            clock.progress(source, event.at, idle=False, wall=0)
            self._advance()

    def _derived(self, event: Event) -> list[Event]:
        made = (self._decode(derived.value, self._received) for derived in derived_events(event))
        return [each for each in made if type(each) is Event]

    def _advance(self) -> None:
        gate = settled("event", self._clock, 0, self._lateness, self._until)
        if self._buffer.earliest <= gate:
            self._release(gate)

    def _release(self, gate: int) -> None:
        runs = [run.partition for run in self._runs]
        seen = self._seen
        for event, place in self._buffer.release(gate):
            if seen is not None:
                seen(event)
            for partition in runs:
                partition.apply(event, max(event.at, gate), late=event.late)
            self._places[id(event)] = place
            self._kept.append(event)
        for partition in runs:
            if partition.next_due <= gate:
                partition.fire(gate, gate)
        if len(self._kept) >= DRAIN_EVERY:
            self._drain()

    def _drain(self) -> None:
        for run in self._runs:
            run.drain(self._places)
        self._places, self._kept = {}, []
