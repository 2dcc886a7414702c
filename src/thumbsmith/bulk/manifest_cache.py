"""What is remembered of one version of a manifest: as much as `assess` asks, and small.

What manifests said, remembered from run to run: listings tell when one was replaced, and only then it is read again.

A cache and nothing more. It holds, for each key, facts about one version of its manifest, told by the manifest's etag;
without it every manifest is read once more, and every answer is the same. So a file that is damaged, of another version
or cannot be written is made anew or done without.
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
from typing import Any, Final

from thumbsmith.bulk.join import encoded, pack, unpack
from thumbsmith.lifetime import Closing
from thumbsmith.recipe.names import is_managed_name
from thumbsmith.reconcile.manifest import Manifest, Rejection, RenditionRecord, SourceRecord
from thumbsmith.store.base import ObjectInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestShape:
    """What many manifests have in common. `renditions` are names with the fingerprints of their variants."""

    recipe: str
    limits: str
    format: str | None = None
    alpha: bool | None = None
    rejection: tuple[str, str] | None = None  # code, detail
    renditions: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedManifest:
    """What the version `manifest` of a manifest (an etag) said, as far as `assess` asks.

    `facts` is None for a manifest that cannot be read. `source` is the etag of the source: the recorded one, or a later
    one under which it was found to have the recorded bytes. `size` and `sha256` are the source's, as recorded, the
    latter empty where none is. `objects` are the renditions as
    they were recorded, or found to have the recorded bytes, and the manifest itself, packed; `altered` are names and
    etags of objects that were found to have other bytes.
    """

    manifest: str
    facts: ManifestShape | None = None
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


def cached_manifest(
    version: ObjectInfo,
    manifest: Manifest | None,
    sound: Mapping[str, str],
    altered: Mapping[str, str],
) -> CachedManifest | None:
    """Return the record of the manifest that this `version` of it holds; None for one that cannot be kept.

    Of renditions that have another etag than the recorded one, by name: `sound` are the etags of those whose bytes are
    the recorded ones all the same, `altered` of those whose bytes are not.
    """
    if manifest is None:
        return CachedManifest(manifest=version.etag)
    recorded = {each.name: each for each in manifest.renditions if is_managed_name(each.name)}
    objects = [ObjectInfo(each.key, sound.get(name, each.etag), each.bytes) for name, each in recorded.items()]
    etags = (version.etag, manifest.source.etag, *(info.etag for info in objects))
    if not all(etag.isprintable() for etag in etags):
        return None  # written by somebody else: no store has such etags, and they cannot be packed
    rejection = manifest.rejection
    return CachedManifest(
        manifest=version.etag,
        facts=ManifestShape(
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


_VERSION: Final = 2
_MAX_GONE: Final = 10_000  # keys of records that are dropped at a time
_WAIT_SECONDS: Final = 5.0  # for another run's transaction, which is a batch of rows

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


def cache_file(folder: str | None, *urls: str) -> Path | None:
    """Return where in the folder for caches the index for these stores is; None where there is no such folder."""
    name = hashlib.sha256("\0".join(urls).encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return Path(folder, "thumbsmith", f"{name}.sqlite") if folder else None


class ManifestCache(Closing):
    """Records by key in a file, for one thread of any number of processes. No method fails: what fails is forgotten."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._database = _opened(path)
        self._gone: list[bytes] = []
        self._facts = lru_cache(maxsize=4096)(self._load_facts)

    def get_many(self, keys: Sequence[str]) -> dict[str, CachedManifest]:
        """Return what is known of these keys, which are given in the order of their bytes.

        Records of keys between them are out of date; they go with the next `remember`.
        """
        wanted = {encoded(key): key for key in keys}
        query = """
            SELECT key, manifest, facts, source, size, sha256, objects, altered FROM record WHERE key BETWEEN ? AND ?
        """
        records: dict[str, CachedManifest] = {}
        try:
            for key, *columns in self._database.execute(query, (encoded(keys[0]), encoded(keys[-1]))):
                if key in wanted:
                    records[wanted[key]] = self._record(*columns)
                elif len(self._gone) < _MAX_GONE:
                    self._gone.append(key)
        except (sqlite3.Error, ValueError, TypeError) as error:
            self._go_without()
            if not _is_in_use(error):
                _discard(self._path)
        return records

    def put_many(self, records: Mapping[str, CachedManifest]) -> None:
        """Keep these records, all or none of them."""
        if not records and not self._gone:
            return
        with contextlib.suppress(sqlite3.Error, ValueError), self._database:
            self._database.execute("BEGIN IMMEDIATE")
            self._database.executemany("DELETE FROM record WHERE key = ?", [(key,) for key in self._gone])
            rows = [self._row(key, record) for key, record in records.items()]
            self._database.executemany("INSERT OR REPLACE INTO record VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        self._gone.clear()

    @property
    def lasts(self) -> bool:
        """Return whether the next run will know what is remembered now."""
        return bool(self._database.execute("PRAGMA database_list").fetchone()[2])  # the file's name

    def close(self) -> None:
        """Let go of the file. Safe to repeat."""
        self._database.close()

    def _record(self, manifest: str, facts: int | None, *told: Any) -> CachedManifest:
        source, size, sha256, objects, altered = told
        known = self._facts(facts) if facts is not None else None
        pairs = tuple((name, etag) for name, etag in json.loads(altered)) if altered else ()
        return CachedManifest(
            manifest=manifest,
            facts=known,
            source=source,
            size=size,
            sha256=sha256,
            objects=objects,
            altered=pairs,
        )

    def _row(self, key: str, record: CachedManifest) -> tuple[object, ...]:
        altered = json.dumps(record.altered) if record.altered else ""
        facts = self._save_facts(record.facts) if record.facts else None
        source = record.source, record.size, record.sha256
        return encoded(key), record.manifest, facts, *source, record.objects, altered

    def _load_facts(self, number: int) -> ManifestShape:
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

    def _save_facts(self, facts: ManifestShape) -> int:
        content = json.dumps([facts.recipe, facts.limits, facts.format, facts.alpha, facts.rejection, facts.renditions])
        self._database.execute("INSERT OR IGNORE INTO facts (content) VALUES (?)", (content,))
        number: int = self._database.execute("SELECT id FROM facts WHERE content = ?", (content,)).fetchone()[0]
        return number

    def _go_without(self) -> None:
        """Go on with an empty index of this run's own."""
        self._database.close()
        self._database = _made("")
        self._facts.cache_clear()


def _opened(path: Path | None) -> sqlite3.Connection:
    """Return the index in this file, empty where the file was not one; where none can be, one of this run's own."""
    for _ in range(2):
        if path is None:
            break
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            return _made(str(path))
        except (OSError, sqlite3.Error, ValueError) as error:
            if _is_in_use(error):
                break
            _discard(path)
    return _made("")


def _made(path: str) -> sqlite3.Connection:
    """Return a connection to an index of this version. Raises sqlite3.Error where the file is something else.

    Raises ValueError where it is damaged so that what SQLite says of it is no text.
    """
    database = sqlite3.connect(path, timeout=_WAIT_SECONDS, isolation_level=None)
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
    """Return whether another run holds the file (https://www.sqlite.org/rescode.html#busy); all else is damage."""
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY


def _discard(path: Path | None) -> None:
    """Remove the file, with what was not yet committed to it: that must not be found beside another one."""
    for each in (path, path.with_name(f"{path.name}-journal")) if path else ():
        with contextlib.suppress(OSError):
            each.unlink(missing_ok=True)
