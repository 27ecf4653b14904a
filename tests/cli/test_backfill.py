"""`backfill` says what it needs before it asks any broker."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Said

FENCE = ("--set", "backfill.until=2026-01-01T00:00:00Z")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("events.jsonl",), "expected `backfill.until`"),
        (FENCE, "expected EVENTS files or --from-topic, one of the two"),
        ((*FENCE, "--from-topic", "old", "events.jsonl"), "one of the two"),
        ((*FENCE, "nowhere.jsonl"), "cannot read events file nowhere.jsonl"),
        ((*FENCE, "--from-topic", "old", "--since", "monday"), "--since monday: expected a time"),
    ],
)
def test_what_cannot_be_is_refused(call: Callable[..., Said], arguments: tuple[str, ...], expected: str):
    said = call("backfill", *arguments)
    assert 2 == said.code
    assert expected in said.err


def test_without_a_broker_it_says_so(call: Callable[..., Said], tmp_path: Path):
    (tmp_path / "events.jsonl").write_text("")
    quick = ("--set", "startup_timeout=1s", "-b", "localhost:1")
    said = call("backfill", *FENCE, *quick, tmp_path / "events.jsonl")
    assert 1 == said.code
    assert "localhost:1" in said.err
