"""What a child gives up before it reads the first byte of a source.

Some sandboxes refuse system calls that confine a process, others kill the caller. Throwaway processes try beforehand
which steps the system grants (isolation.py).
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import struct
import sys
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Final, TypeAlias

from thumbsmith.recipe import Limits
from thumbsmith.worker import seccomp

# Address space beyond the predicted memory of the source: copies, stacks and code that a prediction cannot know. With
# the default max_memory and the 85 MiB of a process that has loaded all packages, it keeps a process below 768 MB.
SPARE_BYTES: Final = 128 << 20

# <linux/prctl.h>
PR_SET_PDEATHSIG: Final = 1
PR_SET_NO_NEW_PRIVS: Final = 38

# <linux/sched.h>
CLONE_NEWUSER: Final = 0x10000000

# <linux/capability.h>: 64 capabilities, as two structures of three words of 32 bits.
LINUX_CAPABILITY_VERSION_3: Final = 0x20080522
_CAPABILITY_HEADER: Final = struct.pack("=Ii", LINUX_CAPABILITY_VERSION_3, 0)
_NO_CAPABILITIES: Final = bytes(24)

LINUX: Final = sys.platform == "linux"

# A step raises OSError where the system refuses it.
Step: TypeAlias = Callable[[], None]


def _c_library() -> ctypes.CDLL:
    """Return the C library, with the types of the arguments and results of the functions that are called here."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]
    libc.unshare.argtypes = [ctypes.c_int]
    libc.capset.argtypes = [ctypes.c_char_p, ctypes.c_char_p]
    local_and_remote = (ctypes.c_void_p, ctypes.c_ulong) * 2  # struct iovec, and their number
    libc.process_vm_readv.argtypes = (ctypes.c_int, *local_and_remote, ctypes.c_ulong)
    libc.process_vm_readv.restype = ctypes.c_ssize_t
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    libc.ptrace.restype = ctypes.c_long
    libc.syscall.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_long, ctypes.c_void_p]
    libc.syscall.restype = ctypes.c_long
    return libc


# Loaded once, in the template: in each child it would cost most of a millisecond.
LIBC: Final = _c_library() if LINUX else None
FILTER: Final = seccomp.filter_for_this_machine() if LINUX else None


def confine(planned: Mapping[str, Step], refused: Collection[str] = ()) -> None:
    """Take the steps, so that this process has limits for good, and no access to files, sockets and processes.

    `refused` are the steps that this system is known to refuse: they are left out. Raises OSError, which names the
    step, where the system refuses another one: this process must then handle no source.
    """
    for name, step in planned.items():
        if is_needed(name, refused):
            try:
                step()
            except (OSError, ValueError) as problem:  # ValueError: Python raises it for some errors of setrlimit(2)
                raise OSError(f"confining a worker process failed at {name}: {problem}") from problem


def steps(
    limits: Limits, ceiling: int | None = None, parent: int | None = None, spare_cpu: int = 0
) -> Mapping[str, Step]:
    """Return the steps that confine a process, by name, in the order in which they are taken.

    They are for this process and for those that it forks. `ceiling` is the bytes that the machine can spare for one of
    them, if fewer than `limits` allow. `spare_cpu` is the CPU seconds by which the parent may raise the limit. A
    process ends with `parent`, by default the current parent of this process.

    Core dumps come first: a sandbox may end the process at any later step. RLIMIT_NOFILE is the last limit, as it stops
    the opening of files. The filter comes after everything that it forbids. Root gives up its capabilities: with them a
    process may raise its limits again; without them it may not read the memory of a process that has them,
    capabilities(7) and ptrace(2). The user namespace is for systems that refuse the filter (it fails under the filter):
    a process in it cannot read the memory of processes outside, also of the same user (ptrace(2), "Ptrace access mode
    checking").
    """
    space = address_space()
    found: dict[str, Step] = {
        name: partial(lower_limit, which, soft, hard)
        for name, (which, soft, hard) in resource_limits(limits, space, ceiling, spare_cpu).items()
    }
    if LIBC:
        found["parent_death"] = partial(_end_with_parent, os.getppid() if parent is None else parent, LIBC)
        found["no_new_rights"] = partial(_call, LIBC.prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        found["capabilities"] = partial(_call, LIBC.capset, _CAPABILITY_HEADER, _NO_CAPABILITIES)
        if FILTER:
            found["filter"] = partial(FILTER.install, LIBC)
        found["namespace"] = partial(_call, LIBC.unshare, CLONE_NEWUSER)
    return found


def is_needed(name: str, refused: Collection[str]) -> bool:
    """Return whether a step is taken on a system that refuses others: the namespace only replaces the filter."""
    return name not in refused and (name != "namespace" or "filter" in refused)


def resource_limits(
    limits: Limits, space: int | None, ceiling: int | None = None, spare_cpu: int = 0
) -> dict[str, tuple[int, int, int]]:
    """Return the resource limits of a child by name: which, soft and hard, see getrlimit(2).

    RLIMIT_NOFILE 0 keeps what is open and stops the opening of files and connections. RLIMIT_FSIZE 0 stops writing to
    files. After its CPU time the process ends by SIGXCPU. RLIMIT_CPU counts from the start of the process, which may
    handle many sources: the parent may raise the limit by at most `spare_cpu` seconds. Memory is limited by address
    space beyond the `space` that is used now: by the limits of the recipe and a reserve, or by the `ceiling` if that is
    lower. None for `space` sets no such limit, for systems where it is unknown. RLIMIT_NPROC is unchanged: libheif
    decodes in a thread, and aborts where it gets none.
    """
    room = limits.max_memory + SPARE_BYTES
    memory: dict[str, tuple[int, int, int]] = {}
    if space is not None:
        most = space + min(room, ceiling or room)
        memory["memory"] = (resource.RLIMIT_AS, most, most)
    return {
        "core": (resource.RLIMIT_CORE, 0, 0),
        "file_size": (resource.RLIMIT_FSIZE, 0, 0),
        "cpu_time": (resource.RLIMIT_CPU, limits.max_cpu_seconds, limits.max_cpu_seconds + spare_cpu + 1),
        **memory,
        "open_files": (resource.RLIMIT_NOFILE, 0, 0),
    }


def lower_limit(which: int, soft: int, hard: int) -> None:
    """Set a resource limit, or keep a stricter one that was inherited: a hard limit can only be lowered."""
    inherited = resource.getrlimit(which)[1]
    hard = hard if inherited == resource.RLIM_INFINITY else min(hard, inherited)
    resource.setrlimit(which, (min(soft, hard), hard))


def _end_with_parent(parent: int, libc: ctypes.CDLL) -> None:
    """Have the kernel kill this process when its parent ends. Without that it ends at its next request for bytes."""
    _call(libc.prctl, PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:  # the parent ended before the kernel was asked
        os._exit(1)


def address_space() -> int | None:
    """Return the bytes of address space that this process uses now: the first number of /proc/self/statm, proc(5).

    None where the system does not report them, as without /proc.
    """
    try:
        with open("/proc/self/statm", "rb") as statm:  # noqa: PTH123 - pathlib loads slowly
            return int(statm.read().split()[0]) * resource.getpagesize()
    except (OSError, ValueError, IndexError):
        return None


def _call(function: Callable[..., int], *arguments: int | bytes) -> None:
    """Call a function of the C library. Raises OSError where it fails."""
    if function(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
