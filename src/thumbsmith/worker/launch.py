"""Starting the interpreter that becomes a template. A program may do it first: little is loaded for it."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
from typing import Final

from thumbsmith.environment import worker_environment
from thumbsmith.errors import WorkerError
from thumbsmith.worker.interpreter import FLAGS, interpreter

# What it runs: a template, or one frame (wire.py) that tells why there is none. Garbage is not collected among what it
# imports: all of it stays.
BOOT: Final = """
import gc, sys
gc.disable()
sys.path[:] = sys.argv[1:] or sys.path
try:
    from thumbsmith.worker.template import main
except Exception as problem:
    import json, os
    told = {"word": "failed", "fields": {"detail": f"{type(problem).__name__}: {problem}"}, "blobs": []}
    header = json.dumps(told).encode()
    os.write(0, len(header).to_bytes(4, "big") + header)
else:
    main()
"""

# The folder that this package was imported from.
HOME: Final = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # noqa: PTH100, PTH120


class Launched:
    """A process that is on its way to being a template, and `control`, the socket to it."""

    def __init__(self) -> None:
        """Start it: without environment, files or terminal, in a session of its own. Raises WorkerError."""
        try:
            self.control, theirs = socket.socketpair()
            with theirs:
                try:
                    self.process = _start(theirs)
                except BaseException:
                    self.control.close()
                    raise
        except (OSError, MemoryError, RuntimeError) as problem:  # the last: this process is ending
            raise WorkerError(f"no worker process can be started: {problem or 'out of memory'}") from problem


def _start(control: socket.socket) -> subprocess.Popen[bytes]:
    """Start an interpreter that imports from where this one does, and reads neither site nor user configuration.

    The modules of a frozen program are within its own file: its workers have those of the interpreter that was named.
    """
    frozen = getattr(sys, "frozen", False)
    flags = [flag for flag in FLAGS if not (frozen and flag == "-S")]
    # Some of its modules nobody else imports: who never keeps their bytecode compiles them at each start, 0.1 s.
    flags += ["-B"] if sys.dont_write_bytecode else []
    command = [interpreter(), *flags, "-c", BOOT, *(() if frozen else _import_path())]

    def started(*, new_session: bool) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - an interpreter like this one, and nothing from outside
            command,
            stdin=control.fileno(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=worker_environment(),
            cwd="/",
            start_new_session=new_session,
        )

    try:
        return started(new_session=True)
    except OSError as problem:
        if problem.errno not in (errno.EPERM, errno.ENOSYS):
            raise
        return started(new_session=False)  # a sandbox may refuse setsid(2): then Ctrl-C reaches workers too


def _import_path() -> list[str]:
    """Return where a worker imports from: `sys.path`, with the folder of this package in place of the current folder.

    An empty entry means the current folder, which the program may have changed to one that others write to.
    """
    entries = [entry for entry in sys.path if isinstance(entry, str)]
    path = [os.path.abspath(entry) if entry else HOME for entry in entries]  # noqa: PTH100 - pathlib is loaded later
    return path if HOME in path else [*path, HOME]
