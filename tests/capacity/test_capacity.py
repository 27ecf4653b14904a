"""The cost model is sane, the simulation bears it out, and the page tells what both say."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.capacity import measure, model, page
from benchmarks.capacity.fit import Run, fit, predicted
from benchmarks.capacity.simulate import play
from benchmarks.capacity.terms import Choices, Load, Plan, Sizing

PAGE = Path(__file__).parents[2] / "docs" / "capacity.md"
RESULT = msgspec.json.decode(measure.RESULT.read_bytes(), type=measure.Result)
COSTS = RESULT.costs
HOP, KEYED = Choices(interval=0.1), Choices(input="keyed", interval=0.1)

rates = st.floats(1e3, 3e6)
people = st.floats(1e5, 3e8)
choices = st.sampled_from([Choices(), HOP, KEYED])


def played(name: str) -> tuple[Sizing, page.Played]:
    found = page.chosen(RESULT, name)
    return found, page.played(COSTS, found)


class TestTheFit:
    def test_finds_costs_that_made_the_runs(self) -> None:
        real = {"events": 12.5, "batches": 300.0, "nothing": 0.0}
        counts = [{"events": e, "batches": b, "nothing": n} for e, b, n in
                  ((100.0, 1.0, 5.0), (5_000.0, 10.0, 1.0), (70.0, 70.0, 9.0), (900.0, 300.0, 30.0))]  # fmt: skip
        found = fit([Run(str(n), each, predicted(real, each)) for n, each in enumerate(counts)], list(real))
        assert found.costs == pytest.approx(real, abs=0.01)
        assert found.worst < 1e-3

    def test_gives_nothing_back_for_what_would_cost_less_than_nothing(self) -> None:
        runs = [Run("a", {"x": 1.0, "y": 0.0}, 10.0), Run("b", {"x": 1.0, "y": 5.0}, 8.0)]
        found = fit(runs, ["x", "y"])
        assert 0.0 == found.costs["y"]
        assert found.worst > 0.1


class TestTheModel:
    @given(rates, people, choices)
    def test_more_events_never_need_less(self, events: float, customers: float, chosen: Choices) -> None:
        plan = model.plan_of(100, chosen)
        one, more = Load(events, customers), Load(events * 1.5, customers)
        for pressed in (False, True):
            assert model.cores_of(COSTS, one, chosen, plan, pressed=pressed) <= model.cores_of(
                COSTS, more, chosen, plan, pressed=pressed
            )

    @given(rates, people, choices)
    def test_more_customers_never_need_less_memory_disk_or_time_to_restore(
        self, events: float, customers: float, chosen: Choices
    ) -> None:
        plan = model.plan_of(50, chosen)
        one, more = Load(events, customers), Load(events, customers * 2)
        assert model.restore_records(COSTS, one, chosen, plan) < model.restore_records(
            COSTS, more, chosen, plan
        )
        rest = [load.customers * COSTS.resident for load in (one, more)]
        assert rest[0] < rest[1]
        if customers > events * model.HOUR / one.session:  # else more of them only share the same hour
            assert model.worker_memory(COSTS, one, plan) < model.worker_memory(COSTS, more, plan)

    @given(rates, choices)
    def test_a_worker_that_is_behind_can_do_more_than_its_steady_cpu_says(
        self, events: float, chosen: Choices
    ) -> None:
        load, plan = Load(events, events * 100), model.plan_of(64, chosen)
        steady = model.cores_of(COSTS, load, chosen, plan, pressed=False)
        assert model.cores_of(COSTS, load, chosen, plan, pressed=True) <= steady * 1.02

    @given(rates)
    def test_keyed_sources_never_cost_more_cpu_than_the_hop(self, events: float) -> None:
        load, plan = Load(events, events * 100), Plan(64, 256, 64)
        assert model.cores_of(COSTS, load, KEYED, plan, pressed=True) < model.cores_of(
            COSTS, load, HOP, plan, pressed=True
        )

    @given(st.floats(2, 1e7), st.floats(0.1, 1e6))
    def test_different_ones_are_never_more_than_there_are_or_were_drawn(
        self, among: float, drawn: float
    ) -> None:
        assert model.distinct(among, drawn) <= min(among, drawn + 1e-6) + 1e-6

    def test_markers_grow_faster_than_the_load(self) -> None:
        share = []
        for workers in (10, 100, 1_000):
            plan = model.plan_of(workers, HOP)
            parts = model.cpu_parts(COSTS, Load(4e3 * workers, 4e5 * workers), HOP, plan, pressed=True)
            share.append(parts["markers"] / sum(parts.values()))
        assert share[0] < share[1] < share[2]

    @pytest.mark.parametrize("name", page.SIZES)
    def test_every_size_can_be_had_with_keyed_sources(self, name: str) -> None:
        keyed = [way for way, choices in page.WAYS.items() if choices.input == "keyed"]
        found = next((each for way in keyed if (each := page.sized(RESULT, name, way))), None)
        assert found is not None
        assert found.capacity * found.choices.busy >= 0.99 * found.load.events
        assert found.memory <= found.choices.memory
        assert found.recovery <= found.choices.restore_within

    def test_the_hop_ends_where_the_page_says_and_not_before_a_hundred_thousand(self) -> None:
        load = page.load_of(RESULT, 1e5, 1e7)
        assert 1e5 < model.reaches(COSTS, load, Choices()) <= model.reaches(COSTS, load, HOP)


class TestTheSimulation:
    @pytest.mark.parametrize("name", page.SIZES)
    def test_bears_out_a_sizing(self, name: str) -> None:
        found, told = played(name)
        assert told.peak.keeps_up
        assert told.day.keeps_up
        assert told.peak.p99 < 2.0
        assert told.crash.caught_up_after < 2 * found.recovery + 10.0

    @pytest.mark.parametrize("name", page.SIZES)
    def test_half_of_the_workers_do_not_do_or_have_nothing_left(self, name: str) -> None:
        found, told = played(name)
        assert not told.half.keeps_up or told.half.busy > 0.9 or page.passed(COSTS, found)

    @pytest.mark.parametrize("chosen", [HOP, KEYED])
    def test_does_at_most_what_the_model_says(self, chosen: Choices) -> None:
        plan = Plan(8, 32, 128 if chosen is KEYED else 8)
        load = page.load_of(RESULT, 1e5, 1e7)
        most = model.capacity(COSTS, load, chosen, plan)
        for share, does in ((0.7, True), (1.4, False)):
            asked = msgspec.structs.replace(load, events=share * most)
            assert does == play(COSTS, asked, chosen, plan, seconds=8.0).keeps_up

    def test_is_the_same_for_the_same_seed_only(self) -> None:
        plan, load = Plan(4, 16, 8), page.load_of(RESULT, 2e4, 1e6)
        first, again, other = (play(COSTS, load, HOP, plan, seed=seed, seconds=3.0) for seed in (1, 1, 2))
        assert first == again
        assert first != other


class TestThePage:
    def test_shows_what_the_measurements_give(self) -> None:
        text = PAGE.read_text("utf-8")
        assert set(page.PARTS) == {found[2] for found in page.PART.finditer(text)}
        assert page.filled(text, RESULT) == text, "run `make schemas`"

    def test_holds_no_figures_of_speed_or_size_outside_its_tables(self) -> None:
        text = page.PART.sub("", PAGE.read_text("utf-8"))
        for unit in (" µs", " GB", " TB", "MB/s", "events/s", " cores"):
            assert unit not in text

    def test_another_page_is_told(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        target = tmp_path / "capacity.md"
        target.write_text("<!-- machine -->\nold\n<!-- end -->\n")
        assert 1 == page.main(["--check", str(target)])
        assert "make schemas" in capsys.readouterr().err
        assert 0 == page.main([str(target)])
        assert 0 == page.main(["--check", str(target)])
