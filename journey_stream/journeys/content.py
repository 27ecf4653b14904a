"""What a definition says, as a hash, whatever its comments, order of keys and titles.

In: the root node of a text. Out: SHA-256 (hex). A version number stands for one such hash: ids of records
hold the version, and an id never stands for two contents. Titles and descriptions are for people and travel
in no record, so mending one is no new version. The hash is over what is written, not over the model made of
it: a later release of this program reads the same text to the same hash.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from journey_stream.journeys.read import Items, Node, Scalar, Table

FOR_PEOPLE = frozenset({"title", "description"})
_WITH_TITLES = frozenset({"stages", "signals", "transitions"})


def content_sha(root: Node) -> str:
    """Hash what a definition says."""
    if not isinstance(root, Table):
        return ""
    said = {
        key: _titled(entry.value) if key in _WITH_TITLES else _plain(entry.value)
        for key, entry in sorted(root.entries.items())
        if key not in FOR_PEOPLE
    }
    text = json.dumps(said, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _titled(node: Node) -> Any:
    """Stages (whose order counts, so as pairs) and rules, without what is for people."""
    if isinstance(node, Table):
        return [[name, _one(entry.value)] for name, entry in node.entries.items()]
    return [_one(item) for item in node.items] if isinstance(node, Items) else _plain(node)


def _one(node: Node) -> Any:
    if not isinstance(node, Table):
        return _plain(node)
    return {
        key: _titled(entry.value) if key == "stages" else _plain(entry.value)
        for key, entry in sorted(node.entries.items())
        if key not in FOR_PEOPLE
    }


def _plain(node: Node) -> Any:
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, Items):
        return [_plain(item) for item in node.items]
    return {key: _plain(entry.value) for key, entry in sorted(node.entries.items())}
