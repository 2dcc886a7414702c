"""A file that arrives in pieces: kept under a temporary name, and in its place only once it is whole."""

from __future__ import annotations

import contextlib
import os
from typing import Final

from thumbsmith.closing import Closing
from thumbsmith.errors import StoreError
from thumbsmith.store.failures import failing, shown
from thumbsmith.store.naming import Place
from thumbsmith.store.temporary import sync_folder, temporary_name
from thumbsmith.store.tree import Tree

# The folder that the file belongs in is made anew where it is removed meanwhile: this many times.
_ATTEMPTS: Final = 100


class Incoming(Closing):
    """One file on its way into a folder, for one thread at a time. Without `commit` nothing of it is left."""

    def __init__(self, key: str, tree: Tree, place: Place) -> None:
        self.key = key
        self._tree = tree
        self._place = place
        self._name = temporary_name()
        with tree.make(()) as root:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            self._fd = os.open(self._name, flags, 0o666, dir_fd=root.fd)

    def write(self, piece: bytes) -> None:
        """Append a piece. Raises StoreError."""
        rest = memoryview(piece)
        with failing(self.key):
            while rest:
                rest = rest[os.write(self._fd, rest) :]

    def commit(self, *, replace: bool) -> bool:
        """Put the file into its place and on disk; return False where there is one already that may not be replaced.

        Raises StoreError, not transient where a file is in the way of a folder or the other way round.
        """
        with failing(self.key):
            os.fsync(self._fd)
            for _ in range(_ATTEMPTS):
                with contextlib.suppress(FileNotFoundError):
                    return self._move(replace=replace)
        raise StoreError(f"{shown(self.key)}: its folder is removed again and again", transient=True)

    def close(self) -> None:
        """Let go of it; what was not committed is gone. Safe to repeat."""
        fd, self._fd = self._fd, -1
        if fd == -1:
            return
        os.close(fd)
        with contextlib.suppress(OSError), self._tree.make(()) as root:
            os.unlink(self._name, dir_fd=root.fd)

    def _move(self, *, replace: bool) -> bool:
        with self._tree.make(()) as root, self._tree.make(self._place.folders) as folder:
            if replace:
                os.rename(self._name, self._place.name, src_dir_fd=root.fd, dst_dir_fd=folder.fd)
            else:
                # Of rename and link, only link never replaces: https://man7.org/linux/man-pages/man2/link.2.html
                try:
                    os.link(self._name, self._place.name, src_dir_fd=root.fd, dst_dir_fd=folder.fd)
                except FileExistsError:
                    return False
                os.unlink(self._name, dir_fd=root.fd)
            sync_folder(folder.fd)
            return True
