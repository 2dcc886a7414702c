"""A recipe as a whole, where it is found, and how it goes to another process."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from typing import Final, Self

from thumbsmith.errors import RecipeError
from thumbsmith.recipe.fields import Checked, mismatch, no_two_alike
from thumbsmith.recipe.model import DEFAULT_VARIANTS, MAX_VARIANTS, Limits, Variant, changed_fields, digest, same_page
from thumbsmith.recipe.selection import Selection

RECIPE_FILE: Final = "thumbsmith.toml"


def _default_variants() -> tuple[Variant, ...]:
    return tuple(Variant(name=name, **fields) for name, fields in DEFAULT_VARIANTS.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe(Checked):
    r"""Variants, limits and selection of sources. The defaults of a `thumbsmith.toml` are already in each variant.

    Raises RecipeError for other values, for variants whose names differ only in case, and for variants that show
    different pages: a manifest describes one picture.

        recipe = Recipe.loads("[variants.small]\nwidth = 256")
        same = Recipe(variants=[Variant(name="small", width=256)])
    """

    variants: tuple[Variant, ...] = field(default_factory=_default_variants)
    limits: Limits = field(default_factory=Limits)
    selection: Selection = field(default_factory=Selection)

    def _check(self) -> None:
        variants = self.variants
        if not isinstance(variants, tuple | list) or not all(isinstance(each, Variant) for each in variants):
            raise mismatch(("variants",), "a tuple of Variant", variants)
        if not 1 <= len(variants) <= MAX_VARIANTS:
            raise mismatch(("variants",), f"1 to {MAX_VARIANTS} of them", len(variants))
        no_two_alike((each.name for each in variants), ("variants",))
        same_page(variants)
        object.__setattr__(self, "variants", tuple(variants))
        for name, kind in (("limits", Limits), ("selection", Selection)):
            if not isinstance(getattr(self, name), kind):
                raise mismatch((name,), kind.__name__, getattr(self, name))

    @classmethod
    def default(cls) -> Self:
        """Return the recipe for users without one: icon, small and large, in WebP."""
        return cls()

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Return the recipe in a TOML file. Raises RecipeError, one sentence, if it cannot be read or is not valid."""
        from thumbsmith.recipe import load  # noqa: PLC0415 - a worker gets its recipe as JSON and parses no TOML

        return cls(**load.read_file(path))

    @classmethod
    def loads(cls, toml_text: str, *, file: str = "recipe") -> Self:
        """Return the recipe in TOML text. Raises RecipeError, one sentence that begins with `file`, if invalid."""
        from thumbsmith.recipe import load  # noqa: PLC0415 - as above

        return cls(**load.read_text(toml_text, file=file))

    def to_json(self) -> str:
        """Return the recipe as JSON for another process. `from_json` makes an equal recipe of it."""
        return json.dumps(
            {
                "variants": [{"name": each.name, **changed_fields(each)} for each in self.variants],
                "limits": changed_fields(self.limits),
                "selection": changed_fields(self.selection),
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the recipe that `to_json` wrote."""
        found = json.loads(text)
        return cls(
            variants=tuple(Variant(**fields) for fields in found["variants"]),
            limits=Limits(**found["limits"]),
            selection=Selection(**found["selection"]),
        )

    @property
    def page(self) -> int:
        """Return the number of the page of a PDF that all variants show, from 1."""
        return self.variants[0].page

    @property
    def variants_by_density(self) -> tuple[Variant, ...]:
        """Return each variant at each of its densities, in the recipe's order."""
        return tuple(each for variant in self.variants for each in variant.at_densities())

    @property
    def fingerprint(self) -> str:
        """Return the digest of all variants and the limits, 16 hex digits."""
        return digest(
            {
                "variants": {variant.name: variant.fingerprint for variant in self.variants},
                "limits": self.limits.fingerprint,
            }
        )


def checked_recipe(recipe: Recipe | None) -> Recipe:
    """Return the recipe; the default for None. Raises RecipeError for any other value."""
    if recipe is None:
        return Recipe.default()
    if not isinstance(recipe, Recipe):
        raise RecipeError(f"expected a Recipe, such as Recipe.load('thumbsmith.toml'), found {type(recipe).__name__}")
    return recipe


def find_recipe(setting: str | None, folder: str = "") -> Recipe:
    """Return the recipe that applies. `setting` is the value of THUMBSMITH_RECIPE: a path from `folder`, or TOML.

    Without a setting it is the file thumbsmith.toml in `folder`, else the default. Raises RecipeError.
    """
    path = os.path.join(folder, setting or RECIPE_FILE)  # noqa: PTH118 - an error names the path as it was given
    if setting and _looks_like_toml(setting) and not os.path.lexists(path):
        return Recipe.loads(setting, file="THUMBSMITH_RECIPE")
    return Recipe.load(path) if setting or _may_exist(path) else Recipe.default()


def _may_exist(path: str) -> bool:
    """Return False only if there is no such file. A file in a folder without permission to enter may exist."""
    try:
        os.lstat(path)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return True


def _looks_like_toml(setting: str) -> bool:
    return any(mark in setting for mark in "=[\n")
