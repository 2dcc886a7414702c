"""A folder as a store. As a source its keys are the paths of files; as a destination it holds every key."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from io import FileIO
from pathlib import Path
from typing import Final, Self, TypeVar

from thumbsmith.errors import StoreError, StoreFull
from thumbsmith.store.atomic_write import check_write, is_abandoned, is_temporary, write_whole
from thumbsmith.store.base import MAX_GROUP, STRICT, Group, Headers, ObjectInfo, Store, Visitor, override, printable_key
from thumbsmith.store.file_names import MAX_NAME_BYTES, is_private
from thumbsmith.store.folder_layout import OBJECT_FILE, Layout, LiteralLayout, Location, MappedLayout
from thumbsmith.store.folder_tree import MAX_ATTEMPTS, FolderTree, PendingFile
from thumbsmith.store.kept_folders import KeptFolders
from thumbsmith.store.os_errors import FULL, as_store_error, reason, translate_os_errors
from thumbsmith.store.safe_open import (
    DirectoryCache,
    Folder,
    OpenFile,
    file_etag,
    object_info,
    open_file,
    open_listed_folder,
    stat_file,
)
from thumbsmith.store.walk import walk

T = TypeVar("T")

# Only a file that lacks one of these bits may be unreadable.
_READABLE_BY_ALL: Final = stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH


@dataclass(frozen=True, slots=True)
class FolderStore(Store):
    """The regular files below `root`, an absolute path. No symbolic link below it is followed.

    `given` is the path before its links were resolved. With `resolving` they are resolved again at each use.

    Files whose names begin with ".thumbsmith-" belong to the store and are no objects. A folder stores no headers, and
    its listings have no order. The etag of a file also changes with its mode, owner, times and inode number.
    """

    root: str
    layout: Layout = field(default_factory=LiteralLayout)
    given: str = ""
    resolving: bool = False
    _cache: DirectoryCache = field(default_factory=DirectoryCache, repr=False, compare=False)
    _kept: KeptFolders | None = field(default=None, repr=False, compare=False)

    @property
    @override
    def url(self) -> str:
        return os.path.realpath(self.root) if self.resolving else self.root

    @property
    @override
    def local_root(self) -> str:
        return self.root

    @override
    def as_watched(self) -> Self:
        return replace(self, root=self.given or self.root, resolving=True)

    @override
    def identity(self) -> object:
        """Return the device and inode numbers of the root, None if it is missing."""
        try:
            found = Path(self.root).stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    @override
    def as_destination(self) -> Self:
        return self if isinstance(self.layout, MappedLayout) else replace(self, layout=MappedLayout())

    @override
    @contextlib.contextmanager
    def for_one_key(self) -> Iterator[Self]:
        with KeptFolders() as kept:
            yield replace(self, _kept=kept)

    @override
    def can_hold(self, key: str) -> bool:
        if not Store.can_hold(self, key) or not self.layout.locations(key):
            return False
        return isinstance(self.layout, MappedLayout) or all(
            len(part.encode()) <= MAX_NAME_BYTES for part in key.split("/")
        )

    @override
    def overlaps(self, other: Store) -> bool:
        """Compare the paths without links, and what they lead to.

        A folder that is mounted twice, or is written in another case on a file system that ignores case, is one folder.
        """
        if other.local_root is None:
            return False
        one, two = Path(os.path.realpath(self.root)), Path(os.path.realpath(other.local_root))
        return _contains(one, two) or _contains(two, one)

    @override
    def head(self, key: str) -> ObjectInfo | None:
        """Return the regular file, or None: also for a symbolic link, a FIFO, a device."""
        with translate_os_errors(key):
            found = self._first(key, stat_file)
        return object_info(key, found) if found else None

    @override
    def open(self, key: str) -> OpenFile | None:
        with translate_os_errors(key):
            fd = self._first(key, open_file)
            if fd is None:
                return None
            file, opened = FileIO(fd), os.fstat(fd)
        return OpenFile(object_info(key, opened), file, opened)

    @override
    def put(self, key: str, data: bytes, headers: Headers) -> str:  # noqa: ARG002 - a folder stores no headers
        """Store the object. It is on disk when this returns; in the block of `for_one_key`, its name may not be."""
        return self._put(key, data, last=False)

    @override
    def put_last(self, key: str, data: bytes, headers: Headers) -> str:  # noqa: ARG002 - as above
        """Store the object; it gets its name after the names of the others are on disk."""
        return self._put(key, data, last=True)

    @override
    def receive(self, key: str, headers: Headers) -> PendingFile:  # noqa: ARG002 - a folder stores no headers
        locations = self.layout.new_locations(key)
        if not locations:
            raise StoreError(f"{printable_key(key)}: no object can have this key here", transient=False)
        with translate_os_errors(key):
            return PendingFile(key, self._tree, locations[0])

    @override
    def delete(self, key: str) -> None:
        """Remove exactly this file, then the folders that are empty without it."""
        with translate_os_errors(key):
            for location in self.layout.locations(key):
                self._remove(location)

    @override
    def list(self, prefix: str = "", *, after: str = "", visitor: Visitor = STRICT) -> Iterator[ObjectInfo]:
        for beginning, objects in self.list_groups(prefix, visitor=visitor):
            for name, etag, size in objects:
                key = beginning + name
                if key > after:
                    yield ObjectInfo(key, etag, size)

    @override
    def list_groups(self, prefix: str = "", *, visitor: Visitor = STRICT) -> Iterator[Group]:
        """Yield the objects as the contract says; none where the root is missing.

        The visitor receives the folders and files that cannot be read. Raises StoreError where the root cannot be read.
        """
        *folders, _ = prefix.split("/")
        if folders and not visitor.enters("/".join(folders)):
            return
        try:
            with translate_os_errors("/".join(folders) or self.root):
                start = self._tree.find(tuple(folders))
        except StoreError as error:
            _report(visitor, "/".join(folders), error)
            return
        if start is None:
            return

        def enter(parent: Folder, name: str) -> Folder | None:
            return self._enter_towards(prefix, parent, name, visitor)

        with start:
            for parent, entries in walk(start, enter, lambda folder, error: _report(visitor, folder.key, error)):
                yield from self._grouped(parent, entries, prefix, visitor)

    @override
    def children(self, key: str) -> Iterator[ObjectInfo]:
        with translate_os_errors(key):
            folder = self._tree.find(tuple(key.split("/")))
            if folder is None:
                return
            with folder, os.scandir(folder.fd) as entries:
                for entry in entries:
                    is_folder = entry.is_dir(follow_symlinks=False)
                    found = self._own_object(folder, entry.name) if is_folder else self._object(folder, entry)
                    if found and found.key != key:
                        yield found

    @override
    def check_reachable(self) -> None:
        """Raise StoreError, not transient, where the root is missing, is no folder, or may not be read."""
        try:
            os.scandir(self.root).close()
            os.stat(os.path.join(self.root, "."))  # noqa: PTH116, PTH118 - pathlib removes the dot. May it be entered?
        except OSError as error:
            problem = reason(error)
            if isinstance(error, NotADirectoryError):
                problem += ": expected a folder, found another kind of file"
            raise StoreError(f"{printable_key(self.root)}: {problem}", transient=False) from error

    @override
    def check_absence(self) -> None:
        """Raise StoreError where the root is missing: that says nothing about one file."""
        self.check_reachable()

    @override
    def check_readable(self, key: str) -> None:
        reader = self.open(key)
        if reader is not None:
            with contextlib.closing(reader):
                reader.read(0, 1)

    @override
    def explain_absence(self, key: str) -> str | None:
        parts = key.split("/")
        paths = [os.path.join(self.root, *parts[:end]) for end in range(1, len(parts) + 1)]  # noqa: PTH118 - no error
        if any(map(os.path.islink, paths)):
            return "it is a symbolic link, or in a folder that is one; links are not followed"
        if os.path.lexists(paths[-1]) and not os.path.isdir(paths[-1]):  # noqa: PTH112 - of the system is raised
            return "it is a pipe, a socket or a device: only regular files are sources"
        return None

    @override
    def check_writable(self) -> None:
        """Write a temporary file and remove it; create the root where it is missing.

        Raises StoreError, not transient, if that fails; StoreFull if the disk is full.
        """
        try:
            with self._tree.make(()) as root:
                check_write(root.fd)
        except OSError as error:
            message = f"{printable_key(self.root)}: nothing can be written there: {reason(error)}"
            raise (StoreFull if error.errno in FULL else StoreError)(message, transient=False) from error

    @override
    def sweep(self) -> int:
        """Remove the temporary files of writers that died, and folders that are empty then; return how many files.

        A folder or file that cannot be entered or removed stays: it does no harm.
        """
        with translate_os_errors(self.root):
            root = self._tree.top()
            if root is None:
                return 0
            with root:
                found = walk(root, self._enter_or_skip, lambda _folder, _error: None)
                return sum(
                    _remove_abandoned(parent, entry, self._tree) for parent, entries in found for entry in entries
                )

    @property
    def _tree(self) -> FolderTree:
        return FolderTree(self.url, self.layout, self._cache, self._kept)

    def _first(self, key: str, look: Callable[[Folder, str], T | None]) -> T | None:
        """Return what `look` finds at the first location of the key where it finds something."""
        found = self._found(self.layout.locations(key), look)
        return found[1] if found else None

    def _found(
        self, locations: tuple[Location, ...], look: Callable[[Folder, str], T | None]
    ) -> tuple[Location, T] | None:
        """Return the first location where `look` finds something, and what it finds.

        Each location is in the folder of the one before it, or below that.
        """
        tree, depth = self._tree, 0
        with contextlib.ExitStack() as opened:
            here = tree.top() if locations else None
            for location in locations:
                here = tree.find_below(here, location.folders[depth:])
                if here is None:
                    break
                opened.enter_context(here)
                depth = len(location.folders)
                found = look(here, location.name)
                if found is not None:
                    return location, found
        return None

    def _put(self, key: str, data: bytes, *, last: bool) -> str:
        with translate_os_errors(key):
            for _ in range(MAX_ATTEMPTS):
                with contextlib.suppress(FileNotFoundError):
                    return file_etag(self._write(key, data, last=last))
        raise StoreError(f"{printable_key(key)}: its folder is removed again and again", transient=True)

    def _write(self, key: str, data: bytes, *, last: bool) -> os.stat_result:
        existing = self._found(self.layout.locations(key), stat_file)
        for location in (existing[0],) if existing else self.layout.new_locations(key):
            with contextlib.suppress(IsADirectoryError), self._tree.make(location.folders) as folder:
                if self._kept:
                    return self._kept.write(folder, location.name, data, last=last)
                return write_whole(folder.fd, location.name, data)
        raise StoreError(f"{printable_key(key)}: no object can have this key here", transient=False)

    def _remove(self, location: Location) -> None:
        """Remove the file at this location, if it exists, and the folders that are empty without it."""
        folder = self._tree.find(location.folders)
        if folder is None:
            return
        with folder:
            if stat_file(folder, location.name) is None:
                return
            with contextlib.suppress(FileNotFoundError):
                os.unlink(location.name, dir_fd=folder.fd)
        self._tree.prune(folder.names)

    def _object(self, parent: Folder, entry: os.DirEntry[str]) -> ObjectInfo | None:
        """Return an entry of a folder as an object, or None where it is none, or was removed."""
        key = self.layout.key(parent, entry.name)
        if key is None:
            return None
        with translate_os_errors(key), contextlib.suppress(FileNotFoundError):
            found = entry.stat(follow_symlinks=False)
            return object_info(key, found) if stat.S_ISREG(found.st_mode) else None
        return None

    def _grouped(
        self, parent: Folder, entries: Iterable[os.DirEntry[str]], prefix: str, visitor: Visitor
    ) -> Iterator[Group]:
        """Yield the entries of one folder that are objects whose keys start with `prefix`; report unreadable ones."""
        beginning, objects = parent.key_of(""), []
        for entry in entries:
            name = entry.name
            is_own = self.layout.is_own_name(name)
            key = beginning + name if is_own else self.layout.key(parent, name)
            if key is None and is_temporary(name):
                visitor.leftover(parent.key)
            found = _regular_file(parent, entry, key, visitor) if key and key.startswith(prefix) else None
            if found is None or key is None:
                continue
            if is_own:
                objects.append((name, file_etag(found), found.st_size))
                if len(objects) == MAX_GROUP:
                    yield Group(beginning, objects)
                    objects = []
            else:
                above, slash, rest = key.rpartition("/")
                yield Group(above + slash, [(rest, file_etag(found), found.st_size)])
        if objects:
            yield Group(beginning, objects)

    def _own_object(self, parent: Folder, name: str) -> ObjectInfo | None:
        """Return the object whose key is that of the folder `name`, or None."""
        folder = self._tree.enter(parent, name)
        if folder is None:
            return None
        with folder:
            key, found = self.layout.key(folder, OBJECT_FILE), stat_file(folder, OBJECT_FILE)
            return object_info(key, found) if key and found else None

    def _enter_towards(self, prefix: str, parent: Folder, name: str, visitor: Visitor) -> Folder | None:
        """Return the folder `name`, or None where no key in it can start with `prefix` or the visitor leaves it out."""
        component = name
        try:
            component = self.layout.component(parent, name)
            key = parent.key_of(component)
            towards = f"{key}/".startswith(prefix) or prefix.startswith(key)
            return open_listed_folder(parent, name, component) if towards and visitor.enters(key) else None
        except OSError as error:
            key = parent.key_of(component)
            _report(visitor, key, as_store_error(key, error))
            return None

    def _enter_or_skip(self, parent: Folder, name: str) -> Folder | None:
        with contextlib.suppress(StoreError):
            return self._tree.enter(parent, name)
        return None


def _contains(outer: Path, inner: Path) -> bool:
    return any(folder == outer or _is_same(folder, outer) for folder in (inner, *inner.parents))


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def _report(visitor: Visitor, folder: str, error: StoreError) -> None:
    """Report a folder. Raises StoreError where it is the root: without it there is no listing."""
    if not folder:
        raise StoreError(str(error), transient=error.transient) from error
    visitor.unreadable(f"{folder}/", error)


def _regular_file(parent: Folder, entry: os.DirEntry[str], key: str, visitor: Visitor) -> os.stat_result | None:
    """Return the status of a regular file; None, and tell the visitor, for a link and for an unreadable file."""
    try:
        found = entry.stat(follow_symlinks=False)
        if stat.S_ISREG(found.st_mode):
            if found.st_mode & _READABLE_BY_ALL != _READABLE_BY_ALL:
                _require_readable(parent, entry.name)
            return found
        if stat.S_ISLNK(found.st_mode):
            visitor.link(key)
    except FileNotFoundError:
        pass
    except OSError as error:
        visitor.unreadable(key, as_store_error(key, error))
    return None


def _require_readable(parent: Folder, name: str) -> None:
    """Raise PermissionError for a file that this process may not read."""
    if not os.access(name, os.R_OK, dir_fd=parent.fd, effective_ids=os.access in os.supports_effective_ids):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), name)


def _remove_abandoned(parent: Folder, entry: os.DirEntry[str], tree: FolderTree) -> bool:
    with contextlib.suppress(OSError):
        if is_private(entry.name) and is_abandoned(entry.name, entry.stat(follow_symlinks=False).st_mtime):
            os.unlink(entry.name, dir_fd=parent.fd)
            tree.prune(parent.names)
            return True
    return False
