"""`thumbsmith make IMAGE...`: thumbnails of single files, next to them or in a folder."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from thumbsmith.bulk.parallel import each
from thumbsmith.cli import workers as early
from thumbsmith.cli.arguments import jobs_option, level_options, recipe_from, recipe_option
from thumbsmith.cli.command import FILE_PATH, FOLDER_PATH, command
from thumbsmith.cli.stopping import stoppable
from thumbsmith.cli.terminal import Console
from thumbsmith.cli.wording import printable
from thumbsmith.errors import StoreError, ThumbsmithError, UsageError
from thumbsmith.image.formats import SOURCE_FORMATS
from thumbsmith.recipe import Recipe
from thumbsmith.recipe.names import MANIFEST, Rendition, is_managed_name, possible_names
from thumbsmith.store import Headers, OpenObject, open_store
from thumbsmith.worker import Workers, usable_cores


@command()
@click.argument("images", metavar="IMAGE...", nargs=-1, required=True, type=FILE_PATH, help="The image files.")
@click.option(
    "--output",
    "-o",
    "output",
    metavar="DIR",
    type=FOLDER_PATH,
    help="The folder for the thumbnails. A missing folder is created. Default: the folder of each image.",
)
@recipe_option
@jobs_option
@level_options
def make(images: tuple[str, ...], output: str | None, recipe: str | None, jobs: int | None) -> int:
    """Make thumbnails of single images: photo.jpg gives photo.jpg.small.webp and so on.

    Thumbnails that an earlier run wrote are skipped.

    Examples:
      thumbsmith make photo.jpg

      thumbsmith make *.jpg -o thumbs --recipe shop.toml
    """
    loaded, folder = recipe_from(recipe), Path(output) if output else None
    console, paths = Console(), [Path(image) for image in images]
    skipped = own_output(paths, loaded)
    sources = tuple(path for path in dict.fromkeys(paths) if path not in skipped)
    _check_arguments(sources, folder)
    print_skipped(skipped, console)
    count = jobs or usable_cores()
    failed = 0
    with Workers(count, isolation="shared") as workers, stoppable(console, cut=workers.close) as stopped:
        early.start(workers)
        for result in each(lambda image: _make(image, folder, loaded, workers), sources, threads=count, stop=stopped):
            failed += result.error is not None
            _print_result(result, console)
        interrupted = stopped()
    return 130 if interrupted else 1 if failed else 0


@dataclass(frozen=True, slots=True)
class _Result:
    """The result for one image: the files written with their renditions, or an error."""

    image: Path
    files: tuple[tuple[Path, Rendition], ...] = ()
    error: ThumbsmithError | None = None


def _check_arguments(images: Sequence[Path], folder: Path | None) -> None:
    """Raise UsageError or StoreError, before an image is decoded, if an image or a folder cannot be used."""
    with suppress(OSError):  # `check_writable` reports a folder without access
        if folder and folder.is_file():
            raise UsageError(f"{folder}: expected a folder to write to, found a file")
    outputs: dict[Path, Path] = {}
    for image in images:
        check_image(image)
        other = outputs.setdefault(_target(image, folder), image)
        if other != image:
            raise UsageError(f"{other} and {image} would both become {_target(image, folder)}.*")
    for place in dict.fromkeys(target.parent for target in outputs):
        open_store(place).check_writable()


_KINDS: Final = (
    (stat.S_ISDIR, "a folder (to make thumbnails of a folder, use sync)"),
    (stat.S_ISFIFO, "a pipe: save the image to a file first"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def check_image(path: Path) -> None:
    """Raise UsageError, with what was found instead, unless the path leads to a regular file.

    A file in a folder without access passes. Opening it fails later, for this file only.
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


def _make(image: Path, folder: Path | None, recipe: Recipe, workers: Workers) -> _Result:
    try:
        with closing(_open(image)) as reader:
            work = workers.render(reader, recipe)
        written = tuple(_write(image, folder, rendition) for rendition in work.renditions)
    except ThumbsmithError as error:
        return _Result(image, error=error)
    return _Result(image, written)


def _open(image: Path) -> OpenObject:
    """Return a reader of the file that the path leads to, through all links."""
    path = image.resolve()
    reader = open_store(path.parent).open(path.name)
    if reader is None:
        raise StoreError("the file was deleted", transient=True)
    return reader


def _write(image: Path, folder: Path | None, rendition: Rendition) -> tuple[Path, Rendition]:
    target = _target(image, folder)
    path = target.with_name(f"{target.name}.{rendition.name}")
    open_store(path.parent).put(path.name, rendition.data, Headers(content_type=rendition.type))
    return path, rendition


def _target(image: Path, folder: Path | None) -> Path:
    return (folder or image.parent) / image.name


def _print_result(result: _Result, console: Console) -> None:
    if result.error:
        console.print(f"{printable(str(result.image))}: {printable(result.error.about(result.image.name))}")
    for path, rendition in result.files:
        size = f"{rendition.width} x {rendition.height}  {len(rendition.data):,} bytes"
        click.echo(f"{printable(str(path))}  {size}")


# File name extensions of the formats that can be read (docs/formats.md).
IMAGE_SUFFIXES: Final = frozenset(suffix for each in SOURCE_FORMATS.values() for suffix in each.suffixes)

# A file is output of `make` if its name has at least this many of three signs.
MIN_SIGNS: Final = 2


def own_output(images: Iterable[Path], recipe: Recipe) -> dict[Path, str]:
    """Return those of the images that `make` wrote, each with the name of its source.

    `make` writes SOURCE.VARIANT.EXTENSION, and keeps no record. So two of three signs decide: SOURCE is a file in the
    same folder or one of the images; SOURCE has the extension of an image; the recipe makes VARIANT.EXTENSION. One sign
    is not enough, since an image may have any name.
    """
    images = tuple(images)
    names, given = possible_names(recipe), {image.name for image in images}

    def signs(image: Path, source: str, name: str) -> int:
        exists = source in given or _is_file(image.with_name(source))
        return exists + (Path(source).suffix.lower() in IMAGE_SUFFIXES) + (name in names)

    found: dict[Path, str] = {}
    for image in images:
        for source, name in _splits(image.name):
            if signs(image, source, name) >= MIN_SIGNS:
                found[image] = source
                break
    return found


def print_skipped(skipped: Mapping[Path, str], console: Console) -> None:
    """Print one line for each thumbnail that `own_output` found."""
    for image, source in skipped.items():
        console.print(f"skipped {printable(str(image))}: it is a thumbnail of {printable(source)}")


def _is_file(path: Path) -> bool:
    """Return whether the path leads to a regular file that this user can see."""
    try:
        return path.is_file()
    except OSError:
        return False


def _splits(name: str) -> Iterator[tuple[str, str]]:
    """Yield each way to split a file name into SOURCE and, after a dot, the name of a rendition."""
    for position in (place for place, character in enumerate(name) if character == "." and place):
        source, rest = name[:position], name[position + 1 :]
        if rest != MANIFEST and is_managed_name(rest):
            yield source, rest
