"""One call of `converge`: what it writes, keeps, deletes and records."""

import hashlib
import io
import json
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
from PIL import Image

from tests.pictures import opened, picture
from tests.reconcile.scene import HEADERS, RECIPE, Scene, content
from thumbsmith import Recipe, converge
from thumbsmith.errors import Stopped
from thumbsmith.recipe import Limits, Selection, model
from thumbsmith.reconcile.decide import unusable_key
from thumbsmith.store import Headers, open_store
from thumbsmith.store.memory import MemoryStore

ALL = {"a.jpg/icon.webp", "a.jpg/small.webp", "a.jpg/small.jpg", "a.jpg/manifest.json"}


def _made() -> Scene:
    scene = Scene()
    scene.upload("a.jpg")
    scene.converge("a.jpg")
    scene.renderer.requested.clear()
    return scene


def test_a_new_source_is_made():
    """Every variant is written in every format, and the manifest describes the objects."""
    scene = Scene()
    scene.upload("a.jpg")
    outcome = scene.converge("a.jpg")
    assert (outcome.status, outcome.written, outcome.deleted, outcome.code) == ("made", 3, 0, None)
    objects = scene.objects()
    assert objects.keys() == ALL
    manifest = scene.manifest("a.jpg")
    assert manifest == outcome.manifest
    for record in manifest["renditions"]:
        data = objects[record["key"]]
        assert (record["bytes"], record["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
        assert opened(data).size == (record["width"], record["height"])
        assert scene.destination.head(record["key"]).etag == record["etag"]
    assert [(r["variant"], r["format"], r["width"], r["height"]) for r in manifest["renditions"]] == [
        ("icon", "webp", 8, 8),
        ("small", "webp", 16, 11),
        ("small", "jpeg", 16, 11),
    ]
    assert manifest["source"] | {"etag": ""} == {
        "key": "a.jpg",
        "etag": "",
        "bytes": len(picture()),
        "format": "jpeg",
        "width": 60,
        "height": 40,
        "frames": 1,
        "alpha": False,
    }


def test_objects_have_metadata():
    """Renditions have their media type, and their variant, fingerprint and digest as metadata; a manifest is JSON."""
    scene = _made()
    for record in scene.manifest("a.jpg")["renditions"]:
        names = {
            "thumbsmith-variant": "variant",
            "thumbsmith-fingerprint": "fingerprint",
            "thumbsmith-sha256": "sha256",
        }
        metadata = {name: record[field] for name, field in names.items()}
        expected = Headers(content_type=record["type"], metadata=metadata)
        assert scene.destination.open(record["key"]).headers == expected
    assert scene.destination.open("a.jpg/manifest.json").headers == Headers(content_type="application/json")


def test_a_fresh_source_is_not_rendered():
    """A second call renders and writes nothing; its outcome has the manifest."""
    scene = _made()
    before = {info.key: info for info in scene.destination.list()}
    outcome = scene.converge("a.jpg")
    assert (outcome.status, outcome.written, outcome.deleted, outcome.recorded) == ("fresh", 0, 0, False)
    assert outcome.manifest == scene.manifest("a.jpg")
    assert not scene.renderer.requested
    assert {info.key: info for info in scene.destination.list()} == before


def test_a_replaced_source_is_rendered_again():
    """Another source under the same key replaces every rendition."""
    scene = _made()
    before = scene.objects()
    scene.upload("a.jpg", picture("#2040c0"))
    assert scene.converge("a.jpg").written == 3
    assert all(scene.objects()[key] != before[key] for key in ALL)


def test_thumbnails_of_a_deleted_source_are_deleted():
    """Exactly the thumbnails of a deleted source are deleted; a second call does nothing."""
    scene = _made()
    scene.destination.put("a.jpg/notes.txt", b"mine", HEADERS)
    scene.destination.put("a.jpg2/small.webp", b"mine", HEADERS)
    scene.source.delete("a.jpg")
    outcome = scene.converge("a.jpg")
    assert (outcome.status, outcome.deleted) == ("deleted", 4)
    assert scene.objects() == {"a.jpg/notes.txt": b"mine", "a.jpg2/small.webp": b"mine"}
    assert scene.converge("a.jpg").status == "absent"


def test_thumbnails_of_an_excluded_source_are_deleted():
    """The thumbnails of a source that the recipe now excludes are deleted."""
    scene = _made()
    scene.recipe = replace(scene.recipe, selection=Selection(exclude=("a.*",)))
    assert scene.converge("a.jpg").status == "deleted"
    assert scene.objects() == {}


def test_orphans_can_be_kept():
    """With keep_orphans nothing is deleted, neither of a deleted source nor of a removed variant."""
    scene = _made()
    scene.recipe = Recipe.loads("[variants.icon]\nwidth = 8\nheight = 8\nfit = 'cover'")
    assert scene.converge("a.jpg", keep_orphans=True).deleted == 0
    scene.source.delete("a.jpg")
    assert scene.converge("a.jpg", keep_orphans=True).status == "absent"
    assert scene.objects().keys() == ALL


def test_a_source_that_became_invalid_can_keep_its_thumbnails():
    """With keep_orphans a rejection is recorded, and the renditions of the earlier content stay."""
    scene = _made()
    scene.upload("a.jpg", b"")
    outcome = scene.converge("a.jpg", keep_orphans=True)
    assert (outcome.code, outcome.deleted) == ("empty", 0)
    assert scene.objects().keys() == ALL


def test_only_a_changed_variant_is_rendered_again():
    """A change of one variant renders only that one, from one read of the source."""
    scene = _made()
    before = scene.objects()
    scene.recipe = Recipe.loads(RECIPE.replace("width = 16", "width = 12"))
    assert scene.converge("a.jpg").written == 2
    assert scene.renderer.requested == [{"small.webp", "small.jpg"}]
    assert scene.objects()["a.jpg/icon.webp"] == before["a.jpg/icon.webp"]
    assert scene.manifest("a.jpg")["recipe"] == scene.recipe.fingerprint


def test_obsolete_renditions_of_a_fresh_source_are_deleted():
    """An obsolete rendition is deleted and counted; current renditions and the manifest stay."""
    scene = _made()
    before = scene.objects()
    scene.destination.put("a.jpg/old@2x.avif", b"left", HEADERS)
    outcome = scene.converge("a.jpg")
    assert (outcome.status, outcome.deleted, outcome.recorded) == ("fresh", 1, False)
    assert scene.objects() == before


@pytest.mark.parametrize(("mode", "name"), [("RGBA", "icon.png"), ("RGB", "icon.jpg")])
def test_a_format_that_is_not_written_is_replaced_according_to_alpha(mode: str, name: str):
    """A TIFF becomes a PNG if it has alpha, else a JPEG; the next call finds it fresh."""
    scene, data = Scene(Recipe.loads("[variants.icon]\nwidth = 8\nformats = ['source']\n")), io.BytesIO()
    Image.new(mode, (20, 10)).save(data, "tiff")
    scene.upload("a.tif", data.getvalue())
    scene.converge("a.tif")
    assert scene.objects().keys() == {f"a.tif/{name}", "a.tif/manifest.json"}
    assert scene.converge("a.tif").status == "fresh"


def test_each_density_has_its_own_record():
    """The renditions of one variant for several densities have separate records, and are fresh in the next call."""
    scene = Scene(Recipe.loads("[variants.icon]\nwidth = 8\ndpr = [1, 2]\nformats = ['webp']\n"))
    scene.upload("a.jpg")
    scene.converge("a.jpg")
    assert [(each["key"], each.get("dpr"), each["width"]) for each in scene.manifest("a.jpg")["renditions"]] == [
        ("a.jpg/icon.webp", None, 8),
        ("a.jpg/icon@2x.webp", 2, 16),
    ]
    assert scene.converge("a.jpg").status == "fresh"


def test_renditions_of_a_removed_variant_are_deleted():
    """The renditions of a variant that was removed from the recipe are deleted without a read of the source."""
    scene = _made()
    scene.recipe = replace(scene.recipe, variants=scene.recipe.variants[:1])
    outcome = scene.converge("a.jpg")
    assert (outcome.status, outcome.written, outcome.deleted) == ("made", 0, 2)
    assert scene.objects().keys() == {"a.jpg/icon.webp", "a.jpg/manifest.json"}
    assert not scene.renderer.requested


@pytest.mark.parametrize("name", ["icon.webp", "small.webp", "small.jpg", "manifest.json"])
def test_a_missing_object_is_restored(name: str):
    """An object that was deleted from the destination is written again with the same bytes, and only it is rendered."""
    scene = _made()
    before = scene.objects()
    scene.destination.delete(f"a.jpg/{name}")
    assert scene.converge("a.jpg").status == "made"
    assert scene.objects() == before
    assert scene.renderer.requested == [None if name == "manifest.json" else {name}]


@pytest.mark.parametrize("name", ["icon.webp", "manifest.json"])
def test_an_altered_object_is_restored(name: str):
    """A rendition or manifest with other bytes is written again."""
    scene = _made()
    before = scene.objects()
    scene.destination.put(f"a.jpg/{name}", b"other", HEADERS)
    assert scene.converge("a.jpg").status == "made"
    assert scene.objects() == before


def test_the_same_bytes_are_fresh_with_any_etag():
    """A destination with new etags, such as a copied folder, is fresh if its bytes are the recorded ones."""
    scene = _made()
    altered = scene.manifest("a.jpg")
    for record in altered["renditions"]:
        record["etag"] = "of another store"
    scene.destination.put("a.jpg/manifest.json", json.dumps(altered).encode(), HEADERS)
    assert scene.converge("a.jpg").status == "fresh"
    assert not scene.renderer.requested


def test_the_manifest_of_another_key_is_ignored():
    """A manifest that was copied from another key counts as unreadable."""
    scene = _made()
    scene.upload("b.jpg")
    for name in ("manifest.json", "icon.webp", "small.webp", "small.jpg"):
        scene.destination.put(f"b.jpg/{name}", content(scene.destination, f"a.jpg/{name}"), HEADERS)
    assert scene.converge("b.jpg").status == "made"
    assert scene.manifest("b.jpg")["source"]["key"] == "b.jpg"


def test_a_rejected_source_is_recorded_once():
    """A file that is no image gets a manifest with a rejection code, which is valid until the source changes."""
    scene = Scene()
    scene.upload("a.gif", b"hello, this is no image")
    outcome = scene.converge("a.gif")
    assert (outcome.status, outcome.code, outcome.recorded) == ("rejected", "unsupported_format", True)
    assert scene.objects().keys() == {"a.gif/manifest.json"}
    assert scene.manifest("a.gif")["rejection"]["code"] == "unsupported_format"
    again = scene.converge("a.gif")
    assert (again.status, again.code, again.recorded) == ("rejected", "unsupported_format", False)
    assert len(scene.renderer.requested) == 1
    scene.upload("a.gif")
    assert scene.converge("a.gif").status == "made"


def test_renditions_beside_a_rejection_are_deleted():
    """A rejected source has no renditions: one that another worker wrote late is deleted; the manifest stays."""
    scene = Scene()
    scene.upload("a.gif", b"hello, this is no image")
    scene.converge("a.gif")
    before = scene.objects()
    scene.destination.put("a.gif/icon.webp", b"late", HEADERS)
    outcome = scene.converge("a.gif")
    assert (outcome.status, outcome.deleted, outcome.recorded) == ("rejected", 1, False)
    assert scene.objects() == before


def test_a_source_that_became_invalid_loses_its_thumbnails():
    """If an invalid file replaces a source, its thumbnails are deleted and the rejection is recorded."""
    scene = _made()
    scene.upload("a.jpg", b"")
    outcome = scene.converge("a.jpg")
    assert (outcome.code, outcome.deleted) == ("empty", 3)
    assert scene.objects().keys() == {"a.jpg/manifest.json"}


def test_a_rejection_is_retried_on_request_and_with_other_limits():
    """retry_rejected and changed limits retry a rejected source; other changes of the recipe do not."""
    scene = Scene()
    scene.upload("a.jpg", picture(size=(60, 40)))
    scene.recipe = replace(scene.recipe, limits=Limits(max_side=50))
    assert scene.converge("a.jpg").code == "too_long_side"
    assert scene.converge("a.jpg", retry_rejected=True).recorded
    scene.recipe = replace(scene.recipe, variants=scene.recipe.variants[:1])
    assert not scene.converge("a.jpg").recorded
    scene.recipe = replace(scene.recipe, limits=Limits(max_side=60))
    assert scene.converge("a.jpg").status == "made"


def test_retry_rejected_does_not_affect_fresh_sources():
    """With retry_rejected a fresh source stays fresh."""
    scene = _made()
    assert scene.converge("a.jpg", retry_rejected=True).status == "fresh"
    assert not scene.renderer.requested


def test_a_new_judgment_revision_retries_only_rejections(monkeypatch: pytest.MonkeyPatch):
    """After the judgment revision was raised, a rejected source is decoded again, and a fresh one is not."""
    scene = _made()
    scene.upload("b.jpg", b"")
    assert scene.converge("b.jpg").code == "empty"
    assert not scene.converge("b.jpg").recorded
    monkeypatch.setattr(model, "REJECTION_REVISION", model.REJECTION_REVISION + 1)
    assert scene.converge("b.jpg").recorded
    scene.renderer.requested.clear()
    outcome = scene.converge("a.jpg")
    assert (outcome.status, outcome.written, outcome.recorded) == ("fresh", 0, False)
    assert not scene.renderer.requested


def test_stricter_limits_apply_to_existing_thumbnails():
    """A source that exceeds the new limits loses its thumbnails, though it did not change."""
    scene = _made()
    scene.recipe = replace(scene.recipe, limits=Limits(max_side=50))
    assert scene.converge("a.jpg").code == "too_long_side"
    assert scene.objects().keys() == {"a.jpg/manifest.json"}


def test_looser_limits_render_nothing():
    """New limits that the source meets cause a read of the header and a new manifest, but no decoding."""
    scene = _made()
    before = scene.objects()
    scene.recipe = replace(scene.recipe, limits=Limits(max_side=70))
    outcome = scene.converge("a.jpg")
    assert (outcome.status, outcome.written) == ("made", 0)
    assert scene.renderer.requested == [frozenset()]
    assert {key: data for key, data in scene.objects().items() if "manifest" not in key} == {
        key: data for key, data in before.items() if "manifest" not in key
    }


@pytest.mark.parametrize(
    ("key", "code"), [("x" * 1011, "key_too_long"), ("é" * 506, "key_too_long"), ("a\udcff.jpg", "unsupported_key")]
)
def test_an_unusable_key_is_rejected(key: str, code: str):
    """A key that cannot have a manifest is rejected in the outcome; nothing is written."""
    scene = Scene()
    outcome = scene.converge(key)
    assert (outcome.status, outcome.code, outcome.manifest) == ("rejected", code, None)
    assert scene.objects() == {}


def test_a_prefix_leaves_less_room():
    """A key that is too long only because of the destination's prefix is rejected; it does not fail."""
    room = open_store("s3://bucket/some/prefix").max_key_bytes
    assert room == 1024 - len("some/prefix/")
    fits = "k" * (room - len("/manifest.json"))
    recipe = Recipe.default()
    assert unusable_key(fits, recipe, room) is None
    refusal = unusable_key(f"{fits}k", recipe, room)
    assert refusal is not None
    assert refusal.code == "key_too_long"


class _Short(MemoryStore):
    """A store with short keys, as in a bucket with a long prefix."""

    __slots__ = ()

    @property
    def max_key_bytes(self) -> int:
        """Return 30 bytes."""
        return 30


def test_the_destination_limits_a_key():
    """A key that fits into the source but not into the destination is rejected."""
    scene = Scene(destination=_Short("short"))
    for key, status in (("k" * 16, "made"), ("k" * 17, "rejected")):
        scene.upload(key)
        assert scene.converge(key).status == status


def test_a_folder_stores_thumbnails_of_any_key(tmp_path: Path):
    """A folder stores the thumbnails of keys that are no valid path."""
    scene = Scene(destination=open_store(tmp_path / "thumbs"))
    for key in ("b//c.jpg", "d\x00.jpg"):
        scene.upload(key)
        assert scene.converge(key).status == "made"
    assert [path.name for path in tmp_path.iterdir()] == ["thumbs"]


def test_a_long_name_of_a_variant_leaves_less_room():
    """A key must leave room for the longest name of the recipe, which may be that of a rendition."""
    recipe = Recipe.loads(f"[variants.{'v' * 64}]\nwidth = 8\ndpr = [1, 2]\nformats = ['webp']\n")
    fits = "k" * (1024 - len(f"/{'v' * 64}@2x.webp"))
    assert unusable_key(fits, recipe, 1024) is None
    refusal = unusable_key(f"{fits}k", recipe, 1024)
    assert refusal is not None
    assert refusal.code == "key_too_long"


def test_the_longest_possible_key_is_converged():
    """A key that leaves just enough room for the longest name gets thumbnails."""
    scene = Scene()
    key = "k" * (1024 - len("/manifest.json"))
    scene.upload(key)
    assert scene.converge(key).status == "made"


@pytest.mark.parametrize(
    ("step", "rendered", "written"), [(1, 0, 0), (4, 0, 0), (5, 1, 0), (6, 1, 1), (8, 1, 3), (9, 1, 4)]
)
def test_a_check_stops_the_run_before_a_step(step: int, rendered: int, written: int):
    """The exception of a check stops the next step: three reads, the rendering, four writes and a last read."""
    scene, checks = Scene(), count(1)
    scene.upload("a.jpg")

    def check() -> None:
        if next(checks) == step:
            raise Stopped

    with pytest.raises(Stopped):
        converge("a.jpg", scene.source, scene.destination, scene.recipe, renderer=scene.renderer, check=check)
    assert (len(scene.renderer.requested), len(scene.objects())) == (rendered, written)


def test_the_destination_does_not_depend_on_its_history():
    """The destination depends only on the source and the recipe, not on earlier thumbnails."""
    scene, twin = _made(), Scene()
    changed = Recipe.loads(RECIPE.replace("width = 8", "width = 10"))
    scene.recipe = twin.recipe = changed
    twin.upload("a.jpg")
    scene.converge("a.jpg")
    twin.converge("a.jpg")
    assert scene.objects() == twin.objects()


def test_notes_stay_as_long_as_they_apply():
    """The note about a broken profile stays if one rendition is restored, and is deleted with the source."""
    scene = Scene()
    broken = picture(icc_profile=b"no profile at all" * 20)
    scene.upload("a.jpg", broken)
    assert scene.converge("a.jpg").manifest["notes"] == ["the color profile is broken, and was ignored"]
    noted = scene.objects()
    scene.destination.delete("a.jpg/icon.webp")
    scene.converge("a.jpg")
    assert scene.objects() == noted
    scene.recipe = replace(scene.recipe, limits=Limits(max_scans=99))
    assert scene.converge("a.jpg").manifest["notes"]
    scene.upload("a.jpg", picture("blue"))
    assert "notes" not in scene.converge("a.jpg").manifest
