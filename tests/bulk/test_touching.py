"""A change of only the metadata of sources: nothing is rendered again."""

import hashlib
import json
import os
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.bulk.world import HEADERS, World
from tests.pictures import picture
from tests.reconcile.scene import Scene
from thumbsmith import Recipe, open_store
from thumbsmith.bulk.explain import explain
from thumbsmith.bulk.scan import Scope, scan
from thumbsmith.bulk.status import inspect
from thumbsmith.bulk.sync import sync
from thumbsmith.reconcile.converge import digest
from thumbsmith.reconcile.decide import may_be_same
from thumbsmith.reconcile.manifest import SourceRecord, parse
from thumbsmith.store import ObjectInfo


def _away_and_back(path: Path) -> None:
    away = path.with_name("away")
    shutil.copy2(path, away)
    path.unlink()
    shutil.copy2(away, path)
    away.unlink()


def _rename_and_back(path: Path) -> None:
    path.rename(path.with_name("away")).rename(path)


def _set_attribute(path: Path) -> None:
    try:
        os.setxattr(path, "user.comment", b"x")
    except OSError:
        pytest.skip("this file system has no extended attributes")


CHANGES: dict[str, Callable[[Path], object]] = {
    "mode": lambda path: path.chmod(0o640),
    "owner": lambda path: os.chown(path, os.getuid(), os.getgid()),
    "times": lambda path: os.utime(path, (1, 1)),
    "hard link": lambda path: (path.parent.parent / f"link-{path.name}").hardlink_to(path),
    "attribute": _set_attribute,
    "copied away and back": _away_and_back,
    "renamed and back": _rename_and_back,
}


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    """Return a folder with one valid and one invalid source, both converged."""
    recipe = Recipe.loads("[variants.icon]\nwidth = 8\n")
    scene = Scene(recipe, open_store(tmp_path / "photos"), open_store(tmp_path / "thumbs"))
    scene.upload("cat.jpg")
    scene.upload("bad.jpg", b"no picture")
    assert [scene.converge(key).status for key in ("cat.jpg", "bad.jpg")] == ["made", "rejected"]
    scene.renderer.requested.clear()
    return scene


def _scope(scene: Scene, tmp_path: Path) -> Scope:
    return replace(scene.scope(), cache=tmp_path / "index")


def _plan(scope: Scope) -> dict[str, tuple[str, bool]]:
    with scan(scope) as found:
        return {each.key: (each.state, each.settled) for each in inspect(found, stop=lambda: False) if each.source}


def _sync(scope: Scope, scene: Scene) -> dict[str, tuple[str, int, bool]]:
    with scan(scope) as found:
        done = list(sync(found, renderer=scene.renderer, threads=2, stop=lambda: False))
    return {each.key: (each.outcome.status, each.outcome.written, each.already_settled) for each in done}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_of_metadata_renders_nothing(change: Callable[[Path], object], scene: Scene, tmp_path: Path):
    """Plan and sync find the source fresh and the rejection valid; nothing is decoded; the manifest stays."""
    scope = _scope(scene, tmp_path)
    _plan(scope)
    before = scene.objects()
    for key in ("cat.jpg", "bad.jpg"):
        etag = scene.source.head(key).etag
        change(tmp_path / "photos" / key)
        assert scene.source.head(key).etag != etag
    assert _plan(scope) == {"cat.jpg": ("fresh", True), "bad.jpg": ("rejected", True)}
    assert _sync(scope, scene) == {"cat.jpg": ("fresh", 0, True), "bad.jpg": ("rejected", 0, True)}
    assert scene.objects() == before
    assert not scene.renderer.requested


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_one_source_with_other_metadata(change: Callable[[Path], object], scene: Scene, tmp_path: Path):
    """`converge` decodes nothing and records the new etag; the next time it reads and writes nothing."""
    before = scene.manifest("cat.jpg")
    change(tmp_path / "photos" / "cat.jpg")
    first, second = scene.converge("cat.jpg"), scene.converge("cat.jpg")
    assert (first.status, first.written, first.recorded) == ("fresh", 0, True)
    assert (second.status, second.written, second.recorded) == ("fresh", 0, False)
    after = scene.manifest("cat.jpg")
    assert after["source"].pop("etag") == scene.source.head("cat.jpg").etag
    before["source"].pop("etag")
    assert after == before
    assert not scene.renderer.requested


def test_a_rejected_source_with_other_metadata(scene: Scene, tmp_path: Path):
    """Its new etag is recorded, so that the next time nothing is read; nothing is decoded."""
    (tmp_path / "photos" / "bad.jpg").chmod(0o640)
    assert [scene.converge("bad.jpg").recorded for _ in range(2)] == [True, False]
    assert scene.manifest("bad.jpg")["source"]["etag"] == scene.source.head("bad.jpg").etag
    assert not scene.renderer.requested


def test_a_copied_library_renders_nothing(scene: Scene, tmp_path: Path):
    """Copies of sources and thumbnails in another folder, with another cache, are fresh."""
    for name in ("photos", "thumbs"):
        shutil.copytree(tmp_path / name, tmp_path / "copy" / name)
    copies = (open_store(tmp_path / "copy" / name) for name in ("photos", "thumbs"))
    copy = replace(scene, source=next(copies), destination=next(copies))
    scope = _scope(copy, tmp_path / "copy")
    for _ in range(2):
        assert _sync(scope, copy) == {"cat.jpg": ("fresh", 0, True), "bad.jpg": ("rejected", 0, True)}
    assert not scene.renderer.requested


def test_explain_says_that_only_metadata_changed(scene: Scene, tmp_path: Path):
    """`explain` names the reason, and that the renditions are right."""
    (tmp_path / "photos" / "cat.jpg").chmod(0o600)
    found = explain(scene.scope(), "cat.jpg")
    assert (found.state, found.why) == ("fresh", "as recorded; only its metadata changed")
    assert [each.state for each in found.expected] == ["right"]


def test_a_new_recipe_for_a_touched_source(scene: Scene, tmp_path: Path):
    """After a change of the metadata and the recipe, only the new variant is rendered."""
    (tmp_path / "photos" / "cat.jpg").chmod(0o600)
    scene.recipe = Recipe.loads("[variants.icon]\nwidth = 8\n[variants.small]\nwidth = 9\n")
    assert scene.converge("cat.jpg").written == 1
    assert scene.renderer.requested == [frozenset({"small.webp"})]
    assert scene.converge("cat.jpg").status == "fresh"


@pytest.mark.parametrize("size", [0, 1, 1 << 20, (1 << 20) + 1, (5 << 19) + 3])
def test_a_digest_covers_all_bytes(size: int):
    """The digest covers all bytes of an object of any size, though it is read in pieces."""
    data = random.Random(size).randbytes(size)
    store = open_store(f"memory://digest-{size}")
    store.put("a", data, HEADERS)
    reader = store.open("a")
    assert reader is not None
    assert digest(reader) == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize(("touched", "reads"), [(False, 1), (True, 2)])
def test_a_digest_is_computed_once(touched: bool, reads: int):
    """With a new recipe the source is read to render it; only after a new etag it is also read for its digest."""
    world = World()
    world.upload("cat.jpg", b"cat")
    world.converge("cat.jpg")
    if touched:
        world.upload("cat.jpg", b"cat")
    world.source.opened.clear()
    world.recipe = Recipe.loads("[variants.icon]\nwidth = 9\n")
    world.converge("cat.jpg")
    assert world.source.opened == {"cat.jpg": reads}
    assert _recorded_digest(world) == hashlib.sha256(b"cat").hexdigest()


def test_the_new_etag_is_recorded_if_a_variant_is_removed():
    """With a smaller recipe nothing is rendered, and the manifest gets the current etag of the source."""
    world = World()
    for _ in range(2):
        world.upload("cat.jpg", b"cat")
        world.converge("cat.jpg")
        world.recipe = replace(world.recipe, variants=world.recipe.variants[:1])
    reader = world.destination.open("cat.jpg/manifest.json")
    assert json.loads(reader.data)["source"]["etag"] == world.source.head("cat.jpg").etag
    assert {key.rpartition("/")[2] for key in world.objects()} == {"icon.webp", "manifest.json"}


@pytest.mark.parametrize(
    ("etag", "size", "sha256", "may_be"),
    [("new", 3, "f", True), ("old", 3, "f", False), ("new", 4, "f", False), ("new", 3, None, False)],
)
def test_only_a_source_that_may_be_the_same_is_read(etag: str, size: int, sha256: str | None, may_be: bool):
    """A source is read for its digest if its etag is new, its size is the recorded one, and a digest is recorded."""
    recorded = SourceRecord(key="a", etag="old", bytes=3, sha256=sha256)
    assert may_be_same(ObjectInfo("a", etag, size), recorded) is may_be


def test_a_library_whose_etags_all_changed_is_fresh():
    """If source and renditions have new etags and the recorded bytes, nothing is rendered again."""
    world = World()
    world.upload("cat.jpg", b"cat")
    world.converge("cat.jpg")
    world.upload("cat.jpg", b"cat")
    names = ("icon.webp", "small.webp", "small.jpg")
    for name in names:
        key = f"cat.jpg/{name}"
        world.destination.put(key, world.destination.open(key).data, HEADERS)
    before = {name: world.destination.head(f"cat.jpg/{name}") for name in names}
    world.converge("cat.jpg")
    assert {name: world.destination.head(f"cat.jpg/{name}") for name in names} == before


def test_a_replaced_source_gets_a_new_digest():
    """The recorded digest of the earlier content is not reused."""
    world = World()
    for content in (b"cat", b"dog", b"horse"):
        world.upload("cat.jpg", content)
        world.converge("cat.jpg")
        assert _recorded_digest(world) == hashlib.sha256(content).hexdigest()


def _recorded_digest(world: World) -> str:
    reader = world.destination.open("cat.jpg/manifest.json")
    assert reader is not None
    return json.loads(reader.data)["source"]["sha256"]


def test_a_replaced_source_of_equal_size_is_rendered(scene: Scene, tmp_path: Path):
    """A source with other bytes but the same name, size and times is stale."""
    path = tmp_path / "photos" / "cat.jpg"
    times, other = path.stat(), picture("#123456")
    size = max(times.st_size, len(other))
    path.write_bytes(path.read_bytes().ljust(size, b"\0"))
    scene.converge("cat.jpg")
    scene.renderer.requested.clear()
    path.write_bytes(other.ljust(size, b"\0"))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    scope = _scope(scene, tmp_path)
    assert _plan(scope)["cat.jpg"] == ("stale", False)
    assert _sync(scope, scene)["cat.jpg"] == ("made", 1, False)


def test_a_manifest_without_a_digest(scene: Scene, tmp_path: Path):
    """A manifest of an earlier version is valid until the etag changes; then the source is rendered once more."""
    path = tmp_path / "thumbs" / "cat.jpg" / "manifest.json"
    content = json.loads(path.read_bytes())
    assert len(content["source"].pop("sha256")) == 64
    path.write_text(json.dumps(content))
    assert scene.converge("cat.jpg").status == "fresh"
    (tmp_path / "photos" / "cat.jpg").chmod(0o600)
    assert scene.converge("cat.jpg").status == "made"
    assert parse(path.read_bytes()).source.sha256
    (tmp_path / "photos" / "cat.jpg").chmod(0o640)
    assert scene.converge("cat.jpg").status == "fresh"


def test_a_source_that_is_too_large_is_not_digested(scene: Scene):
    """A source above max_bytes is rejected without being read, and its manifest has no digest."""
    scene.recipe = Recipe.loads("[limits]\nmax_bytes = 5\n[variants.icon]\nwidth = 8\n")
    scene.upload("large.jpg")
    assert scene.converge("large.jpg").code == "too_many_bytes"
    assert "sha256" not in scene.manifest("large.jpg")["source"]


def test_a_store_with_etags_from_content_has_no_digest():
    """If equal bytes have equal etags, as in memory and on S3, no digest is computed or recorded."""
    scene = Scene()
    scene.upload("a")
    scene.converge("a")
    assert "sha256" not in scene.manifest("a")["source"]
