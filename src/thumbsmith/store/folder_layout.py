"""Two ways to lay keys out in a folder: literally, as sources lie there, and mapped, so that every key fits."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Protocol

from thumbsmith.recipe.names import is_managed_name
from thumbsmith.store.file_names import (
    component_of,
    fold,
    is_private,
    is_shortened,
    plain,
    shortened,
    spellings,
    write_whole,
)
from thumbsmith.store.safe_open import Folder, open_file, open_folder

# In the mapped view: the object whose key is that of the folder it lies in.
OBJECT: Final = ".thumbsmith-object"

# In a folder whose name is shortened: the whole component, in UTF-8.
COMPONENT: Final = ".thumbsmith-name"

# A component is not longer than a key.
_MAX_COMPONENT_BYTES: Final = 1024

# Begins what a mapped listing shows for a name that stands for no component. No key of ours holds a lone surrogate, and
# no file name that is not UTF-8 is read as this one.
FOREIGN: Final = "\udc00"


@dataclass(frozen=True, slots=True)
class Place:
    """Where an object may lie: components of folders, and the name of the file."""

    folders: tuple[str, ...]
    name: str


class Naming(Protocol):
    """How keys and names on disk belong together."""

    def places(self, key: str) -> tuple[Place, ...]:
        """Return where the object may lie, the first one that is there counts; none for a key that can lie nowhere."""
        ...

    def new_places(self, key: str) -> tuple[Place, ...]:
        """Return where the object may be put that is nowhere yet, the best first."""
        ...

    def spellings(self, component: str) -> tuple[str, ...]:
        """Return the names that a folder for this component may have; the first one that is there counts."""
        ...

    def free_spellings(self, component: str, parent: Folder) -> Iterable[str]:
        """Return the names that a new folder for this component may be given in `parent`, the best first."""
        ...

    def note(self, folder: Folder) -> None:
        """Do what is left to do for a folder that is about to be written to, so that a listing can read its name."""
        ...

    def component(self, parent: Folder, name: str) -> str:
        """Return the component of a key that the folder `name` stands for."""
        ...

    def key(self, parent: Folder, name: str) -> str | None:
        """Return the key of the file `name`, or None where it is no object."""
        ...


@dataclass(frozen=True, slots=True)
class Literal:
    """A key is the path as it is on disk. A name that is not UTF-8 is text as `os.fsdecode` gives it."""

    def places(self, key: str) -> tuple[Place, ...]:
        """Return the one path that is spelled like the key, unless no file can have it or it is not an object's."""
        *folders, name = key.split("/")
        if "\0" in key or not _is_encodable(key) or any(map(_is_no_object, (*folders, name))):
            return ()
        return (Place(tuple(folders), name),)

    def new_places(self, key: str) -> tuple[Place, ...]:
        """Return the same."""
        return self.places(key)

    def spellings(self, component: str) -> tuple[str, ...]:
        """Return the component itself."""
        return () if _is_no_object(component) or "\0" in component or not _is_encodable(component) else (component,)

    def free_spellings(self, component: str, parent: Folder) -> Iterable[str]:  # noqa: ARG002 - there is no choice
        """Return the component itself."""
        return self.spellings(component)

    def note(self, folder: Folder) -> None:
        """Do nothing: the name says all."""

    def component(self, parent: Folder, name: str) -> str:  # noqa: ARG002 - the name says all
        """Return the name itself."""
        return name

    def key(self, parent: Folder, name: str) -> str | None:
        """Return the path, or None for what is the store's own business."""
        return None if is_private(name) else _joined(parent, name)


@dataclass(frozen=True, slots=True)
class Mapped:
    """Every key has its place, and only one. How a folder is called that stands for a component, names.py says.

    What we make lies under its own name in the folder of its source: `photos/a.jpg/small.webp`. Where a folder of that
    name is there already, for the source `photos/a.jpg/small.webp`, it lies in that folder, as the object whose key the
    folder has. So do all objects of other names, which then never stand in the way of a folder; but a plain file that
    somebody put there is read, replaced and deleted as the object that it looks like.
    """

    def places(self, key: str) -> tuple[Place, ...]:
        """Return the place as a plain file and the one in its own folder; none for a key that is empty or not UTF-8."""
        if not key or not _is_encodable(key, "strict"):
            return ()
        *folders, name = key.split("/")
        return Place(tuple(folders), _file_name(name)), Place((*folders, name), OBJECT)

    def new_places(self, key: str) -> tuple[Place, ...]:
        """Return both places for what is ours, the one in its own folder for anything else."""
        return self.places(key) if is_managed_name(key.rpartition("/")[2]) else self.places(key)[1:]

    def spellings(self, component: str) -> tuple[str, ...]:
        """Return the component's plain, strict and shortened spelling, those that fit."""
        return spellings(component) if _is_encodable(component, "strict") else ()

    def free_spellings(self, component: str, parent: Folder) -> Iterable[str]:
        """Return the spellings that no entry resembles, on any file system."""
        names = spellings(component)
        if fold(names[0]) not in parent.known.of(parent.fd).folded:
            return names
        taken = parent.known.read(parent.fd).folded
        return (name for name in names if fold(name) not in taken)

    def note(self, folder: Folder) -> None:
        """Write down the component of a folder whose name is shortened."""
        if is_shortened(folder.name) and read_component(folder) != folder.component:
            write_whole(folder.fd, COMPONENT, folder.component.encode())

    def component(self, parent: Folder, name: str) -> str:
        """Return the component that is spelled `name`; where it is none, or not the one that counts, a foreign one."""
        found = _noted(parent, name) if is_shortened(name) else component_of(name)
        if found is None:
            return FOREIGN + name
        # A tree that was copied into this one may hold a component twice: the better spelling is the one that is used.
        better = itertools.takewhile(lambda other: other != name, spellings(found))
        return FOREIGN + name if any(_is_folder(parent, other) for other in better) else found

    def key(self, parent: Folder, name: str) -> str | None:
        """Return the key of what is ours, of an object in its own folder, and of a plain file; else a foreign one."""
        if name == OBJECT and parent.above is not None:
            return parent.key
        if is_private(name):
            return None
        component = name if is_managed_name(name) else component_of(name)
        is_plain = component is not None and _file_name(component) == name
        return _joined(parent, component if component is not None and is_plain else FOREIGN + name)


def read_component(folder: Folder) -> str | None:
    """Return the component that was written down in this folder, or None."""
    fd = open_file(folder, COMPONENT)
    if fd is None:
        return None
    with contextlib.closing(os.fdopen(fd, "rb")) as file:
        return file.read(_MAX_COMPONENT_BYTES).decode(errors="replace")


def _file_name(component: str) -> str:
    return component if is_managed_name(component) else plain(component)


def _noted(parent: Folder, name: str) -> str | None:
    folder = open_folder(parent, name, "")
    if folder is None:
        return None
    with folder:
        found = read_component(folder)
    return found if found is not None and "/" not in found and shortened(found) == name else None


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


def _joined(parent: Folder, component: str) -> str:
    return f"{parent.key}/{component}" if parent.above is not None else component
