"""The values of a recipe: variants, quality and limits.

This is the one table of fields: each line holds a field's type, range, description and default. The TOML reader, the
JSON schema, the recipe of `thumbsmith init` and the checks of values from Python all use it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from functools import cache
from typing import Any, Final, Literal, TypeAlias

from thumbsmith.recipe.fields import (
    Checked,
    FieldPath,
    Kind,
    Mismatch,
    boolean,
    choice,
    format_value,
    integer,
    list_of,
    mismatch,
    number,
    one_of,
    option,
    options,
    point,
    table_of,
    text,
)

# Raise this number when the engine's output changes on purpose: all thumbnails are then made again. Never raise it for
# a library's new version. Raise it when the default of a variant's field changes, because fingerprints leave out
# fields at their default.
ENGINE_REVISION: Final = 6

# Raise this number when a source that was rejected may be accepted: a decoder reads more, or a default limit is higher.
# Rejected sources are then tried again. Thumbnails and their manifests stay as they are.
REJECTION_REVISION: Final = 3

# Pixels. WebP allows at most 16383 a side. All formats keep to it, so that the formats of a variant have the same size.
MAX_RENDITION_SIDE: Final = 16383

MAX_LIMIT: Final = 2**40  # 1 TiB: far above any picture, and small enough for every system call that takes it
MAX_CPU_SECONDS: Final = 900  # the longest Lambda invocation
MAX_DENSITIES: Final = 8
MAX_PAGE: Final = 1_000_000
MAX_VARIANTS: Final = 50  # each thumbnail is a request: a mistake must not cost a bucket thousands for each image

SOURCE: Final = "source"
AUTO: Final = "auto"
CENTER: Final = (0.5, 0.5)

# Words of `gravity`: the point that a crop keeps.
GRAVITIES: Final = {
    "center": CENTER,
    "north": (0.5, 0.0),
    "northeast": (1.0, 0.0),
    "east": (1.0, 0.5),
    "southeast": (1.0, 1.0),
    "south": (0.5, 1.0),
    "southwest": (0.0, 1.0),
    "west": (0.0, 0.5),
    "northwest": (0.0, 0.0),
}


class Fit(StrEnum):
    """How a picture fits a variant's box. The words and meanings are those of sharp (https://sharp.pixelplumbing.com)."""

    INSIDE = "inside"
    COVER = "cover"
    CONTAIN = "contain"
    OUTSIDE = "outside"
    FILL = "fill"


class Color(StrEnum):
    """The color space of thumbnails."""

    SRGB = "srgb"
    KEEP = "keep"


class Animation(StrEnum):
    """The frames of an animation that a thumbnail has."""

    FIRST = "first"
    KEEP = "keep"


class Format(StrEnum):
    """A format that thumbnails are written in."""

    JPEG = "jpeg"
    PNG = "png"
    WEBP = "webp"
    AVIF = "avif"

    @property
    def extension(self) -> str:
        """Return the file name extension, without a dot."""
        return "jpg" if self is Format.JPEG else self.value

    @property
    def media_type(self) -> str:
        """Return the Content-Type."""
        return f"image/{self.value}"

    @property
    def supports_alpha(self) -> bool:
        """Return whether this format has transparency."""
        return self is not Format.JPEG

    @property
    def supports_animation(self) -> bool:
        """Return whether a file in this format can have several frames."""
        return self is not Format.JPEG


class Metadata(StrEnum):
    """The metadata of the source that a thumbnail keeps."""

    STRIP = "strip"
    COPYRIGHT = "copyright"


# The order in which a client that can read several formats gets them: the smallest files first.
SMALLEST_FIRST: Final = (Format.AVIF, Format.WEBP, Format.JPEG, Format.PNG)

# The order for clients that do not say what they can read.
MOST_SUPPORTED_FIRST: Final = (Format.JPEG, Format.PNG, Format.WEBP, Format.AVIF)

FormatChoice: TypeAlias = Format | Literal["source"]
Percent: TypeAlias = int | Literal["auto"]
Gravity: TypeAlias = tuple[float, float] | Literal["auto"]

_WRITTEN: Final = frozenset(Format)

VARIANT_NAME_PATTERN: Final = "[A-Za-z0-9][A-Za-z0-9_-]{0,63}"
VARIANT_NAME: Final = text(
    "a name of 1 to 64 letters, digits, - and _ that begins with a letter or digit", VARIANT_NAME_PATTERN
)
_SIDE: Final = integer(1, MAX_RENDITION_SIDE)
_LIMIT: Final = integer(1, MAX_LIMIT)
_PERCENT: Final = integer(1, 100), choice(AUTO)
_ONE_QUALITY: Final = one_of(*_PERCENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality(Checked):
    """Quality of each lossy format, 1 to 100. "auto" is the lowest that still looks right, chosen for each picture."""

    jpeg: Percent = option(_ONE_QUALITY, "Quality of JPEG.", 80)
    webp: Percent = option(_ONE_QUALITY, "Quality of WebP.", 80)
    avif: Percent = option(_ONE_QUALITY, "Quality of AVIF.", 60)


def _color(found: str) -> str:
    digits = found[1:].lower()
    return f"#{digits if len(digits) == 6 else ''.join(digit * 2 for digit in digits)}"


def _quality(found: Any, path: FieldPath) -> Quality:
    if isinstance(found, Quality):
        return found
    value = _QUALITY_AS_WRITTEN.read(found, path)
    return Quality(**value) if isinstance(value, dict) else Quality(jpeg=value, webp=value, avif=value)


_QUALITY_AS_WRITTEN: Final = one_of(*_PERCENT, table_of(Quality, expected="a table such as { jpeg = 80 }"))
QUALITY: Final = Kind(_QUALITY_AS_WRITTEN.expected, _QUALITY_AS_WRITTEN.schema, _quality)
GRAVITY: Final = one_of(choice(*GRAVITIES, AUTO).mapped(lambda word: GRAVITIES.get(word, word)), point())
COLOR: Final = text('a color such as "#ffffff"', "#(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})").mapped(_color)


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant(Checked):
    """One thumbnail of each source. Width or height is required.

    Values may also be given as TOML writes them: "cover" for Fit.COVER, a list for a tuple, one number for a Quality.
    Raises RecipeError for any other value.
    """

    name: str
    width: int | None = option(_SIDE, "Width of the box, in pixels. Optional if there is a height.")
    height: int | None = option(_SIDE, "Height of the box, in pixels. Optional if there is a width.")
    fit: Fit = option(choice(*Fit), "How the picture is put into the box.", "inside")
    gravity: Gravity = option(
        GRAVITY,
        "The part that a crop keeps: a side, a corner, or a point [x, y] from [0, 0] top left to [1, 1] bottom right."
        ' "auto" keeps the most important part.',
        "center",
    )
    enlarge: bool = option(boolean(), "Whether a smaller picture is enlarged to the box.", False)
    formats: tuple[FormatChoice, ...] = option(
        list_of(choice(*Format, SOURCE)),
        'Formats to write. "source" is the format of the source, or else PNG with alpha and JPEG without.',
        ["webp"],
    )
    quality: Quality = option(
        QUALITY,
        "Quality of the lossy formats: one number for all, or a table. Formats that are not in it keep their default."
        ' "auto" is the lowest quality that still looks right.',
        asdict(Quality()),
    )
    background: str = option(COLOR, "Color of padding, and behind transparent parts in JPEG.", "#ffffff")
    sharpen: float = option(number(0, 10, 2), "How much the picture is sharpened. 1 is much for a thumbnail.", 0)
    dpr: tuple[float, ...] = option(
        list_of(number(1, 10, 2), most=MAX_DENSITIES),
        "Pixel densities. 2 has twice the pixels on each side, and adds @2x to the name.",
        [1],
    )
    max_output_bytes: int | None = option(
        _LIMIT, "Maximum bytes of a JPEG, WebP or AVIF file. Its quality is lowered until it fits."
    )
    metadata: Metadata = option(
        choice(*Metadata),
        'Metadata that are kept: "strip" keeps none, "copyright" only author and copyright notice.',
        "strip",
    )
    color: Color = option(
        choice(*Color),
        'Color space: "srgb", or "keep" for that of an RGB source, with its profile in the file.',
        "srgb",
    )
    animation: Animation = option(
        choice(*Animation),
        'Frames of an animation: the "first", or "keep" for all, in WebP, PNG and AVIF.',
        "first",
    )
    page: int = option(
        integer(1, MAX_PAGE),
        "Page of a PDF, the same for all variants; the last page where it has fewer.",
        1,
    )

    def _check(self) -> None:
        VARIANT_NAME.read(self.name, ("name",))
        Checked._check(self)
        if self.width is None and self.height is None:
            raise Mismatch((), NO_SIDE)

    def _label(self) -> str:
        return f"Variant {format_value(self.name)}"

    @property
    def fingerprint(self) -> str:
        """Return the digest of all fields that change this variant's thumbnails, 16 hex digits. The name does not."""
        return _fingerprint(self, ENGINE_REVISION)

    @property
    def density(self) -> float:
        """Return the density of one of `Recipe.variants_by_density`."""
        return self.dpr[0]

    def at_densities(self) -> tuple[Variant, ...]:
        """Return this variant at each of its densities. Each has its own fingerprint; at 1 it is that without `dpr`."""
        return (self,) if len(self.dpr) == 1 else tuple(replace(self, dpr=(density,)) for density in self.dpr)

    def outputs(self, source_format: str, *, alpha: bool) -> tuple[Format, ...]:
        """Return the formats to write for a source of this format, each once, in the recipe's order.

        `source` is the source's own format where we write it, else PNG for a picture with alpha, JPEG without.
        """
        own = Format(source_format) if source_format in _WRITTEN else Format.PNG if alpha else Format.JPEG
        return tuple(dict.fromkeys(own if each == SOURCE else Format(each) for each in self.formats))


def same_page(variants: Sequence[Variant]) -> None:
    """Raise Mismatch for variants that show different pages: a manifest describes one picture."""
    first = variants[0]
    for each in variants:
        if each.page != first.page:
            expected = f"{first.page}, the page of [variants.{first.name}]: all variants show the same page"
            raise mismatch(("variants", each.name, "page"), expected, each.page)


NO_SIDE: Final = "expected width or height, found neither"

# The variants of a recipe without any, as TOML writes them.
DEFAULT_VARIANTS: Final[dict[str, dict[str, Any]]] = {
    "icon": {"width": 64, "height": 64, "fit": "cover"},
    "small": {"width": 256, "height": 256},
    "large": {"width": 1024, "height": 1024},
}


class IsolationKind(StrEnum):
    """How many sources a confined process handles: `source` is one, `shared` is many of one owner, in turn."""

    SOURCE = "source"
    SHARED = "shared"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits(Checked):
    """Limits for one source. A source above a limit is rejected. Names are imgproxy's if it has the same limit."""

    max_bytes: int = option(_LIMIT, "Maximum size of a source file, in bytes.", 104_857_600)
    max_pixels: int = option(  # phones take photos of 200 megapixels, 16320 x 12240
        _LIMIT, "Maximum pixels, width x height, summed over the frames that will be decoded.", 268_435_456
    )
    max_side: int = option(_LIMIT, "Maximum width and height of a source, in pixels.", 50_000)
    max_frames: int = option(_LIMIT, "Maximum number of frames that will be decoded.", 500)
    max_scans: int = option(_LIMIT, "Maximum number of scans of a progressive JPEG.", 100)
    max_memory: int = option(_LIMIT, "Maximum bytes of memory predicted for decoding one source.", 536_870_912)
    max_cpu_seconds: int = option(integer(1, MAX_CPU_SECONDS), "Maximum CPU seconds for one source.", 10)
    first_scan: bool = option(
        boolean(),
        "Whether only the first scan of a progressive JPEG is read if that is enough for all thumbnails.",
        True,
    )
    isolation: IsolationKind | None = option(
        choice(*IsolationKind),
        'Processes: "source" starts one for each source. With "shared", one handles many sources, one after the other.'
        " Default: shared for commands over folders, otherwise source.",
    )

    @property
    def fingerprint(self) -> str:
        """Return the digest of the limits that are not at their default, 16 hex digits. `isolation` is no part."""
        return _fingerprint(self, ENGINE_REVISION)

    @property
    def rejection_fingerprint(self) -> str:
        """Return the digest of all that decides on a rejection. A recorded rejection is valid while it is the same."""
        return digest({"judgment": REJECTION_REVISION, "limits": self.fingerprint})


def changed_fields(value: Checked) -> dict[str, Any]:
    """Return the fields that are not at their default, without the name.

    Fingerprints are made of these, so that a field of a later version leaves them as they are.
    """
    return {
        name: changed_fields(found) if isinstance(found, Checked) else found
        for name, _, default in options(type(value))
        if (found := getattr(value, name)) != default
    }


@cache
def _fingerprint(value: Variant | Limits, engine: int) -> str:
    fields = {name: found for name, found in changed_fields(value).items() if name != "isolation"}
    return digest({"engine": engine, type(value).__name__.lower(): fields})


def digest(value: object) -> str:
    """Return a digest of a value that JSON can hold, 16 hex digits."""
    import hashlib  # noqa: PLC0415 - it loads OpenSSL, and a worker process needs no fingerprint

    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
