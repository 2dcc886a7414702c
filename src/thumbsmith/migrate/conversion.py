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

# The sixteen colors that every browser has always known: https://www.w3.org/TR/css-color-4/#named-colors
COLORS: Final = {
    "black": "#000000",
    "silver": "#c0c0c0",
    "gray": "#808080",
    "grey": "#808080",
    "white": "#ffffff",
    "maroon": "#800000",
    "red": "#ff0000",
    "purple": "#800080",
    "fuchsia": "#ff00ff",
    "green": "#008000",
    "lime": "#00ff00",
    "olive": "#808000",
    "yellow": "#ffff00",
    "navy": "#000080",
    "blue": "#0000ff",
    "teal": "#008080",
    "aqua": "#00ffff",
}

# A longer text of a file is cut in a message.
MAX_SHOWN: Final = 40
MAX_SENTENCE: Final = 300

_NOT_IN_A_NAME: Final = re.compile(r"[^A-Za-z0-9_-]+")
_HEX_COLOR: Final = re.compile(r"#?([0-9a-f]{6}|[0-9a-f]{3})(?:ff)?|#?([0-9a-f]{3})f")
_RGB_COLOR: Final = re.compile(r"rgba?\((\d{1,3}),\s*(\d{1,3}),\s*(\d{1,3})(?:,\s*1(?:\.0*)?)?\)")


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
        """Note a difference, once, as one printable line that is not too long."""
        sentence = _line(sentence)
        if sentence not in self.differences:
            self.differences.append(sentence)

    def color(self, found: object, where: str) -> str | None:
        """Return an opaque color as a recipe writes it; None, and a difference, for any other."""
        color = _color(found)
        if color is None:
            self.differs(
                f"{where}: the background {shown(found)} is not converted: a recipe has opaque colors such as #ffffff."
            )
        return color

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
        yield from _comment(_line(f"Converted from {origin}."))
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


def shown(value: object) -> str:
    """Return a value of a file for a message: one line, and not too long."""
    text = ascii(value)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."


def _line(sentence: str) -> str:
    """Return a sentence without line breaks and control characters: names of options may have any characters."""
    line = "".join(each if each.isprintable() else ascii(each)[1:-1] for each in " ".join(sentence.split()))
    return line if len(line) <= MAX_SENTENCE else f"{line[:MAX_SENTENCE]}..."


def _color(found: object) -> str | None:
    if isinstance(found, Mapping):
        found = [found.get("r"), found.get("g"), found.get("b"), found.get("alpha", 1)]
    if isinstance(found, list) and len(found) in {3, 4}:
        *channels, alpha = found if len(found) == 4 else [*found, 1]
        if alpha == 1 and all(isinstance(each, int) and 0 <= each <= 255 for each in channels):
            return "#" + "".join(f"{each:02x}" for each in channels)
    if not isinstance(found, str):
        return None
    text = found.strip().lower()
    if rgb := _RGB_COLOR.fullmatch(text):
        return _color([int(each) for each in rgb.groups()])
    digits = _HEX_COLOR.fullmatch(text)
    return COLORS.get(text) or (f"#{digits[1] or digits[2]}" if digits else None)


def _comment(sentence: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(sentence, 98)]
