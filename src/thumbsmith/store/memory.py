"""A store in this process's memory: for tests, and for trying things out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from threading import Lock
from typing import Self

from thumbsmith.store.base import MAX_KEY_BYTES, STRICT, Headers, ObjectInfo, Visitor, opts_out


@dataclass(frozen=True, slots=True)
class MemoryObject:
    """One version of an object, and a reader over it. Its bytes never change, so that no read ever fails."""

    info: ObjectInfo
    data: bytes
    headers: Headers

    @property
    def size(self) -> int:
        """Return the number of bytes."""
        return len(self.data)

    def read(self, offset: int, length: int) -> bytes:
        """Return the slice from `offset`, at most `length` bytes: of this version, also when it was replaced since."""
        return self.data[offset : offset + length]

    def close(self) -> None:
        """Do nothing: there is nothing to let go of."""


@dataclass(frozen=True, slots=True)
class MemoryStore:
    """Objects in memory, for all threads of this process. Etags are the MD5 of the content, as S3's mostly are."""

    name: str
    _objects: dict[str, MemoryObject] = field(default_factory=dict, repr=False, compare=False)
    _lock: Lock = field(default_factory=Lock, repr=False, compare=False)

    @property
    def url(self) -> str:
        """Return memory://NAME."""
        return f"memory://{self.name}"

    @property
    def longest_key(self) -> int:
        """Return how many bytes of UTF-8 a key may have: as many as in S3."""
        return MAX_KEY_BYTES

    def head(self, key: str) -> ObjectInfo | None:
        """Return the object as it is now, or None."""
        found = self.open(key)
        return found.info if found else None

    def open(self, key: str) -> MemoryObject | None:
        """Return the object's present version, or None; its headers are on it too."""
        with self._lock:
            return self._objects.get(key)

    def put(self, key: str, data: bytes, headers: Headers) -> str:
        """Store the object, replacing what was there; return the new etag."""
        content = bytes(data)
        etag = hashlib.md5(content, usedforsecurity=False).hexdigest()
        info = ObjectInfo(key, etag, len(content), opted_out=opts_out(headers.metadata))
        with self._lock:
            self._objects[key] = MemoryObject(info, content, headers)
        return etag

    def delete(self, key: str) -> None:
        """Remove this object, if it is there."""
        with self._lock:
            self._objects.pop(key, None)

    @property
    def etags_tell_content(self) -> bool:
        """Return True: they are the MD5 of the content."""
        return True

    @property
    def in_order(self) -> bool:
        """Return False: objects are listed as they came."""
        return False

    def list(
        self,
        prefix: str = "",
        *,
        after: str = "",
        visitor: Visitor = STRICT,  # noqa: ARG002 - no folder to enter
    ) -> Iterator[ObjectInfo]:
        """Yield every object whose key starts with `prefix`, as they were when the listing began."""
        with self._lock:
            found = [each.info for each in self._objects.values() if each.info.key.startswith(prefix)]
        yield from (info for info in found if info.key > after)

    def children(self, key: str) -> Iterator[ObjectInfo]:
        """Yield the objects directly under `key` + "/"."""
        start = len(key) + 1
        return (info for info in self.list(f"{key}/") if "/" not in info.key[start:])

    def as_destination(self) -> Self:
        """Return this store: it holds every key."""
        return self

    def reachable(self) -> None:
        """Do nothing: it always is."""

    def writable(self) -> None:
        """Do nothing: it always is."""

    def sweep(self) -> int:
        """Return 0: nothing is ever left behind."""
        return 0
