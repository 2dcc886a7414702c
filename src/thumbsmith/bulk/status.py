"""The status of every key: the decision of `assess`, with as few requests as possible.

If the manifest cache knows the listed version of a manifest, the listings decide. Otherwise the manifest is read. If an
etag is not the recorded one, the bytes of that rendition or source are read, as `converge` does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from thumbsmith.bulk.manifest_cache import CachedManifest, ManifestCache, ManifestShape, cached_manifest
from thumbsmith.bulk.parallel import each
from thumbsmith.bulk.scan import KeyRow, StoreScan, batched, pack
from thumbsmith.errors import StoreError, ThumbsmithError
from thumbsmith.recipe import Recipe
from thumbsmith.recipe.names import MANIFEST, possible_names
from thumbsmith.reconcile.converge import StoreDriver
from thumbsmith.reconcile.decide import Assessment, State, assess, longest_key_bytes, may_be_same, unusable_key
from thumbsmith.reconcile.manifest import Manifest, read_manifest_version
from thumbsmith.reconcile.protocol import Options
from thumbsmith.store.base import ObjectInfo, Store

# Keys are looked up in the manifest cache in batches of this size.
_BATCH_KEYS: Final = 1_000

# Threads that read manifests.
READERS: Final = 16

# Fewer for folders, which respond at once. With 16 threads, 5,000 small files took twice the CPU time.
_FOLDER_READERS: Final = 4

# Keys per task: passing one key to a thread costs as much as reading a small file.
_TASK_KEYS: Final = 8

# After this many consecutive failures the store is unusable, and the other keys are not tried.
MAX_FAILURES_IN_A_ROW: Final = 10

# Assessments in memory. There is one for each recipe and source format, and one for each rejection.
_MAX_ASSESSMENTS: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyStatus:
    """How the objects under one key agree with the source, and why.

    `source` and `state` are None if there is no source. `renditions` counts the managed renditions under the key.
    `orphaned` are managed objects that are obsolete; `foreign` are not managed. `settled` says that there is nothing to
    render, record or delete, and `untouched` that nothing was made of the source. `error` says why there is no status.
    `unlisted` says that listing failed: the key is an unreadable file or folder (with a final "/"), or its thumbnails
    could not be listed.
    """

    key: str
    source: ObjectInfo | None = None
    state: State | None = None
    why: str = ""
    code: str | None = None  # of a rejection
    renditions: int = 0
    orphaned: tuple[ObjectInfo, ...] = ()
    foreign: tuple[ObjectInfo, ...] = ()
    settled: bool = False
    untouched: bool = False
    unlisted: bool = False
    error: ThumbsmithError | None = None


def inspect(found: StoreScan, *, stop: Callable[[], bool], readers: int | None = None) -> Iterator[KeyStatus]:
    """Yield the status of every source, orphan and foreign object; change nothing.

    The order is that of the keys' bytes. Objects with names that Thumbsmith never writes come last. Once `stop`
    returns True, nothing more is read; the rest of the batch is yielded as far as no read is needed.
    """
    scope, join = found.scope, found.join
    in_folders = None not in {scope.source.local_root, scope.destination.local_root}
    threads = readers or (_FOLDER_READERS if in_folders else READERS)
    failures: list[StoreError] = []  # consecutive
    yield from (KeyStatus(key=key, source=source, unlisted=True, error=error) for key, source, error in join.unlisted())
    with ManifestCache(scope.cache) as cache:
        reader = StatusReader(
            scope.source,
            scope.destination.as_destination(),
            scope.recipe,
            scope.options,
            cache_persists=cache.persistent,
        )
        for rows in batched(join.rows(), _BATCH_KEYS):
            cached = cache.get_many([row.key for row in rows])
            statuses = {row.key: reader.status_from_listing(row, cached.get(row.key)) for row in rows}
            to_read = [row for row in rows if statuses[row.key] is None]
            updates: dict[str, CachedManifest] = {}
            for status, update in _read_all(reader, to_read, cached, failures, threads, stop):
                statuses[status.key] = status
                if update:
                    updates[status.key] = update
            cache.put_many(updates)
            yield from (status for status in statuses.values() if status)
            if stop():
                return
    yield from (KeyStatus(key=info.key, foreign=(info,)) for info in join.unmanaged())


def _read_all(
    reader: StatusReader,
    rows: Sequence[KeyRow],
    cached: Mapping[str, CachedManifest],
    failures: list[StoreError],
    threads: int,
    stop: Callable[[], bool],
) -> Iterator[tuple[KeyStatus, CachedManifest | None]]:
    """Yield the status of keys whose manifests have to be read, and what to cache."""

    def read(task: Sequence[KeyRow]) -> list[tuple[KeyStatus, CachedManifest | None]]:
        return [_read(reader, row, cached.get(row.key), failures) for row in task if not stop()]

    if rows:  # without any, no thread is started
        for results in each(read, batched(rows, _TASK_KEYS), threads=threads, stop=stop):
            yield from results


def _read(
    reader: StatusReader, row: KeyRow, cached: CachedManifest | None, failures: list[StoreError]
) -> tuple[KeyStatus, CachedManifest | None]:
    """Return the status of a key and what to cache, unless the store failed too often."""
    if len(failures) >= MAX_FAILURES_IN_A_ROW:
        return reader.failed(row, not_tried(len(failures))), None
    try:
        result = reader.status_from_manifest(row, cached)
    except StoreError as error:
        if error.one_object:
            failures.clear()
        else:
            failures.append(error)
        return reader.failed(row, error), None
    except ThumbsmithError as error:
        return reader.failed(row, error), None
    failures.clear()
    return result


def not_tried(failures: int) -> StoreError:
    """Return the error of a key that is skipped after this many consecutive failures."""
    return StoreError(f"not tried: the stores failed {failures} times in a row", transient=True)


@dataclass(frozen=True, slots=True)
class StatusReader:
    """Determines the status of keys in a destination, for one recipe.

    `cache_persists` says that the next run can use what this run caches. Without that, a source of which only the
    metadata changed is not settled until its manifest has the new etag: each run would read it again.
    """

    source: Store
    destination: Store
    recipe: Recipe
    options: Options
    cache_persists: bool = True
    _assessments: dict[int, tuple[ManifestShape, Assessment]] = field(default_factory=dict, repr=False)  # by identity
    _longest_key: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        longest = longest_key_bytes(self.recipe, self.destination.max_key_bytes)
        object.__setattr__(self, "_longest_key", longest)

    def status_from_listing(self, row: KeyRow, cached: CachedManifest | None) -> KeyStatus | None:
        """Return the status of the key from the listings and the cache; None if they are not enough."""
        source = row.source
        if source is None:
            return self._status_from_cache(row, cached)
        is_usable = row.key.isascii() and len(row.key) <= self._longest_key
        refusal = None if is_usable else unusable_key(row.key, self.recipe, self.destination.max_key_bytes)
        if refusal:
            state = State.REJECTED
            return KeyStatus(key=row.key, source=source, state=state, why=refusal.detail, code=refusal.code)
        if not row.objects:
            return self._status(row, self._assess(source, None, {}, {}), None)
        if cached and cached.shape and cached.objects == row.objects and cached.source_etag == source.etag:
            rejection = cached.shape.rejection
            return self._status(row, self._assess_shape(cached.shape), rejection[0] if rejection else None)
        if cached and self._may_be_same(source, cached):
            return None
        return self._status_from_cache(row, cached)

    def status_from_manifest(
        self, row: KeyRow, cached: CachedManifest | None
    ) -> tuple[KeyStatus, CachedManifest | None]:
        """Read the manifest, and the bytes behind unexpected etags; return the status and what to cache.

        If only the source's bytes are in question, only the source is read. Raises StoreError.
        """
        present = row.present()
        sha256: str | None = None
        if row.source and cached and self._may_be_same(row.source, cached):
            sha256 = self._digest_source(row.source)
            confirmed = cached._replace(source_etag=row.source.etag)
            status = self.status_from_listing(row, confirmed) if sha256 == cached.source_sha256 else None
            if status:
                return status, confirmed
        found = read_manifest_version(self.destination, row.key)
        manifest = found.manifest if found else None
        if row.source is None:
            update = cached_manifest(found.info, manifest, {}, {}) if found else None
            return self._status_without_source(row, present, manifest), update
        if not sha256 and manifest and may_be_same(row.source, manifest.source):
            sha256 = self._digest_source(row.source)
        assessment, digests = self._assess_bytes(row.key, row.source, manifest, present, sha256)
        status = self._status(row, assessment, _rejection_code(manifest))
        if found is None or any(self._is_replaced(present[name]) for name in digests):
            return status, None
        current = {record.name for record in assessment.current}
        same = {name: present[name].etag for name in digests if name in current}
        altered = {name: present[name].etag for name in digests if name not in current}
        update = cached_manifest(found.info, manifest, same, altered)
        return status, update._replace(source_etag=row.source.etag) if update and assessment.touched else update

    def failed(self, row: KeyRow, error: ThumbsmithError) -> KeyStatus:
        """Return the status of a key that could not be determined."""
        return KeyStatus(key=row.key, source=row.source, renditions=_count_renditions(row), error=error)

    def _status_from_cache(self, row: KeyRow, cached: CachedManifest | None) -> KeyStatus | None:
        present = row.present()
        listed = present.get(MANIFEST)
        if listed and (cached is None or cached.etag != listed.etag):
            return None
        try:
            manifest = cached.as_manifest(row.key) if listed and cached else None
        except (KeyError, ValueError):
            return None  # the cached row is damaged
        if row.source is None:
            return self._status_without_source(row, present, manifest)
        altered = dict(cached.altered) if cached else {}
        digests = {name: None for name, info in present.items() if altered.get(name) == info.etag}
        assessment = self._assess(row.source, manifest, present, digests)
        if assessment.etag_mismatch:
            return None
        return self._status(row, assessment, _rejection_code(manifest))

    def _may_be_same(self, source: ObjectInfo, cached: CachedManifest) -> bool:
        """Return whether only the bytes of the source can show that they are the recorded ones."""
        is_retried = cached.shape and cached.shape.rejection and self.options.retry_rejected
        return not is_retried and may_be_same(source, cached.source_record(source.key))

    def _digest_source(self, source: ObjectInfo) -> str | None:
        driver = StoreDriver(source.key, self.source, self.destination, self.recipe, renderer=None)
        return driver.digest_source(source.etag)

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

    def _assess_shape(self, shape: ManifestShape) -> Assessment:
        """Return the assessment of any key whose objects match a manifest of this shape.

        It is the same for all such keys. `assess` checks names and fingerprints, which the shape contains, and whether
        etags are the recorded ones, which the caller checked.
        """
        _, assessment = self._assessments.get(id(shape), (None, None))
        if assessment is None:
            names = [MANIFEST, *(name for name, _ in shape.renditions)]
            present = {name: ObjectInfo(f"key/{name}", "", 0) for name in names}
            manifest = CachedManifest(etag="", shape=shape, objects=pack(present.values())).as_manifest("key")
            assessment = self._assess(ObjectInfo("key", "", 0), manifest, present, {})
            if len(self._assessments) >= _MAX_ASSESSMENTS:
                self._assessments.clear()
            self._assessments[id(shape)] = shape, assessment
        return assessment

    def _assess_bytes(
        self,
        key: str,
        source: ObjectInfo,
        manifest: Manifest | None,
        present: Mapping[str, ObjectInfo],
        sha256: str | None,
    ) -> tuple[Assessment, dict[str, str | None]]:
        """Return the assessment, and the digests of the renditions that had another etag."""
        names = self._assess(source, manifest, present, {}, sha256).etag_mismatch
        driver = StoreDriver(key, self.destination, self.destination, self.recipe, renderer=None)
        digests = {name: driver.digest_rendition(name) for name in names}
        return self._assess(source, manifest, present, digests, sha256), digests

    def _is_replaced(self, listed: ObjectInfo) -> bool:
        now = self.destination.head(listed.key)
        return now is None or now.etag != listed.etag

    def _status_without_source(
        self, row: KeyRow, present: Mapping[str, ObjectInfo], manifest: Manifest | None
    ) -> KeyStatus:
        """Return the status of objects under a key that is no source: orphaned if Thumbsmith wrote them, else foreign.

        A manifest for this key shows that it did. Without one, a run may have been killed before it wrote the
        manifest, and the source deleted after that. Then all names are ones that the recipe makes, there is no
        manifest, and the key looks like a file name.
        """
        looks_managed = "." in row.key.rpartition("/")[2] and possible_names(self.recipe).issuperset(present)
        objects = tuple(present[name] for name in sorted(present))
        if manifest is None and not looks_managed:
            return KeyStatus(key=row.key, foreign=objects)
        orphaned = () if self.options.keep_orphans else objects
        return KeyStatus(key=row.key, renditions=_count_renditions(row), orphaned=orphaned)

    def _status(self, row: KeyRow, assessment: Assessment, code: str | None) -> KeyStatus:
        orphaned: tuple[ObjectInfo, ...] = ()
        if assessment.obsolete and not self.options.keep_orphans:
            present = row.present()
            orphaned = tuple(present[name] for name in assessment.obsolete)
        return KeyStatus(
            key=row.key,
            source=row.source,
            state=assessment.state,
            why=assessment.why,
            code=code if assessment.state is State.REJECTED else None,
            renditions=_count_renditions(row),
            orphaned=orphaned,
            settled=assessment.settled and not orphaned and (self.cache_persists or not assessment.touched),
            untouched=not row.objects,
        )


def _count_renditions(row: KeyRow) -> int:
    packed = f"\n{row.objects}" if row.objects else ""
    return packed.count("\n") - packed.count(f"\n{MANIFEST}\t")


def _rejection_code(manifest: Manifest | None) -> str | None:
    return manifest.rejection.code if manifest and manifest.rejection else None
