"""The contract of a store: objects by key, and what else `converge`, the commands and the web application need."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from itertools import groupby, islice
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, Self, TypeVar

from thumbsmith.errors import StoreError, UsageError
from thumbsmith.reader import RangeReader

if TYPE_CHECKING:
    from typing_extensions import override
else:
    # `typing.override` needs Python 3.12. Ruff accepts a method with this decorator without a docstring of its own.
    Method = TypeVar("Method")

    def override(method: Method) -> Method:
        """Mark a method that is described in the class that it overrides."""
        return method


__all__ = [
    "MAX_GROUP",
    "MAX_KEY_BYTES",
    "STRICT",
    "Group",
    "Headers",
    "ObjectInfo",
    "OpenObject",
    "PendingObject",
    "PresignedRequest",
    "Store",
    "Visitor",
    "opts_out",
    "override",
    "printable_key",
    "refuse_overlap",
]

# The longest key of S3 in UTF-8: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
MAX_KEY_BYTES: Final = 1024

# `Store.list_groups` yields at most this many objects at a time.
MAX_GROUP: Final = 1_000

# The user metadata or the tag with which the owner of an object asks for no thumbnails.
OPT_OUT: Final = ("thumbs", "off")

# Held while `Store.create` looks for an object and stores another one.
_CREATING: Final = Lock()


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One object, as `head` or a listing reports it. `size` is in bytes.

    `etag` is opaque and changes whenever the content does. `opted_out` is not set by a listing: the owner of the object
    wants no thumbnails of it. `modified` is when the content was written, in seconds since 1970, as far as the store
    tells. It is for people and caches, and does not identify a version.
    """

    key: str
    etag: str
    size: int
    opted_out: bool = False
    modified: float | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Headers:
    """What is stored with an object, in stores that can: media type, Cache-Control and user metadata."""

    content_type: str
    cache_control: str = "public, max-age=60"
    metadata: Mapping[str, str] | None = None


class Group(NamedTuple):
    """Objects whose keys have the same beginning: the `beginning` up to and including the last "/", which may be empty.

    `objects` are the rest of the key, the etag and the size in bytes of each.
    """

    beginning: str
    objects: Sequence[tuple[str, str, int]]


class OpenObject(RangeReader, Protocol):
    """A range reader over one version of an object. It must be closed."""

    @property
    def info(self) -> ObjectInfo:
        """Return the version that is read."""
        ...

    def close(self) -> None:
        """Release the object. May be repeated."""
        ...


class PendingObject(Protocol):
    """An object that arrives in pieces. The store has it, whole, after `commit`. It must be closed."""

    def write(self, piece: bytes) -> None:
        """Append a piece. Raises StoreError."""
        ...

    def commit(self, *, replace: bool) -> bool:
        """Store the object; return False where one exists that may not be replaced. Raises StoreError."""
        ...

    def close(self) -> None:
        """Discard what was not committed. May be repeated."""
        ...


@dataclass(frozen=True, slots=True)
class PresignedRequest:
    """A request that a client without credentials may make: its URL, and the headers that the client must send."""

    url: str
    headers: Mapping[str, str]


def _beginning(info: ObjectInfo) -> str:
    return info.key[: info.key.rfind("/") + 1]


def _enter_all(folder: str) -> bool:  # noqa: ARG001 - every folder is entered
    return True


def _raise(key: str, error: StoreError) -> None:  # noqa: ARG001 - the error names the key
    raise error


def _ignore(key: str) -> None:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """Callbacks of a listing. By default it enters every folder and raises the first error.

    `enters` returns whether a folder, given as its key without a final "/", is entered. `unreadable` receives the error
    for a file, by its key, or for a folder, by its key and a final "/"; the listing then continues without it. `link`
    receives the key of every symbolic link, which no listing follows. `leftover` receives the key of each folder with a
    temporary file, which `sweep` may remove. Stores without folders call none of them.
    """

    enters: Callable[[str], bool] = _enter_all
    unreadable: Callable[[str, StoreError], object] = _raise
    link: Callable[[str], object] = _ignore
    leftover: Callable[[str], object] = _ignore


STRICT: Final = Visitor()


class Store(ABC):
    """Objects by key. A key is any text of 1 to 1,024 bytes of UTF-8.

    A store inherits from this class and defines `url`, `head`, `open`, `put`, `delete` and `list`. The other members
    have defaults that are correct for any store; a store overrides them where it can do better.

    Every method raises StoreError when the store fails: transient where a retry may help. A missing object is no
    failure: `head` and `open` return None, `delete` does nothing.
    """

    __slots__ = ()

    @property
    @abstractmethod
    def url(self) -> str:
        """Return the address for people, as `open_store` takes it."""

    @abstractmethod
    def head(self, key: str) -> ObjectInfo | None:
        """Return the current version of the object and whether it is opted out, or None."""

    @abstractmethod
    def open(self, key: str) -> OpenObject | None:
        """Return a reader over the current version of the object and whether it is opted out, or None.

        Raises Rejected for an archived one.
        """

    def open_ahead(self, key: str) -> OpenObject | None:
        """Return what `open` returns, for an object that is read from its beginning soon, and mostly in full.

        A store that is billed by request may get more bytes with the first one.
        """
        return self.open(key)

    @abstractmethod
    def put(self, key: str, data: bytes, headers: Headers) -> str:
        """Store the object, replacing an earlier one; return the new etag. A failure leaves the earlier one intact."""

    def create(self, key: str, data: bytes, headers: Headers) -> bool:
        """Store the object if none has this key; return whether it was stored. Raises StoreError.

        Of several calls at the same time, one stores its object. Here this holds for one process; a store that can
        check and store in one step holds it for all.
        """
        with _CREATING:
            if self.head(key):
                return False
            self.put(key, data, headers)
            return True

    @abstractmethod
    def delete(self, key: str) -> None:
        """Remove exactly this object, if it exists."""

    @abstractmethod
    def list(self, prefix: str = "", *, after: str = "", visitor: Visitor = STRICT) -> Iterator[ObjectInfo]:
        """Yield once every object whose key starts with `prefix` and is greater than `after` by code points.

        The order of keys counts only where `lists_in_order` is True. The visitor decides what an unreadable part means.
        """

    def list_groups(self, prefix: str = "", *, visitor: Visitor = STRICT) -> Iterator[Group]:
        """Yield the objects of `list` in groups of at most MAX_GROUP. Keys in a group are the same up to a "/"."""
        for beginning, infos in groupby(self.list(prefix, visitor=visitor), _beginning):
            while objects := [(info.key[len(beginning) :], info.etag, info.size) for info in islice(infos, MAX_GROUP)]:
                yield Group(beginning, objects)

    def children(self, key: str) -> Iterator[ObjectInfo]:
        """Yield the objects directly under `key` + "/": the rest of their key has no further "/"."""
        start = len(key) + 1
        return (info for info in self.list(f"{key}/") if "/" not in info.key[start:])

    # Properties of the store

    @property
    def max_key_bytes(self) -> int:
        """Return how many bytes of UTF-8 a key may have at most."""
        return MAX_KEY_BYTES

    @property
    def etags_identify_content(self) -> bool:
        """Return whether equal bytes have equal etags, so that no digest of the bytes is needed."""
        return False

    @property
    def lists_in_order(self) -> bool:
        """Return whether listings are guaranteed to be in the order of the keys' code points."""
        return False

    @property
    def local_root(self) -> str | None:
        """Return the absolute path of the folder on this machine whose files are the objects; None for other stores."""
        return None

    @property
    def s3_location(self) -> tuple[str, str] | None:
        """Return bucket and prefix, as events of S3 name the objects; None for other stores."""
        return None

    def can_hold(self, key: str) -> bool:
        """Return whether an object can have this key."""
        try:
            return 0 < len(key.encode()) <= self.max_key_bytes
        except UnicodeEncodeError:
            return False

    def overlaps(self, other: Store) -> bool:
        """Return whether an object can be in both stores: their addresses are equal, or one is below the other."""
        one, two = (f"{store.url.rstrip('/')}/" for store in (self, other))
        return one.startswith(two) or two.startswith(one)

    # Views of the same objects

    def as_destination(self) -> Self:
        """Return this store as a place for thumbnails of any key: itself where every key fits."""
        return self

    def as_watched(self) -> Self:
        """Return this store for a process that runs long: its address is resolved again at each use."""
        return self

    def identity(self) -> object:
        """Return a value that changes if another store takes this one's place, as when a disk is unmounted.

        None for a store that is missing, or that nothing can replace.
        """
        return None

    def for_one_key(self) -> AbstractContextManager[Self]:
        """Return a block that yields this store for one thread that handles one key.

        In the block, the store may keep open what it opens. After a crash of the machine, the last objects of `put` may
        be missing; `put_last` ends such a sequence.
        """
        return nullcontext(self)

    @property
    def puts_at_once(self) -> bool:
        """Return whether it saves time to write several objects at once, from threads that share this store."""
        return False

    def put_last(self, key: str, data: bytes, headers: Headers) -> str:
        """Store an object that describes those of earlier calls of `put`; return the new etag.

        After a crash of the machine, the store never has this object without those.
        """
        return self.put(key, data, headers)

    # Checks, which raise StoreError

    def check_reachable(self) -> None:
        """Raise StoreError, not transient, where nothing can be listed: a folder is missing or may not be read."""
        next(iter(self.list()), None)

    def check_writable(self) -> None:  # noqa: B027 - nothing to check by default
        """Raise StoreError, not transient, where it is known in advance that nothing can be written."""

    def check_absence(self) -> None:  # noqa: B027 - nothing to check by default
        """Raise StoreError where `head` returned None because the whole store is missing, and not only the object."""

    def check_readable(self, key: str) -> None:  # noqa: B027 - nothing to check by default
        """Raise StoreError where the object exists, but this process may not read it. Other stores say so in `head`."""

    def explain_absence(self, key: str) -> str | None:  # noqa: ARG002 - for stores that know more
        """Return why `head` returned None although something has this name, as half a sentence; None if unknown."""
        return None

    # Uploads and downloads by clients of the web application

    def receive(self, key: str, headers: Headers) -> PendingObject:
        """Return an object to write in pieces. Raises StoreError, not transient where no object can have this key."""
        return _BufferedObject(self, key, headers)

    def presigned_put(
        self,
        key: str,  # noqa: ARG002 - for stores that can
        content_type: str,  # noqa: ARG002 - as above
        size: int,  # noqa: ARG002 - as above
        *,
        replace: bool,  # noqa: ARG002 - as above
        seconds: int,  # noqa: ARG002 - as above
    ) -> PresignedRequest | None:
        """Return a request that uploads one object of `size` bytes directly to the store; None where it takes none.

        It can be made for `seconds`. Without `replace` the store refuses it where the object exists.
        """
        return None

    def presigned_get(self, key: str, seconds: int) -> str | None:  # noqa: ARG002 - for stores that can
        """Return a URL that reads one object directly from the store for `seconds`; None where it has none."""
        return None

    @property
    def upload_origins(self) -> tuple[str, ...]:
        """Return the origins, scheme and host, of the URLs that `presigned_put` returns."""
        return ()

    # Maintenance

    def sweep(self) -> int:
        """Remove what interrupted writers left behind, but nothing that is being written; return how many files."""
        return 0


@dataclass(slots=True)
class _BufferedObject:
    """A pending object that is kept in memory until it is stored."""

    store: Store
    key: str
    headers: Headers
    _pieces: list[bytes] = field(default_factory=list)

    def write(self, piece: bytes) -> None:
        """Keep the piece."""
        self._pieces.append(piece)

    def commit(self, *, replace: bool) -> bool:
        """Store all pieces as one object."""
        data = b"".join(self._pieces)
        if not replace:
            return self.store.create(self.key, data, self.headers)
        self.store.put(self.key, data, self.headers)
        return True

    def close(self) -> None:
        """Drop the pieces."""
        self._pieces.clear()


def refuse_overlap(source: Store, destination: Store) -> None:
    """Raise UsageError if both stores share objects: thumbnails would then be taken for sources."""
    if source.overlaps(destination) or destination.overlaps(source):
        raise UsageError(
            f"source {source.url} and destination {destination.url} overlap: thumbnails would become images; put the"
            " destination next to the source, such as ../thumbs"
        )


def opts_out(marks: Mapping[str, Any] | None) -> bool:
    """Return whether user metadata, or tags, have `thumbs=off`."""
    name, value = OPT_OUT
    return marks is not None and marks.get(name) == value


def printable_key(text: str) -> str:
    """Return a key or path as one line for people: unchanged where it is printable, else quoted with escapes."""
    return text if text.isprintable() else ascii(text)
