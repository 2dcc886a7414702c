"""Which of several formats a client wants, by its `Accept` (RFC 9110, section 12.5.1)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

# Of formats that a client asks for by a wildcard alone, the one that more clients can read comes first.
_KNOWN_EVERYWHERE: Final = ("image/jpeg", "image/png", "image/webp", "image/avif")

_QUALITY: Final = re.compile(r"(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)")

# More ranges than any browser sends; what follows is not read.
_MAX_RANGES: Final = 64

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Range:
    """One media range: its type, and how much it is wanted, 0 to 1."""

    type: str
    quality: float


@dataclass(frozen=True, slots=True)
class Offer:
    """A format that there is: its media type, and the bytes it takes."""

    type: str
    bytes: int


def parse(header: str | None) -> tuple[Range, ...]:
    """Return the media ranges of the header; of none or an empty one, everything. What cannot be read is left out."""
    if header is None or not header.strip():
        return (Range("*/*", 1.0),)
    ranges = (_range(part) for part in header.split(",", _MAX_RANGES)[:_MAX_RANGES])
    return tuple(each for each in ranges if each)


def choose(offers: Sequence[Offer], ranges: Sequence[Range]) -> Offer | None:
    """Return the offer that is wanted most, or None where none is wanted.

    Of those wanted alike: one that is named rather than met by a wildcard, the smallest of those; of those met by a
    wildcard the one that most clients can read.
    """
    rated = [(offer, _best(offer.type, ranges)) for offer in offers]
    wanted = [(offer, best) for offer, best in rated if best and best.quality > 0]
    if not wanted:
        return None
    return min(wanted, key=lambda each: _rank(*each))[0]


def _range(part: str) -> Range | None:
    kind, *parameters = (piece.strip() for piece in part.split(";"))
    quality = 1.0
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            if not _QUALITY.fullmatch(value.strip()):
                return None
            quality = float(value)
    return Range(kind.lower(), quality) if kind.count("/") == 1 else None


def _best(kind: str, ranges: Sequence[Range]) -> Range | None:
    """Return the most specific range that the type is in."""
    for specific in (kind, kind.partition("/")[0] + "/*", "*/*"):
        for each in ranges:
            if each.type == specific:
                return each
    return None


def _rank(offer: Offer, best: Range) -> tuple[float, bool, int]:
    named = best.type == offer.type
    return -best.quality, not named, offer.bytes if named else _KNOWN_EVERYWHERE.index(offer.type)
