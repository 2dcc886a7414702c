"""The steps that update the thumbnails of one key, without any I/O.

`steps` is a generator. It yields effects, such as "read the manifest", and receives their results. `converge` drives it
over real stores. Tests drive two or more of them in every interleaving.

The order of the steps (docs/decisions/0003):

1. An event is only a hint. Every run reads the current manifest, then the renditions, then the source.
2. Obsolete renditions are deleted before new ones are written.
3. The manifest is written last: it is the commit.
4. The source is checked once more before the run ends. If it changed, all steps are repeated.

The run of a message that is delivered for the first time does not list the renditions of a new or replaced source: the
manifest names all of them, except those of a run that ended before its commit. The message of that run is delivered
again, and then the renditions are listed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Literal

from thumbsmith.errors import Rejected, StoreError
from thumbsmith.recipe import Recipe
from thumbsmith.recipe.names import MANIFEST, expected
from thumbsmith.reconcile.decide import Assessment, assess, may_be_same, unusable_key
from thumbsmith.reconcile.effects import (
    Delete,
    DigestRendition,
    DigestSource,
    Effect,
    HeadSource,
    ListRenditions,
    Put,
    PutAll,
    ReadManifest,
    Render,
)
from thumbsmith.reconcile.manifest import Manifest, ManifestVersion, Rejection, RenditionRecord, SourceRecord
from thumbsmith.store.base import MAX_KEY_BYTES, Headers, ObjectInfo

if TYPE_CHECKING:
    from thumbsmith.recipe.names import Rendition
    from thumbsmith.worker import Work

# If the source is replaced in each of this many rounds, the key fails and is tried again later.
MAX_ROUNDS: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the caller chooses, or knows about its request.

    `keep_orphans`: keep the thumbnails of deleted sources. `retry_rejected`: try recorded rejections again.
    `first_delivery`: if this run ends before its commit, another run of this key follows, which lists the renditions:
    the next delivery of a message, or the next sync. Then this run lists them only where it must.
    """

    keep_orphans: bool = False
    retry_rejected: bool = False
    first_delivery: bool = False


DEFAULTS: Final = Options()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The result of a run for one source.

    `written` counts renditions, `deleted` counts objects. `manifest` is the JSON content of the manifest. `recorded`
    says whether this run wrote the manifest.
    """

    status: Literal["made", "fresh", "rejected", "deleted", "absent"]
    code: str | None = None
    detail: str | None = None
    renditions: tuple[RenditionRecord, ...] = ()
    manifest: Mapping[str, Any] | None = field(default=None, repr=False)
    written: int = 0
    deleted: int = 0
    recorded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What is under one key. `assessment` is None if there is no source.

    `present` are the objects under the key, by name: listed, or those that the manifest names. `sha256` is the digest
    of the source if it was read.
    """

    source: ObjectInfo | None
    manifest: Manifest | None
    present: Mapping[str, ObjectInfo]
    assessment: Assessment | None
    sha256: str | None = None


def steps(
    key: str,
    recipe: Recipe,
    options: Options = DEFAULTS,
    max_key_bytes: int = MAX_KEY_BYTES,
    *,
    record_digest: bool = False,
) -> Generator[Effect, Any, Outcome]:
    """Yield the effects that make the destination match the source under `key`; return the outcome.

    With `record_digest`, the manifest contains the digest of the source. Stores need it if the same bytes can get
    another etag. Raises StoreError, transient, if the source is replaced in every round.
    """
    refusal = unusable_key(key, recipe, max_key_bytes)
    if refusal:
        return Outcome(status="rejected", code=refusal.code, detail=refusal.detail)
    for number in range(MAX_ROUNDS):
        found = yield from examine(recipe, options if number == 0 else replace(options, first_delivery=False))
        if found.source and found.assessment:
            outcome = yield from _update(
                found, found.source, found.assessment, recipe, options, record_digest=record_digest
            )
        else:
            outcome = yield from _delete_all(found, options)
        if outcome:
            return outcome
    raise StoreError(f"{key!r}: the source was replaced {MAX_ROUNDS} times during the run", transient=True)


def examine(recipe: Recipe, options: Options = DEFAULTS) -> Generator[Effect, Any, Finding]:
    """Yield the effects that only read; return what they found.

    If the etag of a rendition is not the recorded one, its bytes decide.
    """
    version: ManifestVersion | None = yield ReadManifest()
    manifest = version.manifest if version else None
    source: ObjectInfo | None
    present: Mapping[str, ObjectInfo]
    if options.first_delivery:
        source = yield HeadSource(rendered_next=True)
        named = _named_by_manifest(source, version)
        present = (yield ListRenditions()) if named is None else named
    else:
        present = yield ListRenditions()
        source = yield HeadSource()
    if manifest and manifest.rejection and options.retry_rejected:
        manifest = None
    if source is None:
        return Finding(source=None, manifest=manifest, present=present, assessment=None)
    sha256: str | None = None
    if manifest and may_be_same(source, manifest.source):
        sha256 = yield DigestSource(source.etag)
    assessment = assess(source, manifest, present, recipe, sha256=sha256)
    if assessment.etag_mismatch:
        digests: dict[str, str | None] = {}
        for name in assessment.etag_mismatch:
            digests[name] = yield DigestRendition(name)
        assessment = assess(source, manifest, present, recipe, digests, sha256)
    return Finding(source=source, manifest=manifest, present=present, assessment=assessment, sha256=sha256)


def _named_by_manifest(source: ObjectInfo | None, version: ManifestVersion | None) -> Mapping[str, ObjectInfo] | None:
    """Return the objects that the manifest names, by name; None if the renditions must be listed.

    All renditions of a new or a replaced source are rendered again, so that only their names are needed. The
    renditions of a source that has the recorded etag are compared with those in the store. Those of a deleted source
    are all deleted, also those that an operator or an older release left.
    """
    if source is None:
        return None
    if version is None:
        return {}
    manifest = version.manifest
    if manifest is None or manifest.source.etag == source.etag or may_be_same(source, manifest.source):
        return None
    renditions = {each.name: ObjectInfo(each.key, each.etag, each.bytes) for each in manifest.renditions}
    return {MANIFEST: version.info, **renditions}


# Each of the generators below returns None if the source changed since it was examined. `steps` then starts again.


def _delete_all(found: Finding, options: Options) -> Generator[Effect, Any, Outcome | None]:
    """Delete the thumbnails of a deleted source: renditions first, the manifest last."""
    if options.keep_orphans or not found.present:
        return Outcome(status="absent")
    for name in sorted(found.present, key=lambda name: (name == MANIFEST, name)):
        yield Delete(name)
    if (yield HeadSource()) is not None:
        return None
    return Outcome(status="deleted", deleted=len(found.present))


def _update(
    found: Finding,
    source: ObjectInfo,
    assessment: Assessment,
    recipe: Recipe,
    options: Options,
    *,
    record_digest: bool,
) -> Generator[Effect, Any, Outcome | None]:
    """Render, write and delete what the assessment of an existing source requires."""
    old = found.manifest
    description: Work | Manifest
    if old and assessment.settled:
        return (yield from _confirm(old, source, assessment, options))
    if old and assessment.nothing_to_render:
        record, description, rendered = replace(old.source, etag=source.etag), old, {}
    else:
        work: Work | Rejected | None = yield Render(source.etag, assessment.to_render)
        if work is None:
            return None
        sha256 = old.source.sha256 if old and old.source.etag == source.etag else found.sha256
        if record_digest and not sha256 and source.size <= recipe.limits.max_bytes:
            sha256 = yield DigestSource(source.etag)
            if sha256 is None:
                return None
        record = SourceRecord(key=source.key, etag=source.etag, bytes=source.size, sha256=sha256)
        if isinstance(work, Rejected):
            return (yield from _reject(found, source, record, work, recipe, options))
        record, rendered = record.with_probe(work.probe), {each.name: each for each in work.renditions}
        # Work has no color if no picture was decoded: the source was only checked against the limits.
        description = work if work.color or not old else old
    records = {each.name: each for each in assessment.current}
    final = {MANIFEST, *rendered, *records}
    deleted = yield from _delete((name for name in found.present if name not in final), options)
    if rendered:
        made = [_record(source.key, each, recipe) for each in rendered.values()]
        etags: list[str] = yield PutAll(tuple(map(_put, rendered.values(), made)))
        records |= {each.name: replace(each, etag=etag) for each, etag in zip(made, etags, strict=True)}
    manifest = _manifest(record, description, records, recipe)
    return (yield from _commit(manifest, source, "made", written=len(rendered), deleted=deleted))


def _confirm(
    manifest: Manifest, source: ObjectInfo, assessment: Assessment, options: Options
) -> Generator[Effect, Any, Outcome | None]:
    """Keep what is recorded. Delete obsolete renditions; record a new etag of the source."""
    deleted = yield from _delete(assessment.obsolete, options)
    if assessment.touched:
        updated = replace(manifest, source=replace(manifest.source, etag=source.etag))
        return (yield from _commit(updated, source, "fresh", deleted=deleted))
    if deleted and (yield from _is_replaced(source)):
        return None
    return _outcome(manifest, "fresh", deleted=deleted)


def _reject(
    found: Finding, source: ObjectInfo, record: SourceRecord, rejected: Rejected, recipe: Recipe, options: Options
) -> Generator[Effect, Any, Outcome | None]:
    """Delete all renditions, which show earlier content, and record why the source is rejected."""
    deleted = yield from _delete((name for name in found.present if name != MANIFEST), options)
    rejection = Rejection(code=rejected.code, detail=rejected.detail)
    manifest = Manifest(
        recipe=recipe.fingerprint, limits=recipe.limits.rejection_fingerprint, source=record, rejection=rejection
    )
    return (yield from _commit(manifest, source, "made", deleted=deleted))


def _delete(names: Iterable[str], options: Options) -> Generator[Effect, Any, int]:
    """Delete obsolete renditions, unless orphans are kept; return how many."""
    obsolete = () if options.keep_orphans else tuple(sorted(names))
    for name in obsolete:
        yield Delete(name)
    return len(obsolete)


def _record(key: str, rendition: Rendition, recipe: Recipe) -> RenditionRecord:
    """Return the record of a rendition that is not written yet: its etag is empty."""
    made_for = (rendition.variant, rendition.density)
    fingerprint = next(each.fingerprint for each in recipe.variants_by_density if (each.name, each.density) == made_for)
    return RenditionRecord(
        variant=rendition.variant,
        fingerprint=fingerprint,
        key=f"{key}/{rendition.name}",
        type=rendition.type,
        format=rendition.format,
        width=rendition.width,
        height=rendition.height,
        bytes=len(rendition.data),
        sha256=hashlib.sha256(rendition.data).hexdigest(),
        etag="",
        dpr=rendition.density,
    )


def _put(rendition: Rendition, record: RenditionRecord) -> Put:
    """Return the effect that writes a rendition."""
    metadata = {
        "thumbsmith-variant": record.variant,
        "thumbsmith-fingerprint": record.fingerprint,
        "thumbsmith-sha256": record.sha256,
    }
    return Put(rendition.name, rendition.data, Headers(content_type=rendition.type, metadata=metadata))


def _commit(
    manifest: Manifest, source: ObjectInfo, status: Literal["made", "fresh"], *, written: int = 0, deleted: int
) -> Generator[Effect, Any, Outcome | None]:
    """Write the manifest, then check the source once more."""
    yield Put(MANIFEST, manifest.to_bytes(), Headers(content_type="application/json"))
    if (yield from _is_replaced(source)):
        return None
    return _outcome(manifest, status, written=written, deleted=deleted, recorded=True)


def _is_replaced(source: ObjectInfo) -> Generator[Effect, Any, bool]:
    """Return whether the source has another etag now, so that this run may have written or deleted too much."""
    now: ObjectInfo | None = yield HeadSource()
    return now is None or now.etag != source.etag


def _manifest(
    record: SourceRecord, description: Work | Manifest, records: Mapping[str, RenditionRecord], recipe: Recipe
) -> Manifest:
    names = expected(recipe, record.format or "", alpha=bool(record.alpha))
    return Manifest(
        recipe=recipe.fingerprint,
        limits=recipe.limits.fingerprint,
        source=record,
        color=description.color,
        thumbhash=description.thumbhash,
        notes=description.notes,
        renditions=tuple(records[name] for name in names if name in records),
    )


def _outcome(
    manifest: Manifest, status: Literal["made", "fresh"], *, written: int = 0, deleted: int = 0, recorded: bool = False
) -> Outcome:
    return Outcome(
        status="rejected" if manifest.rejection else status,
        code=manifest.rejection.code if manifest.rejection else None,
        detail=manifest.rejection.detail if manifest.rejection else None,
        renditions=manifest.renditions,
        manifest=manifest.as_dict(),
        written=written,
        deleted=deleted,
        recorded=recorded,
    )
