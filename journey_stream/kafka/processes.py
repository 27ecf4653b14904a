"""Several worker processes on one machine: a small parent starts them, watches over them, and ends with them.

Enters: settings, and what a process is to run. Leaves: the exit code of all together. Strategy: a child is
an ordinary worker, an ordinary member of the group with pages of its own; the parent holds no state, so
nothing is lost with it. It passes signals on, starts again who died (with growing pauses, loudly, and not
for ever), and answers for all on one port (`processes_web`). Children sit in process groups of their own: a
Ctrl-C at the terminal comes to the parent alone, once. A child whose parent is gone, however it went, stops
as if told to.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from typing import Final

import msgspec

from journey_stream.errors import JourneyStreamError, SettingsError, UsageError
from journey_stream.kafka.processes_web import Pages
from journey_stream.settings import Settings

log = logging.getLogger(__name__)

Work = Callable[[Settings, int], int]
"""Runs a worker with settings, as process number so-and-so; gives its exit code. It has to be picklable."""

LOOK_SECONDS: Final = 0.25
STEADY_SECONDS: Final = 60.0
"""Whoever lived for so long had started well: its next failure is its first."""
TRIES: Final = 5
"""Failures in a row, each within `STEADY_SECONDS` of a start, after which the parent gives up."""
BACKOFF: Final = (1.0, 30.0)
STOP_SECONDS: Final = 60.0
"""A child that takes longer to stop is killed; what it had not committed is read again."""


class Child:
    """One worker process, and its history of starts."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.process: SpawnProcess | None = None
        self.finished = False
        self.failures = 0
        self.due = 0.0
        """When it is to be started (monotonic)."""
        self._started = 0.0

    def start(self, work: Work, settings: Settings) -> None:
        """Start it: a fresh interpreter, which shares nothing with the parent."""
        context = multiprocessing.get_context("spawn")
        self.process = context.Process(
            target=run_child, args=(work, settings, self.number), name=f"worker-{self.number}"
        )
        self.process.start()
        self._started = time.monotonic()

    def ended(self) -> int | None:
        """Give the exit code of a process that has just ended, None otherwise."""
        process = self.process
        if process is None or process.exitcode is None:
            return None
        code, self.process = process.exitcode, None
        process.close()
        return code

    def plan(self) -> float:
        """Plan the next start after a failure; gives the pause until then."""
        now = time.monotonic()
        self.failures = 1 if now - self._started >= STEADY_SECONDS else self.failures + 1
        pause = min(BACKOFF[0] * 2.0 ** (self.failures - 1), BACKOFF[1])
        self.due = now + pause
        return pause

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if it runs."""
        process = self.process
        if process is not None and process.pid is not None and process.is_alive():
            os.kill(process.pid, number)

    def __str__(self) -> str:
        return f"process {self.number}"


class Family:
    """The parent's view: all children, started, watched and stopped together."""

    def __init__(self, settings: Settings, work: Work, *, until_done: bool = False) -> None:
        self.children = [Child(number) for number in range(1, settings.processes + 1)]
        self._settings = settings
        self._work = work
        self._until_done = until_done
        self._signals = 0
        """How often we were told to stop."""
        self._stopping: float | None = None
        self._worst = 0

    def run(self) -> int:
        """Run until told to stop, or until all are done; gives the exit code."""
        before = {each: signal.signal(each, self._told) for each in (signal.SIGTERM, signal.SIGINT)}
        pages = Pages.serve(self._settings, self.states)
        try:
            while True:
                self._start_due()
                self._stop_told()
                wait([c.process.sentinel for c in self.children if c.process is not None], LOOK_SECONDS)
                for child in self.children:
                    code = child.ended()
                    if code is not None:
                        self._take_leave(child, code)
                alive = any(child.process is not None for child in self.children)
                if not alive and (self._stopping is not None or all(c.finished for c in self.children)):
                    return self._worst
        finally:
            for child in self.children:
                child.signal(signal.SIGKILL)
            if pages is not None:
                pages.stop()
            for each, handler in before.items():
                signal.signal(each, handler)

    def states(self) -> dict[int, str]:
        """Say of each process: running, finished, or waiting to be started again."""
        return {
            child.number: "running" if child.process else "finished" if child.finished else "down"
            for child in self.children
        }

    def _told(self, number: int, frame: object) -> None:
        self._signals += 1

    def _start_due(self) -> None:
        if self._signals or self._stopping is not None:
            return
        now = time.monotonic()
        for child in self.children:
            if child.process is None and not child.finished and child.due <= now:
                child.start(self._work, self._settings_of(child))
                assert child.process is not None
                log.info("%s started (pid %s)", child, child.process.pid)

    def _settings_of(self, child: Child) -> Settings:
        """The same for all, but for the port of its pages."""
        web = self._settings.web
        port = web.port and web.port + child.number
        return msgspec.structs.replace(self._settings, web=msgspec.structs.replace(web, port=port))

    def _stop_told(self) -> None:
        """Pass on what we were told: once means stop well, twice at once."""
        now = time.monotonic()
        if self._signals and self._stopping is None:
            self._stop(now)
        late = self._stopping is not None and now - self._stopping > STOP_SECONDS
        if self._signals > 1 or late:
            for child in self.children:
                if child.process is not None:
                    log.error("%s is killed; what it has not committed is read again", child)
                    child.signal(signal.SIGKILL)
            self._signals = 1
            self._stopping = now

    def _stop(self, now: float) -> None:
        self._stopping = now
        log.info("stopping all processes")
        for child in self.children:
            child.signal(signal.SIGTERM)

    def _take_leave(self, child: Child, code: int) -> None:
        """Decide what the end of a process means."""
        how = f"exit code {code}" if code >= 0 else signal.Signals(-code).name
        if self._stopping is not None or self._signals:
            # Told so early that it was still importing: nothing had begun.
            if code not in (0, -signal.SIGTERM):
                log.error("%s: ended with %s while stopping", child, how)
                self._worst = max(self._worst, abs(code) if 0 < code < 3 else 1)
            return
        if code == 0 and self._until_done:
            child.finished = True
            log.info("%s is done", child)
            return
        pause = child.plan()
        if child.failures >= TRIES:
            log.error("%s died (%s) for the %dth time in a row: giving up, all stop", child, how, TRIES)
            self._worst = code if code in (1, 2) else 1
            self._stop(time.monotonic())
            return
        log.error("%s died (%s): started again in %.0f s; others have its partitions", child, how, pause)


def run_child(work: Work, settings: Settings, number: int) -> None:
    """What a child process does: the work, until it ends, is told to stop, or is left alone."""
    os.setpgrp()
    threading.Thread(target=_follow_parent, name="parent", daemon=True).start()
    try:
        code = work(settings, number)
    except JourneyStreamError as error:
        print(f"error: process {number}: {error}", file=sys.stderr, flush=True)
        code = 2 if isinstance(error, UsageError | SettingsError) else 1
    sys.exit(code)


def _follow_parent() -> None:
    """Stop when the parent is gone: nobody would watch over us, or stop us."""
    parent = multiprocessing.parent_process()
    if parent is None:  # pragma: no cover (only children run this)
        return
    parent.join()
    log.error("the parent process is gone: stopping")
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(STOP_SECONDS)
    os._exit(1)
