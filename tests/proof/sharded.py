"""A store in memory for thousands of keys."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from thumbsmith.store.base import STRICT, Headers, ObjectInfo, Store, Visitor, override
from thumbsmith.store.memory import MemoryObject, MemoryStore

SHARDS: Final = 1024


@dataclass(frozen=True, slots=True)
class Sharded(Store):
    """A store that is divided into many stores in memory, so that the objects of one key are found fast."""

    name: str
    shards: tuple[MemoryStore, ...] = field(default_factory=lambda: tuple(MemoryStore("shard") for _ in range(SHARDS)))

    @property
    @override
    def url(self) -> str:
        return f"memory://{self.name}"

    @property
    @override
    def etags_identify_content(self) -> bool:
        return self.shards[0].etags_identify_content

    def _of(self, key: str) -> MemoryStore:
        return self.shards[zlib.crc32(key.partition("/")[0].encode()) % SHARDS]

    @override
    def head(self, key: str) -> ObjectInfo | None:
        return self._of(key).head(key)

    @override
    def open(self, key: str) -> MemoryObject | None:
        return self._of(key).open(key)

    @override
    def put(self, key: str, data: bytes, headers: Headers) -> str:
        return self._of(key).put(key, data, headers)

    @override
    def delete(self, key: str) -> None:
        self._of(key).delete(key)

    @override
    def list(self, prefix: str = "", *, after: str = "", visitor: Visitor = STRICT) -> Iterator[ObjectInfo]:
        return (info for shard in self.shards for info in shard.list(prefix, after=after, visitor=visitor))

    @override
    def children(self, key: str) -> Iterator[ObjectInfo]:
        return self._of(key).children(key)
