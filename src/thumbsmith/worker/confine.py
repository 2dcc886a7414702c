"""What a child gives up before it looks at the first byte of a source."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from typing import Final

from thumbsmith.recipe import Limits

# Address space beyond what the source is predicted to take: copies, stacks and code that a prediction cannot know.
SPARE: Final = 256 << 20

# <linux/prctl.h>
PR_SET_PDEATHSIG: Final = 1
PR_SET_NO_NEW_PRIVS: Final = 38

LINUX: Final = sys.platform == "linux"

# Looked up once, in the template: in each child it would cost most of a millisecond.
LIBC: Final = ctypes.CDLL(None, use_errno=True) if LINUX else None


def confine(limits: Limits) -> None:
    """Bind this process to `limits` of CPU time and memory, for good, and take files and sockets from it."""
    for what, (soft, hard) in bounds(limits, address_space() if LINUX else None).items():
        lower(what, soft, hard)


def bounds(limits: Limits, space: int | None) -> dict[int, tuple[int, int]]:
    """Return a child's soft and hard resource limits, see getrlimit(2); the last of them ends all opening of files.

    RLIMIT_NOFILE 0 leaves what is open and lets nothing be opened again, no file and no connection; RLIMIT_FSIZE 0 lets
    nothing be written to a file. Past its CPU time the process ends by SIGXCPU. Memory is bounded by address space
    beyond the `space` that it takes now; None is no bound, for systems that do not enforce it. RLIMIT_NPROC stays as it
    is: libheif decodes in a thread of its own, and aborts where it gets none.
    """
    memory = {} if space is None else {resource.RLIMIT_AS: (space + limits.max_memory + SPARE,) * 2}
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
    for option, value in ((PR_SET_PDEATHSIG, signal.SIGKILL), (PR_SET_NO_NEW_PRIVS, 1)):
        if LIBC.prctl(option, int(value), 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl")
    if os.getppid() != parent:  # it died before the kernel was told
        os._exit(1)


def address_space() -> int:
    """Return the bytes of address space that this process takes now: the first figure of /proc/self/statm, proc(5)."""
    with open("/proc/self/statm", "rb") as statm:  # noqa: PTH123 - in every child: pathlib costs more than the reading
        return int(statm.read().split()[0]) * resource.getpagesize()
