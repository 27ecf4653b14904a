"""Timers tell the truth: absence speaks only when everything that could contradict it has been read.

Whatever is down meanwhile (intake of a source, the worker), whoever takes over, and whatever the clock of one
machine does: the timers of a live partition are those of the sorted history, none early, none twice.
"""

from __future__ import annotations

import ast
import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from journey_stream.kafka import hop, intake, keyed, lane, progress, worker
from journey_stream.settings import Settings
from journey_stream.values import HOUR, MINUTE, SECOND, Event, Transition, rfc3339
from tests.kafka.cluster import WorkerProcess, ended, eventually, read_values, send, topics
from tests.kafka.log import DECODER, SOURCES, START, Log, Shell, event_bytes, options
from tests.kafka.tally import TallyEngine

Fired = tuple[str, int]
"""Person and due time."""


class Live:
    """A keyed partition, two sources, the machines of their intakes, and true time, which none of them knows.

    Events stand in their source at the moment they happen. What an intake hands on, it tells; a source that
    is read to its end is idle. A machine may be down for a while, and its clock may be off.
    """

    def __init__(self, produced: list[tuple[int, int, str, str]]) -> None:
        """Args: produced: (time, source, person, type) in the order of time."""
        self.produced = [
            (source, {"event_id": f"e{n}", "person": person, "at": at, "type": kind})
            for n, (at, source, person, kind) in enumerate(produced)
        ]
        self.at = START
        self.log = Log()
        self.shell = Shell(self.log, options(mode="wall", catch_up=-1))
        self.off = {0: 0, 1: 0, "worker": 0}
        """By how much the clock of each machine is wrong, microseconds."""
        self._handed_on = [0, 0]
        self._highest: list[int | None] = [None, None]

    def intake(self, source: int, most: int = 1 << 40) -> None:
        """Hand on what stands in a source, and tell."""
        there = [fields for s, fields in self.produced if s == source and fields["at"] <= self.at]
        for fields in there[self._handed_on[source] :][:most]:
            self.log.event(SOURCES[source], self._handed_on[source], **fields)
            self._handed_on[source] += 1
            self._highest[source] = fields["at"]
        idle = self._handed_on[source] == len(there)
        told = hop.Progress(SOURCES[source], self._highest[source], idle, self.at + self.off[source], 0)
        self.log.marker(told, arrived=self.at)

    def work(self, records: int) -> None:
        """Let the worker take some records and do what can be done; none of its timers is early."""
        self.shell.step(records, self.at + self.off["worker"])
        for due in (due for _, due in timers(self.shell.logic.engine.records)):
            assert due <= self.at, f"fired {due - self.at} us early"

    def end(self) -> list[Fired]:
        """Let everybody come back with the right time, and the last timer be due; give all that fired."""
        self.off = dict.fromkeys(self.off, 0)
        self.at = max(self.at, *(fields["at"] for _, fields in self.produced)) + 5 * HOUR
        for source in (0, 1):
            self.intake(source)
        self.work(1 << 40)
        self.shell.checkpoint()
        return timers(self.shell.published)

    def expected(self) -> list[Fired]:
        """What the sorted history says."""
        engine = TallyEngine()
        for _, fields in self.produced:
            event = DECODER.decode(event_bytes(**fields))
            assert isinstance(event, Event)
            engine.apply(event, 0)
        engine.fire(self.at, 0)
        return timers(engine.records)


def timers(records: list[Any]) -> list[Fired]:
    return [(r.person, r.occurred_at) for r in records if isinstance(r, Transition) and r.trigger == "timer"]


histories = st.lists(
    st.tuples(
        st.integers(0, 45).map(lambda minutes: minutes * MINUTE),
        st.sampled_from((0, 1)),
        st.sampled_from(("ann", "bob")),
        st.sampled_from(("order_completed", "page_viewed")),
    ),
    min_size=1,
    max_size=25,
)
acts = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.integers(1, 90).map(lambda minutes: minutes * MINUTE)),
        st.tuples(st.just("intake"), st.sampled_from((0, 1)), st.sampled_from((1, 3, 1000))),
        st.tuples(st.just("work"), st.sampled_from((1, 2, 7, 1000))),
        st.tuples(st.just("checkpoint")),
        st.tuples(st.just("die")),
        st.tuples(st.just("jump"), st.integers(-60, 60).map(lambda minutes: minutes * MINUTE)),
    ),
    max_size=60,
)


def lived(history: list[tuple[int, int, str, str]], acts: list[Any], wrong: Any) -> Live:
    """Let a history happen; between its events, `acts` say who does what. The clock of `wrong` jumps."""
    produced, at = [], START
    for gap, source, person, kind in history:
        at += gap
        produced.append((at, source, person, kind))
    live = Live(produced)
    for name, *more in acts:
        if name == "wait":
            live.at += more[0]
        elif name == "intake":
            live.intake(*more)
        elif name == "work":
            live.work(*more)
        elif name == "checkpoint":
            live.shell.checkpoint()
        elif name == "die":
            live.shell.die()
        elif wrong is not None:
            live.off[wrong] = more[0]
    return live


@given(histories, acts, st.sampled_from((None, 0, 1, "worker")))
@hypothesis_settings(max_examples=300, deadline=None)
def test_whoever_is_down_or_has_the_wrong_time_the_timers_are_those_of_the_sorted_history(
    history: list[Any], acts: list[Any], wrong: Any
) -> None:
    live = lived(history, acts, wrong)
    fired = live.end()
    assert sorted(live.expected()) == sorted(fired)


@given(histories, acts, st.integers(0, 10**9))
@hypothesis_settings(max_examples=100, deadline=None)
def test_the_same_log_gives_the_same_timers_in_the_order_they_are_due_whenever_it_is_read(
    history: list[Any], acts: list[Any], seed: int
) -> None:
    live = lived(history, acts, None)
    fired, random = live.end(), Random(seed)
    again = Shell(live.log, live.shell.options)
    while not again.at_end:
        again.step(random.randrange(1, 9), live.at + random.randrange(HOUR))
        again.checkpoint()
    again.step(0, live.at)
    again.checkpoint()
    assert sorted(fired) == sorted(timers(again.published))
    for person in ("ann", "bob"):
        assert [one for one in fired if one[0] == person] == [
            one for one in timers(again.published) if one[0] == person
        ]


def after_one_page() -> Live:
    """Ann looked at a page at START; an hour later she will count as silent, unless she orders before."""
    live = Live([(START, 0, "ann", "page_viewed"), (START + 59 * MINUTE, 0, "ann", "order_completed")])
    for source in (0, 1):
        live.intake(source)
    live.work(10)
    live.shell.checkpoint()
    return live


def test_a_worker_that_was_away_for_hours_reads_what_cancels_a_timer_before_it_lets_it_fire() -> None:
    live = after_one_page()
    for _ in range(12):  # intake goes on, the worker does not
        live.at += 15 * MINUTE
        live.intake(0), live.intake(1)
    live.shell.die()
    while not live.shell.at_end:
        live.work(1)
    live.shell.checkpoint()
    assert [("ann", START + 59 * MINUTE + HOUR)] == timers(live.shell.published)


def test_while_the_intake_of_one_source_is_down_nobody_counts_as_silent() -> None:
    live = after_one_page()
    for _ in range(12):
        live.at += 15 * MINUTE
        live.intake(1)
        live.work(10)
    live.shell.checkpoint()
    assert [] == timers(live.shell.published)
    live.intake(0)
    live.work(10)
    live.shell.checkpoint()
    assert [("ann", START + 59 * MINUTE + HOUR)] == timers(live.shell.published)


def test_the_next_owner_fires_what_the_former_has_armed_and_nothing_again() -> None:
    live = after_one_page()
    for _ in range(3):
        live.at += HOUR
        live.intake(0), live.intake(1)
        live.shell.die()  # state and clock come from the changelog alone
        live.work(100)
        live.shell.checkpoint()
    assert [("ann", START + 59 * MINUTE + HOUR)] == timers(live.shell.published)


def test_set_back_the_clock_stands_still_until_time_has_caught_up_with_it() -> None:
    live = after_one_page()
    live.at += 59 * MINUTE + 30 * SECOND
    live.intake(0), live.intake(1)
    live.work(10)
    reached = live.shell.logic.clock.reached
    live.off = dict.fromkeys(live.off, -HOUR)
    for _ in range(3):
        live.at += 20 * MINUTE
        live.intake(0), live.intake(1)
        live.work(10)
        assert reached == live.shell.logic.clock.reached
    live.at += HOUR  # now the wrong clocks, too, are past an hour after the order
    live.intake(0), live.intake(1)
    live.work(10)
    live.shell.checkpoint()
    assert [("ann", START + 59 * MINUTE + HOUR)] == timers(live.shell.published)


def test_an_intake_whose_clock_is_ahead_promises_nothing_for_the_time_it_is_down() -> None:
    live = after_one_page()
    live.off[0] = HOUR
    live.intake(0)  # "read to its end, an hour from now"
    for _ in range(7):  # then it is gone, and the order waits in its source
        live.at += 10 * MINUTE
        live.intake(1)
        live.work(10)
    assert [] == timers(live.shell.logic.engine.records)
    live.off[0] = 0
    live.at += HOUR
    live.intake(0), live.intake(1)
    live.work(10)
    live.shell.checkpoint()
    assert [("ann", START + 59 * MINUTE + HOUR)] == timers(live.shell.published)


def test_set_forward_on_every_machine_what_is_due_by_then_fires_at_once_and_in_order() -> None:
    """Nothing tells such a leap from a night in which nothing happened: the time of all machines is time."""
    live = Live([(START, 0, "ann", "page_viewed"), (START + MINUTE, 0, "bob", "page_viewed")])
    live.at += 2 * MINUTE
    live.intake(0), live.intake(1)
    live.work(10)
    live.shell.step(0, live.at + 2 * HOUR)
    assert [] == timers(live.shell.logic.engine.records), "not by the worker's clock alone"
    for source in (0, 1):
        told = hop.Progress(SOURCES[source], None, True, live.at + 2 * HOUR, 0)
        live.log.marker(told, arrived=live.at + 2 * HOUR)
    live.shell.step(10, live.at + 2 * HOUR)
    live.shell.checkpoint()
    assert [("ann", START + HOUR), ("bob", START + MINUTE + HOUR)] == timers(live.shell.published)


def test_a_burst_goes_in_due_order_and_lets_events_pass_between(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyed, "FIRE_LIMIT", 7)
    log = Log()
    for n in range(100):
        log.event(SOURCES[0], n, event_id=f"e{n}", person=f"c{n}", at=START + (n * 37) % 100)
    log.marker(*(hop.Progress(source, START + 99, True, START + 99, 0) for source in SOURCES))
    shell = Shell(log, options(mode="wall"))
    shell.step(200, START + 99)
    log.marker(*(hop.Progress(source, START + 99, True, START + 2 * HOUR, 0) for source in SOURCES))
    more, turns = True, 0
    while more:
        log.event(SOURCES[1], turns, event_id=f"new{turns}", person="new", at=START + 2 * HOUR)
        more = shell.step(2, START + 2 * HOUR, once=True)
        turns += 1
        assert more or len(shell.logic.engine.people["new"].seen) >= turns - 1
    shell.checkpoint()
    dues = [due for _, due in timers(shell.published)]
    assert (100, sorted(dues)) == (len(dues), dues)
    assert turns >= 100 // 7


def test_the_worker_takes_its_time_from_one_function() -> None:
    found = []
    for module in (worker, lane, keyed, intake, progress):
        tree = ast.parse(Path(module.__file__ or "").read_text("utf-8"))
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                calls = [node.func for node in ast.walk(function) if isinstance(node, ast.Call)]
                names = {ast.unparse(call) for call in calls}
                if names & {"time.time", "time.time_ns", "datetime.now"}:
                    found.append((module.__name__.rpartition(".")[2], function.name))
    assert [("worker", "now")] == found


JOURNEY = """\
journey: watch
version: 1
start: here
stages: {here: {kind: prospect}, quiet: {kind: at_risk}}
transitions:
  - {id: silent, from: here, to: quiet, after: 15s, since: activity, reason: silence}
  - {id: back, from: quiet, to: here, event: activity}
"""


def viewed(event_id: str, person: str, at: int) -> bytes:
    fields = {"event_id": event_id, "type": "page_viewed", "occurred_at": rfc3339(at), "customer_id": person}
    return json.dumps(fields).encode()


@pytest.mark.slow
async def test_no_false_timer_on_a_real_kafka_after_all_workers_were_away(
    deployment: Callable[..., Settings], tmp_path: Path
) -> None:
    definition = tmp_path / "watch.yaml"
    definition.write_text(JOURNEY)
    settings = deployment(journeys=[str(definition)], partitions=2, source_partitions=2)
    names = await topics(settings)
    people = [f"c{n}" for n in range(20)]
    patience = 15 * SECOND

    async def put(prefix: str, who: list[str]) -> dict[str, int]:
        at = time.time_ns() // 1000
        rows = [(names.sources[0], n % 2, b"k", viewed(f"{prefix}{p}", p, at), []) for n, p in enumerate(who)]
        await send(settings, rows)
        return dict.fromkeys(who, at)

    async def moves(to: str) -> list[tuple[str, str]]:
        records = await read_values(settings, names.transitions)
        return [(move["customer_id"], move["occurred_at"]) for move in records if move["to"] == to]

    workers = [WorkerProcess(settings, tmp_path, module="journey_stream")]
    with ended(workers):

        async def at_work() -> bool:
            return workers[0].text().count("taken over in") == settings.partitions

        async def everybody_is(to: str) -> bool:
            return {person for person, _ in await moves(to)} == set(people)

        await eventually(at_work)
        last = await put("first-", people)
        await eventually(lambda: everybody_is("here"))
        workers[0].kill()
        # All but five come back before they count as quiet; nobody reads it before long after.
        last |= await put("second-", people[5:])
        assert max(last.values()) - min(last.values()) < patience, "this machine is too slow for this test"
        while time.time_ns() // 1000 < max(last.values()) + patience + SECOND:
            await asyncio.sleep(0.2)
        workers.append(WorkerProcess(settings, tmp_path, module="journey_stream"))
        await eventually(lambda: everybody_is("quiet"))
    expected = [(person, rfc3339(at + patience)) for person, at in last.items()]
    assert sorted(expected) == sorted(await moves("quiet"))
