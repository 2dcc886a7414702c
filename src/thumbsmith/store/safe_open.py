"""The names in a folder, remembered: to add the ten-thousandth one, the others need not be read again.

Folders and files beneath a root, opened one name at a time and never through a symbolic link.

A path is resolved by the system in one go, and anybody who may write there can turn a folder in it into a link.
A name that is opened relative to a folder that is already open, with O_NOFOLLOW, cannot lead anywhere else.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from threading import Lock
from typing import Final, TypeAlias

from thumbsmith.lifetime import Closing
from thumbsmith.store.file_names import fold, namesake
from thumbsmith.store.os_errors import MISSING, UNUSABLE_NAME

# Folders remembered at once. Keys come sorted or nearly so: few folders are being added to at a time.
_FOLDERS: Final = 16

_Stamp: TypeAlias = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Entries:
    """The names in one folder, as they are and folded."""

    names: set[str]
    folded: set[str]


@dataclass(frozen=True, slots=True)
class DirectoryCache:
    """The entries of the folders last looked into; each holds while the folder's times, links and size are the same.

    A change that others make within one tick of the file system's clock may go unseen. So a name that seems to be taken
    is worth another look; and of two that seem to be free and differ in case only, made by two processes in one tick,
    both may come to lie side by side, on a file system that tells them apart.
    """

    _known: OrderedDict[tuple[int, int], tuple[_Stamp, Entries]] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)

    def of(self, folder: int) -> Entries:
        """Return the entries of the folder with this descriptor, remembered if it looks the same. Raises OSError."""
        found = os.fstat(folder)
        with self._lock:
            stamp, entries = self._known.get((found.st_dev, found.st_ino), (None, None))
        return entries if entries is not None and stamp == _stamp(found) else self.read(folder)

    def read(self, folder: int) -> Entries:
        """Return the entries of the folder with this file descriptor, and remember them. Raises OSError."""
        found = os.fstat(folder)
        names = set(os.listdir(folder))
        entries = Entries(names, set(map(fold, names)))
        self._remember(found, entries)
        return entries

    def add(self, folder: int, name: str) -> None:
        """Take note that the caller, who holds the folder's lock and has just asked for its entries, added `name`."""
        found = os.fstat(folder)
        with self._lock:
            _, entries = self._known.get((found.st_dev, found.st_ino), (None, None))
        if entries is not None:
            entries.names.add(name)
            entries.folded.add(fold(name))
            self._remember(found, entries)

    def _remember(self, found: os.stat_result, entries: Entries) -> None:
        identity = (found.st_dev, found.st_ino)
        with self._lock:
            self._known[identity] = (_stamp(found), entries)
            self._known.move_to_end(identity)
            while len(self._known) > _FOLDERS:
                self._known.popitem(last=False)


def _stamp(found: os.stat_result) -> _Stamp:
    return (found.st_mtime_ns, found.st_nlink, found.st_size)


_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK  # a FIFO put there meanwhile must not make us wait
CLOSED: Final = -1


@dataclass(slots=True)
class Folder(Closing):
    """The root or a folder beneath it, open or closed again; `name` on disk stands for `component` of a key."""

    fd: int
    known: DirectoryCache
    above: Folder | None = None
    name: str = ""
    component: str = ""

    def close(self) -> None:
        """Close the descriptor. Safe to repeat."""
        fd, self.fd = self.fd, CLOSED
        if fd != CLOSED:
            os.close(fd)

    @property
    def closed(self) -> bool:
        """Return whether its descriptor was closed."""
        return self.fd == CLOSED

    def trail(self) -> list[Folder]:
        """Return the folders from below the root down to this one; none for the root itself."""
        found: list[Folder] = []
        here: Folder | None = self
        while here is not None and here.above is not None:
            found.append(here)
            here = here.above
        return found[::-1]

    @property
    def names(self) -> list[str]:
        """Return the names on disk from below the root down to here."""
        return [folder.name for folder in self.trail()]

    @property
    def key(self) -> str:
        """Return the components from the root down to here, joined by "/"."""
        return "/".join(folder.component for folder in self.trail())

    def __str__(self) -> str:
        """Return the key, or the path of the root, for people."""
        return self.key or self.name


def open_root(path: str, known: DirectoryCache) -> Folder | None:
    """Return the folder at this path, or None where there is nothing. Raises OSError for anything but a folder."""
    try:
        return Folder(os.open(path, _FOLDER), known, name=path)
    except FileNotFoundError:
        return None


def open_folder(parent: Folder, name: str, component: str) -> Folder | None:
    """Return the folder of exactly this name in `parent`, or None. Raises OSError where it may not be read."""
    fd = _open(name, _FOLDER, parent)
    if fd is None:
        return None
    folder = Folder(fd, parent.known, parent, name, component)
    try:
        exact = _is_called(name, parent, os.fstat(fd))
    except BaseException:
        folder.close()
        raise
    if exact:
        return folder
    folder.close()
    return None


def stat_file(parent: Folder, name: str) -> os.stat_result | None:
    """Return the status of the regular file of exactly this name in `parent`, or None where there is none."""
    found = _stat(name, parent)
    if found is None or not stat.S_ISREG(found.st_mode):
        return None
    return found if _is_called(name, parent, found) else None


def open_file(parent: Folder, name: str) -> int | None:
    """Return a descriptor of the regular file of exactly this name in `parent`, or None where there is none."""
    if stat_file(parent, name) is None:
        return None  # a device is not even opened: for some of them that alone does something
    fd = _open(name, _FILE, parent)
    if fd is None or stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    return None


@contextlib.contextmanager
def locked(folder: Folder) -> Iterator[None]:
    """Hold the folder's lock, against other processes and other threads alike.

    Where the file system has no such locks (NFS wants a descriptor that writes) the work is done without: what they
    guard is that two names that differ in case only are not made side by side at one moment.
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
    """Return whether the error says that nothing has this name. A name that the folder lists cannot be unusable."""
    if error.errno in UNUSABLE_NAME:
        return name not in parent.known.of(parent.fd).names
    return error.errno in MISSING


def _is_called(name: str, parent: Folder, found: os.stat_result) -> bool:
    """Return whether what was found is called exactly so: a folder that ignores case answers to other names as well.

    It does where the namesake leads to the same entry. Only then the folder's entries have to be read.
    """
    other = namesake(name)
    alias = _stat(other, parent) if other is not None else None
    if alias is None or not os.path.samestat(alias, found):
        return True
    return name in parent.known.of(parent.fd).names
