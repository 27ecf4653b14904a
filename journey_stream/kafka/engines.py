"""Who works on keyed partitions and judges for intakes: the compiled core where it can, or Python.

Enters: a deployment. Leaves: engines, empty, and intakes, one a call. Strategy: decided once, when the worker
starts, and told in one line: the core has to be there and to know the program. One that fails at work is
given up for good. Whoever it failed starts over, as after any failure, and Python goes on: a partition from
its checkpoint, with the same states, an intake from its committed offset. The others keep what they have of
the core, which serves them, until they start over themselves.
"""

from __future__ import annotations

import logging
from importlib.util import find_spec
from typing import Any, Final

from journey_stream.deployment import Deployment
from journey_stream.engine.described import NotDescribed, describe
from journey_stream.engine.fast import FastPartition
from journey_stream.engine.partition import Partition
from journey_stream.errors import SettingsError
from journey_stream.events import described as vocabulary_described
from journey_stream.events.decode import Decoder
from journey_stream.kafka.compiled_intake import CompiledIntake
from journey_stream.kafka.hop import MURMUR2, Partitioner
from journey_stream.kafka.intake import Intake

log = logging.getLogger(__name__)

PACKAGE: Final = "journey_stream_native"
CONTRACT: Final = 6
"""What this code and the core have agreed on: a change of descriptions or calls is another number."""
HOT: Final = 20_000
"""Customers that the core keeps decoded between two checkpoints, at most: they are small there."""


def failures() -> tuple[type[BaseException], ...]:
    """What the core raises when it cannot go on; nothing where it is not installed."""
    if find_spec(PACKAGE) is None:
        return ()
    import journey_stream_native

    return (journey_stream_native.CoreError, journey_stream_native.Panic)


class Engines:
    """Makes the engines of one worker."""

    def __init__(self, deployment: Deployment) -> None:
        """Args: deployment: what is to be run.

        Raises:
            SettingsError: `core: compiled` cannot be had.
        """
        self._program = deployment.program
        self._compiled: Any = None
        self._compression = deployment.settings.compression.public
        wanted = deployment.settings.core
        if wanted == "python":
            return
        try:
            self._compiled = _compiled(deployment)
        except _NotHadError as error:
            if wanted == "compiled":
                msg = f"`core: compiled`: {error}. Mend that, or choose `core: auto`, which does without"
                raise SettingsError(msg) from None
            log.info("core: python, since %s", error)

    @property
    def compiled(self) -> bool:
        """Whether the compiled core does the work."""
        return self._compiled is not None

    def __call__(self) -> Partition:
        """Make an empty engine."""
        if self._compiled is None:
            return Partition(self._program)
        return FastPartition(self._program, self._compiled, cache=HOT, compression=self._compression)

    def intake(self, decoder: Decoder, topic: str, partition: int, partitioner: Partitioner) -> Intake:
        """Make what judges the records of a source partition."""
        if self._compiled is None or partitioner.name != MURMUR2:
            return Intake(decoder, topic, partition, partitioner)
        return CompiledIntake(decoder, topic, partition, partitioner, self._compiled)

    def give_up(self, error: BaseException) -> bool:
        """Do without the core from now on, if this is an error of its; tells whether it is."""
        if self._compiled is None or not isinstance(error, failures()):
            return False
        self._compiled = None
        log.error("the compiled core failed (%s): Python goes on without it; please report this", error)
        return True


class _NotHadError(Exception):
    """Why there is no compiled core for this."""


def _compiled(deployment: Deployment) -> Any:
    settings = deployment.settings
    if find_spec(PACKAGE) is None:
        msg = f"the package `{PACKAGE.replace('_', '-')}` is not installed"
        raise _NotHadError(msg)
    import journey_stream_native

    if journey_stream_native.CONTRACT != CONTRACT:
        msg = "`journey-stream-native` is of another version: build it anew from the sources of this one"
        raise _NotHadError(msg)
    vocabulary = vocabulary_described.describe(
        deployment.vocabulary, *deployment.decoder.made_of, ces_high_is_easy=settings.ces_high_is_easy
    )
    if vocabulary is None:
        msg = "an event type is declared in a way it does not know"
        raise _NotHadError(msg)
    try:
        return journey_stream_native.Program(describe(deployment.program, vocabulary))
    except NotDescribed as error:
        msg = f"a definition uses what it does not know: {error}"
        raise _NotHadError(msg) from None
    except ValueError as error:
        msg = f"it does not know the program: {error}"
        raise _NotHadError(msg) from None
