"""What a conversion gives: variants, which images they are made of, and the differences."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from thumbsmith.errors import RecipeError, UsageError
from thumbsmith.recipe import Recipe

# The formats that thumbnails can have, by the names that other programs use.
FORMATS: Final = {"jpg": "jpeg", "jpeg": "jpeg", "png": "png", "webp": "webp", "avif": "avif"}

# Names of colors: https://www.w3.org/TR/css-color-4/#named-colors
COLORS: Final = {"white": "#ffffff", "black": "#000000", "gray": "#808080", "grey": "#808080", "red": "#ff0000"}

_NOT_IN_A_NAME: Final = re.compile(r"[^A-Za-z0-9_-]+")
_HEX_COLOR: Final = re.compile(r"#?([0-9a-fA-F]{6}|[0-9a-fA-F]{3})")


@dataclass(slots=True)
class Conversion:
    """A recipe in the making. `differences` are sentences about what will be different, and what is missing."""

    variants: dict[str, dict[str, Any]] = field(default_factory=dict)
    include: list[str] = field(default_factory=list)
    exclude: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)

    def add(self, name: str, fields: Mapping[str, Any]) -> None:
        """Add a variant, unless there is an equal one. The name is changed if it is taken or cannot be one."""
        if dict(fields) in self.variants.values():
            return
        base = _NOT_IN_A_NAME.sub("-", name).strip("-_")[:50] or "thumbnail"
        unique, number = base, 2
        while unique in self.variants:
            unique, number = f"{base}-{number}", number + 1
        self.variants[unique] = dict(fields)

    def differs(self, sentence: str) -> None:
        """Note a difference, once."""
        if sentence not in self.differences:
            self.differences.append(sentence)

    def color(self, found: object, where: str) -> str | None:
        """Return a color as a recipe writes it; None, and a difference, for one that it cannot have."""
        if isinstance(found, Mapping) and all(isinstance(found.get(part), int) for part in "rgb"):
            return "#" + "".join(f"{min(max(found[part], 0), 255):02x}" for part in "rgb")
        text = str(found).lower()
        match = _HEX_COLOR.fullmatch(text)
        if match or text in COLORS:
            return COLORS.get(text) or f"#{match[1] if match else ''}"
        self.differs(f"{where}: the background {found!a} is not converted: a recipe has opaque colors such as #ffffff.")
        return None

    def toml(self, origin: str) -> str:
        """Return the recipe as TOML, with the differences as comments. Raises UsageError if it cannot be a recipe."""
        text = "\n".join(self._lines(origin)) + "\n"
        if not self.variants:
            raise UsageError(f"{origin}: expected at least one size of a thumbnail, found none")
        try:
            Recipe.loads(text)
        except RecipeError as error:
            raise UsageError(f"{origin}: this cannot be a recipe: {error}") from error
        return text

    def _lines(self, origin: str) -> Iterator[str]:
        yield from _comment(f"Converted from {origin}.")
        if self.differences:
            yield "#"
            yield "# What is different:"
            for sentence in self.differences:
                yield from textwrap.wrap(sentence, 98, initial_indent="# - ", subsequent_indent="#   ")
        if self.include or self.exclude:
            yield from ("", "[source]")
            for name, globs in (("include", self.include), ("exclude", self.exclude)):
                if globs:
                    yield f"{name} = {toml_value(globs)}"
        for name, fields in self.variants.items():
            yield from ("", f"[variants.{toml_key(name)}]")
            yield from (f"{each} = {toml_value(value)}" for each, value in fields.items())


def toml_value(value: object) -> str:
    """Return a value as TOML: tables as inline tables, other values as JSON, whose syntax is the same."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{toml_key(name)} = {toml_value(each)}" for name, each in value.items()) + " }"
    return json.dumps(value)


def toml_key(name: str) -> str:
    """Return a name as a key of TOML, in quotes where it needs them."""
    return name if re.fullmatch("[A-Za-z0-9_-]+", name) else json.dumps(name)


def whole_number(found: object) -> int | None:
    """Return the positive whole number that a program means by this value; None if it means none."""
    if isinstance(found, bool) or not isinstance(found, int | float | str):
        return None
    try:
        number = round(float(found))
    except (ValueError, OverflowError):
        return None
    return number if number > 0 else None


def json_object(text: str, origin: str) -> dict[str, Any]:
    """Return the JSON object in a text. Raises UsageError if it is none."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{origin}: expected JSON: {error}") from error
    if not isinstance(found, dict):
        raise UsageError(f"{origin}: expected a JSON object, found {type(found).__name__}")
    return found


def _comment(sentence: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(sentence, 98)]
