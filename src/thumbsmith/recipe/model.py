"""What a recipe is: frozen values. They are checked where they come in (toml.py) and trusted from there on."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from enum import StrEnum
from functools import cache
from typing import Any, Final, Literal, Self

from thumbsmith.recipe.selection import Selection

# Raised by hand when the engine's output changes on purpose: every rendition is remade. Never for a library's version.
# To change the default of a variant's field is such a change: fields at their default are no part of a fingerprint.
ENGINE_REVISION: Final = 4

# Raised by hand when a source that was rejected may be accepted: a decoder reads more, or a default limit is higher.
# Rejected sources are then judged again. Renditions stay as they are, and their manifests too.
JUDGMENT_REVISION: Final = 2

# WebP holds at most 16383 pixels a side; no rendition of any format is made longer, so that formats of a variant agree.
MAX_RENDITION_SIDE: Final = 16383

SOURCE: Final = "source"


class Fit(StrEnum):
    """How a picture is put into a variant's box; sharp's words and meanings."""

    INSIDE = "inside"
    COVER = "cover"
    CONTAIN = "contain"
    OUTSIDE = "outside"
    FILL = "fill"


class Color(StrEnum):
    """Which colour space renditions are in."""

    SRGB = "srgb"
    KEEP = "keep"


class Animation(StrEnum):
    """What is made of an animation."""

    FIRST = "first"
    KEEP = "keep"


class Format(StrEnum):
    """A format that renditions are written in."""

    JPEG = "jpeg"
    PNG = "png"
    WEBP = "webp"
    AVIF = "avif"

    @property
    def extension(self) -> str:
        """Return the file name extension without its dot."""
        return "jpg" if self is Format.JPEG else self.value

    @property
    def media_type(self) -> str:
        """Return the Content-Type."""
        return f"image/{self.value}"

    @property
    def holds_alpha(self) -> bool:
        """Return whether a picture in this format can be transparent."""
        return self is not Format.JPEG

    @property
    def holds_animation(self) -> bool:
        """Return whether a file in this format can hold several frames."""
        return self is not Format.JPEG


class Metadata(StrEnum):
    """What a rendition keeps of its source's metadata."""

    STRIP = "strip"
    COPYRIGHT = "copyright"


FormatChoice = Format | Literal["source"]

_WRITTEN: Final = frozenset(Format)


def format_choice(word: str) -> FormatChoice:
    """Return what a word of `formats` stands for."""
    return SOURCE if word == SOURCE else Format(word)


AUTO: Final = "auto"
Percent = int | Literal["auto"]
Gravity = tuple[float, float] | Literal["auto"]

CENTER: Final = (0.5, 0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """Quality 1 to 100 of each lossy format, or "auto": as low as a picture can have it that looks as it should."""

    jpeg: Percent = 80
    webp: Percent = 80
    avif: Percent = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One picture to make. `gravity` is the focal point that a crop keeps: (x, y), 0 to 1 from top left, or "auto".

    `dpr` are the densities that it is made at, in pixels per pixel of its box: of `Recipe.pictures`, one each.
    """

    name: str
    width: int | None = None
    height: int | None = None
    fit: Fit = Fit.INSIDE
    gravity: Gravity = CENTER
    enlarge: bool = False
    formats: tuple[FormatChoice, ...] = (Format.WEBP,)
    quality: Quality = Quality()
    background: str = "#ffffff"
    color: Color = Color.SRGB
    animation: Animation = Animation.FIRST
    sharpen: float = 0.0
    dpr: tuple[float, ...] = (1.0,)
    max_output_bytes: int | None = None
    metadata: Metadata = Metadata.STRIP

    @property
    def fingerprint(self) -> str:
        """Return the digest of everything that shapes this variant's pictures, 16 hex digits; its name is not part."""
        return _fingerprint(self, ENGINE_REVISION)

    @property
    def density(self) -> float:
        """Return the density of one of `Recipe.pictures`."""
        return self.dpr[0]

    def at_densities(self) -> tuple[Variant, ...]:
        """Return this variant at each of its densities, each with a fingerprint of its own; at 1 that of no `dpr`."""
        return (self,) if len(self.dpr) == 1 else tuple(replace(self, dpr=(density,)) for density in self.dpr)

    def outputs(self, source_format: str, *, alpha: bool) -> tuple[Format, ...]:
        """Return the formats to write for a source of this format, each once, in the recipe's order.

        `source` is the source's own format where we write it, else PNG for a picture with alpha, JPEG without.
        """
        own = Format(source_format) if source_format in _WRITTEN else Format.PNG if alpha else Format.JPEG
        return tuple(dict.fromkeys(own if choice == SOURCE else Format(choice) for choice in self.formats))


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one source may cost; imgproxy's names where it has them. Bytes, pixels, seconds.

    `first_scan` has a progressive JPEG decoded from its first scan where an eighth of its sides is enough.
    """

    max_bytes: int = 104_857_600
    max_pixels: int = 268_435_456  # phones take photos of 200 megapixels, 16320 x 12240
    max_side: int = 50_000
    max_frames: int = 500
    max_scans: int = 100
    max_memory: int = 536_870_912
    max_cpu_seconds: int = 10
    first_scan: bool = True

    @property
    def fingerprint(self) -> str:
        """Return the digest of the limits that are not at their default."""
        return _fingerprint(self, ENGINE_REVISION)

    @property
    def judgment(self) -> str:
        """Return the digest of all that decides on a rejection; a recorded one stands while it is unchanged."""
        return _digest({"judgment": JUDGMENT_REVISION, "limits": self.fingerprint})


def _default_variants() -> tuple[Variant, ...]:
    return (
        Variant(name="icon", width=64, height=64, fit=Fit.COVER),
        Variant(name="small", width=256, height=256),
        Variant(name="large", width=1024, height=1024),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """All variants, limits and options of a `thumbsmith.toml`, resolved: defaults are already in each variant."""

    variants: tuple[Variant, ...] = field(default_factory=_default_variants)
    limits: Limits = Limits()
    selection: Selection = field(default_factory=Selection)

    @classmethod
    def default(cls) -> Self:
        """Return the recipe that stands when there is none: icon, small and large, in WebP."""
        return cls()

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Recipe:
        """Return the recipe in a TOML file. Raises RecipeError, one sentence, for a file or content that is none."""
        from thumbsmith.recipe import load  # noqa: PLC0415 - a worker gets its recipe as JSON and parses no TOML

        return load.load(path)

    @classmethod
    def loads(cls, toml_text: str, *, file: str = "recipe") -> Recipe:
        """Return the recipe in TOML text. Raises RecipeError, one sentence that begins with `file`, if it is none."""
        from thumbsmith.recipe import load  # noqa: PLC0415 - as above

        return load.loads(toml_text, file=file)

    def to_json(self) -> str:
        """Return the recipe as JSON, from which `from_json` makes an equal one: for handing it to another process."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the recipe that `to_json` wrote. Nothing is checked: it is for our own processes."""
        found = json.loads(text)
        return cls(
            variants=tuple(_variant(written) for written in found["variants"]),
            limits=Limits(**found["limits"]),
            selection=Selection(**{name: tuple(globs) for name, globs in found["selection"].items()}),
        )

    @property
    def pictures(self) -> tuple[Variant, ...]:
        """Return what is made: each variant at each of its densities, in the recipe's order."""
        return tuple(picture for variant in self.variants for picture in variant.at_densities())

    @property
    def fingerprint(self) -> str:
        """Return the digest of all variants and the limits, 16 hex digits."""
        return _digest(
            {
                "variants": {variant.name: variant.fingerprint for variant in self.variants},
                "limits": self.limits.fingerprint,
            }
        )


def altered(value: Variant | Limits | Quality) -> dict[str, Any]:
    """Return the fields that are not at their default, without the name.

    Fingerprints are made of these, so that a field that a later version adds leaves them as they are.
    """
    return {
        each.name: altered(found) if isinstance(found, Quality) else found
        for each in fields(value)
        if each.name != "name" and (found := getattr(value, each.name)) != each.default
    }


@cache
def _fingerprint(value: Variant | Limits, engine: int) -> str:
    return _digest({"engine": engine, type(value).__name__.lower(): altered(value)})


def _digest(value: object) -> str:
    import hashlib  # noqa: PLC0415 - it loads OpenSSL, and a worker process needs no fingerprint

    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def _variant(written: Mapping[str, Any]) -> Variant:
    return Variant(
        **{
            **written,
            "fit": Fit(written["fit"]),
            "gravity": AUTO if written["gravity"] == AUTO else tuple(written["gravity"]),
            "formats": tuple(map(format_choice, written["formats"])),
            "quality": Quality(**written["quality"]),
            "color": Color(written["color"]),
            "animation": Animation(written["animation"]),
            "dpr": tuple(written["dpr"]),
            "metadata": Metadata(written["metadata"]),
        }
    )
