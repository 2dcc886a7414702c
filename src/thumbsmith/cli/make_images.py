"""The images that `make` and `demo` are given: files, folders, standard input; without their own thumbnails."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from thumbsmith.cli.make_record import Record
from thumbsmith.cli.terminal import Console
from thumbsmith.cli.wording import nearest_path, plural, printable
from thumbsmith.errors import StoreError, UsageError
from thumbsmith.image.formats import SOURCE_FORMATS
from thumbsmith.reader import BytesReader, RangeReader
from thumbsmith.recipe import Recipe
from thumbsmith.recipe.names import MANIFEST, is_managed_name, possible_names
from thumbsmith.recipe.selection import is_hidden
from thumbsmith.store import open_store

# The argument that means standard input, and the name of an image from there.
STDIN: Final = "-"
STDIN_NAME: Final = "stdin"

# File name extensions of the formats that can be read (docs/formats.md).
IMAGE_SUFFIXES: Final = frozenset(suffix for each in SOURCE_FORMATS.values() for suffix in each.suffixes)

# A file is output of `make` if its name has at least this many of three signs.
MIN_SIGNS: Final = 2

# A run over folders reports each skipped thumbnail up to this number, then only how many there are.
MAX_SKIPPED_LINES: Final = 20


@dataclass(frozen=True, slots=True)
class Image:
    """An image: its path, or the bytes from standard input.

    `folder` is where it lies below `root`, the folder that was given: empty, or with a final "/". `root` is None for a
    file that was given.
    """

    path: Path
    folder: str = ""
    root: Path | None = None
    data: bytes | None = None

    @property
    def shown(self) -> str:
        """Return the name for messages."""
        return "standard input" if self.data is not None else str(self.path)

    @contextmanager
    def opened(self) -> Iterator[RangeReader]:
        """Yield a reader of the file that the path leads to, through all links. Raises StoreError."""
        if self.data is not None:
            yield BytesReader(self.data)
            return
        path = self.path.resolve()
        reader = open_store(path.parent).open(path.name)
        if reader is None:
            raise StoreError("the file was deleted", transient=True)
        with closing(reader):
            yield reader


def find_images(arguments: Sequence[str], *, recursive: bool, max_bytes: int) -> list[Image]:
    """Return the images that the arguments name, in their order, each once; those of a folder by name.

    Raises UsageError for an argument that is none of these, or that leads to no file.
    """
    found: dict[Path, Image] = {}
    for argument in arguments:
        path = Path(argument)
        if argument == STDIN:
            found.setdefault(Path(STDIN_NAME), Image(Path(STDIN_NAME), data=_read_stdin(max_bytes)))
        elif not argument:
            raise UsageError("expected an image file, found an empty argument")
        elif "://" in argument:
            raise UsageError(
                f'{argument}: expected a file of this machine, found an address: for a bucket, use "thumbsmith sync"'
            )
        elif recursive and path.is_dir():
            for each in _images_in(path):
                found.setdefault(each.path, each)
        else:
            check_image(path)
            found.setdefault(path, Image(path))
    if not found:
        names = ", ".join(arguments)
        raise UsageError(f"{names}: no images there: expected files that end in {', '.join(sorted(IMAGE_SUFFIXES))}")
    return list(found.values())


def _read_stdin(max_bytes: int) -> bytes:
    if sys.stdin.isatty():
        raise UsageError("-: expected an image on standard input, found a terminal: use a pipe, or name a file")
    data = sys.stdin.buffer.read(max_bytes + 1)
    if not data:
        raise UsageError("-: expected an image on standard input, found no bytes")
    return data


def _images_in(folder: Path) -> Iterator[Image]:
    """Yield the images in a folder and all folders below it, without hidden and system folders and links to folders."""

    def unreadable(error: OSError) -> None:
        raise UsageError(f"{error.filename}: the folder cannot be read: {error.strerror}") from error

    for place, folders, names in os.walk(folder, onerror=unreadable):
        below = Path(place).relative_to(folder).as_posix()
        inside = "" if below == "." else f"{below}/"
        folders[:] = sorted(name for name in folders if not is_hidden(f"{name}/"))
        for name in sorted(names):
            if Path(name).suffix.lower() in IMAGE_SUFFIXES and not is_hidden(name):
                yield Image(Path(place, name), folder=inside, root=folder)


_KINDS: Final = (
    (stat.S_ISDIR, 'a folder: for the images in it, add -r, or use "thumbsmith sync"'),
    (stat.S_ISFIFO, 'a pipe: use "-" and redirect it to standard input'),
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
        if not isinstance(error, FileNotFoundError):
            raise UsageError(f"{path}: expected an image file, found {error.strerror}") from None
        raise UsageError(f"{path}: no such file{_near(path)}") from None
    if not stat.S_ISREG(mode):
        found = next((words for is_kind, words in _KINDS if is_kind(mode)), "something else")
        raise UsageError(f"{path}: expected an image file, found {found}")


def _near(path: Path) -> str:
    """Return what to do about a missing file: the nearest name in its folder, or a hint about patterns."""
    if "*" in str(path) or "?" in str(path):
        return ": the pattern matches no file"
    if not path.parent.is_dir():
        return f": there is no folder {path.parent}"
    return nearest_path(str(path))


def own_output(images: Iterable[Path], recipe: Recipe, record: Record | None = None) -> dict[Path, str]:
    """Return those of the images that `make` wrote, each with half a sentence that says why it is one.

    The record decides. For files that it does not have, the name does: `make` writes SOURCE.VARIANT.EXTENSION unless
    the user wants other names. Two of three signs decide: SOURCE is a file in the same folder or one of the images;
    SOURCE has the extension of an image; the recipe makes VARIANT.EXTENSION. One sign is not enough, since an image may
    have any name.
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
                found[image] = f"it is a thumbnail of {printable(source)}"
                break
        else:
            if record and record.has(image):
                found[image] = "it is a thumbnail that make wrote"
    return found


def in_output_folder(images: Iterable[Image], output: Path | None) -> dict[Path, str]:
    """Return the images that a folder given with -r has in its `output` folder, with half a sentence that says so.

    So a second run takes no output of the first, even on a machine without a record of it. Files that were named, and
    folders that are not above the output folder, are not concerned.
    """
    if output is None:
        return {}
    target = output.resolve()
    return {
        image.path: f"it is in {printable(str(output))}, the folder of -o"
        for image in images
        if image.root is not None and target in image.path.resolve().parents and image.root.resolve() in target.parents
    }


def print_skipped(skipped: Mapping[Path, str], console: Console) -> None:
    """Print which files are not taken as images, and why."""
    for image, reason in list(skipped.items())[:MAX_SKIPPED_LINES]:
        console.note(f"skipped {printable(str(image))}: {reason}")
    if len(skipped) > MAX_SKIPPED_LINES:
        console.note(f"skipped {plural(len(skipped) - MAX_SKIPPED_LINES, 'more file')}")


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
