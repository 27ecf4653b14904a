"""Partitions are shared out evenly per topic, each to one member, and stay where they were as far as is fair."""

from __future__ import annotations

from collections import Counter

from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from hypothesis import given
from hypothesis import strategies as st

from journey_stream.kafka.assignor import Owned, StickyAssignor, share, sticky_assignor

topics = st.dictionaries(st.sampled_from(["events", "visits", "purchases"]), st.integers(0, 12), min_size=1)
had = st.dictionaries(st.sampled_from(["events", "visits", "gone"]), st.lists(st.integers(0, 14)), max_size=3)
groups = st.dictionaries(st.sampled_from("abcde"), had, min_size=1)


@given(topics, groups)
def test_every_partition_has_one_owner_and_no_topic_is_uneven(
    counts: dict[str, int], owned: dict[str, Owned]
) -> None:
    shared = share(counts, owned)
    for topic, count in counts.items():
        given_out = Counter(p for each in shared.values() for p in each.get(topic, []))
        assert Counter(range(count)) == given_out
        sizes = [len(each.get(topic, [])) for each in shared.values()]
        assert max(sizes) - min(sizes) <= 1


@given(topics, groups)
def test_a_second_round_moves_nothing(counts: dict[str, int], owned: dict[str, Owned]) -> None:
    first = share(counts, owned)
    assert first == share(counts, first)


@given(topics, groups)
def test_a_newcomer_takes_only_its_share(counts: dict[str, int], owned: dict[str, Owned]) -> None:
    before = share(counts, owned)
    after = share(counts, {**before, "z": {}})
    for topic, count in counts.items():
        moved = sum(len(set(before[m].get(topic, [])) - set(after[m].get(topic, []))) for m in before)
        assert moved <= -(-count // (len(before) + 1))


def test_each_consumer_remembers_for_itself() -> None:
    one, other = sticky_assignor(), sticky_assignor()
    one.on_assignment(ConsumerProtocolMemberAssignment(0, [("events", [3, 1])], b""))
    assert {"events": [1, 3]} == one.owned
    assert {} == other.owned == StickyAssignor.owned


def test_what_another_program_says_it_owned_is_no_reason_to_fail() -> None:
    class Cluster:
        def partitions_for_topic(self, topic: str) -> set[int]:
            return {0, 1}

    members = {
        "a": sticky_assignor().metadata(["events"]),
        "b": sticky_assignor().metadata(["events"]),
    }
    members["b"].user_data = b"\xff not msgpack"
    found = sticky_assignor().assign(Cluster(), members)  # type: ignore[arg-type]
    assert [1, 1] == [len(found[m].partitions()) for m in ("a", "b")]
