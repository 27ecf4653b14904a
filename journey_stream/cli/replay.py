"""`journey-stream replay`: events from files through the same core as the worker, without Kafka."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import click

from journey_stream.cli import example
from journey_stream.cli.common import note, settings_options, watched
from journey_stream.deployment import assemble
from journey_stream.encode import structured
from journey_stream.errors import UsageError
from journey_stream.replay import replay
from journey_stream.settings import Settings

STEP = 20_000
"""Lines between two signs of life, when a person is watching."""


@click.command(
    "replay",
    epilog=example("journey-stream replay --journeys buyer-value --until 2026-12-31T00:00:00Z events.jsonl"),
)
@settings_options("journeys", "until")
@click.argument("events", nargs=-1, required=True, metavar="EVENTS...")
@click.option("--strict", is_flag=True, help="Exit code 1 if any event could not be used.")
def command(settings: Settings, events: tuple[str, ...], strict: bool) -> int:
    """Run events from files through journeys and print what would be published.

    EVENTS are JSON Lines files (`-` for standard input), in any order within the lateness. Prints the net
    records, one CloudEvent a line, by time, customer, journey and sequence: the same bytes on each run.
    What could not be used is told on standard error.
    """
    deployment = assemble(settings)
    with ExitStack() as stack:
        sources = [_Lines(name, _open(name, stack)) for name in events]
        replayed = replay(
            deployment.program,
            sources,
            deployment.decoder,
            settings.allowed_lateness,
            settings.until,
            received=time.time_ns() // 1_000,
        )
    write = sys.stdout.buffer.write
    for record in replayed.records:
        write(structured(record) + b"\n")
    sys.stdout.buffer.flush()
    reasons = Counter(refused.reason for refused in replayed.rejections)
    for reason, number in sorted(reasons.items()):
        first = next(each for each in replayed.rejections if each.reason == reason)
        place = sources[first.source].place(first.line)
        note(f"{number} unusable ({reason}), the first: {place}: {first.detail}")
    return 1 if strict and reasons else 0


def _open(name: str, stack: ExitStack) -> BinaryIO:
    if name == "-":
        return sys.stdin.buffer
    try:
        return stack.enter_context(Path(name).open("rb"))
    except OSError as error:
        msg = f"cannot read events file {name}: {error.strerror}. Check the path"
        raise UsageError(msg) from None


class _Lines:
    """The lines of a file without their ends. Empty lines are no events, but count as lines."""

    def __init__(self, name: str, file: Iterable[bytes]) -> None:
        self.name = "standard input" if name == "-" else name
        self._file = file
        self._empty: list[int] = []

    def place(self, given: int) -> str:
        """Say where the line is that was given as the so-many-th."""
        for empty in self._empty:
            given += empty <= given
        return f"{self.name}:{given}"

    def __iter__(self) -> Iterator[bytes]:
        shows = watched()
        try:
            for number, line in enumerate(self._file, 1):
                text = line.rstrip(b"\r\n")
                if text:
                    yield text
                else:
                    self._empty.append(number)
                if shows and number % STEP == 0:
                    click.echo(f"\r{self.name}: {number:,} lines", err=True, nl=False)
        except OSError as error:  # a folder opens on some systems, but does not read; a disk may fail
            msg = f"cannot read events file {self.name}: {error.strerror}. Check the path"
            raise UsageError(msg) from None
        finally:
            if shows:
                click.echo("\r\x1b[K", err=True, nl=False)
