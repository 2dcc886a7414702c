"""The images of the application: their status and manifests, read from the stores with caches.

`Updater` is the interface of the part that makes the thumbnails.
"""

from __future__ import annotations

import asyncio
import heapq
import unicodedata
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice
from threading import Lock
from typing import Final, Literal, Protocol, TypeVar

from thumbsmith.errors import ThumbsmithError
from thumbsmith.recipe import Recipe
from thumbsmith.recipe.names import MANIFEST
from thumbsmith.recipe.selection import is_source, may_hold_sources
from thumbsmith.reconcile.converge import StoreDriver, digest
from thumbsmith.reconcile.decide import unusable_key
from thumbsmith.reconcile.manifest import (
    Manifest,
    ManifestVersion,
    Rejection,
    RenditionRecord,
    SourceRecord,
    read_manifest_version,
)
from thumbsmith.reconcile.protocol import Finding, examine
from thumbsmith.store import OpenObject, Store
from thumbsmith.store.base import ObjectInfo, Visitor
from thumbsmith.web.http import is_unicode

T = TypeVar("T")

Version = tuple[str, str, str]  # the store's address, the key, the etag
Status = Literal["ok", "rejected", "making"]
Sort = Literal["name", "newest", "largest"]
Rank = tuple[float, str] | tuple[str]

# Threads that read from the stores. They mostly wait for the network.
MAX_READER_THREADS: Final = 16

# Entries of each cache. A manifest has a few KB.
_MAX_CACHED: Final = 2_048


class Updater(Protocol):
    """Makes and deletes the thumbnails of a key when its source changes, or waits for others to do so."""

    def enqueue(self, key: str) -> bool:
        """Update the key, because its source has just changed. Return whether this process makes the update."""
        ...

    def ensure_queued(self, key: str) -> object:
        """Update the key if it is not queued yet, and did not fail a moment ago."""
        ...

    async def wait(self, key: str, seconds: float) -> None:
        """Do the same as `ensure_queued`, then wait until the update has ended or failed, for at most `seconds`.

        Raises StoreError.
        """
        ...

    def failure(self, key: str) -> ThumbsmithError | None:
        """Return why the last update of the key failed, or None if it did not fail or this is not known."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageStatus:
    """A source and the state of its thumbnails. `manifest` is None unless it describes this version of the source.

    `modified` is when the manifest was written, in seconds since 1970, as far as the store tells.
    """

    source: ObjectInfo
    status: Status
    manifest: Manifest | None = None
    modified: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Which images to list, and in which order: those whose keys begin with `prefix` and contain `contains`.

    `contains` is compared without case, and in one Unicode form.
    """

    prefix: str = ""
    contains: str = ""
    sort: Sort = "name"

    def rank(self, image: ObjectInfo) -> Rank:
        """Return the place of an image in the order."""
        if self.sort == "newest":
            return -(image.modified or 0), image.key
        return (-image.size, image.key) if self.sort == "largest" else (image.key,)

    def comparable(self, text: str) -> str:
        """Return a text in the form in which it is compared."""
        return unicodedata.normalize("NFC", text).casefold() if self.contains else ""


@dataclass(slots=True)
class ImageLibrary:
    """The images of a source store, and their thumbnails in a destination store.

    `destination` must accept every key (`Store.as_destination`). `recipe` may be replaced at any time. Manifests and
    digests are cached by etag.
    """

    source: Store
    destination: Store
    recipe: Recipe
    threads: ThreadPoolExecutor
    _manifests: OrderedDict[str, ManifestVersion] = field(default_factory=OrderedDict)
    _digests: OrderedDict[Version, str] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)

    async def run(self, work: Callable[..., T], *arguments: object) -> T:
        """Run `work` in a thread, and return its result. Raises what it raises."""
        return await asyncio.get_running_loop().run_in_executor(self.threads, work, *arguments)

    def image(self, key: str) -> ImageStatus | None:
        """Return the status of an image, or None if there is no source with this key. Raises StoreError."""
        if not is_source(key, self.recipe.selection):
            return None
        rejection = unusable_key(key, self.recipe, self.destination.max_key_bytes)
        if rejection:
            source = self.source.head(key)
            return self._unusable_image(source, rejection) if source else None
        found = self._read_status(key)
        if found.source is None or found.assessment is None:
            return None
        if not found.assessment.settled or found.manifest is None:
            return ImageStatus(source=found.source, status="making")
        status: Status = "rejected" if found.manifest.rejection else "ok"
        written = found.present.get(MANIFEST)
        modified = written.modified if written else None
        return ImageStatus(source=found.source, status=status, manifest=found.manifest, modified=modified)

    def manifest(self, key: str) -> Manifest | None:
        """Return the manifest of the key in the destination, or None. Raises StoreError."""
        with self._lock:
            cached = self._manifests.get(key)
        found = read_manifest_version(self.destination, key, cached)
        if found and found is not cached:
            self._cache_manifest(key, found)
        return found.manifest if found else None

    def has_recorded_bytes(self, reader: OpenObject, record: RenditionRecord) -> bool:
        """Return whether a rendition has the recorded sha256 although its etag is another one, as in a copied folder.

        Each version is read once. Raises StoreError.
        """
        version = self.destination.url, reader.info.key, reader.info.etag
        return self._cached_digest(version, lambda: digest(reader)) == record.sha256

    def list_sources(self, query: Query, after: Rank | None, limit: int) -> list[ObjectInfo]:
        """Return up to `limit` sources that the query selects, in its order, after the rank `after`.

        All sources with the prefix are listed, unless the store lists in the order of the query. Raises StoreError.
        """
        is_in_order = self.source.lists_in_order and query.sort == "name"
        sources = self._matching(query, after=str(after[-1]) if after and is_in_order else "")
        if is_in_order:
            return list(islice(sources, limit))
        return heapq.nsmallest(limit, (each for each in sources if not after or query.rank(each) > after), query.rank)

    def count_sources(self, query: Query) -> int:
        """Return how many sources the query selects. Raises StoreError."""
        return sum(1 for _ in self._matching(replace(query, sort="name")))

    def _matching(self, query: Query, after: str = "") -> Iterator[ObjectInfo]:
        selection = self.recipe.selection
        visitor = Visitor(
            enters=lambda folder: may_hold_sources(folder, selection),
            unreadable=lambda _key, _error: None,  # sync reports it
        )
        listed = self.source.list(query.prefix, after=after, visitor=visitor)
        wanted = query.comparable(query.contains)
        found = (
            info
            for info in listed
            if is_source(info.key, selection) and is_unicode(info.key) and wanted in query.comparable(info.key)
        )
        if query.sort != "newest":
            return found
        # The listing of a folder has no times.
        return (info if info.modified is not None else self.source.head(info.key) or info for info in found)

    def _read_status(self, key: str) -> Finding:
        """Return what the stores contain for the key. Raises StoreError."""
        recipe = self.recipe  # it may be replaced while this runs
        driver = _CachingStoreDriver(
            key,
            self.source,
            self.destination,
            recipe,
            renderer=None,
            load_manifest=self.manifest,
            cached_digest=self._cached_digest,
        )
        return driver.run(examine(recipe))

    def _unusable_image(self, source: ObjectInfo, rejection: Rejection) -> ImageStatus:
        """Return the status of a source whose key cannot have thumbnails, with the manifest it would have."""
        record = SourceRecord(key=source.key, etag=source.etag, bytes=source.size)
        limits = self.recipe.limits.rejection_fingerprint
        manifest = Manifest(recipe=self.recipe.fingerprint, limits=limits, source=record, rejection=rejection)
        return ImageStatus(source=source, status="rejected", manifest=manifest)

    def _cached_digest(self, version: Version, read: Callable[[], str | None]) -> str | None:
        """Return the digest of this version. `read` computes one that is not cached; None if it returns None."""
        with self._lock:
            cached = self._digests.get(version)
        if cached is None and (cached := read()):
            with self._lock:
                self._digests[version] = cached
                while len(self._digests) > _MAX_CACHED:
                    self._digests.popitem(last=False)
        return cached

    def _cache_manifest(self, key: str, found: ManifestVersion) -> None:
        with self._lock:
            self._manifests[key] = found
            self._manifests.move_to_end(key)
            while len(self._manifests) > _MAX_CACHED:
                self._manifests.popitem(last=False)


@dataclass(frozen=True, slots=True)
class _CachingStoreDriver(StoreDriver):
    """A driver that only reads, and takes manifests and digests from the caches."""

    load_manifest: Callable[[str], Manifest | None] = field(kw_only=True)
    cached_digest: Callable[[Version, Callable[[], str | None]], str | None] = field(kw_only=True)

    def _read_manifest(self) -> Manifest | None:
        return self.load_manifest(self.key)

    def digest_source(self, etag: str) -> str | None:
        """Return the digest of this version of the source, from the cache if possible."""
        version = self.source.url, self.key, etag
        return self.cached_digest(version, lambda: StoreDriver.digest_source(self, etag))
