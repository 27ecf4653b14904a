"""What an author would regret though the language allows it: found by looking at what can happen.

In: a journey that was read and checked without an error. Out: more findings (warnings, hints) in its report.
Nothing here stops a definition from being used, and nothing here guesses: `never`, `always` and `shadowed`
are proved, by `logic`, over what is possible in a `place`; in doubt there is no finding.

    conditions, comparisons   one expression    never-true, always-true, idle-trigger, impossible-value, ...
    rules                     two transitions   shadowed-rule, overlapping-rules
    structure, usage          the whole         dead-end, never-fires, idle-key, unused-attribute, ...
    allowances                the text          `# lint: allow rule reason` takes a finding back
"""

from __future__ import annotations

from journey_stream.journeys.analysis.comparisons import check_comparisons
from journey_stream.journeys.analysis.conditions import check_conditions
from journey_stream.journeys.analysis.place import World
from journey_stream.journeys.analysis.rules import check_rules
from journey_stream.journeys.analysis.structure import check_structure
from journey_stream.journeys.analysis.usage import check_usage
from journey_stream.journeys.analysis.written import Source, written
from journey_stream.journeys.findings import Report

__all__ = ["World", "analyse"]


def analyse(source: Source, world: World, reached: frozenset[str], report: Report) -> None:
    """Add what is certain to be in vain, and what is likely not meant.

    Args:
        source: The nodes of the definition.
        world: Its model and what surrounds it.
        reached: The stages that somebody can be in.
        report: Takes the findings.
    """
    expressions = tuple(written(source, world))
    for each in expressions:
        if not check_comparisons(each, source.lengths(), report):
            check_conditions(each, report)
    check_rules(source, world, report)
    check_structure(source, world, reached, report)
    check_usage(source, world, expressions, report)
