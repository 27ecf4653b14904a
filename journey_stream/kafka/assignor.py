"""Who reads which partition: balanced per topic, and sticky, so that a rebalance moves little state.

Enters: the group's members with what each owned before. Leaves: an assignment. Strategy: each topic for
itself (source partitions cost less than keyed ones: only per topic is balance worth something); whoever had
a partition keeps it up to its fair share; what is left goes to whoever has least. Any assignment is safe
(lanes fence), so a member's word about what it owned needs no proof.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

import msgspec
from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata

Owned = dict[str, list[int]]
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Owned).decode


def share(topics: Mapping[str, int], owned: Mapping[str, Owned]) -> dict[str, Owned]:
    """Divide partitions among members.

    Args:
        topics: number of partitions per topic.
        owned: per member what it had before; a partition claimed twice goes to the first in order.
    """
    members = sorted(owned)
    result: dict[str, Owned] = {member: {} for member in members}
    totals = dict.fromkeys(members, 0)
    for topic in sorted(topics):
        count = topics[topic]
        least, extra = divmod(count, len(members))
        free = set(range(count))
        kept: dict[str, list[int]] = {member: [] for member in members}
        rich = 0
        for member in members:
            had = [p for p in sorted(set(owned[member].get(topic, ()))) if p in free]
            quota = least + 1 if rich < extra and len(had) > least else least
            kept[member] = had[:quota]
            rich += len(kept[member]) > least
            free.difference_update(kept[member])
        for partition in sorted(free):
            poorest = min(members, key=lambda m: (len(kept[m]), totals[m] + len(kept[m]), m))
            kept[poorest].append(partition)
        for member in members:
            if kept[member]:
                result[member][topic] = sorted(kept[member])
                totals[member] += len(kept[member])
    return result


def share_together(topics: Mapping[str, int], owned: Mapping[str, Owned], leader: str) -> dict[str, Owned]:
    """Divide the partitions of `leader`; of every other topic a member gets the same ones.

    Args:
        topics: number of partitions per topic; those that `leader` does not have are nobody's.
        owned: as for `share`.
        leader: one of the topics.
    """
    shared = share({leader: topics[leader]}, owned)
    return {
        member: {topic: [p for p in had[leader] if p < topics[topic]] for topic in topics} if had else {}
        for member, had in shared.items()
    }


class StickyAssignor(AbstractPartitionAssignor):  # type: ignore[misc]
    """The group protocol around `share`. Make one class per consumer with `sticky_assignor`: it remembers."""

    name = "journey-stream-sticky"
    version = 0
    owned: ClassVar[Owned] = {}
    leader: ClassVar[str | None] = None
    """The topic that all others follow: who has its partition n has theirs."""

    @classmethod
    def assign(
        cls, cluster: ClusterMetadata, members: Mapping[str, ConsumerProtocolMemberMetadata]
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        """Divide all partitions that the group reads."""
        names = sorted({topic for metadata in members.values() for topic in metadata.subscription})
        counts = {topic: len(cluster.partitions_for_topic(topic) or ()) for topic in names}
        owned = {member: _owned(metadata.user_data) for member, metadata in members.items()}
        shared = share(counts, owned) if cls.leader is None else share_together(counts, owned, cls.leader)
        return {
            member: ConsumerProtocolMemberAssignment(cls.version, sorted(owned.items()), b"")
            for member, owned in shared.items()
        }

    @classmethod
    def metadata(cls, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:
        """Tell the group what we had."""
        return ConsumerProtocolMemberMetadata(cls.version, sorted(topics), _encode(cls.owned))

    @classmethod
    def on_assignment(cls, assignment: ConsumerProtocolMemberAssignment) -> None:
        """Remember what we have."""
        cls.owned = {topic: sorted(partitions) for topic, partitions in assignment.assignment}


def sticky_assignor(leader: str | None = None, keyed_input: str = "none") -> type[StickyAssignor]:
    """Make an assignor with a memory of its own: aiokafka keeps it in the class.

    With `keyed_input` the other topics follow `leader`, and the name tells so: the group refuses a member
    that reads in another way.
    """
    if keyed_input == "none":
        return type("StickyAssignor", (StickyAssignor,), {"owned": {}})
    name = f"journey-stream-keyed-{keyed_input}"
    return type("StickyAssignor", (StickyAssignor,), {"owned": {}, "leader": leader, "name": name})


def _owned(user_data: bytes | None) -> Owned:
    try:
        return _decode(user_data or b"\x80")
    except msgspec.DecodeError:
        return {}
