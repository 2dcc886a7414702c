"""Names of managed objects under a key."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thumbsmith.recipe import Format
from thumbsmith.recipe.names import is_managed_name, rendition_key, rendition_name


def test_the_key_of_a_rendition_is_under_its_source():
    """The key of a rendition is its source's key, a slash, the variant and the format's extension."""
    assert rendition_key("photos/Été 1.jpg", "small", "jpeg") == "photos/Été 1.jpg/small.jpg"
    assert rendition_name("small", Format.WEBP) == "small.webp"


def test_a_density_is_before_the_dot():
    """The name of a rendition contains its density, without trailing zeros; density 1 is left out."""
    assert rendition_name("small", "webp", 2.0) == "small@2x.webp"
    assert rendition_name("small", "webp", 1.5) == "small@1.5x.webp"
    assert rendition_key("a.jpg", "small", "avif", 1.25) == "a.jpg/small@1.25x.avif"
    assert rendition_name("small", "webp", 1.0) == "small.webp"


@given(
    st.from_regex("[A-Za-z0-9][A-Za-z0-9_-]{0,63}", fullmatch=True),
    st.sampled_from(Format),
    st.integers(100, 1000).map(lambda hundredths: hundredths / 100),
)
def test_names_of_renditions_are_managed(variant: str, kind: Format, density: float):
    """Every name that a recipe can produce is a managed name."""
    assert is_managed_name(rendition_name(variant, kind, density))


@pytest.mark.parametrize("name", ["manifest.json", "small@2x.webp", "small@1.5x.jpg"])
def test_names_of_manifests_and_densities_are_managed(name: str):
    """The names of the manifest and of renditions with a density are managed names."""
    assert is_managed_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "small",
        "small.gif",
        "small@100x.webp",
        "small@1.255x.webp",
        "small@x.webp",
        f"{'v' * 65}.webp",
        ".webp",
        "a b.webp",
        "small.webp\n",
        "manifest.json2",
        "MANIFEST.JSON",
        "é.jpg",
        "a/b.jpg",
    ],
)
def test_other_names_are_not_managed(name: str):
    """A name that no recipe can produce is not a managed name."""
    assert not is_managed_name(name)
