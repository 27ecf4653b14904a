"""Turn the CDNOW sample into events: JSON Lines of `order_completed`, in the order of time.

    python convert.py [cdnow_sample.txt] > cdnow.jsonl

One row is one order; its number (from 1) is the event's id and the order's. The customer is the master id.
A purchase is at noon UTC of its day, each further one of the same customer and day a second later.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

SAMPLE = Path(__file__).with_name("cdnow_sample.txt")


def events(rows: Iterable[str]) -> Iterator[dict[str, object]]:
    """Turn rows into events, in the order of the rows."""
    seen: Counter[tuple[str, str]] = Counter()
    for number, row in enumerate(rows, start=1):
        customer, _, date, quantity, value = row.split()
        day = datetime.strptime(date, "%Y%m%d").replace(hour=12, tzinfo=UTC)
        at = day + timedelta(seconds=seen[customer, date])
        seen[customer, date] += 1
        yield {
            "event_id": str(number),
            "type": "order_completed",
            "occurred_at": at.isoformat().replace("+00:00", "Z"),
            "customer_id": customer,
            "properties": {
                "order_id": str(number),
                "total": float(value),
                "currency": "USD",
                "affiliation": "CDNOW",
                "products": [{"category": "music", "quantity": int(quantity)}],
            },
        }


def by_time(event: dict[str, object]) -> str:
    """Sort events by time; those of one moment keep the order of the rows."""
    return str(event["occurred_at"])


def main(path: str | None = None) -> None:
    """Write the events to standard output."""
    rows = (Path(path) if path else SAMPLE).read_text("ascii").splitlines()
    for event in sorted(events(rows), key=by_time):
        sys.stdout.write(json.dumps(event) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
