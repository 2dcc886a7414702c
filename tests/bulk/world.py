"""Many sources without pixels: a rendition is a digest of the source and the variant."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path

from thumbsmith import Recipe, converge
from thumbsmith.bulk.scan import Scope, scan
from thumbsmith.bulk.status import KeyStatus, inspect
from thumbsmith.bulk.sync import SyncResult, sync
from thumbsmith.errors import Code, Rejected
from thumbsmith.image.probe import Probe
from thumbsmith.reader import RangeReader
from thumbsmith.recipe.names import Rendition, expected
from thumbsmith.reconcile.protocol import DEFAULTS, Options
from thumbsmith.store import Headers, ObjectInfo
from thumbsmith.store.memory import MemoryObject, MemoryStore
from thumbsmith.worker import Work

HEADERS = Headers(content_type="application/octet-stream")
RECIPE = Recipe.loads("[variants.icon]\nwidth = 8\n[variants.small]\nwidth = 16\nformats = ['webp', 'jpeg']")
BAD = b"no image"
_ETAGS = count()


class OpaqueStore(MemoryStore):
    """A store in memory that gives every write a new etag, as S3 does with encryption; counts opened objects."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        object.__setattr__(self, "opened", Counter())
        object.__setattr__(self, "_names", defaultdict(set))  # so that `children` need not visit all objects

    @property
    def etags_identify_content(self) -> bool:
        """Return False."""
        return False

    def put(self, key: str, data: bytes, headers: Headers) -> str:
        """Store the object; return an etag that does not depend on its content."""
        etag = f"{next(_ETAGS):032x}"
        with self._lock:
            self._objects[key] = MemoryObject(ObjectInfo(key, etag, len(data)), data, headers)
            self._names[key.rpartition("/")[0]].add(key)
        return etag

    def delete(self, key: str) -> None:
        """Delete this object, if it exists."""
        super().delete(key)
        with self._lock:
            self._names[key.rpartition("/")[0]].discard(key)

    def children(self, key: str) -> Iterator[ObjectInfo]:
        """Yield the objects directly under `key` + "/"."""
        with self._lock:
            infos = [self._objects[each].info for each in self._names.get(key, ())]
        return iter(infos)

    def open(self, key: str) -> MemoryObject | None:
        """Return the object and count it."""
        self.opened[key.rpartition("/")[2]] += 1
        return super().open(key)

    def head(self, key: str) -> ObjectInfo | None:
        """Return the object's description without counting."""
        found = super().open(key)
        return found.info if found else None


class DigestRenderer:
    """A renderer whose renditions are digests."""

    def render(self, reader: RangeReader, recipe: Recipe, wanted: Collection[str] | None = None) -> Work:
        """Return the renditions. Raises Rejected for a source that starts with BAD."""
        content = reader.read(0, reader.size)
        if content.startswith(BAD):
            raise Rejected(Code.UNSUPPORTED_FORMAT, "not an image")
        probe = Probe(format="jpeg", bytes=len(content), width=40, height=30)
        names = expected(recipe, "jpeg", alpha=False)
        return Work(
            probe=probe,
            renditions=tuple(
                Rendition(
                    variant=variant.name,
                    format=kind,
                    type=kind.media_type,
                    width=4,
                    height=3,
                    data=hashlib.sha256(content + variant.fingerprint.encode() + kind.encode()).digest(),
                )
                for name, (variant, kind) in names.items()
                if wanted is None or name in wanted
            ),
            color="#000000",
            cpu_seconds=0,
            peak_memory=0,
        )


@dataclass
class World:
    """Both stores, and the file of a manifest cache, if any."""

    recipe: Recipe = RECIPE
    source: OpaqueStore = field(default_factory=lambda: OpaqueStore("source"))
    destination: OpaqueStore = field(default_factory=lambda: OpaqueStore("destination"))
    cache: Path | None = None

    def scope(self, options: Options = DEFAULTS) -> Scope:
        """Return the scope of this world."""
        return Scope(
            source=self.source, destination=self.destination, recipe=self.recipe, options=options, cache=self.cache
        )

    def upload(self, key: str, content: bytes | None = None) -> None:
        """Put a source, each time with different content."""
        self.source.put(key, content or f"{key} {next(_ETAGS)}".encode(), HEADERS)

    def converge(self, key: str) -> None:
        """Converge one key."""
        converge(key, self.source, self.destination, self.recipe, renderer=DigestRenderer())

    def plan(self, options: Options = DEFAULTS) -> list[KeyStatus]:
        """Return the status of all keys."""
        with scan(self.scope(options)) as found:
            return list(inspect(found, stop=lambda: False, readers=2))

    def sync(self, options: Options = DEFAULTS) -> list[SyncResult]:
        """Sync both stores."""
        with scan(self.scope(options)) as found:
            return list(sync(found, renderer=DigestRenderer(), threads=2, stop=lambda: False, allow_mass_delete=True))

    def without_cache(self) -> "World":
        """Return the same stores without a cache."""
        return replace(self, cache=None)

    def objects(self) -> Iterator[str]:
        """Yield the keys of the destination."""
        return (info.key for info in self.destination.list())
