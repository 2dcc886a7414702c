"""`thumbsmith make IMAGE...`: thumbnails of single files, beside them or in a folder."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from thumbsmith.cli.arguments import Jobs, RecipeOption, recipe_from
from thumbsmith.cli.inputs import check_image, own_output, tell_skipped
from thumbsmith.cli.interrupt import stoppable
from thumbsmith.cli.output import people, shown
from thumbsmith.errors import RecipeError, StoreError, ThumbsmithError
from thumbsmith.parallel import each
from thumbsmith.recipe import Recipe
from thumbsmith.rendition import Rendition
from thumbsmith.store import Headers, OpenObject, open_store
from thumbsmith.worker import Workers, usable_cores


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
    """Raise RecipeError, StoreError for what cannot be carried out as it was asked, before a picture is decoded."""
    with suppress(OSError):  # a folder that cannot be entered, `writable` reports
        if folder and folder.is_file():
            raise RecipeError(f"{folder}: expected a folder to write to, found a file")
    outputs: dict[Path, Path] = {}
    for image in images:
        check_image(image)
        other = outputs.setdefault(_target(image, folder), image)
        if other != image:
            raise RecipeError(f"{other} and {image} would both become {_target(image, folder)}.*")
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
