"""Standbys: states kept near, so that a takeover reads the rest only; on any trouble, everything."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from aiokafka import TopicPartition
from aiokafka.errors import OffsetOutOfRangeError

from journey_stream.errors import StateError
from journey_stream.kafka import standbys
from journey_stream.kafka.assignor import Given, sticky_assignor
from journey_stream.kafka.changelog import META_KEY
from journey_stream.kafka.metrics import Metrics
from journey_stream.kafka.standbys import Standbys
from journey_stream.settings import Settings, Web
from journey_stream.values import MINUTE, SECOND
from tests.kafka.cluster import (
    Row,
    WorkerProcess,
    ended,
    eventually,
    read_values,
    send,
    tally_found,
    tally_oracle,
    topics,
)
from tests.kafka.tally import Tally
from tests.kafka.test_processes import free_ports
from tests.kafka.test_worker import _get, event, values_of

STATES = 20_000


# -- without Kafka -------------------------------------------------------------------------------------------


class Engine:
    def __init__(self) -> None:
        self.states: dict[str, bytes | None] = {}

    def load(self, person: str, blob: bytes | None) -> None:
        if blob == b"poison":
            raise StateError("cannot be read")
        self.states[person] = blob

    def tidy(self, count: int = 0) -> None:
        pass


class Log:
    """A changelog, as a consumer shows it: records of one partition, the last offset is a transaction's end."""

    def __init__(self, *records: tuple[bytes, bytes | None], first: int = 0) -> None:
        self.tp = TopicPartition("changelog", 0)
        self.first = first
        self.records = [SimpleNamespace(key=k, value=v, offset=first + n) for n, (k, v) in enumerate(records)]
        self.at = 0

    def assign(self, tps: list[TopicPartition]) -> None:
        self.assigned = set(tps)

    def assignment(self) -> set[TopicPartition]:
        return self.assigned

    def seek(self, tp: TopicPartition, offset: int) -> None:
        self.at = offset

    async def beginning_offsets(self, tps: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(tps, self.first)

    async def end_offsets(self, tps: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(tps, self.first + len(self.records) + 1)

    async def position(self, tp: TopicPartition) -> int:
        return self.at

    async def getmany(self, *, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[Any]]:
        if self.at < self.first:
            raise OffsetOutOfRangeError({self.tp: self.at})
        found = [record for record in self.records if record.offset >= self.at]
        self.at = self.first + len(self.records) + 1
        return {self.tp: found} if found else {}


class Worker:
    def __init__(self) -> None:
        self.metrics = Metrics()
        self.rounds = 0

    def is_restoring(self) -> bool:
        return False

    async def ask_for_round(self) -> None:
        self.rounds += 1


def standbys_of(worker: Worker, *, awaited: bool = False, make_engine: Any = Engine) -> Standbys:
    assignor = sticky_assignor()
    assignor.given = Given({}, [0], [0] if awaited else [])
    made = Standbys(worker, {}, "changelog", make_engine, assignor)
    made._wanted, made._awaited = frozenset({0}), frozenset(assignor.given.awaited)
    return made


async def read(made: Standbys, changelog: Log) -> None:
    await made._assign(changelog)  # type: ignore[arg-type]
    await made._read(changelog)  # type: ignore[arg-type]
    await made._look(changelog)  # type: ignore[arg-type]


async def test_a_takeover_gets_all_that_was_read_and_where_to_go_on() -> None:
    worker = Worker()
    made = standbys_of(worker)
    await read(made, Log((b"ada", b"1"), (META_KEY, b"meta"), (b"bob", b"2"), (b"ada", None)))
    assert {0: "warm"} == made.states()
    warm = made.take(0)
    assert warm is not None
    assert {"ada": None, "bob": b"2"} == warm.engine.states
    assert (4, b"meta") == (warm.offset, warm.meta)
    assert made.take(0) is None, "it is given once"
    assert {} == made.states()


async def test_one_that_cannot_be_read_is_given_up_and_told_and_tried_again_later(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    made, changelog = standbys_of(Worker()), Log((b"ada", b"1"), (b"bob", b"poison"))
    await read(made, changelog)
    assert {0: "given up"} == made.states()
    assert "standby of changelog[0]: given up, a takeover now would read everything" in caplog.text
    assert "bob" not in caplog.text
    await read(made, changelog)
    assert {0: "given up"} == made.states(), "not at once"
    monkeypatch.setattr(standbys, "RETRY_SECONDS", 0.0)
    made._forgive(time.monotonic() + 1)
    changelog.records[1].value = b"2"
    await read(made, changelog)
    assert {0: "warm"} == made.states()


@pytest.mark.parametrize("kind", ["CoreError", "Panic"])
async def test_one_whose_compiled_core_fails_is_given_up_and_the_core_with_it(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    native = pytest.importorskip("journey_stream_native")

    class Compiled(Engine):
        def load(self, person: str, blob: bytes | None) -> None:
            raise getattr(native, kind)("why")

    class Engines:
        def __init__(self) -> None:
            self.errors: list[BaseException] = []

        def __call__(self) -> Engine:
            return Engine() if self.errors else Compiled()

        def give_up(self, error: BaseException) -> bool:
            self.errors.append(error)
            return True

    engines = Engines()
    made, changelog = standbys_of(Worker(), make_engine=engines), Log((b"ada", b"1"))
    await read(made, changelog)
    assert {0: "given up"} == made.states()
    assert [kind if kind == "CoreError" else "PanicException"] == [
        type(error).__name__ for error in engines.errors
    ]
    monkeypatch.setattr(standbys, "RETRY_SECONDS", 0.0)
    made._forgive(time.monotonic() + 1)
    await read(made, changelog)
    assert {0: "warm"} == made.states(), "with Python's engine"


async def test_one_whose_place_the_changelog_no_longer_has_is_given_up() -> None:
    made = standbys_of(Worker())
    await read(made, Log((b"ada", b"1")))
    await read(made, Log((b"bob", b"2"), first=10))
    assert {0: "given up"} == made.states()
    assert made.take(0) is None


async def test_one_that_has_not_seen_its_end_for_an_hour_is_not_used() -> None:
    made = standbys_of(Worker())
    await read(made, Log((b"ada", b"1")))
    made.kept[0].current_at -= standbys.FRESH_SECONDS + 1
    assert made.take(0) is None


async def test_once_all_that_is_awaited_is_warm_the_group_is_asked_for_another_round_once() -> None:
    worker = Worker()
    made = standbys_of(worker, awaited=True)
    changelog = Log((b"ada", b"1"))
    await made._assign(changelog)  # type: ignore[arg-type]
    made.kept[0].behind = standbys.NEAR + 1
    assert (0, {0: f"{standbys.NEAR + 1} records behind"}) == (worker.rounds, made.states())
    for _ in range(2):
        await read(made, changelog)
    assert 1 == worker.rounds
    assert frozenset({0}) == made._assignor.warm


async def test_what_has_become_ours_waits_to_be_taken_and_what_is_somebody_elses_is_dropped() -> None:
    made = standbys_of(Worker())
    await read(made, Log((b"ada", b"1")))
    made._assignor.given = Given({"events": [0]})
    made.follow([0])
    assert made.take(0) is not None
    again = standbys_of(Worker())
    await read(again, Log((b"ada", b"1")))
    again._assignor.given = Given()
    again.follow([])
    assert again.take(0) is None


# -- on a real Kafka -----------------------------------------------------------------------------------------


async def test_after_a_sudden_death_the_standby_reads_the_rest_only_and_no_record_is_wrong(
    deployment: Callable[..., Settings], tmp_path: Path
) -> None:
    port = free_ports(2)
    settings = deployment(partitions=2, web=Web(port=port), standby_replicas=1, idle_after=SECOND)
    names = await topics(settings)
    old = msgspec.msgpack.encode(Tally())
    states: list[Row] = [
        (names.changelog, p, f"old-{p}-{n}".encode(), old, []) for p in range(2) for n in range(STATES // 2)
    ]
    await send(settings, states)
    now = time.time_ns() // 1000
    times = [now - MINUTE + n * SECOND // 100 for n in range(2000)]
    rows: list[Row] = [
        (names.sources[0], n % 4, None, event(f"e{n}", f"c{n % 40}", at), []) for n, at in enumerate(times)
    ]
    await send(settings, rows[:1000])

    async def stands(number: int, *states: str) -> bool:
        status, body = await _get(port + number, "/ready")
        told = json.loads(body) if status == 200 else {}
        return sorted(states) == sorted(
            [*told.get("partitions", {}).values(), *told.get("standbys", {}).values()]
        )

    async def published() -> list[Any]:
        found = await read_values(settings, names.transitions)
        return found if len(found) >= len(rows) else []

    workers = [WorkerProcess(settings, tmp_path)]
    with ended(workers):
        await eventually(lambda: stands(0, "working", "working"))
        other = msgspec.structs.replace(settings, web=Web(port=port + 1))
        workers.append(WorkerProcess(other, tmp_path))
        for number in (0, 1):
            await eventually(lambda number=number: stands(number, "working", "warm"))  # type: ignore[misc]
        workers[0].kill()
        await send(settings, rows[1000:])
        found = await eventually(published)
        assert 0 == workers[1].terminate()
    taken = [int(n) for n in re.findall(r"taken over in .* \((\d+) changelog records\)", workers[1].text())]
    assert 2 == len(taken), "one for its share, once it was warm, one for that of the dead"
    assert max(taken) < STATES // 10, "the rest, not all"
    assert Counter(tally_oracle(values_of(rows), now)) == Counter(tally_found(found))
