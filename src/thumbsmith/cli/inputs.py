"""The image files that a command was given, without the thumbnails that `make` wrote beside them earlier."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from rich.console import Console

from thumbsmith.cli.output import shown
from thumbsmith.errors import RecipeError
from thumbsmith.keys import MANIFEST, is_ours, possible_names
from thumbsmith.recipe import Recipe

# File name extensions of the formats that are read (docs/formats.md).
IMAGE_SUFFIXES: Final = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".webp", ".tif", ".tiff", ".bmp", ".avif", ".heic", ".heif"}
)

# At least this many of three signs make a name like photo.jpg.small.webp one that `make` wrote.
SIGNS: Final = 2

_KINDS: Final = (
    (stat.S_ISDIR, "a folder (to keep thumbnails of a folder, use sync)"),
    (stat.S_ISFIFO, "a pipe: save the image to a file first"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def check_image(path: Path) -> None:
    """Raise RecipeError unless the path leads to a regular file; it says what was found instead.

    A file in a folder that may not be entered passes: opening it fails for that file alone.
    """
    try:
        mode = path.stat().st_mode
    except PermissionError:
        return
    except OSError as error:
        if str(path) == "-":
            raise RecipeError(
                "-: expected an image file, found standard input: save the image to a file first"
            ) from None
        missing = isinstance(error, FileNotFoundError)
        raise RecipeError(f"{path}: expected an image file, found {'none' if missing else error.strerror}") from None
    if not stat.S_ISREG(mode):
        found = next((words for is_kind, words in _KINDS if is_kind(mode)), "something else")
        raise RecipeError(f"{path}: expected an image file, found {found}")


def own_output(images: Iterable[Path], recipe: Recipe) -> dict[Path, str]:
    """Return those of the images that `make` wrote, each with the name of its source.

    `make` writes SOURCE.VARIANT.EXTENSION, and leaves no record. So two of three signs decide: SOURCE is a file beside
    it or one of the images; SOURCE is named like an image; the recipe makes VARIANT.EXTENSION. One sign is too few: a
    picture may have any name.
    """
    images = tuple(images)
    names, given = possible_names(recipe), {image.name for image in images}

    def signs(image: Path, source: str, name: str) -> int:
        is_there = source in given or _is_file(image.with_name(source))
        return is_there + (Path(source).suffix.lower() in IMAGE_SUFFIXES) + (name in names)

    found: dict[Path, str] = {}
    for image in images:
        for source, name in _parts(image.name):
            if signs(image, source, name) >= SIGNS:
                found[image] = source
                break
    return found


def tell_skipped(skipped: Mapping[Path, str], console: Console) -> None:
    """Print one line for each thumbnail that `own_output` found."""
    for image, source in skipped.items():
        console.print(f"skipped {shown(str(image))}: it is a thumbnail of {shown(source)}")


def _is_file(path: Path) -> bool:
    """Return whether the path leads to a regular file, as far as this user can see."""
    try:
        return path.is_file()
    except OSError:
        return False


def _parts(name: str) -> Iterator[tuple[str, str]]:
    """Yield each way to read a file name as SOURCE and, behind a dot, the name of a rendition."""
    for position in (place for place, character in enumerate(name) if character == "." and place):
        source, rest = name[:position], name[position + 1 :]
        if rest != MANIFEST and is_ours(rest):
            yield source, rest
