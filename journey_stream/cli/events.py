"""Files of events for verbs: opened with errors for people, read line by line with signs of life."""

from __future__ import annotations

import os
import stat
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

import click

from journey_stream.cli.common import note, run_async, watched
from journey_stream.errors import UsageError
from journey_stream.replay import Refused
from journey_stream.settings import Settings

BAR = 20
STEP = 20_000
"""Lines between two signs of life, when a person is watching."""


def open_events(names: Iterable[str], stack: ExitStack) -> list[Lines]:
    """Open JSON Lines files, `-` being standard input; they are closed with the stack.

    Raises:
        UsageError: a file cannot be read.
    """
    return [Lines(name, _open(name, stack)) for name in names]


def tell_unusable(refused: Sequence[Refused], sources: Sequence[Lines]) -> None:
    """Say on standard error how many lines could not be used for each reason, and where the first is."""
    for reason, number in sorted(Counter(each.reason for each in refused).items()):
        first = next(each for each in refused if each.reason == reason)
        place = sources[first.source].place(first.line)
        note(f"{number} unusable ({reason}), the first: {place}: {first.detail}")


def _open(name: str, stack: ExitStack) -> BinaryIO:
    if name == "-":
        return sys.stdin.buffer
    try:
        return stack.enter_context(Path(name).open("rb"))
    except OSError as error:
        msg = f"cannot read events file {name}: {error.strerror}. Check the path"
        raise UsageError(msg) from None


def _size(file: BinaryIO) -> int:
    """Bytes of a file; 0 of a pipe, and of what is no file of the system's."""
    try:
        state = os.fstat(file.fileno())
    except OSError:
        return 0
    return state.st_size if stat.S_ISREG(state.st_mode) else 0


def bar(done: int, whole: int) -> str:
    """Draw how far something is: `[#####...............]  25 %  `; nothing when the whole is not known.

    >>> bar(1, 4)
    '[#####...............]  25 %  '
    """
    if whole <= 0:
        return ""
    share = min(1.0, done / whole)
    return f"[{'#' * int(share * BAR):.<{BAR}}] {share:4.0%}  ".replace("%", " %")


class Lines:
    """The lines of a file without their ends. Empty lines are no events, but count as lines."""

    def __init__(self, name: str, file: BinaryIO) -> None:
        self.name = "standard input" if name == "-" else name
        self._file = file
        self._size = _size(file)
        self._empty: list[int] = []

    def place(self, given: int) -> str:
        """Say where the line is that was given as the so-many-th."""
        for empty in self._empty:
            given += empty <= given
        return f"{self.name}:{given}"

    def __iter__(self) -> Iterator[bytes]:
        shows, read = watched(), 0
        try:
            for number, line in enumerate(self._file, 1):
                read += len(line)
                text = line.rstrip(b"\r\n")
                if text:
                    yield text
                else:
                    self._empty.append(number)
                if shows and number % STEP == 0:
                    click.echo(f"\r{self.name}: {bar(read, self._size)}{number:,} lines", err=True, nl=False)
        except OSError as error:  # a folder opens on some systems, but does not read; a disk may fail
            msg = f"cannot read events file {self.name}: {error.strerror}. Check the path"
            raise UsageError(msg) from None
        finally:
            if shows:
                click.echo("\r\x1b[K", err=True, nl=False)


def spooled(settings: Settings, topics: Iterable[str], since: int | None, stack: ExitStack) -> list[str]:
    """Read topics into files, one per partition: a partition is what tells its own progress.

    Args:
        settings: how to reach the cluster.
        topics: their names.
        since: records written from here on (microseconds); None is all.
        stack: the files go with it.
    """
    from journey_stream.kafka.reading import Where, reader  # only now: files need no client
    from journey_stream.kafka.security import client_options
    from journey_stream.kafka.topics import admin_client

    folder = Path(stack.enter_context(TemporaryDirectory(prefix="journey-stream-")))
    shows = watched()

    async def read() -> None:
        async with admin_client(settings):  # says so in our words when no broker is there
            pass
        async with reader(client_options(settings)) as side:
            total = 0
            for topic in topics:
                async for records in side.read(topic, where=Where(since=since)):
                    _append(folder, records)
                    total += len(records)
                    if shows:
                        click.echo(f"\rreading {topic}: {total:,} records in all", err=True, nl=False)
        if shows:
            click.echo("\r\x1b[K", err=True, nl=False)

    run_async(read())
    return sorted(map(str, folder.iterdir()))


def _append(folder: Path, records: Iterable[Any]) -> None:
    for (topic, partition), batch in groupby(records, key=lambda record: (record.topic, record.partition)):
        with (folder / f"{topic}[{partition}].jsonl").open("ab") as file:
            for record in batch:
                if record.value is not None:
                    # A line is an event: what is spread over several lines is one JSON text all the same.
                    file.write(record.value.replace(b"\r", b" ").replace(b"\n", b" ") + b"\n")
