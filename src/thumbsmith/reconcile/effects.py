"""The effects that the protocol yields: what to read, render, write or delete, and what result it expects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from thumbsmith.store.base import Headers


@dataclass(frozen=True, slots=True)
class ReadManifest:
    """Result: the ManifestVersion, or None if there is no such object."""


@dataclass(frozen=True, slots=True)
class ListRenditions:
    """Result: name -> ObjectInfo of the managed objects directly under the key, including the manifest."""


@dataclass(frozen=True, slots=True)
class HeadSource:
    """Result: the ObjectInfo of the source, or None if it does not exist or is not selected.

    `rendered_next`: this version is probably rendered next, so that its first bytes may be read with it.
    """

    rendered_next: bool = False


@dataclass(frozen=True, slots=True)
class DigestRendition:
    """Result: the sha256 of the rendition's bytes in hex, or None if it does not exist."""

    name: str


@dataclass(frozen=True, slots=True)
class DigestSource:
    """Result: the sha256 of the source's bytes in hex, or None if the source no longer has this etag."""

    etag: str


@dataclass(frozen=True, slots=True)
class Render:
    """Result: Work; Rejected if no thumbnail of this source is possible; None if it no longer has this etag.

    `names` are the renditions to render. None means all. An empty set means: only check the source against the limits.
    """

    etag: str
    names: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class Put:
    """Result: the etag of the object that was written under the key."""

    name: str
    data: bytes
    headers: Headers


@dataclass(frozen=True, slots=True)
class PutAll:
    """Result: the etags of the objects that were written, in the order of `puts`.

    They may be written in any order and at the same time. This ends after all of them have ended.
    """

    puts: tuple[Put, ...]


@dataclass(frozen=True, slots=True)
class Delete:
    """Result: None."""

    name: str


Effect: TypeAlias = (
    ReadManifest | ListRenditions | HeadSource | DigestRendition | DigestSource | Render | Put | PutAll | Delete
)
