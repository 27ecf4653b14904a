"""Verbs are called in this process: quick, and their output is what a shell would see."""

from collections.abc import Callable
from typing import NamedTuple

import pytest

from journey_stream.cli import run


class Said(NamedTuple):
    """What a call of the command line left."""

    code: int
    out: str
    err: str


@pytest.fixture
def call(capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Said]:
    """`call("lint", "brand")` gives exit code, standard output and standard error."""
    for name in list(__import__("os").environ):
        if name.startswith("JOURNEY_STREAM_") and name != "JOURNEY_STREAM_CACHE":
            monkeypatch.delenv(name)

    def made(*arguments: object) -> Said:
        code = run([str(each) for each in arguments])
        out, err = capfdbinary.readouterr()
        return Said(code, out.decode(), err.decode())

    return made
