"""Worker processes on a real Kafka: shared work, sudden deaths, restarts, dead letters, pages, the way out."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from journey_stream.broker import EmbeddedKafka
from journey_stream.deployment import assemble
from journey_stream.encode import structured
from journey_stream.kafka.checkpoint import Writer
from journey_stream.replay import replay
from journey_stream.settings import Checkpoint, Compression, Fetch, Settings, TopicNames, Web
from journey_stream.shop.records import ShopOptions
from journey_stream.shop.simulate import simulate
from journey_stream.values import DAY, HOUR, MINUTE, SECOND, Transition, rfc3339
from tests.kafka.cluster import (
    Row,
    WorkerProcess,
    client,
    ended,
    eventually,
    read_all,
    read_values,
    send,
    tally_found,
    tally_oracle,
    topics,
)

START = 1_767_225_600 * SECOND
UNTIL = START + 40 * DAY
DONE = "--exit-when-done"
ATTRIBUTES_AT, CONTROL = 21, 0x20
"""Of a record batch."""
CODECS = {0: "none", 1: "gzip", 3: "lz4", 4: "zstd"}

Make = Callable[..., Settings]


def event(event_id: str, person: str, at: int, type: str = "order_completed", **more: Any) -> bytes:
    fields = {"event_id": event_id, "type": type, "occurred_at": rfc3339(at), "customer_id": person, **more}
    return json.dumps(fields).encode()


def shop_rows(names: TopicNames, count: int, random: Random, people: int = 40) -> list[Row]:
    """Events over all sources and partitions, each source in order but for the lateness, some twice."""
    rows: list[Row] = []
    for number in range(count):
        at = START + number * 30 * DAY // count - random.randrange(20 * MINUTE)
        value = event(
            f"e{number}",
            f"c{random.randrange(people)}",
            max(START, at),
            random.choice(["order_completed", "page_viewed"]),
        )
        row = (random.choice(names.sources), random.randrange(4), b"any", value, [])
        rows += [row, row] if random.random() < 0.05 else [row]
    return rows


def values_of(rows: list[Row]) -> list[bytes]:
    return [row[3] for row in rows if row[3] is not None]


async def test_two_workers_share_the_work_and_agree_with_the_sorted_history(
    deployment: Make, tmp_path: Path
) -> None:
    settings = deployment(clock="event", until=UNTIL, idle_after=SECOND)
    names = await topics(settings)
    rows = shop_rows(names, 3000, Random(1))
    await send(settings, rows)
    workers = [WorkerProcess(settings, tmp_path, DONE) for _ in range(2)]
    with ended(workers):
        assert [0, 0] == [worker.wait() for worker in workers]
    found = tally_found(await read_values(settings, names.transitions))
    assert Counter(tally_oracle(values_of(rows), UNTIL)) == Counter(found)
    shares = [worker.text().count("taken over in") for worker in workers]
    assert min(shares) >= 1, "both took part"


async def test_a_worker_killed_in_the_middle_leaves_no_trace_in_what_is_committed(
    deployment: Make, tmp_path: Path
) -> None:
    # Checkpoints are far apart, so that death takes much uncommitted work with it; and no pause of the feeding
    # may look like the end of the sources.
    settings = deployment(
        clock="event",
        until=UNTIL,
        idle_after=8 * SECOND,
        checkpoint=Checkpoint(interval=700_000, records=10**6),
    )
    names = await topics(settings)
    rows = shop_rows(names, 6000, Random(2))
    third = len(rows) // 3
    workers = [WorkerProcess(settings, tmp_path, DONE) for _ in range(2)]
    with ended(workers):
        for victim in (0, 1):
            seen = len(await read_all(settings, names.transitions))
            part = rows[victim * third : (victim + 1) * third]
            feeding = asyncio.create_task(_pace(settings, part, seconds=6))

            async def moves(than: int = seen) -> bool:
                return len(await read_all(settings, names.transitions)) > than

            await eventually(moves)
            workers[victim].kill()
            workers.append(WorkerProcess(settings, tmp_path, DONE))
            await feeding
        # What is left is sent after the last death: the work cannot have been over before it.
        await _pace(settings, rows[2 * third :], seconds=1)
        assert [0, 0] == [worker.wait() for worker in workers[2:]]
    found = tally_found(await read_values(settings, names.transitions))
    assert Counter(tally_oracle(values_of(rows), UNTIL)) == Counter(found)


async def _pace(settings: Settings, rows: list[Row], seconds: float) -> None:
    parts = max(1, int(seconds * 2))
    for part in range(parts):
        await send(settings, rows[part * len(rows) // parts : (part + 1) * len(rows) // parts])
        await asyncio.sleep(seconds / parts)


async def test_batches_lost_on_their_way_to_the_lanes_are_fetched_again(
    deployment: Make, tmp_path: Path
) -> None:
    settings = deployment(clock="event", until=UNTIL, idle_after=8 * SECOND, fetch=Fetch(records=20))
    names = await topics(settings)
    rows = shop_rows(names, 3000, Random(4))
    await send(settings, rows)
    worker = WorkerProcess(settings, tmp_path, module="tests.kafka.lossy_worker")
    with ended([worker]):
        assert 0 == worker.wait()
    found = tally_found(await read_values(settings, names.transitions))
    assert Counter(tally_oracle(values_of(rows), UNTIL)) == Counter(found)
    assert "fetched again" in worker.text()


@pytest.mark.parametrize(
    "compression", [Compression(), Compression("zstd", "lz4"), Compression("gzip", "zstd")]
)
async def test_journeys_of_a_shop_are_those_of_replay(
    compression: Compression, deployment: Make, kafka: EmbeddedKafka, tmp_path: Path
) -> None:
    records = list(
        simulate(ShopOptions(customers=60, days=200, cast=False, duplicates=0.05, out_of_order=0.1))
    )
    until = max(record.at for record in records) + 30 * DAY
    settings = deployment(
        clock="event",
        until=until,
        idle_after=SECOND,
        journeys=["buyer-value", "relationship"],
        compression=compression,
    )
    names = await topics(settings)
    topic_of = {name.rpartition(".")[2]: name for name in names.sources}
    random = Random(3)
    await send(
        settings,
        [(topic_of[r.source], random.randrange(4), r.key, r.value, r.headers) for r in records],
    )
    worker = WorkerProcess(settings, tmp_path, DONE, module="journey_stream")
    with ended([worker]):
        assert 0 == worker.wait()
    made = assemble(settings)
    lines = [[r.value for r in records if r.source == s and r.value is not None] for s in topic_of]
    expected = replay(made.program, lines, made.decoder, settings.allowed_lateness, until)
    wanted = Counter(_content(json.loads(structured(record))["data"]) for record in expected.records)
    published = await read_values(settings, names.transitions) + await read_values(settings, names.signals)
    assert wanted == Counter(_content(record) for record in published)
    assert sum(wanted.values()) > 100
    stages: dict[bytes, str] = {}
    for record in await read_all(settings, names.stages):
        if record.value is None:
            stages.pop(record.key, None)  # a forgotten person
        else:
            stages[record.key] = json.loads(record.value)["stage"]
    last: dict[bytes, str] = {}
    for move in sorted((r for r in expected.records if isinstance(r, Transition)), key=lambda m: m.sequence):
        last[f"{move.person}|{move.journey}".encode()] = move.to
    assert {key: last[key] for key in stages} == stages
    assert len(stages) > 50
    public, internal = codecs(kafka, names.transitions), codecs(kafka, names.changelog)
    assert ({compression.public}, {compression.internal}) == (public, internal)
    assert codecs(kafka, names.stages) == public
    assert compression.internal in codecs(kafka, names.events)  # markers of the clock, too


def codecs(kafka: EmbeddedKafka, topic: str) -> set[str]:
    """How the records of a topic lie on the broker's disk, ends of transactions aside."""
    found = set()
    for segment in kafka.folder.rglob(f"{topic}-*/*.log"):
        rest = segment.read_bytes()
        while rest.strip(b"\0"):
            attributes = int.from_bytes(rest[ATTRIBUTES_AT : ATTRIBUTES_AT + 2], "big")
            if not attributes & CONTROL:
                found.add(CODECS[attributes & 7])
            rest = rest[12 + int.from_bytes(rest[8:12], "big") :]
    return found


def _content(record: dict[str, Any]) -> str:
    """A record but for what may differ between two ways to the same result."""
    return json.dumps(
        {k: v for k, v in record.items() if k not in ("decided_at", "sequence")}, sort_keys=True
    )


async def test_every_reason_has_its_dead_letter_once_and_good_events_go_on(
    deployment: Make, tmp_path: Path
) -> None:
    settings = deployment(clock="event", until=UNTIL, idle_after=SECOND)
    names = await topics(settings)
    visits = names.sources[0]
    now = int(time.time() * SECOND)
    headers = [("trace", b"\x00\xff"), ("trace", b"again")]
    bad: dict[str, bytes | None] = {
        "not_json": b'{"event_id": "\xff',
        "missing_field": b'{"type": "page_viewed", "occurred_at": "2026-01-01T00:00:00Z", "customer_id": "c"}',
        "wrong_type": event("w", "c", START, properties={"total": "much"}),
        "unknown_type": event("u", "c", START, type="never_heard_of"),
        "bad_time": event("f", "c", now + HOUR),
        "no_identity": json.dumps(
            {"event_id": "n", "type": "page_viewed", "occurred_at": rfc3339(START)}
        ).encode(),
        "too_large": event("l", "c", START, properties={"coupon": "x" * (10 << 20)}),
        "processing_error": event("poison", "c", START),
    }
    rows: list[Row] = [(visits, 0, b"key", value, headers) for value in bad.values()]
    rows.append((visits, 0, None, None, []))  # neither key nor value
    good = [event(f"g{n}", f"c{n}", START + n * HOUR) for n in range(50)]
    rows += [(names.sources[1], n % 4, None, value, []) for n, value in enumerate(good)]
    # On every source partition something young, so that the clock moves far beyond the window.
    rows += [
        (source, p, None, event(f"young-{source}-{p}", "y", START + 30 * DAY), [])
        for source in names.sources
        for p in range(4)
    ]
    await send(settings, rows)
    worker = WorkerProcess(settings, tmp_path)
    with ended([worker]):

        async def good_ones_are_out() -> bool:
            found = await read_values(settings, names.transitions)
            return sum("/order/g" in r["transition_id"] for r in found) >= 50

        await eventually(good_ones_are_out)
        bad["too_late"] = event("old", "c", START)
        await send(settings, [(visits, 1, b"key", bad["too_late"], headers)])

        async def all_letters() -> bool:
            return len(await read_all(settings, names.dead_letters)) >= len(bad) + 1

        await eventually(all_letters)
        assert 0 == worker.terminate()
    letters = await read_all(settings, names.dead_letters)
    by_reason: dict[str, list[Any]] = {}
    for letter in letters:
        by_reason.setdefault(_header(letter, "reason"), []).append(letter)
    assert len(bad) + 1 == len(letters)
    assert [2] == [len(found) for reason, found in by_reason.items() if reason == "not_json"]
    for reason, value in bad.items():
        letter = by_reason[reason][0]
        assert (b"key", value) == (letter.key, letter.value), reason
        assert headers == [h for h in letter.headers if not h[0].startswith("journey_stream")]
        assert visits == _header(letter, "source_topic")
    offsets = {_header(x, "source_partition") + "/" + _header(x, "source_offset") for x in letters}
    assert len(letters) == len(offsets)


def _header(record: Any, name: str) -> str:
    return str(dict(record.headers)[f"journey_stream_{name}"].decode())


async def test_a_restart_goes_on_with_state_and_numbers(deployment: Make, tmp_path: Path) -> None:
    settings = deployment(idle_after=SECOND // 2)
    names = await topics(settings)
    now = int(time.time() * SECOND)
    numbers = []
    for round_ in range(2):
        await send(settings, [(names.sources[1], 0, None, event(f"r{round_}", "c1", now + round_), [])])
        worker = WorkerProcess(settings, tmp_path)
        with ended([worker]):

            async def there(count: int = round_ + 1) -> bool:
                return len(await read_all(settings, names.transitions)) >= count

            await eventually(there)
            began = time.monotonic()
            assert 0 == worker.terminate()
            assert time.monotonic() - began < 20
            numbers = [r["sequence"] for r in await read_values(settings, names.transitions)]
    assert [1, 2] == numbers
    orders = [r["attributes"]["orders"] for r in await read_values(settings, names.transitions)]
    assert [1, 2] == orders


async def test_a_lane_that_fails_starts_over_and_the_others_go_on(deployment: Make, tmp_path: Path) -> None:
    settings = deployment(idle_after=SECOND // 2)
    names = await topics(settings)
    now = int(time.time() * SECOND)

    async def order_of_all(round_: int) -> None:
        rows = [
            (names.sources[1], n % 4, None, event(f"{round_}-{n}", f"c{n}", now + round_), [])
            for n in range(40)
        ]
        await send(settings, rows)

    worker = WorkerProcess(settings, tmp_path)
    with ended([worker]):
        await order_of_all(1)

        async def first() -> bool:
            return len(await read_all(settings, names.transitions)) >= 40

        await eventually(first)
        # Somebody takes the transactional id of one partition: its owner is fenced.
        thief = Writer(
            client(settings),
            application_id=settings.application_id,
            partition=2,
            partitions=4,
        )
        await thief.start()
        await thief.stop()
        await order_of_all(2)

        async def second() -> bool:
            return len(await read_all(settings, names.transitions)) >= 80

        await eventually(second)
        assert 0 == worker.terminate()
    found = tally_found(await read_values(settings, names.transitions))
    assert 80 == len(found) == len(set(found))
    assert {1, 2} == {sequence for _, sequence, _ in found}
    assert "fenced: another worker took over" in worker.text()
    assert "c1" not in [word.strip("',.") for word in worker.text().split()], "no customer in the logs"


async def test_pages_tell_whether_it_is_well_and_what_it_did(deployment: Make, tmp_path: Path) -> None:
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = deployment(idle_after=SECOND // 2, web=Web(port=port))
    names = await topics(settings)
    now = int(time.time() * SECOND)
    await send(settings, [(names.sources[1], 0, None, event("p1", "c1", now), [])])
    worker = WorkerProcess(settings, tmp_path)
    with ended([worker]):

        async def ready() -> bool:
            return (await _get(port, "/ready"))[0] == 200

        await eventually(ready)

        async def counted() -> str:
            text = (await _get(port, "/metrics"))[1]
            return text if "journey_stream_transitions_total{" in text else ""

        text = await eventually(counted)
        assert (200, "ok") == _status(await _get(port, "/health"))
        assert 404 == (await _get(port, "/table/"))[0]
        assert 0 == worker.terminate()
    for expected in (
        f'journey_stream_events_total{{outcome="read",topic="{names.sources[1]}"}} 1.0',
        'journey_stream_transitions_total{from_stage="(none)",journey="tally",to_stage="ordered-1",trigger="event"} 1.0',
        'journey_stream_stage_population{journey="tally",stage="ordered-1"} 1.0',
        'journey_stream_restore_remaining_records{partition="0"} 0.0',
        "journey_stream_clock_lag_seconds{",
        "journey_stream_checkpoint_duration_seconds_count",
        "journey_stream_rebalances_total 1.0",
    ):
        assert expected in text
    assert "c1" not in text


async def _get(port: int, path: str) -> tuple[int, str]:
    def get() -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    return await asyncio.to_thread(get)


def _status(answer: tuple[int, str]) -> tuple[int, str]:
    return answer[0], json.loads(answer[1])["status"]
