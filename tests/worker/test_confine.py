"""What a confined process cannot do. Each test confines a fork of this process, which then tries it."""

import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from thumbsmith.recipe import Limits
from thumbsmith.worker.sandbox import SPARE_BYTES, address_space, confine, lower_limit, resource_limits, steps

from .processes import alive, eventually, linux

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")

LIMITS = Limits(max_cpu_seconds=1, max_memory=1 << 20)


def _confined(attempt: Callable[[], object]) -> int:
    """Return the exit code of a confined fork: 0 where the attempt succeeded, 7 for an OSError, 8 for a MemoryError."""
    pid = os.fork()
    if pid == 0:
        try:
            confine(steps(LIMITS))
            attempt()
            os._exit(0)
        except OSError:
            os._exit(7)
        except MemoryError:
            os._exit(8)
        finally:
            os._exit(9)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _close_all() -> None:
    """Close every descriptor one by one: a child may not use close_range(2)."""
    for descriptor in range(100):
        with suppress(OSError):
            os.close(descriptor)


def test_no_file_can_be_opened():
    """Also a file that every user may read, and after closing the files that were open."""
    assert _confined(lambda: Path(__file__).read_bytes()) == 7
    assert _confined(lambda: (_close_all(), Path(os.devnull).read_bytes())) == 7


def test_no_connection_can_be_made():
    """No socket, so no network and no other process."""
    assert _confined(socket.socket) == 7


def test_nothing_can_be_written_to_an_open_file(tmp_path: Path):
    """A file that was open stays unchanged."""
    with (tmp_path / "file").open("wb") as file:
        assert _confined(lambda: os.write(file.fileno(), b"x")) == 7
    assert (tmp_path / "file").read_bytes() == b""


def test_what_is_open_stays_usable():
    """The one connection of a child still works."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert _confined(lambda: theirs.sendall(b"still here")) == 0
        assert ours.recv(100) == b"still here"


def test_cpu_time_is_bounded():
    """After its CPU time the process ends by SIGXCPU."""

    def spin() -> None:
        while True:
            pass

    assert _confined(spin) == -signal.SIGXCPU


@linux
def test_memory_is_bounded():
    """Within its memory and the reserve a process works, beyond them it gets MemoryError."""
    assert _confined(lambda: bytearray(SPARE_BYTES // 2)) == 0
    assert _confined(lambda: bytearray(SPARE_BYTES + LIMITS.max_memory + (64 << 20))) == 8


@linux
def test_address_space_is_what_the_kernel_counts():
    """The number is in bytes: at least the resident memory."""
    assert address_space() >= resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 512


def test_a_limit_is_lowered_and_never_raised():
    """A stricter limit of the system stays, and confining does not fail because of it."""
    lower_limit(resource.RLIMIT_CORE, 0, 0)
    lower_limit(resource.RLIMIT_CORE, 1000, 2000)
    assert resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)


def test_bounds_follow_the_limits():
    """CPU time unchanged, memory with the reserve, and address space only where the system reports it."""
    found = resource_limits(Limits(max_cpu_seconds=5, max_memory=1000), 10)
    assert found["cpu_time"] == (resource.RLIMIT_CPU, 5, 6)
    assert found["memory"] == (resource.RLIMIT_AS, 1010 + SPARE_BYTES, 1010 + SPARE_BYTES)
    assert list(found)[-1] == "open_files"
    assert "memory" not in resource_limits(Limits(), None)


@linux
def test_a_process_dies_with_its_parent():
    """The kernel kills a child whose parent is killed, even if the child is busy."""
    reading, writing = os.pipe()
    parent = os.fork()
    if parent == 0:
        if os.fork() == 0:
            steps(LIMITS)["parent_death"]()
            os.write(writing, str(os.getpid()).encode())
        time.sleep(60)
        os._exit(0)
    child = int(os.read(reading, 20))
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    os.close(reading)
    os.close(writing)
    assert eventually(lambda: not alive(child))


@linux
def test_a_process_with_its_parent_continues():
    """The step has no effect while the parent runs."""
    code = (
        "from thumbsmith.recipe import Limits; from thumbsmith.worker.sandbox import steps;"
        "steps(Limits())['parent_death'](); print('on')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True)
    assert done.stdout == "on\n"


@linux
def test_a_process_whose_parent_has_ended_ends():
    """Where the parent died before the kernel was asked, the child ends by itself."""
    pid = os.fork()
    if pid == 0:
        steps(LIMITS, parent=os.getppid() + 1)["parent_death"]()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1


@linux
def test_what_a_system_refuses_is_left_out():
    """A step that is known to be refused is left out; another one that fails is an error that names it."""
    pid = os.fork()
    if pid == 0:
        confine(steps(LIMITS), {"open_files", "filter", "namespace"})
        Path(os.devnull).read_bytes()
        try:
            confine(steps(LIMITS), {"memory"})  # the filter refuses what sets limits
            confine(steps(LIMITS), {"memory"})
        except OSError as problem:
            os._exit(7 if "failed at" in str(problem) else 8)
        os._exit(9)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7


@linux
def test_a_ceiling_below_the_limits_counts():
    """Where the machine can spare less than the limits allow, a child gets no more than that."""
    wide = Limits(max_memory=1 << 30)
    assert resource_limits(wide, 10, 1000)["memory"][1:] == (1010, 1010)
    assert resource_limits(Limits(max_memory=1), 10, 1 << 40)["memory"][1:] == (11 + SPARE_BYTES, 11 + SPARE_BYTES)
