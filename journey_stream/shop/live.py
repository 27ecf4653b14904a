"""The demo while it runs: transitions and signals as they come, populations as they grow.

Enters: records out as decoded JSON values, one by one, and progress of the feed. Leaves: a picture that is
redrawn a few times a second; where nobody watches a terminal, one plain line every few seconds instead.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from journey_stream.shop.story import QUIET_SIGNALS, person_of
from journey_stream.shop.summary import KIND_STYLES

REDRAW_S = 0.25
LINE_S = 2.0
"""Without a terminal: seconds between two lines."""
RECENT = 10
BAR = 14
"""Widest bar of a population, in characters."""
ROWS = 9
"""Stages shown per model; a nested model shows its parents."""


class LiveView:
    """A context manager that shows what it is told. Use `record` and `progress`; it decides when to draw."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self.console = console
        self.watched = console.is_terminal
        self.transitions = self.signals = self.fed = 0
        self.total: int | None = None
        self.latest = ""
        """Event time of the youngest record."""
        self.populations: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._kinds: dict[str, str] = {}
        self._recent: deque[Text] = deque(maxlen=RECENT)
        self._clock = clock
        self._drawn = -1e9
        self._live: Live | None = None

    def __enter__(self) -> LiveView:
        if self.watched:
            self._live = Live(self.picture(), console=self.console, auto_refresh=False, transient=True)
            self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.draw()
        if self._live is not None:
            self._live.__exit__(kind, error, trace)
            self._live = None

    def record(self, value: Mapping[str, Any]) -> None:
        """Take in one record out: a transition or a signal; others are passed over."""
        if "specversion" in value:
            value = value["data"]
        if "to" in value:
            self._transition(value)
        elif "signal" in value:
            self._signal(value)
        else:
            return
        self.latest = max(self.latest, value["occurred_at"])
        self._maybe_draw()

    def progress(self, fed: int, total: int | None = None) -> None:
        """Tell how many events have been sent, of how many."""
        self.fed, self.total = fed, total
        self._maybe_draw()

    def _transition(self, value: Mapping[str, Any]) -> None:
        self.transitions += 1
        journey, old, new = value["journey"], value.get("from"), value["to"]
        population = self.populations[journey]
        if old is not None:
            population[old.split("/")[0]] -= 1
        population[new.split("/")[0]] += 1
        self._kinds.setdefault(f"{journey}.{new.split('/')[0]}", value["to_kind"])
        if old is not None:
            line = Text(f"{value['occurred_at'][:10]}  {person_of(value):<18.18} {journey:<12.12} ")
            line.append(f"{old} -> {new}", style=KIND_STYLES.get(value["to_kind"], ""))
            if value.get("reason"):
                line.append(f"  {value['reason']}", style="dim")
            self._recent.append(line)

    def _signal(self, value: Mapping[str, Any]) -> None:
        self.signals += 1
        if value["signal"] in QUIET_SIGNALS or value["status"] != "raised":
            return
        line = Text(f"{value['occurred_at'][:10]}  {person_of(value):<18.18} {value['journey']:<12.12} ")
        line.append(f"! {value['signal']}", style="yellow")
        line.append(f"  for {value.get('owner') or 'nobody'}", style="dim")
        self._recent.append(line)

    def _maybe_draw(self) -> None:
        if self._clock() - self._drawn >= (REDRAW_S if self.watched else LINE_S):
            self.draw()

    def draw(self) -> None:
        """Draw now."""
        self._drawn = self._clock()
        if self._live is not None:
            self._live.update(self.picture(), refresh=True)
        elif not self.watched:
            self.console.print(self.line(), highlight=False)

    def line(self) -> str:
        """The state in one plain line."""
        of = f" of {self.total:,}" if self.total else ""
        return (
            f"{self.latest[:10] or 'no records yet'}: {self.fed:,}{of} events sent, "
            f"{self.transitions:,} transitions, {self.signals:,} signals"
        )

    def picture(self) -> RenderableType:
        """The whole picture: a panel of bars per model, and the latest records."""
        panels = [self._panel(name, counts) for name, counts in self.populations.items()]
        return Group(
            Text(self.line(), style="bold"), Columns(panels), *(Text.assemble(line) for line in self._recent)
        )

    def _panel(self, name: str, counts: Counter[str]) -> Panel:
        table = Table.grid(padding=(0, 1))
        most = max([*counts.values(), 1])
        for stage, count in list(counts.items())[:ROWS]:
            style = KIND_STYLES.get(self._kinds.get(f"{name}.{stage}", ""), "")
            bar = "█" * max(0, round(BAR * count / most))
            table.add_row(Text(stage[:18]), Text(bar, style=style), Text(f"{count:,}", justify="right"))
        return Panel(table, title=name, title_align="left", width=44)
