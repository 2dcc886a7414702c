"""What is remembered of one version of a manifest: as much as `assess` asks, and small."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from thumbsmith.keys import is_ours
from thumbsmith.listing import pack, unpack
from thumbsmith.manifest import Manifest, Rejection, RenditionRecord, SourceRecord
from thumbsmith.store.types import ObjectInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What many manifests have in common. `renditions` are names with the fingerprints of their variants."""

    recipe: str
    limits: str
    format: str | None = None
    alpha: bool | None = None
    rejection: tuple[str, str] | None = None  # code, detail
    renditions: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What the version `manifest` of a manifest (an etag) said, as far as `assess` asks.

    `facts` is None for a manifest that cannot be read. `source` is the etag of the source: the recorded one, or a later
    one under which it was found to have the recorded bytes. `size` and `sha256` are the source's, as recorded, the
    latter empty where none is. `objects` are the renditions as
    they were recorded, or found to have the recorded bytes, and the manifest itself, packed; `altered` are names and
    etags of objects that were found to have other bytes.
    """

    manifest: str
    facts: Facts | None = None
    source: str = ""
    size: int = 0
    sha256: str = ""
    objects: str = ""
    altered: tuple[tuple[str, str], ...] = ()

    def source_record(self, key: str) -> SourceRecord:
        """Return what is remembered of the source, but for its format."""
        return SourceRecord(key=key, etag=self.source, bytes=self.size, sha256=self.sha256 or None)

    def as_manifest(self, key: str) -> Manifest | None:
        """Return the manifest as far as `assess` asks: what else a manifest holds is left empty.

        Raises ValueError or KeyError for a record that is damaged.
        """
        if self.facts is None:
            return None
        facts, present = self.facts, unpack(key, self.objects)
        return Manifest(
            recipe=facts.recipe,
            limits=facts.limits,
            source=replace(self.source_record(key), format=facts.format, alpha=facts.alpha),
            renditions=tuple(
                RenditionRecord(
                    variant="",
                    fingerprint=fingerprint,
                    key=f"{key}/{name}",
                    type="",
                    format="",
                    width=0,
                    height=0,
                    bytes=0,
                    sha256="",
                    etag=present[name].etag,
                )
                for name, fingerprint in facts.renditions
            ),
            rejection=Rejection(code=facts.rejection[0], detail=facts.rejection[1]) if facts.rejection else None,
        )


def record_of(
    version: ObjectInfo,
    manifest: Manifest | None,
    sound: Mapping[str, str],
    altered: Mapping[str, str],
) -> Record | None:
    """Return the record of the manifest that this `version` of it holds; None for one that cannot be kept.

    Of renditions that have another etag than the recorded one, by name: `sound` are the etags of those whose bytes are
    the recorded ones all the same, `altered` of those whose bytes are not.
    """
    if manifest is None:
        return Record(manifest=version.etag)
    recorded = {each.name: each for each in manifest.renditions if is_ours(each.name)}
    objects = [ObjectInfo(each.key, sound.get(name, each.etag), each.bytes) for name, each in recorded.items()]
    etags = (version.etag, manifest.source.etag, *(info.etag for info in objects))
    if not all(etag.isprintable() for etag in etags):
        return None  # written by somebody else: no store has such etags, and they cannot be packed
    rejection = manifest.rejection
    return Record(
        manifest=version.etag,
        facts=Facts(
            recipe=manifest.recipe,
            limits=manifest.limits,
            format=manifest.source.format,
            alpha=manifest.source.alpha,
            rejection=(rejection.code, rejection.detail) if rejection else None,
            renditions=tuple(sorted((name, each.fingerprint) for name, each in recorded.items())),
        ),
        source=manifest.source.etag,
        size=manifest.source.bytes,
        sha256=manifest.source.sha256 or "",
        objects=pack([*objects, version]),
        altered=tuple(sorted(altered.items())),
    )
