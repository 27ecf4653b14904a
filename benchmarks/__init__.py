"""Benchmarks: ratios within one run, never absolute times against another day's."""
