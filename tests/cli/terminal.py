"""A person at a terminal: the command line with a tty on all three sides."""

import os
import pty
import subprocess
import sys


def at_a_terminal(*arguments: str, answers: tuple[str, ...] = (), **environment: str) -> tuple[int, str]:
    """Run the command line with a person who types these lines; its exit code and what the terminal shows."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "journey_stream", *arguments]
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True, env=os.environ | environment
    ) as process:
        os.close(theirs)
        os.write(ours, "".join(f"{answer}\n" for answer in answers).encode())
        shown = b""
        try:
            while part := os.read(ours, 4096):
                shown += part
        except OSError:
            pass  # Linux says so when the other side is closed
        code = process.wait(60)
    os.close(ours)
    return code, shown.decode()
