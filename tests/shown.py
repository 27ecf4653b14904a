"""Commands that pages show are run, and what they print is what the page says.

A page's ```console blocks hold commands (after `$ `), each followed by what it prints on standard output; `...` on a
line of its own stands for any lines, and `[exit code 1]` at the end for an exit code that is not 0. A block that
opens with ```yaml file=NAME (or another language) is a file that the reader writes. All of it happens in the order
of the page, in one folder, in which the project's files that pages speak of lie at the same paths.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
THERE = ("examples", "journey_stream")
_BLOCK = re.compile(r"^```(?:(console)|\w+ file=(\S+))\n(.*?)^```", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"^\[exit code (\d+)\]\n\Z", re.MULTILINE)


class File(NamedTuple):
    """A file that the reader of a page writes."""

    name: str
    text: str


class Command(NamedTuple):
    """A command that the reader of a page gives."""

    line: str
    printed: str
    code: int


def shown(page: Path) -> Iterator[File | Command]:
    """Read files and commands from a page, in its order."""
    for console, name, text in _BLOCK.findall(page.read_text("utf-8")):
        if not console:
            yield File(name, text)
            continue
        for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
            line, _, printed = part.partition("\n")
            code = _CODE.search(printed)
            yield Command(line, _CODE.sub("", printed), int(code[1]) if code else 0)


def check_page(
    page: Path,
    folder: Path,
    same: Callable[[str], str] = str,
    more: Mapping[str, str] | None = None,
) -> None:
    """Run a page's commands in a folder.

    Args:
        page: What is to be run.
        folder: An empty folder to run it in.
        same: Leaves out of a text what differs from run to run.
        more: More variables of the environment.
    """
    for name in THERE:
        (folder / name).symlink_to(ROOT / name)
    bin_ = folder / "bin"
    bin_.mkdir()
    python = f'#!/bin/sh\nexec "{sys.executable}"'
    for name, call in (("python", f'{python} "$@"'), ("journey-stream", f'{python} -m journey_stream "$@"')):
        (bin_ / name).write_text(f"{call}\n")
        (bin_ / name).chmod(0o755)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PATH": f"{bin_}{os.pathsep}{os.environ['PATH']}"}
    parts = list(shown(page))
    assert any(isinstance(part, Command) for part in parts), f"{page} shows no command"
    for part in parts:
        if isinstance(part, File):
            (folder / part.name).write_text(part.text, encoding="utf-8")
            continue
        ran = subprocess.run(
            ["bash", "-c", part.line],
            cwd=folder,
            env=environment | (more or {}),
            capture_output=True,
            text=True,
            check=False,
        )
        assert (part.line, part.code) == (part.line, ran.returncode), f"{ran.stdout}\n{ran.stderr}"
        compare(part.line, same(part.printed), same(ran.stdout))


def compare(command: str, told: str, came: str) -> None:
    """Hold what a page tells of a command against what came; `...` on a line of its own stands for any lines."""
    parts = re.split(r"^\.\.\.\n", told, flags=re.MULTILINE)
    pattern = r"(?:.*\n)*".join(map(re.escape, parts))
    assert re.fullmatch(pattern, came), f"$ {command}\n{came}\nis not what the page tells:\n{told}"
