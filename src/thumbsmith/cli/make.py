"""`thumbsmith make IMAGE...`: thumbnails of files, next to them or in another place."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from thumbsmith.bulk.parallel import each
from thumbsmith.cli import workers as early
from thumbsmith.cli.arguments import jobs_option, json_option, level_options, recipe_from, recipe_option
from thumbsmith.cli.command import FILE_PATH, command
from thumbsmith.cli.make_images import STDIN, Image, find_images, in_output_folder, own_output, print_skipped
from thumbsmith.cli.make_output import STDOUT, Output, format_of
from thumbsmith.cli.make_record import Record
from thumbsmith.cli.quick_recipe import quick_options, quick_recipe
from thumbsmith.cli.stopping import stoppable
from thumbsmith.cli.terminal import Console, emit
from thumbsmith.cli.wording import plural, printable
from thumbsmith.errors import Rejected, ThumbsmithError, UsageError
from thumbsmith.recipe import Recipe
from thumbsmith.recipe.names import Rendition, expected
from thumbsmith.worker import Workers, usable_cores

T = TypeVar("T")

# From this number of images on, a progress bar and a summary are shown.
MANY: Final = 5


@command(sections={"Without a recipe": ("sizes", "fit", "formats", "quality", "gravity")})
@click.argument(
    "images",
    metavar="IMAGE|FOLDER|-...",
    nargs=-1,
    required=True,
    type=FILE_PATH,
    help="Image files; with -r also folders; - for an image on standard input.",
)
@quick_options
@click.option("--recursive", "-r", is_flag=True, help="Take the images in each FOLDER and in all folders below it.")
@click.option(
    "--output",
    "-o",
    metavar="DIR|TEMPLATE|-",
    type=FILE_PATH,
    help="A folder for the thumbnails, which is created; or their names, such as 'thumbs/{stem}.{variant}{ext}', also"
    " with {name} {folder} {width} {height}; or - for standard output. Default: next to each image, as"
    " {name}.{variant}{ext}.",
)
@recipe_option
@jobs_option
@json_option
@level_options
def make(
    images: tuple[str, ...],
    recursive: bool,
    output: str | None,
    recipe: str | None,
    jobs: int | None,
    as_json: bool,
    sizes: tuple[str, ...],
    **fields: Any,
) -> int:
    """Make thumbnails of images: photo.jpg gives photo.jpg.small.webp and so on, or photo.jpg.256.webp with --size 256.

    Thumbnails that an earlier run wrote are skipped, so the command can be repeated.

    Examples:
      thumbsmith make photo.jpg
      thumbsmith make *.jpg --size 256
      thumbsmith make photos -r --size 300x200 --fit cover --gravity auto --format webp,jpeg -o thumbs
      thumbsmith make *.jpg --size 256 -o 'thumbs/{stem}.{variant}{ext}'
      thumbsmith make - --size 256 --format jpeg < photo.jpg > thumb.jpg
      thumbsmith make *.jpg -o thumbs --recipe shop.toml
    """
    fields["formats"] = fields["formats"] or format_of(output)
    loaded = quick_recipe(recipe_from(recipe), sizes, fields)
    console, record = Console(), Record.of_user()
    found = find_images(images, recursive=recursive, max_bytes=loaded.limits.max_bytes)
    target = None if output == STDOUT or (output is None and images == (STDIN,)) else Output.of(output)
    skipped = in_output_folder(found, target.folder if target else None)
    skipped |= own_output((image.path for image in found if image.data is None), loaded, record)
    sources = [image for image in found if image.path not in skipped]
    run = _Run(loaded, jobs or usable_cores(), console, record, as_json=as_json, skipped=len(skipped))
    if target is None:
        return run.to_stdout(sources)
    target.check(sources, loaded)
    if as_json:
        for path in skipped:
            emit("source", key=str(path), outcome="skipped", renditions=0)
    else:
        print_skipped(skipped, console)
    return run.to_files(sources, target)


@dataclass(frozen=True, slots=True)
class _File:
    """A thumbnail that was written. `size` is in bytes."""

    path: Path
    rendition: Rendition

    @property
    def fields(self) -> dict[str, object]:
        """Return what a JSON line states of it."""
        made = self.rendition
        return {
            "path": str(self.path),
            "variant": made.variant,
            "format": made.format,
            "width": made.width,
            "height": made.height,
            "bytes": len(made.data),
        }


@dataclass(frozen=True, slots=True)
class _Result:
    """The result for one image: the files written, or an error."""

    image: Image
    files: tuple[_File, ...] = ()
    error: ThumbsmithError | None = None

    @property
    def outcome(self) -> str:
        """Return the outcome in one word."""
        return "made" if self.error is None else "rejected" if isinstance(self.error, Rejected) else "failed"


@dataclass(frozen=True, slots=True)
class _Run:
    recipe: Recipe
    jobs: int
    console: Console
    record: Record
    as_json: bool
    skipped: int

    def to_files(self, images: list[Image], output: Output) -> int:
        """Write the thumbnails of all images and print them in the order of the images; return the exit code."""
        started, counts, written = time.monotonic(), Counter(made=0, rejected=0, failed=0), 0
        with (
            Workers(self.jobs, isolation="shared") as workers,
            stoppable(self.console, cut=workers.close) as stopped,
            self.console.progress("make", len(images), least=MANY) as advance,
        ):
            early.start(workers)
            work = partial(self._make, output=output, workers=workers)
            numbered = each(work, enumerate(images), threads=self.jobs, stop=stopped)
            for result in in_order(numbered):
                counts[result.outcome] += 1
                written += len(result.files)
                self._print(result)
                advance(f"{counts['made']:,} made")
            interrupted = stopped()
        self.record.save()
        self._summarize(counts, written, time.monotonic() - started)
        return 130 if interrupted else 1 if counts["rejected"] + counts["failed"] else 0

    def to_stdout(self, images: list[Image]) -> int:
        """Write the one thumbnail of the one image to standard output; return the exit code.

        Raises UsageError where that is not possible, and the error of the image.
        """
        if self.as_json:
            raise UsageError("--json: expected without -o -: standard output has the thumbnail")
        thumbnails = len(expected(self.recipe, "jpeg", alpha=False))
        if len(images) != 1 or thumbnails != 1:
            found = f"{plural(len(images), 'image')} and {plural(thumbnails, 'thumbnail')} of each"
            raise UsageError(f"-o -: expected one image and one thumbnail, found {found}: use --size and --format")
        if sys.stdout.isatty():
            raise UsageError("-o -: expected a pipe or a file, found a terminal: use > FILE, or -o FILE")
        with Workers(1) as workers, stoppable(self.console, cut=workers.close) as stopped:
            early.start(workers)
            try:
                with images[0].opened() as reader:
                    (made,) = workers.render(reader, self.recipe).renditions
            except ThumbsmithError as error:
                self._print(_Result(images[0], error=error))
                return 130 if stopped() else 1
        sys.stdout.buffer.write(made.data)
        sys.stdout.buffer.flush()
        return 0

    def _make(self, numbered: tuple[int, Image], output: Output, workers: Workers) -> tuple[int, _Result]:
        number, image = numbered
        try:
            with image.opened() as reader:
                work = workers.render(reader, self.recipe)
                files = tuple(_File(output.write(image, made), made) for made in work.renditions)
                for file in files:
                    self.record.add(file.rendition.data, reader)
        except ThumbsmithError as error:
            return number, _Result(image, error=error)
        return number, _Result(image, files)

    def _print(self, result: _Result) -> None:
        """Print the result for an image: its files on stdout, an error on stderr."""
        image, error = result.image, result.error
        detail = printable(error.about(image.path.name)) if error else None
        if self.as_json:
            code = error.code if isinstance(error, Rejected) else None
            files = [file.fields for file in result.files]
            key = str(image.path)
            emit(
                "source", key=key, outcome=result.outcome, code=code, detail=detail, renditions=len(files), files=files
            )
            return
        if error:
            self.console.print(f"{printable(image.shown)}: {detail}")
        names = [printable(str(file.path)) for file in result.files]
        longest = max(map(len, names), default=0)
        for name, file in zip(names, result.files, strict=True):
            made = file.rendition
            self.console.say(f"{name:<{longest}}  {made.width} x {made.height}  {len(made.data):,} bytes")

    def _summarize(self, counts: Mapping[str, int], written: int, seconds: float) -> None:
        total = sum(counts.values())
        if self.as_json:
            skipped = self.skipped or None
            emit("summary", sources=total, **counts, skipped=skipped, renditions=written, seconds=round(seconds, 3))
        elif total >= MANY:
            problems = "".join(f", {counts[word]:,} {word}" for word in ("rejected", "failed") if counts[word])
            self.console.say(
                f"{plural(total, 'image')}: {plural(written, 'thumbnail')} written{problems}; {seconds:.1f} s"
            )


def in_order(numbered: Iterable[tuple[int, T]]) -> Iterator[T]:
    """Yield results that come in any order by their numbers, each as soon as all before it are there."""
    waiting: dict[int, T] = {}
    following = 0
    for number, result in numbered:
        waiting[number] = result
        while following in waiting:
            yield waiting.pop(following)
            following += 1
    yield from (waiting[number] for number in sorted(waiting))  # after a stop, some are missing
