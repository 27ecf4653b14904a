"""`new`, by options and by answers, and what comes of it with the other verbs."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Said
from tests.cli.terminal import at_a_terminal


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


FILES = ["my-shop.yaml", "my-shop_events.jsonl", "my-shop_test.yaml"]


@pytest.mark.parametrize("template", ["blank", "lifecycle"])
def test_the_next_steps_that_are_told_all_succeed(template: str, tmp_path: Path, call: Callable[..., Said]):
    said = call("new", "my-shop", "--template", template, "--dir", "journeys/new")
    steps = [line.split() for line in said.out.splitlines() if line.startswith("  journey-stream")]

    assert 0 == said.code
    assert FILES == sorted(path.name for path in (tmp_path / "journeys/new").iterdir())
    assert ["lint", "test", "replay"] == [step[1] for step in steps]
    for _, *arguments in steps:
        assert 0 == call(*arguments).code
    replayed = call(*steps[-1][1:])
    assert "unusable" not in replayed.err
    assert len(replayed.out.splitlines()) > 10


def test_without_a_person_the_blank_one_is_made_without_asking(tmp_path: Path, call: Callable[..., Said]):
    assert 0 == call("new", "my-shop").code
    assert "silence: 90d" in (tmp_path / "my-shop.yaml").read_text("utf-8")


def test_stages_and_silence_are_options(tmp_path: Path, call: Callable[..., Said]):
    assert 0 == call("new", "my-shop", "--stages", "looker, buyer,gone", "--silence", "30d").code
    text = (tmp_path / "my-shop.yaml").read_text("utf-8")
    assert "# my-shop: looker, buyer, gone." in text
    assert "silence: 30d" in text


def test_nothing_is_ever_overwritten(tmp_path: Path, call: Callable[..., Said]):
    (tmp_path / "my-shop_test.yaml").write_text("mine", encoding="utf-8")
    said = call("new", "my-shop")

    assert 2 == said.code
    assert "my-shop_test.yaml is there already" in said.err
    assert ["my-shop_test.yaml"] == [path.name for path in tmp_path.iterdir()]
    assert "mine" == (tmp_path / "my-shop_test.yaml").read_text("utf-8")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--template", "buyer-vaule"), "Did you mean `buyer-value`?"),
        (("--template", "brand", "--stages", "a,b,c"), "edit its file"),
        (("--stages", "a,b"), "expected 3 to 12"),
        (("--silence", "soon"), "a duration such as 90d"),
    ],
)
def test_what_cannot_be_is_wrong_usage(
    arguments: tuple[str, ...], told: str, tmp_path: Path, call: Callable[..., Said]
):
    said = call("new", "my-shop", *arguments)
    assert 2 == said.code
    assert told in said.err
    assert [] == list(tmp_path.iterdir())


def test_a_person_is_asked(tmp_path: Path):
    code, shown = at_a_terminal("new", "my-shop", answers=("", "looker,buyer,gone", "30d"))

    assert 0 == code
    assert (
        "Template (one of blank, brand, buyer-value, four-cycles, lifecycle, relationship) [blank]:" in shown
    )
    assert "Stages (from the first visit to lost, comma between) [prospect,customer,lost]:" in shown
    assert "silence: 30d" in (tmp_path / "my-shop.yaml").read_text("utf-8")


def test_a_model_has_no_more_questions(tmp_path: Path):
    code, shown = at_a_terminal("new", "my-shop", answers=("brand",))

    assert 0 == code
    assert "Stages" not in shown
    assert "made from the model brand" in (tmp_path / "my-shop.yaml").read_text("utf-8")
