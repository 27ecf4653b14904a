"""A worker that dies, sleeps or fails at any step of its work loses nothing, repeats nothing, invents nothing.

First every step of one short history, then drawn histories with several ends and failures in a run. That the
driver can tell right from wrong is tested with code broken on purpose.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from journey_stream.kafka import (
    changelog,
    checkpoint,
    commits,
    hop,
    hop_sender,
    intake,
    lane,
    restoring,
    sender,
    starting,
    transactions,
)
from journey_stream.settings import TopicNames
from journey_stream.values import DAY, HOUR, MINUTE
from tests.engine.histories import Drawn, drawn_histories
from tests.engine.stories import BEGIN
from tests.kafka.crash import driver
from tests.kafka.crash.broker import Broker, Row
from tests.kafka.crash.driver import Line, Plan, Played, Stop, lines, open_ends, play
from tests.kafka.crash.driver import settings as settings_of
from tests.kafka.crash.mutants import MUTANTS
from tests.kafka.crash.steps import Place

STORY: list[Drawn] = [
    ("page_viewed", 0, "e0", {"who": "ann"}),
    ("order_completed", HOUR, "e1", {"who": "ann", "order_id": "x", "total": 5.0}),
    ("product_added", HOUR + MINUTE, "e2", {"who": "bob", "cart_id": "k"}),
    ("order_completed", 2 * HOUR, "e3", {"who": "bob", "order_id": "y", "total": 5.0}),
    ("order_completed", DAY, "e4", {"who": "ann", "order_id": "z", "total": 5.0}),
    ("ticket_created", 2 * DAY, "e5", {"who": "ann", "ticket_id": "t"}),
    ("ticket_solved", 2 * DAY + HOUR, "e6", {"who": "ann", "ticket_id": "t"}),
    ("order_completed", 3 * DAY, "e7", {"who": "ann", "order_id": "z", "total": 5.0}),
]
UNTIL = BEGIN + 33 * DAY
LINES = lines(STORY, [0, 1, 1], [0, 30 * MINUTE, 3 * MINUTE])
FAULTS = ("refused", "unanswered", "late")


def played(plan: Plan) -> Played:
    return play(LINES, UNTIL, plan)


@cache
def undisturbed() -> Played:
    """With older transactions: they take more steps and requests."""
    return played(Plan(newer=False))


def every_step(make: Callable[[int], Stop]) -> Iterator[Plan]:
    return (Plan([make(step)]) for step in range(1, undisturbed().steps + 1))


def every_request(fault: Any) -> Iterator[Plan]:
    return (Plan(faults={request: fault}) for request in range(1, len(undisturbed().requests) + 1))


FAMILIES: dict[str, Callable[[], Iterator[Plan]]] = {
    "dies": lambda: every_step(Stop),
    "dies, and what it had sent arrives": lambda: every_step(lambda step: Stop(step, arrives=0.0)),
    "dies, and what it had sent arrives late": lambda: every_step(lambda step: Stop(step, arrives=0.25)),
    "sleeps, and wakes up when another is at work": lambda: every_step(
        lambda step: Stop(step, paused=True, wakes=(0.05, 0.3, 1.0)[step % 3])
    ),
    "goes through a rebalance": lambda: (Plan(rebalance=step) for step in range(1, undisturbed().steps + 1)),
    "is refused": lambda: every_request("refused"),
    "hears no answer": lambda: every_request("unanswered"),
    "is heard late": lambda: every_request("late"),
}


BROKERS: dict[str, dict[str, Any]] = {
    "Kafka 4": {},
    "older transactions": {"newer": False},
    "slow": {"slow": 0.02},
}


def wrong(plans: Iterator[Plan]) -> Iterator[tuple[Plan, list[str]]]:
    for plan in plans:
        problems = played(plan).problems
        if problems:
            yield plan, problems


def test_undisturbed_the_history_makes_several_checkpoints_of_all_sorts_of_records() -> None:
    requests = undisturbed().requests
    assert [] == undisturbed().problems
    assert 3 <= requests.count("commit")
    for topic in ("transitions", "signals", "stages", "dead_letters"):
        assert any(name.startswith("produce") and f"t.{topic}" in name for name in requests)


@pytest.mark.slow
@pytest.mark.parametrize("brokers", BROKERS)
@pytest.mark.parametrize("family", FAMILIES)
def test_at_every_step_a_worker_may_be_one_that(family: str, brokers: str) -> None:
    assert [] == list(wrong(replace(plan, **BROKERS[brokers]) for plan in FAMILIES[family]()))


@pytest.mark.slow
def test_the_next_owner_may_die_at_every_step_as_well() -> None:
    middle = undisturbed().steps * 2 // 3
    for step in count(1):
        result = played(Plan([Stop(middle, arrives=0.0), Stop(step)]))
        assert [] == result.problems
        if result.processes < 3:  # the second had no such step
            break
    assert step > 100


AWAITS = (
    checkpoint.Writer.commit,
    sender.Sender.start,
    sender.Counts.of,
    sender.Sender.send,
    sender.Sender.deliver,
    sender.Sender._deliver,
    transactions.Transactions.start,
    transactions.Transactions.commit,
    transactions.Transactions._join,
    transactions.Transactions._join_group,
    transactions.Transactions._commit_offsets,
    transactions.Transactions._end,
    transactions.Transactions._ask,
    transactions.Transactions._coordinator,
    transactions.Transactions._produce,
    transactions.Transactions._send,
    changelog.read_changelog,
    lane.JourneyLane._take_over,
    starting.start_offsets,
    lane.JourneyLane._go_on,
    lane.JourneyLane._work,
    lane.JourneyLane._checkpoint,
    commits.Commits.begin,
    commits.Commits.settle,
    commits.Commits._commit,
    intake.IntakeLane._start_over,
    intake.IntakeLane._hand_on,
    intake.IntakeLane._commit,
    hop_sender.HopSender.send,
    hop_sender.HopSender._send_rounds,
    hop_sender.HopSender._send_round,
    hop_sender.HopSender._send,
    restoring.restore,
)
NEVER_HERE = {
    ("Sender.start", "self.stop()"): "brokers away: for the suite on real Kafka",
    ("Transactions._coordinator", "self.client.force_metadata_update()"): "the same",
    ("Transactions._coordinator", "asyncio.sleep(RETRY_SECONDS)"): "the same",
    ("Transactions._produce", "self.client.force_metadata_update()"): "one broker here: the same",
    ("HopSender._send", "self._discard(sender)"): "once it is a time-out of two minutes",
    ("JourneyLane._work", "self.inputs.finish()"): "without the hop: test_keyed_input.py",
    ("Commits.begin", "send_on()"): "without the hop: test_keyed_input.py",
    ("Commits.begin", "self.settle()"): "when a transaction holds all it may: tests/kafka/test_commits.py",
    (
        "start_offsets",
        "_direct_starts(broker, tp, logic, meta.direct)",
    ): "without the hop: test_keyed_input.py",
    ("start_offsets", "_direct_starts(broker, tp, logic, {})"): "without the hop: test_keyed_input.py",
    (
        "read_changelog",
        "reading.take_all(found, run)",
    ): "the compiled core, beside the loop: tests/kafka/test_changelog.py, and at_scale with kill -9",
    (
        "Writer.commit",
        "self._states(changed, finished.get(states, ()))",
    ): "the compiled core with `compression.internal`, before anything is sent: tests/native/test_batch.py",
    ("restore", "read(warm)"): "with a standby: tests/kafka/test_standbys.py",
    (
        "JourneyLane._take_over",
        "restore_on_disk(states, *known, look=self._suspicious)",
    ): "with states on disk: tests/kafka/test_local_states.py, test_local_restart.py",
    ("JourneyLane._work", "self._commits.look()"): "only what is over is looked at: nobody waits",
    ("JourneyLane._go_on", "asyncio.sleep(0.1)"): "the partition is gone before the lane takes it up",
    ("JourneyLane._go_on", "self._resumed.wait()"): "what an operator has paused: tests/cli/test_pausing.py",
    ("JourneyLane._take_over", "self._owned.wait()"): "gone while the lane fails: drawn plans have that",
}


def awaits_of(function: Any) -> Iterator[tuple[str, range, str]]:
    """Path, lines and text of every await of a function."""
    source, first = inspect.getsourcelines(function)
    path = inspect.getsourcefile(function) or ""
    for node in ast.walk(ast.parse(textwrap.dedent("".join(source)))):
        if isinstance(node, ast.Await):
            lines_of = range(first - 1 + node.lineno, first + (node.end_lineno or 0))
            yield path, lines_of, ast.unparse(node.value)


@pytest.mark.slow
def test_the_steps_are_all_the_awaits_there_are() -> None:
    places: set[Place] = set()
    for plan in (
        Plan(),
        Plan(newer=False),
        Plan(slow=0.02),
        *every_request("refused"),
        *every_request("unanswered"),
        *FAMILIES["goes through a rebalance"](),
    ):
        places |= played(plan).places
    missed = {
        (function.__qualname__, text)
        for function in AWAITS
        for path, at, text in awaits_of(function)
        if not any((path, line) in places for line in at)
    }
    assert set() == missed - set(NEVER_HERE)


@st.composite
def stops(draw: st.DrawFn) -> Stop:
    return Stop(
        step=draw(st.integers(1, 300)),
        paused=draw(st.booleans()),
        wakes=draw(st.sampled_from((0.0, 0.02, 0.1, 0.5, 3.0))),
        arrives=draw(st.sampled_from((None, 0.0, 0.05, 0.25, 1.0))),
        pause=draw(st.sampled_from((0.0, 0.05, 0.2, 1.0))),
    )


plans = st.builds(
    Plan,
    st.lists(stops(), max_size=4),
    st.dictionaries(st.integers(1, 150), st.sampled_from(FAULTS), max_size=3),
    st.integers(0, 300),
    st.booleans(),
    st.sampled_from((0.0, 0.02, 0.2)),
)


@st.composite
def given_lines(draw: st.DrawFn) -> tuple[list[Line], int]:
    history = draw(drawn_histories(14))
    sources = draw(st.lists(st.sampled_from((0, 1)), min_size=1, max_size=4))
    jitter = draw(st.lists(st.integers(0, 59 * MINUTE), min_size=1, max_size=4))
    return lines(history, sources, jitter), BEGIN + history[-1][1] + 30 * DAY


@pytest.mark.slow
@given(given_lines(), plans, st.sampled_from((1, 2)))
@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_the_history_and_whatever_fails_readers_see_the_sorted_history_once(
    history: tuple[list[Line], int], plan: Plan, partitions: int
) -> None:
    assert [] == play(*history, plan, partitions).problems


@pytest.mark.slow
def test_one_that_wakes_up_when_all_is_done_hands_on_again_only_what_was_had(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The second sleeps having asked where the sources stand, and wakes up when the third is done."""
    once, left = lines(STORY[:1], [0], [0]), 0

    def looked(broker: Broker, names: TopicNames) -> list[str]:
        nonlocal left
        for tp in ((names.events, p) for p in range(broker.counts[names.events])):
            left += sum(e.key is not None for e in broker.logs[tp].entries[broker.committed.get(tp, 0) :])
        return open_ends(broker, names)

    monkeypatch.setattr(driver, "open_ends", looked)
    for step in range(1, undisturbed().steps + 1, 4):  # some of them show it: which is not to matter
        plan = Plan([Stop(step, pause=0.0), Stop(30, paused=True, wakes=0.5)])
        assert [] == play(once, BEGIN + 30 * DAY, plan, 2).problems
    assert left > 0


def test_the_driver_tells_an_event_that_nobody_read_from_one_that_was_had() -> None:
    names = TopicNames.of(settings_of(1))
    tp, broker = (names.events, 0), Broker(lambda: 0)
    broker.counts = dict.fromkeys((names.events, *names.sources), 1)

    def hop_record(offset: int) -> Row:
        return b"theirs", b"{}", ((hop.HEADER, hop.packer(b"source")(hop.EVENT, offset * 2, 0)),)

    marker: Row = None, hop.pack_marker([]), ((hop.HEADER, hop.MARKER_BYTES),)
    broker.append(tp, [hop_record(0), marker, hop_record(0), marker])
    broker.committed[tp] = 2
    assert [] == open_ends(broker, names)
    broker.committed[tp] = 0
    assert [f"{tp}: the group stands at 0, before an event"] == open_ends(broker, names)
    broker.committed[tp] = 2
    broker.append(tp, [hop_record(1), hop_record(1)])
    assert [f"{tp}: the group stands at 2, before an event"] == open_ends(broker, names)


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS)
def test_the_driver_notices_when(mutant: str) -> None:
    undisturbed()
    family, broken = MUTANTS[mutant]
    with broken():
        assert any(
            wrong(replace(plan, newer=newer) for plan in FAMILIES[family]() for newer in (True, False))
        )
