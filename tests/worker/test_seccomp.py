"""What the filter of system calls forbids to a process that has no file and no socket left."""

import ctypes
import errno
import faulthandler
import mmap
import os
import re
import resource
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from thumbsmith.recipe import Limits
from thumbsmith.worker import isolation, seccomp
from thumbsmith.worker import sandbox as confining
from thumbsmith.worker.parent import CRASH_SIGNALS
from thumbsmith.worker.sandbox import FILTER, LIBC, confine, steps

from .processes import linux

pytestmark = [
    linux,
    pytest.mark.skipif(not Path("/proc/sys/kernel/seccomp").is_dir(), reason="this kernel filters no system calls"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning"),
]

ALLOWED, EPERM, ENOSYS = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS


def _confined(attempt: Callable[[], object]) -> int:
    """Return the error number of an attempt in a confined fork of this process, 0 where it succeeds."""
    pid = os.fork()
    if pid == 0:
        code = 0
        try:
            faulthandler.disable()
            confine(steps(Limits(max_cpu_seconds=5)))
            attempt()
        except OSError as error:
            code = error.errno or 255
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _call(name: str, *arguments: object) -> Callable[[], None]:
    """Return a function that calls the C library, and raises its error."""

    def attempt() -> None:
        assert LIBC is not None
        if getattr(LIBC, name)(*arguments) == -1:
            raise OSError(ctypes.get_errno(), name)

    return attempt


@pytest.mark.parametrize(
    "attempt",
    [
        lambda: os.execv("/bin/true", ["true"]),
        os.fork,
        lambda: os.kill(os.getppid(), 0),
        lambda: os.unlink("/nonexistent"),  # noqa: PTH108 - the call itself
        lambda: os.rename("/nonexistent", "/nowhere"),  # noqa: PTH104 - as above
        lambda: os.mkdir("/nonexistent/folder"),  # noqa: PTH102 - as above
        lambda: os.chmod("/nonexistent", 0o777),  # noqa: PTH101 - as above
        lambda: os.chdir("/"),
        lambda: os.stat("/"),  # noqa: PTH116 - as above
        lambda: os.open("/nonexistent", os.O_RDONLY),
        os.pipe,
        os.setsid,
        _call("ptrace", 16, os.getppid(), 0, 0),
        _call("process_vm_readv", os.getppid(), 0, 0, 0, 0, 0),
        _call("process_vm_writev", os.getppid(), 0, 0, 0, 0, 0),
        _call("prctl", 1, 0, 0, 0, 0),
        _call("unshare", 0x10000000),
        _call("mount", b"none", b"/nonexistent", b"tmpfs", 0, 0),
    ],
)
def test_what_a_decoder_has_no_use_for_is_forbidden(attempt: Callable[[], object]):
    """A child may not run a program, fork, send a signal, name a file, or read another process."""
    assert _confined(attempt) == errno.EPERM


def test_limits_cannot_be_changed_any_more():
    """Also not for root, which could otherwise raise them; they can be read."""
    assert _confined(lambda: resource.getrlimit(resource.RLIMIT_CPU)) == 0

    def raise_it() -> None:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
        except ValueError as refused:  # how Python words EPERM here
            raise OSError(errno.EPERM, "setrlimit") from refused

    assert _confined(raise_it) == errno.EPERM


def test_no_memory_becomes_code():
    """Injected code cannot be made executable; memory without that right is available."""
    assert _confined(lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE)) == 0
    assert _confined(lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC)) == errno.EPERM


def test_a_thread_can_be_started():
    """The decoder of HEIC works in a thread."""

    def start() -> None:
        done: list[int] = []
        thread = threading.Thread(target=done.append, args=(1,))
        thread.start()
        thread.join()
        assert done == [1]

    assert _confined(start) == 0


def test_a_crash_is_still_a_crash():
    """A decoder that aborts ends by a signal that counts as a crash, although it may send none."""
    assert -_confined(os.abort) in CRASH_SIGNALS


def _run(machine: str, number: int, arguments: tuple[int, ...] = (), audit: int | None = None) -> int:
    """Return the result of the filter for a call: an interpreter of its few instructions."""
    instructions = list(seccomp.filter_program(machine))
    words = [number, audit or seccomp.MACHINES[machine], 0, 0]
    for each in (*arguments, *[0] * (6 - len(arguments))):
        words += [each & 0xFFFFFFFF, each >> 32]
    at, loaded = 0, 0
    while True:
        operation, true, false, operand = instructions[at]
        at += 1
        if operation == 0x06:
            return operand
        if operation == 0x20:
            loaded = words[operand // 4]
        else:
            held = loaded == operand if operation == 0x15 else bool(loaded & operand)
            at += true if held else false


@pytest.mark.parametrize("machine", seccomp.MACHINES)
def test_the_program_says_what_the_tables_say(machine: str):
    """On both machines the listed calls pass, with the listed arguments, and no others."""
    column = tuple(seccomp.MACHINES).index(machine)
    free = {numbers[column] for numbers in seccomp.ALLOWED_CALLS.values()}
    on_condition = {each[column]: name for name, each in vars(seccomp).items() if name in CONDITIONS}
    for number in range(600):
        if number in free:
            assert _run(machine, number, (1, 2, 3, 4, 5, 6)) == ALLOWED, number
        elif number in on_condition:
            allowed, forbidden = CONDITIONS[on_condition[number]]
            assert all(_run(machine, number, each) == ALLOWED for each in allowed), number
            assert all(_run(machine, number, each) == EPERM for each in forbidden), number
        else:
            assert _run(machine, number) == (ENOSYS if number == seccomp.CLONE3[column] else EPERM), number
    assert _run(machine, min(free), audit=0x40000003) == EPERM  # 32-bit calls have other numbers
    assert _run(machine, min(free) | 0x40000000) == EPERM  # and so has x32


CONDITIONS = {
    "IOCTL": ([(3, 0x5421)], [(3, 0x5401), (3, 0x5412)]),
    "CLONE": ([(0x3D0F00,)], [(0x1200011,), (17,), (0,), (0x4111,)]),  # the last one as vfork(2)
    "MMAP": ([(0, 4096, 3)], [(0, 4096, 7), (0, 4096, 4)]),
    "MPROTECT": ([(4096, 4096, 1)], [(4096, 4096, 5)]),
    "PRLIMIT": ([(0, 7, 0, 4096)], [(0, 7, 4096, 0), (0, 7, 1 << 32, 0)]),
}


def test_a_machine_that_is_not_known_has_no_filter(monkeypatch: pytest.MonkeyPatch):
    """An unknown machine has other call numbers: no filter is better than one that allows the wrong calls."""
    monkeypatch.setattr("platform.machine", lambda: "s390x")
    assert seccomp.filter_for_this_machine() is None


def test_a_kernel_that_refuses_the_filter_is_an_error():
    """Some sandboxes refuse a filter: that is an error."""

    class Refusing:
        def syscall(self, *_: object) -> int:
            ctypes.set_errno(errno.EPERM)
            return -1

    assert FILTER is not None
    with pytest.raises(PermissionError):
        FILTER.install(Refusing())  # type: ignore[arg-type]


HEADERS = {"x86_64": "x86_64-linux-gnu/asm/unistd_64.h", "aarch64": "asm-generic/unistd.h"}


@pytest.mark.parametrize("machine", HEADERS)
def test_numbers_are_those_of_the_kernel_headers(machine: str):
    """Each system call has the number of the kernel headers, on both machines."""
    header = Path("/usr/include", HEADERS[machine])
    if not header.exists():
        pytest.skip(f"no {header}: install the Debian package linux-libc-dev")
    found = dict(re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", header.read_text()))
    column = list(HEADERS).index(machine)
    named = {
        name.lower(): getattr(seccomp, name) for name in ("IOCTL", "CLONE", "MMAP", "MPROTECT", "CLONE3", "SECCOMP")
    }
    numbers = {
        name: each[column] for name, each in (seccomp.ALLOWED_CALLS | named | {"prlimit64": seccomp.PRLIMIT}).items()
    }
    if machine == "aarch64":
        assert numbers.pop("poll") == numbers["ppoll"]  # there is no poll
    assert numbers == {name: int(found[name]) for name in numbers}


def test_flags_are_those_of_the_kernel_headers():
    """Each constant for the kernel has the value of the kernel headers."""
    names = ["sched", "prctl", "ptrace", "seccomp", "audit", "elf-em", "errno"]
    headers = [
        *(Path(f"/usr/include/linux/{name}.h") for name in names),
        *(Path(f"/usr/include/asm-generic/{name}.h") for name in ("ioctls", "mman-common", "errno", "errno-base")),
    ]
    if missing := [str(each) for each in headers if not each.exists()]:
        pytest.skip(f"no {', '.join(missing)}: install the Debian package linux-libc-dev")
    text = "".join(each.read_text() for each in headers)
    found = {name: int(value, 0) for name, value in re.findall(r"#define\s+(\w+)\s+(0x[0-9a-fA-F]+|\d+)U?\b", text)}
    found |= {name: 1 << int(by) for name, by in re.findall(r"#define\s+(\w+)\s+\(1UL << (\d+)\)", text)}
    machine = found["__AUDIT_ARCH_64BIT"] | found["__AUDIT_ARCH_LE"]
    ours = {
        "CLONE_THREAD": seccomp._CLONE_THREAD,
        "CLONE_NEWUSER": confining.CLONE_NEWUSER,
        "FIONBIO": seccomp._FIONBIO,
        "PROT_EXEC": seccomp._PROT_EXEC,
        "EPERM": seccomp._EPERM,
        "ENOSYS": seccomp._ENOSYS,
        "SECCOMP_SET_MODE_FILTER": seccomp._SET_MODE_FILTER,
        "SECCOMP_FILTER_FLAG_SPEC_ALLOW": seccomp._SPEC_ALLOW,
        "SECCOMP_RET_ALLOW": seccomp._ALLOW,
        "SECCOMP_RET_ERRNO": seccomp._FAIL,
        "EM_X86_64": seccomp.MACHINES["x86_64"] - machine,
        "EM_AARCH64": seccomp.MACHINES["aarch64"] - machine,
        "PR_SET_PDEATHSIG": confining.PR_SET_PDEATHSIG,
        "PR_SET_NO_NEW_PRIVS": confining.PR_SET_NO_NEW_PRIVS,
        "PTRACE_SEIZE": isolation._PTRACE_SEIZE,
    }
    assert ours == {name: found[name] for name in ours}


def test_a_kernel_without_the_flag_takes_the_filter():
    """Linux before 4.17 does not know the flag; the filter works without it, and the code is slower."""

    class Old:
        def syscall(self, _number: int, _operation: int, flags: int, _program: object) -> int:
            ctypes.set_errno(errno.EINVAL)
            return -1 if flags else 0

    assert FILTER is not None
    FILTER.install(Old())  # type: ignore[arg-type]
