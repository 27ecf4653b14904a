"""Intake of one source partition where the compiled core judges: plain records become rows without Python.

Enters: records. Leaves: batches of the keyed topic, finished, by keyed partition. Strategy: as in `compiled`:
the core takes runs of plain records; whatever is anything else ends the run and is judged by `Intake`, whose
rows are put behind those before. So rows of one source stand in their order, whoever made them.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from journey_stream.events.decode import Decoder
from journey_stream.kafka import hop
from journey_stream.kafka.compiled import readable
from journey_stream.kafka.intake import Intake
from journey_stream.kafka.sender import Row

if TYPE_CHECKING:
    from journey_stream_native import Program


class CompiledIntake(Intake):
    """The judging by the core. Rows are kept here until `ready` gives them."""

    def __init__(
        self, decoder: Decoder, topic: str, partition: int, partitioner: hop.Partitioner, compiled: Program
    ) -> None:
        import journey_stream_native

        super().__init__(decoder, topic, partition, partitioner)
        self._rows = journey_stream_native.HopRows(compiled, self.source, hop.HEADER, partitioner.partitions)

    def begin(self) -> None:
        """Forget what was begun and not handed on."""
        self._rows.begin(int(time.time() * 1000))

    def take(self, records: Sequence[Any], rows: dict[int, list[Row]], highest: int | None) -> int | None:
        """Take records in; `rows` stays as it is. Gives the highest time."""
        fetched, place = readable(records), 0
        while True:
            begun = place
            place, highest = self._rows.take(fetched, place, highest)
            self.counts[self._topic, "read"] += place - begun
            if place == len(fetched):
                return highest
            made: dict[int, list[Row]] = {}
            highest = super().take((fetched[place],), made, highest)
            for partition, several in made.items():
                for row in several:
                    self._rows.append(partition, *row)
            place += 1

    def ready(self) -> Mapping[int, Sequence[Any]]:
        """Give the batches of what was taken in since `begin`."""
        return self._rows.finish()
