"""Imports every module of cases, in the order in which `make faults` runs them."""

from importlib import import_module

for name in ("workers", "live", "brokers", "pressure", "neighbours", "timely", "compared"):
    import_module(f"tests.faults.{name}")
