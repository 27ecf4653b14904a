"""The record between intake and journeys: what it carries beside the source record, packed and unpacked.

Enters: a source record and where it stood. Leaves: the one header that the hop adds, and the keyed
partition. Strategy: a hop record *is* the source record (key, value, headers as they came) with one packed
header in front, so that whatever happens later, a dead letter can give back the original untouched. The
header holds the source coordinates; the keyed partition drops what is at or below the highest it has
received per source partition, so the hop needs no transaction (ADR 0002). Markers carry the progress of
source partitions instead of an event.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Final
from zlib import crc32

import msgspec

HEADER = "journey-stream"
"""Name of the packed header, always the first."""
DEAD_HEADER = "journey-stream-dead"
"""Name of the second header of a dead record: `reason` NUL `detail`."""

EVENT, DEAD, MARKER = 1, 2, 3
_KINDS = (EVENT, DEAD)
_FORMAT = 1
_HEAD = struct.Struct(">BBqq")
_SOURCE = struct.Struct(">i")
_CACHE = 200_000

MARKER_BYTES = bytes((MARKER, _FORMAT))


class HopFormatError(Exception):
    """A record of the keyed topic that no intake of ours wrote."""


class Progress(msgspec.Struct, array_like=True, gc=False):
    """How far one source partition has been read and handed on."""

    source: bytes
    highest: int | None
    """Highest event time handed on, microseconds; None before the first event."""
    idle: bool
    """Read to its end for long enough not to hold the clock."""
    wall: int
    """Wall time at which this was true, microseconds."""
    position: int
    """Offset of the source partition up to which everything has been handed on."""


_encode_marker = msgspec.msgpack.Encoder().encode
_decode_marker = msgspec.msgpack.Decoder(list[Progress]).decode


def pack_source(topic: str, partition: int) -> bytes:
    """Pack the identity of a source partition."""
    return _SOURCE.pack(partition) + topic.encode()


def unpack_source(source: bytes) -> tuple[str, int]:
    """Unpack the identity of a source partition into topic and partition."""
    return source[_SOURCE.size :].decode(), _SOURCE.unpack_from(source)[0]


def packer(source: bytes) -> Callable[[int, int, int], bytes]:
    """Make the function that packs the header for records of one source partition."""
    pack = _HEAD.pack

    def header(kind: int, sub_offset: int, broker_at: int) -> bytes:
        return pack(kind, _FORMAT, sub_offset, broker_at) + source

    return header


def unpack(header: bytes) -> tuple[int, int, int, bytes]:
    """Unpack the header of an event or dead record.

    Returns:
        Kind; source offset times two, plus one for an event that intake derived; broker time of the source
        record in microseconds; the packed source partition.

    Raises:
        HopFormatError: the bytes are not a header of a format that this program reads.
    """
    if len(header) <= _HEAD.size + _SOURCE.size or header[1] != _FORMAT or header[0] not in _KINDS:
        msg = (
            f"hop header: expected kind 1 or 2 in format {_FORMAT}, came {header[:2].hex() or 'nothing'} "
            f"({len(header)} bytes); something else writes to the keyed topic, or a newer version did: "
            "upgrade this worker or clear the topic"
        )
        raise HopFormatError(msg)
    kind, _, sub_offset, broker_at = _HEAD.unpack_from(header)
    return kind, sub_offset, broker_at, header[_HEAD.size :]


def pack_marker(progress: list[Progress]) -> bytes:
    """Pack the value of a marker."""
    return _encode_marker(progress)


def unpack_marker(value: bytes) -> list[Progress]:
    """Unpack the value of a marker."""
    return _decode_marker(value)


def pack_dead(reason: str, detail: str) -> bytes:
    """Pack why a record is dead."""
    return reason.encode() + b"\0" + detail.encode("utf-8", "replace")


def unpack_dead(value: bytes) -> tuple[str, str]:
    """Unpack why a record is dead."""
    reason, _, detail = value.partition(b"\0")
    return reason.decode(), detail.decode("utf-8", "replace")


def fnv1a(key: bytes) -> int:
    """FNV-1a over 32 bits, as a signed number without its sign: Sarama's default, librdkafka's `fnv1a`."""
    value = 0x811C9DC5
    for byte in key:
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return value if value < 0x80000000 else 0x100000000 - value


_WORDS: Final = [struct.Struct(f"<{count}I").unpack_from for count in range(64)]
_M: Final = 0x5BD1E995
_32: Final = 0xFFFFFFFF


def murmur2(key: bytes) -> int:
    """Kafka's hash of a key, a word at a time: a third of the time of aiokafka's, which goes by bytes."""
    count, rest = len(key) >> 2, len(key) & 3
    found = 0x9747B28C ^ len(key)
    words = _WORDS[count] if count < len(_WORDS) else struct.Struct(f"<{count}I").unpack_from
    for word in words(key):
        word = word * _M & _32
        found = (found * _M & _32) ^ ((word ^ word >> 24) * _M & _32)
    if rest:
        found = (found ^ int.from_bytes(key[-rest:], "little")) * _M & _32
    found = (found ^ found >> 13) * _M & _32
    return found ^ found >> 15


def positive_murmur2(key: bytes) -> int:
    """Murmur2 without its sign bit: what the Java client does, and whoever follows it."""
    return murmur2(key) & 0x7FFFFFFF


HASHES: Final[Mapping[str, Callable[[bytes], int]]] = {
    "murmur2": positive_murmur2,
    "crc32": crc32,
    "fnv1a": fnv1a,
}
"""Hash of a key by the partitioner's name; the partition is its rest by the number of partitions."""
MURMUR2: Final = "murmur2"


def partitioner_of(keyed_input: str) -> str:
    """Name the partitioner by which customers are in partitions: that of the producers, else our own."""
    return keyed_input if keyed_input in HASHES else MURMUR2


class Partitioner:
    """The partition of a key, remembered: a hash in pure Python costs as much as decoding.

    Kafka's default, unless `keyed_input` says that producers use another. The memory is bounded: it is
    emptied when full, which costs one hash per person and round.
    """

    __slots__ = ("_hash", "_known", "name", "partitions")

    def __init__(self, partitions: int, name: str = MURMUR2) -> None:
        self.partitions = partitions
        self.name = name
        self._hash = HASHES[name]
        self._known: dict[bytes, int] = {}

    def __call__(self, key: bytes) -> int:
        """Give the partition of a key."""
        known = self._known
        partition = known.get(key)
        if partition is None:
            if len(known) >= _CACHE:
                known.clear()
            partition = known[key] = self._hash(key) % self.partitions
        return partition
