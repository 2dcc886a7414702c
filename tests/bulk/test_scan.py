"""The scan of both stores, and the status of all keys."""

from dataclasses import replace

import pytest

from tests.reconcile.scene import HEADERS, Scene
from thumbsmith.bulk.scan import PendingKey, Scope, scan
from thumbsmith.bulk.status import KeyStatus, inspect
from thumbsmith.errors import StoreError, UsageError
from thumbsmith.store import open_store


def _inspect(scope: Scope) -> list[KeyStatus]:
    with scan(scope) as found:
        return list(inspect(found, stop=lambda: False))


def _sources(scope: Scope) -> list[str]:
    return [each.key for each in _inspect(scope) if each.source]


def _orphaned(scene: Scene) -> list[str]:
    return [info.key for each in _inspect(scene.scope()) for info in each.orphaned]


def _foreign(scene: Scene) -> list[str]:
    return [info.key for each in _inspect(scene.scope()) for info in each.foreign]


def test_selected_objects_are_sources():
    """Every selected object is a source; hidden names and folder markers are not."""
    scene = Scene()
    for key in ("b.jpg", "a/b.gif", ".hidden", "a/.git/x", "folder/"):
        scene.upload(key)
    assert _sources(scene.scope()) == ["a/b.gif", "b.jpg"]


def test_thumbnails_of_a_deleted_source_are_orphaned():
    """All managed objects of a deleted source are orphaned; foreign files beside them are not."""
    scene = Scene()
    for key in ("a.jpg", "b.jpg", "c.jpg"):
        scene.upload(key)
        scene.converge(key)
    scene.source.delete("a.jpg")
    scene.destination.put("a.jpg/readme.txt", b"mine", HEADERS)
    assert _orphaned(scene) == [f"a.jpg/{name}" for name in ("icon.webp", "manifest.json", "small.jpg", "small.webp")]
    assert _foreign(scene) == ["a.jpg/readme.txt"]
    assert [each.renditions for each in _inspect(scene.scope())] == [3, 3, 3, 0]


@pytest.mark.parametrize(
    "key",
    [
        "small.webp",
        "manifest.json",
        "other/icon.webp",
        "photo.jpg/banner.webp",
        "x.jpg/manifest.json",
        "a/b",
        "notes.txt",
    ],
)
def test_files_of_others_are_foreign(key: str):
    """Files with managed names are foreign if they have no source and no valid manifest."""
    scene = Scene()
    scene.destination.put(key, b'{"thumbsmith": 1}', HEADERS)
    assert (_foreign(scene), _orphaned(scene)) == ([key], [])


def test_renditions_of_a_killed_run_are_orphaned():
    """Renditions without a manifest are orphaned if the recipe makes all names and the key looks like a file."""
    scene = Scene()
    scene.destination.put("a.jpg/icon.webp", b"", HEADERS)
    scene.destination.put("a.jpg/small.jpg", b"", HEADERS)
    assert _orphaned(scene) == ["a.jpg/icon.webp", "a.jpg/small.jpg"]


@pytest.mark.parametrize("keys", [("x.jpg", "x.jpg.bak", "x.jpg!"), ("a", "a/b", "a/b/small.webp", "a/small.webp")])
def test_one_key_may_begin_with_another(keys: tuple[str, ...]):
    """Keys that begin with another key, or that look like renditions, each have their own status."""
    scene = Scene()
    for key in keys:
        scene.upload(key)
        scene.converge(key)
    found = _inspect(scene.scope())
    assert {(each.key, each.state) for each in found} == {(key, "fresh") for key in keys}
    for key in keys:
        scene.source.delete(key)
        assert {each.rpartition("/")[0] for each in _orphaned(scene)} == {key}
        scene.upload(key)


def test_a_prefix_limits_the_scan():
    """With a prefix only keys that begin with it count, in both stores."""
    scene = Scene()
    for key in ("a/x.jpg", "a/xy.jpg", "a/y.jpg", "a", "b.jpg"):
        scene.upload(key)
        scene.converge(key)
    scene.destination.put("a/x.gif", b"", HEADERS)
    scene.destination.put("a/small.webp", b"", HEADERS)
    scene.source.delete("a/xy.jpg")
    found = _inspect(replace(scene.scope(), prefix="a/x"))
    assert {(each.key, each.state) for each in found} == {("a/x.jpg", "fresh"), ("a/xy.jpg", None), ("a/x.gif", None)}
    assert "a" not in {each.key for each in _inspect(replace(scene.scope(), prefix="a/"))}


def test_overlapping_stores_are_refused(tmp_path):
    """A destination inside the source is refused, and a source inside the destination."""
    scene = Scene()
    inner = tmp_path / "inner"
    inner.mkdir()
    for source, destination in ((tmp_path, inner), (inner, tmp_path), (tmp_path, tmp_path)):
        with pytest.raises(UsageError, match="overlap"):
            _inspect(Scope(source=open_store(source), destination=open_store(destination), recipe=scene.recipe))


def test_a_missing_source_is_refused(tmp_path):
    """A missing source folder is an error, not an empty source."""
    with pytest.raises(StoreError) as failed:
        _inspect(replace(Scene().scope(), source=open_store(tmp_path / "none")))
    assert not failed.value.transient


def test_a_full_disk_for_temporary_files_is_a_store_error():
    """If the disk has no room for the listings, a transient StoreError names the setting."""
    scope = Scene().scope()

    def fill() -> None:
        with scan(scope) as found:
            found.join._database.execute("PRAGMA max_page_count = 1")
            found.join.add_pending(PendingKey(f"{number}.jpg" * 20, True) for number in range(1000))

    with pytest.raises(StoreError, match="disk is full: set TMPDIR") as raised:
        fill()
    assert raised.value.transient
