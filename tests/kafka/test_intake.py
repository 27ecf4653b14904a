"""Intake judges records and sends them on untouched; a lane hands on without gaps whatever fails."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import CommitFailedError, KafkaError
from faust.types import TP

from journey_stream.errors import SettingsError
from journey_stream.kafka import app, hop, inbox, intake
from journey_stream.kafka.inbox import Batch, Position
from journey_stream.kafka.intake import Intake, IntakeLane
from journey_stream.kafka.metrics import Metrics
from journey_stream.kafka.sender import Row
from journey_stream.settings import Settings, Web
from tests.kafka.log import DECODER, START, event_bytes

VISITS = TP("j.visits", 3)


def record(offset: int, value: bytes | None, headers: Any = ()) -> Any:
    return SimpleNamespace(
        offset=offset, value=value, key=b"theirs", headers=headers, timestamp=START // 1000
    )


def judge(*records: Any) -> tuple[dict[int, list[Row]], int | None, Intake]:
    rows: dict[int, list[Row]] = {}
    made = Intake(DECODER, *VISITS, hop.Partitioner(4))
    return rows, made.take(records, rows, None), made


def test_an_event_goes_to_its_persons_partition_as_it_came() -> None:
    value = event_bytes("e", "c1", START)
    rows, highest, made = judge(record(7, value, (("h", b"1"),)))
    [(partition, [(key, sent, headers)])] = rows.items()
    assert hop.Partitioner(4)(b"c1") == partition
    assert (b"theirs", value, START) == (key, sent, highest)
    assert (hop.EVENT, 14, START, hop.pack_source(*VISITS)) == hop.unpack(headers[0][1])
    assert [("h", b"1")] == headers[1:]
    assert 1 == made.counts["j.visits", "read"]


def test_a_bad_record_goes_on_with_its_reason_and_moves_no_clock() -> None:
    rows, highest, _ = judge(record(7, b"\xff", (("h", b"1"),)))
    [[(key, value, headers)]] = rows.values()
    assert (b"theirs", b"\xff", None) == (key, value, highest)
    assert hop.DEAD == hop.unpack(headers[0][1])[0]
    assert "not_json" == hop.unpack_dead(headers[1][1])[0]
    assert [("h", b"1")] == headers[2:]


def test_a_referral_makes_an_event_of_its_own_for_the_referrer() -> None:
    value = json.loads(event_bytes("e", "newcomer", START, "referral_converted"))
    value["properties"] = {"referrer_id": "old-friend"}
    rows, _, _ = judge(record(7, json.dumps(value).encode()))
    found = [hop.unpack(headers[0][1])[1] for batch in rows.values() for _, _, headers in batch]
    assert [14, 15] == sorted(found)
    derived = [json.loads(v or b"") for b in rows.values() for _, v, h in b if hop.unpack(h[0][1])[1] == 15]
    assert ["old-friend"] == [each["customer_id"] for each in derived]


class FakeWorker:
    """Takes what a lane sends, and fails when told."""

    def __init__(self) -> None:
        self.sent: list[int] = []
        self.fail_sends = 0
        self.commit_error: Exception | None = None
        self.epoch = 1
        self.offset = 0
        self.failures = 0
        self.seeks: list[int | None] = []
        self.first = 0
        self.held: set[str] = set()

    async def send_hop(self, rows: dict[int, list[Row]], ready: Any = None) -> None:
        assert not ready
        if self.fail_sends:
            self.fail_sends -= 1
            raise KafkaError("the broker is away")
        self.sent += sorted(hop.unpack(h[0][1])[1] // 2 for batch in rows.values() for _, _, h in batch)

    async def seek(self, tp: TP, offset: int | None) -> Position:
        self.seeks.append(offset)
        self.epoch += 1
        return Position(self.epoch, max(offset or 0, self.first))

    async def committed(self, tp: TP) -> int:
        return self.offset

    async def commit(self, tp: TP, offset: int) -> None:
        if self.commit_error is not None:
            raise self.commit_error
        self.offset = offset

    def hold(self, tp: TP, why: str) -> None: ...

    def release(self, tp: TP, why: str) -> None: ...

    def is_held(self, tp: TP, why: str) -> bool:
        return why in self.held

    def moved(self) -> None: ...

    def failed(self, lane: str, where: str, error: BaseException) -> None:
        self.failures += 1


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "BACKOFF", (0.01, 0.02))
    monkeypatch.setattr(intake, "COMMIT_SECONDS", 0.02)


def python() -> Intake:
    return Intake(DECODER, *VISITS, hop.Partitioner(4))


def lane_of(worker: FakeWorker, make_intake: Callable[[], Intake] = python) -> IntakeLane:
    lane = IntakeLane(worker, VISITS, make_intake, Metrics())
    lane.start(Position(1, 0), None)
    return lane


def batch(epoch: int, start: int, end: int) -> Batch:
    return Batch([record(o, event_bytes(f"e{o}", "c", START + o)) for o in range(start, end)], epoch, start)


async def until(check: Any) -> None:
    async with asyncio.timeout(5):
        while not check():
            await asyncio.sleep(0.005)


async def test_a_source_that_is_ahead_hands_nothing_on_until_slower_ones_have_come_along(fast: None) -> None:
    worker = FakeWorker()
    worker.held.add("ahead")
    lane = lane_of(worker)
    lane.inbox.put(batch(1, 0, 3))
    await asyncio.sleep(0.1)
    assert ([], 3) == (worker.sent, lane.inbox.queued)
    worker.held.clear()
    lane.inbox.wake.set()
    await until(lambda: worker.offset == 3)
    assert [3, 0] == [lane.lead.beyond(START + 1), lane.lead.beyond(START + 2)]
    await lane.close(1)


async def test_progress_is_told_before_all_that_waits_is_handed_on(
    fast: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "TOGETHER", 4)
    monkeypatch.setattr(intake, "SLICE", 2)
    worker = FakeWorker()
    told: list[int | None] = []
    lane = lane_of(worker)
    worker.moved = lambda: told.append(lane.done)  # type: ignore[method-assign]
    lane.inbox.put(batch(1, 0, 9))
    await until(lambda: worker.offset == 9)
    assert [4, 8, 9] == told
    await lane.close(1)


async def test_what_is_handed_on_is_committed_and_told(fast: None) -> None:
    worker = FakeWorker()
    lane = lane_of(worker)
    lane.inbox.put(batch(1, 0, 3))
    await until(lambda: worker.offset == 3)
    progress = lane.progress(99, idle=True)
    assert (START + 2, True, 99, 3) == (progress.highest, progress.idle, progress.wall, progress.position)
    await lane.close(1)


async def test_batches_that_came_while_others_were_sent_go_together(
    fast: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, sends = FakeWorker(), 0

    async def slowly(self: FakeWorker, rows: dict[int, list[Row]], ready: Any = None) -> None:
        nonlocal sends
        sends += 1
        await asyncio.sleep(0.02)
        self.sent += [0 for batch in rows.values() for _ in batch]

    monkeypatch.setattr(FakeWorker, "send_hop", slowly)
    lane = lane_of(worker)
    lane.inbox.put(batch(1, 0, 1))
    await until(lambda: sends == 1)
    for start in range(1, 6):
        lane.inbox.put(batch(1, start, start + 1))
    await until(lambda: worker.offset == 6)
    assert (2, 6) == (sends, len(worker.sent))
    await lane.close(1)


async def test_a_panic_of_the_core_is_told_and_tried_again(
    fast: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Panic(BaseException):
        """As the compiled core raises it."""

    worker, send = FakeWorker(), FakeWorker.send_hop
    lane = lane_of(worker)

    async def panics(*given: Any) -> None:
        raise Panic

    monkeypatch.setattr(FakeWorker, "send_hop", panics)
    lane.inbox.put(batch(1, 0, 3))
    await until(lambda: worker.failures == 1)
    monkeypatch.setattr(FakeWorker, "send_hop", send)
    await until(lambda: worker.seeks)
    lane.inbox.put(batch(worker.epoch, 0, 3))
    await until(lambda: worker.offset == 3)
    await lane.close(1)


async def test_after_a_failure_the_lane_goes_on_with_an_intake_made_anew(fast: None) -> None:
    class Panic(BaseException):
        """As the compiled core raises it."""

    class Compiled(Intake):
        """It cannot bear the record at 4, however often that comes."""

        def take(self, records: Any, rows: dict[int, list[Row]], highest: int | None) -> int | None:
            if records[-1].offset < 4:
                return super().take(records, rows, highest)
            super().take(records[:-1], rows, highest)
            raise Panic

    class GivesUp(FakeWorker):
        """Makes intakes as the engines do."""

        def failed(self, lane: str, where: str, error: BaseException) -> None:
            super().failed(lane, where, error)
            made.append(python)

    made: list[Callable[[], Intake]] = [lambda: Compiled(DECODER, *VISITS, hop.Partitioner(4))]
    worker = GivesUp()
    lane = lane_of(worker, lambda: made[-1]())
    lane.inbox.put(batch(1, 0, 3))
    await until(lambda: worker.offset == 3)
    lane.inbox.put(batch(1, 3, 5))
    await until(lambda: worker.seeks == [3])
    assert START + 2 == lane.progress(0, idle=False).highest, "what was not handed on moves no clock"
    lane.inbox.put(batch(2, 3, 6))
    await until(lambda: worker.offset == 6)
    assert ([0, 1, 2, 3, 4, 5], 1) == (worker.sent, worker.failures)
    assert START + 5 == lane.progress(0, idle=False).highest
    assert 6 == lane._metrics.registry.get_sample_value(
        "journey_stream_events_total", {"topic": VISITS.topic, "outcome": "read"}
    )
    await lane.close(1)


async def test_a_failed_send_starts_over_from_what_is_committed(fast: None) -> None:
    worker = FakeWorker()
    lane = lane_of(worker)
    lane.inbox.put(batch(1, 0, 3))
    await until(lambda: worker.offset == 3)
    worker.fail_sends = 1
    lane.inbox.put(batch(1, 3, 5))
    await until(lambda: worker.seeks == [3])
    assert START + 2 == lane.progress(0, idle=False).highest, "what was not acknowledged moves no clock"
    lane.inbox.put(batch(1, 5, 6))  # still on its way from before the seek
    lane.inbox.put(batch(2, 3, 6))
    await until(lambda: worker.offset == 6)
    assert ([0, 1, 2, 3, 4, 5], 1) == (worker.sent, worker.failures)
    await lane.close(1)


async def test_a_partition_lost_to_another_worker_is_no_failure(fast: None) -> None:
    worker = FakeWorker()
    worker.commit_error = CommitFailedError("rebalanced")
    lane = lane_of(worker)
    lane.inbox.put(batch(1, 0, 3))
    await until(lambda: worker.seeks)
    assert 0 == worker.failures
    await lane.close(1)


async def test_closing_finishes_the_batch_at_hand_and_commits(fast: None) -> None:
    worker = FakeWorker()
    lane = lane_of(worker)
    lane.inbox.put(batch(1, 0, 2000))
    await asyncio.sleep(0)
    await lane.close(5)
    assert worker.offset in (0, 2000)
    assert worker.sent == list(range(worker.offset))


async def test_a_batch_that_never_arrives_is_fetched_again(
    fast: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "LOST_SECONDS", 0.02)
    worker = FakeWorker()
    lane = lane_of(worker)
    lane.inbox.put(batch(1, 0, 3))
    await until(lambda: worker.offset == 3)
    assert lane.has_received(3)
    assert not lane.has_received(5)
    await asyncio.sleep(0.03)
    assert not lane.has_received(5)
    await until(lambda: worker.seeks == [3])
    await lane.close(1)


async def test_what_was_deleted_unread_is_left_behind_for_good(fast: None) -> None:
    worker = FakeWorker()
    lane = lane_of(worker)
    lane.inbox.put(batch(1, 0, 3))
    await until(lambda: worker.offset == 3)
    worker.first = 8
    lane.inbox.put(Batch([], 1, -1))  # the brokers have nothing there
    await until(lambda: worker.offset == 8)
    assert [3] == worker.seeks
    lane.inbox.put(batch(2, 8, 9))
    await until(lambda: worker.offset == 9)
    await lane.close(1)
    assert [0, 1, 2, 8] == worker.sent


async def test_what_was_deleted_before_a_start_is_left_behind_for_good(fast: None) -> None:
    worker = FakeWorker()
    lane = IntakeLane(worker, VISITS, python, Metrics())
    lane.start(Position(1, 8), 3)
    await until(lambda: worker.offset == 8)
    await lane.close(1)


def test_a_taken_port_is_named_with_the_way_out() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=f"127.0.0.1:{port}.*Choose another port, or 0"):
            app.check_ports(Settings(web=Web(port=port)))
    app.check_ports(Settings(web=Web(port=0)))
