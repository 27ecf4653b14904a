"""The meta record of a changelog partition: where a restart goes on, written with every checkpoint.

Enters and leaves: `Meta` or bytes. Fields are added at the end, with a default: an older record is read, and
an older program reads a newer record as long as the format number stays.
"""

from __future__ import annotations

import msgspec

from journey_stream.errors import StateError
from journey_stream.release import BEGINNING

META_FORMAT = 1


class JourneyVersion(msgspec.Struct, array_like=True, frozen=True):
    """A journey definition that a partition has used."""

    id: str
    version: int
    sha: str
    """Of what the definition says."""
    offset: int = -1
    """First offset of the keyed topic that was taken in under it; -1 where an older program wrote this."""
    ended: bool = False
    """Nobody is in it any more: remembered so that its number is not used for another content."""

    @property
    def told(self) -> bool:
        """Whether the hash is that of the content (an older program wrote that of the text)."""
        return self.offset >= 0


class _Format(msgspec.Struct, array_like=True):
    """What every format begins with."""

    format: int


class DirectPosition(msgspec.Struct, array_like=True, frozen=True):
    """How far a source partition has been read without the hop (`keyed_input`)."""

    position: int
    """Up to where it has been taken in."""
    oldest: int
    """The lowest offset that still waits for its time: a restart reads from there."""
    last_at: int = 0
    """Broker time of the last record taken in, microseconds; 0 where there was none."""


class Meta(msgspec.Struct, array_like=True):
    """The meta record of a changelog partition: where a restart goes on."""

    format: int
    position: int
    """P (see `keyed`)."""
    oldest: int
    """O."""
    released: int
    """W."""
    clock: int
    progress: dict[bytes, tuple[int, bool, int]]
    """Per source partition: highest event time, idle, wall time of the marker."""
    received: dict[bytes, int]
    """Per source partition: highest sub-offset received."""
    application: str
    journeys: list[JourneyVersion]
    population: dict[str, dict[str, int]] = {}
    """Per journey: customers per stage, for the metric."""
    received_at: dict[bytes, int] = {}
    """Per source partition: broker time of the record with the highest sub-offset."""
    began: int = 0
    """Where this partition began: the first offset of the keyed topic at its first takeover."""
    first: int = BEGINNING
    """Time of the earliest event ever taken in; NEVER where none was, BEGINNING where nobody knows."""
    keyed_input: str = "none"
    """The setting under which this state was made: by it customers are in their partitions."""
    direct: dict[bytes, DirectPosition] = {}
    """Per source partition that is read without the hop: how far."""
    generation: str = ""
    """Names the changelog, from its first checkpoint on; empty where an older program wrote this."""


write_meta = msgspec.msgpack.Encoder().encode
"""Write a meta record."""
_decode_format = msgspec.msgpack.Decoder(_Format).decode
_decode_meta = msgspec.msgpack.Decoder(Meta).decode


def read_meta(value: bytes) -> Meta:
    """Read a meta record.

    Raises:
        StateError: damaged, or written by a newer program.
    """
    try:
        came = _decode_format(value).format
        if came == META_FORMAT:
            return _decode_meta(value)
    except msgspec.DecodeError as error:
        msg = (
            f"checkpoint: expected a meta record of format {META_FORMAT}, but it is damaged ({error}). Where "
            "this partition stood is lost: restore the topic, or begin anew with `journey-stream reset`"
        )
        raise StateError(msg) from error
    msg = (
        f"checkpoint: expected format {META_FORMAT}, came {came}; "
        "a newer version of this program wrote it: upgrade this worker"
    )
    raise StateError(msg)
