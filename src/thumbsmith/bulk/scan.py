"""A scan: the listings of both stores, joined by key.

The join is on disk, so memory does not grow with the stores. Listings come in different orders: `x.jpg.bak/small.webp`
comes before `x.jpg/small.webp`, but `x.jpg` before `x.jpg.bak`. Folders list in no order. So the entries go into a
private SQLite file that sorts them by the key of the source. SQLite deletes it on close
(https://www.sqlite.org/tempfiles.html).
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Final, Self, TypeVar

from thumbsmith.errors import Stopped, StoreError
from thumbsmith.lifetime import Closing
from thumbsmith.recipe import IsolationKind, Recipe
from thumbsmith.recipe.names import is_managed_name
from thumbsmith.recipe.selection import Selection, is_hidden, is_ignored, is_source, may_hold_sources
from thumbsmith.reconcile.converge import Renderer, Result, attempt
from thumbsmith.reconcile.protocol import DEFAULTS, Options
from thumbsmith.store import Store, refuse_overlap
from thumbsmith.store.base import Group, ObjectInfo, Visitor, printable_key

T = TypeVar("T")

# cache_size: SQLite keeps 4 MiB of pages in memory, and sorts in runs of that size.
_SCHEMA: Final = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -4096;
CREATE TABLE entry (key BLOB, etag TEXT, size INTEGER, objects TEXT);
CREATE TABLE unmanaged (key BLOB, etag TEXT, size INTEGER);
CREATE TABLE pending (key BLOB, listed INTEGER, size INTEGER, etag TEXT, deletes INTEGER, untouched INTEGER);
"""

# One row for each key. Entries of the source have an etag. The destination may have several, each with some objects.
_JOINED: Final = """
SELECT key, max(etag), max(size), group_concat(objects, char(10)) FROM entry GROUP BY key ORDER BY key
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What to keep up to date: a source, a destination, the recipe, and the options.

    Keys that do not start with `prefix` are ignored. `cache` is the file of the manifest cache. `identity` is that of
    the source at the start of a run.
    """

    source: Store
    destination: Store
    recipe: Recipe
    options: Options = DEFAULTS
    prefix: str = ""
    cache: Path | None = None
    identity: object = None

    @property
    def isolation(self) -> IsolationKind:
        """Return how workers are isolated where the recipe does not say: the files of a folder have one owner."""
        return IsolationKind.SHARED if self.source.local_root else IsolationKind.SOURCE

    def attempt(self, key: str, renderer: Renderer, *, untouched: bool = False) -> Result:
        """Converge one key; return its outcome or error.

        `untouched` says that a scan found nothing under the key in the destination. Then it is not listed again.
        """
        return attempt(
            key,
            self.source,
            self.destination,
            self.recipe,
            renderer=renderer,
            options=replace(self.options, first_delivery=True) if untouched else self.options,
            check=self._check_source if self.identity else None,
        )

    def _check_source(self) -> None:
        """Raise StoreError if another folder replaced that of the sources during this run."""
        if self.source.identity() != self.identity:
            problem = "the folder was removed, replaced or unmounted during this run: nothing is deleted"
            raise StoreError(f"{printable_key(self.source.url)}: {problem}", transient=True)

    def pinned(self) -> Self:
        """Return this scope for one run: each key fails once another folder has replaced that of the sources."""
        return replace(self, identity=self.source.identity())

    def keeping_orphans(self) -> Self:
        """Return this scope with the option `keep_orphans`."""
        return replace(self, options=replace(self.options, keep_orphans=True))


@dataclass(frozen=True, slots=True)
class StoreScan:
    """The joined listings of both stores."""

    scope: Scope
    join: KeyJoin

    @property
    def sources(self) -> int:
        """Return the number of sources."""
        return self.join.sources + len(self.join.unreadable)


@contextmanager
def scan(
    scope: Scope, stop: Callable[[], bool] = lambda: False, on_listed: Callable[[int], object] = lambda _: None
) -> Iterator[StoreScan]:
    """List both stores and yield the scan. Its file is deleted at the end of the block.

    `on_listed` receives the number of objects that were listed in addition, several times while stores are listed.
    Raises Stopped once `stop` returns True, because an incomplete listing is useless. Raises StoreError if a store
    cannot be listed. Raises UsageError if one store contains the other: thumbnails would become sources.
    """
    scope = scope.pinned()
    source, destination, selection = scope.source, scope.destination.as_destination(), scope.recipe.selection
    refuse_overlap(source, destination)
    source.check_reachable()
    try:
        with KeyJoin() as join:
            listing = _until(
                stop, on_listed, source.list_groups(scope.prefix, visitor=_source_visitor(join, selection))
            )
            join.add_sources(listing, selection)
            groups = destination.list_groups(scope.prefix, visitor=_destination_visitor(join))
            listing = _until(stop, on_listed, groups)
            join.add_destination(listing, scope.prefix)
            yield StoreScan(scope, join)
    except sqlite3.Error as error:
        raise StoreError(
            f"the listings' temporary file: {error}: set TMPDIR to a folder with room", transient=True
        ) from error


def _until(stop: Callable[[], bool], on_listed: Callable[[int], object], listing: Iterator[Group]) -> Iterator[Group]:
    for group in listing:
        if stop():
            break
        on_listed(len(group.objects))
        yield group
    if stop():
        raise Stopped


def _source_visitor(join: KeyJoin, selection: Selection) -> Visitor:
    """Return a visitor that enters only folders that may contain sources, and records unreadable sources."""

    def unreadable(key: str, error: StoreError) -> None:
        if key.endswith("/") or is_source(key, selection):
            join.unreadable[key] = error

    def link(key: str) -> None:
        join.links += not is_hidden(key)

    return Visitor(enters=lambda folder: may_hold_sources(folder, selection), unreadable=unreadable, link=link)


def _destination_visitor(join: KeyJoin) -> Visitor:
    """Return a visitor that records unreadable folders and thumbnails, except in system folders."""

    def unreadable(key: str, error: StoreError) -> None:
        if not is_hidden(key) and (key.endswith("/") or is_managed_name(key.rpartition("/")[2])):
            folder = key if key.endswith("/") else f"{key.rpartition('/')[0]}/"
            join.unreadable_destination[folder] = error

    def leftover(_key: str) -> None:
        join.leftovers += 1

    return Visitor(unreadable=unreadable, leftover=leftover)


@dataclass(frozen=True, slots=True)
class KeyRow:
    """One key: the listed source, if any, and the managed objects directly under the key, packed."""

    key: str
    source: ObjectInfo | None
    objects: str = ""

    def present(self) -> dict[str, ObjectInfo]:
        """Return the managed objects under the key, by name."""
        return unpack(self.key, self.objects)


@dataclass(frozen=True, slots=True)
class PendingKey:
    """A key to converge. `listed` says whether a source was listed; `size` (bytes) and `etag` are of its version.

    `deletes` says that obsolete thumbnails of the source will be deleted, `untouched` that nothing was made of it.
    """

    key: str
    listed: bool
    size: int = 0
    etag: str = ""
    deletes: bool = False
    untouched: bool = False


class KeyJoin(Closing):
    """Collects the listings of two stores and yields them joined. Must be closed, and used by one thread only."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.executescript(_SCHEMA)
        self.sources = 0
        self.objects = 0
        self.ignored = 0  # objects whose suffix says that they are no pictures
        self.links = 0
        self.leftovers = 0  # temporary files in the destination
        self.unreadable: dict[str, StoreError] = {}  # in the source; the key of a folder ends with /
        self.unreadable_destination: dict[str, StoreError] = {}

    def add_sources(self, listing: Iterable[Group], selection: Selection) -> None:
        """Add the objects that are sources."""

        def sources() -> Iterator[tuple[bytes, str, int]]:
            for beginning, objects in listing:
                for name, etag, size in objects:
                    key = beginning + name
                    if is_source(key, selection):
                        self.sources += 1
                        yield encode_key(key), etag, size
                    elif is_ignored(key, selection):
                        self.ignored += 1

        self._insert("INSERT INTO entry (key, etag, size) VALUES (?, ?, ?)", sources())

    def add_destination(self, listing: Iterable[Group], prefix: str = "") -> None:
        """Add the objects of the destination, except managed objects of keys outside `prefix`."""

        def managed() -> Iterator[tuple[bytes, str]]:
            for beginning, objects in listing:
                self.objects += len(objects)
                key, lines = beginning[:-1], []
                for name, etag, size in objects:
                    if key and is_managed_name(name):
                        lines.append(_line(name, etag, size))
                    else:
                        unmanaged.append((encode_key(beginning + name), etag, size))
                if unmanaged:
                    self._database.executemany("INSERT INTO unmanaged VALUES (?, ?, ?)", unmanaged)
                    unmanaged.clear()
                if lines and key.startswith(prefix):
                    lines.sort()
                    yield encode_key(key), "\n".join(lines)

        unmanaged: list[tuple[bytes, str, int]] = []
        self._insert("INSERT INTO entry (key, objects) VALUES (?, ?)", managed())

    def may_be_unlisted(self, key: str) -> bool:
        """Return whether the key may be a source that could not be listed: it or a parent folder is unreadable."""
        return any(part in self.unreadable for part in (key, *_folders(f"{key}/")))

    def destination_error(self, key: str) -> StoreError | None:
        """Return why the thumbnails of the key could not all be listed, or None."""
        if not self.unreadable_destination:
            return None
        errors = (self.unreadable_destination.get(folder) for folder in _folders(f"{key}/"))
        return next((error for error in errors if error), None)

    def rows(self) -> Iterator[KeyRow]:
        """Yield each key that is a source or has managed objects under it, in the order of the keys' bytes.

        Keys are left out if listing failed for their source or their thumbnails.
        """
        for row in self._all_rows():
            is_complete = row.source is not None or not self.may_be_unlisted(row.key)
            if is_complete and self.destination_error(row.key) is None:
                yield row

    def unlisted(self) -> Iterator[tuple[str, ObjectInfo | None, StoreError]]:
        """Yield what could not be listed, as key, source and error.

        These are unreadable sources and folders (with a final "/") of both stores, and each source with thumbnails in
        an unreadable folder.
        """
        yield from ((key, ObjectInfo(key, "", 0), error) for key, error in self.unreadable.items())
        if self.unreadable_destination:
            for key, error in self.unreadable_destination.items():
                yield key, None, _of_destination(key, error)
            for row in self._all_rows():
                cause = self.destination_error(row.key) if row.source else None
                if cause:
                    yield row.key, row.source, _of_destination(row.key, cause)

    def _all_rows(self) -> Iterator[KeyRow]:
        for raw, etag, size, objects in self._database.execute(_JOINED):
            key = decode_key(raw)
            source = ObjectInfo(key, etag, size) if etag is not None else None
            yield KeyRow(key, source, objects or "")

    def unmanaged(self) -> Iterator[ObjectInfo]:
        """Yield the destination's objects with names that Thumbsmith never writes, in the order of the keys' bytes."""
        for raw, etag, size in self._database.execute("SELECT key, etag, size FROM unmanaged ORDER BY key"):
            yield ObjectInfo(decode_key(raw), etag, size)

    def add_pending(self, keys: Iterable[PendingKey]) -> None:
        """Store keys for `pending`."""
        rows = [
            (encode_key(each.key), each.listed, each.size, each.etag, each.deletes, each.untouched) for each in keys
        ]
        self._insert("INSERT INTO pending VALUES (?, ?, ?, ?, ?, ?)", rows)

    def pending(self, *, listed: bool | None = None, deletes: bool | None = None) -> Iterator[PendingKey]:
        """Yield the stored keys in their original order: all, or only those with these values."""
        query = """
            SELECT key, listed, size, etag, deletes, untouched FROM pending
            WHERE listed = coalesce(?, listed) AND deletes = coalesce(?, deletes) ORDER BY rowid
        """
        for raw, is_listed, size, etag, *flags in self._database.execute(query, (listed, deletes)):
            yield PendingKey(decode_key(raw), bool(is_listed), size, etag, *map(bool, flags))

    def close(self) -> None:
        """Close and delete the file. Safe to repeat."""
        self._database.close()

    def _insert(self, statement: str, rows: Iterable[tuple[object, ...]]) -> None:
        self._database.execute("BEGIN")
        self._database.executemany(statement, rows)
        self._database.execute("COMMIT")


def pack(objects: Iterable[ObjectInfo]) -> str:
    """Return objects under one key as text: one line each with name, etag and size, sorted.

    Managed names contain no white space. Etags contain no control characters (RFC 9110, section 8.8.3).
    """
    return "\n".join(sorted(_line(info.key.rpartition("/")[2], info.etag, info.size) for info in objects))


def unpack(key: str, packed: str) -> dict[str, ObjectInfo]:
    """Return packed objects under `key`, by name."""
    lines = (line.split("\t") for line in packed.split("\n") if line)
    return {name: ObjectInfo(f"{key}/{name}", etag, int(size)) for name, etag, size in lines}


def encode_key(key: str) -> bytes:
    """Return a key as SQLite stores it: bytes, because file names may not be UTF-8, and keys may contain NUL."""
    return key.encode("utf-8", "surrogatepass")


def decode_key(key: bytes) -> str:
    """Return the key that `encode_key` encoded."""
    return key.decode("utf-8", "surrogatepass")


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield the items in lists of `size`; the last list may be shorter."""
    remaining = iter(items)
    while batch := list(islice(remaining, size)):
        yield batch


def _of_destination(key: str, error: StoreError) -> StoreError:
    return StoreError(f"destination: {error.about(key)}", transient=error.transient, one_object=error.one_object)


def _folders(key: str) -> Iterator[str]:
    """Yield the parent folders of the key, each with its final "/"."""
    return (key[: found.end()] for found in re.finditer("/", key))


def _line(name: str, etag: str, size: int) -> str:
    return f"{name}\t{etag}\t{size}"
