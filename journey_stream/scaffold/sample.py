"""Events to try a definition on: the stories of its tests, each lived by a customer of its own.

In: the text of a test file. Out: events as they would come, in the order of time. Stories of several
customers, and those that take too long, are left out; so are parameters that a test sets otherwise.
"""

from __future__ import annotations

from dataclasses import replace

from journey_stream.testing import read_tests
from journey_stream.values import DAY

YEAR_BEFORE = 365 * DAY
"""Stories begin in 2026; as a sample they are history, whatever today is."""
LONGEST = 360 * DAY


def sample(tests: str) -> list[dict[str, object]]:
    """Make the events."""
    found: list[tuple[int, dict[str, object]]] = []
    lines: set[str] = set()
    for number, case in enumerate(read_tests("", tests).cases, start=1):
        title = case.name.partition(" [")[0]
        last = max((given.at for given in case.given), default=case.times.start)
        if title in lines or case.parameters or len(case.sides) > 1 or last - case.times.start > LONGEST:
            continue
        lines.add(title)
        for place, given in enumerate(case.given, start=1):
            ids = {name: f"{value}-{number:03}" for name, value in given.ids.items() if name != "event_id"}
            at = given.at - YEAR_BEFORE
            event = replace(given, ids=ids, at=at).wire(place)
            event["event_id"] = f"{number:03}-{place:02}"
            found.append((at, event))
    return [event for _, event in sorted(found, key=lambda each: (each[0], str(each[1]["event_id"])))]
