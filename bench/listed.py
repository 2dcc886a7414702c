"""Stores with generated listings: any number of sources, all with the thumbnails of the default recipe."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import md5
from pathlib import Path

from thumbsmith.bulk.scan import Scope
from thumbsmith.errors import StoreError
from thumbsmith.recipe import Recipe
from thumbsmith.recipe.names import MANIFEST
from thumbsmith.reconcile.manifest import Manifest, RenditionRecord, SourceRecord
from thumbsmith.store import Headers, ObjectInfo, Store
from thumbsmith.store.memory import MemoryObject

RECIPE = Recipe.default()
FINGERPRINT, LIMITS = RECIPE.fingerprint, RECIPE.limits.fingerprint
VARIANTS = {variant.name: variant.fingerprint for variant in RECIPE.variants}
MANIFEST_BYTES = 3_000  # padded
HEADERS = Headers(content_type="application/json")


@dataclass
class Listed(Store):
    """A store of `sources` photographs, or of their thumbnails with `thumbs`. Nothing can be written."""

    sources: int
    thumbs: bool
    opened: int = 0

    @property
    def url(self) -> str:
        """Return an address."""
        return f"listed://{'thumbs' if self.thumbs else 'photos'}-{self.sources}"

    def list(
        self,
        prefix: str = "",
        *,
        after: str = "",  # noqa: ARG002 - a scan lists from the beginning
        visitor: object = None,  # noqa: ARG002 - everything is readable
    ) -> Iterator[ObjectInfo]:
        """Yield every object of the sources whose keys start so, in the order in which S3 lists them."""
        for number in range(self.sources):
            key = f"{number // 1000:06}/IMG_{number:08}.jpg"
            if not key.startswith(prefix):
                continue
            if not self.thumbs:
                yield ObjectInfo(key, etag(key), 3_000_000)
                continue
            yield ObjectInfo(f"{key}/icon.webp", etag(f"{key}/icon"), 1_000)
            yield ObjectInfo(f"{key}/large.webp", etag(f"{key}/large"), 50_000)
            yield ObjectInfo(f"{key}/{MANIFEST}", etag(f"{key}/manifest"), MANIFEST_BYTES)
            yield ObjectInfo(f"{key}/small.webp", etag(f"{key}/small"), 10_000)

    def open(self, key: str) -> MemoryObject | None:
        """Return a reader for a manifest, None for any other object."""
        self.opened += 1
        source, _, name = key.rpartition("/")
        if name != MANIFEST:
            return None
        content = manifest(source)
        return MemoryObject(ObjectInfo(key, etag(f"{source}/manifest"), len(content)), content, HEADERS)

    def head(self, key: str) -> ObjectInfo | None:
        """Return None: never called."""

    def put(self, key: str, *_: object) -> str:
        """Refuse."""
        raise StoreError(f"{key}: a listing holds no objects", transient=False)

    def delete(self, key: str) -> None:
        """Refuse."""
        raise StoreError(f"{key}: a listing holds no objects", transient=False)

    def children(self, key: str) -> Iterator[ObjectInfo]:
        """Refuse."""
        raise StoreError(f"{key}: a listing holds no objects", transient=False)

    def overlaps(self, other: Store) -> bool:
        """Return False: nothing can be written."""
        return other is self


def etag(text: str) -> str:
    """Return an etag like S3's."""
    return md5(text.encode(), usedforsecurity=False).hexdigest()


def manifest(key: str) -> bytes:
    """Return the manifest of a source."""
    source = SourceRecord(key=key, etag=etag(key), bytes=3_000_000, format="jpeg", width=4000, height=3000, frames=1)
    records = tuple(
        RenditionRecord(
            variant=variant.name,
            fingerprint=VARIANTS[variant.name],
            key=f"{key}/{variant.name}.webp",
            type="image/webp",
            format="webp",
            width=variant.width or 0,
            height=variant.height or 0,
            bytes={"icon": 1_000, "small": 10_000, "large": 50_000}[variant.name],
            sha256="0" * 64,
            etag=etag(f"{key}/{variant.name}"),
        )
        for variant in RECIPE.variants
    )
    made = Manifest(recipe=FINGERPRINT, limits=LIMITS, source=source, color="#000000", renditions=records)
    return made.to_bytes().ljust(MANIFEST_BYTES)


def scope_of(sources: int, index: Path | None) -> Scope:
    """Return a scope with this source and destination."""
    source, destination = Listed(sources, thumbs=False), Listed(sources, thumbs=True)
    return Scope(source=source, destination=destination, recipe=RECIPE, cache=index)
