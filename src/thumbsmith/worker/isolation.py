"""Isolation layers: what a child cannot do on this system, as throwaway processes have tried.

A sandbox may refuse a step that confines a process. It may also end the process at a system call, as AWS Lambda was
seen to do (https://github.com/decompals/wibo/pull/130), or never return from the call. So throwaway processes try both:
which steps the system grants, and what a confined process can still do.
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

from thumbsmith.environment import has_secrets
from thumbsmith.recipe import Limits
from thumbsmith.worker.sandbox import Step, is_needed, steps

# A folder that exists, and a path that does not: the trials test a right and change nothing.
READABLE_PATH: Final = "/"
MISSING_PATH: Final = "/nonexistent/thumbsmith"

# The errors of a system that refuses a call with any arguments.
DENIED_ERRNOS: Final = (errno.EPERM, errno.ENOSYS)


@dataclass(frozen=True, slots=True)
class Layer:
    """An isolation layer: one thing that a worker must not be able to do.

    `blocks` names it, and `risk` says what a picture that takes over its decoder could do without this layer.
    `is_active` tries it, and returns whether this process is unable to do it. It also tries to raise limits, so it is
    for a throwaway process.
    """

    blocks: str
    risk: str
    is_active: Callable[[], bool]


# Seconds that one throwaway process may take on an overloaded machine. It usually takes milliseconds.
TRIAL_TIMEOUT_SECONDS: Final = 10.0

# A throwaway process writes a line before each trial, `step filter ?`, and one after it, with + or - in that place.
BEGINS: Final = "?"
YES: Final = "+"
NO: Final = "-"


@dataclass(frozen=True, slots=True)
class Isolation:
    """What was measured: the names of the `refused` steps, and for each of LAYERS whether it is active."""

    refused: frozenset[str]
    layers: Mapping[str, bool]


def measure(seconds: float = TRIAL_TIMEOUT_SECONDS) -> Isolation:
    """Return what this system grants. One process usually does all trials; each trial that ends it takes one more.

    Raises OSError where no process can be started.
    """
    granted: dict[str, bool] = {}
    active: dict[str, bool] = {}
    while (fatal := _try_all(granted, active, seconds)) is not None:
        kind, name, by_system = fatal
        if kind == "step":
            granted[name] = False
        else:  # a system that ends a process for trying something does not allow it
            active[name] = by_system
    return Isolation(frozenset(name for name, is_granted in granted.items() if not is_granted), active)


def _try_all(granted: dict[str, bool], active: dict[str, bool], seconds: float) -> tuple[str, str, bool] | None:
    """Do in one process all trials without a result, and note the results; return None when all are done.

    Else return the trial that the process did not survive: its kind and name, and whether the system ended it by a
    signal. That is False for a trial that did not return in time.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _run_trials(writing, [name for name, is_granted in granted.items() if not is_granted], active)
    os.close(writing)
    text, in_time = _read(reading, seconds)
    os.close(reading)
    if not in_time:
        os.kill(child, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    trial: tuple[str, str] | None = None
    for kind, name, result in (line.split(" ") for line in text.splitlines()):
        trial = (kind, name) if result == BEGINS else None
        if result != BEGINS:
            (granted if kind == "step" else active)[name] = result == YES
    if trial:
        return *trial, in_time and code < 0
    if code:
        raise OSError(f"a process that tries the isolation layers of this system ended with exit code {code}")
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


def _run_trials(writing: int, refused: Collection[str], known: Collection[str]) -> NoReturn:
    """Take all steps that are not refused, then try every layer that is not known, and end this process."""
    try:
        failed = set(refused)
        for name, step in steps(Limits()).items():
            if is_needed(name, failed) and not _try(writing, "step", name, partial(_succeeds, step)):
                failed.add(name)
        for name, layer in LAYERS.items():
            if name not in known:
                _try(writing, "layer", name, layer.is_active)
        os._exit(0)
    finally:
        os._exit(1)


def _try(writing: int, kind: str, name: str, trial: Callable[[], bool]) -> bool:
    """Return the result of a trial, and write a line before and after it for the parent process.

    The result of a trial that raises is False: setrlimit(2) may be refused, and getrlimit(2) with it.
    """
    os.write(writing, f"{kind} {name} {BEGINS}\n".encode())
    try:
        result = trial()
    except (OSError, ValueError):  # ValueError: Python raises it for some errors of setrlimit(2)
        result = False
    os.write(writing, f"{kind} {name} {YES if result else NO}\n".encode())
    return result


def _succeeds(step: Step) -> bool:
    step()
    return True


def _refused(attempt: Callable[[], object], *numbers: int) -> bool:
    """Return whether the system refuses an attempt with one of these error numbers, with any where none are given."""
    try:
        attempt()
    except OSError as error:
        return not numbers or error.errno in numbers
    return False


def _fork() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def _is_limited(which: int) -> bool:
    """Try to remove a limit, as root may without the filter; return whether it is still set: setrlimit(2)."""
    with suppress(OSError, ValueError):
        resource.setrlimit(which, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    return resource.getrlimit(which)[0] != resource.RLIM_INFINITY


def _with_descriptors(attempt: Callable[[], object]) -> object:
    """Attempt something that takes a descriptor, after this process has tried to raise its limit of descriptors."""
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    return attempt()


# <linux/ptrace.h>: to trace a process without stopping it. It ends with the tracer.
_PTRACE_SEIZE: Final = 0x4206


def _cannot_read_memory() -> bool:
    """Return whether the system refuses this process both calls that can read the memory of its parent.

    No memory is read: the address is never valid, so that an allowed process_vm_readv(2) fails with EFAULT.
    """
    import ctypes  # noqa: PLC0415 - a process that only reads LAYERS does not need it

    from thumbsmith.worker.sandbox import LIBC  # noqa: PLC0415 - as above

    if LIBC is None:
        return False
    byte = ctypes.create_string_buffer(1)
    here, there = (ctypes.c_size_t * 2)(ctypes.addressof(byte), 1), (ctypes.c_size_t * 2)(0, 1)  # struct iovec
    parent = os.getppid()
    read = LIBC.process_vm_readv(parent, ctypes.byref(here), 1, ctypes.byref(there), 1, 0)
    if read >= 0 or ctypes.get_errno() not in DENIED_ERRNOS:
        return False
    return bool(LIBC.ptrace(_PTRACE_SEIZE, parent, None, None) < 0 and ctypes.get_errno() in DENIED_ERRNOS)


LAYERS: Final[Mapping[str, Layer]] = {
    "environment": Layer(
        "seeing this process's variables",
        "could read credentials that are in them",
        lambda: not has_secrets(),
    ),
    "files": Layer(
        "opening files",
        "could read files of this user",
        lambda: _refused(lambda: _with_descriptors(lambda: os.open(READABLE_PATH, os.O_RDONLY))),
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
        lambda: _refused(lambda: os.execv(MISSING_PATH, [MISSING_PATH]), *DENIED_ERRNOS),  # noqa: S606 - there is no such program
    ),
    "processes": Layer(
        "starting processes",
        "could continue after its time, and slow the machine down",
        lambda: _refused(_fork, *DENIED_ERRNOS),
    ),
    "signals": Layer(
        "sending signals",
        "could end processes of this user",
        lambda: _refused(lambda: os.kill(os.getpid(), 0), *DENIED_ERRNOS),
    ),
    "names": Layer(
        "removing and renaming files",
        "could remove or rename files of this user",
        lambda: _refused(lambda: os.unlink(MISSING_PATH), *DENIED_ERRNOS),  # noqa: PTH108 - the call itself
    ),
    "memory_of_others": Layer(
        "reading the memory of other processes",
        "could read credentials in the memory of this process, and change what it does",
        _cannot_read_memory,
    ),
}
