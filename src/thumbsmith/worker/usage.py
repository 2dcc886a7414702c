"""What a running child has used, as the kernel reports it to the parent, and whether it may handle another source.

RLIMIT_CPU counts from the start of a process. So the parent raises it before each further source: prlimit(2) allows
that for processes of the same user, up to the hard limit.
"""

from __future__ import annotations

import re
import resource
import sys
import time
from dataclasses import dataclass
from typing import Final

# A child handles at most this many sources: 500 small pictures take two seconds, a new child three milliseconds.
MAX_SOURCES: Final = 500

# CPU seconds that a child may take for all its sources but the last. This bounds, without the system call filter too,
# how long a child works that a picture has taken over.
LIFETIME_CPU_SECONDS: Final = 60

# Bytes by which the resident memory of a child may grow after its first source. The heap keeps up to 64 MiB
# (environment.py), and the buffers of larger pictures are freed: after 12 megapixels with the default recipe a child
# had 50 MiB more than after 640 x 480.
MAX_GROWTH_BYTES: Final = 96 << 20

# <linux/posix-timers.h>: CPUCLOCK_PROF and CPUCLOCK_SCHED, the kinds of a process's clock.
_TICK_CLOCK: Final = 0
_EXACT_CLOCK: Final = 2

_MEMORY: Final = re.compile(rb"VmHWM:\s+(\d+) kB\nVmRSS:\s+(\d+) kB")


@dataclass(frozen=True, slots=True)
class Usage:
    """The CPU seconds, the peak and the current resident bytes of a process and its threads."""

    cpu_seconds: float
    peak_memory: int
    memory: int


def read_usage(pid: int) -> Usage | None:
    """Return what a process has used until now, None where the system does not report it.

    Linux reports the memory in /proc/PID/status, proc(5).
    """
    seconds = read_cpu_seconds(pid)
    try:
        with open(f"/proc/{pid}/status", "rb") as status:  # noqa: PTH123 - for every source, and pathlib is slower
            found = _MEMORY.search(status.read())
    except OSError:
        return None
    if seconds is None or not found:
        return None
    peak, now = (int(each) << 10 for each in found.groups())
    return Usage(seconds, peak, now)


def read_cpu_seconds(pid: int, clock: int = _EXACT_CLOCK) -> float | None:
    """Return the CPU seconds that a process and its threads have used, None where the system does not report them.

    The clock is what clock_getcpuclockid(3) returns, which has no binding in Python.
    """
    if sys.platform != "linux":
        return None
    try:
        return time.clock_gettime(~pid << 3 | clock)
    except OSError:
        return None


def allow_cpu_seconds(pid: int, seconds: int) -> bool:
    """Let a process use these CPU seconds, and up to one more, from now on; return whether that succeeded.

    RLIMIT_CPU counts ticks, which may be more than the exact time on a busy machine.
    """
    ticks = read_cpu_seconds(pid, _TICK_CLOCK)
    if ticks is None:
        return False
    try:
        hard = resource.prlimit(pid, resource.RLIMIT_CPU)[1]
        resource.prlimit(pid, resource.RLIMIT_CPU, (int(ticks) + 1 + seconds, hard))
    except (OSError, ValueError):  # ValueError: above the hard limit
        return False
    return True
