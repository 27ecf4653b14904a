"""A changelog with a record that this program cannot read: its partition stops loudly, the others go on."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from journey_stream.kafka.changelog import META_KEY
from journey_stream.kafka.hop import Partitioner
from journey_stream.settings import Settings
from journey_stream.values import SECOND
from tests.faults.rounds import PEOPLE, Rounds, becomes_unwell, becomes_well, metric, page, rounds
from tests.kafka.cluster import WorkerProcess, eventually, read_all, read_values, send

pytestmark = pytest.mark.slow
Make = Callable[..., Settings]
WHERE = Partitioner(4)


def newer(state: bytes) -> bytes:
    return b"\x63" + state[1:]


def damaged_inside(state: bytes) -> bytes:
    return state[:20] + b"\xc1" * (len(state) - 20)


def garbage(state: bytes) -> bytes:
    return b"not a state"


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (newer, "a newer version of journey_stream wrote it (upgrade this worker)"),
        (garbage, "11 bytes came"),
        (damaged_inside, "the bytes are damaged"),
    ],
)
async def test_a_state_that_cannot_be_read_stops_its_partition_alone_until_it_is_replaced(
    deployment: Make, tmp_path: Path, spoil: Callable[[bytes], bytes], words: str
) -> None:
    settings = deployment(idle_after=SECOND // 2, journeys=["buyer-value"])
    async with rounds(settings, tmp_path) as on:
        worker = on.start_worker(tally=False)
        await on.order()
        await entered(on, 1)
        assert 0 == worker.terminate()
        states = {r.key: r for r in await read_all(settings, on.names.changelog) if r.value is not None}
        victim = next(f"c{n}".encode() for n in range(PEOPLE) if WHERE(f"c{n}".encode()) == 2)
        good = states[victim].value
        await send(settings, [(on.names.changelog, 2, victim, spoil(good), [])])

        worker = on.start_worker(tally=False)
        await on.order()
        await becomes_unwell(worker, words)
        # The message names the place, not the customer; of the other partitions nobody is missing.
        place = f"changelog {on.names.changelog}[2]@"
        await becomes_unwell(worker, place)
        assert 3 * "working" == "".join(await states_of(worker))
        await entered(on, 2, but=2)
        assert 0 < await metric(worker, 'journey_stream_lane_failures_total{lane="journeys"}')
        assert str(victim) not in worker.text()
        # The way out: the record as it was, or none, under the same key.
        await send(settings, [(on.names.changelog, 2, victim, good, [])])
        await becomes_well(worker)
        await entered(on, 2)
        assert 0 == worker.terminate()


async def test_a_checkpoint_of_a_newer_version_stops_its_partition_alone_and_names_the_upgrade(
    deployment: Make, tmp_path: Path
) -> None:
    settings = deployment(idle_after=SECOND // 2)
    async with rounds(settings, tmp_path) as on:
        worker = on.start_worker()
        await on.order()
        await on.all_there()
        assert 0 == worker.terminate()
        await send(settings, [(on.names.changelog, 1, META_KEY, b"\x93\x02\x01\x02", [])])
        worker = on.start_worker()
        await on.order()
        await becomes_unwell(
            worker, f"changelog {on.names.changelog}[1]: checkpoint: expected format 1, came 2"
        )
        assert "upgrade this worker" in worker.text()

        async def others_are_out() -> bool:
            return (await on.verdict())[0] == on.due_in([1]) // 2

        await eventually(others_are_out)


async def states_of(worker: WorkerProcess) -> list[str]:
    states = json.loads((await page(worker, "/ready"))[1])["partitions"].values()
    return [state for state in states if state == "working"]


async def entered(on: Rounds, times: int, but: int | None = None) -> None:
    """Wait until everybody has moved so often, those of one partition left out."""
    everybody = [f"c{n}" for n in range(PEOPLE) if but is None or WHERE(f"c{n}".encode()) != but]

    async def moved() -> bool:
        records = await read_values(on.settings, on.names.transitions)
        found = Counter(r["customer_id"] for r in records if r["cause"]["type"] == "order_completed")
        return all(found[person] >= times for person in everybody)

    await eventually(moved)
