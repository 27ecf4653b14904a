"""Which definitions to test, with which test files, and which others they name: names and paths to suites.

In: what a caller of `test` wrote. Out: `Suite`s with all their texts, or an error that says what is missing.
A definition that asks for the stage of another journey gets it from what was named with it, else from the
files beside it, else from those that are shipped; definitions that it does not name cannot change its tests.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from journey_stream.cli.common import read_text
from journey_stream.deployment import journey_texts
from journey_stream.errors import UsageError
from journey_stream.events.vocabulary import Vocabulary
from journey_stream.journeys import Journey, load, shipped, shipped_names, shipped_tests
from journey_stream.journeys.places import journeys_named
from journey_stream.testing import Suite, companion

_TEST = "_test"


def suites(names: Iterable[str], vocabulary: Vocabulary) -> list[Suite]:
    """Find what is to be tested: shipped names, folders, definitions, or their test files.

    Raises:
        UsageError: a name or file is not there, nothing has tests, or a journey that is named is missing.
    """
    found: dict[str, Suite] = {}
    explicit: set[str] = set()
    for name in names:
        for suite in _of(name):
            found.setdefault(suite.file, suite)
            if not Path(name).is_dir():
                explicit.add(suite.file)
    for suite in found.values():
        if suite.tests is None and (suite.file in explicit or len(found) == 1):
            msg = (
                f"no tests: expected {suite.tests_file} beside {suite.file}. Write one; "
                f"`journey-stream new` shows what it looks like"
            )
            raise UsageError(msg)
    return [_with_others(suite, list(found.values()), vocabulary) for suite in found.values()]


def _of(name: str) -> Iterator[Suite]:
    path = Path(name)
    if name in shipped_names():
        yield Suite(f"{name}.yaml", shipped(name), f"{name}_test.yaml", shipped_tests(name))
        return
    if path.stem.endswith(_TEST) and path.is_file():
        path = path.with_name(path.name.replace(f"{_TEST}.", ".", 1))
        if not path.is_file():
            msg = f"test file {name}: expected the definition it tests beside it, {path}, and it is not there"
            raise UsageError(msg)
        name = str(path)
    for file, text in journey_texts([name]):
        tests_file = Path(companion(file))
        tests = read_text(tests_file, "test file") if tests_file.is_file() else None
        yield Suite(file, text, str(tests_file), tests)


def _with_others(suite: Suite, given: list[Suite], vocabulary: Vocabulary) -> Suite:
    """Add the definitions that this one names, and those that they name."""
    subject = _journey(suite.text, vocabulary)
    if subject is None or not journeys_named(subject):
        return suite
    known: dict[str, tuple[str, str, Journey]] = {}
    for file, text in _candidates(suite, given):
        journey = _journey(text, vocabulary)
        if journey is not None:
            known.setdefault(journey.id, (file, text, journey))
    others: dict[str, tuple[str, str]] = {}
    open_ = journeys_named(subject) - {subject.id}
    while open_:
        name = open_.pop()
        if name not in known:
            msg = (
                f"{suite.file}: it asks for the stage of the journey '{name}', and no such definition was "
                f"given, stands beside it or is shipped; name its file too"
            )
            raise UsageError(msg)
        file, text, journey = known[name]
        others[name] = (file, text)
        open_ |= journeys_named(journey) - others.keys() - {subject.id}
    return Suite(suite.file, suite.text, suite.tests_file, suite.tests, tuple(others.values()))


def _candidates(suite: Suite, given: list[Suite]) -> Iterator[tuple[str, str]]:
    yield from ((each.file, each.text) for each in given)
    folder = Path(suite.file).parent
    if Path(suite.file).is_file():
        yield from journey_texts([str(folder)])
    yield from ((f"{name}.yaml", shipped(name)) for name in shipped_names())


def _journey(text: str, vocabulary: Vocabulary) -> Journey | None:
    loaded = load([("", text)], vocabulary)
    return loaded.journeys[0] if loaded.journeys else None
