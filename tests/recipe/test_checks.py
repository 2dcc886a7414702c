"""Values that Python gives are checked like those of TOML, and put in the same form."""

import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given

from tests.recipe.documents import documents, toml
from tests.recipe.mistakes import MISTAKES, Mistake
from thumbsmith.errors import RecipeError
from thumbsmith.recipe import Fit, Format, Limits, Quality, Recipe, Selection, Variant
from thumbsmith.recipe.fields import Checked, Mismatch, options

ICON = Variant(name="icon", width=64)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Variant(name="a", width=-1), 'Variant "a": width: expected a whole number from 1 to 16383, found -1'),
        (lambda: Variant(name="a", width="9"), 'Variant "a": width: expected a whole number .*, found "9"'),
        (lambda: Variant(name="a", width=True), "whole number from 1 to 16383, found true"),
        (lambda: Variant(name="a", width=9, fit="Covr"), 'found "Covr"; did you mean "cover"?'),
        (lambda: Variant(name="a", width=9, fit=None), 'Variant "a": fit: expected .*, found None'),
        (lambda: Variant(name="a", width=9, formats=("webp", "jpg")), 'formats: .*, found "jpg"; did you mean "jpeg"?'),
        (lambda: Variant(name="a", width=9, formats=()), r"formats: expected a non-empty list, .*, found \[\]"),
        (lambda: Variant(name="a", width=9, formats="webp"), 'formats: expected a non-empty list, .*, found "webp"'),
        (lambda: Variant(name="a", width=9, gravity=(0.5, 2)), r"gravity: .*, found \[0.5, 2\]"),
        (lambda: Variant(name="a", width=9, quality=500), 'quality: .*, found 500'),
        (lambda: Variant(name="a", width=9, quality={"jpg": 5}), 'quality.jpg: unknown key; did you mean "jpeg"?'),
        (lambda: Variant(name="a", width=9, dpr=(0.5,)), "dpr: expected a number from 1 to 10 .*, found 0.5"),
        (lambda: Variant(name="a", width=9, background=Path("a\nb")), "background: expected a color .*, found a b"),
        (lambda: Variant(name="a"), 'Variant "a": expected width or height, found neither'),
        (lambda: Variant(name="../a", width=9), 'Variant "../a": name: expected a name of 1 to 64 .*, found "../a"'),
        (lambda: Variant(name=5, width=9), "Variant 5: name: expected a name of 1 to 64 .*, found 5"),
        (lambda: Limits(max_pixels="x"), 'Limits: max_pixels: expected a whole number .*, found "x"'),
        (lambda: Limits(max_cpu_seconds=901), "max_cpu_seconds: expected a whole number from 1 to 900, found 901"),
        (lambda: Quality(jpeg=500), 'Quality: jpeg: expected a whole number from 1 to 100 or "auto", found 500'),
        (lambda: Selection(include=("a[b",)), r'Selection: include: expected a glob .*, found "a\[b"'),
        (lambda: Selection(exclude="*"), r'Selection: exclude: expected a list, .*, found "\*"'),
        (lambda: Recipe(variants=()), "Recipe: variants: expected 1 to 50 of them, found 0"),
        (lambda: Recipe(variants=None), "Recipe: variants: expected a tuple of Variant, found None"),
        (lambda: Recipe(variants=(5,)), r"Recipe: variants: expected a tuple of Variant, found \[5\]"),
        (lambda: Recipe(variants=(ICON, ICON)), 'a name that differs by more than case, found "icon" before it'),
        (lambda: Recipe(limits=5), "Recipe: limits: expected Limits, found 5"),
        (lambda: Recipe(selection={}), "Recipe: selection: expected Selection, found a table"),
        (lambda: Recipe.loads(b"a = 1"), "recipe: expected TOML text, found bytes"),
        (lambda: Recipe.load("a\0b"), "expected a readable file, found: embedded null byte"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_one_sentence(make, sentence: str):
    """A value that no recipe can have is a RecipeError of one line: object, field, what was expected and found."""
    with pytest.raises(RecipeError, match=sentence) as refused:
        make()
    assert "\n" not in str(refused.value)


# Mistakes in the value of a known field of one variant.
VALUES = [each for each in MISTAKES if re.match(r"\[variants\.small\] \w+(\.\w+)?: expected", each.sentence)]


@pytest.mark.parametrize("mistake", VALUES, ids=lambda each: each.sentence[17:60])
def test_python_takes_no_value_that_toml_may_not_have(mistake: Mistake):
    """Each mistake in a value of a TOML recipe is the same mistake, in the same words, from Python."""
    with pytest.raises(RecipeError) as refused:
        Variant(name="small", **tomllib.loads(mistake.toml)["variants"]["small"])
    assert str(refused.value) == f'Variant "small": {mistake.sentence.removeprefix("[variants.small] ")}'


def test_values_may_be_spelled_as_in_toml():
    """Words, lists and single numbers become the same values that TOML gives, and so the same fingerprint."""
    spelled = Variant(
        name="a", width=9, fit="cover", gravity="north", formats=["source", "jpeg", "source"], quality=70,
        background="#FA0", sharpen=1, dpr=[1, 2],
    )  # fmt: skip
    same = Variant(
        name="a", width=9, fit=Fit.COVER, gravity=(0.5, 0.0), formats=("source", Format.JPEG),
        quality=Quality(jpeg=70, webp=70, avif=70), background="#ffaa00", sharpen=1.0, dpr=(1.0, 2.0),
    )  # fmt: skip
    assert repr(spelled) == repr(same)
    assert spelled.fingerprint == same.fingerprint
    assert Recipe(variants=[spelled]) == Recipe(variants=(same,))


@given(documents)
def test_a_value_in_normal_form_stays_as_it_is(document: dict):
    """Every value that a recipe may have is read as itself, so that a copy of an object is equal to it."""
    recipe = Recipe.loads(toml(document))
    checked: list[Checked] = [recipe.limits, recipe.selection, *recipe.variants, *(v.quality for v in recipe.variants)]
    for each in checked:
        values = {name: (option, getattr(each, name)) for name, option, _ in options(type(each))}
        for option, value in values.values():
            if value is not None:
                assert repr(option.kind.read(value, ())) == repr(value)


def test_every_default_is_a_value_that_its_field_takes():
    """The default of each field is in normal form, or None where the field has no default."""
    for declared in (Variant, Limits, Quality, Selection):
        for _, option, default in options(declared):
            assert default is None or repr(option.kind.read(default, ())) == repr(default)


def test_a_field_in_a_table_is_checked_with_its_place():
    """A mistake inside of a table is found where it is."""
    (quality,) = (option for name, option, _ in options(Variant) if name == "quality")
    with pytest.raises(Mismatch) as wrong:
        quality.kind.read({"avif": 0}, ("quality",))
    assert wrong.value.path == ("quality", "avif")
