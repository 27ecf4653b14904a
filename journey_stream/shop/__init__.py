"""The simulated shop: a pure, seeded generator of customer events, and writers that carry them off.

    simulate(ShopOptions(seed=7, customers=2_000)) -> Iterator[ShopRecord], in the order of delivery
    write_files(records, folder)                   -> one JSON Lines file per source (`files`)
    feed(records, topics, client_options)          -> to Kafka (`feed`)

Random numbers live in this room only, always from `random.Random(seed)`.
"""

from journey_stream.shop.records import SOURCES, ShopOptions, ShopRecord, Source, source_of
from journey_stream.shop.simulate import simulate

__all__ = ["SOURCES", "ShopOptions", "ShopRecord", "Source", "simulate", "source_of"]
