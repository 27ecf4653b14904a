"""`schema` writes what the code runs on, and tells what differs."""

import json
from collections.abc import Callable
from pathlib import Path

from tests.cli.conftest import Said

ROOT = Path(__file__).parents[2]


def test_the_schemas_in_the_repository_are_those_of_the_code(call: Callable[..., Said]):
    assert (0, "", "") == tuple(call("schema", "--check", ROOT / "schemas"))


def test_what_is_written_is_fine_and_what_is_touched_is_told(tmp_path: Path, call: Callable[..., Said]):
    assert 0 == call("schema", tmp_path).code
    assert 0 == call("schema", "--check", tmp_path).code
    (tmp_path / "asyncapi.yaml").write_text("changed", encoding="utf-8")
    (tmp_path / "stray.json").write_text("{}", encoding="utf-8")
    (tmp_path / "events" / "order_completed.schema.json").unlink()
    said = call("schema", "--check", tmp_path)
    assert 1 == said.code
    assert {
        "asyncapi.yaml: differs",
        "events/order_completed.schema.json: is missing",
        "stray.json: is not made any more",
    } == set(said.out.splitlines())


def test_all_files_as_json_with_own_types(tmp_path: Path, call: Callable[..., Said]):
    config = tmp_path / "app.yaml"
    config.write_text("event_types: [{name: desk_visited, schema: {type: object}}]", encoding="utf-8")
    made = json.loads(call("schema", "--json", "-c", config).out)
    assert "events/desk_visited.schema.json" in made


def test_check_needs_a_folder(call: Callable[..., Said]):
    said = call("schema", "--check")
    assert 2 == said.code
    assert "expected the FOLDER" in said.err
