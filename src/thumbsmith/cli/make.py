"""The image files that a command was given, without the thumbnails that `make` wrote beside them earlier.

`thumbsmith make IMAGE...`: thumbnails of single files, beside them or in a folder.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from thumbsmith.bulk.parallel import each
from thumbsmith.cli.arguments import Jobs, RecipeOption, recipe_from
from thumbsmith.cli.terminal import people, shown, stoppable
from thumbsmith.errors import StoreError, ThumbsmithError, UsageError
from thumbsmith.recipe import Recipe
from thumbsmith.recipe.names import MANIFEST, Rendition, is_managed_name, possible_names
from thumbsmith.store import Headers, OpenObject, open_store
from thumbsmith.worker import Workers, usable_cores

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
    """Raise UsageError unless the path leads to a regular file; it says what was found instead.

    A file in a folder that may not be entered passes: opening it fails for that file alone.
    """
    try:
        mode = path.stat().st_mode
    except PermissionError:
        return
    except OSError as error:
        if str(path) == "-":
            raise UsageError(
                "-: expected an image file, found standard input: save the image to a file first"
            ) from None
        missing = isinstance(error, FileNotFoundError)
        raise UsageError(f"{path}: expected an image file, found {'none' if missing else error.strerror}") from None
    if not stat.S_ISREG(mode):
        found = next((words for is_kind, words in _KINDS if is_kind(mode)), "something else")
        raise UsageError(f"{path}: expected an image file, found {found}")


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
        if rest != MANIFEST and is_managed_name(rest):
            yield source, rest


@dataclass(frozen=True, slots=True)
class Made:
    """What became of one image: the files written and their pictures, or an error."""

    image: Path
    files: tuple[tuple[Path, Rendition], ...] = ()
    error: ThumbsmithError | None = None


def make(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="The images.", readable=False)],
    folder: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Where to write. Else beside each image.", readable=False),
    ] = None,
    recipe: RecipeOption = None,
    jobs: Jobs = None,
) -> None:
    """Make thumbnails of single images: photo.jpg becomes photo.jpg.small.webp and so on.

    Thumbnails that an earlier run wrote are skipped.

    Examples:
      thumbsmith make photo.jpg

      thumbsmith make *.jpg -o thumbs --recipe shop.toml
    """
    wanted = recipe_from(recipe)
    console = people()
    skipped = own_output(images, wanted)
    sources = tuple(image for image in dict.fromkeys(images) if image not in skipped)
    _check(sources, folder)
    tell_skipped(skipped, console)
    count = jobs or usable_cores()
    failed = 0
    with Workers(count) as workers, stoppable(console, cut=workers.close) as stopped:
        for made in each(lambda image: _make(image, folder, wanted, workers), sources, threads=count, stop=stopped):
            failed += made.error is not None
            if made.error:
                console.print(f"{shown(str(made.image))}: {shown(made.error.about(made.image.name))}")
            for path, picture in made.files:
                typer.echo(f"{shown(str(path))}  {picture.width} x {picture.height}  {len(picture.data):,} bytes")
        interrupted = stopped()
    raise typer.Exit(130 if interrupted else 1 if failed else 0)


def _check(images: Sequence[Path], folder: Path | None) -> None:
    """Raise UsageError, StoreError for what cannot be carried out as it was asked, before a picture is decoded."""
    with suppress(OSError):  # a folder that cannot be entered, `writable` reports
        if folder and folder.is_file():
            raise UsageError(f"{folder}: expected a folder to write to, found a file")
    outputs: dict[Path, Path] = {}
    for image in images:
        check_image(image)
        other = outputs.setdefault(_target(image, folder), image)
        if other != image:
            raise UsageError(f"{other} and {image} would both become {_target(image, folder)}.*")
    for place in dict.fromkeys(target.parent for target in outputs):
        open_store(place).writable()


def _make(image: Path, folder: Path | None, recipe: Recipe, workers: Workers) -> Made:
    try:
        with closing(_opened(image)) as reader:
            work = workers.render(reader, recipe)
        written = tuple(_write(image, folder, picture) for picture in work.renditions)
    except ThumbsmithError as error:
        return Made(image, error=error)
    return Made(image, written)


def _opened(image: Path) -> OpenObject:
    """Return a reader of the file that the path leads to, through whatever links."""
    path = image.resolve()
    reader = open_store(path.parent).open(path.name)
    if reader is None:
        raise StoreError("the file went away", transient=True)
    return reader


def _write(image: Path, folder: Path | None, picture: Rendition) -> tuple[Path, Rendition]:
    target = _target(image, folder)
    path = target.with_name(f"{target.name}.{picture.name}")
    open_store(path.parent).put(path.name, picture.data, Headers(content_type=picture.type))
    return path, picture


def _target(image: Path, folder: Path | None) -> Path:
    return (folder or image.parent) / image.name
