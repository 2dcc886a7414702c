"""Layers of isolation: what a process that handles a picture cannot do, and how it tries.

Which steps of confining a process this system grants, and what a confined process can then not do.

Both are tried by throwaway processes: a sandbox may end the process at a system call that it does not let through, as
AWS Lambda's was seen to do (https://github.com/decompals/wibo/pull/130), or never return from it.
"""

from __future__ import annotations

import errno
import os
import resource
import select
import signal
import socket
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Final, NoReturn

from thumbsmith.recipe import Limits
from thumbsmith.worker.sandbox import Step, is_due, steps

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

    from thumbsmith.worker.sandbox import LIBC  # noqa: PLC0415 - as above

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


# Seconds that one throwaway process may take. It takes milliseconds, so this is for a machine that is overloaded.
SECONDS: Final = 10.0

# A throwaway process writes a line before each trial, `step filter ?`, and one after it, with + or - in that place.
BEGINS: Final = "?"
YES: Final = "+"
NO: Final = "-"


@dataclass(frozen=True, slots=True)
class Isolation:
    """What was found: the names of the `refused` steps, and of each of LAYERS whether it holds."""

    refused: frozenset[str]
    layers: Mapping[str, bool]


def measure(seconds: float = SECONDS) -> Isolation:
    """Return what this system grants. One process usually tries all; each trial that ends its process takes one more.

    Raises OSError where no process can be started.
    """
    granted: dict[str, bool] = {}
    held: dict[str, bool] = {}
    while (stopped := _try_all(granted, held, seconds)) is not None:
        kind, name, by_system = stopped
        if kind == "step":
            granted[name] = False
        else:  # a system that ends a process for trying does not let it
            held[name] = by_system
    return Isolation(frozenset(name for name, is_granted in granted.items() if not is_granted), held)


def _try_all(granted: dict[str, bool], held: dict[str, bool], seconds: float) -> tuple[str, str, bool] | None:
    """Try in one process what has no answer yet, and note the answers; return None when it has tried all.

    Else return the trial that the process did not survive, its kind and name, and whether the system ended it by a
    signal: False for one that did not return in time.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _be_thrown_away(writing, [name for name, is_granted in granted.items() if not is_granted], held)
    os.close(writing)
    text, in_time = _read(reading, seconds)
    os.close(reading)
    if not in_time:
        os.kill(child, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    trial: tuple[str, str] | None = None
    for kind, name, answer in (line.split(" ") for line in text.splitlines()):
        trial = (kind, name) if answer == BEGINS else None
        if answer != BEGINS:
            (granted if kind == "step" else held)[name] = answer == YES
    if trial:
        return *trial, in_time and code < 0
    if code:
        raise OSError(f"a process that tries the system's layers of isolation ended with exit code {code}")
    return None


def _read(descriptor: int, seconds: float) -> tuple[str, bool]:
    """Return what is written to a pipe until its other end is closed, and whether that was in time."""
    end, data = monotonic() + seconds, b""
    while select.select([descriptor], [], [], max(0.0, end - monotonic()))[0]:
        piece = os.read(descriptor, 1 << 16)
        if not piece:
            return data.decode(), True
        data += piece
    return data[: data.rfind(b"\n") + 1].decode(), False


def _be_thrown_away(writing: int, refused: Collection[str], held: Collection[str]) -> NoReturn:
    """Take all steps that are not refused, then try all that a confined process must not be able to do."""
    try:
        failed = set(refused)
        for name, step in steps(Limits()).items():
            if is_due(name, failed) and not _tried(writing, "step", name, partial(_done, step)):
                failed.add(name)
        for name, layer in LAYERS.items():
            if name not in held:
                _tried(writing, "layer", name, layer.holds)
        os._exit(0)
    finally:
        os._exit(1)


def _tried(writing: int, kind: str, name: str, trial: Callable[[], bool]) -> bool:
    """Return what a trial gives, and write before and after it what the parent process needs to know.

    A trial that the system does not let end has not succeeded: setrlimit(2) may be refused, and getrlimit(2) with it.
    """
    os.write(writing, f"{kind} {name} {BEGINS}\n".encode())
    try:
        answer = trial()
    except (OSError, ValueError):  # ValueError: how Python words some errors of setrlimit(2)
        answer = False
    os.write(writing, f"{kind} {name} {YES if answer else NO}\n".encode())
    return answer


def _done(step: Step) -> bool:
    step()
    return True
