"""One source made right while something else happens to the stores: the last content counts, and nothing is lost."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from tests.pictures import picture
from tests.reconcile.scene import HEADERS, Scene
from thumbsmith import Recipe
from thumbsmith.errors import Code, Rejected, SourceChanged, StoreError
from thumbsmith.reader import RangeReader
from thumbsmith.reconcile.effects import Outcome
from thumbsmith.store import ObjectInfo
from thumbsmith.store.memory import MemoryObject, MemoryStore
from thumbsmith.worker import Work

BLUE = "#2040c0"


@dataclass(frozen=True, slots=True)
class Interrupted(MemoryStore):
    """A store in which something happens, once, when an object is opened, read or deleted.

    `happenings` has functions by what is done and to which key; they are called before it is done.
    """

    happenings: dict[tuple[str, str], Callable[[], object]] = field(default_factory=dict)
    readers: list["Reader"] = field(default_factory=list)

    def happen(self, deed: str, key: str) -> None:
        """Let happen what a test wants to happen now."""
        self.happenings.pop((deed, key), int)()

    def head(self, key: str) -> ObjectInfo | None:
        """Return the object as it is now, or None."""
        found = MemoryStore.open(self, key)
        return found.info if found else None

    def open(self, key: str) -> "Reader | None":
        """Return a reader over the present version, or None."""
        self.happen("open", key)
        found = MemoryStore.open(self, key)
        if found:
            self.readers.append(Reader(self, found))
        return self.readers[-1] if found else None

    def delete(self, key: str) -> None:
        """Remove this object, if it is there."""
        self.happen("delete", key)
        MemoryStore.delete(self, key)


class Opaque(Interrupted):
    """The same, with etags that do not tell the content, so that digests are recorded."""

    __slots__ = ()

    @property
    def etags_identify_content(self) -> bool:
        """Return False."""
        return False


@dataclass
class Reader:
    """A reader that tells its store of reads, and knows whether it was closed."""

    store: Interrupted
    version: MemoryObject
    closed: bool = False

    @property
    def info(self) -> ObjectInfo:
        """Return the version that is being read."""
        return self.version.info

    @property
    def size(self) -> int:
        """Return the number of bytes."""
        return self.version.size

    def read(self, offset: int, length: int) -> bytes:
        """Return the slice from `offset`."""
        self.store.happen("read", self.info.key)
        return self.version.read(offset, length)

    def close(self) -> None:
        """Note that nothing more is read."""
        self.closed = True


def _changed() -> None:
    raise SourceChanged("it was replaced")


def _archived() -> None:
    raise Rejected(Code.ARCHIVED, "it is in an archive")


def _interrupted() -> Scene:
    """Return a picture that was made right, in stores that can be interrupted."""
    scene = Scene(source=Interrupted("source"), destination=Interrupted("destination"))
    scene.upload("a.jpg")
    scene.converge("a.jpg")
    scene.renderer.asked.clear()
    return scene


def _made_of(data: bytes) -> dict[str, bytes]:
    """Return all that is made of a source, undisturbed."""
    scene = Scene()
    scene.upload("a.jpg", data)
    scene.converge("a.jpg")
    return scene.objects()


class _Meddling:
    """A renderer in whose time something happens to the source."""

    def __init__(self, scene: Scene, *happenings) -> None:
        self.renderer, self.happenings = scene.renderer, list(happenings)

    def render(self, reader: RangeReader, recipe: Recipe, wanted=None) -> Work:
        work = self.renderer.render(reader, recipe, wanted)
        if self.happenings:
            self.happenings.pop(0)()
        return work


def _converge_meddled(scene: Scene, *happenings) -> Outcome:
    scene.renderer = _Meddling(scene, *happenings)  # type: ignore[assignment]
    return scene.converge("a.jpg")


def test_a_source_replaced_meanwhile_is_made_again():
    """A source that is replaced while its pictures are made ends with the thumbnails of the last content."""
    scene, twin = Scene(), Scene()
    scene.upload("a.jpg")
    outcome = _converge_meddled(scene, lambda: scene.upload("a.jpg", picture("#2040c0")))
    twin.upload("a.jpg", picture("#2040c0"))
    twin.converge("a.jpg")
    assert outcome.status == "made"
    assert scene.objects() == twin.objects()


def test_a_source_deleted_meanwhile_leaves_nothing():
    """A source that goes while its pictures are made leaves nothing behind."""
    scene = Scene()
    scene.upload("a.jpg")
    assert _converge_meddled(scene, lambda: scene.source.delete("a.jpg")).status == "deleted"
    assert scene.objects() == {}


def test_a_source_that_never_rests_is_handed_back():
    """A source replaced again and again meanwhile is a transient failure, not an endless loop."""
    scene = Scene()
    scene.upload("a.jpg")
    colors = [f"#{number:06x}" for number in range(0, 200_000, 9_999)]
    changes = [lambda color=color: scene.upload("a.jpg", picture(color)) for color in colors]
    with pytest.raises(StoreError, match="again and again") as failed:
        _converge_meddled(scene, *changes)
    assert failed.value.transient


def test_a_source_that_changes_under_the_reader_is_looked_at_again():
    """SourceChanged in the middle of reading starts over instead of failing."""
    scene = Scene()
    scene.upload("a.jpg")
    assert _converge_meddled(scene, _changed).status == "made"


def test_a_source_replaced_before_it_is_opened_is_looked_at_again():
    """No picture of one content is recorded as made of another one, also where the first content comes back."""
    scene = Scene(source=Interrupted("source"))
    scene.upload("a.jpg")
    scene.source.happenings["open", "a.jpg"] = lambda: scene.upload("a.jpg", picture(BLUE))
    assert _converge_meddled(scene, lambda: scene.upload("a.jpg")).status == "made"
    assert scene.objects() == _made_of(picture())


@pytest.mark.parametrize("keep_orphans", [False, True])
def test_a_source_replaced_while_leftovers_are_deleted_is_made_again(keep_orphans: bool):
    """What was fresh before leftovers were deleted need not be fresh after that."""
    scene = _interrupted()
    scene.destination.put("a.jpg/old.webp", b"left", HEADERS)
    scene.destination.happenings["delete", "a.jpg/old.webp"] = lambda: scene.upload("a.jpg", picture(BLUE))
    outcome = scene.converge("a.jpg", keep_orphans=keep_orphans)
    assert outcome.status == ("fresh" if keep_orphans else "made")
    if not keep_orphans:
        assert scene.objects() == _made_of(picture(BLUE))


def test_a_source_that_comes_back_while_its_thumbnails_are_deleted_is_made():
    """The source is looked at again after the last deletion."""
    scene = _interrupted()
    scene.source.delete("a.jpg")
    scene.destination.happenings["delete", "a.jpg/manifest.json"] = lambda: scene.upload("a.jpg", picture(BLUE))
    assert scene.converge("a.jpg").status == "made"
    assert scene.objects() == _made_of(picture(BLUE))


def test_the_manifest_is_deleted_last():
    """A worker that dies while it deletes leaves the record of what is still there."""
    scene = _interrupted()
    scene.source.delete("a.jpg")
    left: list[set[str]] = []
    scene.destination.happenings["delete", "a.jpg/manifest.json"] = lambda: left.append(set(scene.objects()))
    assert scene.converge("a.jpg").deleted == 4
    assert left == [{"a.jpg/manifest.json"}]


def test_a_manifest_replaced_while_it_is_read_counts_for_nothing():
    """Another worker writes it: everything is made again, instead of a failure."""
    scene = _interrupted()
    before = scene.objects()
    scene.destination.happenings["read", "a.jpg/manifest.json"] = _changed
    outcome = scene.converge("a.jpg")
    assert (outcome.status, outcome.written) == ("made", 3)
    assert scene.objects() == before


def test_a_rendition_replaced_while_it_is_read_is_made_again():
    """Its bytes cannot be compared with the recorded ones: it counts as altered."""
    scene = _interrupted()
    before = scene.objects()
    scene.destination.put("a.jpg/icon.webp", b"altered", HEADERS)
    scene.destination.happenings["read", "a.jpg/icon.webp"] = _changed
    assert scene.converge("a.jpg").written == 1
    assert scene.objects() == before


def test_a_source_that_goes_before_it_is_opened_has_no_thumbnails():
    """It is looked at again, and absent."""
    scene = Scene(source=Interrupted("source"))
    scene.upload("a.jpg")
    scene.source.happenings["open", "a.jpg"] = lambda: MemoryStore.delete(scene.source, "a.jpg")
    assert scene.converge("a.jpg").status == "absent"
    assert scene.objects() == {}


@pytest.mark.parametrize(("deed", "happening"), [("open", _archived), ("read", _changed)])
def test_a_source_that_cannot_be_digested_is_looked_at_again(deed: str, happening: Callable[[], None]):
    """It was archived or replaced after its pictures were made: no digest is recorded that was not read whole."""
    scene = Scene(source=Opaque("source"))
    scene.upload("a.jpg")
    outcome = _converge_meddled(scene, lambda: scene.source.happenings.update({(deed, "a.jpg"): happening}))
    assert outcome.status == "made"
    assert len(scene.renderer.renderer.asked) == 2
    assert scene.manifest("a.jpg")["source"]["sha256"] == hashlib.sha256(picture()).hexdigest()


def test_the_digest_is_that_of_the_version_that_was_made():
    """Where a source is replaced, and put back, after it was rendered, no other version's digest is recorded."""
    scene = Scene(source=Opaque("source"))
    scene.upload("a.jpg")

    def exchange() -> None:
        scene.source.happenings["open", "a.jpg"] = lambda: scene.upload("a.jpg", picture(BLUE))
        scene.source.happenings["read", "a.jpg"] = lambda: scene.upload("a.jpg")

    assert _converge_meddled(scene, exchange).status == "made"
    assert scene.manifest("a.jpg")["source"]["sha256"] == hashlib.sha256(picture()).hexdigest()
