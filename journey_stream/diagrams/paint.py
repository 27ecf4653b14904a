"""What all pictures share: colours by kind of stage, the frame that works on light and dark, and text.

In: pieces of SVG. Out: a document that stands alone (no script, no font or style from elsewhere).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape

from journey_stream.values import Kind

KIND_COLOURS: Mapping[Kind, str] = {
    "prospect": "#2a9d9d",
    "acquisition": "#1f8fb8",
    "conversion": "#3b74d1",
    "onboarding": "#5e60ce",
    "development": "#4c9a2a",
    "retention": "#2d8a4e",
    "advocacy": "#a34fb5",
    "at_risk": "#c98a00",
    "attrition": "#d1495b",
}
"""Readable on white and on near black, and apart from each other for most eyes; text always says the same."""

_STYLE = """
  text { font: 12px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #1f2328 }
  .small { font-size: 10.5px; fill: #59636e }
  .strong { font-weight: 600 }
  .paper { fill: #ffffff }
  .box { fill: #f6f8fa }
  .faint { stroke: #d1d9e0 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .small { fill: #9198a1 }
    .paper { fill: #0d1117 }
    .box { fill: #161b22 }
    .faint { stroke: #3d444d }
  }
"""


SMALL = 10.5
"""Size of small text."""
_WIDTHS = {
    letter: wide
    for letters, wide in (
        ("ijl'", 0.29),
        (" ,.|:;/", 0.34),
        ("ft-()[]r", 0.42),
        ("ckszvxy?_", 0.59),
        ("abdeghnopqu0123456789+<>=$…", 0.65),
        ("ABCDEFKLPRSTVXYZ&", 0.7),
        ("GHNOQU·▸↩", 0.8),
        ("wMmW%@", 1.0),
    )
    for letter in letters
}
"""Of letters, for a size of 1: those of DejaVu Sans, which is wider than what most systems show."""


def document(width: float, height: float, title: str, pieces: Iterable[str]) -> str:
    """Put pieces into a picture of its own; `title` is what screen readers say."""
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {num(width)} {num(height)}" '
            f'width="{num(width)}" height="{num(height)}" role="img" aria-label="{escape(title)}">',
            f"<title>{escape(title)}</title>",
            f"<style>{_STYLE}</style>",
            f'<rect class="paper" width="{num(width)}" height="{num(height)}"/>',
            *pieces,
            "</svg>\n",
        )
    )


def text(x: float, y: float, said: str, *, anchor: str = "start", style: str = "") -> str:
    """Write a line of text; `y` is its middle."""
    named = f' class="{style}"' if style else ""
    return f'<text x="{num(x)}" y="{num(y + 4)}" text-anchor="{anchor}"{named}>{escape(said)}</text>'


def width(said: str, size: float = 12) -> float:
    """Tell how wide a text gets at most, in the widest of the usual fonts.

    >>> width("illicit") < width("summary")
    True
    """
    return sum(_WIDTHS.get(letter, _WIDTHS["n"]) for letter in said) * size


def fitted(said: str, room: float, size: float = 12) -> str:
    """Cut text that does not fit into so much room.

    >>> fitted("anything at all", 50)
    'anythi…'
    """
    if width(said, size) <= room:
        return said
    while said and width(said + "…", size) > room:
        said = said[:-1]
    return said + "…"


def num(value: float) -> str:
    """Write a coordinate, without needless digits."""
    return f"{value:.1f}".rstrip("0").rstrip(".")
