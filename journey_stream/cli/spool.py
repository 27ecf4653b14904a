"""Dead letters set aside in a file while somebody decides about them: any number, any size, little memory.

Enters: letters as they are read. Leaves: the same letters, oldest first; and what a filter command makes of
them. Strategy: an unnamed temporary file that goes with the process; in memory only where each letter is. A
filter is run once over all, from file to file, and its whole output is read and checked before anybody gets
a letter of it.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from typing import IO, Any

import msgspec

from journey_stream.errors import FilterError
from journey_stream.kafka.redrive import Letter, Resend
from journey_stream.letter_lines import amended, as_line, letter_of
from journey_stream.letters import identity

SHELL = "/bin/sh"

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[Letter, bool]).decode


class Spool:
    """Letters set aside. Use it as a context: the file is gone afterwards."""

    def __init__(self) -> None:
        self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (closed on exit)
        self.changed = 0
        """How many a filter has changed."""
        self._places: dict[str, tuple[tuple[int, str, int, int], int, int]] = {}
        """Identity to (order, place in the file, length)."""

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def add(self, letter: Letter, *, rekeyed: bool = False) -> None:
        """Set a letter aside; `rekeyed` if a filter has changed its key."""
        packed = _encode((letter, rekeyed))
        of = letter.letter
        order = (letter.written_at, of.topic, of.partition, of.offset)
        self._places[identity(of)] = (order, self._file.seek(0, 2), len(packed))
        self._file.write(packed)

    def cut(self, limit: int) -> None:
        """Keep only so many, the oldest."""
        self._places = dict(sorted(self._places.items(), key=lambda each: each[1])[:limit])

    def __iter__(self) -> Iterator[Letter]:
        """Give the letters, oldest first."""
        return (self._read(place)[0] for place in sorted(self._places.values()))

    def resends(self) -> Iterator[Resend]:
        """Give the letters as they are to be sent, oldest first."""
        for place in sorted(self._places.values()):
            letter, rekeyed = self._read(place)
            yield Resend(letter.letter, rekeyed)

    def get(self, name: str) -> Letter:
        """Give one letter."""
        return self._read(self._places[name])[0]

    def _read(self, place: tuple[Any, int, int]) -> tuple[Letter, bool]:
        _, at, length = place
        self._file.seek(at)
        return _decode(self._file.read(length))


def filtered(letters: Spool, command: str) -> Spool:
    """Run a filter command over all letters; give those that it has written, changed as it says.

    Args:
        letters: what the command gets, one JSON object a line (`letter_lines`).
        command: for the shell. It is run once, as in a pipe.

    Raises:
        FilterError: it failed, or wrote a line that cannot be used. No letter has been given out then.
    """
    made = Spool()
    try:
        with tempfile.TemporaryFile() as asked, tempfile.TemporaryFile() as answered:
            asked.writelines(as_line(each.letter, each.written_at) + b"\n" for each in letters)
            asked.seek(0)
            code = subprocess.run(
                [SHELL, "-c", command], stdin=asked, stdout=answered, check=False
            ).returncode
            if code:
                how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
                msg = f"the filter {how}: nothing was sent. What it was given: --list --json without --filter"
                raise FilterError(msg)
            answered.seek(0)
            for number, line in enumerate(answered, 1):
                if line.strip():
                    _take(line, number, letters, made)
    except BaseException:
        made.__exit__()
        raise
    return made


def _take(line: bytes, number: int, letters: Spool, made: Spool) -> None:
    """Take over one line of a filter's output."""
    try:
        name, said = letter_of(line)
        if name not in letters:
            msg = f"letter {name} is none of those that the filter was given"
            raise FilterError(msg)
        if name in made:
            msg = f"letter {name} comes a second time: each is sent back once"
            raise FilterError(msg)
        letter = letters.get(name)
        after, changed = amended(letter.letter, said)
    except FilterError as error:
        msg = f"the filter's output, line {number}: {error}. Nothing was sent"
        raise FilterError(msg) from None
    made.changed += changed
    made.add(Letter(after, letter.written_at), rekeyed=after.key != letter.letter.key)
