"""What people see of a run: the summary's tables, one customer's story, the live view."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from journey_stream.shop.live import LiveView
from journey_stream.shop.story import most_telling, tell
from journey_stream.shop.summary import print_summary

KINDS = {
    "prospect": "prospect",
    "buyer": "conversion",
    "lost": "attrition",
    "reader": "prospect",
    "fan": "advocacy",
}


def transition(
    who: str, day: str, journey: str, old: str | None, new: str, cause: str = "page_viewed", **more: Any
) -> dict[str, Any]:
    return {
        "transition_id": f"{who}{day}{journey}{new}", "journey": journey, "customer_id": who,
        "from": old, "to": new, "to_kind": KINDS[new],
        "direction": "forward", "reason": None, "owner": "sales", "trigger": "event",
        "cause": {"event_id": "e", "type": cause, "occurred_at": f"{day}T10:00:00Z"},
        "occurred_at": f"{day}T10:00:00Z", "sequence": 1, "attributes": {}, "test": False,
        "corrects": None, **more,
    }  # fmt: skip


def signal(who: str, day: str, name: str, **more: Any) -> dict[str, Any]:
    return {
        "signal_id": f"{who}{day}{name}", "signal": name, "status": "raised", "journey": "value",
        "customer_id": who, "stage": "buyer", "kind": "conversion", "owner": "service", "reason": None,
        "cause": {"event_id": "e", "type": "survey_responded", "occurred_at": f"{day}T10:00:00Z"},
        "occurred_at": f"{day}T10:00:00Z", "sequence": 9, "payload": {}, "attributes": {}, "test": False,
        "corrects": None, **more,
    }  # fmt: skip


RECORDS = [
    transition("ann", "2026-01-02", "value", None, "prospect"),
    transition("ann", "2026-01-02", "brand", None, "reader"),
    transition("bob", "2026-01-03", "value", None, "prospect"),
    transition("ann", "2026-01-10", "value", "prospect", "buyer", "order_completed",
               attributes={"orders": 1, "revenue": 1234.5}),
    transition("ann", "2026-01-10", "brand", "reader", "fan", "order_completed"),
    signal("ann", "2026-01-20", "opinion_given", payload={"sentiment": -1.0, "cause": "complaint"}),
    signal("ann", "2026-01-20", "call_due"),
    signal("ann", "2026-01-21", "call_due", status="cancelled", signal_id="ann2026-01-20call_due"),
    transition("ann", "2026-03-01", "value", "buyer", "lost", "timer", reason="silence",
               attributes={"orders": 1, "revenue": 1234.5}),
]  # fmt: skip


def printed(records: list[dict[str, Any]], dead_letters: dict[str, int] | None = None, **more: Any) -> str:
    out = io.StringIO()
    print_summary(Console(file=out, width=160), records, dead_letters, **more)
    return out.getvalue()


def row(text: str, *starts: str) -> list[str]:
    """The cells of the first row that begins with these words."""
    return next(line.split() for line in text.splitlines() if line.split()[: len(starts)] == list(starts))


def test_each_model_has_a_row_per_stage_with_its_figures() -> None:
    text = printed(RECORDS, stages={"value": ("prospect", "buyer", "core", "lost")})

    assert row(text, "buyer") == ["buyer", "0", "-1", "1", "50.0", "d", "100%", "1,234", "1,234", "-1.00"]
    assert row(text, "lost")[:4] == ["lost", "1", "+1", "1"]
    assert row(text, "core") == ["core", "0", "0", "0", "-", "-", "-", "-", "-"]
    assert text.index("value") < text.index("brand")


def test_what_was_lost_and_won_is_told_per_model() -> None:
    assert "1 lost of 1 buyers (100.0%), 0 new buyers, 0 won back, 0 leads gone" in printed(RECORDS)


def test_signals_are_counted_by_kind_and_bookkeeping_is_left_out() -> None:
    text = printed(RECORDS)

    assert row(text, "value", "call_due") == ["value", "call_due", "service", "1", "1"]
    assert "opinion_given" not in text


def test_causes_of_bad_mood_name_the_customers_and_their_revenue() -> None:
    assert row(printed(RECORDS), "complaint") == ["complaint", "1", "1", "1,234"]


def test_dead_letters_are_counted_by_reason_the_most_first() -> None:
    text = printed(RECORDS, {"not_json": 2, "bad_time": 5})

    assert text.index("bad_time") < text.index("not_json")
    assert row(text, "bad_time") == ["bad_time", "5"]


def test_a_run_without_records_has_a_summary_too() -> None:
    assert row(printed([], {}), "none") == ["none", "0"]


def test_the_story_is_that_of_the_customer_with_most_to_tell() -> None:
    assert most_telling(RECORDS) == "ann"
    assert most_telling([]) is None


def test_the_story_puts_all_models_side_by_side_with_the_mood() -> None:
    story = tell(RECORDS)

    assert story is not None
    assert [(m.at[:10], m.cause, m.moves, m.sentiment) for m in story.moments] == [
        ("2026-01-02", "page_viewed", {"value": "prospect", "brand": "reader"}, None),
        ("2026-01-10", "order_completed", {"value": "buyer", "brand": "fan"}, None),
        ("2026-01-20", "survey_responded", {}, -1.0),
        ("2026-03-01", "time passes", {"value": "lost"}, None),
    ]
    assert story.moments[2].signals == ["call_due"]


def test_another_customers_story_can_be_asked_for() -> None:
    story = tell(RECORDS, "bob")

    assert story is not None
    assert [m.moves for m in story.moments] == [{"value": "prospect"}]
    assert tell(RECORDS, "nobody") is None


def test_a_long_story_is_kept_readable() -> None:
    many = [
        transition("ann", f"2026-{1 + n // 28:02d}-{1 + n % 28:02d}", "value", "prospect", "buyer")
        for n in range(200)
    ]

    story = tell(many)

    assert story is not None
    assert (len(story.moments), story.left_out) == (45, 155)


def test_the_story_is_printed_as_a_timeline() -> None:
    text = printed(RECORDS, person="ann")

    assert "one customer's story: ann" in text
    assert row(text, "2026-03-01")[1:4] == ["time", "passes", "(silence)"]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_without_a_terminal_the_live_view_writes_a_plain_line_now_and_then(clock: Clock) -> None:
    out = io.StringIO()
    with LiveView(Console(file=out, width=120), clock) as view:
        for record in RECORDS:
            clock.now += 0.5
            view.record(record)
        view.progress(7, 10)

    lines = out.getvalue().splitlines()
    assert len(lines) == 4
    assert lines[-1] == "2026-03-01: 7 of 10 events sent, 6 transitions, 3 signals"


def test_the_live_view_knows_the_population_of_each_stage(clock: Clock) -> None:
    view = LiveView(Console(file=io.StringIO()), clock)
    for record in RECORDS:
        view.record({"specversion": "1.0", "data": record})

    assert view.populations["value"] == {"prospect": 1, "buyer": 0, "lost": 1}


def test_on_a_terminal_the_live_view_draws_bars_and_the_latest_records(clock: Clock) -> None:
    out = io.StringIO()
    console = Console(file=out, width=120, height=60, force_terminal=True, color_system=None)
    with LiveView(console, clock) as view:
        for record in RECORDS:
            clock.now += 1
            view.record(record)

    text = out.getvalue()
    assert "prospect -> buyer" in text
    assert "! call_due" in text
    assert "█" in text
