"""The folders of a store: found, made and removed by the components of keys."""

from __future__ import annotations

import contextlib
import errno
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from thumbsmith.store.beneath import CLOSED, Folder, locked, open_folder, open_root
from thumbsmith.store.entries import KnownEntries
from thumbsmith.store.failures import failing
from thumbsmith.store.names import is_shortened
from thumbsmith.store.naming import COMPONENT, Naming, read_component
from thumbsmith.store.temporary import write_whole

# mkdir: the name is taken by something that the entries did not show, or is none that this file system can hold.
_UNUSABLE_NAME: Final = frozenset({errno.EEXIST, errno.EINVAL, errno.EILSEQ})


@dataclass(frozen=True, slots=True)
class Tree:
    """The folders beneath the path `root`. They are returned open, for the caller to close. Methods raise OSError."""

    root: str
    naming: Naming
    known: KnownEntries

    def top(self) -> Folder | None:
        """Return the root, or None where it is missing."""
        return open_root(self.root, self.known)

    def find(self, components: tuple[str, ...]) -> Folder | None:
        """Return the folder for these components, or None where there is none."""
        here = self.top()
        for component in components:
            if here is None:
                break
            with here:
                here = self._enter(here, component)
        return here

    def make(self, components: tuple[str, ...]) -> Folder:
        """Return the folder for these components, made if need be, the root included.

        Raises FileNotFoundError where one was removed again meanwhile, FileExistsError where something is in the way.
        """
        here = self.top() or self._make_root()
        for component in components:
            with here:
                here = self._make(here, component)
        return here

    def enter(self, parent: Folder, name: str) -> Folder | None:
        """Return the folder that is called `name` on disk, or None where it is gone. Raises StoreError, naming it."""
        with failing(Folder(CLOSED, parent.known, parent, name, name)):
            component = self.naming.component(parent, name)
        with failing(Folder(CLOSED, parent.known, parent, name, component)):
            return open_folder(parent, name, component)

    def prune(self, names: list[str]) -> None:
        """Remove the folder at this path of names on disk if it is empty, then those above it, up to the root.

        What cannot be removed is left: an empty folder does no harm.
        """
        while names:
            *above, name = names
            with contextlib.suppress(OSError):
                parent = self._descend(above)
                if parent is None:
                    return
                with parent:
                    if not _remove_empty(parent, name):
                        return
            names = above

    def _descend(self, names: list[str]) -> Folder | None:
        here = self.top()
        for name in names:
            if here is None:
                break
            with here:
                here = open_folder(here, name, "")
        return here

    def _enter(self, parent: Folder, component: str) -> Folder | None:
        found = (open_folder(parent, name, component) for name in self.naming.spellings(component))
        return next((folder for folder in found if folder), None)

    def _make_root(self) -> Folder:
        Path(self.root).mkdir(parents=True, exist_ok=True)
        root = self.top()
        if root is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self.root)
        return root

    def _make(self, parent: Folder, component: str) -> Folder:
        folder = self._enter(parent, component) or self._create(parent, component)
        try:
            self.naming.note(folder)
        except BaseException:
            folder.close()
            raise
        return folder

    def _create(self, parent: Folder, component: str) -> Folder:
        with locked(parent):
            found = self._enter(parent, component)  # somebody may have made it while we waited
            if found is not None:
                return found
            free = self.naming.free_spellings(component, parent)
            name = next((name for name in free if _made(parent, name)), None)
            if name is None:
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), component)
            parent.known.add(parent.fd, name)
            folder = open_folder(parent, name, component)
        if folder is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), component)
        return folder


def _made(parent: Folder, name: str) -> bool:
    try:
        os.mkdir(name, dir_fd=parent.fd)
    except OSError as error:
        if error.errno in _UNUSABLE_NAME:
            return False
        raise
    return True


def _remove_empty(parent: Folder, name: str) -> bool:
    """Remove a folder in which nothing is, or nothing but its noted component; return whether it is gone."""
    try:
        os.rmdir(name, dir_fd=parent.fd)
    except FileNotFoundError:
        return True
    except OSError:
        return is_shortened(name) and _remove_noted(parent, name)
    return True


def _remove_noted(parent: Folder, name: str) -> bool:
    folder = open_folder(parent, name, "")
    if folder is None:
        return False
    with folder:
        component = read_component(folder)
        if component is None or os.listdir(folder.fd) != [COMPONENT]:  # noqa: PTH208 - pathlib knows no descriptors
            return False
        os.unlink(COMPONENT, dir_fd=folder.fd)
        try:
            os.rmdir(name, dir_fd=parent.fd)
        except OSError:
            write_whole(folder.fd, COMPONENT, component.encode())  # something was put there meanwhile
            return False
    return True
