"""A store in memory for very many keys."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from thumbsmith.store.base import Headers, ObjectInfo, Store
from thumbsmith.store.memory import MemoryObject, MemoryStore

SHARDS: Final = 1024


@dataclass(frozen=True, slots=True)
class Sharded(Store):
    """A store of many stores in memory: the objects of one key are found without a search through all others."""

    name: str
    shards: tuple[MemoryStore, ...] = field(default_factory=lambda: tuple(MemoryStore("shard") for _ in range(SHARDS)))

    @property
    def etags_identify_content(self) -> bool:
        """Return True, as the shards do."""
        return self.shards[0].etags_identify_content

    @property
    def url(self) -> str:
        """Return memory://NAME."""
        return f"memory://{self.name}"

    def _of(self, key: str) -> MemoryStore:
        return self.shards[zlib.crc32(key.partition("/")[0].encode()) % SHARDS]

    def head(self, key: str) -> ObjectInfo | None:
        """Return the object as it is now, or None."""
        return self._of(key).head(key)

    def open(self, key: str) -> MemoryObject | None:
        """Return the object's present version, or None."""
        return self._of(key).open(key)

    def put(self, key: str, data: bytes, headers: Headers) -> str:
        """Store the object; return its etag."""
        return self._of(key).put(key, data, headers)

    def delete(self, key: str) -> None:
        """Remove this object, if it is there."""
        self._of(key).delete(key)

    def list(self, prefix: str = "", *, after: str = "") -> Iterator[ObjectInfo]:
        """Yield every object whose key starts with `prefix` and comes after `after`."""
        return (info for shard in self.shards for info in shard.list(prefix, after=after))

    def children(self, key: str) -> Iterator[ObjectInfo]:
        """Yield the objects directly under `key` + "/"."""
        return self._of(key).children(key)
