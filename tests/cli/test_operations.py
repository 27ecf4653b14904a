"""The commands of docs/operations.md do what the page says, on a real Kafka with a worker at work."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from journey_stream.settings import Settings, TopicNames
from journey_stream.values import DAY, SECOND, rfc3339
from tests.kafka.cluster import ROOT, WorkerProcess, ended, eventually, read_all, read_values, send, topics

Make = Callable[..., Settings]
PAGE = (ROOT / "docs/operations.md").read_text("utf-8")


def section(title: str) -> str:
    """The text under a heading of the second level."""
    (text,) = re.findall(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)
    return str(text)


def commands(text: str) -> list[str]:
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return [line.split(" #")[0].strip() for block in blocks for line in block.splitlines() if line.strip()]


class Shell:
    """Runs commands of the page as they stand, against one deployment."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.folder = folder
        programs = folder / "bin"
        programs.mkdir()
        for name, command in (("journey-stream", "-m journey_stream"), ("python", "")):
            (programs / name).write_text(f'#!/bin/sh\nexec {sys.executable} {command} "$@"\n')
            (programs / name).chmod(0o755)
        own = ("bootstrap_servers", "application_id", "topic_prefix", "partitions", "journeys")
        values = {name: getattr(settings, name) for name in own}
        plain = {
            key: json.dumps(value) if isinstance(value, list) else str(value) for key, value in values.items()
        }
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("JOURNEY_STREAM_")},
            **{f"JOURNEY_STREAM_{key.upper()}": value for key, value in plain.items()},
            "PATH": f"{programs}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
        }

    async def run(self, line: str) -> subprocess.CompletedProcess[str]:
        def call() -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                line,
                shell=True,
                cwd=self.folder,
                env=self.environment,
                capture_output=True,
                text=True,
                check=False,
            )

        return await asyncio.to_thread(call)


def event(event_id: str, at: int, total: Any = 5.0) -> bytes:
    fields = {
        "event_id": event_id,
        "type": "order_completed",
        "occurred_at": rfc3339(at),
        "customer_id": "c1",
    }
    return json.dumps({**fields, "properties": {"order_id": event_id, "total": total}}).encode()


@pytest.mark.slow
async def test_dead_letters_are_looked_at_mended_and_sent_back_as_the_page_says(
    deployment: Make, tmp_path: Path
) -> None:
    text = section("Dead letters: look, mend, send back")
    settings = deployment(idle_after=SECOND // 2)
    names = TopicNames.of(settings)
    await topics(settings)
    now = time.time_ns() // 1000
    rows = [event("young", now), event("text", now, "20.5"), event("poison", now)]
    await send(settings, [(names.sources[1], 0, None, value, []) for value in rows])
    shell = Shell(settings, tmp_path)
    (mend,) = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    (tmp_path / "mend.py").write_text(mend)
    worker = WorkerProcess(settings, tmp_path)
    with ended([worker]):

        async def dead(count: int = 2) -> bool:
            return len(await read_all(settings, names.dead_letters)) == count

        await eventually(dead)
        await eventually(lambda: read_values(settings, names.transitions))
        await send(settings, [(names.sources[1], 0, None, event("old", now - 30 * DAY), [])])
        await eventually(lambda: dead(3))
        sent = {}
        for line in commands(text):
            done = await shell.run(line)
            assert 0 == done.returncode, (line, done.stderr)
            sent[line] = int((re.findall(r"^sent (\d+)", done.stderr, re.MULTILINE) or ["0"])[0])
        assert [1, 1, 1] == [count for line, count in sent.items() if "--send" in line]
        assert [0] * 4 == [count for line, count in sent.items() if "--send" not in line]

        async def mended() -> bool:
            moves = await read_values(settings, names.transitions)
            return {"young", "text", "old"} <= {m["cause"]["event_id"] for m in moves}

        await eventually(mended)
        assert 0 == worker.terminate()


async def test_the_filter_of_the_page_in_jq_is_the_one_in_python(tmp_path: Path) -> None:
    (expression,) = re.findall(r"`(jq [^`]*)`", section("Dead letters: look, mend, send back"))
    letter = {"letter": "t/0/1", "value": {"event_id": "e", "properties": {"total": "20.5"}}}
    shell = Shell(Settings(), tmp_path)
    done = await shell.run(f"command -v jq >/dev/null || exit 0; echo '{json.dumps(letter)}' | {expression}")
    assert 0 == done.returncode, done.stderr
    if done.stdout:  # jq is there
        assert 20.5 == json.loads(done.stdout)["value"]["properties"]["total"]


async def test_partitions_are_paused_and_resumed_as_the_page_says(deployment: Make, tmp_path: Path) -> None:
    settings = deployment()
    names = await topics(settings)
    shell = Shell(settings, tmp_path)
    said = []
    for line in commands(section("Pause and resume")):
        done = await shell.run(line)
        assert 0 == done.returncode, (line, done.stderr)
        said += done.stdout.splitlines()
    rests = [f"{names.events}/3", names.sources[1]]
    assert [f"{name}: paused" for name in rests] + [f"{name}: goes on" for name in rests] == said


@pytest.mark.slow
async def test_a_deployment_is_looked_at_as_the_page_says(deployment: Make, tmp_path: Path) -> None:
    settings = deployment(idle_after=SECOND // 2, journeys=["buyer-value"])
    names = await topics(settings)
    now = time.time_ns() // 1000
    rows = [event("o1", now).replace(b'"c1"', b'"customer-17"')]
    rows.append(event("o2", now).replace(b'"customer_id": "c1"', b'"anonymous_id": "browser-4"'))
    await send(settings, [(names.sources[1], 0, None, value, []) for value in rows])
    shell = Shell(settings, tmp_path)
    worker = WorkerProcess(settings, tmp_path, module="journey_stream")
    with ended([worker]):

        async def both() -> bool:
            moves = await read_values(settings, names.transitions)
            return len([move for move in moves if move["to"] == "first_time_buyer"]) == 2

        await eventually(both)
        said = {}
        for line in commands(section("Look at a running deployment")):
            done = await shell.run(line)
            assert 0 == done.returncode, (line, done.stderr)
            said[line] = done.stdout
        everything, partition, known, anonymous = said.values()
        assert f"{names.sources[1]}/0" in everything
        assert partition.startswith("partition 3\n")
        assert "buyer-value version" in known
        assert ": first_time_buyer since" in known
        assert "first_time_buyer" == json.loads(anonymous)["state"]["journeys"][0]["stage"]
        assert 0 == worker.terminate()
