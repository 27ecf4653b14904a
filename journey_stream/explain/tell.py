"""An explanation in words.

In: an `Explanation` and the journeys it is about. Out: text for a terminal or a page: the timeline first,
then each journey with what it waits for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from journey_stream.engine.told import value_text
from journey_stream.explain.conditions import Condition, Gap
from journey_stream.explain.explanation import Deadline, Explanation, JourneyNow, Moment, WayOut
from journey_stream.journeys.model import Journey, versioned
from journey_stream.journeys.phrases import one_of
from journey_stream.values import rfc3339


def tell(found: Explanation, journeys: Sequence[Journey], *, shown: int = 40) -> str:
    """Write an explanation.

    Args:
        found: the explanation.
        journeys: the definitions.
        shown: how many moments of the timeline, the latest, to show.
    """
    named = {journey.id: journey for journey in journeys} | {journey.name: journey for journey in journeys}
    return "\n".join(_lines(found, named, shown)) + "\n"


def _lines(found: Explanation, journeys: Mapping[str, Journey], shown: int) -> Iterator[str]:
    read = "" if found.events is None else f" ({found.events:,} events)"
    yield f"{found.person} at {_when(found.at)}{read}"
    if not found.known:
        yield "  nobody of that name is known: never met, or forgotten"
    if found.timeline:
        yield ""
        yield "timeline"
        left = len(found.timeline) - shown
        if left > 0:
            yield f"  ({left:,} earlier left out)"
        last = found.timeline[max(0, left) :]
        widths = [max((len(field(each)) for each in last), default=0) for field in (_journey_of, _says_of)]
        for moment in last:
            yield _moment(moment, journeys.get(moment.journey), widths)
    for now in found.journeys:
        yield ""
        yield from _now(now, journeys[versioned(now.journey, now.version)])


def _journey_of(moment: Moment) -> str:
    return moment.journey


def _says_of(moment: Moment) -> str:
    return moment.says


def _moment(moment: Moment, journey: Journey | None, widths: Sequence[int]) -> str:
    line = f"  {_when(moment.at)}  {moment.journey:<{widths[0]}}  {moment.says:<{widths[1]}}"
    return f"{line}  {_by(moment)}{_values(moment.values, journey)}".rstrip()


def _by(moment: Moment) -> str:
    reason = f", {moment.reason}" if moment.reason else ""
    return f"by {moment.rule} ({moment.cause}{reason})"


def _now(now: JourneyNow, journey: Journey) -> Iterator[str]:
    owner = f", owner {now.owner}" if now.owner else ""
    yield f"{now.journey}: {now.stage} ({now.kind}{owner}) since {_when(now.since)}"
    if now.entered_by is not None:
        yield f"  entered {_by(now.entered_by)}{_values(now.entered_by.values, journey)}"
    for deadline in now.deadlines:
        yield f"  {_when(deadline.due)}  {_deadline(deadline, journey)}"
    if not now.ways_out:
        yield "  nothing leads out of this stage"
    for way in now.ways_out:
        yield f"  {way.rule} -> {way.to}: {_asks(way, journey)}"


def _deadline(deadline: Deadline, journey: Journey) -> str:
    what = deadline.says if deadline.sort == "transition" else f"signal {deadline.says}"
    by = f" for {deadline.by}" if deadline.by else ""
    unless = f", unless {one_of(deadline.stopped_by)} comes before" if deadline.stopped_by else ""
    missing = [_missing(each, journey) for each in deadline.conditions if _open(each)]
    but = f"; but {' and '.join(missing)}" if missing else ""
    return f"{deadline.rule}: {what}{by}{unless}{but}"


def _open(condition: Condition) -> bool:
    return condition.holds is not True and not condition.later


def _asks(way: WayOut, journey: Journey) -> str:
    """What has to happen: what is missing first, then what triggers it."""
    said = [_missing(each, journey) for each in way.conditions if _open(each)]
    later = [each.text for each in way.conditions if each.later]
    if any(each.gap is not None and each.gap.more is not None for each in way.conditions) and way.before:
        said = [f"{' and '.join(said)}, before {_when(way.before)}"]
    if way.earliest is not None:
        said.append(f"not before {_when(way.earliest)}")
    said.append(f"waits for {way.trigger}" if way.due is None else f"on {_when(way.due)}")
    if later:
        said.append(f"only if {' and '.join(later)}")
    return "; ".join(said)


def _missing(condition: Condition, journey: Journey) -> str:
    if condition.gap is not None and condition.gap.more is not None:
        return _more(condition.gap, journey)
    word = "unknown" if condition.holds is None else str(condition.holds).lower()
    said = f"{condition.text} is {word}{_values(condition.values, journey)}"
    if condition.because:
        said = f"{condition.text} is {word}: " + " and ".join(
            _missing(each, journey) for each in condition.because
        )
    return said


def _more(gap: Gap, journey: Journey) -> str:
    """`2 more orders (2 of 4)`, `over 90 more revenue (10 of 100)`."""
    assert gap.more is not None
    more, has, least = (_amount(each) for each in (gap.more, gap.has, gap.least))
    name = gap.name.replace("_", " ")
    if more == "1" and name.endswith("s"):
        name = name.removesuffix("s")
    over = gap.op == ">" and gap.least == gap.needs
    return f"{'over ' if over else ''}{more} more {name} ({has} of {least})"


def _amount(number: float) -> str:
    return f"{number:,.0f}" if float(number).is_integer() else f"{number:,.2f}"


def _values(values: Mapping[str, Any], journey: Journey | None) -> str:
    if not values:
        return ""
    shown = [
        f"{name} {value_text(name, value, journey, _clock)}" if journey is not None else f"{name} {value}"
        for name, value in values.items()
    ]
    return f" [{', '.join(shown)}]"


def _clock(at: int) -> str:
    return _when(rfc3339(at))


def _when(at: str) -> str:
    """`2026-03-01 10:00:05`: seconds are enough for people."""
    return at[:19].replace("T", " ")
