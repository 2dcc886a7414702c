"""The manifest cache: what manifests contained in earlier runs, as far as `assess` needs it.

Listings show when a manifest was replaced; only then is it read again. Each cached row belongs to one version of a
manifest, identified by its etag. The file is only a cache: without it every manifest is read once more, and every
result is the same. So a file that is damaged, has another version or is not writable is replaced or not used.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from thumbsmith.bulk.scan import encode_key, pack, unpack
from thumbsmith.lifetime import Closing
from thumbsmith.recipe.names import is_managed_name
from thumbsmith.reconcile.manifest import Manifest, Rejection, RenditionRecord, SourceRecord
from thumbsmith.store.base import ObjectInfo

_VERSION: Final = 2
_MAX_OUTDATED_KEYS: Final = 10_000  # rows deleted at a time
_LOCK_TIMEOUT_SECONDS: Final = 5.0  # another run's transaction writes one batch of rows

# Tables and columns have the names of version 2: "facts" has the shapes, "record" has the cached manifests.
_SCHEMA: Final = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS facts (id INTEGER PRIMARY KEY, content TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS record (
    key BLOB PRIMARY KEY, manifest TEXT NOT NULL, facts INTEGER, source TEXT NOT NULL, size INTEGER NOT NULL,
    sha256 TEXT NOT NULL, objects TEXT NOT NULL, altered TEXT NOT NULL
) WITHOUT ROWID;
PRAGMA user_version = {_VERSION};
COMMIT;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestShape:
    """What many manifests have in common. `renditions` are names with the fingerprints of their variants."""

    recipe: str
    limits: str
    format: str | None = None
    alpha: bool | None = None
    rejection: tuple[str, str] | None = None  # code, detail
    renditions: tuple[tuple[str, str], ...] = ()


class CachedManifest(NamedTuple):
    """What the version `etag` of a manifest contained, as far as `assess` needs it.

    `shape` is None for a manifest that cannot be read. `source_etag` is the recorded etag of the source, or a later one
    under which it had the recorded bytes. `source_bytes` and `source_sha256` are recorded; the digest is empty if there
    is none. `objects` are the manifest and its renditions, packed, with the etags that were recorded or that belong to
    the recorded bytes. `altered` are names and etags of objects that had other bytes.
    """

    etag: str
    shape: ManifestShape | None = None
    source_etag: str = ""
    source_bytes: int = 0
    source_sha256: str = ""
    objects: str = ""
    altered: tuple[tuple[str, str], ...] = ()

    def source_record(self, key: str) -> SourceRecord:
        """Return what is cached about the source, without its format."""
        return SourceRecord(key=key, etag=self.source_etag, bytes=self.source_bytes, sha256=self.source_sha256 or None)

    def as_manifest(self, key: str) -> Manifest | None:
        """Return the manifest with all fields that `assess` needs; the others are empty.

        Raises ValueError or KeyError if the cached row is damaged.
        """
        if self.shape is None:
            return None
        shape, present = self.shape, unpack(key, self.objects)
        return Manifest(
            recipe=shape.recipe,
            limits=shape.limits,
            source=replace(self.source_record(key), format=shape.format, alpha=shape.alpha),
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
                for name, fingerprint in shape.renditions
            ),
            rejection=Rejection(code=shape.rejection[0], detail=shape.rejection[1]) if shape.rejection else None,
        )


def cached_manifest(
    version: ObjectInfo,
    manifest: Manifest | None,
    same: Mapping[str, str],
    altered: Mapping[str, str],
) -> CachedManifest | None:
    """Return what to cache of this `version` of a manifest; None if it cannot be cached.

    `same` and `altered` are for renditions that do not have the recorded etag, by name: `same` are the etags of those
    that have the recorded bytes, `altered` of those that do not.
    """
    if manifest is None:
        return CachedManifest(etag=version.etag)
    records = {each.name: each for each in manifest.renditions if is_managed_name(each.name)}
    objects = [ObjectInfo(each.key, same.get(name, each.etag), each.bytes) for name, each in records.items()]
    etags = (version.etag, manifest.source.etag, *(info.etag for info in objects))
    if not all(etag.isprintable() for etag in etags):
        return None  # not from a store: no store has such etags, and they cannot be packed
    rejection = manifest.rejection
    return CachedManifest(
        etag=version.etag,
        shape=ManifestShape(
            recipe=manifest.recipe,
            limits=manifest.limits,
            format=manifest.source.format,
            alpha=manifest.source.alpha,
            rejection=(rejection.code, rejection.detail) if rejection else None,
            renditions=tuple(sorted((name, each.fingerprint) for name, each in records.items())),
        ),
        source_etag=manifest.source.etag,
        source_bytes=manifest.source.bytes,
        source_sha256=manifest.source.sha256 or "",
        objects=pack([*objects, version]),
        altered=tuple(sorted(altered.items())),
    )


def cache_file(folder: str | None, *urls: str) -> Path | None:
    """Return the path of the cache file for these stores in the folder for caches; None without such a folder."""
    name = hashlib.sha256("\0".join(urls).encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return Path(folder, "thumbsmith", f"{name}.sqlite") if folder else None


class ManifestCache(Closing):
    """Cached manifests by key, in a file. One thread uses it; any number of processes may share the file.

    No method raises an exception: if the file fails, the cache is empty.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._database = _open(path)
        self._outdated: list[bytes] = []
        self._shapes = lru_cache(maxsize=4096)(self._load_shape)

    def get_many(self, keys: Sequence[str]) -> dict[str, CachedManifest]:
        """Return the cached manifests of these keys, which must be in the order of their bytes.

        Cached keys between them no longer exist; the next `put_many` deletes their rows.
        """
        wanted = {encode_key(key): key for key in keys}
        query = """
            SELECT key, manifest, facts, source, size, sha256, objects, altered FROM record WHERE key BETWEEN ? AND ?
        """
        cached: dict[str, CachedManifest] = {}
        try:
            for key, *columns in self._database.execute(query, (encode_key(keys[0]), encode_key(keys[-1]))):
                if key in wanted:
                    cached[wanted[key]] = self._from_row(*columns)
                elif len(self._outdated) < _MAX_OUTDATED_KEYS:
                    self._outdated.append(key)
        except (sqlite3.Error, ValueError, TypeError) as error:
            self._use_temporary()
            if not _is_in_use(error):
                _delete(self._path)
        return cached

    def put_many(self, manifests: Mapping[str, CachedManifest]) -> None:
        """Store these manifests by key: all or none."""
        if not manifests and not self._outdated:
            return
        with contextlib.suppress(sqlite3.Error, ValueError), self._database:
            self._database.execute("BEGIN IMMEDIATE")
            self._database.executemany("DELETE FROM record WHERE key = ?", [(key,) for key in self._outdated])
            rows = [self._row(key, cached) for key, cached in manifests.items()]
            self._database.executemany("INSERT OR REPLACE INTO record VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        self._outdated.clear()

    @property
    def persistent(self) -> bool:
        """Return whether the next run can use what this run stores."""
        return bool(self._database.execute("PRAGMA database_list").fetchone()[2])  # the name of the file

    def close(self) -> None:
        """Close the file. Safe to repeat."""
        self._database.close()

    def _from_row(self, manifest: str, shape: int | None, *columns: Any) -> CachedManifest:
        source_etag, source_bytes, source_sha256, objects, altered = columns
        known = self._shapes(shape) if shape is not None else None
        altered_etags = tuple((name, etag) for name, etag in json.loads(altered)) if altered else ()
        return CachedManifest(manifest, known, source_etag, source_bytes, source_sha256, objects, altered_etags)

    def _row(self, key: str, cached: CachedManifest) -> tuple[object, ...]:
        altered = json.dumps(cached.altered) if cached.altered else ""
        shape = self._save_shape(cached.shape) if cached.shape else None
        source = cached.source_etag, cached.source_bytes, cached.source_sha256
        return encode_key(key), cached.etag, shape, *source, cached.objects, altered

    def _load_shape(self, number: int) -> ManifestShape:
        row = self._database.execute("SELECT content FROM facts WHERE id = ?", (number,)).fetchone()
        recipe, limits, kind, alpha, rejection, renditions = json.loads(row[0])
        return ManifestShape(
            recipe=recipe,
            limits=limits,
            format=kind,
            alpha=alpha,
            rejection=(rejection[0], rejection[1]) if rejection else None,
            renditions=tuple((name, fingerprint) for name, fingerprint in renditions),
        )

    def _save_shape(self, shape: ManifestShape) -> int:
        content = json.dumps([shape.recipe, shape.limits, shape.format, shape.alpha, shape.rejection, shape.renditions])
        self._database.execute("INSERT OR IGNORE INTO facts (content) VALUES (?)", (content,))
        number: int = self._database.execute("SELECT id FROM facts WHERE content = ?", (content,)).fetchone()[0]
        return number

    def _use_temporary(self) -> None:
        """Continue with an empty cache that is deleted at the end of this run."""
        self._database.close()
        self._database = _connect("")
        self._shapes.cache_clear()


def _open(path: Path | None) -> sqlite3.Connection:
    """Return the cache in this file. A damaged file is replaced. If no file can be used, return a temporary cache."""
    for _ in range(2):
        if path is None:
            break
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            return _connect(str(path))
        except (OSError, sqlite3.Error, ValueError) as error:
            if _is_in_use(error):
                break
            _delete(path)
    return _connect("")


def _connect(path: str) -> sqlite3.Connection:
    """Return a connection to a cache of this version; "" is a temporary one.

    Raises sqlite3.Error if the file is something else. Raises ValueError if it is so damaged that SQLite's error
    message is not text.
    """
    database = sqlite3.connect(path, timeout=_LOCK_TIMEOUT_SECONDS, isolation_level=None)
    try:
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if version not in {0, _VERSION}:
            raise sqlite3.DatabaseError(f"version {version}")
        database.executescript(_SCHEMA)
    except (sqlite3.Error, ValueError):
        database.close()
        raise
    return database


def _is_in_use(error: Exception) -> bool:
    """Return whether another run locks the file (https://www.sqlite.org/rescode.html#busy). All else is damage."""
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY


def _delete(path: Path | None) -> None:
    """Delete the file and its journal: SQLite must not apply the journal to a new file."""
    for each in (path, path.with_name(f"{path.name}-journal")) if path else ():
        with contextlib.suppress(OSError):
            each.unlink(missing_ok=True)
