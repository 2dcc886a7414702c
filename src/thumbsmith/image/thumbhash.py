"""ThumbHash: a placeholder of about 25 bytes, to show while the thumbnail loads.

The format is by Evan Wallace (https://github.com/evanw/thumbhash): the average color, and cosines of low frequency of
luminance, of yellow against blue, of red against green, and of opacity, in 4 bits each. Sums are computed in the order
of his implementation, so that every float is rounded at the same places and the hash is the same.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, chain, repeat
from math import cos, floor, pi
from operator import mul
from typing import Final, TypeAlias

Channel: TypeAlias = Sequence[float]


# Level of a channel -> the same from 0 to 1, as his implementation rounds it.
_LEVELS: Final = tuple(1 / 255 * level for level in range(256))


@dataclass(frozen=True, slots=True)
class Cosines:
    """A channel as cosines: its mean, the largest amplitude of the others, and the others as shares of it, 0 to 1."""

    mean: float
    scale: float
    shares: tuple[float, ...]


def thumbhash(width: int, height: int, rgba: bytes) -> bytes:
    """Return the hash of a picture of at most 100 x 100 pixels, RGBA of 4 bytes each, not premultiplied."""
    alpha = rgba[3::4].count(255) < width * height
    opacity, colors = _composited(rgba) if alpha else ([], _opaque(rgba))
    finest, longer = 5 if alpha else 7, max(width, height)
    across, down = (max(1, _rounded(finest * side / longer)) for side in (width, height))
    luminance = _cosines([(r + g + b) / 3 for r, g, b in colors], width, height, max(3, across), max(3, down))
    yellow = _cosines([(r + g) / 2 - b for r, g, b in colors], width, height, 3, 3)
    red = _cosines([r - g for r, g, _ in colors], width, height, 3, 3)
    head = (
        _rounded(63 * luminance.mean)
        | _rounded(31.5 + 31.5 * yellow.mean) << 6
        | _rounded(31.5 + 31.5 * red.mean) << 12
        | _rounded(31 * luminance.scale) << 18
        | alpha << 23
        | (down if width > height else across) << 24
        | _rounded(63 * yellow.scale) << 27
        | _rounded(63 * red.scale) << 33
        | (width > height) << 39
    )
    encoded, channels = head.to_bytes(5, "little"), [luminance, yellow, red]
    if alpha:
        clear = _cosines(opacity, width, height, 5, 5)
        encoded += bytes([_rounded(15 * clear.mean) | _rounded(15 * clear.scale) << 4])
        channels.append(clear)
    return encoded + _packed([_rounded(15 * share) for channel in channels for share in channel.shares])


def _opaque(rgba: bytes) -> list[tuple[float, float, float]]:
    """Return red, green and blue of each pixel, as `_composited` does, if all are opaque."""
    return list(zip(*(map(_LEVELS.__getitem__, rgba[n::4]) for n in range(3)), strict=True))


def _composited(rgba: bytes) -> tuple[Channel, list[tuple[float, float, float]]]:
    """Return the opacity of each pixel, and its red, green and blue on the average color, all 0 to 1."""
    opacity = [level / 255 for level in rgba[3::4]]
    planes = [[alpha / 255 * level for alpha, level in zip(opacity, rgba[n::4], strict=True)] for n in range(3)]
    total = _sum(opacity)
    means = [_sum(plane) / total if total else 0.0 for plane in planes]
    laid = [
        [mean * (1 - alpha) + level for alpha, level in zip(opacity, plane, strict=True)]
        for mean, plane in zip(means, planes, strict=True)
    ]
    return opacity, list(zip(*laid, strict=True))


def _cosines(channel: Channel, width: int, height: int, across: int, down: int) -> Cosines:
    """Return the cosines of up to `across` and `down` half waves, without those that are fine on both axes."""
    rows = [channel, *(tuple(map(mul, channel, _wave(width, count) * height)) for count in range(1, across))]
    factors = [_sum(row) / (width * height) for row in rows]  # the wave of 0 is 1 everywhere
    for vertical in range(1, down):
        column = _each_repeated(_wave(height, vertical), width)
        reach = range(-(-across * (down - vertical) // down))
        factors += (_sum(map(mul, rows[horizontal], column)) / (width * height) for horizontal in reach)
    mean, *others = factors
    scale = max((abs(factor) for factor in others), default=0.0)
    return Cosines(mean, scale, tuple(0.5 + 0.5 / scale * factor if scale else factor for factor in others))


@lru_cache(maxsize=256)
def _wave(length: int, count: int) -> tuple[float, ...]:
    """Return `count` half waves over `length` places. Cached, since the pictures of a folder have few shapes."""
    return tuple(cos(pi / length * count * (position + 0.5)) for position in range(length))


@lru_cache(maxsize=256)
def _each_repeated(wave: tuple[float, ...], times: int) -> tuple[float, ...]:
    return tuple(chain.from_iterable(repeat(level, times) for level in wave))


def _sum_in_steps(numbers: Iterable[float]) -> float:
    return deque(accumulate(numbers), maxlen=1)[0]


# Returns the sum, rounded at each step. `sum` is faster, but rounds once at the end from Python 3.12 on.
_sum: Callable[[Iterable[float]], float] = sum if sys.version_info < (3, 12) else _sum_in_steps


def _rounded(number: float) -> int:
    return floor(number + 0.5)


def _packed(nibbles: list[int]) -> bytes:
    pairs = zip(nibbles[::2], [*nibbles[1::2], 0], strict=False)
    return bytes(low | high << 4 for low, high in pairs)
