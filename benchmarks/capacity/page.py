"""`python -m benchmarks.capacity.page docs/capacity.md`: write the tables of the page from the measurements.

Enters: `benchmarks/results/capacity.json` and the page. Leaves: the page with each part between
`<!-- name -->` and `<!-- end -->` written anew; with `--check` only whether it would change. Strategy: text
is written by people and holds no figures; every figure stands in a part that this program makes from the
fit, the model and the simulation, so that new measurements cannot leave old figures behind.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from benchmarks.capacity import measure, model
from benchmarks.capacity.simulate import Crash, Outcome, play
from benchmarks.capacity.terms import Choices, Costs, Load, Plan, Sizing
from benchmarks.capacity.worker import Under

PART = re.compile(r"(<!-- (\w+) -->\n).*?(<!-- end -->\n)", re.DOTALL)
SIZES: dict[str, tuple[float, float]] = {
    "10 thousand/s, 1 million": (1e4, 1e6),
    "100 thousand/s, 10 million": (1e5, 1e7),
    "100 thousand/s, 100 million": (1e5, 1e8),
    "1 million/s, 100 million": (1e6, 1e8),
}
"""Name to events a second at the peak, and customers."""
WAYS: dict[str, Choices] = {
    "as it comes": Choices(),
    "settings for size": Choices(interval=0.1),
    "keyed sources": Choices(input="keyed", interval=0.1),
    "keyed sources, a marker a second": Choices(input="keyed", interval=0.1, marker_interval=1.0),
}
CHOSEN = tuple(WAYS)[1:]
"""The first of these that does is shown."""


class Played(msgspec.Struct, frozen=True):
    """What the simulation says of one size."""

    peak: Outcome
    day: Outcome
    half: Outcome
    crash: Outcome


def load_of(result: measure.Result, events: float, customers: float) -> Load:
    """The load of a shop that is mostly looked at, as measured."""
    mix = result.shop[-1]
    return Load(events, customers, acts=mix.acts, rows_out=mix.rows_out, timers=mix.timers)


def sized(result: measure.Result, name: str, way: str) -> Sizing | None:
    """The sizing of one size."""
    return model.size(result.costs, load_of(result, *SIZES[name]), WAYS[way])


def chosen(result: measure.Result, name: str) -> Sizing:
    """The sizing with the hop, where that goes, else with keyed sources."""
    for way in CHOSEN:
        found = sized(result, name, way)
        if found is not None:
            return found
    raise NoSizeError(name)


class NoSizeError(Exception):
    """By these costs, more workers do not help."""


_played: dict[bytes, Played] = {}


def played(costs: Costs, found: Sizing) -> Played:
    """Let the simulation say what it thinks of a sizing; of the same one only once."""
    key = msgspec.msgpack.encode((costs, found))
    if key not in _played:
        _played[key] = _play(costs, found)
    return _played[key]


def _play(costs: Costs, found: Sizing) -> Played:
    load, choices, plan = found.load, found.choices, found.plan
    own = -(-plan.partitions // plan.workers)
    crash = Crash(
        at=3.0,
        still=costs.rebalance,
        silent=model.SESSION_SECONDS,
        partitions=-(-own // max(1, plan.workers - 1)),
        records=model.restore_records(costs, load, choices, plan),
    )
    return Played(
        peak=play(costs, load, choices, plan, seconds=10.0),
        day=play(costs, load, choices, plan, seconds=30.0, day=True),
        half=play(costs, load, choices, fewer(found), seconds=10.0),
        crash=play(costs, load, choices, plan, seconds=3.0 + 1.2 * found.recovery + 20.0, crash=crash),
    )


def foretold(result: measure.Result, under: Under) -> Outcome:
    """Play the worker that was measured, under one of its loads or its backlog."""
    worked = result.worked
    load = Load(
        events=under.rate or 1.6 * result_capacity(result),
        customers=float(worked.customers),
        acts=1.0,
        rows_out=under.rows_out,
        timers=under.timers,
        session=2 * under.kept,
        kept=under.kept,
    )
    plan = Plan(1, worked.partitions, worked.partitions)
    return play(result.costs, load, Choices(), plan, seconds=12.0)


def result_capacity(result: measure.Result) -> float:
    """What the measured worker could do at most, by the model."""
    backlog = result.worked.backlog
    return 1e6 / (measure.backlog_cpu(result.costs, backlog) * result.costs.whole)


# -- the parts -----------------------------------------------------------------------------------------------


def machine(result: measure.Result) -> Iterator[str]:
    yield f"Measured {result.when} on {result.machine}, the broker on the same machine."
    yield f"Load average before: {result.others:.1f}, the work of others"
    yield "(with others at work, times are longer than the machine's own, those under loads most of all)."


def costs(result: measure.Result) -> Iterator[str]:
    c = result.costs
    shipped_act = c.core["acts"] + c.core["shipped acts"]
    yield from table(
        ("what", "cost", "of it"),
        [
            ("event, intake", f"{micro(c.intake['look'])} · {micro(c.intake['act'])}", "a look · an act"),
            (
                "event, journeys",
                f"{micro(c.core['looks'] + c.core['shipped looks'])} · {micro(shipped_act)}",
                "a look · an act, five shipped models; without what they change and publish",
            ),
            ("journey more", f"{micro(result.per_journey['look'])} · {micro(result.per_journey['act'])}",
             "per event, without effect · with two attributes and a guard"),
            ("customer changed", micro(c.core["changed"] + c.core["shipped changed"]), "per checkpoint"),
            ("event kept for its order", micro(c.core["entries"]), "each time its customer changes"),
            ("record out", micro(c.core["rows out"]), f"{c.out_bytes:,.0f} bytes with headers"),
            ("timer that comes due", micro(result.timer), "a transition and a stage with it"),
            ("record fetched", micro(c.fetch["rows"]), f"and {micro(c.fetch['batches'])} a batch"),
            ("record handed on", micro(c.hop["rows"]),
             f"and {micro(c.hop['batches'])} a keyed partition, {micro(c.hop['sends'])} a batch of intake"),
            ("transaction", micro(c.commit["commits"]),
             f"and {micro(c.commit['topics'])} a topic, {micro(c.commit['KB'])} a kB; "
             f"{1e3 * c.commit_seconds['commits']:.0f} ms until it is done"),
            ("transaction, at the brokers", micro(c.commit_broker["commits"]),
             f"{c.commit_bytes['commits']:,.0f} bytes on the wire, {c.commit_disk['commits']:,.0f} on disk"),
            ("marker heard", micro(c.marker["markers"]),
             f"and {micro(c.marker['entries'])} a source partition told, "
             f"{micro(c.marker['sources looked at'])} each that there is"),
            ("whole worker", f"x {c.whole:.2f}", "over the sum of its parts: event loop, Faust, metrics"),
            ("worker at rest", f"{100 * c.idle:.0f} % of a core", "32 source and 8 keyed partitions"),
            ("customer at rest", f"{c.resident:,.0f} bytes", f"of memory; {c.encoded:,.0f} encoded"),
            ("customer changed, changelog", f"{c.state['changed'] + c.state['shipped changed']:,.0f} bytes",
             f"and {c.state['entries']:,.0f} for each event kept for its order"),
            ("event on the wire", f"{c.event_bytes:,.0f} bytes",
             f"and {c.hop_bytes['batches']:,.0f} for each batch of the hop"),
            ("customer restored", micro(c.restore), f"{1e6 / c.restore:,.0f} a second and core"),
        ],
    )  # fmt: skip


def fits(result: measure.Result) -> Iterator[str]:
    rows = [
        (name, str(q.runs), f"{q.typical:.0%}", f"{q.worst:.0%}", q.worst_run)
        for name, q in result.fits.items()
    ]
    yield from table(("fit", "runs", "typical error", "worst", "of"), rows)


def worker(result: measure.Result) -> Iterator[str]:
    rows = []
    backlog = result.worked.backlog
    found = foretold(result, backlog)
    rows.append(
        (
            "backlog",
            f"{found.done:,.0f}",
            f"{backlog.done:,.0f}",
            "",
            "",
            "",
            "",
            *share(found.done, backlog.done),
        )
    )
    for under in result.worked.loads:
        if under.rate:
            found = foretold(result, under)
            rows.append(
                (
                    f"{under.rate:,.0f}/s",
                    f"{found.done:,.0f}",
                    f"{under.done:,.0f}",
                    f"{found.busy:.2f}",
                    f"{under.cpu:.2f}",
                    f"{1e3 * found.p50:.0f} · {1e3 * found.p99:.0f}",
                    f"{1e3 * under.p50:.0f} · {1e3 * under.p99:.0f}",
                    *share(found.p50, under.p50),
                )
            )
    yield from table(
        ("load", "events/s foretold", "measured", "cores foretold", "measured", "p50 · p99 ms foretold",
         "measured", "foretold / measured"),
        rows,
    )  # fmt: skip


def share(found: float, measured: float) -> tuple[str]:
    """One over the other."""
    return (f"{found / measured:.2f}" if measured else "",)


def sizes(result: measure.Result) -> Iterator[str]:
    known = {name: chosen(result, name) for name in SIZES}

    def row(name: str, tell: Callable[[Sizing], str]) -> tuple[str, ...]:
        return (name, *(tell(each) for each in known.values()))

    yield from table(
        ("events at the peak, customers", *known),
        [
            row("sources", lambda s: {"hop": "as they come", "keyed": "keyed"}[s.choices.input]),
            row("workers (one core each)", lambda s: f"{s.plan.workers:,}"),
            row("keyed partitions", lambda s: f"{s.plan.partitions:,}"),
            row("source partitions, all topics", lambda s: f"{s.plan.sources:,}"),
            row("most they can do, events/s", lambda s: f"{s.capacity:,.0f}"),
            row("cores busy at the peak", lambda s: f"{s.cores:,.1f}"),
            row("of them markers", lambda s: f"{s.cpu['markers'] / s.cores:.0%}"),
            row("of them transactions", lambda s: f"{s.cpu['transactions'] / s.cores:.0%}"),
            row("of them intake and hop", lambda s: f"{s.cpu['intake and hop'] / s.cores:.0%}"),
            row("memory of a worker", lambda s: size(s.memory)),
            row("network of a worker, in · out",
                lambda s: f"{rate(s.network['worker in'])} · {rate(s.network['worker out'])}"),
            row("transactions a second", lambda s: f"{s.steady.commits:,.0f}"),
            row("markers a second", lambda s: f"{s.steady.markers:,.0f}"),
            row("brokers", lambda s: f"{s.brokers:,}"),
            row("their cores busy", lambda s: f"{s.broker_cores:,.0f}"),
            row("their network, in · out",
                lambda s: f"{rate(s.network['brokers in'])} · {rate(s.network['brokers out'])}"),
            row("disk: sources · hop, a day",
                lambda s: f"{size(s.disk['sources a day'])} · {size(s.disk['hop a day'])}"),
            row("disk: records out, a day", lambda s: size(s.disk["records out a day"])),
            row("disk: changelog, compacted", lambda s: size(s.disk["changelog"])),
            row("disk in all, with retention", lambda s: size(s.disk["kept"])),
            row("restore of one worker, alone", lambda s: f"{s.restore:,.0f} s"),
            row("back after a crash", lambda s: f"{s.recovery:,.0f} s"),
        ],
    )  # fmt: skip


def first(result: measure.Result) -> Iterator[str]:
    rows = []
    for name in SIZES:
        for way in WAYS:
            found = sized(result, name, way)
            if found is None:
                rows.append((name, way, "", "", "more workers do not help: markers"))
            else:
                near = [limit for limit in found.limits if limit.name != "CPU of a worker"][:3]
                told = "; ".join(f"{limit.name} {limit.share:.0%}" for limit in near)
                rows.append((name, way, f"{found.plan.workers:,}", f"{found.cores:,.0f}", told))
    yield from table(
        ("size", "way", "workers", "cores busy", "nearest limits, and how much of each is used"), rows
    )


def reach(result: measure.Result) -> Iterator[str]:
    rows = []
    for way, choices in WAYS.items():
        most = model.reaches(result.costs, load_of(result, 1e5, 1e7), choices, 1e7)
        rows.append((way, "more than 10 million" if most >= 1e7 else f"{most:,.0f}"))
    yield from table(("way", "events/s up to which more workers help"), rows)


def simulated(result: measure.Result) -> Iterator[str]:
    rows = []
    for name in SIZES:
        found = chosen(result, name)
        told = played(result.costs, found)
        rows.append(
            (
                name,
                f"{yes(told.peak)}, {told.peak.busy:.0%} busy, {ms(told.peak)} ms",
                f"{yes(told.day)}, {told.day.busy:.0%} busy, {ms(told.day)} ms",
                f"{yes(told.half)}, {told.half.busy:.0%} busy{passed(result.costs, found)}",
                f"{told.crash.caught_up_after:.0f} s ({found.recovery:.0f} s)",
            )
        )
    yield from table(
        (
            "size",
            "level peak: keeps up, CPU, p50 · p99",
            "a day",
            "half the workers",
            "crash: nothing waits after (by the model)",
        ),
        rows,
    )  # fmt: skip


def fewer(found: Sizing) -> Plan:
    """Half the workers."""
    return msgspec.structs.replace(found.plan, workers=max(1, found.plan.workers // 2))


def passed(costs: Costs, found: Sizing) -> str:
    """What half the workers would have too little of."""
    short = model.limits(costs, found.load, found.choices, fewer(found), found.brokers)
    names = ("memory of a worker", "network of a worker", "recovery after a crash")
    over = [each for each in short if each.share > 1 and each.name in names]
    return "".join(f"; {each.name} {each.share:.0%}" for each in over)


def yes(outcome: Outcome) -> str:
    return "yes" if outcome.keeps_up else "no"


def ms(outcome: Outcome) -> str:
    return f"{1e3 * outcome.p50:,.0f} · {1e3 * outcome.p99:,.0f}"


PARTS: dict[str, Callable[[measure.Result], Iterator[str]]] = {
    part.__name__: part for part in (machine, costs, fits, worker, sizes, first, reach, simulated)
}


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """A table in Markdown."""
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(row) + " |"


def micro(value: float) -> str:
    """Microseconds, to be read."""
    if value >= 100:
        return f"{value:,.0f} µs"
    return f"{value:.1f} µs" if value >= 1 else f"{value:.2f} µs"


def size(value: float) -> str:
    """Bytes, to be read."""
    units = ["B", "kB", "MB", "GB", "TB", "PB"]
    while value >= 1000 and len(units) > 1:
        value /= 1000
        units.pop(0)
    unit = units[0]
    return f"{value:,.0f} {unit}" if value >= 10 else f"{value:.1f} {unit}"


def rate(value: float) -> str:
    """Bytes a second, to be read."""
    return f"{size(value)}/s"


def filled(page: str, result: measure.Result) -> str:
    """The page with its parts written anew."""

    def part(found: re.Match[str]) -> str:
        return found[1] + "\n".join(PARTS[found[2]](result)) + "\n" + found[3]

    return PART.sub(part, page)


def main(arguments: list[str]) -> int:
    """Write the page, or with `--check` compare."""
    (target,) = (Path(each) for each in arguments if each != "--check")
    result = msgspec.json.decode(measure.RESULT.read_bytes(), type=measure.Result)
    page = target.read_text(encoding="utf-8")
    try:
        made = filled(page, result)
    except NoSizeError as error:
        sys.stderr.write(
            f"{measure.RESULT}: {error}: expected some number of workers to do it, but by these costs none "
            "does: markers take more than another worker brings. A machine that was busy? Measure again\n"
        )
        return 1
    if "--check" not in arguments:
        target.write_text(made, encoding="utf-8")
    elif made != page:
        sys.stderr.write(f"{target} differs from {measure.RESULT.name}: run `make schemas`\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
