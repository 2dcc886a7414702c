"""Which recipe holds where none is named: the setting's, the one that lies there, or the default.

From TOML to a recipe: the door at which everything is checked, so that nothing behind it has to.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from thumbsmith.errors import RecipeError
from thumbsmith.recipe import kinds
from thumbsmith.recipe.model import (
    AUTO,
    Animation,
    Color,
    Fit,
    Gravity,
    Limits,
    Metadata,
    Quality,
    Recipe,
    Variant,
    altered,
    format_choice,
)
from thumbsmith.recipe.selection import Selection
from thumbsmith.recipe.tables import DOCUMENT, GRAVITIES

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


def load(path: str | os.PathLike[str]) -> Recipe:
    """Return the recipe in the file. Raises RecipeError when it cannot be read, is not UTF-8 or not a recipe."""
    try:
        text = Path(path).read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        found = f"byte 0x{error.object[error.start]:02x} at offset {error.start}"
        raise RecipeError(f"{path}: expected UTF-8 text, found {found}") from None
    except OSError as error:
        raise RecipeError(f"{path}: expected a readable file, found: {error.strerror}") from error
    return loads(text, file=str(path))


def loads(text: str, *, file: str) -> Recipe:
    """Return the recipe in the text. Raises RecipeError, one sentence that begins with `file`, when it is none."""
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # tomllib also passes on what int() says of 5,000 digits
        raise RecipeError(f"{file}: expected TOML, found: {error}") from None
    try:
        DOCUMENT.check(document, ())
        return _recipe(document)
    except kinds.Mismatch as mismatch:
        raise RecipeError(f"{file}: {_where(mismatch.path, document)}: {mismatch}") from None


def _recipe(document: Mapping[str, Any]) -> Recipe:
    base = _resolved(Variant(name=""), document.get("defaults", {}))
    named = document.get("variants") or {variant.name: altered(variant) for variant in Recipe().variants}
    return Recipe(
        variants=tuple(_variant(name, base, fields) for name, fields in named.items()),
        limits=Limits(**document.get("limits", {})),
        selection=Selection(**{key: tuple(globs) for key, globs in document.get("source", {}).items()}),
    )


def _variant(name: str, base: Variant, fields: Mapping[str, Any]) -> Variant:
    variant = _resolved(replace(base, name=name), fields)
    if variant.width is None and variant.height is None:
        raise kinds.Mismatch(("variants", name), "expected width or height, found neither")
    return variant


def _resolved(base: Variant, fields: Mapping[str, Any]) -> Variant:
    """Return the base with these fields, which are checked already, in place of its own."""
    changes = {key: _value(key, found, base) for key, found in fields.items()}
    return replace(base, **changes)


def _value(key: str, found: Any, base: Variant) -> Any:
    if key == "quality":
        return _quality(found, base.quality)
    return RESOLVED[key](found) if key in RESOLVED else found


def _quality(found: Any, base: Quality) -> Quality:
    return replace(base, **found) if isinstance(found, dict) else Quality(jpeg=found, webp=found, avif=found)


def _gravity(found: Any) -> Gravity:
    if found == AUTO:
        return AUTO
    return GRAVITIES[found] if isinstance(found, str) else (_float(found[0]), _float(found[1]))


def _color(found: str) -> str:
    digits = found[1:].lower()
    return f"#{digits if len(digits) == 6 else ''.join(digit * 2 for digit in digits)}"


def _float(found: float) -> float:
    return float(found) + 0.0  # -0.0 becomes 0.0


# Fields whose value is another one than TOML spells; quality, which is merged with a base, apart.
RESOLVED: Final[Mapping[str, Callable[[Any], Any]]] = MappingProxyType(
    {
        "fit": Fit,
        "color": Color,
        "animation": Animation,
        "gravity": _gravity,
        "formats": lambda words: tuple(dict.fromkeys(map(format_choice, words))),
        "background": _color,
        "sharpen": _float,
        "dpr": lambda densities: tuple(dict.fromkeys(map(float, densities))),
        "metadata": Metadata,
    }
)


def _where(path: kinds.Path, document: Mapping[str, Any]) -> str:
    """Return the place as TOML names it: in brackets as far as the path leads through tables, then the key."""
    deepest = 2 if path[0] == "variants" else 1
    here: Any = document
    tables: list[str] = []
    for name in path[:deepest]:
        here = here[name]
        if not isinstance(here, dict):
            break
        tables.append(name)
    table, key = _dotted(tables), _dotted(path[len(tables) :])
    return " ".join(filter(None, [table and f"[{table}]", key]))


def _dotted(names: list[str] | kinds.Path) -> str:
    return ".".join(name if re.fullmatch("[A-Za-z0-9_-]+", name) else kinds.shown(name) for name in names)
