"""Who reads which partition, and who keeps a standby of it: balanced, and so sticky that little state moves.

Enters: the group's members, with what each has and what it is warm in. Leaves: an assignment. Strategy: each
topic for itself (source partitions cost less than keyed ones), unless all go `together` with the keyed one.
Whoever has a partition keeps it up to its fair share; what is left goes to whoever is warm in it, or else has
least. With standbys, a keyed partition does not move to somebody who would have to read all of its state
first: it stays with whoever has it (or is warm) until its new owner has warmed up and asks for another round.
Any assignment is safe (lanes fence), so what a member says of itself needs no proof; where two claim a
partition, the later round of the group counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import msgspec
from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata

Owned = dict[str, list[int]]


class Plan(msgspec.Struct, frozen=True):
    """What the assignor needs to know of the deployment."""

    keyed: str = ""
    """The topic whose partitions hold state."""
    together: bool = False
    """Who has its partition n has partition n of every other topic; what it does not have is nobody's."""
    standbys: int = 0
    """How many members, beside its owner, follow the state of each keyed partition."""
    host: str = ""


class Member(msgspec.Struct, frozen=True, array_like=True):
    """What a member tells of itself."""

    owned: Owned = {}
    round: int = 0
    """Of the assignment that gave it this."""
    standbys: list[int] = []
    warm: list[int] = []
    """Those among the standbys that have (almost) all of the state."""
    host: str = ""


class Given(msgspec.Struct, array_like=True):
    """What a member is given; all but `owned` travels in the user data of the assignment."""

    owned: Owned = {}
    standbys: list[int] = []
    awaited: list[int] = []
    """Those among the standbys that are to become its own once it is warm."""
    round: int = 0


_encode = msgspec.msgpack.Encoder().encode
_decode_member = msgspec.msgpack.Decoder(Member).decode
_decode_owned = msgspec.msgpack.Decoder(Owned).decode
_decode_given = msgspec.msgpack.Decoder(Given).decode


def share(topics: Mapping[str, int], members: Mapping[str, Member], plan: Plan = Plan()) -> dict[str, Given]:  # noqa: B008 (frozen)
    """Divide partitions and standbys among members.

    Args:
        topics: number of partitions per topic.
        members: by member id, what each tells.
        plan: how the deployment wants it.
    """
    names = sorted(members)
    latest = 1 + max(member.round for member in members.values())
    result = {name: Given(round=latest) for name in names}
    totals = dict.fromkeys(names, 0)
    owners: dict[str, list[str]] = {}
    count = topics.get(plan.keyed, 0)
    if count:
        warm = [{name for name in names if p in members[name].warm} for p in range(count)]
        before = _holders(members, plan.keyed, count)
        aim = _divide(before, names, warm, totals)
        now = aim.copy()
        if plan.standbys:
            now = _stay_warm(aim, before, warm)
            _add_standbys(result, aim, now, members, min(plan.standbys, len(names) - 1))
        for topic in topics if plan.together else (plan.keyed,):
            owners[topic] = now[: topics[topic]]
    for topic in sorted(topics):
        if topic not in owners:
            before = _holders(members, topic, topics[topic])
            owners[topic] = _divide(before, names, [set()] * len(before), totals)
    for topic in sorted(owners):
        for partition, name in enumerate(owners[topic]):
            result[name].owned.setdefault(topic, []).append(partition)
    return result


def _holders(members: Mapping[str, Member], topic: str, count: int) -> list[str | None]:
    """Find who has each partition: of several who say so, one who was away says it of an earlier round."""
    holders: list[str | None] = [None] * count
    for name in sorted(members, key=lambda name: (-members[name].round, name)):
        for partition in members[name].owned.get(topic, ()):
            if 0 <= partition < count and holders[partition] is None:
                holders[partition] = name
    return holders


def _divide(
    before: list[str | None], names: list[str], warm: list[set[str]], totals: dict[str, int]
) -> list[str]:
    """Divide one topic evenly; adds to `totals`, which settle who gets the odd one."""
    least, extra = divmod(len(before), len(names))
    had = {name: [p for p, holder in enumerate(before) if holder == name] for name in names}
    poor = {name for name in names if len(had[name]) < least}
    kept: dict[str, list[int]] = {}
    for name in names:
        rich = bool(extra) and len(had[name]) > least
        extra -= rich
        # Given up first is what somebody with room is warm in.
        kept[name] = sorted(had[name], key=lambda p: (bool(poor & warm[p]), p))[: least + rich]
    found: dict[int, str] = {p: name for name in names for p in kept[name]}
    load = {name: len(kept[name]) for name in names}
    free = [p for p in range(len(before)) if p not in found]
    for partition in sorted(free, key=lambda p: (len(warm[p]) or len(names), p)):
        room = [n for n in names if load[n] < least + bool(extra)]
        warm_here = warm[partition]
        chosen = min(room, key=lambda n: (n not in warm_here, load[n], totals[n] + load[n], n))
        extra -= load[chosen] == least
        load[chosen] += 1
        found[partition] = chosen
    for name in names:
        totals[name] += load[name]
    return [found[p] for p in range(len(before))]


def _stay_warm(aim: list[str], before: list[str | None], warm: list[set[str]]) -> list[str]:
    """Let partitions be where their state is, as long as it is not where they are to go."""
    now = aim.copy()
    for partition, name in enumerate(aim):
        holder = before[partition]
        if name != holder and name not in warm[partition]:
            now[partition] = holder or min(warm[partition], default=name, key=lambda n: (now.count(n), n))
    return now


def _add_standbys(
    result: dict[str, Given], aim: list[str], now: list[str], members: Mapping[str, Member], copies: int
) -> None:
    """Say who follows the state of which partition: those to whom it will go, and `copies` beside them."""
    names = sorted(members)
    fair = -(-len(now) * copies // len(names))
    load = dict.fromkeys(names, 0)
    for partition, (owner, heir) in enumerate(zip(now, aim, strict=True)):
        if owner != heir:
            result[heir].standbys.append(partition)
            result[heir].awaited.append(partition)
    wanted = [copies] * len(now)

    def add(partition: int, name: str) -> None:
        wanted[partition] -= 1
        load[name] += 1
        if partition not in result[name].awaited:
            result[name].standbys.append(partition)

    for partition, owner in enumerate(now):
        follow = [n for n in names if n != owner and partition in members[n].standbys]
        for name in sorted(follow, key=lambda n: (partition not in members[n].warm, load[n], n)):
            if wanted[partition] and load[name] < fair and partition not in result[name].awaited:
                add(partition, name)
    for partition, owner in enumerate(now):
        host = members[owner].host
        others = [n for n in names if n != owner and partition not in result[n].standbys]
        while wanted[partition] and others:
            # On another machine, if there is one: two processes of one machine die together.
            chosen = min(
                others, key=lambda n: (load[n] >= fair, members[n].host == host, load[n], now.count(n), n)
            )
            others.remove(chosen)
            add(partition, chosen)
    for given in result.values():
        given.standbys.sort()


class StickyAssignor(AbstractPartitionAssignor):  # type: ignore[misc]
    """The group protocol around `share`. Make one class per consumer with `sticky_assignor`: it remembers."""

    name = "journey-stream-sticky"
    version = 0
    plan: ClassVar[Plan] = Plan()
    given: ClassVar[Given] = Given()
    """What this member has."""
    warm: ClassVar[frozenset[int]] = frozenset()
    """Standbys of this member that have almost all of the state; set by whoever keeps them."""

    @classmethod
    def assign(
        cls, cluster: ClusterMetadata, members: Mapping[str, ConsumerProtocolMemberMetadata]
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        """Divide all partitions that the group reads."""
        names = sorted({topic for metadata in members.values() for topic in metadata.subscription})
        counts = {topic: len(cluster.partitions_for_topic(topic) or ()) for topic in names}
        told = {member: _told(metadata.user_data) for member, metadata in members.items()}
        return {
            member: ConsumerProtocolMemberAssignment(
                cls.version,
                sorted(given.owned.items()),
                _encode(Given({}, given.standbys, given.awaited, given.round)),
            )
            for member, given in share(counts, told, cls.plan).items()
        }

    @classmethod
    def metadata(cls, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:
        """Tell the group what we have."""
        given = cls.given
        warm = [p for p in given.standbys if p in cls.warm]
        member = Member(given.owned, given.round, given.standbys, warm, cls.plan.host)
        return ConsumerProtocolMemberMetadata(cls.version, sorted(topics), _encode(member))

    @classmethod
    def on_assignment(cls, assignment: ConsumerProtocolMemberAssignment) -> None:
        """Remember what we have."""
        try:
            given = _decode_given(assignment.user_data or b"\x90")
        except msgspec.DecodeError:
            given = Given()
        given.owned = {topic: sorted(partitions) for topic, partitions in assignment.assignment}
        cls.given = given


def sticky_assignor(plan: Plan = Plan(), keyed_input: str = "none") -> type[StickyAssignor]:  # noqa: B008 (frozen)
    """Make an assignor with a memory of its own: aiokafka keeps it in the class.

    With `keyed_input` all topics go together, and the name tells so: the group refuses a member that reads
    in another way.
    """
    own: dict[str, Any] = {"plan": plan, "given": Given(), "warm": frozenset()}
    if keyed_input != "none":
        own["plan"] = msgspec.structs.replace(plan, together=True)
        own["name"] = f"journey-stream-keyed-{keyed_input}"
    return type("StickyAssignor", (StickyAssignor,), own)


def _told(user_data: bytes | None) -> Member:
    """Read what a member tells; of one that speaks otherwise, nothing is known."""
    try:
        return _decode_member(user_data or b"\x90")
    except msgspec.DecodeError:
        pass
    try:  # as versions before standbys told it
        return Member(_decode_owned(user_data or b"\x80"))
    except msgspec.DecodeError:
        return Member()
