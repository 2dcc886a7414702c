"""Run a command under the restrictions of AWS Lambda's sandbox: `python tests/cloud/restrictions.py KIND COMMAND...`.

KIND is the kernel's answer to prctl(2) and seccomp(2): "refuses" (EPERM), or "kills" (SIGSYS ends the process). Lambda
has been seen to refuse prctl and a second filter, and to kill for system calls of another architecture. Both kinds do
so. For which other calls it kills is not known: "kills" does so for all calls with which a process confines itself.

- https://github.com/hashicorp/terraform-exec/issues/172, https://github.com/chromedp/chromedp/pull/720,
  https://github.com/ClickHouse/ClickHouse/pull/53117, https://github.com/catboost/catboost/issues/1606: prctl
- https://github.com/openai/codex/issues/38779: a second filter
- https://github.com/decompals/wibo/pull/130: system calls of another architecture

Files, user and limits follow the Lambda documentation. The root is read-only except for /tmp, which is empty. There is
no /dev/shm. The user has no privileges. A process can open 1,024 files.

This program uses the standard library only, and runs on x86-64 and arm64. Without root it uses a user namespace. If the
kernel refuses a mount namespace, it says so on stderr, and files are not restricted.

"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import stat
import struct
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
KINDS: Final = ("refuses", "kills")

# The user that Lambda runs functions as, and its limit of open files.
USER: Final = 993
GROUP: Final = 990
OPEN_FILES: Final = 1024

DEVICES: Final = ("full", "null", "random", "urandom", "zero")

# <linux/audit.h>, and the system calls seccomp and prctl; mount_setattr has the same number on both machines.
MACHINES: Final = {"x86_64": (0xC000003E, 317, 157), "aarch64": (0xC00000B7, 277, 167)}
MOUNT_SETATTR: Final = 442

# <linux/prctl.h>: the options with which a process confines itself.
PR_SET_PDEATHSIG: Final = 1
PR_SET_DUMPABLE: Final = 4
PR_SET_SECCOMP: Final = 22
PR_SET_NO_NEW_PRIVS: Final = 38
CONFINING: Final = (PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS)

# <linux/seccomp.h>: the actions of a filter.
ALLOW: Final = 0x7FFF0000
REFUSE: Final = 0x00050001  # SECCOMP_RET_ERRNO with EPERM
KILL: Final = 0x80000000  # SECCOMP_RET_KILL_PROCESS

# <linux/seccomp.h>, struct seccomp_data: offsets of the number, the machine and the first argument.
NUMBER, MACHINE, ARGUMENT = 0, 4, 16

# <linux/sched.h> and <linux/mount.h>.
CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000
AT_FDCWD, AT_RECURSIVE = -100, 0x8000
MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID = 0x1, 0x2

LIBC: Final = ctypes.CDLL(None, use_errno=True)


def enter(kind: str, readable: Iterable[Path]) -> str | None:
    """Restrict this process permanently; the paths in `readable` stay readable.

    Returns None, or why files are not restricted. Raises OSError if the kernel refuses any other restriction.
    """
    os.umask(0o022)
    is_root, here, missing = os.geteuid() == 0, Path.cwd(), None
    try:
        own_mounts(is_root)
    except OSError as error:
        missing = f"/ stays writable and /dev/shm stays: no mount namespace can be made here: {error}"
    else:
        restrict_files([*readable, here])
        os.chdir(here)
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))
    if missing:  # the kernel requires it for a filter without CAP_SYS_ADMIN
        checked(LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    install(program(kind, platform.machine()))
    if is_root:
        os.setgroups([])
        os.setresgid(GROUP, GROUP, GROUP)
        os.setresuid(USER, USER, USER)
    return missing


def own_mounts(is_root: bool) -> None:
    """Enter a new mount namespace: unshare(2). Raises OSError."""
    user, group = os.geteuid(), os.getegid()
    checked(LIBC.unshare(CLONE_NEWNS | (0 if is_root else CLONE_NEWUSER)))
    if not is_root:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{USER} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{GROUP} {group} 1")
    mount("none", "/", None, MS_REC | MS_PRIVATE)


def restrict_files(readable: Sequence[Path]) -> None:
    """Make the root read-only, /tmp empty and writable, and /dev minimal. Raises OSError."""
    with opened([Path("/dev", name) for name in DEVICES]) as devices, opened(readable) as paths:
        reveal([path for path in readable if not path.is_relative_to("/tmp")])
        mount("tmpfs", "/dev", "tmpfs", data="mode=755")
        bind(devices)
        set_read_only("/")
        mount("tmpfs", "/tmp", "tmpfs", data="mode=1777")
        bind({path: descriptor for path, descriptor in paths.items() if path.is_relative_to("/tmp")})


def reveal(readable: Sequence[Path]) -> None:
    """Mount paths again that are inside a private folder. Raises OSError.

    An empty folder that every user may enter replaces the private one.
    """
    private = {path: found for path in readable if (found := _first_private(path))}
    with opened(private) as paths:
        for folder in sorted(set(private.values())):
            mount("tmpfs", str(folder), "tmpfs", data="mode=755")
        bind(paths)


@contextmanager
def opened(paths: Iterable[Path]) -> Iterator[dict[Path, int]]:
    """Yield a descriptor for each path. It stays valid if a mount hides the path. Raises OSError."""
    with ExitStack() as closing:
        descriptors = {path: os.open(path, os.O_PATH) for path in paths}
        for descriptor in descriptors.values():
            closing.callback(os.close, descriptor)
        yield descriptors


def _first_private(path: Path) -> Path | None:
    """Return the first parent folder of a path that only its owner or group may enter."""
    for folder in [*reversed(path.parents)]:
        if not folder.stat().st_mode & stat.S_IXOTH:
            return folder
    return None


def bind(targets: dict[Path, int]) -> None:
    """Mount the file of each descriptor at its path, which is created. Raises OSError."""
    for path, descriptor in targets.items():
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            path.mkdir(parents=True, exist_ok=True)
        else:
            path.touch()
        mount(f"/proc/self/fd/{descriptor}", str(path), None, MS_BIND | MS_REC)


def mount(source: str, target: str, kind: str | None, flags: int = 0, data: str | None = None) -> None:
    """Mount a file system, or a part of one, at `target`. Raises OSError."""
    words = (each.encode() if each is not None else None for each in (source, target, kind))
    checked(LIBC.mount(*words, ctypes.c_ulong(flags), data.encode() if data else None), target)


def set_read_only(path: str) -> None:
    """Make all mounts at and below a path read-only: mount_setattr(2), Linux 5.12. Raises OSError."""
    attributes = struct.pack("=4Q", MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID, 0, 0, 0)
    size = ctypes.c_size_t(len(attributes))
    checked(LIBC.syscall(MOUNT_SETATTR, AT_FDCWD, path.encode(), AT_RECURSIVE, attributes, size), path)


def program(kind: str, machine: str) -> list[tuple[int, int, int, int]]:
    """Return the instructions of the system call filter: operation, two jumps, operand (<linux/bpf_common.h>)."""
    audit, seccomp, prctl = MACHINES[machine]
    load, answer = (lambda offset: (0x20, 0, 0, offset)), (lambda what: (0x06, 0, 0, what))

    def where(value: int, what: int) -> list[tuple[int, int, int, int]]:
        return [(0x15, 0, 1, value), answer(what)]

    made = [load(MACHINE), (0x15, 1, 0, audit), answer(KILL), load(NUMBER)]
    made += where(seccomp, REFUSE if kind == "refuses" else KILL)
    made += [(0x15, 1, 0, prctl), answer(ALLOW)]
    if kind == "kills":
        made += [load(ARGUMENT), *(each for option in CONFINING for each in where(option, KILL))]
    return [*made, answer(REFUSE)]


def install(instructions: Sequence[tuple[int, int, int, int]]) -> None:
    """Filter the system calls of this process and its children: seccomp(2). Raises OSError."""
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *each) for each in instructions))
    handle = struct.pack("@HP", len(instructions), ctypes.addressof(code))  # struct sock_fprog
    checked(LIBC.syscall(MACHINES[platform.machine()][1], 1, 0, handle))  # SECCOMP_SET_MODE_FILTER


def checked(result: int, name: str | None = None) -> None:
    """Raise OSError if a call failed."""
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), name)


def main(kind: str, *command: str) -> None:
    """Restrict this process, and replace it by the command."""
    if kind not in KINDS or not command:
        raise SystemExit(f"usage: restrictions.py {'|'.join(KINDS)} COMMAND...")
    missing = enter(kind, [ROOT, Path(sys.base_prefix)])
    if missing:
        sys.stderr.write(f"restrictions: {missing}\n")
    sys.stderr.flush()
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(*sys.argv[1:])
