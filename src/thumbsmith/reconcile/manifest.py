"""The manifest: the record of one source, with its renditions or the rejection. It is written last, as the commit."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar, get_type_hints

from thumbsmith.errors import SourceChanged
from thumbsmith.recipe.names import MANIFEST
from thumbsmith.store.base import ObjectInfo, Store

if TYPE_CHECKING:
    from thumbsmith.image.containers.base import Probe

VERSION: Final = 1

# A manifest of fifty variants in four formats has about 100 KB. Thumbsmith reads no larger object into memory.
MAX_MANIFEST_BYTES: Final = 4_194_304


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRecord:
    """The source as it was when its renditions were made. A rejected source has no format, size, frames or alpha.

    `bytes` is its size. `sha256` is recorded if etags change without the bytes, as in folders, but not in manifests of
    earlier versions.
    """

    key: str
    etag: str
    bytes: int
    sha256: str | None = None
    format: str | None = None
    width: int | None = None  # pixels, after the EXIF orientation was applied
    height: int | None = None
    frames: int | None = None
    alpha: bool | None = None

    def with_probe(self, probe: Probe) -> SourceRecord:
        """Return this record with what the header of the source says."""
        width, height = probe.size
        return replace(self, format=probe.format, width=width, height=height, frames=probe.frames, alpha=probe.alpha)


@dataclass(frozen=True, slots=True, kw_only=True)
class RenditionRecord:
    """One rendition in the destination. Sizes are in pixels and bytes."""

    variant: str
    fingerprint: str
    key: str
    type: str
    format: str
    width: int
    height: int
    bytes: int
    sha256: str
    etag: str
    dpr: float = 1.0  # not written if it is 1

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON content."""
        return {name: value for name, value in _values(self).items() if (name, value) != ("dpr", 1)}

    @property
    def name(self) -> str:
        """Return the last component of the key: `small.webp`."""
        return self.key.rpartition("/")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """Why a source gets no thumbnails: a stable code, and a sentence for people."""

    code: str
    detail: str


Record: TypeAlias = SourceRecord | RenditionRecord | Rejection


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The content of one `manifest.json`. Either `renditions` or `rejection` is empty."""

    recipe: str
    limits: str  # the fingerprint of the limits: a rejection is valid while it does not change
    source: SourceRecord
    color: str | None = None
    thumbhash: str | None = None  # base64; not in manifests of earlier versions
    notes: tuple[str, ...] = ()  # sentences about faults of the source that were ignored
    renditions: tuple[RenditionRecord, ...] = ()
    rejection: Rejection | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON content. `status` is "ok" or "rejected". It does not depend on the time or the machine."""
        shared = {
            "thumbsmith": VERSION,
            "recipe": self.recipe,
            "limits": self.limits,
            "source": {name: value for name, value in _values(self.source).items() if value is not None},
        }
        if self.rejection:
            return {**shared, "status": "rejected", "rejection": _values(self.rejection), "renditions": []}
        return {
            **shared,
            **({"notes": list(self.notes)} if self.notes else {}),
            "status": "ok",
            "placeholder": {"color": self.color, **({"thumbhash": self.thumbhash} if self.thumbhash else {})},
            "renditions": [rendition.as_dict() for rendition in self.renditions],
            "srcset": self.srcset(),
        }

    def srcset(self) -> dict[str, str]:
        """Return the `srcset` for each format: the renditions that are not cropped, one for each width."""
        from urllib.parse import quote  # noqa: PLC0415 - only URLs need it

        entries: dict[str, dict[int, str]] = {}
        for rendition in self.renditions:
            if self.shows_whole_picture(rendition):
                url = f"{quote(rendition.key, safe='/')}?v={rendition.sha256[:8]}"
                entries.setdefault(rendition.format, {}).setdefault(rendition.width, f"{url} {rendition.width}w")
        return {kind: ", ".join(by_width[width] for width in sorted(by_width)) for kind, by_width in entries.items()}

    def shows_whole_picture(self, rendition: RenditionRecord) -> bool:
        """Return whether a rendition is not cropped: it has the source's aspect ratio, within a pixel."""
        if not self.source.width or not self.source.height:
            return False
        width, height = self.source.width, self.source.height
        return abs(rendition.height * width - rendition.width * height) <= max(width, height)

    def to_bytes(self) -> bytes:
        """Return the content of the file: JSON in UTF-8 with sorted keys."""
        return (json.dumps(self.as_dict(), sort_keys=True, ensure_ascii=False, indent=1) + "\n").encode()


@dataclass(frozen=True, slots=True)
class ManifestVersion:
    """One version of the manifest object of a key.

    `manifest` is None if this release cannot read the object, or if the object is about another key.
    """

    info: ObjectInfo
    manifest: Manifest | None


def read_manifest(store: Store, key: str) -> Manifest | None:
    """Return the manifest of `key` in a destination, or None as `read_manifest_version` does. Raises StoreError."""
    found = read_manifest_version(store, key)
    return found.manifest if found else None


def read_manifest_version(store: Store, key: str, known: ManifestVersion | None = None) -> ManifestVersion | None:
    """Return the manifest of `key` in a destination and its version. If the store still has `known`, return that.

    Returns None if there is no such object, or if another worker replaces it during the read. Raises StoreError.
    """
    reader = store.open(f"{key}/{MANIFEST}")
    if reader is None:
        return None
    try:
        if known and known.info.etag == reader.info.etag:
            return known
        manifest = parse(reader.read(0, MAX_MANIFEST_BYTES))
    except SourceChanged:
        return None
    finally:
        reader.close()
    return ManifestVersion(reader.info, manifest if manifest and manifest.source.key == key else None)


def parse(data: bytes) -> Manifest | None:
    """Return the manifest, or None if this release cannot read it; the source then counts as stale."""
    try:
        content = json.loads(data)
        if content["thumbsmith"] != VERSION:
            return None
        rejection = content.get("rejection")
        placeholder = {} if rejection else content["placeholder"]
        return Manifest(
            recipe=str(content["recipe"]),
            limits=str(content["limits"]),
            source=_checked(SourceRecord, content["source"]),
            color=None if rejection else placeholder["color"],
            thumbhash=placeholder.get("thumbhash"),
            notes=tuple(map(str, content.get("notes", ()))),
            renditions=tuple(_checked(RenditionRecord, rendition) for rendition in content["renditions"]),
            rejection=_checked(Rejection, rejection) if rejection else None,
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _values(record: Record) -> dict[str, Any]:
    """Return the fields of a record by name. `dataclasses.asdict` would also copy each value, which is slow."""
    return {name: getattr(record, name) for name in record.__slots__}


T = TypeVar("T")


@cache
def _types() -> dict[type[object], dict[str, Any]]:
    return {kind: get_type_hints(kind) for kind in (SourceRecord, RenditionRecord, Rejection)}


def _checked(kind: type[T], content: Any) -> T:
    """Return the record. Raises TypeError if a field is missing, unknown or of another type."""
    record = kind(**content)
    for name, hint in _types()[kind].items():
        if not isinstance(getattr(record, name), (int, float) if hint is float else hint):
            raise TypeError(name)
    return record
