"""The process beside an embedded Kafka: it ends Kafka when who started it ends, however that was.

Run as `python keeper.py COMMAND...` with a pipe on standard input. The other end of the pipe is held by who
started us: when that process closes it, or dies by any signal, the pipe ends and so does Kafka. A line `now`
before the end of the pipe skips the orderly shutdown. Standard library only, so that it starts quickly.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading

ORDERLY_SECONDS = 15
_PR_SET_PDEATHSIG = 1


def _die_with_keeper() -> None:
    """Ask Linux to kill the child if even this process is killed; elsewhere the pipe has to do."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def main(command: list[str]) -> int:
    """Run the command until it ends or standard input does; return its exit code."""
    # A Ctrl-C in the terminal goes to who started us; we follow by the pipe.
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    child = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=_prepare_child
    )

    def follow() -> None:
        orderly = True
        for line in sys.stdin.buffer:
            orderly = orderly and line.strip() != b"now"
        _end(child, orderly=orderly)

    threading.Thread(target=follow, daemon=True).start()
    return child.wait()


def _prepare_child() -> None:
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    _die_with_keeper()


def _end(child: subprocess.Popen[bytes], *, orderly: bool) -> None:
    if orderly:
        child.terminate()
        try:
            child.wait(ORDERLY_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
    else:
        child.kill()


if __name__ == "__main__":
    code = main(sys.argv[1:])
    os._exit(code if code >= 0 else 128 - code)
