"""Measurements without a broker: what events, timers, records and customers cost the worker's logic.

Enters: how large the runs may be. Leaves: runs for `fit`, with what happened in each and the CPU microseconds
or bytes that it took. Strategy: `KeyedPartition` and `Intake` themselves, fed as their lanes feed them; runs
differ in kind of event, number of journeys, customers per checkpoint and length of recent histories, so that
their costs can be told apart. A shop's events are run too: what they need is told by the same things. The
engine is the one that a worker has here: the compiled core where it is installed, and with it records and
states are batches for Kafka already, which is then part of what they cost here.
"""

from __future__ import annotations

import functools
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from benchmarks.capacity.fit import Run
from journey_stream.deployment import Deployment, assemble
from journey_stream.encode import Encoder
from journey_stream.engine.drained import Ready
from journey_stream.kafka import hop
from journey_stream.kafka.compiled import readable
from journey_stream.kafka.compiled_intake import CompiledIntake
from journey_stream.kafka.engines import Engines
from journey_stream.kafka.keyed import KeyedPartition
from journey_stream.kafka.keyed_values import Options
from journey_stream.settings import SHIPPED_JOURNEYS, Settings, TopicNames
from journey_stream.shop.records import ShopOptions
from journey_stream.shop.simulate import simulate
from journey_stream.values import DAY, HOUR, NEVER, SECOND, Out, rfc3339

BEGAN = 1_767_225_600 * SECOND
SOURCE = hop.pack_source("bench.visits", 0)
SLICE = 500
MARKERS = 4
"""Markers in a batch, when they are measured."""
LOOKS = (
    "page_viewed",
    "product_viewed",
    "product_list_viewed",
    "products_searched",
    "page_left",
    "link_clicked",
)

QUIET = """\
journey: quiet{n}
version: 1
attributes:
  n{n}: {{count: order_completed, where: total > {n}}}
  s{n}: {{sum: order_completed.total, over: {days}d}}
start: here
stages: {{here: {{kind: prospect}}, there: {{kind: retention}}}}
transitions: [{{id: up, from: here, to: there, event: order_completed, when: s{n} > 1000000000 && n{n} > 9}}]
"""
"""A journey on which looks have no effect, and acts have one: two attributes and a guard that stays false."""
MOVING = """\
journey: moving{n}
version: 1
start: here
stages: {{here: {{kind: prospect}}, there: {{kind: retention}}}}
transitions:
  - {{id: up, from: here, to: there, event: order_completed}}
  - {{id: down, from: there, to: here, event: order_completed}}
"""
"""A journey that moves at every act: a transition and a stage out."""
SILENT = """\
journey: silent
version: 1
start: there
stages: {there: {kind: retention}, gone: {kind: attrition}}
transitions:
  - {id: silent, from: there, to: gone, after: 1h, since: activity, reason: silence}
  - {id: back, from: gone, to: there, event: activity}
"""


class Record(msgspec.Struct):
    """What is used of a consumed record."""

    offset: int
    value: bytes
    headers: Sequence[tuple[str, bytes]]
    key: bytes | None = None
    timestamp: int = 0
    topic: str = "bench.events"
    partition: int = 0


class Given(NamedTuple):
    """An event to come."""

    at: int
    person: str
    act: bool
    """It matters to journeys; a look does so less."""
    value: bytes


class Case(msgspec.Struct, frozen=True):
    """One run of the keyed partition."""

    name: str
    acts: float = 0.1
    """Share of the events that are orders; the others are looks at pages."""
    customers: int = 2_000
    step: int = HOUR // 400
    """Event time from one event to the next, microseconds."""
    per_checkpoint: int = 500
    quiet: int = 0
    moving: int = 0
    """Generated journeys; without any, those that are shipped."""
    browsing: float | None = None
    """Events of the simulated shop instead, with so many looks a session."""


def cases() -> list[Case]:
    """The designed set: each thing in different numbers."""
    made = []
    # Few customers with a short step have long histories, with a long one none.
    for step, past in ((HOUR // 20_000, "within the hour"), (HOUR // 20, "over days")):
        made.append(Case(f"shipped, looks {past}, 200 customers", 0.0, 200, step))
    made.append(Case("shipped, looks, 2,000 customers", 0.0))
    for acts, kind in ((0.0, "looks"), (1.0, "acts")):
        made += [Case(f"{n} generated, {kind}", acts, quiet=n) for n in (1, 5, 20)]
    made += [Case(f"{n} moving, acts", 1.0, moving=n) for n in (1, 4)]
    made += [Case(f"shipped, a checkpoint each {n}", per_checkpoint=n) for n in (10, 3_000)]
    for looks in (0.0, 5.0, 25.0):
        made += [
            Case(f"shop, {looks:g} looks a session, a checkpoint each {n}", per_checkpoint=n, browsing=looks)
            for n in (10, 100)
        ]
    return made


def texts(quiet: int, moving: int) -> list[tuple[str, str]]:
    """Generated journeys, each under a name."""
    made = [QUIET.format(n=n, days=30 + n) for n in range(quiet)] + [
        MOVING.format(n=n) for n in range(moving)
    ]
    return [(f"j{n}.yaml", text) for n, text in enumerate(made)]


@functools.cache
def deployment_of(quiet: int = 0, moving: int = 0) -> Deployment:
    """Compile generated journeys, or those that are shipped."""
    if not quiet + moving:
        return assemble(Settings(journeys=list(SHIPPED_JOURNEYS)))
    return written_down(texts(quiet, moving))


def written_down(definitions: list[tuple[str, str]]) -> Deployment:
    """Compile journeys from their texts."""
    with tempfile.TemporaryDirectory(prefix="journey-stream-capacity-") as folder:
        files = [Path(folder) / name for name, _ in definitions]
        for file, (_, text) in zip(files, definitions, strict=True):
            file.write_text(text)
        return assemble(Settings(journeys=list(map(str, files))))


def value_of(act: bool, person: str, number: int, at: int) -> bytes:
    """An event as a shop sends it, about as long as those are."""
    context = (
        f'"context":{{"channel":"web","session_id":"s-{number}","locale":"fr-FR","country":"FR",'
        '"device":"mobile"}'
    )
    head = (
        f'{{"event_id":"e-{number:010d}","type":"{"order_completed" if act else "page_viewed"}",'
        f'"occurred_at":"{rfc3339(at)}","customer_id":"{person}","anonymous_id":"a-{person}",{context}'
    )
    if act:
        line = '{{"product_id":"p-{0}","sku":"s-{0}","name":"Thing","category":"shoes","price":20.0}}'
        products = ",".join(line.format(n) for n in range(2))
        rest = f'"order_id":"o-{number}","total":40.0,"currency":"EUR","products":[{products}]'
    else:
        rest = (
            f'"url":"https://shop.example/p/{number % 997}","title":"A page","category":"shoes",'
            '"content_type":"product"'
        )
    return f'{head},"properties":{{{rest}}}}}'.encode()


def given(case: Case, warm: int, events: int) -> list[Given]:
    """The events of a run: first everybody comes once, then somebody at random acts."""
    if case.browsing is not None:
        return shop(case.browsing, warm + events)
    draw, made = random.Random(7), []
    for number in range(warm + events):
        person = f"c{number if number < warm else draw.randrange(warm)}"
        act, at = draw.random() < case.acts, BEGAN + number * case.step
        made.append(Given(at, person, act, value_of(act, person, number, at)))
    return made


@functools.cache
def shop(browsing: float, most: int) -> list[Given]:
    """Events of the simulated shop, of a part of its customers."""
    made: list[Given] = []
    options = ShopOptions(seed=7, customers=300, days=120, browsing=browsing, cast=False)
    for record in simulate(options):
        event = msgspec.json.decode(record.value or b"{}")
        person = event.get("customer_id") or event.get("anonymous_id")
        made.append(Given(record.at, person, event["type"] not in LOOKS, record.value or b""))
        if len(made) == most:
            break
    return made


def partition_of(made: Deployment, sources: Sequence[bytes] = (SOURCE,)) -> KeyedPartition:
    """An empty keyed partition, live."""
    options = Options(
        mode="wall",
        until=NEVER,
        allowed_lateness=HOUR,
        dedup_window=7 * DAY,
        catch_up=10 * SECOND,
        application="bench",
    )
    return KeyedPartition(Engines(made)(), made.decoder, sources, options)


def marker(offset: int, at: int) -> Record:
    """Progress of the one source: read to its end."""
    told = hop.pack_marker([hop.Progress(SOURCE, at, True, at, offset)])
    return Record(offset, told, [(hop.HEADER, hop.MARKER_BYTES)], timestamp=at // 1000)


class Written(msgspec.Struct):
    """What one run of a keyed partition came to."""

    cpu: float = 0.0
    """Microseconds."""
    counts: dict[str, float] = msgspec.field(default_factory=dict)
    changelog: float = 0.0
    meta: float = 0.0
    out: float = 0.0
    event_bytes: float = 0.0

    def add(self, thing: str, more: float) -> None:
        """Count."""
        self.counts[thing] = self.counts.get(thing, 0.0) + more


class Feeder:
    """Feeds a keyed partition as a lane does, and counts what it costs."""

    def __init__(self, made: Deployment) -> None:
        self.logic, self._encoder = partition_of(made), Encoder(TopicNames.of(Settings()))
        self._header, self._offset = hop.packer(SOURCE), 0

    def feed(self, some: Iterable[Given], written: Written, now: int) -> None:
        """One checkpoint's events, then the clock at `now`."""
        made: list[Any] = [self._record(each) for each in some]
        made.append(marker(self._offset, now))
        self._offset += 1
        logic = self.logic
        # As they are fetched: with the compiled core no object is made of each.
        records: Sequence[Any] = made if logic.runs is None else readable(made)
        began = time.process_time()
        for start in range(0, len(records), SLICE):
            logic.take(records[start : start + SLICE], now)
            more = True
            while more:
                more = logic.advance(now)
        outs, changes, ready, meta = self._checkpoint(now)
        written.cpu += (time.process_time() - began) * 1e6
        written.add("timers", sum(many for _, many in logic.fired))
        logic.fired.clear()
        written.add("checkpoints", 1)
        written.add("rows out", len(outs))
        written.add("changed", len(changes))
        written.changelog += sum(len(key) + len(state or b"") for key, state in changes)
        written.meta += meta
        written.out += sum(len(out.value or b"") + len(out.key or b"") + head_bytes(out) for out in outs)
        if ready is not None:
            batches = (*ready.transitions, *ready.signals, *ready.stages)
            written.add("rows out", sum(batch.record_count() for batch in batches))
            written.add("changed", ready.states)
            written.changelog += sum(batch.size() for batch in ready.changes)
            written.out += sum(batch.size() for batch in batches)

    def _record(self, event: Given) -> Record:
        self._offset += 1
        head = self._header(hop.EVENT, self._offset * 2, event.at)
        return Record(self._offset, event.value, [(hop.HEADER, head)], timestamp=event.at // 1000)

    def _checkpoint(self, now: int) -> tuple[list[Out], list[tuple[bytes, bytes | None]], Ready | None, int]:
        made = self.logic.checkpoint(ready=None if self.logic.runs is None else now // 1000)
        outs = [out for record in made.records for out in self._encoder.encode_all(record)]
        return outs, [(key.encode(), state) for key, state in made.changes], made.ready, len(made.meta)


def head_bytes(out: Out) -> int:
    """Bytes of a record's headers."""
    return sum(len(name) + len(value or b"") + 2 for name, value in out.headers)


def run_case(case: Case, events: int) -> Written:
    """Run it; everybody's first event does not count, in the shop the first half does not."""
    feeder, written = Feeder(deployment_of(case.quiet, case.moving)), Written()
    warm = events if case.browsing is not None else case.customers
    coming = given(case, warm, events)
    for start in range(0, warm, 500):
        some = coming[start : min(start + 500, warm)]
        feeder.feed(some, Written(), some[-1].at)
    past: dict[str, list[int]] = {}
    for event in coming:
        past.setdefault(event.person, []).append(event.at)
    now = coming[warm - 1].at
    for start in range(warm, len(coming), case.per_checkpoint):
        some = coming[start : start + case.per_checkpoint]
        # The clock follows the marker behind the events: what is kept is kept by the clock before it.
        kept_from, now = now - HOUR, some[-1].at
        feeder.feed(some, written, now)
        acts = sum(event.act for event in some)
        written.event_bytes += sum(len(event.value) for event in some)
        written.add("looks", len(some) - acts)
        written.add("acts", acts)
        touched = {event.person for event in some}
        written.add("entries", sum(entries(past[person], kept_from, now) for person in touched))
        shipped = not case.quiet + case.moving
        written.add("shipped looks", (len(some) - acts) * shipped)
        written.add("shipped acts", acts * shipped)
        written.add("shipped changed", len(touched) * shipped)
        written.add("looks x generated", (len(some) - acts) * (case.quiet + case.moving))
        written.add("acts x generated", acts * (case.quiet + case.moving))
    return written


def entries(times: Sequence[int], kept_from: int, now: int) -> int:
    """How many events of somebody are kept because the order of the last hour may still change."""
    return min(sum(kept_from < at <= now for at in times), 192)


def run_timers(count: int) -> Written:
    """Timers that all come due, and move their customers."""
    feeder, written = Feeder(written_down([("silent.yaml", SILENT)])), Written()
    feeder.feed((Given(BEGAN, f"c{n}", False, value_of(False, f"c{n}", n, BEGAN)) for n in range(count)),
                Written(), BEGAN)  # fmt: skip
    feeder.feed((), written, BEGAN + 2 * HOUR)
    return written


def run_intake(acts: bool, count: int, partitions: int) -> float:
    """CPU microseconds per event of the judging; with the compiled core, rows are batches then."""
    made = deployment_of(quiet=1)
    intake = Engines(made).intake(made.decoder, "bench.visits", 0, hop.Partitioner(partitions))
    at = BEGAN // 1000
    records: Sequence[Any] = [
        Record(n, value_of(acts, f"c{n % 3000}", n, BEGAN), (), f"c{n % 3000}".encode(), at)
        for n in range(count)
    ]
    if isinstance(intake, CompiledIntake):
        records = readable(records)
    began = time.process_time()
    for start in range(0, count, SLICE):
        rows: dict[int, list[Any]] = {}
        intake.begin()
        intake.take(records[start : start + SLICE], rows, None)
        intake.ready()
    return (time.process_time() - began) / count * 1e6


def run_markers(workers: int, per_worker: int, rounds: int) -> Run:
    """What it costs a keyed partition to hear of all source partitions, told by so many workers."""
    sources = [hop.pack_source("bench.visits", n) for n in range(workers * per_worker)]
    logic = partition_of(deployment_of(quiet=1), sources)
    records: list[Any] = []
    for turn in range(rounds):
        for worker in range(workers):
            at = BEGAN + (turn * workers + worker) * 1000
            mine = sources[worker * per_worker : (worker + 1) * per_worker]
            told = hop.pack_marker([hop.Progress(source, at, True, at, turn) for source in mine])
            head = [(hop.HEADER, hop.MARKER_BYTES)]
            records.append(Record(turn * workers + worker, told, head, timestamp=at // 1000))
    began = time.process_time()
    for start in range(0, len(records), MARKERS):
        logic.take(records[start : start + MARKERS], BEGAN + HOUR)
        logic.advance(BEGAN + HOUR)
    cpu = (time.process_time() - began) * 1e6
    markers = float(workers * rounds)
    looks = -(-len(records) // MARKERS)
    counts = {"markers": markers, "entries": markers * per_worker, "sources looked at": looks * len(sources)}
    return Run(f"{workers} workers of {per_worker} sources", counts, cpu)


class Rest(msgspec.Struct):
    """A customer at rest, with the shipped models, quiet for more than the lateness."""

    resident: float
    encoded: float


def at_rest(customers: int) -> Rest:
    """Measure in a process of its own, whose memory nothing else has touched."""
    words = [sys.executable, "-m", "benchmarks.capacity.core", str(customers)]
    return msgspec.json.decode(subprocess.run(words, check=True, stdout=subprocess.PIPE).stdout, type=Rest)


def states(customers: int) -> Iterator[tuple[str, bytes]]:
    """States of so many customers of the shop, at rest."""
    feeder = Feeder(deployment_of())
    coming = shop(5.0, 12_000)
    for start in range(0, len(coming), 500):
        some = coming[start : start + 500]
        feeder.feed(some, Written(), some[-1].at)
    engine = feeder.logic.engine
    found = [state for state in map(engine.encoded, engine.people()) if state is not None]
    for number in range(customers):
        yield f"customer-{number:09d}", bytes(bytearray(found[number % len(found)]))


def _at_rest(customers: int) -> Rest:
    logic, encoded = partition_of(deployment_of()), 0
    coming = list(states(2_000))
    before = 0.0
    # As many first that do not count: they fill the room that was left by what came before.
    for number in range(-customers, customers):
        if number == 0:
            before, encoded = memory(), 0
        state = bytes(bytearray(coming[number % len(coming)][1]))
        logic.engine.load(f"customer-{number:+010d}", state)
        encoded += len(state)
    return Rest((memory() - before) / customers, encoded / customers)


def memory() -> float:
    """Bytes of this process now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return float(pages * resource.getpagesize())


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(_at_rest(int(sys.argv[1]))))
