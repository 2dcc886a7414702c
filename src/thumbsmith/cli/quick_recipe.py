"""Options of `make` that describe thumbnails without a recipe file: --size, --fit, --format, --quality, --gravity."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import click

from thumbsmith.cli.arguments import F
from thumbsmith.cli.command import Words
from thumbsmith.cli.wording import suggestion
from thumbsmith.errors import RecipeError, UsageError
from thumbsmith.recipe import Recipe
from thumbsmith.recipe.model import AUTO, GRAVITIES, MAX_RENDITION_SIDE, SOURCE, Fit, Format, Variant

# A box: 256, 300x200, 300x (any height) or x200 (any width).
_SIZE: Final = re.compile(r"(?P<both>\d+)|(?P<width>\d*)[xX×](?P<height>\d*)", re.ASCII)

# File name extensions that users write for a format.
_SHORT: Final = {"jpg": "jpeg"}


class SizeType(click.ParamType[str]):
    """The box of a thumbnail, such as 256 or 300x200. The value is also the name of the variant."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the box as WIDTHxHEIGHT, without a side that is not given; one number for a square."""
        found = _SIZE.fullmatch(value.strip())
        sides = [side for side in (found.groups() if found else ()) if side]
        if not sides or not all(1 <= int(side) <= MAX_RENDITION_SIDE for side in sides):
            self.fail(
                f"expected pixels as 256 (a box of 256 x 256), 300x200, 300x or x200, each side from 1 to"
                f" {MAX_RENDITION_SIDE}, found {value!r}" + ("; for several sizes, repeat --size" * ("," in value)),
                param,
                ctx,
            )
        return "x".join(side.lstrip("0") for side in re.split("[xX×]", value.strip()))


class FormatsType(click.ParamType[tuple[str, ...]]):
    """Formats, separated by commas."""

    name = "formats"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """Return the formats by the names that a recipe uses."""
        known = (*Format, SOURCE)
        words = [word.strip().lower() for word in value.split(",")]
        formats = tuple(_SHORT.get(word, word) for word in words)
        for word in formats:
            if word not in known:
                expected = f"{', '.join(known[:-1])} or {known[-1]}, separated by commas"
                self.fail(f"expected {expected}, found {word!r}{suggestion(word, known)}", param, ctx)
        return formats


class QualityType(click.ParamType[Any]):
    """A quality from 1 to 100, or "auto"."""

    name = "quality"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        """Return the number, or the word."""
        if value == AUTO:
            return AUTO
        if not (value.isascii() and value.isdecimal()) or not 1 <= int(value) <= 100:
            self.fail(f"expected a whole number from 1 to 100, or auto, found {value!r}", param, ctx)
        return int(value)


_OPTIONS: Final = (
    click.option(
        "--size",
        "-s",
        "sizes",
        metavar="N|WxH",
        type=SizeType(),
        multiple=True,
        help="Make one thumbnail in a box of N x N or W x H pixels, in place of those of the recipe. Repeatable.",
    ),
    click.option(
        "--fit",
        metavar="FIT",
        type=Words([each.value for each in Fit]),
        help="How the image is put into the box: inside (whole, the default), cover (cropped), contain (padded),"
        " outside or fill (stretched).",
    ),
    click.option(
        "--format",
        "-f",
        "formats",
        metavar="F,F",
        type=FormatsType(),
        help='Formats: jpeg, png, webp, avif, or source for that of the image. Default: the recipe\'s, else "webp".',
    ),
    click.option(
        "--quality", metavar="Q", type=QualityType(), help="Quality of JPEG, WebP and AVIF: 1 to 100, or auto."
    ),
    click.option(
        "--gravity",
        metavar="G",
        type=Words([*GRAVITIES, AUTO]),
        help="What --fit cover keeps: center, a side, a corner such as northwest, or auto (the subject).",
    ),
)

NAMES: Final = ("sizes", "fit", "formats", "quality", "gravity")


def quick_options(function: F) -> F:
    """Add these options to a command."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def quick_recipe(recipe: Recipe, sizes: Sequence[str], fields: dict[str, Any]) -> Recipe:
    """Return the recipe with one variant for each size, else with its own; each with these fields where not None.

    Raises UsageError for a combination that is not possible or has no effect.
    """
    changes = {name: value for name, value in fields.items() if value is not None}
    try:
        if sizes:
            variants = tuple(Variant(name=size, **_box(size), **changes) for size in dict.fromkeys(sizes))
        else:
            variants = tuple(replace(each, **changes) for each in recipe.variants)
    except RecipeError as error:
        raise UsageError(f"--{next(iter(changes), 'size')}: {error}") from None
    if "gravity" in changes and all(each.fit is not Fit.COVER for each in variants):
        raise UsageError("--gravity: expected --fit cover with it: no other fit cuts off a part of the image")
    return replace(recipe, variants=variants)


def _box(size: str) -> dict[str, Any]:
    width, mark, height = size.partition("x")
    sides = {"width": width, "height": height if mark else width}
    return {name: int(side) for name, side in sides.items() if side}
