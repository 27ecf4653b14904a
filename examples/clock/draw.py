"""Draws docs/clock.svg: the clock of a keyed partition over an hour in which one intake is down for a while.

    python -m examples.clock.draw docs/clock.svg            # `--check` compares instead

Enters: the script below, minute by minute. Leaves: the picture. Strategy: nothing is drawn by hand. The
clock, the buffer and what is settled come from `journey_stream.release`, driven as a worker drives them:
markers move the clock, events wait for it when it is behind, timers fire up to it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import msgspec

from journey_stream.events.decode import Decoder
from journey_stream.events.vocabulary import BUILT_IN
from journey_stream.release import PartitionClock, ReleaseBuffer, settled
from journey_stream.values import HOUR, MINUTE, NEVER, SECOND, Event, rfc3339

BEGIN = 1_767_261_600 * SECOND
"""2026-01-01T10:00:00Z"""
END = 60
STEP = 0.25
"""Minutes between two markers: in truth a quarter of a second, which nobody could see."""
CATCH_UP = 10 * SECOND
VISITS = tuple(range(2, END, 3))
PURCHASES = (1, 4, 7, 20, 26)
LATE = (41, 34.5)
"""A visit that arrives at the first minute and happened at the second."""
DOWN = (16, 33)
"""Minutes in which nobody reads purchases."""
TIMERS = {"ann": 24, "bob": 28, "eve": 50}
"""Who counts as silent at which minute; Ann's purchase at minute 20 takes hers back."""
BUYER = "ann"


class Dot(msgspec.Struct, frozen=True):
    """An event: when it happened, reached the worker, and was let go."""

    source: str
    happened: float
    arrived: float
    let_go: float


class Fired(msgspec.Struct, frozen=True):
    """A timer: when it was due, and when it fired (None = taken back)."""

    person: str
    due: float
    at: float | None


class Told(msgspec.Struct):
    """What came of the script."""

    clock: list[tuple[float, float]]
    """(minute of the wall, minute of the clock)"""
    dots: list[Dot]
    timers: list[Fired]


def run() -> Told:
    """Play the script."""
    clock, buffer, told = PartitionClock("wall", ("visits", "purchases")), ReleaseBuffer(), Told([], [], [])
    waiting = sorted(
        [(m, m, "visits") for m in VISITS] + [(m, m, "purchases") for m in PURCHASES] + [(*LATE, "visits")]
    )
    dues = {person: minute(due) for person, due in TIMERS.items()}
    for step in range(int(END / STEP) + 1):
        wall = step * STEP
        down = DOWN[0] <= wall < DOWN[1]
        ready = [one for one in waiting if one[0] <= wall and not (one[2] == "purchases" and down)]
        waiting = [one for one in waiting if one not in ready]
        for _, happened, source in ready:
            buffer.push(event(source, happened), (source, happened, wall))
            clock.progress(source, minute(happened), idle=False, wall=minute(wall))
        for source in ("visits", "purchases"):
            if not (source == "purchases" and down):
                # Read to its end, since nothing stands in it that happened before now.
                clock.progress(source, minute(0), idle=True, wall=minute(wall))
        now = minute(wall)
        until = settled("wall", clock, now, HOUR, NEVER)
        gate = NEVER if clock.caught_up(now, CATCH_UP) else until
        for _, (source, happened, arrived) in buffer.release(gate):
            told.dots.append(Dot(source, happened, arrived, wall))
            if source == "purchases" and happened == 20 and dues.pop(BUYER, None) is not None:
                told.timers.append(Fired(BUYER, TIMERS[BUYER], None))
        for person, due in sorted(dues.items(), key=lambda one: one[1]):
            if due <= until:
                told.timers.append(Fired(person, TIMERS[person], wall))
                del dues[person]
        told.clock.append((wall, (until - BEGIN) / MINUTE))
    return told


def minute(at: float) -> int:
    """A time in microseconds."""
    return BEGIN + int(at * MINUTE)


def event(source: str, at: float) -> Event:
    """An event that happened at a minute."""
    kind = "page_viewed" if source == "visits" else "order_completed"
    fields = {
        "event_id": f"{source}-{at}",
        "type": kind,
        "occurred_at": rfc3339(minute(at)),
        "customer_id": BUYER,
    }
    decoded = Decoder(BUILT_IN).decode(msgspec.json.encode(fields))
    assert isinstance(decoded, Event)
    return decoded


# The picture

WIDTH, HEIGHT = 900, 640
LEFT, TOP, RIGHT, BOTTOM = 70, 56, 24, 64
STYLE = """\
  .paper { fill: #ffffff; }
  text { font: 13px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #24292f; }
  .title { font-size: 16px; font-weight: 600; } .soft { fill: #57606a; }
  .axis { stroke: #8c959f; } .grid { stroke: #d8dee4; } .now { stroke: #8c959f; stroke-dasharray: 3 4; }
  .down { fill: #cf222e; opacity: 0.09; } .clock { stroke: #1a7f37; stroke-width: 3; fill: none; }
  .clock-text { fill: #1a7f37; font-weight: 600; }
  .visits { fill: #0969da; stroke: #0969da; } .purchases { fill: #bc4c00; stroke: #bc4c00; }
  .wait { stroke-width: 1.2; opacity: 0.55; } .timer { fill: #8250df; stroke: #8250df; stroke-width: 1.6; }
  .never { fill: none; } .timer-text { fill: #8250df; }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #0d1117; } text { fill: #e6edf3; } .soft { fill: #8d96a0; }
    .axis { stroke: #6e7681; } .grid { stroke: #21262d; } .now { stroke: #6e7681; }
    .down { fill: #f85149; opacity: 0.14; } .clock { stroke: #3fb950; } .clock-text { fill: #3fb950; }
    .visits { fill: #4493f8; stroke: #4493f8; } .purchases { fill: #f0883e; stroke: #f0883e; }
    .timer { fill: #ab7df8; stroke: #ab7df8; } .timer-text { fill: #ab7df8; } .never { fill: none; }
  }"""


def x(at: float) -> float:
    """Place a minute of the wall."""
    return round(LEFT + at / END * (WIDTH - LEFT - RIGHT), 1)


def y(at: float) -> float:
    """Place a minute of event time."""
    return round(HEIGHT - BOTTOM - at / END * (HEIGHT - TOP - BOTTOM), 1)


def draw(told: Told) -> str:
    """Write the picture."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        'aria-label="The clock of a keyed partition over one hour">',
        f"<style>\n{STYLE}\n</style>",
        f'<rect class="paper" width="{WIDTH}" height="{HEIGHT}"/>',
        *_frame(),
        f'<polyline class="clock" points="{" ".join(f"{x(a)},{y(b)}" for a, b in told.clock)}"/>',
        *_dots(told.dots),
        *_timers(told.timers),
        *_words(),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _frame() -> Iterable[str]:
    yield text(LEFT, 24, "The clock of a keyed partition, while nobody reads purchases for a while", "title")
    yield text(LEFT, 43, "across: the wall clock · up: what time an event or timer is about", "soft")
    yield (
        f'<rect class="down" x="{x(DOWN[0])}" y="{y(END)}" width="{round(x(DOWN[1]) - x(DOWN[0]), 1)}" '
        f'height="{round(y(0) - y(END), 1)}"/>'
    )
    for at in range(0, END + 1, 10):
        yield line(x(0), y(at), x(END), y(at), "grid")
        yield text(LEFT - 10, y(at) + 4, f"10:{at:02}" if at < END else "11:00", "soft", "end")
        yield text(x(at), y(0) + 20, f"10:{at:02}" if at < END else "11:00", "soft", "middle")
    yield line(x(0), y(0), x(END), y(0), "axis")
    yield line(x(0), y(0), x(0), y(END), "axis")
    yield line(x(0), y(0), x(END), y(END), "now")


def _dots(dots: list[Dot]) -> Iterable[str]:
    for dot in dots:
        if dot.let_go > dot.arrived:
            yield line(x(dot.arrived), y(dot.happened), x(dot.let_go), y(dot.happened), f"{dot.source} wait")
        yield f'<circle class="{dot.source}" cx="{x(dot.arrived)}" cy="{y(dot.happened)}" r="4"/>'


def _timers(timers: list[Fired]) -> Iterable[str]:
    for timer in timers:
        yield diamond(x(timer.due), y(timer.due), "timer never")
        if timer.at is not None:
            if timer.at > timer.due + STEP:
                yield line(x(timer.due) + 7, y(timer.due), x(timer.at) - 7, y(timer.due), "timer wait")
            yield diamond(x(timer.at), y(timer.due), "timer")


def _words() -> Iterable[str]:
    yield text(x(16.3), y(13.2), "the clock holds: what do purchases say?", "clock-text")
    yield text(x((DOWN[0] + DOWN[1]) / 2), y(END) + 18, "nobody reads purchases", "soft", "middle")
    yield text(x(34.5), y(8), "back: what waited is let go in the order it happened,", "soft")
    yield text(x(34.5), y(8) + 18, "and only then the clock runs on", "soft")
    yield text(x(21.6), y(24) - 6, "due 10:24, but a purchase of 10:20", "timer-text", "end")
    yield text(x(21.6), y(24) + 10, "waited unread: never fires", "timer-text", "end")
    yield text(x(34.5), y(28) + 4, "due 10:28: fires once the clock has passed it", "timer-text")
    yield text(x(51.4), y(50) + 16, "due 10:50: fires", "timer-text")
    yield text(x(42), y(LATE[1]) + 4, "comes late, takes its place", "soft")
    yield text(x(8.5), y(2.5), "purchases are quiet: a source at its end does not hold the clock", "soft")
    legend = ((x(1), "visits", "visit"), (x(9), "purchases", "purchase"))
    for at, kind, word in legend:
        yield f'<circle class="{kind}" cx="{at}" cy="{HEIGHT - 16}" r="4"/>'
        yield text(at + 10, HEIGHT - 12, word)
    yield line(x(19), HEIGHT - 16, x(22), HEIGHT - 16, "visits wait")
    yield text(x(22) + 8, HEIGHT - 12, "waits for the clock")
    yield line(x(35), HEIGHT - 16, x(38), HEIGHT - 16, "clock")
    yield text(x(38) + 8, HEIGHT - 12, "clock")
    yield diamond(x(46), HEIGHT - 16, "timer never")
    yield text(x(46) + 12, HEIGHT - 12, "timer due")
    yield diamond(x(54), HEIGHT - 16, "timer")
    yield text(x(54) + 12, HEIGHT - 12, "fires")


def text(at: float, down: float, words: str, kind: str = "", anchor: str = "start") -> str:
    """Write words."""
    return f'<text class="{kind}" x="{at}" y="{round(down, 1)}" text-anchor="{anchor}">{words}</text>'


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """Draw a line."""
    return f'<line class="{kind}" x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}"/>'


def diamond(at: float, down: float, kind: str) -> str:
    """Draw the sign of a timer."""
    return f'<path class="{kind}" d="M{at} {down - 7}L{at + 6} {down}L{at} {down + 7}L{at - 6} {down}Z"/>'


def main(arguments: list[str]) -> int:
    """Write the picture to a file, or with `--check` compare."""
    (target,) = (Path(each) for each in arguments if each != "--check")
    picture = draw(run())
    if "--check" not in arguments:
        target.write_text(picture, encoding="utf-8")
    elif not target.exists() or target.read_text(encoding="utf-8") != picture:
        sys.stderr.write(f"{target} differs from what the clock does now: run `make schemas`\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
