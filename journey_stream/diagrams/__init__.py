"""Diagrams: what a checked journey looks like, and who flows where, as text and pictures.

    mermaid(journey)   -> str    a state diagram that code hosts draw
    svg(journey)       -> str    a picture that stands alone, light and dark
    table(journey)     -> str    stages, triggers and guards as Markdown tables
    sankey(flows, ...) -> str    who was where under one definition, and is where under another

All are pure: a model in, text out, the same bytes each time.
"""

from journey_stream.diagrams.edges import Arrow, arrows
from journey_stream.diagrams.mermaid import mermaid
from journey_stream.diagrams.picture import svg
from journey_stream.diagrams.sankey import sankey
from journey_stream.diagrams.table import table

__all__ = ["Arrow", "arrows", "mermaid", "sankey", "svg", "table"]
