"""Folders and files below a root, opened one name at a time and never through a symbolic link.

The system resolves a path in one step, and any user with write access can replace a folder in it by a link. A name that
is opened relative to an open folder, with O_NOFOLLOW, cannot lead anywhere else.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import stat
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import FileIO
from threading import Lock
from typing import Final, TypeAlias

from thumbsmith.errors import SourceChanged
from thumbsmith.lifetime import Closing
from thumbsmith.store.base import ObjectInfo, printable_key
from thumbsmith.store.file_names import case_variant, casefolded
from thumbsmith.store.os_errors import MISSING, UNUSABLE_NAME, translate_os_errors

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK  # without O_NONBLOCK, opening a FIFO would wait

# The descriptor of a folder that was closed.
CLOSED: Final = -1

# Folders whose entries are cached. Keys come sorted or nearly so: few folders are written to at a time.
_MAX_CACHED_FOLDERS: Final = 16


@dataclass(slots=True, eq=False)
class Folder(Closing):
    """The root or a folder below it. The folder `name` on disk is for the `component` of a key.

    It is open or, with the descriptor CLOSED, closed. One that is `kept` open stays so until `KeptFolders` closes it.
    """

    fd: int
    cache: DirectoryCache
    parent: Folder | None = None
    name: str = ""
    component: str = ""
    kept: bool = False
    _key: str | None = field(default=None, repr=False)

    def close(self) -> None:
        """Close the descriptor, unless the folder is kept open. May be repeated."""
        if self.kept:
            return
        fd, self.fd = self.fd, CLOSED
        if fd != CLOSED:
            os.close(fd)

    @property
    def closed(self) -> bool:
        """Return whether the descriptor was closed."""
        return self.fd == CLOSED

    @property
    def names(self) -> list[str]:
        """Return the names on disk from below the root down to this folder."""
        return [folder.name for folder in self._below_root()]

    @property
    def key(self) -> str:
        """Return the components from below the root down to this folder, joined by "/"."""
        if self._key is None:
            self._key = "/".join(folder.component for folder in self._below_root())
        return self._key

    def key_of(self, component: str) -> str:
        """Return the key of an entry of this folder."""
        return component if self.parent is None else f"{self.key}/{component}"

    def __str__(self) -> str:
        """Return the key, or the path of the root, for people."""
        return self.key or self.name

    def _below_root(self) -> list[Folder]:
        found: list[Folder] = []
        here: Folder | None = self
        while here is not None and here.parent is not None:
            found.append(here)
            here = here.parent
        return found[::-1]


def open_root(path: str, cache: DirectoryCache) -> Folder | None:
    """Return the folder at this path, or None where it is missing. Raises OSError for a file of another kind."""
    try:
        return Folder(os.open(path, _FOLDER), cache, name=path)
    except FileNotFoundError:
        return None


def open_folder(parent: Folder, name: str, component: str) -> Folder | None:
    """Return the folder with exactly this name in `parent`, or None. Raises OSError where it may not be read."""
    seen = _stat(name, parent)
    if seen is None or not stat.S_ISDIR(seen.st_mode):
        return None
    fd = _open(name, _FOLDER, parent)
    if fd is None:
        return None
    folder = Folder(fd, parent.cache, parent, name, component)
    try:
        exact = _has_exact_name(name, parent, os.fstat(fd))
    except BaseException:
        folder.close()
        raise
    if exact:
        return folder
    folder.close()
    return None


def open_listed_folder(parent: Folder, name: str, component: str) -> Folder | None:
    """Return the folder with a name that a listing of `parent` contains, or None if it was removed. Raises OSError."""
    try:
        return Folder(os.open(name, _FOLDER, dir_fd=parent.fd), parent.cache, parent, name, component)
    except OSError as error:
        if error.errno in MISSING:
            return None
        raise


def identity_at(parent: Folder | None, name: str) -> tuple[int, int] | None:
    """Return device and inode number of what has this name in `parent`, or this path; None if nothing has.

    Raises OSError.
    """
    try:
        found = _stat(name, parent) if parent else os.lstat(name)
    except FileNotFoundError:
        return None
    return (found.st_dev, found.st_ino) if found else None


def stat_file(parent: Folder, name: str) -> os.stat_result | None:
    """Return the status of the regular file with exactly this name in `parent`, or None."""
    found = _stat(name, parent)
    if found is None or not stat.S_ISREG(found.st_mode):
        return None
    return found if _has_exact_name(name, parent, found) else None


def open_file(parent: Folder, name: str) -> int | None:
    """Return a descriptor of the regular file with exactly this name in `parent`, or None."""
    if stat_file(parent, name) is None:
        return None  # a device is not opened: for some, opening has an effect
    fd = _open(name, _FILE, parent)
    if fd is None or stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    return None


@contextlib.contextmanager
def locked(folder: Folder) -> Iterator[None]:
    """Lock the folder against other processes and other threads.

    Some file systems have no such locks (NFS wants a descriptor for writing); the block then runs without. The lock
    prevents that two names that differ only in case are created at the same moment.
    """
    with contextlib.suppress(OSError):
        fcntl.flock(folder.fd, fcntl.LOCK_EX)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            fcntl.flock(folder.fd, fcntl.LOCK_UN)


def _open(name: str, flags: int, parent: Folder) -> int | None:
    try:
        return os.open(name, flags, dir_fd=parent.fd)
    except OSError as error:
        if _is_absent(name, parent, error):
            return None
        raise


def _stat(name: str, parent: Folder) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=parent.fd, follow_symlinks=False)
    except OSError as error:
        if _is_absent(name, parent, error):
            return None
        raise


def _is_absent(name: str, parent: Folder, error: OSError) -> bool:
    """Return whether the error means that no entry has this name. A name that the folder lists is never unusable."""
    if error.errno in UNUSABLE_NAME:
        return name not in parent.cache.entries(parent.fd).names
    return error.errno in MISSING


def _has_exact_name(name: str, parent: Folder, found: os.stat_result) -> bool:
    """Return whether an entry that was found has exactly this name: a folder that ignores case also finds others.

    It ignores case where a case variant leads to the same entry. Only then the entries must be read.
    """
    other = case_variant(name)
    alias = _stat(other, parent) if other is not None else None
    if alias is None or not os.path.samestat(alias, found):
        return True
    return name in parent.cache.entries(parent.fd).names


@dataclass(frozen=True, slots=True)
class OpenFile:
    """One version of a file. It can be read after the file is replaced or removed, but not after a write to it."""

    info: ObjectInfo
    _file: FileIO
    _opened: os.stat_result

    @property
    def size(self) -> int:
        """Return the number of bytes."""
        return self.info.size

    def read(self, offset: int, length: int) -> bytes:
        """Return the bytes from `offset`, `length` of them, or fewer where the object ends.

        Raises SourceChanged when the file was written to since it was opened, StoreError when it cannot be read.
        """
        with translate_os_errors(self.info.key):
            content = self._pread(offset, min(length, self.size - offset))
            changed = self._is_changed(os.fstat(self._file.fileno()))
        if changed:
            raise SourceChanged(f"{printable_key(self.info.key)}: written to while it was read")
        return content

    def close(self) -> None:
        """Close the file. May be repeated."""
        self._file.close()

    def _pread(self, offset: int, length: int) -> bytes:
        pieces: list[bytes] = []
        while length > 0 and (piece := os.pread(self._file.fileno(), length, offset)):
            pieces.append(piece)
            offset += len(piece)
            length -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _is_changed(self, now: os.stat_result) -> bool:
        if (now.st_size, now.st_mtime_ns) != (self._opened.st_size, self._opened.st_mtime_ns):
            return True
        # A rename over the file, or its removal, takes one link away, and that also changes ctime.
        return now.st_ctime_ns != self._opened.st_ctime_ns and now.st_nlink == self._opened.st_nlink


def object_info(key: str, status: os.stat_result) -> ObjectInfo:
    """Return a file with this status as an object."""
    return ObjectInfo(key, file_etag(status), status.st_size, modified=status.st_mtime)


def file_etag(status: os.stat_result) -> str:
    """Return the etag of a file with this status: it changes with every write.

    A replaced file has another inode number, or the same one at another time. A file that was written to has other
    times, of which ctime cannot be set back. A change of owner or mode changes the etag as well; a digest then shows
    that the bytes are equal. Two writes in place, of equal size and within one tick of the file system's clock, have
    one etag.
    """
    identity = f"{status.st_ino} {status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"
    return hashlib.sha256(identity.encode()).hexdigest()[:32]


_Stamp: TypeAlias = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Entries:
    """The names in one folder, as they are and casefolded."""

    names: set[str]
    casefolded: set[str]


@dataclass(frozen=True, slots=True)
class DirectoryCache:
    """The entries of the last folders: adding the ten-thousandth one does not read the others again.

    Entries are valid while the times, links and size of the folder are the same. A change by another process within one
    tick of the file system's clock may be missed. So a name that seems to be taken is checked again. Two processes may
    create two names that differ only in case in the same tick; both then exist on a file system that is case-sensitive.
    """

    _cached: OrderedDict[tuple[int, int], tuple[_Stamp, Entries]] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)

    def entries(self, folder: int) -> Entries:
        """Return the entries of the folder with this descriptor, from the cache if it is unchanged. Raises OSError."""
        found = os.fstat(folder)
        with self._lock:
            stamp, entries = self._cached.get((found.st_dev, found.st_ino), (None, None))
        return entries if entries is not None and stamp == _stamp(found) else self.read(folder)

    def read(self, folder: int) -> Entries:
        """Read the entries of the folder with this descriptor, and cache them. Raises OSError."""
        found = os.fstat(folder)
        names = set(os.listdir(folder))
        entries = Entries(names, set(map(casefolded, names)))
        self._put(found, entries)
        return entries

    def add(self, folder: int, name: str) -> None:
        """Add a name that the caller has created, while it had the folder locked and after it called `entries`."""
        found = os.fstat(folder)
        with self._lock:
            _, entries = self._cached.get((found.st_dev, found.st_ino), (None, None))
        if entries is not None:
            entries.names.add(name)
            entries.casefolded.add(casefolded(name))
            self._put(found, entries)

    def _put(self, found: os.stat_result, entries: Entries) -> None:
        identity = (found.st_dev, found.st_ino)
        with self._lock:
            self._cached[identity] = (_stamp(found), entries)
            self._cached.move_to_end(identity)
            while len(self._cached) > _MAX_CACHED_FOLDERS:
                self._cached.popitem(last=False)


def _stamp(found: os.stat_result) -> _Stamp:
    return (found.st_mtime_ns, found.st_nlink, found.st_size)
