"""Files that are written as a whole: under a temporary name first, which identifies the writer, then renamed.

A writer that is killed leaves its temporary file behind. `is_abandoned` finds such files.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import secrets
import socket
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final

from thumbsmith.store.file_names import PRIVATE_PREFIX

_TEMPORARY_NAME: Final = re.compile(
    re.escape(PRIVATE_PREFIX) + r"(\d{1,10})-(\d{1,20})-([0-9a-f]{8})-[0-9a-f]{16}\.tmp"
)

# This machine knows nothing about a writer on another machine or in another container. After this time without a change
# its temporary file counts as abandoned: an object is written in seconds. A writer that still runs then writes the
# object again, because its temporary file is missing.
_ABANDONED_SECONDS: Final = 3600

# Bytes that are written to test a folder: a disk with less room has no place for the thumbnails of a picture.
_TEST_BYTES: Final = 65_536

_NEW_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW


def write_whole(
    folder: int,
    name: str,
    data: bytes,
    *,
    before_rename: Callable[[], object] = lambda: None,
    sync_name: bool = True,
) -> os.stat_result:
    """Write the file `name` in the folder with this descriptor, replacing an earlier one; return its status.

    It is on disk when this returns. Without `sync_name`, a crash of the machine may undo the rename. `before_rename` is
    called when the content is on disk. Raises OSError; then the earlier file is unchanged and no temporary file is
    left.
    """
    temporary = temporary_name()
    fd = create_file(folder, temporary)
    try:
        write_all(fd, data)
        os.fsync(fd)
        before_rename()
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        written = os.fstat(fd)  # after the rename, which changes the ctime
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary, dir_fd=folder)
        raise
    finally:
        os.close(fd)
    if sync_name:
        sync_folder(folder)
    return written


def check_write(folder: int) -> None:
    """Write a file in the folder with this descriptor and remove it. Raises OSError where that fails."""
    temporary = temporary_name()
    fd = create_file(folder, temporary)
    try:
        write_all(fd, bytes(_TEST_BYTES))
        os.fsync(fd)
    finally:
        os.close(fd)
        os.unlink(temporary, dir_fd=folder)


def create_file(folder: int, name: str) -> int:
    """Create a file in the folder with this descriptor; return a descriptor for writing. Raises OSError."""
    return os.open(name, _NEW_FILE, 0o666, dir_fd=folder)


def write_all(fd: int, data: bytes) -> None:
    """Write all bytes to a descriptor. Raises OSError."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]


def sync_folder(folder: int) -> None:
    """Flush the names in the folder with this descriptor to disk, if the file system can. Raises OSError."""
    try:
        os.fsync(folder)
    except OSError as error:
        # fsync(2): EINVAL is for what cannot be synchronized, as folders on some network file systems.
        if error.errno != errno.EINVAL:
            raise


def temporary_name() -> str:
    """Return a new name: the process, the clock tick of its start, its PID namespace, and random digits."""
    pid = os.getpid()
    return f"{PRIVATE_PREFIX}{pid}-{_own_start_tick(pid)}-{_pid_namespace(pid)}-{secrets.token_hex(8)}.tmp"


def is_temporary(name: str) -> bool:
    """Return whether this is a name that `temporary_name` returns."""
    return _TEMPORARY_NAME.fullmatch(name) is not None


def is_abandoned(name: str, modified: float) -> bool:
    """Return whether `name` is a temporary file, last `modified` at this time (seconds since 1970), without a writer.

    A writer in this PID namespace is looked up. Its number may belong to another process by now, so its start counts
    too. Elsewhere, and without /proc, only the time counts.
    """
    parts = _TEMPORARY_NAME.fullmatch(name)
    if parts is None:
        return False
    if parts[3] == _pid_namespace(os.getpid()):
        running = _is_running(int(parts[1]), int(parts[2]))
        if running is not None:
            return not running
    return time.time() - modified > _ABANDONED_SECONDS


def _is_running(pid: int, start_tick: int) -> bool | None:
    """Return whether the process that started at this tick still runs, or None where that is unknown."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass  # a process of another user
    found = _start_tick(pid)
    return found == start_tick if found is not None else None


def _start_tick(pid: int) -> int | None:
    """Return the clock tick at which the process started, 0 if it has ended, None where the system does not say."""
    try:
        status = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    # proc(5): field 3 is the state, 22 the start. Field 2, the command in parentheses, may contain spaces and ")".
    fields = status.rpartition(b")")[2].split()
    return 0 if fields[0] in b"ZX" else int(fields[19])


@cache
def _own_start_tick(pid: int) -> int:
    return _start_tick(pid) or 0


@cache
def _pid_namespace(pid: int) -> str:
    """Return 8 hex digits that identify where process numbers have the same meaning as in the process `pid`.

    That is this boot of this machine and the PID namespace: a container has its own numbers.
    """
    try:
        place = Path("/proc/sys/kernel/random/boot_id").read_text() + str(Path(f"/proc/{pid}/ns/pid").readlink())
    except OSError:
        place = socket.gethostname()
    return hashlib.sha256(place.encode()).hexdigest()[:8]
