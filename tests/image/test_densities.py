"""`dpr`: renditions for screens of several densities."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.image.pictures import cornered, saved
from tests.pictures import picture
from thumbsmith import Recipe, converge
from thumbsmith.image.geometry import plan
from thumbsmith.image.render import render
from thumbsmith.recipe import Fit, Variant
from thumbsmith.store import Headers
from thumbsmith.store.memory import MemoryStore

SOURCE = saved(cornered(960, 640), "JPEG")


def _sizes(text: str) -> dict[str, tuple[int, int]]:
    return {each.name: (each.width, each.height) for each in render(SOURCE, Recipe.loads(f"[variants.v]\n{text}"))}


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        ("width = 90\ndpr = [1, 1.5, 2]", {"v.webp": (90, 60), "v@1.5x.webp": (135, 90), "v@2x.webp": (180, 120)}),
        ("width = 90\ndpr = [2]", {"v@2x.webp": (180, 120)}),
        ("width = 600\ndpr = [1, 3]", {"v.webp": (600, 400), "v@3x.webp": (960, 640)}),
        ("width = 600\nenlarge = true\ndpr = [2]", {"v@2x.webp": (1200, 800)}),
        ("width = 2000\ndpr = [1, 2]", {"v.webp": (960, 640), "v@2x.webp": (960, 640)}),
        ("width = 64\nheight = 64\nfit = 'cover'\ndpr = [1, 2]", {"v.webp": (64, 64), "v@2x.webp": (128, 128)}),
        ("width = 400\nheight = 400\nfit = 'cover'\ndpr = [2]", {"v@2x.webp": (640, 640)}),
        ("width = 600\nheight = 600\nfit = 'contain'\ndpr = [2]", {"v@2x.webp": (960, 960)}),
        ("width = 400\nheight = 400\nfit = 'fill'\ndpr = [2]", {"v@2x.webp": (640, 640)}),
    ],
)
def test_a_density_multiplies_the_box(text: str, sizes: dict[str, tuple[int, int]]):
    """A density multiplies the box, as far as the source allows, and keeps its proportions."""
    assert _sizes(text) == sizes


@given(
    st.tuples(st.integers(1, 5000), st.integers(1, 5000)),
    st.sampled_from(Fit),
    st.integers(1, 3000),
    st.integers(1, 3000),
    st.integers(100, 1000).map(lambda hundredths: hundredths / 100),
)
def test_a_density_shows_the_same_and_enlarges_nothing(size, fit: Fit, width: int, height: int, density: float):
    """Every density shows the same part, within the rounding of a side, and enlarges nothing."""
    variant = Variant(name="v", width=width, height=height, fit=fit)
    once = plan(size, variant)
    dense = plan(size, Variant(name="v", width=width, height=height, fit=fit, dpr=(density,)))
    for axis in (0, 1):
        assert once.size[axis] <= dense.size[axis] <= max(size[axis], once.size[axis])
        assert once.canvas[axis] <= dense.canvas[axis]
        pixel = size[axis] / once.size[axis]
        assert dense.box[axis] == pytest.approx(once.box[axis], abs=pixel)
        assert dense.box[axis + 2] == pytest.approx(once.box[axis + 2], abs=pixel)


def test_the_manifest_and_srcset_have_all_densities():
    """The manifest has the density of each rendition, and srcset lists each width once."""
    source, destination = MemoryStore("source"), MemoryStore("destination")
    source.put("a.jpg", picture(size=(300, 200)), Headers(content_type="image/jpeg"))
    recipe = Recipe.loads("[variants.v]\nwidth = 100\ndpr = [1, 2, 3, 4]")
    outcome = converge("a.jpg", source, destination, recipe)
    manifest = json.loads(destination.open("a.jpg/manifest.json").read(0, 10_000))
    assert manifest == outcome.manifest
    assert [each.get("dpr") for each in manifest["renditions"]] == [None, 2, 3, 4]
    widths = [entry.split()[1] for entry in manifest["srcset"]["webp"].split(", ")]
    assert widths == ["100w", "200w", "300w"]
    assert "a.jpg/v%402x.webp?v=" in manifest["srcset"]["webp"]
    assert converge("a.jpg", source, destination, recipe).status == "fresh"


def test_a_new_density_makes_only_its_own_renditions():
    """A new density makes only its own renditions; a removed one deletes only its own."""
    source, destination = MemoryStore("source"), MemoryStore("destination")
    source.put("a.jpg", picture(size=(300, 200)), Headers(content_type="image/jpeg"))
    one, two = (Recipe.loads(f"[variants.v]\nwidth = 100\ndpr = {dpr}") for dpr in ("[1]", "[1, 2]"))
    assert converge("a.jpg", source, destination, one).written == 1
    assert converge("a.jpg", source, destination, two).written == 1
    outcome = converge("a.jpg", source, destination, one)
    assert (outcome.written, outcome.deleted) == (0, 1)
