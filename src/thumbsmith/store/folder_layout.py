"""How the keys of a folder store correspond to files: literally, as sources are stored, or mapped, for every key."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Protocol

from thumbsmith.recipe.names import is_managed_name
from thumbsmith.store.atomic_write import write_whole
from thumbsmith.store.base import override
from thumbsmith.store.file_names import (
    candidate_names,
    casefolded,
    decode_component,
    is_private,
    is_shortened,
    is_simple,
    plain_name,
    shortened_name,
)
from thumbsmith.store.safe_open import Folder, open_file, open_folder

# In the mapped layout: the file of the object whose key is that of the folder.
OBJECT_FILE: Final = ".thumbsmith-object"

# In a folder with a shortened name: the whole component, in UTF-8.
COMPONENT_FILE: Final = ".thumbsmith-name"

# A component is not longer than a key.
_MAX_COMPONENT_BYTES: Final = 1024

# A mapped listing puts this before a name that no component has. No key of ours contains a lone surrogate, and
# no file name that is not UTF-8 is decoded to this one.
FOREIGN_MARK: Final = "\udc00"


@dataclass(frozen=True, slots=True)
class Location:
    """Where the file of an object may be: components of folders, and the name of the file."""

    folders: tuple[str, ...]
    name: str


class Layout(Protocol):
    """How keys and names on disk correspond."""

    def locations(self, key: str) -> tuple[Location, ...]:
        """Return where the object may be, of which the first existing one counts. Empty for a key that does not fit.

        Each location is in the folder of the one before it, or below that.
        """
        ...

    def new_locations(self, key: str) -> tuple[Location, ...]:
        """Return where an object that does not exist may be stored, the best first."""
        ...

    def folder_names(self, component: str) -> tuple[str, ...]:
        """Return the names that a folder for this component may have, of which the first existing one counts."""
        ...

    def new_folder_names(self, component: str, parent: Folder) -> Iterable[str]:
        """Return the names that a new folder for this component may get in `parent`, the best first."""
        ...

    def record_component(self, folder: Folder) -> None:
        """Write the component of a folder down, if a listing cannot decode its name."""
        ...

    def component(self, parent: Folder, name: str) -> str:
        """Return the component of a key for the folder `name`."""
        ...

    def is_own_name(self, name: str) -> bool:
        """Return whether a file with this name is the object that has this name in the folder. False if not obvious."""
        ...

    def key(self, parent: Folder, name: str) -> str | None:
        """Return the key of the file `name`, or None where it is no object."""
        ...


@dataclass(frozen=True, slots=True)
class LiteralLayout(Layout):
    """A key is the path of a file. A name that is not UTF-8 is decoded as by `os.fsdecode`."""

    @override
    def locations(self, key: str) -> tuple[Location, ...]:
        *folders, name = key.split("/")
        if "\0" in key or not _is_encodable(key) or any(map(_is_no_object, (*folders, name))):
            return ()
        return (Location(tuple(folders), name),)

    @override
    def new_locations(self, key: str) -> tuple[Location, ...]:
        return self.locations(key)

    @override
    def folder_names(self, component: str) -> tuple[str, ...]:
        return () if _is_no_object(component) or "\0" in component or not _is_encodable(component) else (component,)

    @override
    def new_folder_names(self, component: str, parent: Folder) -> Iterable[str]:  # noqa: ARG002 - there is no choice
        return self.folder_names(component)

    @override
    def record_component(self, folder: Folder) -> None:
        pass

    @override
    def component(self, parent: Folder, name: str) -> str:  # noqa: ARG002 - the name is the component
        return name

    @override
    def is_own_name(self, name: str) -> bool:
        return not is_private(name)

    @override
    def key(self, parent: Folder, name: str) -> str | None:
        return None if is_private(name) else parent.key_of(name)


@dataclass(frozen=True, slots=True)
class MappedLayout(Layout):
    """Every key has exactly one location. The names of folders are those of file_names.py.

    A rendition or manifest is stored under its own name in the folder of its source: `photos/a.jpg/small.webp`. Where a
    folder with that name exists, for the source `photos/a.jpg/small.webp`, it is stored in that folder, as the object
    whose key the folder has. Objects with other names are always stored that way, so that they are never in the way of
    a folder. A plain file that another program put there is read, replaced and deleted as the object of its path.
    """

    @override
    def locations(self, key: str) -> tuple[Location, ...]:
        """Return the location as a plain file and the one in its own folder."""
        if not key or not _is_encodable(key, "strict"):
            return ()
        *folders, name = key.split("/")
        return Location(tuple(folders), _file_name(name)), Location((*folders, name), OBJECT_FILE)

    @override
    def new_locations(self, key: str) -> tuple[Location, ...]:
        """Return both locations for a rendition or manifest, only the one in its own folder for another object."""
        return self.locations(key) if is_managed_name(key.rpartition("/")[2]) else self.locations(key)[1:]

    @override
    def folder_names(self, component: str) -> tuple[str, ...]:
        return candidate_names(component) if _is_encodable(component, "strict") else ()

    @override
    def new_folder_names(self, component: str, parent: Folder) -> Iterable[str]:
        """Return the candidate names that no file system takes for an existing entry."""
        names = candidate_names(component)
        if casefolded(names[0]) not in parent.cache.entries(parent.fd).casefolded:
            return names
        taken = parent.cache.read(parent.fd).casefolded
        return (name for name in names if casefolded(name) not in taken)

    @override
    def record_component(self, folder: Folder) -> None:
        if is_shortened(folder.name) and read_component(folder) != folder.component:
            write_whole(folder.fd, COMPONENT_FILE, folder.component.encode())

    @override
    def component(self, parent: Folder, name: str) -> str:
        """Return the component; a foreign one for a name that no component has, or that is not the one that counts."""
        if is_simple(name):
            return name
        found = _recorded_component(parent, name) if is_shortened(name) else decode_component(name)
        if found is None:
            return FOREIGN_MARK + name
        # A tree that was copied into this one may have two folders for a component: the better name counts.
        better = itertools.takewhile(lambda other: other != name, candidate_names(found))
        return FOREIGN_MARK + name if any(_is_folder(parent, other) for other in better) else found

    @override
    def is_own_name(self, name: str) -> bool:
        return is_managed_name(name)

    @override
    def key(self, parent: Folder, name: str) -> str | None:
        """Return the key of a rendition, of an object in its own folder, and of a plain file; else a foreign key."""
        if name == OBJECT_FILE and parent.parent is not None:
            return parent.key
        if is_private(name):
            return None
        component = name if is_managed_name(name) else decode_component(name)
        is_plain = component is not None and _file_name(component) == name
        return parent.key_of(component if component is not None and is_plain else FOREIGN_MARK + name)


def read_component(folder: Folder) -> str | None:
    """Return the component that was written down in this folder, or None."""
    fd = open_file(folder, COMPONENT_FILE)
    if fd is None:
        return None
    with contextlib.closing(os.fdopen(fd, "rb")) as file:
        return file.read(_MAX_COMPONENT_BYTES).decode(errors="replace")


def _recorded_component(parent: Folder, name: str) -> str | None:
    folder = open_folder(parent, name, "")
    if folder is None:
        return None
    with folder:
        found = read_component(folder)
    return found if found is not None and "/" not in found and shortened_name(found) == name else None


def _file_name(component: str) -> str:
    return component if is_managed_name(component) else plain_name(component)


def _is_folder(parent: Folder, name: str) -> bool:
    folder = open_folder(parent, name, "")
    if folder is None:
        return False
    folder.close()
    return True


def _is_no_object(component: str) -> bool:
    return component in {"", ".", ".."} or is_private(component)


def _is_encodable(text: str, errors: str = "surrogateescape") -> bool:
    try:
        text.encode(errors=errors)
    except UnicodeEncodeError:
        return False
    return True
