"""What the protocol asks of whoever drives it, and what it gives back in the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from thumbsmith.reconcile.manifest import RenditionRecord
from thumbsmith.store.base import Headers


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What was done for one source.

    `written` counts renditions, `deleted` objects; `manifest` is its JSON content; `recorded` says that it was written
    now.
    """

    status: Literal["made", "fresh", "rejected", "deleted", "absent"]
    code: str | None = None
    detail: str | None = None
    renditions: tuple[RenditionRecord, ...] = ()
    manifest: Mapping[str, Any] | None = None
    written: int = 0
    deleted: int = 0
    recorded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a caller may choose: leave orphans where they are; try recorded rejections again."""

    keep_orphans: bool = False
    retry_rejected: bool = False


DEFAULTS: Final = Options()


@dataclass(frozen=True, slots=True)
class LoadManifest:
    """Reply: Manifest, or None where there is none that this version can read."""


@dataclass(frozen=True, slots=True)
class ListRenditions:
    """Reply: name -> ObjectInfo of what is ours directly under the source's key, the manifest included."""


@dataclass(frozen=True, slots=True)
class LookAtSource:
    """Reply: ObjectInfo, or None where the source is gone or not selected."""


@dataclass(frozen=True, slots=True)
class DigestRendition:
    """Reply: the sha256 of a rendition's bytes in hex, or None where it is gone."""

    name: str


@dataclass(frozen=True, slots=True)
class DigestSource:
    """Reply: the sha256 of the source's bytes in hex, or None where it is no longer the one seen."""

    etag: str


@dataclass(frozen=True, slots=True)
class Render:
    """Reply: Work; Rejected where this source never gives a thumbnail; None where it is no longer the one seen."""

    etag: str
    wanted: frozenset[str] | None  # names; None is all, none of them is "only judge it"


@dataclass(frozen=True, slots=True)
class Put:
    """Reply: the etag."""

    name: str
    data: bytes
    headers: Headers


@dataclass(frozen=True, slots=True)
class Delete:
    """Reply: None."""

    name: str


Request: TypeAlias = (
    LoadManifest | ListRenditions | LookAtSource | DigestRendition | DigestSource | Render | Put | Delete
)
