"""`make bench`: the worker beside its peers; `make bench BENCH=shop`: beside plain Faust in a shop."""

from __future__ import annotations

import sys

from benchmarks import shop
from benchmarks.peers import run


def main(arguments: list[str]) -> int:
    """Run the one that is asked for."""
    if arguments[:1] == ["shop"]:
        return shop.main(arguments[1:])
    return run.main(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
