"""`converge` while the stores change: the last content counts, and nothing is lost."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from tests.pictures import picture
from tests.reconcile.scene import HEADERS, Scene
from thumbsmith import Recipe
from thumbsmith.errors import Code, Rejected, SourceChanged, StoreError
from thumbsmith.reader import RangeReader
from thumbsmith.reconcile.protocol import Outcome
from thumbsmith.store import ObjectInfo
from thumbsmith.store.memory import MemoryObject, MemoryStore
from thumbsmith.worker import Work

BLUE = "#2040c0"


@dataclass(frozen=True, slots=True)
class Interrupted(MemoryStore):
    """A store that calls a function, once, before an object is opened, read or deleted.

    `callbacks` has the functions, by operation and key.
    """

    callbacks: dict[tuple[str, str], Callable[[], object]] = field(default_factory=dict)
    readers: list["Reader"] = field(default_factory=list)

    def call_back(self, operation: str, key: str) -> None:
        """Call and remove the function for this operation, if any."""
        self.callbacks.pop((operation, key), int)()

    def head(self, key: str) -> ObjectInfo | None:
        """Return the current object, or None."""
        found = MemoryStore.open(self, key)
        return found.info if found else None

    def open(self, key: str) -> "Reader | None":
        """Return a reader of the current version, or None."""
        self.call_back("open", key)
        found = MemoryStore.open(self, key)
        if found:
            self.readers.append(Reader(self, found))
        return self.readers[-1] if found else None

    def delete(self, key: str) -> None:
        """Delete this object, if it exists."""
        self.call_back("delete", key)
        MemoryStore.delete(self, key)


class Opaque(Interrupted):
    """The same, with etags that do not depend on the content, so that digests are recorded."""

    __slots__ = ()

    @property
    def etags_identify_content(self) -> bool:
        """Return False."""
        return False


@dataclass
class Reader:
    """A reader that reports reads to its store and records whether it was closed."""

    store: Interrupted
    version: MemoryObject
    closed: bool = False

    @property
    def info(self) -> ObjectInfo:
        """Return the version of this reader."""
        return self.version.info

    @property
    def size(self) -> int:
        """Return the number of bytes."""
        return self.version.size

    def read(self, offset: int, length: int) -> bytes:
        """Return `length` bytes from `offset`."""
        self.store.call_back("read", self.info.key)
        return self.version.read(offset, length)

    def close(self) -> None:
        """Record the call."""
        self.closed = True


def _changed() -> None:
    raise SourceChanged("it was replaced")


def _archived() -> None:
    raise Rejected(Code.ARCHIVED, "it is in an archive")


def _interrupted() -> Scene:
    """Return a scene with one converged source, in stores with callbacks."""
    scene = Scene(source=Interrupted("source"), destination=Interrupted("destination"))
    scene.upload("a.jpg")
    scene.converge("a.jpg")
    scene.renderer.requested.clear()
    return scene


def _made_of(data: bytes) -> dict[str, bytes]:
    """Return all thumbnails of a source from a run without interruption."""
    scene = Scene()
    scene.upload("a.jpg", data)
    scene.converge("a.jpg")
    return scene.objects()


class _Interrupting:
    """A renderer that calls one of the functions after each rendering."""

    def __init__(self, scene: Scene, *callbacks) -> None:
        self.renderer, self.callbacks = scene.renderer, list(callbacks)

    def render(self, reader: RangeReader, recipe: Recipe, wanted=None) -> Work:
        work = self.renderer.render(reader, recipe, wanted)
        if self.callbacks:
            self.callbacks.pop(0)()
        return work


def _converge_interrupted(scene: Scene, *callbacks) -> Outcome:
    scene.renderer = _Interrupting(scene, *callbacks)  # type: ignore[assignment]
    return scene.converge("a.jpg")


def test_a_source_replaced_during_the_run_is_rendered_again():
    """A source that is replaced during the rendering gets the thumbnails of its last content."""
    scene, twin = Scene(), Scene()
    scene.upload("a.jpg")
    outcome = _converge_interrupted(scene, lambda: scene.upload("a.jpg", picture("#2040c0")))
    twin.upload("a.jpg", picture("#2040c0"))
    twin.converge("a.jpg")
    assert outcome.status == "made"
    assert scene.objects() == twin.objects()


def test_a_source_deleted_during_the_run_leaves_nothing():
    """A source that is deleted during the rendering has no thumbnails."""
    scene = Scene()
    scene.upload("a.jpg")
    assert _converge_interrupted(scene, lambda: scene.source.delete("a.jpg")).status == "deleted"
    assert scene.objects() == {}


def test_a_source_that_always_changes_fails():
    """A source that is replaced in every round is a transient failure, not an endless loop."""
    scene = Scene()
    scene.upload("a.jpg")
    colors = [f"#{number:06x}" for number in range(0, 200_000, 9_999)]
    changes = [lambda color=color: scene.upload("a.jpg", picture(color)) for color in colors]
    with pytest.raises(StoreError, match="replaced 8 times") as failed:
        _converge_interrupted(scene, *changes)
    assert failed.value.transient


def test_a_source_that_changes_during_a_read_is_examined_again():
    """After SourceChanged during a read, the run starts again."""
    scene = Scene()
    scene.upload("a.jpg")
    assert _converge_interrupted(scene, _changed).status == "made"


def test_a_source_replaced_before_it_is_opened_is_examined_again():
    """No rendition of one content is recorded for another, even if the first content returns."""
    scene = Scene(source=Interrupted("source"))
    scene.upload("a.jpg")
    scene.source.callbacks["open", "a.jpg"] = lambda: scene.upload("a.jpg", picture(BLUE))
    assert _converge_interrupted(scene, lambda: scene.upload("a.jpg")).status == "made"
    assert scene.objects() == _made_of(picture())


@pytest.mark.parametrize("keep_orphans", [False, True])
def test_a_source_replaced_during_deletions_is_rendered_again(keep_orphans: bool):
    """After obsolete renditions were deleted, the source is checked again."""
    scene = _interrupted()
    scene.destination.put("a.jpg/old.webp", b"left", HEADERS)
    scene.destination.callbacks["delete", "a.jpg/old.webp"] = lambda: scene.upload("a.jpg", picture(BLUE))
    outcome = scene.converge("a.jpg", keep_orphans=keep_orphans)
    assert outcome.status == ("fresh" if keep_orphans else "made")
    if not keep_orphans:
        assert scene.objects() == _made_of(picture(BLUE))


def test_a_source_that_returns_during_deletions_is_rendered():
    """The source is checked again after its last thumbnail was deleted."""
    scene = _interrupted()
    scene.source.delete("a.jpg")
    scene.destination.callbacks["delete", "a.jpg/manifest.json"] = lambda: scene.upload("a.jpg", picture(BLUE))
    assert scene.converge("a.jpg").status == "made"
    assert scene.objects() == _made_of(picture(BLUE))


def test_the_manifest_is_deleted_last():
    """If a worker dies during deletions, the manifest of the remaining renditions still exists."""
    scene = _interrupted()
    scene.source.delete("a.jpg")
    left: list[set[str]] = []
    scene.destination.callbacks["delete", "a.jpg/manifest.json"] = lambda: left.append(set(scene.objects()))
    assert scene.converge("a.jpg").deleted == 4
    assert left == [{"a.jpg/manifest.json"}]


def test_a_manifest_replaced_during_the_read_is_ignored():
    """If another worker writes the manifest during the read, all renditions are written again, without a failure."""
    scene = _interrupted()
    before = scene.objects()
    scene.destination.callbacks["read", "a.jpg/manifest.json"] = _changed
    outcome = scene.converge("a.jpg")
    assert (outcome.status, outcome.written) == ("made", 3)
    assert scene.objects() == before


def test_a_rendition_replaced_during_the_read_is_rendered_again():
    """A rendition that changes during the read counts as altered."""
    scene = _interrupted()
    before = scene.objects()
    scene.destination.put("a.jpg/icon.webp", b"altered", HEADERS)
    scene.destination.callbacks["read", "a.jpg/icon.webp"] = _changed
    assert scene.converge("a.jpg").written == 1
    assert scene.objects() == before


def test_a_source_deleted_before_it_is_opened_has_no_thumbnails():
    """A source that is deleted before it is opened is absent."""
    scene = Scene(source=Interrupted("source"))
    scene.upload("a.jpg")
    scene.source.callbacks["open", "a.jpg"] = lambda: MemoryStore.delete(scene.source, "a.jpg")
    assert scene.converge("a.jpg").status == "absent"
    assert scene.objects() == {}


@pytest.mark.parametrize(("operation", "callback"), [("open", _archived), ("read", _changed)])
def test_a_source_that_cannot_be_digested_is_examined_again(operation: str, callback: Callable[[], None]):
    """If a source is archived or replaced after the rendering, no incomplete digest is recorded."""
    scene = Scene(source=Opaque("source"))
    scene.upload("a.jpg")
    outcome = _converge_interrupted(scene, lambda: scene.source.callbacks.update({(operation, "a.jpg"): callback}))
    assert outcome.status == "made"
    assert len(scene.renderer.renderer.requested) == 2
    assert scene.manifest("a.jpg")["source"]["sha256"] == hashlib.sha256(picture()).hexdigest()


def test_the_digest_is_of_the_rendered_version():
    """If a source is replaced and restored after the rendering, no other version's digest is recorded."""
    scene = Scene(source=Opaque("source"))
    scene.upload("a.jpg")

    def exchange() -> None:
        scene.source.callbacks["open", "a.jpg"] = lambda: scene.upload("a.jpg", picture(BLUE))
        scene.source.callbacks["read", "a.jpg"] = lambda: scene.upload("a.jpg")

    assert _converge_interrupted(scene, exchange).status == "made"
    assert scene.manifest("a.jpg")["source"]["sha256"] == hashlib.sha256(picture()).hexdigest()
