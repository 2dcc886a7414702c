"""Which quality: the highest whose file is small enough, the lowest whose picture is good enough; in few encodings."""

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


# How like the original a picture is to look (similarity.py): what the default qualities, JPEG 80, WebP 80 and AVIF 60,
# give a photograph in the median, at 256 px as at 1024 (docs/recipe.md).
LIKENESS: Final = 0.97

# The same as what is lost, and what is aimed at, that a guess which is off by a little still serves.
LOSS: Final = 1 - LIKENESS
AIM: Final = 0.96 * LOSS

# A picture that loses this share of what it may is good enough to stop at.
NEAR: Final = 0.92

# Encodings for "auto", and the qualities among which it chooses.
TRIALS: Final = 3
LEAST: Final = 30
MOST: Final = 95

# Until two pictures tell more: how much quality halves the loss. On photographs it is 10 to 25.
HALVING_LOSS: Final = 16.0


def alike(likeness: Callable[[int], float], first: int) -> int:
    """Return the lowest quality found at which the picture is like its original; where none is, the best of the tried.

    `likeness` encodes at a quality and compares; it is called at most three times, first with `first`.
    """
    losses = {first: max(1 - likeness(first), 1e-6)}
    while len(losses) < TRIALS and not any(NEAR * LOSS <= loss <= LOSS for loss in losses.values()):
        guess = _guess_alike(losses)
        if guess in losses:
            break
        losses[guess] = max(1 - likeness(guess), 1e-6)
    good = [quality for quality, loss in losses.items() if loss <= LOSS]
    return min(good) if good else max(losses)


def _guess_alike(losses: dict[int, float]) -> int:
    """Return the quality that loses what is aimed at: the logarithm of the loss is nearly linear in it."""
    (quality, loss), *others = sorted(losses.items(), key=lambda each: abs(log2(each[1] / AIM)))
    halving = HALVING_LOSS
    if others:
        other, lost = others[0]
        halving = min(max((other - quality) / (log2(loss / lost) or 1.0), 4.0), 60.0)
    guess = round(quality + halving * log2(loss / AIM))
    good, poor = ([each for each in losses if (losses[each] <= LOSS) is fine] for fine in (True, False))
    guess = min(max(guess, max(poor, default=LEAST - 1) + 1), min(good, default=MOST + 1) - 1)
    return min(max(guess, LEAST), MOST)


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
