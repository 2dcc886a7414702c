"""What is refused when the app is synthesized: each in one sentence."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import Stack
from aws_cdk import aws_s3 as s3

from thumbsmith.cdk import ThumbnailGenerator
from thumbsmith.errors import RecipeError

Generate = Callable[..., ThumbnailGenerator]


def _refusal(generate: Generate, **props: Any) -> str:
    with pytest.raises(RecipeError) as refused:
        generate(**props)
    sentence = str(refused.value)
    assert "\n" not in sentence
    return sentence


@pytest.mark.parametrize(
    ("source", "destination"),
    [("", ""), ("in/", ""), ("", "out/"), ("a/", "a/b/"), ("a/b/", "a/"), ("a/", "a/")],
)
def test_no_place_may_lie_in_the_other(stack: Stack, generate: Generate, source: str, destination: str):
    """One bucket with prefixes of which one holds the other would be a loop."""
    bucket = s3.Bucket(stack, "Both")
    props = {"source": bucket, "destination": bucket, "source_prefix": source, "destination_prefix": destination}
    assert "overlap" in _refusal(generate, **props)


def test_a_bucket_is_known_by_its_name(stack: Stack, generate: Generate):
    """A bucket that is made under a name and one that is imported by it are one bucket, as are two imported ones."""
    made = s3.Bucket(stack, "Made", bucket_name="photos")
    imported = [s3.Bucket.from_bucket_name(stack, f"Imported{number}", "photos") for number in range(2)]
    assert "overlap" in _refusal(generate, source=made, destination=imported[0])


def test_two_imports_of_one_bucket_are_one(stack: Stack, generate: Generate):
    """Two constructs that name one bucket are one bucket."""
    one, other = (s3.Bucket.from_bucket_name(stack, name, "photos") for name in ("One", "Other"))
    assert "overlap" in _refusal(generate, source=one, destination=other)


@pytest.mark.parametrize("prefix", ["in", "in/x", "a*/", "a?/", "${aws:x}/"])
def test_a_prefix_is_a_folder(generate: Generate, prefix: str):
    """A prefix ends in "/", and holds nothing that means something in a policy."""
    assert "source_prefix" in _refusal(generate, source_prefix=prefix)


def test_a_prefix_that_no_filter_holds_for_certain(generate: Generate):
    """S3's filters are given plain ASCII alone; the sentence names the way out."""
    assert "trigger" in _refusal(generate, source_prefix="été/")


@pytest.mark.parametrize("recipe", ["[variants.a]\nwidth = 0\n", "variants = 3", "[variants.a]\nwidht = 3"])
def test_a_recipe_that_cannot_be(generate: Generate, recipe: str):
    """A recipe is checked when the app is synthesized, not when the first picture comes."""
    assert _refusal(generate, recipe=recipe).startswith("recipe: ")


def test_a_recipe_that_is_not_there(generate: Generate, tmp_path: Path):
    """The sentence names the file."""
    assert "nowhere.toml" in _refusal(generate, recipe=tmp_path / "nowhere.toml")
