"""Starting the interpreter that becomes a template. A program may do it first: little is loaded for it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from typing import Final

from thumbsmith.environment import worker_environment
from thumbsmith.errors import WorkerError

# What it runs. Garbage is not looked for among what it imports: all of it stays.
BOOT: Final = (
    "import gc, sys; gc.disable(); sys.path[:] = sys.argv[1:]; from thumbsmith.worker.template import main; main()"
)


class Launched:
    """A process that is on its way to being a template, and `control`, the socket to it."""

    def __init__(self) -> None:
        """Start it: without environment, files or terminal, in a session of its own. Raises WorkerError."""
        self.control, theirs = socket.socketpair()
        with theirs:
            try:
                self.process = _start(theirs)
            except OSError as problem:
                self.control.close()
                raise WorkerError(f"no worker process can be started: {problem}") from problem


def _start(control: socket.socket) -> subprocess.Popen[bytes]:
    """Start an interpreter that imports from where this one does, and reads neither site nor user configuration."""
    path = [os.path.abspath(entry) for entry in sys.path]  # noqa: PTH100 - pathlib is loaded in the meantime
    # Some of its modules nobody else imports: who never keeps their bytecode compiles them at each start, 0.1 s.
    flags = ["-I", "-S", "-B"] if sys.dont_write_bytecode else ["-I", "-S"]
    return subprocess.Popen(  # noqa: S603 - this very interpreter, and nothing from outside
        [sys.executable, *flags, "-c", BOOT, *path],
        stdin=control.fileno(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=worker_environment(),
        cwd="/",
        start_new_session=True,
    )
