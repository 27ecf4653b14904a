"""Requests of the transactions of Kafka 4 (KIP-890, `transaction.version` 2), which aiokafka does not have.

Enters: what to ask for; aiokafka sends these as it does its own. Leaves: how they stand on the wire, as in
the message definitions of Apache Kafka 4. In this version a partition joins a transaction with the first
batch that is written to it, and each end gives the producer a new epoch: requests of one transaction that
arrive in the next are refused.
"""

# ruff: noqa: SLF001 (what a broker can do is asked of aiokafka's connection)

from __future__ import annotations

from io import BytesIO
from typing import Any, ClassVar, Final

from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.protocol.api import RequestStruct, Response, ResponseHeader_v0
from aiokafka.protocol.types import (
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Int64,
    Schema,
    TaggedFields,
    UnsignedVarInt32,
)

FEATURE: Final = "transaction.version"
IMPLICIT: Final = 2
"""The level from which on partitions join by themselves."""
SOFTWARE: Final = ("journey-stream", "1")
NO_TAGS: Final[dict[int, bytes]] = {}
_TEXT: Final = CompactString("utf-8")
_NONE: Final = b"\0"


class _Request(RequestStruct):  # type: ignore[misc]
    """One version, sent as it is."""

    FLEXIBLE_VERSION = True
    API_KEY: ClassVar[int] = -1
    API_VERSION: ClassVar[int] = -1
    RESPONSE_TYPE: ClassVar[type[Response]] = Response
    SCHEMA: ClassVar[Schema] = Schema()

    def prepare(self, versions: object) -> _Request:
        """Answer to aiokafka's question which version to send."""
        return self


class _Answer(Response):  # type: ignore[misc]
    """Read by the request that it answers, which says what it is."""

    API_KEY: ClassVar[int] = -1
    API_VERSION: ClassVar[int] = -1


class ProduceAnswer(_Answer):
    """Topics with (partition, error, offset, ...) each."""

    SCHEMA = Schema(
        (
            "topics",
            CompactArray(
                ("topic", _TEXT),
                (
                    "partitions",
                    CompactArray(
                        ("partition", Int32),
                        ("error_code", Int16),
                        ("offset", Int64),
                        ("timestamp", Int64),
                        ("log_start_offset", Int64),
                        (
                            "record_errors",
                            CompactArray(("batch_index", Int32), ("message", _TEXT), ("tags", TaggedFields)),
                        ),
                        ("error_message", _TEXT),
                        ("tags", TaggedFields),
                    ),
                ),
                ("tags", TaggedFields),
            ),
        ),
        ("throttle_time_ms", Int32),
        ("tags", TaggedFields),
    )


class Produce(_Request):
    """Batches by topic and partition; put together in one go: each level of a schema would copy them all."""

    API_KEY = 0
    API_VERSION = 12
    RESPONSE_TYPE = ProduceAnswer
    SCHEMA = Schema(
        ("transactional_id", _TEXT),
        ("required_acks", Int16),
        ("timeout", Int32),
        ("topics", CompactArray(("topic", _TEXT), ("partitions", CompactArray(Int32)))),
    )

    transactional_id: str
    required_acks: int
    timeout: int
    topics: list[tuple[str, list[tuple[int, bytes]]]]

    def encode(self) -> bytes:
        """Give the bytes of the request."""
        return b"".join(self.pieces())

    def pieces(self) -> list[bytes]:
        """Give them one behind the other, records as they are."""
        pieces = [
            _TEXT.encode(self.transactional_id),
            Int16.encode(self.required_acks),
            Int32.encode(self.timeout),
            UnsignedVarInt32.encode(len(self.topics) + 1),
        ]
        for topic, partitions in self.topics:
            pieces += (_TEXT.encode(topic), UnsignedVarInt32.encode(len(partitions) + 1))
            for partition, records in partitions:
                length = UnsignedVarInt32.encode(len(records) + 1)
                pieces += (Int32.encode(partition), length, records, _NONE)
            pieces.append(_NONE)
        pieces.append(_NONE)
        return pieces


class OffsetsAnswer(_Answer):
    """Topics with (partition, error, tags) each."""

    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "errors",
            CompactArray(
                ("topic", _TEXT),
                (
                    "partition_errors",
                    CompactArray(("partition", Int32), ("error_code", Int16), ("tags", TaggedFields)),
                ),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class Offsets(_Request):
    """TxnOffsetCommit."""

    API_KEY = 28
    API_VERSION = 5
    RESPONSE_TYPE = OffsetsAnswer
    SCHEMA = Schema(
        ("transactional_id", _TEXT),
        ("group_id", _TEXT),
        ("producer_id", Int64),
        ("producer_epoch", Int16),
        ("generation_id", Int32),
        ("member_id", _TEXT),
        ("group_instance_id", _TEXT),
        (
            "topics",
            CompactArray(
                ("topic", _TEXT),
                (
                    "partitions",
                    CompactArray(
                        ("partition", Int32),
                        ("offset", Int64),
                        ("leader_epoch", Int32),
                        ("metadata", _TEXT),
                        ("tags", TaggedFields),
                    ),
                ),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class EndAnswer(_Answer):
    """With the producer id and epoch of the next transaction."""

    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("error_code", Int16),
        ("producer_id", Int64),
        ("producer_epoch", Int16),
        ("tags", TaggedFields),
    )


class End(_Request):
    """EndTxn."""

    API_KEY = 26
    API_VERSION = 5
    RESPONSE_TYPE = EndAnswer
    SCHEMA = Schema(
        ("transactional_id", _TEXT),
        ("producer_id", Int64),
        ("producer_epoch", Int16),
        ("transaction_result", Boolean),
        ("tags", TaggedFields),
    )


class FeaturesAnswer(_Answer):
    """What the cluster can do is in the tags."""

    SCHEMA = Schema(
        ("error_code", Int16),
        (
            "api_versions",
            CompactArray(("api_key", Int16), ("min", Int16), ("max", Int16), ("tags", TaggedFields)),
        ),
        ("throttle_time_ms", Int32),
        ("tags", TaggedFields),
    )


class Features(_Request):
    """ApiVersions."""

    API_KEY = 18
    API_VERSION = 3
    RESPONSE_TYPE = FeaturesAnswer
    SCHEMA = Schema(("software_name", _TEXT), ("software_version", _TEXT), ("tags", TaggedFields))

    def parse_response_header(self, read_buffer: Any) -> ResponseHeader_v0:
        """Read the header, which of this answer alone is always the oldest."""
        return ResponseHeader_v0.decode(read_buffer)


FINALIZED_TAG: Final = 2
_FINALIZED: Final = CompactArray(("name", _TEXT), ("max", Int16), ("min", Int16), ("tags", TaggedFields))


async def joins_implicitly(client: AIOKafkaClient, node: int) -> bool:
    """Tell whether the cluster has agreed on transactions that partitions join by themselves.

    Raises:
        KafkaError: the broker does not answer.
    """
    group = ConnectionGroup.COORDINATION
    await client.ready(node, group=group)
    connection = client._conns.get((node, group))
    versions = {} if connection is None else connection._versions
    if any(versions.get(each.API_KEY, (0, 0))[1] < each.API_VERSION for each in (Produce, Offsets, End)):
        return False
    answer = await client.send(node, Features(*SOFTWARE, NO_TAGS), group=group)
    finalized = answer.tags.get(FINALIZED_TAG)
    if answer.error_code or finalized is None:
        return False
    return any(
        name == FEATURE and level >= IMPLICIT
        for name, level, *_ in _FINALIZED.decode(BytesIO(finalized)) or ()
    )
