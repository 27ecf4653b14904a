"""Configuration of the embedded Kafka: a pure function from what was asked to `server.properties`.

A node is broker and controller in one. With a quorum of several nodes, everything has a copy on (up to) three
of them, and a write counts once two have it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec


class Listener(msgspec.Struct, frozen=True):
    """Ports and, for the protected listener, its certificate (PEM with key) and mechanism."""

    plain: int
    controller: int
    secure: int | None = None
    keystore: Path | None = None


class Quorum(msgspec.Struct, frozen=True):
    """The nodes of a cluster, and which of them one is."""

    cluster: str
    """The cluster's id, the same for all nodes."""
    node: int
    controllers: Mapping[int, int]
    """Node to port of its controller."""


def server_properties(
    folder: Path,
    listener: Listener,
    host: str = "127.0.0.1",
    more: Mapping[str, str] | None = None,
    quorum: Quorum | None = None,
) -> dict[str, str]:
    """Return the properties of one node that is broker and controller; `more` wins."""
    node = 1 if quorum is None else quorum.node
    controllers = {node: listener.controller} if quorum is None else quorum.controllers
    copies = str(min(3, len(controllers)))
    in_sync = "2" if copies == "3" else "1"
    made = {
        "process.roles": "broker,controller",
        "node.id": str(node),
        "controller.quorum.voters": ",".join(f"{n}@{host}:{port}" for n, port in controllers.items()),
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "listeners": f"PLAINTEXT://{host}:{listener.plain},CONTROLLER://{host}:{listener.controller}",
        "advertised.listeners": f"PLAINTEXT://{host}:{listener.plain}",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "log.dirs": str(folder / "data"),
        "num.partitions": "8",
        "default.replication.factor": copies,
        "min.insync.replicas": in_sync,
        "offsets.topic.replication.factor": copies,
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": in_sync,
        "share.coordinator.state.topic.replication.factor": copies,
        "share.coordinator.state.topic.min.isr": in_sync,
        "offsets.topic.num.partitions": "8",
        "transaction.state.log.num.partitions": "8",
        "group.initial.rebalance.delay.ms": "0",
        # A misspelt topic must be an error here as it is in a well-kept cluster.
        "auto.create.topics.enable": "false",
        # Kept small: this Kafka shares a laptop with what is tried on it.
        "num.network.threads": "2",
        "num.io.threads": "4",
        "log.cleaner.dedupe.buffer.size": str(16 * 2**20),
        "socket.request.max.bytes": str(200 * 2**20),
        "transaction.max.timeout.ms": "900000",
    }
    if listener.secure is not None:
        made |= {
            "listeners": f"{made['listeners']},SASL_SSL://{host}:{listener.secure}",
            "advertised.listeners": f"{made['advertised.listeners']},SASL_SSL://{host}:{listener.secure}",
            "listener.security.protocol.map": f"{made['listener.security.protocol.map']},SASL_SSL:SASL_SSL",
            "sasl.enabled.mechanisms": "SCRAM-SHA-256,SCRAM-SHA-512",
            "listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config": _SCRAM,
            "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": _SCRAM,
            "ssl.keystore.type": "PKCS12",
            "ssl.keystore.location": str(listener.keystore),
            "ssl.keystore.password": KEYSTORE_PASSWORD,
        }
    return made | dict(more or {})


_SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
KEYSTORE_PASSWORD = "journey-stream"  # noqa: S105  (guards a throw-away certificate in a folder of its owner)


def as_text(properties: Mapping[str, str]) -> str:
    """Write properties as Java reads them: backslashes doubled, one a line."""
    return "".join(f"{key}={value.replace(chr(92), chr(92) * 2)}\n" for key, value in properties.items())
