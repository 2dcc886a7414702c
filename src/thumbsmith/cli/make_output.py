"""Where `make` writes thumbnails: next to each image, into a folder, by a template of names, or to standard output."""

from __future__ import annotations

import os
import string
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from thumbsmith.cli.make_images import Image
from thumbsmith.errors import StoreError, UsageError
from thumbsmith.image.formats import SOURCE_FORMATS
from thumbsmith.recipe import Recipe
from thumbsmith.recipe.model import Format
from thumbsmith.recipe.names import Rendition, density_mark
from thumbsmith.store import Headers, open_store

STDOUT: Final = "-"

# The placeholders of a template, and the meaning of each.
PLACEHOLDERS: Final = {
    "stem": "the image's name without its extension",
    "name": "the image's name",
    "folder": "the image's folder below the FOLDER given, with a final /",
    "variant": "the name of the thumbnail",
    "ext": "the extension with its dot",
    "width": "in pixels",
    "height": "in pixels",
}

# Templates for the output without -o, and for a folder.
_STANDARD_NAME: Final = "{name}.{variant}{ext}"
_BESIDE: Final = "{place}/" + _STANDARD_NAME
_IN_FOLDER: Final = "/{folder}" + _STANDARD_NAME

_FORMATS_BY_SUFFIX: Final = {
    suffix: Format(name) for name, each in SOURCE_FORMATS.items() if name in set(Format) for suffix in each.suffixes
}


def format_of(output: str | None) -> tuple[Format, ...] | None:
    """Return the format that the name of one output file asks for, such as thumb.jpg; None if it asks for none."""
    if output is None or os.path.isdir(output):  # noqa: PTH112 - Path.is_dir raises an error without access
        return None
    found = _FORMATS_BY_SUFFIX.get(Path(output).suffix.lower())
    return (found,) if found else None


@dataclass(slots=True)
class Output:
    """Where thumbnails go: the template of their paths."""

    template: str
    _sources: dict[Path, Image] = field(default_factory=dict)
    _written: dict[Path, Image] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def of(cls, option: str | None) -> Output:
        """Return the output that the option -o describes. Raises UsageError for an invalid template."""
        if option is None:
            return cls(_BESIDE)
        if not option:
            raise UsageError("-o: expected a folder, a template or -, found an empty text")
        with suppress(OSError):  # `check` reports a folder without access
            if "{" not in option and Path(option).is_file() and format_of(option) is None:
                raise UsageError(f"{option}: expected a folder to write to, found a file")
        is_folder = os.path.isdir(option)  # noqa: PTH112 - Path.is_dir raises an error without access
        if is_folder or (not {"{", "}"} & set(option) and format_of(option) is None):
            escaped = option.rstrip("/").replace("{", "{{").replace("}", "}}")
            return cls(escaped + _IN_FOLDER)
        template = option.replace(".{ext}", "{ext}")
        _check_template(option, template)
        return cls(template.rstrip("/") + _IN_FOLDER if template.endswith("/") else template)

    @property
    def folder(self) -> Path | None:
        """Return the folder that all thumbnails go to, or into folders below it; None if there is no such folder."""
        start, placeholder, _ = self.template.partition("{")
        place = start.rpartition("/")[0]
        return Path(place.replace("}}", "}")) if place and placeholder else None

    def check(self, images: Iterable[Image], recipe: Recipe) -> None:
        """Check, before an image is decoded, that each thumbnail has its own name, and that folders are writable.

        Raises UsageError, StoreError.
        """
        images = tuple(images)
        self._sources = {image.path.resolve(): image for image in images if image.data is None}
        taken: dict[Path, Image] = {}
        folders: dict[Path, None] = {}
        for image in images:
            own: set[Path] = set()
            for variant, kind in _expected(image, recipe):
                size = f"{{{variant}}}"  # the size in pixels is not known yet
                path = self._path(image, variant, kind, size, size)
                if not path.name:
                    raise UsageError(
                        f"-o {self.template}: expected a name for each thumbnail, found none: add {{stem}}"
                    )
                if path in own:
                    raise UsageError(
                        f"-o {self.template}: two thumbnails of {image.shown} would both become {path}: use --size,"
                        " or add {variant} or {ext}"
                    )
                own.add(path)
                if taken.setdefault(path, image) is not image:
                    raise UsageError(f"{taken[path].shown} and {image.shown} would both become {self._shown(path)}")
                self._check_name(path, kind)
                if size not in str(path.parent):
                    folders[path.parent] = None
        for folder in folders:
            open_store(folder).check_writable()

    def write(self, image: Image, rendition: Rendition) -> Path:
        """Write a thumbnail; return its path. Raises StoreError, also if the path is an image's or was just written."""
        variant = f"{rendition.variant}{density_mark(rendition.density)}"
        path = self._path(image, variant, rendition.format, str(rendition.width), str(rendition.height))
        with self._lock:
            is_free = path not in self._written and path.resolve() not in self._sources
            self._written.setdefault(path, image)
        if not is_free:
            raise StoreError(f"{path} is another thumbnail or an image: add {{variant}} to -o", transient=False)
        open_store(path.parent).put(path.name, rendition.data, Headers(content_type=rendition.type))
        return path

    def _path(self, image: Image, variant: str, kind: Format, width: str, height: str) -> Path:
        return Path(
            self.template.format(
                place=image.path.parent,
                stem=image.path.stem,
                name=image.path.name,
                folder=image.folder,
                variant=variant,
                ext=f".{kind.extension}",
                width=width,
                height=height,
            )
        )

    def _shown(self, path: Path) -> str:
        """Return a path for a message, with * for the part that is the same for all variants."""
        return f"{path.parent / path.name.rsplit('.', 2)[0]}.*" if self.template.endswith(_STANDARD_NAME) else str(path)

    def _check_name(self, path: Path, kind: Format) -> None:
        source = self._sources.get(path.resolve())
        if source:
            raise UsageError(f"-o {self.template}: a thumbnail would replace the image {source.shown}")
        suffix = _FORMATS_BY_SUFFIX.get(path.suffix.lower())
        if suffix and suffix is not kind:
            raise UsageError(f"-o {self.template}: the thumbnail is {kind}: use {{ext}}, or --format {suffix}")


def _expected(image: Image, recipe: Recipe) -> Iterator[tuple[str, Format]]:
    """Yield the thumbnails of an image, as far as its name tells: the variant with its density, and the format."""
    own = _FORMATS_BY_SUFFIX.get(image.path.suffix.lower(), Format.JPEG)
    for variant in recipe.variants_by_density:
        for kind in variant.outputs(own, alpha=False):
            yield f"{variant.name}{density_mark(variant.density)}", kind


def _check_template(option: str, template: str) -> None:
    """Raise UsageError unless all placeholders of a template are known."""
    try:
        parts = [part for part in string.Formatter().parse(template) if part[1] is not None]
        fields = [
            f"{name}{'!' if conversion else ''}{conversion or ''}{':' if form else ''}{form or ''}"
            for _, name, form, conversion in parts
        ]
    except ValueError as error:
        raise UsageError(f"-o {option}: {error}: write {{{{ or }}}} for a brace in a name") from None
    for name in fields:
        if name not in PLACEHOLDERS:
            known = ", ".join(f"{{{each}}}" for each in PLACEHOLDERS)
            raise UsageError(f"-o {option}: {{{name}}} is no placeholder; expected {known}")
