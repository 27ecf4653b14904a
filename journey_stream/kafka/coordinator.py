"""Who coordinates a group, and what the group has committed, asked from outside.

Enters: an admin client, a group. Leaves: its coordinator, its offsets. A new cluster first makes its topic
for groups, which takes a moment: that is waited for.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError

WAIT_SECONDS: Final = 15.0


async def coordinator_of(admin: AIOKafkaAdminClient, group: str) -> Any:
    """Find the broker that coordinates a group.

    Raises:
        KafkaError: there is none within `WAIT_SECONDS`.
    """
    end = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            return await admin.find_coordinator(group)
        except GroupCoordinatorNotAvailableError:
            if time.monotonic() > end:
                raise
            await asyncio.sleep(0.25)


async def committed_of(admin: AIOKafkaAdminClient, group: str) -> dict[tuple[str, int], int]:
    """Read the offsets that a group has committed, by (topic, partition)."""
    coordinator = await coordinator_of(admin, group)
    found = await admin.list_consumer_group_offsets(group, coordinator)
    return {(tp.topic, tp.partition): each.offset for tp, each in found.items()}
