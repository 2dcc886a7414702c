"""TOML becomes the values of a recipe, with defaults applied."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given

from tests.recipe.documents import documents, toml
from tests.recipe.sample import SAMPLE
from thumbsmith.recipe import Fit, Format, Limits, Quality, Recipe, Selection, Variant


def _small(line: str) -> Variant:
    """Return the one variant of a recipe with this line in it."""
    return Recipe.loads(f"[variants.small]\nwidth = 1\n{line}").variants[0]


def test_the_sample_is_read():
    """A recipe with every table gives the values that it has, also where they equal a default."""
    assert Recipe.loads(SAMPLE) == Recipe(
        variants=(
            Variant(name="icon", width=64, height=64, fit=Fit.COVER),
            Variant(name="small", width=256, height=256, formats=(Format.WEBP, Format.JPEG)),
        )
    )


def test_an_empty_recipe_is_the_default():
    """An empty text is the default recipe: icon 64 cover, small 256 and large 1024 inside, all in WebP."""
    assert Recipe.loads("") == Recipe.default()
    assert [(v.name, v.width, v.height, v.fit, v.formats) for v in Recipe.default().variants] == [
        ("icon", 64, 64, Fit.COVER, (Format.WEBP,)),
        ("small", 256, 256, Fit.INSIDE, (Format.WEBP,)),
        ("large", 1024, 1024, Fit.INSIDE, (Format.WEBP,)),
    ]


def test_defaults_apply_to_the_default_variants():
    """[defaults] without variants applies to icon, small and large, except for the fields that each sets itself."""
    icon, small, large = Recipe.loads("[defaults]\nquality = 50\nfit = 'contain'\nwidth = 7").variants
    assert {v.quality for v in (icon, small, large)} == {Quality(jpeg=50, webp=50, avif=50)}
    assert (icon.fit, small.fit, large.fit) == (Fit.COVER, Fit.CONTAIN, Fit.CONTAIN)
    assert (icon.width, small.width, large.width) == (64, 256, 1024)


def test_a_variant_overrides_the_defaults():
    """A field of a variant overrides [defaults], and [defaults] overrides the built-in default, in any order."""
    text = "[variants.a]\nwidth = 2\n[variants.b]\nfit = 'fill'\nenlarge = false\n[defaults]\nwidth = 1\nenlarge = true"
    a, b = Recipe.loads(text).variants
    assert a == Variant(name="a", width=2, enlarge=True)
    assert b == Variant(name="b", width=1, fit=Fit.FILL)


def test_one_side_is_enough():
    """Either side may be left out, also if the other comes from [defaults]."""
    assert (_small("").width, _small("").height) == (1, None)
    (variant,) = Recipe.loads("[defaults]\nheight = 5\n[variants.a]").variants
    assert (variant.width, variant.height) == (None, 5)


@pytest.mark.parametrize(
    ("written", "point"),
    [
        ('"center"', (0.5, 0.5)),
        ('"north"', (0.5, 0)),
        ('"northeast"', (1, 0)),
        ('"east"', (1, 0.5)),
        ('"southeast"', (1, 1)),
        ('"south"', (0.5, 1)),
        ('"southwest"', (0, 1)),
        ('"west"', (0, 0.5)),
        ('"northwest"', (0, 0)),
        ("[0, 1]", (0, 1)),
        ("[0.25, 0.75]", (0.25, 0.75)),
        ("[-0.0, 1.0]", (0, 1)),
    ],
)
def test_gravity_is_a_point(written: str, point: tuple[float, float]):
    """Each word and each pair becomes the point that it names, in floats, without a negative zero."""
    assert repr(_small(f"gravity = {written}").gravity) == repr((float(point[0]), float(point[1])))


def test_quality_is_one_number_or_a_table_of_formats():
    """A number applies to every lossy format. Formats that a table leaves out come from [defaults], then built in."""
    assert _small("quality = 7").quality == Quality(jpeg=7, webp=7, avif=7)
    assert _small("quality = { webp = 7 }").quality == Quality(webp=7)
    text = "[defaults]\nquality = {{ jpeg = 90 }}\n[variants.a]\nwidth = 1\nquality = {}"
    assert Recipe.loads(text.format("{ webp = 7 }")).variants[0].quality == Quality(jpeg=90, webp=7)
    assert Recipe.loads(text.format("5")).variants[0].quality == Quality(jpeg=5, webp=5, avif=5)


def test_equal_formats_collapse():
    """A format that is listed twice is kept once, in its first place."""
    assert _small('formats = ["source", "webp", "source", "webp", "png"]').formats == (
        "source",
        Format.WEBP,
        Format.PNG,
    )


@pytest.mark.parametrize(("written", "color"), [("#FFF", "#ffffff"), ("#0aB", "#00aabb"), ("#12CDef", "#12cdef")])
def test_background_has_six_lower_case_digits(written: str, color: str):
    """Every spelling of a color becomes the same value."""
    assert _small(f'background = "{written}"').background == color


def test_limits_and_source_are_read():
    """[limits] and [source] set the fields that they name, and the others keep their defaults."""
    recipe = Recipe.loads("[limits]\nmax_side = 1\n[source]\nexclude = ['a/**', '*']")
    assert recipe.limits == Limits(max_side=1)
    assert recipe.selection == Selection(include=("**",), exclude=("a/**", "*"))


def test_fifty_variants_are_read_in_their_order():
    """The largest number of variants is read, in the order of the text."""
    text = "".join(f"[variants.{'v' * 60}{n}]\nwidth = {n}\n" for n in range(50, 0, -1))
    assert [variant.width for variant in Recipe.loads(text).variants] == list(range(50, 0, -1))


def test_a_file_is_read_like_its_text(tmp_path: Path):
    """A file gives the recipe of its text, also with Windows line ends and a byte order mark."""
    path = tmp_path / "thumbsmith.toml"
    path.write_bytes(b"\xef\xbb\xbf" + SAMPLE.replace("\n", "\r\n").encode())
    assert Recipe.load(path) == Recipe.load(str(path)) == Recipe.loads(SAMPLE)


@given(documents)
def test_json_hands_over_the_same_recipe(document: dict):
    """Every valid recipe is the same after JSON, types included."""
    recipe = Recipe.loads(toml(document))
    handed = Recipe.from_json(recipe.to_json())
    assert handed == recipe
    assert repr(handed) == repr(recipe)
    assert handed.fingerprint == recipe.fingerprint


@given(documents)
def test_the_values_of_a_document_are_those_of_the_recipe(document: dict):
    """Names, sides, fits and limits of every valid recipe are read."""
    recipe = Recipe.loads(toml(document))
    assert recipe.limits == replace(Limits(), **document.get("limits", {}))
    if variants := document.get("variants"):
        defaults = document.get("defaults", {})
        assert [v.name for v in recipe.variants] == list(variants)
        for variant in recipe.variants:
            fields = defaults | variants[variant.name]
            assert (variant.width, variant.height) == (fields.get("width"), fields.get("height"))
            assert (variant.fit, variant.enlarge) == (fields.get("fit", "inside"), fields.get("enlarge", False))


def test_a_worker_parses_no_toml():
    """To import the values and to read a recipe from JSON loads neither the TOML reader nor difflib."""
    code = (
        "import sys; from thumbsmith.recipe import Recipe; Recipe.from_json(Recipe.default().to_json());"
        "print(*{'tomllib', 'difflib', 'thumbsmith.recipe.load'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], env={}, capture_output=True, text=True, check=True)
    assert done.stdout == "\n"
