"""All files beneath a folder, however deep: without recursion, with few open folders, following no link."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from thumbsmith.store.beneath import Folder, open_folder
from thumbsmith.store.failures import failing
from thumbsmith.store.names import is_private

# Of the folders on the way down, the nearest ones stay open; one further up is opened anew, from the top, when needed.
_OPEN_FOLDERS: Final = 64


@dataclass(frozen=True, slots=True)
class _Level:
    """A folder on the way down, and the names of those of its folders that are still to be walked."""

    folder: Folder
    pending: list[str]


def walk(root: Folder, enter: Callable[[Folder, str], Folder | None]) -> Iterator[tuple[Folder, os.DirEntry[str]]]:
    """Yield everything beneath that is no folder, with the folder it is in, which is open until the next is asked for.

    `enter` opens a folder by its name on disk, or returns None where it is gone or to be left out. What vanishes
    meanwhile is left out. Raises StoreError where a folder may not be read. The root is left open.
    """
    nearest = _Nearest()
    levels = [_Level(root, [])]
    try:
        yield from _scan(levels[0])
        while levels:
            level = levels[-1]
            if not level.pending:
                levels.pop()
                continue
            name = level.pending.pop()
            found = enter(level.folder, name) if nearest.reopen(level.folder) else None
            if found is not None:
                nearest.keep(found)
                levels.append(_Level(found, []))
                yield from _scan(levels[-1])
    finally:
        nearest.close()


def _scan(level: _Level) -> Iterator[tuple[Folder, os.DirEntry[str]]]:
    folder = level.folder
    with failing(folder), os.scandir(folder.fd) as entries:
        for entry in entries:
            if not entry.is_dir(follow_symlinks=False):
                yield folder, entry
            elif not is_private(entry.name):
                level.pending.append(entry.name)


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
            with failing(each):
                again = open_folder(here, each.name, each.component)
            if again is None:
                return False
            each.fd, here = again.fd, each
            self.keep(each)
        return True
