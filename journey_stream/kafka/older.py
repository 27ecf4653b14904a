"""History older than the keyed topic, from files, for a change of version by `replay`.

Enters: what the keyed topic still holds, and files of events. Leaves: the events of the files that one keyed
partition had taken in, in the order of time; the topic gives the others. Strategy: an event that the topic
still holds was taken in if it stands below P; one that it has lost, if it is not later than what intake had
told of when the topic's first record was written, or if the state of its customer remembers it. The files
have to begin with the first event the partition ever had, and to overlap with the topic: then nothing is
missing in between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from journey_stream.backfill import InOrder
from journey_stream.engine.ids import fingerprint
from journey_stream.errors import VersionError
from journey_stream.events.decode import Decoder
from journey_stream.events.derive import derived_events
from journey_stream.kafka import hop
from journey_stream.kafka.hop_records import event_of, head_of
from journey_stream.kafka.keyed import KeyedPartition
from journey_stream.kafka.keyed_values import Record
from journey_stream.release import BEGINNING
from journey_stream.values import NEVER, Event, rfc3339


class Retained:
    """What the keyed topic still holds of a partition."""

    def __init__(self, decoder: Decoder, logic: KeyedPartition) -> None:
        self.earliest = NEVER
        """Time of the earliest event."""
        self._offsets: dict[bytes, int] = {}
        """Event id to the offset where it first stands."""
        self._told: dict[bytes, int] = {}
        """Per source partition: highest event time as first told."""
        self._decode = decoder.decode
        self._logic = logic

    def take(self, records: Iterable[Record]) -> None:
        """Take in records of the keyed topic, in offset order."""
        for record in records:
            header = head_of(record)
            if header[:2] == hop.MARKER_BYTES:
                for each in hop.unpack_marker(record.value or b""):
                    self._told.setdefault(each.source, BEGINNING if each.highest is None else each.highest)
                continue
            try:
                kind, sub_offset, broker_at, source = hop.unpack(header)
            except hop.HopFormatError:
                continue
            event = event_of(record, broker_at, self._decode) if kind == hop.EVENT else None
            if isinstance(event, Event):
                self.earliest = min(self.earliest, event.at)
                at = record.offset
                if self._logic.has_received(source, sub_offset):
                    # Beyond P it is a repeat: it was taken in where it first stood, which may be lost.
                    at = min(at, self._logic.position - 1)
                self._offsets.setdefault(fingerprint(event.event_id), at)

    def was_taken_in(self, event: Event) -> bool:
        """Tell whether an event is one that the partition had."""
        offset = self._offsets.get(fingerprint(event.event_id))
        if offset is not None:
            return offset < self._logic.position
        told = self._told.values() or (each.highest for each in self._logic.clock.sources.values())
        return event.at <= max(told, default=BEGINNING) or bool(self._logic.engine.has_had(event))


def older_events(
    files: Sequence[str],
    decoder: Decoder,
    lateness: int,
    retained: Retained,
    is_ours: Callable[[str], bool],
    needed: int,
    where: str,
) -> Iterator[Event]:
    """Give the events of files that a keyed partition had taken in.

    Args:
        files: JSON Lines, one event each, each in any order within the lateness.
        decoder: of the deployment.
        lateness: microseconds.
        retained: what the topic holds.
        is_ours: tells whether a person belongs to the keyed partition.
        needed: time of the first event that the partition ever had.
        where: the partition, for messages.

    Raises:
        VersionError: a file cannot be read, or the files begin too late or end too early; known in the end.
    """
    first = last = None
    try:
        with ExitStack() as stack:
            opened = [stack.enter_context(Path(name).open("rb")) for name in files]
            lines = [(line.rstrip(b"\r\n") for line in file if line.strip()) for file in opened]
            for line in InOrder(lines, decoder, lateness, NEVER - 1):
                last = line.event.at
                derived = (decoder.decode(each.value, NEVER - 1) for each in derived_events(line.event))
                for event in (line.event, *derived):
                    if isinstance(event, Event) and is_ours(event.person):
                        first = event.at if first is None else first
                        if retained.was_taken_in(event):
                            yield event
    except OSError as error:
        msg = f"{where}: cannot read history file {error.filename}: {error.strerror}. Check `history`"
        raise VersionError(msg) from None
    if first is None or first > needed:
        raise VersionError(_too_young(files, first, needed, where))
    if last is not None and retained.earliest != NEVER and last < retained.earliest:
        msg = (
            f"{where}: the files end at {rfc3339(last)}, and the topic begins with an event of "
            f"{rfc3339(retained.earliest)}: what came between is missing. Give files that overlap with it"
        )
        raise VersionError(msg)


def _too_young(files: Sequence[str], first: int | None, needed: int, where: str) -> str:
    found = "holds no event of this partition" if first is None else f"begins at {rfc3339(first)}"
    since = "whose time an older program did not keep" if needed == BEGINNING else f"of {rfc3339(needed)}"
    return (
        f"{where}: policy `replay` needs history from the first event on, {since}; what is given "
        f"({', '.join(files)}) {found}. Give older files, or choose `migrate` or `keep` (docs/versions.md)"
    )
