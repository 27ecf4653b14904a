"""journey_stream: events in, customer journeys kept, each change of stage out, on Kafka.

The house, in the order of an event's way:

- `events`: bytes become a typed event or a rejection
- `release`: the clock of a partition; events leave in event-time order
- `journeys`: YAML definitions are read, checked, modelled (`journeys.guards`: CEL)
- `engine`: one customer's state + event or clock -> new state + records
- `encode`: records out as CloudEvents
- `replay`: the same core over files
- `kafka`: the worker, the only room that imports Faust
- `broker`, `shop`, `cli`: embedded Kafka, simulated shop, command line
"""

__version__ = "0.1.0"
