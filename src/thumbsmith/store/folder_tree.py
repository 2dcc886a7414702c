"""The folders of a folder store, found and created by the components of keys, and a file that arrives in pieces."""

from __future__ import annotations

import contextlib
import errno
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from thumbsmith.errors import StoreError
from thumbsmith.lifetime import Closing
from thumbsmith.store.atomic_write import create_file, sync_folder, temporary_name, write_all, write_whole
from thumbsmith.store.base import printable_key
from thumbsmith.store.file_names import is_shortened
from thumbsmith.store.folder_layout import COMPONENT_FILE, Layout, Location, read_component
from thumbsmith.store.kept_folders import KeptFolders
from thumbsmith.store.os_errors import as_store_error, translate_os_errors
from thumbsmith.store.safe_open import DirectoryCache, Folder, locked, open_folder, open_listed_folder, open_root

# Another process may remove a folder that a delete left empty while a file is written to it. The folder is then created
# again, this many times.
MAX_ATTEMPTS: Final = 100

# mkdir: an entry has the name although the cache did not show it, or the file system cannot store the name.
_UNUSABLE_NAME: Final = frozenset({errno.EEXIST, errno.EINVAL, errno.EILSEQ})


@dataclass(frozen=True, slots=True)
class FolderTree:
    """The folders below the path `root`. They are returned open, and the caller closes them. Methods raise OSError.

    Folders that were opened before are taken from `kept`, if it is given.
    """

    root: str
    layout: Layout
    cache: DirectoryCache
    kept: KeptFolders | None = None

    def top(self) -> Folder | None:
        """Return the root, or None where it is missing."""
        return self.kept.root(self.root, self.cache) if self.kept else open_root(self.root, self.cache)

    def find(self, components: tuple[str, ...]) -> Folder | None:
        """Return the folder for these components, or None where it is missing."""
        return self.find_below(self.top(), components)

    def find_below(self, folder: Folder | None, components: tuple[str, ...]) -> Folder | None:
        """Return the folder for these components below an open one, which is closed; None where one is missing."""
        here = folder
        for component in components:
            if here is None:
                break
            with here:
                here = self._find_in(here, component)
        return here

    def make(self, components: tuple[str, ...]) -> Folder:
        """Return the folder for these components, created if necessary, with the root.

        Raises FileNotFoundError where another process removed one meanwhile, FileExistsError where a file is in the
        way.
        """
        here = self.top() or self._make_root()
        for component in components:
            with here:
                here = self._make_in(here, component)
        return here

    def enter(self, parent: Folder, name: str) -> Folder | None:
        """Return the folder with this name in a listing of `parent`; None where it was removed. Raises StoreError."""
        component = name
        try:
            component = self.layout.component(parent, name)
            return open_listed_folder(parent, name, component)
        except OSError as error:
            raise as_store_error(parent.key_of(component), error) from error

    def prune(self, names: list[str]) -> None:
        """Remove the folder at this path of names on disk if it is empty, then its parents, up to the root.

        A folder that cannot be removed stays: an empty folder does no harm.
        """
        while names:
            *above, name = names
            with contextlib.suppress(OSError):
                parent = self._find_by_names(above)
                if parent is None:
                    return
                with parent:
                    if not _remove_empty(parent, name):
                        return
            names = above

    def _find_by_names(self, names: list[str]) -> Folder | None:
        here = self.top()
        for name in names:
            if here is None:
                break
            with here:
                here = open_folder(here, name, "")
        return here

    def _find_in(self, parent: Folder, component: str) -> Folder | None:
        found = (self._open(parent, name, component) for name in self.layout.folder_names(component))
        return next((folder for folder in found if folder), None)

    def _open(self, parent: Folder, name: str, component: str) -> Folder | None:
        return self.kept.folder(parent, name, component) if self.kept else open_folder(parent, name, component)

    def _make_root(self) -> Folder:
        Path(self.root).mkdir(parents=True, exist_ok=True)
        root = self.top()
        if root is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self.root)
        return root

    def _make_in(self, parent: Folder, component: str) -> Folder:
        folder = self._find_in(parent, component) or self._create(parent, component)
        try:
            self.layout.record_component(folder)
        except BaseException:
            folder.close()
            raise
        return folder

    def _create(self, parent: Folder, component: str) -> Folder:
        with locked(parent):
            found = self._find_in(parent, component)  # another process may have created it before the lock
            if found is not None:
                return found
            names = self.layout.new_folder_names(component, parent)
            name = next((name for name in names if _created(parent, name)), None)
            if name is None:
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), component)
            parent.cache.add(parent.fd, name)
            folder = self._open(parent, name, component)
        if folder is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), component)
        return folder


def _created(parent: Folder, name: str) -> bool:
    try:
        os.mkdir(name, dir_fd=parent.fd)
    except OSError as error:
        if error.errno in _UNUSABLE_NAME:
            return False
        raise
    return True


def _remove_empty(parent: Folder, name: str) -> bool:
    """Remove a folder that is empty, or contains only its recorded component; return whether it is removed."""
    try:
        os.rmdir(name, dir_fd=parent.fd)
    except FileNotFoundError:
        return True
    except OSError:
        return is_shortened(name) and _remove_shortened(parent, name)
    return True


def _remove_shortened(parent: Folder, name: str) -> bool:
    folder = open_folder(parent, name, "")
    if folder is None:
        return False
    with folder:
        component = read_component(folder)
        if component is None or os.listdir(folder.fd) != [COMPONENT_FILE]:  # noqa: PTH208 - pathlib takes no descriptor
            return False
        os.unlink(COMPONENT_FILE, dir_fd=folder.fd)
        try:
            os.rmdir(name, dir_fd=parent.fd)
        except OSError:
            write_whole(folder.fd, COMPONENT_FILE, component.encode())  # another process put a file there meanwhile
            return False
    return True


class PendingFile(Closing):
    """A file that arrives in pieces, for one thread at a time. Without `commit` it leaves nothing in the store."""

    def __init__(self, key: str, tree: FolderTree, location: Location) -> None:
        """Create a temporary file. Raises OSError."""
        self.key = key
        self._tree = tree
        self._location = location
        self._name = temporary_name()
        with tree.make(()) as root:
            self._fd = create_file(root.fd, self._name)

    def write(self, piece: bytes) -> None:
        """Append a piece. Raises StoreError."""
        with translate_os_errors(self.key):
            write_all(self._fd, piece)

    def commit(self, *, replace: bool) -> bool:
        """Store the file on disk under its key; return False where one exists that may not be replaced.

        Raises StoreError, not transient where a file is in the way of a folder, or a folder in the way of a file.
        """
        with translate_os_errors(self.key):
            os.fsync(self._fd)
            for _ in range(MAX_ATTEMPTS):
                with contextlib.suppress(FileNotFoundError):
                    return self._move(replace=replace)
        raise StoreError(f"{printable_key(self.key)}: its folder is removed again and again", transient=True)

    def close(self) -> None:
        """Close the file, and remove it if it was not committed. May be repeated."""
        fd, self._fd = self._fd, -1
        if fd == -1:
            return
        os.close(fd)
        with contextlib.suppress(OSError), self._tree.make(()) as root:
            os.unlink(self._name, dir_fd=root.fd)

    def _move(self, *, replace: bool) -> bool:
        with self._tree.make(()) as root, self._tree.make(self._location.folders) as folder:
            if replace:
                os.rename(self._name, self._location.name, src_dir_fd=root.fd, dst_dir_fd=folder.fd)
            else:
                # Of rename and link, only link never replaces: https://man7.org/linux/man-pages/man2/link.2.html
                try:
                    os.link(self._name, self._location.name, src_dir_fd=root.fd, dst_dir_fd=folder.fd)
                except FileExistsError:
                    return False
                os.unlink(self._name, dir_fd=root.fd)
            sync_folder(folder.fd)
            return True
