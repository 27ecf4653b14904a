"""A worker of the version before histories: it writes customers in state format 1, for the rolling restart.

Run as `python -m tests.faults.older_worker SETTINGS`. Format 1 has no history, and
room in front of `young` that was never used; `tests/engine/states_of_format_1.json` holds what its code wrote.
"""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from journey_stream.engine import partition
from journey_stream.engine.state import Customer, encode_core
from journey_stream.kafka.start import run_worker
from journey_stream.settings_read import load_settings

FORMAT_1 = b"\x01"


def encode(c: Customer, fingerprint: bytes, history: bytes = b"") -> bytes:
    """Write a customer's state as format 1."""
    *core, young = msgspec.msgpack.decode(encode_core(c), strict=False)
    return FORMAT_1 + c.due.to_bytes(8, "big") + fingerprint + msgspec.msgpack.encode([*core, None, young])


if __name__ == "__main__":
    partition.encode = encode  # type: ignore[attr-defined]
    settings = load_settings(Path(sys.argv[1]).read_text(), {}, {}, file=sys.argv[1])
    sys.exit(run_worker(settings, exit_when_done="--exit-when-done" in sys.argv))
