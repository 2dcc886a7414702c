"""Layers of isolation: what a process that handles a picture is without, and how it tries."""

from __future__ import annotations

import errno
import os
import resource
import socket
from collections.abc import Callable, Mapping
from typing import Final

from thumbsmith.recipe import Limits

# A file that everybody may read, and a name that nobody has: what is asked for is the right, and nothing is changed.
READABLE: Final = "/dev/null"
NOWHERE: Final = "/nonexistent/thumbsmith"

# What a child tries, in the words that people are told.
LAYERS: Final[Mapping[str, str]] = {
    "environment": "it has no variables of this process, and so no credentials",
    "files": "it can open no file",
    "network": "it can open no connection",
    "writing": "it can write to no file that is open",
    "cores": "it leaves no image of its memory when it crashes",
    "cpu": "its CPU time is limited",
    "memory": "its address space is limited",
    "programs": "it can run no program",
    "processes": "it can start no process",
    "signals": "it can send no signal",
    "names": "it can remove or rename nothing",
}


def tried(limits: Limits) -> dict[str, bool]:
    """Return of each of LAYERS whether it holds for this process, which was confined by `limits`."""
    return {
        "environment": not any(name.startswith(("AWS_", "HOME")) for name in os.environ),
        "files": _refused(lambda: os.open(READABLE, os.O_RDONLY)),
        "network": _refused(lambda: socket.socket().close()),
        "writing": resource.getrlimit(resource.RLIMIT_FSIZE)[1] == 0,
        "cores": resource.getrlimit(resource.RLIMIT_CORE)[1] == 0,
        "cpu": 0 <= resource.getrlimit(resource.RLIMIT_CPU)[0] <= limits.max_cpu_seconds,
        "memory": resource.getrlimit(resource.RLIMIT_AS)[1] != resource.RLIM_INFINITY,
        "programs": _refused(lambda: os.execv(NOWHERE, [NOWHERE]), errno.EPERM),  # noqa: S606 - there is no such program
        "processes": _refused(_fork, errno.EPERM),
        "signals": _refused(lambda: os.kill(os.getpid(), 0), errno.EPERM),
        "names": _refused(lambda: os.unlink(NOWHERE), errno.EPERM),  # noqa: PTH108 - the call itself
    }


def _refused(attempt: Callable[[], object], reason: int | None = None) -> bool:
    try:
        attempt()
    except OSError as error:
        return reason is None or error.errno == reason
    return False


def _fork() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
