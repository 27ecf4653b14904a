"""Fetch responses read by the compiled core: a sequence of records per partition, without an object for each.

Enters: a consumer. Leaves: the same consumer, whose fetcher hands out whole chunks of records (`Fetched`)
where aiokafka's hands out records. Strategy: aiokafka's own code for responses, with other names for what it
makes of their bytes. What the core does not read (older formats, wrong checksums, codecs that are not
installed) aiokafka reads as ever, and says what is wrong with it. `tests/kafka/test_seam.py` fails when
these internals move.
"""

# ruff: noqa: SLF001 (this module is a part of the seam to internals of aiokafka)

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import FunctionType, MethodType
from typing import Any, Final

import aiokafka
from aiokafka import codec
from aiokafka.consumer import fetcher as aiokafkas
from aiokafka.record.memory_records import MemoryRecords

_OVERHEAD: Final = 12
"""Bytes of a batch that its length does not count."""
_CODECS: Final[dict[int, Callable[[bytes], bytes | bytearray]]] = {
    1: codec.gzip_decode,
    2: codec.snappy_decode,
    3: codec.lz4_decode,
    4: codec.zstd_decode,
}


def read_compiled(consumer: aiokafka.AIOKafkaConsumer) -> None:
    """Let the compiled core read what a consumer, which has been started, fetches from now on."""
    fetcher = consumer._fetcher
    names = {"MemoryRecords": _Response, "PartitionRecords": _Chunks}
    theirs = type(fetcher)._proc_fetch_request
    ours = FunctionType(
        theirs.__code__, {**theirs.__globals__, **names}, theirs.__name__, theirs.__defaults__
    )
    fetcher._proc_fetch_request = MethodType(ours, fetcher)


def pieces(fetched: Mapping[Any, Sequence[Sequence[Any]]], most: int) -> Iterator[tuple[Any, Sequence[Any]]]:
    """Give what such a consumer's fetcher handed out, at most so many records at once."""
    for tp, chunks in fetched.items():
        for chunk in chunks:
            for start in range(0, len(chunk), most):
                yield tp, chunk[start : start + most]


class _Response:
    """The bytes of one partition in a response; in place of `MemoryRecords`."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def has_next(self) -> bool:
        """Whether at least the first batch is all there."""
        data = self.data
        return len(data) >= _OVERHEAD and _OVERHEAD + int.from_bytes(data[8:12], "big") <= len(data)

    def size_in_bytes(self) -> int:
        """How much there is."""
        return len(self.data)


class _Chunks:
    """What came of one partition, as one chunk, or as none; in place of `PartitionRecords`."""

    def __init__(self, tp: Any, response: _Response, aborted: Any, fetch_offset: int, *options: Any) -> None:
        self.next_fetch_offset = fetch_offset
        self._found = self._read(tp, response.data, aborted or [], options)

    def __iter__(self) -> Iterator[Sequence[Any]]:
        return self

    def __next__(self) -> Sequence[Any]:
        return next(self._found)

    def _read(self, tp: Any, data: bytes, aborted: Any, options: Any) -> Iterator[Sequence[Any]]:
        import journey_stream_native

        start, aborts = self.next_fetch_offset, [(producer, first) for producer, first in aborted]
        read = journey_stream_native.Fetched.read(tp.topic, tp.partition, data, start, aborts, _unpack)
        chunk: Sequence[Any]
        if read is not None:
            chunk, self.next_fetch_offset = read
        else:
            theirs = aiokafkas.PartitionRecords(tp, MemoryRecords(data), aborted, start, *options)
            chunk = list(theirs)
            self.next_fetch_offset = theirs.next_fetch_offset
        if chunk:
            yield chunk


def _unpack(kind: int, packed: bytes) -> bytes:
    return bytes(_CODECS[kind](packed))
