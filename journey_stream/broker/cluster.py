"""Several embedded Kafka nodes as one cluster: for what only shows with replicas, leaders and a quorum.

Enters: a folder. Leaves: running nodes, each of which can be killed and started again. Strategy: every node
is an `EmbeddedKafka` (broker and controller in one) in a folder of its own; they share a cluster id and know
each other's controllers by ports chosen beforehand.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from journey_stream.broker.embedded import EmbeddedKafka, cluster_id, free_port
from journey_stream.broker.properties import Quorum


class EmbeddedCluster:
    """A real Kafka of several nodes; a context manager that starts and stops them all."""

    def __init__(self, folder: Path | str, nodes: int = 3, *, heap: str = "256m", **options: Any) -> None:
        """Args: folder: gets one folder a node. options: as for `EmbeddedKafka`, the same for all nodes."""
        identity, numbers = cluster_id(), range(1, nodes + 1)
        controllers = _distinct_ports(numbers)
        self.nodes: Mapping[int, EmbeddedKafka] = {
            number: EmbeddedKafka(
                Path(folder) / f"node-{number}",
                heap=heap,
                quorum=Quorum(identity, number, controllers),
                **options,
            )
            for number in numbers
        }

    @property
    def bootstrap(self) -> str:
        """Addresses for clients, of all nodes."""
        return ",".join(node.bootstrap for node in self.nodes.values())

    def start(self) -> Self:
        """Start all nodes at once: none of them answers before most of them run.

        Raises:
            BrokerError: a node could not be started.
        """
        with ThreadPoolExecutor(len(self.nodes)) as pool:
            started = [pool.submit(node.start) for node in self.nodes.values()]
        try:
            for each in started:
                each.result()
        except BaseException:
            self.kill()
            raise
        return self

    def kill(self) -> None:
        """End all nodes at once; the folders stay."""
        for node in self.nodes.values():
            node.kill()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()


def _distinct_ports(numbers: range) -> dict[int, int]:
    """Choose free ports, none of them twice."""
    ports: dict[int, int] = {}
    while len(ports) < len(numbers):
        port = free_port()
        if port not in ports.values():
            ports[numbers[len(ports)]] = port
    return ports
