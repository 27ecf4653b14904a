"""Small definitions for the tests of this room: one journey, to which a test adds what it is about."""

from __future__ import annotations

from textwrap import dedent

from journey_stream.events.vocabulary import BUILT_IN
from journey_stream.journeys import Finding, Journey, lint, load

HEAD = """\
journey: trial
version: 1
start: prospect
stages:
  prospect: {kind: prospect}
  buyer: {kind: conversion}
  lost: {kind: attrition}
transitions:
  - {id: buys, from: prospect, to: buyer, event: order_completed}
  - {id: leaves, from: any, to: lost, event: unsubscribed}
"""


def accepted(text: str) -> Journey:
    """Load one definition that has to be without findings."""
    loaded = load([("trial.yaml", dedent(text))], BUILT_IN)
    if loaded.findings:
        raise AssertionError("\n".join(map(str, loaded.findings)))
    return loaded.journeys[0]


def with_attributes(lines: str) -> Journey:
    """Load the small journey with these attributes."""
    return accepted(HEAD + "attributes:\n" + _indented(lines, 2))


def with_transition(line: str, *, more: str = "") -> Journey:
    """Load the small journey with one more transition, and whatever else."""
    return accepted(HEAD + f"  - {line}\n" + dedent(more))


def with_signal(line: str, *, more: str = "") -> Journey:
    """Load the small journey with one signal, and whatever else."""
    return accepted(HEAD + f"signals:\n  - {line}\n" + dedent(more))


def findings(text: str) -> tuple[Finding, ...]:
    """All findings of one text."""
    return lint([("trial.yaml", text)], BUILT_IN).findings


def _indented(lines: str, spaces: int) -> str:
    return "".join(" " * spaces + line + "\n" for line in dedent(lines).strip().splitlines())
