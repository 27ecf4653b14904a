"""A real Apache Kafka (KRaft, one node or several) by pip alone: no Docker, no system Java, no Maven.

`jars` fetches Kafka once, `properties` writes its configuration, `keeper` is the process beside it that ends
it when we end, `embedded.EmbeddedKafka` is the door; `cluster.EmbeddedCluster` is several of them.
"""

from journey_stream.broker.cluster import EmbeddedCluster
from journey_stream.broker.embedded import EmbeddedKafka, ScramUser

__all__ = ["EmbeddedCluster", "EmbeddedKafka", "ScramUser"]
