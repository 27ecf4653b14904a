"""A real Apache Kafka (KRaft, one node) by pip alone: no Docker, no system Java, no Maven.

`jars` fetches Kafka once, `properties` writes its configuration, `keeper` is the process beside it that ends
it when we end, `embedded.EmbeddedKafka` is the door.
"""

from journey_stream.broker.embedded import EmbeddedKafka, ScramUser

__all__ = ["EmbeddedKafka", "ScramUser"]
