"""Partitions are shared out evenly, each to one member, and stay where they were, or where their state is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import msgspec
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from faust.assignor.client_assignment import CopartitionedAssignment
from faust.assignor.copartitioned_assignor import CopartitionedAssignor
from hypothesis import given
from hypothesis import strategies as st

from journey_stream.kafka.assignor import Given, Member, Plan, StickyAssignor, share, sticky_assignor

topics = st.dictionaries(st.sampled_from(["events", "visits", "purchases"]), st.integers(0, 12), min_size=1)
had = st.dictionaries(st.sampled_from(["events", "visits", "gone"]), st.lists(st.integers(0, 14)), max_size=3)
partitions = st.lists(st.integers(0, 14), unique=True, max_size=8)
members_told = st.builds(
    Member, had, st.integers(0, 3), partitions, partitions, st.sampled_from(["", "one", "two"])
)
groups = st.dictionaries(st.sampled_from("abcde"), members_told, min_size=1)
plans = st.builds(Plan, st.just("events"), st.just(False), st.integers(0, 2))


def told(
    given_out: Mapping[str, Given], *, warm: bool = False, host: Mapping[str, str] = {}
) -> dict[str, Member]:
    """What members will say of themselves in the next round."""
    return {
        name: Member(each.owned, each.round, each.standbys, each.standbys if warm else [], host.get(name, ""))
        for name, each in given_out.items()
    }


def owned(shared: Mapping[str, Given], name: str, topic: str) -> set[int]:
    return set(shared[name].owned.get(topic, []))


def moved(before: Mapping[str, Given], after: Mapping[str, Given], topic: str) -> int:
    """How many partitions somebody has now who did not have them, and is not among those who left."""
    return sum(
        len(owned(before, name, topic) - owned(after, name, topic)) for name in before if name in after
    )


def settled(counts: Mapping[str, int], members: Mapping[str, Member], plan: Plan) -> dict[str, Given]:
    """Round after round, everybody warm, as members ask for it."""
    shared = share(counts, members, plan)
    hosts = {name: member.host for name, member in members.items()}
    for _ in range(4):
        shared = share(counts, told(shared, warm=True, host=hosts), plan)
    return shared


@given(topics, groups, plans)
def test_every_partition_has_one_owner_and_without_standbys_no_topic_is_uneven(
    counts: dict[str, int], members: dict[str, Member], plan: Plan
) -> None:
    shared = share(counts, members, plan)
    for topic, count in counts.items():
        assert Counter(range(count)) == Counter(
            p for each in shared.values() for p in each.owned.get(topic, [])
        )
        sizes = [len(each.owned.get(topic, [])) for each in shared.values()]
        assert plan.standbys or max(sizes) - min(sizes) <= 1


@given(topics, groups, plans)
def test_once_everybody_is_warm_no_topic_is_uneven_and_nothing_moves_any_more(
    counts: dict[str, int], members: dict[str, Member], plan: Plan
) -> None:
    shared = settled(counts, members, plan)
    for topic in counts:
        sizes = [len(each.owned.get(topic, [])) for each in shared.values()]
        assert max(sizes) - min(sizes) <= 1
    assert not any(each.awaited for each in shared.values())
    hosts = {name: member.host for name, member in members.items()}
    again = share(counts, told(shared, warm=True, host=hosts), plan)
    assert {name: each.owned for name, each in shared.items()} == {n: each.owned for n, each in again.items()}


@given(topics, groups, plans)
def test_the_same_is_decided_whoever_leads_the_group(
    counts: dict[str, int], members: dict[str, Member], plan: Plan
) -> None:
    backwards = {name: members[name] for name in reversed(members)}
    assert share(counts, members, plan) == share(dict(reversed(counts.items())), backwards, plan)


@given(st.integers(1, 40), st.integers(1, 6), st.integers(1, 3))
def test_newcomers_take_only_their_share_and_nothing_moves_between_the_others(
    count: int, old: int, new: int
) -> None:
    counts, plan = {"events": count, "visits": 7}, Plan("events")
    before = share(counts, {f"m{number}": Member() for number in range(old)}, plan)
    after = share(counts, {**told(before), **{f"a{number}": Member() for number in range(new)}}, plan)
    for topic, size in counts.items():
        taken = sum(len(owned(after, f"a{number}", topic)) for number in range(new))
        assert taken == moved(before, after, topic)
        assert taken <= new * -(-size // (old + new))


@given(st.integers(1, 40), st.integers(2, 6), st.data())
def test_of_those_that_leave_and_of_nobody_else_partitions_move(
    count: int, size: int, data: st.DataObject
) -> None:
    plan = Plan("events")
    before = share({"events": count}, {f"m{number}": Member() for number in range(size)}, plan)
    stay = data.draw(st.sets(st.sampled_from(sorted(before)), min_size=1))
    after = share({"events": count}, {name: told(before)[name] for name in stay}, plan)
    assert 0 == moved(before, after, "events")


@given(st.integers(1, 24), groups)
def test_nothing_more_moves_than_with_fausts_assignor_where_that_one_divides_evenly(
    count: int, members: dict[str, Member]
) -> None:
    before = share({"events": count}, members)  # whatever came before, each partition is somebody's now
    names = sorted(before)
    for group in (names[1:], [*names, "z"]):
        if group:
            after = share({"events": count}, {name: told(before).get(name, Member()) for name in group})
            by_faust, uneven = moved_by_faust(before, group, count)
            assert uneven or moved(before, after, "events") <= by_faust


def moved_by_faust(before: Mapping[str, Given], names: list[str], count: int) -> tuple[int, bool]:
    """How many move with Faust's assignor, and whether it left somebody with two fewer than another."""
    cluster = {
        name: CopartitionedAssignment(
            owned(before, name, "events") if name in before else set(), set(), {"events"}
        )
        for name in names
    }
    after = CopartitionedAssignor({"events"}, cluster, count, 0).get_assignment()
    sizes = [len(each.actives) for each in after.values()]
    lost = sum(len(owned(before, name, "events") - after[name].actives) for name in before if name in names)
    return lost, max(sizes) - min(sizes) > 1


@given(st.integers(1, 12), groups, st.integers(0, 2))
def test_topics_that_go_together_are_never_apart(
    count: int, members: dict[str, Member], standbys: int
) -> None:
    plan = Plan("events", together=True, standbys=standbys)
    shared = share({"events": count, "visits": count, "purchases": count + 1, "tickets": 1}, members, plan)
    for each in shared.values():
        mine = each.owned.get("events", [])
        assert mine == each.owned.get("visits", []) == each.owned.get("purchases", [])
        assert [p for p in mine if p == 0] == each.owned.get("tickets", [])


# -- standbys ------------------------------------------------------------------------------------------------


@given(st.integers(1, 12), groups, st.integers(1, 2))
def test_no_state_moves_to_somebody_cold_while_somebody_else_has_it(
    count: int, members: dict[str, Member], standbys: int
) -> None:
    shared = share({"events": count}, members, Plan("events", standbys=standbys))
    near = {p for member in members.values() for p in (*member.owned.get("events", ()), *member.warm)}
    for name, each in shared.items():
        cold = (
            set(each.owned.get("events", []))
            - set(members[name].warm)
            - set(members[name].owned.get("events", []))
        )
        assert not cold & near


@given(st.integers(1, 12), groups, st.integers(1, 2))
def test_each_partition_has_as_many_standbys_as_there_should_be_none_of_them_its_owner(
    count: int, members: dict[str, Member], standbys: int
) -> None:
    shared = share({"events": count}, members, Plan("events", standbys=standbys))
    wanted = min(standbys, len(members) - 1)
    for partition in range(count):
        follow = [name for name, each in shared.items() if partition in each.standbys]
        awaited = [name for name, each in shared.items() if partition in each.awaited]
        assert wanted <= len(follow) <= wanted + 1
        assert len(awaited) <= 1
        assert set(awaited) <= set(follow)
        assert not any(partition in owned(shared, name, "events") for name in follow)


@given(st.integers(1, 24), st.integers(2, 6), st.data())
def test_when_one_dies_each_of_its_partitions_is_with_a_standby_at_once(
    count: int, size: int, data: st.DataObject
) -> None:
    plan, counts = Plan("events", standbys=1), {"events": count}
    before = settled(counts, {f"m{number}": Member() for number in range(size)}, plan)
    dead = data.draw(st.sampled_from(sorted(before)))
    left = {name: member for name, member in told(before, warm=True).items() if name != dead}
    after = share(counts, left, plan)
    for name in left:
        came = owned(after, name, "events") - owned(before, name, "events")
        assert came <= set(before[name].standbys)
    assert 0 == moved(before, after, "events")


@given(st.integers(1, 24), st.integers(1, 5), st.integers(1, 2))
def test_a_newcomer_warms_up_first_and_then_has_its_share(count: int, size: int, standbys: int) -> None:
    plan, counts = Plan("events", standbys=standbys), {"events": count}
    before = settled(counts, {f"m{number}": Member() for number in range(size)}, plan)
    first = share(counts, {**told(before, warm=True), "a": Member()}, plan)
    assert 0 == moved(before, first, "events")
    assert not owned(first, "a", "events")
    assert count // (size + 1) <= len(first["a"].awaited) <= -(-count // (size + 1))
    second = share(counts, told(first, warm=True), plan)
    assert set(first["a"].awaited) == owned(second, "a", "events")
    assert len(first["a"].awaited) == moved(first, second, "events")


@given(st.integers(1, 24), st.integers(1, 3))
def test_standbys_are_on_another_machine(count: int, processes: int) -> None:
    hosts = {f"m{number}": "one" if number < processes else "two" for number in range(2 * processes)}
    plan = Plan("events", standbys=1)
    shared = settled({"events": count}, {name: Member(host=host) for name, host in hosts.items()}, plan)
    for partition in range(count):
        owner = next(name for name in hosts if partition in owned(shared, name, "events"))
        (standby,) = (name for name in hosts if partition in shared[name].standbys)
        assert hosts[owner] != hosts[standby]


def test_one_that_was_away_has_no_claim_against_those_who_took_over() -> None:
    away = Member({"events": [0, 1, 2, 3]}, round=4)
    shared = share({"events": 4}, {"a": away, "b": Member({"events": [0, 1, 2, 3]}, round=5)})
    assert {0, 1} == owned(shared, "b", "events")
    assert {2, 3} == owned(shared, "a", "events")
    assert 6 == shared["a"].round


# -- the protocol around it ----------------------------------------------------------------------------------


class Cluster:
    def partitions_for_topic(self, topic: str) -> set[int]:
        return {0, 1}


def test_each_consumer_remembers_for_itself() -> None:
    one, other = sticky_assignor(), sticky_assignor()
    one.on_assignment(ConsumerProtocolMemberAssignment(0, [("events", [3, 1])], b""))
    assert {"events": [1, 3]} == one.given.owned
    assert Given() == other.given == StickyAssignor.given


def test_standbys_and_what_is_warm_travel_through_the_group() -> None:
    plan = Plan("events", standbys=1, host="here")
    classes = {"a": sticky_assignor(plan), "b": sticky_assignor(plan)}
    for _ in range(2):
        metadata = {name: each.metadata(["events"]) for name, each in classes.items()}
        for name, assignment in classes["a"].assign(Cluster(), metadata).items():  # type: ignore[arg-type]
            classes[name].on_assignment(assignment)
    assert [([0], [1], 2), ([1], [0], 2)] == [
        (each.given.owned["events"], each.given.standbys, each.given.round) for each in classes.values()
    ]
    classes["b"].warm = frozenset({0, 7})
    member = msgspec.msgpack.decode(classes["b"].metadata(["events"]).user_data, type=Member)
    assert Member({"events": [1]}, 2, [0], [0], "here") == member


def test_what_another_program_says_it_owned_is_no_reason_to_fail() -> None:
    members = {"a": sticky_assignor().metadata(["events"]), "b": sticky_assignor().metadata(["events"])}
    members["b"].user_data = b"\xff not msgpack"
    found = sticky_assignor().assign(Cluster(), members)  # type: ignore[arg-type]
    assert [1, 1] == [len(found[m].partitions()) for m in ("a", "b")]


def test_a_worker_of_the_version_before_keeps_what_it_has() -> None:
    members = {"a": sticky_assignor().metadata(["events"]), "b": sticky_assignor().metadata(["events"])}
    members["b"].user_data = msgspec.msgpack.encode({"events": [0]})
    found = sticky_assignor().assign(Cluster(), members)  # type: ignore[arg-type]
    assert [("events", [0])] == found["b"].assignment
