"""A source, a destination and a recipe, all in memory, with the real renderer in this process."""

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from itertools import count

from tests.pictures import picture
from thumbsmith import Recipe, converge, open_store
from thumbsmith.bulk.scan import Scope
from thumbsmith.image.pipeline import Job, check_source, make_renditions
from thumbsmith.reader import RangeReader
from thumbsmith.reconcile.protocol import DEFAULTS, Options, Outcome
from thumbsmith.store import Headers, Store
from thumbsmith.worker import Work

HEADERS = Headers(content_type="application/octet-stream")
RECIPE = (
    "[variants.icon]\nwidth = 8\nheight = 8\nfit = 'cover'\n[variants.small]\nwidth = 16\nformats = ['webp', 'jpeg']\n"
)
_numbers = count()


@dataclass
class InProcess:
    """The renderer without worker processes; remembers what it was asked for."""

    requested: list[Collection[str] | None] = field(default_factory=list)

    def render(self, reader: RangeReader, recipe: Recipe, wanted: Collection[str] | None = None) -> Work:
        """Return the pictures."""
        self.requested.append(wanted)
        names = None if wanted is None else frozenset(wanted)
        job = make_renditions(check_source(Job(reader=reader, recipe=recipe, names=names)))
        return Work(
            probe=job.probe,
            renditions=job.renditions,
            color=job.color,
            thumbhash=job.thumbhash,
            cpu_seconds=0,
            peak_memory=0,
            notes=job.notes,
        )


@dataclass
class Scene:
    """Both stores, and what a test does to them."""

    recipe: Recipe = field(default_factory=lambda: Recipe.loads(RECIPE))
    source: Store = field(default_factory=lambda: open_store(f"memory://source-{next(_numbers)}"))
    destination: Store = field(default_factory=lambda: open_store(f"memory://destination-{next(_numbers)}"))
    renderer: InProcess = field(default_factory=InProcess)

    def upload(self, key: str, data: bytes | None = None) -> None:
        """Put a source."""
        self.source.put(key, data if data is not None else picture(), HEADERS)

    def converge(self, key: str, **options: bool) -> Outcome:
        """Converge one key."""
        return converge(
            key, self.source, self.destination, self.recipe, renderer=self.renderer, options=Options(**options)
        )

    def scope(self, options: Options = DEFAULTS) -> Scope:
        """Return the scope with both stores and the recipe."""
        return Scope(source=self.source, destination=self.destination, recipe=self.recipe, options=options)

    def objects(self) -> dict[str, bytes]:
        """Return the whole destination."""
        return {info.key: content(self.destination, info.key) for info in self.destination.list()}

    def manifest(self, key: str) -> dict:
        """Return the manifest of a key."""
        return json.loads(content(self.destination, f"{key}/manifest.json"))


def content(store: Store, key: str) -> bytes:
    """Return an object's bytes."""
    reader = store.open(key)
    assert reader is not None, key
    try:
        return reader.read(0, reader.size)
    finally:
        reader.close()
