"""What a child gives up before it looks at the first byte of a source."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from typing import Final

from thumbsmith.recipe import Limits
from thumbsmith.worker import seccomp

# Address space beyond what the source is predicted to take: copies, stacks and code that a prediction cannot know.
SPARE: Final = 256 << 20

# <linux/prctl.h>
PR_SET_PDEATHSIG: Final = 1
PR_SET_NO_NEW_PRIVS: Final = 38

LINUX: Final = sys.platform == "linux"

# Looked up once, in the template: in each child it would cost most of a millisecond.
LIBC: Final = ctypes.CDLL(None, use_errno=True) if LINUX else None
FILTER: Final = seccomp.for_this_machine() if LINUX else None


def confine(limits: Limits, ceiling: int | None = None) -> None:
    """Bind this process to `limits` of CPU time and memory, for good, and take files, sockets and all else from it.

    `ceiling` is the bytes that the machine can spare for this process, where that may be less than `limits` allow.
    What a system does not have is left out: only the kernel's filter of calls may be refused, in a sandbox.
    """
    for what, (soft, hard) in bounds(limits, address_space() if LINUX else None, ceiling).items():
        lower(what, soft, hard)
    if LIBC and FILTER and gain_nothing(LIBC):
        FILTER.install(LIBC)


def gain_nothing(libc: ctypes.CDLL) -> bool:
    """Let this process gain no right by exec; return whether the kernel obeys: prctl(2)."""
    return bool(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)


def bounds(limits: Limits, space: int | None, ceiling: int | None = None) -> dict[int, tuple[int, int]]:
    """Return a child's soft and hard resource limits, see getrlimit(2); the last of them ends all opening of files.

    RLIMIT_NOFILE 0 leaves what is open and lets nothing be opened again, no file and no connection; RLIMIT_FSIZE 0 lets
    nothing be written to a file. Past its CPU time the process ends by SIGXCPU. Memory is bounded by address space
    beyond the `space` that it takes now: by the limits and what is spare, or by the `ceiling` where that is lower; None
    for `space` is no bound, for systems that do not enforce it. RLIMIT_NPROC stays as it is: libheif decodes in a
    thread of its own, and aborts where it gets none.
    """
    room = limits.max_memory + SPARE
    memory = {} if space is None else {resource.RLIMIT_AS: (space + min(room, ceiling or room),) * 2}
    return {
        resource.RLIMIT_CORE: (0, 0),
        resource.RLIMIT_FSIZE: (0, 0),
        resource.RLIMIT_CPU: (limits.max_cpu_seconds, limits.max_cpu_seconds + 1),
        **memory,
        resource.RLIMIT_NOFILE: (0, 0),
    }


def lower(what: int, soft: int, hard: int) -> None:
    """Set a resource limit, or leave a stricter one that was inherited: a hard limit can only be lowered."""
    inherited = resource.getrlimit(what)[1]
    hard = hard if inherited == resource.RLIM_INFINITY else min(hard, inherited)
    resource.setrlimit(what, (min(soft, hard), hard))


def die_with(parent: int) -> None:
    """Have the kernel kill this process when `parent` dies, and let it gain no right by exec: prctl(2), Linux only.

    Elsewhere a child ends when it next asks for bytes, or by its limits.
    """
    if LIBC is None:
        return
    if LIBC.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) != 0 or not gain_nothing(LIBC):
        raise OSError(ctypes.get_errno(), "prctl")
    if os.getppid() != parent:  # it died before the kernel was told
        os._exit(1)


def address_space() -> int:
    """Return the bytes of address space that this process takes now: the first figure of /proc/self/statm, proc(5)."""
    with open("/proc/self/statm", "rb") as statm:  # noqa: PTH123 - in every child: pathlib costs more than the reading
        return int(statm.read().split()[0]) * resource.getpagesize()
