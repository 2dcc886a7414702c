"""What is known of images: how each stands, read from the stores afresh, in threads of its own.

Who keeps the thumbnails right: the application itself (`Keeper`), or others whose work it waits to see.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from threading import Lock
from typing import Final, Literal, Protocol, TypeVar

from thumbsmith.errors import ThumbsmithError
from thumbsmith.recipe import Recipe
from thumbsmith.recipe.selection import is_source, may_hold_sources
from thumbsmith.reconcile.converge import StoreDriver, digest
from thumbsmith.reconcile.manifest import (
    Manifest,
    ManifestVersion,
    Rejection,
    RenditionRecord,
    SourceRecord,
    read_manifest_version,
)
from thumbsmith.reconcile.protocol import Finding, look, unusable_key
from thumbsmith.store import OpenObject, Store
from thumbsmith.store.base import ObjectInfo, Visitor

T = TypeVar("T")

# Threads that read from the stores: they mostly wait.
READERS: Final = 16

# Manifests kept in memory, each as long as its etag is the same; one is a few KB.
_REMEMBERED: Final = 2_048

Version = tuple[str, str, str]  # the store's address, the key, the etag
Status = Literal["ok", "rejected", "making"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageStatus:
    """One source that is there, and what is made of it; the manifest only where it speaks of this very source."""

    source: ObjectInfo
    status: Status
    manifest: Manifest | None = None


@dataclass(frozen=True, slots=True)
class Eyes(StoreDriver):
    """Hands that only look, and read manifests and doubtful sources once for each version."""

    seen: Callable[[str], Manifest | None] = field(kw_only=True)
    digested: Callable[[Version, Callable[[], str | None]], str | None] = field(kw_only=True)

    def _load_manifest(self) -> Manifest | None:
        return self.seen(self.key)

    def _digest_source(self, etag: str) -> str | None:
        version = self.source.url, self.key, etag
        return self.digested(version, lambda: StoreDriver._digest_source(self, etag))


@dataclass(slots=True)
class Library:
    """The images of a source, and their renditions in a destination. The destination takes every key."""

    source: Store
    destination: Store
    recipe: Recipe
    threads: ThreadPoolExecutor
    _manifests: OrderedDict[str, ManifestVersion] = field(default_factory=OrderedDict)
    _digests: OrderedDict[Version, str] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)

    async def run(self, work: Callable[..., T], *arguments: object) -> T:
        """Return what `work` returns, done in a thread. Raises what it raises."""
        return await asyncio.get_running_loop().run_in_executor(self.threads, work, *arguments)

    def standing(self, key: str) -> ImageStatus | None:
        """Return how a source stands, None where there is none. Raises StoreError."""
        if not is_source(key, self.recipe.selection):
            return None
        refusal = unusable_key(key, self.recipe, self.destination.longest_key)
        if refusal:
            source = self.source.head(key)
            return (
                ImageStatus(source=source, status="rejected", manifest=self._unusable(source, refusal))
                if source
                else None
            )
        found = self.finding(key)
        if found.source is None or found.assessment is None:
            return None
        if not found.assessment.settled or found.manifest is None:
            return ImageStatus(source=found.source, status="making")
        status: Status = "rejected" if found.manifest.rejection else "ok"
        return ImageStatus(source=found.source, status=status, manifest=found.manifest)

    def finding(self, key: str) -> Finding:
        """Return what the stores hold under the key. Raises StoreError."""
        eyes = Eyes(key, self.source, self.destination, self.recipe, None, seen=self.manifest, digested=self._digested)
        return eyes.carry_out(look(self.recipe))

    def manifest(self, key: str) -> Manifest | None:
        """Return the manifest that stands under the key, or None. Raises StoreError."""
        with self._lock:
            known = self._manifests.get(key)
        found = read_manifest_version(self.destination, key, known)
        if found and found is not known:
            self._remember(key, found)
        return found.manifest if found else None

    def is_sound(self, reader: OpenObject, record: RenditionRecord) -> bool:
        """Return whether an object has the recorded bytes though not the recorded etag, as in a copied folder.

        Read once for each version. Raises StoreError.
        """
        version = self.destination.url, reader.info.key, reader.info.etag
        return self._digested(version, lambda: digest(reader)) == record.sha256

    def page(self, prefix: str, after: str, limit: int) -> list[ObjectInfo]:
        """Return the first `limit` sources in the order of their keys' code points that come after one, by prefix.

        Where the store lists in no order, every source with the prefix is listed for it. Raises StoreError.
        """
        selection = self.recipe.selection
        visitor = Visitor(
            enters=lambda folder: may_hold_sources(folder, selection),
            unreadable=lambda _key, _error: None,  # sync reports it
        )
        listed = self.source.list(prefix, after=after, visitor=visitor)
        found = (info for info in listed if is_source(info.key, selection) and _is_text(info.key))
        if self.source.in_order:
            return list(islice(found, limit))
        return heapq.nsmallest(limit, found, key=lambda info: info.key)

    def _digested(self, version: Version, read: Callable[[], str | None]) -> str | None:
        """Return the digest of this version, by `read` where it is not known; None where that returns None."""
        with self._lock:
            known = self._digests.get(version)
        if known is None and (known := read()):
            with self._lock:
                self._digests[version] = known
                while len(self._digests) > _REMEMBERED:
                    self._digests.popitem(last=False)
        return known

    def _remember(self, key: str, found: ManifestVersion) -> None:
        with self._lock:
            self._manifests[key] = found
            self._manifests.move_to_end(key)
            while len(self._manifests) > _REMEMBERED:
                self._manifests.popitem(last=False)

    def _unusable(self, source: ObjectInfo, refusal: Rejection) -> Manifest:
        """Return the manifest that would stand there if the key left room for one."""
        record = SourceRecord(key=source.key, etag=source.etag, bytes=source.size)
        limits = self.recipe.limits.judgment
        return Manifest(recipe=self.recipe.fingerprint, limits=limits, source=record, rejection=refusal)


def _is_text(key: str) -> bool:
    """Return whether the key can be put into JSON: the name of a file need not be UTF-8."""
    try:
        key.encode()
    except UnicodeEncodeError:
        return False
    return True


# Seconds between two looks at a key that others have in hand: the first, and the longest that they grow to. A look is
# three requests to S3.
FIRST_LOOK: Final = 0.2
LONGEST: Final = 1.0


class Keeping(Protocol):
    """What the endpoints ask of whoever keeps the thumbnails right."""

    def changed(self, key: str) -> object:
        """Hear that a source was replaced or deleted just now; return None where others see to it."""
        ...

    def pursued(self, key: str) -> object:
        """Hear that a key is not right yet, and see to it unless that is in hand, or failed a moment ago."""
        ...

    async def settled(self, key: str, seconds: float) -> None:
        """Do as `pursued` does, and wait until the key is done, however that ends, but no longer than so many seconds.

        Raises StoreError.
        """
        ...

    def failure(self, key: str) -> ThumbsmithError | None:
        """Return why the key failed a moment ago, or None where that is not known."""
        ...


@dataclass(frozen=True, slots=True)
class KeptByOthers:
    """Thumbnails that somebody else keeps right, who hears of changes from the source itself: on AWS by its events."""

    library: Library

    def changed(self, key: str) -> None:
        """Do nothing: others hear of it by themselves."""

    def pursued(self, key: str) -> None:
        """Do nothing: others are at it."""

    async def settled(self, key: str, seconds: float) -> None:
        """Look at the key until it is done, or gone, but no longer than so many seconds. Raises StoreError."""
        until, pause = time.monotonic() + seconds, FIRST_LOOK
        while (left := until - time.monotonic()) > 0:
            await asyncio.sleep(min(pause, left))
            standing = await self.library.run(self.library.standing, key)
            if standing is None or standing.status != "making":
                return
            pause = min(pause * 1.5, LONGEST)

    def failure(self, key: str) -> None:
        """Return None: what others failed at is in their log."""
