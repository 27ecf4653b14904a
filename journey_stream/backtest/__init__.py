"""Backtest: what would have been, had another definition been in force; and what history says of thresholds.

    comparison = compare(old, new, before.records, after.records, until)    who moves, what is published
    curves = Silences(journey, vocabulary); curves.see(event)...            how many come back after a silence
    html(report), summary(report), to_json(report)                          for people and for scripts

Pure: records and events in, values out; the verb reads the files and keeps the time.
"""

from journey_stream.backtest.calibrate import Curve, Silences
from journey_stream.backtest.compare import Comparison, compare
from journey_stream.backtest.html import html
from journey_stream.backtest.report import Report, pairs, summary, to_json

__all__ = ["Comparison", "Curve", "Report", "Silences", "compare", "html", "pairs", "summary", "to_json"]
