"""The listings of both stores joined by key, on disk: memory does not grow with the buckets.

Listings come in different orders (`x.jpg.bak/small.webp` before `x.jpg/small.webp`, but `x.jpg` before `x.jpg.bak`),
and a folder's in none, so they are never merged as they come. Entries go into a private SQLite file that sorts them by
the source's key; it is gone once it is closed (https://www.sqlite.org/tempfiles.html).
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Final, TypeVar

from thumbsmith.errors import StoreError
from thumbsmith.lifetime import Closing
from thumbsmith.recipe.names import is_managed_name
from thumbsmith.store.base import ObjectInfo

T = TypeVar("T")

# Rows go to SQLite in batches of this many.
_BATCH: Final = 5_000

# SQLite keeps 24 MiB of pages in memory, and sorts in runs of as much.
_SCHEMA: Final = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -24576;
CREATE TABLE entry (key BLOB, etag TEXT, size INTEGER, objects TEXT);
CREATE TABLE other (key BLOB, etag TEXT, size INTEGER);
CREATE TABLE unsettled (key BLOB, listed INTEGER, size INTEGER, etag TEXT);
"""

# One row a key. An entry of the source has an etag; of the destination there may be several, each with some objects.
_JOINED: Final = """
SELECT key, max(etag), max(size), group_concat(objects, char(10)) FROM entry GROUP BY key ORDER BY key
"""

_is_ours: Final = lru_cache(maxsize=1024)(is_managed_name)  # the same few names under every key


@dataclass(frozen=True, slots=True)
class KeyRow:
    """One key: the source that is listed under it, if any, and what is ours by name directly under it, packed."""

    key: str
    source: ObjectInfo | None
    objects: str = ""

    def present(self) -> dict[str, ObjectInfo]:
        """Return by name what is ours under the key."""
        return unpack(self.key, self.objects)


@dataclass(frozen=True, slots=True)
class PendingKey:
    """A key that is to be made right; `listed` says whether it is a source, `size` and `etag` which version was."""

    key: str
    listed: bool
    size: int = 0
    etag: str = ""


class KeyJoin(Closing):
    """Collects what two stores list, then yields it joined. Must be closed, and used by one thread."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.executescript(_SCHEMA)
        self.sources = 0
        self.objects = 0
        self.links = 0
        self.unreadable: dict[str, StoreError] = {}  # of the source; a folder's key ends in /
        self.unreadable_there: dict[str, StoreError] = {}  # of the destination

    def add_sources(self, found: Iterable[ObjectInfo]) -> None:
        """Add the source's side."""
        for batch in batched(found, _BATCH):
            self.sources += len(batch)
            rows = [(encoded(info.key), info.etag, info.size) for info in batch]
            self._insert("INSERT INTO entry (key, etag, size) VALUES (?, ?, ?)", rows)

    def add_destination(self, found: Iterable[ObjectInfo], prefix: str = "") -> None:
        """Add the destination's side, but not what stands under a key outside of `prefix`."""
        for batch in batched(found, _BATCH):
            self.objects += len(batch)
            owners: dict[str, list[str]] = {}
            others: list[tuple[bytes, str, int]] = []
            for info in batch:
                owner, _, name = info.key.rpartition("/")
                if not owner or not _is_ours(name):
                    others.append((encoded(info.key), info.etag, info.size))
                elif owner.startswith(prefix):
                    owners.setdefault(owner, []).append(_line(name, info.etag, info.size))
            packed = [(encoded(owner), "\n".join(sorted(lines))) for owner, lines in owners.items()]
            self._insert("INSERT INTO entry (key, objects) VALUES (?, ?)", packed)
            self._insert("INSERT INTO other VALUES (?, ?, ?)", others)

    def withheld(self, key: str) -> bool:
        """Return whether the key may be a source that could not be listed: it, or a folder above it, is unreadable."""
        return any(part in self.unreadable for part in (key, *_above(f"{key}/")))

    def withheld_there(self, key: str) -> StoreError | None:
        """Return why what stands under the key in the destination could not all be listed, or None."""
        found = (self.unreadable_there.get(part) for part in _above(f"{key}/"))
        return next((error for error in found if error), None)

    def groups(self) -> Iterator[KeyRow]:
        """Yield every key that is a source, or has something of ours by name under it, in the order of its bytes."""
        for raw, etag, size, objects in self._database.execute(_JOINED):
            key = decoded(raw)
            source = ObjectInfo(key, etag, size) if etag is not None else None
            yield KeyRow(key, source, objects or "")

    def others(self) -> Iterator[ObjectInfo]:
        """Yield the destination's objects that cannot be ours by their names, in the order of their keys' bytes."""
        for raw, etag, size in self._database.execute("SELECT key, etag, size FROM other ORDER BY key"):
            yield ObjectInfo(decoded(raw), etag, size)

    def defer(self, keys: Iterable[PendingKey]) -> None:
        """Note keys for `deferred`."""
        rows = [(encoded(each.key), each.listed, each.size, each.etag) for each in keys]
        self._insert("INSERT INTO unsettled VALUES (?, ?, ?, ?)", rows)

    def deferred(self, *, listed: bool | None = None) -> Iterator[PendingKey]:
        """Yield what was noted, in the order in which it was: all, or only keys that are sources, or that are not."""
        every = "SELECT key, listed, size, etag FROM unsettled WHERE ?1 IS NULL OR listed = ?1 ORDER BY rowid"
        for raw, is_source, size, etag in self._database.execute(every, (listed,)):
            yield PendingKey(decoded(raw), bool(is_source), size, etag)

    def close(self) -> None:
        """Let go of the file. Safe to repeat."""
        self._database.close()

    def _insert(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        self._database.execute("BEGIN")
        self._database.executemany(statement, rows)
        self._database.execute("COMMIT")


def pack(objects: Iterable[ObjectInfo]) -> str:
    """Return objects under one key as a text: a line each with name, etag and size, sorted.

    Our names hold no white space, and an etag holds no control character (RFC 9110, section 8.8.3).
    """
    return "\n".join(sorted(_line(info.key.rpartition("/")[2], info.etag, info.size) for info in objects))


def unpack(key: str, packed: str) -> dict[str, ObjectInfo]:
    """Return by name the objects under `key` that were packed."""
    lines = (line.split("\t") for line in packed.split("\n") if line)
    return {name: ObjectInfo(f"{key}/{name}", etag, int(size)) for name, etag, size in lines}


def encoded(key: str) -> bytes:
    """Return the key as SQLite keeps it: as bytes, because a file's name need not be UTF-8, and a key may hold NUL."""
    return key.encode("utf-8", "surrogatepass")


def decoded(key: bytes) -> str:
    """Return the key that `encoded` was given."""
    return key.decode("utf-8", "surrogatepass")


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield the items in lists of `size`, the last one shorter."""
    remaining = iter(items)
    while batch := list(islice(remaining, size)):
        yield batch


def _above(key: str) -> Iterator[str]:
    """Yield the folders that the key is in, each with its final "/"."""
    return (key[: found.end()] for found in re.finditer("/", key))


def _line(name: str, etag: str, size: int) -> str:
    return f"{name}\t{etag}\t{size}"
