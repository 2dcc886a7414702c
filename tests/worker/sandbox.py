"""Sandboxes whose kernel refuses some system calls, or kills the process that makes one. A command runs in them.

`python tests/worker/sandbox.py ACTION CALL,CALL... COMMAND...`: ACTION is refuse (EPERM), lack (ENOSYS) or kill.
`capabilities` in place of a call: the command has none, as another user than root.
"""

import ctypes
import os
import platform
import resource
import struct
import sys
from pathlib import Path

SANDBOX = str(Path(__file__).resolve())
MACHINE = 1 if platform.machine() == "aarch64" else 0
SECCOMP = (317, 277)[MACHINE]
NUMBERS = {
    name: numbers[MACHINE]
    for name, numbers in {
        "prctl": (157, 167),
        "seccomp": (317, 277),
        "unshare": (272, 97),
        "prlimit64": (302, 261),
        "setrlimit": (160, 164),
        "setsid": (112, 157),
        "kill": (62, 129),
        "process_vm_readv": (310, 270),
        "ptrace": (101, 117),
        "fcntl": (72, 25),
    }.items()
}
ACTIONS = {"refuse": 0x00050001, "lack": 0x00050026, "kill": 0x80000000}
ALLOW = 0x7FFF0000


def capable() -> bool:
    """Return whether this process has capabilities, as root has: capabilities(7)."""
    file = Path("/proc/self/status")
    status = file.read_text(encoding="ascii") if file.exists() else ""
    return any(line.startswith("CapPrm:") and int(line.split()[1], 16) for line in status.splitlines())


def enter(action: str, calls: list[str]) -> None:
    """Have the kernel answer these calls of this process, and of its children, with the action."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]
    code = [(0x20, 0, 0, 0)]
    for call in (each for each in calls if each != "capabilities"):
        code += [(0x15, 0, 1, NUMBERS[call]), (0x06, 0, 0, ACTIONS[action])]
    code.append((0x06, 0, 0, ALLOW))
    packed = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *each) for each in code))
    program = ctypes.create_string_buffer(struct.pack("@HP", len(code), ctypes.addressof(packed)))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if libc.prctl(38, 1, 0, 0, 0) or libc.syscall(SECCOMP, 1, 0, program):
        raise SystemExit("no sandbox can be made here")
    if "capabilities" in calls and libc.capset(struct.pack("=Ii", 0x20080522, 0), bytes(24)):
        raise SystemExit("capabilities cannot be given up here")


if __name__ == "__main__":
    enter(sys.argv[1], sys.argv[2].split(","))
    os.execvp(sys.argv[3], sys.argv[3:])
