"""A change of version in the keyed partition's logic, without Kafka: deaths between any two transactions."""

from __future__ import annotations

import asyncio
import itertools
from collections import defaultdict
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from journey_stream.engine.partition import Partition
from journey_stream.engine.program import Program, compile_program
from journey_stream.errors import VersionError
from journey_stream.events.vocabulary import BUILT_IN
from journey_stream.journeys import Journey, load
from journey_stream.journeys.changes import Change, Policy, complete
from journey_stream.kafka import change as change_module
from journey_stream.kafka.change import Rebuild, change_versions
from journey_stream.kafka.keyed import KeyedPartition
from journey_stream.kafka.meta import JourneyVersion, read_meta
from journey_stream.kafka.older import Retained, older_events
from journey_stream.kafka.versions import Versions
from journey_stream.net import net
from journey_stream.release import BEGINNING
from journey_stream.replay import replay
from journey_stream.values import DAY, HOUR, NEVER, Transition
from tests.kafka.log import DECODER, START, Log, Shell, event_bytes, history, options

UNTIL = START + 400 * DAY

OLD = """\
journey: buyers
version: 1
attributes: {orders: {count: order_completed}}
records: [orders]
start: visitor
stages:
  visitor: {kind: prospect}
  buyer: {kind: conversion}
  gone: {kind: attrition}
transitions:
  - {id: order, from: [visitor, gone], to: buyer, event: order_completed}
  - {id: silent, from: buyer, to: gone, after: 2h, since: order_completed}
"""
RENAMING = """\
journey: buyers
version: 2
attributes: {orders: {count: order_completed}}
records: [orders]
start: visitor
stages:
  visitor: {kind: prospect}
  customer: {kind: conversion}
  gone: {kind: attrition}
transitions:
  - {id: order, from: [visitor, gone], to: customer, event: order_completed}
  - {id: silent, from: customer, to: gone, after: 2h, since: order_completed}
"""
STRICTER = OLD.replace("version: 1", "version: 2").replace("after: 2h", "after: 1h")


def journey(text: str) -> Journey:
    (found,) = load([("x.yaml", text)], BUILT_IN).usable()
    return found


def program(text: str, policy: Policy | None = None) -> tuple[Program, Versions]:
    present, before = journey(text), journey(OLD)
    changes = []
    if policy is not None:
        stages, _ = complete(before, present, {"buyer": "customer"} if policy == "migrate" else {})
        changes = [Change("buyers", 1, policy, None if policy == "replay" else before, stages)]
    running = (before, present) if policy == "keep" else (present,)
    versions = tuple(JourneyVersion(each.id, each.version, each.content_sha) for each in running)
    return compile_program([present], BUILT_IN, None, changes), Versions(
        versions, {each.name: each.policy for each in changes}
    )


class Death(Exception):
    """A worker died."""


class Deploy(Shell):
    """A shell over the real engine, which changes versions at its takeover as a lane does."""

    def __init__(self, log: Log, text: str, policy: Policy | None = None, **chosen: Any) -> None:
        self.program, versions = program(text, policy)
        self.random: Random | None = None
        self.transactions = 0
        super().__init__(log, options(versions=versions, **chosen))

    def after(self, other: Shell) -> Deploy:
        """Go on where another left off."""
        self.states, self.meta, self.committed = dict(other.states), other.meta, other.committed
        self.published = list(other.published)
        return self

    def start(self) -> None:
        while True:
            engine = Partition(self.program)
            for person, state in self.states.items():
                engine.load(person, state)
            self.logic = KeyedPartition(engine, DECODER, self.sources, self.options)
            meta = None if self.meta is None else read_meta(self.meta)
            self.next = self.logic.restore(meta, 0)
            try:
                if self.logic.settled.changes:
                    asyncio.run(self.change())
            except Death:
                continue
            return

    die = start

    async def change(self) -> None:
        async def past() -> Partition:
            rebuild = Rebuild(self.logic, Partition(self.program), DECODER, self.sources, self.options)
            rebuild.take(self.log.records[: self.logic.position])
            return rebuild.finish()

        async def commit() -> None:
            self._maybe_die()
            self.logic.dirty = True
            self.checkpoint()
            self.transactions += 1
            self._maybe_die()

        await change_versions(self.logic, "j.events[0]", START, past, commit)

    def _maybe_die(self) -> None:
        if self.random is not None and self.random.random() < 0.3:
            raise Death

    def live(self, random: Random, steps: int | None = None) -> None:
        """Go on with deaths and checkpoints, so many steps or to the end."""
        more = False
        while (more or not self.at_end) and steps != 0:
            more = self.step(random.randrange(1, 8), START, once=True)
            if random.random() < 0.3:
                self.checkpoint()
            if random.random() < 0.2:
                self.die()
                more = True
            steps = None if steps is None else steps - 1
        self.checkpoint()


def said_by_replay(text: str, events: list[dict[str, Any]]) -> dict[str, list[Transition]]:
    lines = [event_bytes(**fields) for fields in events]
    found: dict[str, list[Transition]] = defaultdict(list)
    for record in replay(program(text)[0], [lines], DECODER, HOUR, UNTIL).records:
        assert isinstance(record, Transition)
        found[record.person].append(record)
    return found


def promised(policy: Policy, old: list[Transition], new: list[Transition], fence: int) -> list[str]:
    """What is to be published of one customer, told by the two replays and where the partition stood."""
    before = [record for record in old if record.occurred_at <= fence]
    if policy == "keep" or not before:
        return [record.transition_id for record in (old if before else new)]
    there = [record for record in new if record.occurred_at <= fence][-1].to
    here = before[-1].to
    move = [f"migration {here} {there}"] if here != there else []
    after = [record.transition_id for record in new if record.occurred_at > fence]
    return [*(record.transition_id for record in before), *move, *after]


def said(record: Transition) -> str:
    return f"migration {record.from_} {record.to}" if record.trigger == "migration" else record.transition_id


@pytest.mark.parametrize(
    ("policy", "text"), [("keep", STRICTER), ("migrate", RENAMING), ("replay", STRICTER)]
)
@given(seed=st.integers(0, 10**9), count=st.integers(1, 60))
@settings(max_examples=60, deadline=None)
def test_a_change_publishes_what_its_policy_promises_whatever_dies(
    policy: Policy, text: str, seed: int, count: int
) -> None:
    random = Random(seed)
    log, events = history(random, count)
    before = Deploy(log, OLD, until=UNTIL)
    before.live(random, random.randrange(0, 2 * count))
    fence = BEGINNING if before.meta is None else read_meta(before.meta).released
    after = Deploy(log, text, policy, until=UNTIL).after(before)
    after.random = random
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(change_module, "AT_ONCE", 1)
        after.start()
        after.live(random)

    old, new = said_by_replay(OLD, events), said_by_replay(text, events)
    found: dict[str, list[Transition]] = defaultdict(list)
    for record in after.published:
        if isinstance(record, Transition):
            found[record.person].append(record)
    assert {who: promised(policy, old[who], new[who], fence) for who in old} == {
        who: [said(record) for record in records] for who, records in found.items()
    }
    for records in found.values():
        assert list(range(1, len(records) + 1)) == [record.sequence for record in records]
        assert {policy == "replay"} >= {record.replay for record in records if record.trigger == "migration"}
    last = {version.version: version.ended for version in read_meta(after.meta or b"").journeys}
    assert {1: policy != "keep", 2: False} == last or before.meta is None


@given(seed=st.integers(0, 10**9), count=st.integers(1, 40))
@settings(max_examples=40, deadline=None)
def test_live_too_nobody_is_lost_in_a_change_by_history_and_nothing_counts_twice(
    seed: int, count: int
) -> None:
    """With `clock: wall` some events were taken on arrival, ahead of the clock, and some still wait."""
    random = Random(seed)
    log, events = history(random, count)
    before = Deploy(log, OLD, mode="wall")
    wall = events[0]["at"]
    for _ in range(random.randrange(1, 12)):
        before.step(random.randrange(1, 8), wall, once=random.random() < 0.5)
        wall += random.choice([0, HOUR, DAY])
        before.checkpoint()
    after = Deploy(log, STRICTER, "replay", mode="wall").after(before)
    after.start()
    after.step(len(log.records), max(wall, UNTIL))
    after.checkpoint()

    found = {who: [r for r in after.published if isinstance(r, Transition) and r.person == who] for who in
             {event["person"] for event in events}}  # fmt: skip
    orders: dict[str, int] = defaultdict(int)
    for event in events:
        orders[event["person"]] += event["type"] == "order_completed"
    for who, published in found.items():
        c = after.logic.engine.customer(who)
        assert c is not None
        assert orders[who] == c.attrs[0]
        records = net(published, strict=True)  # what came out of order has corrected some
        assert after.program.journeys[0].stages[c.stages[0]] == records[-1].to
        assert all(one.to == two.from_ for one, two in itertools.pairwise(records))


def test_what_the_changelog_says_is_said_before_a_version_is_used() -> None:
    log, _ = history(Random(3), 20)
    first = Deploy(log, OLD, until=UNTIL)
    first.start()
    assert first.meta is not None
    assert [("buyers", 1, 0, False)] == [
        (v.id, v.version, v.offset, v.ended) for v in read_meta(first.meta).journeys
    ]
    assert [] == first.published
    first.live(Random(3), 3)
    fence = first.logic.position
    kept = Deploy(log, STRICTER, "keep", until=UNTIL).after(first)
    published = len(kept.published)
    kept.start()
    assert [(1, 0, False), (2, fence, False)] == [
        (v.version, v.offset, v.ended) for v in read_meta(kept.meta or b"").journeys
    ]
    assert published == len(kept.published)


def live_in_version_one() -> Deploy:
    log, _ = history(Random(5), 30)
    deploy = Deploy(log, OLD, until=UNTIL)
    deploy.live(Random(5))
    return deploy


def test_a_definition_that_changed_under_its_number_is_refused() -> None:
    before = live_in_version_one()
    changed = Deploy(before.log, OLD.replace("after: 2h", "after: 3h"), until=UNTIL).after(before)
    with pytest.raises(VersionError, match=r"has changed, but is still called version 1.*Raise `version`"):
        changed.start()
    mended = Deploy(before.log, "# a comment\n" + OLD, until=UNTIL).after(before)
    mended.start()


def test_a_version_that_nothing_is_said_about_is_refused_as_long_as_somebody_is_in_it() -> None:
    before = live_in_version_one()
    silent = Deploy(before.log, STRICTER, until=UNTIL).after(before)
    with pytest.raises(VersionError, match=r"version 1 of the journey `buyers`.*Add to `versions`"):
        silent.start()
    empty = Deploy(before.log, STRICTER, until=UNTIL).after(before)
    empty.states = {}
    empty.start()
    assert [True, False] == [each.ended for each in read_meta(empty.meta or b"").journeys]


def test_a_worker_with_the_older_files_is_refused_after_a_change() -> None:
    before = live_in_version_one()
    after = Deploy(before.log, RENAMING, "migrate", until=UNTIL).after(before)
    after.start()
    older = Deploy(before.log, OLD, until=UNTIL).after(after)
    with pytest.raises(VersionError, match=r"customers are in version 2.*this worker runs version 1"):
        older.start()


def test_a_number_that_was_used_stays_used() -> None:
    before = live_in_version_one()
    after = Deploy(before.log, RENAMING, "migrate", until=UNTIL).after(before)
    after.start()
    other = Deploy(before.log, OLD.replace("after: 2h", "after: 3h"), until=UNTIL).after(after)
    with pytest.raises(VersionError, match="has changed, but is still called version 1"):
        other.start()


def test_what_a_replay_of_history_has_had_is_not_taken_in_again() -> None:
    """An event beyond W that was let go on arrival is in the state; one that waits is taken in later."""
    before = live_in_version_one()
    rebuild = Rebuild(before.logic, Partition(before.program), DECODER, before.sources, before.options)
    rebuild.take(before.log.records)
    past = rebuild.finish()
    for person in before.logic.engine.people():
        held, again = before.logic.engine.customer(person), past.customer(person)
        assert held is not None
        assert again is not None
        assert (held.stages, held.entered, held.attrs, held.armed) == (
            again.stages, again.entered, again.attrs, again.armed,
        )  # fmt: skip


def older(deploy: Deploy, cut: int, file: Path) -> Partition:
    """History of which the topic has lost the first records, which a file has."""
    held, logic = deploy.log.records[cut:], deploy.logic
    retained = Retained(DECODER, logic)
    retained.take(held)
    rebuild = Rebuild(logic, Partition(deploy.program), DECODER, deploy.sources, deploy.options)
    found = older_events([str(file)], DECODER, HOUR, retained, lambda _: True, logic.first, "j.events[0]")
    for event in found:
        rebuild.before(event)
    rebuild.take([record for record in held if record.offset < logic.position])
    return rebuild.finish()


@given(seed=st.integers(0, 10**9), count=st.integers(2, 60))
@example(seed=6992, count=19)  # a repeat beyond P of an event that the topic has lost
@settings(max_examples=60, deadline=None)
def test_files_give_what_the_topic_has_lost(seed: int, count: int) -> None:
    """The file holds all events, also those that the partition has not taken in yet."""
    random = Random(seed)
    log, events = history(random, count)
    before = Deploy(log, OLD, until=UNTIL)
    before.live(random, random.randrange(1, 2 * count))
    before.die()  # a history is run at a takeover: what waits is not taken in yet
    whole = Rebuild(before.logic, Partition(before.program), DECODER, before.sources, before.options)
    whole.take(log.records[: before.logic.position])
    expected = whole.finish()
    with TemporaryDirectory() as folder:
        file = Path(folder) / "events.jsonl"
        file.write_bytes(b"".join(event_bytes(**fields) + b"\n" for fields in events))
        if before.logic.first == NEVER:
            return
        found = older(before, random.randrange(0, before.logic.position + 1), file)

    assert sorted(expected.people()) == sorted(found.people())
    for person in expected.people():
        assert expected.encoded(person) == found.encoded(person)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (slice(10, None), "needs history from the first event on, of 2026.*begins at 2026"),
        (slice(0, 3), "the files end at .* what came between is missing"),
        (slice(0, 0), "holds no event of this partition"),
    ],
)
def test_files_that_leave_something_out_are_refused(tmp_path: Path, lines: slice, expected: str) -> None:
    log, events = history(Random(11), 30)
    deploy = Deploy(log, OLD, until=UNTIL)
    deploy.live(Random(11))
    file = tmp_path / "events.jsonl"
    texts = [event_bytes(**fields) for fields in sorted(events, key=lambda fields: fields["at"])]
    file.write_bytes(b"".join(text + b"\n" for text in texts[lines]))
    with pytest.raises(VersionError, match=expected):
        older(deploy, 20, file)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(VersionError, match=r"cannot read history file .*nowhere.jsonl"):
        older(live_in_version_one(), 20, tmp_path / "nowhere.jsonl")
