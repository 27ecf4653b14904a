"""Writes what `make bench` measured into the pages: docs/performance.md, its plot, the README's sentence.

    python -m benchmarks.peers.page            # `--check` compares instead

Enters: benchmarks/results/peers.json. Leaves: the pages. Strategy: a page is written by hand but for the text
between `<!-- NAME: begin -->` and `<!-- NAME: end -->`, which is made here, so that no figure is typed.
"""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from benchmarks.peers import plot
from benchmarks.peers.result import Compared, Result, Row

ROOT = Path(__file__).parents[2]
RESULT = Path("benchmarks/results/peers.json")
PLOT = Path("docs/performance.svg")
INPUTS = {"keyed": "keyed by customer", "scattered": "no key"}


def pages(root: Path, result: Result) -> dict[Path, str]:
    """Make every page anew, from what stands there and a result."""
    made = {PLOT: plot.draw(result)}
    for page, parts in PARTS.items():
        made[page] = filled(
            (root / page).read_text("utf-8"), {name: of(result) for name, of in parts.items()}
        )
    return made


def filled(text: str, parts: Mapping[str, str]) -> str:
    """Put parts between their marks.

    Raises:
        ValueError: a page lacks the marks of a part.
    """
    for name, part in parts.items():
        mark = re.compile(rf"(<!-- {name}: begin -->\n).*?(<!-- {name}: end -->)", re.DOTALL)
        text, found = mark.subn(lambda marks, part=part: f"{marks[1]}{part}\n{marks[2]}", text)
        if found != 1:
            raise ValueError(f"expected `<!-- {name}: begin -->` and its end once, found {found} times")
    return text


def figures(result: Result) -> str:
    """Write the table of figures."""
    lines = [
        "| who | input | promises | events | records per event | events/s | least to most | CPU µs/event |",
        "|---|---|---|--:|--:|--:|--:|--:|",
    ]
    for row in result.rows:
        said = f"| {_name(row)} | {INPUTS[row.layout]} | {row.guarantee} |"
        if row.rate is None or row.cpu is None:
            lines.append(f"{said} | | not run: {row.not_run} | | |")
            continue
        amount = f"{row.events:,} | {row.records:.2f}"
        wide = f"{row.rate.least:,.0f} to {row.rate.most:,.0f}"
        lines.append(f"{said} {amount} | {row.rate.median:,.0f} | {wide} | {row.cpu.median:,.1f} |")
    return "\n".join(lines)


def ratios(result: Result) -> str:
    """Write the table of ratios."""
    lines = [
        "| ours / theirs | ratio | in single turns | at least | aim | |",
        "|---|--:|--:|--:|--:|---|",
    ]
    for each in result.ratios:
        what = f"{_name(result.row(each.ours))} / {_name(result.row(each.peer))}"
        told = "" if each.ratio is None else f"{each.ratio:.2f}"
        turns = "" if each.ratio is None else f"{each.least:.2f} to {each.most:.2f}"
        lines.append(f"| {what} | {told} | {turns} | {each.at_least:g} | {each.aim:g} | {each.verdict} |")
    return "\n".join(lines)


def setting(result: Result) -> str:
    """Say where and with what it was measured."""
    machine, work = result.machine, result.workload
    programs = ", ".join(f"{name} {version}" for name, version in result.versions.items())
    times = "one repetition" if result.repetitions == 1 else f"{result.repetitions} repetitions in turn"
    return (
        f"Measured on {result.measured}, {times}: {machine['cores']} cores ({machine['cpu']}), "
        f"{machine['memory_gib']} GiB, {machine['system']}, for everything, the broker included.\n"
        f"Events of about {work['bytes']} bytes, {work['customers']:,} customers, "
        f"{work['partitions']} partitions.\n"
        f"Versions: {programs}."
    )


def sentence(result: Result) -> str:
    """Write the README's lines."""
    by_pair = {(each.ours, each.peer): each for each in result.ratios}

    def times(ours: str, peer: str, than: str) -> str | None:
        found: Compared | None = by_pair.get((ours, peer))
        return None if found is None or found.ratio is None else f"{_short(found.ratio)} times {than}"

    one = [
        times("one-keyed", "streams", "as many as Kafka Streams when input is keyed by customer"),
        times("one-hop", "streams-repartition", "as many as Kafka Streams when input has no key"),
        times("one-keyed", "quix", "as many as Quix Streams"),
        times("one-keyed", "faust", "as many as plain Faust"),
        times("one-keyed", "loop", "as many as a bare aiokafka loop with transactions"),
    ]
    five = [
        times("five-keyed", "streams", "as many as Kafka Streams does of that one when input is keyed"),
        times("five-hop", "streams-repartition", "as many when input has no key"),
    ]
    told = (
        "`make bench` lets the worker and its peers do one job side by side and checks what each publishes. "
        f"Here, on {result.machine['cores']} cores with the broker, events a second of a journey of three "
        f"stages are {_listed(one)}; of all five models together, {_listed(five)}. "
        "Figures, spreads and method: [Performance](docs/performance.md)."
    )
    return textwrap.fill(told, 118, break_long_words=False, break_on_hyphens=False)


def _listed(parts: list[str | None]) -> str:
    return ", ".join(part for part in parts if part) or "not measured"


def _short(ratio: float) -> str:
    return f"{ratio:.0f}" if ratio >= 10 else f"{ratio:.1f}" if ratio >= 2 else f"{ratio:.2f}"


def _name(row: Row) -> str:
    return f"**{row.title}**" if row.journeys else row.title


PARTS: dict[Path, dict[str, Callable[[Result], str]]] = {
    Path("docs/performance.md"): {"setting": setting, "figures": figures, "ratios": ratios},
    Path("README.md"): {"performance": sentence},
}


def write_pages(root: Path, result: Result) -> None:
    """Write every page."""
    for page, text in pages(root, result).items():
        (root / page).write_text(text, encoding="utf-8")


def load(root: Path) -> Result:
    """Read the committed result."""
    return msgspec.json.decode((root / RESULT).read_bytes(), type=Result)


def main(arguments: list[str], root: Path = ROOT) -> int:
    """Write the pages, or with `--check` compare."""
    result = load(root)
    if "--check" not in arguments:
        write_pages(root, result)
        return 0
    code = 0
    for page, text in pages(root, result).items():
        if not (root / page).exists() or (root / page).read_text("utf-8") != text:
            sys.stderr.write(f"{page} does not say what {RESULT} says: run `make schemas`\n")
            code = 1
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
