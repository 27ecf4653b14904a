"""From settings to what runs: vocabulary, journeys, decoder, program. Worker, replay and lint all come here.

Enters: `Settings`, and the definition files that they name (this is the only room that opens them).
Leaves: `Deployment`, or an error that says what to mend. Strategy: each step is a function of its own, so
that `lint` can stop after the journeys and `topics` needs no program.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import msgspec

from journey_stream.engine.event_tests import event_names, event_test
from journey_stream.engine.program import EngineOptions, Program, compile_program, side_by_side
from journey_stream.errors import SettingsError, UsageError
from journey_stream.events.declared import DeclaredType
from journey_stream.events.decode import DecodeLimits, Decoder, Money
from journey_stream.events.vocabulary import BUILT_IN, Vocabulary
from journey_stream.journeys import Journey, load, shipped, shipped_names
from journey_stream.journeys.changes import Change
from journey_stream.journeys.guards import GuardSyntaxError, check, parse
from journey_stream.journeys.guards.types import BOOL
from journey_stream.settings import Filter, Settings, TopicNames
from journey_stream.values import NEVER, Event
from journey_stream.version_changes import changes_of


class Deployment(msgspec.Struct, frozen=True):
    """What the settings amount to."""

    settings: Settings
    topics: TopicNames
    vocabulary: Vocabulary
    journeys: tuple[Journey, ...]
    """The present version of each."""
    changes: tuple[Change, ...]
    """What becomes of customers in other versions."""
    decoder: Decoder
    program: Program


def assemble(settings: Settings) -> Deployment:
    """Make everything that a worker or a replay runs on.

    Raises:
        JourneyDefinitionError: a definition has findings; all of them are in the message.
        SettingsError: an own event type, a filter or a change of version cannot be used.
        UsageError: a journey's name or file is not there.
    """
    vocabulary = vocabulary_of(settings)
    journeys, changes = definitions_of(settings, vocabulary)
    return Deployment(
        settings,
        TopicNames.of(settings),
        vocabulary,
        journeys,
        changes,
        decoder_of(settings, vocabulary),
        compile_program(journeys, vocabulary, engine_options(settings), changes),
    )


def definitions_of(
    settings: Settings, vocabulary: Vocabulary
) -> tuple[tuple[Journey, ...], tuple[Change, ...]]:
    """Read the definitions that the settings name, and what becomes of customers in other versions.

    Raises:
        JourneyDefinitionError: a definition, present or previous, has findings.
        SettingsError: `versions` does not fit the definitions; every problem is in the message.
        UsageError: a name or file is not there.
    """
    files = {each.previous: _text(Path(each.previous)) for each in settings.versions if each.previous}
    loaded = load(journey_texts(settings.journeys), vocabulary, list(files.items()))
    journeys = loaded.usable()
    previous = dict(zip(files, loaded.previous, strict=True))
    changes, problems = changes_of(settings.versions, journeys, previous)
    if problems:
        raise SettingsError("\n".join(problems))
    return journeys, changes


def vocabulary_of(settings: Settings) -> Vocabulary:
    """Return the built-in event types and those that the deployment declares."""
    if not settings.event_types:
        return BUILT_IN
    return BUILT_IN.with_declared(
        DeclaredType(own.name, own.schema, own.actor, own.source) for own in settings.event_types
    )


def decoder_of(settings: Settings, vocabulary: Vocabulary) -> Decoder:
    """Return the decoder with the deployment's limits, currency and filters."""
    return Decoder(
        vocabulary,
        DecodeLimits(settings.max_event_bytes, settings.max_future),
        Money(settings.currency, settings.rates) if settings.currency else None,
        [compile_filter(own, vocabulary) for own in settings.filters],
        ces_high_is_easy=settings.ces_high_is_easy,
    )


def compile_filter(own: Filter, vocabulary: Vocabulary) -> Callable[[Event], bool | None]:
    """Make a function of a filter's CEL, compiled for each event type when its first event comes.

    Raises:
        SettingsError: the expression is not CEL, names nothing known, or is not true or false.
    """
    what = f"`filters`: {own.name}: `{own.when}`"
    names = event_names(vocabulary)
    words = vocabulary.names()
    try:
        expression = parse(own.when)
        of, problems = check(expression, names.where(words, words[0]))
    except GuardSyntaxError as error:
        msg = f"{what}: {error}"
        raise SettingsError(msg) from None
    if problems:
        first = problems[0]
        msg = f"{what}, column {first.column}: {first.message}. {first.suggestion}"
        raise SettingsError(msg)
    if of != BOOL:
        msg = f"{what}: expected an expression that is true or false, found {of}"
        raise SettingsError(msg)
    return event_test(expression, names, words)


def journey_texts(names: Iterable[str]) -> list[tuple[str, str]]:
    """Return (name for messages, text) of shipped names, files and folders (each `*.yaml` but tests).

    Raises:
        UsageError: a name is neither shipped nor a file nor a folder with definitions, or cannot be read.
    """
    texts: dict[str, str] = {}
    known = shipped_names()
    for name in names:
        path = Path(name)
        if name in known:
            texts[f"{name}.yaml"] = shipped(name)
        elif path.is_dir():
            found = _definitions_in(path)
            texts |= {str(each): _text(each) for each in found}
        elif path.exists() or path.suffix in {".yaml", ".yml"}:
            texts[name] = _text(path)
        else:
            close = difflib.get_close_matches(name, known, 1, 0.5)
            hint = f"Did you mean `{close[0]}`?" if close else f"Shipped are: {', '.join(known)}"
            msg = f"no journey `{name}`: it is no shipped name, no file and no folder. {hint}"
            raise UsageError(msg)
    return list(texts.items())


def _definitions_in(folder: Path) -> Sequence[Path]:
    found = sorted(
        each
        for each in folder.iterdir()
        if each.suffix in {".yaml", ".yml"} and not each.stem.endswith("_test")
    )
    if not found:
        msg = f"folder {folder}: expected journey definitions (*.yaml), found none"
        raise UsageError(msg)
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        msg = f"cannot read journey definition {path}: {error.strerror}. Check the path"
        raise UsageError(msg) from None
    except UnicodeDecodeError as error:
        msg = f"journey definition {path}: expected UTF-8 text, byte {error.start} is not. Save it as UTF-8"
        raise UsageError(msg) from None


def extra_topics(settings: Settings) -> list[str]:
    """Name the topics by stage, kind or signal that the settings ask for."""
    by, names = settings.record_topics, TopicNames.of(settings)
    if by.transitions == "none" and by.signals == "none":
        return []
    found: dict[str, None] = {}
    journeys, changes = definitions_of(settings, vocabulary_of(settings))
    for journey in side_by_side(journeys, changes):
        stages = journey.stages.values()
        kinds = sorted({stage.kind for stage in stages})
        if by.transitions == "stage":
            found |= dict.fromkeys(names.transition_topic(journey.id, stage.id) for stage in stages)
        elif by.transitions == "kind":
            found |= dict.fromkeys(map(names.transition_topic, kinds))
        if by.signals == "signal":
            found |= dict.fromkeys(names.signal_topic(journey.id, rule.id) for rule in journey.signals)
        elif by.signals == "kind":
            rules = {rule.kind for rule in journey.signals if rule.kind}
            found |= dict.fromkeys(map(names.signal_topic, sorted({*kinds, *rules})))
    return list(found)


def engine_options(settings: Settings) -> EngineOptions:
    """Return the settings that the engine asks for."""
    anonymous, known = settings.forget_after.anonymous, settings.forget_after.known
    return EngineOptions(
        dedup_window=max(settings.dedup_window, settings.allowed_lateness),
        forget_after_anonymous=None if anonymous == NEVER else anonymous,
        forget_after_known=None if known == NEVER else known,
    )
