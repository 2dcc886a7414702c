"""A world of one key: the history of its source, the objects of the destination, and the result of each effect.

Nothing here is a mock: the effects are the real ones, and their results are real manifests, listings and `Work`. Only
the renditions have no pixels: their bytes name the content and the variant.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache

from thumbsmith.errors import Code, Rejected
from thumbsmith.image.containers.base import Probe
from thumbsmith.recipe import Recipe
from thumbsmith.recipe.names import MANIFEST, Rendition, expected, rendition_key
from thumbsmith.reconcile import manifest as manifests
from thumbsmith.reconcile.decide import Assessment
from thumbsmith.reconcile.effects import (
    Delete,
    DigestRendition,
    DigestSource,
    Effect,
    HeadSource,
    ListRenditions,
    Put,
    ReadManifest,
    Render,
)
from thumbsmith.reconcile.manifest import Manifest, ManifestVersion, Rejection, RenditionRecord, SourceRecord
from thumbsmith.reconcile.protocol import examine
from thumbsmith.store.base import ObjectInfo
from thumbsmith.worker import Work

KEY = "cat"
OLD = Recipe.loads("[variants.icon]\nwidth = 8\n[variants.small]\nwidth = 16\nformats = ['source']")
NEW = Recipe.loads("[variants.icon]\nwidth = 9\n[variants.wide]\nwidth = 32\n")

# Contents of the source, by letter. A and B give renditions of the same names; P, a PNG, has one of another name; X is
# invalid.
FORMATS: Mapping[str, str] = {"A": "jpeg", "B": "jpeg", "P": "png"}
REFUSAL = Rejected(Code.CORRUPT, "invalid")


@dataclass(frozen=True, slots=True)
class Moment:
    """The source at one time, and the recipe of a worker that starts now. `content` is None if there is no source.

    `settled` is False between a change of the recipe and the `sync` that must follow it.
    """

    content: str | None
    etag: str
    recipe: Recipe
    settled: bool = True

    @property
    def info(self) -> ObjectInfo | None:
        """Return the source as a store describes it."""
        return ObjectInfo(KEY, self.etag, 100) if self.content else None


@dataclass(frozen=True, slots=True)
class Stored:
    """One object of the destination."""

    name: str
    data: bytes
    etag: str


@dataclass(frozen=True, slots=True)
class Advance:
    """An effect of a wrong protocol only: write the event's number to a table. Result: whether it was the highest."""

    number: int


@dataclass(frozen=True, slots=True)
class Destination:
    """All objects under the key, sorted by name, and the table of the sequencer.

    With `fresh_etags` the same bytes get another etag in each write, as in a folder; else the same, as in S3. For that,
    `writes` counts the writes of each name. With `digests`, manifests contain the digest of the source.
    """

    objects: tuple[Stored, ...] = ()
    fresh_etags: bool = False
    digests: bool = False
    writes: tuple[tuple[str, int], ...] = ()
    highest: int = 0

    def get(self, name: str) -> Stored | None:
        """Return the object, or None."""
        return next((each for each in self.objects if each.name == name), None)

    def without(self, name: str) -> Destination:
        """Return this destination after a delete."""
        return replace(self, objects=tuple(each for each in self.objects if each.name != name))

    def put(self, name: str, data: bytes) -> tuple[Destination, str]:
        """Return this destination after a write, and the etag."""
        etag, writes = etag_of(data), dict(self.writes)
        if self.fresh_etags:
            writes[name] = writes.get(name, 0) + 1
            etag = f"{etag}-{writes[name]}"
        others = (each for each in self.objects if each.name != name)
        objects = _sorted((*others, Stored(name, data, etag)))
        return replace(self, objects=objects, writes=tuple(sorted(writes.items()))), etag


def perform(
    effect: Effect | Advance, destination: Destination, moment: Moment, recipe: Recipe
) -> tuple[Destination, object]:
    """Return the destination after this effect of a worker with this recipe, and its result."""
    match effect:
        case ReadManifest():
            return destination, _version(destination.get(MANIFEST))
        case ListRenditions():
            return destination, {o.name: ObjectInfo(f"{KEY}/{o.name}", o.etag, 1) for o in destination.objects}
        case HeadSource() | DigestSource() | Render():
            return destination, _result_of_source(effect, moment, recipe)
        case DigestRendition(name):
            found = destination.get(name)
            return destination, _digest(found.data) if found else None
        case Put(name, data):
            return destination.put(name, data)
        case Delete(name):
            return destination.without(name), None
        case Advance(number):
            return replace(destination, highest=max(number, destination.highest)), number > destination.highest


def _version(found: Stored | None) -> ManifestVersion | None:
    if found is None:
        return None
    return ManifestVersion(ObjectInfo(f"{KEY}/{MANIFEST}", found.etag, len(found.data)), manifests.parse(found.data))


def _result_of_source(effect: HeadSource | DigestSource | Render, moment: Moment, recipe: Recipe) -> object:
    if isinstance(effect, HeadSource):
        return moment.info
    if moment.content is None or moment.etag != effect.etag:
        return None
    if isinstance(effect, DigestSource):
        return _digest(moment.content.encode())
    return render(moment.content, recipe, effect.names)


def etag_of(data: bytes) -> str:
    """Return the etag of these bytes if it depends only on them."""
    return _digest(data)[:8]


def render(content: str, recipe: Recipe, names: frozenset[str] | None) -> Work | Rejected:
    """Return what a renderer makes of a content: deterministic bytes that name it."""
    if content not in FORMATS:
        return REFUSAL
    return Work(
        probe=Probe(format=FORMATS[content], bytes=100, width=60, height=40),
        renditions=tuple(
            Rendition(
                variant=variant.name,
                format=kind,
                type=kind.media_type,
                width=6,
                height=4,
                data=f"{content} {name} {variant.fingerprint}".encode(),
            )
            for name, (variant, kind) in expected(recipe, FORMATS[content], alpha=False).items()
            if names is None or name in names
        ),
        color=f"#{content}",
        cpu_seconds=0,
        peak_memory=0,
    )


@cache
def is_correct(destination: Destination, moment: Moment) -> bool:
    """Return whether the destination is exactly what this source and recipe require, computed without the protocol."""
    stored = {each.name: each.data for each in destination.objects}
    if moment.content is None:
        return not stored
    record = manifests.parse(stored.pop(MANIFEST, b""))
    renditions, manifest = _expected(moment, with_digest=destination.digests)
    return stored == renditions and record is not None and _without_etags(record) == manifest


@cache
def assessment(destination: Destination, moment: Moment) -> Assessment | None:
    """Return the assessment of an examination without other workers; None if there is no source."""
    examination = examine(moment.recipe)
    result: object = None
    while True:
        try:
            effect = examination.send(result)
        except StopIteration as end:
            found: Assessment | None = end.value.assessment
            return found
        _, result = perform(effect, destination, moment, moment.recipe)


def _expected(moment: Moment, *, with_digest: bool) -> tuple[dict[str, bytes], Manifest]:
    """Return the renditions that a source requires, and their manifest without etags of renditions."""
    recipe, content = moment.recipe, moment.content or ""
    sha256 = _digest(content.encode()) if with_digest else None
    source = SourceRecord(key=KEY, etag=moment.etag, bytes=100, sha256=sha256)
    empty = Manifest(recipe=recipe.fingerprint, limits=recipe.limits.fingerprint, source=source)
    work = render(content, recipe, None)
    if isinstance(work, Rejected):
        rejection = Rejection(code=work.code, detail=work.detail)
        return {}, replace(empty, limits=recipe.limits.rejection_fingerprint, rejection=rejection)
    names = expected(recipe, FORMATS[content], alpha=False)
    renditions = {name: each.data for name, each in zip(names, work.renditions, strict=True)}
    source = replace(source, format=FORMATS[content], width=60, height=40, frames=1, alpha=False)
    records = tuple(
        RenditionRecord(
            variant=each.variant,
            fingerprint=next(variant.fingerprint for variant in recipe.variants if variant.name == each.variant),
            key=rendition_key(KEY, each.variant, each.format),
            type=each.type,
            format=each.format,
            width=each.width,
            height=each.height,
            bytes=len(each.data),
            sha256=_digest(each.data),
            etag="",
        )
        for each in work.renditions
    )
    return renditions, replace(empty, source=source, color=work.color, renditions=records)


def _without_etags(manifest: Manifest) -> Manifest:
    return replace(manifest, renditions=tuple(replace(each, etag="") for each in manifest.renditions))


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _sorted(objects: Iterable[Stored]) -> tuple[Stored, ...]:
    return tuple(sorted(objects, key=lambda each: each.name))
