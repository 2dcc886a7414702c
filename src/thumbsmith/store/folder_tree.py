"""The folders of a store: found, made and removed by the components of keys.

A file that arrives in pieces: kept under a temporary name, and in its place only once it is whole.

A reader over one version of a file, and what tells versions apart.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Final

from thumbsmith.errors import SourceChanged, StoreError
from thumbsmith.lifetime import Closing
from thumbsmith.store.base import ObjectInfo, printable
from thumbsmith.store.file_names import is_shortened, sync_folder, temporary_name, write_whole
from thumbsmith.store.folder_layout import COMPONENT, Naming, Place, read_component
from thumbsmith.store.os_errors import translate_os_errors
from thumbsmith.store.safe_open import CLOSED, DirectoryCache, Folder, locked, open_folder, open_root

# mkdir: the name is taken by something that the entries did not show, or is none that this file system can hold.
_UNUSABLE_NAME: Final = frozenset({errno.EEXIST, errno.EINVAL, errno.EILSEQ})


@dataclass(frozen=True, slots=True)
class Tree:
    """The folders beneath the path `root`. They are returned open, for the caller to close. Methods raise OSError."""

    root: str
    naming: Naming
    known: DirectoryCache

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
        with translate_os_errors(Folder(CLOSED, parent.known, parent, name, name)):
            component = self.naming.component(parent, name)
        with translate_os_errors(Folder(CLOSED, parent.known, parent, name, component)):
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


# The folder that the file belongs in is made anew where it is removed meanwhile: this many times.
_ATTEMPTS: Final = 100


class PendingFile(Closing):
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
        with translate_os_errors(self.key):
            while rest:
                rest = rest[os.write(self._fd, rest) :]

    def commit(self, *, replace: bool) -> bool:
        """Put the file into its place and on disk; return False where there is one already that may not be replaced.

        Raises StoreError, not transient where a file is in the way of a folder or the other way round.
        """
        with translate_os_errors(self.key):
            os.fsync(self._fd)
            for _ in range(_ATTEMPTS):
                with contextlib.suppress(FileNotFoundError):
                    return self._move(replace=replace)
        raise StoreError(f"{printable(self.key)}: its folder is removed again and again", transient=True)

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


def info(key: str, found: os.stat_result) -> ObjectInfo:
    """Return the object that a file with this status is. Its etag is another one after anything was written to it.

    A file that is replaced has another inode number, or the same one at another time; one that is written to has other
    times, of which ctime cannot be set back. So a change of owner or mode counts as well; that the bytes are
    the same then, a digest has to tell. Two versions that were
    written within one tick of the file system's clock, in place and of one size, are taken for one.
    """
    identity = f"{found.st_ino} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"
    return ObjectInfo(key, hashlib.sha256(identity.encode()).hexdigest()[:32], found.st_size)


@dataclass(frozen=True, slots=True)
class OpenFile:
    """One version of a file. It stays readable when the file is replaced or removed, not when it is written to."""

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
            raise SourceChanged(f"{printable(self.info.key)}: written to while it was read")
        return content

    def close(self) -> None:
        """Let go of the file. Safe to repeat."""
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
        # To be replaced by a rename, or to be removed, takes a link away, and that too moves ctime.
        return now.st_ctime_ns != self._opened.st_ctime_ns and now.st_nlink == self._opened.st_nlink
