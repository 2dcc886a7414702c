"""The protocol every store keeps: what `converge` and the planner ask for, and nothing else.

What the operating system's errors mean to a caller: one sentence, and whether trying again may help.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Protocol, Self

from thumbsmith.errors import StoreError
from thumbsmith.reader import RangeReader


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One object as a listing or a look at it tells: `etag` is opaque and changes whenever the content does.

    `opted_out` says that its owner wants no thumbnails of it, as far as that was looked at: `head` does, listings do
    not.
    """

    key: str
    etag: str
    size: int
    opted_out: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Headers:
    """What goes with an object where the store can hold it."""

    content_type: str
    cache_control: str = "public, max-age=60"
    metadata: Mapping[str, str] | None = None


# The user metadata, or the tag, by which an object's owner says that no thumbnails of it are wanted.
OPT_OUT: Final = ("thumbs", "off")


def opts_out(marks: Mapping[str, str] | None) -> bool:
    """Return whether user metadata, or tags, say `thumbs=off`."""
    name, value = OPT_OUT
    return marks is not None and marks.get(name) == value


class OpenObject(RangeReader, Protocol):
    """A range reader over one version of an object, to be closed."""

    @property
    def info(self) -> ObjectInfo:
        """Return the version that is being read."""
        ...

    def close(self) -> None:
        """Let go of it. Safe to repeat."""
        ...


def _all(folder: str) -> bool:  # noqa: ARG001 - every folder is entered
    return True


def _raised(key: str, error: StoreError) -> None:  # noqa: ARG001 - the error names the key
    raise error


def _ignored(key: str) -> None:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """What a listing asks and reports. By default it enters every folder and raises the first error.

    `enters` says whether a folder, given as its key without a final "/", is entered. `unreadable` receives the error
    for a file, by its key, or for a folder, by its key and a final "/": the listing goes on without it. `link`
    receives the key of every symbolic link, which no listing follows. Stores without folders call none of them.
    """

    enters: Callable[[str], bool] = _all
    unreadable: Callable[[str, StoreError], object] = _raised
    link: Callable[[str], object] = _ignored


STRICT: Final = Visitor()


# The longest key of S3 in UTF-8: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
MAX_KEY_BYTES: Final = 1024


class Store(Protocol):
    """Objects by key. Keys are any text of 1 to 1,024 UTF-8 bytes.

    Every method raises StoreError when the store fails: transient where trying again may help. An object that is not
    there is no failure: `head` and `open` answer None, `delete` does nothing.
    """

    @property
    def url(self) -> str:
        """Return the address for people, as `open_store` would take it."""
        ...

    @property
    def longest_key(self) -> int:
        """Return how many bytes of UTF-8 a key may have at most."""
        ...

    def head(self, key: str) -> ObjectInfo | None:
        """Return the object as it is now, and whether it is opted out, or None."""
        ...

    def open(self, key: str) -> OpenObject | None:
        """Return a reader over the object's present version, or None. Raises Rejected for one that is archived."""
        ...

    def put(self, key: str, data: bytes, headers: Headers) -> str:
        """Store the object whole or not at all, replacing what was there; return the new etag."""
        ...

    def delete(self, key: str) -> None:
        """Remove exactly this object, if it is there."""
        ...

    @property
    def etags_tell_content(self) -> bool:
        """Return whether the same bytes have the same etag again, so that no digest has to tell them."""
        ...

    @property
    def in_order(self) -> bool:
        """Return whether listings are promised to be in the order of the keys' code points."""
        ...

    def list(self, prefix: str = "", *, after: str = "", visitor: Visitor = STRICT) -> Iterator[ObjectInfo]:
        """Yield every object whose key starts with `prefix` and comes after `after` by code points, each once.

        A page at a time, in order where the store is `in_order`. The visitor decides what an unreadable part means.
        """
        ...

    def children(self, key: str) -> Iterator[ObjectInfo]:
        """Yield the objects directly under `key` + "/": those whose rest of the key holds no further "/"."""
        ...

    def as_destination(self) -> Self:
        """Return this store as a place for renditions of any key: itself where every key fits."""
        ...

    def reachable(self) -> None:
        """Raise StoreError, not transient, where nothing can be listed: a folder is missing or may not be read."""
        ...

    def writable(self) -> None:
        """Raise StoreError, not transient, where it is known in advance that nothing can be written."""
        ...

    def sweep(self) -> int:
        """Remove what writers that died left behind, never what a living one is writing; return how many files."""
        ...


# Conditions that pass by themselves or that somebody clears: a full disk, too many open files, a device or a server
# that does not answer. EFBIG is none of them: the same object meets the same limit again.
TRANSIENT: Final = frozenset(
    {
        errno.EAGAIN,
        errno.EBUSY,
        errno.EDQUOT,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.EINTR,
        errno.EIO,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOMEM,
        errno.ENOSPC,
        errno.ENOTCONN,
        errno.ESTALE,
        errno.ETIMEDOUT,
    }
)

# What it means when a name leads to nothing that can be read: nothing is there, or a file or a symbolic link where a
# folder should be.
GONE: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EMLINK})

# What a file system answers to a name that it cannot hold.
UNUSABLE_NAME: Final = frozenset({errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ})

# Conditions of one file or folder, or of a file system that is mounted below the root. They say nothing about the rest
# of the store. Some systems lack some of the names.
_OF_ONE_OBJECT: Final = frozenset(
    getattr(errno, name)
    for name in (
        *("EACCES", "EPERM", "EIO", "EBADMSG", "ENAMETOOLONG", "EINVAL", "EILSEQ"),
        *("ESTALE", "ENOTCONN", "EHOSTDOWN", "EHOSTUNREACH", "EREMOTEIO", "ENXIO", "ENODEV", "EUCLEAN", "ENOKEY"),
    )
    if hasattr(errno, name)
)


@contextmanager
def failing(subject: object) -> Iterator[None]:
    """Raise what the operating system reports as StoreError: "photos/a.jpg: No space left on device".

    `subject` is a key or a path, or something whose text is one.
    """
    try:
        yield
    except OSError as error:
        raise as_store_error(subject, error) from error
    except UnicodeEncodeError as error:
        words = f"no file can have this name in this process's encoding, {error.encoding}: set LC_ALL=C.UTF-8"
        raise StoreError(f"{shown(str(subject))}: {words}", transient=False, one_object=True) from error


def as_store_error(subject: object, error: OSError) -> StoreError:
    """Return the StoreError that `failing` raises for this error of the operating system."""
    words = os.strerror(error.errno) if error.errno else str(error)
    message, transient = f"{shown(str(subject))}: {words}", error.errno in TRANSIENT
    return StoreError(message, transient=transient, one_object=error.errno in _OF_ONE_OBJECT)


def shown(subject: str) -> str:
    """Return a key or path as one line for people: as it is where it can be printed, else quoted with escapes."""
    return subject if subject.isprintable() else ascii(subject)
