"""Renditions and their keys: `photos/cat.jpg/small.webp` is a rendition of the source `photos/cat.jpg`."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Final

from thumbsmith.recipe.model import VARIANT_NAME_PATTERN, Format, Variant
from thumbsmith.recipe.recipe import Recipe

if TYPE_CHECKING:
    from pathlib import Path

MANIFEST: Final = "manifest.json"


def rendition_name(variant: str, kind: Format | str, density: float = 1) -> str:
    """Return the name of a rendition below its source's key: `small.webp`, `small@2x.webp`, `small@1.5x.webp`."""
    return f"{variant}{density_mark(density)}.{Format(kind).extension}"


def rendition_key(source_key: str, variant: str, kind: Format | str, density: float = 1) -> str:
    """Return the key of a rendition: `photos/cat.jpg/small.webp`."""
    return f"{source_key}/{rendition_name(variant, kind, density)}"


def density_mark(density: float) -> str:
    """Return the suffix of a density: `@2x`, empty for 1."""
    return "" if density == 1 else f"@{density:g}x"


@lru_cache(maxsize=1024)  # the same few names occur under every key
def is_managed_name(name: str) -> bool:
    """Return whether a name directly below a source's key is one that we write: a manifest's or a rendition's."""
    return name == MANIFEST or _rendition_names().fullmatch(name) is not None


@cache
def _rendition_names() -> re.Pattern[str]:
    """Return the pattern of all names of renditions. It is compiled when first used: a worker process needs none."""
    density = r"(?:@[0-9]{1,2}(?:\.[0-9]{1,2})?x)?"
    extensions = "|".join(each.extension for each in Format)
    return re.compile(rf"{VARIANT_NAME_PATTERN}{density}\.(?:{extensions})")


def expected(recipe: Recipe, source_format: str, *, alpha: bool) -> dict[str, tuple[Variant, Format]]:
    """Return the renditions of a source of this format: name -> (variant, format), in the recipe's order.

    Each variant has one density, as in `Recipe.variants_by_density`.
    """
    return {
        rendition_name(variant.name, kind, variant.density): (variant, kind)
        for variant in recipe.variants_by_density
        for kind in variant.outputs(source_format, alpha=alpha)
    }


def possible_names(recipe: Recipe) -> set[str]:
    """Return the names of all renditions that the recipe can make, for sources of any format."""
    return {name for kind in Format for alpha in (False, True) for name in expected(recipe, kind, alpha=alpha)}


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Rendition:
    """One variant of one source in one format. `type` is the media type, `data` the encoded file.

    `width` and `height` are in pixels; `density` is the value of `dpr` that it was made for.
    """

    variant: str
    format: Format
    type: str
    width: int
    height: int
    data: bytes
    density: float = 1.0

    @property
    def name(self) -> str:
        """Return the name below the source's key: `small@2x.webp`."""
        return rendition_name(self.variant, self.format, self.density)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the file to a path, or under its name into a folder that exists; return the path. Raises OSError."""
        from pathlib import Path  # noqa: PLC0415 - a worker saves nothing

        target = Path(path)
        if target.is_dir():
            target /= self.name
        target.write_bytes(self.data)
        return target

    def __repr__(self) -> str:
        return f"<Rendition {self.name}: {self.width} x {self.height}, {len(self.data):,} bytes>"

    def _repr_html_(self) -> str:
        """Return an element that shows the picture in a notebook, in any format that browsers read."""
        from base64 import b64encode  # noqa: PLC0415 - only notebooks need it

        address = f"data:{self.type};base64,{b64encode(self.data).decode()}"
        return f'<img src="{address}" width="{self.width}" height="{self.height}" alt="{self.name}">'

    def _repr_png_(self) -> bytes | None:
        """Return the data of a PNG for notebooks; None for another format."""
        return self.data if self.format is Format.PNG else None
