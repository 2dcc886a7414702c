"""The names in a folder, remembered: to add the ten-thousandth one, the others need not be read again."""

from __future__ import annotations

import os
from collections import OrderedDict
from dataclasses import dataclass, field
from threading import Lock
from typing import Final, TypeAlias

from thumbsmith.store.names import fold

# Folders remembered at once. Keys come sorted or nearly so: few folders are being added to at a time.
_FOLDERS: Final = 16

_Stamp: TypeAlias = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Entries:
    """The names in one folder, as they are and folded."""

    names: set[str]
    folded: set[str]


@dataclass(frozen=True, slots=True)
class KnownEntries:
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
