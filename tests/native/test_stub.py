"""The types that mypy is told of the compiled core are those of the compiled core."""

import ast
from pathlib import Path

import pytest

native = pytest.importorskip("journey_stream_native")

STUB = ast.parse((Path(__file__).parents[2] / "native" / "journey_stream_native.pyi").read_text("utf-8"))
CLASSES = [each for each in STUB.body if isinstance(each, ast.ClassDef)]


@pytest.mark.parametrize("stub", CLASSES, ids=lambda stub: stub.name)
def test_what_the_types_name_is_there(stub: ast.ClassDef):
    made = getattr(native, stub.name)
    for part in stub.body:
        if isinstance(part, ast.FunctionDef):
            assert hasattr(made, part.name), part.name
            if not part.decorator_list and not part.name.startswith("__"):
                arguments = part.args.posonlyargs + part.args.args + part.args.kwonlyargs
                told = [each.arg for each in arguments]
                expected = made.__dict__[part.name].__text_signature__
                names = [each.split("=")[0].strip("$ *") for each in expected.strip("()").split(",")]
                assert [name for name in names if name not in {"", "/"}] == told, part.name
        elif isinstance(part, ast.AnnAssign):
            assert hasattr(made, part.target.id), part.target.id  # type: ignore[union-attr]


def test_what_the_core_offers_to_the_package_has_types():
    probes = {name for name in dir(native) if "probe" in name.lower()} | {"EventReader"}
    offered = {name for name in dir(native) if not name.startswith("_")} - {native.__name__}
    numbers = {each.target.id for each in STUB.body if isinstance(each, ast.AnnAssign)}  # type: ignore[union-attr]
    functions = {each.name for each in STUB.body if isinstance(each, ast.FunctionDef)}
    assert {each.name for each in CLASSES} | numbers | functions == offered - probes
