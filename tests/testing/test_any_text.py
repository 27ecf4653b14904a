"""Whatever a test file says, it becomes findings and outcomes, never a crash."""

from importlib import resources

from hypothesis import example, given, settings
from hypothesis import strategies as st

from journey_stream.events.decode import Decoder
from journey_stream.events.vocabulary import BUILT_IN
from journey_stream.testing import Result, Suite, World, run_suite
from journey_stream.testing.junit import junit
from journey_stream.testing.report import as_values, failure_lines
from testing.test_testing import DEFINITION, STORY

WORLD = World(BUILT_IN, Decoder(BUILT_IN))
TEXT = (resources.files("journey_stream.journeys") / "shipped" / "brand_test.yaml").read_text("utf-8")
WORDS = [
    "tests:", "- name: x", "  - name: y", "    given: |", "      day 1: order_completed total=$a", "    when: +1d",
    "    then: [looking, {to: buying, at: day 3}]", "    signals: []", "    stage: {anna: x}", "    cases: [{a: 1}]",
    "    parameters: {many: 2}", "    attributes: {orders: 1}", "start: 2026-01-01T00:00:00Z", "quiet: [noise]",
    "      +9d: ticket_created context.channel=web customer_id=bob", "    given: [{day 1: signed_up}, {at: day 2, type: x}]",
]  # fmt: skip


def whole(text: str) -> Result:
    """Run a text and write what came of it, in every form there is."""
    result = run_suite(Suite("tea.yaml", DEFINITION, "tea_test.yaml", text), WORLD)
    assert result.outcomes or result.findings or text.strip()
    assert junit([result], [0.0])
    assert as_values([result])
    assert all(list(failure_lines(outcome)) for outcome in result.failed)
    lines = len(text.splitlines()) + 1
    assert all(0 < finding.line <= lines and finding.column > 0 for finding in result.findings)
    return result


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(st.sampled_from(WORDS), st.text(max_size=12)), max_size=14).map("\n".join))
@example("")
@example("tests:\n  - name: x\n    given: 'day 999999: signed_up'\n    when: +99999999999999w\n")
@example("tests:\n  - name: x\n    given: '9999-12-31T23:59:59Z: signed_up'\n")
@example("tests:\n  - name: x\n    given: 'day 1: order_completed total=.nan'\n    stage: looking\n")
@example("tests:\n  - name: x\n    given: {a: b}\n    cases: [{given: 1}]\n")
def test_any_lines_will_do(text: str):
    whole(text)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_real_file_with_a_hole_will_do(data: st.DataObject):
    begin = data.draw(st.integers(0, len(STORY)))
    end = data.draw(st.integers(begin, min(begin + 30, len(STORY))))
    filling = data.draw(st.sampled_from(["", " ", ":", "{", "[", '"', "$x", "-1", "null", "\t"]))
    whole(STORY[:begin] + filling + STORY[end:] + "    stage: gone\n")


@settings(max_examples=40, deadline=None)
@given(st.integers(0, TEXT.count("\n")), st.integers(1, 4))
def test_tests_of_another_journey_become_findings(first: int, number: int):
    lines = TEXT.split("\n")
    whole("\n".join(lines[:first] + lines[first + number :]))


def test_a_parameter_that_does_not_fit_fails_its_own_test_only():
    more = STORY.removeprefix("tests:\n").replace("two orders", "two more")
    result = whole(STORY + "    parameters: {silence: soon}\n    stage: gone\n" + more + "    stage: gone\n")

    assert [outcome.passed for outcome in result.outcomes] == [False, True]
    assert "bad-duration: transition 'goes': 'after': 'silence' is no duration" in str(result.failed[0])


def test_a_time_that_no_event_can_have_is_told_where_it_stands():
    (found,) = whole(STORY.replace("when: day 20", "when: +2000w") + "    stage: gone\n").findings[:1] or [
        None
    ]
    assert found is None
    (found,) = whole(STORY.replace("when: day 20", "when: +99999w") + "    stage: gone\n").findings
    assert (found.rule, found.line) == ("bad-value", 6)
    assert "outside the years" in found.message
