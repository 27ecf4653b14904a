"""Source partitions read without the hop: whose a record is, repeats, restarts, the clock, derived events."""

from __future__ import annotations

import json
from collections import Counter
from random import Random
from typing import Any

import pytest
from faust.types import TP
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from journey_stream.errors import StateError
from journey_stream.kafka import hop
from journey_stream.kafka.direct_intake import Inputs
from journey_stream.kafka.inbox import Batch, Inbox, Position
from journey_stream.kafka.keyed import KeyedPartition
from journey_stream.kafka.meta import Meta, read_meta
from journey_stream.kafka.metrics import Metrics
from journey_stream.values import DAY, HOUR, DeadLetter, Event
from tests.kafka.log import DECODER, START, Log, Record, event_bytes, options
from tests.kafka.tally import TallyEngine

TOPICS = ("j.visits", "j.purchases")
PARTITIONS = 2
PLACE = hop.Partitioner(PARTITIONS)
SOURCES = [hop.pack_source(topic, p) for topic in TOPICS for p in range(PARTITIONS)]
OURS = [f"c{n}" for n in range(20) if PLACE(f"c{n}".encode()) == 0]
OTHERS = [f"c{n}" for n in range(20) if PLACE(f"c{n}".encode()) == 1]


def source_record(offset: int, value: bytes, topic: str = TOPICS[0], **more: Any) -> Record:
    return Record(offset, value, more.pop("headers", ()), b"key", topic, 0, **more)


def event(offset: int, person: str, at: int, topic: str = TOPICS[0], **more: Any) -> Record:
    type = more.pop("type", "order_completed")
    more.setdefault("timestamp", at // 1000)
    return source_record(offset, event_bytes(f"{topic}-{offset}", person, at, type), topic, **more)


class Direct:
    """Keyed partition 0 of two, over a keyed topic and its source partitions; `die` loses what is not kept."""

    def __init__(self, keyed: Log | None = None, **chosen: Any) -> None:
        self.keyed = keyed or Log()
        self.sources: dict[str, list[Record]] = {topic: [] for topic in TOPICS}
        self.options = options(keyed_input="murmur2", **chosen)
        self.meta: Meta | None = None
        self.states: dict[str, bytes | None] = {}
        self.published: list[Any] = []
        self.sent_on: list[int] = []
        self.start()

    def start(self) -> None:
        engine = TallyEngine()
        for person, state in self.states.items():
            engine.load(person, state)
        self.logic = KeyedPartition(engine, DECODER, SOURCES, self.options)
        for topic in TOPICS:
            self.logic.direct.add(topic, 0, PLACE)
        self.next = self.logic.restore(self.meta, 0)
        kept = {} if self.meta is None else self.meta.direct
        self.at = self.logic.direct.restore(kept, dict.fromkeys(TOPICS, 0))

    def hear(self, count: int = 1_000, now: int = START) -> None:
        self.logic.take(self.keyed.records[self.next : self.next + count], now)
        self.next = min(self.next + count, len(self.keyed.records))

    def read(self, topic: str = TOPICS[0], count: int = 1_000, now: int = START) -> None:
        part = self.sources[topic][self.at[topic] : self.at[topic] + count]
        if part:
            self.logic.take_direct(topic, part, now)
            self.at[topic] += len(part)

    def advance(self, now: int = START) -> None:
        while self.logic.advance(now):
            pass

    def checkpoint(self) -> None:
        for direct in self.logic.direct:
            for rows in direct.rows.values():
                self.sent_on += [hop.unpack(headers[0][1])[1] for _, _, headers in rows]  # type: ignore[arg-type]
            direct.rows = {}
        done = self.logic.checkpoint()
        self.meta = read_meta(done.meta)
        self.states |= dict(done.changes)
        self.published += done.records

    def tell(self, at: int, idle: bool = False) -> None:
        """The other source partitions say how far they are."""
        self.keyed.marker(*(hop.Progress(hop.pack_source(t, 1), at, idle, at, 0) for t in TOPICS))

    def tell_own(self, topic: str, position: int, idle: bool, wall: int) -> None:
        source = hop.pack_source(topic, 0)
        self.keyed.marker(hop.Progress(source, wall, idle, wall, position))


def test_what_belongs_here_counts_and_what_does_not_is_sent_on() -> None:
    here = Direct()
    here.sources[TOPICS[0]] = [event(0, OURS[0], START), event(1, OTHERS[0], START), event(2, OURS[0], START)]
    here.tell(START + DAY)
    here.hear()
    here.read()
    here.sources[TOPICS[1]] = [event(0, OURS[1], START + DAY, TOPICS[1])]
    here.read(TOPICS[1])
    here.sources[TOPICS[0]].append(event(3, OURS[0], START + DAY))
    here.read()
    here.advance()
    here.checkpoint()
    assert 2 == here.logic.engine.people[OURS[0]].orders
    assert OTHERS[0] not in here.logic.engine.people
    assert [2] == here.sent_on
    assert 1 == here.logic.counts[TOPICS[0], "misrouted"]


def test_a_record_sent_on_holds_key_value_and_headers_as_they_came() -> None:
    here = Direct()
    came = event(5, OTHERS[0], START, headers=(("theirs", b"1"),))
    here.sources[TOPICS[0]] = [came]
    here.read()
    [(partition, [(key, value, headers)])] = here.logic.direct[TOPICS[0]].rows.items()
    assert (1, b"key", came.value, ("theirs", b"1")) == (partition, key, value, headers[1])
    kind, sub_offset, broker_at, source = hop.unpack(headers[0][1] or b"")
    assert (hop.EVENT, 10, came.timestamp * 1000, SOURCES[0]) == (kind, sub_offset, broker_at, source)


def test_what_the_hop_brings_of_our_own_source_partitions_is_dropped() -> None:
    log = Log()
    log.event(hop.pack_source(TOPICS[0], 0), 7, event_id="own", person=OURS[0], at=START)
    log.event(hop.pack_source(TOPICS[0], 1), 7, event_id="other", person=OURS[0], at=START)
    log.event(hop.pack_source(TOPICS[0], 1), 7, event_id="other", person=OURS[0], at=START)
    dead = hop.packer(hop.pack_source(TOPICS[0], 1))(hop.DEAD, 18, START)
    log.add(b"{", [(hop.HEADER, dead), (hop.DEAD_HEADER, hop.pack_dead("not_json", "x"))])
    here = Direct(log)
    here.hear()
    assert (1, 3) == (len(here.logic.buffer), here.logic.counts[TOPICS[0], "repeated"])
    here.checkpoint()
    assert [] == here.published, "who reads a record buries it"


def test_what_cannot_be_used_is_one_dead_letter_with_the_original_untouched() -> None:
    here = Direct()
    here.sources[TOPICS[1]] = [source_record(0, b"\xff", TOPICS[1], headers=(("theirs", b"1"),))]
    here.read(TOPICS[1])
    here.checkpoint()
    here.start()
    here.read(TOPICS[1])
    here.checkpoint()
    [letter] = here.published
    assert isinstance(letter, DeadLetter)
    assert ("not_json", TOPICS[1], 0, 0) == (letter.reason, letter.topic, letter.partition, letter.offset)
    assert (b"key", b"\xff", (("theirs", b"1"),)) == (letter.key, letter.value, letter.headers)


def test_the_clock_waits_for_the_source_partitions_of_others() -> None:
    here = Direct(allowed_lateness=0)
    for topic in TOPICS:
        here.sources[topic] = [event(0, OURS[0], START, topic), event(1, OURS[0], START + DAY, topic)]
        here.read(topic)
    here.advance()
    assert 4 == len(here.logic.buffer), "somebody may still send on an event of ours"
    here.tell(START + DAY)
    here.hear()
    here.advance()
    assert 2 == len(here.logic.buffer)


def test_that_we_are_at_the_end_is_believed_only_at_the_position_it_speaks_of() -> None:
    here = Direct(mode="wall")
    now = START + 10 * DAY
    here.sources[TOPICS[0]] = [event(n, OURS[0], START + n * HOUR) for n in range(3)]
    here.tell(now, idle=True)
    here.tell_own(TOPICS[1], 0, True, now)
    here.tell_own(TOPICS[0], 3, True, now)  # by a former owner that had read all three
    here.read(count=1)
    here.hear(now=now)
    assert START == here.logic.clock.clock(now)
    here.read()
    assert START + 2 * HOUR == here.logic.clock.clock(now)
    here.tell_own(TOPICS[0], 3, True, now)
    here.hear(now=now)
    assert now == here.logic.clock.clock(now)


def test_what_follows_from_an_event_goes_to_its_own_person() -> None:
    here = Direct()
    for offset, (newcomer, friend) in enumerate([(OURS[0], OTHERS[0]), (OTHERS[1], OURS[1])]):
        value = json.loads(event_bytes(f"r{offset}", newcomer, START, "referral_converted"))
        value["properties"] = {"referrer_id": friend}
        here.sources[TOPICS[0]].append(source_record(offset, json.dumps(value).encode()))
    here.read()
    waiting = sorted(event.person for event, _ in here.logic.buffer.release(START))
    assert sorted([OURS[0], OURS[1]]) == waiting
    here.checkpoint()
    assert [1, 2] == here.sent_on, "the reward of 0, the referral of 1"


def test_a_source_made_anew_shows_at_the_last_record_that_was_taken_in() -> None:
    here = Direct()
    here.sources[TOPICS[0]] = [event(n, OURS[0], START) for n in range(3)]
    here.read()
    here.checkpoint()
    here.start()
    assert 0 == here.at[TOPICS[0]], "all of them wait"
    here.sources[TOPICS[0]] = [event(n, OURS[0], START, timestamp=START // 1000 + 5) for n in range(3)]
    with pytest.raises(StateError, match=r"j.visits\[0\]@2: .*made anew.*another name"):
        here.read()


def test_what_was_deleted_unread_is_left_behind_for_good_also_where_something_was_to_wait_again() -> None:
    here = Direct(allowed_lateness=0)
    here.sources[TOPICS[0]] = [event(n, OURS[0], START + n * HOUR) for n in range(3)]
    here.read()
    here.checkpoint()
    here.start()
    direct = here.logic.direct[TOPICS[0]]
    assert (0, True) == (here.at[TOPICS[0]], direct.rereading), "all of them wait"
    direct.skip(2)
    assert (3, True) == (direct.position, direct.rereading), "the last of them is still there"
    direct.skip(8)
    here.checkpoint()
    here.start()
    assert here.meta is not None
    starts = here.logic.direct.restore(here.meta.direct, {TOPICS[0]: 8, TOPICS[1]: 0})
    again = here.logic.direct[TOPICS[0]]
    assert (8, 8, 8, False) == (starts[TOPICS[0]], again.position, again.oldest, again.rereading)


async def test_a_lane_that_finds_records_deleted_unread_asks_for_them_once() -> None:
    here, keyed = Direct(), TP("j.events", 0)
    asked: list[tuple[str, int | None]] = []

    class Worker:
        def hold(self, tp: TP, why: str) -> None: ...

        def release(self, tp: TP, why: str) -> None: ...

        def is_held(self, tp: TP, why: str) -> bool:
            return False

        async def seek(self, tp: TP, offset: int | None) -> Position:
            asked.append((tp.topic, offset))
            return Position(len(asked), 8 if tp.topic == TOPICS[0] else offset or 0)

    worker: Any = Worker()
    inputs = Inputs(worker, keyed, Inbox(lambda: None, lambda: None), TOPICS, Metrics())
    inputs.restored(here.logic.direct, here.at)
    for _ in range(2):
        positions = await inputs.seek(0)
        assert positions is not None
        inputs.open(positions)
    assert [0, 8] == [offset for topic, offset in asked if topic == TOPICS[0]]
    assert 8 == here.logic.direct[TOPICS[0]].position == inputs.direct[TP(TOPICS[0], 0)].done
    assert 0 == here.logic.direct[TOPICS[1]].position


async def test_what_waits_of_a_source_that_is_ahead_is_taken_when_slower_ones_have_come_along() -> None:
    here, keyed, held = Direct(), TP("j.events", 0), {TP(TOPICS[0], 0)}
    moved: list[bool] = []

    class Worker:
        def hold(self, tp: TP, why: str) -> None: ...

        def release(self, tp: TP, why: str) -> None: ...

        def is_held(self, tp: TP, why: str) -> bool:
            return tp in held and why == "ahead"

        async def seek(self, tp: TP, offset: int | None) -> Position:
            return Position(1, offset or 0)

        def moved(self) -> None:
            moved.append(True)

    worker: Any = Worker()
    inputs = Inputs(worker, keyed, Inbox(lambda: None, lambda: None), TOPICS, Metrics())
    inputs.restored(here.logic.direct, here.at)
    inputs.open(await inputs.seek(0) or {})
    ahead, behind = (inputs.direct[TP(topic, 0)] for topic in TOPICS)
    ahead.inbox.put(Batch([event(n, OURS[0], START + n) for n in range(5)], 1, 0))
    behind.inbox.put(Batch([event(n, OURS[0], START + n, TOPICS[1]) for n in range(3)], 1, 0))

    async def turn() -> tuple[str | None, int]:
        records = inputs.take(2)
        topic = inputs.topic
        if records and topic is not None:
            here.logic.take_direct(topic, records, 0)
            inputs.took(records[-1], None)
            await inputs.finish()
        return topic, len(records)

    assert [(TOPICS[1], 2), (TOPICS[1], 1), (None, 0)] == [await turn() for _ in range(3)]
    assert (0, True) == (inputs.queued, inputs.behind)
    assert 2 == len(moved), "told after each piece, not after the batch"
    held.clear()
    assert [(TOPICS[0], 2), (TOPICS[0], 2), (TOPICS[0], 1)] == [await turn() for _ in range(3)]
    assert (5, START + 4, False) == (ahead.done, ahead.highest, inputs.behind)
    assert 3 == ahead.lead.beyond(START + 1)


def test_nothing_is_let_go_before_all_that_waited_waits_again() -> None:
    here = Direct(allowed_lateness=0)
    for topic in TOPICS:
        here.sources[topic] = [event(n, OURS[0], START + n * HOUR, topic) for n in range(3)]
        here.read(topic)
    here.checkpoint()
    here.start()
    here.tell(START + DAY)
    here.hear()
    here.read(TOPICS[0])
    here.advance()
    assert 3 == len(here.logic.buffer)
    here.read(TOPICS[1])
    here.advance()
    assert 2 == len(here.logic.buffer), "those at the clock"


@given(st.integers(0, 10**9), st.integers(1, 40))
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_deaths_between_any_steps_change_nothing(seed: int, count: int) -> None:
    random = Random(seed)
    until = START + 60 * DAY
    here = Direct(until=until, allowed_lateness=HOUR)
    events, at = [], START
    for _ in range(count):
        topic, person = random.choice(TOPICS), random.choice([*OURS[:3], OTHERS[0]])
        at += random.randrange(HOUR)
        offset = len(here.sources[topic])
        record = event(offset, person, at - random.randrange(HOUR // 2), topic)
        here.sources[topic].append(record)
        events.append(record)
    # An event of ours that came elsewhere, and what the others say; then our own ends.
    here.keyed.event(
        SOURCES[1], 3, event_id="stray", person=OURS[0], at=START + 2 * HOUR, type="order_completed"
    )
    here.tell(until, idle=True)
    for topic in TOPICS:
        here.tell_own(topic, len(here.sources[topic]), True, until)
    while here.next < len(here.keyed.records) or any(here.at[t] < len(here.sources[t]) for t in TOPICS):
        topic = random.choice(TOPICS)
        if any(here.at[t] < len(here.sources[t]) for t in TOPICS):
            here.read(topic, random.randrange(1, 6))
            if random.random() < 0.3 and here.next == 0:
                here.hear(1)
        else:
            here.hear(1)
        here.advance()
        if random.random() < 0.4 and not here.logic.waits:
            here.checkpoint()
        if random.random() < 0.2:
            here.start()
    here.advance()
    here.checkpoint()
    people = here.logic.engine.people
    decoded = [DECODER.decode(record.value) for record in events]
    wanted = Counter(e.person for e in decoded if isinstance(e, Event) and e.person in OURS)
    wanted[OURS[0]] += 1
    assert wanted == Counter({person: tally.orders for person, tally in people.items()})
    ids = [each.transition_id for each in here.published]
    assert len(ids) == len(set(ids))


def test_the_last_record_that_is_read_again_to_be_recognised_is_not_applied_again() -> None:
    here = Direct(mode="wall", catch_up=DAY)
    poison = source_record(0, event_bytes("poison", OURS[0], START + HOUR), timestamp=(START + HOUR) // 1000)
    here.sources[TOPICS[0]] = [poison]
    here.tell(START, idle=True)
    here.tell_own(TOPICS[1], 0, True, START)
    here.hear(now=START)
    here.read(now=START + HOUR)
    here.advance(START + HOUR)
    here.checkpoint()
    here.start()
    assert (0, True) == (here.at[TOPICS[0]], here.logic.waits)
    here.read(now=START + HOUR)
    here.advance(START + HOUR)
    here.checkpoint()
    assert ["processing_error"] == [each.reason for each in here.published]


def test_a_source_that_the_settings_no_longer_name_keeps_its_position() -> None:
    here = Direct()
    here.sources[TOPICS[1]] = [event(n, OURS[0], START, TOPICS[1]) for n in range(3)]
    here.read(TOPICS[1])
    here.checkpoint()
    assert here.meta is not None
    without = KeyedPartition(TallyEngine(), DECODER, SOURCES, here.options)
    without.direct.add(TOPICS[0], 0, PLACE)
    without.restore(here.meta, 0)
    without.direct.restore(here.meta.direct, {TOPICS[0]: 0})
    assert here.meta.direct == read_meta(without.checkpoint().meta).direct
