"""The page about recipes is correct: its examples are valid, and its tables have every field."""

import re
from pathlib import Path

import pytest

from reference import as_toml
from tests.recipe.mistakes import MISTAKES
from thumbsmith.errors import RecipeError
from thumbsmith.recipe import Recipe
from thumbsmith.recipe.schema import LIMITS, SELECTION, VARIANT

PAGE = (Path(__file__).parents[2] / "docs" / "recipe.md").read_text()
EXAMPLES = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda text: text.splitlines()[0])
def test_every_example_is_a_recipe(example: str):
    """Each block of TOML on the page is a valid recipe."""
    assert Recipe.loads(example).variants


def test_the_first_example_is_the_default():
    """The page's default recipe is the default recipe."""
    assert Recipe.loads(EXAMPLES[0]) == Recipe.default()


def test_the_sentences_shown_are_those_given():
    """The mistakes that the page shows get exactly those sentences."""
    shown = re.findall(r"^thumbsmith.toml: (.*)$", PAGE, re.MULTILINE)
    assert len(shown) == 2
    assert set(shown) <= {mistake.sentence for mistake in MISTAKES}


@pytest.mark.parametrize(("table", "heading"), [(VARIANT, "variants.NAME"), (SELECTION, "source"), (LIMITS, "limits")])
def test_the_tables_list_every_field(table, heading: str):
    """Each table on the page lists every field with its default, and no other field."""
    part = re.split(r"\n##+ ", PAGE.split(f"## `[{heading}]`")[1])[0]
    listed = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", part, re.MULTILINE))
    assert list(listed) == list(table.options)
    for name, option in table.options.items():
        assert listed[name].strip("`") == ("none" if option.default is None else as_toml(option.default)), name


def test_a_variant_without_sides_is_refused():
    """A variant with neither width nor height is refused, as the page says."""
    with pytest.raises(RecipeError, match="expected width or height"):
        Recipe.loads("[variants.a]\nfit = 'cover'")
