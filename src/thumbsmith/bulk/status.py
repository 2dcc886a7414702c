"""How one key stands: the verdict of `assess`, reached with as few requests as it takes.

Where the index knows the manifest that is listed, listings alone decide. Else the manifest is read, and the bytes of
renditions whose etag is not the recorded one, as `converge` does. So are the bytes of a source that has another etag
and the recorded size.

What `sync` would do, in numbers: how many sources and objects, how many bytes. What it costs, `cost` tells.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from thumbsmith.bulk.cost import GONE, NOTHING, Amount, source
from thumbsmith.bulk.join import KeyRow, pack
from thumbsmith.bulk.manifest_cache import CachedManifest, ManifestShape, cached_manifest
from thumbsmith.errors import ThumbsmithError
from thumbsmith.recipe import Recipe
from thumbsmith.recipe.names import MANIFEST, possible_names
from thumbsmith.reconcile.converge import StoreDriver
from thumbsmith.reconcile.decide import Assessment, State, assess, may_be_same
from thumbsmith.reconcile.effects import DigestRendition, DigestSource, Options, Request
from thumbsmith.reconcile.manifest import Manifest, read_manifest_version
from thumbsmith.reconcile.protocol import unusable_key
from thumbsmith.store.base import ObjectInfo, Store

# Verdicts are kept for so many kinds of manifest: there is one for each recipe and source format, and each rejection.
_VERDICTS: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyStatus:
    """How what stands under one key agrees with its source, and why.

    `source` and `state` are None where there is no such source (any more). `pictures` counts the renditions of ours
    under the key; `orphaned` is ours and no longer wanted; `foreign` is not ours. `settled` says that nothing is to be
    made, recorded or deleted, `error` why nothing could be found out. `unlisted` says that listings failed there: the
    key is a file or, with a final "/", a folder that could not be read, or its thumbnails could not be listed.
    """

    key: str
    source: ObjectInfo | None = None
    state: State | None = None
    why: str = ""
    code: str | None = None  # of a rejection
    pictures: int = 0
    orphaned: tuple[ObjectInfo, ...] = ()
    foreign: tuple[ObjectInfo, ...] = ()
    settled: bool = False
    unlisted: bool = False
    error: ThumbsmithError | None = None


@dataclass(frozen=True, slots=True)
class StatusReader:
    """Says how keys stand in a destination by one recipe.

    `remembers` says that the next run will recall what is to be remembered. Else a source of which only the metadata
    changed is not settled before its manifest has the new etag: each run would read it again.
    """

    source: Store
    destination: Store
    recipe: Recipe
    options: Options
    remembers: bool = True
    _usual: dict[ManifestShape | None, Assessment] = field(default_factory=dict, repr=False)

    def status_from_listing(self, group: KeyRow, record: CachedManifest | None) -> KeyStatus | None:
        """Return how the key stands, by the listings and what is remembered; None where these do not tell."""
        source = group.source
        if source is None:
            return self._compared(group, record)
        refusal = unusable_key(group.key, self.recipe, self.destination.max_key_bytes)
        if refusal:
            state = State.REJECTED
            return KeyStatus(key=group.key, source=source, state=state, why=refusal.detail, code=refusal.code)
        if not group.objects:
            return self._told(group, self._as_recorded(None), None)
        if record and record.facts and record.objects == group.objects and record.source == source.etag:
            rejection = record.facts.rejection
            return self._told(group, self._as_recorded(record.facts), rejection[0] if rejection else None)
        if record and self._may_be_same(source, record):
            return None
        return self._compared(group, record)

    def status_from_manifest(
        self, group: KeyRow, record: CachedManifest | None
    ) -> tuple[KeyStatus, CachedManifest | None]:
        """Return how the key stands, by its manifest and what is doubtful, and what to remember. Raises StoreError.

        Where the record says all but whether the source has the recorded bytes, only the source is read.
        """
        present = group.present()
        sha256: str | None = None
        if group.source and record and self._may_be_same(group.source, record):
            sha256 = self._digest_source(group.source)
            confirmed = replace(record, source=group.source.etag)
            told = self.status_from_listing(group, confirmed) if sha256 == record.sha256 else None
            if told:
                return told, confirmed
        found = read_manifest_version(self.destination, group.key)
        version, manifest = (found.info, found.manifest) if found else (None, None)
        if group.source is None:
            record = cached_manifest(version, manifest, {}, {}) if version else None
            return self._left_over(group, present, manifest), record
        if not sha256 and manifest and may_be_same(group.source, manifest.source):
            sha256 = self._digest_source(group.source)
        verdict, digests = self._settled(group, group.source, manifest, present, sha256)
        standing = self._told(group, verdict, _code(manifest))
        if version is None or any(self._is_replaced(present[name]) for name in digests):
            return standing, None
        kept = {each.name for each in verdict.kept}
        sound = {name: present[name].etag for name in digests if name in kept}
        altered = {name: present[name].etag for name in digests if name not in kept}
        learnt = cached_manifest(version, manifest, sound, altered)
        return standing, replace(learnt, source=group.source.etag) if learnt and verdict.touched else learnt

    def failed(self, group: KeyRow, error: ThumbsmithError) -> KeyStatus:
        """Return that it could not be found out how the key stands."""
        return KeyStatus(key=group.key, source=group.source, pictures=_pictures(group), error=error)

    def _compared(self, group: KeyRow, record: CachedManifest | None) -> KeyStatus | None:
        present = group.present()
        listed = present.get(MANIFEST)
        if listed and (record is None or record.manifest != listed.etag):
            return None
        try:
            manifest = record.as_manifest(group.key) if listed and record else None
        except (KeyError, ValueError):
            return None  # damaged
        if group.source is None:
            return self._left_over(group, present, manifest)
        altered = dict(record.altered) if record else {}
        digests = {name: None for name, info in present.items() if altered.get(name) == info.etag}
        verdict = self._assess(group.source, manifest, present, digests)
        if verdict.doubtful:
            return None
        return self._told(group, verdict, _code(manifest))

    def _may_be_same(self, source: ObjectInfo, record: CachedManifest) -> bool:
        """Return whether only the bytes of the source tell whether they are the recorded ones."""
        retried = record.facts and record.facts.rejection and self.options.retry_rejected
        return not retried and may_be_same(source, record.source_record(source.key))

    def _digest_source(self, source: ObjectInfo) -> str | None:
        hands = StoreDriver(source.key, self.source, self.destination, self.recipe, renderer=None)
        return hands.carry_out(_digest(source.etag))

    def _assess(
        self,
        source: ObjectInfo,
        manifest: Manifest | None,
        present: Mapping[str, ObjectInfo],
        digests: Mapping[str, str | None],
        sha256: str | None = None,
    ) -> Assessment:
        if manifest and manifest.rejection and self.options.retry_rejected:
            manifest = None
        return assess(source, manifest, present, self.recipe, digests, sha256)

    def _as_recorded(self, facts: ManifestShape | None) -> Assessment:
        """Return the verdict where all is there as a manifest of these facts says; for None, where nothing is.

        It is one for all keys: `assess` tells names and fingerprints, which are those of the facts, and whether etags
        are the recorded ones, which they are.
        """
        verdict = self._usual.get(facts)
        if verdict is None:
            names = [MANIFEST, *(name for name, _ in facts.renditions)] if facts else []
            present = {name: ObjectInfo(f"key/{name}", "", 0) for name in names}
            manifest = CachedManifest(manifest="", facts=facts, objects=pack(present.values())).as_manifest("key")
            verdict = self._assess(ObjectInfo("key", "", 0), manifest, present, {})
            if len(self._usual) >= _VERDICTS:
                self._usual.clear()
            self._usual[facts] = verdict
        return verdict

    def _settled(
        self,
        group: KeyRow,
        source: ObjectInfo,
        manifest: Manifest | None,
        present: Mapping[str, ObjectInfo],
        sha256: str | None,
    ) -> tuple[Assessment, dict[str, str | None]]:
        """Return the verdict, and the digests of the renditions that were doubtful before they were read."""
        doubtful = self._assess(source, manifest, present, {}, sha256).doubtful
        hands = StoreDriver(group.key, self.destination, self.destination, self.recipe, renderer=None)
        digests = hands.carry_out(_digests(doubtful))
        return self._assess(source, manifest, present, digests, sha256), digests

    def _is_replaced(self, listed: ObjectInfo) -> bool:
        now = self.destination.head(listed.key)
        return now is None or now.etag != listed.etag

    def _left_over(self, group: KeyRow, present: Mapping[str, ObjectInfo], manifest: Manifest | None) -> KeyStatus:
        """Return what stands under a key that is no source: ours if it was made by us, else foreign.

        A manifest that names this key says so. Without one, a run may have been killed before it wrote it and the
        source deleted since: then there is nothing but what the recipe makes, no manifest, under a name that looks like
        a file's.
        """
        looks_made = "." in group.key.rpartition("/")[2] and possible_names(self.recipe).issuperset(present)
        objects = tuple(present[name] for name in sorted(present))
        if manifest is None and not looks_made:
            return KeyStatus(key=group.key, foreign=objects)
        orphaned = () if self.options.keep_orphans else objects
        return KeyStatus(key=group.key, pictures=_pictures(group), orphaned=orphaned)

    def _told(self, group: KeyRow, verdict: Assessment, code: str | None) -> KeyStatus:
        orphaned: tuple[ObjectInfo, ...] = ()
        if verdict.retired and not self.options.keep_orphans:
            present = group.present()
            orphaned = tuple(present[name] for name in verdict.retired)
        return KeyStatus(
            key=group.key,
            source=group.source,
            state=verdict.state,
            why=verdict.why,
            code=code if verdict.state is State.REJECTED else None,
            pictures=_pictures(group),
            orphaned=orphaned,
            settled=verdict.settled and not orphaned and (self.remembers or not verdict.touched),
        )


def _digest(etag: str) -> Generator[Request, Any, str | None]:
    found: str | None = yield DigestSource(etag)
    return found


def _digests(names: tuple[str, ...]) -> Generator[Request, Any, dict[str, str | None]]:
    digests: dict[str, str | None] = {}
    for name in names:
        digests[name] = yield DigestRendition(name)
    return digests


def _pictures(group: KeyRow) -> int:
    """Return how many renditions of ours by name are under the key."""
    return sum(not line.startswith(f"{MANIFEST}\t") for line in group.objects.split("\n") if line)


def _code(manifest: Manifest | None) -> str | None:
    return manifest.rejection.code if manifest and manifest.rejection else None


@dataclass(slots=True)
class Totals:
    """Counts and bytes of all that was inspected, and what is to be done as an amount."""

    sources: dict[str, int] = field(default_factory=lambda: {state.value: 0 for state in State})
    failed: int = 0  # sources
    errors: int = 0
    to_read: int = 0  # bytes of the sources to be made
    orphaned: int = 0
    to_delete: int = 0  # bytes of the objects that are orphaned
    foreign: int = 0
    amount: Amount = NOTHING

    def add(self, standing: KeyStatus) -> None:
        """Count what stands under one key."""
        self.orphaned += len(standing.orphaned)
        self.foreign += len(standing.foreign)
        self.to_delete += sum(info.size for info in standing.orphaned)
        self.errors += standing.error is not None
        self.failed += standing.error is not None and standing.source is not None
        if standing.state and standing.source:
            self.sources[standing.state] += 1
            if standing.state in {State.MISSING, State.STALE}:
                self.to_read += standing.source.size
                self.amount += source(standing.source.size)
        elif standing.orphaned:
            self.amount += GONE

    @property
    def to_make(self) -> int:
        """Return the number of sources to be made."""
        return self.sources[State.MISSING] + self.sources[State.STALE]
