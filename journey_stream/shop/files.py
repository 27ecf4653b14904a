"""Carry the records of the shop to files, one JSON Lines file per source, for `replay`.

Enters: records and a folder. Leaves: files, and how many lines each got. A line is a value as it is; what a
line cannot hold is left out and counted: a null value, and an event whose only flaw is to be ahead of a
broker's clock, since a file has none.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

import msgspec

from journey_stream.shop.records import SOURCES, ShopRecord

_UNWRITABLE = ("null_value", "time_ahead", "empty")


class Written(msgspec.Struct, frozen=True):
    """What was written: lines per file, and records that no line can hold."""

    lines: dict[str, int]
    """Path of the file and its lines, in the order of the sources."""
    left_out: int


def write_files(records: Iterable[ShopRecord], folder: Path) -> Written:
    """Write `<source>.jsonl` files into the folder, which is made if it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = {source: folder / f"{source}.jsonl" for source in SOURCES}
    counts = dict.fromkeys(SOURCES, 0)
    left_out = 0
    with ExitStack() as stack:
        files = {source: stack.enter_context(path.open("wb")) for source, path in paths.items()}
        for record in records:
            value = record.value
            if value is None or record.flaw in _UNWRITABLE:
                left_out += 1
                continue
            files[record.source].write(value + b"\n")
            counts[record.source] += 1
    return Written({str(paths[source]): count for source, count in counts.items()}, left_out)
