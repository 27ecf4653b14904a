"""`broker` and `demo` as processes: what they print, and that they leave nothing behind."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from journey_stream.broker.embedded import answers

pytestmark = pytest.mark.broker

DOOR = [sys.executable, "-m", "journey_stream"]


@contextmanager
def started(*arguments: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Start a verb whose temporary files and child processes can be told by `folder`."""
    process = subprocess.Popen(
        [*DOOR, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(folder)},
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def children(folder: Path) -> list[str]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = entry.read_bytes().decode(errors="replace").replace("\0", " ")
        except OSError:
            continue
        if str(folder) in command:
            found.append(command)
    return found


def nothing_left(folder: Path) -> None:
    deadline = time.monotonic() + 20
    while children(folder) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert [] == children(folder)
    assert [] == list(folder.iterdir())


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_broker_runs_until_it_is_told_to_stop(tmp_path: Path, how: signal.Signals):
    with started("broker", "--port", "0", "--json", folder=tmp_path) as process:
        assert process.stdout is not None
        facts = json.loads(process.stdout.readline())
        host, port = facts["bootstrap_servers"].split(":")
        assert answers(host, int(port))
        assert children(tmp_path)
        process.send_signal(how)
        assert 0 == process.wait(40)
    nothing_left(tmp_path)


def test_demo_shows_every_model_and_leaves_nothing(tmp_path: Path):
    with started(
        "demo", "--days", "40", "--customers", "60", "--poison", "0.01", "--json", folder=tmp_path
    ) as process:
        out, err = process.communicate(timeout=240)
    assert 0 == process.returncode, err
    numbers = json.loads(out)
    assert {"relationship", "lifecycle", "brand", "buyer-value", "four-cycles"} == set(numbers["stages"])
    assert numbers["events"] > 500
    assert min(numbers["transitions"], numbers["signals"]) > 100
    assert numbers["dead_letters"]
    nothing_left(tmp_path)


@pytest.mark.parametrize("after", ["starting Apache Kafka", "topics made", "events sent"])
def test_ctrl_c_at_any_time_leaves_nothing(tmp_path: Path, after: str):
    with started("demo", "--days", "60", "--customers", "300", "--json", folder=tmp_path) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if after in line:
                break
        else:
            pytest.fail(f"{after!r} never came")
        if "starting" not in after:
            assert children(tmp_path)
        process.send_signal(signal.SIGINT)
        process.wait(60)
    assert 130 == process.returncode
    nothing_left(tmp_path)


def test_demo_writes_files_that_replay_reads(tmp_path: Path):
    shop = tmp_path / "shop"
    command = [*DOOR, "demo", "--files", str(shop), "--days", "20", "--customers", "20", "--poison", "0"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    files = sorted(shop.glob("*.jsonl"))
    assert ["purchases.jsonl", "surveys.jsonl", "tickets.jsonl", "visits.jsonl"] == [
        each.name for each in files
    ]
    assert "the simulated time ends at 2024-01-21T00:00:00Z" in told
    replayed = subprocess.run([*DOOR, "replay", *map(str, files)], capture_output=True, text=True, check=True)
    assert replayed.stdout.count("\n") > 50
    assert "" == replayed.stderr
