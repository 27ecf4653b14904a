"""History is put in order on its way in, and told apart on its way out."""

import json
from random import Random
from typing import Any

from engine.stories import BEGIN, TWO_STAGES, Story, journey
from hypothesis import given
from hypothesis import strategies as st

from journey_stream.backfill import InOrder, told_apart
from journey_stream.events.decode import Decoder
from journey_stream.events.vocabulary import BUILT_IN
from journey_stream.values import DAY, HOUR, NEVER, SECOND, Signal, StageNow, Transition, rfc3339

DECODER = Decoder(BUILT_IN)


def line(number: int, at: int, who: str = "ann") -> bytes:
    event = {
        "event_id": f"e{number:03}",
        "type": "page_viewed",
        "occurred_at": rfc3339(BEGIN + at),
        "customer_id": who,
    }
    return json.dumps(event).encode()


def in_order(*sources: list[bytes]) -> InOrder:
    return InOrder(sources, DECODER, HOUR, NEVER - 1)


@given(st.integers(0, 10**9), st.integers(1, 4))
def test_lines_of_several_files_come_out_in_the_order_of_time(seed: int, files: int):
    random = Random(seed)
    times = sorted(random.randrange(0, 5 * DAY, SECOND) for _ in range(60))
    lines = [(at, line(number, at)) for number, at in enumerate(times)]
    sources: list[list[bytes]] = [[] for _ in range(files)]
    for _, text in sorted(lines, key=lambda pair: pair[0] + random.randrange(0, HOUR // 2)):
        random.choice(sources).append(text)

    found = in_order(*sources)
    assert [text for _, text in lines] == [each.text for each in found]
    assert (BEGIN + times[0], BEGIN + times[-1], 60) == (found.first, found.last, found.counts["lines"])


def test_lines_that_cannot_be_used_are_told_and_left_out():
    found = in_order([line(1, 0), b"{"], [line(2, SECOND, "bob"), b'{"event_id": "x"}'])
    assert ["ann", "bob"] == [each.person for each in found]
    assert [(0, 2, "not_json"), (1, 2, "missing_field")] == [
        (r.source, r.line, r.reason) for r in found.refused
    ]


RULES = """\
transitions:
  - {id: there, from: one, to: two, event: order_completed}
  - {id: back, from: two, to: one, after: 2d, since: stage}
signals: [{id: call, in: [two], enter: [two]}]
"""


def records() -> list[Any]:
    story = Story(journey(RULES, stages=TWO_STAGES)).on("order_completed", 0).until(DAY).until(5 * DAY)
    return [record for drained in story.drained for record in drained.records]


def test_what_happened_up_to_the_fence_is_flagged_timers_included():
    for fence, flags in ((-1, [False] * 4), (0, [True] * 3 + [False]), (2 * DAY, [True] * 4)):
        found = told_apart(records(), BEGIN + fence, withhold=False)
        assert flags == [each.replay for each in found if isinstance(each, Transition | Signal)]


def test_the_stage_now_is_flagged_with_the_transition_it_tells_of():
    found = told_apart(records(), BEGIN, withhold=False)
    assert [True, False] == [each.replay for each in found if isinstance(each, StageNow)]


def test_withheld_history_leaves_the_stages_and_what_came_after():
    found = told_apart(records(), BEGIN, withhold=True)
    assert [StageNow, Transition, StageNow] == [type(each) for each in found]
