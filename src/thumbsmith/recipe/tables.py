"""The tables of a recipe: every field once, with what it may be and means. Reader and JSON schema follow from here."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from thumbsmith.recipe.kinds import boolean, choice, glob, integer, number, point, text
from thumbsmith.recipe.model import (
    AUTO,
    MAX_RENDITION_SIDE,
    SOURCE,
    Animation,
    Color,
    Fit,
    Format,
    Limits,
    Metadata,
    Quality,
    Variant,
)
from thumbsmith.recipe.selection import Selection
from thumbsmith.recipe.shapes import Field, ListOf, Named, OneOf, Table

# Each resolves to the focal point that a crop keeps.
GRAVITIES: Final = MappingProxyType(
    {
        "center": (0.5, 0.5),
        "north": (0.5, 0.0),
        "northeast": (1.0, 0.0),
        "east": (1.0, 0.5),
        "southeast": (1.0, 1.0),
        "south": (0.5, 1.0),
        "southwest": (0.0, 1.0),
        "west": (0.0, 0.5),
        "northwest": (0.0, 0.0),
    }
)

_MOST_VARIANTS: Final = 50  # a request a rendition: a slip must not cost a bucket thousands of writes an image
_LARGEST_LIMIT: Final = 2**40  # 1 TiB, far above any picture, and small enough for every system call that takes it
_MOST_DENSITIES: Final = 8
_LONGEST_CPU_SECONDS: Final = 900  # as long as the longest Lambda invocation

_side = integer(1, MAX_RENDITION_SIDE)
_percent = OneOf((integer(1, 100), choice(AUTO)))
_limit = integer(1, _LARGEST_LIMIT)
_limits, _selection, _quality, _variant = Limits(), Selection(), Quality(), Variant(name="")

LIMITS: Final = Table(
    {
        "max_bytes": Field(_limit, "Largest source file, in bytes.", _limits.max_bytes),
        "max_pixels": Field(
            _limit, "Most pixels, width x height, summed over the frames that will be decoded.", _limits.max_pixels
        ),
        "max_side": Field(_limit, "Longest side of a source, in pixels.", _limits.max_side),
        "max_frames": Field(_limit, "Most frames that will be decoded.", _limits.max_frames),
        "max_scans": Field(_limit, "Most scans of a progressive JPEG.", _limits.max_scans),
        "max_memory": Field(_limit, "Most bytes predicted for decoding one source.", _limits.max_memory),
        "max_cpu_seconds": Field(
            integer(1, _LONGEST_CPU_SECONDS), "Most CPU seconds for one source.", _limits.max_cpu_seconds
        ),
        "first_scan": Field(
            boolean(),
            "Whether a progressive JPEG of which small pictures alone are made is read up to its first scan.",
            _limits.first_scan,
        ),
    }
)

SELECTION: Final = Table(
    {
        "include": Field(
            ListOf(glob()), "Globs over keys; a key that one matches is a source.", list(_selection.include)
        ),
        "exclude": Field(
            ListOf(glob(), empty=True),
            "Globs over keys that are no sources; wins over include.",
            list(_selection.exclude),
        ),
    }
)

QUALITY: Final = Table(
    {
        "jpeg": Field(_percent, "Quality of JPEG.", _quality.jpeg),
        "webp": Field(_percent, "Quality of WebP.", _quality.webp),
        "avif": Field(_percent, "Quality of AVIF.", _quality.avif),
    },
    expected="a table such as { jpeg = 80 }",
)

VARIANT: Final = Table(
    {
        "width": Field(_side, "Width of the box, in pixels; may be left out where there is a height."),
        "height": Field(_side, "Height of the box, in pixels; may be left out where there is a width."),
        "fit": Field(choice(*Fit), "How the picture is put into the box.", _variant.fit.value),
        "gravity": Field(
            OneOf((choice(*GRAVITIES, AUTO), point())),
            "What a crop keeps: a side, a corner, or a point [x, y] from [0, 0] top left to [1, 1] bottom right;"
            ' "auto" is what draws the eye.',
            "center",
        ),
        "enlarge": Field(boolean(), "Whether a smaller picture is enlarged to the box.", _variant.enlarge),
        "formats": Field(
            ListOf(choice(*Format, SOURCE)),
            'Formats to write; "source" is the source\'s own, else PNG with alpha and JPEG without.',
            list(_variant.formats),
        ),
        "quality": Field(
            OneOf((*_percent.shapes, QUALITY)),
            "Quality of the lossy formats: one number for all, or a table; a format left out keeps its default;"
            ' "auto" is as low as looks as it should.',
            {"jpeg": _quality.jpeg, "webp": _quality.webp, "avif": _quality.avif},
        ),
        "background": Field(
            text('a color such as "#ffffff"', "#(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})"),
            "Color of padding, and of what lies behind transparent parts in JPEG.",
            _variant.background,
        ),
        "sharpen": Field(number(0, 10, 2), "How much the picture is sharpened; 1 is much for a thumbnail.", 0),
        "dpr": Field(
            ListOf(number(1, 10, 2), most=_MOST_DENSITIES),
            "Densities to make it at: 2 has twice the pixels on each side and adds @2x to the name.",
            [1],
        ),
        "max_output_bytes": Field(
            integer(1, _LARGEST_LIMIT), "Most bytes of a JPEG, WebP or AVIF: its quality is lowered until it fits."
        ),
        "metadata": Field(
            choice(*Metadata),
            'Metadata of the source that is kept: "strip" is none, "copyright" author and copyright, nothing else.',
            _variant.metadata.value,
        ),
        "color": Field(
            choice(*Color),
            'Color space: "srgb", or "keep" that of the source where it is RGB, with its profile in the file.',
            _variant.color.value,
        ),
        "animation": Field(
            choice(*Animation),
            'Of an animation, the "first" frame, or "keep" all, in formats that hold them: WebP, PNG and AVIF.',
            _variant.animation.value,
        ),
    }
)

DOCUMENT: Final = Table(
    {
        "limits": Field(LIMITS, "What one source may cost; one that would cost more is rejected."),
        "source": Field(SELECTION, "Which keys are sources."),
        "defaults": Field(VARIANT, "Variant fields for all variants; a variant overrides them."),
        "variants": Field(
            Named(
                text(
                    "a name of 1 to 64 letters, digits, - and _ that begins with a letter or digit",
                    "[A-Za-z0-9][A-Za-z0-9_-]{0,63}",
                ),
                VARIANT,
                _MOST_VARIANTS,
            ),
            "The pictures to make, each under its name; without any: icon, small and large.",
        ),
    }
)
