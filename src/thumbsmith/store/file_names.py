"""How one component of a key is spelled as a name on disk in the mapped view of a folder: text only, no file.

A component has up to three spellings, each of which says by itself what it stands for:

- plain: the component as it is, but for what cannot stand (percent-encoded, as few characters as possible);
- strict: nothing but lower-case ASCII letters, digits, "_", "-" and "." stands as it is, and the first byte never does:
  for where the plain name is taken by something that differs only in case or Unicode form, or is no folder;
- shortened: the component's beginning and the SHA-256 of all of it, for what is too long for a name. It is the one
  spelling that cannot be turned back: the folder of that name keeps the component in a file.

Files written whole or not at all: under a temporary name first, which tells who is writing, then renamed.

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
import unicodedata
from functools import cache, lru_cache
from pathlib import Path
from typing import Final

from thumbsmith.recipe.names import MANIFEST

# NAME_MAX of ext4, XFS, btrfs and tmpfs, in bytes; APFS holds as many or more.
MAX_NAME_BYTES: Final = 255

# Every name that begins so, however it is cased, is the store's own and is no object.
PRIVATE: Final = ".thumbsmith-"

# The empty component has no byte to encode. "%" is no name that anything else is spelled as: a single "%" is encoded.
EMPTY: Final = "%"

# Thirty characters take at most 180 bytes, encoded or not; "%~" and the digest take 66.
_SHORTENED_LENGTH: Final = 30

_ESCAPE: Final = re.compile(rb"%([0-9A-Fa-f]{2})")
_UNSPEAKABLE: Final = re.compile(r"%(?=[0-9A-Fa-f]{2}|~)|[\x00-\x1f\x7f-\x9f\\]")
_SHORTENED: Final = re.compile(r"%~[0-9a-f]{64}\Z")
_ENCODED: Final = tuple(f"%{byte:02X}" for byte in range(256))
_STRICT: Final = tuple(
    chr(byte) if byte in b"abcdefghijklmnopqrstuvwxyz0123456789_-." else _ENCODED[byte] for byte in range(256)
)


@lru_cache(maxsize=1024)
def spellings(component: str) -> tuple[str, ...]:
    """Return the names under which a folder for this component may lie, the best first: each at most 255 bytes."""
    names = dict.fromkeys((plain(component), strict(component)))
    return (*(name for name in names if len(name.encode()) <= MAX_NAME_BYTES), shortened(component))


def plain(component: str) -> str:
    """Return the component with as little percent-encoded as can be.

    Encoded are: control characters (also those above U+007F), the backslash, a "%" that would read as an encoding, "."
    and "..", and a "." of a name that would be private or the manifest's: these however they are cased, for the sake of
    file systems that ignore case. A name like a rendition's, as every second source has one (`cat.jpg`), stays as it is
    unless it is taken: folders and files that want the same name are kept apart where they meet.
    """
    if component in {"", "%", ".", ".."}:
        return strict(component)
    name = _UNSPEAKABLE.sub(lambda found: _encoded(found[0].encode()), component)
    if is_private(component):
        return "%2E" + name[1:]
    return name.replace(".", "%2E") if fold(component) == MANIFEST else name


def strict(component: str) -> str:
    """Return the component with everything percent-encoded that has a case or a Unicode form, and its first byte."""
    content = component.encode()
    return _encoded(content[:1]) + "".join(map(_STRICT.__getitem__, content[1:])) or EMPTY


def shortened(component: str) -> str:
    """Return a name of at most 246 bytes that begins like the component and ends in a digest of all of it."""
    return f"{plain(component[:_SHORTENED_LENGTH])}%~{hashlib.sha256(component.encode()).hexdigest()}"


def is_private(name: str) -> bool:
    """Return whether the name is the store's own, or could be taken for such a one."""
    return fold(name).startswith(PRIVATE)


def is_shortened(name: str) -> bool:
    """Return whether the name is of the shortened kind, which no plain or strict spelling ever looks like."""
    return _SHORTENED.search(name) is not None


def component_of(name: str) -> str | None:
    """Return the component of which `name` is the plain or the strict spelling, or None where it is neither."""
    if name == EMPTY:
        return ""
    encoded = name.encode(errors="surrogateescape")
    try:
        component = _ESCAPE.sub(lambda found: bytes((int(found[1], 16),)), encoded).decode()
    except UnicodeDecodeError:
        return None
    return component if name == plain(component) or name == strict(component) else None


def fold(name: str) -> str:
    """Return what two names have in common that some file system takes for the same one.

    This is canonical caseless matching, Unicode's definition D145: it is at least as broad as what APFS, HFS+, NTFS and
    ext4's casefold do.
    """
    if name.isascii():
        return name.lower()
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold())


def namesake(name: str) -> str | None:
    """Return another name that folds to the same as `name`, or None where there is no simple one.

    It tells whether a folder ignores case or Unicode form: there, the namesake leads to the same entry.
    """
    swapped = name.encode(errors="surrogateescape").swapcase().decode(errors="surrogateescape")
    others = (swapped, unicodedata.normalize("NFD", name), unicodedata.normalize("NFC", name))
    return next((other for other in others if other != name), None)


def _encoded(content: bytes) -> str:
    return "".join(map(_ENCODED.__getitem__, content))


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
