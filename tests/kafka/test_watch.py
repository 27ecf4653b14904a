"""Topics that go or grow while a worker runs are named, with what it means and the way out."""

from __future__ import annotations

import pytest

from journey_stream.kafka.metrics import Metrics
from journey_stream.kafka.watch import TopicWatch, Watched, judge

WATCHED = Watched(("j.visits", "j.tickets"), "j.events", "app-changelog", ("j.transitions",), 4)
FINE = {"j.visits": 4, "j.tickets": 2, "j.events": 4, "app-changelog": 4, "j.transitions": 9}


def test_topics_as_they_should_be_give_no_problem() -> None:
    assert {} == judge(WATCHED, FINE)
    assert {} == judge(WATCHED, {**FINE, "j.visits": 8}), "sources may grow"


@pytest.mark.parametrize(
    ("topic", "count", "problem", "way"),
    [
        ("j.visits", 0, "missing", "another name"),
        ("j.events", 0, "missing", "journey-stream reset"),
        ("app-changelog", 0, "missing", "restore it"),
        ("j.transitions", 0, "missing", "journey-stream topics --create"),
        ("j.events", 6, "partitions", "expected 4 partitions, found 6"),
        ("app-changelog", 6, "partitions", "`partitions: 6` after `journey-stream reset`"),
    ],
)
def test_what_no_longer_fits_is_named_with_the_way_out(
    topic: str, count: int, problem: str, way: str
) -> None:
    found = judge(WATCHED, {**FINE, topic: count})
    assert [(topic, problem)] == list(found)
    assert way in found[topic, problem]


def test_a_problem_is_believed_when_seen_twice_and_forgotten_when_gone() -> None:
    metrics = Metrics()
    watch = TopicWatch(WATCHED, metrics)
    broken = {**FINE, "j.events": 0}
    watch.take(broken)
    assert {} == watch.problems, "one broker may not have heard yet"
    watch.take(broken)
    assert [("j.events", "missing")] == list(watch.problems)
    assert b'topic_problems{problem="missing",topic="j.events"} 1.0' in metrics.page({}, 0)
    watch.take(FINE)
    assert {} == watch.problems
    assert b'topic_problems{problem="missing",topic="j.events"} 0.0' in metrics.page({}, 0)
