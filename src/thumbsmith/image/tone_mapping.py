"""High dynamic range (PQ, HLG) to the range of an ordinary display, without a change of hue.

ITU-R BT.2100-2 has the curves, BT.2408 the level of white, and BT.2390-10 (5.4.1) the roll-off of brighter light. The
roll-off is computed for the brightest channel of a pixel, and dims all three by the same factor. For each channel alone
it would change the hue: red turns orange, and magenta pink. The result has the primaries of the source and the curve of
sRGB. Its conversion to sRGB clips each channel, as in Chromium 156.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from math import exp
from typing import Any, Final, TypeAlias

from thumbsmith.image.pillow import Image, ImageChops, ImageMath

# BT.2408: diffuse white in high dynamic range, in cd/m2. It becomes the white of an ordinary display.
DIFFUSE_WHITE_NITS: Final = 203.0

# Peak luminance, in cd/m2, for which most pictures are graded, and that of HLG. Brighter light becomes white.
PEAK_NITS: Final = 1000.0

# BT.2100, table 4: the perceptual quantizer.
_M1, _M2, _C1, _C2, _C3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128

# BT.2100, table 5: hybrid log-gamma, with the system gamma of a display of 1,000 cd/m2, and the shares of red, green
# and blue in the luminance that it applies to.
_A, _B, _C = 0.17883277, 0.28466892, 0.55991073
_HLG_SYSTEM_GAMMA: Final = 1.2
_LUMINANCE: Final = (0.2627, 0.6780, 0.0593)

# ITU-T H.273, table 3.
PQ: Final = 16
HLG: Final = 18

# Light is computed in floating point, so large pictures are handled in bands of this many pixels.
_BAND_PIXELS: Final = 1 << 18

# Light becomes levels of sRGB through a table of this length.
_LIGHT_STEPS: Final = 1 << 16

# Three channels of light in cd/m2, and the factor for all of them, as pictures in floating point.
_Light: TypeAlias = tuple[list[Image.Image], Image.Image]


@dataclass(frozen=True, slots=True)
class ToneMapping:
    """The conversion of a picture with the transfer characteristics PQ or HLG. Its primaries stay."""

    transfer: int

    def apply(self, image: Image.Image) -> Image.Image:
        """Return the picture as RGB or RGBA. Alpha stays."""
        found = image.convert("RGBA" if "A" in image.getbands() else "RGB")
        rows = max(1, _BAND_PIXELS // image.width)
        for top in range(0, image.height, rows):
            band = (0, top, image.width, min(top + rows, image.height))
            found.paste(self._mapped(found.crop(band)), band)
        return found

    def _mapped(self, band: Image.Image) -> Image.Image:
        red, green, blue, *alpha = band.split()
        light, gain = (_pq if self.transfer == PQ else _hlg)(red, green, blue)
        return Image.merge(band.mode, [*(_displayed(each, gain) for each in light), *alpha])


def tone_mapping(transfer: int) -> ToneMapping | None:
    """Return the conversion for transfer characteristics of H.273, None unless they are PQ or HLG."""
    return ToneMapping(transfer) if transfer in (PQ, HLG) else None


def _pq(red: Image.Image, green: Image.Image, blue: Image.Image) -> _Light:
    """Return the light of levels of the perceptual quantizer."""
    light, gain = _pq_tables()
    brightest = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    return [each.point(light, "F") for each in (red, green, blue)], brightest.point(gain, "F")


def _hlg(red: Image.Image, green: Image.Image, blue: Image.Image) -> _Light:
    """Return the light of levels of hybrid log-gamma on a display of 1,000 cd/m2."""
    scene, gain, slope = _hlg_tables()
    channels = [each.point(scene, "F") for each in (red, green, blue)]

    def luminance(given: dict[str, Any]) -> Any:
        return sum(share * given[name] for share, name in zip(_LUMINANCE, "rgb", strict=True))

    def position(given: dict[str, Any]) -> Any:
        brightest = given["max"](given["max"](given["r"], given["g"]), given["b"])
        return 255 * (brightest / PEAK_NITS) ** 0.5

    total = _computed(luminance, **dict(zip("rgb", channels, strict=True)))
    light = [
        _computed(
            lambda given: PEAK_NITS * given["scene"] * given["total"] ** (_HLG_SYSTEM_GAMMA - 1),
            scene=each,
            total=total,
        )
        for each in channels
    ]
    place = _computed(position, **dict(zip("rgb", light, strict=True)))
    below = place.convert("L")
    return light, _computed(
        lambda given: given["gain"] + (given["place"] - given["below"]) * given["slope"],
        gain=below.point(gain, "F"),
        slope=below.point(slope, "F"),
        place=place,
        below=below,
    )


def _displayed(light: Image.Image, gain: Image.Image) -> Image.Image:
    """Return light in cd/m2, times a factor, as levels of sRGB."""
    steps = _computed(lambda given: given["light"] * given["gain"] * (_LIGHT_STEPS - 1) + 0.5, light=light, gain=gain)
    return steps.convert("I").point(_srgb_levels(), "L")


def _computed(formula: Any, **images: Image.Image) -> Image.Image:
    found: Image.Image = ImageMath.lambda_eval(formula, **images)
    return found


@lru_cache(maxsize=1)
def _pq_tables() -> tuple[list[float], list[float]]:
    """Return the light of each level, and the factor for a pixel with this level in its brightest channel."""
    light = [pq_luminance(level / 255) for level in range(256)]
    return light, [_gain(each) for each in light]


@lru_cache(maxsize=1)
def _hlg_tables() -> tuple[list[float], list[float], list[float]]:
    """Return the light of the scene for each level; for 256 roots of brightest light the factor, and its slope."""
    gains = [_gain(PEAK_NITS * (root / 255) ** 2) for root in range(257)]
    gains[0] = gains[1]  # of no light, any factor is right
    slopes = [after - before for before, after in pairwise(gains)]
    return [hlg_scene(level / 255) for level in range(256)], gains[:256], slopes


@lru_cache(maxsize=1)
def _srgb_levels() -> list[int]:
    """Return the level of sRGB, 0 to 255, for each step of light from 0 to 1 (IEC 61966-2-1)."""
    ends = [_srgb_light((level + 0.5) / 255) * (_LIGHT_STEPS - 1) for level in range(255)]
    starts = [0, *(int(end) + 1 for end in ends), _LIGHT_STEPS]
    return [level for level, (start, end) in enumerate(pairwise(starts)) for _ in range(start, end)]


def hlg_scene(level: float) -> float:
    """Return the light of the scene, 0 to 1, of a level of hybrid log-gamma, 0 to 1."""
    return level * level / 3 if level <= 0.5 else (exp((level - _C) / _A) + _B) / 12


def pq_luminance(level: float) -> float:
    """Return the luminance, cd/m2, of a level of the perceptual quantizer, 0 to 1."""
    root = level ** (1 / _M2)
    return float(10_000 * (max(root - _C1, 0.0) / (_C2 - _C3 * root)) ** (1 / _M1))


def roll_off(nits: float) -> float:
    """Return the linear light of a display, 0 to 1: unchanged below a knee, compressed above it (BT.2390)."""
    whole = _pq_level(PEAK_NITS)
    level, most = min(_pq_level(nits) / whole, 1.0), _pq_level(DIFFUSE_WHITE_NITS) / whole
    knee = 1.5 * most - 0.5
    if level > knee:
        way = (level - knee) / (1 - knee)
        level = (
            (2 * way**3 - 3 * way**2 + 1) * knee
            + (way**3 - 2 * way**2 + way) * (1 - knee)
            + (3 * way**2 - 2 * way**3) * most
        )
    return min(pq_luminance(level * whole) / DIFFUSE_WHITE_NITS, 1.0)


def _gain(nits: float) -> float:
    """Return the factor from cd/m2 to the light of a display for a pixel with this brightest channel."""
    return roll_off(nits) / nits if nits else 0.0


def _pq_level(nits: float) -> float:
    """Return the level of the perceptual quantizer for a luminance, cd/m2."""
    power = (nits / 10_000) ** _M1
    return float(((_C1 + _C2 * power) / (1 + _C3 * power)) ** _M2)


def _srgb_light(level: float) -> float:
    """Return the light, 0 to 1, of a level of sRGB, 0 to 1."""
    return level / 12.92 if level <= 0.04045 else float(((level + 0.055) / 1.055) ** 2.4)
