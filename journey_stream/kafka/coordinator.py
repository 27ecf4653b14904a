"""Who coordinates a group, and what the group has committed, asked from outside.

Enters: an admin client, a group. Leaves: its coordinator, its offsets. A new cluster first makes its topic
for groups, which takes a moment: that is waited for.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    NotCoordinatorForGroupError,
)

WAIT_SECONDS: Final = 15.0

T = TypeVar("T")

# A cluster that is new, or whose broker just left, says one of these until a coordinator has read its groups.
_NOT_YET: Final = (GroupCoordinatorNotAvailableError, GroupLoadInProgressError, NotCoordinatorForGroupError)


async def ask_coordinator(
    admin: AIOKafkaAdminClient, group: str, ask: Callable[[int], Awaitable[T]], wait: float = WAIT_SECONDS
) -> T:
    """Ask the broker that coordinates a group, as soon as there is one that does.

    Args:
        admin: started.
        group: whose coordinator.
        ask: takes the broker's node id; raises what the broker answers.
        wait: seconds until the last try.

    Raises:
        KafkaError: what `ask` raises, or there is no coordinator within `wait`.
    """
    end = time.monotonic() + wait
    while True:
        try:
            return await ask(await admin.find_coordinator(group))
        except _NOT_YET:
            if time.monotonic() > end:
                raise
            await asyncio.sleep(0.25)


async def committed_of(admin: AIOKafkaAdminClient, group: str) -> dict[tuple[str, int], int]:
    """Read the offsets that a group has committed, by (topic, partition)."""
    found = await ask_coordinator(
        admin, group, lambda coordinator: admin.list_consumer_group_offsets(group, coordinator)
    )
    return {(tp.topic, tp.partition): each.offset for tp, each in found.items()}
