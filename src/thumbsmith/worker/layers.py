"""Layers of isolation: what a process that handles a picture cannot do, and how it tries."""

from __future__ import annotations

import errno
import os
import resource
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

# A folder that is there, and a name that nothing has: what is asked for is the right, and nothing is changed.
READABLE: Final = "/"
NOWHERE: Final = "/nonexistent/thumbsmith"

# How a system refuses a call as such, whatever its arguments.
DENIED: Final = (errno.EPERM, errno.ENOSYS)


@dataclass(frozen=True, slots=True)
class Layer:
    """One thing that a worker must not be able to do.

    `blocks` names it, and `risk` says what a picture that takes over its decoder could do without this layer. `holds`
    returns whether this process is unable to. It is for a process that is thrown away: it tries to raise limits.
    """

    blocks: str
    risk: str
    holds: Callable[[], bool]


def _refused(attempt: Callable[[], object], *reasons: int) -> bool:
    """Return whether the system refuses an attempt, for one of these reasons, for any where none are given."""
    try:
        attempt()
    except OSError as error:
        return not reasons or error.errno in reasons
    return False


def _fork() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def _is_limited(what: int) -> bool:
    """Return whether a limit holds, which root may raise where the filter does not keep it from that: setrlimit(2)."""
    with suppress(OSError, ValueError):
        resource.setrlimit(what, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    return resource.getrlimit(what)[0] != resource.RLIM_INFINITY


def _with_descriptors(attempt: Callable[[], object]) -> object:
    """Attempt what takes a descriptor, once this process has tried to be granted some."""
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    return attempt()


# <linux/ptrace.h>: to follow a process without stopping it; it ends with the process that follows.
_PTRACE_SEIZE: Final = 0x4206


def _cannot_read_memory() -> bool:
    """Return whether the system refuses to let this process read its parent's memory, by either call that can.

    No memory is read: the address is never valid, so that with the right process_vm_readv(2) fails with EFAULT.
    """
    import ctypes  # noqa: PLC0415 - loaded by then; a process that only reads LAYERS does without it

    from thumbsmith.worker.confine import LIBC  # noqa: PLC0415 - as above

    if LIBC is None:
        return False
    byte = ctypes.create_string_buffer(1)
    here, there = (ctypes.c_size_t * 2)(ctypes.addressof(byte), 1), (ctypes.c_size_t * 2)(0, 1)  # struct iovec
    parent = os.getppid()
    read = LIBC.process_vm_readv(parent, ctypes.byref(here), 1, ctypes.byref(there), 1, 0)
    if read >= 0 or ctypes.get_errno() not in DENIED:
        return False
    return bool(LIBC.ptrace(_PTRACE_SEIZE, parent, None, None) < 0 and ctypes.get_errno() in DENIED)


LAYERS: Final[Mapping[str, Layer]] = {
    "environment": Layer(
        "seeing this process's variables",
        "could read credentials that are in them",
        lambda: not any(name.startswith(("AWS_", "HOME")) for name in os.environ),
    ),
    "files": Layer(
        "opening files",
        "could read files of this user",
        lambda: _refused(lambda: _with_descriptors(lambda: os.open(READABLE, os.O_RDONLY))),
    ),
    "network": Layer(
        "opening connections",
        "could send what it knows to any machine in reach",
        lambda: _refused(lambda: _with_descriptors(lambda: socket.socket().close())),
    ),
    "writing": Layer(
        "writing to files",
        "could fill the disk",
        lambda: _is_limited(resource.RLIMIT_FSIZE),
    ),
    "cores": Layer(
        "leaving core dumps",
        "could leave its memory on the disk",
        lambda: _is_limited(resource.RLIMIT_CORE),
    ),
    "cpu": Layer(
        "using CPU time without limit",
        "could keep a core busy until the wall clock stops it",
        lambda: _is_limited(resource.RLIMIT_CPU),
    ),
    "memory": Layer(
        "using memory without limit",
        "could use up the machine's memory",
        lambda: _is_limited(resource.RLIMIT_AS),
    ),
    "programs": Layer(
        "starting programs",
        "could start programs of this machine, which can open nothing either",
        lambda: _refused(lambda: os.execv(NOWHERE, [NOWHERE]), *DENIED),  # noqa: S606 - there is no such program
    ),
    "processes": Layer(
        "starting processes",
        "could go on after its time, and slow the machine down",
        lambda: _refused(_fork, *DENIED),
    ),
    "signals": Layer(
        "sending signals",
        "could end processes of this user",
        lambda: _refused(lambda: os.kill(os.getpid(), 0), *DENIED),
    ),
    "names": Layer(
        "removing and renaming files",
        "could remove or rename files of this user",
        lambda: _refused(lambda: os.unlink(NOWHERE), *DENIED),  # noqa: PTH108 - the call itself
    ),
    "memory_of_others": Layer(
        "reading the memory of other processes",
        "could read credentials in the memory of this process, and change what it does",
        _cannot_read_memory,
    ),
}
