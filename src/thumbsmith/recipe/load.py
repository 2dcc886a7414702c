"""From TOML to the values of a recipe. A mistake is one sentence that names the file, the table and the key."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from thumbsmith.errors import RecipeError
from thumbsmith.recipe.fields import FieldPath, Mismatch, format_value
from thumbsmith.recipe.model import DEFAULT_VARIANTS, NO_SIDE, QUALITY, Limits, Variant, same_page
from thumbsmith.recipe.schema import DOCUMENT
from thumbsmith.recipe.selection import Selection


def read_file(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the values of the recipe in a file. Raises RecipeError if it cannot be read, is not UTF-8 or not valid."""
    try:
        text = Path(path).read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        found = f"byte 0x{error.object[error.start]:02x} at offset {error.start}"
        raise RecipeError(f"{path}: expected UTF-8 text, found {found}") from None
    except (OSError, ValueError) as error:  # ValueError: the path holds a NUL
        problem = error.strerror if isinstance(error, OSError) else error
        raise RecipeError(f"{path}: expected a readable file, found: {problem}") from error
    return read_text(text, file=str(path))


def read_text(text: str, *, file: str) -> dict[str, Any]:
    """Return the values of the recipe in TOML text: `variants`, `limits` and `selection`.

    Raises RecipeError, one sentence that begins with `file`, if the text is not TOML or not a recipe.
    """
    if not isinstance(text, str):
        raise RecipeError(f"{file}: expected TOML text, found {type(text).__name__}")
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # tomllib passes on the ValueError of int() for 5,000 digits
        raise RecipeError(f"{file}: expected TOML, found: {error}") from None
    try:
        DOCUMENT.read(document, ())
        return _values(document)
    except Mismatch as wrong:
        raise RecipeError(f"{file}: {_place(wrong.path, document)}: {wrong}") from None


def _values(document: Mapping[str, Any]) -> dict[str, Any]:
    defaults, variants = document.get("defaults", {}), document.get("variants", DEFAULT_VARIANTS)
    made = tuple(_variant(name, defaults, fields) for name, fields in variants.items())
    same_page(made)
    return {
        "variants": made,
        "limits": Limits(**document.get("limits", {})),
        "selection": Selection(**document.get("source", {})),
    }


def _variant(name: str, defaults: Mapping[str, Any], fields: Mapping[str, Any]) -> Variant:
    """Return a variant with the fields of [defaults] that it does not set itself."""
    values = {**defaults, **fields}
    if isinstance(fields.get("quality"), dict):  # the formats that this table leaves out come from [defaults]
        values["quality"] = asdict(QUALITY.read(defaults.get("quality", {}), ())) | fields["quality"]
    if not values.keys() & {"width", "height"}:
        raise Mismatch(("variants", name), NO_SIDE)
    return Variant(name=name, **values)


def _place(path: FieldPath, document: Mapping[str, Any]) -> str:
    """Return the place as TOML names it: the tables in brackets, then the key."""
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


def _dotted(names: list[str] | FieldPath) -> str:
    return ".".join(name if re.fullmatch("[A-Za-z0-9_-]+", name) else format_value(name) for name in names)
