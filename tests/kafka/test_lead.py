"""A source partition's lead counts the records that are ahead of the clock; who has more than its share waits."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from journey_stream.kafka.lead import Lead, too_far


def lead_of(*steps: tuple[int, int]) -> Lead:
    lead = Lead()
    for highest, records in steps:
        lead.took(highest, records)
    return lead


def test_what_the_clock_has_passed_is_no_lead() -> None:
    lead = lead_of((10, 3), (20, 4), (30, 5))
    assert [12, 9, 5, 0] == [lead.beyond(clock) for clock in (9, 10, 29, 30)]


def test_a_source_that_is_read_again_begins_without_a_lead() -> None:
    lead = lead_of((10, 3))
    lead.clear()
    lead.took(5, 2)
    assert 2 == lead.beyond(0)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 9)), max_size=30), st.lists(st.integers(0, 99)))
def test_a_lead_is_what_was_read_up_to_a_later_time_than_the_clocks(
    rises: list[tuple[int, int]], clocks: list[int]
) -> None:
    steps, highest = [], 0
    for rise, records in rises:
        highest += rise
        steps.append((highest, records))
    lead = lead_of(*steps)
    for clock in sorted(clocks):
        assert sum(records for at, records in steps if at > clock) == lead.beyond(clock)


def test_nobody_waits_while_all_together_are_not_too_far() -> None:
    assert set() == too_far({"visits": 100, "orders": 0}, 100)


def test_whoever_is_further_than_its_share_waits_and_the_others_come_along() -> None:
    assert {"visits"} == too_far({"visits": 90, "orders": 20, "tickets": 0}, 100)


@given(st.dictionaries(st.text(), st.integers(0, 1000), min_size=1), st.integers(0, 2000))
def test_somebody_waits_when_all_are_too_far_but_never_who_is_behind(
    leads: dict[str, int], most: int
) -> None:
    waiting = too_far(leads, most)
    assert (sum(leads.values()) > most) == bool(waiting)
    assert not {name for name in waiting if not leads[name]}


def test_no_source_has_no_lead() -> None:
    assert set() == too_far({}, 0)
