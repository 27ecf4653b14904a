"""The end of the demo, for people: what the records out say of the shop's customers.

Enters: records out as decoded JSON values (bare or CloudEvents), dead letters per reason, a `rich` console.
Leaves: tables: per model the stages with population, change, retention, dwell time, revenue and sentiment;
signals; causes of bad mood; dead letters; one customer's story. All figures come from `measures`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from journey_stream import measures
from journey_stream.measures import History, Period
from journey_stream.shop.story import QUIET_SIGNALS, Story, tell

KIND_STYLES = {
    "prospect": "cyan",
    "acquisition": "cyan",
    "conversion": "blue",
    "onboarding": "blue",
    "development": "green",
    "retention": "green",
    "advocacy": "magenta",
    "at_risk": "yellow",
    "attrition": "red",
}


def unwrap(records: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Take the values out of structured CloudEvents; bare values stay as they are."""
    return [record["data"] if "specversion" in record else record for record in records]


def print_summary(
    console: Console,
    records: Iterable[Mapping[str, Any]],
    dead_letters: Mapping[str, int] | None = None,
    *,
    person: str | None = None,
    stages: Mapping[str, Sequence[str]] | None = None,
    currency: str = "EUR",
) -> None:
    """Print everything.

    Args:
        console: Where to.
        records: All transitions and signals of the run.
        dead_letters: Reason and number.
        person: Whose story to tell; without it the customer with most to tell is found.
        stages: The journeys and their stages in the order to show them (those that nobody entered too);
            without it, in the order in which customers go through them.
        currency: Written beside amounts.
    """
    values = unwrap(records)
    histories = measures.read(values)
    stages = stages or {}
    names = [name for name in stages if name in histories]
    names += [name for name in histories if name not in names]
    for name in names:
        console.print(model_table(histories[name], currency, stages.get(name, ())))
        console.print()
    if histories:
        console.print(signal_table([histories[name] for name in names]))
        ranks = causes_table(max(histories.values(), key=lambda h: len(h.opinions)), currency)
        if ranks is not None:
            console.print(ranks)
    if dead_letters is not None:
        console.print(dead_letter_table(dead_letters))
    story = tell(values, person)
    if story is not None:
        console.print(story_table(story, names))


def model_table(history: History, currency: str = "EUR", stages: Sequence[str] = ()) -> RenderableType:
    """One model: a row per stage, and a line on what came and went."""
    start, end = history.span
    periods = measures.months(start, end)
    last = Period("last 30 days", end + 1 - 30 * 86_400_000_000, end + 1)
    now, before = measures.population(history, end + 1), measures.population(history, last.start)
    dwell, stays = measures.dwell(history), _monthly_retention(history, periods[:-1])
    whole = Period("all", start, end + 1)
    worth, feeling = measures.value(history, whole), measures.sentiment(history, whole)
    table = Table(title=history.journey, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    table.add_column("stage")
    for heading in (
        "now",
        "30 days",
        "entered",
        "dwell",
        "stay/month",
        f"revenue {currency}",
        "basket",
        "mood",
    ):
        table.add_column(heading, justify="right")
    entered = Counter(stay.stage for each in history.stays.values() for stay in each)
    kinds = {stay.stage: stay.kind for each in history.stays.values() for stay in each}
    for stage in stages or sorted(history.stages, key=_by_depth(history)):
        value = worth.get(stage)
        table.add_row(
            Text(stage, style=KIND_STYLES.get(kinds.get(stage, ""), "")),
            str(now.get(stage, 0)),
            _signed(now.get(stage, 0) - before.get(stage, 0)),
            str(entered[stage]),
            _days(dwell[stage].median_s) if stage in dwell else "-",
            "-" if kinds.get(stage) == "attrition" else _percent(stays.get(stage)),
            f"{value.revenue:,.0f}" if value else "-",
            f"{value.mean_basket:,.0f}" if value and value.mean_basket else "-",
            _mood(feeling.get(stage)),
        )
    return Group(table, _losses(history, last, periods))


def _by_depth(history: History) -> Any:
    """Order stages as people go through them: by the number of entries by steps forward before them."""
    depth: dict[str, list[int]] = {}
    for stays in history.stays.values():
        for place, stay in enumerate(dict.fromkeys(stay.stage for stay in stays)):
            depth.setdefault(stay, []).append(place)
    parents = {stage: stage.split("/")[0] for stage in history.stages}
    mean = {stage: sum(places) / len(places) for stage, places in depth.items()}
    group = {
        parent: min(mean[stage] for stage in history.stages if parents[stage] == parent)
        for parent in set(parents.values())
    }
    return lambda stage: (group[parents[stage]], parents[stage], mean[stage])


def _monthly_retention(history: History, periods: Sequence[Period]) -> dict[str, float]:
    """Per stage: mean of the months' retention."""
    rates: dict[str, list[float]] = defaultdict(list)
    for period in periods:
        for stage, rate in measures.retentions(history, period).items():
            rates[stage].append(rate)
    return {stage: fmean(found) for stage, found in rates.items()}


def _losses(history: History, last: Period, periods: Sequence[Period]) -> Text:
    found = measures.attrition(history, last)
    rate = "-" if found.rate is None else f"{found.rate:.1%}"
    text = Text(
        f"  last 30 days: {found.lost} lost of {found.had_bought} buyers ({rate}), "
        f"{found.arrived} new buyers, {found.won_back} won back, "
        f"{found.never_buyers} leads gone who never bought"
    )
    alarms = measures.alarms(history, periods[:-1])
    if alarms:
        text.append(f"\n  alarm: losses exceeded arrivals twice in a row in {', '.join(alarms)}", style="red")
    return text


def signal_table(histories: Sequence[History]) -> Table:
    """Signals raised and cancelled, per model."""
    table = Table(title="signals raised", title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    for heading in ("model", "signal", "owner"):
        table.add_column(heading)
    for heading in ("raised", "cancelled"):
        table.add_column(heading, justify="right")
    for history in histories:
        raised: Counter[tuple[str, str]] = Counter()
        cancelled: Counter[tuple[str, str]] = Counter()
        for signal in history.signals:
            if signal.signal not in QUIET_SIGNALS:
                raised[signal.signal, signal.owner or "-"] += 1
                cancelled[signal.signal, signal.owner or "-"] += signal.cancelled
        for row, (key, count) in enumerate(sorted(raised.items())):
            table.add_row(history.journey if row == 0 else "", *key, str(count), str(cancelled[key]))
    return table


def causes_table(history: History, currency: str = "EUR") -> Table | None:
    """What spoils the mood, by customers touched; None if nobody complained."""
    ranks = measures.causes(history)[:8]
    if not ranks:
        return None
    table = Table(title="causes of bad mood", title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    table.add_column("cause")
    for heading in ("customers", "opinions", f"their revenue {currency}"):
        table.add_column(heading, justify="right")
    for rank in ranks:
        table.add_row(rank.cause, str(rank.customers), str(rank.opinions), f"{rank.revenue:,.0f}")
    return table


def dead_letter_table(dead_letters: Mapping[str, int]) -> Table:
    """Records that could not be used, per reason."""
    table = Table(title="dead letters", title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    table.add_column("reason")
    table.add_column("records", justify="right")
    for reason, count in sorted(dead_letters.items(), key=lambda item: (-item[1], item[0])):
        table.add_row(reason, str(count))
    if not dead_letters:
        table.add_row("none", "0")
    return table


def story_table(story: Story, order: Sequence[str] = ()) -> Table:
    """A timeline: a row per moment, a column per model, and the mood between."""
    names = [name for name in order if name in story.journeys]
    names += [name for name in story.journeys if name not in names]
    table = Table(
        title=f"one customer's story: {story.person}", title_justify="left", title_style="bold",
        box=box.SIMPLE_HEAD,
    )  # fmt: skip
    table.add_column("day", no_wrap=True)
    table.add_column("what happened")
    table.add_column("mood", justify="right")
    for name in names:
        table.add_column(name)
    for moment in story.moments:
        what = Text(moment.cause.replace("_", " "))
        if moment.reasons:
            what.append(f" ({', '.join(moment.reasons)})".replace("_", " "), style="dim")
        for signal in moment.signals:
            what.append(f"\n! {signal}", style="yellow")
        moves = [Text(moment.moves.get(name, "·"), style="bold" if name in moment.moves else "dim")
                 for name in names]  # fmt: skip
        table.add_row(moment.at[:10], what, _mood(moment.sentiment, ""), *moves)
    if story.left_out:
        table.caption = f"{story.left_out} moments without a change are left out"
    return table


def _mood(sentiment: float | None, unknown: str = "-") -> Text:
    if sentiment is None:
        return Text(unknown)
    style = "green" if sentiment > 0.25 else "red" if sentiment < -0.25 else "yellow"
    return Text(f"{sentiment:+.2f}", style=style)


def _signed(change: int) -> Text:
    return Text(
        f"{change:+d}" if change else "0", style="green" if change > 0 else "red" if change < 0 else ""
    )


def _days(seconds: float) -> str:
    return f"{seconds / 86_400:.1f} d" if seconds >= 8_640 else f"{seconds / 3_600:.1f} h"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"
