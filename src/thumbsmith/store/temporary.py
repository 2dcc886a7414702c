"""Files written whole or not at all: under a temporary name first, which tells who is writing, then renamed.

A writer that is killed leaves its temporary behind. `is_abandoned` says which ones nobody will finish.
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
from functools import cache
from pathlib import Path
from typing import Final

from thumbsmith.store.names import PRIVATE

_NAME: Final = re.compile(re.escape(PRIVATE) + r"(\d{1,10})-(\d{1,20})-([0-9a-f]{8})-[0-9a-f]{16}\.tmp")

# A writer on another machine or in another container cannot be asked after. What it has not touched for this long is
# taken for abandoned: an object is written in seconds. Should it be alive after all, it finds its temporary gone and
# writes the object anew.
_SECONDS_UNTOUCHED: Final = 3600

# Bytes by which a folder is tried: a disk with less room holds the thumbnails of hardly any picture.
_TRIAL: Final = 65_536


def write_whole(folder: int, name: str, data: bytes) -> os.stat_result:
    """Write the file `name` in the folder with this descriptor, replacing what is there; return its status.

    It is on disk when this returns. Raises OSError; then what was there before is unchanged and no temporary is left.
    """
    temporary = temporary_name()
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666, dir_fd=folder)
    try:
        _write(fd, data)
        os.fsync(fd)
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        written = os.fstat(fd)  # only now: to be renamed changes the file's ctime
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary, dir_fd=folder)
        raise
    finally:
        os.close(fd)
    sync_folder(folder)
    return written


def try_writing(folder: int) -> None:
    """Write a file in the folder with this descriptor and remove it. Raises OSError where that fails."""
    temporary = temporary_name()
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666, dir_fd=folder)
    try:
        _write(fd, bytes(_TRIAL))
        os.fsync(fd)
    finally:
        os.close(fd)
        os.unlink(temporary, dir_fd=folder)


def temporary_name() -> str:
    """Return a fresh name: the process, the clock tick of its start, the place it runs in, and something random."""
    pid = os.getpid()
    return f"{PRIVATE}{pid}-{_own_start(pid)}-{_place(pid)}-{secrets.token_hex(8)}.tmp"


def is_abandoned(name: str, modified: float) -> bool:
    """Return whether `name` is a temporary, last `modified` at this time (seconds since 1970), that nobody will finish.

    A writer of this machine and container is looked up: its number may be another process's by now, so its start counts
    too. Where that cannot be told (elsewhere, or no /proc), only time tells.
    """
    written = _NAME.fullmatch(name)
    if written is None:
        return False
    if written[3] == _place(os.getpid()):
        alive = _is_alive(int(written[1]), int(written[2]))
        if alive is not None:
            return not alive
    return time.time() - modified > _SECONDS_UNTOUCHED


def _write(fd: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]


def sync_folder(folder: int) -> None:
    """Put on disk what the folder with this descriptor holds by name, where the file system can. Raises OSError."""
    try:
        os.fsync(folder)
    except OSError as error:
        # fsync(2): EINVAL is for what cannot be synchronised, as folders on some network file systems.
        if error.errno != errno.EINVAL:
            raise


def _is_alive(pid: int, start: int) -> bool | None:
    """Return whether the process that started at this tick still runs, or None where that cannot be told."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass  # somebody else's
    found = _start(pid)
    return found == start if found is not None else None


def _start(pid: int) -> int | None:
    """Return the clock tick at which the process started, 0 if it has ended, None where the system does not say."""
    try:
        status = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    # proc(5): field 3 is the state, 22 the start. Field 2, the command in parentheses, may itself hold spaces and ")".
    fields = status.rpartition(b")")[2].split()
    return 0 if fields[0] in b"ZX" else int(fields[19])


@cache
def _own_start(pid: int) -> int:
    return _start(pid) or 0


@cache
def _place(pid: int) -> str:
    """Return 8 hex digits for where process numbers mean the same as here, in the process `pid`.

    That is this boot of this machine, and the PID namespace: a container has its own numbers.
    """
    try:
        place = Path("/proc/sys/kernel/random/boot_id").read_text() + str(Path(f"/proc/{pid}/ns/pid").readlink())
    except OSError:
        place = socket.gethostname()
    return hashlib.sha256(place.encode()).hexdigest()[:8]
