"""Pictures and tables of journeys say what the definitions say."""

import re
import xml.etree.ElementTree as ET
from itertools import pairwise
from pathlib import Path

import pytest

from journey_stream import diagrams
from journey_stream.diagrams import paint
from journey_stream.diagrams.paint import KIND_COLOURS, width
from journey_stream.events.vocabulary import BUILT_IN
from journey_stream.journeys import Journey, load, shipped, shipped_names
from journey_stream.journeys.model import Back
from journey_stream.values import Kind

SMALL = """
journey: trial
version: 3
start: looking
stages:
  looking: {kind: prospect, title: {en: 'Looks "around"; <b>', fr: Regarde}}
  paying:  {kind: retention, owner: sales}
  gone:    {kind: attrition}
transitions:
  - {id: buys, from: [looking, gone], to: paying, event: order_completed, when: "event.total > 0", reason: paid}
  - {id: asks, from: looking, to: paying, event: [quote_signed, trial_started]}
  - {id: silent, from: paying, to: gone, after: 90d, since: order_completed, unless: product_used, min_dwell: 36h}
signals:
  - {id: nudge, in: looking, sequence: [product_added, checkout_started], within: 1h, expires: 2d, cancel: order_completed}
"""
SVG = "{http://www.w3.org/2000/svg}"


def read(text: str = SMALL) -> Journey:
    return load([("x.yaml", text)], BUILT_IN).usable()[0]


SHIPPED = [load([(name, shipped(name))], BUILT_IN).usable()[0] for name in shipped_names()]


def test_two_rules_between_two_stages_are_one_arrow():
    found = [(a.source, a.target, [r.id for r in a.rules], a.forward) for a in diagrams.arrows(read())]
    assert [
        ("looking", "paying", ["buys", "asks"], True),
        ("paying", "gone", ["silent"], True),
        ("gone", "paying", ["buys"], False),
    ] == found


@pytest.mark.parametrize("journey", SHIPPED, ids=lambda j: j.id)
def test_every_rule_of_a_shipped_model_is_on_an_arrow_from_each_of_its_stages(journey: Journey):
    drawn = {(arrow.source, rule.id) for arrow in diagrams.arrows(journey) for rule in arrow.rules}
    said = {
        (source, rule.id)
        for rule in journey.transitions
        for source in rule.from_
        if rule.reenter or source != journey.destination(rule.to, source)
    }
    assert said == drawn
    backs = {rule.id for rule in journey.transitions if isinstance(rule.to, Back)}
    assert backs == {rule.id for a in diagrams.arrows(journey) if a.back for rule in a.rules}


def test_mermaid_names_stages_once_and_escapes_what_would_end_a_label():
    drawn = diagrams.mermaid(read())
    assert drawn == (
        "stateDiagram-v2\n"
        '    state "Looks #34;around#34;#59; #60;b#62;" as s_looking\n'
        '    state "paying" as s_paying\n'
        '    state "gone" as s_gone\n'
        "    [*] --> s_looking\n"
        "    s_looking --> s_paying : buys, asks\n"
        "    s_paying --> s_gone : silent\n"
        "    s_gone --> s_paying : buys\n"
    )
    assert "order_completed, quote_signed or trial_started" in diagrams.mermaid(read(), triggers=True)
    assert 'state "Regarde"' in diagrams.mermaid(read(), language="fr")


def test_mermaid_puts_nested_stages_inside_their_parent():
    four = next(journey for journey in SHIPPED if journey.groups)
    drawn = diagrams.mermaid(four)
    group = next(iter(four.groups.values()))
    inside = drawn[drawn.index(f"as s_{group.id} {{") :].split("}")[0]
    assert len(group.leaves) == inside.count("state ")
    assert f"[*] --> s_{group.initial.replace('/', '_2f_')}" in inside


def test_the_table_says_triggers_guards_and_targets_in_the_order_of_priority():
    drawn = diagrams.table(read())
    assert (
        '| Looks "around"; <b> `looking` | prospect |  | `buys` | order_completed | `event.total > 0` | paying | paid |'
        in drawn
    )
    assert (
        "| paying `paying` | retention | sales | `silent` | 90d after the last order_completed, unless product_used "
        "| `at least 1d12h in the stage` | gone |  |"
    ) in drawn
    assert (
        "| `nudge` | looking | product_added then checkout_started within 1h |  |  | 2d | order_completed |"
        in drawn
    )
    rows = [line for line in drawn.splitlines() if line.startswith("|")]
    assert {9, 8} == {len(re.findall(r"(?<!\\)\|", row)) for row in rows}


@pytest.mark.parametrize("journey", [read(), *SHIPPED], ids=lambda j: j.id)
def test_the_picture_is_well_formed_has_every_stage_and_draws_no_line_outside(journey: Journey):
    root = ET.fromstring(diagrams.svg(journey))
    width, height = map(float, root.attrib["viewBox"].split()[2:])
    texts = [element.text or "" for element in root.iter(f"{SVG}text")]
    for stage in journey.stages:
        assert any(text.startswith(stage[:34]) for text in texts), stage
    for path in root.iter(f"{SVG}path"):
        for command, number in re.findall(r"([HVM])([\d.-]+)", path.attrib["d"]):
            assert 0 <= float(number) <= (height if command == "V" else width)
    boxes = [e for e in root.iter(f"{SVG}rect") if e.get("class") == "box"]
    assert len(journey.stages) == len(boxes)
    tops = [(float(b.attrib["y"]), float(b.attrib["y"]) + float(b.attrib["height"])) for b in boxes]
    assert all(bottom < top for (_, bottom), (top, _) in pairwise(tops))


@pytest.mark.parametrize("journey", [read(), *SHIPPED], ids=lambda j: j.id)
def test_a_box_shows_id_kind_and_owner_whole_and_inside(journey: Journey):
    root = ET.fromstring(diagrams.svg(journey))
    (box,) = {(e.attrib["x"], e.attrib["width"]) for e in root.iter(f"{SVG}rect") if e.get("class") == "box"}
    right = sum(map(float, box))
    words = {e.text: float(e.attrib["x"]) for e in root.iter(f"{SVG}text") if e.get("class") == "small"}
    for stage in journey.stages.values():
        said = " · ".join(dict.fromkeys((stage.id, stage.kind, stage.owner or stage.id)))
        assert said in words
        assert words[said] + width(said, paint.SMALL) < right


def test_a_label_that_is_too_long_is_cut_and_not_drawn_over():
    long = "a-rule-with-a-name-of-many-words"
    rules = "\n".join(
        f"  - {{id: {long}-{number}, from: looking, to: gone, event: order_cancelled}}" for number in range(9)
    )
    drawn = diagrams.svg(read(SMALL.replace("signals:", f"{rules}\nsignals:")))
    labels = [e.text or "" for e in ET.fromstring(drawn).iter(f"{SVG}text")]
    (cut,) = [label for label in labels if label.startswith(long)]
    assert cut.endswith("…")
    assert width(cut, paint.SMALL) <= 330


def test_every_kind_has_a_colour():
    assert set(Kind.__args__) == set(KIND_COLOURS)


def test_the_sankey_is_as_thick_as_many_move():
    drawn = diagrams.sankey(
        {("a", "a"): 90, ("a", "b"): 10, ("b", "b"): 100},
        [("a", "prospect"), ("b", None)],
        [("a", "prospect"), ("b", None)],
        ("version 1", "version 2"),
        "who moves",
    )
    root = ET.fromstring(drawn)
    heights = [float(e.attrib["height"]) for e in root.iter(f"{SVG}rect") if e.get("class") is None]
    assert [180.0, 180.0, 162.0, 198.0] == heights
    told = {path[0].text for path in root.iter(f"{SVG}path")}
    assert {"a to a: 90", "a to b: 10", "b to b: 100"} == told
    assert any("a  100" in (e.text or "") for e in root.iter(f"{SVG}text"))


def test_the_names_beside_a_sankey_are_inside_it_however_long():
    long = "an-uncommonly-long-stage/with-a-leaf-of-many-words"
    drawn = diagrams.sankey({(long, "b"): 3}, [(long, None)], [("b", None), (long, None)], ("x", "y"), "t")
    root = ET.fromstring(drawn)
    whole = float(root.attrib["width"])
    for each in root.iter(f"{SVG}text"):
        beside, said = float(each.attrib["x"]), width(each.text or "")
        assert 0 <= beside - said if each.attrib["text-anchor"] == "end" else beside + said <= whole


def test_a_flow_of_one_in_a_million_is_still_seen():
    drawn = diagrams.sankey(
        {("a", "a"): 999_999, ("a", "b"): 1}, [("a", None)], [("a", None), ("b", None)], ("x", "y"), "t"
    )
    assert 'height="1.5"' in drawn


@pytest.mark.parametrize("journey", SHIPPED, ids=lambda j: j.id)
def test_the_pictures_in_the_docs_are_those_of_the_shipped_definitions(journey: Journey):
    kept = Path(__file__).parents[2] / "docs" / "diagrams" / f"{journey.id}.svg"
    assert diagrams.svg(journey) == kept.read_text("utf-8"), (
        "run: journey-stream diagram --format svg -o docs/diagrams"
    )
