"""Kill -9 of a worker whose states are on disk: the next one reads the tail of the changelog, nothing else."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from journey_stream.deployment import assemble
from journey_stream.replay import replay
from journey_stream.settings import Settings
from journey_stream.shop import ShopOptions, simulate
from journey_stream.values import DAY, SECOND, Transition
from tests.kafka.cluster import WorkerProcess, ended, eventually, read_all, read_values, send, topics


@pytest.mark.parametrize("core", ["python", "compiled"])
async def test_a_worker_killed_goes_on_from_its_disk_and_reads_only_the_tail(
    deployment: Callable[..., Settings], tmp_path: Path, core: str
) -> None:
    if core == "compiled":
        pytest.importorskip("journey_stream_native")
    records = [
        record
        for record in simulate(ShopOptions(customers=1_500, days=90, cast=False))
        if record.value is not None and record.source == "purchases"
    ]
    until = max(record.at for record in records) + 30 * DAY
    settings = deployment(
        partitions=1,
        source_partitions=1,
        clock="event",
        until=until,
        idle_after=SECOND,
        journeys=["buyer-value"],
        core=core,
        state_store="rocksdb",
        state_dir=str(tmp_path / "states"),
    )
    names = await topics(settings)
    topic_of = {name.rpartition(".")[2]: name for name in names.sources}
    rows = [(topic_of[r.source], 0, r.key, r.value, r.headers) for r in records]
    half = len(rows) // 2
    await send(settings, rows[:half])
    first = WorkerProcess(settings, tmp_path, module="journey_stream")
    with ended([first]):
        counts = [0]

        async def much_is_done_and_on_disk() -> bool:
            counts.append(len(await read_all(settings, names.changelog)))
            return counts[-1] == counts[-2] > 60

        await eventually(much_is_done_and_on_disk)
        first.kill()
    before = len(await read_all(settings, names.changelog))
    await send(settings, rows[half:])
    second = WorkerProcess(settings, tmp_path, "--exit-when-done", module="journey_stream")
    with ended([second]):
        assert 0 == second.wait()
    read = int(re.search(r"taken over in .* \((\d+) changelog records\)", second.text())[1])  # type: ignore[index]
    assert 0 < before
    assert read < before / 2

    made = assemble(settings)
    lines = [record.value for record in records if record.value is not None]
    expected = replay(made.program, [lines], made.decoder, settings.allowed_lateness, until)
    # Not by id: what comes right after the kill is late for a clock that had nothing to wait for.
    wanted = Counter((r.person, r.from_, r.to) for r in expected.records if isinstance(r, Transition))
    published = await read_values(settings, names.transitions)
    assert wanted == Counter((each["customer_id"], each["from"], each["to"]) for each in published)
    assert len(wanted) > 100
