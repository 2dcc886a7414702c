"""Both stores side by side: how every key stands, told by listings and an index wherever these tell it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from thumbsmith.bulk.join import KeyJoin, KeyRow, batched
from thumbsmith.bulk.manifest_cache import CachedManifest, ManifestCache
from thumbsmith.bulk.parallel import each
from thumbsmith.bulk.status import KeyStatus, StatusReader
from thumbsmith.errors import Stopped, StoreError, ThumbsmithError
from thumbsmith.recipe import Recipe
from thumbsmith.recipe.names import is_managed_name
from thumbsmith.recipe.selection import Selection, is_hidden, is_source, may_hold_sources
from thumbsmith.reconcile.effects import DEFAULTS, Options
from thumbsmith.store import Store, refuse_overlap
from thumbsmith.store.base import ObjectInfo, Visitor

# Keys are looked up in the index, and their manifests read, in batches of this many; manifests this many at once.
_BATCH: Final = 1_000
READERS: Final = 16

# Folders answer at once: there more threads only wait for one another. With 16, 5,000 small files took twice the CPU.
_FOLDER_READERS: Final = 4

# Each reader is handed this many at a time: to hand over one costs as much as to read a small file.
_HANDFUL: Final = 8

# After this many store failures in a row, with no success between them, the store is at fault and not its objects.
MAX_FAILURES_IN_A_ROW: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What is kept right: a source, a destination and the recipe between them, and how.

    Keys that do not start with `prefix` are left alone. `index` is the file that remembers what manifests said.
    """

    source: Store
    destination: Store
    recipe: Recipe
    options: Options = DEFAULTS
    prefix: str = ""
    index: Path | None = None


@dataclass(frozen=True, slots=True)
class StoreScan:
    """What the listings of both stores say, on disk."""

    scope: Scope
    listing: KeyJoin

    @property
    def sources(self) -> int:
        """Return the number of sources."""
        return self.listing.sources + len(self.listing.unreadable)


@contextmanager
def scan(scope: Scope, stop: Callable[[], bool] = lambda: False) -> Iterator[StoreScan]:
    """List both stores and yield what they hold, for as long as it is used.

    Raises Stopped once `stop` says True: a part of a listing tells nothing. Raises StoreError when a store cannot be
    listed, UsageError when one store lies within the other: what is made
    would be taken for a source.
    """
    source, destination, selection = scope.source, scope.destination.as_destination(), scope.recipe.selection
    refuse_overlap(source, destination)
    source.check_reachable()
    try:
        with KeyJoin() as listing:
            visitor = _source_visitor(listing, selection)
            listed = _until(stop, source.list(scope.prefix, visitor=visitor))
            listing.add_sources(info for info in listed if is_source(info.key, selection))
            visitor = _destination_visitor(listing)
            listed = _until(stop, destination.list(scope.prefix, visitor=visitor))
            listing.add_destination(listed, scope.prefix)
            yield StoreScan(scope, listing)
    except sqlite3.Error as error:
        raise StoreError(
            f"the listings' temporary file: {error}: set TMPDIR to a folder with room", transient=True
        ) from error


def _until(stop: Callable[[], bool], found: Iterator[ObjectInfo]) -> Iterator[ObjectInfo]:
    for info in found:
        if stop():
            break
        yield info
    if stop():
        raise Stopped


def _source_visitor(listing: KeyJoin, selection: Selection) -> Visitor:
    """Return what enters only folders that may hold sources, and notes what may be a source and cannot be read."""

    def unreadable(key: str, error: StoreError) -> None:
        if key.endswith("/") or is_source(key, selection):
            listing.unreadable[key] = error

    def link(key: str) -> None:
        listing.links += not is_hidden(key)

    return Visitor(enters=lambda folder: may_hold_sources(folder, selection), unreadable=unreadable, link=link)


def _destination_visitor(listing: KeyJoin) -> Visitor:
    """Return what notes the folders and thumbnails that cannot be read; of system folders it notes none."""

    def unreadable(key: str, error: StoreError) -> None:
        if not is_hidden(key) and (key.endswith("/") or is_managed_name(key.rpartition("/")[2])):
            place = key if key.endswith("/") else f"{key.rpartition('/')[0]}/"
            listing.unreadable_there[place] = error

    return Visitor(unreadable=unreadable)


def inspect(found: StoreScan, *, stop: Callable[[], bool], readers: int | None = None) -> Iterator[KeyStatus]:
    """Yield how every source stands, what is left of those that are gone, and what is foreign; change nothing.

    They come in the order of their keys' bytes, and last the objects that by their names cannot be ours. Once `stop`
    says True nothing more is read, and what needs no reading is yielded to the end of the batch.
    """
    scope = found.scope
    in_folders = None not in {scope.source.local_root, scope.destination.local_root}
    readers = readers or (_FOLDER_READERS if in_folders else READERS)
    failures: list[StoreError] = []  # in a row
    records: dict[str, CachedManifest] = {}

    def read(groups: Sequence[KeyRow]) -> list[tuple[KeyStatus, CachedManifest | None]]:
        return [_read(judge, group, records.get(group.key), failures) for group in groups if not stop()]

    listing = found.listing
    yield from _unlisted(listing)
    with ManifestCache(scope.index) as index:
        judge = StatusReader(
            scope.source, scope.destination.as_destination(), scope.recipe, scope.options, remembers=index.lasts
        )
        for groups in batched(_listed(listing), _BATCH):
            records = index.get_many([group.key for group in groups])
            told = {group.key: judge.status_from_listing(group, records.get(group.key)) for group in groups}
            learnt: dict[str, CachedManifest] = {}
            unknown = [group for group in groups if told[group.key] is None]
            handfuls = batched(unknown, _HANDFUL)
            for found_out in each(read, handfuls, threads=readers, stop=stop) if unknown else ():
                for standing, record in found_out:
                    told[standing.key] = standing
                    if record:
                        learnt[standing.key] = record
            index.put_many(learnt)
            yield from (standing for standing in told.values() if standing)
            if stop():
                return
    yield from (KeyStatus(key=info.key, foreign=(info,)) for info in found.listing.others())


def _unlisted(listing: KeyJoin) -> Iterator[KeyStatus]:
    """Yield what could not be listed, each as failed; of the destination, the folders."""
    for key, error in listing.unreadable.items():
        yield KeyStatus(key=key, source=ObjectInfo(key, "", 0), unlisted=True, error=error)
    for key, error in listing.unreadable_there.items():
        yield KeyStatus(key=key, unlisted=True, error=_of_destination(key, error))
    if listing.unreadable_there:
        for group in listing.groups():
            error_there = listing.withheld_there(group.key) if group.source else None
            if error_there:
                yield KeyStatus(
                    key=group.key, source=group.source, unlisted=True, error=_of_destination(group.key, error_there)
                )


def _listed(listing: KeyJoin) -> Iterator[KeyRow]:
    """Yield the keys that listings tell about: none that is, or lies in, something that could not be read."""
    for group in listing.groups():
        if group.source is None and listing.withheld(group.key):
            continue  # its source may be there
        if listing.withheld_there(group.key) is None:
            yield group


def _of_destination(key: str, error: StoreError) -> StoreError:
    return StoreError(f"destination: {error.about(key)}", transient=error.transient, one_object=error.one_object)


def _read(
    judge: StatusReader, group: KeyRow, record: CachedManifest | None, failures: list[StoreError]
) -> tuple[KeyStatus, CachedManifest | None]:
    """Return how a key stands and what to remember, by reading, unless the store has failed too often."""
    if len(failures) >= MAX_FAILURES_IN_A_ROW:
        unreached = StoreError(f"not tried: the stores failed {len(failures)} times in a row", transient=True)
        return judge.failed(group, unreached), None
    try:
        told = judge.status_from_manifest(group, record)
    except StoreError as error:
        if error.one_object:
            failures.clear()
        else:
            failures.append(error)
        return judge.failed(group, error), None
    except ThumbsmithError as error:
        return judge.failed(group, error), None
    failures.clear()
    return told
