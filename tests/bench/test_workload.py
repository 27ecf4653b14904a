"""The workload of the bench, its oracle, and what a wrong output leads to; no Kafka."""

import gc
import itertools
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from benchmarks.measuring import Figure
from benchmarks.peers import ours, workload
from benchmarks.peers.contestants import BY_NAME, CONTESTANTS, ONE, RATIOS, Contestant
from benchmarks.peers.programs import NotRunnable, RunFailed, javac, streams_command
from benchmarks.peers.turns import Bench, Work, told
from journey_stream.events.decode import Decoder
from journey_stream.events.vocabulary import BUILT_IN
from journey_stream.settings_read import load_settings
from journey_stream.values import NEVER, Event

EVENTS, CUSTOMERS = 4_000, 500
MADE = list(workload.make(EVENTS, CUSTOMERS))


def test_every_event_is_usable_and_in_the_order_of_time():
    decode = Decoder(BUILT_IN).decode
    events = [decode(each.value, NEVER - 1) for each in MADE]
    assert all(type(event) is Event for event in events)
    times = [event.at for event in events if type(event) is Event]
    assert sorted(times) == times
    assert sorted(each.occurred_at for each in MADE) == [each.occurred_at for each in MADE]


def test_the_mix_and_size_are_what_the_page_says():
    kinds = Counter(each.type for each in MADE)
    for kind, share in workload.MIX.items():
        assert abs(100 * kinds[kind] / EVENTS - share) < 2
    assert 250 < sum(len(each.value) for each in MADE) / EVENTS < 350


def test_a_part_of_the_workload_is_its_beginning():
    assert MADE[:100] == list(itertools.islice(workload.make(EVENTS * 2, CUSTOMERS), 100))


def test_keyed_rows_keep_a_customer_in_one_partition_and_scattered_rows_have_no_key():
    keyed = {(key, partition) for partition, key, _ in workload.rows(MADE, "keyed", 4)}
    assert len({key for key, _ in keyed}) == len(keyed) > 400
    scattered = list(workload.rows(MADE, "scattered", 4))
    assert {None} == {key for _, key, _ in scattered}
    assert dict.fromkeys(range(4), EVENTS // 4) == Counter(place for place, _, _ in scattered)


def test_the_first_order_makes_a_customer_and_the_second_a_repeat_customer():
    def made(customer: str, kind: str, number: int) -> workload.Made:
        return workload.Made(customer, kind, workload.moment(number), b"")

    events = [
        made("ann", "page_viewed", 0),
        made("ann", "order_completed", 1),
        made("bob", "page_viewed", 2),
        made("ann", "order_completed", 3),
        made("ann", "order_completed", 4),
    ]
    assert [
        workload.Change("ann", "prospect", "customer", 2, workload.moment(1)),
        workload.Change("ann", "customer", "repeat", 3, workload.moment(3)),
    ] == workload.changes(events)


def test_without_a_key_only_who_moved_where_is_due():
    due = workload.changes(MADE)
    assert {3} == {len(each) for each in told(due, "scattered")}
    assert {5} == {len(each) for each in told(due, "keyed")}
    assert len(due) == len(told(due, "scattered")) == len(told(due, "keyed"))


def test_the_journey_of_three_stages_does_the_peers_job():
    records = ours.oracle(ONE, (each.value for each in MADE), MADE[-1].occurred_at)
    assert ours.agree(records, workload.changes(MADE))
    assert not ours.agree(records, workload.changes(MADE[:-500]))


def test_records_that_are_lost_unexpected_or_twice_are_told():
    due = ours.Records(frozenset({"a", "b"}), frozenset())
    assert ours.differs(["a", "b"], due) is None
    assert "1 lost, 0 unexpected, 0 twice" in str(ours.differs(["a"], due))
    assert "0 lost, 1 unexpected, 0 twice" in str(ours.differs(["a", "b", "c"], due))
    assert "0 lost, 0 unexpected, 1 twice" in str(ours.differs(["a", "b", "b"], due))


def test_the_worker_gets_settings_that_it_understands():
    for contestant in CONTESTANTS:
        if contestant.command is None:
            job = ours.Job(contestant, "localhost:9092", "run", 4, 100)
            settings = load_settings(msgspec.json.encode(ours.config(job, 0)).decode(), {})
            assert [f"{contestant.layout}-100"] == list(settings.sources)
            assert list(contestant.journeys) == settings.journeys
            assert ("murmur2" if contestant.layout == "keyed" else "none") == settings.keyed_input


async def test_who_fails_once_gets_no_figure_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    class Scripted(Bench):
        def _prepare(self, made: list[workload.Made]) -> None:
            pass

        async def _fill(self, made: list[workload.Made]) -> None:
            pass

        def _replays(self, made: list[workload.Made]) -> None:
            pass

        async def _one(self, contestant: Contestant, turn: int) -> Figure:
            if contestant.name == "quix" and turn == 1:
                raise RunFailed("it published 3 changes, 4 are due")
            return Figure(10, 1.0, 1.0)

    monkeypatch.setattr(gc, "disable", lambda: None)
    few = [BY_NAME["quix"], BY_NAME["loop"]]
    outcome = await Scripted("none:1", tmp_path, Work(20, 5, 4, 3), few).run()
    assert {"quix": "it published 3 changes, 4 are due"} == outcome.failed
    assert (0, 3) == (len(outcome.runs["quix"]), len(outcome.runs["loop"]))


def test_ratios_are_of_contestants_with_like_input():
    layouts = {each.name: each.layout for each in CONTESTANTS}
    assert [] == [each for each in RATIOS if layouts[each.ours] != layouts[each.peer]]


def test_kafka_streams_is_not_run_without_a_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(NotRunnable, match="no JDK"):
        streams_command(tmp_path)
    compiler = tmp_path / "jdk" / "bin" / "javac"
    compiler.parent.mkdir(parents=True)
    compiler.touch()
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "jdk"))
    assert str(compiler) == javac()
