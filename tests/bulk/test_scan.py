"""Both stores side by side."""

from dataclasses import replace

import pytest

from tests.reconcile.scene import HEADERS, Scene
from thumbsmith.bulk.join import PendingKey
from thumbsmith.bulk.scan import Scope, inspect, scan
from thumbsmith.bulk.status import KeyStatus
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


def test_sources_are_what_is_selected():
    """Every selected object is a source; hidden names and folder markers are not."""
    scene = Scene()
    for key in ("b.jpg", "a/b.txt", ".hidden", "a/.git/x", "folder/"):
        scene.upload(key)
    assert _sources(scene.scope()) == ["a/b.txt", "b.jpg"]


def test_what_was_made_of_a_gone_source_is_orphaned():
    """Everything of ours under a key that is no source any more is orphaned, foreign files beside it are not."""
    scene = Scene()
    for key in ("a.jpg", "b.jpg", "c.jpg"):
        scene.upload(key)
        scene.converge(key)
    scene.source.delete("a.jpg")
    scene.destination.put("a.jpg/readme.txt", b"mine", HEADERS)
    assert _orphaned(scene) == [f"a.jpg/{name}" for name in ("icon.webp", "manifest.json", "small.jpg", "small.webp")]
    assert _foreign(scene) == ["a.jpg/readme.txt"]
    assert [each.pictures for each in _inspect(scene.scope())] == [3, 3, 3, 0]


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
def test_what_others_put_there_is_foreign(key: str):
    """Files that look like ours, but under no source and without a manifest of ours, are foreign."""
    scene = Scene()
    scene.destination.put(key, b'{"thumbsmith": 1}', HEADERS)
    assert (_foreign(scene), _orphaned(scene)) == ([key], [])


def test_what_a_killed_run_left_of_a_gone_source_is_orphaned():
    """Renditions without a manifest, named as the recipe names them under a file's name, are what a killed run left."""
    scene = Scene()
    scene.destination.put("a.jpg/icon.webp", b"", HEADERS)
    scene.destination.put("a.jpg/small.jpg", b"", HEADERS)
    assert _orphaned(scene) == ["a.jpg/icon.webp", "a.jpg/small.jpg"]


@pytest.mark.parametrize("keys", [("x.jpg", "x.jpg.bak", "x.jpg!"), ("a", "a/b", "a/b/small.webp", "a/small.webp")])
def test_one_key_may_begin_with_another(keys: tuple[str, ...]):
    """Keys of which one is the beginning of another, and those that look like ours, are each told by their own."""
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


def test_a_prefix_leaves_all_else_alone():
    """With a prefix only sources under it count, and what stands under such keys; keys need not end there."""
    scene = Scene()
    for key in ("a/x.jpg", "a/xy.jpg", "a/y.jpg", "a", "b.jpg"):
        scene.upload(key)
        scene.converge(key)
    scene.destination.put("a/x.txt", b"", HEADERS)
    scene.destination.put("a/small.webp", b"", HEADERS)
    scene.source.delete("a/xy.jpg")
    found = _inspect(replace(scene.scope(), prefix="a/x"))
    assert {(each.key, each.state) for each in found} == {("a/x.jpg", "fresh"), ("a/xy.jpg", None), ("a/x.txt", None)}
    assert "a" not in {each.key for each in _inspect(replace(scene.scope(), prefix="a/"))}


def test_overlapping_stores_are_refused(tmp_path):
    """A destination within the source, or the other way round, is refused."""
    scene = Scene()
    inner = tmp_path / "inner"
    inner.mkdir()
    for source, destination in ((tmp_path, inner), (inner, tmp_path), (tmp_path, tmp_path)):
        with pytest.raises(UsageError, match="overlap"):
            _inspect(Scope(source=open_store(source), destination=open_store(destination), recipe=scene.recipe))


def test_a_missing_source_is_refused(tmp_path):
    """A source folder that is not there is an error, not an empty source."""
    with pytest.raises(StoreError) as failed:
        _inspect(replace(Scene().scope(), source=open_store(tmp_path / "none")))
    assert not failed.value.transient


def test_a_full_disk_for_temporary_files_is_a_failure():
    """Where SQLite has no room for the listings, that is a StoreError which may pass, and names the setting."""
    scope = Scene().scope()

    def fill() -> None:
        with scan(scope) as found:
            found.listing._database.execute("PRAGMA max_page_count = 1")
            found.listing.defer(PendingKey(f"{number}.jpg" * 20, True) for number in range(1000))

    with pytest.raises(StoreError, match="disk is full: set TMPDIR") as raised:
        fill()
    assert raised.value.transient
