"""Figures become medians, ratios, a table and a plot; no Kafka."""

import re
import subprocess
import sys
from xml.etree import ElementTree

import pytest

from benchmarks.measuring import Figure, Sample, between, from_read_to_done
from benchmarks.peers import plot
from benchmarks.peers.contestants import BY_NAME, CONTESTANTS
from benchmarks.peers.programs import Place, RunFailed, ran
from benchmarks.peers.result import Result, compare, row_of, table


def result_of(rates: dict[str, list[float]]) -> Result:
    rows = []
    for each in CONTESTANTS:
        runs = [Figure(int(rate), 1.0, 0.5) for rate in rates.get(each.name, [])]
        rows.append(row_of(each, 100, 10, runs, None if runs else "no JDK"))
    machine: dict[str, str | int] = {"cores": 2, "cpu": "some", "memory_gib": 8, "system": "Linux"}
    work = {"events": 100, "customers": 10, "partitions": 4, "bytes": 300}
    return Result("2026-01-01", machine, {"kafka": "4"}, work, 3, rows, compare(rows))


RESULT = result_of({"streams": [100, 90, 300], "one-keyed": [200, 270, 210], "loop": [1000, 1000, 1000]})


def test_a_row_tells_the_median_and_how_far_the_runs_lie_apart():
    row = RESULT.row("streams")
    assert row.rate is not None
    assert (100, 90, 300) == (row.rate.median, row.rate.least, row.rate.most)
    assert "no JDK" == RESULT.row("quix").not_run


def test_a_ratio_is_one_of_medians_and_its_spread_that_of_turns():
    found = {(each.ours, each.peer): each for each in RESULT.ratios}
    streams = found["one-keyed", "streams"]
    assert (2.1, 0.7, 3.0) == (streams.ratio, streams.least, streams.most)
    assert "aim reached" == streams.verdict
    assert "missed" == found["one-keyed", "loop"].verdict
    assert (None, "not run") == (found["one-keyed", "quix"].ratio, found["one-keyed", "quix"].verdict)


def test_the_table_names_everybody_and_why_somebody_did_not_run():
    text = table(RESULT)
    assert all(each.title in text for each in CONTESTANTS)
    assert re.search(r"Quix Streams +not run: no JDK", text)
    assert re.search(r"one journey, keyed / Kafka Streams +2\.10 \(0\.70 … 3\.00\) +at least 1\.2", text)


def test_the_plot_is_svg_with_a_bar_for_each_who_ran():
    picture = plot.draw(RESULT)
    bars = [each for each in ElementTree.fromstring(picture).iter() if each.get("class") in ("ours", "peer")]
    assert 3 == len(bars)
    assert picture.count("not run") == len(CONTESTANTS) - 3


@pytest.mark.parametrize(("most", "step"), [(6, 1), (7, 2), (59_000, 10_000), (230_000, 50_000)])
def test_the_grid_has_a_few_round_lines(most: float, step: int):
    assert step == plot.step_of(most)


def test_a_run_counts_from_5_to_95_per_cent():
    figure = between([(0, 0.0, 0.0), (100, 10.0, 5.0)], 100)
    assert (90, 9.0, 4.5) == (figure.events, figure.seconds, figure.cpu_seconds)
    assert (10.0, 50_000.0) == (figure.rate, figure.cpu)


def test_what_the_first_step_does_early_counts():
    samples = [Sample(0, 0, 0.0, 0.0), Sample(100, 0, 10.0, 10.0), Sample(100, 100, 20.0, 20.0)]
    figure = from_read_to_done(samples, 100)
    assert (90, 19.0) == (figure.events, figure.seconds)


def place(tmp_path: object) -> Place:
    return Place("none:1", "bench.x", "keyed", "group", 100, 4, tmp_path / "run")  # type: ignore[operator]


async def test_a_peers_marks_become_its_figure(tmp_path):
    code = "print('begun 5', flush=True); sum(range(3_000_000)); print('ended 96', flush=True); input()"
    async with ran([sys.executable, "-c", code], place(tmp_path)) as figure:
        assert 91 == figure.events
        assert figure.seconds > 0 < figure.rate
    assert not (tmp_path / "run").exists()


async def test_a_peer_that_ends_early_is_told_with_its_last_words(tmp_path):
    code = "import sys; print('begun 5'); sys.exit('no broker')"
    with pytest.raises(RunFailed, match=r"ended with 1 .* no broker"):
        async with ran([sys.executable, "-c", code], place(tmp_path)):
            raise AssertionError


def test_the_command_names_the_contestants():
    said = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--help"], capture_output=True, text=True, check=True
    )
    assert all(name in said.stdout.replace("\n", " ") for name in ("one-hop", "loop", "faust"))
    assert set(BY_NAME) == {each.name for each in CONTESTANTS}
