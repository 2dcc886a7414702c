"""A walk through all files below a folder: without recursion, with few open folders, following no link."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from thumbsmith.errors import StoreError
from thumbsmith.store.file_names import is_private
from thumbsmith.store.os_errors import MISSING, as_store_error, translate_os_errors
from thumbsmith.store.safe_open import CLOSED, Folder, open_folder

# Of the folders on the way down, the last ones stay open. One further up is opened again, from the top, when needed.
_MAX_OPEN_FOLDERS: Final = 64

_JOINED_NAMES: Final = 1_000


@dataclass(slots=True)
class _Names:
    """A stack of file names. A folder may have a million: joined, they take a quarter of the memory."""

    _last: list[str] = field(default_factory=list)
    _joined: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Return whether a name is left."""
        return bool(self._last or self._joined)

    def push(self, name: str) -> None:
        """Add a name."""
        self._last.append(name)
        if len(self._last) == _JOINED_NAMES:
            self._joined.append("/".join(self._last))
            self._last.clear()

    def pop(self) -> str:
        """Remove a name of the last ones that were added, and return it."""
        if not self._last:
            self._last = self._joined.pop().split("/")
        return self._last.pop()

    def clear(self) -> None:
        """Remove all names."""
        self._last.clear()
        self._joined.clear()


@dataclass(frozen=True, slots=True)
class _Level:
    """A folder on the way down, and the names of its folders that are not walked yet."""

    folder: Folder
    pending: _Names


def walk(
    root: Folder,
    enter: Callable[[Folder, str], Folder | None],
    unreadable: Callable[[Folder, StoreError], object],
) -> Iterator[tuple[Folder, Iterator[os.DirEntry[str]]]]:
    """Yield the root and each folder below it, with its entries that are no folders.

    A folder is open until the next one is yielded. Its entries must be read before that: they lead to the folders in
    it. `enter` opens a folder by its name on disk, or returns None to leave it out. Entries that are removed meanwhile
    are left out. `unreadable` receives a folder that could not be listed completely; the walk continues without the
    rest of it. The root stays open.
    """
    open_folders = _OpenFolders()
    levels = [_Level(root, _Names())]
    try:
        yield root, _scan(levels[0], unreadable)
        while levels:
            level = levels[-1]
            if not level.pending:
                levels.pop()
                continue
            name = level.pending.pop()
            try:
                exists = open_folders.reopen(level.folder)
            except StoreError as error:
                level.pending.clear()
                unreadable(level.folder, error)
                continue
            found = enter(level.folder, name) if exists else None
            if found is not None:
                open_folders.add(found)
                levels.append(_Level(found, _Names()))
                yield found, _scan(levels[-1], unreadable)
    finally:
        open_folders.close()


def _scan(level: _Level, unreadable: Callable[[Folder, StoreError], object]) -> Iterator[os.DirEntry[str]]:
    """Yield the files of one folder and note its folders. The scan of a folder that is removed meanwhile ends early."""
    folder = level.folder
    try:
        with os.scandir(folder.fd) as entries:
            os.stat(".", dir_fd=folder.fd)  # fails once where the folder may be listed but not entered
            for entry in entries:
                try:
                    is_folder = entry.is_dir(follow_symlinks=False)
                except OSError as error:  # the listing has no types, and the system refuses the type of this entry
                    unknown = Folder(CLOSED, folder.cache, folder, entry.name, entry.name)
                    unreadable(unknown, as_store_error(unknown, error))
                    continue
                if not is_folder:
                    yield entry
                elif not is_private(entry.name):
                    level.pending.push(entry.name)
    except OSError as error:
        if error.errno not in MISSING:
            unreadable(folder, as_store_error(folder, error))


@dataclass(frozen=True, slots=True)
class _OpenFolders:
    """The folders that are open, the last one entered last."""

    _folders: deque[Folder] = field(default_factory=deque)

    def close(self) -> None:
        """Close all of them."""
        for folder in self._folders:
            folder.close()

    def add(self, folder: Folder) -> None:
        """Keep a folder open, and close the one that was opened first if there are too many."""
        self._folders.append(folder)
        if len(self._folders) > _MAX_OPEN_FOLDERS:
            self._folders.popleft().close()

    def reopen(self, folder: Folder) -> bool:
        """Open the folder again if it was closed, and its parents as needed; return whether it still exists."""
        closed: list[Folder] = []
        here = folder
        while here.closed and here.parent is not None:
            closed.append(here)
            here = here.parent
        for each in reversed(closed):
            with translate_os_errors(each):
                again = open_folder(here, each.name, each.component)
            if again is None:
                return False
            each.fd, here = again.fd, each
            self.add(each)
        return True
