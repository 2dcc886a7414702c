"""Which quality: the highest whose file is small enough, found in few encodings."""

from __future__ import annotations

from collections.abc import Callable
from math import log2
from typing import Final, TypeAlias

# Quality 1 to 100 -> the file.
Writer: TypeAlias = Callable[[int], bytes]

# No quality below this is tried for a size: what is saved then is little, and what is lost is the picture.
LOWEST: Final = 10

# Encodings for one file, the one of the wanted quality included.
ENCODES: Final = 5

# A file that takes this share of what it may is good enough to stop at.
FULL: Final = 0.92

# Until two files tell more: how much quality halves a file. On photographs it is 15 near 80 and 40 near 30.
HALVING: Final = 25.0


def within(most: int | None, write: Writer, wanted: int) -> bytes:
    """Return the file of the wanted quality, or of the highest found whose file takes at most `most` bytes.

    Where none does, that is the file of quality 10, or of the wanted one if that is lower.
    """
    data = write(wanted)
    if most is None or len(data) <= most:
        return data
    lowest, tried = min(LOWEST, wanted), {wanted: data}
    while len(tried) < ENCODES:
        fitting = [quality for quality in tried if len(tried[quality]) <= most]
        floor, ceiling = max(fitting, default=lowest - 1), min(tried.keys() - fitting)
        if ceiling - floor < 2 or (fitting and len(tried[floor]) >= FULL * most):
            break
        last_chance = not fitting and len(tried) == ENCODES - 1
        guess = lowest if last_chance else _guess(tried, most)
        guess = min(max(guess, floor + 1), ceiling - 1)
        tried[guess] = write(guess)
    return max((each for each in tried.values() if len(each) <= most), key=len, default=tried[min(tried)])


def _guess(tried: dict[int, bytes], most: int) -> int:
    """Return the quality whose file should take nearly `most` bytes: their logarithm is nearly linear in it."""
    (quality, data), *others = sorted(tried.items(), key=lambda each: abs(log2(len(each[1]) / most)))
    halving = HALVING
    if others:
        other, size = others[0][0], len(others[0][1])
        halving = (other - quality) / (log2(size / len(data)) or 1.0)
    return int(quality - max(halving, 1.0) * log2(len(data) / (most * (1 + FULL) / 2)))
