"""What a child gives up before it looks at the first byte of a source.

No step is taken for granted: some sandboxes refuse system calls that confine a process, others kill the caller. Which
steps a system grants is tried by throwaway processes before the first source (isolation.py).
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

# Address space beyond what the source is predicted to take: copies, stacks and code that a prediction cannot know.
SPARE: Final = 256 << 20

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

# Raises OSError where the system refuses it.
Step: TypeAlias = Callable[[], None]


def _c_library() -> ctypes.CDLL:
    """Return the C library, which knows the types of the arguments that are passed to it here."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]
    libc.unshare.argtypes = [ctypes.c_int]
    libc.capset.argtypes = [ctypes.c_char_p, ctypes.c_char_p]
    local_and_remote = (ctypes.c_void_p, ctypes.c_ulong) * 2  # struct iovec, and how many
    libc.process_vm_readv.argtypes = (ctypes.c_int, *local_and_remote, ctypes.c_ulong)
    libc.process_vm_readv.restype = ctypes.c_ssize_t
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    libc.ptrace.restype = ctypes.c_long
    libc.syscall.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_long, ctypes.c_void_p]
    libc.syscall.restype = ctypes.c_long
    return libc


# Looked up once, in the template: in each child it would cost most of a millisecond.
LIBC: Final = _c_library() if LINUX else None
FILTER: Final = seccomp.for_this_machine() if LINUX else None


def confine(
    limits: Limits, ceiling: int | None = None, refused: Collection[str] = (), parent: int | None = None
) -> None:
    """Bind this process to `limits` of CPU time and memory, for good, and take files, sockets and all else from it.

    `ceiling` is the bytes that the machine can spare for this process, where that may be less than `limits` allow.
    `refused` are the steps that this system is known to refuse: they are left out. `parent` is the process whose end
    ends this one too, by default the one that has it as a child now. Raises OSError, which names the step, where the
    system refuses another one: this process must then handle no source.
    """
    for name, step in steps(limits, ceiling, parent).items():
        if is_due(name, refused):
            try:
                step()
            except (OSError, ValueError) as problem:  # ValueError: how Python words some errors of setrlimit(2)
                raise OSError(f"confining a worker process failed at {name}: {problem}") from problem


def steps(limits: Limits, ceiling: int | None = None, parent: int | None = None) -> Mapping[str, Step]:
    """Return what confines a process, by name, in the order in which it is done.

    No core first: a sandbox may end the process at any later step. RLIMIT_NOFILE last of the limits, it ends all
    opening of files; the filter after all that it would forbid. Root gives up its capabilities: with them a process
    may raise its limits again, and without them it may not read the memory of a process that has them, capabilities(7)
    and ptrace(2). A user namespace of its own is for systems that refuse
    the filter (under the filter it fails): from there, the memory of processes outside cannot be read, also of the
    same user (ptrace(2), "Ptrace access mode checking").
    """
    space = address_space()
    found: dict[str, Step] = {
        name: partial(lower, what, soft, hard) for name, (what, soft, hard) in bounds(limits, space, ceiling).items()
    }
    if LIBC:
        found["parent_death"] = partial(_die_with, os.getppid() if parent is None else parent, LIBC)
        found["no_new_rights"] = partial(_checked, LIBC.prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        found["capabilities"] = partial(_checked, LIBC.capset, _CAPABILITY_HEADER, _NO_CAPABILITIES)
        if FILTER:
            found["filter"] = partial(FILTER.install, LIBC)
        found["namespace"] = partial(_checked, LIBC.unshare, CLONE_NEWUSER)
    return found


def is_due(name: str, refused: Collection[str]) -> bool:
    """Return whether a step is to be taken, where the system refuses others: the namespace stands in for the filter."""
    return name not in refused and (name != "namespace" or "filter" in refused)


def bounds(limits: Limits, space: int | None, ceiling: int | None = None) -> dict[str, tuple[int, int, int]]:
    """Return a child's resource limits by name: which, soft and hard, see getrlimit(2).

    RLIMIT_NOFILE 0 leaves what is open and lets nothing be opened again, no file and no connection; RLIMIT_FSIZE 0 lets
    nothing be written to a file. Past its CPU time the process ends by SIGXCPU. Memory is bounded by address space
    beyond the `space` that it takes now: by the limits and what is spare, or by the `ceiling` where that is lower; None
    for `space` is no bound, for systems where it is not known. RLIMIT_NPROC stays as it is: libheif decodes in a thread
    of its own, and aborts where it gets none.
    """
    room = limits.max_memory + SPARE
    memory: dict[str, tuple[int, int, int]] = {}
    if space is not None:
        most = space + min(room, ceiling or room)
        memory["memory"] = (resource.RLIMIT_AS, most, most)
    return {
        "core": (resource.RLIMIT_CORE, 0, 0),
        "file_size": (resource.RLIMIT_FSIZE, 0, 0),
        "cpu_time": (resource.RLIMIT_CPU, limits.max_cpu_seconds, limits.max_cpu_seconds + 1),
        **memory,
        "open_files": (resource.RLIMIT_NOFILE, 0, 0),
    }


def lower(what: int, soft: int, hard: int) -> None:
    """Set a resource limit, or leave a stricter one that was inherited: a hard limit can only be lowered."""
    inherited = resource.getrlimit(what)[1]
    hard = hard if inherited == resource.RLIM_INFINITY else min(hard, inherited)
    resource.setrlimit(what, (min(soft, hard), hard))


def _die_with(parent: int, libc: ctypes.CDLL) -> None:
    """Have the kernel kill this process when its parent ends. Without that it ends when it next asks for bytes."""
    _checked(libc.prctl, PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:  # it ended before the kernel knew
        os._exit(1)


def address_space() -> int | None:
    """Return the bytes of address space that this process takes now: the first figure of /proc/self/statm, proc(5).

    None where the system does not tell, as without /proc.
    """
    try:
        with open("/proc/self/statm", "rb") as statm:  # noqa: PTH123 - in every child: pathlib costs more than the reading
            return int(statm.read().split()[0]) * resource.getpagesize()
    except (OSError, ValueError, IndexError):
        return None


def _checked(function: Callable[..., int], *arguments: int | bytes) -> None:
    """Call a function of the C library; raise OSError with what it failed with."""
    if function(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
