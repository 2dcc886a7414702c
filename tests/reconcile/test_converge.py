"""One source made right: what `converge` writes, keeps, removes and records."""

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
from thumbsmith.reconcile.protocol import unusable_key
from thumbsmith.store import Headers, open_store
from thumbsmith.store.memory import MemoryStore

ALL = {"a.jpg/icon.webp", "a.jpg/small.webp", "a.jpg/small.jpg", "a.jpg/manifest.json"}


def _made() -> Scene:
    scene = Scene()
    scene.upload("a.jpg")
    scene.converge("a.jpg")
    scene.renderer.asked.clear()
    return scene


def test_a_new_source_is_made():
    """Every variant in every format is made, and the manifest says what stands there."""
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


def test_objects_say_what_they_are():
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


def test_a_fresh_source_costs_nothing():
    """A second time nothing is rendered and nothing written; the outcome tells what stands there."""
    scene = _made()
    before = {info.key: info for info in scene.destination.list()}
    outcome = scene.converge("a.jpg")
    assert (outcome.status, outcome.written, outcome.deleted, outcome.recorded) == ("fresh", 0, 0, False)
    assert outcome.manifest == scene.manifest("a.jpg")
    assert not scene.renderer.asked
    assert {info.key: info for info in scene.destination.list()} == before


def test_a_replaced_source_is_made_anew():
    """Another picture under the same key replaces every rendition."""
    scene = _made()
    before = scene.objects()
    scene.upload("a.jpg", picture("#2040c0"))
    assert scene.converge("a.jpg").written == 3
    assert all(scene.objects()[key] != before[key] for key in ALL)


def test_a_source_that_went_is_cleared_away():
    """Exactly what was made of a gone source is deleted; a second time there is nothing left to do."""
    scene = _made()
    scene.destination.put("a.jpg/notes.txt", b"mine", HEADERS)
    scene.destination.put("a.jpg2/small.webp", b"mine", HEADERS)
    scene.source.delete("a.jpg")
    outcome = scene.converge("a.jpg")
    assert (outcome.status, outcome.deleted) == ("deleted", 4)
    assert scene.objects() == {"a.jpg/notes.txt": b"mine", "a.jpg2/small.webp": b"mine"}
    assert scene.converge("a.jpg").status == "absent"


def test_a_source_no_longer_selected_is_cleared_away():
    """What was made of a source that the recipe excludes now is deleted."""
    scene = _made()
    scene.recipe = replace(scene.recipe, selection=Selection(exclude=("a.*",)))
    assert scene.converge("a.jpg").status == "deleted"
    assert scene.objects() == {}


def test_orphans_are_kept_on_demand():
    """With keep_orphans nothing is deleted, of a gone source or of a variant that went."""
    scene = _made()
    scene.recipe = Recipe.loads("[variants.icon]\nwidth = 8\nheight = 8\nfit = 'cover'")
    assert scene.converge("a.jpg", keep_orphans=True).deleted == 0
    scene.source.delete("a.jpg")
    assert scene.converge("a.jpg", keep_orphans=True).status == "absent"
    assert scene.objects().keys() == ALL


def test_a_source_that_went_bad_keeps_its_thumbnails_on_demand():
    """With keep_orphans a rejection is recorded, and the renditions of the earlier content stay."""
    scene = _made()
    scene.upload("a.jpg", b"")
    outcome = scene.converge("a.jpg", keep_orphans=True)
    assert (outcome.code, outcome.deleted) == ("empty", 0)
    assert scene.objects().keys() == ALL


def test_a_changed_variant_is_the_only_one_remade():
    """Changing one variant makes that one, from one read of the source, and leaves the others as they are."""
    scene = _made()
    before = scene.objects()
    scene.recipe = Recipe.loads(RECIPE.replace("width = 16", "width = 12"))
    assert scene.converge("a.jpg").written == 2
    assert scene.renderer.asked == [{"small.webp", "small.jpg"}]
    assert scene.objects()["a.jpg/icon.webp"] == before["a.jpg/icon.webp"]
    assert scene.manifest("a.jpg")["recipe"] == scene.recipe.fingerprint


def test_leftovers_of_a_fresh_source_go():
    """A rendition that no recipe wants is deleted, and counted; what is right stays, and so does its record."""
    scene = _made()
    before = scene.objects()
    scene.destination.put("a.jpg/old@2x.avif", b"left", HEADERS)
    outcome = scene.converge("a.jpg")
    assert (outcome.status, outcome.deleted, outcome.recorded) == ("fresh", 1, False)
    assert scene.objects() == before


@pytest.mark.parametrize(("mode", "name"), [("RGBA", "icon.png"), ("RGB", "icon.jpg")])
def test_the_format_of_a_source_that_is_not_written_follows_its_alpha(mode: str, name: str):
    """A TIFF becomes a PNG where it has alpha, else a JPEG; the next time that is fresh."""
    scene, data = Scene(Recipe.loads("[variants.icon]\nwidth = 8\nformats = ['source']\n")), io.BytesIO()
    Image.new(mode, (20, 10)).save(data, "tiff")
    scene.upload("a.tif", data.getvalue())
    scene.converge("a.tif")
    assert scene.objects().keys() == {f"a.tif/{name}", "a.tif/manifest.json"}
    assert scene.converge("a.tif").status == "fresh"


def test_each_density_is_recorded_as_itself():
    """Renditions of one variant for several densities are fresh the next time, and the record tells them apart."""
    scene = Scene(Recipe.loads("[variants.icon]\nwidth = 8\ndpr = [1, 2]\nformats = ['webp']\n"))
    scene.upload("a.jpg")
    scene.converge("a.jpg")
    assert [(each["key"], each.get("dpr"), each["width"]) for each in scene.manifest("a.jpg")["renditions"]] == [
        ("a.jpg/icon.webp", None, 8),
        ("a.jpg/icon@2x.webp", 2, 16),
    ]
    assert scene.converge("a.jpg").status == "fresh"


def test_a_removed_variant_goes():
    """A variant that is gone from the recipe is deleted without reading the source again."""
    scene = _made()
    scene.recipe = replace(scene.recipe, variants=scene.recipe.variants[:1])
    outcome = scene.converge("a.jpg")
    assert (outcome.status, outcome.written, outcome.deleted) == ("made", 0, 2)
    assert scene.objects().keys() == {"a.jpg/icon.webp", "a.jpg/manifest.json"}
    assert not scene.renderer.asked


@pytest.mark.parametrize("name", ["icon.webp", "small.webp", "small.jpg", "manifest.json"])
def test_a_missing_object_comes_back(name: str):
    """Whatever is deleted from the destination is there again afterwards, the same bytes, and only it is made."""
    scene = _made()
    before = scene.objects()
    scene.destination.delete(f"a.jpg/{name}")
    assert scene.converge("a.jpg").status == "made"
    assert scene.objects() == before
    assert scene.renderer.asked == [None if name == "manifest.json" else {name}]


@pytest.mark.parametrize("name", ["icon.webp", "manifest.json"])
def test_an_altered_object_is_put_right(name: str):
    """A rendition or manifest with other bytes is made again."""
    scene = _made()
    before = scene.objects()
    scene.destination.put(f"a.jpg/{name}", b"other", HEADERS)
    assert scene.converge("a.jpg").status == "made"
    assert scene.objects() == before


def test_the_same_bytes_are_fresh_whatever_the_etag():
    """A destination whose etags all changed, as in a copied folder, is fresh when its bytes are the recorded ones."""
    scene = _made()
    altered = scene.manifest("a.jpg")
    for record in altered["renditions"]:
        record["etag"] = "of another store"
    scene.destination.put("a.jpg/manifest.json", json.dumps(altered).encode(), HEADERS)
    assert scene.converge("a.jpg").status == "fresh"
    assert not scene.renderer.asked


def test_the_manifest_of_another_key_counts_for_nothing():
    """A manifest that was copied from another key is not believed."""
    scene = _made()
    scene.upload("b.jpg")
    for name in ("manifest.json", "icon.webp", "small.webp", "small.jpg"):
        scene.destination.put(f"b.jpg/{name}", content(scene.destination, f"a.jpg/{name}"), HEADERS)
    assert scene.converge("b.jpg").status == "made"
    assert scene.manifest("b.jpg")["source"]["key"] == "b.jpg"


def test_a_rejected_source_is_recorded_once():
    """What is no image gets a manifest with its code; the record stands until the source changes."""
    scene = Scene()
    scene.upload("a.txt", b"hello, this is no image")
    outcome = scene.converge("a.txt")
    assert (outcome.status, outcome.code, outcome.recorded) == ("rejected", "unsupported_format", True)
    assert scene.objects().keys() == {"a.txt/manifest.json"}
    assert scene.manifest("a.txt")["rejection"]["code"] == "unsupported_format"
    again = scene.converge("a.txt")
    assert (again.status, again.code, again.recorded) == ("rejected", "unsupported_format", False)
    assert len(scene.renderer.asked) == 1
    scene.upload("a.txt")
    assert scene.converge("a.txt").status == "made"


def test_leftovers_beside_a_rejection_go():
    """A rejected source has no renditions: one that another worker wrote late is deleted, and the record stays."""
    scene = Scene()
    scene.upload("a.txt", b"hello, this is no image")
    scene.converge("a.txt")
    before = scene.objects()
    scene.destination.put("a.txt/icon.webp", b"late", HEADERS)
    outcome = scene.converge("a.txt")
    assert (outcome.status, outcome.deleted, outcome.recorded) == ("rejected", 1, False)
    assert scene.objects() == before


def test_a_source_that_went_bad_loses_its_thumbnails():
    """When a picture is replaced by something that is none, its thumbnails go and the reason is recorded."""
    scene = _made()
    scene.upload("a.jpg", b"")
    outcome = scene.converge("a.jpg")
    assert (outcome.code, outcome.deleted) == ("empty", 3)
    assert scene.objects().keys() == {"a.jpg/manifest.json"}


def test_a_rejection_is_tried_again_on_demand_and_under_other_limits():
    """retry_rejected and changed limits take another look at a rejected source; other changes of the recipe do not."""
    scene = Scene()
    scene.upload("a.jpg", picture(size=(60, 40)))
    scene.recipe = replace(scene.recipe, limits=Limits(max_side=50))
    assert scene.converge("a.jpg").code == "too_long_side"
    assert scene.converge("a.jpg", retry_rejected=True).recorded
    scene.recipe = replace(scene.recipe, variants=scene.recipe.variants[:1])
    assert not scene.converge("a.jpg").recorded
    scene.recipe = replace(scene.recipe, limits=Limits(max_side=60))
    assert scene.converge("a.jpg").status == "made"


def test_retrying_rejections_makes_nothing_again():
    """retry_rejected is about rejected sources: one whose thumbnails are right stays as it is."""
    scene = _made()
    assert scene.converge("a.jpg", retry_rejected=True).status == "fresh"
    assert not scene.renderer.asked


def test_a_version_that_reads_more_tries_rejections_again_and_remakes_nothing(monkeypatch: pytest.MonkeyPatch):
    """After the revision of judging was raised, a rejected source is looked at again, and a made one is not."""
    scene = _made()
    scene.upload("b.jpg", b"")
    assert scene.converge("b.jpg").code == "empty"
    assert not scene.converge("b.jpg").recorded
    monkeypatch.setattr(model, "JUDGMENT_REVISION", model.JUDGMENT_REVISION + 1)
    assert scene.converge("b.jpg").recorded
    scene.renderer.asked.clear()
    outcome = scene.converge("a.jpg")
    assert (outcome.status, outcome.written, outcome.recorded) == ("fresh", 0, False)
    assert not scene.renderer.asked


def test_stricter_limits_reach_what_was_made_before():
    """A source that the new limits forbid loses its thumbnails, though nothing else about it changed."""
    scene = _made()
    scene.recipe = replace(scene.recipe, limits=Limits(max_side=50))
    assert scene.converge("a.jpg").code == "too_long_side"
    assert scene.objects().keys() == {"a.jpg/manifest.json"}


def test_looser_limits_remake_nothing():
    """Other limits under which everything stays right cost a look at the header and a new manifest, no picture."""
    scene = _made()
    before = scene.objects()
    scene.recipe = replace(scene.recipe, limits=Limits(max_side=70))
    outcome = scene.converge("a.jpg")
    assert (outcome.status, outcome.written) == ("made", 0)
    assert scene.renderer.asked == [frozenset()]
    assert {key: data for key, data in scene.objects().items() if "manifest" not in key} == {
        key: data for key, data in before.items() if "manifest" not in key
    }


@pytest.mark.parametrize(
    ("key", "code"), [("x" * 1011, "key_too_long"), ("é" * 506, "key_too_long"), ("a\udcff.jpg", "unsupported_key")]
)
def test_a_key_that_leaves_no_room_for_a_record_is_rejected(key: str, code: str):
    """A key that cannot have a manifest is rejected in the outcome alone; nothing is written."""
    scene = Scene()
    outcome = scene.converge(key)
    assert (outcome.status, outcome.code, outcome.manifest) == ("rejected", code, None)
    assert scene.objects() == {}


def test_a_prefix_leaves_less_room():
    """Where the destination's prefix is part of every key, a key that only fits without it is rejected, not failed."""
    room = open_store("s3://bucket/some/prefix").max_key_bytes
    assert room == 1024 - len("some/prefix/")
    fits = "k" * (room - len("/manifest.json"))
    recipe = Recipe.default()
    assert unusable_key(fits, recipe, room) is None
    refusal = unusable_key(f"{fits}k", recipe, room)
    assert refusal is not None
    assert refusal.code == "key_too_long"


class _Short(MemoryStore):
    """A store whose keys are short, as in a bucket with a long prefix."""

    __slots__ = ()

    @property
    def max_key_bytes(self) -> int:
        """Return 30 bytes."""
        return 30


def test_the_destination_limits_a_key():
    """Its keys are the longer ones: what fits into the source alone is rejected."""
    scene = Scene(destination=_Short("short"))
    for key, status in (("k" * 16, "made"), ("k" * 17, "rejected")):
        scene.upload(key)
        assert scene.converge(key).status == status


def test_a_folder_takes_what_is_made_of_any_key(tmp_path: Path):
    """Also of keys that are no path."""
    scene = Scene(destination=open_store(tmp_path / "thumbs"))
    for key in ("b//c.jpg", "d\x00.jpg"):
        scene.upload(key)
        assert scene.converge(key).status == "made"
    assert [path.name for path in tmp_path.iterdir()] == ["thumbs"]


def test_a_long_name_of_a_variant_leaves_less_room():
    """A key has room for the longest name of the recipe, which may be a rendition's."""
    recipe = Recipe.loads(f"[variants.{'v' * 64}]\nwidth = 8\ndpr = [1, 2]\nformats = ['webp']\n")
    fits = "k" * (1024 - len(f"/{'v' * 64}@2x.webp"))
    assert unusable_key(fits, recipe, 1024) is None
    refusal = unusable_key(f"{fits}k", recipe, 1024)
    assert refusal is not None
    assert refusal.code == "key_too_long"


def test_the_longest_possible_key_is_made():
    """A key that just leaves room for the longest name is made."""
    scene = Scene()
    key = "k" * (1024 - len("/manifest.json"))
    scene.upload(key)
    assert scene.converge(key).status == "made"


@pytest.mark.parametrize(
    ("step", "rendered", "written"), [(1, 0, 0), (4, 0, 0), (5, 1, 0), (6, 1, 1), (8, 1, 3), (9, 1, 4)]
)
def test_a_check_stops_the_work_before_a_step(step: int, rendered: int, written: int):
    """Three looks, the rendering, four writes and a last look: what a check raises stops the one that comes next."""
    scene, checks = Scene(), count(1)
    scene.upload("a.jpg")

    def check() -> None:
        if next(checks) == step:
            raise Stopped

    with pytest.raises(Stopped):
        converge("a.jpg", scene.source, scene.destination, scene.recipe, renderer=scene.renderer, check=check)
    assert (len(scene.renderer.asked), len(scene.objects())) == (rendered, written)


def test_both_ways_to_the_same_recipe_end_in_the_same_bytes():
    """The destination depends on the source and the recipe alone, not on what stood there before."""
    scene, twin = _made(), Scene()
    changed = Recipe.loads(RECIPE.replace("width = 8", "width = 10"))
    scene.recipe = twin.recipe = changed
    twin.upload("a.jpg")
    scene.converge("a.jpg")
    twin.converge("a.jpg")
    assert scene.objects() == twin.objects()


def test_what_was_ignored_in_a_source_is_noted_for_as_long_as_it_holds():
    """A broken profile is noted when pictures are made, kept when a part is made again, and gone with the source."""
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
