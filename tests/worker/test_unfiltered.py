"""What a child that a picture took over can do to its parent: the table in docs/security.md, tried by a real child."""

import json
import subprocess
import sys

import pytest

from thumbsmith.worker.sandbox import FILTER

from .processes import linux
from .sandbox import SANDBOX, capable

pytestmark = [linux, pytest.mark.skipif(FILTER is None, reason="no filter of system calls is known for this machine")]

TAKEN_OVER = """
import ctypes, json, os, resource, signal, socket
from thumbsmith.recipe import Limits
from thumbsmith.worker.sandbox import LIBC, confine, steps
from thumbsmith.worker.isolation import measure

isolation, parent = measure(), os.getpid()
secret = ctypes.create_string_buffer(b"secret")
LIBC.process_vm_writev.argtypes = LIBC.process_vm_readv.argtypes
LIBC.process_vm_writev.restype = ctypes.c_ssize_t
LIBC.shmget.argtypes = [ctypes.c_int, ctypes.c_size_t, ctypes.c_int]
LIBC.shmctl.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_void_p]

def call(name, *arguments):
    if getattr(LIBC, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), name)

def copy(name):
    copied = ctypes.create_string_buffer(b"stolen")
    here, there = ((ctypes.c_size_t * 2)(ctypes.addressof(each), 6) for each in (copied, secret))
    call(name, parent, ctypes.byref(here), 1, ctypes.byref(there), 1, 0)
    assert name != "process_vm_readv" or copied.value == b"secret"

def start():
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)

def unlink():
    try:
        os.unlink("/nonexistent/name")
    except FileNotFoundError:
        pass  # it may

def raise_limits():
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (9, 9))
    except ValueError as refused:
        raise OSError(1, "setrlimit") from refused

def leave():
    made = LIBC.shmget(0, 4096, 0o1600)
    if made < 0:
        raise OSError(ctypes.get_errno(), "shmget")
    call("shmctl", made, 0, None)  # removed again

TRIES = {
    "open memory": lambda: os.open(f"/proc/{parent}/mem", os.O_RDONLY),
    "open environment": lambda: os.open(f"/proc/{parent}/environ", os.O_RDONLY),
    "connect": socket.socket,
    "descriptors": lambda: os.pidfd_open(parent),
    "raise limits": raise_limits,
    "read memory": lambda: copy("process_vm_readv"),
    "write memory": lambda: copy("process_vm_writev"),
    "trace": lambda: call("ptrace", 0x4206, parent, None, None),
    "signal": lambda: os.kill(parent, 0),
    "lower limits": lambda: resource.prlimit(parent, resource.RLIMIT_CORE, (0, 0)),
    "remove": unlink,
    "start": start,
    "leave data": leave,
}

def allowed(attempt):
    pid = os.fork()
    if pid == 0:
        confine(steps(Limits()), isolation.refused)
        try:
            attempt()
        except OSError:
            os._exit(7)
        except BaseException:
            os._exit(8)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code in (0, 7), code
    return code == 0

print(json.dumps([name for name, attempt in TRIES.items() if allowed(attempt)]))
"""

BY_NAME = {"signal", "lower limits", "remove", "start", "leave data"}
MEMORY = {"read memory", "write memory", "trace"}


@pytest.mark.parametrize(
    ("calls", "allowed"),
    [
        ("", set()),
        ("prctl,seccomp", BY_NAME),
        ("prctl,seccomp,unshare", BY_NAME | (set() if capable() else MEMORY)),
        ("prctl,seccomp,unshare,capabilities", BY_NAME | MEMORY),
    ],
    ids=["filter", "namespace", "neither", "neither, as a user"],
)
def test_what_a_child_can_do_to_its_parent(calls: str, allowed: set[str]):
    """It opens no file. With the filter it can do nothing; with a namespace instead it reads no memory.

    With neither it reads memory, unless it gave up capabilities that its parent has.
    """
    sandbox = [sys.executable, SANDBOX, "refuse", calls] if calls else []
    command = [*sandbox, sys.executable, "-W", "ignore", "-c", TAKEN_OVER]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    found = set(json.loads(done.stdout))
    assert found <= allowed
    assert found >= allowed - MEMORY  # a kernel with Yama refuses to trace a parent
