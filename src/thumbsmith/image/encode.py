"""Pictures to bytes: encoders and their settings, and the choice of a quality.

A variant may limit the bytes of its file: the highest quality that fits is chosen. With quality "auto", the lowest
quality is chosen at which the file is similar enough to the picture. Both searches need few encodings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from io import BytesIO
from math import log2
from types import MappingProxyType
from typing import Any, Final, Self, TypeAlias

from thumbsmith.image import pillow
from thumbsmith.image.credit import NO_CREDIT, Credit, credit_options
from thumbsmith.image.pillow import Image, ImageMath
from thumbsmith.recipe.model import AUTO, Format, Metadata, Quality, Variant
from thumbsmith.recipe.names import Rendition

# Format -> Pillow's plugin. It is imported by name: `Image.save` would otherwise load all of Pillow's forty.
PLUGINS: Final = {
    Format.JPEG: "JpegImagePlugin",
    Format.PNG: "PngImagePlugin",
    Format.WEBP: "WebPImagePlugin",
    Format.AVIF: "AvifImagePlugin",
}

# More effort gains little, measured on 4 photographs at 1024 px: WebP method 2 takes 27 ms for 97 KB, the default 4
# takes 64 ms for 95 KB; AVIF speed 8 139 ms for 69 KB, 6 453 ms for 67 KB. One thread: the same bytes on any machine.
EFFORT: Final[dict[Format, dict[str, Any]]] = {
    Format.JPEG: {"subsampling": "4:2:0"},
    Format.PNG: {"compress_level": 6},
    Format.WEBP: {"method": 2},
    Format.AVIF: {"speed": 8, "max_threads": 1},
}

NO_OPTIONS: Final[Mapping[str, Any]] = MappingProxyType({})


def encode_rendition(image: Image.Image, variant: Variant, kind: Format, options: Mapping[str, Any]) -> Rendition:
    """Return a composed picture as a file, at the quality that its variant chooses. `options` are Pillow's."""
    return Rendition(
        variant=variant.name,
        format=kind,
        type=kind.media_type,
        width=image.width,
        height=image.height,
        data=_encode_at_chosen_quality(image, kind, variant, options),
        density=variant.density,
    )


def metadata_options(
    variant: Variant, kind: Format, credit: Credit = NO_CREDIT, profile: bytes | None = None
) -> dict[str, Any]:
    """Return Pillow's options for metadata: the source's `credit`, if the variant keeps it, and a color profile.

    `profile` is the ICC profile of a picture in other colors than sRGB.
    """
    metadata = credit_options(credit, kind) if variant.metadata is Metadata.COPYRIGHT else {}
    return {**metadata, **({"icc_profile": profile} if profile else {})}


def encode(image: Image.Image, kind: Format, quality: Quality, options: Mapping[str, Any] = NO_OPTIONS) -> bytes:
    """Return an RGB or RGBA picture as a file of this format. JPEG takes RGB only.

    `options` are Pillow's. Without them, the file has neither metadata nor a color profile (sRGB). The same still
    picture gives the same bytes.
    """
    pillow.plugin(PLUGINS[kind])
    chosen = {**EFFORT[kind], **options}
    if kind is not Format.PNG:
        chosen["quality"] = getattr(quality, kind.value)
    file = BytesIO()
    image.save(file, kind.value, **chosen)
    return file.getvalue()


def _encode_at_chosen_quality(image: Image.Image, kind: Format, variant: Variant, options: Mapping[str, Any]) -> bytes:
    if kind is Format.PNG:
        return encode(image, kind, variant.quality, options)

    @cache
    def at(percent: int) -> bytes:
        return encode(image, kind, replace(variant.quality, **{kind.value: percent}), options)

    chosen = getattr(variant.quality, kind.value)
    if chosen == AUTO:
        original = Moments.of(image)
        chosen = quality_for_similarity(
            lambda percent: similarity(original, Moments.of(_decode(at(percent), kind).convert(image.mode))),
            getattr(Quality(), kind.value),
        )
    return quality_for_size(variant.max_output_bytes, at, chosen)


def _decode(data: bytes, kind: Format) -> Image.Image:
    """Return the picture in a file that was encoded here."""
    return Image.open(BytesIO(data), formats=[kind.value])


# Quality 1 to 100 -> the file.
Writer: TypeAlias = Callable[[int], bytes]

# The lowest quality that is tried for a size: below it, a file gets little smaller, and the picture much worse.
MIN_SIZE_QUALITY: Final = 10

# Encodings for one file, with the first one.
MAX_SIZE_ENCODES: Final = 5

# The search stops at a file that takes this share of the allowed size.
SIZE_TOLERANCE: Final = 0.92

# First guess of how much less quality halves a file. On photographs it is 15 near 80 and 40 near 30.
QUALITY_PER_HALF_SIZE: Final = 25.0


def quality_for_size(most: int | None, write: Writer, wanted: int) -> bytes:
    """Return the file of the wanted quality, or of the highest quality found whose file takes at most `most` bytes.

    If none fits, that is the file of quality 10, or of the wanted quality if that is lower.
    """
    data = write(wanted)
    if most is None or len(data) <= most:
        return data
    lowest, tried = min(MIN_SIZE_QUALITY, wanted), {wanted: data}
    while len(tried) < MAX_SIZE_ENCODES:
        fitting = [quality for quality in tried if len(tried[quality]) <= most]
        floor, ceiling = max(fitting, default=lowest - 1), min(tried.keys() - fitting)
        if ceiling - floor < 2 or (fitting and len(tried[floor]) >= SIZE_TOLERANCE * most):
            break
        last_chance = not fitting and len(tried) == MAX_SIZE_ENCODES - 1
        guess = lowest if last_chance else _guess_for_size(tried, most)
        guess = min(max(guess, floor + 1), ceiling - 1)
        tried[guess] = write(guess)
    return max((each for each in tried.values() if len(each) <= most), key=len, default=tried[min(tried)])


def _guess_for_size(tried: dict[int, bytes], most: int) -> int:
    """Return the quality whose file should take nearly `most` bytes: quality and log(bytes) are almost linear."""
    (quality, data), *others = sorted(tried.items(), key=lambda each: abs(log2(len(each[1]) / most)))
    halving = QUALITY_PER_HALF_SIZE
    if others:
        other, size = others[0][0], len(others[0][1])
        halving = (other - quality) / (log2(size / len(data)) or 1.0)
    return int(quality - max(halving, 1.0) * log2(len(data) / (most * (1 + SIZE_TOLERANCE) / 2)))


# Similarity that "auto" reaches: what the default qualities, JPEG 80, WebP 80 and AVIF 60, give a photograph in the
# median, at 256 px as at 1024 (docs/recipe.md).
MIN_SIMILARITY: Final = 0.97

# The same as a loss, and the loss to aim at, so that a guess which is slightly off still passes.
MAX_LOSS: Final = 1 - MIN_SIMILARITY
TARGET_LOSS: Final = 0.96 * MAX_LOSS

# The search stops at a picture that has this share of the allowed loss.
LOSS_TOLERANCE: Final = 0.92

# Encodings for "auto", and the qualities from which it chooses.
MAX_SIMILARITY_ENCODES: Final = 3
MIN_AUTO_QUALITY: Final = 30
MAX_AUTO_QUALITY: Final = 95

# First guess of how much more quality halves the loss. On photographs it is 10 to 25.
QUALITY_PER_HALF_LOSS: Final = 16.0


def quality_for_similarity(likeness: Callable[[int], float], first: int) -> int:
    """Return the lowest quality found at which the file is similar enough; if none is, the best quality tried.

    `likeness` encodes at a quality and returns the similarity. It is called at most three times, first with `first`.
    """
    losses = {first: max(1 - likeness(first), 1e-6)}
    while len(losses) < MAX_SIMILARITY_ENCODES:
        if any(LOSS_TOLERANCE * MAX_LOSS <= loss <= MAX_LOSS for loss in losses.values()):
            break
        guess = _guess_for_similarity(losses)
        if guess in losses:
            break
        losses[guess] = max(1 - likeness(guess), 1e-6)
    good = [quality for quality, loss in losses.items() if loss <= MAX_LOSS]
    return min(good) if good else max(losses)


def _guess_for_similarity(losses: dict[int, float]) -> int:
    """Return the quality that should have the target loss: quality and log(loss) are almost linear."""
    (quality, loss), *others = sorted(losses.items(), key=lambda each: abs(log2(each[1] / TARGET_LOSS)))
    halving = QUALITY_PER_HALF_LOSS
    if others:
        other, lost = others[0]
        halving = min(max((other - quality) / (log2(loss / lost) or 1.0), 4.0), 60.0)
    guess = round(quality + halving * log2(loss / TARGET_LOSS))
    good, poor = ([each for each in losses if (losses[each] <= MAX_LOSS) is fine] for fine in (True, False))
    lowest, highest = max(poor, default=MIN_AUTO_QUALITY - 1) + 1, min(good, default=MAX_AUTO_QUALITY + 1) - 1
    return min(max(min(max(guess, lowest), highest), MIN_AUTO_QUALITY), MAX_AUTO_QUALITY)


# The constants of Wang, Bovik, Sheikh and Simoncelli 2004, "Image quality assessment: from error visibility to
# structural similarity", section III.B.
SSIM_C1: Final = (0.01 * 255) ** 2
SSIM_C2: Final = (0.03 * 255) ** 2

# Larger pictures are averaged first, until their shorter side has about this many pixels.
SIMILARITY_SIDE_PIXELS: Final = 1024

# Side of a window. 7 and the 8 pixels of coding blocks have no common divisor, so that no window is always one block.
WINDOW_PIXELS: Final = 7


@dataclass(frozen=True, slots=True)
class Moments:
    """Luminance of a picture, its mean in each window, and the mean of its square."""

    luma: Image.Image
    mean: Image.Image
    square: Image.Image

    @classmethod
    def of(cls, image: Image.Image) -> Self:
        """Return the moments of an RGB picture, or of an RGBA picture on black."""
        seen = Image.alpha_composite(Image.new("RGBA", image.size, "#000"), image) if image.mode == "RGBA" else image
        factor = max(1, round(min(image.size) / SIMILARITY_SIDE_PIXELS))
        luma = seen.convert("L").reduce(factor).convert("F")
        return cls(luma, luma.reduce(WINDOW_PIXELS), _product(luma, luma).reduce(WINDOW_PIXELS))


def similarity(one: Moments, other: Moments) -> float:
    """Return the mean structural similarity (SSIM) of the luminance of two pictures of one size; 1 if equal."""
    both = _product(one.luma, other.luma).reduce(WINDOW_PIXELS)
    ssim = ImageMath.lambda_eval(
        lambda each: (
            (2 * each["a"] * each["b"] + SSIM_C1)
            * (2 * (each["ab"] - each["a"] * each["b"]) + SSIM_C2)
            / (each["a"] * each["a"] + each["b"] * each["b"] + SSIM_C1)
            / (each["aa"] - each["a"] * each["a"] + each["bb"] - each["b"] * each["b"] + SSIM_C2)
        ),
        a=one.mean,
        b=other.mean,
        ab=both,
        aa=one.square,
        bb=other.square,
    )
    return float(ssim.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0)))


def _product(one: Image.Image, other: Image.Image) -> Image.Image:
    product: Image.Image = ImageMath.lambda_eval(lambda each: each["one"] * each["other"], one=one, other=other)
    return product
