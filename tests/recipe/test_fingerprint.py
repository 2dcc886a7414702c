"""Fingerprints change if and only if the output changes."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.recipe.documents import documents, toml
from tests.recipe.sample import SAMPLE
from thumbsmith.recipe import Recipe, Variant, model

BASE = "[variants.a]\nwidth = 1\nheight = 2\n"


def _of(line: str) -> str:
    return Recipe.loads(BASE + line).variants[0].fingerprint


def test_fingerprints_are_those_of_earlier_releases():
    """Fingerprints of known recipes never change by accident: a change makes all thumbnails of all users again."""
    assert [variant.fingerprint for variant in Recipe.default().variants] == [
        "f36135e66919b1fe",
        "8dcdda3c3f4ab44c",
        "2a6d5f6e75975988",
    ]
    assert Recipe.default().limits.fingerprint == "a3e27e3931f97e39"
    assert Recipe.default().fingerprint == "164cbff70d9864e3"
    assert Recipe.loads(SAMPLE).variants[1].fingerprint == "9e748cb2bd43b016"


@pytest.mark.parametrize(
    "line",
    [
        "fit = 'cover'",
        "gravity = 'north'",
        "gravity = 'auto'",
        "enlarge = true",
        "formats = ['jpeg']",
        "formats = ['webp', 'jpeg']",
        "quality = 79",
        "quality = { avif = 61 }",
        "quality = 'auto'",
        "quality = { webp = 'auto' }",
        "background = '#fffffe'",
        "color = 'keep'",
        "animation = 'keep'",
        "page = 2",
        "sharpen = 0.5",
        "dpr = [1, 2]",
        "max_output_bytes = 20000",
        "metadata = 'copyright'",
    ],
)
def test_every_field_is_part_of_its_variant(line: str):
    """A change of any field that changes the output changes the variant's fingerprint."""
    assert _of(line) != _of("")


def test_sides_are_not_mixed_up():
    """A box of 1 x 2 and one of 2 x 1 have different fingerprints."""
    assert Variant(name="a", width=1, height=2).fingerprint != Variant(name="a", width=2, height=1).fingerprint


@pytest.mark.parametrize(
    "line",
    [
        "fit = 'inside'",
        "gravity = [0.5, 0.5]",
        "formats = ['webp', 'webp']",
        "quality = { jpeg = 80 }",
        "background = '#FFF'",
        "metadata = 'strip'",
        "sharpen = 0",
        "dpr = [1]",
        "dpr = [1.0, 1]",
    ],
)
def test_a_default_written_out_changes_nothing(line: str):
    """A field with its default value, in any spelling, does not change the fingerprint."""
    assert _of(line) == _of("")


def test_another_density_does_not_change_a_fingerprint():
    """The fingerprint of a density does not depend on the other densities."""
    alone, both = (Recipe.loads(f"{BASE}dpr = {densities}") for densities in ("[2]", "[1, 2]"))
    assert [each.fingerprint for each in both.variants_by_density] == [
        _of(""),
        alone.variants_by_density[0].fingerprint,
    ]
    assert both.fingerprint not in (alone.fingerprint, Recipe.loads(BASE).fingerprint)


def test_the_name_is_no_part_of_a_variant():
    """Two variants that differ only by name have the same fingerprint; their recipes do not."""
    a, b = (Recipe.loads(f"[variants.{name}]\nwidth = 1") for name in "ab")
    assert a.variants[0].fingerprint == b.variants[0].fingerprint
    assert a.fingerprint != b.fingerprint


def test_limits_are_part_of_the_recipe_only():
    """A changed limit changes the recipe's fingerprint and the limits', not the variants'."""
    one, other = Recipe.loads(BASE), Recipe.loads(f"{BASE}[limits]\nmax_scans = 7")
    assert one.variants[0].fingerprint == other.variants[0].fingerprint
    assert one.limits.fingerprint != other.limits.fingerprint
    assert one.fingerprint != other.fingerprint


def test_selection_and_order_are_no_part():
    """The selection and the order of variants do not change the recipe's fingerprint."""
    recipe = Recipe.default()
    assert replace(recipe, variants=recipe.variants[::-1]).fingerprint == recipe.fingerprint
    assert Recipe.loads("[source]\nexclude = ['a']").fingerprint == recipe.fingerprint


def test_a_new_engine_revision_changes_every_fingerprint(monkeypatch: pytest.MonkeyPatch):
    """A higher engine revision changes the fingerprint of every variant, recipe and set of limits."""
    before = Recipe.default()
    prints = [before.fingerprint, before.limits.fingerprint, *(variant.fingerprint for variant in before.variants)]
    monkeypatch.setattr(model, "ENGINE_REVISION", model.ENGINE_REVISION + 1)
    after = Recipe.default()
    assert not {after.fingerprint, after.limits.fingerprint, *(v.fingerprint for v in after.variants)} & {*prints}


@given(documents, st.data())
def test_a_fingerprint_follows_from_the_values(document: dict, data: st.DataObject):
    """Equal variants have equal fingerprints, and different variants different ones, in any order of the document."""
    recipe = Recipe.loads(toml(document))
    shuffled = dict(data.draw(st.permutations(list(document.items()))))
    assert Recipe.loads(toml(shuffled)).fingerprint == recipe.fingerprint
    nameless = {replace(variant, name="same") for variant in recipe.variants}
    assert len({variant.fingerprint for variant in recipe.variants}) == len(nameless)


@pytest.mark.parametrize("kind", ["source", "shared"])
def test_isolation_is_no_part(kind: str):
    """How processes are used does not change a thumbnail: nothing is remade."""
    recipe = Recipe.loads(f'[limits]\nmax_pixels = 1000\nisolation = "{kind}"\n')
    plain = Recipe.loads("[limits]\nmax_pixels = 1000\n")
    assert recipe.limits.isolation == kind
    assert (recipe.fingerprint, recipe.limits.fingerprint) == (plain.fingerprint, plain.limits.fingerprint)
    assert recipe.limits.rejection_fingerprint == plain.limits.rejection_fingerprint
    assert Recipe.from_json(recipe.to_json()) == recipe
