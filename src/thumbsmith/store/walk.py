"""All files beneath a folder, however deep: without recursion, with few open folders, following no link."""

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

# Of the folders on the way down, the nearest ones stay open; one further up is opened anew, from the top, when needed.
_OPEN_FOLDERS: Final = 64


@dataclass(frozen=True, slots=True)
class _Level:
    """A folder on the way down, and the names of those of its folders that are still to be walked."""

    folder: Folder
    pending: list[str]


def walk(
    root: Folder,
    enter: Callable[[Folder, str], Folder | None],
    unreadable: Callable[[Folder, StoreError], object],
) -> Iterator[tuple[Folder, os.DirEntry[str]]]:
    """Yield everything beneath that is no folder, with the folder it is in, which is open until the next is asked for.

    `enter` opens a folder by its name on disk, or returns None where it is gone or to be left out. What vanishes
    meanwhile is left out. `unreadable` receives a folder of which not all could be listed; the walk goes on without the
    rest of it. The root is left open.
    """
    nearest = _Nearest()
    levels = [_Level(root, [])]
    try:
        yield from _scan(levels[0], unreadable)
        while levels:
            level = levels[-1]
            if not level.pending:
                levels.pop()
                continue
            name = level.pending.pop()
            try:
                there = nearest.reopen(level.folder)
            except StoreError as error:
                level.pending.clear()
                unreadable(level.folder, error)
                continue
            found = enter(level.folder, name) if there else None
            if found is not None:
                nearest.keep(found)
                levels.append(_Level(found, []))
                yield from _scan(levels[-1], unreadable)
    finally:
        nearest.close()


def _scan(
    level: _Level, unreadable: Callable[[Folder, StoreError], object]
) -> Iterator[tuple[Folder, os.DirEntry[str]]]:
    """Yield the files of one folder and note its folders. A folder that is removed meanwhile simply ends."""
    folder = level.folder
    try:
        with translate_os_errors(folder), os.scandir(folder.fd) as entries:
            os.stat(
                ".", dir_fd=folder.fd
            )  # fails where the folder can be listed but not entered: once, not for each file
            for entry in entries:
                try:
                    is_folder = entry.is_dir(follow_symlinks=False)
                except OSError as error:  # the listing has no types, and to ask for this one fails
                    unknown = Folder(CLOSED, folder.known, folder, entry.name, entry.name)
                    unreadable(unknown, as_store_error(unknown, error))
                    continue
                if not is_folder:
                    yield folder, entry
                elif not is_private(entry.name):
                    level.pending.append(entry.name)
    except StoreError as error:
        if not isinstance(error.__cause__, OSError) or error.__cause__.errno not in MISSING:
            unreadable(folder, error)


@dataclass(frozen=True, slots=True)
class _Nearest:
    """The folders that are open, the last one entered last."""

    _open: deque[Folder] = field(default_factory=deque)

    def close(self) -> None:
        """Close all of them."""
        for folder in self._open:
            folder.close()

    def keep(self, folder: Folder) -> None:
        """Keep a folder that was opened, at the expense of the one that was opened longest ago."""
        self._open.append(folder)
        if len(self._open) > _OPEN_FOLDERS:
            self._open.popleft().close()

    def reopen(self, folder: Folder) -> bool:
        """Open the folder again, and those above it as needed; return whether it is still there."""
        closed: list[Folder] = []
        here = folder
        while here.closed and here.above is not None:
            closed.append(here)
            here = here.above
        for each in reversed(closed):
            with translate_os_errors(each):
                again = open_folder(here, each.name, each.component)
            if again is None:
                return False
            each.fd, here = again.fd, each
            self.keep(each)
        return True
