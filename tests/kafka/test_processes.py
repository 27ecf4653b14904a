"""Several worker processes under one parent: started, told, started again, answered for, and never left alone."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from typing import Any

import pytest

from journey_stream.errors import SettingsError
from journey_stream.kafka import app
from journey_stream.kafka.processes_web import Pages, merged
from journey_stream.settings import Settings, Web
from journey_stream.values import SECOND
from tests.kafka.cluster import (
    ROOT,
    WorkerProcess,
    ended,
    eventually,
    read_values,
    send,
    tally_found,
    tally_oracle,
    topics,
)
from tests.kafka.test_worker import UNTIL, shop_rows, values_of


@contextmanager
def family(folder: Path, count: int, behaviour: str = "waits") -> Iterator[subprocess.Popen[str]]:
    """A parent over stand-ins; nothing of it stays."""
    parent = subprocess.Popen(
        [sys.executable, "-m", "tests.kafka.family", str(folder), str(count), behaviour],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield parent
    finally:
        parent.kill()
        for pid in pids(folder).values():
            if alive(pid):
                os.kill(pid, signal.SIGKILL)
        parent.communicate()


def pids(folder: Path) -> dict[int, int]:
    """Process number to the latest process id."""
    marks = sorted(folder.glob("*-*[0-9]"), key=lambda mark: mark.stat().st_mtime_ns)
    return {int(number): int(pid) for number, pid in (mark.name.split("-") for mark in marks)}


def alive(pid: int) -> bool:
    """Whether a process runs; one that nobody has buried yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until(check: Callable[[], Any], seconds: float = 60.0) -> Any:
    end = time.monotonic() + seconds
    while not (found := check()):
        assert time.monotonic() < end, "still not"
        time.sleep(0.02)
    return found


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_one_signal_to_the_parent_stops_all_of_them_well(tmp_path: Path, how: signal.Signals) -> None:
    with family(tmp_path, 2) as parent:
        until(lambda: len(pids(tmp_path)) == 2)
        parent.send_signal(how)
        assert 0 == parent.wait(60)
    assert 2 == len(list(tmp_path.glob("*.ended")))


def test_a_ctrl_c_at_the_terminal_reaches_each_of_them_once_as_a_stop(tmp_path: Path) -> None:
    with family(tmp_path, 2) as parent:
        until(lambda: len(pids(tmp_path)) == 2)
        os.killpg(parent.pid, signal.SIGINT)  # what a terminal does
        assert 0 == parent.wait(60)
    assert 2 == len(list(tmp_path.glob("*.ended")))


def test_a_second_signal_stops_even_those_that_do_not_listen(tmp_path: Path) -> None:
    with family(tmp_path, 2, "deaf") as parent:
        found = until(lambda: pids(tmp_path) if len(pids(tmp_path)) == 2 else None)
        parent.send_signal(signal.SIGTERM)
        time.sleep(0.6)
        assert parent.poll() is None
        parent.send_signal(signal.SIGTERM)
        assert 1 == parent.wait(60)
        assert not any(alive(pid) for pid in found.values())


def test_one_that_died_is_started_again_and_the_log_says_so(tmp_path: Path) -> None:
    with family(tmp_path, 2) as parent:
        first = until(lambda: pids(tmp_path) if len(pids(tmp_path)) == 2 else None)
        os.kill(first[2], signal.SIGKILL)
        second = until(lambda: pids(tmp_path) if pids(tmp_path)[2] != first[2] else None)
        assert second[1] == first[1]
        parent.terminate()
        told = parent.communicate(timeout=60)[1]
        assert 0 == parent.returncode
    assert "process 2 died (SIGKILL): started again in" in told


def test_when_they_cannot_start_the_parent_gives_up_with_their_exit_code(tmp_path: Path) -> None:
    with family(tmp_path, 1, "fails") as parent:
        told = parent.communicate(timeout=90)[1]
        assert 2 == parent.returncode
    assert "error: process 1: there is no such thing" in told
    assert "for the 5th time in a row: giving up" in told
    assert 5 == len(list(tmp_path.iterdir()))


def test_none_is_left_when_the_parent_is_killed(tmp_path: Path) -> None:
    with family(tmp_path, 2) as parent:
        found = until(lambda: pids(tmp_path) if len(pids(tmp_path)) == 2 else None)
        parent.kill()
        until(lambda: not any(alive(pid) for pid in found.values()))
    assert 2 == len(list(tmp_path.glob("*.ended"))), "they stopped well"


def test_the_parent_ends_when_all_are_done(tmp_path: Path) -> None:
    with family(tmp_path, 2, "done") as parent:
        assert 0 == parent.wait(60)
    assert 2 == len(pids(tmp_path))


# -- pages ---------------------------------------------------------------------------------------------------


class Page(BaseHTTPRequestHandler):
    """What a worker would answer."""

    answers: dict[str, tuple[int, str]]

    def do_GET(self) -> None:
        status, body = self.answers[self.path]
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def worker_pages(port: int, ready: int) -> Iterator[None]:
    answers = {
        "/health": (200, json.dumps({"status": "ok"})),
        "/ready": (ready, json.dumps({"ready": ready == 200})),
        "/metrics": (200, '# HELP a_total A.\n# TYPE a_total counter\na_total{topic="x y"} 1.0\nb 2.0\n'),
    }
    server = ThreadingHTTPServer(("127.0.0.1", port), type("One", (Page,), {"answers": answers}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


def free_ports(count: int) -> int:
    """The first of some free ports in a row."""
    while True:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            first: int = free.getsockname()[1]
        try:
            app.check_ports(Settings(web=Web(port=first)), count)
        except SettingsError:
            continue
        return first


def test_the_pages_of_the_parent_are_well_only_when_all_are(tmp_path: Path) -> None:
    port = free_ports(3)
    states = {1: "running", 2: "running"}
    pages = Pages(Settings(web=Web(port=port)), lambda: states)
    try:
        with worker_pages(port + 1, 200), worker_pages(port + 2, 503):
            assert 200 == pages.answer("/health")[0]
            status, _, body = pages.answer("/ready")
            assert (503, False) == (status, json.loads(body)["ready"])
            assert [True, False] == [json.loads(body)["processes"][n]["ready"] for n in "12"]
            metrics = pages.answer("/metrics")[2].decode()
            assert 'a_total{process="1",topic="x y"} 1.0' in metrics
            assert 404 == pages.answer("/table")[0]
            states[2] = "down"
            assert 503 == pages.answer("/health")[0]
            states[2] = "finished"
            assert 200 == pages.answer("/ready")[0]
        assert 503 == pages.answer("/health")[0], "the first does not answer any more"
        listed = json.loads(pages.answer("/")[2])["processes"]
        assert {"state": "running", "pages": f"http://127.0.0.1:{port + 1}/"} == listed["1"]
    finally:
        pages.stop()


def test_metrics_of_several_processes_stay_one_family_each() -> None:
    one = "# HELP a A.\n# TYPE a gauge\na 1.0\n# HELP b B.\n# TYPE b gauge\nb 1.0\n"
    assert [
        "# HELP a A.",
        "# TYPE a gauge",
        'a{process="1"} 1.0',
        'a{process="2"} 1.0',
        "# HELP b B.",
        "# TYPE b gauge",
        'b{process="1"} 1.0',
        'b{process="2"} 1.0',
    ] == merged({2: one, 1: one}).splitlines()


def test_ports_that_are_taken_or_do_not_exist_are_named_before_anything_starts() -> None:
    with pytest.raises(SettingsError, match="4 processes need the ports 65533 to 65537"):
        app.check_ports(Settings(web=Web(port=65_533)), 4)
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", free_ports(2) + 1))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=f"127.0.0.1:{port}"):
            app.check_ports(Settings(web=Web(port=port - 1)), 1)


# -- on a real Kafka -----------------------------------------------------------------------------------------


async def test_processes_share_the_partitions_and_one_that_is_killed_leaves_no_trace(
    deployment: Callable[..., Settings], tmp_path: Path
) -> None:
    port = free_ports(3)
    settings = deployment(clock="event", until=UNTIL, idle_after=5 * SECOND, processes=2, web=Web(port=port))
    names = await topics(settings)
    rows = shop_rows(names, 4000, Random(5))
    half = len(rows) // 2
    await send(settings, rows[:half])
    parent = WorkerProcess(settings, tmp_path, "--exit-when-done")
    with ended([parent]):

        async def both_at_work() -> dict[int, int]:
            # The second is ready once it has been given its share.
            shared = {"worker-1", "worker-2"} <= set(
                re.findall(r"INFO (worker-\d) \S+: \S+ taken over", parent.text())
            )
            return started(parent.text()) if shared else {}

        found = await eventually(both_at_work)
        os.kill(found[2], signal.SIGKILL)
        await send(settings, rows[half:])
        assert 0 == parent.wait(120)
    assert "process 2 died (SIGKILL): started again" in parent.text()
    assert not any(alive(pid) for pid in started(parent.text()).values())
    assert Counter(tally_oracle(values_of(rows), UNTIL)) == Counter(
        tally_found(await read_values(settings, names.transitions))
    )


def started(text: str) -> dict[int, int]:
    """Process number to process id, as the log tells it."""
    return {int(number): int(pid) for number, pid in re.findall(r"process (\d) started \(pid (\d+)\)", text)}
