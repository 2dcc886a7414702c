"""The folders on the way to one key, which stay open while one thread handles the key."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

from thumbsmith.lifetime import Closing
from thumbsmith.store.atomic_write import sync_folder, write_whole
from thumbsmith.store.safe_open import CLOSED, DirectoryCache, Folder, identity_at, open_folder, open_root

# A process has 1,024 descriptors by default. Folders that are deeper are opened at each use.
_MAX_FOLDERS: Final = 16


class KeptFolders(Closing):
    """Opens folders like `open_root` and `open_folder`, and keeps them open. For one thread.

    At each use, it checks from the root down that the path still leads to the same folder. This takes no `open`. While
    a folder is open, no other folder gets its inode number.
    """

    def __init__(self) -> None:
        # By the descriptor of the parent and the name: the folder, its device and its inode number.
        self._folders: dict[tuple[int, str], tuple[Folder, tuple[int, int]]] = {}
        self._unsynced: set[int] = set()  # descriptors of folders in which files were renamed

    def root(self, path: str, cache: DirectoryCache) -> Folder | None:
        """Return the folder at this path, or None where it is missing. Raises OSError."""
        return self._get(None, path, lambda: open_root(path, cache))

    def folder(self, parent: Folder, name: str, component: str) -> Folder | None:
        """Return the folder with exactly this name in `parent`, or None. Raises OSError."""
        return self._get(parent, name, lambda: open_folder(parent, name, component))

    def write(self, folder: Folder, name: str, data: bytes, *, last: bool) -> os.stat_result:
        """Write a file as `write_whole` does, but leave its name to be flushed later. Raises OSError.

        The `last` file gets its name when the names of all others are on disk.
        """
        before_rename = self._sync_names if last else lambda: None
        written = write_whole(folder.fd, name, data, before_rename=before_rename, sync_name=not folder.kept)
        if folder.kept:
            self._unsynced.add(folder.fd)
        return written

    def _sync_names(self) -> None:
        """Flush the names of all files that `write` wrote.

        It follows the flush of the last file. File systems with a journal have flushed the names with that, so that
        this takes little time.
        """
        for fd in tuple(self._unsynced):
            sync_folder(fd)
            self._unsynced.discard(fd)

    def close(self) -> None:
        """Close all folders. May be repeated."""
        for folder, _ in self._folders.values():
            folder.kept = False
            folder.close()
        self._folders.clear()
        self._unsynced.clear()

    def _get(self, parent: Folder | None, name: str, open_it: Callable[[], Folder | None]) -> Folder | None:
        if parent is not None and not parent.kept:
            return open_it()
        place = (parent.fd if parent else CLOSED, name)
        kept, identity = self._folders.get(place, (None, None))
        if kept is not None and identity_at(parent, name) == identity:
            return kept
        found = open_it()
        if found is not None and kept is None and len(self._folders) < _MAX_FOLDERS:
            status = os.fstat(found.fd)
            found.kept = True
            self._folders[place] = found, (status.st_dev, status.st_ino)
        return found
