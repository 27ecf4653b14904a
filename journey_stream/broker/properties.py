"""Configuration of the embedded Kafka: a pure function from what was asked to `server.properties`."""

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


def server_properties(
    folder: Path, listener: Listener, host: str = "127.0.0.1", more: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the properties of one node that is broker and controller; `more` wins."""
    made = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{host}:{listener.controller}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "listeners": f"PLAINTEXT://{host}:{listener.plain},CONTROLLER://{host}:{listener.controller}",
        "advertised.listeners": f"PLAINTEXT://{host}:{listener.plain}",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "log.dirs": str(folder / "data"),
        "num.partitions": "8",
        # One node: everything has one copy.
        "default.replication.factor": "1",
        "offsets.topic.replication.factor": "1",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
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
