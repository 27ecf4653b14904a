"""What `keyed_input` refuses, each with the way out: partition counts, another setting on old state, `replay`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from faust.types import TP

from journey_stream.errors import SettingsError, StateError
from journey_stream.kafka.assignor import Plan, sticky_assignor
from journey_stream.kafka.meta import DirectPosition, read_meta
from journey_stream.kafka.starting import start_offsets
from journey_stream.kafka.topics import TopicState, misfits, plan
from journey_stream.kafka.watch import Watched, judge
from journey_stream.settings import Settings
from journey_stream.settings_read import load_settings
from tests.kafka.log import START, Log, Shell, options
from tests.kafka.test_direct import OURS, TOPICS, Direct, event

EVENTS = TP("j.events", 0)


class Brokers:
    """Where partitions end, and what the group has committed."""

    def __init__(self, ends: Mapping[str, int], committed: Mapping[str, int] = {}) -> None:
        self.ends, self.offsets = ends, committed

    async def committed(self, tp: TP) -> int | None:
        return self.offsets.get(tp.topic)

    async def bounds(self, tp: TP) -> tuple[int, int]:
        return 0, self.ends.get(tp.topic, 0)


def begun(**chosen: Any) -> Direct:
    here = Direct(**chosen)
    here.sources[TOPICS[0]] = [event(n, OURS[0], START) for n in range(3)]
    here.read()
    return here


def checkpoint_of(here: Direct) -> bytes:
    return here.logic.checkpoint().meta


def test_a_source_with_another_number_of_partitions_is_refused_with_the_way_out() -> None:
    keyed = Settings(partitions=4, source_partitions=6, keyed_input="crc32")
    sources = [each for each in plan(keyed) if each.role == "source"]
    assert {4} == {each.partitions for each in sources}, "those that we create fit"
    [problem] = misfits(sources[0], TopicState(6, {}))
    assert f"topic {sources[0].name}: expected 4 partitions, as many as `partitions`, found 6" in problem
    assert "Set `keyed_input: none`" in problem
    assert "`partitions: 6`" in problem
    through = [each for each in plan(Settings(partitions=4)) if each.role == "source"]
    assert [] == misfits(through[0], TopicState(6, {})), "through the hop any number will do"


def test_a_source_that_grows_under_way_is_told() -> None:
    watched = Watched(TOPICS, "j.events", "log", (), 4, keyed_input="murmur2")
    found = judge(watched, {"j.events": 4, "log": 4, TOPICS[0]: 4, TOPICS[1]: 6})
    assert [(TOPICS[1], "partitions")] == list(found)
    assert (
        "expected 4 partitions, found 6. With `keyed_input` nobody reads those beyond"
        in found[TOPICS[1], "partitions"]
    )


@pytest.mark.parametrize(("was", "now"), [("none", "murmur2"), ("murmur2", "none"), ("murmur2", "crc32")])
async def test_another_setting_on_state_that_is_there_is_refused_with_the_way_out(was: str, now: str) -> None:
    shell = Shell(Log(), options(keyed_input=was))
    value = shell.logic.checkpoint().meta
    logic = Shell(Log(), options(keyed_input=now)).logic
    with pytest.raises(StateError, match=f"made with `keyed_input: {was}`, the settings say `{now}`.*reset"):
        await start_offsets(Brokers({}), EVENTS, "log", logic, value)


async def test_a_checkpoint_from_before_the_setting_was_there_is_of_the_hop() -> None:
    meta = read_meta(Shell(Log(), options()).logic.checkpoint().meta)
    assert ("none", {}) == (meta.keyed_input, meta.direct)


async def test_a_restart_reads_each_source_from_where_its_checkpoint_stands() -> None:
    value = checkpoint_of(begun())
    starts = await start_offsets(Brokers({TOPICS[0]: 3}), EVENTS, "log", Direct().logic, value)
    assert {TOPICS[0]: 0, TOPICS[1]: 0} == starts.direct
    assert DirectPosition(3, 0, START) == next(iter(read_meta(value).direct.values()))


async def test_a_source_that_ends_before_the_checkpoint_was_made_anew() -> None:
    value = checkpoint_of(begun())
    with pytest.raises(
        StateError, match=r"j.visits\[0\]: .*stands at offset 3, but the topic ends at 2.*sources"
    ):
        await start_offsets(Brokers({TOPICS[0]: 2}), EVENTS, "log", Direct().logic, value)


async def test_a_source_that_was_read_through_the_hop_before_the_first_checkpoint_is_refused() -> None:
    brokers = Brokers({TOPICS[1]: 9}, {TOPICS[1]: 7})
    with pytest.raises(StateError, match=r"j.purchases\[0\]: the group has committed offset 7.*reset"):
        await start_offsets(brokers, EVENTS, "log", Direct().logic, None)


def test_history_in_the_keyed_topic_cannot_be_replayed() -> None:
    text = (
        "keyed_input: murmur2\nversions: [{journey: buyer-value, from_version: 1, policy: replay}]\n"
        "journeys: [buyer-value]\n"
    )
    with pytest.raises(SettingsError, match=r"policy `replay` for `buyer-value`.*choose `migrate` or `keep`"):
        load_settings(text)


def test_a_group_takes_no_member_that_reads_in_another_way() -> None:
    names = {sticky_assignor(Plan("j.events"), each).name for each in ("none", "murmur2", "crc32", "fnv1a")}
    assert 4 == len(names)
