"""Which recipe holds where none is named: the setting's, the one that lies there, or the default."""

from __future__ import annotations

import os
from typing import Final

from thumbsmith.recipe.values import Recipe

RECIPE_FILE: Final = "thumbsmith.toml"


def recipe_set(setting: str | None, folder: str = "") -> Recipe:
    """Return the recipe that THUMBSMITH_RECIPE means: `setting` is a path from `folder`, or the TOML itself.

    Without one it is that in `folder`'s thumbsmith.toml, else the default. Raises RecipeError.
    """
    path = os.path.join(folder, setting or RECIPE_FILE)  # noqa: PTH118 - an error names the path as it was given
    if setting and _looks_like_toml(setting) and not os.path.lexists(path):
        return Recipe.loads(setting, file="THUMBSMITH_RECIPE")
    return Recipe.load(path) if setting or _may_exist(path) else Recipe.default()


def _may_exist(path: str) -> bool:
    """Return False only where there is no such file: one in a folder that may not be entered may exist."""
    try:
        os.lstat(path)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return True


def _looks_like_toml(setting: str) -> bool:
    return any(mark in setting for mark in "=[\n")
