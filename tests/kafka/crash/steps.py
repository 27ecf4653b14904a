"""Processes that can be stopped at any step: virtual time, and tasks that are counted, paused and killed.

A process is a set of tasks of one event loop. Each time one of its tasks waits for something is a step, told
with the place in the code that waits. A process can die at a step, as by `kill -9`: from then on not one line
of it runs, no cleanup either. Or it can be paused there, and wake up later not knowing that time has passed.
The loop's time is virtual: it leaps to the next timer when nothing can be done.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import selectors
import warnings
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import journey_stream

HERE = str(Path(journey_stream.__file__).parent)
_current: contextvars.ContextVar[Process | None] = contextvars.ContextVar("process", default=None)

Place = tuple[str, int]
"""Path and line of code of ours that waits."""


def current() -> Process | None:
    """The process that the running task belongs to."""
    return _current.get()


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock leaps over every pause."""

    def __init__(self) -> None:
        self._now = 0.0
        super().__init__(_Leap(self))
        self.set_task_factory(_make_task)

    def time(self) -> float:
        return self._now


class _Leap(selectors.SelectSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise AssertionError("everybody waits for something that nobody will do")
        # Even when there is always something to do, time goes on.
        self._loop._now += max(timeout, 1e-6)
        return []


class Process:
    """Tasks that live and die together. `on_step` is called with each step's number and may stop it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.steps = 0
        self.places: set[Place] = set()
        self.dead = False
        self.on_death: list[Callable[[], None]] = []
        self.on_step: Callable[[int], None] = lambda step: None
        self.paused = False
        self._asleep: list[asyncio.Future[None]] = []
        self._tasks: list[asyncio.Task[Any]] = []
        self._coroutines: list[Coroutine[Any, Any, Any]] = []

    def __str__(self) -> str:
        return self.name

    def run(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Start a coroutine as a task of this process; whatever it starts belongs to the process, too."""
        token = _current.set(self)
        try:
            return asyncio.ensure_future(work)
        finally:
            _current.reset(token)

    def kill(self) -> None:
        """Let not one more line of it run."""
        self.dead = True
        self.wake()
        for gone in self.on_death:
            gone()
        for task in self._tasks:
            task.cancel()

    def pause(self) -> None:
        """Stop it in its tracks until `wake`."""
        self.paused = True

    def wake(self) -> None:
        """Let a paused process go on."""
        self.paused = False
        asleep, self._asleep = self._asleep, []
        for task in asleep:
            if not task.done():
                task.set_result(None)

    def sleeps(self) -> asyncio.Future[None]:
        """What one task of a paused process waits for; its own, since who cancels the task cancels it."""
        awake = asyncio.get_running_loop().create_future()
        self._asleep.append(awake)
        return awake

    def waits(self, coroutine: Any) -> None:
        """A task of this process waits for something: count it."""
        place = None
        while coroutine is not None:
            frame = getattr(coroutine, "cr_frame", None)
            if frame is not None and frame.f_code.co_filename.startswith(HERE):
                place = (frame.f_code.co_filename, frame.f_lineno)
                self.places.add(place)
            coroutine = getattr(coroutine, "cr_await", None)
        if place is not None:
            self.steps += 1
            self.on_step(self.steps)

    def bury(self) -> None:
        """Close what is left, without a warning about what never ended."""
        self.dead = True
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for coroutine in self._coroutines:
                with contextlib.suppress(RuntimeError, asyncio.CancelledError, Exception):
                    coroutine.close()


class _Counted(Coroutine[Any, Any, Any]):
    """A coroutine between its task and its process."""

    def __init__(self, coroutine: Any, process: Process) -> None:
        self._coroutine, self._process = coroutine, process
        self._put_off: tuple[Callable[..., Any], tuple[Any, ...]] | None = None

    def send(self, value: Any) -> Any:
        return self._go_on(self._coroutine.send, (value,))

    def throw(self, *error: Any) -> Any:
        return self._go_on(self._coroutine.throw, error)

    def close(self) -> None:
        """Nothing: what a dead process had open is closed by `bury`."""

    def __await__(self) -> Iterator[Any]:
        raise AssertionError("belongs to a task")

    def _go_on(self, resume: Callable[..., Any], values: tuple[Any, ...]) -> Any:
        process = self._process
        if process.dead:
            raise asyncio.CancelledError
        if process.paused:
            if self._put_off is None or resume == self._coroutine.throw:
                self._put_off = (resume, values)
            awake = process.sleeps()
            awake._asyncio_future_blocking = True
            return awake
        if self._put_off is not None:
            if resume != self._coroutine.throw:
                resume, values = self._put_off
            self._put_off = None
        waits_for = resume(*values)
        process.waits(self._coroutine)
        return waits_for


def _make_task(loop: asyncio.AbstractEventLoop, work: Any, **more: Any) -> asyncio.Task[Any]:
    process = _current.get()
    if process is None:
        return asyncio.Task(work, loop=loop, **more)
    task: asyncio.Task[Any] = asyncio.Task(_Counted(work, process), loop=loop, **more)
    process._tasks.append(task)
    process._coroutines.append(work)
    return task


class VirtualTime:
    """Stands for the module `time` in the modules under test."""

    def __init__(self, loop: VirtualLoop, began: int) -> None:
        self._loop, self._began = loop, began
        self.skew = 0
        """Microseconds that the wall clock is off."""

    def monotonic(self) -> float:
        return self._loop.time()

    perf_counter = monotonic

    def time_ns(self) -> int:
        return (self._began + self.skew) * 1000 + int(self._loop.time() * 1e9)
