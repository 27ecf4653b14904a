"""What the command line says about itself."""

import shlex
import subprocess
import sys
import time
from collections.abc import Callable

import click
import pytest

from journey_stream import __version__
from journey_stream.cli import VERBS, cli
from tests.cli.conftest import Said


def test_the_verbs_are_those_of_this_release(call: Callable[..., Said]):
    said = call("--help")
    assert 0 == said.code
    order = "demo worker replay backfill new lint test explain backtest diagram schema topics broker redrive inspect pause resume reset"
    assert order.split() == list(VERBS)
    assert all(f"  {verb} " in said.out for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_has_help_that_opens_as_listed_and_ends_with_an_example(
    verb: str, call: Callable[..., Said]
):
    said = call(verb, "--help")
    assert 0 == said.code
    command = cli.get_command(click.Context(cli), verb)
    assert VERBS[verb] == (command.help or "").splitlines()[0]
    example = said.out[said.out.index("Example:  ") :]
    assert f"journey-stream {verb}" in example
    assert "\\b" not in said.out


@pytest.mark.parametrize("verb", VERBS)
def test_each_example_is_a_call_that_is_understood(verb: str):
    command = cli.get_command(click.Context(cli), verb)
    lines = [line.split("Example:")[-1].strip() for line in (command.epilog or "").splitlines()[1:]]
    for line in lines:
        for part in line.split("&&"):
            _, name, *arguments = shlex.split(part.replace("*", "x"))
            context = cli.get_command(click.Context(cli), name).make_context(name, arguments)
            assert context.params


def test_help_is_quick_because_it_imports_no_verb():
    began = time.monotonic()
    code = "import sys; from journey_stream.cli import run; run(['--help']); sys.exit(any(m in sys.modules for m in ('faust', 'aiokafka', 'rich', 'yaml')))"
    assert 0 == subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode
    assert time.monotonic() - began < 10


def test_version(call: Callable[..., Said]):
    assert f"journey-stream, version {__version__}\n" == call("--version").out


def test_python_dash_m_is_the_same_door():
    ran = subprocess.run(
        [sys.executable, "-m", "journey_stream", "--version"], capture_output=True, text=True, check=True
    )
    assert f"journey-stream, version {__version__}\n" == ran.stdout


def test_an_unknown_verb_suggests_one(call: Callable[..., Said]):
    said = call("repaly")
    assert (2, "") == said[:2]
    assert "no command `repaly`. Did you mean `replay`?" in said.err


def test_an_unknown_option_is_wrong_usage(call: Callable[..., Said]):
    said = call("lint", "--jsn")
    assert 2 == said.code
    assert "--json" in said.err
