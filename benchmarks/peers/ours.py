"""The worker at the job of a contestant, and the oracle of its records.

Enters: a contestant, where its input stands, what a replay of the same events gives. Leaves: a figure, or
`RunFailed`. Strategy: the worker as an operator would start it, with its defaults but for what the contestant
says; its progress is read from its metrics page five times a second and interpolated. Its net records have to
be those of the replay, id by id: an id covers everything that the history decides about a record.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.measuring import Figure, Sample, command, from_read_to_done, read_all, watched
from benchmarks.peers import workload
from benchmarks.peers.contestants import Contestant
from benchmarks.peers.programs import RunFailed
from benchmarks.peers.workload import Change
from journey_stream.broker.embedded import free_port
from journey_stream.deployment import assemble
from journey_stream.replay import replay
from journey_stream.settings import Settings, TopicNames
from journey_stream.settings_read import parse_moment
from journey_stream.values import Signal, Transition

PREFIX = "bench"


class Records(msgspec.Struct, frozen=True):
    """What has to come out of a worker."""

    ids: frozenset[str]
    moves: frozenset[tuple[str, str, str]]
    """Customer, from, to of each move between stages."""


def oracle(journeys: Sequence[str], values: Iterable[bytes], until: str) -> Records:
    """Replay the events."""
    deployment = assemble(Settings(journeys=list(journeys)))
    outcome = replay(
        deployment.program,
        [values],
        deployment.decoder,
        deployment.settings.allowed_lateness,
        parse_moment(until),
    )
    if outcome.rejections:
        raise RunFailed(f"the workload is not all usable: {outcome.rejections[0]}")
    moves = [each for each in outcome.records if isinstance(each, Transition) and each.from_ is not None]
    return Records(
        frozenset(map(_id, outcome.records)), frozenset((m.person, m.from_ or "", m.to) for m in moves)
    )


def _id(record: Transition | Signal) -> str:
    if isinstance(record, Transition):
        return record.transition_id
    return f"{record.signal_id}-{record.status}"


def agree(records: Records, due: Iterable[Change]) -> bool:
    """Tell whether a replay of the three stages moves those whom the peers' oracle moves."""
    return records.moves == {(change.customer, change.from_, change.to) for change in due}


class Job(msgspec.Struct, frozen=True):
    """What a worker has to do, and where."""

    contestant: Contestant
    bootstrap: str
    application: str
    partitions: int
    events: int


def config(job: Job, port: int) -> dict[str, Any]:
    """Configure a worker: defaults, but for where it stands and that it ends when all is done.

    At the end an eighth of the events waits for the clock, and that for sources that have ended: not long.
    """
    made: dict[str, Any] = {
        "bootstrap_servers": job.bootstrap,
        "application_id": job.application,
        "topic_prefix": PREFIX,
        "sources": [workload.source(job.contestant.layout, job.events)],
        "partitions": job.partitions,
        "source_partitions": job.partitions,
        "journeys": list(job.contestant.journeys),
        "clock": "event",
        "until": workload.moment(job.events - 1),
        "idle_after": "100ms",
        "log_level": "warning",
        "web": {"port": port},
    }
    if job.contestant.compression != "none":
        made["compression"] = {"public": job.contestant.compression}
    if job.contestant.layout == "keyed":
        made["keyed_input"] = "murmur2"
    return made


async def run(job: Job, expected: Records, folder: Path) -> Figure:
    """Let the worker do its job, check what came out, clean up.

    Raises:
        RunFailed: it ended badly, took too long, or its records are not those of the replay.
    """
    port = free_port()
    file = folder / f"{job.application}.yaml"
    file.write_text(json.dumps(config(job, port)))
    try:
        samples = await _worked(job, file, port)
        names = TopicNames.of(Settings(topic_prefix=PREFIX, application_id=job.application))
        found = [*await _ids(job.bootstrap, names.transitions), *await _ids(job.bootstrap, names.signals)]
    finally:
        command("reset", "--config", str(file), "--yes")
    wrong = differs(found, expected)
    if wrong:
        raise RunFailed(wrong)
    return from_read_to_done(samples, job.events)


async def _worked(job: Job, file: Path, port: int) -> list[Sample]:
    """Let a worker come to its end."""
    log = file.with_suffix(".log")
    with log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "journey_stream", "worker", "--config", str(file), "--exit-when-done"],
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )
    try:
        samples = await watched(process, port, 120 + job.events / 500)
    except TimeoutError:
        raise RunFailed("the worker took too long") from None
    finally:
        process.kill()
        process.wait()
    if process.returncode:
        said = " / ".join(log.read_text(errors="replace").splitlines()[-5:])
        raise RunFailed(f"the worker ended with {process.returncode}: {said[-800:]}")
    return samples


def differs(found: Sequence[str], expected: Records) -> str | None:
    """Say how records differ from those due, if they do."""
    once = set(found)
    if len(found) == len(once) and once == expected.ids:
        return None
    return (
        f"its records are not those of the replay: {len(expected.ids - once)} lost, "
        f"{len(once - expected.ids)} unexpected, {len(found) - len(once)} twice"
    )


class _Out(msgspec.Struct):
    """What identifies a record out."""

    transition_id: str | None = None
    signal_id: str | None = None
    status: str | None = None


async def _ids(bootstrap: str, topic: str) -> list[str]:
    """Read the ids of a topic as a `read_committed` reader sees them."""
    decode = msgspec.json.Decoder(_Out).decode
    each = [decode(value) async for value in read_all(bootstrap, topic)]
    return [out.transition_id or f"{out.signal_id}-{out.status}" for out in each]
