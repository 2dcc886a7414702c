"""A store in the memory of this process: for tests and experiments."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from threading import Lock

from thumbsmith.store.base import STRICT, Headers, ObjectInfo, Store, Visitor, opts_out, override


@dataclass(frozen=True, slots=True)
class MemoryObject:
    """One version of an object, and a reader over it. Its bytes never change, so that no read fails."""

    info: ObjectInfo
    data: bytes
    headers: Headers

    @property
    def size(self) -> int:
        """Return the number of bytes."""
        return len(self.data)

    def read(self, offset: int, length: int) -> bytes:
        """Return at most `length` bytes of this version from `offset`, also when it was replaced since."""
        return self.data[offset : offset + length]

    def close(self) -> None:
        """Do nothing."""


@dataclass(frozen=True, slots=True)
class MemoryStore(Store):
    """Objects in memory, for all threads of this process. Etags are the MD5 of the content, as in S3 for most objects.

    Listings are in the order in which the objects were first put.
    """

    name: str
    _objects: dict[str, MemoryObject] = field(default_factory=dict, repr=False, compare=False)
    _lock: Lock = field(default_factory=Lock, repr=False, compare=False)

    @property
    @override
    def url(self) -> str:
        return f"memory://{self.name}"

    @override
    def head(self, key: str) -> ObjectInfo | None:
        found = self.open(key)
        return found.info if found else None

    @override
    def open(self, key: str) -> MemoryObject | None:
        with self._lock:
            return self._objects.get(key)

    @override
    def put(self, key: str, data: bytes, headers: Headers) -> str:
        found = _new_object(key, data, headers)
        with self._lock:
            self._objects[key] = found
        return found.info.etag

    @override
    def create(self, key: str, data: bytes, headers: Headers) -> bool:
        found = _new_object(key, data, headers)
        with self._lock:
            return self._objects.setdefault(key, found) is found

    @override
    def delete(self, key: str) -> None:
        with self._lock:
            self._objects.pop(key, None)

    @override
    def list(
        self,
        prefix: str = "",
        *,
        after: str = "",
        visitor: Visitor = STRICT,  # noqa: ARG002 - no folder to enter
    ) -> Iterator[ObjectInfo]:
        with self._lock:
            found = [each.info for each in self._objects.values() if each.info.key.startswith(prefix)]
        yield from (info for info in found if info.key > after)

    @property
    @override
    def etags_identify_content(self) -> bool:
        return True

    @override
    def overlaps(self, other: Store) -> bool:
        return self is other

    @override
    def check_reachable(self) -> None:
        pass


def _new_object(key: str, data: bytes, headers: Headers) -> MemoryObject:
    content = bytes(data)
    etag = hashlib.md5(content, usedforsecurity=False).hexdigest()
    return MemoryObject(ObjectInfo(key, etag, len(content), opted_out=opts_out(headers.metadata)), content, headers)
