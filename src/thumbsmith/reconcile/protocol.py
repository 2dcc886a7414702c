"""How one source is made right, without any I/O: a generator from replies to requests.

`steps` yields what it needs to know or do and is sent the answer, so a shell drives it over real stores and a test can
drive every interleaving of two of them. Why the order is as it is (docs/decisions/0003): an event is only a hint, so
everything is read afresh, in the order manifest, renditions, source; what is retired goes before what is new comes; the
manifest is written last, as the commit; and the source is looked at once more before the caller may acknowledge.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

from thumbsmith.errors import Code, Rejected, StoreError
from thumbsmith.recipe import Recipe
from thumbsmith.recipe.names import MANIFEST, expected
from thumbsmith.reconcile.decide import Assessment, assess, may_be_same
from thumbsmith.reconcile.effects import (
    DEFAULTS,
    Delete,
    DigestRendition,
    DigestSource,
    ListRenditions,
    LoadManifest,
    LookAtSource,
    Options,
    Outcome,
    Put,
    Render,
    Request,
)
from thumbsmith.reconcile.manifest import Manifest, Rejection, RenditionRecord, SourceRecord
from thumbsmith.store.base import MAX_KEY_BYTES, Headers, ObjectInfo

if TYPE_CHECKING:
    from thumbsmith.image.containers.base import Probe
    from thumbsmith.recipe.names import Rendition
    from thumbsmith.worker import Work


# A source replaced more often than this while its pictures are made is handed back, to be tried later.
MAX_ROUNDS: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one look at a key found. Without a source there is nothing to assess.

    `sha256` is the digest of the source where it had to be read.
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
) -> Generator[Request, Any, Outcome]:
    """Yield the requests that make the destination agree with the source under `key`; return what was done.

    With `record_digest` the manifest gets the digest of the source: for stores where etags change without the bytes.
    Raises StoreError, transient, when the source is replaced again and again meanwhile.
    """
    refusal = unusable_key(key, recipe, max_key_bytes)
    if refusal:
        return Outcome(status="rejected", code=refusal.code, detail=refusal.detail)
    for _ in range(MAX_ROUNDS):
        found = yield from look(recipe, options)
        outcome = yield from (
            _make(found, recipe, options, record_digest=record_digest) if found.source else _remove(found, options)
        )
        if outcome:
            return outcome
    raise StoreError(f"{key!r} was replaced again and again while its thumbnails were made", transient=True)


def unusable_key(key: str, recipe: Recipe, max_key_bytes: int) -> Rejection | None:
    """Return why no record can be kept under this key, or None: it is not UTF-8, or leaves no room for our names."""
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        return Rejection(code=Code.UNSUPPORTED_KEY, detail="the name is not UTF-8")
    longest = max([MANIFEST, *expected(recipe, "jpeg", alpha=False)], key=len)
    if size + 1 + len(longest) > max_key_bytes:
        return Rejection(code=Code.KEY_TOO_LONG, detail=f"{size} bytes leave no room for /{longest} in {max_key_bytes}")
    return None


def look(recipe: Recipe, options: Options = DEFAULTS) -> Generator[Request, Any, Finding]:
    """Yield the requests that only read; return what they found. Doubtful renditions are settled by their bytes."""
    manifest: Manifest | None = yield LoadManifest()
    present: Mapping[str, ObjectInfo] = yield ListRenditions()
    source: ObjectInfo | None = yield LookAtSource()
    if manifest and manifest.rejection and options.retry_rejected:
        manifest = None
    if source is None:
        return Finding(source=None, manifest=manifest, present=present, assessment=None)
    sha256: str | None = None
    if manifest and may_be_same(source, manifest.source):
        sha256 = yield DigestSource(source.etag)
    assessment = assess(source, manifest, present, recipe, sha256=sha256)
    if assessment.doubtful:
        digests: dict[str, str | None] = {}
        for name in assessment.doubtful:
            digests[name] = yield DigestRendition(name)
        assessment = assess(source, manifest, present, recipe, digests, sha256)
    return Finding(source=source, manifest=manifest, present=present, assessment=assessment, sha256=sha256)


# The parts below return None when the source is no longer the one they began with: then all is looked at again.


def _remove(found: Finding, options: Options) -> Generator[Request, Any, Outcome | None]:
    """Delete what was made of a source that is gone: renditions first, the manifest last."""
    if options.keep_orphans or not found.present:
        return Outcome(status="absent")
    for name in sorted(found.present, key=lambda name: (name == MANIFEST, name)):
        yield Delete(name)
    if (yield LookAtSource()) is not None:
        return None
    return Outcome(status="deleted", deleted=len(found.present))


def _make(
    found: Finding, recipe: Recipe, options: Options, *, record_digest: bool
) -> Generator[Request, Any, Outcome | None]:
    """Do what the assessment of a source that is there leaves to do."""
    source, verdict, old = found.source, found.assessment, found.manifest
    if source is None or verdict is None:
        return None
    if old and verdict.settled:
        deleted = yield from _retire(verdict.retired, options)
        if verdict.touched:
            known = replace(old, source=replace(old.source, etag=source.etag))
            return (yield from _commit(known, source, "fresh", deleted=deleted))
        if deleted and (yield from _replaced(source)):
            return None
        return _outcome(old, "fresh", deleted=deleted)
    shown: Work | Manifest
    if old and verdict.nothing_to_render:
        facts, shown, pictures = replace(old.source, etag=source.etag), old, {}
    else:
        work: Work | Rejected | None = yield Render(source.etag, verdict.wanted)
        if work is None:
            return None
        sha256 = old.source.sha256 if old and old.source.etag == source.etag else found.sha256
        if record_digest and not sha256 and source.size <= recipe.limits.max_bytes:
            sha256 = yield DigestSource(source.etag)
            if sha256 is None:
                return None
        seen = SourceRecord(key=source.key, etag=source.etag, bytes=source.size, sha256=sha256)
        if isinstance(work, Rejected):
            return (yield from _reject(found, source, _rejection(seen, work, recipe), options))
        facts, pictures = _facts(seen, work.probe), _named(work.renditions)
        shown = work if work.color or not old else old  # without a picture nobody looked
    records = {record.name: record for record in verdict.kept}
    final = {MANIFEST, *pictures, *records}
    deleted = yield from _retire((name for name in found.present if name not in final), options)
    for name, picture in pictures.items():
        records[name] = yield from _store(source.key, name, picture, recipe)
    manifest = _manifest(facts, shown, records, recipe)
    return (yield from _commit(manifest, source, "made", written=len(pictures), deleted=deleted))


def _reject(
    found: Finding, source: ObjectInfo, rejection: Manifest, options: Options
) -> Generator[Request, Any, Outcome | None]:
    """Record why there is no thumbnail; what was made of an earlier content goes."""
    deleted = yield from _retire((name for name in found.present if name != MANIFEST), options)
    return (yield from _commit(rejection, source, "made", deleted=deleted))


def _retire(names: Iterable[str], options: Options) -> Generator[Request, Any, int]:
    """Delete renditions that nothing wants any more; return how many."""
    retired = () if options.keep_orphans else tuple(sorted(names))
    for name in retired:
        yield Delete(name)
    return len(retired)


def _store(key: str, name: str, picture: Rendition, recipe: Recipe) -> Generator[Request, Any, RenditionRecord]:
    """Write one rendition; return its record."""
    made_for = (picture.variant, picture.density)
    fingerprint = next(each.fingerprint for each in recipe.pictures if (each.name, each.density) == made_for)
    digest = hashlib.sha256(picture.data).hexdigest()
    metadata = {
        "thumbsmith-variant": picture.variant,
        "thumbsmith-fingerprint": fingerprint,
        "thumbsmith-sha256": digest,
    }
    etag = yield Put(name, picture.data, Headers(content_type=picture.type, metadata=metadata))
    return RenditionRecord(
        variant=picture.variant,
        fingerprint=fingerprint,
        key=f"{key}/{name}",
        type=picture.type,
        format=picture.format,
        width=picture.width,
        height=picture.height,
        bytes=len(picture.data),
        sha256=digest,
        etag=etag,
        dpr=picture.density,
    )


def _commit(
    manifest: Manifest, source: ObjectInfo, done: Literal["made", "fresh"], *, written: int = 0, deleted: int
) -> Generator[Request, Any, Outcome | None]:
    """Write the manifest, then look at the source once more."""
    yield Put(MANIFEST, manifest.to_bytes(), Headers(content_type="application/json"))
    if (yield from _replaced(source)):
        return None
    return _outcome(manifest, done, written=written, deleted=deleted, recorded=True)


def _replaced(source: ObjectInfo) -> Generator[Request, Any, bool]:
    """Return whether the source is another one by now, so that what was written or deleted for it may be wrong."""
    now: ObjectInfo | None = yield LookAtSource()
    return now is None or now.etag != source.etag


def _named(pictures: Iterable[Rendition]) -> dict[str, Rendition]:
    return {picture.name: picture for picture in pictures}


def _manifest(
    facts: SourceRecord,
    shown: Work | Manifest,
    records: Mapping[str, RenditionRecord],
    recipe: Recipe,
) -> Manifest:
    names = expected(recipe, facts.format or "", alpha=bool(facts.alpha))
    return Manifest(
        recipe=recipe.fingerprint,
        limits=recipe.limits.fingerprint,
        source=facts,
        color=shown.color,
        thumbhash=shown.thumbhash,
        notes=shown.notes,
        renditions=tuple(records[name] for name in names if name in records),
    )


def _facts(seen: SourceRecord, probe: Probe) -> SourceRecord:
    width, height = probe.size
    return replace(
        seen,
        format=probe.format,
        width=width,
        height=height,
        frames=probe.frames,
        alpha=probe.alpha,
    )


def _rejection(seen: SourceRecord, rejected: Rejected, recipe: Recipe) -> Manifest:
    return Manifest(
        recipe=recipe.fingerprint,
        limits=recipe.limits.judgment,
        source=seen,
        rejection=Rejection(code=rejected.code, detail=rejected.detail),
    )


def _outcome(
    manifest: Manifest, done: Literal["made", "fresh"], *, written: int = 0, deleted: int = 0, recorded: bool = False
) -> Outcome:
    return Outcome(
        status="rejected" if manifest.rejection else done,
        code=manifest.rejection.code if manifest.rejection else None,
        detail=manifest.rejection.detail if manifest.rejection else None,
        renditions=manifest.renditions,
        manifest=manifest.as_dict(),
        written=written,
        deleted=deleted,
        recorded=recorded,
    )
