"""`backtest` from the command line: files, topics, reports, and what it says when it cannot work."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from journey_stream.kafka.topics import ensure_topics
from journey_stream.settings import Settings
from tests.backtest.test_compare import EVENTS, OLD
from tests.cli.conftest import Said
from tests.kafka.cluster import send


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    found = {name: tmp_path / f"{name}" for name in ("old.yaml", "new.yaml", "events.jsonl")}
    found["old.yaml"].write_text(OLD.format(version=1, buyer="buyer", rule="buys", least=0.0))
    found["new.yaml"].write_text(OLD.format(version=2, buyer="buyer", rule="buys", least=10.0))
    found["events.jsonl"].write_bytes(b"\n".join(EVENTS) + b"\n{broken\n")
    return found


def test_it_shows_who_moves_and_writes_a_page(
    files: dict[str, Path], call: Callable[..., Said], tmp_path: Path
):
    page = tmp_path / "reports" / "page.html"
    said = call("backtest", files["old.yaml"], files["new.yaml"], files["events.jsonl"], "--html", page)
    assert 0 == said.code
    assert "5 events (1 unusable) until 1970-01-03T00:00:00Z" in said.out
    assert "1 of 3 customers stand elsewhere" in said.out
    assert f"1 unusable (not_json), the first: {files['events.jsonl']}:5:" in said.err
    assert page.read_text("utf-8").startswith("<!doctype html>")


def test_a_history_without_events_is_told(files: dict[str, Path], call: Callable[..., Said]):
    files["events.jsonl"].write_bytes(b"{broken\n")
    said = call("backtest", files["old.yaml"], files["new.yaml"], files["events.jsonl"])
    assert 0 == said.code
    assert "no event that can be used: there is nothing to compare" in said.err


def test_the_same_report_from_files_and_from_topics(
    files: dict[str, Path], call: Callable[..., Said], deployment: Callable[..., Settings]
):
    settings = deployment()
    flags = ("-b", settings.bootstrap_servers, "--topic-prefix", settings.topic_prefix)

    async def feed() -> None:
        await ensure_topics(settings)
        topics = [f"{settings.topic_prefix}.{source}" for source in settings.sources]
        rows = [(topics[n % 2], n % 2, b"k", value, ()) for n, value in enumerate([*EVENTS, b"{broken"])]
        await send(settings, [*rows, (topics[0], 0, b"k", EVENTS[0].replace(b", ", b",\n "), ())])

    asyncio.run(feed())
    more = files["events.jsonl"].with_name("more.jsonl")
    more.write_bytes(files["events.jsonl"].read_bytes() + EVENTS[0])
    both = (files["old.yaml"], files["new.yaml"], "--json")
    by_files = json.loads(call("backtest", *both, more).out)
    by_topics = json.loads(call("backtest", *both, "--from-topics", *flags).out)
    for report in (by_files, by_topics):
        assert (6, 1) == (report["events"], report["unusable"])
        del report["seconds"], report["events_per_second"]
    assert by_files == by_topics
    later = call("backtest", *both, "--from-topics", "--since", "2999-01-01T00:00:00Z", *flags)
    assert 0 == json.loads(later.out)["events"]

    wrong = call(
        "backtest", *both, "--from-topics", "-b", settings.bootstrap_servers, "--topic-prefix", "nobody"
    )
    assert 1 == wrong.code
    assert "error: topic nobody.visits: expected it to be there" in wrong.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["buyer-value", "brand"], "expected either EVENTS files or --from-topics"),
        (["buyer-value", "brand", "--from-topics", "x.jsonl"], "expected either EVENTS files or --from-topics"),
        (["buyer-value", "buyer-value", "--since", "2026-01-01T00:00:00Z", "x.jsonl"], "it is for --from-topics"),
        (["buyer-value", "buyer-value", "--from-topics", "--since", "monday"], "--since monday: expected a time"),
        (["buyer-value", "nowhere", "x.jsonl"], "no journey `nowhere`"),
        (["buyer-value", "buyer-value", "x.jsonl"], "cannot read events file x.jsonl"),
        (["buyer-value", "buyer-value", "--return-at-most", "0", "x.jsonl"], "0 is not in the range"),
    ],
)  # fmt: skip
def test_wrong_usage_is_told(arguments: list[str], message: str, call: Callable[..., Said]):
    said = call("backtest", *arguments)
    assert 2 == said.code
    assert message in said.err


def test_a_broken_definition_is_refused_with_its_findings(files: dict[str, Path], call: Callable[..., Said]):
    files["new.yaml"].write_text("journey: x\n")
    said = call("backtest", files["old.yaml"], files["new.yaml"], files["events.jsonl"])
    assert 1 == said.code
    assert f"{files['new.yaml']}:1:1 error" in said.err
