"""`explain` from the command line: from files, from a running deployment, as JSON, and for nobody."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from journey_stream.settings import Settings
from tests.cli.conftest import Said
from tests.kafka.cluster import ROOT, WorkerProcess, ended, send, topics

EVENTS = ROOT / "examples" / "explain" / "events.jsonl"
UNTIL = "2024-05-29T06:25:02Z"


def test_json_tells_the_same_customer(call: Callable[..., Said]):
    said = call("explain", "cast-helped", "-j", "buyer-value", "--json", EVENTS)
    found = json.loads(said.out)
    assert ("cast-helped", UNTIL, True, 10) == (found["person"], found["at"], found["known"], found["events"])
    (now,) = found["journeys"]
    assert "first_time_buyer" == now["stage"]
    repeat = next(way for way in now["ways_out"] if way["rule"] == "repeat")
    assert {"name": "orders", "has": 1, "op": ">=", "needs": 2} == repeat["conditions"][0]["gap"]


def test_nobody_of_that_name_is_exit_code_1(call: Callable[..., Said]):
    said = call("explain", "nobody", "-j", "buyer-value", EVENTS)
    assert 1 == said.code
    assert "nobody of that name is known" in said.out


@pytest.mark.parametrize(
    ("name", "flags", "meant"),
    [("cast-helpt", (), "cast-helped"), ("cast-helped", ("--anonymous",), "cast-helped without --anonymous")],
)
def test_a_name_that_was_mistyped_is_guessed(
    name: str, flags: tuple[str, ...], meant: str, call: Callable[..., Said]
):
    said = call("explain", name, *flags, "-j", "buyer-value", EVENTS)
    assert 1 == said.code
    assert f"Did you mean {meant}?" in said.err


def test_lines_that_cannot_be_used_are_told(call: Callable[..., Said], tmp_path: Path):
    broken = tmp_path / "events.jsonl"
    broken.write_bytes(b"{broken\n")
    said = call("explain", "cast-helped", "-j", "buyer-value", broken)
    assert 1 == said.code
    assert f"1 unusable (not_json), the first: {broken}:1:" in said.err


def test_a_running_deployment_tells_what_its_events_would(
    deployment: Callable[..., Settings], call: Callable[..., Said], tmp_path: Path
):
    """A worker has the events; explain reads its changelog and topics, and says what files say."""
    chosen = {"journeys": ("buyer-value", "relationship"), "clock": "event", "until": 1_716_963_902_000_000}
    settings = deployment(**chosen, allowed_lateness=0)

    async def run() -> None:
        names = await topics(settings)
        rows = [(names.sources[0], 0, b"k", line, ()) for line in EVENTS.read_bytes().splitlines()]
        await send(settings, rows)
        worker = WorkerProcess(settings, tmp_path, "--exit-when-done", module="journey_stream")
        with ended([worker]):
            assert 0 == await asyncio.to_thread(worker.wait, 120), worker.text()

    asyncio.run(run())
    common = ("-j", "buyer-value", "-j", "relationship", "--json")
    where = ("-b", settings.bootstrap_servers, "--application-id", settings.application_id)
    where += ("--topic-prefix", settings.topic_prefix, "--set", f"partitions={settings.partitions}")
    for person in ("cast-recovered", "cast-back-to-judge", "c-0000040"):
        by_files = json.loads(call("explain", person, *common, "--until", UNTIL, EVENTS).out)
        by_topics = json.loads(call("explain", person, *common, *where).out)
        for found in (by_files, by_topics):
            del found["events"], found["at"]
        assert by_files == by_topics
    nobody = call("explain", "nobody", *common, *where)
    assert 1 == nobody.code


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["x", "-j", "nowhere", "y.jsonl"], "no journey `nowhere`"),
        (["x", "-j", "brand", "y.jsonl"], "cannot read events file y.jsonl"),
        ([], "Missing argument 'CUSTOMER'"),
    ],
)
def test_wrong_usage_is_told(arguments: list[str], message: str, call: Callable[..., Said]):
    said = call("explain", *arguments)
    assert 2 == said.code
    assert message in said.err
