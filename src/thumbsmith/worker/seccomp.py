"""A filter of system calls, seccomp(2): it allows what a child needs to decode and to use its channel.

Resource limits stop a child from opening files and connections. Only a filter stops calls that need no descriptor: to
run a program, to rename a file, to send a signal, to read the memory of another process. A forbidden call fails with
EPERM, as if a right were missing; the decoder then fails over its one source.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

# The numbers of these machines in the kernel: AUDIT_ARCH_X86_64 and AUDIT_ARCH_AARCH64 in <linux/audit.h>.
MACHINES: Final = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

# The numbers of system calls on each of them, in this order.
# https://github.com/torvalds/linux/blob/v6.12/arch/x86/entry/syscalls/syscall_64.tbl and scripts/syscall.tbl
Numbers: TypeAlias = tuple[int, int]

# Calls that are allowed with any arguments.
ALLOWED_CALLS: Final[Mapping[str, Numbers]] = {
    "read": (0, 63),
    "write": (1, 64),
    "close": (3, 57),
    "fstat": (5, 80),
    "lseek": (8, 62),
    "recvfrom": (45, 207),
    "sendto": (44, 206),
    "recvmsg": (47, 212),
    "sendmsg": (46, 211),
    "poll": (7, 73),  # on aarch64 ppoll, which has no poll
    "ppoll": (271, 73),
    "brk": (12, 214),
    "munmap": (11, 215),
    "mremap": (25, 216),
    "madvise": (28, 233),
    "futex": (202, 98),
    "set_robust_list": (273, 99),
    "rseq": (334, 293),
    "sched_yield": (24, 124),
    "sched_getaffinity": (204, 123),
    "exit": (60, 93),
    "exit_group": (231, 94),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "sigaltstack": (131, 132),
    "restart_syscall": (219, 128),
    "getpid": (39, 172),
    "gettid": (186, 178),
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "clock_nanosleep": (230, 115),
    "gettimeofday": (96, 169),
    "nanosleep": (35, 101),
    "getrandom": (318, 278),
    "getrusage": (98, 165),
    "sysinfo": (99, 179),
}

# Calls that are allowed with some arguments only.
IOCTL: Final[Numbers] = (16, 29)
CLONE: Final[Numbers] = (56, 220)
PRLIMIT: Final[Numbers] = (302, 261)
MMAP: Final[Numbers] = (9, 222)
MPROTECT: Final[Numbers] = (10, 226)

CLONE3: Final[Numbers] = (435, 435)
SECCOMP: Final[Numbers] = (317, 277)

_FIONBIO: Final = 0x5421  # <asm-generic/ioctls.h>
_PROT_EXEC: Final = 4  # <sys/mman.h>
_CLONE_THREAD: Final = 0x10000  # <linux/sched.h>

_EPERM: Final = 1
_ENOSYS: Final = 38

# <linux/seccomp.h>: SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW (a child has no secrets to keep from
# itself, and before Linux 5.16 a filter without the flag slows all its code down), and the results of a filter.
_SET_MODE_FILTER: Final = 1
_SPEC_ALLOW: Final = 4
_ALLOW: Final = 0x7FFF0000
_FAIL: Final = 0x00050000

# <linux/bpf_common.h>: load a word, jump if equal, jump if any of the bits is set, return.
_LOAD: Final = 0x20
_EQUAL: Final = 0x15
_ANY: Final = 0x45
_RETURN: Final = 0x06

# <linux/seccomp.h>, struct seccomp_data: number, machine, instruction pointer, and six arguments of two words, of which
# the lower comes first on these machines.
_NUMBER: Final = 0
_MACHINE: Final = 4
_ARGUMENTS: Final = 16

# Operation, how many instructions to skip if the test is true and if it is false, operand.
Instruction: TypeAlias = tuple[int, int, int, int]


class Filter:
    """A filter program in memory, made once in the template: a child only passes it to the kernel."""

    def __init__(self, machine: str) -> None:
        """Assemble it for one of MACHINES."""
        instructions = filter_program(machine)
        self._number = _call_number(SECCOMP, machine)
        self._code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *each) for each in instructions))
        # struct sock_fprog: the number of instructions, and their address
        self._handle = ctypes.create_string_buffer(struct.pack("@HP", len(instructions), ctypes.addressof(self._code)))

    def install(self, libc: ctypes.CDLL) -> None:
        """Filter the calls of this process for good. Raises OSError where the kernel refuses.

        PR_SET_NO_NEW_PRIVS must be set before. Linux before 4.17 does not know _SPEC_ALLOW.
        """
        for flags in (_SPEC_ALLOW, 0):
            if libc.syscall(self._number, _SET_MODE_FILTER, flags, self._handle) == 0:
                return
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def filter_for_this_machine() -> Filter | None:
    """Return the filter, or None for a machine whose system calls are not listed here."""
    return Filter(platform.machine()) if platform.machine() in MACHINES else None


def filter_program(machine: str) -> Sequence[Instruction]:
    """Return the instructions of the filter: calls that are not listed fail with EPERM."""
    made = [
        (_LOAD, 0, 0, _MACHINE),
        (_EQUAL, 1, 0, MACHINES[machine]),
        (_RETURN, 0, 0, _FAIL | _EPERM),
        (_LOAD, 0, 0, _NUMBER),
        (_EQUAL, 0, 1, _call_number(CLONE3, machine)),
        (_RETURN, 0, 0, _FAIL | _ENOSYS),  # the C library then calls clone, whose flags a filter can read
    ]
    for numbers in ALLOWED_CALLS.values():
        made += _if_called(_call_number(numbers, machine), [])
    made += _if_called(_call_number(IOCTL, machine), [_word(2), (_EQUAL, 0, 1, _FIONBIO)])
    made += _if_called(_call_number(CLONE, machine), [_word(0), (_ANY, 0, 1, _CLONE_THREAD)])
    for numbers in (MMAP, MPROTECT):
        made += _if_called(_call_number(numbers, machine), [_word(4), (_ANY, 1, 0, _PROT_EXEC)])
    no_new_limit = [_word(4), (_EQUAL, 0, 3, 0), _word(5), (_EQUAL, 0, 1, 0)]
    made += _if_called(_call_number(PRLIMIT, machine), no_new_limit)
    return [*made, (_RETURN, 0, 0, _FAIL | _EPERM)]


def _if_called(number: int, conditions: Sequence[Instruction]) -> list[Instruction]:
    """Return instructions that allow a call on conditions, which jump to one of the last two."""
    return [
        (_EQUAL, 0, len(conditions) + 2, number),
        *conditions,
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _FAIL | _EPERM),
    ]


def _word(index: int) -> Instruction:
    """Return the instruction that loads a word of the arguments: 0 and 1 are the halves of the first, lower first."""
    return (_LOAD, 0, 0, _ARGUMENTS + 4 * index)


def _call_number(numbers: Numbers, machine: str) -> int:
    return numbers[tuple(MACHINES).index(machine)]
